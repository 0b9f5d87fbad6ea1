//! A session in memory, and bodies whose memory is counted.

#![forbid(unsafe_code)]

use std::{cell::Cell, time::Instant, vec};

use rtmp_core::{
    error::{Error, Result},
    message::{Body, Message},
    session::{Event, Profile, Received, Session},
};

/// What the peer sends comes in pieces, after which it closes; what is sent is kept.
pub struct Memory<'b> {
    pub session: Session<Counted>,
    pub wishes: (Profile<'static>, Vec<(Vec<u8>, i32)>),
    arriving: vec::IntoIter<&'b [u8]>,
    input: Vec<u8>,
    /// How much of the input was used.
    used: usize,
    /// Everything that was sent.
    pub sent: Vec<u8>,
    pub now: Instant,
    steps: usize,
    most_steps: usize,
}

impl<'b> Memory<'b> {
    /// A session for which `pieces` will arrive. An empty one stands for a time-out.
    pub fn new(session: Session<Counted>, profile: Profile<'static>, pieces: Vec<&'b [u8]>) -> Self {
        let len: usize = pieces.iter().map(|piece| piece.len() + 1).sum();
        Self {
            session,
            wishes: (profile, Vec::new()),
            arriving: pieces.into_iter(),
            input: Vec::new(),
            used: 0,
            sent: Vec::new(),
            now: Instant::now(),
            steps: 0,
            // No message is shorter than a byte, and none needs many steps.
            most_steps: 1000 + 32 * len,
        }
    }

    /// Waits for the next thing that happens.
    pub fn next(&mut self) -> Result<Event<Counted>> {
        loop {
            let received = self.session.receive(&mut self.wishes, &mut self.input[self.used..], self.now);
            self.flush();
            let Received { used, event } = received?;
            self.used += used;
            match event {
                Some(event) => return Ok(event),
                None => self.fill()?,
            }
        }
    }

    /// Waits for the next message, and lets nothing react to it.
    pub fn next_message(&mut self) -> Result<Message<Counted>> {
        loop {
            let received = self.session.receive_chunk(&mut self.wishes, &self.input[self.used..]);
            self.flush();
            let (used, chunk) = received?;
            self.used += used;
            match chunk {
                Some(chunk) => {
                    if let Some(message) = chunk.message {
                        return Ok(message);
                    }
                }
                None => self.fill()?,
            }
        }
    }

    /// Takes what is to be sent.
    pub fn flush(&mut self) {
        self.sent.extend_from_slice(self.session.unsent());
        self.session.sent(self.session.queued());
        assert!(self.session.queued() == 0);
    }

    fn fill(&mut self) -> Result<()> {
        self.steps += 1;
        assert!(self.steps <= self.most_steps, "the session does not get on");
        match self.arriving.next() {
            Some([]) => Err(Error::TimedOut),
            Some(piece) => {
                self.input.drain(..std::mem::take(&mut self.used));
                let start = self.input.len();
                self.input.extend_from_slice(piece);
                self.session.decrypt(&mut self.input[start..]);
                Ok(())
            }
            None => Err(Error::Closed),
        }
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
