//! Arbitration of a quorum disk, and the cluster service that stands on it.
