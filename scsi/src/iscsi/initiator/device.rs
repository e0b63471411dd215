//! The device: one session, its loss reported, at most one new login a command.
//!
//! Several handles may share a session; they take turns, each within its bound.

#![expect(
    clippy::disallowed_methods,
    reason = "the driver of a session: it reads the clock and keeps the session alive on a thread"
)]

use super::connection::{Connection, LinkError, resolve};
use super::login::{Identity, Login, LoginError, Step};
use super::session::{Direction, Event, Session};
use super::url::Portal;
use super::world;
use crate::device::{Completion, Data, Device, DeviceError, ResetError};
use crate::iscsi::chap::Credentials;
use crate::iscsi::negotiation::Wishes;
use crate::iscsi::pdu::{Isid, Lun, Request, Response, TaskAnswer, TaskFunction};
use crate::reservation::{Attention, ResetScope, Unsent};
use crate::wire::cdb::Cdb;
use crate::wire::sense::Sense;
use crate::wire::status::Status;
use crate::wire::transport_id::TransportId;
use std::net::SocketAddr;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, Instant};

/// How often the keep-alive looks. A target that pings waits longer than this for its answer (LIO: 30 s); one
/// that does not answer our own ping until the next look is given up.
const KEEP_ALIVE: Duration = Duration::from_secs(5);

/// How long a session that is no longer used waits for the answer to its logout.
const LOGOUT_BOUND: Duration = Duration::from_millis(500);

/// I_T NEXUS LOSS OCCURRED.
const NEXUS_LOSS: Attention = Attention::new(0x29, 0x07);

/// What a session is opened with.
#[derive(Clone, Debug)]
pub struct Options {
    /// Where the target listens.
    pub portal: Portal,
    /// The target's name.
    pub target: String,
    /// The logical unit.
    pub lun: Lun,
    /// This initiator's name.
    pub initiator: String,
    /// This initiator port's identifier.
    pub isid: Isid,
    /// What this end proves itself with.
    pub credentials: Option<Credentials>,
    /// What the target must prove itself with.
    pub target_credentials: Option<Credentials>,
    /// What is negotiated.
    pub wishes: Wishes,
}

/// Why there is no session.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum ConnectError {
    /// No TCP connection, or it was lost.
    #[error("{0}")]
    Connection(String),
    /// Not within the bound.
    #[error("no answer within the bound")]
    TimedOut,
    /// The login failed.
    #[error(transparent)]
    Login(#[from] LoginError),
}

impl From<LinkError> for ConnectError {
    fn from(error: LinkError) -> Self {
        match error {
            LinkError::TimedOut => Self::TimedOut,
            LinkError::Lost(why) => Self::Connection(why),
        }
    }
}

/// A connection and the session on it.
#[derive(Debug)]
struct Link {
    connection: Connection,
    session: Session,
    /// The target has said that it will end the session.
    ending: bool,
}

/// A session that may be lost, and what must be said about that.
#[derive(Debug)]
struct Nexus {
    options: Options,
    addresses: Vec<SocketAddr>,
    /// None after it was lost.
    link: Option<Link>,
    /// A new session has replaced a lost one, and no caller has been told.
    unreported: bool,
}

/// One session, shared by its handles: whoever uses it takes it out and puts it back.
#[derive(Debug)]
struct Shared {
    nexus: Mutex<Option<Nexus>>,
    free: Condvar,
    initiator: TransportId,
}

/// A logical unit through one iSCSI session.
///
/// Clones share the session. The last one to go logs out.
#[derive(Clone, Debug)]
pub struct IscsiDevice {
    shared: Arc<Shared>,
    /// The keep-alive thread ends when the last of these goes.
    _alive: mpsc::SyncSender<()>,
}

