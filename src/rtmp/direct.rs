//! Receives directly into the body of a message. One system call receives the body, the chunk headers within it, and the start
//! of the next message.
//!
//! The destinations are a guess: that the message continues in chunks with the shortest header. Anything else moves to the
//! caller's buffer, which has room for all bytes whose place was guessed.

use std::{array, mem::MaybeUninit, slice};

use rtmp_core::{
    chunk::{Loan, MAX_HEADER_LEN},
    error::{Error, Result},
    transport::{tcp, wait::Patience},
};
use rustix::fd::BorrowedFd;
use socket2::MaybeUninitSlice;

use super::{receive_buffer::ReceiveBuffer, sockbuf::Inbox};
use crate::memory::Body;

/// The number of bytes that a chunk must lack for a direct receive. For fewer, a scattered system call costs more than copying
/// the bytes; with a receive buffer, one call brings far more bytes than that.
pub(crate) const fn worthwhile(receive_buffer: Option<&ReceiveBuffer>) -> usize {
    if receive_buffer.is_some() { 48 << 10 } else { 8192 }
}

/// The bytes received for a message on loan.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Arrived {
    /// Bytes that the message used, headers included.
    pub(crate) used: usize,
    /// The number of further chunks of the message that began.
    pub(crate) chunks: usize,
    /// Whether there was no room for more.
    pub(crate) full: bool,
}

/// A further chunk, as far as the body has room for it.
#[derive(Debug, Default, Clone, Copy)]
struct Ahead {
    /// The offset of the payload in the body's spare room.
    start: usize,
    len: usize,
}

/// Waits for bytes of the message on loan. Other bytes, after the message or between its chunks, are then unread in the buffer,
/// which was empty before. `ahead` allows receiving beyond the current chunk.
pub(crate) fn receive(
    inbox: &mut Inbox<'_>,
    loan: &mut Loan<Body>,
    ahead: bool,
    patience: &dyn Patience,
) -> Result<Arrived> {
    let fill = |fd: BorrowedFd<'_>, slices: &mut [MaybeUninitSlice<'_>]| match tcp::receive_vectored(
        fd, slices, patience,
    ) {
        Ok(0) => Err(Error::Closed),
        result => result,
    };
    let filled = fill_loan(inbox, loan, ahead, fill);
    inbox.sb().note_timeout(filled)
}

/// As [`receive`] with `ahead`, but only bytes that are available; `None` if there are none.
pub(crate) fn receive_now(inbox: &mut Inbox<'_>, loan: &mut Loan<Body>) -> Result<Option<Arrived>> {
    let mut none = false;
    let fill = |fd: BorrowedFd<'_>, slices: &mut [MaybeUninitSlice<'_>]| {
        let count = tcp::receive_vectored_now(fd, slices)?;
        none = count.is_none();
        Ok(count.unwrap_or(0))
    };
    let arrived = fill_loan(inbox, loan, true, fill)?;
    Ok((!none).then_some(arrived))
}

/// Lets `fill` write bytes into a message on loan and then into the buffer, which has no unread bytes.
fn fill_loan(
    inbox: &mut Inbox<'_>,
    loan: &mut Loan<Body>,
    ahead: bool,
    fill: impl FnOnce(BorrowedFd<'_>, &mut [MaybeUninitSlice<'_>]) -> Result<usize>,
) -> Result<Arrived> {
    let sb = inbox.sb();
    sb.set_timed_out(false);
    inbox.show_front(0);
    let fd = sb.socket()?;
    let (arrived, unread) = scatter(loan, inbox.whole_mut(), ahead, |slices| fill(fd, slices))?;
    sb.set_size(unread);
    Ok(arrived)
}

