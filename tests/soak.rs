//! Sessions through a bad network, again and again: a publisher, our server and players of all protocols, every byte
//! compared with what was sent, and what the processes hold compared with what they held at first.
//!
//! `make soak TIME=600` runs it for ten minutes; with `SEED=` it makes the choices of an earlier run again.
#![forbid(unsafe_code)]

mod support;

use std::collections::BTreeMap;
use std::fmt::Write;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use support::certs::{Authority, Valid};
use support::examples::ExampleServer;
use support::fault::{BadNetwork, Dice, Faults};
use support::numbered::{Holdings, Numbered, Outcome, Worker};
use support::{Library, TempDir, library::ours_is_original, wait_until};

const PROTOCOLS: [&str; 6] = ["rtmp", "rtmpe", "rtmpt", "rtmpte", "rtmps", "rtmpts"];

/// Sessions at the same time, each with a publisher and so many players.
const LANES: u64 = 3;
const PLAYERS: usize = 3;

/// The longest that a client may take for anything: several of the time-outs that it is told.
const LIMIT: Duration = Duration::from_secs(120);
const TIMEOUT: u32 = 10;

/// How often memory is looked at; before the first look that counts, caches fill.
const ROUNDS: u32 = 6;
const WARM_UP: u32 = 2;

#[test]
fn sessions_through_a_bad_network_for_some_seconds() {
    soak(&Plan {
        time: Duration::from_secs(7),
        seed: seed().unwrap_or(1),
        cuts_http: false,
        tolerance: 8192,
    });
}

#[test]
#[ignore = "`make soak` runs it for as long as one wants"]
fn sessions_through_a_bad_network() {
    let seconds = std::env::var("SOAK_SECONDS").ok().and_then(|text| text.parse().ok()).unwrap_or(60);
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |time| time.as_micros() as u64);
    let seed = seed().unwrap_or(now % 1_000_000_007);
    soak(&Plan { time: Duration::from_secs(seconds), seed, cuts_http: true, tolerance: 3072 });
}

fn seed() -> Option<u64> {
    std::env::var("SEED").ok()?.parse().ok()
}

/// What to do.
struct Plan {
    time: Duration,
    seed: u64,
    /// Whether HTTP connections are cut, too. A server keeps their sessions for half a minute: the client may come back.
    cuts_http: bool,
    /// How much more memory of its own a process may hold at the end than after the warm-up, in kilobytes: what a few
    /// sessions leave behind here and there, which does not add up.
    tolerance: u64,
}

fn soak(plan: &Plan) {
    if ours_is_original() {
        return; // It has no RTMPT server, and hangs.
    }
    let seed = plan.seed;
    println!("seed {seed}");
    let folder = TempDir::new("soak");
    let authority = need!(Authority::new());
    let certificate = authority.issue("server", "IP:127.0.0.1", Valid::Now);
    let timeout = TIMEOUT.to_string();
    let options = ["-t", timeout.as_str()];
    // Memory that was freed goes back to the system, as far as that is possible, and is not kept for each thread.
    let frugal = [("MALLOC_ARENA_MAX", "1"), ("MALLOC_TRIM_THRESHOLD_", "65536")];
    let server =
        ExampleServer::start_with(Library::Ours, folder.path(), Some(&certificate), &options, &frugal);
    let server = need!(server);
    let trust = format!(" tlsCA={}", authority.certificate().display());
    let mut dice = Dice::new(seed);
    let mut lanes = Vec::new();
    for number in 0..LANES {
        lanes.push(need!(Lane::new(number, &mut dice)));
    }
    let site = Site { server, trust, cuts_http: plan.cuts_http };

    let report = Report::default();
    let mut processes = vec![Watched::new("the server", site.server.id())];
    for lane in &lanes {
        for (seat, name) in lane.seats.iter().zip(["publisher", "player", "player", "player"]) {
            processes.push(Watched::new(&format!("{name} of lane {}", lane.number), seat.worker.id()));
        }
    }
    let began = Instant::now();
    for round in 1..=ROUNDS {
        let end = began + plan.time * round / ROUNDS;
        thread::scope(|scope| {
            for lane in &mut lanes {
                scope.spawn(|| {
                    while Instant::now() < end && !report.is_enough() {
                        lane.session(&site, &report);
                    }
                });
            }
        });
        let rest = round == WARM_UP || round == ROUNDS;
        processes.iter_mut().for_each(|process| process.look(rest));
    }

    let found: Vec<String> = processes.iter().filter_map(|process| process.judge(plan.tolerance)).collect();
    println!("{}", report.summary(&lanes, &processes));
    let all = [report.failures(), found].concat();
    assert!(all.is_empty(), "seed {seed}:\n{all:#?}\n{}", tail(&site.server.log()));
}

/// What all sessions share.
struct Site {
    server: ExampleServer,
    /// The option that makes clients trust the server.
    trust: String,
    cuts_http: bool,
}

impl Site {
    fn port(&self, protocol: &str) -> u16 {
        if protocol.ends_with('s') { self.server.tls_port() } else { self.server.port() }
    }
}

