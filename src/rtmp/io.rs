//! `RTMP_Read` and `RTMP_Write`: streams as FLV bytes.

use std::{
    mem::{self, MaybeUninit},
    ptr,
    time::{Duration, Instant},
};

use libc::{c_char, c_int};
use rtmp_core::{
    error::Error,
    flv::{self, Call, Ending, ReadState, Step},
    message::{Body as _, Message},
    session::{self, Outcome},
};

use super::{
    RTMP_LF_LIVE, close, fast_read, fast_write,
    outgoing::{
        PUBLISHING, connected, first_chunk_len, log_unsent, mirror_writer, outgoing, report, send_in_batch,
        show_unfinished, take_unfinished,
    },
    read_state::{Block, with_read_state},
};
use crate::{
    Errno,
    boundary::{Kind, attempt, attempt_once, boundary},
    cancel, errno,
    log::Deferred,
    memory::Body,
    ptr::{bytes, given, room},
    pump::Reading,
    reason::{self, Code, During, Failure, Phase},
    state::{Core, Fact, Handle},
    valid::{Rtmp, field},
};

/// Reads the stream as the bytes of an FLV file. The function waits for at most one message and stores at most `size`
/// bytes in `buf`.
///
/// Returns the number of bytes, 0 when there are no more, or -1 on an error. With 0, `m_read.status` is
/// `RTMP_READ_COMPLETE` or `RTMP_READ_EOF`; `RTMP_GetLastError` distinguishes the end of the stream, a timeout and a
/// lost connection. With -1, `m_read.status` is `RTMP_READ_ERROR` and `errno` is EINVAL.
///
/// Fails with `RTMP_ERR_ENDED` at the end of the stream, `RTMP_ERR_TIMEDOUT` after `Link.timeout` without data,
/// `RTMP_ERR_CLOSED` or `RTMP_ERR_IO` if the connection was lost, `RTMP_ERR_MALFORMED` if the peer breaks the protocol,
/// and `RTMP_ERR_ABORTED` after `RTMP_Abort`.
///
/// `Link.timeout` limits each wait for bytes, so pings keep a call alive while a stream has no media. A server that
/// sends continuously but sends no media also ends the call after `Link.timeout`. After a timeout, set `m_read.status`
/// to 0 to read on.
///
/// A caller that fills one block with several calls, each for the rest of it, sees the connection as closed
/// (`RTMP_IsConnected`) only after it has asked for the next block.
///
/// # Safety
/// `r` is null or points to an initialised `RTMP`; `buf` is null or writable for `size` bytes.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn RTMP_Read(r: Option<Rtmp<'_>>, buf: *mut c_char, size: c_int) -> c_int {
    // SAFETY: `buf` is null or writable for `size` bytes, by the Safety section; the two paths use it one after the other.
    let out = move || unsafe { room(buf.cast(), usize::try_from(size).ok()?) };
    let count = match attempt(move || fast_read::read(r?, out()?)) {
        Some(Ok(count)) => count as c_int,
        other => read_in_general(r, buf, size, out(), other.and_then(Result::err)),
    };
    cancel::act();
    count
}

/// The general path. `out` is the memory at `buf`, `failure` a failure that is already known.
#[inline(never)]
fn read_in_general(
    r: Option<Rtmp<'_>>,
    buf: *const c_char,
    size: c_int,
    out: Option<&mut [MaybeUninit<u8>]>,
    failure: Option<fast_read::Failure>,
) -> c_int {
    let call = |errno: &mut Errno| -> Result<Option<usize>, Failure> {
        let rtmp = reason::use_session(r)?;
        let status = field!(rtmp, m_read.status);
        let ending = Ending::from_status(status.get());
        if ending == Some(Ending::Error) {
            return Ok(None);
        }
        if matches!(failure, Some(fast_read::Failure::Again)) {
            return Err(Failure::new(Error::Again, Phase::Reading));
        }
        let handle = match Handle::connected_to(r) {
            Err(Error::Again) => return Err(Failure::new(Error::Again, Phase::Reading)),
            found => found.ok(),
        };
        let Some(handle) = handle else {
            if ending.is_none() {
                Failure::new(Error::NotConnected, Phase::Reading).keep();
                status.set(Ending::Eof.status());
            }
            return Ok(Some(0));
        };
        if ending.is_some() {
            stay_at_the_end(&handle, buf, size.max(0) as usize);
            return Ok(Some(0));
        }
        given((size >= 0).then_some(()), "size is negative").during(Phase::Reading)?;
        let out = given(out, "buf is NULL").during(Phase::Reading)?;
        let count = read(&handle, out, failure, errno);
        handle.note(Fact::KeepsDescriptor, false);
        handle.update_readiness();
        count
    };
    let mut fails_again = false;
    let count = boundary(Kind::Session, None, |errno| {
        call(errno).inspect_err(|failure| fails_again = failure.is_again())
    });
    count.map_or_else(
        || {
            errno::set(if fails_again { libc::EAGAIN } else { libc::EINVAL });
            -1
        },
        |count| count as c_int,
    )
}

