//! Echo requests by `IcmpSendEcho2Ex` and `Icmp6SendEcho2`, which need no rights. Many run at once,
//! and each ends with a call (an APC) in the one thread that sent it. `pinger.rs` decides which are
//! sent, and how long to wait for each.
//!
//! Rests on Microsoft's pages of the two functions and of `IcmpParseReplies`. They do not say
//! whether an APC follows a call that returns replies at once, or what happens to requests whose
//! handle is closed. So an APC carries a number, not a pointer. Memory lent to Windows is freed
//! only after its APC, after a call that failed, or with the handle of a call that did not report a
//! pending request.

#[cfg(test)]
pub(crate) mod fake;

use super::library::functions;
use super::sockets::to_sockaddr6;
use std::cell::RefCell;
use std::collections::HashMap;
use std::ffi::c_void;
use std::io;
use std::mem::size_of;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::ptr::{NonNull, null, null_mut};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use windows_sys::Win32::Foundation::{
    CloseHandle, ERROR_INVALID_PARAMETER, ERROR_IO_PENDING, GetLastError, HANDLE,
    INVALID_HANDLE_VALUE, SetLastError,
};
use windows_sys::Win32::NetworkManagement::IpHelper::{
    ICMP_ECHO_REPLY, ICMPV6_ECHO_REPLY_LH, IP_FLAG_DF, IP_GENERAL_FAILURE, IP_OPTION_INFORMATION,
    Icmp6CreateFile, Icmp6ParseReplies, Icmp6SendEcho2, IcmpCloseHandle, IcmpCreateFile,
    IcmpParseReplies, IcmpSendEcho2Ex,
};
use windows_sys::Win32::Networking::WinSock::SOCKADDR_IN6;
use windows_sys::Win32::System::IO::{IO_STATUS_BLOCK, PIO_APC_ROUTINE};
use windows_sys::Win32::System::Threading::{
    CreateEventW, INFINITE, SetEvent, SleepEx, WaitForSingleObjectEx,
};
use windows_sys::core::BOOL;
use wire::frame::Family;
use wire::{Fragments, Marks};

functions! {
    pub(crate) struct V4 from "iphlpapi.dll" {
        open: IcmpCreateFile() -> HANDLE;
        close: IcmpCloseHandle(HANDLE) -> BOOL;
        send: IcmpSendEcho2Ex(
            HANDLE, HANDLE, PIO_APC_ROUTINE, *const c_void, u32, u32, *const c_void, u16,
            *const IP_OPTION_INFORMATION, *mut c_void, u32, u32,
        ) -> u32;
        parse: IcmpParseReplies(*mut c_void, u32) -> u32;
    }
}

functions! {
    pub(crate) struct V6 from "iphlpapi.dll" {
        open: Icmp6CreateFile() -> HANDLE;
        close: IcmpCloseHandle(HANDLE) -> BOOL;
        send: Icmp6SendEcho2(
            HANDLE, HANDLE, PIO_APC_ROUTINE, *const c_void, *const SOCKADDR_IN6, *const SOCKADDR_IN6,
            *const c_void, u16, *const IP_OPTION_INFORMATION, *mut c_void, u32, u32,
        ) -> u32;
        parse: Icmp6ParseReplies(*mut c_void, u32) -> u32;
    }
}

/// The functions of the families by which this Windows can ping.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Functions {
    v4: Option<V4>,
    v6: Option<V6>,
}

impl Functions {
    pub(crate) fn load() -> Self {
        Self { v4: V4::load().ok(), v6: V6::load().ok() }
    }
}

/// The larger of both families' replies.
const HEAD: usize = {
    let (v4, v6) = (size_of::<ICMP_ECHO_REPLY>(), size_of::<ICMPV6_ECHO_REPLY_LH>());
    if v4 > v6 { v4 } else { v6 }
};

/// Room after a reply and its data: for an ICMP error (8 bytes), an `IO_STATUS_BLOCK`, as
/// Microsoft's page requires, and a reserve.
const SPARE: usize = 8 + size_of::<IO_STATUS_BLOCK>() + 64;

