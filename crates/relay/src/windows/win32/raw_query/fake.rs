//! Windows' resolver for tests, as strict as the documents of the real one allow it to be.
//!
//! - Microsoft's pages of `DnsQueryRaw`, `DnsCancelQueryRaw`, `DNS_QUERY_RAW_REQUEST`,
//!   `DNS_QUERY_RAW_CANCEL`, `DNS_QUERY_RAW_RESULT` and `DNS_QUERY_RAW_COMPLETION_ROUTINE`.
//! - microsoft/WSL, `src/windows/common/DnsResolver.cpp`.
//! - microsoft/openvmm, `consomme/src/dns_resolver/windows/mod.rs`.
//!
//! The fate of a query depends on the first label of its name: see [`fate`]. The fake keeps all
//! pointers that it gets and checks them until the callback. The page of the request requires less:
//! request and message only have to live until `DnsQueryRaw` returns.
#![expect(
    clippy::wildcard_enum_match_arm,
    reason = "a fake names only the special cases of each fate"
)]

use super::RawFunctions;
use crate::os::win32::dns::RecordFunctions;
use crate::os::win32::text::text;
use hickory_proto::op::{Message, MessageType, ResponseCode};
use hickory_proto::rr::rdata::{A, TXT};
use hickory_proto::rr::{RData, Record};
use std::collections::HashMap;
use std::ffi::c_void;
use std::net::Ipv4Addr;
use std::sync::{Condvar, LazyLock, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use windows_sys::Win32::NetworkManagement::Dns::{
    DNS_PROTOCOL_TCP, DNS_QUERY_ACCEPT_TRUNCATED_RESPONSE, DNS_QUERY_NO_MULTICAST,
    DNS_QUERY_RAW_CANCEL, DNS_QUERY_RAW_OPTION_BEST_EFFORT_PARSE, DNS_QUERY_RAW_REQUEST,
    DNS_QUERY_RAW_RESULT, DNS_RECORDA,
};
use windows_sys::core::PCWSTR;

/// How long an ordinary answer takes: its caller has moved on by then.
const TAKES: Duration = Duration::from_millis(20);

const PENDING: i32 = 9506;
const BAD_PACKET: i32 = 9502;
const NAME_ERROR: i32 = 9003;
const INVALID_PARAMETER: i32 = 87;
const CANCELLED: i32 = 1223;

/// The result of `DnsQuery_W` here for every name: it exists, without such a record.
const NO_RECORDS: u32 = 9501;

/// The address that a VPN's server, named by a rule of the NRPT, gives for `*.corp.test`; and that
/// of all other names.
pub(crate) const BY_RULE: Ipv4Addr = Ipv4Addr::new(10, 20, 30, 40);
pub(crate) const BY_OTHERS: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 80);

#[derive(Clone, Copy, PartialEq, Eq)]
enum Fate {
    /// An answer after a while, on a thread of Windows'.
    Answered,
    /// The callback comes before `DnsQueryRaw` returns, which openvmm's code allows for.
    AnsweredAtOnce,
    /// An answer of several kilobytes.
    Large,
    /// An error status with a message: "negative responses could produce error status and a valid
    /// pointer".
    NoSuchName,
    /// An error status without a message.
    Failed(i32),
    /// The callback gets no result at all, which WSL's and openvmm's code allow for.
    Nothing,
    /// A length in front that is not the message's.
    Misframed,
    /// Never answered. Cancelling it calls back on the cancelling thread, as WSL's code notes.
    Slow,
    /// Never answered. Cancelling it calls back on another thread.
    SlowElsewhere,
    /// `DnsQueryRaw` itself returns the code, and no callback comes.
    Refused(i32),
    /// `DnsQueryRaw` cannot read the message, unless an option makes it read as much as it can.
    Unreadable,
}

fn fate(name: &str) -> Fate {
    let label = name.split('.').next().unwrap_or_default();
    let (kind, code) = label.split_once('-').unwrap_or((label, ""));
    let code = code.parse().unwrap_or(0);
    match kind {
        "atonce" => Fate::AnsweredAtOnce,
        "large" => Fate::Large,
        "nxdomain" => Fate::NoSuchName,
        "failed" => Fate::Failed(code),
        "nothing" => Fate::Nothing,
        "misframed" => Fate::Misframed,
        "slow" => Fate::Slow,
        "slowelsewhere" => Fate::SlowElsewhere,
        "refused" => Fate::Refused(code),
        "unreadable" => Fate::Unreadable,
        _ => Fate::Answered,
    }
}

