//! Who is connected, and whose session ends when. Pure: bytes in, bytes out, time as an argument.
//!
//! ```text
//!   accept ──► Login ──► Session ──► closing (what was said is still sent) ──► closed
//!                 └── too slow, refused ──┘   └── broken protocol, stalled, replaced: at once
//! ```
//!
//! The driver's part: [`Target::accept`] for a connection, [`Target::receive`] what came, [`Target::out`] and
//! [`Target::sent`] for what goes, [`Target::closed`] when it is gone, [`Target::tick`] at
//! [`Target::next_deadline`]; and after each of them look at [`Target::connections`].

use super::backend::{Backend, Store};
use super::command::Answer;
use super::login::{Admitted, Login, Rules, Verdict};
use super::session::{Context, Effect, Session, nexus_of};
use crate::iscsi::chap::CHALLENGE_BYTES;
use crate::iscsi::keyring::Keyring;
use crate::iscsi::negotiation::{DigestWish, Wishes};
use crate::iscsi::pdu::{
    Decoder, Digests, Frame, LoginResponse, LoginStatus, PduError, RejectReason, Request, Response,
};
use crate::logical_unit::{MediaError, Tag};
use crate::wire::cdb::Cdb;
use std::collections::BTreeMap;
use std::time::Duration;

/// How many sessions there may be.
pub const SESSIONS_MAX: usize = 64;

/// How many connections there may be: every session, and as many that have not logged in yet.
pub const CONNECTIONS_MAX: usize = 2 * SESSIONS_MAX;

/// How long a login may take.
const LOGIN_BOUND: Duration = Duration::from_secs(10);

/// After so much silence a client is asked whether it is there; after as much again it is not.
const SILENCE: Duration = Duration::from_secs(15);

/// How long a client may take nothing of what is sent to it.
const STALL_BOUND: Duration = Duration::from_secs(20);

/// With so much unsent no more is taken from a client. One command can add its data to it.
const OUT_BYTES_MAX: usize = 256 * 1024;

/// How many faults may be put off.
pub(super) const LATER_MAX: usize = 256;

/// Login texts are bounded by the standard's default until something else is agreed.
const LOGIN_BYTES_MAX: usize = 8192;

/// What a target is.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Its name.
    pub name: String,
    /// Who may log in; nobody named: everybody.
    pub allowed: Vec<String>,
    /// CHAP; with an initiator's secret in it, initiators must prove themselves.
    pub keyring: Keyring,
    /// Does it prefer unsolicited data, digests?
    pub wishes: Wishes,
}

/// A connection.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct ConnectionId(u64);

/// Work that a fault put off.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Later {
    pub due: Duration,
    pub connection: ConnectionId,
    pub task_tag: u32,
    pub work: Work,
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Work {
    /// Send this answer.
    Answer(Answer),
    /// Perform this; nobody is told.
    Run(Tag, Cdb, Vec<u8>),
}

#[derive(Debug)]
enum Phase {
    Login(Box<Login>),
    Session(Box<Session>),
}

#[derive(Debug)]
struct Connection {
    phase: Phase,
    decoder: Decoder,
    out: Vec<u8>,
    /// Where clients reach us: this one's way first.
    portals: Vec<String>,
    since: Duration,
    /// When something last came.
    heard: Duration,
    /// When something last went, or nothing was to go.
    moved: Duration,
    closing: bool,
    dropped: bool,
}

/// What the driver is to do with a connection.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Interest {
    /// Take what comes.
    pub read: bool,
    /// Send what is to go.
    pub write: bool,
    /// Close it.
    pub close: bool,
}

/// A target.
#[derive(Debug)]
pub struct Target<S> {
    settings: Settings,
    backend: Backend<S>,
    connections: BTreeMap<ConnectionId, Connection>,
    next_connection: u64,
    next_tsih: u16,
    later: Vec<Later>,
}

impl<S: Store> Target<S> {
    /// A target nobody is connected to.
    pub const fn new(settings: Settings, backend: Backend<S>) -> Self {
        Self {
            settings,
            backend,
            connections: BTreeMap::new(),
            next_connection: 0,
            next_tsih: 1,
            later: Vec::new(),
        }
    }

