//! One arbitration decision: what a defender makes of a state that was read.

use criterion::{BatchSize, BenchmarkId, Criterion, criterion_group, criterion_main};
use quorum_core::Instant;
use quorum_core::arbitration::{
    Arbitration, CommandId, Config, Input, KeyParts, Mode, NodeNumber, Output, Status,
};
use quorum_core::times::Profile;
use scsi::reservation::{
    Answer, Capabilities, Key, PersistentState, Registration, Reply, Reservation, ReservationType,
    Support, Verb,
};
use std::hint::black_box;

const NODE: NodeNumber = NodeNumber(1);

fn config() -> Config {
    Config::new(
        Mode::Persistent,
        "bench",
        NODE,
        Profile::Default.times(Mode::Persistent),
    )
}

/// A disk that does whatever it is asked.
#[derive(Default)]
struct Agreeable {
    key: Option<Key>,
    held: bool,
}

impl Agreeable {
    fn answer(&mut self, verb: &Verb) -> Answer {
        Answer::Done(match verb {
            Verb::ReadCapabilities => Reply::Capabilities(Capabilities {
                aptpl_capable: Support::Yes,
                aptpl_active: Support::Yes,
                ..Capabilities::default()
            }),
            Verb::ReadState => Reply::State(state(self.key, self.held, 0)),
            Verb::Register { new, .. } => {
                self.key = *new;
                Reply::Good
            }
            Verb::Reserve { .. } => {
                self.held = true;
                Reply::Good
            }
            Verb::TestUnitReady
            | Verb::Spc2Reserve
            | Verb::Spc2Release
            | Verb::RegisterIgnoringExisting { .. }
            | Verb::Release { .. }
            | Verb::Clear { .. }
            | Verb::Preempt { .. }
            | Verb::Move { .. }
            | Verb::ReplaceLost { .. }
            | Verb::ClearTaskSet
            | Verb::Reset { .. } => Reply::Good,
        })
    }
}

/// The state of a disk with this node's key and so many challengers'.
fn state(key: Option<Key>, held: bool, challengers: u32) -> PersistentState {
    let theirs = (1..=challengers).map(|serial| {
        KeyParts {
            cluster: config().cluster,
            node: NodeNumber(2),
            serial,
        }
        .encode()
    });
    let registrations = key.into_iter().chain(theirs).map(|key| Registration {
        key,
        nexus: None,
        holder: None,
        all_target_ports: false,
    });
    PersistentState {
        generation: 1,
        registrations: registrations.collect(),
        reservation: held.then_some(Reservation {
            key,
            kind: ReservationType::WriteExclusive,
        }),
    }
}

/// An owner with one read of its round out, and that read's name.
fn owner() -> (Arbitration, Instant, CommandId, Option<Key>) {
    let mut machine = Arbitration::new(config());
    let mut disk = Agreeable::default();
    let mut now = Instant::ZERO;
    machine.handle(now, Input::Start { serials: (1, 1000) });
    loop {
        let mut out = None;
        while let Some(output) = machine.poll_output() {
            if let Output::Perform { id, verb, .. } = output {
                out = Some((id, verb));
            }
        }
        match out {
            Some((id, Verb::ReadState)) if machine.status() == Status::Owner => {
                return (machine, now, id, disk.key);
            }
            Some((id, verb)) => {
                let exchange = disk.answer(&verb).into();
                let sent_at = now;
                machine.handle(
                    now,
                    Input::Answer {
                        id,
                        sent_at,
                        exchange,
                    },
                );
            }
            None => {
                now = machine.next_deadline().unwrap_or(now);
                machine.handle(now, Input::Fed);
                machine.handle(now, Input::Tick);
            }
        }
    }
}

fn decide(criterion: &mut Criterion) {
    let (machine, now, id, key) = owner();
    let mut group = criterion.benchmark_group("arbitration/decision");
    for challengers in [0, 1, 63] {
        let input = Input::Answer {
            id,
            sent_at: now,
            exchange: Answer::Done(Reply::State(state(key, true, challengers))).into(),
        };
        group.bench_with_input(
            BenchmarkId::new("challengers", challengers),
            &input,
            |bencher, input| {
                bencher.iter_batched(
                    || (machine.clone(), input.clone()),
                    |(mut machine, input)| {
                        machine.handle(now, input);
                        while let Some(output) = machine.poll_output() {
                            black_box(output);
                        }
                        machine
                    },
                    BatchSize::SmallInput,
                );
            },
        );
    }
    group.finish();
}

criterion_group!(benches, decide);
criterion_main!(benches);
