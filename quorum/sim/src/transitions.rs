//! The transitions of the machines.
