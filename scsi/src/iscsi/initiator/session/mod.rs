//! A session in full feature phase, pure: commands to PDUs, PDUs to what came of the commands.
//!
//! ```text
//!   command ──► Request…              Response ──► Data, R2T answered, Ended
//!   abandon ──► ABORT TASK            its late answers are taken and dropped
//! ```
//!
//! Invariants:
//! * one task of the caller's at a time; what it gave up ([`Session::abandon`]) is remembered until the target
//!   has ended it, at most [`ABANDONED_MAX`] tasks, and never touches a later caller's data;
//! * data is taken only in order, within what was asked for; anything else ends the session;
//! * no more is sent than the command window and the agreed lengths allow.

use super::login::LoggedIn;
use crate::iscsi::negotiation::Parameters;
use crate::iscsi::pdu::{
    Async, AsyncEvent, Counters, DataIn, DataOut, LogoutReason, LogoutRequest, Lun, NO_TAG, NopIn,
    NopOut, R2t, Reject, RejectReason, Request, Residual, Response, ScsiCommand, ScsiResponse,
    TaskAnswer, TaskAttribute, TaskFunction, TaskRequest,
};
use crate::iscsi::serial::Serial;
use crate::wire::cdb::Cdb;
use crate::wire::status::Status;

/// How many tasks may have been given up and not been ended by the target. A target that ends none of
/// so many is as good as gone.
pub const ABANDONED_MAX: usize = 8;

/// The data phase of a command, without the data.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Direction {
    /// None.
    None,
    /// To the initiator, at most so many bytes.
    In(u32),
    /// To the target, so many bytes.
    Out(u32),
}

/// What came of a response.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Event {
    /// Nothing that concerns the caller.
    Nothing,
    /// Data of the caller's command, that belongs here.
    Data {
        /// Where.
        offset: usize,
        /// What.
        data: Vec<u8>,
        /// The command ended with it, with this SAM status.
        last: Option<Status>,
    },
    /// The caller's command ended.
    Ended {
        /// The SAM status.
        status: Status,
        /// Sense data, as it came.
        sense: Vec<u8>,
        /// How many bytes moved.
        transferred: usize,
    },
    /// The target did not take the caller's command or function.
    Rejected(RejectReason),
    /// The target failed the command without a SAM status.
    TargetFailure(u8),
    /// The caller's task management function was answered.
    Function(TaskAnswer),
    /// The target answered the caller's logout.
    LoggedOut,
    /// The target answered a ping.
    Pong,
    /// The target will end the session.
    Ending,
}

/// The target broke the protocol; the session is of no more use.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("the target broke the protocol: {0}")]
pub struct Broken(pub &'static str);

/// What the caller waits for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Waiting {
    Command {
        tag: u32,
        direction: Direction,
        /// Data that has come, or that has been asked for.
        moved: u32,
        data_sn: u32,
    },
    Function {
        tag: u32,
    },
    Logout {
        tag: u32,
    },
}

/// What the caller gave up, until the target has ended it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Abandoned {
    /// The task, function or logout.
    tag: u32,
    /// The function that was sent to end it.
    aborted_by: Option<u32>,
}

/// A session in full feature phase.
#[derive(Debug)]
pub struct Session {
    parameters: Parameters,
    lun: Lun,
    cmd_sn: Serial,
    max_cmd_sn: Serial,
    exp_stat_sn: Serial,
    next_tag: u32,
    waiting: Option<Waiting>,
    abandoned: Vec<Abandoned>,
    ping: Option<u32>,
}

impl Session {
    /// The session that a login ended with.
    #[must_use]
    pub fn new(logged_in: &LoggedIn, lun: Lun) -> Self {
        Self {
            parameters: logged_in.parameters,
            lun,
            cmd_sn: logged_in.cmd_sn,
            max_cmd_sn: logged_in.max_cmd_sn,
            exp_stat_sn: logged_in.exp_stat_sn,
            next_tag: 1,
            waiting: None,
            abandoned: Vec::new(),
            ping: None,
        }
    }

    /// Does the target take another command now?
    #[must_use]
    pub fn is_window_open(&self) -> bool {
        !self.max_cmd_sn.is_before(self.cmd_sn)
    }

    /// Has so much been given up that the target is as good as gone?
    #[must_use]
    pub const fn is_clogged(&self) -> bool {
        self.abandoned.len() >= ABANDONED_MAX
    }

    fn tag(&mut self) -> u32 {
        let tag = self.next_tag;
        self.next_tag = match tag.wrapping_add(1) {
            NO_TAG => 0,
            next => next,
        };
        tag
    }

