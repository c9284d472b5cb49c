//! `fuzz_bodies::shown_texts` under libFuzzer.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| fuzz_bodies::shown_texts(data));
