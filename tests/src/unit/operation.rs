//! One operation: who sends which bytes.

/// What is done. The names are those of the matrix that is printed.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) enum Action {
    TestUnitReady,
    Inquiry,
    RequestSense,
    ReadCapacity10,
    ReadCapacity16,
    ReportLuns,
    ModeSense6,
    Read10,
    Write10,
    SynchronizeCache10,
    CompareAndWrite,
    Reserve6,
    Release6,
    Reserve10,
    Release10,
    ReadKeys,
    ReadReservation,
    ReportCapabilities,
    ReadFullStatus,
    Register,
    RegisterIgnore,
    Reserve,
    Release,
    Clear,
    Preempt,
    PreemptAndAbort,
    RegisterAndMove,
    UnknownCode,
    LunReset,
}

impl Action {
    pub(crate) const ALL: [Self; 29] = [
        Self::TestUnitReady,
        Self::Inquiry,
        Self::RequestSense,
        Self::ReadCapacity10,
        Self::ReadCapacity16,
        Self::ReportLuns,
        Self::ModeSense6,
        Self::Read10,
        Self::Write10,
        Self::SynchronizeCache10,
        Self::CompareAndWrite,
        Self::Reserve6,
        Self::Release6,
        Self::Reserve10,
        Self::Release10,
        Self::ReadKeys,
        Self::ReadReservation,
        Self::ReportCapabilities,
        Self::ReadFullStatus,
        Self::Register,
        Self::RegisterIgnore,
        Self::Reserve,
        Self::Release,
        Self::Clear,
        Self::Preempt,
        Self::PreemptAndAbort,
        Self::RegisterAndMove,
        Self::UnknownCode,
        Self::LunReset,
    ];

    /// Service action of PERSISTENT RESERVE OUT.
    const fn out_action(self) -> Option<u8> {
        Some(match self {
            Self::Register => 0,
            Self::Reserve => 1,
            Self::Release => 2,
            Self::Clear => 3,
            Self::Preempt => 4,
            Self::PreemptAndAbort => 5,
            Self::RegisterIgnore => 6,
            Self::RegisterAndMove => 7,
            Self::TestUnitReady
            | Self::Inquiry
            | Self::RequestSense
            | Self::ReadCapacity10
            | Self::ReadCapacity16
            | Self::ReportLuns
            | Self::ModeSense6
            | Self::Read10
            | Self::Write10
            | Self::SynchronizeCache10
            | Self::CompareAndWrite
            | Self::Reserve6
            | Self::Release6
            | Self::Reserve10
            | Self::Release10
            | Self::ReadKeys
            | Self::ReadReservation
            | Self::ReportCapabilities
            | Self::ReadFullStatus
            | Self::UnknownCode
            | Self::LunReset => return None,
        })
    }

    /// How many of the bytes that come are compared: identities differ and say nothing here.
    pub(crate) const fn compared_bytes(self) -> usize {
        match self {
            Self::ReadKeys
            | Self::ReadReservation
            | Self::ReportCapabilities
            | Self::ReadFullStatus
            | Self::Read10 => usize::MAX,
            Self::ReadCapacity10 => 8,
            Self::ReadCapacity16 => 12,
            Self::TestUnitReady
            | Self::Inquiry
            | Self::RequestSense
            | Self::ReportLuns
            | Self::ModeSense6
            | Self::Write10
            | Self::SynchronizeCache10
            | Self::CompareAndWrite
            | Self::Reserve6
            | Self::Release6
            | Self::Reserve10
            | Self::Release10
            | Self::Register
            | Self::RegisterIgnore
            | Self::Reserve
            | Self::Release
            | Self::Clear
            | Self::Preempt
            | Self::PreemptAndAbort
            | Self::RegisterAndMove
            | Self::UnknownCode
            | Self::LunReset => 0,
        }
    }

    /// Do the first four bytes of its answer count what happened to the registrations?
    pub(crate) const fn tells_generation(self) -> bool {
        matches!(
            self,
            Self::ReadKeys | Self::ReadReservation | Self::ReadFullStatus
        )
    }

    /// Does it take keys and a type?
    pub(crate) const fn is_persistent_out(self) -> bool {
        self.out_action().is_some()
    }
}

/// An operation of one nexus.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Operation {
    pub(crate) nexus: usize,
    pub(crate) action: Action,
    pub(crate) cdb: Vec<u8>,
    pub(crate) data_out: Vec<u8>,
    /// Bytes that there is room for.
    pub(crate) data_in: usize,
}

/// What a PERSISTENT RESERVE OUT says.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct OutArguments {
    pub(crate) key: u64,
    pub(crate) service_action_key: u64,
    /// Scope in the upper half, type in the lower.
    pub(crate) scope_type: u8,
    /// Byte 20 of the list: SPEC_I_PT, ALL_TG_PT, APTPL.
    pub(crate) flags: u8,
}

