//! The byte stream for reading: an FLV header, then tags, split where the reader's buffer ends.
//!
//! Implements one read call between two messages as steps: a pump loads [`ReadState`], takes a step, stores the state, and does
//! what the [`Step`] asks for. Anything that happens while it waits for a message, including closing the connection, may change
//! the stored state. Does not know where messages come from.

use std::mem;

use log::error;

use super::place::Place;
use super::reader::{Piece, Verdict, accept, in_order, plain_tag};
use super::state::{DATA_TYPE_AUDIO, DATA_TYPE_VIDEO, Flags, ReadState};
use super::{FILE_HEADER, PREVIOUS_TAG_SIZE_LEN, TAG_HEADER_LEN};
use crate::error::Result;
use crate::message::{Body, MessageType};

/// Bytes that were produced and not read yet.
#[derive(Debug, Default)]
pub struct Stream<B> {
    pending: B,
    position: usize,
    /// The memory of the bytes that were read last.
    spent: B,
    /// A call was suspended while messages were held back for the header; the next one continues there.
    suspended: bool,
    /// The stream has ended because memory was short.
    out_of_memory: bool,
    /// [`ReadState::passed_over`], which has no field that callers see.
    passed_over: u32,
}

/// A read call in progress: its destination, and its phase.
#[derive(Debug)]
pub struct Call<'a, T = u8> {
    out: &'a mut [T],
    written: usize,
    phase: Phase,
}

/// The parts of the stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// Messages are held back until the kinds of media for the file header are known.
    Header,
    /// The held-back messages and then each new message are returned.
    Tags,
}

/// The next need of a read call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub enum Step {
    /// The next media message, for [`Stream::message`], or the reason why none comes, for [`Stream::end`].
    NeedMessage,
    /// Nothing: it has ended and this many bytes were written. 0 means that the stream has ended or that there was no room.
    Done(usize),
    /// Nothing: the stream ended with an error before this call.
    Failed,
}

/// The reason why no more messages come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    /// The connection was closed or a wait timed out.
    Eof,
    /// The stream cannot be used.
    Error,
    /// The server has sent everything.
    Complete,
}

impl Ending {
    /// The value of [`ReadState::status`] and of the C constants `RTMP_READ_*`.
    pub fn status(self) -> i8 {
        match self {
            Self::Eof => -1,
            Self::Error => -2,
            Self::Complete => -3,
        }
    }

    /// The reverse of `status`; `None` while the stream runs.
    pub fn from_status(status: i8) -> Option<Self> {
        [Self::Eof, Self::Error, Self::Complete].into_iter().find(|ending| ending.status() == status)
    }
}

impl<'a, T: Place> Call<'a, T> {
    /// A call that will write to `out`.
    pub fn new(out: &'a mut [T]) -> Self {
        Self { out, written: 0, phase: Phase::Tags }
    }

    /// The number of bytes written so far.
    pub fn written(&self) -> usize {
        self.written
    }

    fn room(&mut self) -> &mut [T] {
        &mut self.out[self.written..]
    }
}

impl<B: Body> Stream<B> {
    /// The first bytes that the next read will return.
    pub fn pending(&self) -> &[u8] {
        self.pending.as_ref().get(self.position..).unwrap_or_default()
    }

    /// Drops unread bytes and their memory.
    pub fn clear(&mut self) {
        self.pending = B::default();
        self.position = 0;
        self.spent = B::default();
        self.suspended = false;
        self.out_of_memory = false;
    }

    /// Begins a read call.
    pub fn begin<T: Place>(&mut self, call: &mut Call<'_, T>, state: &mut ReadState<'_>) -> Step {
        if let Some(ending) = Ending::from_status(state.status) {
            return over(ending);
        }
        if state.flags.has(Flags::HEADER) {
            return self.deliver(call, state);
        }
        if state.flags.has(Flags::RESUME) {
            // The resumed file already has its header.
            state.flags.set(Flags::HEADER);
            return self.deliver(call, state);
        }
        call.phase = Phase::Header;
        if mem::take(&mut self.suspended) {
            return Step::NeedMessage;
        }
        self.clear();
        if self.pending.reserve_total(HEADER_BLOCK_LEN).is_err() {
            return self.out_of_memory(call, state);
        }
        self.pending.append(&FILE_HEADER);
        if state.timestamp == 0 { Step::NeedMessage } else { self.finish_header(call, state) }
    }

