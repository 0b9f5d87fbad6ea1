//! The dialog with a proxy that makes a connection for us, over a channel to the proxy.

use std::{io::IoSlice, mem, net::SocketAddr, time::Instant};

use log::debug;
use socket2::Socket;

use super::{
    channel::Channel,
    lookup::Lookup,
    receive::{peek_now, receive_now},
    step::{Interest, Received, Step, is_past},
};
use crate::{
    error::{Error, Result},
    transport::{
        local::Family,
        proxy::{Negotiation, Next, Proxy, Target},
    },
};

/// The dialog with a proxy until it has connected us. Bytes after the last reply stay in the channel for the next reader: from
/// a socket, bytes are peeked before they are taken; from TLS, they are taken one by one.
pub(crate) struct ProxyDialog {
    proxy: Proxy,
    /// `None` when the dialog has ended.
    channel: Option<Channel>,
    host: Vec<u8>,
    port: u16,
    stage: Stage,
    deadline: Option<Instant>,
}

enum Stage {
    /// A SOCKS4 proxy accepts no names.
    LookingUp(Lookup),
    Talking(Talk),
}

struct Talk {
    negotiation: Box<dyn Negotiation>,
    outgoing: Vec<u8>,
    /// The number of bytes of `outgoing` that the system has accepted.
    sent: usize,
    /// The received part of the reply.
    reply: Vec<u8>,
    /// The total of bytes of all replies.
    total: usize,
}

impl ProxyDialog {
    /// Begins the dialog with the proxy at the other end of `channel`.
    pub(crate) fn begin(
        proxy: Proxy,
        channel: Channel,
        host: Vec<u8>,
        port: u16,
        deadline: Option<Instant>,
        now: Instant,
    ) -> Result<Self> {
        debug!("RTMP_Connect0 ... {} negotiation", proxy.kind_name());
        let stage = Self::first_stage(&proxy, &host, port, deadline, now);
        match stage {
            Ok(stage) => Ok(Self { proxy, channel: Some(channel), host, port, stage, deadline }),
            Err(error) => Err(proxy.failed(error)),
        }
    }

    fn first_stage(
        proxy: &Proxy,
        host: &[u8],
        port: u16,
        deadline: Option<Instant>,
        now: Instant,
    ) -> Result<Stage> {
        if proxy.needs_address(host) {
            // Half of the time, so that the proxy has some left if the lookup gets no answer.
            let halfway = deadline.map(|deadline| now + deadline.saturating_duration_since(now) / 2);
            match Lookup::begin(host, port, Family::V4, halfway) {
                Ok(lookup) => return Ok(Stage::LookingUp(lookup)),
                Err(error) => debug!("{error}, leaving it to the proxy"),
            }
        }
        Talk::begin(proxy, proxy.target(host, port)?).map(Stage::Talking)
    }

    fn advance(&mut self, now: Instant) -> Result<bool> {
        loop {
            match &mut self.stage {
                Stage::LookingUp(lookup) => {
                    let found = match lookup.step(now) {
                        Ok(None) => return Ok(false),
                        Ok(Some(addresses)) => Some(addresses.first),
                        Err(error) => {
                            debug!("{error}, leaving it to the proxy");
                            None
                        }
                    };
                    self.stage = Stage::Talking(Talk::begin(&self.proxy, self.found(found)?)?);
                }
                Stage::Talking(talk) => {
                    // Available bytes count, but bytes that trickle in do not move the deadline.
                    let channel = self.channel.as_mut().ok_or(Error::NotConnected)?;
                    return match talk.advance(channel)? {
                        false if is_past(self.deadline, now) => Err(Error::TimedOut),
                        done => Ok(done),
                    };
                }
            }
        }
    }

    fn found(&self, address: Option<SocketAddr>) -> Result<Target<'_>> {
        match address {
            Some(address) => Ok(Target::Address(address)),
            None => self.proxy.target(&self.host, self.port),
        }
    }
}

impl Step for ProxyDialog {
    type Output = Channel;

    fn step(&mut self, now: Instant) -> Result<Option<Channel>> {
        match self.advance(now) {
            Ok(true) => Ok(self.channel.take()),
            Ok(false) => Ok(None),
            Err(error) => Err(self.proxy.failed(error)),
        }
    }

