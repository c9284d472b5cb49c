//! One direction of a path: its delay, loss, rate and queue. Pure: the caller has the clock and the
//! packets, and this says when each packet arrives, if it does.

use std::collections::VecDeque;
use std::fmt;
use std::str::FromStr;
use std::time::Duration;

/// Bytes on a path without a rate, whose queue would otherwise have no bound: 64 ms at 8 Gbit/s,
/// which is more than a router in user space carries.
const MOST_BYTES: usize = 64 * 1024 * 1024;

/// The properties of one direction.
///
/// Its text, for command lines, is `DELAY/LOST/RATE/QUEUE`: microseconds, a share, bits per second
/// (0 for no limit), bytes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Leg {
    /// One-way delay of each packet after it has left the queue.
    pub delay: Duration,
    /// The share of packets that are lost, 0 to 1.
    pub lost: f64,
    /// Bits per second; `None` for no limit.
    pub rate: Option<u64>,
    /// Bytes that wait for the rate. Packets that find no room are dropped.
    pub queue: usize,
}

impl Leg {
    /// A direction with delay and loss, and no limit of its rate.
    #[must_use]
    pub fn lossy(delay: Duration, lost: f64) -> Self {
        Self { delay, lost, rate: None, queue: 0 }
    }

    /// A direction with a rate, whose queue holds what the rate carries in `queued`.
    #[must_use]
    pub fn limited(delay: Duration, rate: u64, queued: Duration) -> Self {
        let bytes = u128::from(rate) * queued.as_micros() / 8_000_000;
        Self {
            delay,
            lost: 0.0,
            rate: Some(rate),
            queue: usize::try_from(bytes).unwrap_or(usize::MAX),
        }
    }
}

impl fmt::Display for Leg {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (delay, rate) = (self.delay.as_micros(), self.rate.unwrap_or(0));
        write!(formatter, "{delay}/{}/{rate}/{}", self.lost, self.queue)
    }
}

impl FromStr for Leg {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("'{text}' is no DELAY/LOST/RATE/QUEUE, such as 10000/0.01/0/0");
        let [delay, lost, rate, queue] =
            text.split('/').collect::<Vec<_>>().try_into().map_err(|_| wrong())?;
        let rate = rate.parse().map_err(|_| wrong())?;
        Ok(Self {
            delay: Duration::from_micros(delay.parse().map_err(|_| wrong())?),
            lost: lost.parse().ok().filter(|lost| (0.0..=1.0).contains(lost)).ok_or_else(wrong)?,
            rate: (rate != 0).then_some(rate),
            queue: queue.parse().map_err(|_| wrong())?,
        })
    }
}

/// A direction in use. Times are those since any fixed moment, and never go backwards.
#[derive(Debug)]
pub struct Shaper {
    leg: Leg,
    random: u64,
    /// Packets that have not left the queue, or, without a rate, have not arrived: when they will,
    /// and their bytes. Times ascend.
    waiting: VecDeque<(Duration, usize)>,
    /// The sum of the bytes in `waiting`.
    bytes: usize,
}

impl Shaper {
    /// A direction with an empty queue. The same seed loses the same packets, counted from here.
    #[must_use]
    pub fn new(leg: Leg, seed: u64) -> Self {
        Self { leg, random: seed, waiting: VecDeque::new(), bytes: 0 }
    }

    /// A packet comes at `now`: when it arrives at the other end, or `None` if it never does.
    pub fn carry(&mut self, now: Duration, bytes: usize) -> Option<Duration> {
        while let Some((_, gone)) = self.waiting.pop_front_if(|(until, _)| *until <= now) {
            self.bytes -= gone;
        }
        // Each packet takes one number, so that no other property decides which packets are lost.
        let is_lost = self.share() < self.leg.lost;
        let room = if self.leg.rate.is_some() { self.leg.queue } else { MOST_BYTES };
        // An empty queue takes any packet, however small it is.
        if !self.waiting.is_empty() && self.bytes + bytes > room {
            return None;
        }
        let (left, counts_until) = match self.leg.rate {
            Some(rate) => {
                let begins = self.waiting.back().map_or(now, |(until, _)| *until);
                let left = begins + time_of(bytes, rate);
                (left, left)
            }
            None => (now, now + self.leg.delay),
        };
        self.waiting.push_back((counts_until, bytes));
        self.bytes += bytes;
        (!is_lost).then_some(left + self.leg.delay)
    }

    /// A number from 0 to 1, by SplitMix64 (Steele, Lea, Flood: Fast Splittable Pseudorandom Number
    /// Generators, OOPSLA 2014).
    fn share(&mut self) -> f64 {
        self.random = self.random.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.random;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^= mixed >> 31;
        // The upper 53 bits, which a float holds exactly.
        (mixed >> 11) as f64 / (1_u64 << 53) as f64
    }
}

