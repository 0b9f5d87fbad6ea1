//! A bad network: a relay that splits, joins, delays and cuts the bytes, as determined by a seed.
//!
//! The connection is still TCP: the bytes of one direction keep their order, and are lost only with the connection. Only the
//! order between the two directions may change, and the order of HTTP requests on two connections.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use socket2::SockRef;

/// A pseudo-random number generator with a seed (SplitMix64).
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

    /// A number from 1 to 2^`bits`. Small numbers are as frequent as large ones.
    pub fn any_size(&mut self, bits: u64) -> usize {
        let highest = 1 << self.below(bits + 1);
        (1 + self.below(highest)) as usize
    }

    /// One of these.
    pub fn choose<T: Copy>(&mut self, from: &[T]) -> T {
        from[self.below(from.len() as u64) as usize]
    }

    /// Another series that this one determines.
    pub fn fork(&mut self) -> Self {
        Self(self.roll())
    }
}

/// The faults of the connections through a relay.
#[derive(Clone, Debug, Default)]
pub struct Faults {
    /// Forwarded in pieces of any size, most of them small.
    pub splits: bool,
    /// Delayed until many bytes have arrived or no more arrive, and forwarded at once.
    pub joins: bool,
    /// Delayed by some milliseconds, sometimes longer.
    pub delays: bool,
    /// Only one direction moves at a time, so that requests and answers pass in another order.
    pub turns: bool,
    /// Nothing is read for a while, so that the sender's window closes.
    pub stalls: bool,
    /// The connection ends early.
    pub cut: Option<Cut>,
    /// After this many bytes, once: the client's connection ends, and the bytes received from it are
    /// forwarded later, when the client may already use its next connection. Only for HTTP.
    pub overtakes: Option<u64>,
}

/// An early end of a connection.
#[derive(Clone, Copy, Debug)]
pub struct Cut {
    /// The number of bytes that pass before, in both directions, over all connections since the faults were set.
    pub after: u64,
    /// With a reset, which destroys bytes in transit, or an orderly close.
    pub reset: bool,
}

impl Faults {
    /// A random mixture; `likely_bytes` is the length of a session, in which cuts happen.
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

    /// The names of the chosen faults.
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
    /// Some processors of 32 bits have no larger atomic numbers.
    passed: Arc<AtomicUsize>,
}

/// The faults for new connections.
struct Weather {
    behind: u16,
    faults: Faults,
    dice: Dice,
    state: Arc<State>,
}

/// Shared by the connections since the last change of faults.
#[derive(Default)]
struct State {
    passed: AtomicUsize,
    was_cut: AtomicBool,
    was_overtaken: AtomicBool,
}

impl BadNetwork {
    /// Relays to a port of this machine, as long as the process runs; at first without faults.
    pub fn in_front_of(behind: u16) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).expect("loopback has a free port");
        let port = listener.local_addr().expect("a bound socket has an address").port();
        let weather =
            Weather { behind, faults: Faults::default(), dice: Dice::new(0), state: Arc::default() };
        let weather = Arc::new(Mutex::new(weather));
        let passed = Arc::<AtomicUsize>::default();
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

    /// Sets the faults and the target of the next connections.
    pub fn change(&self, behind: u16, faults: Faults, dice: Dice) {
        let mut weather = self.weather.lock().expect("nobody panics holding this lock");
        *weather = Weather { behind, faults, dice, state: Arc::default() };
    }

    /// Whether the network has lost something since the last change.
    pub fn has_cut(&self) -> bool {
        let weather = self.weather.lock().expect("nobody panics holding this lock");
        weather.state.was_cut.load(Ordering::SeqCst) || weather.state.was_overtaken.load(Ordering::SeqCst)
    }

    /// The names of the faults since the last change, as far as they are known.
    pub fn kinds(&self) -> Vec<&'static str> {
        let weather = self.weather.lock().expect("nobody panics holding this lock");
        let mut faults = weather.faults.clone();
        faults.cut = faults.cut.filter(|_| weather.state.was_cut.load(Ordering::SeqCst));
        faults.overtakes = faults.overtakes.filter(|_| weather.state.was_overtaken.load(Ordering::SeqCst));
        faults.kinds()
    }

    /// The total number of forwarded bytes.
    pub fn passed(&self) -> u64 {
        self.passed.load(Ordering::Relaxed) as u64
    }
}

/// One connection.
#[derive(Clone)]
struct Link {
    /// Whether this is the connection that the client has lost, see [`Faults::overtakes`].
    overtaken: Arc<AtomicBool>,
    faults: Faults,
    state: Arc<State>,
    total: Arc<AtomicUsize>,
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

    /// Forwards up to the end; fails if the end came too early.
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
                    // Nothing waits for the replies.
                    while from.read(&mut block)? > 0 {}
                    return Ok(());
                }
                to.write_all(&rest[..piece])?;
                self.total.fetch_add(piece, Ordering::Relaxed);
                rest = &rest[piece..];
            }
        }
    }

    /// Whether the client has lost this connection, and continues with another one.
    fn is_overtaken(&self, client: &TcpStream) -> bool {
        let due = self
            .faults
            .overtakes
            .is_some_and(|after| self.state.passed.load(Ordering::SeqCst) as u64 > after);
        if due && !self.state.was_overtaken.swap(true, Ordering::SeqCst) {
            self.overtaken.store(true, Ordering::SeqCst);
            let _ = client.shutdown(Shutdown::Both);
        }
        self.overtaken.load(Ordering::SeqCst)
    }

    /// Reads the available bytes, or waits for more.
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

    /// The number of bytes of a piece that may pass before the cut; an error after the cut.
    fn cut(&self, piece: usize, from: &TcpStream, to: &TcpStream) -> std::io::Result<usize> {
        let before = self.state.passed.fetch_add(piece, Ordering::SeqCst) as u64;
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

/// The direction that may move.
struct Turn {
    began: Instant,
    /// The length of a turn in milliseconds.
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
