//! Many threads on one handle while the storage fails at its k-th I/O, for every k: nobody hangs, everybody is told
//! the same, and the next open is within the oracle.

use crate::disk::{Disk, Fate};
use crate::oracle::Found;
use crate::rng::Rng;
use crate::world::{claim_of, geometry, image};
use qlog::{Guards, Log, Lsn, Poisoned, WriteError};
use std::collections::BTreeMap;
use std::sync::Mutex;
use std::time::Duration;

const THREADS: u8 = 4;
const RECORDS: u8 = 12;

/// Acknowledged and submitted records by number.
#[derive(Default)]
struct Seen {
    submitted: BTreeMap<u64, Vec<u8>>,
    acknowledged: u64,
}

fn appends<S: qlog::Storage>(log: &Log<S>, thread: u8, seen: &Mutex<Seen>) {
    for number in 0..RECORDS {
        let record = vec![thread, number, thread ^ number];
        let ticket = match log.append(&record) {
            Ok(ticket) => ticket,
            Err(WriteError::Full { .. }) => continue,
            Err(_) => return,
        };
        seen.lock().unwrap().submitted.insert(ticket.lsn.0, record);
        if log.commit(ticket).is_err() {
            return;
        }
        let mut seen = seen.lock().unwrap();
        seen.acknowledged = seen.acknowledged.max(ticket.lsn.0);
    }
}

fn checkpoints<S: qlog::Storage>(log: &Log<S>) {
    for number in 0..6_u8 {
        let durable = log.position().durable.0 - 1;
        if log.checkpoint(Lsn(durable), &[number; 100]).is_err() {
            return;
        }
    }
}

/// The poison, when the k-th I/O met it.
fn with_failure(k: u64, fate: Fate) -> Option<Poisoned> {
    let format = qlog::Format {
        segments: 7,
        segment_bytes: 4096,
        ..geometry(&mut Rng::new(2), false)
    };
    let format = qlog::Format {
        region_bytes: format.used_bytes().next_multiple_of(4096),
        ..format
    };
    let disk = Disk::new(image(format), 64, format.block_bytes, k);
    let (_, opened) = Found::open(disk.port(1, None), Guards::ALL_ON).unwrap();
    let log = opened.claim(claim_of(1, k + 1)).unwrap();
    let port = disk.port(1, Some((k, fate)));
    let seen = Mutex::new(Seen::default());
    std::thread::scope(|scope| {
        for thread in 0..THREADS {
            let (log, seen) = (&log, &seen);
            scope.spawn(move || appends(log, thread, seen));
        }
        scope.spawn(|| checkpoints(&log));
    });
    drop(port);
    let poisoned = log.poisoned();
    if let Some(poisoned) = &poisoned {
        let told = [
            log.append(b"more").map(|_| ()),
            log.seal(),
            log.checkpoint(Lsn(0), b""),
            log.put_object("name", b""),
            log.close(),
            log.park().map(|_| ()),
        ];
        for answer in told {
            assert_eq!(answer, Err(WriteError::Poisoned(poisoned.clone())));
        }
    }
    drop(log);
    disk.power_on();
    let (found, opened) = Found::open(disk.port(2, None), Guards::ALL_ON).unwrap();
    let seen = seen.into_inner().unwrap();
    let end = found.next - 1;
    assert!(
        end >= seen.acknowledged,
        "k {k}: {end} of {}",
        seen.acknowledged
    );
    if let Some(poisoned) = &poisoned {
        let possible = poisoned.indeterminate.start.0 - 1..poisoned.indeterminate.end.0;
        // A frame that was under way when another thread's write failed may have been acknowledged after all.
        assert!(
            possible.contains(&end),
            "k {k}: {end} is not in {possible:?}"
        );
    }
    for (lsn, record) in &found.records {
        assert_eq!(seen.submitted.get(lsn), Some(record), "k {k}, LSN {lsn}");
    }
    opened.claim(claim_of(2, k + 2)).unwrap();
    poisoned
}

#[test]
fn a_failure_at_any_io_ends_the_handle_for_everybody() {
    let (done, watch) = std::sync::mpsc::channel();
    let work = std::thread::spawn(move || {
        let mut reached = 0;
        for fate in [Fate::WriteError, Fate::FlushError, Fate::NoSpace, Fate::Cut] {
            for k in 1.. {
                match with_failure(k, fate) {
                    Some(_) => reached += 1,
                    None if k > 30 => break,
                    None => {}
                }
            }
        }
        println!("{reached} failures met");
        done.send(reached).unwrap();
    });
    let reached = watch.recv_timeout(Duration::from_secs(300));
    if reached.is_err() && work.is_finished() {
        work.join().unwrap();
    }
    assert!(reached.expect("nobody hangs") > 100);
}
