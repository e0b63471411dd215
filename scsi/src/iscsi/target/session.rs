//! A session in full feature phase, pure: which PDUs, in which order, with which counters.
//!
//! Invariants:
//! * commands are taken in the order of CmdSN; one out of its turn is not there (RFC 7143 4.2.2.1);
//! * at most [`TASKS_MAX`] tasks; their data are taken in order, within what was asked for;
//! * MaxCmdSN never goes back.

use super::backend::{Backend, Store};
use super::command::{Answer, Gathering};
use super::login::{self, Admitted};
use super::portal::{ConnectionId, Later, Settings};
use crate::iscsi::negotiation::Parameters;
use crate::iscsi::pdu::{
    Counters, DataOut, HEADER_BYTES, LogoutReason, LogoutRequest, LogoutResponse, Lun, NO_TAG,
    NopIn, NopOut, Reject, RejectReason, Request, Response, TextRequest, TextResponse,
};
use crate::iscsi::serial::Serial;
use crate::iscsi::text::Gather;
use crate::logical_unit::{Nexus, Tag};
use crate::wire::transport_id::TransportId;
use std::collections::BTreeMap;
use std::time::Duration;

/// How many commands a session may have under way.
pub(super) const TASKS_MAX: usize = 32;

/// What a session works with.
pub(super) struct Context<'a, S> {
    pub now: Duration,
    pub id: ConnectionId,
    pub settings: &'a Settings,
    pub backend: &'a mut Backend<S>,
    pub later: &'a mut Vec<Later>,
    /// Where clients reach us: this one's way first.
    pub portals: &'a [String],
    /// What is sent to the client.
    pub out: &'a mut Vec<u8>,
}

/// What a PDU does beyond its session.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Effect {
    /// Nothing.
    None,
    /// This session ends when everything was sent.
    Close,
    /// This session ends at once.
    Drop,
    /// The tasks of all sessions are gone.
    TasksGone,
    /// All sessions end.
    AllEnd,
}

/// A command under way.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Task {
    /// Its data are not all there.
    Gathering(Gathering),
    /// It waits in the unit (a fault makes it late).
    Waiting(Tag),
    /// Its answer waits, or never comes (a fault).
    Answering,
}

/// A session.
#[derive(Debug)]
pub(super) struct Session {
    pub nexus: Nexus,
    discovery: bool,
    pub parameters: Parameters,
    stat_sn: Serial,
    exp_cmd_sn: Serial,
    max_cmd_sn: Serial,
    pub tasks: BTreeMap<u32, Task>,
    pub next_transfer_tag: u32,
    text: Gather,
    connection: u16,
    /// A ping that was not answered.
    ping: bool,
}

impl Session {
    pub(super) fn new(admitted: &Admitted) -> Self {
        Self {
            nexus: nexus_of(admitted),
            discovery: admitted.discovery,
            parameters: admitted.parameters,
            stat_sn: admitted.stat_sn,
            exp_cmd_sn: admitted.exp_cmd_sn,
            max_cmd_sn: admitted.exp_cmd_sn,
            tasks: BTreeMap::new(),
            next_transfer_tag: 0,
            text: Gather::default(),
            connection: admitted.connection,
            ping: false,
        }
    }

    /// Has it a nexus to the unit? A discovery session has none.
    pub(super) const fn has_nexus(&self) -> bool {
        !self.discovery
    }

    /// The counters of a PDU that carries a status of its own.
    pub(super) fn status_counters(&mut self) -> Counters {
        let counters = self.counters();
        self.stat_sn = self.stat_sn.next();
        counters
    }

    /// The counters of a PDU that carries none.
    pub(super) fn counters(&mut self) -> Counters {
        let room = u32::try_from(TASKS_MAX.saturating_sub(self.tasks.len())).unwrap_or(0);
        let max = self.exp_cmd_sn.plus(room).plus(u32::MAX);
        if self.max_cmd_sn.is_before(max) {
            self.max_cmd_sn = max;
        }
        Counters {
            stat_sn: self.stat_sn,
            exp_cmd_sn: self.exp_cmd_sn,
            max_cmd_sn: self.max_cmd_sn,
        }
    }

    pub(super) fn send<S>(&self, response: &Response, context: &mut Context<'_, S>) {
        response.emit(self.parameters.digests, context.out);
    }

    /// Is the command the next in its order? Then it is counted.
    fn is_next(&mut self, immediate: bool, cmd_sn: Serial) -> bool {
        if immediate {
            return true;
        }
        let next = cmd_sn == self.exp_cmd_sn && !self.max_cmd_sn.is_before(cmd_sn);
        if next {
            self.exp_cmd_sn = self.exp_cmd_sn.next();
        }
        next
    }

    /// Takes one PDU.
    pub(super) fn handle<S: Store>(
        &mut self,
        request: Request,
        header: &[u8; HEADER_BYTES],
        context: &mut Context<'_, S>,
    ) -> Effect {
        match request {
            Request::ScsiCommand(command) => {
                if !self.is_next(command.immediate, command.cmd_sn) {
                    return Effect::None;
                }
                if self.discovery || self.tasks.contains_key(&command.task_tag) {
                    return self.reject(RejectReason::PROTOCOL_ERROR, header, context);
                }
                self.command(command, context)
            }
            Request::DataOut(data) => self.data_out(&data, context),
            Request::Task(task) => {
                if !self.is_next(task.immediate, task.cmd_sn) {
                    return Effect::None;
                }
                if self.discovery {
                    return self.reject(RejectReason::PROTOCOL_ERROR, header, context);
                }
                self.function(&task, context)
            }
            Request::NopOut(nop) => self.nop_out(nop, context),
            Request::Text(text) => {
                if !self.is_next(text.immediate, text.cmd_sn) {
                    return Effect::None;
                }
                self.text(text, header, context)
            }
            Request::Logout(logout) => {
                if !self.is_next(logout.immediate, logout.cmd_sn) {
                    return Effect::None;
                }
                self.logout(&logout, context)
            }
            // RFC 7143 11.12: a login request in full feature phase is an error of the protocol.
            Request::Login(_) => {
                self.reject(RejectReason::PROTOCOL_ERROR, header, context);
                Effect::Close
            }
        }
    }