/// The size that a request with that many bytes of data needs.
pub(crate) const fn memory(data: usize) -> usize {
    size_of::<Lent>() + HEAD + SPARE + 2 * data
}

/// How a request ended.
#[derive(Debug)]
pub(crate) struct Reply {
    /// `IP_SUCCESS`, another `IP_STATUS`, or an error code of the system if nothing was sent.
    pub(crate) status: u32,
    /// The sender of the reply or of the error; the unspecified address if there is no sender.
    pub(crate) from: IpAddr,
    /// The time to live on arrival, if Windows gives it.
    pub(crate) ttl: Option<u8>,
    pub(crate) payload: Vec<u8>,
}

impl Reply {
    /// Nothing came from the network. Without a status the reason is unknown: it is not a success.
    pub(crate) fn local(status: u32) -> Self {
        let status = if status == 0 { IP_GENERAL_FAILURE } else { status };
        Self { status, from: Ipv4Addr::UNSPECIFIED.into(), ttl: None, payload: Vec::new() }
    }
}

/// An event that the sending thread waits for.
pub(crate) struct Event(HANDLE);

// SAFETY: any thread may use a kernel handle, and the kernel's own locks order its uses.
unsafe impl Send for Event {}
// SAFETY: as above.
unsafe impl Sync for Event {}

impl Event {
    /// # Errors
    /// Windows' error.
    pub(crate) fn new() -> io::Result<Self> {
        // SAFETY: no security attributes and no name; resets itself after each wait.
        let handle = unsafe { CreateEventW(null(), 0, 0, null()) };
        if handle.is_null() { Err(io::Error::last_os_error()) } else { Ok(Self(handle)) }
    }

    pub(crate) fn set(&self) {
        // SAFETY: the handle is open as long as `self` is.
        unsafe { SetEvent(self.0) };
    }

    /// Waits for the event, for the end of requests (their APCs run here), or until the time is
    /// over.
    fn wait(&self, time: Option<Duration>) {
        let milliseconds = time.map_or(INFINITE, |time| {
            u32::try_from(time.as_millis().saturating_add(1))
                .unwrap_or(INFINITE - 1)
                .min(INFINITE - 1)
        });
        // SAFETY: as above. The wait is alertable, and the only APCs of this thread are this
        // module's.
        unsafe { WaitForSingleObjectEx(self.0, milliseconds, 1) };
        // A wait for an event that is already set ends without running APCs, so that a flood of
        // requests would delay all of their ends. SAFETY: as above.
        unsafe { SleepEx(0, 1) };
    }
}

impl Drop for Event {
    fn drop(&mut self) {
        // SAFETY: opened by `new`, and closed once.
        unsafe { CloseHandle(self.0) };
    }
}

#[derive(Clone, Copy)]
enum Calls {
    V4(V4),
    V6(V6),
}

/// A handle for echo requests of one family.
pub(crate) struct Icmp {
    handle: HANDLE,
    calls: Calls,
}

impl Icmp {
    /// # Errors
    /// This Windows does not ping by that family.
    pub(crate) fn open(functions: &Functions, family: Family) -> io::Result<Self> {
        let calls = match family {
            Family::V4 => functions.v4.map(Calls::V4),
            Family::V6 => functions.v6.map(Calls::V6),
        };
        let calls = calls.ok_or(io::ErrorKind::Unsupported)?;
        // SAFETY: both take nothing.
        let handle = unsafe {
            match calls {
                Calls::V4(v4) => (v4.open)(),
                Calls::V6(v6) => (v6.open)(),
            }
        };
        if handle == INVALID_HANDLE_VALUE || handle.is_null() {
            return Err(io::Error::last_os_error());
        }
        Ok(Self { handle, calls })
    }
}

impl Drop for Icmp {
    fn drop(&mut self) {
        let (Calls::V4(V4 { close, .. }) | Calls::V6(V6 { close, .. })) = self.calls;
        // SAFETY: opened by `open`, and closed once. The memory lent to its requests stays in
        // place.
        unsafe { close(self.handle) };
    }
}

/// Whether this Windows lets its users ping by a family.
pub(crate) fn can(family: Family) -> bool {
    Icmp::open(&Functions::load(), family).is_ok()
}

