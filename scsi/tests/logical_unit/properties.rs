//! What holds after every step of any sequence, whatever the behaviour (but `hostile`).
//!
//! The oracle is a second, slow reading of the access tables: it knows nothing of the unit but what
//! READ FULL STATUS says and who reserved by SPC-2.

use crate::commands::{self, Sent, nexus};
use proptest::prelude::*;
use scsi::logical_unit::{
    ATTENTIONS_MAX, Accepted, Behaviour, Config, LogicalUnit, MemoryMedia, Nexus, Tag,
};
use scsi::reservation::{Key, NexusId, PersistentState, ReservationType, ResetScope};
use scsi::wire::cdb::{Cdb, Command, PrOutAction};
use scsi::wire::persistent_out::{BasicList, MoveList};
use scsi::wire::status::Status;

const NEXUSES: [&str; 5] = ["a", "a2", "b", "c", "c2"];
const BLOCKS: u64 = 4;

/// One step of a sequence.
#[derive(Clone, Debug)]
enum Step {
    Execute(usize, Op),
    Queue(usize, Op),
    /// Runs the oldest command that waits.
    RunOldest,
    Reset(ResetScope),
    Lost(usize),
    ClearTaskSet(usize),
    PowerCycle,
}

/// A command, small enough that sequences meet themselves.
#[derive(Clone, Debug)]
enum Op {
    Ready,
    Reserve2,
    Release2,
    PrOut(PrOutAction, ReservationType, BasicList),
    Move(MoveList),
    Write(u64, u8, bool),
    Swap(u64, u8, u8),
    Read(u64),
    Sync,
    RequestSense,
}

impl Op {
    fn sent(&self) -> Sent {
        match self {
            Self::Ready => commands::plain(Command::TestUnitReady),
            Self::Reserve2 => commands::plain(Command::Reserve6),
            Self::Release2 => commands::plain(Command::Release6),
            Self::PrOut(action, kind, list) => commands::pr_out(*action, Some(*kind), list),
            Self::Move(list) => commands::pr_move(list),
            Self::Write(lba, fill, fua) => commands::write(*lba, *fill, *fua),
            Self::Swap(lba, old, new) => commands::compare_and_write(*lba, *old, *new),
            Self::Read(lba) => commands::read(*lba),
            Self::Sync => commands::synchronize(),
            Self::RequestSense => commands::plain(Command::RequestSense {
                descriptor: false,
                allocation_length: 252,
            }),
        }
    }

    const fn writes(&self) -> bool {
        matches!(self, Self::Write(..) | Self::Swap(..))
    }
}

fn a_key() -> impl Strategy<Value = Option<Key>> {
    (0_u64..4).prop_map(Key::new)
}

fn a_list() -> impl Strategy<Value = BasicList> {
    let also = prop::option::weighted(
        0.1,
        prop::collection::vec(0..NEXUSES.len(), 0..3).prop_map(|many| {
            many.into_iter()
                .map(|at| nexus(NEXUSES[at]).initiator)
                .collect()
        }),
    );
    (
        a_key(),
        a_key(),
        any::<bool>(),
        prop::bool::weighted(0.15),
        also,
    )
        .prop_map(
            |(key, service_action_key, aptpl, all_target_ports, initiator_ports)| BasicList {
                key,
                service_action_key,
                aptpl,
                all_target_ports,
                initiator_ports,
            },
        )
}

