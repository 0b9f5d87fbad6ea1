#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| librtmp_fuzz::link::run(data));
