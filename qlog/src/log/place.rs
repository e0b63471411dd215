//! Where the next frame goes. Pure. `FORMAT.md`, "The tail".
//!
//! ```text
//! at a block's start        home, in one write with all its blocks
//! fits the partial block    a shadow slot: the block's new image, in turn slot 0 and 1
//! else, image in a shadow   home from the block's start: the only copy of what was acknowledged is in the shadow
//! else                      home from the next block: this block is closed as it is
//! ```
//!
//! Invariant: the newest acknowledged image of a block is never written over.

use crate::guards::{Guard, Guards};
use crate::ids::Generation;
use crate::layout::{Layout, RingSet};
use crate::segment::{HEAD_BYTES, SHADOW_HEAD_BYTES};
use crate::words::round_up;

/// Segments that appends leave free: the one that this owner could be writing to while it is deposed, and the one that
/// the next epoch begins.
pub(crate) const RESERVE: u32 = 2;

/// The end of what was written to the present segment.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(crate) struct Tail {
    pub(crate) generation: Generation,
    /// Where the last frame ends, from the segment's start.
    pub(crate) end: u64,
    /// The number of the next frame.
    pub(crate) number: u32,
    /// The newest image of the partial block is in a shadow slot.
    pub(crate) shadowed: bool,
    /// Which shadow slot comes next.
    pub(crate) next_shadow: u64,
}

/// A write that puts a frame where it belongs.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(crate) struct Placement {
    /// Where the frame is, from the segment's start, whatever is written where.
    pub(crate) at: u64,
    /// Bytes of the partial block that are written again in front of it.
    pub(crate) lead: u64,
    pub(crate) target: Target,
}

/// What is written.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(crate) enum Target {
    /// The segment, from `at - lead` on.
    Home,
    /// The partial block's image in this shadow slot.
    Shadow(u64),
    /// The segment's start: its head goes in front.
    NewSegment,
}

impl Tail {
    /// A segment that is about to be begun.
    pub(crate) const fn of_new(generation: Generation) -> Self {
        Self {
            generation,
            end: 0,
            number: 0,
            shadowed: false,
            next_shadow: 0,
        }
    }

    /// Where a frame of this size goes; nothing when the segment has no room.
    pub(crate) fn place(
        &self,
        frame: u64,
        block: u64,
        segment: u64,
        guards: Guards,
    ) -> Option<Placement> {
        if self.end == 0 {
            let fits = round_up(HEAD_BYTES as u64 + frame, block) <= segment;
            let target = Target::NewSegment;
            return fits.then_some(Placement {
                at: HEAD_BYTES as u64,
                lead: 0,
                target,
            });
        }
        let lead = self.end % block;
        let home = |at: u64, lead: u64| {
            let fits = round_up(at + frame, block) <= segment;
            fits.then_some(Placement {
                at,
                lead,
                target: Target::Home,
            })
        };
        if lead == 0 {
            return home(self.end, 0);
        }
        if !guards.on(Guard::TailShadow) {
            return home(self.end, lead);
        }
        if lead + frame <= block - SHADOW_HEAD_BYTES as u64 {
            let target = Target::Shadow(self.next_shadow);
            return Some(Placement {
                at: self.end,
                lead,
                target,
            });
        }
        if self.shadowed {
            return home(self.end, lead);
        }
        home(round_up(self.end, block), 0)
    }

    /// The tail after this frame was written there.
    pub(crate) fn after(&self, placement: &Placement, frame: u64) -> Self {
        let shadow = matches!(placement.target, Target::Shadow(_));
        Self {
            generation: self.generation,
            end: placement.at + frame,
            number: self.number + 1,
            shadowed: shadow,
            next_shadow: if shadow {
                1 - self.next_shadow
            } else {
                self.next_shadow
            },
        }
    }
}

/// The generation after this one whose segment is none of these.
pub(crate) fn next_generation(
    layout: &Layout,
    after: Generation,
    taken: RingSet,
) -> Option<Generation> {
    (1..=u64::from(layout.format().segments))
        .map(|step| Generation(after.0 + step))
        .find(|next| !taken.contains(layout.ring_index(*next)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::layout::Format;

    const BLOCK: u64 = 4096;
    const SEGMENT: u64 = 4 * BLOCK;

    fn tail(end: u64, shadowed: bool) -> Tail {
        Tail {
            end,
            shadowed,
            number: 3,
            ..Tail::of_new(Generation(1))
        }
    }

    fn place(tail: Tail, frame: u64) -> Option<Placement> {
        tail.place(frame, BLOCK, SEGMENT, Guards::ALL_ON)
    }

    #[test]
    fn a_new_segment_has_its_head_and_first_frame_in_one_write() {
        let placement = place(Tail::of_new(Generation(1)), 200).unwrap();
        assert_eq!((placement.at, placement.target), (128, Target::NewSegment));
    }

    #[test]
    fn small_frames_extend_the_block_in_the_two_shadows_in_turn() {
        let first = place(tail(500, false), 200).unwrap();
        assert_eq!(
            first,
            Placement {
                at: 500,
                lead: 500,
                target: Target::Shadow(0)
            }
        );
        let then = tail(500, false).after(&first, 200);
        assert_eq!(place(then, 200).unwrap().target, Target::Shadow(1));
    }

    #[test]
    fn what_no_longer_fits_goes_home_over_an_image_that_a_shadow_has() {
        let placement = place(tail(4000, true), 200).unwrap();
        assert_eq!(
            placement,
            Placement {
                at: 4000,
                lead: 4000,
                target: Target::Home
            }
        );
    }

    #[test]
    fn the_only_copy_is_left_alone_and_the_next_block_begun() {
        let placement = place(tail(4000, false), 200).unwrap();
        assert_eq!(
            placement,
            Placement {
                at: 4096,
                lead: 0,
                target: Target::Home
            }
        );
    }

    #[test]
    fn a_frame_that_does_not_fit_is_told() {
        assert_eq!(place(tail(SEGMENT - BLOCK, false), BLOCK + 8), None);
        assert_eq!(place(tail(SEGMENT, false), 80), None);
    }

    #[test]
    fn the_next_generation_uses_a_free_segment() {
        let format = Format::for_region(4 << 20, 4096).unwrap();
        let layout = format.layout().unwrap();
        assert_eq!(format.segments, 4);
        let next = |after, used: &[u64]| {
            let used = layout.ring_set(used.iter().copied().map(Generation));
            next_generation(&layout, Generation(after), used)
        };
        assert_eq!(next(5, &[4, 5]), Some(Generation(6)));
        assert_eq!(next(6, &[4, 5, 6]), Some(Generation(7)));
        assert_eq!(next(5, &[5, 6]), Some(Generation(7)));
        assert_eq!(next(7, &[4, 5, 6, 7]), None);
    }
}
