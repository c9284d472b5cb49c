use super::super::win32::raw_query::fake::{self, BY_OTHERS, BY_RULE, Call};
use super::*;
use hickory_proto::op::Query;
use hickory_proto::rr::{Name, RData, RecordType};
use std::str::FromStr as _;
use windows_sys::Win32::NetworkManagement::Dns::DNS_QUERY_NO_MULTICAST;

fn question(name: &str) -> Vec<u8> {
    let mut query = Message::new(0x1234, MessageType::Query, OpCode::Query);
    query.add_query(Query::query(Name::from_str(&format!("{name}.")).unwrap(), RecordType::A));
    query.to_vec().unwrap()
}

fn query() -> Vec<u8> {
    question("name.test")
}

/// A Windows with the fake resolver.
fn windows() -> Resolver {
    let functions = Functions::new(Some(fake::RAW), Some(fake::RECORDS));
    Resolver { hosts: "no such file".into(), functions }
}

/// The function that answered, its code, and the first address.
async fn ask(
    resolver: &Resolver,
    name: &str,
) -> (AnsweredBy, ResponseCode, Option<std::net::Ipv4Addr>) {
    let answer = resolver.resolve(&question(name)).await.unwrap();
    let message = Message::from_vec(&answer.message).unwrap();
    assert_eq!(message.metadata.id, 0x1234);
    let address = message.answers.first().and_then(|record| {
        let RData::A(address) = &record.data else { return None };
        Some(address.0)
    });
    (answer.by, message.metadata.response_code, address)
}

fn raw(name: &str) -> Call {
    Call::Raw { name: name.to_owned() }
}

fn records(name: &str) -> Call {
    let by_default = windows_sys::Win32::NetworkManagement::Dns::DNS_QUERY_TREAT_AS_FQDN;
    Call::Records { name: name.to_owned(), options: by_default | DNS_QUERY_NO_MULTICAST }
}

#[tokio::test]
async fn a_raw_query_is_answered_by_windows_own_rules() {
    let windows = windows();
    let whole = |address| (AnsweredBy::RawQuery, ResponseCode::NoError, Some(address));
    assert_eq!(ask(&windows, "intranet.rules.corp.test").await, whole(BY_RULE));
    assert_eq!(ask(&windows, "www.rules.test").await, whole(BY_OTHERS));
    assert_eq!(
        ask(&windows, "atonce.rules.test").await,
        whole(BY_OTHERS),
        "before the call returns"
    );
    let none = (AnsweredBy::RawQuery, ResponseCode::NXDomain, None);
    assert_eq!(ask(&windows, "nxdomain.rules.test").await, none, "an error with a message");
    assert_eq!(ask(&windows, "failed-9003.rules.test").await, none, "and an error without one");
    let large = windows.resolve(&question("large.rules.test")).await.unwrap().message;
    assert_eq!(Message::from_vec(&large).unwrap().answers.len(), 20, "{} bytes", large.len());
    fake::finish("rules.test");
    fake::finish("rules.corp.test");
}

#[tokio::test]
async fn memory_lent_to_windows_lives_until_its_callback() {
    let windows = windows();
    let names: Vec<_> = (0..50).map(|n| format!("name{n}.lives.test")).collect();
    // Many at once, so that one would reuse another's memory.
    let asked = names.iter().map(|name| ask(&windows, name));
    let answers = futures_util::future::join_all(asked).await;
    assert!(answers.iter().all(|answer| *answer == (AnsweredBy::RawQuery, ResponseCode::NoError, Some(BY_OTHERS))));
    fake::finish("lives.test");
}

#[tokio::test]
async fn giving_up_cancels_the_query_and_its_memory_lives_until_the_callback() {
    let windows = windows();
    for name in ["slow.cancelled.test", "slowelsewhere.cancelled.test"] {
        let asked = timeout(Duration::from_millis(50), windows.resolve(&question(name))).await;
        assert!(asked.is_err(), "{asked:?}");
    }
    fake::finish("cancelled.test");
}

