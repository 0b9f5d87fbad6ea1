//! What is said to a proxy, and saying it over a socket.

use std::{io::Read, iter, net::TcpStream, os::fd::AsFd};

use super::super::{tcp, wait::Patience};
use crate::error::{Error, Result};

/// What is said to a proxy until it has connected us.
pub trait Negotiation {
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

/// Leads a negotiation to its end. Bytes are looked at before they are taken from the socket, so that what follows the
/// last reply stays there.
pub(super) fn run(
    negotiation: &mut dyn Negotiation,
    stream: &TcpStream,
    patience: &dyn Patience,
) -> Result<()> {
    send(stream, &negotiation.greeting(), patience)?;
    let mut reply = Vec::new();
    let mut total = 0;
    loop {
        let known = reply.len();
        peek(stream, &mut reply, patience)?;
        let received = negotiation.receive(&reply)?;
        let used = received.as_ref().map_or(reply.len(), |(used, _)| *used);
        total += used.saturating_sub(known);
        take(stream, used.saturating_sub(known))?;
        match received {
            Some((_, Next::Done)) => return Ok(()),
            _ if total > MAX_REPLIES => return Err(Error::TooLarge("the reply")),
            None => continue,
            Some((_, Next::Send(bytes))) => send(stream, &bytes, patience)?,
            Some((_, Next::Receive)) => {}
        }
        reply.clear();
    }
}

fn send(stream: &TcpStream, bytes: &[u8], patience: &dyn Patience) -> Result<()> {
    tcp::send_all(stream.as_fd(), iter::once(bytes), &mut Vec::new(), patience)
}

/// Waits for bytes and appends a copy of them to `reply`.
fn peek(stream: &TcpStream, reply: &mut Vec<u8>, patience: &dyn Patience) -> Result<()> {
    let mut block = [0; BLOCK];
    match tcp::peek(stream.as_fd(), &mut block, patience)? {
        0 => Err(Error::Closed),
        count => {
            reply.extend_from_slice(block.get(..count).unwrap_or_default());
            Ok(())
        }
    }
}

/// Takes bytes that have arrived.
fn take(mut stream: &TcpStream, count: usize) -> Result<()> {
    let mut block = [0; BLOCK];
    let bytes = block.get_mut(..count).ok_or(Error::TooLarge("the reply"))?;
    Ok(stream.read_exact(bytes)?)
}

/// How much is looked at in one go.
const BLOCK: usize = 1024;
/// More than this is no reply of a proxy.
const MAX_REPLIES: usize = 16 * 1024;
