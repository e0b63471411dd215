//! libFuzzer over [`fuzz::nvme_command`].
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    fuzz::nvme_command(data);
});
