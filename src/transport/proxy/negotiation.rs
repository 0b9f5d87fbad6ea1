//! What is said to a proxy, and saying it over a socket.

use std::{
    io::{self, Read},
    iter,
    net::TcpStream,
    os::fd::AsFd,
};

use super::super::{
    deadline::Deadline,
    tcp::{self, Interrupted},
};
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
    deadline: Deadline,
    interrupted: Interrupted,
) -> Result<()> {
    send(stream, &negotiation.greeting(), deadline)?;
    let mut reply = Vec::new();
    let mut total = 0;
    loop {
        let known = reply.len();
        peek(stream, &mut reply, deadline, interrupted)?;
        let received = negotiation.receive(&reply)?;
        let used = received.as_ref().map_or(reply.len(), |(used, _)| *used);
        total += used.saturating_sub(known);
        take(stream, used.saturating_sub(known))?;
        match received {
            Some((_, Next::Done)) => return Ok(()),
            _ if total > MAX_REPLIES => return Err(Error::TooLarge("the reply")),
            None => continue,
            Some((_, Next::Send(bytes))) => send(stream, &bytes, deadline)?,
            Some((_, Next::Receive)) => {}
        }
        reply.clear();
    }
}

/// Requests are short: they fit into what the system buffers.
fn send(stream: &TcpStream, bytes: &[u8], deadline: Deadline) -> Result<()> {
    stream.set_write_timeout(deadline.left()?)?;
    tcp::send_all(stream.as_fd(), iter::once(bytes), &mut Vec::new(), || false)
}

/// Waits for bytes and appends a copy of them to `reply`.
fn peek(stream: &TcpStream, reply: &mut Vec<u8>, deadline: Deadline, interrupted: Interrupted) -> Result<()> {
    let mut block = [0; BLOCK];
    loop {
        stream.set_read_timeout(deadline.left()?)?;
        match stream.peek(&mut block) {
            Ok(0) => return Err(Error::Closed),
            Ok(count) => {
                reply.extend_from_slice(block.get(..count).unwrap_or_default());
                return Ok(());
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted && !interrupted() => {}
            Err(error) => return Err(error.into()),
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