/// Releases a connection that was kept for a reader that has not seen the end, unless this call continues the same block.
fn stay_at_the_end(handle: &Handle, buffer: *const c_char, size: usize) {
    let block = handle.core().block.next(buffer, size);
    if handle.has(Fact::HungUp) && !block.goes_on {
        handle.note(Fact::KeepsDescriptor, false);
        close::close_quietly(handle);
    }
}

/// Reads into `out`; `None` if the stream failed before this call. `failure` is a failure that is already known. `errno` has
/// the reason why nothing was read.
fn read(
    handle: &Handle,
    out: &mut [MaybeUninit<u8>],
    mut failure: Option<fast_read::Failure>,
    errno: &mut Errno,
) -> Result<Option<usize>, Failure> {
    handle.note_reading();
    let (start, size) = (out.as_ptr().cast(), out.len());
    let mut block = Block::default();
    let mut call = Call::new(out);
    let mut next = step(handle, |core, state| {
        block = core.block.next(start, size);
        let next = core.stream.begin(&mut call, state);
        offer(core, &mut call, state, next)
    });
    handle.note(
        Fact::KeepsDescriptor,
        !handle.never_waits() && handle.has(Fact::Opened) && block.is_unfinished(call.written() > 0),
    );
    let placement = Placement(handle);
    let mut why = None;
    let mut reading = Reading::new(handle);
    let (mut search, mut searching) = (None, false);
    let polls = handle.has(Fact::Watched) && handle.has(Fact::Carried);
    let _limited = polls.then(|| Limited::begin(handle));
    loop {
        match next {
            Step::Done(count) => {
                if let (0, Some(error)) = (count, why) {
                    errno.set_from(&error);
                }
                handle.note_found();
                return Ok(Some(count));
            }
            Step::Failed => return Ok(None),
            Step::NeedMessage => {}
        }
        if call.written() > 0 {
            // The end may be there by now: a call that returns bytes reports it, too.
            handle.progress_if_any(|progress| progress.drained = false);
        }
        let arrived = match failure.take() {
            None => reading.next_media(),
            Some(failure) => Err(failure.handle(handle)),
        };
        placement.end();
        next = match arrived {
            Ok((Outcome::Media, mut message)) => {
                let live = field!(handle.rtmp(), Link.lFlags).get() & RTMP_LF_LIVE != 0;
                step(handle, |core, state| {
                    let Message { kind, timestamp, ref mut body, .. } = message;
                    if state.is_searching()
                        && search.get_or_insert_with(|| Search::begin(handle)).takes_too_long(timestamp)
                    {
                        Failure::new(Error::TimedOut, Phase::Reading).keep();
                        return core.stream.end(&mut call, state, Ending::Error);
                    }
                    if body.is_borrowed() {
                        let len = body.as_ref().len();
                        let placed =
                            core.stream.message_in_place(&mut call, state, kind, timestamp, len, live);
                        if let Some(next) = placed {
                            return next;
                        }
                    }
                    if body.keep().is_err() {
                        Failure::new(Error::OutOfMemory, Phase::Reading).keep();
                        why = Some(Error::OutOfMemory);
                        return core.stream.out_of_memory(&mut call, state);
                    }
                    let next = core.stream.message(&mut call, state, kind, timestamp, body, live);
                    searching = state.is_searching();
                    core.session.decoder().reuse(mem::take(body));
                    let failed = Ending::from_status(state.status) == Some(Ending::Error);
                    if failed && core.stream.ran_out_of_memory() {
                        Failure::new(Error::OutOfMemory, Phase::Reading).keep();
                        why = Some(Error::OutOfMemory);
                    } else if failed {
                        reason::keep_as(Code::Resume, Phase::Reading, NOT_FOUND);
                    }
                    offer(core, &mut call, state, next)
                })
            }
            Ok((_, last)) => {
                keep_ending(&last);
                if searching {
                    reason::keep_as(Code::Resume, Phase::Reading, NOT_FOUND);
                }
                let ending = if searching { Ending::Error } else { Ending::Complete };
                step(handle, |core, state| core.stream.end(&mut call, state, ending))
            }
            Err(Error::Again) => {
                let count = step(handle, |core, _| core.stream.suspend(call));
                if count > 0 {
                    handle.note_found();
                    return Ok(Some(count));
                }
                return Err(handle.failure(Error::Again, Phase::Reading));
            }
            Err(error) => {
                let failure = handle.failure(error, Phase::Reading);
                failure.keep();
                let (error, _) = failure.into_parts();
                // curl would treat 0 as the end of the stream.
                let failed = polls && matches!(error, Error::TimedOut);
                let ending = if failed { Ending::Error } else { Ending::Eof };
                let next = step(handle, |core, state| match error {
                    Error::TimedOut => core.stream.time_out(&mut call, state, ending),
                    _ => core.stream.end(&mut call, state, ending),
                });
                why = Some(error);
                if failed && next == Step::Done(0) { Step::Failed } else { next }
            }
        };
    }
}

