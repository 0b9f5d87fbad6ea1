//! A bad network: a relay that splits, joins, delays and cuts what passes, as a seed says.
//!
//! It is still TCP: the bytes of one direction stay in their order, and none are lost unless the connection is. What can
//! come in another order is what passes in the two directions, and the HTTP requests of two connections.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use socket2::SockRef;

/// Numbers that look random and follow from a seed (SplitMix64).
#[derive(Clone, Debug)]
pub struct Dice(u64);

impl Dice {
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub fn roll(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ z >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ z >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ z >> 31
    }

    /// A number below `end`.
    pub fn below(&mut self, end: u64) -> u64 {
        self.roll() % end.max(1)
    }

    /// True once in `n` times.
    pub fn one_in(&mut self, n: u64) -> bool {
        self.below(n) == 0
    }

    /// A number from 1 to 2^`bits`, small ones as often as large ones.
    pub fn any_size(&mut self, bits: u64) -> usize {
        let highest = 1 << self.below(bits + 1);
        (1 + self.below(highest)) as usize
    }

    /// One of these.
    pub fn choose<T: Copy>(&mut self, from: &[T]) -> T {
        from[self.below(from.len() as u64) as usize]
    }

    /// Another series that follows from this one.
    pub fn fork(&mut self) -> Self {
        Self(self.roll())
    }
}

/// What happens to the connections through a relay.
#[derive(Clone, Debug, Default)]
pub struct Faults {
    /// Forwarded in pieces of any size, most of them small.
    pub splits: bool,
    /// Held back until much has come or nothing more comes, and forwarded at once.
    pub joins: bool,
    /// Held back for some milliseconds, now and then for longer.
    pub delays: bool,
    /// Only one direction moves at a time, so that questions and answers pass in another order.
    pub turns: bool,
    /// Nothing is read for a while: the sender's window closes.
    pub stalls: bool,
    /// The connection ends in the middle.
    pub cut: Option<Cut>,
    /// After so many bytes, once: the client's connection ends, and what had been received from it continues its way later,
    /// when the client may be on its next connection and further. Only HTTP has that.
    pub overtakes: Option<u64>,
}

/// An end in the middle.
#[derive(Clone, Copy, Debug)]
pub struct Cut {
    /// How many bytes pass before, both directions together, over all connections since the faults were set.
    pub after: u64,
    /// With a reset, which destroys what is on the way, or an orderly close.
    pub reset: bool,
}

impl Faults {
    /// A mixture; `likely_bytes` is how many a session has, and where cuts fall.
    pub fn choose(dice: &mut Dice, likely_bytes: u64) -> Self {
        Self {
            splits: dice.one_in(3),
            joins: dice.one_in(4),
            delays: dice.one_in(4),
            turns: dice.one_in(4),
            stalls: dice.one_in(6),
            cut: dice.one_in(6).then(|| Cut { after: dice.below(likely_bytes), reset: dice.one_in(2) }),
            overtakes: dice.one_in(4).then(|| dice.below(likely_bytes)),
        }
    }

    /// The names of what is chosen.
    pub fn kinds(&self) -> Vec<&'static str> {
        let cut = self.cut.map_or("", |cut| if cut.reset { "resets" } else { "closes" });
        [
            (self.splits, "splits"),
            (self.joins, "joins"),
            (self.delays, "delays"),
            (self.turns, "turns"),
            (self.stalls, "stalls"),
            (self.cut.is_some(), cut),
            (self.overtakes.is_some(), "overtakes"),
        ]
        .into_iter()
        .filter_map(|(chosen, name)| chosen.then_some(name))
        .collect()
    }
}

/// The relay.
pub struct BadNetwork {
    pub port: u16,
    weather: Arc<Mutex<Weather>>,
    passed: Arc<AtomicU64>,
}

/// What new connections meet.
struct Weather {
    behind: u16,
    faults: Faults,
    dice: Dice,
    state: Arc<State>,
}

/// What the connections since the last change of faults share.
#[derive(Default)]
struct State {
    passed: AtomicU64,
    was_cut: AtomicBool,
    was_overtaken: AtomicBool,
}

impl BadNetwork {
    /// Relays to a port of this machine, as long as the process lives; at first without faults.
    pub fn in_front_of(behind: u16) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).expect("loopback has a free port");
        let port = listener.local_addr().expect("a bound socket has an address").port();
        let weather =
            Weather { behind, faults: Faults::default(), dice: Dice::new(0), state: Arc::default() };
        let weather = Arc::new(Mutex::new(weather));
        let passed = Arc::<AtomicU64>::default();
        let (all, total) = (weather.clone(), passed.clone());
        thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let mut weather = all.lock().expect("nobody panics holding this lock");
                let Ok(server) = TcpStream::connect(("127.0.0.1", weather.behind)) else { continue };
                let link = Link {
                    overtaken: Arc::default(),
                    faults: weather.faults.clone(),
                    state: weather.state.clone(),
                    total: total.clone(),
                    turn: Arc::new(Turn { began: Instant::now(), length: 1 + weather.dice.below(20) }),
                };
                link.clone().forward(&client, &server, weather.dice.fork(), 0);
                link.forward(&server, &client, weather.dice.fork(), 1);
            }
        });
        Self { port, weather, passed }
    }

    /// What the next connections meet, and where they lead.
    pub fn change(&self, behind: u16, faults: Faults, dice: Dice) {
        let mut weather = self.weather.lock().expect("nobody panics holding this lock");
        *weather = Weather { behind, faults, dice, state: Arc::default() };
    }

    /// Whether the network has lost something since the last change.
    pub fn has_cut(&self) -> bool {
        let weather = self.weather.lock().expect("nobody panics holding this lock");
        weather.state.was_cut.load(Ordering::SeqCst) || weather.state.was_overtaken.load(Ordering::SeqCst)
    }

    /// The names of what has happened since the last change, as far as it is known, or may have.
    pub fn kinds(&self) -> Vec<&'static str> {
        let weather = self.weather.lock().expect("nobody panics holding this lock");
        let mut faults = weather.faults.clone();
        faults.cut = faults.cut.filter(|_| weather.state.was_cut.load(Ordering::SeqCst));
        faults.overtakes = faults.overtakes.filter(|_| weather.state.was_overtaken.load(Ordering::SeqCst));
        faults.kinds()
    }

    /// How many bytes have passed in all.
    pub fn passed(&self) -> u64 {
        self.passed.load(Ordering::Relaxed)
    }
}