    /// Memory that is no longer needed, for the caller that receives the next message.
    pub fn take_spent(&mut self) -> Option<B> {
        (self.spent.capacity() > 0).then(|| mem::take(&mut self.spent))
    }

    /// Continues with the next media message, whose body may become part of the pending bytes.
    pub fn message<T: Place>(
        &mut self,
        call: &mut Call<'_, T>,
        state: &mut ReadState<'_>,
        kind: MessageType,
        timestamp: u32,
        body: &mut B,
        live: bool,
    ) -> Step {
        let before = state.timestamp;
        state.passed_over = self.passed_over;
        let verdict = accept(state, kind, timestamp, body.as_mut(), live);
        self.passed_over = if state.is_searching() { state.passed_over } else { 0 };
        let piece = match verdict {
            Verdict::Mismatch => return self.end(call, state, Ending::Error),
            Verdict::Ignore => None,
            Verdict::Output(piece) => Some(piece),
        };
        match (call.phase, piece) {
            (Phase::Tags, None) => Step::NeedMessage,
            (Phase::Tags, Some(piece)) => {
                let count = call.room().len().min(piece.len());
                let kept = match self.take_over(&piece, body, count) {
                    Some(position) => position.map(|position| {
                        call.written += piece.copy_to(body.as_ref(), 0, call.room());
                        self.pending = mem::take(body);
                        self.position = position;
                    }),
                    None => self.keep(&piece, body.as_ref(), count).map(|()| {
                        call.written += piece.copy_to(body.as_ref(), 0, call.room());
                    }),
                };
                if kept.is_err() {
                    // Callers treat this time as that of the last tag that they have received.
                    state.timestamp = before;
                    return self.out_of_memory(call, state);
                }
                Step::Done(call.written)
            }
            (Phase::Header, None) => self.collect_more(call, state, true),
            (Phase::Header, Some(piece)) => {
                let free = HEADER_BLOCK_LEN.saturating_sub(self.pending().len());
                let fits = piece.len() + SPARE_LEN <= free;
                if self.keep(&piece, body.as_ref(), 0).is_err() {
                    state.timestamp = before;
                    return self.out_of_memory(call, state);
                }
                self.collect_more(call, state, fits)
            }
        }
    }

