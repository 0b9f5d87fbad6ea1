//! Ending a connection: what goes, what stays, and who frees it.

use std::ptr;

use libc::c_int;

use super::{
    RTMP, RTMP_FEATURE_WRITE, RTMP_LF_FAPU, RTMP_LF_FTCU,
    sockbuf::{self, RTMPSockBuf_Close},
};
use crate::{
    capi::{
        amf::AVal,
        boundary,
        calls::CallArray,
        line::Line,
        memory::{self, release},
        state::{self, Handle, Settings},
    },
    driver::{self, Connection},
    flv::Flags,
};

/// Whether the peer is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Manner {
    /// The stream is ended first.
    Polite,
    /// Nothing can be sent any more.
    Abrupt,
}

/// Closes the connection and resets the fields that belong to it. Options stay, for the next connection.
pub(crate) fn close(handle: &Handle, manner: Manner) {
    if handle.is_open() && manner == Manner::Polite {
        driver::close_politely(handle);
        if let Some(tunnel) = handle.tunnel() {
            tunnel.close(&Line(handle));
        }
        // SAFETY: the handle's contract.
        unsafe {
            if (*handle.raw()).Link.protocol & RTMP_FEATURE_WRITE != 0 && handle.is_open() {
                // What was published last must not be lost because the server's acknowledgements were not read.
                sockbuf::linger(&raw const (*handle.raw()).m_sb);
            }
        }
    }
    handle.set_tunnel(None);
    {
        let mut core = handle.core();
        core.stream.clear();
        core.writer.reset();
    }
    let settings = handle.settings();
    let socket = handle.keeps_descriptor().then(|| hang_up(handle)).flatten();
    // SAFETY: the handle's contract.
    unsafe { reset(handle.raw()) }
    if settings != Settings::default() || socket.is_some() {
        // SAFETY: the handle's contract.
        let next = unsafe { Handle::from_raw(handle.raw()) };
        if let Ok(next) = next {
            next.change_settings(|stored| *stored = settings);
            if let Some(socket) = socket {
                next.core().block = handle.core().block;
                // SAFETY: the handle's contract.
                unsafe { (*next.raw()).m_sb.sb_socket = socket };
                next.mark_hung_up();
            }
        }
    }
}

/// Closes what is left of a connection that has ended; `m_read` goes on to say how.
pub(crate) fn close_quietly(handle: &Handle) {
    // SAFETY: the handle's contract.
    let status = unsafe { (*handle.raw()).m_read.status };
    close(handle, Manner::Abrupt);
    // SAFETY: the handle's contract.
    unsafe { (*handle.raw()).m_read.status = status };
}

/// Ends the connection and takes its descriptor, if there is one.
fn hang_up(handle: &Handle) -> Option<c_int> {
    // SAFETY: the handle's contract.
    unsafe {
        let sb = &raw mut (*handle.raw()).m_sb;
        sockbuf::hang_up(sb);
        let socket = std::mem::replace(&mut (*sb).sb_socket, -1);
        (socket != -1).then_some(socket)
    }
}

/// Closes the connection without a word and gets ready for the next one to the same server, under the same names.
pub(crate) fn close_to_reconnect(handle: &Handle) {
    handle.set_tunnel(None);
    {
        let mut core = handle.core();
        core.stream.clear();
        core.writer.reset();
    }
    // SAFETY: the handle's contract.
    unsafe { reset_connection(handle.raw()) }
}

/// Closes the socket, resets what belongs to the connection, and frees the strings and the state that are the library's.
///
/// # Safety
/// `r` points to an initialised `RTMP`.
unsafe fn reset(r: *mut RTMP) {
    // SAFETY: the caller's contract; what is freed came from the C allocator: by this library, or, where a flag says
    // so, by the caller.
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
        (*r).Link.lFlags &= !(RTMP_LF_FTCU | RTMP_LF_FAPU);
        state::detach(r);
    }
}

/// Closes the socket and resets what belongs to the connection.
///
/// # Safety
/// `r` points to an initialised `RTMP`.
unsafe fn reset_connection(r: *mut RTMP) {
    // SAFETY: the caller's contract; what is freed came from the C allocator.
    unsafe {
        RTMPSockBuf_Close(&raw mut (*r).m_sb);
        (*r).m_sb.sb_socket = -1;
        (*r).m_sb.sb_size = 0;
        (*r).m_stream_id = -1;
        (*r).m_nBWCheckCounter = 0;
        (*r).m_nBytesIn = 0;
        (*r).m_nBytesInSent = 0;
        (*r).m_bPlaying = 0;
        (*r).m_numInvokes = 0;
        (*r).m_msgCounter = 0;
        (*r).m_resplen = 0;
        (*r).m_unackd = 0;

        if (*r).m_read.flags & Flags::HEADER.0 != 0 {
            (*r).m_read.buf = ptr::null_mut();
        }
        (*r).m_read.dataType = 0;
        (*r).m_read.flags = 0;
        (*r).m_read.status = 0;
        (*r).m_read.nResumeTS = 0;
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

/// Ends the stream and closes the connection, if there is one, waits up to a second for the server to have what was
/// published, and frees everything that belongs to it; returns
/// nothing. What the caller put into `Link` stays, except a stream name from the URL and strings that `Link.lFlags` marks
/// as the library's; the options `bind`, `ipv`, `tlsVerify` and `tlsCA` go. May be called at any time, also
/// twice, but not from a signal handler: there, set `RTMP_ctrlC` or shut the socket down.
///
/// # Safety
/// `r` is null or points to an initialised `RTMP`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn RTMP_Close(r: *mut RTMP) {
    boundary((), || {
        if r.is_null() {
            return Ok(());
        }
        // SAFETY: the caller's contract.
        unsafe {
            match Handle::connected(r) {
                Ok(handle) => {
                    handle.keep_descriptor(false);
                    close(&handle, Manner::Polite);
                    state::detach(r);
                }
                Err(_) => reset(r),
            }
        }
        Ok(())
    })
}