/// The type of service is left out: "currently silently ignored" (Microsoft's page of
/// `IP_OPTION_INFORMATION`). Windows has no flag that forbids fragmentation over IPv6.
fn options(to: IpAddr, marks: Marks) -> IP_OPTION_INFORMATION {
    let df = to.is_ipv4() && marks.fragments == Fragments::Forbidden;
    // No packet with a time to live of 0 arrives anywhere.
    IP_OPTION_INFORMATION {
        Ttl: marks.ttl.max(1),
        Flags: if df { IP_FLAG_DF as u8 } else { 0 },
        ..IP_OPTION_INFORMATION::default()
    }
}

/// Names a request that Windows holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Ticket(usize);

/// The result of sending a request.
pub(crate) enum Sent {
    /// [`Held::wait`] will report its end.
    UnderWay(Ticket),
    /// It has ended.
    Ended(Reply),
}

/// The requests that Windows holds, sent by the thread that made this.
#[derive(Default)]
pub(crate) struct Held {
    /// Each comes from `Box::into_raw`. Not `Send`, because APCs come only to the sending thread.
    lent: HashMap<Ticket, NonNull<Lent>>,
    bytes: usize,
}

/// The memory that Windows reads and writes until a request ends.
struct Lent {
    calls: Calls,
    handle: HANDLE,
    data: Vec<u8>,
    options: IP_OPTION_INFORMATION,
    /// Aligned, since the reply begins with a structure.
    reply: Vec<u64>,
    /// The call did not say that the request is pending. An APC may follow or not, so the memory
    /// stays until the handle is closed.
    settled: bool,
    /// Its reply came with the call.
    reported: bool,
}

thread_local! {
    /// The requests that ended in this thread since the last look.
    static ENDED: RefCell<Vec<Ticket>> = const { RefCell::new(Vec::new()) };
}

impl Held {
    /// The number of requests that Windows holds.
    pub(crate) fn len(&self) -> usize {
        self.lent.len()
    }

    /// The number of bytes lent to it.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Passes a request to Windows. Windows ends it after the time-out at the latest; one over IPv6
    /// perhaps never: the time-out "is only used if the function is called synchronously" (page of
    /// `Icmp6SendEcho2`).
    pub(crate) fn send(
        &mut self,
        icmp: &Icmp,
        to: IpAddr,
        marks: Marks,
        data: Vec<u8>,
        timeout: Duration,
    ) -> Sent {
        static NEXT: AtomicUsize = AtomicUsize::new(1);
        let Ok(size) = u16::try_from(data.len()) else {
            return Sent::Ended(Reply::local(ERROR_INVALID_PARAMETER));
        };
        let ticket = Ticket(NEXT.fetch_add(1, Ordering::Relaxed));
        let reply_size = HEAD + data.len() + SPARE;
        let lent = Box::new(Lent {
            calls: icmp.calls,
            handle: icmp.handle,
            data,
            options: options(to, marks),
            reply: vec![0; reply_size.div_ceil(8)],
            settled: false,
            reported: false,
        });
        let lent = NonNull::from(Box::leak(lent));
        self.bytes += memory(size.into());
        self.lent.insert(ticket, lent);
        // SAFETY: `lent` stays in its place, untouched, until `Held::take` takes it back.
        let returned = unsafe { call(lent, icmp, to, ticket, size, timeout) };
        match returned {
            // "returns ERROR_IO_PENDING to indicate the operation is in progress" (page); in fact
            // 0, with that code as the last error.
            Err(ERROR_IO_PENDING) | Ok(ERROR_IO_PENDING) => Sent::UnderWay(ticket),
            // Neither pending nor failed. An APC may still bring a reply.
            Err(0) => {
                // SAFETY: according to the page the request is not pending, so Windows does not use
                // it.
                unsafe { (*lent.as_ptr()).settled = true };
                Sent::UnderWay(ticket)
            }
            Err(code) => {
                // Nothing was sent. An APC of this ticket would find nothing.
                drop(self.take(ticket));
                Sent::Ended(Reply::local(code))
            }
            // "the number of replies received and stored in ReplyBuffer".
            Ok(_) => {
                // SAFETY: according to the page the request is not pending, so Windows does not use
                // it.
                let lent = unsafe { &mut *lent.as_ptr() };
                lent.settled = true;
                // If it holds no reply, an APC may still bring one.
                match lent.parse() {
                    Some(reply) => {
                        lent.reported = true;
                        Sent::Ended(reply)
                    }
                    None => Sent::UnderWay(ticket),
                }
            }
        }
    }

