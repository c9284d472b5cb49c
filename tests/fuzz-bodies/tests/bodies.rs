//! The fuzzer's bodies as ordinary tests: random bytes, and inputs that once failed.

use doctor::facts::Facts;
use fuzz_bodies::{
    MACHINE, Reached, dialogs, dns_path, documents, frame_decoder, names, netlink, packet_path,
    report, settings_files, shown_texts, tool_files,
};
use proptest::prelude::*;
use serde_json::Value;
use std::fs;

proptest! {
    #![proptest_config(ProptestConfig { cases: 3000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_bytes_as_packets(data in prop::collection::vec(any::<u8>(), 0..1500)) {
        packet_path(&data);
    }

    #[test]
    fn any_bytes_as_dns(data in prop::collection::vec(any::<u8>(), 0..1500)) {
        dns_path(&data);
    }

    #[test]
    fn any_bytes_as_a_proxys_answer(
        step: u8,
        start in prop::sample::select(vec![&b"HTTP/1.1 "[..], b"HTTP/1.1 200 \r\n\r\n", &[5, 0, 5, 0, 0, 1], &[5, 2, 1, 0], b""]),
        data in prop::collection::vec(any::<u8>(), 0..300),
    ) {
        dialogs(&[&[step], start, &data].concat());
    }

    #[test]
    fn any_text_as_a_settings_file(
        choice: u8,
        value in "[ -~]{0,20}",
        lines in prop::collection::vec("(\\[(wsl2|boot|other)\\]|memory=|networkingMode = |command=)?[ -~\t]{0,12}\r?\n", 0..12),
    ) {
        let length = value.len() as u8;
        settings_files(&[&[choice, length], value.as_bytes(), lines.concat().as_bytes()].concat());
    }

    #[test]
    fn any_text_as_a_tools_file(
        lines in prop::collection::vec("(\\[(http|global)\\]|\\{|\"proxies\"|proxy ?[=:]? ?|httpProxy: )?[ -~\t]{0,12}\r?\n", 0..12),
    ) {
        tool_files(lines.concat().as_bytes());
    }

    #[test]
    fn any_bytes_as_a_text_to_show(data in prop::collection::vec(any::<u8>(), 0..300)) {
        shown_texts(&data);
    }

    #[test]
    fn any_bytes_as_answers_of_zones(data in prop::collection::vec(any::<u8>(), 0..600)) {
        names(&data);
    }

    #[test]
    fn any_bytes_as_news_of_the_kernel(data in prop::collection::vec(any::<u8>(), 0..600)) {
        netlink(&data);
    }

    #[test]
    fn any_text_as_a_document(which: u8, text in "[{}\\[\\]\":,a-z0-9= \n]{0,60}") {
        documents(&[&[which], text.as_bytes()].concat());
    }

    #[test]
    fn any_bytes_as_frames(
        step: u8,
        frames in prop::collection::vec((any::<u8>(), prop::collection::vec(any::<u8>(), 0..80)), 0..20),
    ) {
        let mut data = vec![step];
        for (kind, payload) in frames {
            // Known kinds more often than not.
            data.push(if kind & 1 == 0 { kind } else { kind % 98 });
            data.extend_from_slice(&[payload.len() as u8, 0, 0, 7, 0, 0, 0]);
            data.extend_from_slice(&payload);
        }
        frame_decoder(&data);
    }
}

proptest! {
    // Each draws two pages.
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_text_as_a_machines_facts(
        texts in prop::collection::vec((any::<u16>(), any::<u8>(), "[ -~\u{1b}\u{202e}\n]{0,12}"), 0..12),
    ) {
        let one = |(place, shape, text): &(u16, u8, String)| {
            [&place.to_be_bytes()[..], &[*shape, u8::try_from(text.len()).unwrap()], text.as_bytes()].concat()
        };
        report(&texts.iter().flat_map(one).collect::<Vec<u8>>());
    }
}

type Body = fn(&[u8]);

/// The inputs of `tests/fuzz/seeds`: the smallest set with the fuzzer's whole coverage.
#[test]
fn the_fuzzers_seeds_pass() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../fuzz/seeds");
    let bodies: [(&str, Body); 11] = [
        ("dialogs", dialogs),
        ("dns_path", |data| _ = dns_path(data)),
        ("documents", documents),
        ("frame_decoder", frame_decoder),
        ("names", |data| _ = names(data)),
        ("netlink", netlink),
        ("packet_path", |data| _ = packet_path(data)),
        ("report", |data| _ = report(data)),
        ("settings_files", settings_files),
        ("shown_texts", shown_texts),
        ("tool_files", tool_files),
    ];
    for (target, body) in bodies {
        let text = fs::read_to_string(format!("{folder}/{target}.txt")).unwrap();
        let byte =
            |digits: &[u8]| u8::from_str_radix(std::str::from_utf8(digits).unwrap(), 16).unwrap();
        let seeds: Vec<Vec<u8>> =
            text.lines().map(|line| line.as_bytes().chunks(2).map(byte).collect()).collect();
        assert!(seeds.len() > 10, "{target}: {} seeds", seeds.len());
        seeds.iter().for_each(|seed| body(seed));
    }
}

#[test]
fn connections_of_the_names_body_reach_names() {
    // A question for an address, one answer with one, and a connection to the first that was
    // received.
    let ask = [0, 0, 1, 0, 0x40, 1];
    assert_eq!(names(&[&[0][..], &ask, &[2, 0], &[2, 0]].concat()), 2);
}

#[test]
fn the_machine_of_the_report_body_says_all_that_facts_have_room_for() {
    let machine: Value = serde_json::from_str(MACHINE).unwrap();
    let read: Facts = serde_json::from_value(machine.clone()).unwrap();
    assert_eq!(
        serde_json::to_value(&read).unwrap(),
        machine,
        "facts have changed: change report/facts.json as well"
    );
    assert!(report(&[]) > 10);
}

#[test]
fn the_app_of_the_body_gets_connections_up() {
    let input = [
        &[2u8][..],
        // SYN; accept; ACK; 16 KiB of data; read them; finish; ACK; the app's FIN.
        &[0, 0, 2, 0],
        &[13, 0, 0, 0],
        &[0, 0, 16, 0],
        &[0, 0, 16, 0x40, 0x40, 0],
        &[13, 6, 0x40, 0],
        &[13, 8, 0, 0],
        &[0, 0, 16, 0],
        &[0, 0, 17, 0],
    ]
    .concat();
    assert_eq!(packet_path(&input), Reached { read: 0x4000, ended: 1 });
}

#[test]
fn the_clients_of_the_dns_body_get_their_queries_through() {
    // Three unchanged queries, each with the size of its answer and of the room; at the input's end
    // everything continues.
    let query = [0, 0, 0, 2, 0];
    assert_eq!(dns_path(&[&[3u8][..], &query, &query, &query].concat()), 3);
    // Zone transfers, each of which waits for those before it.
    let transfer = [0, 8, 0, 2, 0];
    assert_eq!(dns_path(&[&[4u8][..], &query, &transfer, &transfer, &query].concat()), 4);
}