/// Offers the caller's memory for the body of the next message, where the tag's body belongs.
fn offer(core: &mut Core, call: &mut Call<'_, MaybeUninit<u8>>, state: &ReadState<'_>, next: Step) -> Step {
    if next != Step::NeedMessage {
        return next;
    }
    if let Some(room) = core.stream.body_room(call, state) {
        // SAFETY: the memory belongs to the caller for the length of the call. `Placement` withdraws the offer before its end,
        // and the memory has no other use while the offer stands.
        core.session.decoder().offer(unsafe { Body::borrowed(room) });
    }
    next
}

/// The time in which a message may be received directly into the caller's memory; a panic ends it as well.
struct Placement<'h>(&'h Handle);

impl Placement<'_> {
    /// Withdraws the caller's memory: no later message uses it. The received part of a message is moved.
    fn end(&self) {
        let result = self.0.core().session.decoder().withdraw();
        if result.is_err() {
            self.0.give_up();
        }
    }
}

impl Drop for Placement<'_> {
    fn drop(&mut self) {
        // Otherwise it ended when the message was processed.
        if std::thread::panicking() {
            self.end();
        }
    }
}

const NOT_FOUND: &str = "the stream does not go on where the file ends";

/// The limit of the time in which a call skips media before the position to resume at: the time of one wait, plus the playing
/// time of the skipped media. So a server may start from the beginning at the pace of the stream, but not more slowly.
struct Search {
    began: Instant,
    timeout: Option<Duration>,
}

impl Search {
    fn begin(handle: &Handle) -> Self {
        Self { began: Instant::now(), timeout: handle.timeout() }
    }

    /// Whether the limit has passed if the stream is at this timestamp, in milliseconds.
    fn takes_too_long(&self, timestamp: u32) -> bool {
        let played = Duration::from_millis(timestamp.into());
        self.timeout.is_some_and(|timeout| self.began.elapsed() > timeout + played)
    }
}

/// The time of one wait, for all waits of a call.
///
/// A program that watches the socket of a tunnel calls because of replies that may be empty. It has its own limits, and cannot
/// check them while it is in a call. So nothing but media from the server extends this time.
struct Limited<'h>(&'h Handle);

impl<'h> Limited<'h> {
    fn begin(handle: &'h Handle) -> Self {
        handle.begin_phase();
        Self(handle)
    }
}

impl Drop for Limited<'_> {
    fn drop(&mut self) {
        self.0.end_phase();
    }
}

/// Keeps the server's last status.
fn keep_ending(last: &Message<Body>) {
    ::log::debug!("Got Play.Complete or Play.Stop from server. Assuming stream is complete");
    match session::status_words(last.kind, last.body.as_ref()) {
        Some(status) if !status.code.is_empty() => {
            reason::keep_as(
                Code::Ended,
                Phase::Reading,
                format_args!("the stream has ended, {}", status.code),
            );
        }
        _ => reason::keep_as(Code::Ended, Phase::Reading, "the stream has ended"),
    }
}

