//! The fuzzer's bodies as ordinary tests: random bytes, and inputs that once failed.

use fuzz_bodies::{Reached, dialogs, dns_path, frame_decoder, packet_path, settings_files, shown_texts, tool_files};
use proptest::prelude::*;

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
    // Three queries as they are, each with the size of its answer and of what fits; at the input's end all goes on.
    let query = [0, 0, 0, 2, 0];
    assert_eq!(dns_path(&[&[3u8][..], &query, &query, &query].concat()), 3);
    // Zone transfers, each of which waits for what is before it.
    let transfer = [0, 8, 0, 2, 0];
    assert_eq!(dns_path(&[&[4u8][..], &query, &transfer, &transfer, &query].concat()), 4);
}
