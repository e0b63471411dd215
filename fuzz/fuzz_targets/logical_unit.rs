//! libFuzzer over [`fuzz::logical_unit`].
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    fuzz::logical_unit(data);
});
