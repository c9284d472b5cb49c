use super::super::win32::icmp::fake;
use super::*;

fn outcome_of(status: u32, from: &str) -> Option<Outcome> {
    let from = from.parse().unwrap();
    outcome(Reply { status, from, ttl: Some(57), payload: b"data".to_vec() })
}

fn fault(kind: FaultKind, router: Option<&str>) -> Option<Outcome> {
    Some(Outcome::Error(Fault { kind, router: router.map(|router| router.parse().unwrap()) }))
}

#[test]
fn each_status_is_a_reply_an_error_with_its_router_or_nothing() {
    assert_eq!(
        outcome_of(0, "192.0.2.1"),
        Some(Outcome::Reply { ttl: 57, payload: b"data".to_vec() })
    );
    assert_eq!(outcome_of(11013, "192.0.2.1"), fault(FaultKind::TimeExceeded, Some("192.0.2.1")));
    assert_eq!(outcome_of(11002, "0.0.0.0"), fault(FaultKind::NetworkUnreachable, None));
    assert_eq!(
        outcome_of(11003, "192.0.2.1"),
        fault(FaultKind::HostUnreachable, Some("192.0.2.1"))
    );
    assert_eq!(
        outcome_of(11004, "192.0.2.1"),
        fault(FaultKind::ProtocolUnreachable, Some("192.0.2.1"))
    );
    assert_eq!(outcome_of(11004, "2001:db8::1"), fault(FaultKind::Prohibited, Some("2001:db8::1")));
    assert_eq!(
        outcome_of(11005, "192.0.2.1"),
        fault(FaultKind::PortUnreachable, Some("192.0.2.1"))
    );
    assert_eq!(
        outcome_of(11040, "2001:db8::1"),
        fault(FaultKind::HostUnreachable, Some("2001:db8::1"))
    );
    assert_eq!(
        outcome_of(11045, "2001:db8::1"),
        fault(FaultKind::HostUnreachable, Some("2001:db8::1"))
    );
    assert_eq!(outcome_of(1231, "0.0.0.0"), fault(FaultKind::NetworkUnreachable, None));
    assert_eq!(outcome_of(11010, "0.0.0.0"), None, "a time-out is silence");
}

#[tokio::test]
async fn many_pings_are_under_way_at_once_and_each_has_its_own_answer() {
    let (mut echoes, mut heard) = Echoes::new();
    #[expect(clippy::disallowed_methods, reason = "the clock is not under test here")]
    let now = Instant::now();
    let count: u32 = if icmp::can(Family::V4) { 100 } else { 0 };
    for id in 0..count {
        let to = std::net::Ipv4Addr::LOCALHOST.into();
        assert_eq!(
            echoes.send(
                now,
                RequestId(id),
                to,
                Marks::of_ttl(64),
                &vec![id as u8; id as usize * 10]
            ),
            None
        );
    }
    let mut answered = Vec::new();
    while answered.len() < count as usize {
        let message = tokio::time::timeout(std::time::Duration::from_secs(20), heard.recv()).await;
        let (id, outcome) = echoes.claim(now, message.expect("no answer").unwrap()).unwrap();
        let Outcome::Reply { payload, .. } = outcome else { panic!("{id:?}: {outcome:?}") };
        assert_eq!(payload, vec![id.0 as u8; id.0 as usize * 10]);
        answered.push(id.0);
    }
    answered.sort_unstable();
    assert_eq!(answered, (0..count).collect::<Vec<_>>());
    assert_eq!(echoes.under_way, 0);
}

/// Pings on the fake Windows.
struct Pings {
    echoes: Echoes,
    heard: mpsc::Receiver<Heard>,
    next: u32,
}

#[expect(clippy::disallowed_methods, reason = "the clock is not under test here")]
fn now() -> Instant {
    Instant::now()
}

impl Pings {
    fn new() -> Self {
        Self::within(PINGS)
    }

    fn within(limits: PingLimits) -> Self {
        let (echoes, heard) = Echoes::by(fake::FUNCTIONS, limits);
        Self { echoes, heard, next: 0 }
    }

    fn send(&mut self, to: impl Into<IpAddr>, payload: &[u8]) -> RequestId {
        let id = RequestId(self.next);
        self.next += 1;
        assert_eq!(self.echoes.send(now(), id, to.into(), Marks::of_ttl(64), payload), None);
        id
    }

    /// How a request ends; outcomes of others are dropped meanwhile.
    async fn outcome(&mut self, of: RequestId) -> Option<Outcome> {
        loop {
            let heard = self.heard.recv().await.unwrap();
            let id = heard.id;
            let claimed = self.echoes.claim(now(), heard);
            if id == of {
                return claimed.map(|(_, outcome)| outcome);
            }
        }
    }

