//! Where shells and tools keep their proxy settings, in which form, and how each is set and given back without touching the rest.
//!
//! No I/O: texts of files and values of variables come in, texts and commands go out. Who reads and writes them is
//! `underpass::proxy`; how to talk with a proxy is the crate `proxy`'s.
#![forbid(unsafe_code)]

mod change;
mod format;
mod json;
mod kept;
mod lines;
mod no_proxy;
mod proxy;
pub mod shell;
pub mod tools;
mod winner;

pub use format::{Format, FormatError};
pub use kept::{Kept, Restored, with_setting};
pub use no_proxy::no_proxy;
pub use self::proxy::{Proxy, ProxyError, Scheme};
pub use tools::{Note, OwnCommand, Place, Readers, Refusal, Surroundings, Tool, is_place, notes, places};
pub use winner::{Found, Reading, found};
