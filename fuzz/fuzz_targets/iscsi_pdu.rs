//! libFuzzer over [`fuzz::iscsi_pdu`].
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    fuzz::iscsi_pdu(data);
});
