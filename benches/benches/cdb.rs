//! CDBs: built as an initiator does it, parsed as a device server does it.

use criterion::{Criterion, Throughput};
use scsi::wire::cdb::{Access, BlockRange, Cdb, Command, PrInAction, PrOutAction};
use std::hint::black_box;

fn main() {
    let mut criterion = Criterion::default().configure_from_args();
    let commands = [
        ("test_unit_ready", Command::TestUnitReady),
        ("reserve_6", Command::Reserve6),
        (
            "pr_in_read_full_status",
            Command::PersistentReserveIn {
                action: PrInAction::ReadFullStatus,
                allocation_length: 4096,
            },
        ),
        (
            "pr_out_preempt_and_abort",
            Command::PersistentReserveOut {
                action: PrOutAction::PreemptAndAbort,
                scope: 0,
                kind: 1,
                parameter_list_length: 24,
            },
        ),
        (
            "write_16",
            Command::Write {
                range: BlockRange::new(1 << 33, 8),
                access: Access::FUA,
            },
        ),
    ];
    build(&mut criterion, &commands);
    parse(&mut criterion, &commands);
    criterion.final_summary();
}

fn build(criterion: &mut Criterion, commands: &[(&str, Command)]) {
    let mut group = criterion.benchmark_group("cdb_build");
    group.throughput(Throughput::Elements(1));
    for (name, command) in commands {
        group.bench_function(*name, |bencher| {
            bencher.iter(|| black_box(command).cdb());
        });
    }
    group.finish();
}

fn parse(criterion: &mut Criterion, commands: &[(&str, Command)]) {
    let mut group = criterion.benchmark_group("cdb_parse");
    group.throughput(Throughput::Elements(1));
    for (name, command) in commands {
        let cdb: Cdb = command.cdb();
        assert_eq!(Command::parse(cdb.as_bytes()), Ok(*command));
        group.bench_function(*name, |bencher| {
            bencher.iter(|| Command::parse(black_box(cdb.as_bytes())));
        });
    }
    group.finish();
}
