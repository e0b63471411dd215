//! Unit Attentions: events that a caller sees, and never needs for safety.

/// A Unit Attention condition (SAM-5, Unit attention conditions), by its additional sense code and qualifier.
///
/// A command that ends with one was **not** performed. Others on the nexus (the disk driver, udev) may
/// eat it first, so every decision that one prompts is also reached by reading state.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Attention {
    /// ADDITIONAL SENSE CODE.
    pub asc: u8,
    /// ADDITIONAL SENSE CODE QUALIFIER.
    pub ascq: u8,
}

/// What an attention means to an arbiter.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum AttentionKind {
    /// 29/00, 29/01: power on. Everything volatile is gone.
    PowerOn,
    /// 29/02..04: bus, device (LUN or target) or internal reset. An SPC-2 reservation is gone.
    Reset,
    /// 29/07: this I_T nexus was lost and is back.
    NexusLoss,
    /// 2A/03: somebody cleared all reservations and registrations.
    ReservationsPreempted,
    /// 2A/04: the holder released.
    ReservationsReleased,
    /// 2A/05: one's own registration was removed.
    RegistrationsPreempted,
    /// 2F/00: one's queued commands were aborted by another.
    CommandsCleared,
    /// Anything else: to be noted and the command repeated.
    Other,
}

impl Attention {
    /// The attention with these codes.
    #[must_use]
    pub const fn new(asc: u8, ascq: u8) -> Self {
        Self { asc, ascq }
    }

    /// What it means to an arbiter.
    #[must_use]
    pub const fn kind(self) -> AttentionKind {
        match (self.asc, self.ascq) {
            (0x29, 0x00 | 0x01) => AttentionKind::PowerOn,
            (0x29, 0x07) => AttentionKind::NexusLoss,
            (0x29, _) => AttentionKind::Reset,
            (0x2a, 0x03) => AttentionKind::ReservationsPreempted,
            (0x2a, 0x04) => AttentionKind::ReservationsReleased,
            (0x2a, 0x05) => AttentionKind::RegistrationsPreempted,
            (0x2f, 0x00) => AttentionKind::CommandsCleared,
            _ => AttentionKind::Other,
        }
    }
}
