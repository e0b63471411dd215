//! libFuzzer over [`fuzz::persistent_out`].
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    fuzz::persistent_out(data);
});