    /// What it serves.
    pub const fn backend(&self) -> &Backend<S> {
        &self.backend
    }

    /// A client has connected, to the first of these addresses of ours. `challenge` is random. None: there is
    /// no room.
    pub fn accept(
        &mut self,
        now: Duration,
        portals: Vec<String>,
        challenge: [u8; CHALLENGE_BYTES],
    ) -> Option<ConnectionId> {
        if self.connections.len() >= CONNECTIONS_MAX {
            return None;
        }
        let id = ConnectionId(self.next_connection);
        self.next_connection += 1;
        let connection = Connection {
            phase: Phase::Login(Box::new(Login::new(challenge))),
            decoder: Decoder::new(LOGIN_BYTES_MAX),
            out: Vec::new(),
            portals,
            since: now,
            heard: now,
            moved: now,
            closing: false,
            dropped: false,
        };
        self.connections.insert(id, connection);
        Some(id)
    }

    /// What is to be done with each connection.
    pub fn connections(&self) -> impl Iterator<Item = (ConnectionId, Interest)> {
        self.connections.iter().map(|(&id, connection)| {
            let write = !connection.out.is_empty() && !connection.dropped;
            let interest = Interest {
                read: !connection.closing && connection.out.len() < OUT_BYTES_MAX,
                write,
                close: connection.dropped || connection.closing && !write,
            };
            (id, interest)
        })
    }

    /// What is to be sent.
    #[must_use]
    pub fn out(&self, id: ConnectionId) -> &[u8] {
        self.connections
            .get(&id)
            .map_or(&[], |connection| &connection.out)
    }

    /// So much of it was.
    pub fn sent(&mut self, now: Duration, id: ConnectionId, bytes: usize) {
        if let Some(connection) = self.connections.get_mut(&id) {
            connection.out.drain(..bytes.min(connection.out.len()));
            connection.moved = now;
            // A large answer is not kept as room for small ones.
            if connection.out.is_empty() && connection.out.capacity() > OUT_BYTES_MAX {
                connection.out = Vec::new();
            }
        }
        self.pump(now, id);
    }

    /// The connection is gone. Its nexus is lost, if it had one.
    pub fn closed(&mut self, id: ConnectionId) {
        if let Some(Connection {
            phase: Phase::Session(session),
            ..
        }) = self.connections.remove(&id)
            && session.has_nexus()
        {
            self.backend.unit.nexus_loss(&session.nexus);
        }
    }

    /// Takes what came.
    pub fn receive(&mut self, now: Duration, id: ConnectionId, bytes: &[u8]) {
        let Some(connection) = self.connections.get_mut(&id) else {
            return;
        };
        connection.decoder.push(bytes);
        connection.heard = now;
        if connection.out.is_empty() {
            connection.moved = now;
        }
        if let Phase::Session(session) = &mut connection.phase {
            session.heard();
        }
        self.pump(now, id);
    }

    /// Takes frames while there is room for answers.
    fn pump(&mut self, now: Duration, id: ConnectionId) {
        while let Some(connection) = self.connections.get_mut(&id) {
            if connection.closing || connection.out.len() >= OUT_BYTES_MAX {
                return;
            }
            match connection.decoder.next_frame() {
                Ok(Some(frame)) => self.frame(now, id, frame),
                Ok(None) => return,
                // Where the next PDU begins is not known; with error recovery level 0 the session ends.
                Err(_) => self.end(id, Effect::Drop),
            }
        }
    }

    fn frame(&mut self, now: Duration, id: ConnectionId, frame: Frame) {
        if self.backend.is_hung() {
            return;
        }
        let header = frame.header;
        let request = Request::parse(frame);
        let Self {
            settings,
            backend,
            connections,
            later,
            ..
        } = self;
        let Some(connection) = connections.get_mut(&id) else {
            return;
        };
        let effect = match &mut connection.phase {
            Phase::Login(login) => match request {
                Ok(Request::Login(request)) => {
                    let verdict = login.handle(&request, &settings.rules());
                    return self.logged_in(id, request.tsih, verdict);
                }
                Ok(_) | Err(_) => Effect::Drop,
            },
            Phase::Session(session) => {
                let mut context = Context {
                    now,
                    id,
                    settings,
                    backend,
                    later,
                    portals: &connection.portals,
                    out: &mut connection.out,
                };
                match request {
                    Ok(request) => session.handle(request, &header, &mut context),
                    Err(error) => session.reject(reason(error), &header, &mut context),
                }
            }
        };
        self.end(id, effect);
    }

