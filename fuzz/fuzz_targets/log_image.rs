//! libFuzzer over [`fuzz::log_image`].
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    fuzz::log_image(data);
});
