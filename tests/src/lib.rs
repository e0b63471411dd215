//! End to end: real processes, real targets, the kernel SCSI lab.
//!
//! The lab (`src/lab`) boots guests and plays the cases of `lab/cases` in them; the agent (`src/agent`) is what
//! it talks to inside a guest. What both must agree on is here.

pub mod bare_ioctl;
pub mod protocol;
