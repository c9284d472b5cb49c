//! Tests with arbitrary bytes: the same bodies for `tests/fuzz` (libFuzzer) and for this crate's
//! own tests (proptest). A body panics if an invariant does not hold.

mod decoding;
mod dialogs;
mod dns_path;
mod documents;
mod frame_decoder;
mod names;
mod netlink;
mod packet_path;
mod report;
mod settings_files;
mod shown_texts;
mod tool_files;

pub use dialogs::dialogs;
pub use dns_path::dns_path;
pub use documents::documents;
pub use frame_decoder::frame_decoder;
pub use names::names;
pub use netlink::netlink;
pub use packet_path::{Reached, packet_path};
pub use report::{MACHINE, report};
pub use settings_files::settings_files;
pub use shown_texts::shown_texts;
pub use tool_files::tool_files;

/// Takes numbers off the front of the input; 0 after its end.
struct Bytes<'a>(&'a [u8]);

impl<'a> Bytes<'a> {
    fn byte(&mut self) -> u8 {
        match self.0.split_first() {
            Some((first, rest)) => {
                self.0 = rest;
                *first
            }
            None => 0,
        }
    }

    fn two(&mut self) -> u16 {
        u16::from_be_bytes([self.byte(), self.byte()])
    }

    fn four(&mut self) -> u32 {
        u32::from(self.two()) << 16 | u32::from(self.two())
    }

    fn take(&mut self, most: usize) -> &'a [u8] {
        let (head, rest) = self.0.split_at(most.min(self.0.len()));
        self.0 = rest;
        head
    }
}