    /// The place for the body of an audio or video message, with its trailing bytes, if the next message became the next bytes
    /// of the call.
    pub fn body_room<'c, T: Place>(
        &self,
        call: &'c mut Call<'_, T>,
        state: &ReadState<'_>,
    ) -> Option<&'c mut [T]> {
        let next = call.phase == Phase::Tags && self.pending().is_empty() && in_order(state);
        call.room().get_mut(TAG_HEADER_LEN..).filter(|room| next && room.len() > PREVIOUS_TAG_SIZE_LEN)
    }

    /// Continues with a media message whose body of `length` bytes is already at the start of [`Self::body_room`]; `None`,
    /// without any change, if it does not belong there.
    pub fn message_in_place<T: Place>(
        &self,
        call: &mut Call<'_, T>,
        state: &mut ReadState<'_>,
        kind: MessageType,
        timestamp: u32,
        length: usize,
        live: bool,
    ) -> Option<Step> {
        let whole = TAG_HEADER_LEN + length + PREVIOUS_TAG_SIZE_LEN;
        // Without touching the room yet: if the body does not belong there, it has to be moved out first.
        let room = call.out.len() - call.written;
        if call.phase != Phase::Tags || !self.pending().is_empty() || room < whole {
            return None;
        }
        let header = plain_tag(state, kind, timestamp, length, live)?;
        let (front, behind) = call.room().split_at_mut(TAG_HEADER_LEN);
        T::copy(front, &header.write());
        T::copy(&mut behind[length..], &header.previous_tag_size());
        call.written += whole;
        Some(Step::Done(call.written))
    }

    /// Ends the call because there is no room for bytes that must be kept.
    pub fn out_of_memory<T: Place>(&mut self, call: &mut Call<'_, T>, state: &mut ReadState<'_>) -> Step {
        error!("Couldn't allocate memory!");
        let step = self.end(call, state, Ending::Error);
        self.out_of_memory = true;
        step
    }

    /// Whether the stream has ended because memory was short.
    pub fn ran_out_of_memory(&self) -> bool {
        self.out_of_memory
    }

    /// Ends the call because no message comes. Messages held back for the header are lost, as with librtmp.
    pub fn end<T: Place>(
        &mut self,
        call: &mut Call<'_, T>,
        state: &mut ReadState<'_>,
        ending: Ending,
    ) -> Step {
        let step = self.time_out(call, state, ending);
        if call.phase == Phase::Header {
            self.clear();
        }
        step
    }

    /// Ends the call because no message comes in time. The program may read on after it has reset the status, so messages held
    /// back for the header are kept.
    pub fn time_out<T: Place>(
        &mut self,
        call: &mut Call<'_, T>,
        state: &mut ReadState<'_>,
        ending: Ending,
    ) -> Step {
        state.status = ending.status();
        self.suspended = call.phase == Phase::Header;
        if self.suspended { over(ending) } else { Step::Done(call.written) }
    }

    /// Suspends a call because a message does not come in time, and returns how many bytes were written. Messages held back for
    /// the header are kept for the next call, which [`Self::end`] would prevent.
    pub fn suspend<T>(&mut self, call: Call<'_, T>) -> usize {
        self.suspended = call.phase == Phase::Header;
        call.written
    }

    /// Ends the call because there are no more messages, and returns how many bytes were written. Unlike [`Self::end`], it
    /// loses nothing: messages held back for the header are returned, now or by the next calls.
    pub fn finish<T: Place>(&mut self, call: &mut Call<'_, T>, state: &mut ReadState<'_>) -> usize {
        if call.phase == Phase::Header {
            let _more = self.finish_header(call, state);
        }
        call.written
    }

    /// Asks for another message unless the header can be written or there is no more room.
    fn collect_more<T: Place>(
        &mut self,
        call: &mut Call<'_, T>,
        state: &mut ReadState<'_>,
        room: bool,
    ) -> Step {
        if room && state.timestamp == 0 && state.data_type & BOTH != BOTH {
            Step::NeedMessage
        } else {
            self.finish_header(call, state)
        }
    }

    /// Completes the header; the held-back messages can be read from now on.
    fn finish_header<T: Place>(&mut self, call: &mut Call<'_, T>, state: &mut ReadState<'_>) -> Step {
        if let Some(announced) = self.pending.as_mut().get_mut(DATA_TYPE_POSITION) {
            *announced = state.data_type;
        }
        state.flags.set(Flags::HEADER);
        call.phase = Phase::Tags;
        self.deliver(call, state)
    }

    /// Writes pending bytes and asks for a message if there is still room.
    fn deliver<T: Place>(&mut self, call: &mut Call<'_, T>, state: &ReadState<'_>) -> Step {
        if state.flags.has(Flags::SEEKING) {
            self.clear();
        }
        let pending = self.pending();
        let count = pending.len().min(call.room().len());
        T::copy(call.room(), &pending[..count]);
        call.written += count;
        self.position += count;
        if self.pending().is_empty() {
            let mut spent = mem::take(&mut self.pending);
            spent.clear();
            self.clear();
            self.spent = spent;
        }
        if call.room().is_empty() { Step::Done(call.written) } else { Step::NeedMessage }
    }

    /// Joins the part of `piece` after its first bytes with the body, so that most of a long message is not copied in order to
    /// keep it; returns the position after the first `count` bytes of the piece. `None` if it has to be copied.
    fn take_over(&self, piece: &Piece, body: &mut B, count: usize) -> Option<Result<usize>> {
        let (front, range, behind) = piece.layout();
        let skipped = count.checked_sub(front)?;
        if count == piece.len() || range.end != body.as_ref().len() || !self.pending().is_empty() {
            return None;
        }
        Some(body.reserve_total(range.end + behind.len()).map(|()| {
            body.append(behind);
            range.start + skipped
        }))
    }

    /// Keeps the bytes of `piece` from position `skip` on.
    fn keep(&mut self, piece: &Piece, body: &[u8], mut skip: usize) -> Result<()> {
        let rest = piece.len().saturating_sub(skip);
        if rest == 0 {
            return Ok(());
        }
        self.pending.reserve_total(self.pending.as_ref().len() + rest)?;
        for part in piece.parts(body) {
            let kept = part.get(skip..).unwrap_or_default();
            skip -= part.len() - kept.len();
            self.pending.append(kept);
        }
        Ok(())
    }
}

