//! Having a proxy connect us to a server, over a socket that leads to the proxy.

use std::{
    io::{self, IoSlice},
    mem,
    net::SocketAddr,
    sync::Arc,
    time::Instant,
};

use log::debug;
use rustix::{
    io::Errno,
    net::{RecvFlags, recv},
};
use socket2::Socket;

use super::{
    lookup::Lookup,
    send::send_now,
    step::{Interest, Step, is_past},
};
use crate::{
    error::{Error, Result},
    system::RECEIVE_NOW,
    transport::{
        local::Family,
        proxy::{Negotiation, Next, Proxy, Target},
    },
};

/// What is said to a proxy until it has connected us. Bytes are looked at before they are taken from the socket, so that
/// what follows the last reply stays there for others.
pub(crate) struct ProxyDialog {
    proxy: Proxy,
    socket: Arc<Socket>,
    host: Vec<u8>,
    port: u16,
    stage: Stage,
    deadline: Option<Instant>,
}

enum Stage {
    /// A SOCKS4 proxy takes no names.
    LookingUp(Lookup),
    Talking(Talk),
}

struct Talk {
    negotiation: Box<dyn Negotiation>,
    outgoing: Vec<u8>,
    /// How much of `outgoing` the system has.
    sent: usize,
    /// What has arrived of the reply.
    reply: Vec<u8>,
    /// Bytes of all replies.
    total: usize,
}

impl ProxyDialog {
    /// Begins to talk to the proxy at the other end of `socket`, which does not block.
    pub(crate) fn begin(
        proxy: Proxy,
        socket: Arc<Socket>,
        host: Vec<u8>,
        port: u16,
        deadline: Option<Instant>,
        now: Instant,
    ) -> Result<Self> {
        debug!("RTMP_Connect0 ... {} negotiation", proxy.kind_name());
        let stage = Self::first_stage(&proxy, &host, port, deadline, now);
        match stage {
            Ok(stage) => Ok(Self { proxy, socket, host, port, stage, deadline }),
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
            // Half of the time, so that there is some left for the proxy if the lookup has no answer.
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
                        Ok(Some(addresses)) => addresses.first().copied(),
                        Err(error) => {
                            debug!("{error}, leaving it to the proxy");
                            None
                        }
                    };
                    self.stage = Stage::Talking(Talk::begin(&self.proxy, self.found(found)?)?);
                }
                Stage::Talking(talk) => {
                    // What is there counts, but bytes that trickle do not move the deadline.
                    return match talk.advance(&self.socket)? {
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
    type Output = Arc<Socket>;

    fn step(&mut self, now: Instant) -> Result<Option<Arc<Socket>>> {
        match self.advance(now) {
            Ok(done) => Ok(done.then(|| self.socket.clone())),
            Err(error) => Err(self.proxy.failed(error)),
        }
    }

    fn interests(&self, out: &mut Vec<Interest>) {
        match &self.stage {
            Stage::LookingUp(lookup) => lookup.interests(out),
            Stage::Talking(talk) => {
                let write = talk.sent < talk.outgoing.len();
                out.push(Interest { socket: self.socket.clone(), read: !write, write });
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

    /// Says and hears what can be; true when the proxy has connected us.
    fn advance(&mut self, socket: &Socket) -> Result<bool> {
        loop {
            while let Some(rest @ [_, ..]) = self.outgoing.get(self.sent..) {
                match send_now(socket, &[IoSlice::new(rest)])? {
                    0 => return Ok(false),
                    count => self.sent += count,
                }
            }
            let known = self.reply.len();
            if !peek(socket, &mut self.reply)? {
                return Ok(false);
            }
            let received = self.negotiation.receive(&self.reply)?;
            let used = received.as_ref().map_or(self.reply.len(), |(used, _)| *used);
            self.total += used.saturating_sub(known);
            take(socket, used.saturating_sub(known))?;
            match received {
                Some((_, Next::Done)) => return Ok(true),
                _ if self.total > MAX_REPLIES => return Err(Error::TooLarge("the reply")),
                None => continue,
                Some((_, Next::Send(bytes))) => (self.outgoing, self.sent) = (bytes, 0),
                Some((_, Next::Receive)) => {}
            }
            self.reply.clear();
        }
    }
}

/// Appends a copy of the bytes that have arrived to `reply`; false if there are none.
fn peek(socket: &Socket, reply: &mut Vec<u8>) -> Result<bool> {
    let mut block = [0; BLOCK];
    loop {
        return match recv(socket, &mut block, RECEIVE_NOW | RecvFlags::PEEK) {
            Ok((_, 0)) => Err(Error::Closed),
            Ok((_, count)) => {
                reply.extend_from_slice(block.get(..count).unwrap_or_default());
                Ok(true)
            }
            Err(Errno::INTR) => continue,
            Err(Errno::AGAIN) => Ok(false),
            Err(error) => Err(io::Error::from(error).into()),
        };
    }
}

/// Takes bytes that have arrived.
fn take(socket: &Socket, count: usize) -> Result<()> {
    let mut block = [0; BLOCK];
    let mut rest = block.get_mut(..count).ok_or(Error::TooLarge("the reply"))?;
    while !rest.is_empty() {
        match recv(socket, &mut *rest, RECEIVE_NOW) {
            Ok((_, 0)) => return Err(Error::Closed),
            Ok((_, taken)) => rest = &mut mem::take(&mut rest)[taken..],
            Err(Errno::INTR) => {}
            Err(error) => return Err(io::Error::from(error).into()),
        }
    }
    Ok(())
}

/// How much is looked at in one go.
const BLOCK: usize = 1024;
/// More than this is no reply of a proxy.
const MAX_REPLIES: usize = 16 * 1024;
