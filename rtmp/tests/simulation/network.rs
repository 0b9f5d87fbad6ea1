//! One direction of a connection: bytes in order, late, in pieces, and perhaps not all of them.

use std::collections::VecDeque;

use super::dice::Dice;

/// Microseconds since the beginning of a simulation.
pub type Time = u64;

pub const MILLISECOND: Time = 1000;
pub const SECOND: Time = 1_000_000;

/// What a direction does to the bytes.
#[derive(Debug, Clone, Default)]
pub struct Faults {
    /// How long bytes travel, at least.
    pub latency: Time,
    /// And by how much longer, at most.
    pub jitter: Time,
    /// Where the direction stands still, in bytes from its beginning, and for how long.
    pub stalls: Vec<(u64, Time)>,
    /// Where the connection breaks.
    pub cut: Option<u64>,
    /// Where a byte changes.
    pub damage: Option<u64>,
}

/// One direction of a connection.
pub struct Pipe {
    faults: Faults,
    capacity: usize,
    pieces: VecDeque<(Time, Vec<u8>)>,
    /// How much of the first piece was read.
    used: usize,
    held: usize,
    written: u64,
    last_arrival: Time,
    /// When the reader meets the end, behind all bytes.
    end: Option<Time>,
    broken: bool,
    /// Nobody reads any more. What is written gets lost.
    abandoned: bool,
}

impl Pipe {
    pub fn new(faults: Faults, capacity: usize) -> Self {
        Self {
            faults,
            capacity,
            pieces: VecDeque::new(),
            used: 0,
            held: 0,
            written: 0,
            last_arrival: 0,
            end: None,
            broken: false,
            abandoned: false,
        }
    }

    /// Takes the beginning of `bytes`, and returns how much.
    pub fn write(&mut self, bytes: &[u8], now: Time, dice: &mut Dice) -> usize {
        if self.abandoned || self.end.is_some() {
            return bytes.len();
        }
        let mut count = bytes.len().min(self.capacity - self.held);
        if count == 0 {
            return 0;
        }
        if dice.once_in(4) {
            count = dice.up_to(count);
        }
        let mut piece = bytes[..count].to_vec();
        let mut arrival = now + self.faults.latency;
        if self.faults.jitter > 0 {
            arrival += dice.below(self.faults.jitter);
        }
        let end = self.written + count as u64;
        let stall = self.faults.stalls.first().copied();
        if let Some((_, pause)) = stall.filter(|(at, _)| *at < end) {
            self.faults.stalls.remove(0);
            arrival += pause;
        }
        self.last_arrival = self.last_arrival.max(arrival);
        if let Some(at) = self.faults.damage.filter(|at| (self.written..end).contains(at)) {
            piece[(at - self.written) as usize] ^= dice.up_to(255) as u8;
        }
        if let Some(at) = self.faults.cut.filter(|at| *at < end) {
            piece.truncate((at - self.written) as usize);
            self.end = Some(self.last_arrival);
            self.broken = true;
        }
        self.written = end;
        if !piece.is_empty() {
            self.held += piece.len();
            self.pieces.push_back((self.last_arrival, piece));
        }
        count
    }

    /// Whether a byte may be written.
    pub fn has_room(&self) -> bool {
        self.abandoned || self.end.is_some() || self.held < self.capacity
    }

    pub fn is_readable(&self, now: Time) -> bool {
        self.pieces.front().is_some_and(|piece| piece.0 <= now)
    }

    /// Reads up to `most` of the bytes that have arrived.
    pub fn read(&mut self, most: usize, now: Time) -> Vec<u8> {
        let mut bytes = Vec::new();
        while bytes.len() < most {
            let Some((arrival, piece)) = self.pieces.front() else { break };
            if *arrival > now {
                break;
            }
            let rest = &piece[self.used..];
            let count = rest.len().min(most - bytes.len());
            bytes.extend_from_slice(&rest[..count]);
            self.used += count;
            if self.used == piece.len() {
                self.pieces.pop_front();
                self.used = 0;
            }
        }
        self.held -= bytes.len();
        bytes
    }

    /// Whether all was read that will ever come.
    pub fn has_ended(&self, now: Time) -> bool {
        self.pieces.is_empty() && self.end.is_some_and(|end| end <= now)
    }

    /// When something happens next.
    pub fn next_arrival(&self) -> Option<Time> {
        self.pieces.front().map(|piece| piece.0).or(self.end)
    }

    /// Nothing more is written.
    pub fn shut(&mut self, now: Time) {
        if self.end.is_none() {
            self.end = Some(self.last_arrival.max(now + self.faults.latency));
        }
    }

    /// The other direction has broken. What is on its way arrives or not.
    pub fn break_off(&mut self, now: Time, dice: &mut Dice) {
        if self.end.is_some() {
            return;
        }
        if dice.once_in(2) {
            let keep = dice.below(self.pieces.len() as u64 + 1) as usize;
            self.pieces.truncate(keep);
            if keep == 0 {
                self.used = 0;
            }
            self.held = self.pieces.iter().map(|piece| piece.1.len()).sum::<usize>() - self.used;
        }
        self.shut(now);
        self.broken = true;
    }

    pub fn is_broken(&self) -> bool {
        self.broken
    }

    /// Nobody reads any more.
    pub fn abandon(&mut self) {
        self.abandoned = true;
        self.pieces.clear();
        (self.used, self.held) = (0, 0);
    }
}
