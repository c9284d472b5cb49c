use super::*;
use crate::testing::{self, data, ip};
use hickory_proto::op::{Edns, Query, ResponseCode};
use hickory_proto::rr::rdata::svcb::{Alpn, IpHint, SVCB, SvcParamKey, SvcParamValue};
use hickory_proto::rr::rdata::{A, AAAA, CNAME, HTTPS, NULL, TXT};
use hickory_proto::rr::{Name, RData};
use proptest::prelude::*;
use wire::facts::Adapter;

fn response(name: &str, records: Vec<RData>) -> Message {
    testing::response(name, RecordType::A, records.into_iter().map(|data| (name, data)))
}

/// The host has 192.0.2.2 and 2001:db8::2; the tunnel 10.99.0.16/28.
fn filter(exempt: &[&str]) -> Filter {
    let mut filter = Filter::new(exempt.iter().map(|text| text.parse().unwrap()).collect());
    let addresses = vec!["192.0.2.2/24".to_owned(), "2001:db8::2/64".to_owned()];
    let adapters = vec![Adapter { addresses, ..Adapter::default() }];
    let names = vec!["PC".to_owned(), "Pc.Corp.Test.".to_owned()];
    filter.set_host(&HostFacts { adapters, names, ..HostFacts::default() });
    filter
}

fn is_tunnel(ip: IpAddr) -> bool {
    matches!(ip, IpAddr::V4(v4) if v4.octets()[..3] == [10, 99, 0] && v4.octets()[3] >> 4 == 1)
}

fn filtered(filter: &mut Filter, message: &Message) -> Option<Message> {
    let left = filter.filtered(&message.to_vec().unwrap(), is_tunnel);
    left.map(|bytes| Message::from_vec(&bytes).unwrap())
}

#[test]
fn what_names_the_host_goes_and_the_rest_stays() {
    for inside in [
        "127.0.0.1",
        "127.255.0.9",
        "0.0.0.0",
        "0.1.2.3",
        "192.0.2.2",
        "10.99.0.19",
        "::1",
        "::",
        "2001:db8::2",
        "::ffff:127.0.0.1",
        "::ffff:192.0.2.2",
        "::ffff:0.0.0.0",
        "::127.0.0.1",
        "64:ff9b::10.99.0.19",
    ] {
        let mut filter = filter(&[]);
        let mut message =
            response("a.evil.test.", vec![data(ip(inside)), data(ip("203.0.113.10"))]);
        message.additionals.push(message.answers[0].clone());
        let left = filtered(&mut filter, &message).unwrap_or_else(|| panic!("{inside}"));
        assert_eq!(
            (left.answers, left.additionals.len()),
            (vec![message.answers[1].clone()], 0),
            "{inside}"
        );
        assert!(
            !left.metadata.authentic_data && left.metadata.response_code == ResponseCode::NoError
        );
        assert_eq!((left.queries, filter.count), (message.queries, 1), "{inside}");
    }
    for outside in [
        "10.0.0.1",
        "192.168.1.1",
        "192.0.2.3",
        "10.99.0.32",
        "fd00::1",
        "::ffff:10.0.0.1",
        "128.0.0.1",
    ] {
        let mut filter = filter(&[]);
        assert_eq!(
            filtered(&mut filter, &response("a.evil.test.", vec![data(ip(outside))])),
            None,
            "{outside}"
        );
        assert_eq!(filter.count, 0);
    }
}

#[test]
fn a_changed_answer_has_no_signatures() {
    let rdata = NULL::with(vec![0; 30]);
    let signature = RData::Unknown { code: RecordType::RRSIG, rdata };
    let outside = data(ip("203.0.113.10"));
    let signed =
        |inside| response("a.evil.test.", vec![inside, outside.clone(), signature.clone()]);
    assert_eq!(filtered(&mut filter(&[]), &signed(data(ip("203.0.113.9")))), None);
    let left = filtered(&mut filter(&[]), &signed(data(ip("127.0.0.1")))).unwrap();
    assert_eq!(left.answers.into_iter().map(|record| record.data).collect::<Vec<_>>(), [outside]);
}

