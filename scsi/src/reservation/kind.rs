//! The six live types of a persistent reservation.

use std::fmt;

/// The type of a persistent reservation (SPC-4 6.15.3.4; NVMe, Reservation Type).
///
/// SCSI and NVMe number the types differently, so users name them and never number them.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum ReservationType {
    /// The holder alone writes; everybody reads.
    WriteExclusive,
    /// The holder alone reads and writes.
    ExclusiveAccess,
    /// Every registrant writes; everybody reads.
    WriteExclusiveRegistrantsOnly,
    /// Every registrant reads and writes; nobody else.
    ExclusiveAccessRegistrantsOnly,
    /// As registrants only, and every registrant is a holder.
    WriteExclusiveAllRegistrants,
    /// As registrants only, and every registrant is a holder.
    ExclusiveAccessAllRegistrants,
}

impl ReservationType {
    /// All six, in the order of the standards.
    pub const ALL: [Self; 6] = [
        Self::WriteExclusive,
        Self::ExclusiveAccess,
        Self::WriteExclusiveRegistrantsOnly,
        Self::ExclusiveAccessRegistrantsOnly,
        Self::WriteExclusiveAllRegistrants,
        Self::ExclusiveAccessAllRegistrants,
    ];

    /// The SCSI code (SPC-4 6.15.3.4): 1, 3, 5, 6, 7, 8.
    #[must_use]
    pub const fn scsi_code(self) -> u8 {
        match self {
            Self::WriteExclusive => 1,
            Self::ExclusiveAccess => 3,
            Self::WriteExclusiveRegistrantsOnly => 5,
            Self::ExclusiveAccessRegistrantsOnly => 6,
            Self::WriteExclusiveAllRegistrants => 7,
            Self::ExclusiveAccessAllRegistrants => 8,
        }
    }

    /// The type with this SCSI code.
    #[must_use]
    pub fn from_scsi_code(code: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.scsi_code() == code)
    }

    /// The code of NVMe and of Linux's `IOC_PR_*`: 1 to 6.
    #[must_use]
    pub const fn nvme_code(self) -> u8 {
        match self {
            Self::WriteExclusive => 1,
            Self::ExclusiveAccess => 2,
            Self::WriteExclusiveRegistrantsOnly => 3,
            Self::ExclusiveAccessRegistrantsOnly => 4,
            Self::WriteExclusiveAllRegistrants => 5,
            Self::ExclusiveAccessAllRegistrants => 6,
        }
    }

    /// The type with this NVMe or `IOC_PR_*` code.
    #[must_use]
    pub fn from_nvme_code(code: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.nvme_code() == code)
    }

    /// The short name that users type: `we`, `ea`, `we-ro`, `ea-ro`, `we-ar`, `ea-ar`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::WriteExclusive => "we",
            Self::ExclusiveAccess => "ea",
            Self::WriteExclusiveRegistrantsOnly => "we-ro",
            Self::ExclusiveAccessRegistrantsOnly => "ea-ro",
            Self::WriteExclusiveAllRegistrants => "we-ar",
            Self::ExclusiveAccessAllRegistrants => "ea-ar",
        }
    }

    /// The type with this short name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == name)
    }

    /// The name in words, as SPC spells it.
    #[must_use]
    pub const fn words(self) -> &'static str {
        match self {
            Self::WriteExclusive => "Write Exclusive",
            Self::ExclusiveAccess => "Exclusive Access",
            Self::WriteExclusiveRegistrantsOnly => "Write Exclusive, Registrants Only",
            Self::ExclusiveAccessRegistrantsOnly => "Exclusive Access, Registrants Only",
            Self::WriteExclusiveAllRegistrants => "Write Exclusive, All Registrants",
            Self::ExclusiveAccessAllRegistrants => "Exclusive Access, All Registrants",
        }
    }

    /// Every registrant has the holder's access (the two RO and the two AR types).
    #[must_use]
    pub const fn admits_registrants(self) -> bool {
        !matches!(self, Self::WriteExclusive | Self::ExclusiveAccess)
    }

    /// Every registrant is a holder, and the holder's key reads as zero (the two AR types).
    #[must_use]
    pub const fn all_registrants(self) -> bool {
        matches!(
            self,
            Self::WriteExclusiveAllRegistrants | Self::ExclusiveAccessAllRegistrants
        )
    }

    /// A nexus without the holder's access may still read.
    #[must_use]
    pub const fn admits_strange_reads(self) -> bool {
        matches!(
            self,
            Self::WriteExclusive
                | Self::WriteExclusiveRegistrantsOnly
                | Self::WriteExclusiveAllRegistrants
        )
    }
}

impl fmt::Display for ReservationType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
