//! Nothing that this host has written to the disk before is under way when it begins to contend for it.
//!
//! A node that was deposed may still have pages of its former term in memory. While it is not registered the
//! disk keeps them off. Once it contends, and so is registered, they would go through, into another owner's
//! data. So every block node of the disk is synchronised first: each page is then on the disk, or the
//! disk has refused it and the kernel has dropped it.
//!
//! What is written after this is not looked at here: nothing uses the disk (the guard before saw to that).

use crate::exit::{Exit, Failure};

use scsi::disk::Disk;
use scsi::linux::{Roots, block_nodes};
use std::fs::OpenOptions;
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::sync::mpsc::channel;
use std::time::Duration;

/// Synchronises the block nodes of the disk, within the bound. What a person should know of it.
///
/// # Errors
/// When the kernel does not come back: then something is under way still.
pub(super) fn drain(disk: &Disk, bound: Duration) -> Result<Vec<String>, Failure> {
    let mut nodes = Vec::new();
    for path in &disk.paths {
        nodes.extend(block_nodes(&path.name, &Roots::default()));
    }
    nodes.sort();
    nodes.dedup();
    let mut remarks = Vec::new();
    for node in nodes {
        match within(&node, bound)? {
            Ok(()) => {}
            Err(error) => remarks.push(format!(
                "{node}: what this host may still have had to write there could not be written: {error}"
            )),
        }
    }
    Ok(remarks)
}

/// The kernel may hang in it, so a thread of its own does it, and is left behind then.
fn within(node: &str, bound: Duration) -> Result<io::Result<()>, Failure> {
    let (done_in, done) = channel();
    let name = node.to_owned();
    std::thread::spawn(move || {
        let _nobody_waits_any_more = done_in.send(synchronise(&name));
    });
    done.recv_timeout(bound).map_err(|_| {
        Failure::new(
            Exit::TimedOut,
            format!("not started: {node} does not finish what this host had written to it"),
            "see the kernel's log; once the path works again, or is removed, start again",
        )
    })
}

fn synchronise(node: &str) -> io::Result<()> {
    let mut options = OpenOptions::new();
    options.read(true).custom_flags(libc::O_NONBLOCK);
    options.open(node)?.sync_all()
}
