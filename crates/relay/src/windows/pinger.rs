//! The thread that pings: which echo requests go to Windows, and how long to wait for each. The
//! calls are in `win32/icmp.rs`; `echo.rs` interprets the outcomes.
//!
//! Windows cannot cancel a single request, and keeps one with a silent destination until its
//! time-out. So each handle takes 128 requests. When there are too many requests, or when they are
//! old, the oldest handle is closed, and its requests end without an answer. In this way a sweep
//! over thousands of silent addresses displaces itself, not a ping whose caller still waits.

use super::win32::icmp::{self, Event, Functions, Held, Icmp, Reply, Sent, Ticket};
use crate::limits::PingLimits;
use std::collections::{HashMap, VecDeque};
use std::io;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use wire::frame::Family;
use wire::{Marks, RequestId};

/// A request to send.
pub(super) struct Request {
    pub(super) id: RequestId,
    pub(super) to: IpAddr,
    pub(super) marks: Marks,
    pub(super) payload: Vec<u8>,
}

/// Requests sent at once, before the thread checks for ends.
const TURN: usize = 64;

/// How much later than Windows' own time-out the thread gives up a request.
const GRACE: Duration = Duration::from_secs(1);

/// How long the thread waits for the ends of requests when the relay ends.
const FAREWELL: Duration = Duration::from_secs(1);

#[expect(clippy::disallowed_methods, reason = "the relay's shell reads the clock")]
fn now() -> Instant {
    Instant::now()
}

/// Requests that wait for the thread.
struct Queue {
    requests: Mutex<Inbox>,
    news: Event,
}

impl Queue {
    fn lock(&self) -> MutexGuard<'_, Inbox> {
        self.requests.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[derive(Default)]
struct Inbox {
    requests: VecDeque<Request>,
    closed: bool,
}

/// The thread's other end. The thread ends when this is dropped.
pub(super) struct Pinger(Arc<Queue>);

impl Pinger {
    /// Starts the thread. It calls `tell` once for each request: with its reply, or with nothing
    /// when there is none.
    ///
    /// # Errors
    /// No thread or no event.
    pub(super) fn start(
        functions: Functions,
        limits: PingLimits,
        tell: impl Fn(RequestId, Option<Reply>) + Send + 'static,
    ) -> io::Result<Self> {
        let queue = Arc::new(Queue { requests: Mutex::default(), news: Event::new()? });
        let ours = Arc::clone(&queue);
        let serve = move || Sending::new(functions, limits, tell).serve(&ours);
        std::thread::Builder::new().name("ping".to_owned()).spawn(serve)?;
        Ok(Self(queue))
    }

    pub(super) fn send(&self, request: Request) {
        self.0.lock().requests.push_back(request);
        self.0.news.set();
    }
}

impl Drop for Pinger {
    fn drop(&mut self) {
        self.0.lock().closed = true;
        self.0.news.set();
    }
}

/// The thread's own state.
struct Sending<T> {
    functions: Functions,
    limits: PingLimits,
    tell: T,
    held: Held,
    /// In the order of their numbers.
    batches: VecDeque<Batch>,
    next: u64,
    /// Requests that may still be answered: `waiting.len() <= limits.waiting`.
    waiting: HashMap<Ticket, Waiting>,
    waiting_bytes: usize,
    /// The number of these requests per destination.
    to_each: HashMap<IpAddr, usize>,
}

/// Requests of one handle.
struct Batch {
    number: u64,
    icmp: Icmp,
    family: Family,
    opened: Instant,
    last_sent: Instant,
    /// The number of requests sent: `taken <= limits.batch`.
    taken: usize,
    sent: Vec<Ticket>,
    /// Those that may still be answered.
    waiting: usize,
}

struct Waiting {
    id: RequestId,
    to: IpAddr,
    bytes: usize,
    batch: u64,
}

impl<T: Fn(RequestId, Option<Reply>)> Sending<T> {
    fn new(functions: Functions, limits: PingLimits, tell: T) -> Self {
        Self {
            functions,
            limits,
            tell,
            held: Held::default(),
            batches: VecDeque::new(),
            next: 0,
            waiting: HashMap::new(),
            waiting_bytes: 0,
            to_each: HashMap::new(),
        }
    }

    fn serve(mut self, queue: &Queue) {
        loop {
            let (requests, more, closed) = {
                let mut inbox = queue.lock();
                let turn = inbox.requests.len().min(TURN);
                let requests: Vec<_> = inbox.requests.drain(..turn).collect();
                (requests, !inbox.requests.is_empty(), inbox.closed)
            };
            if closed {
                break;
            }
            let now = now();
            for request in requests {
                self.send(now, request);
            }
            self.end_old(now);
            let wait = if more { Some(Duration::ZERO) } else { self.next_end(now) };
            self.take_ends(&queue.news, wait);
        }
        while self.end_oldest() {}
        let until = now() + FAREWELL;
        while self.held.len() > 0 && now() < until {
            self.take_ends(&queue.news, Some(until.saturating_duration_since(now())));
        }
    }

