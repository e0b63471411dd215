//! libFuzzer over [`fuzz::nvme_report`].
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    fuzz::nvme_report(data);
});
