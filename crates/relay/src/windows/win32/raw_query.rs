//! Whole DNS messages of any type by `DnsQueryRaw` (Windows 11), which follows the rules that a VPN
//! sets for single domains (NRPT).
//!
//! Rests on Microsoft's pages of `DnsQueryRaw`, `DnsCancelQueryRaw`, `DNS_QUERY_RAW_REQUEST`,
//! `DNS_QUERY_RAW_CANCEL`, `DNS_QUERY_RAW_RESULT` and `DNS_QUERY_RAW_COMPLETION_ROUTINE`, and on
//! two programs of Microsoft's that use it: microsoft/WSL, `src/windows/common/DnsResolver.cpp`,
//! and microsoft/openvmm, `consomme/src/dns_resolver/windows/mod.rs`.

#[cfg(test)]
pub(crate) mod fake;

use super::library::functions;
use std::cell::UnsafeCell;
use std::ffi::c_void;
use std::ptr::{null, null_mut};
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::oneshot;
use windows_sys::Win32::NetworkManagement::Dns::{
    DNS_PROTOCOL_TCP, DNS_QUERY_NO_MULTICAST, DNS_QUERY_RAW_CANCEL,
    DNS_QUERY_RAW_OPTION_BEST_EFFORT_PARSE, DNS_QUERY_RAW_REQUEST, DNS_QUERY_RAW_REQUEST_VERSION1,
    DNS_QUERY_RAW_RESULT, DNS_QUERY_RAW_RESULTS_VERSION1, DnsCancelQueryRaw, DnsQueryRaw,
    DnsQueryRawResultFree,
};

functions! {
    /// The functions that a raw query needs. WSL looks for all three before it uses one.
    pub(crate) struct RawFunctions from "dnsapi.dll" {
        query: DnsQueryRaw(*const DNS_QUERY_RAW_REQUEST, *mut DNS_QUERY_RAW_CANCEL) -> i32;
        cancel: DnsCancelQueryRaw(*const DNS_QUERY_RAW_CANCEL) -> i32;
        free: DnsQueryRawResultFree(*const DNS_QUERY_RAW_RESULT);
    }
}

impl RawFunctions {
    /// Whether raw queries are switched on in this Windows: the check that WSL makes before it uses
    /// them (microsoft/WSL, `src/windows/common/DnsResolver.cpp`, `LoadDnsResolverMethods`).
    pub(crate) fn are_on(self) -> bool {
        // SAFETY: WSL makes the same call. Without a request the function refuses its arguments and
        // starts no query.
        unsafe { (self.query)(null(), null_mut()) != NOT_IMPLEMENTED }
    }
}

/// `DNS_REQUEST_PENDING`: the callback will come.
const PENDING: i32 = 9506;

/// `ERROR_CALL_NOT_IMPLEMENTED`: the function exists but is switched off, as on some older Windows
/// (WSL's `LoadDnsResolverMethods`).
pub(crate) const NOT_IMPLEMENTED: i32 = 120;

/// Bytes of a DNS message's header (RFC 1035 section 4.1.1).
const HEADER: usize = 12;

/// Why a raw query brought no message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NoMessage {
    /// `DnsQueryRaw` did not take the query, and returned this code.
    Refused(i32),
    /// The query ended with this status and without a response.
    Failed(i32),
    /// The query ended without a result, or with bytes that are not a framed message.
    Unusable,
}

/// The outcome of a raw query: a message without its length in front, or why there is none.
pub(crate) type RawAnswer = Result<Vec<u8>, NoMessage>;

/// How much of a message Windows has to understand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reading {
    /// All of it; otherwise it refuses the query.
    Whole,
    /// Its question. Records and header bits that Windows does not know are left out of its query.
    BestEffort,
}

/// A query that Windows works on. Dropping it cancels it.
pub(crate) struct RawQuery {
    functions: RawFunctions,
    lent: Arc<Lent>,
    answer: oneshot::Receiver<RawAnswer>,
}

/// The memory to which Windows holds pointers. One owner is the query's context, and with it the
/// callback; the other is the [`RawQuery`].
struct Lent {
    /// "This structure must persist until the query completion callback is made, and it can't be
    /// copied elsewhere". Only Windows reads and writes it.
    cancel: UnsafeCell<DNS_QUERY_RAW_CANCEL>,
    /// Request and message must live until `DnsQueryRaw` returns; here they live as long as the
    /// rest.
    request: UnsafeCell<DNS_QUERY_RAW_REQUEST>,
    message: Vec<u8>,
    functions: RawFunctions,
    /// `None` once the callback has run.
    answered: Mutex<Option<oneshot::Sender<RawAnswer>>>,
}

// SAFETY: the cells are written before Windows sees them, and from then on only by Windows, which
// lets any thread cancel a query. Everything else is `Send`.
unsafe impl Send for Lent {}
// SAFETY: as above.
unsafe impl Sync for Lent {}

