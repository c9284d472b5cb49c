//! Where shells and tools keep their proxy settings, in which form, and how each is read, set and
//! restored without touching the rest.
//!
//! No I/O: texts of files and values of variables come in, texts and commands go out.
//! `underpass::proxy` reads and writes them; the crate `proxy` speaks with a proxy.

mod change;
mod error;
mod format;
mod json;
mod kept;
mod lines;
mod no_proxy;
mod outputs;
pub mod places;
mod proxy;
mod read;
mod setting;
pub mod shell;

pub use self::proxy::{Proxy, ProxyError, Scheme};
pub use error::FormatError;
pub use format::Format;
pub use kept::{Kept, Restored, with_setting};
pub use no_proxy::no_proxy;
pub use outputs::GIT_QUERY;
pub use places::{
    Note, OwnCommand, Place, Readers, Refusal, Surroundings, Tool, is_place, notes, places,
};
pub use read::{Reading, all, used};
pub use setting::{GitRewrite, ProxySetting};
