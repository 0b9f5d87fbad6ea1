//! The dialog with a proxy.

use crate::error::Result;

/// The dialog with a proxy until it has connected us.
pub trait Negotiation: Send {
    /// The first message to the proxy.
    fn greeting(&self) -> Vec<u8>;

    /// Reads a reply from the front of `input`: its length in bytes and what comes next. `None` means that it is not complete,
    /// and that all of `input` belongs to it.
    fn receive(&mut self, input: &[u8]) -> Result<Option<(usize, Next)>>;
}

/// The continuation after a reply.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Next {
    /// Send this message, and the proxy replies.
    Send(Vec<u8>),
    /// Receive another reply.
    Receive,
    /// The following bytes come from the server.
    Done,
}
