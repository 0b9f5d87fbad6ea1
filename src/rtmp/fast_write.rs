//! The fast path of sending: messages that bypass the queue because it is empty, and go to the socket or to TLS.
//!
//! This is an exception to the one way of sending, for the rows `RTMP_Write, 100-byte messages` and `RTMP_SendPacket, 300-byte
//! messages` of `make bench`, which took 1.8 and 1.6 times as long without a fast path (measured when there was a second one
//! for programs with one thread), and for `make bench ONLY=server` and `tests/c/many.c`, which send from sessions that never wait:
//! there a message to a player took 1,432 instructions of this library, and takes 412. Over TLS 1.3 a message of 300 bytes takes
//! 5,238 instead of 6,718. Anything unusual, and every call that finds another thread using the session, goes to the general
//! path, which starts from the beginning, because nothing has been sent here in that case.

use std::io::{self, IoSlice};

use libc::c_int;
use rtmp_core::{
    chunk::Chunks,
    error::{Error, Result},
    message::MessageType,
    session,
};

use super::{
    outgoing::{PUBLISHING, first_chunk_len, first_tag, mirror_writer, outgoing, report},
    view::{Packet, RawChunk},
};
use crate::{
    Errno, TRUE,
    boundary::{Kind, boundary},
    cancel::Shield,
    globals,
    outbox::Passage,
    reason::{self, Failure, Phase},
    state::{Core, Handle, Held},
    valid::{Rtmp, field},
};

/// Sends a packet; returns TRUE, or `failure` if the connection was lost.
#[inline(always)]
pub(super) fn send(r: Rtmp<'_>, packet: Packet<'_>, queue: bool, failure: c_int) -> Option<c_int> {
    let kind = MessageType(packet.m_packetType);
    if kind == MessageType::COMMAND && (queue || globals::logs_debug()) {
        return None;
    }
    let message = packet.message().ok()?;
    let encode = |core: &mut Core, chunk_size| core.session.encoder().encode(&message, chunk_size).ok();
    match transmit(r, encode)? {
        Ok(format) => {
            packet.note_format(format);
            Some(TRUE)
        }
        Err(unsent) => Some(fail(r, *unsent, failure, |handle, error| {
            report(handle, error, first_chunk_len(handle, &message))
        })),
    }
}

/// Publishes a tag; returns its length, or `failure` if the connection was lost.
#[inline(always)]
pub(super) fn write(r: Rtmp<'_>, input: &[u8], failure: c_int) -> Option<c_int> {
    let encode = |core: &mut Core, chunk_size| {
        if core.unfinished.is_some() {
            return None;
        }
        let stream_id = field!(r, m_stream_id).get();
        let writer = core.writer.get_or_insert_default();
        let tag = writer.whole(input)?;
        let chunks =
            core.session.encoder().encode(&outgoing(PUBLISHING, stream_id as u32, &tag), chunk_size).ok()?;
        mirror_writer(field!(r, m_write), writer, stream_id, Some(chunks.format));
        Some(chunks)
    };
    match transmit(r, encode)? {
        Ok(_) => Some(input.len() as c_int),
        Err(unsent) => Some(fail(r, *unsent, failure, |handle, error| {
            report(handle, error, first_chunk_len(handle, &first_tag(r, input)))
        })),
    }
}

/// Sends a chunk of a session that does not wait; returns TRUE, or `failure` if the connection was lost.
#[inline(always)]
pub(super) fn send_chunk(r: Rtmp<'_>, chunk: RawChunk<'_>, failure: c_int) -> Option<c_int> {
    let pieces = chunk.pieces().ok()?;
    let _errno = Errno::keep();
    if globals::dumps() || reason::is_reporting() {
        return None;
    }
    let _shield = Shield::begin();
    let held = Held::of(r)?;
    if !held.never_waits() {
        return None;
    }
    let len = pieces[0].len() + pieces[1].len();
    // SAFETY: `keep_rest` makes a handle while `held` exists, and the turn ends before both.
    let mut passage = unsafe { held.outbox() }.try_past()?;
    if passage.queue().session.is_encrypted() {
        return None;
    }
    // The system has less to do for one piece.
    let first = if pieces[0].is_empty() {
        held.sb().send_now(&[IoSlice::new(pieces[1])])
    } else {
        held.sb().send_now(&pieces.map(IoSlice::new))
    };
    let first = first?;
    passage.queue().session.count_sent(len);
    let queued = keep_rest(&held, &mut passage, || pieces.into_iter(), len, first)?;
    drop(passage);
    drop(held);
    Some(match queued {
        Ok(()) => TRUE,
        Err(unsent) => fail(r, *unsent, failure, |handle, error| {
            handle.give_up();
            error
        }),
    })
}