impl IscsiDevice {
    /// Connects and logs in, within the bound.
    ///
    /// # Errors
    /// [`ConnectError`].
    pub fn connect(options: Options, bound: Duration) -> Result<Self, ConnectError> {
        let deadline = Instant::now() + bound;
        let addresses = resolve(&options.portal, bound)?;
        let link = Link::open(&options, &addresses, deadline)?;
        let initiator = TransportId::Iscsi {
            name: options.initiator.clone(),
            isid: Some(options.isid.0),
        };
        let shared = Arc::new(Shared {
            nexus: Mutex::new(Some(Nexus {
                options,
                addresses,
                link: Some(link),
                unreported: false,
            })),
            free: Condvar::new(),
            initiator,
        });
        let (alive, ended) = mpsc::sync_channel(0);
        let weak = Arc::downgrade(&shared);
        std::thread::Builder::new()
            .name("iscsi-alive".to_owned())
            .spawn(move || keep_alive(&weak, &ended))
            .map_err(|error| ConnectError::Connection(error.to_string()))?;
        Ok(Self {
            shared,
            _alive: alive,
        })
    }

    /// This end of the nexus.
    #[must_use]
    pub fn initiator(&self) -> &TransportId {
        &self.shared.initiator
    }

    /// Uses the nexus alone, from when it is free and until the deadline at the latest.
    fn with_nexus<T>(
        &self,
        deadline: Instant,
        act: impl FnOnce(&mut Nexus) -> Result<T, DeviceError>,
    ) -> Result<T, DeviceError> {
        let mut nexus = self
            .shared
            .take(deadline)
            .ok_or(DeviceError::NotSent(Unsent::Busy))?;
        let outcome = act(&mut nexus);
        self.shared.put_back(nexus);
        outcome
    }

