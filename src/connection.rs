//! A session's connection: how protocol code and bytes reach the `RTMP` and its socket.
//!
//! Bytes pass the session, which encrypts them if it has to, the HTTP tunnel, TLS and the socket. They are put together here
//! and nowhere else: `fill` and what it calls for one direction, `send_bytes` for the other.

use std::{io::IoSlice, iter, time::Instant};

use libc::c_int;
use rtmp_core::{
    chunk::{Chunks, Outgoing},
    error::{Error, Result},
    flv,
    net::Received,
    session::{self, Application, Calls, Command, Notice, Profile, Session, State, packet_log, ready},
    transport::{
        deadline::Deadline,
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
        RTMP, direct,
        reservoir::{self, Reservoir},
        sockbuf,
    },
    shared,
    state::{Core, Handle, Sending},
};

/// What a session asks of the program, which says it in `Link` and sees it in the struct.
pub(crate) struct Wishes {
    raw: *mut RTMP,
    calls: CallArray,
    /// What the peer has said, for a program that wants to know.
    notices: Option<Vec<Notice>>,
}

impl Application for Wishes {
    fn wishes(&mut self) -> (Profile<'_>, &mut dyn Calls) {
        // SAFETY: made by `Handle::step` for the length of a step, from a valid `RTMP`; callers do not free what the session
        // works with while a call is running.
        let mut profile = unsafe { profile(&(*self.raw).Link) };
        // SAFETY: as above.
        let flags = unsafe { shared::read(&raw const (*self.raw).m_read.flags) };
        profile.all_data = flv::Flags(flags).has(flv::Flags::ALL);
        (profile, &mut self.calls)
    }

    fn arrived(&mut self, chunk_stream: u32, timestamp: u32) {
        // SAFETY: made by `Handle::run` for the length of a step, from a valid `RTMP`.
        unsafe { mirror_timestamp(self.raw, chunk_stream as usize, timestamp) }
    }

    fn notified(&mut self, notice: Notice) {
        if let Some(notices) = &mut self.notices {
            notices.push(notice);
        }
    }
}

impl Handle {
    /// Runs protocol code that does not wait. Log records of the step are delivered after it.
    pub(crate) fn step<R>(&self, step: impl FnOnce(&mut Session<Body>, &mut Wishes) -> R) -> R {
        let _deferred = Deferred::begin();
        self.run(&mut self.core().session, step)
    }

    /// As `step`, with the bytes received so far, of which it returns how many it used; only for the thread that reads.
    pub(crate) fn receiving_step<R>(
        &self,
        step: impl FnOnce(&mut Session<Body>, &mut Wishes, &mut [u8]) -> (usize, R),
    ) -> R {
        let raw = self.raw();
        let result = {
            let _deferred = Deferred::begin();
            let mut core = self.core();
            let Core { session, reservoir, .. } = &mut *core;
            // SAFETY: the handle stands for an `RTMP` that stays valid while it exists (`Handle::from_raw`); only the thread
            // that reads touches the buffer, and the reservoir is in the locked core.
            let input = unsafe { reservoir::unread_mut(&raw mut (*raw).m_sb, reservoir.as_deref_mut()) };
            let (used, result) = self.run(session, |session, wishes| step(session, wishes, input));
            // Before another call may close the connection, after which nothing is unread.
            // SAFETY: as above; at most all of the unread bytes were used.
            unsafe { sockbuf::consume(&raw mut (*raw).m_sb, used) };
            result
        };
        // SAFETY: the handle's `RTMP` stays valid while the handle exists (`Handle::from_raw`).
        let refilled = unsafe {
            let buffer = &raw mut (*raw).m_sb;
            // With a tunnel, what TLS has decrypted is HTTP, which is the tunnel's to read.
            let direct = sockbuf::has_tls(buffer) && !self.is_carried();
            if direct { sockbuf::refill_from_pending(buffer) } else { 0 }
        };
        if refilled > 0 {
            self.receive_newest(refilled);
            self.mark_refilled();
        }
        result
    }

