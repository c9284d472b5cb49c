//! DNS messages (RFC 1035 4.1), as far as a load needs them: a query for an address, whether an
//! answer has one, and the one answer of our nameserver.

use crate::net::other;
use std::io;
use std::net::Ipv4Addr;

/// The address of every name.
pub(crate) const ADDRESS: Ipv4Addr = Ipv4Addr::new(203, 0, 113, 10);

const HEADER: usize = 12;

/// Name (a pointer to the question's), type A, class IN, lifetime 0, four bytes of address.
const RECORD: [u8; 12] = [0xc0, 0x0c, 0, 1, 0, 1, 0, 0, 0, 0, 0, 4];

/// QR: it is an answer.
const ANSWER: u8 = 0x80;

/// A query for the IPv4 address of `name`, with id 0.
///
/// # Errors
/// The name is not valid.
pub(crate) fn query(name: &str) -> io::Result<Vec<u8>> {
    // One question, recursion desired.
    let mut query = vec![0, 0, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0];
    for label in name.strip_suffix('.').unwrap_or(name).split('.') {
        match u8::try_from(label.len()) {
            Ok(length @ 1..=63) => query.push(length),
            _ => return Err(other(format!("'{name}' is not a name: a label has 1 to 63 bytes"))),
        }
        query.extend(label.as_bytes());
    }
    // The end of the name, type A, class IN.
    query.extend([0, 0, 1, 0, 1]);
    if query.len() > HEADER + 255 + 4 {
        return Err(other(format!("'{name}' is not a name: it has more than 255 bytes")));
    }
    Ok(query)
}

/// The message that came for a query.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Match {
    /// Not for this query.
    Foreign,
    Answered,
    /// An answer without a record, with this code.
    Failed(u8),
}

/// Classifies a message for the query with an id.
pub(crate) fn judge(bytes: &[u8], id: u16) -> Match {
    match *bytes {
        [high, low, kind, code, _, _, records_high, records_low, _, _, _, _, ..]
            if [high, low] == id.to_be_bytes() && kind & ANSWER != 0 =>
        {
            match code & 0x0f {
                0 if [records_high, records_low] != [0, 0] => Match::Answered,
                code => Match::Failed(code),
            }
        }
        _ => Match::Foreign,
    }
}

/// Turns the query in the first `length` bytes into the answer, and returns its length; `None` if
/// it is not a query with one question.
pub(crate) fn answer(buffer: &mut [u8], length: usize) -> Option<usize> {
    let end = question_end(buffer.get(..length)?)?;
    let whole = end + RECORD.len() + 4;
    let record = buffer.get_mut(end..whole)?;
    record[..RECORD.len()].copy_from_slice(&RECORD);
    record[RECORD.len()..].copy_from_slice(&ADDRESS.octets());
    // Operation and 'recursion desired' stay; recursion is available, and nothing failed.
    buffer[2] = buffer[2] & 0x79 | ANSWER;
    buffer[3] = 0x80;
    buffer[6..HEADER].copy_from_slice(&[0, 1, 0, 0, 0, 0]);
    Some(whole)
}

/// The end of the only question of a query.
fn question_end(query: &[u8]) -> Option<usize> {
    let header = query.get(..HEADER)?;
    if header[2] & ANSWER != 0 || header[4..6] != [0, 1] {
        return None;
    }
    let mut at = HEADER;
    loop {
        match *query.get(at)? {
            0 => break,
            // The first name has nothing to point to.
            64.. => return None,
            label => at += 1 + usize::from(label),
        }
    }
    let end = at + 1 + 4;
    (end <= query.len()).then_some(end)
}

#[cfg(test)]
mod tests {
    use super::*;

    const QUERY: &[u8] = b"\x12\x34\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00\x03www\x03lab\x04test\x00\x00\x01\x00\x01";

    fn answered(query: &[u8]) -> Option<Vec<u8>> {
        let mut buffer = vec![0xee; 1024];
        buffer[..query.len()].copy_from_slice(query);
        answer(&mut buffer, query.len()).map(|length| buffer[..length].to_vec())
    }

    #[test]
    fn a_query_is_what_it_should_be() {
        for name in ["www.lab.test", "www.lab.test."] {
            let mut made = query(name).unwrap();
            made[..2].copy_from_slice(&[0x12, 0x34]);
            assert_eq!(made, QUERY);
        }
        for name in ["", ".", "a..b", &"a".repeat(64), &["a".repeat(63).as_str(); 4].join(".")] {
            assert!(query(name).is_err(), "{name}");
        }
    }

    #[test]
    fn an_answer_is_what_it_should_be() {
        let mut expected = QUERY.to_vec();
        expected[2..12].copy_from_slice(&[0x81, 0x80, 0, 1, 0, 1, 0, 0, 0, 0]);
        expected.extend(b"\xc0\x0c\x00\x01\x00\x01\x00\x00\x00\x00\x00\x04\xcb\x00\x71\x0a");
        assert_eq!(answered(QUERY), Some(expected.clone()));
        assert_eq!(judge(&expected, 0x1234), Match::Answered);
        assert_eq!(judge(&expected, 0x1235), Match::Foreign);
        assert_eq!(judge(&expected[..11], 0x1234), Match::Foreign);
        assert_eq!(judge(QUERY, 0x1234), Match::Foreign);
    }

    #[test]
    fn a_query_with_more_than_a_question_is_answered_as_one_without() {
        let mut extended = QUERY.to_vec();
        extended[11] = 1;
        extended.extend(b"\x00\x00\x29\x04\xd0\x00\x00\x00\x00\x00\x00");
        assert_eq!(answered(&extended), answered(QUERY));
    }

    #[test]
    fn an_answer_without_a_record_failed() {
        let mut answer = answered(QUERY).unwrap();
        answer[7] = 0;
        assert_eq!(judge(&answer, 0x1234), Match::Failed(0));
        answer[3] = 0x83;
        assert_eq!(judge(&answer, 0x1234), Match::Failed(3));
    }

    #[test]
    fn a_message_that_is_not_a_query_has_no_answer() {
        for length in 0..QUERY.len() {
            assert_eq!(answered(&QUERY[..length]), None, "{length}");
        }
        for (at, byte) in [(2, 0x81), (5, 0), (5, 2), (12, 0xc0), (12, 64), (12, 63)] {
            let mut wrong = QUERY.to_vec();
            wrong[at] = byte;
            assert_eq!(answered(&wrong), None, "byte {at} is {byte}");
        }
        // The answer needs room.
        assert_eq!(answer(&mut QUERY.to_vec(), QUERY.len()), None);
    }
}
