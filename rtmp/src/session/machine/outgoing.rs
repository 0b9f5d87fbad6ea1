//! Bytes to the peer: encoding messages, the queue, and answers.

use std::io::IoSlice;

use log::{Level, log_enabled};

use super::{Application, Session, chunk_size};
use crate::{
    chunk::{Chunks, Outgoing},
    error::{Error, Result},
    message::Body,
    session::{Command, packet_log},
};

/// Bytes in the queue that answer the peer or acknowledge received bytes. They may be anywhere in the queue, so two portions
/// count them: when the first has left the queue, the second is the whole of them.
#[derive(Default)]
pub(super) struct Answers {
    first: usize,
    /// The end of the first portion, as [`Session::queued_until`].
    end: u64,
    second: usize,
}

impl<B: Body> Session<B> {
    /// The bytes to be written next.
    pub fn unsent(&self) -> &[u8] {
        self.queue.unsent()
    }

    /// Reports that the first `count` bytes of [`Session::unsent`] were written.
    pub fn sent(&mut self, count: usize) {
        self.queue.remove(count);
        self.note_sent();
    }

    /// Updates the counters after bytes have left the queue.
    fn note_sent(&mut self) {
        let sent = self.queued - self.queue.len() as u64;
        while self.ends.front().is_some_and(|end| *end <= sent) {
            self.ends.pop_front();
        }
        self.answers.left(sent, self.queued);
    }

    /// Moves the next message that has to be written, or all of them if they go `together` or [`Self::mark_ends`] has not been
    /// called, to `taken`, in place of what is there; empty if there is none.
    pub fn take_unsent(&mut self, together: bool, taken: &mut Vec<u8>) {
        let unsent = self.queue.unsent();
        let first = self.queued - unsent.len() as u64;
        let end = self.ends.iter().find(|end| **end > first);
        let len = match end {
            Some(end) if !together => (end - first) as usize,
            _ => unsent.len(),
        };
        if len == unsent.len() {
            self.queue.swap(taken);
        } else {
            taken.clear();
            taken.extend_from_slice(&unsent[..len]);
            self.queue.remove(len);
        }
        self.note_sent();
    }

