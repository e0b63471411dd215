//! A logical unit in memory: the reservation rules of SPC-2 and SPC-3 for many nexuses. Pure.
