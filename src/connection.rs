//! A session's connection: the way of bytes and protocol code to the `RTMP` and its socket.
//!
//! Bytes pass the session, which encrypts them if necessary, the HTTP tunnel, TLS and the socket. Only this file combines them:
//! `fill` and the functions that it calls for one direction, `send_bytes` for the other.

use std::{
    io::{self, IoSlice},
    iter, mem,
    time::{Duration, Instant},
};

use libc::c_int;
use rtmp_core::{
    chunk::{Chunks, Outgoing},
    error::{Error, Result},
    flv,
    net::Received,
    session::{self, Application, Calls, Command, Notice, Profile, Session, State, packet_log, ready},
    transport::{
        deadline::Deadline,
        tcp,
        wait::{self, Patience},
    },
};

use super::{
    amf::AVal,
    calls::CallArray,
    carrier::Carrier,
    fields::{load, mirror_timestamp, profile, store},
    globals,
    log::Deferred,
    memory::{self, Body},
    progress::Input,
    rtmp::{
        direct,
        reservoir::{self, Reservoir},
        sockbuf,
    },
    state::{Core, Handle, Sending},
    valid::{Rtmp, field},
};

/// The program's settings, which the session reads from `Link`, and the fields that it shows in the struct.
pub(crate) struct Wishes<'h> {
    rtmp: Rtmp<'h>,
    calls: CallArray<'h>,
    /// The peer's notices, for a program that receives them.
    notices: Option<Vec<Notice>>,
}

impl Application for Wishes<'_> {
    fn wishes(&mut self) -> (Profile<'_>, &mut dyn Calls) {
        // SAFETY: programs do not free the strings of `Link` during a call, which is a rule of `rtmp.h`, and this reference
        // ends with the step.
        let mut profile = unsafe { profile(&*field!(self.rtmp, Link).as_ptr()) };
        profile.all_data = flv::Flags(field!(self.rtmp, m_read.flags).get()).has(flv::Flags::ALL);
        (profile, &mut self.calls)
    }

    fn arrived(&mut self, chunk_stream: u32, timestamp: u32) {
        mirror_timestamp(self.rtmp, chunk_stream as usize, timestamp);
    }

    fn notified(&mut self, notice: Notice) {
        if let Some(notices) = &mut self.notices {
            notices.push(notice);
        }
    }
}

