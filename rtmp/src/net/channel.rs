//! A connected socket with TLS to the proxy, TLS to the peer, both, or neither.

use std::{io::IoSlice, sync::Arc};

use log::warn;
use rustix::fd::AsFd;
use socket2::Socket;

use super::{
    layer::{Bare, Layer, Lower, Over},
    receive::{Intake, discard},
    send::send_now,
    step::{Interest, Received},
};
use crate::{
    error::Result,
    system,
    transport::tls::{ServerContext, Trust, machine::Machine},
};

/// The socket and the TLS layers of one connection.
pub(crate) struct Channel {
    socket: Arc<Socket>,
    intake: Intake,
    /// Whether the last `receive` has asked the system, and took everything that was on the socket. Bytes that were held here say
    /// nothing about the socket.
    drained: bool,
    /// TLS with an `https` proxy. All other bytes go through it.
    to_proxy: Option<Box<Layer>>,
    /// TLS with the peer.
    to_peer: Option<Box<Layer>>,
    closing: bool,
}

impl Channel {
    /// A connected socket that carries plain bytes.
    pub(crate) fn new(socket: Arc<Socket>) -> Self {
        Self { socket, intake: Intake::All, drained: false, to_proxy: None, to_peer: None, closing: false }
    }

    /// The same for a socket that was created elsewhere.
    pub(super) fn adopt(socket: Arc<Socket>) -> Self {
        system::own(socket.as_fd());
        if let Err(error) = socket.set_tcp_nodelay(true) {
            log::debug!("cannot set a socket option: {error}");
        }
        Self::new(socket)
    }

    /// Adds TLS with the proxy at the other end of the socket. The handshake follows.
    pub(super) fn secure_proxy(&mut self, name: &str, trust: &Trust) -> Result<()> {
        self.to_proxy = Some(client(name, trust)?);
        Ok(())
    }

    /// Adds TLS with the server. The handshake follows.
    pub(super) fn secure(&mut self, name: &str, trust: &Trust) -> Result<()> {
        self.to_peer = Some(client(name, trust)?);
        Ok(())
    }

    /// Adds TLS with a client. The handshake follows.
    pub(super) fn accept(&mut self, context: &ServerContext) -> Result<()> {
        self.to_peer = Some(Box::new(Layer::new(Machine::server(context)?)));
        Ok(())
    }

    /// Continues the handshake of the layer that was added last; true when it has ended.
    pub(super) fn shake_hands(&mut self) -> Result<bool> {
        let Self { socket, intake, drained, to_proxy, to_peer, .. } = self;
        let mut below = Bare { socket, intake, drained };
        let shaken = match (to_proxy.as_deref_mut(), to_peer.as_deref_mut()) {
            (Some(layer), Some(peer)) => peer.shake_hands(&mut Over { layer, below }),
            (Some(layer), None) | (None, Some(layer)) => layer.shake_hands(&mut below),
            (None, None) => Ok(true),
        };
        // The outer layer may still hold records of the inner one.
        self.flush_proxy().and(shaken)
    }

    /// Copies received bytes into `buffer`. `None` if much was received without any content.
    pub(super) fn receive(&mut self, buffer: &mut [u8]) -> Result<Option<Received>> {
        let Self { socket, intake, drained, to_proxy, to_peer, .. } = self;
        *drained = false;
        let mut below = Bare { socket, intake, drained };
        match (to_proxy.as_deref_mut(), to_peer.as_deref_mut()) {
            (Some(layer), Some(peer)) => peer.receive(buffer, &mut Over { layer, below }),
            (Some(layer), None) | (None, Some(layer)) => layer.receive(buffer, &mut below),
            (None, None) => below.receive(buffer),
        }
    }

