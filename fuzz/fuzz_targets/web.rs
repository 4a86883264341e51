#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| vfind::fuzzing::web(data));
