//! Messages that are in the buffer as a whole, at little more than the cost of the copy.
//!
//! Short messages come by the dozen with one system call, so what the library does for each of them is what they cost.
//! Everything that is not plain audio or video, and every call that finds the session in another thread's hands, is left
//! to the long way.

use std::slice;

use libc::{c_char, c_int};

use super::{RTMP, RTMP_LF_LIVE, RTMPPacket, sockbuf};
use crate::{
    capi::{
        fields::{load, mirror_timestamp, store},
        memory::Body,
        rtmp::io::{self, Block},
        shared,
        state::{Handle, undisturbed},
    },
    chunk::Ready,
    driver::{self, Connection},
    flv::{self, PREVIOUS_TAG_SIZE_LEN, TAG_HEADER_LEN},
    message::Body as _,
};

/// The next message as a packet, whose body is the caller's.
///
/// # Safety
/// `r` is null or points to an initialised `RTMP`.
#[inline(always)]
pub(super) unsafe fn next(r: *mut RTMP) -> Option<RTMPPacket> {
    let accept = |ready: &Ready<'_>, _: &mut flv::Stream<Body>, _: &mut Block| {
        let mut body = Body::default();
        body.reserve_total(ready.len()).ok()?;
        ready.append_to(&mut body);
        Some(RTMPPacket {
            m_headerType: ready.format,
            m_packetType: ready.kind.0,
            m_hasAbsTimestamp: u8::from(ready.format == 0),
            m_nChannel: ready.chunk_stream as c_int,
            m_nTimeStamp: ready.timestamp,
            m_nInfoField2: ready.stream_id.cast_signed(),
            m_nBodySize: ready.len() as u32,
            m_nBytesRead: ready.len() as u32,
            m_chunk: std::ptr::null_mut(),
            m_body: body.into_raw(),
        })
    };
    // SAFETY: the caller's contract.
    unsafe { take(r, accept) }
}

/// The next message as an FLV tag in `out`, and how long that is.
///
/// # Safety
/// `r` is null or points to an initialised `RTMP`; `buf` is null or writable for `size` bytes.
#[inline(always)]
pub(super) unsafe fn read(r: *mut RTMP, buf: *mut c_char, size: c_int) -> Option<usize> {
    let size = usize::try_from(size).ok().filter(|_| !buf.is_null())?;
    // SAFETY: the caller's contract.
    let out = unsafe { slice::from_raw_parts_mut(buf.cast::<u8>(), size) };
    let accept = |ready: &Ready<'_>, flv: &mut flv::Stream<Body>, block: &mut Block| {
        let start = out.as_ptr().cast();
        let whole = TAG_HEADER_LEN + ready.len() + PREVIOUS_TAG_SIZE_LEN;
        let (tag, _) = out.split_at_mut_checked(whole)?;
        if !flv.pending().is_empty() {
            return None;
        }
        // SAFETY: the caller's contract, and `take` has found a session.
        let header = unsafe {
            let live = (*r).Link.lFlags & RTMP_LF_LIVE != 0;
            io::with_read_state(r, |state| {
                flv::plain_tag(state, ready.kind, ready.timestamp, ready.len(), live)
            })
        }?;
        let (front, behind) = tag.split_first_chunk_mut()?;
        *front = header.write();
        let (body, last) = behind.split_last_chunk_mut()?;
        ready.copy_to(body);
        *last = header.previous_tag_size();
        block.next(start, size);
        Some(whole)
    };
    // SAFETY: the caller's contract.
    unsafe { take(r, accept) }
}

/// Lets `accept` have the next message if it is plain audio or video and all of it is there.
///
/// # Safety
/// `r` is null or points to an initialised `RTMP`.
#[inline(always)]
unsafe fn take<T>(
    r: *mut RTMP,
    accept: impl FnOnce(&Ready<'_>, &mut flv::Stream<Body>, &mut Block) -> Option<T>,
) -> Option<T> {
    // SAFETY: the caller's contract; only the thread that reads touches the buffer, and the lock keeps steps out.
    let (result, more) = unsafe {
        if r.is_null() || shared::read(&raw const (*r).m_sb.sb_socket) == -1 {
            return None;
        }
        let mut core = undisturbed(r)?;
        let core = &mut *core;
        let sb = &raw mut (*r).m_sb;
        let before = load(r);
        let mut state = before;
        let mut seen = (0, 0);
        let (consumed, result) =
            driver::ready_media(&mut state, &mut core.decoder, sockbuf::unread(sb), |ready| {
                seen = (ready.chunk_stream, ready.timestamp);
                accept(ready, &mut core.stream, &mut core.block)
            })?;
        sockbuf::consume(sb, consumed);
        mirror_timestamp(r, seen.0 as usize, seen.1);
        store(r, &before, &state);
        (result, state.owes_acknowledgement() || shared::read(&raw const (*sb).sb_size) == 0)
    };
    if more {
        // SAFETY: the caller's contract.
        unsafe { settle(r) }
    }
    Some(result)
}

/// Does what is due after a message: the acknowledgement, and, when the buffer is empty, getting what TLS holds ready into
/// it and letting the socket become quiet.
///
/// # Safety
/// `r` points to an initialised `RTMP`.
#[cold]
unsafe fn settle(r: *mut RTMP) {
    // SAFETY: the caller's contract.
    let Ok(handle) = (unsafe { Handle::connected(r) }) else { return };
    handle.reading_step(|_| ());
    // An error has closed the connection, which the next call will find. The message has arrived before.
    let _ = driver::acknowledge_if_due(&handle);
    handle.settle();
}