/// The result of a call that finds the stream at its end.
fn over(ending: Ending) -> Step {
    match ending {
        Ending::Error => Step::Failed,
        Ending::Eof | Ending::Complete => Step::Done(0),
    }
}

/// The limit of bytes held back for the header, not counting the last message.
const HEADER_BLOCK_LEN: usize = 128 * 1024;

/// Room that a message must leave free to count as fitting.
const SPARE_LEN: usize = 4;

/// The position in the FLV header of the kinds of media.
const DATA_TYPE_POSITION: usize = 4;

/// Both kinds of media.
const BOTH: u8 = DATA_TYPE_AUDIO | DATA_TYPE_VIDEO;

#[cfg(test)]
mod tests {
    use super::*;

    /// Reads up to `room` bytes; the messages, and then the ending, are taken from `source`.
    fn read(
        stream: &mut Stream<Vec<u8>>,
        state: &mut ReadState<'_>,
        room: usize,
        source: &mut dyn Iterator<Item = (MessageType, u32, Vec<u8>)>,
    ) -> Option<Vec<u8>> {
        let mut out = vec![0; room];
        let mut call = Call::new(&mut out);
        let mut step = stream.begin(&mut call, state);
        loop {
            step = match step {
                Step::NeedMessage => match source.next() {
                    Some((kind, timestamp, mut body)) => {
                        stream.message(&mut call, state, kind, timestamp, &mut body, false)
                    }
                    None => stream.end(&mut call, state, Ending::Eof),
                },
                Step::Done(count) => {
                    out.truncate(count);
                    return Some(out);
                }
                Step::Failed => return None,
            };
        }
    }

    fn audio(timestamp: u32, len: usize) -> (MessageType, u32, Vec<u8>) {
        (MessageType::AUDIO, timestamp, vec![0xAF; len])
    }

    #[test]
    fn any_room_yields_the_same_bytes() {
        let messages = || (0..9).map(|n| audio(n * 20, 2 + 7 * n as usize));
        let whole = {
            let (mut stream, mut state) = (Stream::default(), ReadState::default());
            let mut source = messages();
            let mut all = Vec::new();
            while state.status == 0 {
                all.extend(read(&mut stream, &mut state, 4096, &mut source).unwrap());
            }
            all
        };
        assert_eq!(whole.len(), 13 + (0..9).map(|n| 15 + 2 + 7 * n).sum::<usize>());
        for room in 1..whole.len() + 2 {
            let (mut stream, mut state) = (Stream::default(), ReadState::default());
            let mut source = messages();
            let mut all = Vec::new();
            while state.status == 0 {
                all.extend(read(&mut stream, &mut state, room, &mut source).unwrap());
            }
            assert_eq!(all, whole, "in pieces of {room}");
            assert!(stream.pending().is_empty());
        }
    }

    #[test]
    fn one_call_waits_for_one_message_only() {
        let (mut stream, mut state) = (Stream::default(), ReadState::default());
        let mut source = (1..9).map(|n| audio(n, 2));
        assert_eq!(read(&mut stream, &mut state, 4096, &mut source).unwrap().len(), 13 + 17 + 17);
        assert_eq!(read(&mut stream, &mut state, 4096, &mut source).unwrap().len(), 17);
        assert_eq!(source.count(), 5);
    }