/// How long a rate takes for these bytes.
fn time_of(bytes: usize, rate: u64) -> Duration {
    let nanoseconds = bytes as u128 * 8 * 1_000_000_000 / u128::from(rate);
    Duration::from_nanos(u64::try_from(nanoseconds).unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    const DELAY: Duration = Duration::from_millis(10);
    /// A packet of 1,500 bytes takes one millisecond.
    const RATE: u64 = 12_000_000;

    fn at(milliseconds: u64) -> Duration {
        Duration::from_millis(milliseconds)
    }

    #[test]
    fn without_a_rate_each_packet_takes_the_delay() {
        let mut shaper = Shaper::new(Leg::lossy(DELAY, 0.0), 1);
        for now in [0, 0, 0, 3, 500] {
            assert_eq!(shaper.carry(at(now), 1500), Some(at(now) + DELAY));
        }
    }

    #[test]
    fn packets_leave_at_the_rate_and_an_idle_path_saves_nothing_up() {
        let mut shaper = Shaper::new(Leg::limited(DELAY, RATE, at(100)), 1);
        let arrivals = [1, 2, 3].map(|left| Some(at(left) + DELAY));
        assert_eq!([(); 3].map(|()| shaper.carry(at(0), 1500)), arrivals);
        assert_eq!(shaper.carry(at(50), 1500), Some(at(51) + DELAY));
        assert_eq!(shaper.carry(at(50), 750), Some(at(51) + Duration::from_micros(500) + DELAY));
    }

    #[test]
    fn a_full_queue_drops_the_newest_packet_and_has_room_again_later() {
        let leg = Leg::limited(DELAY, RATE, at(3));
        assert_eq!(leg.queue, 4500);
        let mut shaper = Shaper::new(leg, 1);
        let carried: Vec<bool> = (0..5).map(|_| shaper.carry(at(0), 1500).is_some()).collect();
        assert_eq!(carried, [true, true, true, false, false]);
        assert_eq!(shaper.carry(at(1), 1500), Some(at(4) + DELAY), "one has left");
        assert_eq!(shaper.carry(at(1), 1500), None);
    }

    #[test]
    fn a_path_without_a_rate_has_a_bound_too() {
        let mut shaper = Shaper::new(Leg::lossy(DELAY, 0.0), 1);
        let packet = 64 * 1024;
        let carried = (0..2000).filter(|_| shaper.carry(at(0), packet).is_some()).count();
        assert_eq!(carried, MOST_BYTES / packet);
        assert!(shaper.carry(DELAY, packet).is_some(), "all have arrived");
    }

    #[test]
    fn a_seed_loses_the_same_packets_each_time_and_as_many_as_its_share() {
        let lost = |seed, leg: Leg| -> Vec<usize> {
            let mut shaper = Shaper::new(leg, seed);
            (0..100_000).filter(|packet| shaper.carry(at(*packet as u64), 1500).is_none()).collect()
        };
        let lossy = Leg::lossy(DELAY, 0.01);
        let first = lost(7, lossy);
        assert!((900..1100).contains(&first.len()), "{}", first.len());
        assert_eq!(first, lost(7, lossy));
        assert_ne!(first, lost(8, lossy));
        let limited = Leg { lost: 0.01, ..Leg::limited(DELAY, RATE, at(100)) };
        assert_eq!(first, lost(7, limited), "a rate changes no packet's number");
        assert!(lost(7, Leg::lossy(DELAY, 0.0)).is_empty());
    }

    #[test]
    fn a_lost_packet_takes_its_time_of_the_rate() {
        let mut shaper = Shaper::new(Leg { lost: 1.0, ..Leg::limited(DELAY, RATE, at(100)) }, 1);
        assert_eq!(shaper.carry(at(0), 1500), None);
        shaper.leg.lost = 0.0;
        assert_eq!(shaper.carry(at(0), 1500), Some(at(2) + DELAY));
    }

    #[test]
    fn the_text_of_a_leg_is_read_as_it_was_written() {
        for leg in [Leg::lossy(DELAY, 0.001), Leg::limited(DELAY, 300_000_000, at(50))] {
            assert_eq!(leg.to_string().parse(), Ok(leg));
        }
        for wrong in ["", "1/2/3", "1/2/3/4/5", "1/1.5/0/0", "x/0/0/0", "1/-0.1/0/0", "1/NaN/0/0"] {
            assert!(wrong.parse::<Leg>().is_err(), "{wrong}");
        }
    }
}