/// A call of either function.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Call {
    Raw { name: String },
    RawBestEffort { name: String },
    Records { name: String, options: u32 },
}

#[derive(Default)]
struct State {
    next: u64,
    under_way: HashMap<u64, Query>,
    calls: Vec<Call>,
    faults: Vec<String>,
    /// Results that are not freed, by their address, each with its query: an address is reused once
    /// its result is freed.
    results: HashMap<usize, u64>,
}

static STATE: LazyLock<(Mutex<State>, Condvar)> = LazyLock::new(Default::default);

fn lock() -> MutexGuard<'static, State> {
    STATE.0.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A query, with Windows' pointers and the data at them when it began.
#[derive(Clone)]
struct Query {
    number: u64,
    name: String,
    fate: Fate,
    cancelled: bool,
    /// The structure that cancels it, filled with [`canary`]: the page says that it "must persist
    /// until the query completion callback is made".
    cancel: usize,
    request: (usize, Vec<u8>),
    message: (usize, Vec<u8>),
    callback: unsafe extern "system" fn(*const c_void, *const DNS_QUERY_RAW_RESULT),
    context: usize,
}

/// The content that Windows keeps in the structure that cancels a query.
fn canary(number: u64) -> [u8; 32] {
    let mut bytes = [0xC5; 32];
    bytes[..8].copy_from_slice(&number.to_ne_bytes());
    bytes
}

/// The bytes at an address.
///
/// # Safety
/// That many bytes are readable there.
unsafe fn bytes(at: usize, length: usize) -> Vec<u8> {
    // SAFETY: the caller guarantees it.
    (0..length).map(|n| unsafe { ((at + n) as *const u8).read_volatile() }).collect()
}

/// The raw functions.
pub(crate) const RAW: RawFunctions = RawFunctions { query, cancel, free };

/// The raw functions of a Windows where they are switched off.
pub(crate) const RAW_OFF: RawFunctions = RawFunctions { query: query_off, cancel, free };

unsafe extern "system" fn query_off(
    _: *const DNS_QUERY_RAW_REQUEST,
    _: *mut DNS_QUERY_RAW_CANCEL,
) -> i32 {
    super::NOT_IMPLEMENTED
}

/// The functions that ask for records.
pub(crate) const RECORDS: RecordFunctions =
    RecordFunctions { query: query_records, free: free_records };

/// The calls for names with that suffix.
pub(crate) fn calls(suffix: &str) -> Vec<Call> {
    let of = |call: &&Call| match call {
        Call::Raw { name } | Call::RawBestEffort { name } | Call::Records { name, .. } => {
            name.ends_with(suffix)
        }
    };
    lock().calls.iter().filter(of).cloned().collect()
}

/// Waits until no query for a name with that suffix is pending.
///
/// # Panics
/// One of them does not end, a result was not freed, or a rule was broken.
pub(crate) fn finish(suffix: &str) {
    let deadline = Duration::from_secs(10);
    let busy =
        |state: &mut State| state.under_way.values().any(|query| query.name.ends_with(suffix));
    let (state, timeout) =
        STATE.1.wait_timeout_while(lock(), deadline, busy).unwrap_or_else(PoisonError::into_inner);
    assert!(!timeout.timed_out(), "a query for *.{suffix} never ends");
    let faults: Vec<_> = state.faults.iter().filter(|fault| fault.contains(suffix)).collect();
    assert!(faults.is_empty(), "{faults:#?}");
}

fn fault(state: &mut State, name: &str, what: &str) {
    state.faults.push(format!("{name}: {what}"));
}

