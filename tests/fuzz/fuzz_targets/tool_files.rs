//! `fuzz_bodies::tool_files` under libFuzzer.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| fuzz_bodies::tool_files(data));
