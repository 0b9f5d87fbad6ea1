//! Bytes to the peer: messages past the queue or through it, and batches of messages.

use std::{io::IoSlice, iter, time::Instant};

use rtmp_core::{
    chunk::{Chunks, Outgoing},
    error::{Error, Result},
    session::{self, Application, Command, Profile, Session, packet_log},
    transport::{tcp, wait::Patience},
};

use crate::{
    carrier::Carrier,
    globals,
    log::Deferred,
    memory::Body,
    rtmp::sockbuf::SockBuf,
    scratch,
    state::{Fact, Handle, Sending},
    valid::field,
};

impl Handle {
    /// Builds one of the session's messages and sends it; no other message comes in between. After an error the connection is
    /// closed.
    pub(crate) fn send(&self, build: impl FnOnce(&mut Session<Body>, &Profile<'_>) -> Command) -> Result<()> {
        let deferred = Deferred::begin();
        let sending = self.outbox().take_turn();
        let (built, first_chunk) = self.step(|session, wishes| {
            let command = build(session, &wishes.wishes().0);
            let chunk_size = session::chunk_size(session.state.out_chunk_size);
            let first_chunk = command.message().first_len(chunk_size);
            (session.send_command(wishes, &command), first_chunk)
        });
        let sent = self.drain(sending, Ok(()));
        drop(deferred);
        built.and(sent).map_err(|error| self.fail_sending(error, first_chunk))
    }

    /// Encodes a message and sends it at the least cost; `call` is remembered, and `encoded` receives the header format once
    /// the message has its place among the sent ones.
    pub(crate) fn transmit_packet(
        &self,
        message: &Outgoing<'_>,
        call: Option<(&[u8], i32)>,
        encoded: &mut Option<u8>,
    ) -> Result<()> {
        let _deferred = Deferred::begin();
        let sending = self.outbox().take_turn();
        let is_carried = self.has(Fact::Carried);
        // The chunks, unless they are in the queue, because bytes need processing or others are in front.
        let encoding = self.step(|session, wishes| {
            let is_queued =
                (is_carried && !self.never_waits()) || session.is_encrypted() || !session.unsent().is_empty();
            let chunks = session.encode(message)?;
            let (profile, calls) = wishes.wishes();
            if let Some((name, transaction)) = call {
                calls.remember(name, transaction);
            }
            if globals::logs_debug() {
                packet_log::log_sent(self.descriptor(), message, &chunks, &profile);
            }
            *encoded = Some(chunks.format);
            if is_queued {
                session.enqueue_chunks(&chunks);
                return Ok(None);
            }
            Ok::<_, Error>(Some(chunks))
        });
        match encoding {
            Ok(None) => self.drain(sending, Ok(())),
            Ok(Some(chunks)) => self.send_past(&chunks, sending),
            Err(error) => Err(self.end_turn(sending).err().unwrap_or(error)),
        }
    }

    /// Ends a turn to send without a message. Another thread may have left answers to it. If part of them has gone, nothing can
    /// follow.
    fn end_turn(&self, sending: Sending<'_>) -> Result<()> {
        let answers = self.drain(sending, Ok(()));
        self.forgive(answers).inspect_err(|_| self.give_up())
    }

    /// Sends the messages of one call: short ones are sent together.
    pub(crate) fn batch(&self) -> Batch<'_> {
        Batch { handle: self, sending: None, _deferred: Deferred::begin() }
    }

