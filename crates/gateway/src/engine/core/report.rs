//! The status, gathered from all parts.

use crate::engine::asked::Asking;
use crate::engine::{Engine, spread};
use crate::limits::{MAX_DNS_CONNECTIONS, MAX_PINGS};
use crate::net::ways::Direct;
use crate::status::{
    Addresses4, Addresses6, DirectPrefix, FlowCounts, GatewayState, Limit, LinkStatus,
    RebindStatus, RelayStatus, Status, TapStatus, UpDown,
};
use crate::tap::Device;
use stack::addresses::{GATEWAY6, HOST6, PREFIX4, PREFIX6, VM6};
use stack::limits::{MAX_FLOWS, MAX_HALF_OPEN};
use stack::{DropReason, Ipv6, Offload};
use std::collections::BTreeMap;
use std::time::Instant;
use wire::{Capabilities, LinkKind, Session};

impl<D: Device> Engine<D> {
    pub(crate) fn report(&mut self, now: Instant) -> Status {
        let stats = self.core.stack.stats().clone();
        let Asking { questions, pings } = self.core.asked.count();
        let (own, past) = (self.core.counts.drops, self.core.counts.past_bytes);
        let mut bytes = UpDown::default();
        let mut drops = BTreeMap::new();
        for reason in DropReason::ALL {
            drops.insert(kebab(&format!("{reason:?}")), stats.dropped(reason));
        }
        for session in self.lanes.iter().filter_map(|lane| lane.session()) {
            let counters = session.counters();
            bytes.up += counters.data_sent;
            bytes.down += counters.data_received;
            *drops.entry("relay-datagrams".to_owned()).or_default() += counters.datagrams_dropped;
            *drops.entry("relay-offences".to_owned()).or_default() += counters.offences;
        }
        bytes.up += past.up;
        bytes.down += past.down;
        drops.insert("tap-lost".to_owned(), self.core.tap.lost());
        drops.insert("stand-ins".to_owned(), own.stand_ins);
        drops.insert("no-relay".to_owned(), own.no_relay);
        drops.insert("congested".to_owned(), own.congested);
        drops.insert("relays-full".to_owned(), own.relays_full);
        drops.insert("udp-evicted".to_owned(), stats.binds_evicted);
        drops.insert("tcp-pending-expired".to_owned(), stats.half_open_expired);
        drops.insert("tcp-pending-displaced".to_owned(), stats.half_open_displaced);
        drops.insert("tcp-gone-displaced".to_owned(), stats.gone_displaced);
        drops.insert("tcp-idle-displaced".to_owned(), stats.idle_displaced);
        drops.insert("unbound".to_owned(), own.unbound);
        drops.insert("dns".to_owned(), own.dns);
        drops.insert("dns-share".to_owned(), own.dns_share);
        drops.insert("dns-displaced".to_owned(), own.dns_displaced);
        drops.insert("rebind".to_owned(), self.core.rebind.count);
        drops.retain(|_, count| *count > 0);
        let relays =
            self.lanes.iter().filter_map(|lane| lane.session()).map(Session::flow_count).sum();
        let relays_max = spread::capacity(&mut self.lanes).unwrap_or_default().flows;
        let max_binds = self.core.stack.max_binds();
        let limit = |name: &str, now: usize, max: usize| Limit {
            name: name.to_owned(),
            now: now as u64,
            max: max as u64,
        };
        Status {
            state: self.state(),
            mode: self.network_state.mode.clone(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            pid: std::process::id(),
            uptime_s: now.saturating_duration_since(self.started).as_secs(),
            tap: self.network_state.plan.is_some().then(|| self.tap_status()),
            captured: self.core.plan.captured.clone(),
            direct: self.network_state.ways.direct.iter().map(direct).collect(),
            mirrored: self.network_state.ways.mirrored.iter().map(ToString::to_string).collect(),
            relays: (0..self.lanes.len()).map(|index| self.relay_status(now, index)).collect(),
            flows: FlowCounts {
                tcp: stats.flows,
                tcp_pending: stats.half_open,
                time_wait: stats.time_wait,
                forgotten: stats.flows_forgotten,
                udp: stats.binds,
                echo: pings,
                dns: questions,
            },
            totals: self.core.counts.totals,
            dns_answers: self
                .core
                .counts
                .dns_answers
                .iter()
                .map(|(by, count)| (kebab(&format!("{by:?}")), *count))
                .collect(),
            bytes,
            packets: UpDown { up: stats.frames_in, down: stats.frames_out },
            drops,
            limits: vec![
                limit("tcp", stats.flows, MAX_FLOWS),
                limit("tcp-pending", stats.half_open, MAX_HALF_OPEN),
                limit("relay-tcp", relays, relays_max),
                limit("udp", stats.binds, max_binds),
                limit("questions", questions, spread::questions(&mut self.lanes)),
                limit("pings", pings, MAX_PINGS),
                limit("dns-connections", self.core.dns.len(), MAX_DNS_CONNECTIONS),
            ],
            refused: self.core.full.status(now),
            displaced: self.core.full.displaced(now),
            rebind: self.rebind(),
            network_error: self.network_state.error.clone(),
            // Other processes': the supervisor and the control socket add them.
            privileges: Vec::new(),
            keep_alive: None,
            no_ipv6: self.network_state.no_ipv6.clone(),
            via: self.core.way_out.status(),
        }
    }

    fn rebind(&self) -> Option<RebindStatus> {
        let rebind = &self.core.rebind;
        (rebind.count > 0).then(|| RebindStatus {
            answers: rebind.count,
            names: rebind.names.iter().cloned().collect(),
        })
    }

    fn state(&mut self) -> GatewayState {
        if !self.lanes.iter_mut().any(|lane| lane.ready().is_some()) {
            return if self.network_state.plan.is_some() {
                GatewayState::NoRelay
            } else {
                GatewayState::Starting
            };
        }
        if self.network_state.up { GatewayState::Up } else { GatewayState::Starting }
    }

    fn tap_status(&self) -> TapStatus {
        let plan = &self.core.plan;
        let ipv6 = Addresses6 { gateway: GATEWAY6, vm: VM6, host: HOST6, prefix: PREFIX6 };
        TapStatus {
            name: self.core.tap.name().to_owned(),
            mtu: self.mtu,
            way_mtu: self.network_state.way_mtu,
            offload: self.core.tap.offload() != Offload::None,
            ipv4: Addresses4 {
                gateway: plan.gateway(),
                vm: plan.vm(),
                host: plan.host(),
                prefix: PREFIX4,
            },
            ipv6: (self.core.ipv6 == Ipv6::Enabled).then_some(ipv6),
        }
    }

    fn relay_status(&self, now: Instant, index: usize) -> RelayStatus {
        let lane = &self.lanes[index];
        let process = lane.process();
        let peer = lane.session().and_then(|session| session.peer());
        let state = match (process, peer) {
            (None, _) => "waiting",
            (Some(_), None) => "starting",
            (Some(_), Some(_)) => "ready",
        };
        let names = [
            (Capabilities::UDP, "udp"),
            (Capabilities::DNS, "dns"),
            (Capabilities::ECHO4, "ping"),
            (Capabilities::ECHO6, "ping6"),
            (Capabilities::CHANGES, "changes"),
        ];
        RelayStatus {
            lane: index,
            pid: process.map(|process| process.pid),
            age_s: process.map(|process| now.saturating_duration_since(process.since).as_secs()),
            restarts: lane.restarts,
            state: state.to_owned(),
            last_error: lane.last_error.clone(),
            version: peer.map(|hello| hello.build.clone()),
            can: peer.map_or_else(Vec::new, |hello| {
                let can = names.iter().filter(|(bit, _)| hello.capabilities.contains(*bit));
                can.map(|(_, name)| (*name).to_owned()).collect()
            }),
            link: peer.map(|_| LinkStatus {
                carries: lane.link().map_or("stdio", LinkKind::name).to_owned(),
                failures: lane.linking.failures().to_vec(),
                next_try_s: lane.linking.wait(now).map(|wait| wait.as_secs()),
            }),
        }
    }
}

fn direct(way: &Direct) -> DirectPrefix {
    DirectPrefix { prefix: way.to.to_string(), device: way.device.clone() }
}

/// `HalfOpenFull` as `half-open-full`.
fn kebab(name: &str) -> String {
    let mut text = String::new();
    for letter in name.chars() {
        if letter.is_ascii_uppercase() && !text.is_empty() {
            text.push('-');
        }
        text.push(letter.to_ascii_lowercase());
    }
    text
}

#[cfg(test)]
mod tests {
    use super::kebab;

    #[test]
    fn names_of_variants_become_words_with_dashes() {
        for (name, expected) in
            [("HalfOpenFull", "half-open-full"), ("Checksum", "checksum"), ("raw", "raw"), ("", "")]
        {
            assert_eq!(kebab(name), expected);
        }
    }
}
