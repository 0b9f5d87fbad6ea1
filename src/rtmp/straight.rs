//! Messages that are sent straight away: nothing but the socket is in their way.
//!
//! What the library does for a message is what short ones cost. Everything out of the ordinary, and every call that finds
//! the session in another thread's hands, is left to the long way.

use libc::{c_char, c_int};
use rtmp_core::{
    chunk::{Chunks, Outgoing},
    error::{Error, Result},
    message::MessageType,
    session,
};

use super::{
    RTMP, RTMPPacket,
    outgoing::{first_tag, message_of, mirror_writer, outgoing, report},
    sockbuf,
};
use crate::{
    Errno, TRUE, alone, boundary,
    cancel::Shield,
    globals,
    ptr::bytes,
    reason::{self, Phase},
    shared,
    state::{Core, Handle, undisturbed},
};

/// Sends a packet; returns TRUE, or `failure` when the connection is gone.
///
/// # Safety
/// `r` is null or points to an initialised `RTMP`; `packet` is null or points to an `RTMPPacket` whose body is null or
/// readable for `m_nBodySize` bytes.
#[inline(always)]
pub(super) unsafe fn send(
    r: *mut RTMP,
    packet: *mut RTMPPacket,
    queue: bool,
    failure: c_int,
) -> Option<c_int> {
    // SAFETY: the caller's contract.
    let packet = unsafe { packet.as_mut()? };
    let kind = MessageType(packet.m_packetType);
    if kind == MessageType::COMMAND && (queue || globals::logs_debug()) {
        return None;
    }
    // SAFETY: `packet` points to a packet whose body is readable for its size, by the Safety section.
    let message = unsafe { message_of(packet) }.ok()?;
    let encode = |core: &mut Core, chunk_size| Some(core.session.encoder().encode(&message, chunk_size));
    // SAFETY: the caller's contract.
    match unsafe { transmit(r, message.body.len(), encode) }? {
        Ok(format) => {
            packet.m_headerType = format;
            Some(TRUE)
        }
        // SAFETY: the caller's contract, and there is a session.
        Err(unsent) => Some(unsafe { fail_packet(r, packet, *unsent, failure) }),
    }
}

/// Publishes a tag; returns `size`, or `failure` when the connection is gone.
///
/// # Safety
/// `r` is null or points to an initialised `RTMP`; `buf` is null or readable for `size` bytes.
#[inline(always)]
pub(super) unsafe fn write(r: *mut RTMP, buf: *const c_char, size: c_int, failure: c_int) -> Option<c_int> {
    // SAFETY: the caller's contract.
    let input = unsafe { bytes(buf, size, "buf").ok()? };
    let encode = |core: &mut Core, chunk_size| {
        // SAFETY: the caller's contract, and there is a session.
        let stream_id = unsafe { shared::read(&raw const (*r).m_stream_id) };
        if core.unfinished.is_some() {
            return None;
        }
        let writer = core.writer.get_or_insert_default();
        let tag = writer.whole(input)?;
        let encoded = core.session.encoder().encode(&outgoing(stream_id, &tag), chunk_size);
        if let Ok(chunks) = &encoded {
            // SAFETY: as above; no other thread closes the connection meanwhile.
            unsafe { mirror_writer(&raw mut (*r).m_write, writer, stream_id, Some(chunks.format)) };
        }
        Some(encoded)
    };
    // SAFETY: the caller's contract.
    match unsafe { transmit(r, input.len(), encode) }? {
        Ok(_) => Some(size),
        // SAFETY: the caller's contract, and there is a session.
        Err(unsent) => Some(unsafe { fail_tag(r, input, *unsent, failure) }),
    }
}

/// What became of a message; `None` if nothing has happened.
type Attempt = Option<Result<u8, Box<Unsent>>>;

/// Why a message was not sent, and the call in which that was.
struct Unsent {
    error: Error,
    /// `None` if another call has closed the session.
    handle: Option<Handle>,
}

