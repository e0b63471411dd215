//! What is made of the calls' results, and what they are asked with.

use super::*;
use std::collections::VecDeque;

const BOUND: Duration = Duration::from_secs(1);

/// Answers from lists; notes what changed.
#[derive(Default)]
struct Fake {
    changes: VecDeque<Result<i32, Errno>>,
    keys: VecDeque<Result<(u32, Vec<u64>), Errno>>,
    held: VecDeque<(u32, u64, u32)>,
    asked: Vec<String>,
}

impl Fake {
    fn change(&mut self, asked: String) -> Result<i32, Errno> {
        self.asked.push(asked);
        self.changes.pop_front().unwrap_or(Ok(0))
    }
}

impl Calls for Fake {
    fn register(&mut self, argument: &PrRegistration) -> Result<i32, Errno> {
        let PrRegistration {
            old_key,
            new_key,
            flags,
            ..
        } = argument;
        self.change(format!(
            "register old={old_key:#x} new={new_key:#x} flags={flags}"
        ))
    }
    fn reserve(&mut self, argument: &PrReservation) -> Result<i32, Errno> {
        self.change(format!(
            "reserve {:#x} type={}",
            argument.key, argument.kind
        ))
    }
    fn release(&mut self, argument: &PrReservation) -> Result<i32, Errno> {
        self.change(format!(
            "release {:#x} type={}",
            argument.key, argument.kind
        ))
    }
    fn preempt(&mut self, argument: &PrPreempt, abort: bool) -> Result<i32, Errno> {
        let PrPreempt {
            old_key,
            new_key,
            kind,
            ..
        } = argument;
        self.change(format!(
            "preempt old={old_key:#x} new={new_key:#x} type={kind} abort={abort}"
        ))
    }
    fn clear(&mut self, argument: &PrClear) -> Result<i32, Errno> {
        self.change(format!("clear {:#x}", argument.key))
    }
    fn read_keys(&mut self, room: &mut [u64]) -> Result<(i32, PrReadKeys), Errno> {
        self.asked.push(format!("read-keys room={}", room.len()));
        let (generation, keys) = self.keys.pop_front().unwrap()?;
        let there = keys.len().min(room.len());
        room[..there].copy_from_slice(&keys[..there]);
        let num_keys = u32::try_from(keys.len()).unwrap();
        Ok((
            0,
            PrReadKeys {
                generation,
                num_keys,
                keys_ptr: 0,
            },
        ))
    }
    fn read_reservation(&mut self) -> Result<(i32, PrReadReservation), Errno> {
        let (generation, key, kind) = self.held.pop_front().unwrap();
        Ok((
            0,
            PrReadReservation {
                key,
                generation,
                kind,
            },
        ))
    }
}

fn disk(fake: Fake) -> IocPr<Fake> {
    IocPr::over(fake, "/dev/sdb".to_owned(), None)
}

fn key(value: u64) -> Key {
    Key::new(value).unwrap()
}

fn asked(verb: &Verb) -> String {
    let mut disk = disk(Fake::default());
    assert_eq!(disk.perform(verb, BOUND).answer, Answer::Done(Reply::Good));
    disk.calls.asked.join("; ")
}

fn changed(result: Result<i32, Errno>) -> Answer {
    let mut disk = disk(Fake {
        changes: [result].into(),
        ..Fake::default()
    });
    disk.perform(&Verb::Clear { key: key(1) }, BOUND).answer
}

#[test]
fn of_preempts_two_keys_the_old_one_is_ours_and_the_new_one_the_victims() {
    let verb = Verb::Preempt {
        key: key(0xaa),
        victim: Some(key(0xbb)),
        kind: ReservationType::WriteExclusiveRegistrantsOnly,
        abort: true,
    };
    assert_eq!(asked(&verb), "preempt old=0xaa new=0xbb type=3 abort=true");
}

#[test]
fn a_registration_passes_its_keys_and_only_the_operators_verb_ignores_the_old_one() {
    let options = RegisterOptions::default();
    assert_eq!(
        asked(&Verb::Register {
            existing: Some(key(1)),
            new: None,
            options: options.clone()
        }),
        "register old=0x1 new=0x0 flags=0"
    );
    assert_eq!(
        asked(&Verb::RegisterIgnoringExisting {
            new: Some(key(2)),
            options
        }),
        "register old=0x0 new=0x2 flags=1"
    );
}

#[test]
fn what_the_kernel_cannot_pass_on_is_unsupported_and_not_called() {
    let mut disk = disk(Fake::default());
    let everywhere = RegisterOptions {
        all_target_ports: true,
        ..RegisterOptions::default()
    };
    for verb in [
        Verb::Register {
            existing: None,
            new: Some(key(1)),
            options: everywhere,
        },
        Verb::Spc2Reserve,
        Verb::ClearTaskSet,
        Verb::TestUnitReady,
    ] {
        assert_eq!(disk.perform(&verb, BOUND).answer, Answer::Unsupported);
    }
    assert!(disk.calls.asked.is_empty());
}