unsafe extern "system" fn query(
    request: *const DNS_QUERY_RAW_REQUEST,
    cancel: *mut DNS_QUERY_RAW_CANCEL,
) -> i32 {
    // SAFETY: null, or the caller's.
    let Some(asked) = (unsafe { request.as_ref() }) else { return INVALID_PARAMETER };
    let complete = asked.version == 1 && asked.resultsVersion == 1 && !asked.queryContext.is_null();
    let Some(callback) = asked.queryCompletionCallback.filter(|_| complete && !cancel.is_null())
    else {
        return INVALID_PARAMETER;
    };
    // SAFETY: the request says so.
    let message = unsafe { bytes(asked.dnsQueryRaw as usize, asked.dnsQueryRawSize as usize) };
    // "If TCP is requested by the caller, then the packet must be prefixed with the 2-byte length."
    let bare = match asked.protocol {
        DNS_PROTOCOL_TCP => unframed(&message),
        _ => Some(&message[..]),
    };
    let Some(read) = bare.and_then(|bare| Message::from_vec(bare).ok()) else { return BAD_PACKET };
    let name = read.queries[0].name().to_ascii().trim_end_matches('.').to_owned();
    let best_effort =
        asked.queryRawOptions & u64::from(DNS_QUERY_RAW_OPTION_BEST_EFFORT_PARSE) != 0;
    let mut state = lock();
    state.calls.push(match best_effort {
        true => Call::RawBestEffort { name: name.clone() },
        false => Call::Raw { name: name.clone() },
    });
    if asked.queryOptions & u64::from(DNS_QUERY_NO_MULTICAST) == 0 {
        fault(&mut state, &name, "also sent by LLMNR and mDNS");
    }
    if asked.queryOptions & u64::from(DNS_QUERY_ACCEPT_TRUNCATED_RESPONSE) != 0 {
        fault(&mut state, &name, "an option of the raw query among those of every query");
    }
    let fate = fate(&name);
    match fate {
        Fate::Refused(code) => return code,
        Fate::Unreadable if !best_effort => return BAD_PACKET,
        _ => {}
    }
    state.next += 1;
    let number = state.next;
    // SAFETY: the caller's, for as long as the query is pending.
    unsafe { cancel.cast::<[u8; 32]>().write_volatile(canary(number)) };
    let query = Query {
        number,
        name,
        fate,
        cancelled: false,
        cancel: cancel as usize,
        // SAFETY: as above.
        request: (request as usize, unsafe {
            bytes(request as usize, size_of::<DNS_QUERY_RAW_REQUEST>())
        }),
        message: (asked.dnsQueryRaw as usize, message),
        callback,
        context: asked.queryContext as usize,
    };
    state.under_way.insert(number, query.clone());
    drop(state);
    if fate == Fate::AnsweredAtOnce {
        query.end(0);
    } else {
        std::thread::spawn(move || query.take_its_time());
    }
    PENDING
}

/// A message after its length.
fn unframed(bytes: &[u8]) -> Option<&[u8]> {
    let (length, message) = bytes.split_first_chunk()?;
    (usize::from(u16::from_be_bytes(*length)) == message.len()).then_some(message)
}

unsafe extern "system" fn cancel(structure: *const DNS_QUERY_RAW_CANCEL) -> i32 {
    // SAFETY: the caller's.
    let found = unsafe { bytes(structure as usize, size_of::<DNS_QUERY_RAW_CANCEL>()) };
    let mut state = lock();
    let under_way = state.under_way.values_mut().find(|query| query.cancel == structure as usize);
    // One that ended a moment ago cannot be cancelled.
    let Some(query) = under_way else { return INVALID_PARAMETER };
    if found != canary(query.number) {
        let name = query.name.clone();
        fault(&mut state, &name, "the structure to cancel it has changed");
        return INVALID_PARAMETER;
    }
    query.cancelled = true;
    let here = (query.fate == Fate::Slow).then(|| query.clone());
    drop(state);
    STATE.1.notify_all();
    if let Some(query) = here {
        query.end(CANCELLED);
    }
    0
}

unsafe extern "system" fn free(result: *const DNS_QUERY_RAW_RESULT) {
    if lock().results.remove(&(result as usize)).is_none() {
        lock()
            .faults
            .push("a result was freed that is another query's or already freed".to_owned());
        return;
    }
    // SAFETY: made by `Query::end`, and freed once.
    unsafe {
        let result = Box::from_raw(result.cast_mut());
        if !result.queryRawResponse.is_null() {
            let size = result.queryRawResponseSize as usize;
            drop(Box::from_raw(std::ptr::slice_from_raw_parts_mut(result.queryRawResponse, size)));
        }
    }
}

impl Query {
    fn take_its_time(self) {
        let slow = matches!(self.fate, Fate::Slow | Fate::SlowElsewhere);
        let patience = if slow { Duration::from_secs(60) } else { TAKES };
        let waits = |state: &mut State| {
            state.under_way.get(&self.number).is_some_and(|query| !query.cancelled)
        };
        let (state, _) = STATE
            .1
            .wait_timeout_while(lock(), patience, waits)
            .unwrap_or_else(PoisonError::into_inner);
        let Some(cancelled) = state.under_way.get(&self.number).map(|query| query.cancelled) else {
            return;
        };
        drop(state);
        match self.fate {
            // The cancelling thread makes its callback.
            Fate::Slow if cancelled => {}
            _ if cancelled => {
                // Late, so that the cancelling thread has continued.
                drop(STATE.1.wait_timeout_while(lock(), TAKES, |_| true));
                self.end(CANCELLED);
            }
            Fate::Failed(code) => self.end(code),
            Fate::NoSuchName => self.end(NAME_ERROR),
            _ => self.end(0),
        }
    }

