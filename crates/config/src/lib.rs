//! Files that say how a network is to be used: WSL's own ([`settings`]) and those of shells and
//! tools that name a proxy ([`tools`]).
//!
//! Both are read as their owners read them, and changed without touching any other byte. No I/O:
//! texts and facts come in, texts and judgements go out. The command `underpass` reads and writes
//! the files.
#![forbid(unsafe_code)]

pub mod settings;
pub mod tools;
