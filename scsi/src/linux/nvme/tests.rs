//! What is sent for each verb, and what is made of each status and report.

use super::*;
use crate::reservation::{HostId, Key, NexusId, RegisterOptions, ReservationType};
use crate::wire::nvme::Registrant;
use std::collections::VecDeque;

const BOUND: Duration = Duration::from_secs(1);
const LONG: ReportForm = ReportForm::Extended;
const SHORT: ReportForm = ReportForm::Short;
const WE: ReservationType = ReservationType::WriteExclusive;

/// Answers from a list; notes what it was asked.
#[derive(Default)]
struct Fake {
    io: VecDeque<(Result<i32, Errno>, Vec<u8>)>,
    admin: VecDeque<Vec<u8>>,
    asked: Vec<String>,
}

fn answer(bytes: &[u8], data: Transfer<'_>) -> String {
    match data {
        Transfer::In(buffer) => {
            let length = bytes.len().min(buffer.len());
            buffer[..length].copy_from_slice(&bytes[..length]);
            format!("in {}", buffer.len())
        }
        Transfer::Out(sent) => sent.iter().fold("out".to_owned(), |mut text, byte| {
            text.push_str(&format!(" {byte:02x}"));
            text
        }),
    }
}

impl Calls for Fake {
    fn namespace_id(&mut self) -> Result<u32, Errno> {
        Ok(7)
    }
    fn io(&mut self, command: NvmePassthruCmd, data: Transfer<'_>) -> Result<i32, Errno> {
        let (result, bytes) = self.io.pop_front().unwrap_or((Ok(0), Vec::new()));
        let data = answer(&bytes, data);
        let NvmePassthruCmd {
            opcode,
            nsid,
            cdw10,
            cdw11,
            ..
        } = command;
        self.asked.push(format!(
            "{opcode:02x} ns{nsid} {cdw10:08x} {cdw11:x} {data}"
        ));
        result
    }
    fn admin(&mut self, command: NvmePassthruCmd, data: Transfer<'_>) -> Result<i32, Errno> {
        let bytes = self.admin.pop_front().unwrap_or_default();
        let data = answer(&bytes, data);
        self.asked
            .push(format!("admin {:02x} {data}", command.opcode));
        Ok(0)
    }
}

fn disk(io: impl IntoIterator<Item = (Result<i32, Errno>, Vec<u8>)>) -> Nvme<Fake> {
    let fake = Fake {
        io: io.into_iter().collect(),
        ..Fake::default()
    };
    Nvme::over(fake, "/dev/nvme0n7".to_owned())
}

fn key(value: u64) -> Key {
    Key::new(value).unwrap()
}

fn sent(verb: &Verb) -> String {
    let mut disk = disk([]);
    assert_eq!(disk.perform(verb, BOUND).answer, Answer::Done(Reply::Good));
    disk.calls.asked.join("; ")
}

fn register(existing: Option<u64>, new: Option<u64>, aptpl: bool) -> Verb {
    Verb::Register {
        existing: existing.and_then(Key::new),
        new: new.and_then(Key::new),
        options: RegisterOptions {
            aptpl,
            ..RegisterOptions::default()
        },
    }
}

#[test]
fn register_replace_and_unregister_are_told_apart_by_the_keys() {
    assert_eq!(
        sent(&register(None, Some(2), true)),
        "0d ns7 c0000000 0 out 00 00 00 00 00 00 00 00 02 00 00 00 00 00 00 00"
    );
    assert_eq!(
        sent(&register(Some(1), Some(2), false)),
        "0d ns7 00000002 0 out 01 00 00 00 00 00 00 00 02 00 00 00 00 00 00 00"
    );
    assert_eq!(
        sent(&register(Some(1), None, false)),
        "0d ns7 00000001 0 out 01 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00"
    );
}

#[test]
fn the_operators_register_ignores_the_existing_key() {
    let verb = Verb::RegisterIgnoringExisting {
        new: Some(key(2)),
        options: RegisterOptions::default(),
    };
    assert!(sent(&verb).starts_with("0d ns7 0000000a 0 "));
}

