//! Login Request and Login Response (RFC 7143 11.12, 11.13).

use super::frame::Frame;
use super::{Counters, PduError, opcode};
use crate::iscsi::serial::Serial;
use std::fmt;

const TRANSIT: u8 = 0x80;
const CONTINUE: u8 = 0x40;

/// The initiator's part of a session's identifier. With the initiator's name it names an initiator port, so
/// a persistent reservation is registered for it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Isid(pub [u8; 6]);

/// Twelve hexadecimal digits, as a TransportID writes them.
impl fmt::Display for Isid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Isid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A stage of a login.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub enum Stage {
    /// Who is it?
    #[default]
    Security,
    /// How shall we talk?
    Operational,
    /// Logged in.
    FullFeature,
}

impl Stage {
    const fn from_code(code: u8) -> Option<Self> {
        match code {
            0 => Some(Self::Security),
            1 => Some(Self::Operational),
            3 => Some(Self::FullFeature),
            _ => None,
        }
    }

    const fn code(self) -> u8 {
        match self {
            Self::Security => 0,
            Self::Operational => 1,
            Self::FullFeature => 3,
        }
    }
}

/// The stages that a login PDU names in its byte 1: where it is, and where it would go.
fn stages(frame: &Frame) -> Result<(Stage, Option<Stage>), PduError> {
    let invalid = PduError::Field {
        opcode: frame.opcode(),
        offset: 1,
    };
    let current = Stage::from_code(frame.header[1] >> 2 & 3).ok_or(invalid)?;
    let next = if frame.has_flag(TRANSIT) {
        let next = Stage::from_code(frame.header[1] & 3).ok_or(invalid)?;
        if next <= current || frame.has_flag(CONTINUE) {
            return Err(invalid);
        }
        Some(next)
    } else {
        None
    };
    if current == Stage::FullFeature {
        return Err(invalid);
    }
    Ok((current, next))
}

fn put_stages(frame: &mut Frame, current: Stage, next: Option<Stage>, more: bool) {
    frame.header[1] |= current.code() << 2;
    if let Some(next) = next {
        frame.header[1] |= TRANSIT | next.code();
    }
    frame.set_flag(CONTINUE, more);
}

fn isid(frame: &Frame) -> Isid {
    let mut isid = Isid::default();
    isid.0.copy_from_slice(&frame.header[8..14]);
    isid
}

/// Login Request.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default)]
pub struct LoginRequest {
    /// The stage that the initiator is in.
    pub current: Stage,
    /// The stage that it is ready to go to.
    pub next: Option<Stage>,
    /// The text goes on in the next request.
    pub more: bool,
    /// The highest version that it speaks; there is only 0.
    pub version_max: u8,
    /// The lowest version that it speaks.
    pub version_min: u8,
    /// The initiator's part of the session's identifier.
    pub isid: Isid,
    /// The target's part: 0 for a new session.
    pub tsih: u16,
    /// Initiator Task Tag.
    pub task_tag: u32,
    /// Connection identifier.
    pub connection: u16,
    /// The first CmdSN of the session.
    pub cmd_sn: Serial,
    /// ExpStatSN.
    pub exp_stat_sn: Serial,
    /// `key=value` pairs.
    pub text: Vec<u8>,
}

impl LoginRequest {
    pub(super) fn parse(frame: Frame) -> Result<Self, PduError> {
        let (current, next) = stages(&frame)?;
        Ok(Self {
            current,
            next,
            more: frame.has_flag(CONTINUE),
            version_max: frame.header[2],
            version_min: frame.header[3],
            isid: isid(&frame),
            tsih: frame.u16_at(14),
            task_tag: frame.task_tag(),
            connection: frame.u16_at(20),
            cmd_sn: frame.serial_at(24),
            exp_stat_sn: frame.serial_at(28),
            text: frame.data,
        })
    }

    pub(super) fn frame(&self) -> Frame {
        let mut frame = Frame::new(opcode::LOGIN_REQUEST, self.text.clone());
        frame.set_immediate(true);
        put_stages(&mut frame, self.current, self.next, self.more);
        frame.header[2] = self.version_max;
        frame.header[3] = self.version_min;
        frame.put(8, &self.isid.0);
        frame.put_u16(14, self.tsih);
        frame.put_u32(16, self.task_tag);
        frame.put_u16(20, self.connection);
        frame.put_u32(24, self.cmd_sn.0);
        frame.put_u32(28, self.exp_stat_sn.0);
        frame
    }
}

/// How a login went: class and detail (RFC 7143 11.13.5). Unknown codes are kept.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct LoginStatus {
    /// Status-Class.
    pub class: u8,
    /// Status-Detail.
    pub detail: u8,
}

