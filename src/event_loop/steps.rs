//! Sessions that never wait: the descriptors and deadlines that they report instead, and their steps.

use std::time::{Duration, Instant};

use libc::c_int;
use rtmp_core::{
    error::{Error, Result},
    net::{Interest, Wanted},
};
use rustix::fd::AsRawFd;

#[cfg(any(target_os = "linux", target_os = "android"))]
use super::descriptor::Descriptor;
use super::{
    RTMPEvent,
    bits::{CLOSED, CONNECTED, FAILED, FLUSHED, READABLE, STREAMING, WRITABLE},
    fast_step,
};
use crate::{
    FALSE, TRUE,
    boundary::{Kind, attempt, boundary},
    carrier::Carrier,
    progress::{Input, Stage},
    ptr::{given, room},
    reason::{self, Failure, Phase},
    rtmp::close::step_leaving,
    socket::{POLLIN, POLLOUT, pollfd, raw},
    state::{Fact, Handle},
    valid::{Rtmp, field},
};

/// Makes a session non-blocking if `on` is not 0: no call about `r` waits. 0 makes it blocking again, as after `RTMP_Init`.
///
/// Call it before `RTMP_Connect`, or before `RTMP_TLS_Accept` and `RTMP_Serve`, or after `RTMP_Close`. It fails while there is
/// a connection.
///
/// A call that would have to wait fails with `RTMP_ERR_AGAIN` and `errno` EAGAIN. `RTMP_Step` continues it, and says when to
/// call it again. `RTMP_Connect`, `RTMP_Connect0`, `RTMP_Connect1`, `RTMP_TLS_Accept`, `RTMP_Serve`, `RTMP_ConnectStream` and
/// `RTMP_ReconnectStream` start an operation, and report its result when they are called again. If a step has failed, that call
/// fails for the same reason and starts nothing. The call after it, or the first one after `RTMP_Close`, starts again.
/// `RTMP_Read` returns -1. `RTMP_ReadPacket` and `RTMP_GetNextMediaPacket` continue where they stopped. A call that reads ends
/// after some milliseconds although there is more to receive, so that other sessions have their turn.
///
/// `RTMP_SendPacket`, `RTMP_SendChunk` and `RTMP_Write` accept everything that they are given, or nothing. The session queues
/// what the network does not take. They fail with `RTMP_ERR_AGAIN` while the queue has 4 MiB or more, or the number of bytes in
/// the option `sendQueue`. `RTMP_Close` queues the close message, and `RTMP_Step` completes closing.
///
/// Two things still wait: `RTMP_SetupURL` and `RTMP_SetOpt` if they have to download an SWF file (`swfVfy`), and the program's
/// own callbacks. A helper thread looks up host names; numeric addresses need none. `RTMP_Connect` copies its packet. After `RTMP_Connect1`,
/// `RTMP_TLS_Accept` or `RTMP_Serve`, the socket belongs to the library: do not close it and do not read from it.
///
/// The session stays non-blocking after `RTMP_Close`. `RTMP_Free` and a call with 0 stop closing early. If the program does not
/// free its memory with `RTMP_Free`, it has to make a call with 0 first. Only one thread at a time may use the session.
///
/// Any thread may call `RTMP_Abort`. The socket then becomes ready. While the session connects, there may be no socket yet: the
/// thread that aborts also has to wake the thread that waits, through the program's own loop (a pipe, `eventfd`, `uv_async_send`).
/// `RTMP_GetPollTimeout` then returns 0, and `RTMP_Step` ends the operation.
///
/// Returns TRUE or FALSE.
///
/// # Safety
/// `r` is null or points to an initialised `RTMP`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn RTMP_SetNonBlocking(r: Option<Rtmp<'_>>, on: c_int) -> c_int {
    boundary(Kind::Session, FALSE, |_| {
        let handle = Handle::made_for(reason::use_session(r)?)?;
        let on = on != 0;
        if handle.never_waits() == on {
            return Ok(TRUE);
        }
        let has_received = field!(handle.rtmp(), m_nBytesIn).get() != 0;
        let has_begun = handle.has(Fact::Dialled)
            || handle.has(Fact::Opened)
            || handle.has(Fact::Carried)
            || has_received;
        let is_opening = handle.never_waits() && handle.progress(|progress| progress.opening.is_some());
        if (handle.is_open() && has_begun) || is_opening {
            return Err(Error::Invalid("RTMP_SetNonBlocking, there is a connection").into());
        }
        handle.set_never_waits(on);
        Ok(TRUE)
    })
}

