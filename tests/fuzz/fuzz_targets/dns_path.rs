//! `fuzz_bodies::dns_path` under libFuzzer.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    fuzz_bodies::dns_path(data);
});