#[test]
fn whether_raw_queries_are_on_is_asked_as_wsl_asks() {
    assert!(fake::RAW.are_on());
    assert!(!fake::RAW_OFF.are_on());
}

#[tokio::test]
async fn a_windows_that_has_not_switched_it_on_is_not_asked_again() {
    let windows = windows();
    let by_records = (AnsweredBy::RecordQuery, ResponseCode::NoError, None);
    assert_eq!(ask(&windows, "refused-120.off.test").await, by_records);
    assert_eq!(ask(&windows, "www.off.test").await, by_records);
    assert_eq!(ask(&windows.clone(), "www2.off.test").await, by_records, "nor through a copy");
    let calls =
        [raw("refused-120.off.test"), records("refused-120.off.test"), records("www.off.test")];
    assert_eq!(fake::calls("off.test"), [&calls[..], &[records("www2.off.test")]].concat());
    fake::finish("off.test");
}

#[tokio::test]
async fn a_query_that_cannot_be_asked_so_is_asked_another_way_and_the_next_one_is_raw_again() {
    let windows = windows();
    let by_records = (AnsweredBy::RecordQuery, ResponseCode::NoError, None);
    for name in [
        "refused-9502.once.test",
        "failed-9502.once.test",
        "nothing.once.test",
        "misframed.once.test",
    ] {
        assert_eq!(ask(&windows, name).await, by_records, "{name}");
        assert_eq!(fake::calls(name).last(), Some(&records(name)));
        assert_eq!(ask(&windows, "www.once.test").await.0, AnsweredBy::RawQuery);
    }
    fake::finish("once.test");
}

#[tokio::test]
async fn a_message_that_windows_cannot_read_whole_is_asked_as_far_as_it_can() {
    let windows = windows();
    let answer = (AnsweredBy::RawQuery, ResponseCode::NoError, Some(BY_RULE));
    assert_eq!(ask(&windows, "unreadable.parts.corp.test").await, answer);
    let name = "unreadable.parts.corp.test".to_owned();
    assert_eq!(fake::calls("parts.corp.test"), [raw(&name), Call::RawBestEffort { name }]);
    fake::finish("parts.corp.test");
}

#[test]
fn codes_of_windows_keep_their_kind() {
    for (code, response) in [
        (9501, ResponseCode::NoError),
        (9002, ResponseCode::ServFail),
        (9003, ResponseCode::NXDomain),
        (9005, ResponseCode::Refused),
    ] {
        let answer =
            Message::from_vec(&answer_of(&query(), Vec::new(), code).unwrap().unwrap()).unwrap();
        assert_eq!(
            (answer.metadata.id, answer.metadata.response_code),
            (0x1234, response),
            "{code}"
        );
        assert_eq!(answer.queries.len(), 1);
    }
    assert_eq!(answer_of(&query(), Vec::new(), 1460), Some(Err(QueryFailure::TimedOut)));
    assert_eq!(answer_of(&query(), Vec::new(), 9852), Some(Err(QueryFailure::NoServer)));
    for another_way in [9004, 9502, 123] {
        assert_eq!(answer_of(&query(), Vec::new(), another_way), None, "{another_way}");
    }
}

#[tokio::test]
async fn the_hosts_file_comes_first() {
    let hosts = std::env::temp_dir().join(format!("underpass-hosts-{}", std::process::id()));
    fs::write(&hosts, "192.0.2.9 name.test\r\n").unwrap();
    let answer =
        Resolver { hosts: hosts.clone(), ..Resolver::default() }.resolve(&query()).await.unwrap();
    fs::remove_file(hosts).unwrap();
    assert_eq!(answer.by, AnsweredBy::HostsFile);
    assert!(
        Message::from_vec(&answer.message).unwrap().answers[0].to_string().contains("192.0.2.9")
    );
    assert_eq!(Resolver::default().resolve(b"no query at all").await, Err(QueryFailure::Refused));
}
