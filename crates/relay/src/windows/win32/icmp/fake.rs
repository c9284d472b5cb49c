//! Windows' ping for tests, exactly as strict as the documents of the real one: Microsoft's pages
//! of `IcmpSendEcho2Ex`, `Icmp6SendEcho2` and `IcmpParseReplies`.
//!
//! A request ends by a call in the thread that sent it, while that waits (an APC). Its fate depends
//! on its destination: see [`fate`]. Until it ends the fake keeps the pointers that it got, and
//! fills the reply's buffer with a pattern that must be intact at the end.
#![expect(
    clippy::wildcard_enum_match_arm,
    reason = "a fake names only the special cases of each fate"
)]

use super::{Functions, V4, V6};
use std::collections::{HashMap, HashSet};
use std::ffi::c_void;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::ptr::null_mut;
use std::sync::{Condvar, LazyLock, Mutex, MutexGuard, Once, PoisonError};
use std::time::{Duration, Instant};
use windows_sys::Win32::Foundation::{
    CloseHandle, DUPLICATE_SAME_ACCESS, DuplicateHandle, ERROR_IO_PENDING, HANDLE, SetLastError,
};
use windows_sys::Win32::NetworkManagement::IpHelper::{
    ICMP_ECHO_REPLY, ICMPV6_ECHO_REPLY_LH, IP_OPTION_INFORMATION,
};
use windows_sys::Win32::Networking::WinSock::SOCKADDR_IN6;
use windows_sys::Win32::System::IO::{IO_STATUS_BLOCK, PIO_APC_ROUTINE};
use windows_sys::Win32::System::Threading::{GetCurrentProcess, GetCurrentThread, QueueUserAPC};
use windows_sys::core::BOOL;

/// `IP_REQ_TIMED_OUT`
const TIMED_OUT: u32 = 11010;
/// `ERROR_HOST_UNREACHABLE`
const UNREACHABLE: u32 = 1232;
/// The status of a request whose handle was closed.
const CANCELLED: u32 = 1223;

/// Marks an end with an empty buffer.
const NOTHING: u32 = u32::MAX;

#[derive(Clone, Copy, PartialEq, Eq)]
enum Fate {
    /// A reply with this `IP_STATUS`.
    Answered(u32),
    /// No reply before the time-out. IPv6 has no time-out: its page says that `Timeout` "is only
    /// used if the function is called synchronously". Closing the handle ends it, because a
    /// driver's cleanup routine must end outstanding requests (Microsoft, "DispatchCleanup
    /// Routines").
    Silent,
    /// No end at all, not even by closing the handle.
    Stuck,
    /// The reply is there when the call returns, and no APC comes.
    AtOnce,
    /// The same, but an APC comes anyway.
    AtOnceAndLater,
    /// The call returns `ERROR_IO_PENDING` itself, as its page says, instead of 0.
    PendingByValue,
    /// The call fails, and nothing is sent.
    Fails,
    /// The call returns 0 and no error, and no APC comes. Wine 8 does so with about 200 in flight.
    SaysNothing,
    /// An APC comes, and there is neither a reply nor an error.
    EndsWithNothing,
}

/// The destinations.
pub(crate) const ALIVE: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 1);
pub(crate) const AT_ONCE: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 2);
pub(crate) const AT_ONCE_AND_LATER: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 3);
pub(crate) const PENDING_BY_VALUE: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 4);
pub(crate) const FAILS: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 5);
pub(crate) const EXPIRES: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 6);
pub(crate) const SAYS_NOTHING: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 7);
pub(crate) const ENDS_WITH_NOTHING: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 8);
pub(crate) const ALIVE_V6: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1);
pub(crate) const SILENT_V6: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 2);

/// One of 65,536 addresses that do not answer.
pub(crate) fn silent(n: u16) -> IpAddr {
    let [high, low] = n.to_be_bytes();
    Ipv4Addr::new(198, 18, high, low).into()
}

/// One of 65,536 addresses whose requests never end.
pub(crate) fn stuck(n: u16) -> IpAddr {
    let [high, low] = n.to_be_bytes();
    Ipv4Addr::new(198, 19, high, low).into()
}

