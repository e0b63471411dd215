//! The bodies over [`scsi::iscsi`]: what a network peer may send, from both ends.

use scsi::device::schedule::Schedule;
use scsi::iscsi::keyring::Keyring;
use scsi::iscsi::negotiation::{Parameters, Wishes, respond};
use scsi::iscsi::pdu::{Decoder, Digests, Frame, Request, Response};
use scsi::iscsi::target::{Backend, Settings, Store, Target};
use scsi::iscsi::text::Pairs;
use scsi::iscsi::{chap, initiator::Url};
use scsi::logical_unit::{Config, LogicalUnit, Media, MediaError, MemoryMedia};
use std::time::Duration;

/// What a decoder of these bodies takes.
const DATA_BYTES_MAX: usize = 4096;

/// A byte stream of either end, with the digests that its first byte says.
pub fn iscsi_pdu(data: &[u8]) -> bool {
    let Some((&first, stream)) = data.split_first() else {
        return false;
    };
    let digests = Digests {
        header: first & 1 != 0,
        data: first & 2 != 0,
    };
    let mut decoder = decoder(digests);
    decoder.push(stream);
    let mut accepted = false;
    while let Ok(Some(frame)) = decoder.next_frame() {
        assert!(frame.data.len() <= stream.len(), "more than arrived");
        accepted |= comes_back(frame, digests);
    }
    accepted
}

fn decoder(digests: Digests) -> Decoder {
    let mut decoder = Decoder::new(DATA_BYTES_MAX);
    decoder.agree(digests, DATA_BYTES_MAX);
    decoder
}

/// Whatever a frame is a value of is emitted to bytes of that value.
fn comes_back(frame: Frame, digests: Digests) -> bool {
    let again = |bytes: &[u8]| {
        let mut decoder = decoder(digests);
        decoder.push(bytes);
        let frame = decoder.next_frame().ok().flatten();
        frame.expect("what was emitted is a frame")
    };
    let mut bytes = Vec::new();
    let request = Request::parse(frame.clone());
    if let Ok(request) = &request {
        request.emit(digests, &mut bytes);
        assert_eq!(Request::parse(again(&bytes)).as_ref(), Ok(request));
    }
    let response = Response::parse(frame);
    if let Ok(response) = &response {
        bytes.clear();
        response.emit(digests, &mut bytes);
        assert_eq!(Response::parse(again(&bytes)).as_ref(), Ok(response));
    }
    request.is_ok() || response.is_ok()
}

/// Text of logins, of secrets and of users.
pub fn iscsi_text(data: &[u8]) -> bool {
    if let Ok(text) = std::str::from_utf8(data) {
        drop(chap::decode(text));
        drop(Keyring::parse(text));
        if let Ok(url) = Url::parse(text) {
            assert!(url.user.is_none_or(|user| !user.contains('%')));
        }
    }
    let Ok(pairs) = Pairs::parse(data) else {
        return false;
    };
    assert_eq!(Pairs::parse(&pairs.emit()).as_ref(), Ok(&pairs));
    let (mut parameters, mut answers) = (Parameters::default(), Pairs::new());
    let answered = respond(&pairs, &Wishes::default(), &mut parameters, &mut answers);
    assert!(parameters.first_burst_bytes <= parameters.max_burst_bytes);
    answered.is_ok() && !answers.is_empty()
}

/// A whole target and what one client sends to it, from its login on. Accepted: it logs in.
pub fn iscsi_target(data: &[u8]) -> bool {
    let config = Config::default();
    let blocks = config.blocks;
    let store = Memory(MemoryMedia::new(), blocks);
    let backend = Backend::new(LogicalUnit::new(config), store, Schedule::default());
    let settings = Settings {
        name: "iqn.t".to_owned(),
        allowed: Vec::new(),
        keyring: Keyring::default(),
        wishes: Settings::wishes(),
    };
    let mut target = Target::new(settings, backend);
    let mut now = Duration::ZERO;
    let Some(id) = target.accept(now, vec!["127.0.0.1:3260".to_owned()], [7; 32]) else {
        return false;
    };
    let mut decoder = decoder(Digests::default());
    let mut logged_in = false;
    for part in data.chunks(97) {
        target.receive(now, id, part);
        for _ in 0..64 {
            let out = target.out(id).to_vec();
            if out.is_empty() {
                break;
            }
            decoder.push(&out);
            target.sent(now, id, out.len());
        }
        while let Ok(Some(frame)) = decoder.next_frame() {
            logged_in |=
                matches!(Response::parse(frame), Ok(Response::Login(login)) if login.tsih != 0);
        }
        now += Duration::from_millis(100);
        target.tick(now);
    }
    target.closed(id);
    logged_in
}

/// Blocks in memory, held to the bounds of the unit.
struct Memory(MemoryMedia, u64);

impl Memory {
    fn check(&self, lba: u64, bytes: usize) {
        let end = lba + bytes as u64 / 512;
        assert!(
            end <= self.1 && bytes.is_multiple_of(512),
            "beyond the medium"
        );
    }
}

impl Media for Memory {
    fn read(&mut self, lba: u64, into: &mut [u8]) -> Result<(), MediaError> {
        self.check(lba, into.len());
        self.0.read(lba, into)
    }

    fn write(&mut self, lba: u64, data: &[u8], through: bool) -> Result<(), MediaError> {
        self.check(lba, data.len());
        self.0.write(lba, data, through)
    }

    fn sync(&mut self) -> Result<(), MediaError> {
        self.0.sync()
    }
}

impl Store for Memory {
    fn keep(&mut self, image: &[u8]) -> Result<(), MediaError> {
        let kept = LogicalUnit::from_image(image);
        assert!(kept.is_ok(), "what is kept can be read");
        Ok(())
    }
}
