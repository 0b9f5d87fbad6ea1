//! Ending a connection: what goes, what stays, and who frees it.

use std::{
    io::IoSlice,
    mem, ptr,
    time::{Duration, Instant},
};

use libc::c_int;
use rtmp_core::{error::Result, flv::Flags, net::Received, transport::deadline::Deadline};
use rustix::fd::AsFd;

use super::{
    RTMP, RTMP_FEATURE_WRITE, RTMP_LF_FAPU, RTMP_LF_FTCU, origin::Origin, outgoing::take_unfinished, sockbuf,
};
use crate::{
    amf::AVal,
    boundary::{Kind, boundary},
    calls::CallArray,
    log::Deferred,
    memory::{self, release},
    progress::Leaving,
    shared,
    state::{self, Core, Handle},
    tcp_info,
};

/// Whether the peer is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Manner {
    /// The stream is ended first.
    Polite,
    /// Nothing can be sent any more.
    Abrupt,
}

/// Closes the connection and resets the fields that belong to it. Options stay, for the next connection. Does nothing if
/// another call has closed it meanwhile.
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
    let kept = hang_up(handle, &mut core, reset, handle.keeps_descriptor());
    handle.mark_closed();
    if let Some(socket) = kept {
        core.forget_connection();
        handle.mark_hung_up();
        // SAFETY: the handle stands for an `RTMP` that stays valid while it exists (`Handle::from_raw`).
        unsafe { shared::write(&raw mut (*handle.raw()).m_sb.sb_socket, socket) };
    }
}

/// As [`close`], of a session that does not wait: the goodbye is left to steps.
fn close_now(handle: &Handle, manner: Manner) {
    if handle.is_open() && manner == Manner::Polite {
        handle.step(|session, wishes| session.close(wishes));
    }
    let carrier = handle.carrier();
    // SAFETY: the handle stands for an `RTMP` that stays valid while it exists (`Handle::from_raw`).
    let publishes = unsafe { (*handle.raw()).Link.protocol } & RTMP_FEATURE_WRITE != 0;
    {
        let _deferred = Deferred::begin();
        let mut core = handle.core();
        if !handle.is_current() {
            return;
        }
        let queue = core.session.take_unsent(true);
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
            // A connection that was given up is cut here.
            if let (Some(carrier), Manner::Polite) = (carrier, manner) {
                progress.leaving.push(Leaving { carrier, pipe, queue, sent: 0, publishes, until });
            }
        });
    }
    step_leaving(handle);
}

/// Goes on with the goodbyes of a session that does not wait.
pub(crate) fn step_leaving(handle: &Handle) {
    let now = Instant::now();
    let mut leaving = handle.progress(|progress| mem::take(&mut progress.leaving));
    leaving.retain_mut(|leaving| !leaving.has_left(now));
    handle.progress(|progress| progress.leaving.append(&mut leaving));
}

impl Leaving {
    /// Does what can be done of a goodbye; true when it is over.
    fn has_left(&mut self, now: Instant) -> bool {
        let result = self.step(now);
        if let Err(error) = &result {
            ::log::debug!("the peer is gone before the goodbye: {error}");
        }
        now >= self.until || result.unwrap_or(true)
    }

    fn step(&mut self, now: Instant) -> Result<bool> {
        self.carrier.step(now)?;
        while self.sent < self.queue.len() {
            match self.carrier.send_now(&[IoSlice::new(&self.queue[self.sent..])])? {
                0 => {
                    // A peer that waits for us to read what it has to say does not read either.
                    let has_ended = matches!(self.carrier.receive_now(&mut [0; 4096])?, Received::End);
                    return Ok(has_ended);
                }
                count => self.sent += count,
            }
        }
        let mut link = self.carrier.lock();
        link.finish(now);
        // What was published last must not be lost.
        let is_read =
            || self.pipe.socket.as_ref().is_none_or(|socket| tcp_info::unsent(socket.as_fd()) == Some(0));
        if self.publishes && !is_read() {
            link.linger_on(now);
        }
        Ok(link.is_finished())
    }
}

/// Closes what is left of a connection that has ended; `m_read` goes on to say how.
pub(crate) fn close_quietly(handle: &Handle) {
    // SAFETY: the handle stands for an `RTMP` that stays valid while it exists (`Handle::from_raw`).
    let status = unsafe { shared::read(&raw const (*handle.raw()).m_read.status) };
    close(handle, Manner::Abrupt);
    // SAFETY: the handle stands for an `RTMP` that stays valid while it exists (`Handle::from_raw`).
    unsafe { shared::write(&raw mut (*handle.raw()).m_read.status, status) };
}

/// Closes the connection without a word and gets ready for the next one to the same server, under the same names.
pub(crate) fn close_to_reconnect(handle: &Handle) {
    let deferred = Deferred::begin();
    let mut core = handle.core();
    if handle.is_current() {
        hang_up(handle, &mut core, reset_connection, false);
    }
    drop((core, deferred));
    handle.close_retired();
}

