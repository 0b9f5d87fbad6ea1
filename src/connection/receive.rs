//! Bytes from the peer: receiving into the struct, the receive buffer or a body, and the readable socket of programs that wait for it.

use std::time::{Duration, Instant};

use libc::c_int;
use rtmp_core::{
    error::{Error, Result},
    flv,
    net::Received,
    session::{self, ready},
    transport::wait,
};

use crate::{
    carrier::Carrier,
    fields::load,
    globals,
    progress::{Input, Progress},
    rtmp::{
        direct,
        receive_buffer::{self, ReceiveBuffer},
        sockbuf,
    },
    state::{Core, Fact, Handle},
    valid::field,
};

impl Handle {
    /// Waits until at least one more byte is available. `whole` says that the caller does not look at the single chunks of a
    /// message.
    pub(crate) fn fill(&self, whole: bool) -> Result<()> {
        if self.note(Fact::Refilled, false) {
            return Ok(());
        }
        if let Some(carrier) = self.carrier() {
            return self.fill_from(&carrier);
        }
        if let Some(result) = (!self.has(Fact::Watched)).then(|| self.fill_directly(whole)).flatten() {
            if matches!(result, Ok(true)) {
                self.note(Fact::ExpectsWait, false);
            }
            return result.map(drop);
        }
        let (sb, mut is_full) = (self.sb(), false);
        let count = self.inbox().fill(|room| {
            let count = if self.has(Fact::Watched) {
                sb.receive_leaving_one(room, self.left_byte(), &self.patience())
            } else {
                sb.receive_into(room, &self.patience())
            }?;
            is_full = count == room.len();
            Ok(count)
        })?;
        if is_full {
            // The peer sends faster than this side reads.
            self.note(Fact::ExpectsWait, false);
        }
        self.receive_newest(count);
        Ok(())
    }

