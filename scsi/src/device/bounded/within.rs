//! One thing done within a bound, by a thread that can be given up: opening.

use super::worker::{StartError, spawn};
use std::sync::mpsc::{RecvTimeoutError, sync_channel};
use std::time::Duration;

/// Does it within the bound. What is made too late is dropped where it was made.
///
/// # Errors
/// [`StartError`]: what `make` said, or that it did not come back.
pub fn within<T: Send + 'static, E: Send + 'static>(
    name: &str,
    bound: Duration,
    make: impl FnOnce() -> Result<T, E> + Send + 'static,
) -> Result<T, StartError<E>> {
    let (made, is_made) = sync_channel(1);
    spawn(name, move || drop(made.send(make())))?;
    match is_made.recv_timeout(bound) {
        Ok(made) => made.map_err(StartError::Open),
        Err(RecvTimeoutError::Timeout) => Err(StartError::TimedOut),
        Err(RecvTimeoutError::Disconnected) => {
            Err(StartError::NoThread("the thread died".to_owned()))
        }
    }
}