/// Runs a part of a read with the values of `m_read`, and stores the new values there.
fn step<R>(handle: &Handle, step: impl FnOnce(&mut Core, &mut ReadState<'_>) -> R) -> R {
    let _deferred = Deferred::begin();
    let mut core = handle.core();
    let result = with_read_state(handle.rtmp(), |state| step(&mut core, state));
    if let Some(spent) = core.stream.take_spent() {
        core.session.decoder().reuse(spent);
    }
    let fields = field!(handle.rtmp(), m_read);
    let pending = core.stream.pending();
    let start = if pending.is_empty() { ptr::null_mut() } else { pending.as_ptr().cast_mut().cast() };
    field!(fields, buf).set(start);
    field!(fields, bufpos).set(start);
    field!(fields, buflen).set(pending.len() as u32);
    result
}

/// Publishes `size` bytes of an FLV file. The file may be cut anywhere: the library keeps the start of an incomplete
/// tag for the next call.
///
/// Returns `size`, or -1 if the stream cannot continue.
///
/// Fails with `RTMP_ERR_FLV` if the bytes are not FLV, `RTMP_ERR_NOT_CONNECTED` without a connection,
/// `RTMP_ERR_TIMEDOUT` if the server accepts nothing for `Link.timeout`, and `RTMP_ERR_CLOSED` or `RTMP_ERR_IO` if the
/// connection was lost. What is passed before `RTMP_ConnectStream` is sent without a stream, and servers ignore it.
///
/// After a tag without its four trailing bytes, or with a part of them, a call may also start with the next tag.
/// Metadata (`onMetaData`) is sent with `@setDataFrame` in front, so that the server keeps it for later players. Other
/// tags are sent as they are.
///
/// Between calls `m_write` holds the incomplete tag. A caller that frees it with `RTMPPacket_Free` discards that tag,
/// and the next call starts with a new one.
///
/// # Safety
/// `r` is null or points to an initialised `RTMP`; `buf` is null or readable for `size` bytes.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn RTMP_Write(r: Option<Rtmp<'_>>, buf: *const c_char, size: c_int) -> c_int {
    // SAFETY: `buf` is null or readable for `size` bytes, by the Safety section.
    let input = unsafe { bytes(buf, size, "buf") }.ok();
    let used = attempt_once(-1, || fast_write::write(r?, input?, -1));
    let used = used.unwrap_or_else(|| write_in_general(r, input));
    cancel::act();
    used
}

/// The general path.
#[inline(never)]
fn write_in_general(r: Option<Rtmp<'_>>, input: Option<&[u8]>) -> c_int {
    boundary(Kind::Session, -1, |_| {
        let input = reason::argument(r, given(input, "buf"))?;
        let handle = connected(r, |r| log_unsent_tag(r, input))?;
        handle.reserve_queue(input.len()).during(Phase::SENDING)?;
        let rtmp = handle.rtmp();
        let stream_id = field!(rtmp, m_stream_id).get();
        let mut writer = {
            let mut core = handle.core();
            let mut writer = core.writer.take().unwrap_or_default();
            if let Some(body) = take_unfinished(&mut core, rtmp) {
                writer.put_body(body);
            }
            writer
        };
        let mut format = None;
        let mut phase = Phase::Flv;
        let mut batch = handle.batch();
        let mut first_chunk = 0;
        let result = flv::write(&mut writer, input, &mut |message| {
            let message = outgoing(PUBLISHING, stream_id as u32, &message);
            first_chunk = first_chunk_len(&handle, &message);
            let sent = send_in_batch(&handle, &mut batch, &message);
            format = Some(sent.inspect_err(|_| phase = Phase::SENDING)?);
            Ok(())
        });
        // Also before bytes that are not FLV.
        let result = match (result, batch.end()) {
            (Ok(_), Err(error)) => {
                phase = Phase::SENDING;
                Err(report(&handle, error, first_chunk))
            }
            (Err(error), Err(_)) => {
                handle.give_up();
                Err(error)
            }
            (result, Ok(())) => result,
        };
        let mut core = handle.core();
        // Another thread, or an error, may have closed the connection and discarded all of this.
        if handle.is_current() {
            mirror_writer(field!(rtmp, m_write), &writer, stream_id, format);
            show_unfinished(&mut core, rtmp, &mut writer);
            core.writer = Some(writer);
        }
        drop(core);
        result.map(|used| used as c_int).during(phase)
    })
}

/// Logs the first message in `input`, which cannot be sent, and returns the length that its first chunk would have.
fn log_unsent_tag(r: Rtmp<'_>, input: &[u8]) -> usize {
    let mut first_chunk = 0;
    // Nothing is kept, because the session may have no state.
    let _ = flv::write(&mut flv::Writer::<Body>::default(), input, &mut |message| {
        first_chunk = log_unsent(r, &outgoing(PUBLISHING, field!(r, m_stream_id).get() as u32, &message));
        Err(Error::NotConnected)
    });
    first_chunk
}