impl Handle {
    /// Runs protocol code that does not wait. Log records of the step are delivered after it.
    pub(crate) fn step<R>(&self, step: impl FnOnce(&mut Session<Body>, &mut Wishes<'_>) -> R) -> R {
        let _deferred = Deferred::begin();
        self.run(&mut self.core().session, step)
    }

    /// As `step`, with the bytes received so far, of which it returns how many it used; only for the thread that reads.
    pub(crate) fn receiving_step<R>(
        &self,
        step: impl FnOnce(&mut Session<Body>, &mut Wishes<'_>, &mut [u8]) -> (usize, R),
    ) -> R {
        let mut inbox = self.inbox();
        let result = {
            let _deferred = Deferred::begin();
            let mut core = self.core();
            let Core { session, reservoir, .. } = &mut *core;
            let input = reservoir::unread_mut(&mut inbox, reservoir.as_deref_mut());
            let (used, result) = self.run(session, |session, wishes| step(session, wishes, input));
            // Before another call can close the connection and discard the unread bytes.
            inbox.consume(used);
            result
        };
        // With a tunnel, the bytes that TLS has decrypted are HTTP, and the tunnel reads them.
        let direct = inbox.sb().has_tls() && !self.is_carried();
        let refilled = if direct { inbox.refill_from_pending() } else { 0 };
        if refilled > 0 {
            self.receive_newest(refilled);
            self.mark_refilled();
        }
        result
    }

    /// Runs a step with the values of the struct's fields, and stores the values that it has changed.
    fn run<R>(
        &self,
        session: &mut Session<Body>,
        step: impl FnOnce(&mut Session<Body>, &mut Wishes<'_>) -> R,
    ) -> R {
        let rtmp = self.rtmp();
        session.set_descriptor(self.descriptor());
        let before = load_all(rtmp);
        session.state = before;
        let notices = self.wants_events().then(Vec::new);
        let mut wishes = Wishes { rtmp, calls: CallArray::new(rtmp), notices };
        let result = step(session, &mut wishes);
        if let Some(notices) = wishes.notices {
            self.keep_notices(notices);
        }
        store_all(rtmp, &before, &session.state);
        result
    }

    /// Waits until at least one more byte is available. `whole` says that the caller does not look at the single chunks of a
    /// message.
    pub(crate) fn fill(&self, whole: bool) -> Result<()> {
        if self.take_refilled() {
            return Ok(());
        }
        if let Some(carrier) = self.carrier() {
            return self.fill_from(&carrier);
        }
        if let Some(result) = (!self.is_watched()).then(|| self.fill_straight(whole)).flatten() {
            if result.is_ok() {
                self.expect_bytes();
            }
            return result;
        }
        let sb = self.sb();
        let count = self.inbox().fill(|room| {
            if self.is_watched() {
                sb.receive_leaving_one(room, self.left_byte(), &self.patience())
            } else {
                sb.receive_into(room, &self.patience())
            }
        })?;
        if count >= AHEAD {
            self.expect_bytes();
        }
        self.receive_newest(count);
        Ok(())
    }

    /// As `fill`, from a carrier.
    fn fill_from(&self, carrier: &Carrier) -> Result<()> {
        let mut is_drained = false;
        if self.never_waits() {
            is_drained = self.progress(|progress| mem::take(&mut progress.drained));
            self.prepare_to_receive()?;
        }
        let result = if is_drained {
            // A call of the system would find nothing.
            self.check().and(Err(Error::Again))
        } else {
            self.inbox().fill(|room| carrier.receive(room, &self.patience()))
        };
        self.show_tunnel(carrier);
        let count = if self.never_waits() {
            let is_drained = result.is_ok() && carrier.is_drained();
            self.progress(|progress| progress.drained = is_drained);
            self.note_received(result)
        } else {
            result
        }?;
        self.receive_newest(count);
        Ok(())
    }

    /// Fails with [`Error::Again`] when this call has received enough, or must not receive before the peer accepts answers.
    /// Also fails with a stored error of a step.
    fn prepare_to_receive(&self) -> Result<()> {
        if let Some(error) = self.progress(|progress| progress.receive_error.take()) {
            return Err(error);
        }
        let (receives, time) = self.count_receive(Instant::now());
        if receives > MAX_RECEIVES || time > MAX_TIME {
            return Err(self.meet_flood());
        }
        let answers = self.flush_now();
        self.forgive(answers)?;
        if self.core().session.wants_input() { Ok(()) } else { Err(Error::Again) }
    }

    /// A call has received as much as it may, and found nothing for the program. If calls have found nothing for the time of
    /// one wait, although the socket was never empty, that is a timeout as well.
    fn meet_flood(&self) -> Error {
        let (timeout, now) = (self.timeout(), Instant::now());
        let is_over = self.progress(|progress| {
            progress.input = Input::Maybe;
            let since = *progress.flooded_since.get_or_insert(now);
            let end = timeout.and_then(|timeout| since.checked_add(timeout));
            let is_over = end.is_some_and(|end| end <= now);
            if is_over {
                progress.flooded_since = None;
            }
            is_over
        });
        if !is_over {
            return Error::Again;
        }
        self.sb().set_timed_out(true);
        Error::TimedOut
    }

    /// Notes that a call has found something for the program.
    pub(crate) fn note_found(&self) {
        self.progress_if_any(|progress| progress.flooded_since = None);
    }

    /// Notes that a call reads, and so processes what a step has reported.
    pub(crate) fn note_reading(&self) {
        self.progress_if_any(|progress| {
            progress.use_connection();
            progress.told = false;
            if progress.input == Input::Some {
                progress.input = Input::Maybe;
            }
        });
    }

    /// Notes the result of a receive without waiting, or that the time of a wait has passed.
    fn note_received(&self, result: Result<usize>) -> Result<usize> {
        let timeout = self.timeout();
        self.progress(|progress| match result {
            Err(Error::Again) => {
                (progress.input, progress.flooded_since) = (Input::None, None);
                let now = Instant::now();
                progress.silent_since.get_or_insert(now);
                if progress.silence_ends(timeout).is_some_and(|end| end <= now) {
                    progress.silent_since = None;
                    self.sb().set_timed_out(true);
                    return Err(Error::TimedOut);
                }
                Err(Error::Again)
            }
            result => {
                (progress.input, progress.silent_since) = (Input::Maybe, None);
                result
            }
        })
    }

    /// Receives available bytes into the buffer, for a step of a session that does not wait: no more than fit, and only if the
    /// last bytes were processed.
    pub(crate) fn receive_ahead(&self, carrier: &Carrier) -> Result<()> {
        if !self.core().session.wants_input() {
            return Ok(());
        }
        let mut inbox = self.inbox();
        if inbox.extent().1 == sockbuf::CAPACITY {
            return Ok(());
        }
        let result = inbox.fill(|room| match carrier.receive_now(room)? {
            Received::Bytes(count) => Ok(count),
            Received::Nothing => Err(Error::Again),
            Received::End => Ok(0),
        });
        self.show_tunnel(carrier);
        match result {
            Ok(count) => {
                let is_drained = carrier.is_drained();
                self.progress(|progress| {
                    (progress.input, progress.silent_since) = (Input::Some, None);
                    progress.drained = is_drained;
                });
                self.receive_newest(count);
                Ok(())
            }
            Err(Error::Again) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// Shows callers the state of the tunnel.
    pub(crate) fn show_tunnel(&self, carrier: &Carrier) {
        let Some(status) = carrier.tunnel_status() else { return };
        let r = self.rtmp();
        // Both the reading and the sending thread may be here.
        let _core = self.core();
        if !self.is_current() {
            return;
        }
        field!(r, m_msgCounter).set(status.sequence as c_int);
        field!(r, m_unackd).set(status.unanswered as c_int);
        field!(r, m_polling).set(status.polling.into());
        field!(r, m_resplen).set(status.missing as c_int);
        if let (Some(session), true) = (&status.session, field!(r, m_clientID.av_val).get().is_null()) {
            let path = format!("/{}", session.as_str());
            // The string comes from `malloc`, like every other that `RTMP_Close` frees there.
            if let Ok(copy) = memory::duplicate(path.as_bytes()) {
                field!(r, m_clientID).put(AVal { av_val: copy, av_len: path.len() as c_int });
            }
        }
    }

    /// Builds one of the session's messages and sends it; no other message comes in between. An error contains the length of
    /// the message's first chunk.
    pub(crate) fn send_command(
        &self,
        build: impl FnOnce(&mut Session<Body>, &Profile<'_>) -> Command,
    ) -> Result<(), (Error, usize)> {
        let _deferred = Deferred::begin();
        let sending = self.outbox().take_turn();
        let (built, first_chunk) = self.step(|session, wishes| {
            let command = build(session, &wishes.wishes().0);
            let chunk_size = session::chunk_size(session.state.out_chunk_size);
            let first_chunk = command.message().first_len(chunk_size);
            (session.send_command(wishes, &command), first_chunk)
        });
        let sent = self.drain(sending, Ok(()));
        built.and(sent).map_err(|error| (error, first_chunk))
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
        match self.encode_packet(message, call, encoded, self.outbox().take_turn())? {
            (None, sending) => self.drain(sending, Ok(())),
            (Some(chunks), sending) => self.send_past(&chunks, sending),
        }
    }

    /// Encodes a message, and appends it to the queue if bytes need processing or the caller asks for it; otherwise returns its
    /// chunks, which must be sent before the turn ends.
    fn encode_packet<'h, 'm>(
        &'h self,
        message: &Outgoing<'m>,
        call: Option<(&[u8], i32)>,
        encoded: &mut Option<u8>,
        sending: Sending<'h>,
    ) -> Result<(Option<Chunks<'m>>, Sending<'h>)> {
        let is_carried = self.is_carried();
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
            Ok(chunks) => Ok((chunks, sending)),
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

    /// Sends what is left of a message after `first` came of [`SockBuf::send_chunks_now`](sockbuf::SockBuf::send_chunks_now), and
    /// behind it the answers that other threads have left to this one.
    pub(crate) fn send_rest(
        &self,
        chunks: &Chunks<'_>,
        first: Option<io::Result<usize>>,
        mut sending: Sending<'_>,
    ) -> Result<()> {
        match self.sb().send_rest_of(chunks, first, sending.scratch(), &self.patience()) {
            Ok(()) => {
                let answers = self.drain(sending, Ok(()));
                self.forgive(answers)
            }
            failed => self.drain(sending, failed),
        }
    }

    /// Sends a message, and after it the answers that other threads have left for this one. After an error the answers are
    /// dropped, because a part of the message may have been sent.
    fn send_past(&self, chunks: &Chunks<'_>, mut sending: Sending<'_>) -> Result<()> {
        if self.never_waits() {
            drop(sending);
            let len = chunks.len();
            if len > tcp::SHORT {
                return self.send_or_queue(|| chunks.pieces());
            }
            // The system has less to do for one piece.
            let mut whole = Vec::with_capacity(len);
            chunks.append_to(&mut whole);
            return self.send_or_queue(|| iter::once(&whole[..]));
        }
        match self.send_chunks(chunks, sending.scratch()) {
            Ok(()) => {
                let answers = self.drain(sending, Ok(()));
                self.forgive(answers)
            }
            failed => self.drain(sending, failed),
        }
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
        sending.drain(sent, !self.is_carried(), |bytes| self.send_bytes(bytes))
    }

    /// Sends as much of the queue as the connection accepts now. After an error the rest is dropped.
    pub(crate) fn flush_now(&self) -> Result<()> {
        let Some(carrier) = self.carrier() else { return Ok(()) };
        let result = if self.send_hook().is_some() {
            self.flush_to_hook(&carrier)
        } else {
            let mut core = self.core();
            send_queued(&mut core.session, |bytes| carrier.send_now(&[IoSlice::new(bytes)]))
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
        let (has_tunnel, has_hook) = (carrier.has_tunnel(), self.send_hook().is_some());
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
        self.progress(|progress| progress.send_error.take()).map_or(Ok(()), Err)
    }

    /// Notes how much a session that does not wait has sent, and whether more is waiting.
    pub(crate) fn watch_backlog(&self, now: Instant) {
        let unsent = self.carrier().map_or(0, |carrier| carrier.unsent()) as u64;
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
        queued + self.carrier().map_or(0, |carrier| carrier.unsent())
    }

    /// Fails with [`Error::Again`] if a session that does not wait has no room for this many more bytes.
    pub(crate) fn reserve_queue(&self, len: usize) -> Result<()> {
        if !self.never_waits() {
            return Ok(());
        }
        if self.has_noted() {
            let failed = self.progress(|progress| {
                progress.use_connection();
                progress.send_error.take()
            });
            if let Some(error) = failed {
                return Err(error);
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

    /// Whether the peer has sent more than was received, so that receiving would not wait.
    pub(crate) fn has_more(&self) -> bool {
        // A byte that was left on the socket does not count.
        let left = usize::from(self.has_left_byte());
        self.socket().is_ok_and(|fd| wait::has_more(fd, left))
    }

    /// Whether there is a connection.
    pub(crate) fn is_open(&self) -> bool {
        self.descriptor() != Some(-1)
    }

    /// The socket's number in the log.
    pub(crate) fn descriptor(&self) -> Option<i32> {
        Some(field!(self.rtmp(), m_sb.sb_socket).get())
    }

    /// From now on all waits together are limited to the time of one, until [`end_phase`](Self::end_phase).
    pub(crate) fn begin_phase(&self) {
        self.set_limit(Deadline::after(self.timeout()));
    }

    /// From now on each wait has its own limit again.
    pub(crate) fn end_phase(&self) {
        self.set_limit(Deadline::NEVER);
    }

    /// Fails if a wait would fail at once, because the phase has ended or the program has aborted.
    pub(crate) fn check(&self) -> Result<()> {
        let patience = self.patience();
        if patience.is_over() {
            return Err(Error::Interrupted);
        }
        patience.deadline().left().map(drop).inspect_err(|_| self.sb().set_timed_out(true))
    }

    /// Sends a message.
    fn send_chunks(&self, chunks: &Chunks<'_>, scratch: &mut Vec<u8>) -> Result<()> {
        match self.send_hook() {
            Some(hook) if !self.sb().has_tls() => {
                scratch.clear();
                chunks.append_to(scratch);
                // SAFETY: the handle's `RTMP` is initialised while the handle exists (`Handle::from_raw`).
                unsafe { hook.send(self.raw(), scratch) }
            }
            _ => self.sb().send_chunks(chunks, scratch, &self.patience()),
        }
    }

    /// Sends bytes, through the tunnel if there is one.
    fn send_bytes(&self, bytes: &[u8]) -> Result<()> {
        let Some(carrier) = self.carrier() else {
            return match self.send_hook() {
                // SAFETY: the handle's `RTMP` is initialised while the handle exists (`Handle::from_raw`).
                Some(hook) if !self.sb().has_tls() => unsafe { hook.send(self.raw(), bytes) },
                _ => self.sb().send_all(bytes, &self.patience()),
            };
        };
        let result = carrier.send_whole(bytes, &self.patience());
        self.show_tunnel(&carrier);
        result
    }

    /// Receives directly into the body of the message that is arriving, or into the reservoir. `None` if there is neither, or
    /// if the bytes need processing on their way.
    fn fill_straight(&self, whole: bool) -> Option<Result<()>> {
        let mut inbox = self.inbox();
        if inbox.sb().has_tls() {
            return None;
        }
        let mut core = self.core();
        if core.session.is_encrypted() {
            return None;
        }
        let Core { session, reservoir, .. } = &mut *core;
        let worthwhile = direct::worthwhile(reservoir.as_deref());
        let chunk_size = session::chunk_size(field!(self.rtmp(), m_inChunkSize).get());
        // The log shows each chunk.
        let loan = if reservoir::unread(&inbox, reservoir.as_deref()).is_empty() && !globals::dumps() {
            session.decoder().lend(chunk_size, worthwhile)
        } else {
            None
        };
        let Some(mut loan) = loan else {
            reservoir::release_idle(&mut inbox, reservoir);
            // Its memory does not move, and neither do its unread bytes.
            let mut reservoir = reservoir.take()?;
            // Another call may close the connection, but not while the lock is held.
            reservoir.gather(&inbox);
            drop(core);
            return Some(self.fill_reservoir(reservoir));
        };
        drop(core);
        let result = direct::receive(&mut inbox, &mut loan, whole, &self.patience());
        let arrived = *result.as_ref().unwrap_or(&direct::Arrived::default());
        let mut core = self.core();
        core.session.decoder().give_back(loan, arrived.chunks);
        let count = field!(self.rtmp(), m_nBytesIn);
        count.set(count.get().wrapping_add(arrived.used as c_int));
        if matches!(result, Err(Error::TimedOut)) {
            reservoir::release(&mut inbox, &mut core.reservoir);
        }
        Some(result.map(|_| ()))
    }

    /// Receives into a reservoir that was taken out of the core, and has gathered the unread bytes.
    fn fill_reservoir(&self, mut reservoir: Box<Reservoir>) -> Result<()> {
        let result = reservoir.fill(self.sb(), &self.patience());
        let mut core = self.core();
        if !self.is_open() || !self.is_current() {
            // The session of these bytes has ended, and this call frees the memory.
            return result;
        }
        // The lock excludes a call that closes the connection.
        reservoir.show(self.sb());
        core.reservoir = Some(reservoir);
        if matches!(result, Err(Error::TimedOut)) {
            reservoir::release(&mut self.inbox(), &mut core.reservoir);
        }
        result
    }

    /// Decrypts bytes that have just arrived, the last of the unread ones.
    fn receive_newest(&self, count: usize) {
        if count > 0 {
            self.core().session.decrypt(self.inbox().newest(count));
        }
    }

    /// Makes the socket unreadable if the received bytes contain nothing for a reader, and asks the server of a tunnel for
    /// more. Callers with their own socket, such as curl, wait for it before they read: they do not know of bytes that were
    /// already received, and an HTTP server only answers requests.
    pub(crate) fn settle(&self) {
        if !self.is_watched() {
            return;
        }
        let carrier = self.carrier();
        if self.has_left_byte() && self.has_something_to_read(carrier.as_deref()) {
            return;
        }
        let Ok(fd) = self.socket() else { return };
        self.sb().drop_left_byte(fd, self.left_byte());
        let has_ended = field!(self.rtmp(), m_read.status).get() != 0;
        if let Some(carrier) = carrier {
            carrier.lock().release_byte();
            if !has_ended {
                // If the reason is the end of the connection, the socket becomes readable.
                if let Err(error) = carrier.keep_polling() {
                    log::debug!("the tunnel's server does not accept a poll request: {error}");
                }
                self.show_tunnel(&carrier);
            }
        }
    }

    /// Sets whether the socket has to stay readable while there is something to read.
    pub(crate) fn watch(&self, watched: bool) {
        self.set_watched(watched);
        for carrier in self.carrier().into_iter().chain(self.sb().carrier()) {
            carrier.lock().keep_readable(watched);
        }
    }

    /// Whether a byte that was received is still on the socket.
    fn has_left_byte(&self) -> bool {
        if let Some(carrier) = self.carrier() {
            return carrier.lock().has_left_byte();
        }
        self.sb().has_left_byte(self.left_byte())
    }

    /// Whether the received and unread bytes contain something for a reader.
    fn has_something_to_read(&self, carrier: Option<&Carrier>) -> bool {
        let mut core = self.core();
        let Core { session, reservoir, .. } = &mut *core;
        let inbox = self.inbox();
        let unread = reservoir::unread(&inbox, reservoir.as_deref());
        let flags = flv::Flags(field!(self.rtmp(), m_read.flags).get());
        let (begun, all_data) = (flags.has(flv::Flags::HEADER), flags.has(flv::Flags::ALL));
        // If nothing is unread, everything was fetched, except what a tunnel has not processed.
        let more = carrier.is_none() && !unread.is_empty() && self.sb().tls_holds_more();
        let worth_reading =
            more || ready::is_worth_reading(&load(self.rtmp()), session.decoder(), begun, all_data, unread);
        worth_reading
            || !core.stream.pending().is_empty()
            || carrier.is_some_and(|carrier| carrier.holds_more())
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

/// [`load`] as one function for all kinds of steps, which is not inlined.
#[inline(never)]
fn load_all(rtmp: Rtmp<'_>) -> State {
    load(rtmp)
}

/// [`store`] as one function for all kinds of steps, which is not inlined.
#[inline(never)]
fn store_all(rtmp: Rtmp<'_>, before: &State, after: &State) {
    store(rtmp, before, after);
}

/// With this many bytes in one receive, the peer is probably sending faster than this side reads.
const AHEAD: usize = sockbuf::CAPACITY / 2;

/// The limit of receives of a call of a session that does not wait, so that others have their turn.
const MAX_RECEIVES: u32 = 64;

/// The time limit of such receives.
const MAX_TIME: Duration = Duration::from_millis(2);

/// A message with this many pieces is sent without a copy.
const MAX_PIECES: usize = 16;
