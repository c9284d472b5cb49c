//! `fuzz_bodies::packet_path` under libFuzzer.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    fuzz_bodies::packet_path(data);
});