    /// Refuses a PDU; the session goes on.
    pub(super) fn reject<S>(
        &mut self,
        reason: RejectReason,
        header: &[u8; HEADER_BYTES],
        context: &mut Context<'_, S>,
    ) -> Effect {
        let reject = Reject {
            reason,
            counters: self.status_counters(),
            refused: *header,
        };
        self.send(&Response::Reject(reject), context);
        Effect::None
    }

    fn data_out<S: Store>(&mut self, pdu: &DataOut, context: &mut Context<'_, S>) -> Effect {
        let Some(Task::Gathering(gathering)) = self.tasks.get_mut(&pdu.task_tag) else {
            // Of a task that has ended meanwhile: refused, aborted.
            return Effect::None;
        };
        if gathering.take(pdu, &self.parameters).is_err() {
            return self.spoil(pdu.task_tag, context);
        }
        self.go_on(pdu.task_tag, context)
    }

    fn nop_out<S>(&mut self, pdu: NopOut, context: &mut Context<'_, S>) -> Effect {
        if pdu.task_tag == NO_TAG {
            self.ping = false;
            return Effect::None;
        }
        if !self.is_next(pdu.immediate, pdu.cmd_sn) {
            return Effect::None;
        }
        let mut data = pdu.data;
        data.truncate(self.parameters.send_bytes_max as usize);
        let answer = NopIn {
            lun: pdu.lun,
            task_tag: pdu.task_tag,
            transfer_tag: NO_TAG,
            counters: self.status_counters(),
            data,
        };
        self.send(&Response::NopIn(answer), context);
        Effect::None
    }

    /// Asks whether anybody is there. False: the last time nobody was.
    pub(super) fn ping<S>(&mut self, context: &mut Context<'_, S>) -> bool {
        if self.ping {
            return false;
        }
        self.ping = true;
        let ping = NopIn {
            lun: Lun::default(),
            task_tag: NO_TAG,
            // One ping at a time, so any tag but NO_TAG will do.
            transfer_tag: 0,
            counters: self.counters(),
            data: Vec::new(),
        };
        self.send(&Response::NopIn(ping), context);
        true
    }

    /// Something was heard: the client is there.
    pub(super) const fn heard(&mut self) {
        self.ping = false;
    }

    fn text<S>(
        &mut self,
        pdu: TextRequest,
        header: &[u8; HEADER_BYTES],
        context: &mut Context<'_, S>,
    ) -> Effect {
        let Ok(gathered) = self.text.push(&pdu.text, pdu.more) else {
            return self.reject(RejectReason::PROTOCOL_ERROR, header, context);
        };
        let (name, portals) = (&context.settings.name, context.portals);
        let (text, whole) = match gathered {
            Some(request) => {
                let answer = login::answer_text(&request, name, portals, &mut self.parameters);
                (answer.emit(), true)
            }
            None => (Vec::new(), false),
        };
        let response = TextResponse {
            is_final: whole && pdu.is_final,
            more: false,
            lun: pdu.lun,
            task_tag: pdu.task_tag,
            // An exchange that goes on is recognised by its tag; there is only one at a time.
            transfer_tag: if whole && pdu.is_final { NO_TAG } else { 1 },
            counters: self.status_counters(),
            text,
        };
        self.send(&Response::Text(response), context);
        Effect::None
    }

    fn logout<S>(&mut self, pdu: &LogoutRequest, context: &mut Context<'_, S>) -> Effect {
        let response = match pdu.reason {
            LogoutReason::CloseSession => LogoutResponse::CLOSED,
            LogoutReason::CloseConnection if pdu.connection == self.connection => {
                LogoutResponse::CLOSED
            }
            LogoutReason::CloseConnection => LogoutResponse::NO_CONNECTION,
            LogoutReason::Other(_) => LogoutResponse::NO_RECOVERY,
        };
        let answer = LogoutResponse {
            response,
            task_tag: pdu.task_tag,
            counters: self.status_counters(),
        };
        self.send(&Response::Logout(answer), context);
        if response == LogoutResponse::CLOSED {
            Effect::Close
        } else {
            Effect::None
        }
    }

    /// The answer to a task that waited for it; none if it was aborted meanwhile.
    pub(super) fn late<S: Store>(
        &mut self,
        task_tag: u32,
        answer: &Answer,
        context: &mut Context<'_, S>,
    ) {
        if self.tasks.remove(&task_tag).is_some() {
            self.answer(task_tag, answer, context);
        }
    }
}

/// The nexus of who came in.
pub(super) fn nexus_of(admitted: &Admitted) -> Nexus {
    let initiator = TransportId::Iscsi {
        name: admitted.initiator.clone(),
        isid: Some(admitted.isid.0),
    };
    Nexus::new(initiator, super::TARGET_PORT)
}
