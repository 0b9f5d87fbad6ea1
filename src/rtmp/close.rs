//! Ends a connection: what is reset, what stays, and who frees it.

use std::{
    io::IoSlice,
    mem, ptr,
    time::{Duration, Instant},
};

use libc::c_int;
use rtmp_core::{error::Result, flv::Flags, net::Received, transport::deadline::Deadline};
use rustix::fd::AsFd;

use super::{
    RTMP_FEATURE_WRITE,
    options::{APP, TC_URL, forget_stream_name},
    origin::Origin,
    outgoing::take_unfinished,
};
use crate::{
    boundary::{Kind, boundary},
    calls::CallArray,
    fields::release_text,
    log::Deferred,
    memory::release,
    progress::Leaving,
    state::{self, Core, Fact, Handle},
    tcp_info,
    valid::{Rtmp, field},
};

/// Whether the peer is informed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Manner {
    /// End the stream first.
    Polite,
    /// Nothing can be sent any more.
    Abrupt,
}

/// Closes the connection and resets the fields that belong to it. Options stay for the next connection. Does nothing if another
/// call has closed it meanwhile.
pub(crate) fn close(handle: &Handle, manner: Manner) {
    if handle.never_waits() {
        return close_now(handle, manner);
    }
    if handle.is_open() && manner == Manner::Polite {
        end_stream(handle);
    }
    let _deferred = Deferred::begin();
    let mut core = handle.core();
    if !handle.is_current() {
        return;
    }
    let kept = hang_up(handle, &mut core, reset, handle.has(Fact::KeepsDescriptor));
    handle.mark_closed();
    if let Some(socket) = kept {
        core.forget_connection();
        handle.mark_hung_up();
        field!(handle.sb(), sb_socket).set(socket);
    }
}

/// As [`close`], for a session that does not wait: later steps send the goodbye.
fn close_now(handle: &Handle, manner: Manner) {
    if handle.is_open() && manner == Manner::Polite {
        handle.step(|session, wishes| session.close(wishes));
    }
    let carrier = handle.carrier();
    if let (Some(_), Some(carrier)) = (handle.send_hook(), &carrier) {
        // The program's function is not called after `RTMP_Close` has returned, and it needs the session's socket.
        if manner == Manner::Polite {
            if let Err(error) = handle.flush_now() {
                ::log::debug!("the send callback did not accept our close message: {error}");
            }
        }
        carrier.lock().send_through(None);
    }
    let publishes = field!(handle.rtmp(), Link.protocol).get() & RTMP_FEATURE_WRITE != 0;
    {
        let _deferred = Deferred::begin();
        let mut core = handle.core();
        if !handle.is_current() {
            return;
        }
        let mut queue = Vec::new();
        core.session.take_unsent(true, &mut queue);
        let pipe = handle.take_pipe();
        hang_up(handle, &mut core, reset, false);
        handle.mark_closed();
        core.forget_connection();
        drop(core);
        handle.forget_connection();
        let longest = handle.timeout().unwrap_or(LONGEST_CLOSE);
        let until = Instant::now().checked_add(longest).unwrap_or_else(|| Instant::now() + LONGEST_CLOSE);
        handle.progress(|progress| {
            progress.forget_connection();
            progress.failed = manner == Manner::Abrupt;
            progress.closing = manner == Manner::Polite;
            // A connection that was given up is closed here.
            if let (Some(carrier), Manner::Polite) = (carrier, manner) {
                progress.leaving.push(Leaving { carrier, pipe, queue, sent: 0, publishes, until });
            }
        });
    }
    step_leaving(handle);
}

/// Continues the goodbyes of a session that does not wait.
pub(crate) fn step_leaving(handle: &Handle) {
    let mut leaving = handle.progress(|progress| mem::take(&mut progress.leaving));
    if leaving.is_empty() {
        return;
    }
    let now = Instant::now();
    leaving.retain_mut(|leaving| !leaving.has_left(now));
    handle.progress(|progress| progress.leaving.append(&mut leaving));
}

impl Leaving {
    /// Does as much of a goodbye as is possible without waiting; true when it has finished.
    fn has_left(&mut self, now: Instant) -> bool {
        let result = self.step(now);
        if let Err(error) = &result {
            ::log::debug!("the peer closed the connection before our close message: {error}");
        }
        now >= self.until || result.unwrap_or(true)
    }

    fn step(&mut self, now: Instant) -> Result<bool> {
        self.carrier.step(now)?;
        while self.sent < self.queue.len() {
            match self.carrier.send_now(&[IoSlice::new(&self.queue[self.sent..])])? {
                0 => {
                    // A peer that waits until we read its data does not read ours.
                    let has_ended = matches!(self.carrier.receive_now(&mut [0; 4096])?, Received::End);
                    return Ok(has_ended);
                }
                count => self.sent += count,
            }
        }
        let mut link = self.carrier.lock();
        link.finish(now);
        // The last published bytes must not be lost.
        let is_read =
            || self.pipe.socket.as_ref().is_none_or(|socket| tcp_info::unsent(socket.as_fd()) == Some(0));
        if self.publishes && !is_read() {
            link.linger_on(now);
        }
        Ok(link.is_finished())
    }
}

/// Closes the rest of a connection that has ended; `m_read` still reports how it ended.
pub(crate) fn close_quietly(handle: &Handle) {
    let status = field!(handle.rtmp(), m_read.status);
    let before = status.get();
    close(handle, Manner::Abrupt);
    status.set(before);
}

/// Closes the connection without a goodbye, and prepares the next one to the same server, with the same names.
pub(crate) fn close_to_reconnect(handle: &Handle) {
    let deferred = Deferred::begin();
    let mut core = handle.core();
    if handle.is_current() {
        hang_up(handle, &mut core, reset_connection, false);
    }
    drop((core, deferred));
    handle.close_retired();
}

