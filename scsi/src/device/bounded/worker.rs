//! A thread that owns a value and performs jobs on it, one at a time.

use crate::device::Companion;
use std::any::Any;
use std::convert::Infallible;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TryRecvError, sync_channel};
use std::thread;
use std::time::Duration;
use thiserror::Error;

/// What a thread is told.
enum Order<T, R> {
    /// Do this, and reply.
    Job(Box<dyn FnOnce(&mut T) -> R + Send>, SyncSender<R>),
    /// Have this with you until the end.
    Accompany(Companion),
}

/// One job, and companions that have come while the one before was under way.
const QUEUED_MAX: usize = 4;

/// A device's thread calls an ioctl and little else.
const STACK_BYTES: usize = 256 * 1024;

/// Why there is no worker.
#[derive(Debug, Error)]
pub enum StartError<E> {
    /// What was to be opened could not be.
    #[error(transparent)]
    Open(E),
    /// Opening outlived the bound; its thread has been given up.
    #[error("opening took longer than the bound")]
    TimedOut,
    /// No thread could be had.
    #[error("no thread could be started: {0}")]
    NoThread(String),
}

/// How a call ended.
#[derive(Debug)]
pub(super) enum Called<R> {
    /// In time.
    Back(R),
    /// Not within the bound. The reply is owed.
    TimedOut,
    /// Not begun: an earlier reply is still owed.
    Busy,
    /// Not begun, or never to end: the thread has died.
    Gone,
}

/// Starts a thread.
pub(super) fn spawn<E>(
    name: &str,
    run: impl FnOnce() + Send + 'static,
) -> Result<(), StartError<E>> {
    // A name is at most fifteen bytes on Linux; the end of a path tells more than its beginning.
    let tail = name.rsplit('/').next().unwrap_or(name);
    // A NUL cannot be part of a thread's name.
    let tail = tail.replace('\0', "?");
    thread::Builder::new()
        .name(format!("disk {tail}"))
        .stack_size(STACK_BYTES)
        .spawn(run)
        .map(drop)
        .map_err(|error| StartError::NoThread(error.to_string()))
}

/// A thread that owns a `T`, seen from its caller.
#[derive(Debug)]
pub(super) struct Worker<T, R> {
    orders: SyncSender<Order<T, R>>,
    owed: Option<Receiver<R>>,
    late: Option<R>,
}

impl<T: Send + 'static, R: Send + 'static> Worker<T, R> {
    /// Starts a thread that owns the value.
    pub(super) fn start(name: &str, mut value: T) -> Result<Self, StartError<Infallible>> {
        let (orders, inbox) = sync_channel(QUEUED_MAX);
        spawn(name, move || {
            let companions = serve(&mut value, &inbox);
            // They go last: a lock is let go of when the device is closed.
            drop(value);
            drop(companions);
        })?;
        Ok(Self {
            orders,
            owed: None,
            late: None,
        })
    }

    /// Has the job done, and waits for it no longer than the bound.
    pub(super) fn call(
        &mut self,
        bound: Duration,
        job: impl FnOnce(&mut T) -> R + Send + 'static,
    ) -> Called<R> {
        if self.owes() {
            return Called::Busy;
        }
        let (reply, replies) = sync_channel(1);
        // Nothing is under way, so that the thread takes what it is sent: this does not block.
        if self.orders.send(Order::Job(Box::new(job), reply)).is_err() {
            return Called::Gone;
        }
        match replies.recv_timeout(bound) {
            Ok(reply) => Called::Back(reply),
            Err(RecvTimeoutError::Timeout) => {
                self.owed = Some(replies);
                Called::TimedOut
            }
            Err(RecvTimeoutError::Disconnected) => Called::Gone,
        }
    }

    /// The thread has this with it, from its next job on. Never blocks.
    pub(super) fn accompany(&self, with: Companion) {
        // A thread that is stuck with so many that it has not taken needs no more; a dead one, none.
        let _full_or_gone = self.orders.try_send(Order::Accompany(with));
    }

    /// Is a reply still owed? One that has come back since is late.
    pub(super) fn owes(&mut self) -> bool {
        let Some(owed) = self.owed.take() else {
            return false;
        };
        match owed.try_recv() {
            Ok(late) => self.late = Some(late),
            Err(TryRecvError::Empty) => self.owed = Some(owed),
            // The thread has died: the next job will not be taken.
            Err(TryRecvError::Disconnected) => {}
        }
        self.owed.is_some()
    }

    /// The reply that came back after its caller had left, once.
    pub(super) fn take_late(&mut self) -> Option<R> {
        self.late.take()
    }
}

/// Until nobody will ask again: what the thread has with it.
fn serve<T, R>(value: &mut T, inbox: &Receiver<Order<T, R>>) -> Vec<Box<dyn Any>> {
    let mut companions = Vec::new();
    while let Ok(order) = inbox.recv() {
        match order {
            Order::Accompany(make) => companions.push(make()),
            Order::Job(job, reply) => {
                let done = job(value);
                if reply.send(done).is_err() {
                    // The worker was dropped: nobody will ask again.
                    break;
                }
            }
        }
    }
    companions
}