/// Writes the descriptors that a session waits for to `fds`, at most `size` of them.
///
/// Wait until one of them is ready or `RTMP_GetPollTimeout` has passed, then call `RTMP_Step`. A descriptor that is ready stays
/// ready: a loop with edge-triggered events has to call `RTMP_Step` again when the peer has closed (`EPOLLRDHUP`), until a call
/// that reads fails with another code than `RTMP_ERR_AGAIN`. Every call about `r` can change
/// the set: it may have several descriptors while a host is looked up, addresses are tried in parallel, or an old connection
/// closes. It is empty while the session waits for time only, and for a blocking session. `fds` belongs to the program.
/// `revents` is set to 0 and never read.
///
/// Returns the number of descriptors, which can be larger than `size`; -1 if `r` is NULL, or `fds` is NULL and `size` is more
/// than 0.
///
/// # Safety
/// `r` is null or points to an initialised `RTMP`; `fds` is null or writable for `size` entries.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn RTMP_GetPollFds(r: Option<Rtmp<'_>>, fds: *mut pollfd, size: c_int) -> c_int {
    // SAFETY: `fds` is null or writable for `size` entries, by the Safety section.
    let mut room = unsafe { room(fds, size.max(0) as usize) };
    if let Some(room) = &mut room {
        if let Some((socket, waits)) = attempt(|| fast_step::waits_for_input(r?)) {
            if let (true, Some(first)) = (waits, room.first_mut()) {
                first.write(pollfd { fd: raw(socket), events: POLLIN, revents: 0 });
            }
            return waits.into();
        }
    }
    boundary(Kind::Session, -1, |_| {
        let handle = never_waiting(r)?;
        let room = given(room, "fds is NULL")?;
        let interests = handle.map_or_else(Vec::new, |handle| interests(&handle));
        for (place, interest) in room.iter_mut().zip(&interests) {
            place.write(entry(interest));
        }
        Ok(interests.len() as c_int)
    })
}

/// Returns the number of milliseconds after which `RTMP_Step` has to be called even if no descriptor is ready.
///
/// It has the form that `poll` takes: rounded up, 0 for now, -1 for never. Every call about `r` can change it.
///
/// # Safety
/// `r` is null or points to an initialised `RTMP`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn RTMP_GetPollTimeout(r: Option<Rtmp<'_>>) -> c_int {
    fn rounded(left: Option<Duration>) -> c_int {
        left.map_or(-1, |left| {
            let milliseconds = left.as_nanos().div_ceil(1_000_000);
            c_int::try_from(milliseconds).unwrap_or(c_int::MAX)
        })
    }

    if let Some(left) = attempt(|| fast_step::left(r?)) {
        return rounded(left);
    }
    boundary(Kind::Session, -1, |_| Ok(never_waiting(r)?.map_or(-1, |handle| rounded(left(&handle)))))
}

/// Returns one descriptor that is readable whenever `RTMP_Step` has to be called, or -1.
///
/// It stands for everything that `RTMP_GetPollFds` and `RTMP_GetPollTimeout` return. A loop adds it once, and calls `RTMP_Step`
/// whenever it is readable. It belongs to the library, which closes it in `RTMP_Free` and in `RTMP_SetNonBlocking` with 0. It
/// costs two more descriptors for each session, and some system calls for each step.
///
/// It is -1 on systems other than Linux, for a blocking session, and if no descriptor is left.
///
/// # Safety
/// `r` is null or points to an initialised `RTMP`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn RTMP_GetPollFd(r: Option<Rtmp<'_>>) -> c_int {
    boundary(Kind::Session, -1, |_| {
        let handle = given(never_waiting(r)?, "RTMP_GetPollFd, the session may wait")?;
        Ok(descriptor(&handle)?)
    })
}