    fn interests(&self, out: &mut Vec<Interest>) {
        match &self.stage {
            Stage::LookingUp(lookup) => lookup.interests(out),
            Stage::Talking(talk) => {
                let Some(channel) = &self.channel else { return };
                let write = talk.sent < talk.outgoing.len() || channel.unsent() > 0;
                out.push(channel.interest(!write, write));
            }
        }
    }

    fn deadline(&self) -> Option<Instant> {
        match &self.stage {
            Stage::LookingUp(lookup) => lookup.deadline(),
            Stage::Talking(_) => self.deadline,
        }
    }
}

impl Talk {
    fn begin(proxy: &Proxy, target: Target<'_>) -> Result<Self> {
        let negotiation = proxy.negotiation(target)?;
        let outgoing = negotiation.greeting();
        Ok(Self { negotiation, outgoing, sent: 0, reply: Vec::new(), total: 0 })
    }

    /// Sends and receives what is possible now; true when the proxy has connected us.
    fn advance(&mut self, channel: &mut Channel) -> Result<bool> {
        channel.flush()?;
        loop {
            while let Some(rest @ [_, ..]) = self.outgoing.get(self.sent..) {
                match channel.send(&[IoSlice::new(rest)])? {
                    0 => return Ok(false),
                    count => self.sent += count,
                }
            }
            let heard =
                if channel.is_secure() { self.hear_secure(channel)? } else { self.hear(channel.socket())? };
            match heard {
                Heard::Nothing => return Ok(false),
                Heard::Reply(Next::Done) => return Ok(true),
                _ if self.total > MAX_REPLIES => return Err(Error::TooLarge("the reply")),
                Heard::Part => continue,
                Heard::Reply(Next::Send(bytes)) => (self.outgoing, self.sent) = (bytes, 0),
                Heard::Reply(Next::Receive) => {}
            }
            self.reply.clear();
        }
    }

    /// Takes the bytes of the reply from the socket.
    fn hear(&mut self, socket: &Socket) -> Result<Heard> {
        let known = self.reply.len();
        let mut block = [0; BLOCK];
        match peek_now(socket, &mut block)? {
            Received::Bytes(count) => self.reply.extend_from_slice(&block[..count]),
            Received::Nothing => return Ok(Heard::Nothing),
            Received::End => return Err(Error::Closed),
        }
        let received = self.negotiation.receive(&self.reply)?;
        let used = received.as_ref().map_or(self.reply.len(), |(used, _)| *used).saturating_sub(known);
        self.total += used;
        take(socket, used)?;
        Ok(received.map_or(Heard::Part, |(_, next)| Heard::Reply(next)))
    }

    /// Takes only the bytes of the reply from TLS, which keeps the rest for the next reader.
    fn hear_secure(&mut self, channel: &mut Channel) -> Result<Heard> {
        loop {
            let mut byte = [0];
            match channel.receive(&mut byte)? {
                Some(Received::Bytes(_)) => {}
                Some(Received::Nothing) => return Ok(Heard::Nothing),
                Some(Received::End) => return Err(Error::Closed),
                None => return Err(Error::TooLarge("what the proxy sends in place of a reply")),
            }
            self.reply.push(byte[0]);
            self.total += 1;
            // In TLS the protocol is always HTTP, and the last byte of an HTTP head is the end of a line.
            if byte[0] == b'\n' {
                let received = self.negotiation.receive(&self.reply)?;
                return Ok(received.map_or(Heard::Part, |(_, next)| Heard::Reply(next)));
            }
            if self.total > MAX_REPLIES {
                return Err(Error::TooLarge("the reply"));
            }
        }
    }
}

/// A part of the proxy's answer.
enum Heard {
    Nothing,
    /// A part of the reply.
    Part,
    /// The end of a reply.
    Reply(Next),
}

/// Takes available bytes.
fn take(socket: &Socket, count: usize) -> Result<()> {
    let mut block = [0; BLOCK];
    let mut rest = block.get_mut(..count).ok_or(Error::TooLarge("the reply"))?;
    while !rest.is_empty() {
        match receive_now(socket, rest)? {
            Received::Bytes(taken) => rest = &mut mem::take(&mut rest)[taken..],
            Received::Nothing | Received::End => return Err(Error::Closed),
        }
    }
    Ok(())
}

/// The number of bytes that are peeked at a time.
const BLOCK: usize = 1024;
/// The limit of a proxy's replies.
const MAX_REPLIES: usize = 16 * 1024;