    /// Starts a command. `data` is what goes out, and is kept by the caller for R2Ts.
    ///
    /// # Panics
    /// When a task is under way, or the window is closed: the caller looks first.
    pub fn command(
        &mut self,
        cdb: &Cdb,
        direction: Direction,
        data: &[u8],
        mut send: impl FnMut(Request),
    ) {
        assert!(self.waiting.is_none(), "one task at a time");
        assert!(self.is_window_open(), "the window is open");
        let tag = self.tag();
        let (expected_bytes, immediate) = match direction {
            Direction::None => (0, 0),
            Direction::In(bytes) => (bytes, 0),
            Direction::Out(bytes) if self.parameters.immediate_data => {
                let most = self
                    .parameters
                    .send_bytes_max
                    .min(self.parameters.first_burst_bytes);
                (bytes, bytes.min(most))
            }
            Direction::Out(bytes) => (bytes, 0),
        };
        let unsolicited = match direction {
            Direction::Out(bytes) if !self.parameters.initial_r2t => {
                bytes.min(self.parameters.first_burst_bytes)
            }
            Direction::Out(_) | Direction::In(_) | Direction::None => immediate,
        };
        let mut padded = cdb.as_bytes().to_vec();
        padded.resize(padded.len().max(16), 0);
        send(Request::ScsiCommand(ScsiCommand {
            immediate: false,
            is_final: unsolicited <= immediate,
            read: matches!(direction, Direction::In(_)),
            write: matches!(direction, Direction::Out(_)),
            attribute: TaskAttribute::Simple,
            lun: self.lun,
            task_tag: tag,
            expected_bytes,
            cmd_sn: self.cmd_sn,
            exp_stat_sn: self.exp_stat_sn,
            cdb: padded,
            data: data[..immediate as usize].to_vec(),
        }));
        self.cmd_sn = self.cmd_sn.next();
        self.send_data(tag, NO_TAG, data, immediate..unsolicited, &mut send);
        self.waiting = Some(Waiting::Command {
            tag,
            direction,
            moved: unsolicited.max(immediate),
            data_sn: 0,
        });
    }

    /// Sends this part of the data, in segments that the target takes.
    fn send_data(
        &self,
        task_tag: u32,
        transfer_tag: u32,
        data: &[u8],
        part: std::ops::Range<u32>,
        send: &mut impl FnMut(Request),
    ) {
        let (mut offset, mut data_sn) = (part.start, 0);
        while offset < part.end {
            let end = part
                .end
                .min(offset.saturating_add(self.parameters.send_bytes_max));
            send(Request::DataOut(DataOut {
                is_final: end == part.end,
                lun: self.lun,
                task_tag,
                transfer_tag,
                exp_stat_sn: self.exp_stat_sn,
                data_sn,
                offset,
                data: data[offset as usize..end as usize].to_vec(),
            }));
            offset = end;
            data_sn += 1;
        }
    }

    /// Starts a task management function.
    ///
    /// # Panics
    /// When a task is under way.
    pub fn function(&mut self, function: TaskFunction, mut send: impl FnMut(Request)) {
        assert!(self.waiting.is_none(), "one task at a time");
        let tag = self.tag();
        send(self.task_request(function, tag, NO_TAG));
        self.waiting = Some(Waiting::Function { tag });
    }

    fn task_request(&self, function: TaskFunction, task_tag: u32, referenced: u32) -> Request {
        Request::Task(TaskRequest {
            // At once, also when the window is closed by what is to be aborted.
            immediate: true,
            function,
            lun: match function {
                TaskFunction::TargetWarmReset | TaskFunction::TargetColdReset => Lun::default(),
                TaskFunction::AbortTask
                | TaskFunction::AbortTaskSet
                | TaskFunction::ClearAca
                | TaskFunction::ClearTaskSet
                | TaskFunction::LogicalUnitReset
                | TaskFunction::Other(_) => self.lun,
            },
            task_tag,
            referenced_task_tag: referenced,
            cmd_sn: self.cmd_sn,
            exp_stat_sn: self.exp_stat_sn,
            ref_cmd_sn: self.cmd_sn,
        })
    }

    /// The caller waits no longer. A command is asked to be aborted; whether it took effect stays unknown.
    pub fn abandon(&mut self, mut send: impl FnMut(Request)) {
        match self.waiting.take() {
            Some(Waiting::Command { tag, .. }) => {
                let abort = self.tag();
                self.abandoned.push(Abandoned {
                    tag,
                    aborted_by: Some(abort),
                });
                let mut request = self.task_request(TaskFunction::AbortTask, abort, tag);
                if let Request::Task(task) = &mut request {
                    // The command was the last one that was counted.
                    task.ref_cmd_sn = self.cmd_sn.plus(u32::MAX);
                }
                send(request);
            }
            Some(Waiting::Function { tag } | Waiting::Logout { tag }) => {
                self.abandoned.push(Abandoned {
                    tag,
                    aborted_by: None,
                });
            }
            None => {}
        }
    }

