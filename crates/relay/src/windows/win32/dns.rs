//! Windows' resolver: `DnsQueryRaw`, where there is one, takes any message; `DnsQuery_W` gives records of the types that it knows.

use super::text::{list, text, wide};
use hickory_proto::rr::rdata::{A, AAAA, CNAME, MX, NS, PTR, SOA, SRV, TXT};
use hickory_proto::rr::{Name, RData, Record};
use std::ffi::c_void;
use std::mem::transmute;
use std::net::{Ipv4Addr, Ipv6Addr};
use std::ptr::null_mut;
use std::str::FromStr as _;
use std::sync::OnceLock;
use tokio::sync::oneshot;
use windows_sys::Win32::NetworkManagement::Dns::{
    DNS_PROTOCOL_TCP, DNS_QUERY_RAW_CANCEL, DNS_QUERY_RAW_REQUEST, DNS_QUERY_RAW_REQUEST_VERSION1,
    DNS_QUERY_RAW_RESULT, DNS_QUERY_RAW_RESULTS_VERSION1, DNS_QUERY_STANDARD, DNS_QUERY_TREAT_AS_FQDN, DNS_RECORDA,
    DNS_RECORDW, DnsFree, DnsFreeRecordList, DnsQuery_W,
};
use windows_sys::Win32::System::LibraryLoader::{GetModuleHandleW, GetProcAddress};

/// Record types (IANA, "DNS Parameters") that [`records`] can give.
pub(crate) const KNOWN_TYPES: [u16; 9] = [1, 2, 5, 6, 12, 15, 16, 28, 33];

/// `DNS_REQUEST_PENDING`: the answer will come.
const PENDING: i32 = 9506;

/// `DNS_ERROR_BAD_PACKET`: what came cannot be told by this way.
const BAD_PACKET: i32 = 9502;

/// `ERROR_CALL_NOT_IMPLEMENTED`: the function is there, and does nothing.
pub(crate) const NOT_IMPLEMENTED: i32 = 120;

type QueryRaw = unsafe extern "system" fn(*const DNS_QUERY_RAW_REQUEST, *mut DNS_QUERY_RAW_CANCEL) -> i32;
type FreeRaw = unsafe extern "system" fn(*const DNS_QUERY_RAW_RESULT);

struct Raw {
    query: QueryRaw,
    free: FreeRaw,
}

/// What came of a raw query: a message, or why there is none, in Windows' codes.
pub(crate) type RawAnswer = Result<Vec<u8>, i32>;

fn raw() -> Option<&'static Raw> {
    static RAW: OnceLock<Option<Raw>> = OnceLock::new();
    let find = || {
        // SAFETY: the names end with a zero; the library is loaded, since this program imports from it.
        unsafe {
            let library = GetModuleHandleW(wide("dnsapi.dll").as_ptr());
            let query = GetProcAddress(library, c"DnsQueryRaw".as_ptr().cast())?;
            let free = GetProcAddress(library, c"DnsQueryRawResultFree".as_ptr().cast())?;
            // SAFETY: the functions of these names have these types (Microsoft's pages of them).
            Some(Raw {
                query: transmute::<unsafe extern "system" fn() -> isize, QueryRaw>(query),
                free: transmute::<unsafe extern "system" fn() -> isize, FreeRaw>(free),
            })
        }
    };
    RAW.get_or_init(find).as_ref()
}

/// Asks a whole message by `DnsQueryRaw`; `None` where Windows has no such function.
pub(crate) fn query_raw(message: &[u8]) -> Option<oneshot::Receiver<RawAnswer>> {
    let raw = raw()?;
    let (answered, answer) = oneshot::channel::<RawAnswer>();
    let context = Box::into_raw(Box::new(answered));
    let mut message = message.to_vec();
    let request = DNS_QUERY_RAW_REQUEST {
        version: DNS_QUERY_RAW_REQUEST_VERSION1,
        resultsVersion: DNS_QUERY_RAW_RESULTS_VERSION1,
        dnsQueryRawSize: u32::try_from(message.len()).unwrap_or(0),
        dnsQueryRaw: message.as_mut_ptr(),
        queryCompletionCallback: Some(raw_answered),
        queryContext: context.cast(),
        // The answer is wanted whole.
        protocol: DNS_PROTOCOL_TCP,
        ..DNS_QUERY_RAW_REQUEST::default()
    };
    let mut cancel = DNS_QUERY_RAW_CANCEL::default();
    // SAFETY: request and message outlive the call, which copies them; the context is the callback's.
    let code = unsafe { (raw.query)(&raw const request, &raw mut cancel) };
    if code != PENDING {
        // SAFETY: without a pending query the callback never runs, so the box is still ours.
        let answered = unsafe { Box::from_raw(context) };
        // The receiver is in this function's hands.
        let _ = answered.send(Err(code));
    }
    Some(answer)
}