#[test]
fn acquire_preempt_release_and_clear_carry_action_and_type() {
    assert!(
        sent(&Verb::Reserve {
            key: key(1),
            kind: WE
        })
        .starts_with("11 ns7 00000100 0 out 01")
    );
    let preempt = |abort| Verb::Preempt {
        key: key(1),
        victim: Some(key(2)),
        kind: ReservationType::WriteExclusiveRegistrantsOnly,
        abort,
    };
    assert_eq!(
        sent(&preempt(true)),
        "11 ns7 00000302 0 out 01 00 00 00 00 00 00 00 02 00 00 00 00 00 00 00"
    );
    assert!(sent(&preempt(false)).starts_with("11 ns7 00000301 0 "));
    assert_eq!(
        sent(&Verb::Release {
            key: key(1),
            kind: WE
        }),
        "15 ns7 00000100 0 out 01 00 00 00 00 00 00 00"
    );
    assert_eq!(
        sent(&Verb::Clear { key: key(1) }),
        "15 ns7 00000001 0 out 01 00 00 00 00 00 00 00"
    );
}

#[test]
fn what_nvme_does_not_have_is_unsupported_and_not_sent() {
    let mut disk = disk([]);
    for verb in [
        Verb::TestUnitReady,
        Verb::Spc2Reserve,
        Verb::ClearTaskSet,
        register(None, None, false),
    ] {
        assert_eq!(
            disk.perform(&verb, BOUND).answer,
            Answer::Unsupported,
            "{verb:?}"
        );
    }
    assert!(disk.calls.asked.is_empty());
}

#[test]
fn a_status_is_never_success() {
    let ended = |status| {
        disk([(Ok(status), Vec::new())])
            .perform(&Verb::Clear { key: key(1) }, BOUND)
            .answer
    };
    assert_eq!(ended(0x83), Answer::Conflict { holder: None });
    // More, and Do Not Retry.
    assert_eq!(ended(0x4083), Answer::Conflict { holder: None });
    assert_eq!(ended(0x4001), Answer::Unsupported);
    assert_eq!(ended(0x4002), Answer::Refused(Refusal::Nvme(2)));
    for status in [0x371, 0x302, 0x007] {
        assert!(
            matches!(ended(status), Answer::OutcomeUnknown(_)),
            "{status:#x}"
        );
    }
}

#[test]
fn errors_of_the_call_say_what_to_do() {
    let failed = |error| {
        disk([(Err(error), Vec::new())])
            .perform(&Verb::Clear { key: key(1) }, BOUND)
            .answer
    };
    assert!(matches!(
        failed(Errno::EACCES),
        Answer::NotSent(Unsent::NotPermitted(what)) if what.contains("CAP_SYS_ADMIN")
    ));
    assert_eq!(failed(Errno::ENOTTY), Answer::Unsupported);
    assert!(matches!(failed(Errno::EINTR), Answer::OutcomeUnknown(_)));
}

/// A report: type, persistence, and for each registrant host, key and whether it holds.
fn report(form: ReportForm, kind: u8, persists: bool, hosts: &[(u8, u64, bool)]) -> Vec<u8> {
    let registrants = hosts.iter().map(|&(host, value, holder)| Registrant {
        controller: 0xffff,
        holder,
        host: HostId([host; 16]),
        key: key(value),
    });
    ReservationReport {
        generation: 9,
        kind: ReservationType::from_nvme_code(kind),
        persists,
        registrants: registrants.collect(),
    }
    .emit(form)
}

fn state(disk: &mut Nvme<Fake>) -> PersistentState {
    let answer = disk.perform(&Verb::ReadState, BOUND).answer;
    let Answer::Done(Reply::State(state)) = answer else {
        panic!("{answer:?}");
    };
    state
}

#[test]
fn a_report_names_hosts_keys_and_the_holder() {
    let bytes = report(LONG, 3, true, &[(1, 0x11, false), (2, 0x22, true)]);
    let mut disk = disk([(Ok(0), bytes)]);
    let state = state(&mut disk);
    assert_eq!(state.generation, 9);
    assert!(state.is_held_by(key(0x22)));
    assert_eq!(
        state.registrations[1].nexus,
        Some(NexusId::Nvme {
            host: HostId([2; 16])
        })
    );
    assert_eq!(disk.capabilities().aptpl_active, Support::Yes);
    assert_eq!(disk.calls.asked, ["0e ns7 0000020f 1 in 2112"]);
}