    /// Starts to log out.
    pub fn logout(&mut self, mut send: impl FnMut(Request)) {
        let tag = self.tag();
        send(Request::Logout(LogoutRequest {
            immediate: true,
            reason: LogoutReason::CloseSession,
            task_tag: tag,
            connection: 0,
            cmd_sn: self.cmd_sn,
            exp_stat_sn: self.exp_stat_sn,
        }));
        self.waiting = Some(Waiting::Logout { tag });
    }

    /// Sends a ping, unless one is not answered yet. Says whether it was sent.
    pub fn ping(&mut self, mut send: impl FnMut(Request)) -> bool {
        if self.ping.is_some() {
            return false;
        }
        let tag = self.tag();
        self.ping = Some(tag);
        send(self.nop_out(tag, NO_TAG, Lun::default(), Vec::new()));
        true
    }

    fn nop_out(&self, task_tag: u32, transfer_tag: u32, lun: Lun, data: Vec<u8>) -> Request {
        Request::NopOut(NopOut {
            immediate: true,
            lun,
            task_tag,
            transfer_tag,
            cmd_sn: self.cmd_sn,
            exp_stat_sn: self.exp_stat_sn,
            data,
        })
    }

    /// Takes what the target sent. `data_out` is the data of the caller's command.
    ///
    /// # Errors
    /// [`Broken`].
    pub fn handle(
        &mut self,
        response: Response,
        data_out: &[u8],
        send: impl FnMut(Request),
    ) -> Result<Event, Broken> {
        let (counters, counts) = response.counters();
        self.count(counters, counts);
        match response {
            Response::Scsi(pdu) => self.ended(&pdu),
            Response::DataIn(pdu) => self.data_in(pdu),
            Response::R2t(pdu) => self.r2t(&pdu, data_out, send),
            Response::Task(pdu) => Ok(self.function_answered(pdu.task_tag, pdu.answer)),
            Response::NopIn(pdu) => Ok(self.nop_in(pdu, send)),
            Response::Reject(pdu) => self.rejected(&pdu),
            Response::Async(pdu) => Ok(Self::message(&pdu)),
            Response::Logout(pdu) => match self.waiting {
                Some(Waiting::Logout { tag }) if tag == pdu.task_tag => {
                    self.waiting = None;
                    Ok(Event::LoggedOut)
                }
                Some(_) | None => Err(Broken("an answer to a logout that was not sent")),
            },
            Response::Login(_) => Err(Broken("a login response after the login")),
            Response::Text(_) => Err(Broken("an answer to a text request that was not sent")),
        }
    }

    fn count(&mut self, counters: Counters, counts: bool) {
        // With one connection and no recovery a StatSN cannot be missing, only said wrongly: it is followed.
        if counts {
            self.exp_stat_sn = counters.stat_sn.next();
        }
        // RFC 7143 4.2.2.1: a window that ends before it begins is to be ignored, as is one that shrinks.
        let sound = !counters
            .max_cmd_sn
            .is_before(counters.exp_cmd_sn.plus(u32::MAX));
        if sound && self.max_cmd_sn.is_before(counters.max_cmd_sn) {
            self.max_cmd_sn = counters.max_cmd_sn;
        }
    }

    fn is_abandoned(&self, tag: u32) -> bool {
        self.abandoned.iter().any(|one| one.tag == tag)
    }

    fn ended(&mut self, pdu: &ScsiResponse) -> Result<Event, Broken> {
        let Some(Waiting::Command {
            tag,
            direction,
            moved,
            ..
        }) = self.waiting
        else {
            return self.stray(pdu.task_tag);
        };
        if tag != pdu.task_tag {
            return self.stray(pdu.task_tag);
        }
        self.waiting = None;
        Ok(match pdu.completed() {
            None => Event::TargetFailure(pdu.response),
            Some(status) => Event::Ended {
                status,
                sense: pdu.sense.clone(),
                transferred: transferred(direction, moved, pdu.residual),
            },
        })
    }

    /// A response to what the caller no longer waits for.
    fn stray(&mut self, tag: u32) -> Result<Event, Broken> {
        if self.is_abandoned(tag) {
            self.abandoned.retain(|one| one.tag != tag);
            Ok(Event::Nothing)
        } else {
            Err(Broken("a response to a task that is not there"))
        }
    }

