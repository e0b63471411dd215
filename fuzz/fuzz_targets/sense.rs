//! libFuzzer over [`fuzz::sense`].
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    fuzz::sense(data);
});