fn fate(to: IpAddr) -> Fate {
    match to {
        IpAddr::V4(AT_ONCE) => Fate::AtOnce,
        IpAddr::V4(AT_ONCE_AND_LATER) => Fate::AtOnceAndLater,
        IpAddr::V4(PENDING_BY_VALUE) => Fate::PendingByValue,
        IpAddr::V4(FAILS) => Fate::Fails,
        IpAddr::V4(EXPIRES) => Fate::Answered(11013),
        IpAddr::V4(SAYS_NOTHING) => Fate::SaysNothing,
        IpAddr::V4(ENDS_WITH_NOTHING) => Fate::EndsWithNothing,
        IpAddr::V4(v4) if v4.octets()[..2] == [198, 18] => Fate::Silent,
        IpAddr::V4(v4) if v4.octets()[..2] == [198, 19] => Fate::Stuck,
        IpAddr::V6(SILENT_V6) => Fate::Silent,
        _ => Fate::Answered(0),
    }
}

#[derive(Default)]
struct State {
    next: u64,
    open: HashSet<usize>,
    under_way: HashMap<u64, Request>,
    most_under_way: usize,
    sent: usize,
    /// The result of the parsing functions for a buffer: the number of replies, and the error.
    outcomes: HashMap<usize, (u32, u32)>,
    faults: Vec<String>,
}

static STATE: LazyLock<(Mutex<State>, Condvar)> = LazyLock::new(Default::default);

fn lock() -> MutexGuard<'static, State> {
    STATE.0.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A request in Windows' hands. Its pointers are numbers, so that it may move to the timer's
/// thread.
#[derive(Clone)]
struct Request {
    number: u64,
    to: IpAddr,
    handle: usize,
    thread: usize,
    routine: PIO_APC_ROUTINE,
    context: usize,
    data: (usize, Vec<u8>),
    reply: (usize, usize),
    due: Option<Instant>,
}

/// The functions.
pub(crate) const FUNCTIONS: Functions = Functions {
    v4: Some(V4 { open, close, send: send_v4, parse }),
    v6: Some(V6 { open, close, send: send_v6, parse }),
};

/// Runs a test alone with the fake, and checks afterwards that no rule was broken.
pub(crate) async fn alone(test: impl Future<Output = ()>) {
    static ONE: tokio::sync::Mutex<()> = tokio::sync::Mutex::const_new(());
    let _one = ONE.lock().await;
    // Requests of an earlier test that never end stay pending, in memory that is never freed.
    let next = lock().next;
    *lock() = State { next, ..State::default() };
    test.await;
    let closed = |state: &mut State| !state.open.is_empty();
    let (state, _) = STATE
        .1
        .wait_timeout_while(lock(), Duration::from_secs(10), closed)
        .unwrap_or_else(PoisonError::into_inner);
    assert!(state.faults.is_empty(), "{:#?}", state.faults);
    assert!(state.open.is_empty(), "{} handles are still open", state.open.len());
}

/// The number of requests so far, and the most at one time.
pub(crate) fn count() -> (usize, usize) {
    let state = lock();
    (state.sent, state.most_under_way)
}

#[expect(clippy::disallowed_methods, reason = "the fake's time-outs are real")]
fn now() -> Instant {
    Instant::now()
}

unsafe extern "system" fn open() -> HANDLE {
    let mut state = lock();
    state.next += 1;
    let handle = 0x10_0000 + state.next as usize * 4;
    state.open.insert(handle);
    handle as HANDLE
}

unsafe extern "system" fn close(handle: HANDLE) -> BOOL {
    let mut state = lock();
    if !state.open.remove(&(handle as usize)) {
        state.faults.push("a handle was closed that is not open".to_owned());
    }
    let ends =
        |request: &&Request| request.handle == handle as usize && fate(request.to) != Fate::Stuck;
    let ended: Vec<u64> =
        state.under_way.values().filter(ends).map(|request| request.number).collect();
    for number in ended {
        state.end(number, CANCELLED);
    }
    STATE.1.notify_all();
    1
}

unsafe extern "system" fn send_v4(
    handle: HANDLE,
    _: HANDLE,
    routine: PIO_APC_ROUTINE,
    context: *const c_void,
    _: u32,
    to: u32,
    data: *const c_void,
    size: u16,
    _: *const IP_OPTION_INFORMATION,
    reply: *mut c_void,
    reply_size: u32,
    timeout: u32,
) -> u32 {
    let to = Ipv4Addr::from(to.to_ne_bytes()).into();
    let timeout = Some(Duration::from_millis(timeout.into()));
    take((handle, to, timeout), (routine, context), (data, size), (reply, reply_size))
}

