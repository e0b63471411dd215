//! What a fault rule looks at: a command, by operation code and service action, or a reset.

use crate::reservation::{ResetScope, Verb};
use crate::wire::cdb::Cdb;
use std::fmt;

/// A command as a rule sees it.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Subject {
    /// A command with a CDB.
    Command {
        /// Byte 0.
        opcode: u8,
        /// Byte 1, bits 4 to 0: the service action of those commands that have one.
        service_action: u8,
    },
    /// A reset, or another task management function.
    Reset(ResetScope),
}

impl Subject {
    /// The command that this CDB asks for.
    #[must_use]
    pub fn of_cdb(cdb: &Cdb) -> Self {
        let bytes = cdb.as_bytes();
        Self::Command {
            opcode: bytes[0],
            service_action: bytes[1] & 0x1f,
        }
    }

    /// The command that this verb is (for the reads: its first one).
    #[must_use]
    pub const fn of_verb(verb: &Verb) -> Self {
        let (opcode, service_action) = match verb {
            Verb::TestUnitReady => (0x00, 0),
            Verb::ReadState => (0x5e, 0x03),
            Verb::ReadCapabilities => (0x5e, 0x02),
            Verb::Spc2Reserve => (0x56, 0),
            Verb::Spc2Release => (0x57, 0),
            Verb::Register { .. } => (0x5f, 0x00),
            Verb::Reserve { .. } => (0x5f, 0x01),
            Verb::Release { .. } => (0x5f, 0x02),
            Verb::Clear { .. } => (0x5f, 0x03),
            Verb::Preempt { abort: false, .. } => (0x5f, 0x04),
            Verb::Preempt { abort: true, .. } => (0x5f, 0x05),
            Verb::RegisterIgnoringExisting { .. } => (0x5f, 0x06),
            Verb::Move { .. } => (0x5f, 0x07),
            Verb::ReplaceLost { .. } => (0x5f, 0x08),
            Verb::ClearTaskSet => return Self::Reset(ResetScope::Lun),
            Verb::Reset { scope, .. } => return Self::Reset(*scope),
        };
        Self::Command {
            opcode,
            service_action,
        }
    }
}

/// Which commands a rule matches.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Selector {
    /// Every command that carries a CDB.
    Any,
    /// A name of the language.
    Named(&'static Name),
    /// An operation code, and perhaps a service action.
    Opcode(u8, Option<u8>),
}

/// A name of the language, and what it stands for.
#[derive(PartialEq, Eq, Hash, Debug)]
pub struct Name {
    /// As it is written.
    pub(super) word: &'static str,
    /// The operation codes; none: resets.
    opcodes: &'static [u8],
    /// The service actions; none: all.
    service_actions: &'static [u8],
}

const fn name(word: &'static str, opcodes: &'static [u8], service_actions: &'static [u8]) -> Name {
    Name {
        word,
        opcodes,
        service_actions,
    }
}

/// Every name, as the module of the language lists them.
pub(super) static NAMES: [Name; 18] = [
    name("READ", &[0x08, 0x28, 0xa8, 0x88], &[]),
    name("WRITE", &[0x0a, 0x2a, 0xaa, 0x8a], &[]),
    name("SYNC", &[0x35, 0x91], &[]),
    name("CAW", &[0x89], &[]),
    name("TUR", &[0x00], &[]),
    name("INQUIRY", &[0x12], &[]),
    name("SPC2", &[0x16, 0x17, 0x56, 0x57], &[]),
    name("RESERVE", &[0x16, 0x56], &[]),
    name("RELEASE", &[0x17, 0x57], &[]),
    name("PR-IN", &[0x5e], &[]),
    name("PR-OUT", &[0x5f], &[]),
    name("REGISTER", &[0x5f], &[0x00, 0x06]),
    name("PR-RESERVE", &[0x5f], &[0x01]),
    name("PR-RELEASE", &[0x5f], &[0x02]),
    name("CLEAR", &[0x5f], &[0x03]),
    name("PREEMPT", &[0x5f], &[0x04, 0x05]),
    name("ABORT", &[0x5f], &[0x05]),
    name("MOVE", &[0x5f], &[0x07]),
];

/// The name for resets, which carry no CDB.
pub(super) static RESET: Name = name("RESET", &[], &[]);

impl Selector {
    /// The selector with this name.
    pub(super) fn named(word: &str) -> Option<Self> {
        NAMES
            .iter()
            .chain([&RESET])
            .find(|name| name.word.eq_ignore_ascii_case(word))
            .map(Self::Named)
    }

    /// Does it match?
    #[must_use]
    pub fn matches(&self, subject: &Subject) -> bool {
        match (self, *subject) {
            (Self::Any, Subject::Command { .. }) => true,
            (Self::Named(name), Subject::Reset(_)) => name.opcodes.is_empty(),
            (
                Self::Named(name),
                Subject::Command {
                    opcode,
                    service_action,
                },
            ) => {
                name.opcodes.contains(&opcode)
                    && (name.service_actions.is_empty()
                        || name.service_actions.contains(&service_action))
            }
            (
                Self::Opcode(opcode, wanted),
                Subject::Command {
                    opcode: found,
                    service_action,
                },
            ) => found == *opcode && wanted.is_none_or(|wanted| wanted == service_action),
            (Self::Any | Self::Opcode(..), Subject::Reset(_)) => false,
        }
    }
}

impl fmt::Display for Selector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Any => f.write_str("any"),
            Self::Named(name) => f.write_str(name.word),
            Self::Opcode(opcode, None) => write!(f, "opcode {opcode:02x}"),
            Self::Opcode(opcode, Some(action)) => write!(f, "opcode {opcode:02x}/{action:02x}"),
        }
    }
}
