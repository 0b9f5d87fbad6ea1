#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| librtmp_fuzz::chunk_reader::run(data));