    /// Encodes a message. Send the result before anything else, or pass it to [`Session::enqueue_chunks`].
    pub fn encode<'m>(&mut self, message: &Outgoing<'m>) -> Result<Chunks<'m>> {
        self.encoder.encode(message, chunk_size(self.state.out_chunk_size))
    }

    /// Queues an encoded message.
    pub fn enqueue_chunks(&mut self, chunks: &Chunks<'_>) {
        self.enqueue(|out| chunks.append_to(out));
    }

    /// Queues bytes that were not encoded here.
    pub fn enqueue_bytes<'p>(&mut self, pieces: impl Iterator<Item = &'p [u8]>) {
        self.enqueue(|out| pieces.for_each(|piece| out.extend_from_slice(piece)));
    }

    /// Queues `len` bytes whose first `sent` bytes were already written, past the queue, which is empty. Only for a session that
    /// does not encrypt.
    pub fn enqueue_rest<'p>(&mut self, pieces: impl Iterator<Item = &'p [u8]>, len: usize, mut sent: usize) {
        debug_assert!(
            self.queue.is_empty() && !self.is_encrypted(),
            "these bytes come next, and as they are"
        );
        self.queued += sent as u64;
        if sent == len {
            return;
        }
        self.enqueue_bytes(pieces.map(|piece| {
            let skipped = sent.min(piece.len());
            sent -= skipped;
            &piece[skipped..]
        }));
    }

    /// The length in bytes of the first chunk of the oldest message in the queue.
    pub fn first_chunk_len(&self) -> usize {
        self.first_chunk
    }

    /// Encodes a message and offers it to `write`, which takes the first bytes of some slices and returns their number, or 0 if
    /// there is no room. The rest is copied to the queue. Returns the header format that was used.
    ///
    /// An error of `write` leaves the message in the queue.
    pub fn send(
        &mut self,
        message: &Outgoing<'_>,
        mut write: impl FnMut(&[IoSlice<'_>]) -> Result<usize>,
    ) -> Result<u8> {
        if !self.is_open() {
            return Err(Error::Closed);
        }
        let chunks = self.encoder.encode(message, chunk_size(self.state.out_chunk_size))?;
        if self.sending.is_none() && self.queue.is_empty() && chunks.len() > COPIED {
            self.queued += chunks.len() as u64;
            self.send_in_pieces(&chunks, &mut write)?;
        } else {
            self.enqueue(|out| chunks.append_to(out));
            let count = write(&[IoSlice::new(self.queue.unsent())])?;
            self.sent(count);
        }
        Ok(chunks.format)
    }

    /// Sends a long message without copying it; only the rest goes to the queue.
    fn send_in_pieces(
        &mut self,
        chunks: &Chunks<'_>,
        write: &mut dyn FnMut(&[IoSlice<'_>]) -> Result<usize>,
    ) -> Result<()> {
        let mut pieces = chunks.pieces();
        loop {
            let mut batch: [&[u8]; MAX_PIECES] = [&[]; MAX_PIECES];
            let mut count = 0;
            for (place, piece) in batch.iter_mut().zip(pieces.by_ref()) {
                *place = piece;
                count += 1;
            }
            if count == 0 {
                return Ok(());
            }
            let whole: usize = batch.iter().map(|piece| piece.len()).sum();
            let result = write(&batch.map(IoSlice::new)[..count]);
            let mut sent = *result.as_ref().unwrap_or(&0);
            if sent < whole {
                self.queue.append(|out| {
                    for piece in batch.into_iter().chain(pieces) {
                        let skipped = sent.min(piece.len());
                        sent -= skipped;
                        out.extend_from_slice(&piece[skipped..]);
                    }
                });
                self.mark_end();
                return result.map(drop);
            }
        }
    }

    /// Counts bytes that the application sends without [`Session::encode`].
    pub fn count_sent(&mut self, bytes: usize) {
        self.counters.bytes_out += bytes as u64;
    }

    /// The end of the queue, in bytes from the beginning of the session.
    pub fn queued_until(&self) -> u64 {
        self.queued
    }

    /// The number of bytes that have not been written yet.
    pub fn queued(&self) -> usize {
        self.queue.len()
    }

    /// Sends an answer to the peer.
    pub(super) fn reply<C: AsRef<[u8]>>(
        &mut self,
        application: &mut dyn Application,
        command: &Command<C>,
    ) -> Result<()> {
        let before = self.queue.len();
        self.send_command(application, command)?;
        self.answers.second += self.queue.len() - before;
        Ok(())
    }

    /// Sends one of the protocol's commands or control messages.
    pub fn send_command<C: AsRef<[u8]>>(
        &mut self,
        application: &mut dyn Application,
        command: &Command<C>,
    ) -> Result<()> {
        let logs = log_enabled!(Level::Debug);
        if logs {
            packet_log::announce(command, &application.wishes().0);
        }
        let message = command.message();
        let chunks = self.encoder.encode(&message, chunk_size(self.state.out_chunk_size))?;
        if logs {
            packet_log::log_sent(self.descriptor, &message, &chunks, &application.wishes().0);
        }
        if let Some((name, transaction)) = command.remember {
            application.calls().remember(name.as_bytes(), transaction);
        }
        if self.queue.is_empty() {
            self.first_chunk = chunks.first_len();
        }
        self.enqueue(|out| {
            if out.capacity() == 0 {
                out.reserve(chunks.len().max(USUAL_ANSWERS));
            }
            chunks.append_to(out);
        });
        Ok(())
    }

    /// Appends to the queue, encrypted if the connection is.
    pub(super) fn enqueue(&mut self, write: impl FnOnce(&mut Vec<u8>)) {
        let appended = self.queue.append(write);
        self.queued += appended.len() as u64;
        if let Some(cipher) = &mut self.sending {
            cipher.apply(appended);
        }
        self.mark_end();
    }

    fn mark_end(&mut self) {
        if self.marks_ends {
            self.ends.push_back(self.queued);
        }
    }

    /// Sets whether the messages that are queued from now on have to be written one by one, see [`Self::take_unsent`].
    pub fn mark_ends(&mut self, marks: bool) {
        self.marks_ends = marks;
    }
}

impl Answers {
    pub(super) fn len(&self) -> usize {
        self.first + self.second
    }

    /// Updates the counters: the queue now begins at `start` and ends at `end`.
    fn left(&mut self, start: u64, end: u64) {
        if start >= self.end {
            self.first = if start == end { 0 } else { self.second };
            self.second = 0;
            self.end = end;
        }
    }
}

/// Messages of up to this many bytes, including headers, are copied before a system call, because a call with several pieces
/// takes longer than the copy.
const COPIED: usize = 16 << 10;

/// Room for the answers to one message, or for a command and what is sent with it.
const USUAL_ANSWERS: usize = 192;

/// The limit of pieces of a long message that go to the system in one call.
const MAX_PIECES: usize = 64;
