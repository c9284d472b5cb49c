//! The fields of a datagram's IP header besides its addresses, as three bytes of a frame.

use crate::codec::{Malformed, Reader};
use terms::{Fragments, Marks};

pub(crate) fn put(marks: Marks, out: &mut Vec<u8>) {
    let flags = match marks.fragments {
        Fragments::Allowed => 0,
        Fragments::Forbidden => 1,
    };
    out.extend_from_slice(&[marks.ttl, marks.traffic_class, flags]);
}

pub(crate) fn read(r: &mut Reader<'_>) -> Result<Marks, Malformed> {
    let (ttl, traffic_class) = (r.u8()?, r.u8()?);
    let fragments = match r.u8()? {
        0 => Fragments::Allowed,
        1 => Fragments::Forbidden,
        _ => return Err(Malformed),
    };
    Ok(Marks { ttl, traffic_class, fragments })
}
