//! Group commit: admission, one leader, one write.

use super::crowd::Step;
use super::place::{Placement, RESERVE, Tail, Target, next_generation};
use super::{Log, State, Writer};
use crate::error::Poisoned;
use crate::frame::{self, HEADER_BYTES, Header, Kind};
use crate::guards::Guard;
use crate::ids::{Generation, Lsn};
use crate::layout::RingSet;
use crate::segment::{Head, ShadowHead};
use crate::storage::Storage;
use crate::sum::Sums;
use crate::superblock::Extent;
use crate::words::{round_up, small};
use std::sync::MutexGuard;
use std::time::Instant;

/// A frame on its way.
struct Sealed {
    first: Lsn,
    records: u16,
    kind: Kind,
    body: Vec<u8>,
    /// Where it goes; its tail is the one before it.
    tail: Tail,
    placement: Placement,
    /// The head of the segment that it begins.
    head: Option<Head>,
}

impl<S: Storage> Log<S> {
    /// Can the open batch take a record of this size, and still be placed? Not when it would have to leave the present
    /// segment for it, where what is left would be wasted.
    pub(super) fn batch_takes(&self, state: &State, record: usize) -> bool {
        let body = state.body.len() + frame::record_bytes(record);
        if body > frame::MAX_BODY_BYTES || state.records == u16::MAX {
            return false;
        }
        let segment = |body| {
            let (tail, _) = self.destination(state, frame::frame_bytes(body))?;
            Some(tail.generation)
        };
        match segment(body) {
            None => false,
            Some(with_it) if state.records == 0 || with_it == state.tail.generation => true,
            with_it => with_it == segment(state.body.len()),
        }
    }

    /// There is room for a seal behind the last frame. It never begins a segment: every one that is left behind has
    /// records, so that it is known to be in use.
    pub(super) fn seal_fits(&self, state: &State) -> bool {
        self.data_may_go_here(state) && self.place(state.tail, frame::frame_bytes(0)).is_some()
    }

    fn place(&self, tail: Tail, frame: u64) -> Option<Placement> {
        let segment = self.layout().format().segment_bytes;
        tail.place(frame, self.layout().block(), segment, self.shared.guards)
    }

    /// Where a frame of this size goes: the present segment, or a new one.
    fn destination(&self, state: &State, frame: u64) -> Option<(Tail, Placement)> {
        let place = |tail: Tail| Some((tail, self.place(tail, frame)?));
        let is_empty = state.tail.generation == self.first && state.tail.number <= 1;
        let can_roll = self.segments_to_spare(state) > 0 && !is_empty;
        let here = self
            .data_may_go_here(state)
            .then(|| place(state.tail))
            .flatten();
        let new = || {
            self.next_segment(state)
                .and_then(|next| place(Tail::of_new(next)))
        };
        match here {
            Some(here) if !(state.roll && can_roll) => Some(here),
            here => can_roll.then(new).flatten().or(here),
        }
    }

    /// The segments that hold something, the present one included even while it holds nothing.
    pub(super) fn in_use(&self, state: &State) -> RingSet {
        let used = state.extents.iter().map(|extent| extent.generation);
        self.layout().ring_set(used.chain([state.tail.generation]))
    }

    fn next_segment(&self, state: &State) -> Option<Generation> {
        let taken = self.in_use(state) | self.avoid;
        next_generation(self.layout(), state.tail.generation, taken)
    }

    fn reserve(&self) -> u32 {
        if self.shared.guards.on(Guard::Reserve) {
            RESERVE
        } else {
            0
        }
    }

    /// How many more segments appends may begin.
    pub(super) fn segments_to_spare(&self, state: &State) -> u32 {
        self.segments_to_spare_beside(self.in_use(state))
    }

    /// How many more segments appends may begin when these are in use.
    pub(super) fn segments_to_spare_beside(&self, used: RingSet) -> u32 {
        let segments = self.layout().format().segments;
        let free = (segments - self.reserve()).saturating_sub(used.len());
        free.min(segments - (used | self.avoid).len())
    }

    /// The present segment has records, or may have some without taking the reserve.
    pub(super) fn data_may_go_here(&self, state: &State) -> bool {
        let used = self.in_use(state).len();
        let has_records = state
            .extents
            .last()
            .is_some_and(|last| last.generation == state.tail.generation);
        has_records || used + self.reserve() <= self.layout().format().segments
    }

    /// The present segment up to the last acknowledged frame.
    pub(super) fn present_extent(&self, state: &State) -> Extent {
        let writer = state.writer.as_ref().expect("nothing is in flight");
        let first_lsn = match state.extents.last() {
            Some(last) if last.generation == state.tail.generation => last.first_lsn,
            _ => state.durable,
        };
        Extent {
            generation: state.tail.generation,
            epoch: self.epoch,
            incarnation: self.incarnation,
            first_lsn,
            end_lsn: state.durable,
            end: small(usize::try_from(state.tail.end).expect("inside a segment")),
            sum: writer.sum,
        }
    }