#[test]
fn a_changed_answer_tells_why_where_its_asker_takes_options() {
    let mut message = response("a.evil.test.", vec![data(ip("127.0.0.1"))]);
    assert_eq!(filtered(&mut filter(&[]), &message).unwrap().edns, None);
    message.edns = Some(Edns::new());
    let left = filtered(&mut filter(&[]), &message).unwrap();
    let reason = left
        .edns
        .unwrap()
        .options()
        .as_ref()
        .iter()
        .any(|(_, option)| *option == EdnsOption::Unknown(EXTENDED_ERROR, vec![0, 15]));
    assert!(reason);
}

#[test]
fn a_record_with_a_hint_of_the_host_goes_as_a_whole() {
    let service = |address: &str| {
        let hint = match ip(address) {
            IpAddr::V4(v4) => (
                SvcParamKey::Ipv4Hint,
                SvcParamValue::Ipv4Hint(IpHint(vec![A::new(203, 0, 113, 1), A(v4)])),
            ),
            IpAddr::V6(v6) => {
                (SvcParamKey::Ipv6Hint, SvcParamValue::Ipv6Hint(IpHint(vec![AAAA(v6)])))
            }
        };
        let alpn = (SvcParamKey::Alpn, SvcParamValue::Alpn(Alpn(vec!["h2".to_owned()])));
        SVCB::new(1, Name::from_str("b.evil.test.").unwrap(), vec![alpn, hint])
    };
    for (address, stays) in
        [("127.0.0.1", false), ("::1", false), ("10.1.1.1", true), ("fd00::1", true)]
    {
        let records = vec![RData::HTTPS(HTTPS(service(address))), RData::SVCB(service(address))];
        let left = filtered(&mut filter(&[]), &response("a.evil.test.", records));
        assert_eq!(left.map(|left| left.answers.len()), (!stays).then_some(0), "{address}");
    }
}

#[test]
fn names_that_are_the_users_own_may_name_the_host() {
    let named = |filter: &mut Filter, name: &str| {
        let alias = RData::CNAME(CNAME(Name::from_str("x.corp.test.").unwrap()));
        filtered(filter, &response(name, vec![alias, data(ip("127.0.0.1"))])).is_some()
    };
    let mut own = filter(&["Lvh.Test.", ".dev.test", "*.star.test"]);
    for name in [
        "pc.",
        "PC.corp.TEST.",
        "printer.",
        "localhost.",
        "a.localhost.",
        "x.local.",
        "lvh.test.",
        "a.b.LVH.test.",
        "dev.test.",
        "a.dev.test.",
        "star.test.",
    ] {
        assert!(!named(&mut own, name), "{name}");
    }
    for name in [
        "corp.test.",
        "x.corp.test.",
        "pc.evil.test.",
        "xlvh.test.",
        "lvh.test.evil.",
        "localhost.evil.test.",
        "evil\\.lvh.test.",
        "a\\.localhost.evil.",
        "mylocal.test.",
    ] {
        assert!(named(&mut own, name), "{name}");
    }
    assert!(!named(&mut filter(&["."]), "a.evil.test."), "the root has every name");
    let mut two = response("lvh.test.", vec![data(ip("127.0.0.1"))]);
    two.add_query(Query::query(Name::from_str("a.lvh.test.").unwrap(), RecordType::A));
    assert!(filtered(&mut own, &two).is_some(), "of two questions neither counts");
}

#[test]
fn domains_are_read_and_shown() {
    let longest = [&"x".repeat(63)[..]; 4].join(".")[..253].to_owned();
    for (text, shown) in [
        ("Corp.Test", "corp.test"),
        (" *.a-b_c.test. ", "a-b_c.test"),
        (".x", "x"),
        (".", "."),
        (&longest, &longest),
    ] {
        assert_eq!(text.parse::<Domain>().unwrap().to_string(), shown);
    }
    let odd = ["", "a..b", "..", "a b", "*", "a/b", "bücher.test", &"x".repeat(64)];
    let too_long = [format!("{longest}x"), format!("{longest}xx.test")];
    for nonsense in odd.into_iter().chain(too_long.iter().map(String::as_str)) {
        let error = nonsense.parse::<Domain>().unwrap_err().to_string();
        assert!(error.contains(&format!("'{nonsense}' is not a domain; give one")), "{error}");
    }
}