/// One connection.
#[derive(Clone)]
struct Link {
    /// Whether this is the connection that the client has lost, see [`Faults::overtakes`].
    overtaken: Arc<AtomicBool>,
    faults: Faults,
    state: Arc<State>,
    total: Arc<AtomicU64>,
    turn: Arc<Turn>,
}

impl Link {
    fn forward(self, from: &TcpStream, to: &TcpStream, dice: Dice, direction: u64) {
        let clone = |stream: &TcpStream| stream.try_clone().expect("sockets can be shared");
        let (mut from, mut to) = (clone(from), clone(to));
        let _ = to.set_nodelay(true);
        thread::spawn(move || {
            let whole = self.run(&mut from, &mut to, dice, direction).is_ok();
            let reset = self.faults.cut.is_some_and(|cut| cut.reset);
            // Wakes the other direction; a socket that will be reset must not be shut down first.
            let how = if reset && self.state.was_cut.load(Ordering::SeqCst) {
                [Shutdown::Read; 2]
            } else if whole {
                [Shutdown::Read, Shutdown::Write]
            } else {
                [Shutdown::Both; 2]
            };
            let _ = to.shutdown(how[1]);
            let _ = from.shutdown(how[0]);
        });
    }

    /// Forwards up to the end; an error when it came too early.
    fn run(
        &self,
        from: &mut TcpStream,
        to: &mut TcpStream,
        mut dice: Dice,
        direction: u64,
    ) -> std::io::Result<()> {
        let mut block = vec![0; 65536];
        loop {
            let count = self.collect(from, &mut block)?;
            if count == 0 {
                return Ok(());
            }
            if self.faults.stalls && dice.one_in(64) {
                thread::sleep(Duration::from_millis(dice.below(500)));
            }
            if self.faults.delays {
                let most = if dice.one_in(50) { 200 } else { 4 };
                thread::sleep(Duration::from_millis(dice.below(most)));
            }
            let mut rest = &block[..count];
            while !rest.is_empty() {
                let piece = if self.faults.splits { dice.any_size(13).min(rest.len()) } else { rest.len() };
                if self.faults.turns {
                    self.turn.wait(direction);
                }
                let piece = self.cut(piece, from, to)?;
                if self.is_overtaken(if direction == 0 { from } else { to }) {
                    if direction == 0 {
                        thread::sleep(Duration::from_millis(20 + dice.below(400)));
                        return to.write_all(rest);
                    }
                    // Nobody waits for the replies.
                    while from.read(&mut block)? > 0 {}
                    return Ok(());
                }
                to.write_all(&rest[..piece])?;
                self.total.fetch_add(piece as u64, Ordering::Relaxed);
                rest = &rest[piece..];
            }
        }
    }

    /// Whether the client has lost this connection, and continues with another one.
    fn is_overtaken(&self, client: &TcpStream) -> bool {
        let due = self.faults.overtakes.is_some_and(|after| self.state.passed.load(Ordering::SeqCst) > after);
        if due && !self.state.was_overtaken.swap(true, Ordering::SeqCst) {
            self.overtaken.store(true, Ordering::SeqCst);
            let _ = client.shutdown(Shutdown::Both);
        }
        self.overtaken.load(Ordering::SeqCst)
    }

    /// Reads what is there, or waits for more of it.
    fn collect(&self, from: &mut TcpStream, block: &mut [u8]) -> std::io::Result<usize> {
        let mut count = from.read(block)?;
        if self.faults.joins && count > 0 {
            from.set_read_timeout(Some(Duration::from_millis(8)))?;
            while let Ok(more @ 1..) = from.read(&mut block[count..]) {
                count += more;
            }
            from.set_read_timeout(None)?;
        }
        Ok(count)
    }

    /// How much of a piece may pass before the cut; an error when that was made.
    fn cut(&self, piece: usize, from: &TcpStream, to: &TcpStream) -> std::io::Result<usize> {
        let before = self.state.passed.fetch_add(piece as u64, Ordering::SeqCst);
        let Some(cut) = self.faults.cut else { return Ok(piece) };
        let left = cut.after.saturating_sub(before);
        if left > 0 {
            return Ok(piece.min(left as usize));
        }
        self.state.was_cut.store(true, Ordering::SeqCst);
        if cut.reset {
            for side in [from, to] {
                let _ = SockRef::from(side).set_linger(Some(Duration::ZERO));
            }
        }
        Err(std::io::ErrorKind::ConnectionAborted.into())
    }
}

/// Whose turn it is.
struct Turn {
    began: Instant,
    /// Milliseconds of a turn.
    length: u64,
}

impl Turn {
    fn wait(&self, direction: u64) {
        loop {
            let passed = self.began.elapsed().as_millis() as u64;
            if passed / self.length % 2 == direction {
                return;
            }
            thread::sleep(Duration::from_millis(self.length - passed % self.length));
        }
    }
}
