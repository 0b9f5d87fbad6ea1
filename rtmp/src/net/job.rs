//! Blocking calls for code that must not wait.

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

/// A call that may block for any time, in its own thread.
///
/// Dropping it leaves the thread running; it ends, without any effect, when the call returns.
pub struct Job<T> {
    result: Receiver<T>,
    /// One end of a pair, which the thread shuts down at its end: from then on it is readable.
    done: Arc<Socket>,
}

impl<T: Send + 'static> Job<T> {
    /// Makes the call in a thread of this name.
    pub fn start(name: &str, call: impl FnOnce() -> T + Send + 'static) -> Result<Self> {
        let (done, bell) = system::pair()?;
        let (sender, result) = mpsc::sync_channel(1);
        thread::Builder::new().name(name.to_owned()).spawn(move || {
            // After a timeout there is no receiver.
            let _ = sender.send(call());
            // A shutdown, because closing is not enough if a child process has a copy.
            let _ = bell.shutdown(Shutdown::Both);
        })?;
        Ok(Self { result, done: Arc::new(done) })
    }

    /// The result of the call, once it has returned.
    pub fn result(&self) -> Result<Option<T>> {
        match self.result.try_recv() {
            Ok(result) => Ok(Some(result)),
            Err(TryRecvError::Empty) => Ok(None),
            Err(TryRecvError::Disconnected) => Err(Error::Invalid("a thread of the library has ended")),
        }
    }

    /// The socket to wait for.
    pub fn interest(&self) -> Interest {
        Interest { socket: self.done.clone(), read: true, write: false }
    }
}
