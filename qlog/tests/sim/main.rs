//! How the log is proved: simulated disks, and one oracle over everything that happens on them.
//!
//! * [`disk`] is the fault model, [`oracle`] the judge, [`world`] the lives of owners from a seed;
//! * [`crashes`]: worlds by the thousand, and a million crashes by command;
//! * [`small`]: every crash of every small world;
//! * [`sweeps`]: damage to every bit and sector of a small log;
//! * [`guards`]: a [`history`] for each guard, on a [`tape`], that goes wrong when the guard is off;
//! * [`regressions`]: what was once wrong;
//! * [`threads`]: many threads while the storage fails at its k-th I/O.
#![expect(clippy::unwrap_used, clippy::print_stdout, reason = "tests")]

mod crashes;
mod disk;
mod guards;
mod history;
mod oracle;
mod overlay;
mod regressions;
mod rng;
mod small;
mod sweeps;
mod tape;
mod threads;
mod world;
