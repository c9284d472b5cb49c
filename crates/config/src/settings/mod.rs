//! WSL's settings files: `.wslconfig` of a Windows user, `/etc/wsl.conf` of a distro.
//!
//! It reads them by the rules of WSL's own two parsers, judges what they say, and changes single
//! lines without touching any other. Knows no file, process, terminal or clock: texts and facts
//! come in, texts and judgements go out.

pub mod change;
pub mod check;
pub mod effective;
pub mod explain;
pub mod ini;
pub mod metric;
pub mod nat;
pub mod recommend;
pub mod resolv;
pub mod schema;
pub mod subnet;
pub mod version;