    fn function(&mut self, function: TaskFunction, bound: Duration) -> Result<(), ResetError> {
        let deadline = Instant::now() + bound;
        let answer = self.with_nexus(deadline, |nexus| {
            nexus.ready(deadline)?;
            nexus.function(function, deadline)
        })?;
        match answer {
            TaskAnswer::COMPLETE => Ok(()),
            TaskAnswer::NOT_SUPPORTED => Err(ResetError::Unsupported),
            no @ (TaskAnswer::NO_LUN | TaskAnswer::NOT_AUTHORISED | TaskAnswer::REJECTED) => {
                Err(ResetError::Refused(no.to_string()))
            }
            other => Err(ResetError::Failed(other.to_string())),
        }
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Option<Nexus>> {
        // Whoever panicked had taken the nexus out; what is there is sound.
        self.nexus.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes the nexus when it is free, if that is before the deadline.
    fn take(&self, deadline: Instant) -> Option<Nexus> {
        let mut guard = self.lock();
        loop {
            if let Some(nexus) = guard.take() {
                return Some(nexus);
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return None;
            }
            guard = self
                .free
                .wait_timeout(guard, left)
                .unwrap_or_else(PoisonError::into_inner)
                .0;
        }
    }

    fn put_back(&self, nexus: Nexus) {
        *self.lock() = Some(nexus);
        self.free.notify_one();
    }
}

impl Drop for Shared {
    /// Logs out, so that the target need not find out by itself; waits a little for the answer.
    fn drop(&mut self) {
        if let Some(nexus) = self.lock().take() {
            nexus.log_out(Instant::now() + LOGOUT_BOUND);
        }
    }
}

/// Answers pings and notices a dead target while nobody uses the session. Never waits for the network.
fn keep_alive(shared: &Weak<Shared>, ended: &mpsc::Receiver<()>) {
    while ended.recv_timeout(KEEP_ALIVE) == Err(RecvTimeoutError::Timeout) {
        let Some(shared) = shared.upgrade() else {
            return;
        };
        // Somebody uses it: then it is looked after.
        let taken = shared.lock().take();
        if let Some(mut nexus) = taken {
            nexus.look_after();
            shared.put_back(nexus);
        }
    }
}

impl Link {
    fn open(
        options: &Options,
        addresses: &[SocketAddr],
        deadline: Instant,
    ) -> Result<Self, ConnectError> {
        let challenge =
            world::random().map_err(|error| ConnectError::Connection(error.to_string()))?;
        let mut connection = Connection::open(addresses, deadline)?;
        let identity = Identity {
            initiator: options.initiator.clone(),
            isid: options.isid,
            target: options.target.clone(),
            credentials: options.credentials.clone(),
            target_credentials: options.target_credentials.clone(),
        };
        let (mut login, mut request) = Login::start(identity, options.wishes, challenge);
        loop {
            connection.queue(&Request::Login(request));
            connection.flush(deadline).map_err(|(error, _)| error)?;
            let Response::Login(response) = connection.receive(deadline)? else {
                return Err(
                    LoginError::Protocol("something else than an answer".to_owned()).into(),
                );
            };
            match login.handle(&response)? {
                Step::Send(next) => request = next,
                Step::LoggedIn(logged_in) => {
                    let digests = logged_in.parameters.digests;
                    connection.agree(digests, options.wishes.receive_bytes_max);
                    return Ok(Self {
                        connection,
                        session: Session::new(&logged_in, options.lun),
                        ending: false,
                    });
                }
            }
        }
    }

    /// Takes one response; sends what it asks for.
    fn take(
        &mut self,
        response: Response,
        data_out: &[u8],
        deadline: Instant,
    ) -> Result<Event, LinkError> {
        let (connection, session) = (&mut self.connection, &mut self.session);
        let event = session
            .handle(response, data_out, |request| connection.queue(&request))
            .map_err(|broken| LinkError::Lost(broken.to_string()))?;
        connection.flush(deadline).map_err(|(error, _)| error)?;
        self.ending |= event == Event::Ending;
        Ok(event)
    }
}

/// How an exchange ended that brought no answer.
enum Failure {
    /// Nothing left this host.
    Unsent(String),
    /// The caller's bound.
    TimedOut,
    /// The session is gone.
    Lost(String),
}

impl Nexus {
    /// Sees to it that there is a session. A new one is a login, and is reported.
    fn ready(&mut self, deadline: Instant) -> Result<(), DeviceError> {
        if self.link.as_ref().is_some_and(|link| link.ending) {
            self.close(deadline);
        }
        if self.link.is_some() {
            return Ok(());
        }
        match Link::open(&self.options, &self.addresses, deadline) {
            Ok(link) => {
                self.link = Some(link);
                self.unreported = true;
                Ok(())
            }
            Err(error) => Err(DeviceError::NotSent(Unsent::NoPath(format!(
                "the session was lost, and a new login failed: {error}"
            )))),
        }
    }

    /// Ends the session politely.
    fn close(&mut self, deadline: Instant) {
        if let Some(mut link) = self.link.take() {
            let (connection, session) = (&mut link.connection, &mut link.session);
            session.abandon(|request| connection.queue(&request));
            session.logout(|request| connection.queue(&request));
            if connection.flush(deadline).is_err() {
                return;
            }
            while let Ok(response) = link.connection.receive(deadline) {
                match link.take(response, &[], deadline) {
                    Ok(Event::LoggedOut) | Err(_) => return,
                    Ok(_) => {}
                }
            }
        }
    }

    fn log_out(mut self, deadline: Instant) {
        self.close(deadline);
    }

    /// Sends what `start` starts and waits for what ends it.
    fn exchange<T>(
        &mut self,
        data_out: &[u8],
        deadline: Instant,
        start: impl FnOnce(&mut Session, &mut Connection),
        mut ended: impl FnMut(Event) -> Option<T>,
    ) -> Result<T, Failure> {
        let Some(link) = &mut self.link else {
            return Err(Failure::Unsent("there is no session".to_owned()));
        };
        start(&mut link.session, &mut link.connection);
        if let Err((error, some_left)) = link.connection.flush(deadline) {
            self.link = None;
            return Err(if some_left {
                Failure::Lost(error.to_string())
            } else {
                Failure::Unsent(error.to_string())
            });
        }
        let failed = loop {
            let taken = link
                .connection
                .receive(deadline)
                .and_then(|response| link.take(response, data_out, deadline));
            match taken {
                Ok(event) => {
                    if let Some(outcome) = ended(event) {
                        return Ok(outcome);
                    }
                }
                Err(error) => break error,
            }
        };
        match failed {
            LinkError::TimedOut => {
                self.give_up();
                Err(Failure::TimedOut)
            }
            LinkError::Lost(why) => {
                self.link = None;
                Err(Failure::Lost(why))
            }
        }
    }

    /// What is under way is given up; the target is asked to abort it, and nobody waits for its answer.
    fn give_up(&mut self) {
        let Some(link) = &mut self.link else {
            return;
        };
        let (connection, session) = (&mut link.connection, &mut link.session);
        session.abandon(|request| connection.queue(&request));
        // A target that ends nothing of what it was given, or takes no more bytes, is as good as gone.
        let a_moment = Instant::now() + Duration::from_millis(1);
        if session.is_clogged() || connection.flush(a_moment).is_err() {
            self.link = None;
        }
    }

    /// Waits for room in the command window.
    fn window(&mut self, deadline: Instant) -> Result<(), Failure> {
        while let Some(link) = &mut self.link {
            if link.session.is_window_open() {
                return Ok(());
            }
            let taken = link
                .connection
                .receive(deadline)
                .and_then(|response| link.take(response, &[], deadline));
            match taken {
                Ok(_) => {}
                Err(LinkError::TimedOut) => {
                    return Err(Failure::Unsent(
                        "the target takes no more commands".to_owned(),
                    ));
                }
                Err(LinkError::Lost(why)) => {
                    self.link = None;
                    return Err(Failure::Unsent(why));
                }
            }
        }
        Err(Failure::Unsent("there is no session".to_owned()))
    }

    fn execute(
        &mut self,
        cdb: &Cdb,
        data: Data<'_>,
        deadline: Instant,
    ) -> Result<Completion, DeviceError> {
        self.window(deadline)?;
        let (direction, data_out, buffer): (_, &[u8], &mut [u8]) = match data {
            Data::None => (Direction::None, &[], &mut []),
            Data::In(buffer) => (Direction::In(length_of(buffer)?), &[], buffer),
            Data::Out(bytes) => (Direction::Out(length_of(bytes)?), bytes, &mut []),
        };
        let ended = self.exchange(
            data_out,
            deadline,
            |session, connection| {
                session.command(cdb, direction, data_out, |request| {
                    connection.queue(&request);
                });
            },
            |event| match event {
                Event::Data { offset, data, last } => {
                    let end = offset + data.len();
                    buffer[offset..end].copy_from_slice(&data);
                    last.map(|status| Ok(completion(status, &[], end)))
                }
                Event::Ended {
                    status,
                    sense,
                    transferred,
                } => Some(Ok(completion(status, &sense, transferred))),
                Event::Rejected(reason) => {
                    Some(Err(format!("the target rejected the command: {reason}")))
                }
                Event::TargetFailure(code) => Some(Err(format!(
                    "the target failed without a status (response {code:#04x})"
                ))),
                Event::Nothing
                | Event::Function(_)
                | Event::LoggedOut
                | Event::Pong
                | Event::Ending => None,
            },
        )?;
        ended.map_err(DeviceError::Transport)
    }

    fn function(
        &mut self,
        function: TaskFunction,
        deadline: Instant,
    ) -> Result<TaskAnswer, DeviceError> {
        Ok(self.exchange(
            &[],
            deadline,
            |session, connection| session.function(function, |request| connection.queue(&request)),
            |event| match event {
                Event::Function(answer) => Some(answer),
                Event::Rejected(_) => Some(TaskAnswer::REJECTED),
                Event::Nothing
                | Event::Data { .. }
                | Event::Ended { .. }
                | Event::TargetFailure(_)
                | Event::LoggedOut
                | Event::Pong
                | Event::Ending => None,
            },
        )?)
    }

    /// Takes what has arrived, and pings. A target that has not answered the last ping is gone.
    fn look_after(&mut self) {
        if let Some(link) = &mut self.link
            && !link.is_alive()
        {
            self.link = None;
        }
    }
}

impl Link {
    /// Takes what has arrived without waiting, and pings. False when the session is gone.
    fn is_alive(&mut self) -> bool {
        // A write waits only for a full buffer; then it gets a moment and no more.
        let a_moment = Instant::now() + Duration::from_millis(1);
        loop {
            match self.connection.poll() {
                Ok(Some(response)) => {
                    if self.take(response, &[], a_moment).is_err() {
                        return false;
                    }
                }
                Ok(None) => break,
                Err(_) => return false,
            }
        }
        let (connection, session) = (&mut self.connection, &mut self.session);
        let pinged = session.ping(|request| connection.queue(&request));
        pinged && connection.flush(a_moment).is_ok()
    }
}

impl From<Failure> for DeviceError {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Unsent(why) => Self::NotSent(Unsent::NoPath(why)),
            Failure::TimedOut => Self::TimedOut,
            Failure::Lost(why) => Self::Transport(why),
        }
    }
}