    /// Sends what is left of a message with `rest`, and behind it the answers that other threads have left to this one.
    pub(crate) fn send_rest(
        &self,
        sending: Sending<'_>,
        rest: impl FnOnce(SockBuf<'_>, &dyn Patience) -> Result<()>,
    ) -> Result<()> {
        let sent = rest(self.sb(), &self.patience());
        self.send_answers(sending, sent)
    }

    /// Sends the answers that other threads have left for this one, behind a message with this result. After an error they are
    /// dropped, because a part of the message may have been sent.
    fn send_answers(&self, sending: Sending<'_>, sent: Result<()>) -> Result<()> {
        let has_sent = sent.is_ok();
        let answers = self.drain(sending, sent);
        if has_sent { self.forgive(answers) } else { answers }
    }

    /// Sends a message, and behind it the answers that other threads have left for this one.
    fn send_past(&self, chunks: &Chunks<'_>, sending: Sending<'_>) -> Result<()> {
        if self.never_waits() {
            drop(sending);
            let len = chunks.len();
            if len > tcp::SHORT {
                return self.send_or_queue(|| chunks.pieces());
            }
            // The system has less to do for one piece.
            return scratch::with(|memory| {
                let whole = chunks.assemble(memory);
                self.send_or_queue(|| iter::once(whole))
            });
        }
        let sent = self.send_chunks(chunks);
        self.send_answers(sending, sent)
    }

    /// Sends the session's queue.
    pub(crate) fn flush(&self) -> Result<()> {
        self.drain(self.outbox().take_turn(), Ok(()))
    }

    /// As `flush`, unless another thread is sending, which then sends this queue, too. That thread may be waiting for a peer
    /// that itself waits for this side to read.
    pub(crate) fn try_flush(&self) -> Result<()> {
        self.outbox().try_turn().map_or(Ok(()), |sending| self.drain(sending, Ok(())))
    }

    /// Sends the session's queue, and what other threads add meanwhile. After an error, in `sent` or here, the rest is dropped.
    fn drain(&self, sending: Sending<'_>, sent: Result<()>) -> Result<()> {
        if self.never_waits() {
            drop(sending);
            sent?;
            self.meet_send_error()?;
            return self.flush_now();
        }
        sending.drain(sent, !self.has(Fact::Carried), |bytes| self.send_bytes(bytes))
    }

    /// Sends as much of the queue as the connection accepts now. After an error the rest is dropped.
    pub(crate) fn flush_now(&self) -> Result<()> {
        let Some(carrier) = self.carrier() else { return Ok(()) };
        let result = if self.send_hook().is_some() {
            self.flush_to_hook(&carrier)
        } else {
            let mut core = self.core();
            let result = send_queued(&mut core.session, |bytes| carrier.send_now(&[IoSlice::new(bytes)]));
            if !self.has(Fact::Bare) {
                self.note_bare(&core, &carrier);
            }
            result
        };
        if result.is_err() {
            self.core().session.take_unsent(true, &mut Vec::new());
        }
        self.show_tunnel(&carrier);
        result
    }

    /// Sends bytes of a session that does not wait, as far as the connection accepts them now, and queues the rest. Only the
    /// rest is copied, unless the bytes have to be changed first, or are many pieces.
    fn send_or_queue<'p, I: Iterator<Item = &'p [u8]>>(&self, pieces: impl Fn() -> I) -> Result<()> {
        let Some(carrier) = self.carrier() else { return Err(Error::NotConnected) };
        let has_tunnel = carrier.lock().has_tunnel();
        let has_hook = self.send_hook().is_some();
        let (mut count, mut len) = (0, 0);
        for piece in pieces() {
            count += 1;
            len += piece.len();
        }
        let mut core = self.core();
        let session = &mut core.session;
        if has_tunnel
            || !session.unsent().is_empty()
            || session.is_encrypted()
            || has_hook
            || count > MAX_PIECES
        {
            session.enqueue_bytes(pieces());
            drop(core);
            return self.flush_now();
        }
        let mut slices = [IoSlice::new(&[]); MAX_PIECES];
        for (slice, piece) in slices.iter_mut().zip(pieces()) {
            *slice = IoSlice::new(piece);
        }
        let sent = carrier.send_now(&slices[..count])?;
        session.enqueue_rest(pieces(), len, sent);
        self.note_bare(&core, &carrier);
        Ok(())
    }

    /// As `flush_now`, for a program that takes the bytes itself: its function is called without a lock.
    fn flush_to_hook(&self, carrier: &Carrier) -> Result<()> {
        loop {
            let bytes = self.core().session.unsent().to_vec();
            match carrier.send_now(&[IoSlice::new(&bytes)])? {
                0 => return Ok(()),
                count => self.core().session.sent(count),
            }
        }
    }

    /// Fails with the send error that a step has stored.
    fn meet_send_error(&self) -> Result<()> {
        self.progress(|progress| progress.send_error.take()).map_or(Ok(()), |error| Err(*error))
    }

    /// Notes how much a session that does not wait has sent, and whether more is waiting.
    pub(crate) fn watch_backlog(&self, now: Instant) {
        let unsent = self.unsent_below() as u64;
        let (queued_until, queued) = {
            let core = self.core();
            (core.session.queued_until(), core.session.queued() as u64)
        };
        let waiting = queued + unsent;
        let sent = queued_until.wrapping_sub(waiting);
        self.progress(|progress| progress.backlog.watch(sent, waiting > 0, now));
    }

    /// The number of bytes that wait for the peer, here and in the carrier.
    pub(crate) fn unsent(&self) -> usize {
        let queued = self.core().session.queued();
        queued + self.unsent_below()
    }

    /// The number of bytes that the carrier has taken and not sent yet.
    fn unsent_below(&self) -> usize {
        if self.has(Fact::Bare) { 0 } else { self.carrier().map_or(0, |carrier| carrier.lock().unsent()) }
    }

    /// Fails with [`Error::Again`] if a session that does not wait has no room for this many more bytes.
    pub(crate) fn reserve_queue(&self, len: usize) -> Result<()> {
        if !self.never_waits() {
            return Ok(());
        }
        if self.has(Fact::Noted) {
            let failed = self.progress(|progress| {
                progress.use_connection();
                progress.send_error.take()
            });
            if let Some(error) = failed {
                return Err(*error);
            }
        }
        if self.unsent() == 0 {
            return Ok(());
        }
        self.flush_now()?;
        match self.unsent() {
            0 => Ok(()),
            unsent if unsent.saturating_add(len) <= self.queue_limit() => Ok(()),
            _ => Err(Error::Again),
        }
    }

    /// Sends bytes unchanged, after the queue.
    pub(crate) fn send_pieces(&self, pieces: &[&[u8]]) -> Result<()> {
        let _deferred = Deferred::begin();
        if self.never_waits() {
            return self.send_or_queue(|| pieces.iter().copied());
        }
        let sending = self.outbox().take_turn();
        self.core().session.enqueue_bytes(pieces.iter().copied());
        self.drain(sending, Ok(()))
    }

    /// It is not a failure if the peer no longer accepts answers: it may have sent more before it closed, and a reader finds
    /// the end after that.
    pub(crate) fn forgive(&self, answers: Result<()>) -> Result<()> {
        answers.or_else(|error| {
            if !error.is_end_of_connection() {
                return Err(error);
            }
            ::log::debug!("the peer does not accept answers any more: {error}");
            Ok(())
        })
    }

    /// Sends a message.
    fn send_chunks(&self, chunks: &Chunks<'_>) -> Result<()> {
        match self.send_hook() {
            Some(hook) if !self.sb().has_tls() => {
                scratch::with(|memory| hook.send(self.rtmp(), chunks.assemble(memory)))
            }
            _ => self.sb().send_chunks(chunks, &self.patience()),
        }
    }

    /// Sends bytes, through the tunnel if there is one.
    fn send_bytes(&self, bytes: &[u8]) -> Result<()> {
        let Some(carrier) = self.carrier() else {
            return match self.send_hook() {
                Some(hook) if !self.sb().has_tls() => hook.send(self.rtmp(), bytes),
                _ => self.sb().send_all(bytes, &self.patience()),
            };
        };
        let result = carrier.send_whole(bytes, &self.patience());
        self.show_tunnel(&carrier);
        result
    }
}

/// Sends a session's queue with `send`, which takes the first bytes of a slice.
fn send_queued(session: &mut Session<Body>, send: impl Fn(&[u8]) -> Result<usize>) -> Result<()> {
    while !session.unsent().is_empty() {
        match send(session.unsent())? {
            0 => break,
            count => session.sent(count),
        }
    }
    Ok(())
}

/// Messages that a program passes in one call. The first one that stays in the queue keeps other threads from sending until the
/// queue is empty again, so [`end`](Self::end) must be called at the end.
pub(crate) struct Batch<'h> {
    handle: &'h Handle,
    /// The turn to send, while messages of this batch are queued.
    sending: Option<Sending<'h>>,
    /// Log callbacks are called when other threads may send again.
    _deferred: Deferred,
}

