//! The fast path of `RTMP_ReadPacket`: a chunk that a session which never waits has already received.
//!
//! This is an exception to the one way of receiving, for programs with thousands of sessions and for `make bench ONLY=server`. A
//! step has received the bytes, so a call for each chunk of 128 bytes does nothing but decode it. Anything unusual, and every
//! call that finds another thread using the session, goes to the general path, which continues at the same position.

use std::{ptr, time::Instant};

use libc::c_int;
use rtmp_core::{
    chunk::Chunk,
    error::{Error, Result},
};

use super::{RTMPPacket, sockbuf::Inbox};
use crate::{
    Errno, TRUE,
    boundary::{Kind, boundary},
    cancel::Shield,
    connection::receive_chunk,
    globals,
    log::Deferred,
    memory::Body,
    reason::{self, Failure, Phase},
    state::{Core, Handle, Held},
    valid::{Rtmp, Valid, field},
};

/// Why a chunk was not returned.
enum Unread {
    /// There is none, as the last receive has shown. Programs read until they get that answer.
    Again,
    /// The connection was lost; with the call that failed.
    Lost(Box<(Error, Handle)>),
}

/// Stores the next chunk in `packet`, as `RTMP_ReadPacket`. Returns TRUE, or `failure` if the connection was lost.
#[inline(always)]
pub(super) fn read(r: Rtmp<'_>, packet: Valid<'_, RTMPPacket>, failure: c_int) -> Option<c_int> {
    // The general path copies the header of the chunk.
    if !field!(packet, m_chunk).get().is_null() {
        return None;
    }
    match take(r)? {
        Ok(chunk) => {
            show(packet, chunk);
            Some(TRUE)
        }
        Err(unread) => {
            field!(packet, m_body).set(ptr::null_mut());
            Some(fail(r, unread, failure))
        }
    }
}

/// Decodes the next chunk. `None` if it is not complete.
#[inline(always)]
fn take(r: Rtmp<'_>) -> Option<Result<Chunk<Body>, Unread>> {
    let _errno = Errno::keep();
    let _shield = Shield::begin();
    // Log records are delivered after the locks below.
    let _deferred = Deferred::begin();
    let held = Held::unobserved(r)?;
    // SAFETY: the lock below ends before `held` does.
    let outbox = unsafe { held.outbox() };
    let mut core = outbox.try_lock()?;
    let Core { session, receive_buffer, progress, .. } = &mut *core;
    let progress = progress.as_deref_mut()?;
    let is_plain = receive_buffer.is_none() && progress.lets_read();
    // SAFETY: only one thread at a time uses a session that never waits, which is a rule of `loop.h`.
    let mut inbox = unsafe { Inbox::of(held.sb()) };
    if !is_plain {
        return None;
    }
    session.begin_receiving();
    let received = match inbox.unread() {
        [] => Ok((0, None)),
        unread => receive_chunk(r, session, unread),
    };
    // While the gate is held the session is there.
    let handle = || held.handle();
    let (used, chunk) = match received {
        Ok(received) => received,
        Err(error) => {
            let handle = handle()?;
            drop(core);
            drop(held);
            handle.give_up();
            return Some(Err(Unread::Lost(Box::new((error, handle)))));
        }
    };
    inbox.consume(used);
    let Some(chunk) = chunk else {
        let is_empty = inbox.extent().1 == 0
            && session.unsent().is_empty()
            && session.wants_input()
            && !globals::interrupted()
            && progress.note_empty(held.timeout(), Instant::now());
        return is_empty.then_some(Err(Unread::Again));
    };
    progress.note_reading();
    progress.note_found();
    if session.unsent().is_empty() {
        return Some(Ok(chunk));
    }
    // An acknowledgement.
    let handle = handle()?;
    drop(core);
    drop(held);
    Some(match handle.answer() {
        Ok(()) => Ok(chunk),
        Err(error) => Err(Unread::Lost(Box::new((error, handle)))),
    })
}

/// Fills in the caller's packet.
#[inline(always)]
pub(super) fn show(packet: Valid<'_, RTMPPacket>, chunk: Chunk<Body>) {
    let (timestamp, body) = match chunk.message {
        Some(message) => (message.timestamp, message.body.into_raw()),
        None => (chunk.sent_timestamp, ptr::null_mut()),
    };
    field!(packet, m_headerType).set(chunk.format);
    field!(packet, m_packetType).set(chunk.kind.0);
    field!(packet, m_hasAbsTimestamp).set(u8::from(chunk.format == 0));
    field!(packet, m_nChannel).set(chunk.chunk_stream as c_int);
    field!(packet, m_nTimeStamp).set(timestamp);
    field!(packet, m_nInfoField2).set(chunk.stream_id as i32);
    field!(packet, m_nBodySize).set(chunk.length);
    field!(packet, m_nBytesRead).set(chunk.received);
    field!(packet, m_body).set(body);
}

/// Reports why there is no chunk.
#[cold]
#[inline(never)]
fn fail(r: Rtmp<'_>, unread: Unread, failure: c_int) -> c_int {
    boundary(Kind::Session, failure, |_| {
        reason::use_session(Some(r))?;
        Err(match unread {
            Unread::Again => Failure::new(Error::Again, Phase::Reading),
            Unread::Lost(lost) => lost.1.failure(lost.0.reported(), Phase::Reading),
        })
    })
}
