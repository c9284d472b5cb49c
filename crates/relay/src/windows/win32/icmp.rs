//! Echo requests by `IcmpSendEcho2Ex` and `Icmp6SendEcho2`, which need no rights: many at once, each ended by a call of its own
//! (an APC) in the one thread that sent it. See Microsoft's pages of the two functions.

use super::sockets::to_sockaddr6;
use std::collections::VecDeque;
use std::ffi::c_void;
use std::io;
use std::mem::size_of;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::ptr::{null, null_mut};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use windows_sys::Win32::Foundation::{CloseHandle, ERROR_IO_PENDING, GetLastError, HANDLE, INVALID_HANDLE_VALUE};
use windows_sys::Win32::NetworkManagement::IpHelper::{
    ICMP_ECHO_REPLY, ICMPV6_ECHO_REPLY_LH, IP_OPTION_INFORMATION, Icmp6CreateFile, Icmp6ParseReplies, Icmp6SendEcho2,
    IcmpCloseHandle, IcmpCreateFile, IcmpParseReplies, IcmpSendEcho2Ex,
};
use windows_sys::Win32::System::IO::IO_STATUS_BLOCK;
use windows_sys::Win32::System::Threading::{CreateEventW, INFINITE, SetEvent, WaitForSingleObjectEx};
use wire::RequestId;
use wire::frame::Family;

/// Room behind a reply and its data: for an ICMP error (8 bytes), an `IO_STATUS_BLOCK`, as Microsoft's page asks, and some to spare.
const SPARE: usize = 8 + size_of::<IO_STATUS_BLOCK>() + 64;

/// What is to be sent.
pub(crate) struct Request {
    pub(crate) id: RequestId,
    pub(crate) to: IpAddr,
    pub(crate) ttl: u8,
    pub(crate) payload: Vec<u8>,
}

/// How a request ended.
pub(crate) struct Reply {
    pub(crate) id: RequestId,
    /// `IP_SUCCESS`, another `IP_STATUS`, or an error code of the system where nothing was sent.
    pub(crate) status: u32,
    /// Who replied, or reported.
    pub(crate) from: IpAddr,
    /// As it arrived, where Windows tells it.
    pub(crate) ttl: Option<u8>,
    pub(crate) payload: Vec<u8>,
}

/// An event that the sending thread waits for.
struct Event(HANDLE);

// SAFETY: a handle of the kernel may be used by any thread, and the kernel's own locks order its uses.
unsafe impl Send for Event {}
// SAFETY: as above.
unsafe impl Sync for Event {}

impl Event {
    fn new() -> io::Result<Self> {
        // SAFETY: no security attributes and no name; resets itself after each wait.
        let handle = unsafe { CreateEventW(null(), 0, 0, null()) };
        if handle.is_null() { Err(io::Error::last_os_error()) } else { Ok(Self(handle)) }
    }

    fn set(&self) {
        // SAFETY: the handle is open as long as `self` is.
        unsafe { SetEvent(self.0) };
    }

    /// Waits for the event, or for the end of requests: their calls run within.
    fn wait(&self) {
        // SAFETY: as above; alertable, so that APCs run, all of which are this module's.
        unsafe { WaitForSingleObjectEx(self.0, INFINITE, 1) };
    }
}

impl Drop for Event {
    fn drop(&mut self) {
        // SAFETY: opened by `new`, and closed once.
        unsafe { CloseHandle(self.0) };
    }
}

/// A handle that echo requests of one family are sent by.
struct Icmp(HANDLE);

impl Icmp {
    fn open(family: Family) -> io::Result<Self> {
        // SAFETY: both take nothing.
        let handle = unsafe {
            match family {
                Family::V4 => IcmpCreateFile(),
                Family::V6 => Icmp6CreateFile(),
            }
        };
        if handle == INVALID_HANDLE_VALUE || handle.is_null() {
            return Err(io::Error::last_os_error());
        }
        Ok(Self(handle))
    }
}

impl Drop for Icmp {
    fn drop(&mut self) {
        // SAFETY: opened by `open`, and closed once.
        unsafe { IcmpCloseHandle(self.0) };
    }
}

/// Whether this Windows lets its users ping by a family.
pub(crate) fn can(family: Family) -> bool {
    Icmp::open(family).is_ok()
}

/// Requests that wait for the thread.
struct Queue {
    requests: Mutex<Inbox>,
    news: Event,
}

#[derive(Default)]
struct Inbox {
    requests: VecDeque<Request>,
    closed: bool,
}

