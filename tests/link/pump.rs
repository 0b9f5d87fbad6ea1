//! Moves bytes through links, as an event loop would.

use std::{
    io::IoSlice,
    time::{Duration, Instant},
};

use rtmp_core::{
    error::{Error, Result},
    net::{Link, Received, Wanted, wait},
};

/// The time limit of every test.
const GUARD: Duration = Duration::from_secs(60);

/// Waits until the link has something to do.
pub fn pause(link: &Link, wanted: Wanted, guard: Instant) {
    let mut interests = Vec::new();
    link.interests(wanted, &mut interests);
    let deadline = link.deadline().map_or(guard, |deadline| deadline.min(guard));
    assert!(Instant::now() < guard, "the link gets nowhere");
    wait(&interests, Some(deadline)).expect("sockets can be waited for");
}

/// Steps the link until `done`.
pub fn until(link: &mut Link, wanted: Wanted, done: impl Fn(&Link) -> bool) -> Result<()> {
    let guard = Instant::now() + GUARD;
    loop {
        link.step(Instant::now())?;
        if done(link) {
            return Ok(());
        }
        pause(link, wanted, guard);
    }
}

pub fn open(link: &mut Link) -> Result<()> {
    until(link, Wanted::default(), Link::is_open)
}

/// Says goodbye and waits for the end.
pub fn finish(link: &mut Link) {
    link.finish(Instant::now());
    until(link, Wanted::default(), Link::is_finished).expect("a goodbye does not fail");
}

/// The result of one receive.
pub fn receive(link: &mut Link, buffer: &mut [u8]) -> Result<Received> {
    let guard = Instant::now() + GUARD;
    loop {
        let now = Instant::now();
        link.step(now)?;
        match link.receive(buffer, now)? {
            Received::Nothing => pause(link, Wanted { read: true, write: false }, guard),
            received => return Ok(received),
        }
    }
}

/// Everything up to the end.
pub fn receive_all(link: &mut Link) -> Result<Vec<u8>> {
    let mut all = Vec::new();
    let mut buffer = [0; 3000];
    loop {
        match receive(link, &mut buffer)? {
            Received::Bytes(count) => all.extend_from_slice(&buffer[..count]),
            Received::Nothing | Received::End => return Ok(all),
        }
    }
}

/// Sends `outgoing` while `expected` bytes arrive, both as far as possible; returns the received bytes.
pub fn exchange(link: &mut Link, outgoing: &[u8], expected: usize) -> Result<Vec<u8>> {
    let guard = Instant::now() + GUARD;
    let mut transfer = Transfer::new(outgoing, expected);
    loop {
        link.step(Instant::now())?;
        while transfer.advance(link)? {}
        if transfer.is_complete() && link.unsent() == 0 {
            return Ok(transfer.received);
        }
        pause(link, transfer.wanted(), guard);
    }
}

/// Two links that exchange bytes with each other, in one thread.
pub fn exchange_between(links: [&mut Link; 2], outgoing: [&[u8]; 2]) -> Result<[Vec<u8>; 2]> {
    let guard = Instant::now() + GUARD;
    let [one, other] = links;
    let mut transfers =
        [Transfer::new(outgoing[0], outgoing[1].len()), Transfer::new(outgoing[1], outgoing[0].len())];
    loop {
        let mut interests = Vec::new();
        let mut deadline = guard;
        for (link, transfer) in [&mut *one, &mut *other].into_iter().zip(&mut transfers) {
            link.step(Instant::now())?;
            while transfer.advance(link)? {}
            link.interests(transfer.wanted(), &mut interests);
            deadline = link.deadline().map_or(deadline, |own| own.min(deadline));
        }
        if transfers.iter().all(Transfer::is_complete) && one.unsent() + other.unsent() == 0 {
            return Ok(transfers.map(|transfer| transfer.received));
        }
        assert!(Instant::now() < guard, "the links get nowhere");
        wait(&interests, Some(deadline)).expect("sockets can be waited for");
    }
}

struct Transfer<'a> {
    outgoing: &'a [u8],
    received: Vec<u8>,
    expected: usize,
    calls: usize,
}

impl<'a> Transfer<'a> {
    fn new(outgoing: &'a [u8], expected: usize) -> Self {
        Self { outgoing, received: Vec::new(), expected, calls: 0 }
    }

    /// One call each way; whether that moved any bytes.
    fn advance(&mut self, link: &mut Link) -> Result<bool> {
        let now = Instant::now();
        let mut moved = false;
        if !self.outgoing.is_empty() {
            // Pieces of many lengths.
            self.calls += 1;
            let piece = 1 + self.calls * 211 % 9000;
            let pieces: Vec<IoSlice<'_>> = self.outgoing.chunks(piece).take(2000).map(IoSlice::new).collect();
            let taken = link.send(&pieces, now)?;
            self.outgoing = &self.outgoing[taken..];
            moved = taken > 0;
        }
        if self.received.len() < self.expected {
            let mut buffer = [0; 20_000];
            match link.receive(&mut buffer, now)? {
                Received::Bytes(count) => {
                    self.received.extend_from_slice(&buffer[..count]);
                    moved = true;
                }
                Received::Nothing => {}
                Received::End => return Err(Error::Closed),
            }
        }
        Ok(moved)
    }

    fn wanted(&self) -> Wanted {
        Wanted { read: self.received.len() < self.expected, write: !self.outgoing.is_empty() }
    }

    fn is_complete(&self) -> bool {
        self.outgoing.is_empty() && self.received.len() >= self.expected
    }
}

/// Bytes in which each part is different.
pub fn pattern(len: usize, seed: u32) -> Vec<u8> {
    let mut state = seed;
    let next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 24) as u8
    };
    std::iter::repeat_with(next).take(len).collect()
}
