//! `underpass proxy` as a process: real shells evaluate its lines, real tools read what it wrote,
//! in a home of their own.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking, in its helpers too")]

mod common;
mod shells;
mod tiny_proxy;
mod tools;
mod trials;
