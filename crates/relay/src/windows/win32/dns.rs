//! Records of the types that Windows' resolver knows, by `DnsQuery_W`.

use super::library::functions;
use super::text::{list, text, wide};
use hickory_proto::rr::rdata::{A, AAAA, CNAME, MX, NS, PTR, SOA, SRV, TXT};
use hickory_proto::rr::{Name, RData, Record};
use std::ffi::c_void;
use std::net::{Ipv4Addr, Ipv6Addr};
use std::ptr::null_mut;
use std::str::FromStr as _;
use windows_sys::Win32::NetworkManagement::Dns::{
    DNS_QUERY_NO_MULTICAST, DNS_QUERY_STANDARD, DNS_QUERY_TREAT_AS_FQDN, DNS_RECORDA, DNS_RECORDW,
    DnsFree, DnsFreeRecordList, DnsQuery_W,
};
use windows_sys::core::PCWSTR;

/// Record types (IANA, "DNS Parameters") that [`records`] can give.
pub(crate) const KNOWN_TYPES: [u16; 9] = [1, 2, 5, 6, 12, 15, 16, 28, 33];

/// `DNS_ERROR_BAD_PACKET`: this function cannot return the answer.
const BAD_PACKET: i32 = 9502;

functions! {
    pub(crate) struct RecordFunctions from "dnsapi.dll" {
        query: DnsQuery_W(PCWSTR, u16, u32, *mut c_void, *mut *mut DNS_RECORDA, *mut *mut c_void) -> u32;
        free: DnsFree(*const c_void, i32);
    }
}

/// Looks up records of one of [`KNOWN_TYPES`] by `DnsQuery_W`, which blocks. Returns those of the
/// answer section, in Windows' order.
///
/// # Errors
/// Windows' code.
pub(crate) fn records(dns: RecordFunctions, name: &str, kind: u16) -> Result<Vec<Record>, i32> {
    let mut first: *mut DNS_RECORDA = null_mut();
    // Names that no server knows do not go to the neighbours (LLMNR, mDNS), as in `raw_query.rs`.
    let options = DNS_QUERY_STANDARD | DNS_QUERY_TREAT_AS_FQDN | DNS_QUERY_NO_MULTICAST;
    // SAFETY: the name ends with a zero, and both outlive the call.
    let code = unsafe {
        (dns.query)(wide(name).as_ptr(), kind, options, null_mut(), &raw mut first, null_mut())
    } as i32;
    if code != 0 {
        return Err(code);
    }
    // SAFETY: a list of the wide kind, as the function's name says, that ends in null.
    let all = unsafe {
        list(first.cast::<DNS_RECORDW>().cast_const(), |record| record.pNext.cast_const())
    };
    // SAFETY: a number in either view of the union; its lowest two bits are the section, 1 the
    // answer's.
    let answers = all.filter(|record| unsafe { record.Flags.DW } & 3 == 1);
    let records: Vec<Record> = answers.filter_map(record).collect();
    // SAFETY: freed once, and not used any more.
    unsafe { (dns.free)(first.cast::<c_void>().cast_const(), DnsFreeRecordList) };
    // A TXT string is any bytes (RFC 1035 3.3.14), which Windows converts to letters: only ASCII
    // survives that.
    let exact = |record: &Record| {
        let RData::TXT(text) = &record.data else { return true };
        text.txt_data.iter().all(|bytes| bytes.is_ascii())
    };
    if records.iter().all(exact) { Ok(records) } else { Err(BAD_PACKET) }
}

/// A name as Windows writes it, without the dot at its end.
///
/// # Safety
/// Like [`text`].
unsafe fn name(pointer: windows_sys::core::PWSTR) -> Option<Name> {
    // SAFETY: the caller guarantees it.
    let text = unsafe { text(pointer) }?;
    let mut name = Name::from_str(&text).ok()?;
    name.set_fqdn(true);
    Some(name)
}

fn record(of: &DNS_RECORDW) -> Option<Record> {
    let data = &of.Data;
    // SAFETY: the type says which member of the union is set, and its strings live as long as the
    // record.
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
                let [refresh, retry, expire] = [soa.dwRefresh, soa.dwRetry, soa.dwExpire]
                    .map(|n| i32::try_from(n).unwrap_or(i32::MAX));
                let (server, admin) =
                    (name(soa.pNamePrimaryServer)?, name(soa.pNameAdministrator)?);
                RData::SOA(SOA::new(
                    server,
                    admin,
                    soa.dwSerialNo,
                    refresh,
                    retry,
                    expire,
                    soa.dwDefaultTtl,
                ))
            }
            16 => {
                // As many pointers follow as the record says.
                let strings =
                    (&raw const of.Data.TXT.pStringArray).cast::<windows_sys::core::PWSTR>();
                let strings =
                    (0..of.Data.TXT.dwStringCount as usize).filter_map(|n| text(*strings.add(n)));
                RData::TXT(TXT::new(strings.collect()))
            }
            _ => return None,
        };
        (name(of.pName)?, data)
    };
    Some(Record::from_rdata(owner, of.dwTtl, data))
}