    #[test]
    fn body_in_its_place_needs_only_header_and_trailer() {
        let (mut stream, mut state) = (Stream::<Vec<u8>>::default(), ReadState::default());
        let mut out = [0; 40];
        let mut call = Call::new(&mut out);
        assert!(stream.body_room(&mut call, &state).is_none(), "the header of the file comes first");
        state.flags.set(Flags::HEADER);
        assert_eq!(stream.begin(&mut call, &mut state), Step::NeedMessage);
        let room = stream.body_room(&mut call, &state).unwrap();
        room[..6].copy_from_slice(b"\x17videO");
        let step = stream.message_in_place(&mut call, &mut state, MessageType::VIDEO, 0x0102_0304, 6, false);
        assert_eq!((step, state.timestamp), (Some(Step::Done(21)), 0x0102_0304));
        assert_eq!(&out[..21], b"\x09\0\0\x06\x02\x03\x04\x01\0\0\0\x17videO\0\0\0\x11");
        // Any other message is left alone.
        let mut call = Call::new(&mut out);
        for (kind, length) in [(MessageType::VIDEO, 5), (MessageType::DATA, 20), (MessageType::AUDIO, 26)] {
            assert_eq!(stream.message_in_place(&mut call, &mut state, kind, 50, length, false), None);
        }
        state.flags.set(Flags::SEEKING);
        assert!(stream.body_room(&mut call, &state).is_none());
        assert_eq!(stream.message_in_place(&mut call, &mut state, MessageType::AUDIO, 50, 9, false), None);
        assert_eq!((state.timestamp, &out[..2]), (0x0102_0304, &b"\x09\0"[..]));
    }

    #[test]
    fn header_keeps_back_a_limited_number_of_bytes() {
        let (mut stream, mut state) = (Stream::default(), ReadState::default());
        let mut source = std::iter::repeat_with(|| audio(0, 1000)).take(1000);
        assert_eq!(read(&mut stream, &mut state, 0, &mut source), Some(Vec::new()));
        let kept = stream.pending().len();
        assert_eq!(kept, 13 + 1015 * HEADER_BLOCK_LEN.div_ceil(1015));
        assert_eq!(state.flags, Flags::HEADER);
    }

    #[test]
    fn message_must_leave_four_bytes_free_to_be_followed_by_another() {
        // Measured on librtmp: whether messages are held back after a message that leaves `free` bytes.
        for (free, kept) in
            [(0, 131_072), (3, 131_069), (4, 131_123), (5, 131_122), (54, 131_073), (58, 131_069)]
        {
            let (mut stream, mut state) = (Stream::default(), ReadState::default());
            let first = HEADER_BLOCK_LEN - FILE_HEADER.len() - free - 15;
            let mut source = [audio(0, first), audio(0, 40)].into_iter().cycle();
            read(&mut stream, &mut state, 0, &mut source).unwrap();
            assert_eq!(stream.pending().len(), kept, "{free} bytes free");
        }
    }

    #[test]
    fn ended_stream_reports_its_ending_again_and_again() {
        for (ending, result) in
            [(Ending::Eof, Some(Vec::new())), (Ending::Complete, Some(Vec::new())), (Ending::Error, None)]
        {
            let mut state = ReadState { status: ending.status(), ..Default::default() };
            for _ in 0..2 {
                let read = read(&mut Stream::default(), &mut state, 9, &mut std::iter::once(audio(1, 9)));
                assert_eq!(read, result);
            }
        }
    }

    #[test]
    fn stream_continues_when_the_caller_clears_the_status() {
        let (mut stream, mut state) = (Stream::default(), ReadState::default());
        let first = read(&mut stream, &mut state, 99, &mut [audio(7, 2)].into_iter()).unwrap();
        assert_eq!((first.len(), state.status), (30, -1));
        state.status = 0;
        let next = read(&mut stream, &mut state, 99, &mut [audio(9, 2)].into_iter()).unwrap();
        assert_eq!((next.len(), state.status, state.timestamp), (17, 0, 9));
    }