/// Lets `fill` write bytes to their probable places, and moves bytes that belong elsewhere to the start of `buffer`; returns
/// what arrived for the message, and the number of bytes in `buffer`.
fn scatter(
    loan: &mut Loan<Body>,
    buffer: &mut [u8],
    ahead: bool,
    fill: impl FnOnce(&mut [MaybeUninitSlice<'_>]) -> Result<usize>,
) -> Result<(Arrived, usize)> {
    let header = loan.header;
    let header = header.as_bytes();
    let mut headers = [[MaybeUninit::<u8>::uninit(); MAX_SHORT_HEADER]; MAX_AHEAD];
    let mut plan = [Ahead::default(); MAX_AHEAD];
    let mut following = loan.following();
    let spare_len = loan.body.spare().len();
    let first = loan.missing.min(spare_len);

    // Everything after the first piece has to fit into the buffer, in case it is not part of this message.
    let mut budget = buffer.len();
    let (mut planned, mut start, mut complete) = (0, first, first == loan.missing);
    while ahead && complete {
        let Some(payload) = following.next() else { break };
        let len = payload.min(spare_len - start).min(budget.saturating_sub(header.len()));
        complete = len == payload && planned < MAX_AHEAD;
        if len == 0 || planned == MAX_AHEAD {
            break;
        }
        plan[planned] = Ahead { start, len };
        planned += 1;
        start += len;
        budget -= header.len() + len;
    }
    // A call receives messages of this length completely if the buffer has room for them. Longer ones are better received in
    // their place.
    let several = loan.length + MAX_HEADER_LEN <= buffer.len();
    let tail = match complete {
        true if several => budget,
        true => budget.min(TAIL),
        false => 0,
    };

    let count = {
        let mut slices: [MaybeUninitSlice<'_>; 2 * MAX_AHEAD + 2] =
            array::from_fn(|_| MaybeUninitSlice::new(&mut []));
        let (piece, mut spare) = loan.body.spare().split_at_mut(first);
        slices[0] = MaybeUninitSlice::new(piece);
        let mut used = 1;
        for (ahead, room) in plan[..planned].iter().zip(&mut headers) {
            let (piece, rest) = spare.split_at_mut(ahead.len);
            spare = rest;
            slices[used] = MaybeUninitSlice::new(&mut room[..header.len()]);
            slices[used + 1] = MaybeUninitSlice::new(piece);
            used += 2;
        }
        // SAFETY: only bytes from the socket are written through this, so the buffer stays initialised.
        let room = unsafe { slice::from_raw_parts_mut(buffer.as_mut_ptr().cast(), tail) };
        slices[used] = MaybeUninitSlice::new(room);
        fill(&mut slices[..=used])?
    };

    let before_tail = start + planned * header.len();
    let tail_len = count.saturating_sub(before_tail);
    let mut left = count;
    let first_len = take(&mut left, first);
    let mut arrived = Arrived { used: first_len, chunks: 0, full: count == before_tail + tail };
    let mut body_len = first_len;
    let mut moved = 0;
    for (ahead, room) in plan[..planned].iter().zip(&headers) {
        let header_len = take(&mut left, header.len());
        let payload_len = take(&mut left, ahead.len);
        if header_len == 0 {
            break;
        }
        // SAFETY: bytes arrive in order, so this many bytes of the header were written.
        let seen = unsafe { slice::from_raw_parts(room.as_ptr().cast::<u8>(), header_len) };
        if moved == 0 && seen == header {
            body_len += payload_len;
            arrived.used += header_len + payload_len;
            arrived.chunks += 1;
            continue;
        }
        if moved == 0 {
            // The last bytes are in their place, except for the bytes that go in front of them.
            buffer.copy_within(..tail_len, count - arrived.used - tail_len);
        }
        buffer[moved..moved + header_len].copy_from_slice(seen);
        moved += header_len;
        let piece = &loan.body.spare()[ahead.start..ahead.start + payload_len];
        // SAFETY: as above.
        let piece = unsafe { slice::from_raw_parts(piece.as_ptr().cast::<u8>(), payload_len) };
        buffer[moved..moved + payload_len].copy_from_slice(piece);
        moved += payload_len;
    }
    // SAFETY: that many bytes of the spare room were written, in order.
    unsafe { loan.body.advance(body_len) };
    Ok((arrived, count - arrived.used))
}

/// Takes at most `most` from `left`.
fn take(left: &mut usize, most: usize) -> usize {
    let taken = most.min(*left);
    *left -= taken;
    taken
}

/// The limit of further chunks that are guessed: bodies are lent for long chunks, and the buffer has room for two.
const MAX_AHEAD: usize = 2;
/// The longest header of a chunk in mid-message.
const MAX_SHORT_HEADER: usize = 7;
/// The number of bytes to receive after a long message: enough for the next header, and for a few short messages.
const TAIL: usize = 1024;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rtmp::sockbuf;
    use rtmp_core::{
        chunk::{Decoder, Encoder, Outgoing},
        message::MessageType,
    };

    /// A timestamp that needs the extended form.
    const TIME: u32 = 0x0100_0000;

    /// The bytes of some messages; short ones come between the chunks of long ones. Further chunks have `again` as the extended
    /// timestamp.
    fn wire(
        chunk_size: u32,
        size: usize,
        timestamp: u32,
        again: &[u8],
        between: bool,
    ) -> (Vec<u8>, Vec<Vec<u8>>) {
        let (mut encoder, mut bytes, mut bodies) = (Encoder::new(), Vec::new(), Vec::new());
        for index in 0..4_u32 {
            let long: Vec<u8> = (0..size).map(|at| (at / 7) as u8 ^ index as u8).collect();
            let message = |chunk_stream, body| Outgoing {
                chunk_stream,
                format: 1,
                kind: MessageType::VIDEO,
                timestamp: timestamp + index,
                stream_id: 1,
                body,
            };
            let other = vec![index as u8; 50];
            let chunks = encoder.encode(&message(6, &long), chunk_size).unwrap();
            let pieces: Vec<Vec<u8>> = chunks.pieces().map(<[u8]>::to_vec).collect();
            for (at, piece) in pieces.iter().enumerate() {
                if at > 0 && piece.len() == MAX_SHORT_HEADER - 2 {
                    bytes.push(piece[0]);
                    bytes.extend(again);
                    continue;
                }
                if between && at == 4 {
                    bytes
                        .extend(encoder.encode(&message(70, &other), chunk_size).unwrap().pieces().flatten());
                    bodies.push(other.clone());
                }
                bytes.extend(piece);
            }
            bodies.push(long);
        }
        (bytes, bodies)
    }

    /// Reads all messages as a connection does, at most `most` bytes at a time.
    fn read(wire: &[u8], chunk_size: u32, most: usize, ahead: bool) -> (Vec<Vec<u8>>, usize) {
        let mut decoder = Decoder::<Body>::new();
        let (mut buffer, mut unread) = (vec![0; sockbuf::CAPACITY], 0..0);
        let (mut position, mut bodies, mut reads) = (0, Vec::new(), 0);
        loop {
            let decoded = decoder.decode(&buffer[unread.clone()], chunk_size).unwrap();
            unread.start += decoded.consumed;
            if let Some(chunk) = decoded.chunk {
                bodies.extend(chunk.message.map(|message| message.body.as_ref().to_vec()));
                continue;
            }
            if position == wire.len() {
                return (bodies, reads);
            }
            reads += 1;
            let mut supply = |slices: &mut [MaybeUninitSlice<'_>]| {
                let before = position;
                for slice in slices {
                    let count = slice.len().min(wire.len() - position).min(most - (position - before));
                    for (to, from) in slice[..count].iter_mut().zip(&wire[position..]) {
                        to.write(*from);
                    }
                    position += count;
                    if count < slice.len() {
                        break;
                    }
                }
                Ok(position - before)
            };
            let lent = if unread.is_empty() { decoder.lend(chunk_size, worthwhile(None)) } else { None };
            if let Some(mut loan) = lent {
                let (arrived, count) = scatter(&mut loan, &mut buffer, ahead, &mut supply).unwrap();
                decoder.give_back(loan, arrived.chunks);
                unread = 0..count;
            } else {
                buffer.copy_within(unread.clone(), 0);
                unread = 0..unread.len();
                // SAFETY: only initialised bytes are written through this.
                let room = unsafe {
                    slice::from_raw_parts_mut(
                        buffer[unread.end..].as_mut_ptr().cast(),
                        sockbuf::CAPACITY - unread.end,
                    )
                };
                unread.end += supply(&mut [MaybeUninitSlice::new(room)]).unwrap();
            }
        }
    }

    #[test]
    fn messages_are_the_same_however_they_arrive() {
        for (chunk_size, size) in
            [(1024, 5000), (4096, 16384), (8192, 50_000), (9000, 18_001), (65536, 15_000), (65536, 200_000)]
        {
            for between in [false, true] {
                for (timestamp, again) in
                    [(0, &[][..]), (TIME, &TIME.to_be_bytes()), (TIME, &[0; 4]), (TIME, &[])]
                {
                    let (wire, expected) = wire(chunk_size, size, timestamp, again, between);
                    for most in [700, 1031, 4099, 9000, 16_384, 20_000, usize::MAX] {
                        for ahead in [false, true] {
                            let (bodies, _) = read(&wire, chunk_size, most, ahead);
                            let context = (chunk_size, size, between, timestamp, again, most, ahead);
                            assert!(bodies == expected, "{context:?}");
                        }
                    }
                }
            }
        }
    }

    #[test]
    fn a_message_takes_one_call_when_the_socket_has_it() {
        let (wire, expected) = wire(8192, 16_384, 0, &[], false);
        let (bodies, reads) = read(&wire, 8192, usize::MAX, true);
        assert_eq!(bodies.len(), expected.len());
        assert!(reads <= expected.len() + 1, "{reads} calls");
    }
}
