//! libFuzzer over [`fuzz::persistent_in`].
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    fuzz::persistent_in(data);
});