#[test]
fn a_controller_with_short_host_identifiers_is_asked_again_the_other_way_and_then_only_so() {
    let short = || (Ok(0), report(SHORT, 0, false, &[(3, 0x33, false)]));
    let mut disk = disk([(Ok(0x4018), Vec::new()), short(), short()]);
    let first = state(&mut disk);
    let mut host = [0; 16];
    host[..8].fill(3);
    assert_eq!(
        first.registrations[0].nexus,
        Some(NexusId::Nvme { host: HostId(host) })
    );
    state(&mut disk);
    let eds: Vec<_> = disk
        .calls
        .asked
        .iter()
        .map(|asked| asked.split(' ').nth(3).unwrap())
        .collect();
    assert_eq!(eds, ["1", "0", "0"]);
}

#[test]
fn a_report_that_does_not_fit_is_asked_for_again_with_room_for_all() {
    let hosts: Vec<_> = (0..100).map(|n| (n, u64::from(n) + 1, false)).collect();
    let whole = || (Ok(0), report(LONG, 0, false, &hosts));
    let mut disk = disk([whole(), whole()]);
    assert_eq!(state(&mut disk).registrations.len(), 100);
}

#[test]
fn under_all_registrants_nobody_is_named_as_the_holder() {
    let mut disk = disk([(
        Ok(0),
        report(LONG, 5, false, &[(1, 0x11, true), (2, 0x22, true)]),
    )]);
    let state = state(&mut disk);
    assert_eq!(state.reservation.unwrap().key, None);
    assert!(state.is_held_by(key(0x11)));
}

#[test]
fn a_report_that_breaks_its_format_is_malformed() {
    let mut bad_type = report(LONG, 0, false, &[]);
    bad_type[4] = 9;
    let mut no_key = report(LONG, 0, false, &[(1, 1, false)]);
    no_key[64 + 8] = 0;
    let mut endless = report(LONG, 0, false, &[]);
    endless[5..7].fill(0xff);
    let lies = [bad_type, no_key, endless];
    for bytes in lies {
        let answer = disk([(Ok(0), bytes.clone()), (Ok(0), bytes)])
            .perform(&Verb::ReadState, BOUND)
            .answer;
        assert!(
            matches!(answer, Answer::Refused(Refusal::Malformed(_))),
            "{answer:?}"
        );
    }
}

fn namespace(types: TypeMask) -> Vec<u8> {
    IdentifyNamespace {
        blocks: 8,
        block_bytes: 512,
        shared: true,
        persists_capable: true,
        types,
        ignore_existing_key: true,
        nguid: [1; 16],
        eui64: [0; 8],
    }
    .emit()
}

#[test]
fn identify_tells_types_and_persistence_and_that_a_registration_is_the_hosts() {
    let controller = IdentifyController {
        reservations: true,
        ..IdentifyController::default()
    }
    .emit();
    let namespace = namespace(
        TypeMask::default()
            .with(WE)
            .with(ReservationType::ExclusiveAccessRegistrantsOnly),
    );
    let mut disk = disk([(Ok(0), report(LONG, 0, false, &[]))]);
    disk.calls.admin = [controller, namespace].into();
    let answer = disk.perform(&Verb::ReadCapabilities, BOUND).answer;
    let Answer::Done(Reply::Capabilities(found)) = answer else {
        panic!("{answer:?}");
    };
    assert_eq!(found.aptpl_capable, Support::Yes);
    assert_eq!(found.aptpl_active, Support::No);
    assert_eq!(found.attentions, Support::No);
    assert!(found.host_registration);
    let types = found.types.unwrap();
    assert!(types.contains(WE));
    assert!(types.contains(ReservationType::ExclusiveAccessRegistrantsOnly));
    assert!(!types.contains(ReservationType::ExclusiveAccess));
}

#[test]
fn a_namespace_without_reservations_says_so() {
    let mut disk = disk([]);
    disk.calls.admin = [
        IdentifyController::default().emit(),
        namespace(TypeMask::default()),
    ]
    .into();
    disk.perform(&Verb::ReadCapabilities, BOUND);
    assert_eq!(disk.capabilities().persistent, Support::No);
}
