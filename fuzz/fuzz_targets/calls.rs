#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| librtmp_fuzz::calls::run(data));
