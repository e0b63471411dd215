//! What PERSISTENT RESERVE IN brings back, parsed: READ KEYS and READ FULL STATUS of 1, 64 and 1024
//! registrants.

use criterion::{BenchmarkId, Criterion, Throughput};
use scsi::reservation::{Key, ReservationType};
use scsi::wire::persistent_in::{FullStatus, FullStatusEntry, LAST_ALLOCATION, RegisteredKeys};
use scsi::wire::transport_id::TransportId;
use std::hint::black_box;

const REGISTRANTS: [u64; 3] = [1, 64, 1024];

fn main() {
    let mut criterion = Criterion::default().configure_from_args();
    read_keys(&mut criterion);
    read_full_status(&mut criterion);
    criterion.final_summary();
}

fn keys(count: u64) -> impl Iterator<Item = Key> {
    (1..=count).filter_map(Key::new)
}

fn read_keys(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("read_keys_parse");
    for count in REGISTRANTS {
        let answer = RegisteredKeys {
            generation: 7,
            keys: keys(count).collect(),
        }
        .emit();
        group.throughput(Throughput::Elements(count));
        group.bench_with_input(
            BenchmarkId::from_parameter(count),
            &answer,
            |bencher, answer| {
                bencher.iter(|| RegisteredKeys::parse(black_box(answer), LAST_ALLOCATION));
            },
        );
    }
    group.finish();
}

/// Over SAS, whose identifiers have the usual 24 bytes: an iSCSI list of 1024 would not fit the sixteen
/// bits of an allocation length.
fn read_full_status(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("read_full_status_parse");
    for count in REGISTRANTS {
        let entry = |key: Key| FullStatusEntry {
            key,
            holds: (key.get() == 1).then_some(ReservationType::WriteExclusiveRegistrantsOnly),
            relative_target_port: Some(1),
            initiator: TransportId::Sas(key.get().to_be_bytes()),
        };
        let status = FullStatus {
            generation: 7,
            entries: keys(count).map(entry).collect(),
        };
        let answer = status.emit();
        assert_eq!(FullStatus::parse(&answer, LAST_ALLOCATION), Ok(status));
        group.throughput(Throughput::Elements(count));
        group.bench_with_input(
            BenchmarkId::from_parameter(count),
            &answer,
            |bencher, answer| {
                bencher.iter(|| FullStatus::parse(black_box(answer), LAST_ALLOCATION));
            },
        );
    }
    group.finish();
}
