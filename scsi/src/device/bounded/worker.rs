//! A thread that owns a value and performs jobs on it, one at a time.

use std::convert::Infallible;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TryRecvError, sync_channel};
use std::thread;
use std::time::Duration;
use thiserror::Error;

type Job<T, R> = (Box<dyn FnOnce(&mut T) -> R + Send>, SyncSender<R>);

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
    jobs: SyncSender<Job<T, R>>,
    owed: Option<Receiver<R>>,
    late: Option<R>,
}

impl<T: Send + 'static, R: Send + 'static> Worker<T, R> {
    /// Starts a thread that owns the value.
    pub(super) fn start(name: &str, mut value: T) -> Result<Self, StartError<Infallible>> {
        let (jobs, inbox) = sync_channel::<Job<T, R>>(1);
        spawn(name, move || serve(&mut value, &inbox))?;
        Ok(Self {
            jobs,
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
        // Room for one job, and none is under way: this never blocks.
        if self.jobs.send((Box::new(job), reply)).is_err() {
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

fn serve<T, R>(value: &mut T, inbox: &Receiver<Job<T, R>>) {
    while let Ok((job, reply)) = inbox.recv() {
        let done = job(value);
        if reply.send(done).is_err() {
            // The worker was dropped: nobody will ask again.
            return;
        }
    }
}
