//! What happens in a simulation, apart from what chance does on the way.

use super::{
    dice::Dice,
    media::{self, Item},
    network::{Faults, MILLISECOND, SECOND, Time},
};

pub const CLIENT: usize = 0;
pub const SERVER: usize = 1;

/// What lies between the sessions and the network.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Protocol {
    Plain,
    /// The handshake carries digests, and the client knows a SWF file.
    Signed,
    Encrypted,
    /// HTTP requests carry the bytes.
    Tunnelled,
    Tls,
}

/// Where a server refuses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    Connection,
    Stream,
}

/// How a stream ends, after so many messages at the end that decides it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    /// All messages were sent.
    Complete,
    ClientCloses(usize),
    /// The server closes the connection without a word.
    ServerCloses(usize),
    /// The server tells the client to close.
    ServerAsksToClose(usize),
}

#[derive(Debug)]
pub struct Plan {
    pub protocol: Protocol,
    pub publishes: bool,
    pub items: Vec<Item>,
    /// The sender changes its chunk size to these on the way.
    pub chunk_sizes: &'static [u32],
    pub refusal: Option<Refusal>,
    /// The server wants the publisher to log in.
    pub logs_in: bool,
    /// The server never answers this.
    pub unanswered: Option<Refusal>,
    pub ending: Ending,
    /// How many timeouts the client outlasts.
    pub patience: u32,
    /// How many messages each end sends that are not part of the stream.
    pub noise: [u32; 2],
    /// Whether acknowledgements are due after few bytes; one end only, or they would be acknowledged forever.
    pub impatient: Option<usize>,
    /// The client pauses and seeks so often.
    pub controls: u32,
    /// The server's buffer runs empty now and then, and the client pauses for it.
    pub buffer_events: bool,
    /// How much may be queued at each end before its application sends more.
    pub high_water: [usize; 2],
    /// How much each end reads at once.
    pub most_read: [usize; 2],
    /// When each end does not read.
    pub deaf: [Option<(Time, Time)>; 2],
    pub capacity: [usize; 2],
    pub faults: [Faults; 2],
    pub timeout: Time,
}

impl Plan {
    pub fn new(dice: &mut Dice) -> Self {
        let protocol = match dice.below(100) {
            0 => Protocol::Encrypted,
            1 | 2 => Protocol::Tls,
            3..=20 => Protocol::Signed,
            21..=30 => Protocol::Tunnelled,
            _ => Protocol::Plain,
        };
        let publishes = dice.once_in(2);
        let buffer_events = !publishes && dice.once_in(6);
        // Chunks of a byte or two are for short messages only, or they would take all the time.
        let tiny_chunks = dice.once_in(8);
        let count = match dice.below(10) {
            0 => 0,
            1 => dice.up_to(200),
            _ => dice.up_to(20),
        };
        let items = media::items(dice, count, buffer_events, if tiny_chunks { 2000 } else { usize::MAX });
        let flood = dice.once_in(60);
        let noise = [0, 1].map(|_| match dice.below(4) {
            0 if flood => 500 + dice.below(3000) as u32,
            0 | 1 => dice.below(30) as u32,
            _ => 0,
        });
        // Long streams do not pass in the smallest pieces, or they would take all the time.
        let bytes = 3073
            + items.iter().map(|item| item.body.len()).sum::<usize>()
            + 20 * noise[0].max(noise[1]) as usize;
        let after = dice.below(items.len() as u64 + 1) as usize;
        let mut plan = Self {
            protocol,
            publishes,
            items,
            chunk_sizes: match dice.below(3) {
                _ if tiny_chunks => &[1, 2, 3, 64, 127, 128, 129],
                0 => &[127, 128, 129, 1000, 4096, 65_536, 0x7FFF_FFFF],
                _ => &[],
            },
            refusal: None,
            logs_in: false,
            unanswered: None,
            ending: Ending::Complete,
            patience: u32::MAX,
            noise,
            impatient: dice.pick(&[None, None, Some(CLIENT), Some(SERVER)]),
            controls: if dice.once_in(4) { dice.below(5) as u32 } else { 0 },
            buffer_events,
            high_water: [0, 1].map(|_| dice.pick(&[0, 0, 1000, 100_000, 300_000])),
            most_read: [0, 1].map(|_| amount(dice).max(bytes / 200)),
            deaf: [None, None],
            capacity: [0, 1].map(|_| amount(dice).max(bytes / 200)),
            faults: [faults(dice), faults(dice)],
            timeout: 10 * SECOND,
        };
        for (faults, capacity) in plan.faults.iter_mut().zip(plan.capacity) {
            if capacity < 1000 {
                // Little room and a long way would take hours.
                (faults.latency, faults.jitter) = (50, 100);
            }
        }
        match dice.below(24) {
            0 => plan.refusal = Some(dice.pick(&[Refusal::Connection, Refusal::Stream])),
            1 => plan.logs_in = publishes,
            2 => {
                plan.unanswered = Some(dice.pick(&[Refusal::Connection, Refusal::Stream]));
                plan.patience = dice.below(3) as u32;
            }
            3 => plan.ending = Ending::ClientCloses(after),
            4 => plan.ending = Ending::ServerCloses(after),
            5 => plan.ending = Ending::ServerAsksToClose(after),
            6 => plan.patience = dice.below(3) as u32,
            7 => plan.faults[dice.below(2) as usize].cut = Some(dice.below(10_000)),
            8 => plan.faults[dice.below(2) as usize].damage = Some(dice.below(10_000)),
            9 => {
                let begin = dice.below(200) * MILLISECOND;
                let end = if dice.once_in(4) { Time::MAX } else { begin + dice.below(100 * SECOND) };
                plan.deaf[dice.below(2) as usize] = Some((begin, end));
            }
            _ => {}
        }
        plan
    }

    /// Whether a byte changes on the way. Then anything may come of it.
    pub fn is_damaged(&self) -> bool {
        self.faults.iter().any(|faults| faults.damage.is_some())
    }

    /// Whether something other than its regular end may end the stream.
    pub fn is_disturbed(&self) -> bool {
        self.is_damaged()
            || self.faults.iter().any(|faults| faults.cut.is_some())
            || self.unanswered.is_some()
            || self.patience < u32::MAX
            || self.deaf.iter().flatten().any(|deaf| deaf.1 == Time::MAX)
    }
}

/// How many bytes go at once: seldom few, or everything would take long.
fn amount(dice: &mut Dice) -> usize {
    match dice.below(40) {
        0 => dice.pick(&[1, 7]),
        1..=3 => 100,
        _ => dice.pick(&[1000, 1537, 4096, 65_536, 1 << 20]),
    }
}

fn faults(dice: &mut Dice) -> Faults {
    let latency = dice.pick(&[0, 0, 50, 5 * MILLISECOND, 200 * MILLISECOND]);
    let count = if dice.once_in(3) { 1 + dice.below(3) } else { 0 };
    let mut at = 0;
    let mut stall = |_| {
        at += dice.below(8000);
        let longest = if dice.once_in(2) { SECOND } else { 30 * SECOND };
        (at, dice.below(longest))
    };
    let stalls = (0..count).map(&mut stall).collect();
    Faults { latency, jitter: latency * 2, stalls, cut: None, damage: None }
}