/// Says that the stream ends. A player waits for nothing with that; for a publisher all of it may take as long as one
/// wait, because what was published last must not be lost with the server's acknowledgements, which were not read.
fn end_stream(handle: &Handle) {
    // SAFETY: the handle stands for an `RTMP` that stays valid while it exists (`Handle::from_raw`).
    let publish = unsafe { (*handle.raw()).Link.protocol } & RTMP_FEATURE_WRITE != 0;
    let longest = if publish { handle.timeout().unwrap_or(LONGEST_CLOSE) } else { Duration::ZERO };
    handle.set_limit(Deadline::after(Some(longest)));
    handle.step(|session, wishes| session.close(wishes));
    // For a player another thread that is sending is not worth a wait.
    let goodbye_sent = if publish { handle.flush() } else { handle.try_flush() };
    if let Err(error) = goodbye_sent {
        ::log::debug!("the peer is gone before the goodbye: {error}");
    }
    if let Some(carrier) = handle.carrier() {
        if let Err(error) = carrier.part(&handle.patience()) {
            ::log::debug!("the tunnel's server is gone before the goodbye: {error}");
        }
        handle.show_tunnel(&carrier);
    } else if publish {
        // SAFETY: the handle's `RTMP` stays valid while the handle exists (`Handle::from_raw`); another thread that
        // closes the connection leaves the socket to this call.
        unsafe { sockbuf::linger(&raw const (*handle.raw()).m_sb, &handle.patience()) }
    }
    handle.set_limit(Deadline::NEVER);
}

/// Takes the connection off the session and resets fields. Returns the descriptor, if it is to be kept and there is one: the
/// connection has ended then, too.
fn hang_up(handle: &Handle, core: &mut Core, reset: unsafe fn(*mut RTMP), keep: bool) -> Option<c_int> {
    handle.set_carrier(None);
    core.stream.clear();
    core.further.clear();
    if let Some(writer) = &mut core.writer {
        writer.reset();
    }
    // SAFETY: the handle stands for an `RTMP` that stays valid while it exists (`Handle::from_raw`).
    drop(unsafe { take_unfinished(core, handle.raw()) });
    let socket = handle.hang_up(keep);
    // SAFETY: the handle's `RTMP` stays valid while the handle exists (`Handle::from_raw`); `core` is locked, which
    // keeps the steps of other calls out.
    unsafe { reset(handle.raw()) }
    socket
}

/// How long closing may take when there is no time-out.
const LONGEST_CLOSE: Duration = Duration::from_secs(30);

/// Resets what belongs to the connection, and frees the strings that are the library's.
///
/// # Safety
/// `r` points to an initialised `RTMP`.
unsafe fn reset(r: *mut RTMP) {
    // SAFETY: `r` points to an initialised `RTMP`, by the Safety section; what is freed came from the C allocator: by
    // this library, or, where a flag says so, by the caller.
    unsafe {
        reset_connection(r);
        // A stream name that came from the URL must not be used after it is gone.
        if (*r).Link.playpath.av_val == (*r).Link.playpath0.av_val {
            (*r).Link.playpath = AVal::EMPTY;
        }
        memory::release_string(&raw mut (*r).Link.playpath0);
        if (*r).Link.lFlags & RTMP_LF_FTCU != 0 {
            memory::release_string(&raw mut (*r).Link.tcUrl);
        }
        if (*r).Link.lFlags & RTMP_LF_FAPU != 0 {
            memory::release_string(&raw mut (*r).Link.app);
        }
        // Read while another thread closes.
        let flags = (*r).Link.lFlags & !(RTMP_LF_FTCU | RTMP_LF_FAPU);
        shared::write(&raw mut (*r).Link.lFlags, flags);
    }
}

/// Resets what belongs to the connection, which has no socket any more.
///
/// # Safety
/// `r` points to an initialised `RTMP`.
unsafe fn reset_connection(r: *mut RTMP) {
    // SAFETY: `r` points to an initialised `RTMP`, by the Safety section; what is freed came from the C allocator.
    unsafe {
        // These are read while another thread closes.
        shared::write(&raw mut (*r).m_sb.sb_size, 0);
        shared::write(&raw mut (*r).m_stream_id, -1);
        shared::write(&raw mut (*r).m_nBWCheckCounter, 0);
        shared::write(&raw mut (*r).m_nBytesIn, 0);
        shared::write(&raw mut (*r).m_nBytesInSent, 0);
        shared::write(&raw mut (*r).m_bPlaying, 0);
        shared::write(&raw mut (*r).m_numInvokes, 0);
        (*r).m_msgCounter = 0;
        (*r).m_resplen = 0;
        (*r).m_unackd = 0;

        if (*r).m_read.flags & Flags::HEADER.0 != 0 {
            (*r).m_read.buf = ptr::null_mut();
        }
        shared::write(&raw mut (*r).m_read.dataType, 0);
        shared::write(&raw mut (*r).m_read.flags, 0);
        shared::write(&raw mut (*r).m_read.status, 0);
        shared::write(&raw mut (*r).m_read.nResumeTS, 0);
        (*r).m_read.nIgnoredFrameCounter = 0;
        (*r).m_read.nIgnoredFlvFrameCounter = 0;
        (*r).m_write.m_nBytesRead = 0;
        (*r).m_write.m_body = ptr::null_mut();

        (*r).Link.dh = ptr::null_mut();
        (*r).Link.rc4keyIn = ptr::null_mut();
        (*r).Link.rc4keyOut = ptr::null_mut();

        release((*r).m_channelTimestamp);
        (*r).m_channelTimestamp = ptr::null_mut();
        (*r).m_channelsAllocatedIn = 0;
        CallArray::new(r).clear();
        memory::release_string(&raw mut (*r).m_clientID);
    }
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
pub unsafe extern "C-unwind" fn RTMP_Close(r: *mut RTMP) {
    boundary(Kind::Waits, (), |_| {
        if r.is_null() {
            return Ok(());
        }
        // SAFETY: `r` is null or points to an initialised `RTMP`, by the Safety section.
        unsafe {
            match Handle::idle(r).or_else(|| Handle::existing(r)) {
                Some(handle) => {
                    handle.keep_descriptor(false);
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
        }
        Ok(())
    })
}