unsafe extern "system" fn send_v6(
    handle: HANDLE,
    _: HANDLE,
    routine: PIO_APC_ROUTINE,
    context: *const c_void,
    _: *const SOCKADDR_IN6,
    to: *const SOCKADDR_IN6,
    data: *const c_void,
    size: u16,
    _: *const IP_OPTION_INFORMATION,
    reply: *mut c_void,
    reply_size: u32,
    _: u32,
) -> u32 {
    // SAFETY: the caller's, and any bits are an address.
    let to = Ipv6Addr::from(unsafe { (*to).sin6_addr.u.Byte }).into();
    take((handle, to, None), (routine, context), (data, size), (reply, reply_size))
}

fn take(
    (handle, to, timeout): (HANDLE, IpAddr, Option<Duration>),
    (routine, context): (PIO_APC_ROUTINE, *const c_void),
    (data, size): (*const c_void, u16),
    (reply, reply_size): (*mut c_void, u32),
) -> u32 {
    static TIMER: Once = Once::new();
    TIMER.call_once(|| drop(std::thread::spawn(keep_time)));
    let mut state = lock();
    if !state.open.contains(&(handle as usize)) {
        state.faults.push(format!("{to}: by a handle that is not open"));
    }
    // "The buffer should also be large enough to also hold 8 more bytes of data plus an
    // IO_STATUS_BLOCK."
    let head =
        if to.is_ipv4() { size_of::<ICMP_ECHO_REPLY>() } else { size_of::<ICMPV6_ECHO_REPLY_LH>() };
    if (reply_size as usize) < head + usize::from(size) + 8 + size_of::<IO_STATUS_BLOCK>() {
        state.faults.push(format!("{to}: the reply's buffer is too small"));
    }
    state.sent += 1;
    match fate(to) {
        Fate::Fails => {
            // SAFETY: sets the thread's own error code.
            unsafe { SetLastError(UNREACHABLE) };
            return 0;
        }
        Fate::SaysNothing => return 0,
        _ => {}
    }
    state.next += 1;
    let number = state.next;
    let request = Request {
        number,
        to,
        handle: handle as usize,
        thread: this_thread(),
        routine,
        context: context as usize,
        data: (data as usize, read(data as usize, size.into())),
        reply: (reply as usize, reply_size as usize),
        due: timeout.map(|timeout| now() + timeout).filter(|_| fate(to) != Fate::Stuck),
    };
    write(request.reply.0, &request.pattern());
    state.under_way.insert(number, request);
    state.most_under_way = state.most_under_way.max(state.under_way.len());
    let mut returned = 0;
    match fate(to) {
        Fate::Answered(status) => state.end(number, status),
        Fate::PendingByValue => {
            state.end(number, 0);
            returned = ERROR_IO_PENDING;
        }
        Fate::AtOnce | Fate::AtOnceAndLater => {
            let request = state.under_way.remove(&number).unwrap();
            state.fill(&request, 0);
            if fate(to) == Fate::AtOnceAndLater {
                request.call();
            } else {
                close_thread(request.thread);
            }
            returned = 1;
        }
        Fate::EndsWithNothing => state.end(number, NOTHING),
        Fate::Silent | Fate::Stuck | Fate::Fails | Fate::SaysNothing => {}
    }
    drop(state);
    STATE.1.notify_all();
    // SAFETY: sets the thread's own error code.
    unsafe { SetLastError(if returned == 0 { ERROR_IO_PENDING } else { 0 }) };
    returned
}

/// Ends the requests that are due.
fn keep_time() {
    let mut state = lock();
    loop {
        let now = now();
        let due = |request: &&Request| request.due.is_some_and(|due| due <= now);
        let ended: Vec<u64> =
            state.under_way.values().filter(due).map(|request| request.number).collect();
        for number in ended {
            state.end(number, TIMED_OUT);
        }
        let next = state.under_way.values().filter_map(|request| request.due).min();
        let wait = next.map_or(Duration::from_secs(60), |next| next.saturating_duration_since(now));
        state = STATE.1.wait_timeout(state, wait).unwrap_or_else(PoisonError::into_inner).0;
    }
}

impl State {
    /// Ends a request by an APC.
    fn end(&mut self, number: u64, status: u32) {
        if let Some(request) = self.under_way.remove(&number) {
            self.fill(&request, status);
            request.call();
        }
    }