    /// Waits for the event, for the end of a request, or for the given time; returns the requests
    /// that ended. Call it in the thread that sends.
    pub(crate) fn wait(&mut self, event: &Event, time: Option<Duration>) -> Vec<(Ticket, Reply)> {
        event.wait(time);
        let ended = ENDED.take();
        let reply = |ticket| {
            let mut lent = self.take(ticket).filter(|lent| !lent.reported)?;
            Some((ticket, lent.parse().unwrap_or_else(|| Reply::local(last_status(&lent)))))
        };
        ended.into_iter().filter_map(reply).collect()
    }

    /// Closes a handle. Its requests that have not ended stay with Windows until their APCs come. A
    /// driver must end the requests of a closed handle (Microsoft, "DispatchCleanup Routines").
    pub(crate) fn close(&mut self, icmp: Icmp) {
        let handle = icmp.handle;
        drop(icmp);
        // SAFETY: Windows has no pointer to these two members.
        let done = |lent: &NonNull<Lent>| unsafe {
            (*lent.as_ptr()).settled && (*lent.as_ptr()).handle == handle
        };
        let done: Vec<_> =
            self.lent.iter().filter(|(_, lent)| done(lent)).map(|(ticket, _)| *ticket).collect();
        for ticket in done {
            drop(self.take(ticket));
        }
    }

    fn take(&mut self, ticket: Ticket) -> Option<Box<Lent>> {
        let lent = self.lent.remove(&ticket)?;
        // SAFETY: from a box, and no longer in the table. Windows is done with it: its APC has run,
        // its call failed, or its call did not say that it is pending and its handle is closed.
        let lent = unsafe { Box::from_raw(lent.as_ptr()) };
        self.bytes -= memory(lent.data.len());
        Some(lent)
    }
}

/// On drop, the memory that Windows still holds stays in place forever: Windows may write to it at
/// any time.
impl Drop for Held {
    fn drop(&mut self) {
        if !self.lent.is_empty() {
            tracing::debug!(requests = self.lent.len(), "pings were left to Windows");
        }
    }
}

/// Calls the function. Returns its result if that is not 0, otherwise the last error.
///
/// # Safety
/// `lent` lives until the request has ended, and nothing touches it.
unsafe fn call(
    lent: NonNull<Lent>,
    icmp: &Icmp,
    to: IpAddr,
    ticket: Ticket,
    size: u16,
    timeout: Duration,
) -> Result<u32, u32> {
    let timeout = u32::try_from(timeout.as_millis()).unwrap_or(u32::MAX);
    let (routine, context) =
        (Some(ended as unsafe extern "system" fn(_, _, _)), ticket.0 as *const c_void);
    let lent = lent.as_ptr();
    // SAFETY: data, options and reply are in `lent` and have the sizes given; the addresses are
    // read within the call; the context is a number.
    unsafe {
        let (data, options) = ((*lent).data.as_ptr().cast::<c_void>(), &raw const (*lent).options);
        let reply = (*lent).reply.as_mut_ptr().cast::<c_void>();
        let room = ((*lent).reply.len() * 8) as u32;
        let no_event = null_mut();
        SetLastError(0);
        let returned = match (icmp.calls, to) {
            (Calls::V4(v4), IpAddr::V4(to)) => {
                let to = u32::from_ne_bytes(to.octets());
                let send = v4.send;
                send(
                    icmp.handle,
                    no_event,
                    routine,
                    context,
                    0,
                    to,
                    data,
                    size,
                    options,
                    reply,
                    room,
                    timeout,
                )
            }
            (Calls::V6(v6), IpAddr::V6(to)) => {
                let (from, to) = (to_sockaddr6(Ipv6Addr::UNSPECIFIED), to_sockaddr6(to));
                let (from, to, send) = (&raw const from, &raw const to, v6.send);
                send(
                    icmp.handle,
                    no_event,
                    routine,
                    context,
                    from,
                    to,
                    data,
                    size,
                    options,
                    reply,
                    room,
                    timeout,
                )
            }
            _ => return Err(ERROR_INVALID_PARAMETER),
        };
        if returned == 0 { Err(GetLastError()) } else { Ok(returned) }
    }
}