/// Encodes a message of about `len` bytes and sends it; tells the header format. `None` if nothing has happened.
///
/// # Safety
/// `r` is null or points to an initialised `RTMP`.
#[inline(always)]
unsafe fn transmit<'m>(
    r: *mut RTMP,
    len: usize,
    encode: impl FnOnce(&mut Core, u32) -> Option<Result<Chunks<'m>>>,
) -> Attempt {
    // What the system does not take at once is an error for it, and none for the caller.
    let _errno = Errno::keep();
    // SAFETY: the caller's contract.
    unsafe {
        if r.is_null()
            || shared::read(&raw const (*r).m_sb.sb_socket) <= 0
            || globals::dumps()
            || reason::is_reporting()
        {
            // 0 may be what a program left there that forgot RTMP_Init.
            return None;
        }
        let chunk_size = session::chunk_size(shared::read(&raw const (*r).m_outChunkSize));
        let tls = sockbuf::has_tls(&raw const (*r).m_sb);
        if !tls && alone::is_alone() && sockbuf::goes_at_once(len, chunk_size) {
            return transmit_alone(r, chunk_size, encode);
        }
        let _shield = Shield::begin();
        let handle = Handle::at_hand(r)?;
        let (format, result) = handle.transmit_straight(encode)?;
        match result {
            Ok(()) => Some(Ok(format)),
            Err(error) => Some(Err(Box::new(Unsent { error, handle: Some(handle) }))),
        }
    }
}

/// As [`transmit`], in a process with one thread, where nobody has to be kept out while a message is only half sent.
///
/// # Safety
/// `r` points to an initialised `RTMP` without TLS.
#[inline(always)]
unsafe fn transmit_alone<'m>(
    r: *mut RTMP,
    chunk_size: u32,
    encode: impl FnOnce(&mut Core, u32) -> Option<Result<Chunks<'m>>>,
) -> Attempt {
    // SAFETY: the caller's contract.
    unsafe {
        let sb = &raw const (*r).m_sb;
        let mut found = undisturbed(r)?;
        let (core, scratch) = found.core_and_scratch()?;
        let Ok(chunks) = encode(core, chunk_size)? else { return None };
        let unsent = sockbuf::send_at_once(sb, &chunks, scratch);
        drop(found);
        if unsent == 0 {
            return Some(Ok(chunks.format));
        }
        Some(send_rest(r, &chunks, unsent).map(|()| chunks.format))
    }
}

/// Waits until the last bytes of a message are sent.
///
/// # Safety
/// `r` points to an initialised `RTMP`, which no other thread uses.
#[cold]
#[inline(never)]
unsafe fn send_rest(r: *mut RTMP, chunks: &Chunks<'_>, unsent: usize) -> Result<(), Box<Unsent>> {
    let mut whole = Vec::new();
    chunks.append_to(&mut whole);
    // SAFETY: the caller's contract.
    let Some(handle) = (unsafe { Handle::at_hand(r) }) else {
        return Err(Box::new(Unsent { error: Error::NotConnected, handle: None }));
    };
    handle
        .send_pieces(&[&whole[whole.len() - unsent..]])
        .map_err(|error| Box::new(Unsent { error, handle: Some(handle) }))
}

/// What is said and done when a packet could not be sent.
///
/// # Safety
/// As for [`send`], and there is a session.
#[cold]
#[inline(never)]
unsafe fn fail_packet(r: *mut RTMP, packet: *const RTMPPacket, unsent: Unsent, failure: c_int) -> c_int {
    boundary(failure, || {
        // SAFETY: the caller's contract; it was a message.
        let message = unsafe { message_of(&*packet) }?;
        // SAFETY: `r` points to an initialised `RTMP`, by the Safety section.
        unsafe { fail(r, unsent, &message) }
    })
}

/// What is said and done when a tag could not be sent.
///
/// # Safety
/// `r` points to an initialised `RTMP`.
#[cold]
#[inline(never)]
unsafe fn fail_tag(r: *mut RTMP, input: &[u8], unsent: Unsent, failure: c_int) -> c_int {
    boundary(failure, || {
        // SAFETY: the caller's contract.
        unsafe { fail(r, unsent, &first_tag(r, input)) }
    })
}

/// # Safety
/// `r` points to an initialised `RTMP`.
unsafe fn fail(r: *mut RTMP, unsent: Unsent, message: &Outgoing<'_>) -> Result<c_int> {
    // SAFETY: `r` points to an initialised `RTMP`, by the Safety section.
    let chunk_size = unsafe {
        reason::about(r)?;
        session::chunk_size(shared::read(&raw const (*r).m_outChunkSize))
    };
    reason::enter(Phase::SENDING);
    let Unsent { error, handle } = unsent;
    Err(match handle {
        Some(handle) => report(&handle, error, message.as_asked(chunk_size).first_len()),
        None => error,
    })
}
