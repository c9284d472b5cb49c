//! Outgoing datagrams that are alike: they can leave in one system call, and pass through the
//! kernel as one. Knows no socket.

use std::net::SocketAddr;
use wire::{BindId, Marks};

/// The largest datagram that is held back for a batch: a whole one in a packet of Ethernet's size
/// over IPv4. Larger ones are rare.
const LARGEST: usize = 1472;

/// Most datagrams per batch (Linux's `UDP_MAX_SEGMENTS` in its older kernels).
const MOST: usize = 64;

/// Most bytes per batch: the largest UDP datagram over IPv4.
const MOST_BYTES: usize = 65_507;

/// The properties that datagrams of a batch share.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Way {
    pub(crate) bind: BindId,
    pub(crate) peer: SocketAddr,
    pub(crate) marks: Marks,
}

/// Datagrams with the same properties and size; the last may be shorter.
#[derive(Debug)]
pub(crate) struct Batch {
    pub(crate) way: Way,
    pub(crate) segment: u16,
    pub(crate) bytes: Vec<u8>,
}

impl Batch {
    /// Starts a batch with one datagram, if others may join it.
    pub(crate) fn begin(way: Way, datagram: &[u8]) -> Option<Self> {
        let segment = u16::try_from(datagram.len())
            .ok()
            .filter(|len| (1..=LARGEST).contains(&usize::from(*len)))?;
        Some(Self { way, segment, bytes: datagram.to_vec() })
    }

    /// Adds a datagram; returns whether it fitted.
    pub(crate) fn add(&mut self, way: Way, datagram: &[u8]) -> bool {
        let (segment, length) = (usize::from(self.segment), self.bytes.len());
        let fits = way == self.way
            && (1..=segment).contains(&datagram.len())
            && length.is_multiple_of(segment)
            && length < MOST * segment
            && length + datagram.len() <= MOST_BYTES;
        if fits {
            self.bytes.extend_from_slice(datagram);
        }
        fits
    }

    /// Its datagrams, one by one.
    pub(crate) fn datagrams(&self) -> impl ExactSizeIterator<Item = &[u8]> {
        self.bytes.chunks(usize::from(self.segment))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn way(port: u16, ttl: u8) -> Way {
        Way { bind: BindId(1), peer: ([192, 0, 2, 1], port).into(), marks: Marks::of_ttl(ttl) }
    }

    proptest! {
        #[test]
        fn no_datagram_changes_or_changes_its_place(
            sizes in proptest::collection::vec(prop_oneof![Just(0), Just(100), Just(1472), 0..1600usize], 0..200),
            ways in proptest::collection::vec((0..20u8).prop_map(|n| way(1 + u16::from(n == 0), 64 - u8::from(n == 1))), 200),
        ) {
            let datagrams: Vec<Vec<u8>> = sizes.iter().enumerate().map(|(n, size)| vec![n as u8; *size]).collect();
            let (mut out, mut batch) = (Vec::new(), None::<Batch>);
            let flush = |out: &mut Vec<_>, batch: &mut Option<Batch>| if let Some(batch) = batch.take() {
                assert!(batch.bytes.len() <= MOST_BYTES && batch.datagrams().len() <= MOST);
                out.extend(batch.datagrams().map(|datagram| (batch.way, datagram.to_vec())));
            };
            for (datagram, way) in datagrams.iter().zip(&ways) {
                if batch.as_mut().is_some_and(|batch| batch.add(*way, datagram)) {
                    continue;
                }
                flush(&mut out, &mut batch);
                batch = Batch::begin(*way, datagram);
                if batch.is_none() {
                    out.push((*way, datagram.clone()));
                }
            }
            flush(&mut out, &mut batch);
            let expected: Vec<_> = ways.iter().copied().zip(datagrams).collect();
            prop_assert_eq!(out, expected);
        }
    }

    #[test]
    fn many_alike_are_one_batch() {
        let mut batch = Batch::begin(way(1, 64), &[7; 1000]).unwrap();
        assert!((1..MOST).all(|_| batch.add(way(1, 64), &[7; 1000])), "64 fit");
        assert!(!batch.add(way(1, 64), &[7; 1000]), "at most this many");
    }
}
