//! Options for the behaviour of a connection, which both program interfaces have.

use std::time::Duration;

use crate::error::{Error, Result};

/// The behaviour of a connection.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Tuning {
    /// `timeoutMs`: the limit of any wait, in place of `timeout`.
    pub timeout: Option<Duration>,
    /// `sendQueue`: the limit of bytes that may wait for the peer.
    pub queue_limit: Option<usize>,
    /// `closeReset`: whether a connection is reset after a failed send.
    pub resets: bool,
    /// `data=all`: whether readers receive every data message and the smallest audio and video.
    pub all_data: bool,
}

impl Tuning {
    /// Sets `timeoutMs`.
    pub fn set_timeout(&mut self, milliseconds: i32) -> Result<()> {
        let milliseconds =
            u64::try_from(milliseconds).map_err(|_| Error::Invalid("timeoutMs is less than 0"))?;
        self.timeout = (milliseconds > 0).then(|| Duration::from_millis(milliseconds));
        Ok(())
    }

    /// Sets `sendQueue`.
    pub fn set_queue_limit(&mut self, bytes: i32) -> Result<()> {
        let bytes = usize::try_from(bytes).map_err(|_| Error::Invalid("sendQueue is less than 0"))?;
        self.queue_limit = (bytes > 0).then_some(bytes);
        Ok(())
    }

    /// Sets `data`.
    pub fn set_data(&mut self, text: &[u8]) -> Result<()> {
        self.all_data = match text {
            b"all" => true,
            b"media" => false,
            _ => return Err(Error::Invalid("data is neither all nor media")),
        };
        Ok(())
    }
}