impl Batch<'_> {
    /// Bodies up to this length are copied to save a system call.
    const SHORT: usize = 8 << 10;
    /// With this many bytes in the queue, a system call is worth its cost.
    const ENOUGH: usize = 64 << 10;

    /// Encodes a message, and sends it unless it waits for the next one; `encoded` as for `Handle::transmit_packet`.
    pub(crate) fn transmit(&mut self, message: &Outgoing<'_>, encoded: &mut Option<u8>) -> Result<()> {
        // The log of librtmp shows a message and its result before the next message.
        if message.body.len() > Self::SHORT || globals::logs_debug() {
            self.flush()?;
            return self.handle.transmit_packet(message, None, encoded);
        }
        if self.sending.is_none() {
            self.sending = Some(self.handle.outbox().take_turn());
        }
        let chunk_size = session::chunk_size(field!(self.handle.rtmp(), m_outChunkSize).get());
        let queued = {
            let session = &mut self.handle.core().session;
            session.encoder().encode(message, chunk_size).map(|chunks| {
                session.enqueue_chunks(&chunks);
                (chunks.format, session.queued())
            })
        };
        match queued {
            Ok((format, queued)) => {
                *encoded = Some(format);
                if queued < Self::ENOUGH { Ok(()) } else { self.flush() }
            }
            Err(error) => {
                let ended = self.sending.take().map_or(Ok(()), |sending| self.handle.end_turn(sending));
                Err(ended.err().unwrap_or(error))
            }
        }
    }

    /// Sends what is queued.
    fn flush(&mut self) -> Result<()> {
        self.sending.take().map_or(Ok(()), |sending| self.handle.drain(sending, Ok(())))
    }

    /// Sends what is still queued.
    pub(crate) fn end(mut self) -> Result<()> {
        self.flush()
    }
}

/// A message with this many pieces is sent without a copy.
const MAX_PIECES: usize = 16;
