//! The names by which a proxy gets its destinations (`--via`). Each name that an app resolves gets
//! addresses of its own, its *stand-ins*: a connection to one goes to that name and to no other,
//! whatever addresses other names' answers hold. Deriving the name from the real address would let
//! the owner of any zone redirect other users' connections, and would confuse two names on one
//! address.
//!
//! `pool` gives the stand-ins, `answer` puts them into DNS answers, `peers` keeps UDP's replies
//! apart. Nothing here knows the proxy, the relay or a clock.

mod answer;
mod peers;
mod pool;

pub use answer::with_stand_ins;
pub use peers::Peers;
pub use pool::{Found, Names, is_stand_in};
