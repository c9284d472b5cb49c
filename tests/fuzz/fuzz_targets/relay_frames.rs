//! `gateway::hostile::relay_frames` under libFuzzer.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    gateway::hostile::relay_frames(data);
});
