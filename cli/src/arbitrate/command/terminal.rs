//! The terminal that `qctl` was started from, handed to the command for as long as it runs.
//!
//! The command leads a process group of its own, and a terminal lets only its foreground group read. So the
//! command's group becomes that one: `-- sh` can be typed into, and ^C reaches the command and not `qctl`,
//! which gives the disk back when the command has ended.
//!
//! Never does: job control. A command that ^Z stops is continued at once: an owner that stands still is of no
//! use to anybody.

use nix::unistd::{Pid, getpgid, getppid, tcgetpgrp, tcsetpgrp};
use std::io::{Stdin, stdin};

/// A terminal on standard input, in whose foreground the parent was.
pub(super) struct Terminal {
    input: Stdin,
    parents_group: Pid,
}

impl Terminal {
    /// None when standard input is no terminal, or when it is somebody else's at this moment.
    pub(super) fn of_parent() -> Option<Self> {
        let input = stdin();
        let parents_group = getpgid(Some(getppid())).ok()?;
        let foreground = tcgetpgrp(&input).ok()?;
        (foreground == parents_group).then_some(Self {
            input,
            parents_group,
        })
    }

    /// The command's group may read. The caller blocks SIGTTOU.
    pub(super) fn hand_to(&self, group: Pid) {
        // The command may have ended by itself; then it needs no terminal.
        let _gone = tcsetpgrp(&self.input, group);
    }

    /// Whoever started us may read again.
    pub(super) fn take_back(&self) {
        // The terminal may have been hung up.
        let _gone = tcsetpgrp(&self.input, self.parents_group);
    }
}
