//! The service actions of PERSISTENT RESERVE IN and OUT.

/// A service action of PERSISTENT RESERVE IN (SPC-4 6.15.1).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum PrInAction {
    /// READ KEYS.
    ReadKeys,
    /// READ RESERVATION.
    ReadReservation,
    /// REPORT CAPABILITIES.
    ReportCapabilities,
    /// READ FULL STATUS.
    ReadFullStatus,
}

impl PrInAction {
    /// All four, by code.
    pub const ALL: [Self; 4] = [
        Self::ReadKeys,
        Self::ReadReservation,
        Self::ReportCapabilities,
        Self::ReadFullStatus,
    ];

    /// The SERVICE ACTION code: 0 to 3.
    #[must_use]
    pub const fn code(self) -> u8 {
        match self {
            Self::ReadKeys => 0,
            Self::ReadReservation => 1,
            Self::ReportCapabilities => 2,
            Self::ReadFullStatus => 3,
        }
    }

    /// The action with this code.
    #[must_use]
    pub fn from_code(code: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|action| action.code() == code)
    }

    /// The name as SPC spells it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::ReadKeys => "READ KEYS",
            Self::ReadReservation => "READ RESERVATION",
            Self::ReportCapabilities => "REPORT CAPABILITIES",
            Self::ReadFullStatus => "READ FULL STATUS",
        }
    }
}

/// A service action of PERSISTENT RESERVE OUT (SPC-4 6.16.2).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum PrOutAction {
    /// REGISTER.
    Register,
    /// RESERVE.
    Reserve,
    /// RELEASE.
    Release,
    /// CLEAR.
    Clear,
    /// PREEMPT.
    Preempt,
    /// PREEMPT AND ABORT.
    PreemptAndAbort,
    /// REGISTER AND IGNORE EXISTING KEY.
    RegisterAndIgnoreExistingKey,
    /// REGISTER AND MOVE: the one with a parameter list of its own.
    RegisterAndMove,
    /// REPLACE LOST RESERVATION.
    ReplaceLostReservation,
}

impl PrOutAction {
    /// All nine, by code.
    pub const ALL: [Self; 9] = [
        Self::Register,
        Self::Reserve,
        Self::Release,
        Self::Clear,
        Self::Preempt,
        Self::PreemptAndAbort,
        Self::RegisterAndIgnoreExistingKey,
        Self::RegisterAndMove,
        Self::ReplaceLostReservation,
    ];

    /// The SERVICE ACTION code: 0 to 8.
    #[must_use]
    pub const fn code(self) -> u8 {
        match self {
            Self::Register => 0,
            Self::Reserve => 1,
            Self::Release => 2,
            Self::Clear => 3,
            Self::Preempt => 4,
            Self::PreemptAndAbort => 5,
            Self::RegisterAndIgnoreExistingKey => 6,
            Self::RegisterAndMove => 7,
            Self::ReplaceLostReservation => 8,
        }
    }

    /// The action with this code.
    #[must_use]
    pub fn from_code(code: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|action| action.code() == code)
    }

    /// The name as SPC spells it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Register => "REGISTER",
            Self::Reserve => "RESERVE",
            Self::Release => "RELEASE",
            Self::Clear => "CLEAR",
            Self::Preempt => "PREEMPT",
            Self::PreemptAndAbort => "PREEMPT AND ABORT",
            Self::RegisterAndIgnoreExistingKey => "REGISTER AND IGNORE EXISTING KEY",
            Self::RegisterAndMove => "REGISTER AND MOVE",
            Self::ReplaceLostReservation => "REPLACE LOST RESERVATION",
        }
    }
}