    /// Takes the first bytes of `pieces`; returns how many.
    pub(super) fn send(&mut self, pieces: &[IoSlice<'_>]) -> Result<usize> {
        let Self { socket, intake, drained, to_proxy, to_peer, .. } = self;
        let mut below = Bare { socket, intake, drained };
        match (to_proxy.as_deref_mut(), to_peer.as_deref_mut()) {
            (Some(layer), Some(peer)) => peer.send(pieces, &mut Over { layer, below }),
            (Some(layer), None) | (None, Some(layer)) => layer.send(pieces, &mut below),
            (None, None) => below.send(pieces),
        }
    }

    /// Sends the bytes taken, as far as the system accepts them.
    pub(super) fn flush(&mut self) -> Result<()> {
        let Self { socket, intake, drained, to_proxy, to_peer, closing } = self;
        let mut below = Bare { socket, intake, drained };
        match (to_proxy.as_deref_mut(), to_peer.as_deref_mut()) {
            (Some(layer), Some(peer)) => {
                peer.flush(&mut Over { layer, below })?;
                // The goodbye to the proxy follows the last record for the peer.
                if *closing && peer.unsent() == 0 {
                    layer.close();
                }
                self.flush_proxy()
            }
            (Some(layer), None) | (None, Some(layer)) => layer.flush(&mut below),
            (None, None) => Ok(()),
        }
    }

    fn flush_proxy(&mut self) -> Result<()> {
        let Self { socket, intake, drained, to_proxy, .. } = self;
        match to_proxy {
            Some(layer) => layer.flush(&mut Bare { socket, intake, drained }),
            None => Ok(()),
        }
    }

    /// Makes the goodbye of each layer ready to be sent.
    pub(super) fn close(&mut self) {
        self.closing = true;
        if let Some(layer) = self.to_peer.as_deref_mut().or(self.to_proxy.as_deref_mut()) {
            layer.close();
        }
    }

    /// Drops received bytes; true at the end.
    pub(super) fn discard(&self) -> Result<bool> {
        discard(&self.socket)
    }

    /// Bytes that were taken and that the system has not accepted yet.
    pub(super) fn unsent(&self) -> usize {
        [&self.to_proxy, &self.to_peer].into_iter().flatten().map(|layer| layer.unsent()).sum()
    }

    /// Whether bytes, or the end, can be read without receiving.
    pub(super) fn holds_more(&mut self) -> bool {
        let layers = [&mut self.to_proxy, &mut self.to_peer];
        layers.into_iter().flatten().any(|layer| layer.holds_more())
    }

    /// Lends memory for bytes of TLS to a caller that waits for them on the socket; `None` if there is something else to do.
    pub(super) fn lend(&mut self) -> Option<Vec<u8>> {
        let is_idle = self.intake == Intake::All && self.unsent() == 0 && !self.holds_more();
        self.lowest().filter(|_| is_idle).map(Layer::lend)
    }

    /// Takes it back, with `count` received bytes at its start.
    pub(super) fn give_back(&mut self, memory: Vec<u8>, count: usize) {
        if let Some(layer) = self.lowest() {
            layer.give_back(memory, count);
        }
    }

    /// The layer whose records are on the socket.
    fn lowest(&mut self) -> Option<&mut Layer> {
        self.to_proxy.as_deref_mut().or(self.to_peer.as_deref_mut())
    }

    /// Whether there is nothing to receive until the socket is readable again. A part of a record may be held here.
    pub(super) fn is_drained(&mut self) -> bool {
        self.drained && self.intake == Intake::All && !self.holds_more()
    }

    /// Whether there is TLS, with the proxy or with the peer.
    pub(super) fn is_secure(&self) -> bool {
        self.to_proxy.is_some() || self.to_peer.is_some()
    }

    /// Whether there is TLS with a proxy, and none with the peer.
    pub(super) fn leads_through_proxy_in_tls(&self) -> bool {
        self.to_proxy.is_some() && self.to_peer.is_none()
    }

    /// Sets how bytes are taken from the socket.
    pub(super) fn set_intake(&mut self, intake: Intake) {
        self.intake.release_byte(&self.socket);
        self.intake = intake;
    }

    /// Removes the byte that was left on the socket to keep it readable.
    pub(super) fn release_byte(&mut self) {
        self.intake.release_byte(&self.socket);
    }

    /// Whether a byte was left on the socket.
    pub(super) fn has_left_byte(&self) -> bool {
        self.intake == Intake::AllButOne { left: true }
    }

    pub(super) fn socket(&self) -> &Arc<Socket> {
        &self.socket
    }

    /// Uses another descriptor of the same socket from now on.
    pub(super) fn replace_socket(&mut self, by: Arc<Socket>) {
        self.socket = by;
    }

    /// The socket of a connection without TLS.
    pub(crate) fn into_socket(self) -> Option<Arc<Socket>> {
        if self.is_secure() { None } else { Some(self.socket) }
    }

    /// The socket, to wait for it.
    pub(super) fn interest(&self, read: bool, write: bool) -> Interest {
        Interest { socket: self.socket.clone(), read, write }
    }

    /// Whether the system no longer accepts bytes for the peer.
    pub(super) fn takes_nothing(&self) -> bool {
        send_now(&self.socket, &[IoSlice::new(&[])]).is_err()
    }
}

fn client(name: &str, trust: &Trust) -> Result<Box<Layer>> {
    if *trust.whom() == Trust::Anyone {
        warn!("TLS: nobody checks that the server is {name}");
    }
    Ok(Box::new(Layer::new(Machine::client(name, trust)?)))
}