/// The result for a message; `None` if nothing has happened.
type Attempt = Option<Result<u8, Box<Unsent>>>;

/// Why a message was not sent, and the call that failed.
struct Unsent {
    error: Error,
    handle: Handle,
}

/// Encodes a message and sends it; returns the header format. `None` if nothing has happened.
#[inline(always)]
fn transmit<'m>(r: Rtmp<'_>, encode: impl FnOnce(&mut Core, u32) -> Option<Chunks<'m>>) -> Attempt {
    // A full send buffer is an error for the system, but not for the caller.
    let _errno = Errno::keep();
    if globals::dumps() || reason::is_reporting() {
        return None;
    }
    let _shield = Shield::begin();
    let held = Held::of(r)?;
    // SAFETY: `wait` and `encrypt` make a handle before they end `held`, and end the turn before the handle.
    let mut passage = unsafe { held.outbox() }.try_past()?;
    if passage.queue().session.is_encrypted() {
        return None;
    }
    let chunks = encode(passage.queue(), session::chunk_size(field!(r, m_outChunkSize).get()))?;
    if held.sb().has_tls() {
        return encrypt(held, passage, &chunks);
    }
    match held.sb().send_chunks_now(&chunks) {
        Some(first) if held.never_waits() => {
            let queued = keep_rest(&held, &mut passage, || chunks.pieces(), chunks.len(), first)?;
            Some(queued.map(|()| chunks.format))
        }
        Some(Ok(sent)) if sent == chunks.len() => Some(Ok(chunks.format)),
        first => wait(held, passage, &chunks, first),
    }
}

/// Queues the rest of `len` bytes of a session that does not wait, where `first` is the result of sending them.
#[inline(always)]
fn keep_rest<'p, I: Iterator<Item = &'p [u8]>>(
    held: &Held<'_>,
    passage: &mut Passage<'_, Core>,
    pieces: impl Fn() -> I,
    len: usize,
    first: io::Result<usize>,
) -> Option<Result<(), Box<Unsent>>> {
    let sent = match first {
        Ok(sent) => sent,
        Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted) => 0,
        // While the gate is held the session is there.
        Err(error) => return Some(Err(Box::new(Unsent { error: error.into(), handle: held.handle()? }))),
    };
    passage.queue().session.enqueue_rest(pieces(), len, sent);
    Some(Ok(()))
}

/// Sends the rest of a message of which the system did not take all, or nothing.
#[cold]
#[inline(never)]
fn wait(
    held: Held<'_>,
    passage: Passage<'_, Core>,
    chunks: &Chunks<'_>,
    first: Option<io::Result<usize>>,
) -> Attempt {
    // While the gate is held the session is there.
    let handle = held.handle()?;
    drop(held);
    let sent = handle.send_rest(passage.unlock(), |sb, patience| sb.send_rest_of(chunks, first, patience));
    Some(match sent {
        Ok(()) => Ok(chunks.format),
        Err(error) => Err(Box::new(Unsent { error, handle })),
    })
}

/// Sends a message over TLS, and waits if the system does not take all of it at once.
#[inline(never)]
fn encrypt(held: Held<'_>, passage: Passage<'_, Core>, chunks: &Chunks<'_>) -> Attempt {
    let first = match held.sb().encrypt_chunks_now(chunks) {
        Ok((taken, true)) if taken == chunks.len() => return Some(Ok(chunks.format)),
        Ok((taken, _)) => Ok(taken),
        Err(error) => Err(error),
    };
    // While the gate is held the session is there.
    let handle = held.handle()?;
    drop(held);
    let sent = handle.send_rest(passage.unlock(), |sb, patience| sb.encrypt_rest_of(chunks, first, patience));
    Some(match sent {
        Ok(()) => Ok(chunks.format),
        Err(error) => Err(Box::new(Unsent { error, handle })),
    })
}

/// Fails because bytes could not be sent; `close` closes the connection.
#[cold]
#[inline(never)]
fn fail(r: Rtmp<'_>, unsent: Unsent, failure: c_int, close: impl FnOnce(&Handle, Error) -> Error) -> c_int {
    boundary(Kind::Session, failure, |_| {
        reason::use_session(Some(r))?;
        let Unsent { error, handle } = unsent;
        Err(Failure::new(close(&handle, error), Phase::SENDING))
    })
}