    /// Runs a step with what the fields of the struct say, and shows in them what it has changed.
    fn run<R>(
        &self,
        session: &mut Session<Body>,
        step: impl FnOnce(&mut Session<Body>, &mut Wishes) -> R,
    ) -> R {
        let raw = self.raw();
        session.set_descriptor(self.descriptor());
        // SAFETY: the handle stands for an `RTMP` that stays valid while it exists (`Handle::from_raw`); the lock keeps other
        // steps out.
        let (before, calls) = unsafe { (load_all(raw), CallArray::new(raw)) };
        session.state = before;
        let notices = self.wants_events().then(Vec::new);
        let mut wishes = Wishes { raw, calls, notices };
        let result = step(session, &mut wishes);
        if let Some(notices) = wishes.notices {
            self.keep_notices(notices);
        }
        // SAFETY: the handle's `RTMP` stays valid while the handle exists (`Handle::from_raw`).
        unsafe { store_all(raw, &before, &session.state) };
        result
    }

    /// Waits until at least one more byte is there to be read. `whole` says that nobody looks at the chunks of a message one
    /// by one.
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
        // SAFETY: the handle stands for an `RTMP` that stays valid while it exists (`Handle::from_raw`); only the thread that
        // reads touches the buffer.
        let count = unsafe {
            let sb = &raw mut (*self.raw()).m_sb;
            sockbuf::fill(sb, |room| {
                if self.is_watched() {
                    sockbuf::receive_leaving_one(sb, room, self.left_byte(), &self.patience())
                } else {
                    sockbuf::receive_into(sb, room, &self.patience())
                }
            })
        }?;
        if count >= AHEAD {
            self.expect_bytes();
        }
        self.receive_newest(count);
        Ok(())
    }

    /// As `fill`, from a carrier.
    fn fill_from(&self, carrier: &Carrier) -> Result<()> {
        if self.never_waits() {
            self.prepare_to_receive()?;
        }
        // SAFETY: the handle stands for an `RTMP` that stays valid while it exists (`Handle::from_raw`); only the thread that
        // reads touches the buffer.
        let result = unsafe {
            let sb = &raw mut (*self.raw()).m_sb;
            sockbuf::fill(sb, |room| carrier.receive(room, &self.patience()))
        };
        self.show_tunnel(carrier);
        let count = if self.never_waits() { self.note_received(result) } else { result }?;
        self.receive_newest(count);
        Ok(())
    }

    /// Fails with [`Error::Again`] when this call has received enough, or may not receive before the peer takes answers; and with
    /// what a step has met.
    fn prepare_to_receive(&self) -> Result<()> {
        if let Some(error) = self.progress(|progress| progress.receive_error.take()) {
            return Err(error);
        }
        if self.count_receive() > MAX_RECEIVES {
            self.progress(|progress| progress.input = Input::Maybe);
            return Err(Error::Again);
        }
        let answers = self.flush_now();
        self.forgive(answers)?;
        if self.core().session.wants_input() { Ok(()) } else { Err(Error::Again) }
    }

    /// Notes that a call reads: what a step has told of is being looked at.
    pub(crate) fn note_reading(&self) {
        self.progress_if_any(|progress| {
            progress.use_connection();
            progress.told = false;
            if progress.input == Input::Some {
                progress.input = Input::Maybe;
            }
        });
    }

    /// Notes what a call that does not wait has received, or that the time of a wait is over.
    fn note_received(&self, result: Result<usize>) -> Result<usize> {
        let timeout = self.timeout();
        self.progress(|progress| match result {
            Err(Error::Again) => {
                progress.input = Input::None;
                let now = Instant::now();
                progress.silent_since.get_or_insert(now);
                if progress.silence_ends(timeout).is_some_and(|end| end <= now) {
                    progress.silent_since = None;
                    // SAFETY: the handle stands for an `RTMP` that stays valid while it exists (`Handle::from_raw`).
                    unsafe { sockbuf::set_timed_out(&raw mut (*self.raw()).m_sb, true) };
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

    /// Receives what there is into the buffer, for a step of a session that does not wait: not more than there is room for, and
    /// only if the last bytes that came were looked at.
    pub(crate) fn receive_ahead(&self, carrier: &Carrier) -> Result<()> {
        if !self.core().session.wants_input() {
            return Ok(());
        }
        // SAFETY: the handle stands for an `RTMP` that stays valid while it exists (`Handle::from_raw`); only the thread that
        // reads touches the buffer.
        let result = unsafe {
            let sb = &raw mut (*self.raw()).m_sb;
            if sockbuf::extent(sb).1 == sockbuf::CAPACITY {
                return Ok(());
            }
            sockbuf::fill(sb, |room| match carrier.receive_now(room)? {
                Received::Bytes(count) => Ok(count),
                Received::Nothing => Err(Error::Again),
                Received::End => Ok(0),
            })
        };
        self.show_tunnel(carrier);
        match result {
            Ok(count) => {
                self.progress(|progress| (progress.input, progress.silent_since) = (Input::Some, None));
                self.receive_newest(count);
                Ok(())
            }
            Err(Error::Again) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// Shows callers where the tunnel stands.
    pub(crate) fn show_tunnel(&self, carrier: &Carrier) {
        let Some(status) = carrier.tunnel_status() else { return };
        let r = self.raw();
        // The thread that reads and the one that sends come here.
        let _core = self.core();
        if !self.is_current() {
            return;
        }
        // SAFETY: the handle's `RTMP` stays valid while the handle exists (`Handle::from_raw`); the name comes from
        // `malloc`, like every other that `RTMP_Close` finds there.
        unsafe {
            (*r).m_msgCounter = status.sequence as c_int;
            (*r).m_unackd = status.unanswered as c_int;
            (*r).m_polling = status.polling.into();
            (*r).m_resplen = status.missing as c_int;
            if let (Some(session), true) = (&status.session, (*r).m_clientID.av_val.is_null()) {
                let path = format!("/{}", session.as_str());
                if let Ok(copy) = memory::duplicate(path.as_bytes()) {
                    (*r).m_clientID = AVal { av_val: copy, av_len: path.len() as c_int };
                }
            }
        }
    }

    /// Builds one of the session's messages and sends it; no other message gets between the two. An error comes with the
    /// length of the message's first chunk.
    pub(crate) fn send_command(
        &self,
        build: impl FnOnce(&mut Session<Body>, &Profile<'_>) -> Command,
    ) -> Result<(), (Error, usize)> {
        let _deferred = Deferred::begin();
        let sending = self.outbox().take_turn();
        let (built, first_chunk) = self.step(|session, wishes| {
            let command = build(session, &wishes.wishes().0);
            let chunk_size = session::chunk_size(session.state.out_chunk_size);
            let first_chunk = command.message().as_asked(chunk_size).first_len();
            (session.send_command(wishes, &command), first_chunk)
        });
        let sent = self.drain(sending, Ok(()));
        built.and(sent).map_err(|error| (error, first_chunk))
    }

    /// Encodes a message and sends it, with as little besides as can be; `call` is remembered, and `encoded` says which
    /// header format it has once the message has its place among those that were sent.
    pub(crate) fn transmit_packet(
        &self,
        message: &Outgoing<'_>,
        call: Option<(&[u8], i32)>,
        encoded: &mut Option<u8>,
    ) -> Result<()> {
        let _deferred = Deferred::begin();
        match self.encode_packet(message, call, encoded, false, self.outbox().take_turn())? {
            (None, sending) => self.drain(sending, Ok(())),
            (Some(chunks), sending) => self.send_past(&chunks, sending),
        }
    }

    /// Encodes a message, and appends it to the queue if bytes cannot leave as they are or if the caller wants it there;
    /// otherwise returns its chunks, which are to be sent before the turn ends.
    fn encode_packet<'h, 'm>(
        &'h self,
        message: &Outgoing<'m>,
        call: Option<(&[u8], i32)>,
        encoded: &mut Option<u8>,
        to_queue: bool,
        sending: Sending<'h>,
    ) -> Result<(Option<Chunks<'m>>, Sending<'h>)> {
        let is_carried = self.is_carried();
        let encoding = self.step(|session, wishes| {
            let is_queued = to_queue
                || (is_carried && !self.never_waits())
                || session.is_encrypted()
                || !session.unsent().is_empty();
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
            Err(error) => {
                // Another thread may have left answers to this one. If part of them has gone, nothing can follow.
                let answers = self.drain(sending, Ok(()));
                self.forgive(answers).inspect_err(|_| self.give_up())?;
                Err(error)
            }
        }
    }

    /// Sends the messages of one call: short ones leave together.
    pub(crate) fn batch(&self) -> Batch<'_> {
        Batch { handle: self, sending: None, _deferred: Deferred::begin() }
    }

    /// Encodes a message and sends it if nothing but the socket is in its way: nobody else uses the session, and bytes
    /// leave as they are. Tells the header format and what came of sending; `None` if nothing has happened.
    #[inline(always)]
    pub(super) fn transmit_unqueued<'m>(
        &self,
        encode: impl FnOnce(&mut Core, u32) -> Option<Result<Chunks<'m>>>,
    ) -> Option<(u8, Result<()>)> {
        let (chunks, sending) = self.outbox().try_past(|core| {
            if self.is_carried() || !core.leaves_as_it_is() {
                return None;
            }
            // SAFETY: the handle's `RTMP` stays valid while the handle exists (`Handle::from_raw`); the lock keeps steps out.
            let chunk_size = unsafe { shared::read(&raw const (*self.raw()).m_outChunkSize) };
            encode(core, session::chunk_size(chunk_size))?.ok()
        })?;
        Some((chunks.format, self.send_past(&chunks, sending)))
    }

    /// Sends a message, and behind it the answers that other threads have left to this one. After an error they are dropped:
    /// part of the message may have been sent.
    #[inline(always)]
    fn send_past(&self, chunks: &Chunks<'_>, mut sending: Sending<'_>) -> Result<()> {
        if self.never_waits() {
            drop(sending);
            return self.send_or_queue(|| chunks.pieces());
        }
        match self.send_chunks(chunks, sending.scratch()) {
            Ok(()) => {
                let answers = self.drain(sending, Ok(()));
                self.forgive(answers)
            }
            failed => self.drain(sending, failed),
        }
    }

    /// Sends what the session has queued.
    pub(crate) fn flush(&self) -> Result<()> {
        self.drain(self.outbox().take_turn(), Ok(()))
    }

    /// As `flush`, unless another thread is sending, which then sends this, too: it may wait for a peer that itself waits for
    /// us to read.
    pub(crate) fn try_flush(&self) -> Result<()> {
        self.outbox().try_turn().map_or(Ok(()), |sending| self.drain(sending, Ok(())))
    }

    /// Sends what the session has queued, and what other threads queue meanwhile. After an error, in `sent` or in this, the
    /// rest is dropped.
    fn drain(&self, sending: Sending<'_>, sent: Result<()>) -> Result<()> {
        if self.never_waits() {
            drop(sending);
            sent?;
            self.meet_send_error()?;
            return self.flush_now();
        }
        sending.drain(sent, !self.is_carried(), |bytes| self.send_bytes(bytes))
    }

    /// Sends as much of what is queued as the connection takes now. After an error the rest is dropped.
    pub(crate) fn flush_now(&self) -> Result<()> {
        let Some(carrier) = self.carrier() else { return Ok(()) };
        let result = if self.send_hook().is_some() {
            self.flush_to_hook(&carrier)
        } else {
            let mut core = self.core();
            send_queued(&mut core.session, |bytes| carrier.send_now(&[IoSlice::new(bytes)]))
        };
        if result.is_err() {
            self.core().session.take_unsent(true);
        }
        self.show_tunnel(&carrier);
        result
    }

    /// Sends bytes of a session that does not wait, as far as the connection takes them now, and queues the rest. Only the rest is
    /// copied, unless the bytes have to be changed first, or are many short pieces.
    fn send_or_queue<'p, I: Iterator<Item = &'p [u8]>>(&self, pieces: impl Fn() -> I) -> Result<()> {
        let Some(carrier) = self.carrier() else { return Err(Error::NotConnected) };
        let has_tunnel = carrier.has_tunnel();
        let mut core = self.core();
        let session = &mut core.session;
        if has_tunnel
            || !session.unsent().is_empty()
            || session.is_encrypted()
            || self.send_hook().is_some()
            || pieces().nth(MAX_PIECES).is_some()
        {
            session.enqueue_bytes(pieces());
            drop(core);
            return self.flush_now();
        }
        let mut slices = [IoSlice::new(&[]); MAX_PIECES];
        let (mut count, mut len) = (0, 0);
        for piece in pieces() {
            slices[count] = IoSlice::new(piece);
            count += 1;
            len += piece.len();
        }
        let mut together = [0; PUT_TOGETHER];
        let sent = if let (true, Some(room)) = (count > 1, together.get_mut(..len)) {
            // The system has less to do for one piece.
            let mut at = 0;
            for piece in pieces() {
                room[at..at + piece.len()].copy_from_slice(piece);
                at += piece.len();
            }
            carrier.send_now(&[IoSlice::new(room)])?
        } else {
            carrier.send_now(&slices[..count])?
        };
        session.enqueue_rest(pieces(), sent);
        Ok(())
    }

    /// As `flush_now`, for a program that takes the bytes itself: it is called without a lock.
    fn flush_to_hook(&self, carrier: &Carrier) -> Result<()> {
        loop {
            let bytes = self.core().session.unsent().to_vec();
            match carrier.send_now(&[IoSlice::new(&bytes)])? {
                0 => return Ok(()),
                count => self.core().session.sent(count),
            }
        }
    }

    /// Fails with the error of sending that a step has met.
    fn meet_send_error(&self) -> Result<()> {
        self.progress(|progress| progress.send_error.take()).map_or(Ok(()), Err)
    }

    /// How many bytes may wait for the peer.
    pub(crate) fn queue_limit(&self) -> usize {
        self.look_at_settings(|settings| settings.tuning.queue_limit.filter(|bytes| *bytes > 0))
            .unwrap_or(MAX_QUEUE)
    }

    /// How many bytes wait for the peer, here and in what carries them.
    pub(crate) fn unsent(&self) -> usize {
        let queued = self.core().session.queued();
        queued + self.carrier().map_or(0, |carrier| carrier.unsent())
    }

    /// Fails with [`Error::Again`] if a session that does not wait has no room for so many bytes more.
    pub(crate) fn reserve_queue(&self, len: usize) -> Result<()> {
        if !self.never_waits() {
            return Ok(());
        }
        let failed = self.progress(|progress| {
            progress.use_connection();
            progress.send_error.take()
        });
        if let Some(error) = failed {
            return Err(error);
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

    /// Sends bytes as they are, behind what is queued.
    pub(crate) fn send_pieces(&self, pieces: &[&[u8]]) -> Result<()> {
        let _deferred = Deferred::begin();
        if self.never_waits() {
            return self.send_or_queue(|| pieces.iter().copied());
        }
        let sending = self.outbox().take_turn();
        self.core().session.enqueue_bytes(pieces.iter().copied());
        self.drain(sending, Ok(()))
    }

    /// Answers that a peer does not take any more are no failure: it may have sent more before it went, so that is for those to
    /// find out who read to the end.
    pub(crate) fn forgive(&self, answers: Result<()>) -> Result<()> {
        answers.or_else(|error| {
            if !error.is_end_of_connection() {
                return Err(error);
            }
            ::log::debug!("the peer takes no answer any more: {error}");
            Ok(())
        })
    }

    /// Whether the peer has sent more than was received, so that receiving would not wait.
    pub(crate) fn has_more(&self) -> bool {
        // A byte that was left there is none of them.
        let left = usize::from(self.has_left_byte());
        self.socket().is_ok_and(|fd| wait::has_more(fd, left))
    }

    /// Whether there is a connection.
    pub(crate) fn is_open(&self) -> bool {
        self.descriptor() != Some(-1)
    }

    /// The socket's number in the log.
    pub(crate) fn descriptor(&self) -> Option<i32> {
        // SAFETY: the handle stands for an `RTMP` that stays valid while it exists (`Handle::from_raw`).
        Some(unsafe { shared::read(&raw const (*self.raw()).m_sb.sb_socket) })
    }

    /// From now on all waits together may last no longer than one of them may, until [`end_phase`](Self::end_phase).
    pub(crate) fn begin_phase(&self) {
        self.set_limit(Deadline::after(self.timeout()));
    }

    /// From now on each wait may last as long as one may.
    pub(crate) fn end_phase(&self) {
        self.set_limit(Deadline::NEVER);
    }

    /// Fails if a wait would fail at once, because the phase has ended or the program wants to stop.
    pub(crate) fn check(&self) -> Result<()> {
        let patience = self.patience();
        if patience.is_over() {
            return Err(Error::Interrupted);
        }
        patience.deadline().left().map(drop).inspect_err(|_| {
            // SAFETY: the handle stands for an `RTMP` that stays valid while it exists (`Handle::from_raw`).
            unsafe { sockbuf::set_timed_out(&raw mut (*self.raw()).m_sb, true) }
        })
    }

    /// Sends a message.
    fn send_chunks(&self, chunks: &Chunks<'_>, scratch: &mut Vec<u8>) -> Result<()> {
        // SAFETY: the handle's `RTMP` stays valid while the handle exists (`Handle::from_raw`); the descriptor is open as long as
        // the caller leaves it so.
        unsafe {
            let sb = &raw const (*self.raw()).m_sb;
            match self.send_hook() {
                Some(hook) if !sockbuf::has_tls(sb) => {
                    scratch.clear();
                    chunks.append_to(scratch);
                    hook.send(self.raw(), scratch)
                }
                _ => sockbuf::send_chunks(sb, chunks, scratch, &self.patience()),
            }
        }
    }

    /// Sends bytes, through the tunnel if there is one.
    fn send_bytes(&self, bytes: &[u8]) -> Result<()> {
        let Some(carrier) = self.carrier() else {
            // SAFETY: the handle's `RTMP` stays valid while the handle exists (`Handle::from_raw`); the descriptor is open as long as
            // the caller leaves it so. One piece needs no
            // memory to be put together in.
            return unsafe {
                let sb = &raw const (*self.raw()).m_sb;
                match self.send_hook() {
                    Some(hook) if !sockbuf::has_tls(sb) => hook.send(self.raw(), bytes),
                    _ => sockbuf::send_all(sb, iter::once(bytes), &mut Vec::new(), &self.patience()),
                }
            };
        };
        let result = carrier.send_whole(bytes, &self.patience());
        self.show_tunnel(&carrier);
        result
    }

    /// Receives into the body of the message that is arriving, or into the reservoir. `None` if there is neither, or if the
    /// bytes have to pass something on their way.
    fn fill_straight(&self, whole: bool) -> Option<Result<()>> {
        // SAFETY: the handle's `RTMP` stays valid while the handle exists (`Handle::from_raw`); only the thread that reads touches
        // the buffer.
        let sb = unsafe { &raw mut (*self.raw()).m_sb };
        // SAFETY: the handle's `RTMP` stays valid while the handle exists (`Handle::from_raw`).
        if unsafe { sockbuf::has_tls(sb) } {
            return None;
        }
        let mut core = self.core();
        if core.session.is_encrypted() {
            return None;
        }
        let Core { session, reservoir, .. } = &mut *core;
        let worthwhile = direct::worthwhile(reservoir.as_deref());
        // SAFETY: the handle's `RTMP` stays valid while the handle exists (`Handle::from_raw`).
        let (chunk_size, unread) = unsafe {
            let chunk_size = shared::read(&raw const (*self.raw()).m_inChunkSize);
            (session::chunk_size(chunk_size), reservoir::unread(sb, reservoir.as_deref()))
        };
        // The log shows chunks one by one.
        let loan = if unread.is_empty() && !globals::dumps() {
            session.decoder().lend(chunk_size, worthwhile)
        } else {
            None
        };
        let Some(mut loan) = loan else {
            // SAFETY: the handle's `RTMP` stays valid while the handle exists (`Handle::from_raw`).
            unsafe { reservoir::release_idle(sb, reservoir) };
            // Its memory stays where it is, and what is unread in it.
            let mut reservoir = reservoir.take()?;
            // SAFETY: as above. Another call may close the connection, but not while the lock is held.
            unsafe { reservoir.gather(sb) };
            drop(core);
            return Some(self.fill_reservoir(reservoir));
        };
        drop(core);
        // SAFETY: as above; the buffer was found empty.
        let result = unsafe { direct::receive(sb, &mut loan, whole, &self.patience()) };
        let arrived = *result.as_ref().unwrap_or(&direct::Arrived::default());
        let mut core = self.core();
        core.session.decoder().give_back(loan, arrived.chunks);
        // SAFETY: the handle's `RTMP` stays valid while the handle exists (`Handle::from_raw`); the lock keeps steps out.
        unsafe {
            let count = &raw mut (*self.raw()).m_nBytesIn;
            shared::write(count, shared::read(count).wrapping_add(arrived.used as c_int));
            if matches!(result, Err(Error::TimedOut)) {
                reservoir::release(sb, &mut core.reservoir);
            }
        }
        Some(result.map(|_| ()))
    }

    /// Receives into a reservoir that was taken out of the core, and has gathered what is unread.
    fn fill_reservoir(&self, mut reservoir: Box<Reservoir>) -> Result<()> {
        // SAFETY: the handle's `RTMP` stays valid while the handle exists (`Handle::from_raw`); only the thread that reads touches
        // the buffer.
        let sb = unsafe { &raw mut (*self.raw()).m_sb };
        // SAFETY: the handle's `RTMP` stays valid while the handle exists (`Handle::from_raw`).
        let result = unsafe { reservoir.fill(sb, &self.patience()) };
        let mut core = self.core();
        if !self.is_open() || !self.is_current() {
            // What has come is nobody's, and the memory goes with this call.
            return result;
        }
        // SAFETY: as above; the lock keeps out whoever closes the connection.
        unsafe {
            reservoir.show(sb);
            core.reservoir = Some(reservoir);
            if matches!(result, Err(Error::TimedOut)) {
                reservoir::release(sb, &mut core.reservoir);
            }
        }
        result
    }

    /// Decrypts bytes that have just arrived, the last of those unread.
    fn receive_newest(&self, count: usize) {
        if count > 0 {
            // SAFETY: the handle stands for an `RTMP` that stays valid while it exists (`Handle::from_raw`); only the thread
            // that reads touches the buffer.
            self.core().session.decrypt(unsafe { sockbuf::newest(&raw mut (*self.raw()).m_sb, count) });
        }
    }

    /// Lets the socket become quiet when there is nothing for a reader in what was received, and asks the server of a tunnel
    /// for more. Callers that brought their own socket, as curl does, wait for it before they read: they do not know of bytes
    /// that are here already, and an HTTP server says nothing unless it is asked.
    pub(crate) fn settle(&self) {
        if !self.is_watched() {
            return;
        }
        let carrier = self.carrier();
        if self.has_left_byte() && self.has_something_to_read(carrier.as_deref()) {
            return;
        }
        let Ok(fd) = self.socket() else { return };
        // SAFETY: the handle stands for an `RTMP` that stays valid while it exists (`Handle::from_raw`).
        let has_ended = unsafe {
            sockbuf::drop_left_byte(&raw const (*self.raw()).m_sb, fd, self.left_byte());
            shared::read(&raw const (*self.raw()).m_read.status)
        } != 0;
        if let Some(carrier) = carrier {
            carrier.lock().release_byte();
            if !has_ended {
                // The end of the connection, if that is why, makes the socket readable.
                if let Err(error) = carrier.keep_polling() {
                    log::debug!("the tunnel's server takes no poll: {error}");
                }
                self.show_tunnel(&carrier);
            }
        }
    }

    /// Says whether the socket has to stay readable as long as there is something to read.
    pub(crate) fn watch(&self, watched: bool) {
        self.set_watched(watched);
        // SAFETY: the handle stands for an `RTMP` that stays valid while it exists (`Handle::from_raw`).
        let secured = unsafe { sockbuf::carrier(&raw const (*self.raw()).m_sb) };
        for carrier in self.carrier().into_iter().chain(secured) {
            carrier.lock().keep_readable(watched);
        }
    }

    /// Whether a byte that was received is still on the socket.
    fn has_left_byte(&self) -> bool {
        if let Some(carrier) = self.carrier() {
            return carrier.lock().has_left_byte();
        }
        // SAFETY: the handle stands for an `RTMP` that stays valid while it exists (`Handle::from_raw`).
        unsafe { sockbuf::has_left_byte(&raw const (*self.raw()).m_sb, self.left_byte()) }
    }

    /// Whether there is something for a reader in what was received and not read.
    fn has_something_to_read(&self, carrier: Option<&Carrier>) -> bool {
        let mut core = self.core();
        let Core { session, reservoir, .. } = &mut *core;
        // SAFETY: the handle's `RTMP` stays valid while the handle exists (`Handle::from_raw`); only the thread that reads touches
        // the buffer.
        let worth_reading = unsafe {
            let (sb, flags) = (&raw const (*self.raw()).m_sb, &raw const (*self.raw()).m_read.flags);
            let unread = reservoir::unread(sb, reservoir.as_deref());
            let begun = flv::Flags(shared::read(flags)).has(flv::Flags::HEADER);
            // Without anything unread it was all fetched, but for what a tunnel has not looked at.
            let more = carrier.is_none() && !unread.is_empty() && sockbuf::tls_holds_more(sb);
            more || ready::is_worth_reading(&load(self.raw()), session.decoder(), begun, unread)
        };
        worth_reading
            || !core.stream.pending().is_empty()
            || carrier.is_some_and(|carrier| carrier.holds_more())
    }
}

/// Sends what a session has queued with `send`, which takes the beginning of some bytes.
fn send_queued(session: &mut Session<Body>, send: impl Fn(&[u8]) -> Result<usize>) -> Result<()> {
    while !session.unsent().is_empty() {
        match send(session.unsent())? {
            0 => break,
            count => session.sent(count),
        }
    }
    Ok(())
}

/// Messages that a program hands over in one call. The first one that stays in the queue keeps other threads from sending
/// until the queue is empty again, so [`end`](Self::end) has to be called in the end.
pub(crate) struct Batch<'h> {
    handle: &'h Handle,
    /// The turn to send, while messages of this batch are queued.
    sending: Option<Sending<'h>>,
    /// Log callbacks are called when other threads may send again.
    _deferred: Deferred,
}

impl Batch<'_> {
    /// Bytes of the body of a message that is worth copying to save a call of the system.
    const SHORT: usize = 8 << 10;
    /// Bytes in the queue that are worth a call of the system.
    const ENOUGH: usize = 64 << 10;

    /// Encodes a message, and sends it unless it waits for the next one; `encoded` as for `Handle::transmit_packet`.
    pub(crate) fn transmit(&mut self, message: &Outgoing<'_>, encoded: &mut Option<u8>) -> Result<()> {
        // The log of librtmp shows a message and what came of it before the next one.
        let waits = message.body.len() <= Self::SHORT && !globals::logs_debug();
        if !waits {
            self.flush()?;
        }
        let sending = self.sending.take().unwrap_or_else(|| self.handle.outbox().take_turn());
        match self.handle.encode_packet(message, None, encoded, waits, sending)? {
            (Some(chunks), sending) => self.handle.send_past(&chunks, sending),
            (None, sending) => {
                self.sending = Some(sending);
                let queued = self.handle.core().session.queued();
                if waits && queued < Self::ENOUGH { Ok(()) } else { self.flush() }
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

/// [`load`] as one function for all kinds of steps.
///
/// # Safety
/// As for `load`.
#[inline(never)]
unsafe fn load_all(raw: *mut RTMP) -> State {
    // SAFETY: `raw` points to an initialised `RTMP`, by the contract of `load`.
    unsafe { load(raw) }
}

/// [`store`] as one function for all kinds of steps.
///
/// # Safety
/// As for `store`.
#[inline(never)]
unsafe fn store_all(raw: *mut RTMP, before: &State, after: &State) {
    // SAFETY: `raw` points to an initialised `RTMP`, by the contract of `store`.
    unsafe { store(raw, before, after) }
}

/// With so many bytes in one receive, the peer is probably ahead.
const AHEAD: usize = sockbuf::CAPACITY / 2;

/// How often a call of a session that does not wait receives: others have their turn then.
const MAX_RECEIVES: u32 = 64;

/// A message of so many pieces is sent without a copy.
const MAX_PIECES: usize = 16;
/// A message of so many bytes is copied into one piece.
const PUT_TOGETHER: usize = 2048;
/// How many bytes may wait for the peer of a session that does not wait.
const MAX_QUEUE: usize = 4 << 20;