    /// Waits for the record, leading whenever nobody does.
    pub(super) fn commit_locked<'a>(
        &'a self,
        mut state: MutexGuard<'a, State>,
        lsn: Lsn,
    ) -> Result<(), Poisoned> {
        if state.durable <= lsn {
            state.crowd.arrive();
        }
        let mut batch = None;
        loop {
            if state.durable > lsn {
                return Ok(());
            }
            if let Some(poisoned) = &state.poisoned {
                return Err(poisoned.clone());
            }
            let step = if state.writer.is_some() {
                state.crowd.step(lsn)
            } else {
                Step::Sleep
            };
            let patience = match step {
                // Nothing is in flight, so the record is in the open batch.
                Step::Lead => return self.lead(state),
                Step::Sleep => None,
                Step::SleepAtMost(patience) => Some(patience),
            };
            let batch = batch.get_or_insert_with(|| state.sleepers.join());
            drop(state);
            let deadline = patience.map(|patience| Instant::now() + patience);
            if let Some(result) = batch.sleep(patience) {
                return result;
            }
            state = self.lock();
            if deadline.is_some_and(|deadline| Instant::now() >= deadline) {
                state.crowd.give_up(lsn);
            }
        }
    }

    /// Seals the open batch and writes it; it is durable, or the handle has ended.
    ///
    /// When somebody else leads by now, or there is nothing to write, it does nothing.
    pub(super) fn lead<'a>(&'a self, mut state: MutexGuard<'a, State>) -> Result<(), Poisoned> {
        if (state.records == 0 && !state.seal) || state.poisoned.is_some() {
            return Ok(());
        }
        let Some(mut writer) = state.writer.take() else {
            return Ok(());
        };
        let sealed = self.seal_batch(&mut state, &mut writer);
        let sleepers = std::mem::take(&mut state.sleepers);
        let end = Lsn(sealed.first.0 + u64::from(sealed.records));
        drop(state);

        let begun = Instant::now();
        let written = self.write_frame(&mut writer, &sealed);
        let took = begun.elapsed();

        state = self.lock();
        let result = match written {
            Ok(extent) => {
                state.durable = end;
                state.crowd.flushed(took);
                self.grown(&mut state, extent);
                writer.spare_body = sealed.body;
                writer.spare_body.clear();
                Ok(())
            }
            Err((cause, fenced)) => Err(self.poison(&mut state, cause, fenced)),
        };
        state.writer = Some(writer);
        let came_meanwhile = state.sleepers.first();
        drop(state);
        sleepers.settle(&result);
        if let Some(sleeper) = came_meanwhile {
            // One of them sees to the next frame.
            sleeper.unpark();
        }
        result
    }

    /// The open batch becomes a frame with a place, and the next one is opened.
    fn seal_batch(&self, state: &mut State, writer: &mut Writer) -> Sealed {
        let body = std::mem::replace(&mut state.body, std::mem::take(&mut writer.spare_body));
        let records = std::mem::take(&mut state.records);
        let frame = frame::frame_bytes(body.len());
        let destination = if records == 0 {
            self.place(state.tail, frame)
                .map(|place| (state.tail, place))
        } else {
            self.destination(state, frame)
        };
        let (tail, placement) = destination.expect("it was admitted, and nothing was placed since");
        let first = Lsn(state.next.0 - u64::from(records));
        let head = (placement.target == Target::NewSegment).then(|| Head {
            generation: tail.generation,
            epoch: self.epoch,
            incarnation: self.incarnation,
            first_lsn: first,
            previous: state.tail.generation,
            previous_end: small(usize::try_from(state.tail.end).expect("inside a segment")),
            previous_sum: writer.sum,
            sum: 0,
        });
        if head.is_some() {
            state.roll = false;
        }
        state.crowd.seal();
        state.seal = false;
        state.unsealed = records > 0;
        state.tail = tail.after(&placement, frame);
        let kind = if records == 0 { Kind::Seal } else { Kind::Data };
        Sealed {
            first,
            records,
            kind,
            body,
            tail,
            placement,
            head,
        }
    }

    /// The present segment holds more now, or another one is the present one.
    fn grown(&self, state: &mut State, extent: Extent) {
        match state.extents.last_mut() {
            Some(last) if last.generation == extent.generation => {
                *last = Extent {
                    first_lsn: last.first_lsn,
                    ..extent
                }
            }
            _ if extent.first_lsn < extent.end_lsn => state.extents.push(extent),
            _ => {}
        }
    }

    /// Composes the write, does it, and proves ownership before and after.
    fn write_frame(&self, writer: &mut Writer, sealed: &Sealed) -> Result<Extent, (String, bool)> {
        self.fencing.check().map_err(|why| (why, true))?;
        let (offset, first_sum) = self.compose(writer, sealed);
        let durable = self.storage.write_durable(offset, &writer.out);
        if let Err(error) = durable {
            let forgiven = !self.shared.guards.on(Guard::Poison) && self.storage.flush().is_ok();
            if !forgiven {
                return Err((
                    format!(
                        "writing {} bytes at byte {offset}: {error}",
                        writer.out.len()
                    ),
                    false,
                ));
            }
        }
        if self.shared.guards.on(Guard::ProofBeforeAck) {
            self.fencing.check().map_err(|why| (why, true))?;
        }
        let end = sealed.placement.at + frame::frame_bytes(sealed.body.len());
        writer.sum = first_sum;
        Ok(Extent {
            generation: sealed.tail.generation,
            epoch: self.epoch,
            incarnation: self.incarnation,
            first_lsn: sealed.first,
            end_lsn: Lsn(sealed.first.0 + u64::from(sealed.records)),
            end: small(usize::try_from(end).expect("inside a segment")),
            sum: first_sum,
        })
    }

    /// Fills the write buffer; where it goes, and the frame's chain sum.
    fn compose(&self, writer: &mut Writer, sealed: &Sealed) -> (u64, u32) {
        let layout = *self.layout();
        let (block, placement) = (layout.block(), sealed.placement);
        let index = layout.ring_index(sealed.tail.generation);
        let segment = layout.segment(index);
        let generation = sealed.tail.generation;
        let mut previous = writer.sum;
        let lead = usize::try_from(placement.lead).expect("below a block");
        let mut prefix = Vec::with_capacity(lead + 128);
        let offset = match placement.target {
            Target::NewSegment => {
                let head = sealed.head.expect("a new segment has a head");
                let bytes = head.emit(self.shared.seed(generation, segment));
                previous = u32::from_le_bytes(bytes[4..8].try_into().expect("4 bytes"));
                prefix.extend_from_slice(&bytes);
                segment
            }
            Target::Home => {
                prefix.extend_from_slice(&writer.image[..lead]);
                segment + placement.at - placement.lead
            }
            Target::Shadow(slot) => {
                let offset = layout.shadow(index, slot);
                let image = placement.lead + frame::frame_bytes(sealed.body.len());
                let head = ShadowHead {
                    generation,
                    block: small(usize::try_from(placement.at / block).expect("inside a segment")),
                    bytes: small(usize::try_from(image).expect("below a block")),
                };
                prefix.extend_from_slice(&head.emit(self.shared.seed(generation, offset)));
                prefix.extend_from_slice(&writer.image[..lead]);
                offset
            }
        };
        let seed = self.shared.seed(generation, segment + placement.at);
        let header = Header {
            kind: sealed.kind,
            generation,
            epoch: self.epoch,
            incarnation: self.incarnation,
            number: sealed.tail.number,
            previous,
            first_lsn: sealed.first,
            records: sealed.records,
            body_bytes: small(sealed.body.len()),
            body: Sums::of(seed, &sealed.body),
            sum: 0,
        };
        let header = header.emit(seed);
        let sum = u32::from_le_bytes(header[4..8].try_into().expect("4 bytes"));
        self.fill(writer, &prefix, &header, sealed, block);
        (offset, sum)
    }

    fn fill(
        &self,
        writer: &mut Writer,
        prefix: &[u8],
        header: &[u8; HEADER_BYTES],
        sealed: &Sealed,
        block: u64,
    ) {
        let frame = usize::try_from(frame::frame_bytes(sealed.body.len())).expect("bounded");
        let used = prefix.len() + frame;
        let length = usize::try_from(round_up(used as u64, block)).expect("bounded");
        writer.out.resize(length);
        let (front, rest) = writer.out.split_at_mut(prefix.len());
        front.copy_from_slice(prefix);
        rest[..HEADER_BYTES].copy_from_slice(header);
        rest[HEADER_BYTES..][..sealed.body.len()].copy_from_slice(&sealed.body);
        rest[HEADER_BYTES + sealed.body.len()..].fill(0);
        // What of the last block is used: the image that the next frame may be written behind.
        let end = sealed.placement.at + frame as u64;
        let partial = usize::try_from(end % block).expect("below a block");
        writer.image.clear();
        writer
            .image
            .extend_from_slice(&writer.out[used - partial..used]);
    }

    /// The first frame of the epoch, in its first segment.
    pub(super) fn begin_epoch(&self, start: frame::EpochStart) -> Result<(), (String, bool)> {
        let mut state = self.lock();
        let mut writer = state
            .writer
            .take()
            .expect("nobody writes before the epoch has begun");
        let body = start.emit();
        let frame = frame::frame_bytes(body.len());
        let tail = state.tail;
        let (block, segment) = (self.layout().block(), self.layout().format().segment_bytes);
        let placement = tail
            .place(frame, block, segment, self.shared.guards)
            .expect("a segment has four blocks");
        let head = Head {
            generation: tail.generation,
            epoch: self.epoch,
            incarnation: self.incarnation,
            first_lsn: start.cut,
            previous: Generation(0),
            previous_end: 0,
            previous_sum: 0,
            sum: 0,
        };
        let sealed = Sealed {
            first: start.cut,
            records: 0,
            kind: Kind::EpochStart,
            body,
            tail,
            placement,
            head: Some(head),
        };
        state.tail = tail.after(&placement, frame);
        drop(state);
        self.write_frame(&mut writer, &sealed)?;
        self.lock().writer = Some(writer);
        Ok(())
    }
}
