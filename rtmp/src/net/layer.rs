//! TLS over a lower layer: a socket, or TLS again.

use std::{
    io::{self, IoSlice, Read, Write},
    mem,
    ops::Range,
};

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
    /// Whether the last receive took everything that was on the socket.
    pub(super) drained: &'a mut bool,
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
    /// The bytes of `block` that were received and not decrypted yet.
    undecrypted: Range<usize>,
    /// Whether the produced records contain the goodbye.
    closed: bool,
}

impl Lower for Bare<'_> {
    fn receive(&mut self, buffer: &mut [u8]) -> Result<Option<Received>> {
        let received = self.intake.receive(self.socket, buffer);
        *self.drained = matches!(received, Ok(Received::Bytes(count)) if count < buffer.len());
        received.map(Some)
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
        let (outgoing, block) = (Outgoing::default(), vec![0; BLOCK_LEN]);
        Self { machine, outgoing, block, undecrypted: 0..0, closed: false }
    }

    /// Continues the handshake; true when it has ended.
    pub(super) fn shake_hands(&mut self, below: &mut dyn Lower) -> Result<bool> {
        loop {
            let handshaking = self.machine.produce(&mut self.outgoing);
            self.flush(below)?;
            if !handshaking {
                return Ok(true);
            }
            let count = match self.accept(below)? {
                None | Some(Received::Nothing) => return Ok(false),
                Some(Received::End) => 0,
                Some(Received::Bytes(count)) => count,
            };
            self.machine.check_handshake(count).inspect_err(|_| self.send_alert(below))?;
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
            loop {
                let accepted = self.accept(below)?;
                let is_used = self.undecrypted.is_empty() || self.machine.has_ended();
                match accepted {
                    Some(Received::Bytes(_)) if !is_used => {}
                    // Otherwise the decrypted bytes have to be read first.
                    None | Some(Received::Nothing) if is_used => return Ok(accepted),
                    _ => break,
                }
            }
            // The peer may have requested new keys.
            self.machine.produce(&mut self.outgoing);
        }
        Ok(None)
    }

    /// Decrypts bytes that were received, or receives more.
    fn accept(&mut self, below: &mut dyn Lower) -> Result<Option<Received>> {
        let (block, undecrypted) = (&mut self.block, &mut self.undecrypted);
        let mut source = Source { below, block, undecrypted, outcome: Ok(Some(Received::Nothing)) };
        match self.machine.accept(&mut source) {
            Ok(0) => Ok(Some(Received::End)),
            Ok(count) => Ok(Some(Received::Bytes(count))),
            Err(_) => source.outcome,
        }
    }

    /// Encrypts the first bytes of `pieces`; returns how many.
    pub(super) fn send(&mut self, pieces: &[IoSlice<'_>], below: &mut dyn Lower) -> Result<usize> {
        if !self.outgoing.unsent().is_empty() {
            self.flush(below)?;
        }
        if self.outgoing.unsent().len() >= BATCH_LEN {
            return Ok(0);
        }
        let taken = self.machine.encrypt(pieces)?;
        self.flush(below)?;
        Ok(taken)
    }

    /// Sends the records that are ready, as far as they are accepted.
    pub(super) fn flush(&mut self, below: &mut dyn Lower) -> Result<()> {
        let result = self.try_to_flush(below);
        // The rest waits, also for what is encrypted next.
        self.machine.produce(&mut self.outgoing);
        // The connection is broken in this direction; there may still be bytes to receive.
        result.inspect_err(|_| self.outgoing = Outgoing::default())
    }

    fn try_to_flush(&mut self, below: &mut dyn Lower) -> Result<()> {
        while !self.outgoing.unsent().is_empty() {
            match below.send(&[IoSlice::new(self.outgoing.unsent())])? {
                0 => return Ok(()),
                count => self.outgoing.advance(count),
            }
        }
        let mut sink = Sink { below, outcome: Ok(()) };
        while let Some(Ok(1..)) = self.machine.write_to(&mut sink) {}
        sink.outcome
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
        !self.undecrypted.is_empty() || self.machine.holds_more()
    }

    /// Lends the memory for received records.
    pub(super) fn lend(&mut self) -> Vec<u8> {
        mem::take(&mut self.block)
    }

    /// Takes it back, with `count` received bytes at its start.
    pub(super) fn give_back(&mut self, block: Vec<u8>, count: usize) {
        (self.block, self.undecrypted) = (block, 0..count);
    }

    /// Sends the peer an alert, as far as is possible without waiting.
    fn send_alert(&mut self, below: &mut dyn Lower) {
        self.machine.produce(&mut self.outgoing);
        let _ = self.flush(below);
    }
}

/// The records from the lower layer.
struct Source<'a> {
    below: &'a mut dyn Lower,
    block: &'a mut [u8],
    undecrypted: &'a mut Range<usize>,
    /// The reason for an error.
    outcome: Result<Option<Received>>,
}

impl Read for Source<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if Range::is_empty(self.undecrypted) {
            // A little room does not pay for a call of the system.
            let is_large = buffer.len() > self.block.len() / 2;
            let received = self.below.receive(if is_large { &mut *buffer } else { &mut *self.block });
            let count = match received {
                Ok(Some(Received::End)) => return Ok(0),
                Ok(Some(Received::Bytes(count))) => count,
                outcome => {
                    self.outcome = outcome;
                    return Err(io::ErrorKind::WouldBlock.into());
                }
            };
            if is_large {
                return Ok(count);
            }
            *self.undecrypted = 0..count;
        }
        let count = buffer.len().min(self.undecrypted.len());
        let start = self.undecrypted.start;
        buffer[..count].copy_from_slice(&self.block[start..start + count]);
        self.undecrypted.start += count;
        Ok(count)
    }
}

/// The lower layer, for records.
struct Sink<'a> {
    below: &'a mut dyn Lower,
    outcome: Result<()>,
}

impl Write for Sink<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.write_vectored(&[IoSlice::new(bytes)])
    }

    fn write_vectored(&mut self, pieces: &[IoSlice<'_>]) -> io::Result<usize> {
        self.below.send(pieces).map_err(|error| {
            self.outcome = Err(error);
            io::ErrorKind::Other.into()
        })
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