    /// Whether a request gets the answer of a live host, soon.
    async fn answers(&mut self, to: impl Into<IpAddr>) -> bool {
        let id = self.send(to, b"alive");
        let soon = std::time::Duration::from_secs(3);
        let outcome = tokio::time::timeout(soon, self.outcome(id)).await;
        matches!(outcome, Ok(Some(Outcome::Reply { payload, .. })) if payload == b"alive")
    }
}

#[tokio::test]
async fn a_sweep_of_silent_addresses_delays_no_other_ping() {
    fake::alone(async {
        let mut pings = Pings::new();
        assert!(pings.answers(fake::ALIVE).await);
        for n in 0..20_000 {
            pings.send(fake::silent(n), b"anybody there?");
            if n % 1000 == 999 {
                assert!(pings.answers(fake::ALIVE).await, "after {n} addresses");
            }
        }
    })
    .await;
}

#[tokio::test]
async fn requests_that_windows_never_ends_hold_up_no_other_ping_either() {
    fake::alone(async {
        let mut pings = Pings::new();
        for n in 0..5000 {
            pings.send(fake::stuck(n), b"anybody there?");
        }
        assert!(pings.answers(fake::ALIVE).await);
        assert!(pings.answers(fake::ALIVE_V6).await);
    })
    .await;
}

#[tokio::test]
async fn a_flood_of_one_silent_address_leaves_room_for_the_others() {
    fake::alone(async {
        let mut pings = Pings::new();
        for _ in 0..5000 {
            pings.send(fake::silent(0), &[0; 1000]);
        }
        assert!(pings.answers(fake::ALIVE).await);
        let (_, most) = fake::count();
        assert!(most <= 300, "{most} were in flight for one address");
    })
    .await;
}

#[tokio::test]
async fn a_request_that_ends_within_the_call_is_heard_of_once() {
    fake::alone(async {
        let mut pings = Pings::new();
        for to in [fake::AT_ONCE, fake::AT_ONCE_AND_LATER, fake::PENDING_BY_VALUE] {
            for _ in 0..20 {
                assert!(pings.answers(to).await, "{to}");
            }
        }
        let fails = pings.send(fake::FAILS, b"");
        let unreachable = fault(FaultKind::HostUnreachable, None);
        assert_eq!(pings.outcome(fails).await, unreachable);
        let expires = pings.send(fake::EXPIRES, b"");
        let exceeded = fault(FaultKind::TimeExceeded, Some(&fake::EXPIRES.to_string()));
        assert_eq!(pings.outcome(expires).await, exceeded);
        assert_eq!(pings.echoes.under_way, 0, "no ping ends twice");
    })
    .await;
}

#[tokio::test]
async fn requests_that_windows_does_not_end_in_time_end_here() {
    fake::alone(async {
        let patience = std::time::Duration::from_millis(200);
        let mut pings = Pings::within(PingLimits { patience, ..PINGS });
        for to in [fake::silent(1), fake::stuck(1), fake::SILENT_V6.into()] {
            let id = pings.send(to, b"anybody there?");
            let end =
                tokio::time::timeout(std::time::Duration::from_secs(5), pings.outcome(id)).await;
            assert_eq!(end, Ok(None), "{to}: silence");
        }
        assert_eq!(pings.echoes.under_way, 0);
        assert!(pings.answers(fake::ALIVE_V6).await);
    })
    .await;
}

#[tokio::test]
async fn large_requests_displace_one_another_and_bound_the_memory() {
    fake::alone(async {
        let mut pings = Pings::new();
        for n in 0..1000 {
            pings.send(fake::silent(n), &[0; 60_000]);
        }
        assert!(pings.answers(fake::ALIVE).await);
        let (sent, most) = fake::count();
        assert_eq!(sent, 1001);
        assert!(most * 120_000 <= 2 * PINGS.bytes, "{most} in flight");
    })
    .await;
}

#[tokio::test]
async fn replies_that_come_with_the_call_do_not_use_up_what_windows_may_hold() {
    fake::alone(async {
        let mut pings = Pings::within(PingLimits { held: 300, ..PINGS });
        for n in 0..1000 {
            assert!(pings.answers(fake::AT_ONCE).await, "after {n}");
        }
    })
    .await;
}

#[tokio::test]
async fn an_end_without_a_word_is_silence_and_no_reply() {
    fake::alone(async {
        let patience = std::time::Duration::from_millis(200);
        let mut pings = Pings::within(PingLimits { patience, held: 300, ..PINGS });
        for to in [fake::SAYS_NOTHING, fake::ENDS_WITH_NOTHING] {
            // More than Windows may hold if it held them forever.
            for _ in 0..4 {
                let ids: Vec<_> = (0..100).map(|_| pings.send(to, b"anybody there?")).collect();
                assert_eq!(pings.outcome(ids[99]).await, None, "{to}");
            }
        }
        assert!(pings.answers(fake::ALIVE).await);
    })
    .await;
}
