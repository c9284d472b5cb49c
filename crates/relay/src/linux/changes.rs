//! Reports changes of the host's network: links, addresses and routes by the kernel's messages
//! (rtnetlink(7)), the list of DNS servers by checking its file. The report does not say what
//! changed: the receiver asks for the facts.

use super::datagrams::try_receive;
use super::resolver::Resolver;
use nix::errno::Errno;
use nix::libc::{
    RTMGRP_IPV4_IFADDR, RTMGRP_IPV4_ROUTE, RTMGRP_IPV6_IFADDR, RTMGRP_IPV6_ROUTE, RTMGRP_LINK,
};
use nix::sys::socket::{
    AddressFamily, MsgFlags, NetlinkAddr, SockFlag, SockProtocol, SockType, bind, recv, socket,
};
use std::fs;
use std::io;
use std::os::fd::AsRawFd as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio::io::Interest;
use tokio::net::UdpSocket;
use tokio::sync::mpsc;
use tokio::time::{MissedTickBehavior, interval, sleep};

/// Time between two reports. A VPN that connects makes dozens of changes: the first is reported at
/// once, the others together after this time.
const QUIET: Duration = Duration::from_secs(1);

/// How often the file of DNS servers is checked. It is often a link to a file that one of several
/// programs replaces, and a watch would have to follow all of that. A check costs a microsecond.
const LOOK_EVERY: Duration = Duration::from_secs(2);

/// The netlink groups to listen to.
const GROUPS: i32 =
    RTMGRP_LINK | RTMGRP_IPV4_IFADDR | RTMGRP_IPV4_ROUTE | RTMGRP_IPV6_IFADDR | RTMGRP_IPV6_ROUTE;

/// Starts to watch. The channel receives an item after each change, and once a second during
/// changes in quick succession. Ends when the receiver is dropped.
///
/// # Errors
/// The kernel gives no such socket.
pub(crate) fn watch(resolver: &Resolver) -> io::Result<mpsc::Receiver<()>> {
    let flags = SockFlag::SOCK_NONBLOCK | SockFlag::SOCK_CLOEXEC;
    let netlink = socket(AddressFamily::Netlink, SockType::Raw, flags, SockProtocol::NetlinkRoute)?;
    bind(netlink.as_raw_fd(), &NetlinkAddr::new(0, GROUPS as u32))?;
    // It is a datagram socket and gets the type of one: reads here use its descriptor.
    let netlink = UdpSocket::from_std(netlink.into())?;
    // One is enough: each says only "since the last one".
    let (tell, changes) = mpsc::channel(1);
    tokio::spawn(follow(netlink, resolver.resolv_conf.clone(), tell));
    Ok(changes)
}

async fn follow(netlink: UdpSocket, resolv_conf: PathBuf, tell: mpsc::Sender<()>) {
    let mut seen = Stamp::of(&resolv_conf);
    let mut look = interval(LOOK_EVERY);
    look.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            () = tell.closed() => return,
            heard = message(&netlink) => if let Err(error) = heard {
                tracing::warn!(%error, "changes of the host's network are no longer noticed");
                return;
            },
            _ = look.tick() => {
                let stamp = Stamp::of(&resolv_conf);
                if stamp == seen {
                    continue;
                }
                seen = stamp;
            }
        }
        if tell.send(()).await.is_err() {
            return;
        }
        // Changes during this time wait in the netlink socket and are reported afterwards.
        sleep(QUIET).await;
    }
}

/// Waits for a message, and takes all that have come.
async fn message(netlink: &UdpSocket) -> io::Result<()> {
    let mut heard = false;
    // Only its arrival counts: the kernel cuts it to this size.
    let mut start = [0; 16];
    loop {
        netlink.ready(Interest::READABLE | Interest::ERROR).await?;
        loop {
            let received =
                try_receive(netlink, || recv(netlink.as_raw_fd(), &mut start, MsgFlags::empty()));
            match received {
                Ok(_) => heard = true,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                // More changes than the socket holds are changes too (netlink(7)).
                Err(error) if error.raw_os_error() == Some(Errno::ENOBUFS as i32) => heard = true,
                Err(error) => return Err(error),
            }
        }
        if heard {
            return Ok(());
        }
    }
}

/// Distinguishes one state of a file from another, through links, without reading it. A missing
/// file has a state too.
#[derive(PartialEq, Eq)]
struct Stamp(Option<(u64, u64, u64, i64, i64)>);

impl Stamp {
    fn of(path: &Path) -> Self {
        Self(
            fs::metadata(path)
                .ok()
                .map(|file| (file.dev(), file.ino(), file.size(), file.mtime(), file.mtime_nsec())),
        )
    }
}
