//! One operation of the emulated logical unit, with one and with many registrants.

use criterion::{BatchSize, BenchmarkId, Criterion, criterion_group, criterion_main};
use scsi::logical_unit::{Config, LogicalUnit, MemoryMedia, Nexus, REGISTRATIONS_MAX};
use scsi::reservation::{Key, ReservationType};
use scsi::wire::cdb::{Access, BlockRange, Command, PrInAction, PrOutAction};
use scsi::wire::persistent_out::BasicList;
use scsi::wire::status::Status;
use scsi::wire::transport_id::TransportId;
use std::hint::black_box;

fn nexus(number: u64) -> Nexus {
    Nexus::new(TransportId::Sas(number.to_be_bytes()), 1)
}

fn pr_out(action: PrOutAction, key: u64, service_action_key: u64) -> (Command, Vec<u8>) {
    let list = BasicList {
        key: Key::new(key),
        service_action_key: Key::new(service_action_key),
        ..BasicList::default()
    }
    .emit();
    let command = Command::PersistentReserveOut {
        action,
        scope: 0,
        kind: ReservationType::WriteExclusiveRegistrantsOnly.scsi_code(),
        parameter_list_length: 24,
    };
    (command, list)
}

/// Registrants 1 to `count` with keys of the same number; the first holds.
fn unit(count: u64) -> LogicalUnit {
    let (mut unit, mut media) = (LogicalUnit::new(Config::default()), MemoryMedia::new());
    let mut good = |number: u64, (command, list): (Command, Vec<u8>)| {
        let outcome = unit.execute(&nexus(number), &command.cdb(), &list, &mut media);
        assert_eq!(outcome.status, Status::GOOD);
    };
    for number in 1..=count {
        good(number, pr_out(PrOutAction::Register, 0, number));
    }
    good(1, pr_out(PrOutAction::Reserve, 1, 0));
    unit
}

fn operations(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("logical_unit");
    let mut media = MemoryMedia::new();
    let most = u64::try_from(REGISTRATIONS_MAX).unwrap_or(u64::MAX);
    for count in [1, 64, most] {
        let start = unit(count);
        let last = nexus(count);

        let ready = Command::TestUnitReady.cdb();
        let mut unit = start.clone();
        group.bench_function(BenchmarkId::new("test_unit_ready", count), |bencher| {
            bencher.iter(|| black_box(unit.execute(&last, black_box(&ready), &[], &mut media)));
        });

        let write = Command::Write {
            range: BlockRange::new(7, 1),
            access: Access::default(),
        }
        .cdb();
        let block = [0x5a; 512];
        group.bench_function(BenchmarkId::new("write_one_block", count), |bencher| {
            bencher.iter(|| black_box(unit.execute(&last, black_box(&write), &block, &mut media)));
        });

        let full_status = Command::PersistentReserveIn {
            action: PrInAction::ReadFullStatus,
            allocation_length: 65528,
        }
        .cdb();
        group.bench_function(BenchmarkId::new("read_full_status", count), |bencher| {
            bencher
                .iter(|| black_box(unit.execute(&last, black_box(&full_status), &[], &mut media)));
        });

        let (command, list) = pr_out(PrOutAction::Preempt, count, 1);
        let preempt = command.cdb();
        group.bench_function(BenchmarkId::new("preempt_the_holder", count), |bencher| {
            bencher.iter_batched_ref(
                || start.clone(),
                |unit| black_box(unit.execute(&last, black_box(&preempt), &list, &mut media)),
                BatchSize::SmallInput,
            );
        });
    }
    group.finish();
}

criterion_group!(benches, operations);
criterion_main!(benches);
