//! The health of every part of a region, for people: which copies are good, what each segment holds.