    /// Writes the reply, if the caller still has its memory.
    fn fill(&mut self, request: &Request, status: u32) {
        if read(request.reply.0, request.pattern().len()) != request.pattern() {
            self.faults.push(format!("{}: the reply's buffer was gone before the end", request.to));
            return;
        }
        if read(request.data.0, request.data.1.len()) != request.data.1 {
            self.faults.push(format!("{}: the data was gone before the end", request.to));
        }
        if status == NOTHING {
            write(request.reply.0, &vec![0; request.reply.1]);
            self.outcomes.insert(request.reply.0, (0, 0));
            return;
        }
        let none = matches!(status, TIMED_OUT | CANCELLED);
        self.outcomes.insert(request.reply.0, if none { (0, status) } else { (1, 0) });
        let bytes = &request.data.1;
        match request.to {
            IpAddr::V4(to) => {
                let head = size_of::<ICMP_ECHO_REPLY>();
                let mut reply = ICMP_ECHO_REPLY::default();
                reply.Address = u32::from_ne_bytes(to.octets());
                reply.Status = status;
                reply.DataSize = bytes.len() as u16;
                reply.Data = (request.reply.0 + head) as *mut c_void;
                reply.Options.Ttl = 57;
                // SAFETY: the buffer is that large, and as it is intact, the caller still owns it.
                unsafe { (request.reply.0 as *mut ICMP_ECHO_REPLY).write_unaligned(reply) };
                write(request.reply.0 + head, bytes);
            }
            IpAddr::V6(to) => {
                let mut reply = ICMPV6_ECHO_REPLY_LH::default();
                reply.Address.sin6_addr = to.segments().map(u16::to_be);
                reply.Status = status;
                // SAFETY: as above.
                unsafe { (request.reply.0 as *mut ICMPV6_ECHO_REPLY_LH).write_unaligned(reply) };
                write(request.reply.0 + size_of::<ICMPV6_ECHO_REPLY_LH>(), bytes);
            }
        }
    }
}

impl Request {
    fn pattern(&self) -> Vec<u8> {
        self.number.to_ne_bytes().into_iter().cycle().take(self.reply.1).collect()
    }

    /// Makes the sending thread call the routine the next time that it waits.
    fn call(self) {
        let thread = self.thread;
        let delivery = Box::into_raw(Box::new(self));
        // SAFETY: the thread's handle is open; the box is the routine's. A thread that has ended
        // takes no call.
        if unsafe { QueueUserAPC(Some(deliver), thread as HANDLE, delivery as usize) } == 0 {
            // SAFETY: nothing else holds it then.
            drop(unsafe { Box::from_raw(delivery) });
        }
        close_thread(thread);
    }
}

unsafe extern "system" fn deliver(request: usize) {
    // SAFETY: the box that `call` gave.
    let request = unsafe { Box::from_raw(request as *mut Request) };
    let mut status = IO_STATUS_BLOCK::default();
    let Some(routine) = request.routine else { return };
    // SAFETY: called once, in the thread that sent the request, with its context.
    unsafe { routine(request.context as *mut c_void, &raw mut status, 0) };
}

unsafe extern "system" fn parse(buffer: *mut c_void, _: u32) -> u32 {
    let (replies, error) = lock().outcomes.remove(&(buffer as usize)).unwrap_or((0, 0));
    if replies == 0 {
        // SAFETY: sets the thread's own error code.
        unsafe { SetLastError(error) };
    }
    replies
}

fn this_thread() -> usize {
    let mut thread: HANDLE = null_mut();
    // SAFETY: the pseudo handles are always valid, and the place for the handle outlives the call.
    unsafe {
        let process = GetCurrentProcess();
        DuplicateHandle(
            process,
            GetCurrentThread(),
            process,
            &raw mut thread,
            0,
            0,
            DUPLICATE_SAME_ACCESS,
        );
    }
    thread as usize
}

fn close_thread(thread: usize) {
    // SAFETY: opened by `this_thread`, and closed once.
    unsafe { CloseHandle(thread as HANDLE) };
}

fn read(at: usize, length: usize) -> Vec<u8> {
    // SAFETY: lent for as long as the request is pending; if it is gone, the read returns whatever
    // is there.
    (0..length).map(|n| unsafe { ((at + n) as *const u8).read_volatile() }).collect()
}

fn write(at: usize, bytes: &[u8]) {
    for (n, byte) in bytes.iter().enumerate() {
        // SAFETY: lent for as long as the request is pending, and checked before.
        unsafe { ((at + n) as *mut u8).write_volatile(*byte) };
    }
}
