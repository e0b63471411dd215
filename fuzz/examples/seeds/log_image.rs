//! Logs at work, as pictures.

use super::{Seeds, named};
use fuzz::{Picture, Rights};
use qlog::storage::MemoryStorage;
use qlog::{Claim, Cluster, Fencing, Format, Log, Owner};

/// The smallest blocks, and a ring that few records go round.
const LOG: Format = Format {
    block_bytes: 256,
    segments: 6,
    segment_bytes: 2048,
    catalogue_bytes: 512,
    chunk_bytes: 256,
    chunks: 8,
    region_bytes: 88 << 10,
};

type Region = std::sync::Arc<MemoryStorage>;

fn log_owner(region: &Region) -> Log<Region> {
    let found = qlog::open(Region::clone(region), &mut ()).expect("it opens");
    let owner = Owner {
        node: 3,
        key: 0xbeef,
    };
    let claim = Claim {
        incarnation: 11,
        ..Claim::new(owner, Fencing::Unfenced)
    };
    found.claim(claim).expect("a claim")
}

pub(crate) fn log_image() -> Seeds {
    let bytes = usize::try_from(LOG.region_bytes).expect("small");
    let region = Region::new(MemoryStorage::new(bytes, 256));
    let cluster = Cluster {
        name: "fuzz".into(),
        times: vec![1, 2, 3],
    };
    qlog::create(&*region, LOG, cluster, &mut |_| {}).expect("a log");
    let picture = |rights| Picture {
        rights,
        unreadable: None,
        image: region.image(),
    };
    let mut seeds = vec![("new", picture(Rights::ALL))];
    let log = log_owner(&region);
    let mut last = log.append_durable(b"first").expect("room");
    for length in [0, 40, 500, 30] {
        last = log.append_durable(&vec![7; length]).expect("room");
    }
    log.put_object("object", &[5; 300]).expect("room");
    log.checkpoint(last, &[6; 100]).expect("room");
    for length in [10, 20, 400] {
        last = log.append_durable(&vec![8; length]).expect("room");
    }
    seeds.push(("checkpoint", picture(Rights::ALL)));
    drop(log);
    let log = log_owner(&region);
    log.append_durable(b"second epoch").expect("room");
    log.checkpoint(last, &[9; 400]).expect("room");
    log.append_durable(b"behind both").expect("room");
    log.park().expect("the mark");
    seeds.push(("parked", picture(Rights::ALL)));
    // What a disk does to it by itself: a flipped bit, a page that is gone.
    let mut flipped = picture(Rights(0));
    let frame = flipped
        .image
        .windows(12)
        .position(|bytes| bytes == b"second epoch");
    flipped.image[frame.expect("the record")] ^= 4;
    seeds.push(("flipped", flipped));
    let mut bad_page = picture(Rights(0));
    bad_page.unreadable = Some(9);
    seeds.push(("bad_page", bad_page));
    // What it does not do by itself, but whoever forges the sums.
    let mut shadow = picture(Rights::ALL);
    let head = shadow
        .image
        .windows(4)
        .position(|bytes| bytes == b"QSHD")
        .expect("a slot");
    shadow.image[head + 16..head + 20].fill(0xff);
    seeds.push(("shadow_of_a_block_beyond_the_segment", shadow));
    let emit = |(name, picture): (&'static str, Picture)| (name, picture.emit());
    named(seeds.into_iter().map(emit).collect())
}
