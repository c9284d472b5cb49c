//! Step 3: names that resolve to the wrong address.

use crate::facts::*;
use crate::sample::*;

const SERVER: &str = "10.255.255.254";

fn pinned() -> Facts {
    let mut facts = nat();
    facts.hosts = Some(format!("127.0.0.1 localhost\n10.99.0.1 other.test {COMPANY_NAME} # old\n"));
    asked(&mut facts, Asked::System, NameKind::Company, resolved(&["10.99.0.1"]));
    tried(&mut facts, Subject::Company, Method::Tcp, Whence::Vm, failed(Why::Refused));
    facts
}

fn lied_to() -> Facts {
    let mut facts = nat();
    for who in [Asked::System, nameserver(SERVER)] {
        asked(&mut facts, who, NameKind::Public, resolved(&["127.0.0.1"]));
    }
    facts
}

pub(super) fn broken() -> Vec<Facts> {
    vec![pinned(), lied_to()]
}

#[test]
fn an_address_in_the_hosts_file_is_not_blamed_on_the_company() {
    let text = said(&only(&pinned(), "dns-hosts-file"));
    assert!(text.contains("Line 2 of /etc/hosts maps git.corp.example to 10.99.0.1."), "{text}");
    assert!(
        text.contains("resolves git.corp.example to 10.20.0.5")
            && text.ends_with("sudo sed -i '2d' /etc/hosts"),
        "{text}"
    );
    // It is where DNS says, and shut.
    let mut same = pinned();
    same.hosts = Some(format!("10.20.0.5 {COMPANY_NAME}\n"));
    only(&same, "network-company");
    let mut other = pinned();
    other.hosts = Some(format!("10.99.0.1 not-{COMPANY_NAME} # {COMPANY_NAME}\n"));
    only(&other, "network-company");
    // The host that is reached there is the right one.
    let mut works = pinned();
    tried(&mut works, Subject::Company, Method::Tcp, Whence::Vm, OK);
    assert_eq!(ids(&works), [""; 0]);
}

#[test]
fn a_server_that_answers_a_public_name_with_a_private_address_is_reported() {
    let text = said(&only(&lied_to(), "dns-lie"));
    assert!(
        text.contains("10.255.255.254 resolves www.msftconnecttest.com to 127.0.0.1."),
        "{text}"
    );
    assert!(text.contains("Windows resolves"), "{text}");
    // No other server has an answer: a network of its own may have the name.
    let mut alone = lied_to();
    for who in [Asked::Windows, Asked::Public(address("8.8.8.8"))] {
        asked(&mut alone, who, NameKind::Public, resolved(&["10.0.0.9"]));
    }
    assert_eq!(ids(&alone), [""; 0]);
    // One of several addresses of a content network.
    let mut other = lied_to();
    asked(&mut other, nameserver(SERVER), NameKind::Public, resolved(&["203.0.113.7"]));
    assert_eq!(ids(&other), [""; 0]);
}
