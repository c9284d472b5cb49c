//! `fuzz_bodies::frame_decoder` under libFuzzer.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| fuzz_bodies::frame_decoder(data));
