//! A kernel whose IPv6 has one routing table, as WSL's are up to 5.15.90.1: built without
//! CONFIG_IPV6_MULTIPLE_TABLES. It is a netlink socket before this machine's kernel: it answers
//! what such a kernel answers differently, and passes on the rest.
//!
//! - RTM_NEWRULE, RTM_DELRULE for AF_INET6: NLMSG_ERROR with EAFNOSUPPORT (net/core/fib_rules.c,
//!   fib_nl_newrule and fib_nl_delrule: lookup_rules_ops finds none, since net/ipv6/fib6_rules.c,
//!   which registers them, is not built).
//! - RTM_GETRULE (dump) for AF_INET6: NLMSG_DONE with EAFNOSUPPORT, no rule (fib_nl_dumprule in the
//!   same file; net/netlink/af_netlink.c, netlink_dump_done: a dump's error comes with its end).
//! - RTM_NEWROUTE, RTM_DELROUTE for AF_INET6, any table: the same in `main` (net/ipv6/ip6_fib.c,
//!   fib6_new_table and fib6_get_table without that option).

use std::collections::VecDeque;
use std::io;
use std::sync::Mutex;
use std::task::{Context, Poll};

use bytes::BufMut;
use rtnetlink::sys::{AsyncSocket, Socket, SocketAddr, TokioSocket};

const NLMSG_ERROR: u16 = 2;
const NLMSG_DONE: u16 = 3;
const NLM_F_MULTI: u16 = 2;
const RTM_NEWROUTE: u16 = 24;
const RTM_DELROUTE: u16 = 25;
const RTM_NEWRULE: u16 = 32;
const RTM_DELRULE: u16 = 33;
const RTM_GETRULE: u16 = 34;
const RT_TABLE_MAIN: u8 = 254;
const RTA_TABLE: u16 = 15;
/// struct nlmsghdr, struct rtmsg, and the place of `rtm_table` in a message.
const HEADER: usize = 16;
const ROUTE: usize = 12;
const TABLE: usize = HEADER + 4;

/// A netlink socket to such a kernel.
pub(crate) struct OldKernel {
    real: TokioSocket,
    answers: Mutex<VecDeque<Vec<u8>>>,
}

impl OldKernel {
    /// Answers a request that such a kernel answers differently.
    fn answer(&self, request: &[u8]) -> bool {
        let answer = match kind(request) {
            RTM_NEWRULE | RTM_DELRULE => message(request, NLMSG_ERROR, 0, &request[..HEADER]),
            RTM_GETRULE => message(request, NLMSG_DONE, NLM_F_MULTI, &[]),
            _ => return false,
        };
        self.answers.lock().unwrap().push_back(answer);
        true
    }
}

fn kind(message: &[u8]) -> u16 {
    u16::from_ne_bytes([message[4], message[5]])
}

/// EAFNOSUPPORT as the answer to a request.
fn message(request: &[u8], kind: u16, flags: u16, rest: &[u8]) -> Vec<u8> {
    let length = u32::try_from(HEADER + 4 + rest.len()).unwrap();
    let mut answer =
        [&length.to_ne_bytes()[..], &kind.to_ne_bytes(), &flags.to_ne_bytes()].concat();
    // The request's sequence number, and the port that it came from: none, as the codec leaves it.
    answer.extend(&request[8..16]);
    answer.extend((-libc::EAFNOSUPPORT).to_ne_bytes());
    answer.extend(rest);
    answer
}

/// The same route, in `main`.
fn in_main(request: &[u8]) -> Vec<u8> {
    let mut changed = request.to_vec();
    changed[TABLE] = RT_TABLE_MAIN;
    let mut at = HEADER + ROUTE;
    while at + 4 <= changed.len() {
        let length = usize::from(u16::from_ne_bytes([changed[at], changed[at + 1]]));
        if u16::from_ne_bytes([changed[at + 2], changed[at + 3]]) == RTA_TABLE {
            changed[at + 4..at + 8].copy_from_slice(&u32::from(RT_TABLE_MAIN).to_ne_bytes());
        }
        at += length.max(4).next_multiple_of(4);
    }
    changed
}

impl AsyncSocket for OldKernel {
    fn socket_ref(&self) -> &Socket {
        self.real.socket_ref()
    }

    fn socket_mut(&mut self) -> &mut Socket {
        self.real.socket_mut()
    }

    fn new(protocol: isize) -> io::Result<Self> {
        Ok(Self { real: TokioSocket::new(protocol)?, answers: Mutex::default() })
    }

    fn poll_send(&self, cx: &mut Context<'_>, request: &[u8]) -> Poll<io::Result<usize>> {
        self.poll_send_to(cx, request, &SocketAddr::new(0, 0))
    }

    fn poll_send_to(
        &self,
        cx: &mut Context<'_>,
        request: &[u8],
        to: &SocketAddr,
    ) -> Poll<io::Result<usize>> {
        if i32::from(request[HEADER]) != libc::AF_INET6 {
            return self.real.poll_send_to(cx, request, to);
        }
        if self.answer(request) {
            // The connection reads before it sends.
            cx.waker().wake_by_ref();
            return Poll::Ready(Ok(request.len()));
        }
        match kind(request) {
            RTM_NEWROUTE | RTM_DELROUTE => self.real.poll_send_to(cx, &in_main(request), to),
            _ => self.real.poll_send_to(cx, request, to),
        }
    }

    fn poll_recv<B: BufMut>(&self, cx: &mut Context<'_>, buffer: &mut B) -> Poll<io::Result<()>> {
        self.poll_recv_from(cx, buffer).map_ok(drop)
    }

    fn poll_recv_from<B: BufMut>(
        &self,
        cx: &mut Context<'_>,
        buffer: &mut B,
    ) -> Poll<io::Result<SocketAddr>> {
        if let Some(answer) = self.answers.lock().unwrap().pop_front() {
            buffer.put_slice(&answer);
            return Poll::Ready(Ok(SocketAddr::new(0, 0)));
        }
        self.real.poll_recv_from(cx, buffer)
    }

    fn poll_recv_from_full(&self, cx: &mut Context<'_>) -> Poll<io::Result<(Vec<u8>, SocketAddr)>> {
        match self.answers.lock().unwrap().pop_front() {
            Some(answer) => Poll::Ready(Ok((answer, SocketAddr::new(0, 0)))),
            None => self.real.poll_recv_from_full(cx),
        }
    }
}