    /// Reads four messages, of which two at time 0 are held back for the header, and `fail` ends a call before each of them.
    fn read_late(fail: impl Fn(&mut Stream<Vec<u8>>, Call<'_>, &mut ReadState<'_>) -> usize) {
        let (mut stream, mut state) = (Stream::<Vec<u8>>::default(), ReadState::default());
        let mut all: Vec<u8> = Vec::new();
        for (kind, timestamp, mut body) in [audio(0, 2), audio(0, 3), audio(20, 4), audio(40, 5)] {
            for is_late in [true, false] {
                let mut out = [0; 4096];
                let mut call = Call::new(&mut out);
                let mut step = stream.begin(&mut call, &mut state);
                if !is_late && step == Step::NeedMessage {
                    step = stream.message(&mut call, &mut state, kind, timestamp, &mut body, false);
                }
                let count =
                    if let Step::Done(count) = step { count } else { fail(&mut stream, call, &mut state) };
                all.extend(&out[..count]);
            }
        }
        assert_eq!(all.len(), 13 + 4 * 15 + 2 + 3 + 4 + 5);
        assert_eq!(state.status, 0);
    }

    #[test]
    fn suspended_call_loses_nothing_before_the_header_or_after() {
        read_late(|stream, call, _| stream.suspend(call));
    }

    #[test]
    fn timeout_loses_nothing_before_the_header_or_after() {
        read_late(|stream, mut call, state| {
            let step = stream.time_out(&mut call, state, Ending::Eof);
            assert_eq!(state.status, Ending::Eof.status());
            // A program resets it to read on.
            state.status = 0;
            let Step::Done(count) = step else { panic!("{step:?}") };
            count
        });
    }

    #[test]
    fn finished_stream_returns_held_back_messages() {
        let (mut stream, mut state) = (Stream::<Vec<u8>>::default(), ReadState::default());
        let mut all: Vec<u8> = Vec::new();
        let mut source = [audio(0, 2), audio(0, 3)].into_iter();
        loop {
            let mut out = [0; 10];
            let mut call = Call::new(&mut out);
            let mut step = stream.begin(&mut call, &mut state);
            let count = loop {
                step = match (step, source.next()) {
                    (Step::Done(count), _) => break count,
                    (Step::Failed, _) => panic!("nothing failed"),
                    (Step::NeedMessage, None) => break stream.finish(&mut call, &mut state),
                    (Step::NeedMessage, Some((kind, timestamp, mut body))) => {
                        stream.message(&mut call, &mut state, kind, timestamp, &mut body, false)
                    }
                };
            };
            if count == 0 {
                break;
            }
            all.extend(&out[..count]);
        }
        assert_eq!(all.len(), 13 + 2 * 15 + 2 + 3);
        assert_eq!(all[4], DATA_TYPE_AUDIO);
    }

    /// A body that cannot hold more than its limit.
    #[derive(Default)]
    struct Scarce(Vec<u8>);

    impl AsRef<[u8]> for Scarce {
        fn as_ref(&self) -> &[u8] {
            &self.0
        }
    }

    impl AsMut<[u8]> for Scarce {
        fn as_mut(&mut self) -> &mut [u8] {
            &mut self.0
        }
    }

    impl Body for Scarce {
        fn reserve_total(&mut self, _: usize) -> Result<()> {
            Err(crate::Error::OutOfMemory)
        }

        fn capacity(&self) -> usize {
            0
        }

        fn append(&mut self, _: &[u8]) {
            panic!("no room was made")
        }
    }

    #[test]
    fn lack_of_memory_ends_the_stream_with_an_error() {
        let (mut stream, mut state) = (Stream::<Scarce>::default(), ReadState::default());
        assert_eq!(stream.begin(&mut Call::new(&mut [0; 9]), &mut state), Step::Failed);
        assert_eq!(state.status, -2);

        let mut state = ReadState { flags: Flags::HEADER, ..Default::default() };
        let mut out = [0; 9];
        let mut call = Call::new(&mut out);
        assert_eq!(stream.begin(&mut call, &mut state), Step::NeedMessage);
        let mut body = Scarce(vec![0xAF; 2]);
        let step = stream.message(&mut call, &mut state, MessageType::AUDIO, 1, &mut body, false);
        assert_eq!((step, state.status), (Step::Done(0), -2));
        assert!(stream.ran_out_of_memory());
        assert_eq!(state.timestamp, 0, "nothing was handed out");
    }
}
