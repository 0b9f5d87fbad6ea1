//! Receives without waiting.

use std::{io, mem};

use rustix::{
    io::Errno,
    net::{RecvFlags, recv},
};
use socket2::Socket;

use super::step::Received;
use crate::{
    error::{Error, Result},
    system::RECEIVE_NOW,
};

/// How bytes are taken from a socket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Intake {
    All,
    /// The last received byte stays on the socket, which keeps it readable for a program that watches it. `left` says whether
    /// there is such a byte.
    AllButOne {
        left: bool,
    },
}

impl Intake {
    /// Copies received bytes into `buffer`.
    pub(super) fn receive(&mut self, socket: &Socket, buffer: &mut [u8]) -> Result<Received> {
        let Self::AllButOne { left } = self else { return receive_now(socket, buffer) };
        if mem::take(left) {
            take_byte(socket);
        }
        let received = receive_flagged(socket, buffer, RecvFlags::PEEK)?;
        if let Received::Bytes(count) = received {
            let mut taken = 1;
            while taken < count {
                // These are the same bytes again.
                match receive_now(socket, &mut buffer[taken - 1..count - 1])? {
                    Received::Bytes(more) => taken += more,
                    Received::Nothing | Received::End => return Err(Error::Closed),
                }
            }
            *left = true;
        }
        Ok(received)
    }

    /// Removes the byte that was left on the socket, if there is one.
    pub(super) fn release_byte(&mut self, socket: &Socket) {
        let Self::AllButOne { left } = self else { return };
        if mem::take(left) {
            take_byte(socket);
        }
    }
}

fn take_byte(socket: &Socket) {
    let _ = receive_now(socket, &mut [0]);
}

/// Copies received bytes into `buffer`.
pub(super) fn receive_now(socket: &Socket, buffer: &mut [u8]) -> Result<Received> {
    receive_flagged(socket, buffer, RecvFlags::empty())
}

/// Copies received bytes into `buffer` and leaves them on the socket.
pub(super) fn peek_now(socket: &Socket, buffer: &mut [u8]) -> Result<Received> {
    receive_flagged(socket, buffer, RecvFlags::PEEK)
}

fn receive_flagged(socket: &Socket, buffer: &mut [u8], flags: RecvFlags) -> Result<Received> {
    if buffer.is_empty() {
        return Ok(Received::Nothing);
    }
    loop {
        return match recv(socket, &mut *buffer, RECEIVE_NOW | flags) {
            Ok((_, 0)) => Ok(Received::End),
            Ok((_, count)) => Ok(Received::Bytes(count)),
            Err(Errno::INTR) => continue,
            Err(Errno::AGAIN) => Ok(Received::Nothing),
            Err(error) => Err(io::Error::from(error).into()),
        };
    }
}

/// Drops received bytes; true at the end.
pub(super) fn discard(socket: &Socket) -> Result<bool> {
    let mut unwanted = [0; 4096];
    for _ in 0..MAX_BLOCKS {
        match receive_now(socket, &mut unwanted)? {
            Received::Bytes(_) => {}
            Received::Nothing => return Ok(false),
            Received::End => return Ok(true),
        }
    }
    Ok(false)
}

/// The limit of blocks that one call receives from a peer that sends nothing useful.
pub(super) const MAX_BLOCKS: u32 = 16;