impl Operation {
    /// An action with nothing to choose; for PERSISTENT RESERVE OUT see [`Self::out`].
    pub(crate) fn plain(nexus: usize, action: Action) -> Self {
        let (cdb, data_out, data_in): (Vec<u8>, Vec<u8>, usize) = match action {
            Action::TestUnitReady => (vec![0; 6], vec![], 0),
            Action::Inquiry => (vec![0x12, 0, 0, 0, 96, 0], vec![], 96),
            Action::RequestSense => (vec![0x03, 0, 0, 0, 96, 0], vec![], 96),
            Action::ReadCapacity10 => (vec![0x25, 0, 0, 0, 0, 0, 0, 0, 0, 0], vec![], 8),
            Action::ReadCapacity16 => {
                let cdb = vec![0x9E, 0x10, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 32, 0, 0];
                (cdb, vec![], 32)
            }
            Action::ReportLuns => (vec![0xA0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0], vec![], 256),
            Action::ModeSense6 => (vec![0x1A, 0, 0x3F, 0, 192, 0], vec![], 192),
            Action::Read10 => (vec![0x28, 0, 0, 0, 0, 0, 0, 0, 1, 0], vec![], 512),
            Action::Write10 => (vec![0x2A, 0, 0, 0, 0, 0, 0, 0, 1, 0], vec![0; 512], 0),
            Action::SynchronizeCache10 => (vec![0x35, 0, 0, 0, 0, 0, 0, 0, 0, 0], vec![], 0),
            Action::CompareAndWrite => {
                let cdb = vec![0x89, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0];
                (cdb, vec![0; 1024], 0)
            }
            Action::Reserve6 => (vec![0x16, 0, 0, 0, 0, 0], vec![], 0),
            Action::Release6 => (vec![0x17, 0, 0, 0, 0, 0], vec![], 0),
            Action::Reserve10 => (vec![0x56, 0, 0, 0, 0, 0, 0, 0, 0, 0], vec![], 0),
            Action::Release10 => (vec![0x57, 0, 0, 0, 0, 0, 0, 0, 0, 0], vec![], 0),
            Action::ReadKeys => pr_in(0),
            Action::ReadReservation => pr_in(1),
            Action::ReportCapabilities => pr_in(2),
            Action::ReadFullStatus => pr_in(3),
            Action::UnknownCode => (vec![0xC1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0], vec![], 0),
            Action::LunReset => (vec![], vec![], 0),
            Action::Register
            | Action::RegisterIgnore
            | Action::Reserve
            | Action::Release
            | Action::Clear
            | Action::Preempt
            | Action::PreemptAndAbort
            | Action::RegisterAndMove => return Self::out(nexus, action, OutArguments::default()),
        };
        Self {
            nexus,
            action,
            cdb,
            data_out,
            data_in,
        }
    }

    /// PERSISTENT RESERVE OUT.
    pub(crate) fn out(nexus: usize, action: Action, arguments: OutArguments) -> Self {
        let mut list = Vec::with_capacity(48);
        list.extend(arguments.key.to_be_bytes());
        list.extend(arguments.service_action_key.to_be_bytes());
        list.extend([0, 0, 0, 0, arguments.flags, 0, 0, 0]);
        let mut operation = Self {
            nexus,
            action,
            cdb: vec![0x5F, 0, arguments.scope_type, 0, 0, 0, 0, 0, 0, 0],
            data_out: list,
            data_in: 0,
        };
        operation.cdb[1] = action.out_action().unwrap_or(0x1F);
        operation.set_list_length();
        operation
    }

    /// REGISTER AND IGNORE EXISTING KEY.
    pub(crate) fn register_ignore(nexus: usize, new: u64) -> Self {
        let arguments = OutArguments {
            service_action_key: new,
            ..OutArguments::default()
        };
        Self::out(nexus, Action::RegisterIgnore, arguments)
    }

    /// Writes the list's own length into the CDB.
    pub(crate) fn set_list_length(&mut self) {
        let length = u32::try_from(self.data_out.len()).unwrap_or(u32::MAX);
        self.cdb[5..9].copy_from_slice(&length.to_be_bytes());
    }

    /// In one line, as `sg_raw` would be told.
    pub(crate) fn to_line(&self) -> String {
        let hex = |bytes: &[u8]| {
            let words: Vec<String> = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
            words.join(" ")
        };
        let list = if self.data_out.len() <= 64 && !self.data_out.is_empty() {
            format!(" < {}", hex(&self.data_out))
        } else {
            String::new()
        };
        format!(
            "nexus {} {:?}: {}{list}",
            self.nexus,
            self.action,
            hex(&self.cdb)
        )
    }
}

fn pr_in(service_action: u8) -> (Vec<u8>, Vec<u8>, usize) {
    let cdb = vec![0x5E, service_action, 0, 0, 0, 0, 0, 2, 0, 0];
    (cdb, vec![], 512)
}