/// The thread's other end. The thread ends when this is dropped, after the last request.
pub(crate) struct Sender(Arc<Queue>);

impl Sender {
    /// Starts the thread. `tell` is called in it for each request that ended; none is heard of longer than `patience`.
    ///
    /// # Errors
    /// No thread or no event.
    pub(crate) fn start(patience: Duration, tell: impl Fn(Reply) + Send + 'static) -> io::Result<Self> {
        let queue = Arc::new(Queue { requests: Mutex::default(), news: Event::new()? });
        let ours = Arc::clone(&queue);
        std::thread::Builder::new().name("ping".to_owned()).spawn(move || serve(&ours, patience, &tell))?;
        Ok(Self(queue))
    }

    pub(crate) fn send(&self, request: Request) {
        self.0.requests.lock().unwrap_or_else(PoisonError::into_inner).requests.push_back(request);
        self.0.news.set();
    }
}

impl Drop for Sender {
    fn drop(&mut self) {
        self.0.requests.lock().unwrap_or_else(PoisonError::into_inner).closed = true;
        self.0.news.set();
    }
}

/// A request that Windows has; its address is the APC's context.
struct UnderWay<'a> {
    id: RequestId,
    family: Family,
    /// What Windows reads the data from, and writes the reply to. Aligned, since the reply begins with a structure.
    payload: Vec<u8>,
    options: IP_OPTION_INFORMATION,
    reply: Vec<u64>,
    tell: &'a dyn Fn(Reply),
    /// How many are under way in this thread; it does not end before they have.
    count: &'a std::cell::Cell<usize>,
}

fn serve(queue: &Queue, patience: Duration, tell: &dyn Fn(Reply)) {
    let (mut v4, mut v6) = (None, None);
    let count = std::cell::Cell::new(0);
    let timeout = u32::try_from(patience.as_millis()).unwrap_or(u32::MAX);
    loop {
        let (requests, closed) = {
            let mut inbox = queue.requests.lock().unwrap_or_else(PoisonError::into_inner);
            (std::mem::take(&mut inbox.requests), inbox.closed)
        };
        for request in requests {
            let family = Family::of(request.to);
            let place = if family == Family::V4 { &mut v4 } else { &mut v6 };
            let error = match place {
                Some(icmp) => send(icmp, request, timeout, (tell, &count)).err(),
                None => match Icmp::open(family) {
                    Ok(icmp) => send(place.insert(icmp), request, timeout, (tell, &count)).err(),
                    Err(error) => Some(failed(&request, error.raw_os_error().unwrap_or(0) as u32)),
                },
            };
            if let Some(reply) = error {
                tell(reply);
            }
        }
        if closed && count.get() == 0 {
            return;
        }
        queue.news.wait();
    }
}

fn failed(request: &Request, status: u32) -> Reply {
    Reply { id: request.id, status, from: Ipv4Addr::UNSPECIFIED.into(), ttl: None, payload: Vec::new() }
}

/// Gives a request to Windows.
///
/// # Errors
/// How it ended at once.
fn send(
    icmp: &Icmp,
    request: Request,
    timeout: u32,
    (tell, count): (&dyn Fn(Reply), &std::cell::Cell<usize>),
) -> Result<(), Reply> {
    let head = size_of::<ICMP_ECHO_REPLY>().max(size_of::<ICMPV6_ECHO_REPLY_LH>());
    let Ok(payload_size) = u16::try_from(request.payload.len()) else { return Err(failed(&request, 87)) };
    let reply_size = head + request.payload.len() + SPARE;
    let under_way = Box::new(UnderWay {
        id: request.id,
        family: Family::of(request.to),
        payload: request.payload,
        // A time to live of 0 is no packet's that arrived anywhere.
        options: IP_OPTION_INFORMATION { Ttl: request.ttl.max(1), ..IP_OPTION_INFORMATION::default() },
        reply: vec![0; reply_size.div_ceil(8)],
        tell,
        count,
    });
    let context = Box::into_raw(under_way);
    // SAFETY: just made from a box. Windows reads payload and options and writes the reply until the APC runs, and they live in the
    // box until then; the box itself is not touched here any more, but by `from_raw` where no APC will run.
    let code = unsafe {
        let (data, options) = ((*context).payload.as_ptr().cast::<c_void>(), &raw const (*context).options);
        let (reply, size) = ((*context).reply.as_mut_ptr().cast::<c_void>(), reply_size as u32);
        count.set(count.get() + 1);
        let started = match request.to {
            IpAddr::V4(to) => IcmpSendEcho2Ex(
                icmp.0,
                null_mut(),
                Some(ended),
                context.cast::<c_void>(),
                0,
                u32::from_ne_bytes(to.octets()),
                data,
                payload_size,
                options,
                reply,
                size,
                timeout,
            ),
            IpAddr::V6(to) => {
                let (from, to) = (to_sockaddr6(Ipv6Addr::UNSPECIFIED), to_sockaddr6(to));
                Icmp6SendEcho2(
                    icmp.0,
                    null_mut(),
                    Some(ended),
                    context.cast::<c_void>(),
                    &raw const from,
                    &raw const to,
                    data,
                    payload_size,
                    options,
                    reply,
                    size,
                    timeout,
                )
            }
        };
        if started == 0 { GetLastError() } else { ERROR_IO_PENDING }
    };
    if code == ERROR_IO_PENDING {
        return Ok(());
    }
    count.set(count.get() - 1);
    // SAFETY: Windows refused the request, so it keeps nothing and no APC will run.
    let under_way = unsafe { Box::from_raw(context) };
    let from = Ipv4Addr::UNSPECIFIED.into();
    Err(Reply { id: under_way.id, status: code, from, ttl: None, payload: Vec::new() })
}

