//! What is said to a proxy.

use crate::error::Result;

/// What is said to a proxy until it has connected us.
pub trait Negotiation: Send {
    /// What we say first.
    fn greeting(&self) -> Vec<u8>;

    /// Reads a reply from the front of `input`: how many bytes it has and what comes next. `None` means that it is not
    /// complete, and that all of `input` belongs to it.
    fn receive(&mut self, input: &[u8]) -> Result<Option<(usize, Next)>>;
}

/// What comes after a reply.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Next {
    /// We say this, and the proxy replies.
    Send(Vec<u8>),
    /// The proxy replies once more.
    Receive,
    /// What follows comes from the server.
    Done,
}
