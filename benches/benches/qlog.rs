//! The log without a disk: checksums, frames, commits over memory, and the scan of an open. What a disk adds is
//! `log-peers`' subject.

use criterion::{BatchSize, BenchmarkGroup, Criterion, Throughput, measurement::WallTime};
use qlog::storage::MemoryStorage;
use qlog::{Claim, Cluster, Entry, Fencing, Format, Log, Lsn, Owner, Replay, WriteError, pieces};
use std::hint::black_box;
use std::sync::Arc;

/// Records in a frame, and the bytes of each.
const FRAMES: [(usize, usize); 4] = [(1, 256), (1, 4096), (64, 256), (1, 1 << 20)];

const REGION_BYTES: usize = 64 << 20;

fn main() {
    let mut criterion = Criterion::default().configure_from_args();
    checksums(&mut criterion);
    frames(&mut criterion);
    commits(&mut criterion);
    scan(&mut criterion);
    criterion.final_summary();
}

fn checksums(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("qlog/checksums");
    for bytes in [256, 4096, 16 << 10, 1 << 20] {
        let body = noise(bytes);
        group.throughput(Throughput::Bytes(bytes as u64));
        group.bench_function(bytes.to_string(), |bencher| {
            bencher.iter(|| pieces::sums(black_box(&body)));
        });
    }
}

fn frames(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("qlog/frame");
    for (count, bytes) in FRAMES {
        let records = vec![noise(bytes); count];
        let mut frame = Vec::new();
        throughput(&mut group, count, bytes);
        group.bench_function(format!("encode/{count}x{bytes}"), |bencher| {
            bencher.iter(|| pieces::encode(black_box(&records), &mut frame));
        });
        pieces::encode(&records, &mut frame);
        assert_eq!(pieces::decode(&mut frame), Some(count * bytes));
        group.bench_function(format!("decode/{count}x{bytes}"), |bencher| {
            bencher.iter(|| pieces::decode(black_box(&mut frame)));
        });
    }
}

/// A commit without its disk: what the log adds to a write and a flush.
fn commits(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("qlog/commit");
    for (count, bytes) in FRAMES {
        let log = new_log();
        let record = noise(bytes);
        throughput(&mut group, count, bytes);
        group.bench_function(format!("{count}x{bytes}"), |bencher| {
            bencher.iter(|| commit(&log, black_box(&record), count));
        });
    }
}

/// Opens a log of 10,000 records: every root, head and frame is read and verified.
fn scan(criterion: &mut Criterion) {
    const RECORDS: usize = 10_000;
    let mut group = criterion.benchmark_group("qlog/open");
    for (count, bytes) in [(1, 256), (64, 256)] {
        let storage = new_storage();
        let log = claim(&storage);
        let record = noise(bytes);
        for _ in 0..RECORDS / count {
            commit(&log, &record, count);
        }
        drop(log);
        throughput(&mut group, RECORDS, bytes);
        group.bench_function(format!("{RECORDS}x{bytes}, {count} a frame"), |bencher| {
            let storage = || Arc::clone(&storage);
            bencher.iter_batched(storage, open_all, BatchSize::PerIteration);
        });
    }
}

fn open_all(storage: Arc<MemoryStorage>) -> u64 {
    let mut seen = Bytes(0);
    let found = qlog::open(storage, &mut seen).expect("it was just written");
    drop(found);
    seen.0
}

/// Counts what is handed out.
struct Bytes(u64);

impl Replay for Bytes {
    fn checkpoint(&mut self, _: Lsn, state: &[u8]) {
        self.0 += state.len() as u64;
    }

    fn record(&mut self, entry: Entry<'_>) {
        self.0 += entry.bytes.len() as u64;
    }
}

fn commit(log: &Log<Arc<MemoryStorage>>, record: &[u8], count: usize) {
    let mut last = None;
    for _ in 0..count {
        last = Some(match log.append(record) {
            Err(WriteError::Full { .. }) => {
                let durable = log.position().durable;
                log.checkpoint(Lsn(durable.0 - 1), &[])
                    .expect("the memory does not fail");
                log.append(record).expect("a checkpoint made room")
            }
            done => done.expect("the memory does not fail"),
        });
    }
    if let Some(ticket) = last {
        log.commit(ticket).expect("the memory does not fail");
    }
}

fn new_storage() -> Arc<MemoryStorage> {
    let storage = Arc::new(MemoryStorage::new(REGION_BYTES, 4096));
    let format = Format::for_region(REGION_BYTES as u64, 4096).expect("large enough");
    qlog::create(&storage, format, Cluster::default(), &mut |_| {})
        .expect("the memory does not fail");
    storage
}

fn claim(storage: &Arc<MemoryStorage>) -> Log<Arc<MemoryStorage>> {
    let found = qlog::open(Arc::clone(storage), &mut ()).expect("it was just written");
    let claim = Claim::new(Owner::default(), Fencing::Unfenced);
    found.claim(claim).expect("nobody else writes it")
}

fn new_log() -> Log<Arc<MemoryStorage>> {
    claim(&new_storage())
}

fn throughput(group: &mut BenchmarkGroup<'_, WallTime>, count: usize, bytes: usize) {
    group.throughput(Throughput::Bytes((count * bytes) as u64));
}

/// Bytes without a pattern that a checksum or a copy could profit from (xorshift64).
fn noise(bytes: usize) -> Vec<u8> {
    let mut state = 0x9E37_79B9_7F4A_7C15_u64;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()
    };
    (0..bytes.div_ceil(8))
        .flat_map(|_| next())
        .take(bytes)
        .collect()
}
