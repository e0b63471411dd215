//! libFuzzer over [`fuzz::mode`].
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    fuzz::mode(data);
});