    /// Checks the caller's memory for the last time, and calls back.
    fn end(&self, status: i32) {
        let mut state = lock();
        // SAFETY: until now the caller must keep all three; if it did not, the read returns
        // whatever is there.
        let (cancel, request, message) = unsafe {
            (
                bytes(self.cancel, size_of::<DNS_QUERY_RAW_CANCEL>()),
                bytes(self.request.0, self.request.1.len()),
                bytes(self.message.0, self.message.1.len()),
            )
        };
        if cancel == canary(self.number) {
            // SAFETY: as it is intact, the caller still owns it.
            unsafe { (self.cancel as *mut [u8; 32]).write_volatile([0xEE; 32]) };
        } else {
            fault(
                &mut state,
                &self.name,
                "the structure to cancel it was gone before the callback",
            );
        }
        if request != self.request.1 || message != self.message.1 {
            fault(&mut state, &self.name, "the request was gone before the callback");
        }
        let result = self.result(status);
        if !result.is_null() {
            state.results.insert(result as usize, self.number);
        }
        drop(state);
        // SAFETY: called once for a query that was taken, with its context (Microsoft's page of the
        // routine).
        unsafe { (self.callback)(self.context as *const c_void, result) };
        let mut state = lock();
        state.under_way.remove(&self.number);
        // "If it's not NULL, then you must free the queryResults pointer."
        if state.results.get(&(result as usize)) == Some(&self.number) {
            fault(&mut state, &self.name, "its result was not freed");
        }
        drop(state);
        STATE.1.notify_all();
    }

    fn result(&self, status: i32) -> *const DNS_QUERY_RAW_RESULT {
        let mut result =
            DNS_QUERY_RAW_RESULT { version: 1, queryStatus: status, ..Default::default() };
        match self.fate {
            Fate::Nothing => return std::ptr::null(),
            Fate::Failed(_) => {}
            _ if status == CANCELLED => {}
            _ => {
                let response = Box::leak(self.response().into_boxed_slice());
                result.queryRawResponseSize = response.len() as u32;
                result.queryRawResponse = response.as_mut_ptr();
            }
        }
        Box::into_raw(Box::new(result))
    }

    /// The answer, framed like the question: "the query response will be modified to match the
    /// protocol in the request".
    fn response(&self) -> Vec<u8> {
        let framed = unframed(&self.message.1);
        let mut answer = Message::from_vec(framed.unwrap_or(&self.message.1)).unwrap();
        answer.metadata.message_type = MessageType::Response;
        let name = answer.queries[0].name().clone();
        let address = if self.name.ends_with(".corp.test") { BY_RULE } else { BY_OTHERS };
        match self.fate {
            Fate::NoSuchName => answer.metadata.response_code = ResponseCode::NXDomain,
            Fate::Large => answer.answers.extend((0..20).map(|_| {
                Record::from_rdata(name.clone(), 60, RData::TXT(TXT::new(vec!["x".repeat(250)])))
            })),
            _ => answer.answers.push(Record::from_rdata(name, 60, RData::A(A(address)))),
        }
        let answer = answer.to_vec().unwrap();
        let length = if self.fate == Fate::Misframed { 7 } else { answer.len() as u16 };
        match framed {
            Some(_) => [&length.to_be_bytes(), &answer[..]].concat(),
            None => answer,
        }
    }
}

unsafe extern "system" fn query_records(
    name: PCWSTR,
    _: u16,
    options: u32,
    _: *mut c_void,
    _: *mut *mut DNS_RECORDA,
    _: *mut *mut c_void,
) -> u32 {
    // SAFETY: the caller's, and it ends with a zero.
    let name =
        unsafe { text(name.cast_mut()) }.unwrap_or_default().trim_end_matches('.').to_owned();
    lock().calls.push(Call::Records { name, options });
    NO_RECORDS
}

unsafe extern "system" fn free_records(_: *const c_void, _: i32) {
    lock().faults.push("a list of records was freed that never existed".to_owned());
}