#[cfg(any(target_os = "linux", target_os = "android"))]
fn descriptor(handle: &Handle) -> Result<c_int> {
    fn follow(r: Rtmp<'_>) {
        let Some(handle) = Handle::of(r).filter(Handle::never_waits) else { return };
        let Some(mut descriptor) = handle.progress(|progress| progress.descriptor.take()) else { return };
        descriptor.watch(&interests(&handle), left(&handle));
        handle.progress(|progress| progress.descriptor = Some(descriptor));
    }

    let number =
        handle.progress(|progress| progress.descriptor.as_ref().map(|descriptor| descriptor.number()));
    if let Some(number) = number {
        return Ok(number);
    }
    let descriptor = Descriptor::new()?;
    let number = descriptor.number();
    handle.progress(|progress| progress.descriptor = Some(Box::new(descriptor)));
    reason::follow_calls_with(follow);
    Ok(number)
}

#[cfg(not(any(target_os = "linux", target_os = "android")))]
fn descriptor(_: &Handle) -> Result<c_int> {
    Err(Error::Unsupported("one descriptor for a session"))
}

/// Does what a non-blocking session can do now, and returns its state as `RTMP_STEP_*` bits.
///
/// Repeat the call that failed with `RTMP_ERR_AGAIN` when the bits say so. After `RTMP_STEP_READABLE`, read until the call
/// fails with `RTMP_ERR_AGAIN`: until then, the socket is not among the descriptors to wait for. After `RTMP_STEP_FAILED`,
/// `RTMP_GetLastError` returns the reason.
///
/// Received bytes are processed when the program reads. That is also when pings and other requests of the server are answered,
/// so a publisher has to read from time to time.
///
/// # Safety
/// `r` is null or points to an initialised `RTMP`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn RTMP_Step(r: Option<Rtmp<'_>>) -> c_int {
    if let Some(bits) = attempt(|| fast_step::step(r?)) {
        return bits;
    }
    boundary(Kind::Session, FAILED, |_| Ok(never_waiting(r)?.map_or(CLOSED, |handle| step(&handle))))
}

/// The session of an exported function, if its calls never wait.
fn never_waiting(r: Option<Rtmp<'_>>) -> Result<Option<Handle>> {
    Ok(Handle::of(reason::use_session(r)?).filter(Handle::never_waits))
}

/// As [`RTMP_Step`].
fn step(handle: &Handle) -> c_int {
    // A socket may have become ready.
    handle.progress(|progress| progress.drained = false);
    step_leaving(handle);
    match handle.go_on() {
        Err(_) => return 0,
        Ok(false) if handle.is_open() => step_connection(handle),
        Ok(_) => {}
    }
    bits(handle)
}

/// Stores the reason why a step has failed.
fn tell(failure: &Failure) {
    failure.log();
    failure.keep();
}

/// Sends, receives and waits for the stream, as far as is possible without waiting.
fn step_connection(handle: &Handle) {
    let Some(carrier) = handle.carrier() else { return };
    let now = Instant::now();
    if let Err(error) = carrier.step(now).and_then(|()| handle.flush_now()) {
        let is_direct = carrier.lock().tunnel_status().is_none();
        if !is_direct || !error.is_end_of_connection() {
            return fail(handle, error);
        }
        // Bytes that the peer sent before can still be read.
        handle.progress(|progress| progress.send_error = Some(Box::new(error)));
    }
    if let Err(error) = check_sending(handle, now) {
        return fail(handle, error);
    }
    if handle.progress(|progress| progress.starting.is_some()) {
        match handle.connect_stream() {
            Ok(()) | Err(Error::Again) => {}
            Err(error) => {
                let failure = handle.failure(error.reported(), Phase::Call);
                tell(&failure);
                let error = handle.is_open().then(|| Box::new(failure.into_parts().0));
                handle.progress(|progress| (progress.failed, progress.starting_failure) = (true, error));
            }
        }
        return;
    }
    step_input(handle, &carrier, now);
}