fn an_op() -> impl Strategy<Value = Op> {
    let block = 0..BLOCKS;
    let pr_out = (
        prop::sample::select(PrOutAction::ALL.to_vec()),
        prop::sample::select(ReservationType::ALL.to_vec()),
        a_list(),
    );
    let relocate = (a_key(), a_key(), any::<(bool, bool)>(), 0..NEXUSES.len()).prop_map(
        |(key, service_action_key, (unregister, aptpl), to)| {
            let to = nexus(NEXUSES[to]);
            Op::Move(MoveList {
                key,
                service_action_key,
                unregister,
                aptpl,
                relative_target_port: to.target_port,
                destination: to.initiator,
            })
        },
    );
    prop_oneof![
        1 => Just(Op::Ready),
        1 => Just(Op::Reserve2),
        1 => Just(Op::Release2),
        10 => pr_out
            .prop_filter("it has a list of its own", |(action, ..)| {
                *action != PrOutAction::RegisterAndMove
            })
            .prop_map(|(action, kind, list)| Op::PrOut(action, kind, list)),
        1 => relocate,
        4 => (block.clone(), 1_u8..4, any::<bool>()).prop_map(|(at, fill, fua)| Op::Write(at, fill, fua)),
        1 => (block.clone(), 0_u8..4, 1_u8..4).prop_map(|(at, old, new)| Op::Swap(at, old, new)),
        1 => block.prop_map(Op::Read),
        1 => Just(Op::Sync),
        1 => Just(Op::RequestSense),
    ]
}

fn a_step() -> impl Strategy<Value = Step> {
    let who = 0..NEXUSES.len();
    let scope = prop::sample::select(vec![ResetScope::Lun, ResetScope::Target, ResetScope::Bus]);
    prop_oneof![
        24 => (who.clone(), an_op()).prop_map(|(who, op)| Step::Execute(who, op)),
        6 => (who.clone(), an_op()).prop_map(|(who, op)| Step::Queue(who, op)),
        5 => Just(Step::RunOldest),
        1 => scope.prop_map(Step::Reset),
        1 => who.clone().prop_map(Step::Lost),
        1 => who.prop_map(Step::ClearTaskSet),
        1 => Just(Step::PowerCycle),
    ]
}

fn a_unit(behaviour: Behaviour, seed: u64) -> LogicalUnit {
    LogicalUnit::new(Config {
        behaviour,
        seed,
        blocks: BLOCKS,
        target_ports: 2,
        ..Config::default()
    })
}

/// The registration of this nexus, as READ FULL STATUS names it.
fn registration<'a>(
    state: &'a PersistentState,
    who: &Nexus,
) -> Option<&'a scsi::reservation::Registration> {
    state.registrations.iter().find(|one| match &one.nexus {
        Some(NexusId::Scsi {
            initiator,
            relative_target_port,
        }) => {
            *initiator == who.initiator
                && relative_target_port.is_none_or(|port| port == who.target_port)
        }
        Some(NexusId::Nvme { .. }) | None => false,
    })
}

/// May this nexus write? The tables, read slowly.
fn may_write(unit: &LogicalUnit, who: &Nexus) -> bool {
    if let Some(holder) = unit.spc2_holder() {
        return holder == who;
    }
    let state = unit.persistent_state();
    let Some(held) = state.reservation else {
        return true;
    };
    match registration(&state, who) {
        None => false,
        Some(_) if held.kind.admits_registrants() => true,
        Some(own) => own.holder == Some(true),
    }
}

/// Does a WRITE of this nexus reach the medium now? Tried on a copy, its attentions drained.
fn can_write(unit: &LogicalUnit, who: &Nexus) -> bool {
    let (mut unit, mut media) = (unit.clone(), MemoryMedia::new());
    let write = commands::write(0, 0xff, true);
    for _ in 0..=ATTENTIONS_MAX {
        let outcome = unit.execute(who, &write.cdb, &write.data_out, &mut media);
        if outcome.status != Status::CHECK_CONDITION {
            break;
        }
    }
    media.block(0)[0] == 0xff
}

/// A unit with what is needed to hold the next step against the one before.
struct World {
    unit: LogicalUnit,
    media: MemoryMedia,
    /// Commands that wait, and whether each may write by the tables as they were when it was accepted.
    queued: Vec<(Tag, bool)>,
}