impl LoginStatus {
    /// It goes on, or is done.
    pub const SUCCESS: Self = Self::new(0, 0);
    /// The initiator did something that is not allowed.
    pub const INITIATOR_ERROR: Self = Self::new(2, 0);
    /// The initiator could not be authenticated, or authentication is wanted.
    pub const AUTHENTICATION_FAILURE: Self = Self::new(2, 1);
    /// The initiator may not use this target.
    pub const AUTHORIZATION_FAILURE: Self = Self::new(2, 2);
    /// There is no such target.
    pub const NOT_FOUND: Self = Self::new(2, 3);
    /// No common version.
    pub const UNSUPPORTED_VERSION: Self = Self::new(2, 5);
    /// No more connections in this session.
    pub const TOO_MANY_CONNECTIONS: Self = Self::new(2, 6);
    /// A parameter that must be there is not.
    pub const MISSING_PARAMETER: Self = Self::new(2, 7);
    /// This session type is not supported.
    pub const SESSION_TYPE: Self = Self::new(2, 9);
    /// The session that the request names does not exist.
    pub const NO_SESSION: Self = Self::new(2, 10);
    /// The request does not fit the stage of the login.
    pub const INVALID_DURING_LOGIN: Self = Self::new(2, 11);
    /// The target has no room.
    pub const OUT_OF_RESOURCES: Self = Self::new(3, 2);

    const fn new(class: u8, detail: u8) -> Self {
        Self { class, detail }
    }

    /// Does the login go on?
    #[must_use]
    pub const fn is_success(self) -> bool {
        self.class == 0
    }
}

/// As an operator reads it.
impl fmt::Display for LoginStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match (self.class, self.detail) {
            (0, _) => "success",
            (1, 1) => "the target has moved temporarily",
            (1, 2) => "the target has moved permanently",
            (2, 0) => "initiator error",
            (2, 1) => "authentication failed",
            (2, 2) => "not authorised for this target",
            (2, 3) => "no such target",
            (2, 4) => "the target has been removed",
            (2, 5) => "unsupported version",
            (2, 6) => "too many connections",
            (2, 7) => "missing parameter",
            (2, 8) => "cannot include the connection in the session",
            (2, 9) => "session type not supported",
            (2, 10) => "the session does not exist",
            (2, 11) => "invalid request during login",
            (3, 0) => "target error",
            (3, 1) => "the service is not available",
            (3, 2) => "the target is out of resources",
            (class, detail) => return write!(f, "login status {class:02x}{detail:02x}"),
        })
    }
}

impl fmt::Debug for LoginStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Login Response.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default)]
pub struct LoginResponse {
    /// The stage that the target is in.
    pub current: Stage,
    /// The stage that both now go to.
    pub next: Option<Stage>,
    /// The text goes on in the next response.
    pub more: bool,
    /// The highest version that the target speaks.
    pub version_max: u8,
    /// The version that is spoken.
    pub version_active: u8,
    /// As in the request.
    pub isid: Isid,
    /// The target's part of the session's identifier; not 0 once logged in.
    pub tsih: u16,
    /// Initiator Task Tag.
    pub task_tag: u32,
    /// The target's counters.
    pub counters: Counters,
    /// How it went.
    pub status: LoginStatus,
    /// `key=value` pairs.
    pub text: Vec<u8>,
}

impl LoginResponse {
    pub(super) fn parse(frame: Frame) -> Result<Self, PduError> {
        let status = LoginStatus::new(frame.header[36], frame.header[37]);
        // After a failure the stages mean nothing, and targets put there what they like.
        let (current, next) = match stages(&frame) {
            Ok(stages) => stages,
            Err(_) if !status.is_success() => (Stage::Security, None),
            Err(error) => return Err(error),
        };
        Ok(Self {
            current,
            next,
            more: frame.has_flag(CONTINUE),
            version_max: frame.header[2],
            version_active: frame.header[3],
            isid: isid(&frame),
            tsih: frame.u16_at(14),
            task_tag: frame.task_tag(),
            counters: Counters::parse(&frame),
            status,
            text: frame.data,
        })
    }

    pub(super) fn frame(&self) -> Frame {
        let mut frame = Frame::new(opcode::LOGIN_RESPONSE, self.text.clone());
        put_stages(&mut frame, self.current, self.next, self.more);
        frame.header[2] = self.version_max;
        frame.header[3] = self.version_active;
        frame.put(8, &self.isid.0);
        frame.put_u16(14, self.tsih);
        frame.put_u32(16, self.task_tag);
        self.counters.put(&mut frame);
        frame.header[36] = self.status.class;
        frame.header[37] = self.status.detail;
        frame
    }
}