#[test]
fn names_are_remembered_once_and_few_of_them() {
    let mut filter = filter(&[]);
    for n in 0..=MAX_REBIND_NAMES {
        for address in ["127.0.0.1", "127.0.0.2"] {
            filtered(&mut filter, &response(&format!("n{n}.evil.test."), vec![data(ip(address))]));
        }
    }
    filtered(&mut filter, &response("blocked.test.", vec![data(ip("0.0.0.0"))]));
    let mut odd = response("evil.test.", vec![data(ip("127.0.0.1"))]);
    odd.queries[0].set_name(Name::from_labels([&b"a;reboot"[..], b"evil", b"test"]).unwrap());
    filtered(&mut filter, &odd);
    assert_eq!(
        (filter.names.len(), filter.count),
        (MAX_REBIND_NAMES, 2 * MAX_REBIND_NAMES as u64 + 4)
    );
    assert_eq!(
        (filter.names[0].as_str(), filter.names.back().unwrap().as_str()),
        ("n1.evil.test", "n16.evil.test")
    );
}

#[test]
fn what_cannot_be_read_fails_and_what_the_library_refuses_loses_all_records() {
    let whole = response("a.evil.test.", vec![data(ip("10.0.0.1")), data(ip("127.0.0.1"))])
        .to_vec()
        .unwrap();
    for broken in [&whole[..whole.len() - 1], &whole[..20], &whole[..5], b"", &[0xff; 40]] {
        let left = Message::from_vec(&filter(&[]).filtered(broken, is_tunnel).unwrap()).unwrap();
        assert!(
            left.answers.is_empty() && left.metadata.response_code == ResponseCode::ServFail,
            "{broken:?}"
        );
    }
    // A record whose data the library does not read, without inside addresses: it stays as it is.
    let mut odd = response("a.evil.test.", vec![RData::TXT(TXT::new(vec!["abc".to_owned()]))])
        .to_vec()
        .unwrap();
    let at = odd.len() - 4;
    odd[at] = 200;
    assert!(Message::from_vec(&odd).is_err());
    assert_eq!(filter(&[]).filtered(&odd, is_tunnel), None);
    // Beside an inside address, nothing stays.
    let mut both = response(
        "a.evil.test.",
        vec![data(ip("127.0.0.1")), RData::TXT(TXT::new(vec!["abc".to_owned()]))],
    )
    .to_vec()
    .unwrap();
    let at = both.len() - 4;
    both[at] = 200;
    let left = Message::from_vec(&filter(&[]).filtered(&both, is_tunnel).unwrap()).unwrap();
    assert!(left.answers.is_empty() && left.metadata.response_code == ResponseCode::NoError);
}

fn address() -> impl Strategy<Value = IpAddr> {
    let v4 = prop_oneof![
        Just(Ipv4Addr::LOCALHOST),
        Just(Ipv4Addr::UNSPECIFIED),
        Just(Ipv4Addr::new(192, 0, 2, 2)),
        (0_u8..64).prop_map(|n| Ipv4Addr::new(10, 99, 0, n)),
        any::<[u8; 4]>().prop_map(Ipv4Addr::from),
    ];
    prop_oneof![
        v4.clone().prop_map(IpAddr::V4),
        v4.prop_map(|v4| v4.to_ipv6_mapped().into()),
        Just(ip("::1")),
        Just(ip("::")),
        Just(ip("64:ff9b::127.0.0.1")),
        Just(ip("2001:db8::2")),
        any::<[u8; 16]>().prop_map(IpAddr::from),
    ]
}

fn addresses() -> impl Strategy<Value = Vec<IpAddr>> {
    proptest::collection::vec(address(), 0..4)
}