/// A transfer's length, which has 32 bits.
fn length_of(data: &[u8]) -> Result<u32, DeviceError> {
    u32::try_from(data.len())
        .map_err(|_| DeviceError::NotSent(Unsent::NoPath("more than 4 GiB of data".to_owned())))
}

fn completion(status: Status, sense: &[u8], transferred: usize) -> Completion {
    Completion {
        status,
        sense: if status == Status::CHECK_CONDITION {
            Sense::parse(sense)
        } else {
            None
        },
        transferred,
    }
}

/// INQUIRY, REPORT LUNS and REQUEST SENSE meet no attentions (SAM-5 5.14).
fn meets_attentions(cdb: &Cdb) -> bool {
    !matches!(cdb.as_bytes().first(), Some(0x03 | 0x12 | 0xa0))
}

impl Device for IscsiDevice {
    fn execute(
        &mut self,
        cdb: &Cdb,
        data: Data<'_>,
        bound: Duration,
    ) -> Result<Completion, DeviceError> {
        let deadline = Instant::now() + bound;
        self.with_nexus(deadline, |nexus| {
            nexus.ready(deadline)?;
            if nexus.unreported && meets_attentions(cdb) {
                nexus.unreported = false;
                return Ok(Completion {
                    status: Status::CHECK_CONDITION,
                    sense: Some(Sense::unit_attention(NEXUS_LOSS)),
                    transferred: 0,
                });
            }
            nexus.execute(cdb, data, deadline)
        })
    }

    fn reset(
        &mut self,
        scope: ResetScope,
        escalate: bool,
        bound: Duration,
    ) -> Result<(), ResetError> {
        let function = match scope {
            ResetScope::Lun => TaskFunction::LogicalUnitReset,
            ResetScope::Target => TaskFunction::TargetWarmReset,
            // A network has no bus, and this initiator no host adapter.
            ResetScope::Bus | ResetScope::Host => return Err(ResetError::Unsupported),
        };
        match self.function(function, bound) {
            Err(ResetError::Unsupported | ResetError::Refused(_) | ResetError::Failed(_))
                if escalate && scope == ResetScope::Lun =>
            {
                self.function(TaskFunction::TargetWarmReset, bound)
            }
            outcome => outcome,
        }
    }

    fn clear_task_set(&mut self, bound: Duration) -> Result<(), ResetError> {
        self.function(TaskFunction::ClearTaskSet, bound)
    }
}
