//! Questions and parts of frames that apps and the hostile relay send.

use wire::HostFacts;

/// A payload length as it stands in a frame's header.
pub(super) fn u24(length: usize) -> [u8; 3] {
    let [l0, l1, l2, _] = u32::try_from(length).unwrap_or(0).to_le_bytes();
    [l0, l1, l2]
}

pub(super) fn query(kind: u8) -> Vec<u8> {
    let record = if kind & 1 == 0 { 1 } else { 28 };
    [
        &[kind, 7, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0, 1, b'a' + (kind >> 1 & 3), 4][..],
        b"test",
        &[0, 0, record, 0, 1],
    ]
    .concat()
}

/// An answer to a query: with an address, damaged, or any bytes.
pub(super) fn answer(query: &[u8], payload: &[u8]) -> Vec<u8> {
    let Some((shape, rest)) = payload.split_first() else { return Vec::new() };
    if shape & 1 == 1 || query.len() < 12 {
        return rest.to_vec();
    }
    let mut message = query.to_vec();
    (message[2], message[3], message[7]) = (0x81, 0x80, 1);
    let address = rest.first_chunk::<4>().copied().unwrap_or([203, 0, 113, 10]);
    message.extend([0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4]);
    message.extend(address);
    if let [_, _, _, _, at, byte, ..] = rest {
        let at = usize::from(*at) % message.len();
        message[at] = *byte;
    }
    message
}

/// A host's facts, with a name that it made up.
pub(super) fn facts(payload: &[u8], value: u32) -> Vec<u8> {
    let names = vec![String::from_utf8_lossy(payload).into_owned()];
    serde_json::to_vec(&HostFacts { names, ipv6: value & 4 == 0, ..HostFacts::default() })
        .unwrap_or_default()
}