impl RawQuery {
    /// Passes a query to Windows. [`RawQuery::answer`] returns its answer.
    pub(crate) fn start(functions: RawFunctions, message: &[u8], reading: Reading) -> Self {
        let (answered, answer) = oneshot::channel();
        let lent = Arc::new(Lent {
            cancel: UnsafeCell::default(),
            request: UnsafeCell::default(),
            message: framed(message),
            functions,
            answered: Mutex::new(Some(answered)),
        });
        let context = Arc::into_raw(Arc::clone(&lent));
        let request = DNS_QUERY_RAW_REQUEST {
            version: DNS_QUERY_RAW_REQUEST_VERSION1,
            resultsVersion: DNS_QUERY_RAW_RESULTS_VERSION1,
            // At most 65,537.
            dnsQueryRawSize: lent.message.len() as u32,
            dnsQueryRaw: lent.message.as_ptr().cast_mut(),
            // A name that no server knows does not go to the neighbours by LLMNR or mDNS (WSL sets
            // it too).
            queryOptions: u64::from(DNS_QUERY_NO_MULTICAST),
            queryCompletionCallback: Some(raw_answered),
            queryContext: context.cast_mut().cast(),
            queryRawOptions: match reading {
                Reading::Whole => 0,
                Reading::BestEffort => u64::from(DNS_QUERY_RAW_OPTION_BEST_EFFORT_PARSE),
            },
            // The framing of question and answer, not the transport. With UDP's an answer would be
            // truncated.
            protocol: DNS_PROTOCOL_TCP,
            ..DNS_QUERY_RAW_REQUEST::default()
        };
        // SAFETY: the cells have no other owner yet.
        unsafe { *lent.request.get() = request };
        // SAFETY: everything that Windows gets pointers to is in `lent`, which lives until the
        // callback has run, even if that is before the call returns.
        let code = unsafe { (functions.query)(lent.request.get(), lent.cancel.get()) };
        if code != PENDING {
            lent.end(Err(NoMessage::Refused(code)));
            // SAFETY: the callback runs only for `DNS_REQUEST_PENDING`, so its reference is still
            // ours.
            drop(unsafe { Arc::from_raw(context) });
        }
        Self { functions, lent, answer }
    }

    /// The answer without its length in front.
    ///
    /// # Errors
    /// See [`NoMessage`].
    pub(crate) async fn answer(mut self) -> RawAnswer {
        (&mut self.answer).await.unwrap_or(Err(NoMessage::Unusable))
    }
}

impl Drop for RawQuery {
    fn drop(&mut self) {
        if self.lent.has_ended() {
            return;
        }
        // No lock is held: "Cancelling can end up calling the DnsQueryRawCallback directly on this
        // same thread" (WSL's `DnsResolver::Stop`). SAFETY: the structure is the one that
        // `DnsQueryRaw` got, at the same place. If the callback ran a moment ago the code says so,
        // and `lent` still exists.
        let code = unsafe { (self.functions.cancel)(self.lent.cancel.get()) };
        if code != 0 {
            tracing::debug!(code, "a DNS query could not be cancelled");
        }
    }
}

impl Lent {
    fn has_ended(&self) -> bool {
        self.answered.lock().unwrap_or_else(PoisonError::into_inner).is_none()
    }

    fn end(&self, outcome: RawAnswer) {
        let answered = self.answered.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(answered) = answered {
            // The receiver may have given up.
            let _ = answered.send(outcome);
        }
    }
}

/// Shows the fake when the memory is freed too early.
#[cfg(test)]
impl Drop for Lent {
    fn drop(&mut self) {
        self.cancel.get_mut().reserved = [0x5D; 32];
        *self.request.get_mut() = DNS_QUERY_RAW_REQUEST::default();
        self.message.fill(0x5D);
    }
}

/// The end of a query: "the system calls this callback on query completion if `DnsQueryRaw` returns
/// `DNS_REQUEST_PENDING`", also for failures and cancellations. It runs on any thread.
unsafe extern "system" fn raw_answered(
    context: *const c_void,
    result: *const DNS_QUERY_RAW_RESULT,
) {
    // SAFETY: the context is the reference that `start` passed on, and Windows calls once.
    let lent = unsafe { Arc::from_raw(context.cast::<Lent>()) };
    // SAFETY: null, or a result that belongs to us until it is freed (page of the routine).
    let outcome = match unsafe { result.as_ref() } {
        None => Err(NoMessage::Unusable),
        Some(filled) if filled.queryRawResponse.is_null() => {
            Err(NoMessage::Failed(filled.queryStatus))
        }
        Some(filled) => {
            // SAFETY: the pointer may be valid whatever the status is, and "this buffer is of size
            // queryRawResponseSize bytes" (page of the result).
            let response = unsafe {
                std::slice::from_raw_parts(
                    filled.queryRawResponse,
                    filled.queryRawResponseSize as usize,
                )
            };
            unframed(response).map(<[u8]>::to_vec).ok_or(NoMessage::Unusable)
        }
    };
    if !result.is_null() {
        // SAFETY: freed once, and not used any more.
        unsafe { (lent.functions.free)(result) };
    }
    lent.end(outcome);
}

/// A message after its length (RFC 1035 section 4.2.2): "If TCP is requested by the caller, then
/// the packet must be prefixed with the 2-byte length". Windows refuses a message that is too long
/// for the length.
fn framed(message: &[u8]) -> Vec<u8> {
    let length = u16::try_from(message.len()).unwrap_or(0);
    [&length.to_be_bytes(), message].concat()
}

/// The message after its length; `None` if the length is not the message's.
fn unframed(bytes: &[u8]) -> Option<&[u8]> {
    let (length, message) = bytes.split_first_chunk()?;
    let whole =
        usize::from(u16::from_be_bytes(*length)) == message.len() && message.len() >= HEADER;
    whole.then_some(message)
}
