//! Calls that wait, for those who must not.

use std::{
    net::Shutdown,
    sync::{
        Arc,
        mpsc::{self, Receiver, TryRecvError},
    },
    thread,
};

use socket2::Socket;

use super::step::Interest;
use crate::{
    error::{Error, Result},
    system,
};

/// A call that may block for any time, in a thread of its own.
///
/// Dropping it leaves the thread behind, which ends, without an effect, when the call does.
pub struct Job<T> {
    result: Receiver<T>,
    /// One end of a pair, which the thread shuts down when it is done: from then on it is readable.
    done: Arc<Socket>,
}

impl<T: Send + 'static> Job<T> {
    /// Makes the call in a thread of this name.
    pub fn start(name: &str, call: impl FnOnce() -> T + Send + 'static) -> Result<Self> {
        let (done, bell) = system::pair()?;
        let (sender, result) = mpsc::sync_channel(1);
        thread::Builder::new().name(name.to_owned()).spawn(move || {
            // Nobody listens any more when time was up.
            let _ = sender.send(call());
            // Not by closing it: a child process may have a copy.
            let _ = bell.shutdown(Shutdown::Both);
        })?;
        Ok(Self { result, done: Arc::new(done) })
    }

    /// What the call has returned, once it has.
    pub fn result(&self) -> Result<Option<T>> {
        match self.result.try_recv() {
            Ok(result) => Ok(Some(result)),
            Err(TryRecvError::Empty) => Ok(None),
            Err(TryRecvError::Disconnected) => Err(Error::Invalid("a thread of the library has ended")),
        }
    }

    /// What to wait for.
    pub fn interest(&self) -> Interest {
        Interest { socket: self.done.clone(), read: true, write: false }
    }
}