/// The end of a log.
fn tail(log: &str) -> String {
    let lines: Vec<&str> = log.lines().collect();
    lines[lines.len().saturating_sub(40)..].join("\n")
}

/// A process of the project with a bad connection.
struct Seat {
    worker: Worker,
    network: BadNetwork,
}

/// One session after another.
struct Lane {
    number: u64,
    dice: Dice,
    sessions: u64,
    /// The publisher, then the players.
    seats: Vec<Seat>,
}

/// One client of a session.
#[derive(Debug)]
struct Part {
    protocol: &'static str,
    faults: Faults,
    url: String,
}

impl Lane {
    fn new(number: u64, dice: &mut Dice) -> Option<Self> {
        let mut seats = Vec::new();
        for _ in 0..=PLAYERS {
            let mut worker = Worker::start(Library::Ours)?;
            worker.set_timeout(TIMEOUT);
            seats.push(Seat { worker, network: BadNetwork::in_front_of(0) });
        }
        Some(Self { number, dice: dice.fork(), sessions: 0, seats })
    }

    /// A stream that is published and played, and what came of it.
    fn session(&mut self, site: &Site, report: &Report) {
        self.sessions += 1;
        // Each session has a series of its own: how the ones before it went does not change it.
        let mut dice = Dice::new(self.dice.clone().roll() ^ self.sessions);
        let stream = Numbered {
            id: dice.roll() as u32,
            tags: 20 + dice.below(600) as u32,
            start: dice.choose(&[0, 1000, 0xff_fe00, 0x7fff_f000, 0xffff_f000]),
            step: dice.choose(&[1, 13, 40, 70_000]),
        };
        let pace = Duration::from_micros(dice.choose(&[0, 0, 300, 2000]));
        let likely_bytes = u64::from(stream.tags) * 3000;
        let name = format!("live/{}-{}", self.number, self.sessions);
        let parts: Vec<Part> =
            self.seats.iter().map(|seat| seat.set(&mut dice, likely_bytes, site, &name)).collect();

        let mut outcomes = Vec::new();
        for (seat, part) in self.seats.iter_mut().zip(&parts).skip(1) {
            outcomes.push(seat.worker.play(&stream, &part.url, LIMIT).err());
        }
        let (publisher, players) = self.seats.split_first_mut().expect("a lane has a publisher");
        publisher.worker.publish(&stream, pace, &parts[0].url);
        let published = publisher.worker.outcome(LIMIT);
        let whole = !publisher.network.has_cut();
        if published == Outcome::Refused && !whole {
            // Players wait for a publisher as long as it takes.
            publisher.network.change(site.port(parts[0].protocol), Faults::default(), dice.fork());
            publisher.worker.publish(&stream, Duration::ZERO, &parts[0].url);
            let again = publisher.worker.outcome(LIMIT);
            if again != (Outcome::Published { tags: stream.tags, complete: true }) {
                report.fail(format!("session {name}, {stream:?}: the publisher {again:?}, {:?}", parts[0]));
            }
        }
        let played: Vec<Outcome> = players
            .iter_mut()
            .zip(outcomes)
            .map(|(seat, early)| early.unwrap_or_else(|| seat.worker.outcome(LIMIT)))
            .collect();

        let mut wrong = Vec::new();
        let Some(sent) = sent(&published, &stream, whole) else {
            report.fail(format!("session {name}, {stream:?}: the publisher {published:?}, {:?}", parts[0]));
            return;
        };
        for ((seat, outcome), part) in players.iter().zip(&played).zip(&parts[1..]) {
            if !is_right(outcome, &stream, whole && sent, !seat.network.has_cut()) {
                wrong.push(format!("session {name}, {stream:?}: {outcome:?}, {part:?}"));
            }
        }
        for failure in wrong {
            report.fail(format!("{failure}; the publisher {published:?}, {:?}", parts[0]));
        }
        report.count(self.seats.iter().zip(&parts), std::iter::once(&published).chain(&played), &stream);
    }
}

impl Seat {
    /// Chooses the way of a client.
    fn set(&self, dice: &mut Dice, bytes: u64, site: &Site, name: &str) -> Part {
        let protocol = dice.choose(&PROTOCOLS);
        let mut faults = Faults::choose(dice, bytes);
        faults.cut = faults.cut.filter(|_| site.cuts_http || !protocol.starts_with("rtmpt"));
        let secure = protocol.ends_with('s');
        self.network.change(site.port(protocol), faults.clone(), dice.fork());
        let trust = if secure { &site.trust } else { "" };
        Part { protocol, faults, url: format!("{protocol}://127.0.0.1:{}/{name}{trust}", self.network.port) }
    }
}

/// Whether everything that the publisher sent has arrived, which nobody knows of one whose connection was cut (not `whole`);
/// `None` if it did not send everything and should have.
fn sent(outcome: &Outcome, stream: &Numbered, whole: bool) -> Option<bool> {
    match outcome {
        Outcome::Published { tags, complete: true } if *tags == stream.tags => Some(whole),
        Outcome::Published { .. } | Outcome::Refused if !whole => Some(false),
        _ => None,
    }
}

