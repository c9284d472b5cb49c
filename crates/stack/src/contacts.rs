//! The hosts to which an app has sent datagrams from one source endpoint. Only they may send to it:
//! address-dependent filtering (RFC 4787 section 5). Knows no port, no packet and no clock. When
//! the bind (`udp.rs`) expires, its contacts go with it.

use crate::limits::MAX_CONTACTS;
use std::collections::HashSet;
use std::net::IpAddr;

/// Which hosts may send datagrams to an app.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub enum Filtering {
    /// Hosts to which the app has sent from the same source endpoint.
    #[default]
    AddressDependent,
    /// Every host that knows the port.
    EndpointIndependent,
}

/// The hosts that an app has sent to: the last [`MAX_CONTACTS`], and up to as many before them.
#[derive(Debug, Default)]
pub(crate) struct Contacts {
    /// `recent` and `older` each hold at most [`MAX_CONTACTS`].
    recent: HashSet<IpAddr>,
    older: HashSet<IpAddr>,
    /// The latest host, which is also in `recent`. Most apps have one peer at a time.
    last: Option<IpAddr>,
}

impl Contacts {
    /// The app sends to this host.
    pub(crate) fn insert(&mut self, host: IpAddr) {
        if self.last == Some(host) {
            return;
        }
        self.last = Some(host);
        if self.recent.len() >= MAX_CONTACTS && !self.recent.contains(&host) {
            self.older = std::mem::take(&mut self.recent);
        }
        self.recent.insert(host);
    }

    pub(crate) fn contains(&self, host: IpAddr) -> bool {
        self.last == Some(host) || self.recent.contains(&host) || self.older.contains(&host)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn host(number: usize) -> IpAddr {
        IpAddr::from(u32::try_from(number).unwrap().to_be_bytes())
    }

    #[test]
    fn a_host_is_a_contact_from_the_first_datagram_to_it_on() {
        let mut contacts = Contacts::default();
        assert!(!contacts.contains(host(1)));
        contacts.insert(host(1));
        contacts.insert(host(2));
        contacts.insert(host(1));
        assert!(
            contacts.contains(host(1)) && contacts.contains(host(2)) && !contacts.contains(host(3))
        );
    }

    #[test]
    fn the_latest_contacts_stay_however_many_come() {
        let mut contacts = Contacts::default();
        for number in 0..10 * MAX_CONTACTS {
            // A host that the app keeps sending to stays.
            contacts.insert(host(0));
            contacts.insert(host(number));
            assert!(contacts.recent.len() <= MAX_CONTACTS && contacts.older.len() <= MAX_CONTACTS);
            let kept = number.saturating_sub(MAX_CONTACTS - 2)..=number;
            assert!(kept.start() == &0 || contacts.contains(host(*kept.start())), "{number}");
        }
        assert!(contacts.contains(host(0)) && !contacts.contains(host(MAX_CONTACTS)));
    }
}