    fn send(&mut self, now: Instant, request: Request) {
        let bytes = icmp::memory(request.payload.len());
        let to_it = self.to_each.get(&request.to).copied().unwrap_or(0);
        if to_it >= self.limits.to_one {
            return (self.tell)(request.id, None);
        }
        while self.waiting.len() >= self.limits.waiting
            || self.waiting_bytes + bytes > self.limits.bytes
        {
            if !self.end_oldest() {
                break;
            }
        }
        // Windows has not released those that ended here.
        if self.held.len() >= self.limits.held || self.held.bytes() + bytes > 2 * self.limits.bytes
        {
            return (self.tell)(request.id, None);
        }
        let batch = match self.batch(now, Family::of(request.to)) {
            Ok(batch) => batch,
            Err(error) => {
                let code = error.raw_os_error().unwrap_or(0) as u32;
                return (self.tell)(request.id, Some(Reply::local(code)));
            }
        };
        let Some(batch) = self.batches.get_mut(batch) else { return };
        batch.last_sent = now;
        batch.taken += 1;
        let number = batch.number;
        let (Request { id, to, marks, payload }, patience) = (request, self.limits.patience);
        match self.held.send(&batch.icmp, to, marks, payload, patience) {
            Sent::Ended(reply) => {
                (self.tell)(id, Some(reply));
                self.end_if_done(number);
            }
            Sent::UnderWay(ticket) => {
                batch.sent.push(ticket);
                batch.waiting += 1;
                self.waiting.insert(ticket, Waiting { id, to, bytes, batch: number });
                self.waiting_bytes += bytes;
                *self.to_each.entry(to).or_default() += 1;
            }
        }
    }

    /// The index of the batch that takes a family's next request.
    fn batch(&mut self, now: Instant, family: Family) -> io::Result<usize> {
        let takes = |batch: &Batch| {
            let young = now.saturating_duration_since(batch.opened) < self.limits.patience / 2;
            batch.family == family && batch.taken < self.limits.batch && young
        };
        if let Some(index) = self.batches.iter().rposition(takes) {
            return Ok(index);
        }
        let icmp = Icmp::open(&self.functions, family)?;
        self.next += 1;
        self.batches.push_back(Batch {
            number: self.next,
            icmp,
            family,
            opened: now,
            last_sent: now,
            taken: 0,
            sent: Vec::new(),
            waiting: 0,
        });
        Ok(self.batches.len() - 1)
    }

    fn take_ends(&mut self, news: &Event, wait: Option<Duration>) {
        for (ticket, reply) in self.held.wait(news, wait) {
            // A request that no longer waits has been reported.
            let Some(waiting) = self.forget(ticket) else { continue };
            (self.tell)(waiting.id, Some(reply));
            if let Some(batch) =
                self.index_of(waiting.batch).and_then(|index| self.batches.get_mut(index))
            {
                batch.waiting -= 1;
                self.end_if_done(waiting.batch);
            }
        }
    }

    fn index_of(&self, number: u64) -> Option<usize> {
        self.batches.binary_search_by_key(&number, |batch| batch.number).ok()
    }

    /// Closes the handle of a full batch whose requests have all ended.
    fn end_if_done(&mut self, number: u64) {
        let batch = self.index_of(number).and_then(|index| self.batches.get(index));
        if batch.is_some_and(|batch| batch.waiting == 0 && batch.taken >= self.limits.batch) {
            self.end_batch(number);
        }
    }

    fn forget(&mut self, ticket: Ticket) -> Option<Waiting> {
        let waiting = self.waiting.remove(&ticket)?;
        self.waiting_bytes -= waiting.bytes;
        if let Some(count) = self.to_each.get_mut(&waiting.to) {
            *count -= 1;
            if *count == 0 {
                self.to_each.remove(&waiting.to);
            }
        }
        Some(waiting)
    }

    /// When the next batch will have been silent for too long.
    fn next_end(&self, now: Instant) -> Option<Duration> {
        let ends = self.batches.iter().map(|batch| self.end_of(batch)).min()?;
        Some(ends.saturating_duration_since(now))
    }

    fn end_of(&self, batch: &Batch) -> Instant {
        batch.last_sent + self.limits.patience + GRACE.min(self.limits.patience)
    }

    fn end_old(&mut self, now: Instant) {
        let old = self.batches.iter().filter(|batch| self.end_of(batch) <= now);
        let old: Vec<u64> = old.map(|batch| batch.number).collect();
        for number in old {
            self.end_batch(number);
        }
    }

    /// Gives up the requests of the oldest batch; `false` if there is no batch.
    fn end_oldest(&mut self) -> bool {
        let Some(number) = self.batches.front().map(|batch| batch.number) else { return false };
        self.end_batch(number);
        true
    }

    fn end_batch(&mut self, number: u64) {
        let Some(batch) = self.index_of(number).and_then(|index| self.batches.remove(index)) else {
            return;
        };
        for ticket in batch.sent {
            if let Some(waiting) = self.forget(ticket) {
                (self.tell)(waiting.id, None);
            }
        }
        self.held.close(batch.icmp);
    }
}