/// Windows calls it in the sending thread while that waits. It only notes the request, so it may
/// come once, twice or late.
unsafe extern "system" fn ended(context: *mut c_void, _: *mut IO_STATUS_BLOCK, _: u32) {
    // The thread that it would notify has ended.
    let _ = ENDED.try_with(|ended| ended.borrow_mut().push(Ticket(context as usize)));
}

/// Why there is no reply. Windows reports it as the last error, or in the buffer.
fn last_status(lent: &Lent) -> u32 {
    // SAFETY: it takes nothing and reads the thread's own error code.
    let code = unsafe { GetLastError() };
    if code == 0 { lent.status() } else { code }
}

impl Lent {
    /// The reply in the buffer; `None` if Windows finds none.
    fn parse(&mut self) -> Option<Reply> {
        let size = (self.reply.len() * 8) as u32;
        let buffer = self.reply.as_mut_ptr();
        // SAFETY: the buffer is of that size and was the request's.
        let replies = unsafe {
            SetLastError(0);
            match self.calls {
                Calls::V4(v4) => (v4.parse)(buffer.cast(), size),
                Calls::V6(v6) => (v6.parse)(buffer.cast(), size),
            }
        };
        if replies == 0 {
            return None;
        }
        let status = self.status();
        let (from, ttl, data) = match self.calls {
            Calls::V4(_) => {
                // SAFETY: as long as one at least and aligned; any bits are valid.
                let reply = unsafe { buffer.cast::<ICMP_ECHO_REPLY>().read() };
                let from = IpAddr::from(reply.Address.to_ne_bytes());
                let data = self.within(reply.Data as usize, reply.DataSize.into());
                (from, Some(reply.Options.Ttl), data)
            }
            Calls::V6(_) => {
                // SAFETY: as above.
                let reply = unsafe { buffer.cast::<ICMPV6_ECHO_REPLY_LH>().read() };
                // Its words are in network order, each as a number of the machine's.
                let words = reply.Address.sin6_addr;
                let from = Ipv6Addr::from(words.map(u16::from_be));
                // The data follows the structure without a length: it has as many bytes as were
                // sent.
                let data = buffer as usize + size_of::<ICMPV6_ECHO_REPLY_LH>();
                (from.into(), None, self.within(data, self.data.len()))
            }
        };
        Some(Reply { status, from, ttl, payload: if status == 0 { data } else { Vec::new() } })
    }

    fn status(&self) -> u32 {
        let buffer = self.reply.as_ptr();
        // SAFETY: as in `parse`.
        unsafe {
            match self.calls {
                Calls::V4(_) => (*buffer.cast::<ICMP_ECHO_REPLY>()).Status,
                Calls::V6(_) => {
                    (&raw const (*buffer.cast::<ICMPV6_ECHO_REPLY_LH>()).Status).read_unaligned()
                }
            }
        }
    }

    /// The data bytes that Windows reports in the reply's buffer; empty if they are not inside it.
    fn within(&self, data: usize, length: usize) -> Vec<u8> {
        let (start, whole) = (self.reply.as_ptr() as usize, self.reply.len() * 8);
        let Some(at) = data.checked_sub(start).filter(|at| at + length <= whole) else {
            return Vec::new();
        };
        let bytes = self.reply.iter().flat_map(|word| word.to_ne_bytes());
        bytes.skip(at).take(length).collect()
    }
}

/// Shows the fake when the memory is freed too early.
#[cfg(test)]
impl Drop for Lent {
    fn drop(&mut self) {
        self.data.fill(0x5D);
        self.reply.fill(0x5D5D_5D5D_5D5D_5D5D);
    }
}
