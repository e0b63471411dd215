//! The decisions of the cluster service, as pure machines.
//!
//! Every machine is driven the same way (one change, one full drain, one wait):
//!
//! ```text
//! loop {
//!     machine.handle(now, input);
//!     while let Some(output) = machine.poll_output() { carry it out }
//!     wait until machine.next_deadline(), or the next input
//! }
//! ```
//!
//! Time is an argument. No machine reads a clock, a file, a socket, a random source or the order of a
//! hash map; the same inputs give the same outputs, so the shipped code is the simulated code.

pub mod arbitration;
mod instant;
pub mod times;

pub use instant::Instant;