/// Handles a send error.
fn fail(handle: &Handle, error: Error) {
    let first_chunk = handle.core().session.first_chunk_len();
    let error = handle.fail_sending(error, first_chunk).reported();
    tell(&handle.failure(error, Phase::SENDING));
    handle.progress(|progress| progress.failed = true);
}

/// Fails when the peer has accepted nothing for too long, and before that reports each second of the wait.
fn check_sending(handle: &Handle, now: Instant) -> Result<()> {
    handle.watch_backlog(now);
    let timeout = handle.timeout();
    let report = handle.progress(|progress| match progress.stall_ends(timeout) {
        Some(end) if end <= now => Err(Error::TimedOut),
        _ => Ok(progress.backlog.take_report(now)),
    })?;
    report.map_or(Ok(()), |stalled| handle.raise(&RTMPEvent::stall(stalled)))
}

/// Finds out whether a call that reads would return something.
fn step_input(handle: &Handle, carrier: &Carrier, now: Instant) {
    let input = handle.progress(|progress| progress.input);
    if input == Input::Some {
        return;
    }
    let has_unread = handle.inbox().extent().1 > 0;
    if input == Input::Maybe && (has_unread || !handle.core().stream.pending().is_empty()) {
        handle.progress(|progress| progress.input = Input::Some);
        return;
    }
    let received = handle.receive_ahead(carrier);
    let is_aborted = handle.check().is_err();
    let timeout = handle.timeout();
    handle.progress(|progress| {
        if let Err(error) = received {
            progress.receive_error = Some(Box::new(if is_aborted { Error::Interrupted } else { error }));
            progress.input = Input::Some;
        } else if is_aborted || progress.silence_ends(timeout).is_some_and(|end| end <= now) {
            progress.input = Input::Some;
        } else if progress.input == Input::Maybe {
            progress.input = Input::None;
        }
    });
}

/// The current bits of the session.
fn bits(handle: &Handle) -> c_int {
    let (is_opening, is_starting, failed, is_leaving) = handle.progress(|progress| {
        (progress.is_opening(), progress.starting.is_some(), progress.failed, !progress.leaving.is_empty())
    });
    let mut bits = if failed { FAILED } else { 0 };
    if is_opening {
        return bits;
    }
    if !handle.is_open() {
        if is_leaving {
            return bits;
        }
        handle.progress(|progress| progress.closing = false);
        return bits | CLOSED;
    }
    bits |= CONNECTED;
    if is_starting || !handle.has(Fact::Carried) {
        return bits;
    }
    if field!(handle.rtmp(), m_bPlaying).get() != 0 {
        bits |= STREAMING;
    }
    let has_input = handle.progress(|progress| {
        progress.told = progress.input == Input::Some;
        progress.told
    });
    if has_input {
        bits |= READABLE;
    }
    match handle.unsent() {
        0 => bits | WRITABLE | FLUSHED,
        unsent if unsent < handle.queue_limit() => bits | WRITABLE,
        _ => bits,
    }
}

/// The sockets that a session waits for.
pub(super) fn interests(handle: &Handle) -> Vec<Interest> {
    // Most sessions wait for one.
    let mut interests = Vec::with_capacity(1);
    let (has_queued, wants_input) = {
        let core = handle.core();
        (!core.session.unsent().is_empty(), core.session.wants_input())
    };
    let mut wants_read = true;
    // As in `left`, links are looked at when the core is not locked any more.
    let (mut carrier, mut others) = (handle.carrier(), Vec::new());
    handle.progress(|progress| {
        others.extend(progress.leaving.iter().map(|leaving| (leaving.carrier.clone(), ALL)));
        if let Some(opening) = progress.opening.as_ref().filter(|_| progress.is_opening()) {
            match &opening.stage {
                Stage::Reaching(link) => link.interests(Wanted::default(), &mut interests),
                Stage::Securing(carrier) | Stage::Admitting(carrier) => {
                    others.push((carrier.clone(), Wanted::default()));
                }
                _ => return,
            }
            carrier = None;
        } else {
            wants_read = progress.starting.is_some() || progress.input != Input::Some;
        }
    });
    for (other, wanted) in others {
        other.lock().interests(wanted, &mut interests);
    }
    if let Some(carrier) = carrier {
        let wanted = Wanted { read: wants_read && wants_input, write: has_queued };
        carrier.lock().interests(wanted, &mut interests);
    }
    interests
}