    /// Carries out what a login came to.
    fn logged_in(&mut self, id: ConnectionId, tsih: u16, verdict: Verdict) {
        match verdict {
            Verdict::Continue(response) => self.send(id, &response),
            Verdict::Refuse(response) => {
                self.send(id, &response);
                self.end(id, Effect::Close);
            }
            Verdict::Admit(admitted, mut response) => match self.admit(id, tsih, &admitted) {
                Ok(tsih) => {
                    response.tsih = tsih;
                    let session = Session::new(&admitted);
                    self.start(id, session, &response);
                }
                Err(status) => {
                    response.status = status;
                    response.next = None;
                    self.send(id, &response);
                    self.end(id, Effect::Close);
                }
            },
        }
    }

    /// Ends the session that a new one replaces (RFC 7143 6.3.5), and finds room. Gives the new handle.
    fn admit(
        &mut self,
        id: ConnectionId,
        tsih: u16,
        admitted: &Admitted,
    ) -> Result<u16, LoginStatus> {
        // A handle asks to join a session: each has one connection.
        if tsih != 0 {
            return Err(LoginStatus::TOO_MANY_CONNECTIONS);
        }
        if !admitted.discovery {
            let nexus = nexus_of(admitted);
            let old: Vec<ConnectionId> = self
                .sessions()
                .filter(|&(other, session)| {
                    other != id && session.has_nexus() && session.nexus == nexus
                })
                .map(|(other, _)| other)
                .collect();
            for other in old {
                self.lose(other);
            }
        }
        if self.sessions().count() >= SESSIONS_MAX {
            return Err(LoginStatus::OUT_OF_RESOURCES);
        }
        let handle = self.next_tsih;
        self.next_tsih = self.next_tsih.checked_add(1).unwrap_or(1);
        Ok(handle)
    }

    fn sessions(&self) -> impl Iterator<Item = (ConnectionId, &Session)> {
        self.connections
            .iter()
            .filter(|(_, connection)| !connection.dropped)
            .filter_map(|(&id, connection)| match &connection.phase {
                Phase::Session(session) => Some((id, &**session)),
                Phase::Login(_) => None,
            })
    }

    /// Ends a session at once: its nexus is lost now, its connection closes when the driver comes to it.
    fn lose(&mut self, id: ConnectionId) {
        let Some(connection) = self.connections.get_mut(&id) else {
            return;
        };
        connection.dropped = true;
        connection.closing = true;
        let unfinished = Phase::Login(Box::new(Login::new([0; CHALLENGE_BYTES])));
        if let Phase::Session(session) = std::mem::replace(&mut connection.phase, unfinished)
            && session.has_nexus()
        {
            self.backend.unit.nexus_loss(&session.nexus);
        }
    }

    fn start(&mut self, id: ConnectionId, mut session: Session, response: &LoginResponse) {
        let Some(connection) = self.connections.get_mut(&id) else {
            return;
        };
        let mut response = response.clone();
        let window = session.counters();
        response.counters.max_cmd_sn = window.max_cmd_sn;
        // The last login response is the last PDU without digests.
        Response::Login(response).emit(Digests::default(), &mut connection.out);
        let digests = session.parameters.digests;
        connection
            .decoder
            .agree(digests, super::RECEIVE_BYTES_MAX as usize);
        connection.phase = Phase::Session(Box::new(session));
    }

    fn send(&mut self, id: ConnectionId, response: &LoginResponse) {
        if let Some(connection) = self.connections.get_mut(&id) {
            Response::Login(response.clone()).emit(Digests::default(), &mut connection.out);
        }
    }

    /// Carries out what a PDU does beyond its session.
    fn end(&mut self, id: ConnectionId, effect: Effect) {
        match effect {
            Effect::None => {}
            Effect::Close => {
                if let Some(connection) = self.connections.get_mut(&id) {
                    connection.closing = true;
                }
            }
            Effect::Drop => self.lose(id),
            Effect::TasksGone | Effect::AllEnd => {
                for connection in self.connections.values_mut() {
                    if let Phase::Session(session) = &mut connection.phase {
                        session.tasks.clear();
                        connection.closing |= effect == Effect::AllEnd;
                    }
                }
            }
        }
    }