#[test]
fn a_positive_result_is_never_success() {
    assert_eq!(changed(Ok(0x18)), Answer::Conflict { holder: None });
    assert_eq!(changed(Ok(0x83)), Answer::Conflict { holder: None });
    assert_eq!(changed(Ok(2)), Answer::Refused(Refusal::Status(2)));
    for result in [0xe_0000, 0xf_0000, 0x1_0000, 1, 0x7fff_ffff] {
        assert!(
            matches!(
                changed(Ok(result)),
                Answer::OutcomeUnknown(Uncertainty::Transport(_))
            ),
            "{result:#x}"
        );
    }
}

#[test]
fn errors_of_the_call_say_what_to_do() {
    assert!(matches!(
        changed(Err(Errno::EPERM)),
        Answer::NotSent(Unsent::NotPermitted(what)) if what.contains("CAP_SYS_ADMIN")
    ));
    assert_eq!(changed(Err(Errno::EOPNOTSUPP)), Answer::Unsupported);
    assert_eq!(
        changed(Err(Errno::EBADE)),
        Answer::Conflict { holder: None }
    );
    assert!(matches!(
        changed(Err(Errno::ENODEV)),
        Answer::NotSent(Unsent::NoPath(_))
    ));
    assert!(matches!(
        changed(Err(Errno::EIO)),
        Answer::OutcomeUnknown(_)
    ));
}

fn state(fake: Fake) -> Answer {
    disk(fake).perform(&Verb::ReadState, BOUND).answer
}

#[test]
fn the_state_is_keys_and_reservation_of_one_generation() {
    let answer = state(Fake {
        keys: [Ok((7, vec![1])), Ok((8, vec![1, 2]))].into(),
        held: [(8, 1, 3), (8, 1, 3)].into(),
        ..Fake::default()
    });
    let Answer::Done(Reply::State(state)) = answer else {
        panic!("{answer:?}");
    };
    assert_eq!(state.generation, 8);
    assert!(state.has_key(key(2)));
    assert!(state.is_held_by(key(1)));
}

#[test]
fn a_state_that_never_stands_still_is_an_error_and_not_an_answer() {
    let answer = state(Fake {
        keys: (0..3).map(|generation| Ok((generation, vec![1]))).collect(),
        held: (0..3).map(|_| (9, 1, 3)).collect(),
        ..Fake::default()
    });
    assert!(
        matches!(answer, Answer::Refused(Refusal::Malformed(_))),
        "{answer:?}"
    );
}

#[test]
fn more_keys_than_there_was_room_for_are_read_again() {
    let keys: Vec<u64> = (1..=100).collect();
    let mut disk = disk(Fake {
        keys: [Ok((1, keys.clone())), Ok((1, keys))].into(),
        held: [(0, 0, 0)].into(),
        ..Fake::default()
    });
    let answer = disk.perform(&Verb::ReadState, BOUND).answer;
    let Answer::Done(Reply::State(state)) = answer else {
        panic!("{answer:?}");
    };
    assert_eq!(state.registrations.len(), 100);
    assert_eq!(state.reservation, None);
    assert_eq!(
        disk.calls.asked,
        ["read-keys room=64", "read-keys room=100"]
    );
}

#[test]
fn under_all_registrants_nobody_is_named_as_the_holder() {
    let answer = state(Fake {
        keys: [Ok((1, vec![5]))].into(),
        held: [(1, 5, 6)].into(),
        ..Fake::default()
    });
    let Answer::Done(Reply::State(state)) = answer else {
        panic!("{answer:?}");
    };
    assert_eq!(state.reservation.unwrap().key, None);
    assert!(state.is_held_by(key(5)));
}

#[test]
fn a_type_that_does_not_exist_is_malformed() {
    let answer = state(Fake {
        keys: [Ok((1, vec![5]))].into(),
        held: [(1, 5, 7)].into(),
        ..Fake::default()
    });
    assert!(
        matches!(answer, Answer::Refused(Refusal::Malformed(_))),
        "{answer:?}"
    );
}

#[test]
fn on_an_old_kernel_the_missing_privilege_is_named_however_it_refuses_the_call() {
    for refusal in [Errno::ENOTTY, Errno::EINVAL] {
        let answer = state(Fake {
            keys: [Err(refusal)].into(),
            ..Fake::default()
        });
        assert!(matches!(
            answer,
            Answer::NotSent(Unsent::NotPermitted(what)) if what.contains("CAP_SYS_RAWIO")
        ));
    }
}

#[test]
fn on_an_old_kernel_a_reader_answers_where_there_is_one() {
    struct Reader;
    impl Reservations for Reader {
        fn capabilities(&self) -> Capabilities {
            Capabilities::default()
        }
        fn perform(&mut self, verb: &Verb, _: Duration) -> Exchange {
            assert_eq!(*verb, Verb::ReadState);
            Answer::Done(Reply::State(PersistentState::default())).into()
        }
    }
    let fake = Fake {
        keys: [Err(Errno::ENOTTY)].into(),
        ..Fake::default()
    };
    let mut disk = IocPr::over(fake, "/dev/sdb".to_owned(), Some(Box::new(Reader)));
    assert_eq!(
        disk.perform(&Verb::ReadState, BOUND).answer,
        Answer::Done(Reply::State(PersistentState::default()))
    );
}