unsafe extern "system" fn raw_answered(context: *const c_void, result: *const DNS_QUERY_RAW_RESULT) {
    // SAFETY: Windows calls once for each pending query, with the box that it was given.
    let answered = unsafe { Box::from_raw(context.cast_mut().cast::<oneshot::Sender<RawAnswer>>()) };
    // SAFETY: null, or a result that is ours until it is freed.
    let Some(told) = (unsafe { result.as_ref() }) else { return };
    let message = if told.queryRawResponse.is_null() {
        Err(told.queryStatus)
    } else {
        // SAFETY: the response has the size that the result says.
        Ok(unsafe { std::slice::from_raw_parts(told.queryRawResponse, told.queryRawResponseSize as usize) }.to_vec())
    };
    if let Some(raw) = raw() {
        // SAFETY: freed once, and not used any more.
        unsafe { (raw.free)(result) };
    }
    // Whoever asked may have given up.
    let _ = answered.send(message);
}

/// Asks for records of one of [`KNOWN_TYPES`] by `DnsQuery_W`, which blocks. Those of the answer section, in Windows' order.
///
/// # Errors
/// Windows' code.
pub(crate) fn records(name: &str, kind: u16) -> Result<Vec<Record>, i32> {
    let mut first: *mut DNS_RECORDA = null_mut();
    let options = DNS_QUERY_STANDARD | DNS_QUERY_TREAT_AS_FQDN;
    // SAFETY: the name ends with a zero, and both outlive the call.
    let code = unsafe { DnsQuery_W(wide(name).as_ptr(), kind, options, null_mut(), &raw mut first, null_mut()) } as i32;
    if code != 0 {
        return Err(code);
    }
    // SAFETY: a list of the wide kind, as the function's name says, that ends in null.
    let all = unsafe { list(first.cast::<DNS_RECORDW>().cast_const(), |record| record.pNext.cast_const()) };
    // SAFETY: a number in either view of the union; its lowest two bits are the section, 1 the answer's.
    let answers = all.filter(|record| unsafe { record.Flags.DW } & 3 == 1);
    let records: Vec<Record> = answers.filter_map(record).collect();
    // SAFETY: freed once, and not used any more.
    unsafe { DnsFree(first.cast::<c_void>().cast_const(), DnsFreeRecordList) };
    // A TXT string is any bytes (RFC 1035 3.3.14), which Windows made letters of: only ASCII is the same again.
    let exact = |record: &Record| {
        let RData::TXT(text) = &record.data else { return true };
        text.txt_data.iter().all(|bytes| bytes.is_ascii())
    };
    if records.iter().all(exact) { Ok(records) } else { Err(BAD_PACKET) }
}

/// A name as Windows writes it, without the dot at its end.
///
/// # Safety
/// As [`text`].
unsafe fn name(pointer: windows_sys::core::PWSTR) -> Option<Name> {
    // SAFETY: the caller's word.
    let text = unsafe { text(pointer) }?;
    let mut name = Name::from_str(&text).ok()?;
    name.set_fqdn(true);
    Some(name)
}

fn record(of: &DNS_RECORDW) -> Option<Record> {
    let data = &of.Data;
    // SAFETY: the type says which member of the union is set, and its strings live as long as the record.
    let (owner, data) = unsafe {
        let data = match of.wType {
            1 => RData::A(A(Ipv4Addr::from(data.A.IpAddress.to_ne_bytes()))),
            28 => RData::AAAA(AAAA(Ipv6Addr::from(data.AAAA.Ip6Address.IP6Byte))),
            5 => RData::CNAME(CNAME(name(data.CNAME.pNameHost)?)),
            2 => RData::NS(NS(name(data.NS.pNameHost)?)),
            12 => RData::PTR(PTR(name(data.PTR.pNameHost)?)),
            15 => RData::MX(MX::new(data.MX.wPreference, name(data.MX.pNameExchange)?)),
            33 => {
                let srv = data.SRV;
                RData::SRV(SRV::new(srv.wPriority, srv.wWeight, srv.wPort, name(srv.pNameTarget)?))
            }
            6 => {
                let soa = data.SOA;
                let [refresh, retry, expire] =
                    [soa.dwRefresh, soa.dwRetry, soa.dwExpire].map(|n| i32::try_from(n).unwrap_or(i32::MAX));
                let (server, admin) = (name(soa.pNamePrimaryServer)?, name(soa.pNameAdministrator)?);
                RData::SOA(SOA::new(server, admin, soa.dwSerialNo, refresh, retry, expire, soa.dwDefaultTtl))
            }
            16 => {
                // As many pointers follow as the record says.
                let strings = (&raw const of.Data.TXT.pStringArray).cast::<windows_sys::core::PWSTR>();
                let strings = (0..of.Data.TXT.dwStringCount as usize).filter_map(|n| text(*strings.add(n)));
                RData::TXT(TXT::new(strings.collect()))
            }
            _ => return None,
        };
        (name(of.pName)?, data)
    };
    Some(Record::from_rdata(owner, of.dwTtl, data))
}