    /// As `fill`, from a carrier.
    fn fill_from(&self, carrier: &Carrier) -> Result<()> {
        let mut was_drained = false;
        if self.never_waits() {
            was_drained = self.progress(|progress| {
                let was_drained = progress.may_assume_empty();
                progress.drained = false;
                was_drained
            });
            self.prepare_to_receive()?;
        }
        let result = if was_drained {
            // A call of the system would find nothing.
            self.check().and(Err(Error::Again))
        } else {
            self.inbox().fill(|room| carrier.receive(room, &self.patience()))
        };
        self.show_tunnel(carrier);
        let count = if self.never_waits() {
            let is_drained = result.is_ok() && carrier.lock().is_drained();
            self.progress(|progress| {
                progress.drained = is_drained;
                if result.is_err() {
                    progress.assumed_empty = was_drained;
                }
            });
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
            return Err(*error);
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
        self.progress_if_any(Progress::note_found);
    }

    /// Notes that a call reads, and so processes what a step has reported.
    pub(crate) fn note_reading(&self) {
        self.progress_if_any(Progress::note_reading);
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
                let is_drained = carrier.lock().is_drained();
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

    /// Whether the peer has sent more than was received, so that receiving would not wait.
    pub(crate) fn has_more(&self) -> bool {
        // A byte that was left on the socket does not count.
        let left = usize::from(self.has_left_byte());
        self.socket().is_ok_and(|fd| wait::has_more(fd, left))
    }

    /// Receives directly into the body of the message that is arriving, or into the receive buffer. `None` if there is neither, or
    /// if the bytes need processing on their way. Otherwise returns whether so many came that more can be expected.
    fn fill_directly(&self, whole: bool) -> Option<Result<bool>> {
        let mut inbox = self.inbox();
        if inbox.sb().has_tls() {
            return None;
        }
        let mut core = self.core();
        if core.session.is_encrypted() {
            return None;
        }
        let Core { session, receive_buffer, .. } = &mut *core;
        let worthwhile = direct::worthwhile(receive_buffer.as_deref());
        let chunk_size = session::chunk_size(field!(self.rtmp(), m_inChunkSize).get());
        // The log shows each chunk.
        let loan =
            if receive_buffer::unread(&inbox, receive_buffer.as_deref()).is_empty() && !globals::dumps() {
                session.decoder().lend(chunk_size, worthwhile)
            } else {
                None
            };
        let Some(mut loan) = loan else {
            receive_buffer::release_idle(&mut inbox, receive_buffer);
            // Its memory does not move, and neither do its unread bytes.
            let mut receive_buffer = receive_buffer.take()?;
            // Another call may close the connection, but not while the lock is held.
            receive_buffer.gather(&inbox);
            drop(core);
            return Some(self.fill_receive_buffer(receive_buffer));
        };
        drop(core);
        let result = direct::receive(&mut inbox, &mut loan, whole, &self.patience());
        let arrived = *result.as_ref().unwrap_or(&direct::Arrived::default());
        let mut core = self.core();
        core.session.decoder().give_back(loan, arrived.chunks);
        let count = field!(self.rtmp(), m_nBytesIn);
        count.set(count.get().wrapping_add(arrived.used as c_int));
        if matches!(result, Err(Error::TimedOut)) {
            receive_buffer::release(&mut inbox, &mut core.receive_buffer);
        }
        Some(result.map(|arrived| arrived.full || arrived.used > sockbuf::CAPACITY))
    }

    /// Receives into a receive buffer that was taken out of the core, and has gathered the unread bytes. Returns whether
    /// more bytes can be expected.
    fn fill_receive_buffer(&self, mut receive_buffer: Box<ReceiveBuffer>) -> Result<bool> {
        let result =
            receive_buffer.fill(self.sb(), &self.patience()).map(|()| receive_buffer.expects_bytes());
        let mut core = self.core();
        if !self.is_open() || !self.is_current() {
            // The session of these bytes has ended, and this call frees the memory.
            return result;
        }
        // The lock excludes a call that closes the connection.
        receive_buffer.show(self.sb());
        core.receive_buffer = Some(receive_buffer);
        if matches!(result, Err(Error::TimedOut)) {
            receive_buffer::release(&mut self.inbox(), &mut core.receive_buffer);
        }
        result
    }

    /// Decrypts bytes that have just arrived, the last of the unread ones.
    pub(super) fn receive_newest(&self, count: usize) {
        if count > 0 {
            self.core().session.decrypt(self.inbox().newest(count));
        }
    }

    /// Makes the socket unreadable if the received bytes contain nothing for a reader, and asks the server of a tunnel for
    /// more. Callers with their own socket, such as curl, wait for it before they read: they do not know of bytes that were
    /// already received, and an HTTP server only answers requests.
    pub(crate) fn update_readiness(&self) {
        if !self.has(Fact::Watched) {
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
        self.note(Fact::Watched, watched);
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
        let Core { session, receive_buffer, .. } = &mut *core;
        let inbox = self.inbox();
        let unread = receive_buffer::unread(&inbox, receive_buffer.as_deref());
        let flags = flv::Flags(field!(self.rtmp(), m_read.flags).get());
        let (begun, all_data) = (flags.has(flv::Flags::HEADER), flags.has(flv::Flags::ALL));
        // If nothing is unread, everything was fetched, except what a tunnel has not processed.
        let more = carrier.is_none() && !unread.is_empty() && self.sb().tls_holds_more();
        let worth_reading =
            more || ready::is_worth_reading(&load(self.rtmp()), session.decoder(), begun, all_data, unread);
        worth_reading
            || !core.stream.pending().is_empty()
            || carrier.is_some_and(|carrier| carrier.lock().holds_more())
    }
}

/// The limit of receives of a call of a session that does not wait, so that others have their turn.
const MAX_RECEIVES: u32 = 64;

/// The time limit of such receives.
const MAX_TIME: Duration = Duration::from_millis(2);