/// Whether a player has got what it must. `sent`: everything has reached the server; `whole`: the player's connection
/// was not cut.
fn is_right(outcome: &Outcome, stream: &Numbered, sent: bool, whole: bool) -> bool {
    match *outcome {
        Outcome::Played { tags, timed_out } if sent && whole => tags == stream.tags && !timed_out,
        // The beginning of the stream, which the player has checked.
        Outcome::Played { tags, .. } => tags <= stream.tags,
        Outcome::Refused => !whole,
        Outcome::Published { .. } | Outcome::Wrong(_) | Outcome::Hangs => false,
    }
}

/// What has happened.
#[derive(Default)]
struct Report {
    numbers: Mutex<Numbers>,
    enough: AtomicBool,
}

#[derive(Default)]
struct Numbers {
    sessions: u64,
    tags_sent: u64,
    tags_played: u64,
    kinds: BTreeMap<&'static str, u64>,
    protocols: BTreeMap<&'static str, u64>,
    failures: Vec<String>,
}

impl Report {
    fn fail(&self, what: String) {
        println!("{what}");
        let mut numbers = self.numbers.lock().expect("nobody panics holding this lock");
        numbers.failures.push(what);
        self.enough.store(numbers.failures.len() >= 10, Ordering::Relaxed);
    }

    /// So much has gone wrong that the rest of the time would tell nothing.
    fn is_enough(&self) -> bool {
        self.enough.load(Ordering::Relaxed)
    }

    fn failures(&self) -> Vec<String> {
        self.numbers.lock().expect("nobody panics holding this lock").failures.clone()
    }

    fn count<'a>(
        &self,
        parts: impl Iterator<Item = (&'a Seat, &'a Part)>,
        outcomes: impl Iterator<Item = &'a Outcome>,
        stream: &Numbered,
    ) {
        let mut numbers = self.numbers.lock().expect("nobody panics holding this lock");
        numbers.sessions += 1;
        for (seat, part) in parts {
            *numbers.protocols.entry(part.protocol).or_default() += 1;
            let mut faults = part.faults.clone();
            faults.cut = faults.cut.filter(|_| seat.network.has_cut());
            for kind in faults.kinds() {
                *numbers.kinds.entry(kind).or_default() += 1;
            }
        }
        for outcome in outcomes {
            match *outcome {
                Outcome::Published { tags, .. } => numbers.tags_sent += u64::from(tags),
                Outcome::Played { tags, .. } => numbers.tags_played += u64::from(tags.min(stream.tags)),
                _ => {}
            }
        }
    }

    fn summary(&self, lanes: &[Lane], processes: &[Watched]) -> String {
        let numbers = self.numbers.lock().expect("nobody panics holding this lock");
        let bytes: u64 = lanes.iter().flat_map(|lane| &lane.seats).map(|seat| seat.network.passed()).sum();
        let mut text = format!(
            "{} sessions, {} tags published, {} played, {:.1} MB through the network\nclients: {:?}\nfaults:  {:?}\n\
             violations: {}\n",
            numbers.sessions,
            numbers.tags_sent,
            numbers.tags_played,
            bytes as f64 / 1e6,
            numbers.protocols,
            numbers.kinds,
            numbers.failures.len()
        );
        for process in processes {
            let _ = writeln!(text, "{}", process.describe());
        }
        text
    }
}

/// A process whose memory and descriptors must not grow.
struct Watched {
    name: String,
    process: u32,
    /// Before the first session.
    idle: Holdings,
    /// After each round.
    seen: Vec<Holdings>,
}

impl Watched {
    fn new(name: &str, process: u32) -> Self {
        Self { name: name.to_owned(), process, idle: Holdings::of(process), seen: Vec::new() }
    }

    /// Notes what the process holds; `rest`: once it has let go of everything that belongs to a session.
    fn look(&mut self, rest: bool) {
        let mut now = Holdings::of(self.process);
        if rest {
            wait_until(Duration::from_secs(90), || {
                now = Holdings::of(self.process);
                now.descriptors == self.idle.descriptors
            });
        }
        self.seen.push(now);
    }

    /// What is wrong with it.
    fn judge(&self, tolerance: u64) -> Option<String> {
        let [warm, last] = [WARM_UP, ROUNDS].map(|round| self.seen[round as usize - 1]);
        let grows = last.memory > warm.memory + tolerance;
        let leaks = [warm, last].iter().any(|held| held.descriptors != self.idle.descriptors);
        (grows || leaks)
            .then(|| format!("{} holds more and more: {:?}, then {:?}", self.name, self.idle, self.seen))
    }

    fn describe(&self) -> String {
        let memory: Vec<u64> = self.seen.iter().map(|held| held.memory).collect();
        let growth = memory[ROUNDS as usize - 1] as i64 - memory[WARM_UP as usize - 1] as i64;
        let [before, after] = [self.idle, self.seen[ROUNDS as usize - 1]].map(|held| held.descriptors);
        format!(
            "{}: memory {memory:?} kB, {growth:+} since the warm-up; {before} descriptors before, {after} after",
            self.name
        )
    }
}