impl World {
    /// Takes one step; says whether the medium may have changed.
    fn step(&mut self, step: &Step) -> bool {
        match step {
            Step::Execute(who, op) => {
                let who = nexus(NEXUSES[*who]);
                let admitted = op.writes() && may_write(&self.unit, &who);
                let sent = op.sent();
                let outcome = self
                    .unit
                    .execute(&who, &sent.cdb, &sent.data_out, &mut self.media);
                return admitted && outcome.status == Status::GOOD;
            }
            Step::Queue(who, op) => {
                let who = nexus(NEXUSES[*who]);
                let admitted = op.writes() && may_write(&self.unit, &who);
                let sent = op.sent();
                if let Accepted::Waits(tag) = self.unit.accept(&who, &sent.cdb, &sent.data_out) {
                    self.queued.push((tag, admitted));
                }
            }
            Step::RunOldest => {
                if !self.queued.is_empty() {
                    let (tag, admitted) = self.queued.remove(0);
                    let outcome = self.unit.run(tag, &mut self.media);
                    return admitted
                        && outcome.is_some_and(|outcome| outcome.status == Status::GOOD);
                }
            }
            Step::Reset(scope) => self.unit.reset(*scope),
            Step::Lost(who) => self.unit.nexus_loss(&nexus(NEXUSES[*who])),
            Step::ClearTaskSet(who) => self.unit.clear_task_set(&nexus(NEXUSES[*who])),
            Step::PowerCycle => {
                self.unit.power_cycle();
                self.media.power_loss();
                return true;
            }
        }
        false
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn the_rules_hold_after_every_step(
        behaviour in prop::sample::select(vec![Behaviour::Standard, Behaviour::Lio, Behaviour::Tgt]),
        steps in prop::collection::vec(a_step(), 1..60),
    ) {
        let mut world = World {
            unit: a_unit(behaviour, 0),
            media: MemoryMedia::new(),
            queued: Vec::new(),
        };
        for step in &steps {
            let (unit, media) = (world.unit.clone(), world.media.clone());
            // A SYNCHRONIZE CACHE moves blocks within the medium; what is read stays.
            let contents = |media: &MemoryMedia| (0..BLOCKS).map(|at| media.block(at)).collect::<Vec<_>>();
            let may_change = world.step(step);

            // A byte changes only by a write that the rules admitted.
            if !may_change {
                prop_assert_eq!(contents(&media), contents(&world.media), "{:?}", step);
            }
            // Who can write is who may: the tables are kept, and under an exclusive type no two write.
            let writers: Vec<&str> = NEXUSES.into_iter().filter(|who| can_write(&world.unit, &nexus(who))).collect();
            let allowed: Vec<&str> = NEXUSES.into_iter().filter(|who| may_write(&world.unit, &nexus(who))).collect();
            // tgt binds registrations to sessions: one that is listed may be nobody's any more.
            if behaviour == Behaviour::Tgt {
                prop_assert!(writers.iter().all(|who| allowed.contains(who)), "{:?} {:?}", writers, allowed);
            } else {
                prop_assert_eq!(&writers, &allowed, "after {:?}", step);
            }
            let state = world.unit.persistent_state();
            if let Some(held) = state.reservation {
                let holders = state.registrations.iter().filter(|one| one.holder == Some(true)).count();
                if held.kind.all_registrants() {
                    prop_assert_eq!(holders, state.registrations.len());
                } else if behaviour != Behaviour::Tgt {
                    prop_assert_eq!(holders, 1);
                }
            }
            // SPC-2 and persistent reservations keep out of each other's way.
            if behaviour != Behaviour::Tgt {
                prop_assert!(world.unit.spc2_holder().is_none() || state.registrations.is_empty());
            }
            if !matches!(step, Step::PowerCycle) {
                prop_assert!(state.generation >= unit.persistent_state().generation);
            }
            for who in NEXUSES {
                prop_assert!(world.unit.attentions(&nexus(who)).len() <= ATTENTIONS_MAX);
            }
            let restored = LogicalUnit::from_image(&world.unit.to_image());
            prop_assert_eq!(restored.as_ref(), Ok(&world.unit));
        }
    }

    #[test]
    fn preempt_and_abort_leaves_nothing_of_the_victim_to_run(
        steps in prop::collection::vec(a_step(), 0..40),
        victim in 0..NEXUSES.len(),
    ) {
        let mut world = World {
            unit: a_unit(Behaviour::Standard, 0),
            media: MemoryMedia::new(),
            queued: Vec::new(),
        };
        for step in &steps {
            world.step(step);
        }
        let (me, victim) = (Nexus::new(commands::initiator_of("z"), 1), nexus(NEXUSES[victim]));
        let ignore = |unit: &mut LogicalUnit, media: &mut MemoryMedia, who: &Nexus, key| {
            let register = commands::pr_out(PrOutAction::RegisterAndIgnoreExistingKey, None, &commands::keys(0, key));
            for _ in 0..=ATTENTIONS_MAX {
                unit.execute(who, &register.cdb, &register.data_out, media);
            }
        };
        // Both registered, whatever went before: SPC-2 reservations are reset away, PR survives that.
        world.unit.reset(ResetScope::Lun);
        ignore(&mut world.unit, &mut world.media, &victim, 0x66);
        ignore(&mut world.unit, &mut world.media, &me, 0x77);
        let write = commands::write(1, 0x55, false);
        let waits = world.unit.accept(&victim, &write.cdb, &write.data_out);
        let preempt = commands::pr_out(
            PrOutAction::PreemptAndAbort,
            Some(ReservationType::WriteExclusive),
            &commands::keys(0x77, 0x66),
        );
        let outcome = world.unit.execute(&me, &preempt.cdb, &preempt.data_out, &mut world.media);
        prop_assert_eq!(outcome.status, Status::GOOD);
        if let Accepted::Waits(tag) = waits {
            prop_assert_eq!(world.unit.run(tag, &mut world.media), None);
        }
        prop_assert!(!world.unit.is_registered(&victim));
        prop_assert!(world.unit.waiting().all(|(_, who)| *who != victim));
    }

    #[test]
    fn a_hostile_unit_is_bounded_deterministic_and_restored_equal(
        seed: u64,
        steps in prop::collection::vec(a_step(), 1..60),
    ) {
        let start = || World {
            unit: a_unit(Behaviour::Hostile, seed),
            media: MemoryMedia::new(),
            queued: Vec::new(),
        };
        let (mut one, mut other) = (start(), start());
        for step in &steps {
            one.step(step);
            other.step(step);
            prop_assert_eq!(&one.unit, &other.unit);
            let restored = LogicalUnit::from_image(&one.unit.to_image());
            prop_assert_eq!(restored.as_ref(), Ok(&one.unit));
            for who in NEXUSES {
                prop_assert!(one.unit.attentions(&nexus(who)).len() <= ATTENTIONS_MAX);
            }
        }
    }

    #[test]
    fn no_command_of_any_bytes_panics(
        behaviour in prop::sample::select(Behaviour::ALL.to_vec()),
        commands in prop::collection::vec(
            (prop::collection::vec(any::<u8>(), 6..=32), prop::collection::vec(any::<u8>(), 0..64), 0..NEXUSES.len()),
            1..20,
        ),
    ) {
        let mut unit = a_unit(behaviour, 1);
        let mut media = MemoryMedia::new();
        for (bytes, data_out, who) in commands {
            let cdb = Cdb::new(&bytes).unwrap();
            unit.execute(&nexus(NEXUSES[who]), &cdb, &data_out, &mut media);
        }
    }

    #[test]
    fn no_image_of_any_bytes_panics(
        steps in prop::collection::vec(a_step(), 0..20),
        at: prop::sample::Index,
        flip in 1_u8..,
        cut: prop::sample::Index,
    ) {
        let mut world = World {
            unit: a_unit(Behaviour::Standard, 0),
            media: MemoryMedia::new(),
            queued: Vec::new(),
        };
        for step in &steps {
            world.step(step);
        }
        let mut image = world.unit.to_image();
        prop_assert!(LogicalUnit::from_image(&image[..cut.index(image.len())]).is_err());
        let at = at.index(image.len());
        image[at] ^= flip;
        if let Ok(unit) = LogicalUnit::from_image(&image) {
            // What was taken is a unit that works.
            prop_assert_eq!(LogicalUnit::from_image(&unit.to_image()), Ok(unit.clone()));
            can_write(&unit, &nexus("a"));
        }
    }
}