    /// The end: every nexus is lost, and what was written is brought onto the medium.
    ///
    /// # Errors
    /// When the medium cannot.
    pub fn stop(&mut self) -> Result<(), MediaError> {
        let ids: Vec<ConnectionId> = self.connections.keys().copied().collect();
        for id in ids {
            self.lose(id);
        }
        self.backend.sync()
    }

    /// When something is to be done though nothing comes.
    #[must_use]
    pub fn next_deadline(&self) -> Option<Duration> {
        let of_connections = self.connections.values().map(|connection| {
            let due = match connection.phase {
                Phase::Login(_) => connection.since + LOGIN_BOUND,
                Phase::Session(_) => connection.heard + SILENCE,
            };
            if connection.out.is_empty() {
                due
            } else {
                due.min(connection.moved + STALL_BOUND)
            }
        });
        of_connections
            .chain(self.later.iter().map(|later| later.due))
            .min()
    }

    /// Does what is due.
    pub fn tick(&mut self, now: Duration) {
        while let Some(at) = self.later.iter().position(|later| later.due <= now) {
            let later = self.later.remove(at);
            self.work(now, later);
        }
        let ids: Vec<ConnectionId> = self.connections.keys().copied().collect();
        for id in ids {
            self.look(now, id);
        }
    }

    fn work(&mut self, now: Duration, late: Later) {
        let Self {
            settings,
            backend,
            connections,
            later,
            ..
        } = self;
        let connection = connections.get_mut(&late.connection);
        match late.work {
            Work::Run(tag, cdb, data) => {
                backend.run(tag, &cdb, data);
            }
            Work::Answer(answer) => {
                if let Some(connection) = connection
                    && let Phase::Session(session) = &mut connection.phase
                {
                    let mut context = Context {
                        now,
                        id: late.connection,
                        settings,
                        backend,
                        later,
                        portals: &connection.portals,
                        out: &mut connection.out,
                    };
                    session.late(late.task_tag, &answer, &mut context);
                }
            }
        }
    }

    /// Asks a silent client, gives up one that is too slow.
    fn look(&mut self, now: Duration, id: ConnectionId) {
        let Self {
            settings,
            backend,
            connections,
            later,
            ..
        } = self;
        let Some(connection) = connections.get_mut(&id) else {
            return;
        };
        let stalled = !connection.out.is_empty() && now >= connection.moved + STALL_BOUND;
        let gone = stalled
            || match &mut connection.phase {
                Phase::Login(_) => now >= connection.since + LOGIN_BOUND,
                Phase::Session(session) if now >= connection.heard + SILENCE => {
                    // The next look is as far away again.
                    connection.heard = now;
                    if connection.out.is_empty() {
                        connection.moved = now;
                    }
                    let mut context = Context {
                        now,
                        id,
                        settings,
                        backend,
                        later,
                        portals: &connection.portals,
                        out: &mut connection.out,
                    };
                    !session.ping(&mut context)
                }
                Phase::Session(_) => false,
            };
        if gone {
            self.lose(id);
        }
    }
}

impl Settings {
    /// What this target asks for: data as early as an initiator may send them, and in large pieces.
    #[must_use]
    pub const fn wishes() -> Wishes {
        Wishes {
            digests: DigestWish::Unwanted,
            initial_r2t: false,
            immediate_data: true,
            receive_bytes_max: super::RECEIVE_BYTES_MAX,
            max_burst_bytes: 1024 * 1024,
            first_burst_bytes: super::RECEIVE_BYTES_MAX,
        }
    }

    fn rules(&self) -> Rules<'_> {
        Rules {
            target: &self.name,
            allowed: &self.allowed,
            keyring: &self.keyring,
            wishes: &self.wishes,
        }
    }
}

const fn reason(error: PduError) -> RejectReason {
    match error {
        PduError::Opcode(_) => RejectReason::NOT_SUPPORTED,
        PduError::Field { .. } | PduError::Data { .. } => RejectReason::INVALID_FIELD,
    }
}
