//! libFuzzer over [`fuzz::transport_id`].
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    fuzz::transport_id(data);
});