    fn data_in(&mut self, pdu: DataIn) -> Result<Event, Broken> {
        let Some(Waiting::Command {
            tag,
            direction: direction @ Direction::In(expected),
            moved,
            data_sn,
        }) = self.waiting
        else {
            return self.stray_data(&pdu);
        };
        if tag != pdu.task_tag {
            return self.stray_data(&pdu);
        }
        let length = u32::try_from(pdu.data.len()).unwrap_or(u32::MAX);
        if pdu.data_sn != data_sn || pdu.offset != moved || length > expected - moved {
            return Err(Broken(
                "data that is out of order, or more than was asked for",
            ));
        }
        let last = pdu.status.map(|end| Status(end.status));
        self.waiting = match last {
            Some(_) => None,
            None => Some(Waiting::Command {
                tag,
                direction,
                moved: moved + length,
                data_sn: data_sn.wrapping_add(1),
            }),
        };
        Ok(Event::Data {
            offset: moved as usize,
            data: pdu.data,
            last,
        })
    }

    fn stray_data(&mut self, pdu: &DataIn) -> Result<Event, Broken> {
        if !self.is_abandoned(pdu.task_tag) {
            return Err(Broken("data for a task that is not there"));
        }
        if pdu.status.is_some() {
            return self.stray(pdu.task_tag);
        }
        Ok(Event::Nothing)
    }

    fn r2t(
        &mut self,
        pdu: &R2t,
        data_out: &[u8],
        mut send: impl FnMut(Request),
    ) -> Result<Event, Broken> {
        let Some(Waiting::Command {
            tag,
            direction: direction @ Direction::Out(expected),
            moved,
            data_sn,
        }) = self.waiting
        else {
            return self.stray_r2t(pdu.task_tag);
        };
        if tag != pdu.task_tag {
            return self.stray_r2t(pdu.task_tag);
        }
        let fits = pdu.desired_bytes <= expected - moved
            && pdu.desired_bytes <= self.parameters.max_burst_bytes;
        if pdu.offset != moved || !fits || pdu.transfer_tag == NO_TAG {
            return Err(Broken(
                "it asks for data out of order, or for more than there is",
            ));
        }
        let end = moved + pdu.desired_bytes;
        self.send_data(tag, pdu.transfer_tag, data_out, moved..end, &mut send);
        self.waiting = Some(Waiting::Command {
            tag,
            direction,
            moved: end,
            data_sn,
        });
        Ok(Event::Nothing)
    }

    /// An R2T of what was given up gets no data: its abortion is under way.
    fn stray_r2t(&self, tag: u32) -> Result<Event, Broken> {
        if self.is_abandoned(tag) {
            Ok(Event::Nothing)
        } else {
            Err(Broken("it asks for data of a task that is not there"))
        }
    }

    fn function_answered(&mut self, tag: u32, answer: TaskAnswer) -> Event {
        match self.waiting {
            Some(Waiting::Function { tag: waiting }) if waiting == tag => {
                self.waiting = None;
                Event::Function(answer)
            }
            Some(_) | None => {
                self.abandoned
                    .retain(|one| one.tag != tag && one.aborted_by != Some(tag));
                Event::Nothing
            }
        }
    }

    fn nop_in(&mut self, pdu: NopIn, mut send: impl FnMut(Request)) -> Event {
        if pdu.transfer_tag != NO_TAG {
            let mut data = pdu.data;
            data.truncate(self.parameters.send_bytes_max as usize);
            send(self.nop_out(NO_TAG, pdu.transfer_tag, pdu.lun, data));
            return Event::Nothing;
        }
        if self.ping.is_some_and(|tag| tag == pdu.task_tag) {
            self.ping = None;
            return Event::Pong;
        }
        Event::Nothing
    }

    fn rejected(&mut self, pdu: &Reject) -> Result<Event, Broken> {
        let refused = pdu.task_tag();
        let ours = match self.waiting {
            Some(
                Waiting::Command { tag, .. } | Waiting::Function { tag } | Waiting::Logout { tag },
            ) => tag == refused,
            None => false,
        };
        if ours {
            self.waiting = None;
            Ok(Event::Rejected(pdu.reason))
        } else {
            self.stray(refused)
        }
    }

    const fn message(pdu: &Async) -> Event {
        match pdu.event {
            AsyncEvent::LogoutRequest { .. }
            | AsyncEvent::ConnectionDropped { .. }
            | AsyncEvent::SessionDropped
            // Nothing of ours can be negotiated anew; a target that insists logs us out (RFC 7143 11.9.1).
            | AsyncEvent::Negotiate => Event::Ending,
            AsyncEvent::Scsi(_) | AsyncEvent::Other(_) => Event::Nothing,
        }
    }
}

/// How many bytes moved: of data that came, those that came; of data that went, what the target says.
fn transferred(direction: Direction, moved: u32, residual: Residual) -> usize {
    (match direction {
        Direction::None => 0,
        Direction::In(_) => moved,
        Direction::Out(expected) => match residual {
            Residual::None | Residual::Overflow(_) => moved,
            Residual::Underflow(count) => expected.saturating_sub(count).min(moved),
        },
    }) as usize
}

#[cfg(test)]
mod tests;
