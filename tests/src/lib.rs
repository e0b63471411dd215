//! End to end: real processes, real targets, the kernel SCSI lab.