/// A model of what may not stay, independent of the filter.
fn is_forbidden(address: IpAddr) -> bool {
    let inside = [
        "127.0.0.0/8",
        "0.0.0.0/8",
        "192.0.2.2/32",
        "10.99.0.16/28",
        "::1/128",
        "::/128",
        "2001:db8::2/128",
    ];
    let embedding = ["::ffff:0:0/96", "::/96", "64:ff9b::/96"];
    let is_in = |nets: &[&str], ip: IpAddr| {
        nets.iter().any(|net| net.parse::<IpNet>().unwrap().contains(&ip))
    };
    let embedded = match address {
        IpAddr::V6(v6) if is_in(&embedding, address) => {
            <[u8; 4]>::try_from(&v6.octets()[12..]).map(IpAddr::from).ok()
        }
        IpAddr::V4(_) | IpAddr::V6(_) => None,
    };
    is_in(&inside, address) || embedded.is_some_and(|v4| is_in(&inside, v4))
}

fn addresses_in<'a>(records: impl IntoIterator<Item = &'a Record>) -> Vec<IpAddr> {
    records.into_iter().filter_map(|record| record.data.ip_addr()).collect()
}

fn forbidden_addresses_go(sections: [Vec<IpAddr>; 3]) {
    let mut message = response("a.evil.test.", sections[0].iter().copied().map(data).collect());
    let extra = Name::from_str("b.evil.test.").unwrap();
    let record = |ip: &IpAddr| Record::from_rdata(extra.clone(), 60, data(*ip));
    message.authorities = sections[1].iter().map(record).collect();
    message.additionals = sections[2].iter().map(record).collect();
    let left = filtered(&mut filter(&[]), &message);
    let mut expected = sections.clone();
    expected.iter_mut().for_each(|section| section.retain(|ip| !is_forbidden(*ip)));
    assert_eq!(left.is_some(), expected != sections);
    let left = left.unwrap_or(message);
    let left = [&left.answers, &left.authorities, &left.additionals];
    assert_eq!(left.map(addresses_in), expected);
}

fn damaged_answer_names_nothing_inside(answers: Vec<IpAddr>, at: usize, with: u8) {
    let records = answers.into_iter().map(data).collect();
    let mut bytes = response("a.evil.test.", records).to_vec().unwrap();
    let at = at % bytes.len();
    bytes[at] = with;
    let mut filter = filter(&[]);
    let left = filter.filtered(&bytes, is_tunnel).unwrap_or_else(|| bytes.clone());
    let is_exempt = name_asked_for(&bytes).is_some_and(|name| filter.is_exempt(&name));
    if let Ok(read) = Message::from_vec(&left)
        && !is_exempt
    {
        let all = read.answers.iter().chain(&read.authorities).chain(&read.additionals);
        assert!(!addresses_in(all).into_iter().any(is_forbidden), "{read}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn exactly_the_forbidden_addresses_go(sections in prop::array::uniform3(addresses())) {
        forbidden_addresses_go(sections);
    }

    /// A message with any byte changed: whatever the library, in the role of another parser, reads
    /// in what is let through, it names nothing inside.
    #[test]
    fn no_damaged_answer_names_the_host(
        answers in proptest::collection::vec(address(), 1..4),
        at in 0_usize..200,
        with in any::<u8>(),
    ) {
        damaged_answer_names_nothing_inside(answers, at, with);
    }

    #[test]
    fn any_bytes_are_filtered(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        filter(&[]).filtered(&bytes, is_tunnel);
    }
}

#[test]
fn a_header_without_records_stays_and_less_than_a_header_fails() {
    let mut filter = filter(&[]);
    let header = [0, 7, 0x81, 0x80, 0, 0, 0, 0, 0, 0, 0, 0];
    assert_eq!(filter.filtered(&header, is_tunnel), None);
    for short in 0..header.len() {
        assert!(filter.filtered(&header[..short], is_tunnel).is_some(), "{short} bytes");
    }
}
