//! A connection in memory, and bodies whose memory is counted.

#![forbid(unsafe_code)]

use std::{
    cell::{Cell, RefCell},
    vec,
};

use rtmp_core::{
    chunk::{Chunks, Decoder, Encoder},
    driver::{Connection, Parts, close_politely},
    error::{Error, Result},
    message::Body,
    session::{Profile, State},
};

/// What the peer sends comes in pieces, after which it closes; what is sent is kept.
pub struct Memory<'b> {
    parts: RefCell<Owned>,
    arriving: RefCell<vec::IntoIter<&'b [u8]>>,
    /// Everything that was sent.
    pub sent: RefCell<Vec<u8>>,
    open: Cell<bool>,
    steps: Cell<usize>,
    most_steps: usize,
}

struct Owned {
    state: State,
    profile: Profile<'static>,
    calls: Vec<(Vec<u8>, i32)>,
    decoder: Decoder<Counted>,
    encoder: Encoder,
    input: Vec<u8>,
    /// How much of the input was used.
    used: usize,
}

impl<'b> Memory<'b> {
    /// A connection on which `pieces` will arrive. An empty one stands for a time-out.
    pub fn new(profile: Profile<'static>, pieces: Vec<&'b [u8]>) -> Self {
        let len: usize = pieces.iter().map(|piece| piece.len() + 1).sum();
        let parts = Owned {
            state: State::default(),
            profile,
            calls: Vec::new(),
            decoder: Decoder::new(),
            encoder: Encoder::new(),
            input: Vec::new(),
            used: 0,
        };
        Self {
            parts: RefCell::new(parts),
            arriving: RefCell::new(pieces.into_iter()),
            sent: RefCell::default(),
            open: Cell::new(true),
            steps: Cell::new(0),
            // No message is shorter than a byte, and none needs many steps.
            most_steps: 1000 + 32 * len,
        }
    }

    fn count_step(&self) {
        self.steps.set(self.steps.get() + 1);
        assert!(self.steps.get() <= self.most_steps, "the session does not get on");
    }
}

impl Connection for Memory<'_> {
    type Body = Counted;

    fn step<R>(&self, step: impl FnOnce(&mut Parts<'_, '_, Counted>) -> R) -> R {
        self.count_step();
        let mut owned = self.parts.borrow_mut();
        let Owned { state, profile, calls, decoder, encoder, .. } = &mut *owned;
        step(&mut Parts { state, profile: *profile, calls, decoder, encoder, input: &[], consumed: 0 })
    }

    fn reading_step<R>(&self, step: impl FnOnce(&mut Parts<'_, '_, Counted>) -> R) -> R {
        self.count_step();
        let mut owned = self.parts.borrow_mut();
        let Owned { state, profile, calls, decoder, encoder, input, used } = &mut *owned;
        let input = &input[*used..];
        let mut parts = Parts { state, profile: *profile, calls, decoder, encoder, input, consumed: 0 };
        let result = step(&mut parts);
        *used += parts.consumed;
        result
    }

    fn fill(&self, _whole: bool) -> Result<()> {
        self.count_step();
        match self.arriving.borrow_mut().next() {
            Some([]) => Err(Error::TimedOut),
            Some(piece) => {
                let Owned { input, used, .. } = &mut *self.parts.borrow_mut();
                input.drain(..std::mem::take(used));
                input.extend_from_slice(piece);
                Ok(())
            }
            None => Err(Error::Closed),
        }
    }

    fn transmit<'m>(
        &self,
        encode: impl FnOnce(&mut Parts<'_, '_, Counted>) -> Result<Chunks<'m>>,
    ) -> Result<()> {
        assert!(self.open.get(), "something is sent on a closed connection");
        let chunks = self.step(encode)?;
        chunks.pieces().for_each(|piece| self.sent.borrow_mut().extend_from_slice(piece));
        Ok(())
    }

    fn transmit_bytes(&self, pieces: &[&[u8]]) -> Result<()> {
        pieces.iter().for_each(|piece| self.sent.borrow_mut().extend_from_slice(piece));
        Ok(())
    }

    fn is_open(&self) -> bool {
        self.open.get()
    }

    fn close(&self) {
        if self.open.get() {
            close_politely(self);
        }
        self.give_up();
    }

    fn give_up(&self) {
        self.open.set(false);
        self.step(|parts| parts.state.playing = false);
    }
}

/// A body that counts its memory, all bodies of the thread together.
#[derive(Debug, Default)]
pub struct Counted(Vec<u8>);

thread_local! {
    static RESERVED: Cell<usize> = const { Cell::new(0) };
}

impl Counted {
    /// Bytes that all bodies of this thread have reserved.
    pub fn reserved() -> usize {
        RESERVED.get()
    }
}

impl AsRef<[u8]> for Counted {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

impl AsMut<[u8]> for Counted {
    fn as_mut(&mut self) -> &mut [u8] {
        &mut self.0
    }
}

impl Body for Counted {
    fn reserve_total(&mut self, capacity: usize) -> Result<()> {
        let before = self.0.capacity();
        self.0.reserve_total(capacity)?;
        RESERVED.set(RESERVED.get() + self.0.capacity() - before);
        assert!(RESERVED.get() <= MOST_RESERVED, "{} bytes are reserved", RESERVED.get());
        Ok(())
    }

    fn capacity(&self) -> usize {
        self.0.capacity()
    }

    fn append(&mut self, bytes: &[u8]) {
        assert!(self.0.len() + bytes.len() <= self.0.capacity(), "no room was made");
        self.0.extend_from_slice(bytes);
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        RESERVED.set(RESERVED.get() - self.0.capacity());
    }
}

/// What the decoder may hold, and on top of it a message that is being looked at and one that is kept back.
const MOST_RESERVED: usize = rtmp_core::chunk::MAX_UNFINISHED + (2 << 24) + (1 << 18);