/// Ends the stream. A player does not wait for the server. A publisher may wait for at most the timeout of one wait, because
/// closing a socket with unread acknowledgements would lose the last published bytes.
fn end_stream(handle: &Handle) {
    let publish = field!(handle.rtmp(), Link.protocol).get() & RTMP_FEATURE_WRITE != 0;
    let longest = if publish { handle.timeout().unwrap_or(LONGEST_CLOSE) } else { Duration::ZERO };
    handle.set_limit(Deadline::after(Some(longest)));
    handle.step(|session, wishes| session.close(wishes));
    // A player does not wait for another thread that is sending.
    let goodbye_sent = if publish { handle.flush() } else { handle.try_flush() };
    if let Err(error) = goodbye_sent {
        ::log::debug!("the peer closed the connection before our close message: {error}");
    }
    if let Some(carrier) = handle.carrier() {
        if let Err(error) = carrier.part(&handle.patience()) {
            ::log::debug!("the tunnel's server closed the connection before our close message: {error}");
        }
        handle.show_tunnel(&carrier);
    } else if publish {
        handle.sb().linger(&handle.patience());
    }
    handle.set_limit(Deadline::NEVER);
}

/// Detaches the connection from the session and resets fields. Returns the descriptor if the caller keeps it and there is one:
/// the connection has then ended, too.
fn hang_up(handle: &Handle, core: &mut Core, reset: fn(Rtmp<'_>), keep: bool) -> Option<c_int> {
    handle.put_carrier(core, None);
    core.stream.clear();
    core.further.clear();
    if let Some(writer) = &mut core.writer {
        writer.reset();
    }
    drop(take_unfinished(core, handle.rtmp()));
    let socket = handle.hang_up(core, keep);
    // The lock on the core excludes steps of other calls.
    reset(handle.rtmp());
    socket
}

/// The limit for closing without a timeout.
const LONGEST_CLOSE: Duration = Duration::from_secs(30);

/// Resets the connection's fields, and frees the strings that belong to the library.
fn reset(r: Rtmp<'_>) {
    reset_connection(r);
    let link = field!(r, Link);
    // Other calls do not use these strings: the core is locked, or there is none.
    forget_stream_name(link);
    TC_URL.release(link);
    APP.release(link);
}

/// Resets the connection's fields. There is no socket any more.
fn reset_connection(r: Rtmp<'_>) {
    field!(r, m_sb.sb_size).set(0);
    field!(r, m_stream_id).set(-1);
    field!(r, m_nBWCheckCounter).set(0);
    field!(r, m_nBytesIn).set(0);
    field!(r, m_nBytesInSent).set(0);
    field!(r, m_bPlaying).set(0);
    field!(r, m_numInvokes).set(0);
    field!(r, m_msgCounter).set(0);
    field!(r, m_resplen).set(0);
    field!(r, m_unackd).set(0);

    let read = field!(r, m_read);
    if field!(read, flags).get() & Flags::HEADER.0 != 0 {
        field!(read, buf).set(ptr::null_mut());
    }
    field!(read, dataType).set(0);
    field!(read, flags).set(0);
    field!(read, status).set(0);
    field!(read, nResumeTS).set(0);
    field!(read, nIgnoredFrameCounter).set(0);
    field!(read, nIgnoredFlvFrameCounter).set(0);
    field!(r, m_write.m_nBytesRead).set(0);
    field!(r, m_write.m_body).set(ptr::null_mut());

    field!(r, Link.dh).set(ptr::null_mut());
    field!(r, Link.rc4keyIn).set(ptr::null_mut());
    field!(r, Link.rc4keyOut).set(ptr::null_mut());

    let timestamps = field!(r, m_channelTimestamp);
    // SAFETY: the array comes from the C allocator (`fields::mirror_timestamp`), and so does the name of the tunnel's session
    // (`Handle::show_tunnel`); other calls do not use them, as in `reset`.
    unsafe {
        release(timestamps.get());
        release_text(field!(r, m_clientID));
    }
    timestamps.set(ptr::null_mut());
    field!(r, m_channelsAllocatedIn).set(0);
    CallArray::new(r).clear();
}

/// Ends the stream, closes the connection and frees everything that belongs to it.
///
/// The values that the caller put into `Link` stay for the next connection, as long as their memory does. Exceptions
/// are the stream name and an escaped login from the URL, strings that `Link.lFlags` marks as the library's, the
/// options that have no field in `Link` (`tlsVerify` and all that follow it in the list), the functions that `loop.h` sets,
/// and a pending `RTMP_Abort`: these are reset.
///
/// A player does not wait here. A publisher waits until the server has received what was sent last: as long as the
/// server accepts bytes, one second after the last of them, or five after its last answer over HTTP, and never longer
/// than `Link.timeout` in total (30 seconds if that is 0).
///
/// The function may be called at any time and repeatedly, but not from a signal handler, and not while another thread
/// is inside a call with this session. `RTMP_Abort` ends such a call.
///
/// # Safety
/// `r` is null or points to an initialised `RTMP`.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn RTMP_Close(r: Option<Rtmp<'_>>) {
    boundary(Kind::Waits, (), |_| {
        let Some(r) = r else { return Ok(()) };
        match Handle::idle_on(Some(r)).ok().or_else(|| Handle::of(r)) {
            Some(handle) => {
                handle.note(Fact::KeepsDescriptor, false);
                handle.progress_if_any(|progress| progress.opening = None);
                close(&handle, Manner::Polite);
                handle.progress_if_any(|progress| progress.failed = false);
            }
            None => {
                state::take_pipe(r);
                reset(r);
            }
        }
        Origin::close(r);
        state::clear_abort(r);
        Ok(())
    })
}