/// The time until a step has something to do although no socket is ready.
pub(super) fn left(handle: &Handle) -> Option<Duration> {
    let (now, timeout) = (Instant::now(), handle.timeout());
    let (wants_events, is_aborted) = (handle.wants_events(), handle.is_aborted());
    // Links are looked at when the core is not locked: one may be in a function of the program.
    let carried = if handle.has(Fact::Bare) {
        Some((None, 0))
    } else {
        handle.carrier().map(|carrier| {
            let link = carrier.lock();
            (link.deadline(), link.unsent())
        })
    };
    let unsent = carried.map_or(0, |(_, unsent)| unsent);
    let (queued_until, waiting, has_made) = {
        let core = handle.core();
        let session = &core.session;
        (session.queued_until(), (session.queued() + unsent) as u64, !core.stream.pending().is_empty())
    };
    let has_unread = has_made || handle.inbox().extent().1 > 0;
    let (mut soonest, mut others) = (Soonest::default(), Vec::new());
    handle.progress(|progress| {
        // A call that sends may have filled the queue since the last step.
        progress.backlog.watch(queued_until.wrapping_sub(waiting), waiting > 0, now);
        progress.note_drained(has_unread, now);
        soonest.at(progress.toggled);
        // A step finishes what has begun; before there is a connection, no socket signals it.
        let has_begun = progress.is_opening() || progress.starting.is_some();
        if is_aborted && has_begun && !progress.failed {
            soonest.at(Some(now));
        }
        // The peer may have been so fast that `RTMP_Close` has finished: then no socket signals it.
        if progress.closing && progress.leaving.is_empty() {
            soonest.at(Some(now));
        }
        for leaving in &progress.leaving {
            others.push(leaving.carrier.clone());
            soonest.at(Some(leaving.until));
        }
        let opening = progress.opening.as_ref().filter(|_| progress.is_opening());
        match opening.map(|opening| &opening.stage) {
            Some(Stage::Reaching(link)) => soonest.at(link.deadline()),
            Some(Stage::Securing(carrier) | Stage::Admitting(carrier)) => others.push(carrier.clone()),
            Some(_) => soonest.at(opening.and_then(|opening| opening.limit.moment())),
            None => {}
        }
        if let Some((deadline, _)) = carried {
            soonest.at(deadline);
            soonest.at(progress.stall_ends(timeout));
            soonest.at(progress.backlog.report_due().filter(|_| wants_events));
            let is_reading = opening.is_none() && progress.starting.is_none();
            soonest.at(match progress.input {
                Input::None => progress.silence_ends(timeout),
                // To find out, or to be informed.
                Input::Maybe if is_reading || opening.is_some() => Some(now),
                Input::Some if is_reading && !progress.told => Some(now),
                _ => None,
            });
            soonest.at(progress.starting.and_then(|limit| limit.moment()));
        }
    });
    for other in others {
        soonest.at(other.lock().deadline());
    }
    Some(soonest.0?.saturating_duration_since(now))
}

/// The earliest of several moments.
#[derive(Default)]
struct Soonest(Option<Instant>);

impl Soonest {
    /// A moment that may never come.
    fn at(&mut self, moment: Option<Instant>) {
        if let Some(moment) = moment {
            self.0 = Some(self.0.map_or(moment, |soonest| soonest.min(moment)));
        }
    }
}

/// Both directions, for connections that are ending.
const ALL: Wanted = Wanted { read: true, write: true };

/// An interest as C has it.
fn entry(interest: &Interest) -> pollfd {
    let mut events = 0;
    if interest.read {
        events |= POLLIN;
    }
    if interest.write {
        events |= POLLOUT;
    }
    pollfd { fd: interest.socket.as_raw_fd(), events, revents: 0 }
}
