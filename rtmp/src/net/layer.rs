//! TLS over a lower layer: a socket, or TLS again.

use std::io::IoSlice;

use log::debug;
use socket2::Socket;

use super::{
    receive::{Intake, MAX_BLOCKS},
    send::send_now,
    step::Received,
};
use crate::{
    error::Result,
    transport::tls::machine::{Available, BATCH_LEN, BLOCK_LEN, Machine, Outgoing},
};

/// The layer that carries the records. Neither call waits.
pub(super) trait Lower {
    /// Copies received bytes into `buffer`; `None` if much was received without any content.
    fn receive(&mut self, buffer: &mut [u8]) -> Result<Option<Received>>;

    /// Takes the first bytes of `pieces`; returns how many.
    fn send(&mut self, pieces: &[IoSlice<'_>]) -> Result<usize>;
}

/// The socket itself.
pub(super) struct Bare<'a> {
    pub(super) socket: &'a Socket,
    pub(super) intake: &'a mut Intake,
}

/// TLS, and the layer that carries it.
pub(super) struct Over<'a> {
    pub(super) layer: &'a mut Layer,
    pub(super) below: Bare<'a>,
}

/// The state of one TLS layer of a connection.
pub(super) struct Layer {
    machine: Machine,
    outgoing: Outgoing,
    block: Vec<u8>,
    /// Whether the produced records contain the goodbye.
    closed: bool,
}

impl Lower for Bare<'_> {
    fn receive(&mut self, buffer: &mut [u8]) -> Result<Option<Received>> {
        self.intake.receive(self.socket, buffer).map(Some)
    }

    fn send(&mut self, pieces: &[IoSlice<'_>]) -> Result<usize> {
        send_now(self.socket, pieces)
    }
}

impl Lower for Over<'_> {
    fn receive(&mut self, buffer: &mut [u8]) -> Result<Option<Received>> {
        self.layer.receive(buffer, &mut self.below)
    }

    fn send(&mut self, pieces: &[IoSlice<'_>]) -> Result<usize> {
        self.layer.send(pieces, &mut self.below)
    }
}

impl Layer {
    pub(super) fn new(machine: Machine) -> Self {
        Self { machine, outgoing: Outgoing::default(), block: vec![0; BLOCK_LEN], closed: false }
    }

    /// Continues the handshake; true when it has ended.
    pub(super) fn shake_hands(&mut self, below: &mut dyn Lower) -> Result<bool> {
        loop {
            let handshaking = self.machine.produce(&mut self.outgoing);
            self.flush(below)?;
            if !handshaking {
                return Ok(true);
            }
            let accepted = match below.receive(&mut self.block)? {
                None | Some(Received::Nothing) => return Ok(false),
                Some(Received::End) => self.machine.accept_handshake(&[]),
                Some(Received::Bytes(count)) => self.machine.accept_handshake(&self.block[..count]),
            };
            accepted.inspect_err(|_| self.send_alert(below))?;
        }
    }

    /// Copies decrypted bytes into `buffer`. `None` if much was received without any content: there may be more below.
    pub(super) fn receive(&mut self, buffer: &mut [u8], below: &mut dyn Lower) -> Result<Option<Received>> {
        self.try_to_receive(buffer, below).inspect_err(|_| self.send_alert(below))
    }

    fn try_to_receive(&mut self, buffer: &mut [u8], below: &mut dyn Lower) -> Result<Option<Received>> {
        // A peer may send records without content, such as tickets, without end.
        for _ in 0..MAX_BLOCKS {
            match self.machine.read(buffer)? {
                Available::Bytes(count) => return Ok(Some(Received::Bytes(count))),
                Available::End => return Ok(Some(Received::End)),
                Available::Torn => {
                    debug!("{} ended the connection without closing TLS", self.machine.peer());
                    return Ok(Some(Received::End));
                }
                Available::Nothing => {}
            }
            match below.receive(&mut self.block)? {
                None => return Ok(None),
                Some(Received::Nothing) => return Ok(Some(Received::Nothing)),
                Some(Received::End) => self.machine.accept(&[]),
                Some(Received::Bytes(count)) => self.machine.accept(&self.block[..count]),
            }
            // The peer may have requested new keys.
            self.machine.produce(&mut self.outgoing);
        }
        Ok(None)
    }

    /// Encrypts the first bytes of `pieces`; returns how many.
    pub(super) fn send(&mut self, pieces: &[IoSlice<'_>], below: &mut dyn Lower) -> Result<usize> {
        if !self.outgoing.unsent().is_empty() {
            self.flush(below)?;
        }
        if self.outgoing.unsent().len() >= BATCH_LEN {
            return Ok(0);
        }
        let taken = self.machine.encrypt(pieces, &mut self.outgoing)?;
        self.flush(below)?;
        Ok(taken)
    }

    /// Sends the records that are ready, as far as they are accepted.
    pub(super) fn flush(&mut self, below: &mut dyn Lower) -> Result<()> {
        while !self.outgoing.unsent().is_empty() {
            match below.send(&[IoSlice::new(self.outgoing.unsent())]) {
                Ok(0) => break,
                Ok(count) => self.outgoing.advance(count),
                Err(error) => {
                    // The connection is broken in this direction; there may still be bytes to receive.
                    self.outgoing = Outgoing::default();
                    return Err(error);
                }
            }
        }
        Ok(())
    }

    /// Makes the goodbye ready to be sent.
    pub(super) fn close(&mut self) {
        if !self.closed {
            self.closed = true;
            self.machine.close(&mut self.outgoing);
        }
    }

    /// Bytes of records that were not accepted yet.
    pub(super) fn unsent(&self) -> usize {
        self.outgoing.unsent().len()
    }

    /// Whether decrypted bytes, or the end, can be read without receiving.
    pub(super) fn holds_more(&mut self) -> bool {
        self.machine.holds_more()
    }

    /// Sends the peer an alert, as far as is possible without waiting.
    fn send_alert(&mut self, below: &mut dyn Lower) {
        self.machine.produce(&mut self.outgoing);
        let _ = self.flush(below);
    }
}