/// Called by Windows in the sending thread, while that waits, once for each request that it took.
///
/// # Safety
/// `context` is the box that `send` gave.
unsafe extern "system" fn ended(context: *mut c_void, _: *mut IO_STATUS_BLOCK, _: u32) {
    // SAFETY: Windows is done with the request, and calls this once; so the box is ours again.
    let mut under_way = unsafe { Box::from_raw(context.cast::<UnderWay<'_>>()) };
    under_way.count.set(under_way.count.get() - 1);
    let reply = under_way.parse();
    (under_way.tell)(reply);
}

impl UnderWay<'_> {
    fn parse(&mut self) -> Reply {
        let size = (self.reply.len() * 8) as u32;
        let buffer = self.reply.as_mut_ptr();
        match self.family {
            Family::V4 => {
                // SAFETY: the buffer is of that size and was the request's.
                let replies = unsafe { IcmpParseReplies(buffer.cast(), size) };
                // SAFETY: as long as one at least and aligned; any bits are valid.
                let reply = unsafe { buffer.cast::<ICMP_ECHO_REPLY>().read() };
                let from = IpAddr::from(reply.Address.to_ne_bytes());
                let status = if replies == 0 { last_status(reply.Status) } else { reply.Status };
                let data = self.within(reply.Data.cast_const().cast(), usize::from(reply.DataSize));
                let payload = if status == 0 { data } else { Vec::new() };
                Reply { id: self.id, status, from, ttl: Some(reply.Options.Ttl), payload }
            }
            Family::V6 => {
                // SAFETY: as above.
                let replies = unsafe { Icmp6ParseReplies(buffer.cast(), size) };
                // SAFETY: as above.
                let reply = unsafe { buffer.cast::<ICMPV6_ECHO_REPLY_LH>().read() };
                // Its words are in network order, each as a number of the machine's.
                let words = reply.Address.sin6_addr;
                let from = Ipv6Addr::from(words.map(u16::from_be));
                let status = if replies == 0 { last_status(reply.Status) } else { reply.Status };
                // The data follow the structure; how many they are it does not say: as many as were sent.
                // SAFETY: within the buffer, as `within` checks before it reads.
                let data = unsafe { buffer.cast::<u8>().add(size_of::<ICMPV6_ECHO_REPLY_LH>()) };
                let payload = if status == 0 { self.within(data, self.payload.len()) } else { Vec::new() };
                Reply { id: self.id, status, from: from.into(), ttl: None, payload }
            }
        }
    }

    /// Bytes that Windows says are in the reply's buffer; nothing if they are not.
    fn within(&self, data: *const u8, length: usize) -> Vec<u8> {
        let (start, whole) = (self.reply.as_ptr() as usize, self.reply.len() * 8);
        let Some(at) = (data as usize).checked_sub(start).filter(|at| at + length <= whole) else { return Vec::new() };
        let bytes = self.reply.iter().flat_map(|word| word.to_ne_bytes());
        bytes.skip(at).take(length).collect()
    }
}

/// Why there is no reply: Windows says it by the last error, or in the buffer.
fn last_status(in_buffer: u32) -> u32 {
    // SAFETY: it takes nothing and reads the thread's own error code.
    let code = unsafe { GetLastError() };
    if code == 0 { in_buffer } else { code }
}
