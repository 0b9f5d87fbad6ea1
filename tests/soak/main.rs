//! Many sessions through a bad network: a publisher, our server and players of all protocols. Every byte is compared with the
//! sent one, and the memory and descriptors of the processes with those at the start.
//!
//! `make soak TIME=600` runs it for ten minutes; `SEED=` repeats the random choices of an earlier run.
#![forbid(unsafe_code)]

#[path = "../support/mod.rs"]
#[macro_use]
mod support;

mod far;
mod long_streams;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::{self, Display, Write};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use support::certs::{Authority, Valid};
use support::examples::ExampleServer;
use support::fault::{BadNetwork, Dice, Faults};
use support::holdings::{Holdings, Reporter, Reports};
use support::numbered::{Numbered, Outcome, Worker};
use support::{Library, Program, TempDir, library::ours_is_original, wait_until};

const PROTOCOLS: [&str; 6] = ["rtmp", "rtmpe", "rtmpt", "rtmpte", "rtmps", "rtmpts"];

/// Sessions at the same time, each with one publisher and several players.
const LANES: u64 = 6;
const PLAYERS: usize = 3;

/// Kilobytes by which a process may grow between the warm-up and the end: the allocated memory, and the resident memory, which
/// has gaps.
const HEAP_TOLERANCE: u64 = 64;
const MEMORY_TOLERANCE: u64 = 1024;

/// Timeouts of the server and the clients in seconds. No fault of the network lasts nearly as long, but a busy machine may stop
/// for a surprisingly long time.
const TIMEOUT: u32 = 30;
/// The longest time that an action of a client may take: a player continues after several timeouts.
const LIMIT: Duration = Duration::from_secs(300);

/// How often memory is measured. Caches fill before the first measurement that counts.
const ROUNDS: u32 = 6;
const WARM_UP: u32 = 2;

#[test]
fn sessions_through_a_bad_network_for_some_seconds() {
    soak(&Plan { time: Duration::from_secs(7), seed: seed().unwrap_or(1), cuts_http: false });
}

#[test]
#[ignore = "`make soak` runs it for as long as one wants"]
fn sessions_through_a_bad_network() {
    let seconds = std::env::var("SOAK_SECONDS").ok().and_then(|text| text.parse().ok()).unwrap_or(60);
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |time| time.as_micros() as u64);
    let seed = seed().unwrap_or(now % 1_000_000_007);
    soak(&Plan { time: Duration::from_secs(seconds), seed, cuts_http: true });
}

/// 5,000 players of one server, and their peers, on one thread, or as many as the limit of descriptors allows.
#[test]
#[ignore = "`make soak` runs it"]
fn thousands_of_sessions_on_one_thread() {
    let program = need!(Program::test_of_ours("many"));
    for players in [5_u32, 50, 500, 5000] {
        for how in ["sockets", "steps", "blocking", "stalled"] {
            if how == "stalled" && players < 5000 {
                continue;
            }
            // As many messages with few players as with many.
            let (players, rounds) = (players.to_string(), (150_000 / players).to_string());
            let run = need!(program.run(Library::Ours, &[&players, &rounds, "1000", how], "", LIMIT));
            println!("{}", run.stdout.trim_end());
            // A lack of descriptors is not a failure.
            assert!(matches!(run.code, Some(0 | 3)), "{run:?}");
        }
    }
}

/// A player that stops to read, until neither the system nor the session has room for it, beside 99 others on one thread.
#[test]
#[ignore = "`make soak` runs it"]
fn a_stalled_player_leaves_the_delays_of_the_others_as_they_were() {
    let program = need!(Program::test_of_ours("many"));
    // In turns, so that both meet the same machine.
    let (mut alone, mut beside) = (Vec::new(), Vec::new());
    for _ in 0..5 {
        for (how, delays) in [("steps", &mut alone), ("stalled", &mut beside)] {
            let run = need!(program.run(Library::Ours, &["100", "600", "20000", how], "", LIMIT));
            let output = run.expect("many");
            println!("{}", output.trim_end());
            let figure = |name: &str| {
                let found = output.split_whitespace().find_map(|word| word.strip_prefix(name));
                found.and_then(|number| number.parse::<u64>().ok()).expect("many prints it")
            };
            assert_eq!(figure("dropped=") > 0, how == "stalled", "{output}");
            delays.push(figure("p999_us="));
        }
    }
    let [alone, beside] = [alone, beside].map(|mut delays| {
        delays.sort_unstable();
        delays[delays.len() / 2]
    });
    println!("99.9 % within {alone} us, {beside} us beside a stalled player");
    // Far above what differs between two runs on a busy machine, and far below a wait for the peer.
    assert!(beside < 4 * alone + 100_000, "{alone} us, {beside} us beside a stalled player");
}

fn seed() -> Option<u64> {
    std::env::var("SEED").ok()?.parse().ok()
}

/// The plan of a run.
struct Plan {
    time: Duration,
    seed: u64,
    /// Whether HTTP connections are cut, too. A server keeps their sessions for half a minute, because the client may connect
    /// again.
    cuts_http: bool,
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
    let reporter = need!(Reporter::new());
    let environment = reporter.environment("server");
    let environment = environment.each_ref().map(|(name, value)| (*name, value.as_str()));
    let server =
        ExampleServer::start_with(Library::Ours, folder.path(), Some(&certificate), &options, &environment);
    let server = need!(server);
    let trust = format!(" tlsCA={}", authority.certificate().display());
    let mut dice = Dice::new(seed);
    let mut lanes = Vec::new();
    for number in 0..LANES {
        lanes.push(need!(Lane::new(number, &mut dice, &reporter)));
    }
    let site = Site { server, trust, cuts_http: plan.cuts_http };

    let report = Report::default();
    let mut processes = vec![Watched::new("the server", reporter.reports("server", site.server.id()))];
    for lane in &lanes {
        for (place, seat) in lane.seats.iter().enumerate() {
            let reports = reporter.reports(&seat_name(lane.number, place), seat.worker.id());
            processes.push(Watched::new(&seat_name(lane.number, place), reports));
        }
    }
    let clock = Pauses::watch();
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

    let found: Vec<String> = processes.iter().filter_map(|process| process.judge()).collect();
    println!("{}", report.summary(&lanes, &processes));
    println!("the machine stood still for {:?} at most", clock.longest());
    let all = [report.failures(), found].concat();
    assert!(all.is_empty(), "seed {seed}:\n{all:#?}\n{}", tail(&site.server.log()));
}

/// How long the machine delays threads that are ready to run, which explains otherwise unexplained timeouts.
struct Pauses(Arc<AtomicU64>);

impl Pauses {
    fn watch() -> Self {
        let longest = Arc::<AtomicU64>::default();
        let shared = Arc::downgrade(&longest);
        thread::spawn(move || {
            while let Some(longest) = shared.upgrade() {
                let before = Instant::now();
                thread::sleep(Duration::from_millis(100));
                longest.fetch_max(before.elapsed().as_millis() as u64, Ordering::Relaxed);
            }
        });
        Self(longest)
    }

    fn longest(&self) -> Duration {
        Duration::from_millis(self.0.load(Ordering::Relaxed).saturating_sub(100))
    }
}

/// Data that all sessions share.
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

/// The name of a client.
fn seat_name(lane: u64, place: usize) -> String {
    let role = if place == 0 { "publisher".to_owned() } else { format!("player {place}") };
    format!("{role} of lane {lane}")
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

/// Sessions that run one after another.
struct Lane {
    number: u64,
    dice: Dice,
    sessions: u64,
    /// The publisher, then the players.
    seats: Vec<Seat>,
}

/// One client of a session.
struct Part {
    protocol: &'static str,
    faults: Faults,
    url: String,
}

impl Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} through {:?}", self.url, self.faults)
    }
}

impl Lane {
    fn new(number: u64, dice: &mut Dice, reporter: &Reporter) -> Option<Self> {
        let mut seats = Vec::new();
        for place in 0..=PLAYERS {
            // Every second client makes its calls in steps.
            let library = if (number as usize + place) % 2 == 0 { Library::Ours } else { Library::Stepping };
            let mut command = Program::test("numbered")?.command(library)?;
            command.envs(reporter.environment(&seat_name(number, place)));
            let mut worker = Worker::run(&mut command);
            worker.set_timeout(TIMEOUT);
            seats.push(Seat { worker, network: BadNetwork::in_front_of(0) });
        }
        Some(Self { number, dice: dice.fork(), sessions: 0, seats })
    }

    /// A stream that is published and played, and its result.
    fn session(&mut self, site: &Site, report: &Report) {
        self.sessions += 1;
        // Each session has its own series, so that the results of earlier sessions do not change it.
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
        // Six sessions of six lanes have all pairs of protocols; the other players are random.
        let [publishers, first_players] =
            [1, 2].map(|turns| Some(PROTOCOLS[((self.number + turns * self.sessions) % 6) as usize]));
        let wanted = [publishers, first_players, None, None];
        let parts: Vec<Part> = self
            .seats
            .iter()
            .zip(wanted)
            .map(|(seat, wanted)| seat.set(&mut dice, wanted, likely_bytes, site, &name))
            .collect();

        let mut outcomes = Vec::new();
        for (seat, part) in self.seats.iter_mut().zip(&parts).skip(1) {
            outcomes.push(seat.worker.play(&stream, &part.url, LIMIT).err());
        }
        let (publisher, players) = self.seats.split_first_mut().expect("a lane has a publisher");
        publisher.worker.publish(&stream, pace, &parts[0].url);
        let published = publisher.worker.outcome(LIMIT);
        let mut whole = !publisher.network.has_cut();
        if published == Outcome::Refused {
            // Players wait for a publisher without a limit.
            publisher.network.change(site.port(parts[0].protocol), Faults::default(), dice.fork());
            publisher.worker.publish(&stream, Duration::ZERO, &parts[0].url);
            let again = publisher.worker.outcome(LIMIT);
            if again != (Outcome::Published { tags: stream.tags, complete: true }) {
                report.fail(format!("session {name}, {stream:?}: the publisher {again:?}, {}", parts[0]));
            }
        }
        let played: Vec<Outcome> = players
            .iter_mut()
            .zip(outcomes)
            .map(|(seat, early)| early.unwrap_or_else(|| seat.worker.outcome(LIMIT)))
            .collect();
        // A publisher reports before it closes, and the connection may be cut while it closes.
        whole &= !publisher.network.has_cut();

        let mut wrong = Vec::new();
        let Some(sent) = sent(&published, &stream, whole) else {
            report.fail(format!("session {name}, {stream:?}: the publisher {published:?}, {}", parts[0]));
            return;
        };
        for ((seat, outcome), part) in players.iter().zip(&played).zip(&parts[1..]) {
            if !is_right(outcome, &stream, whole && sent, !seat.network.has_cut()) {
                wrong.push(format!("session {name}, {stream:?}: {outcome:?}, {part}"));
            }
        }
        for failure in wrong {
            report.fail(format!("{failure}; the publisher {published:?}, {}", parts[0]));
        }
        report.count(&self.seats, &parts, std::iter::once(&published).chain(&played), &stream);
    }
}

impl Seat {
    /// Chooses the protocol and the network of a client.
    fn set(
        &self,
        dice: &mut Dice,
        wanted: Option<&'static str>,
        bytes: u64,
        site: &Site,
        name: &str,
    ) -> Part {
        let any = dice.choose(&PROTOCOLS);
        let protocol = wanted.unwrap_or(any);
        let mut faults = Faults::choose(dice, bytes);
        let tunnelled = protocol.starts_with("rtmpt");
        faults.cut = faults.cut.filter(|_| site.cuts_http || !tunnelled);
        faults.overtakes = faults.overtakes.filter(|_| site.cuts_http && tunnelled);
        let secure = protocol.ends_with('s');
        self.network.change(site.port(protocol), faults.clone(), dice.fork());
        let trust = if secure { &site.trust } else { "" };
        Part { protocol, faults, url: format!("{protocol}://127.0.0.1:{}/{name}{trust}", self.network.port) }
    }
}

/// Whether everything that the publisher sent has arrived; unknown if its connection was cut (not `whole`). `None` if it did
/// not send everything although it should have.
fn sent(outcome: &Outcome, stream: &Numbered, whole: bool) -> Option<bool> {
    match outcome {
        Outcome::Published { tags, complete: true } if *tags == stream.tags => Some(whole),
        Outcome::Published { .. } | Outcome::Refused if !whole => Some(false),
        _ => None,
    }
}

/// Whether a player has received the required bytes. `sent`: everything has reached the server; `whole`: the player's
/// connection was not cut.
fn is_right(outcome: &Outcome, stream: &Numbered, sent: bool, whole: bool) -> bool {
    match *outcome {
        Outcome::Played { tags, timed_out } if sent && whole => tags == stream.tags && !timed_out,
        // The beginning of the stream, which the player has checked.
        Outcome::Played { tags, .. } => tags <= stream.tags,
        Outcome::Refused => !whole,
        Outcome::Published { .. } | Outcome::Wrong(_) | Outcome::Hangs => false,
    }
}

/// The results of a run.
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
    /// Of publishers and of players.
    protocols: [BTreeMap<&'static str, u64>; 2],
    faults: [BTreeMap<&'static str, u64>; 2],
    /// Protocols of a publisher and a player of the same stream.
    pairs: BTreeSet<(&'static str, &'static str)>,
    failures: Vec<String>,
}

impl Report {
    fn fail(&self, what: String) {
        println!("{what}");
        let mut numbers = self.numbers.lock().expect("nobody panics holding this lock");
        numbers.failures.push(what);
        self.enough.store(numbers.failures.len() >= 10, Ordering::Relaxed);
    }

    /// Whether there are so many failures that the rest of the run would give no information.
    fn is_enough(&self) -> bool {
        self.enough.load(Ordering::Relaxed)
    }

    fn failures(&self) -> Vec<String> {
        self.numbers.lock().expect("nobody panics holding this lock").failures.clone()
    }

    fn count<'a>(
        &self,
        seats: &[Seat],
        parts: &[Part],
        outcomes: impl Iterator<Item = &'a Outcome>,
        stream: &Numbered,
    ) {
        let mut numbers = self.numbers.lock().expect("nobody panics holding this lock");
        numbers.sessions += 1;
        for (seat, part) in seats.iter().zip(parts) {
            let side = usize::from(!std::ptr::eq(part, &parts[0]));
            *numbers.protocols[side].entry(part.protocol).or_default() += 1;
            for kind in seat.network.kinds() {
                *numbers.faults[side].entry(kind).or_default() += 1;
            }
        }
        let publisher = parts[0].protocol;
        numbers.pairs.extend(parts[1..].iter().map(|player| (publisher, player.protocol)));
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
            "{} sessions, {} tags published, {} played, {:.1} MB through the network\n\
             {} of 36 pairs of protocols\npublishers: {:?}\n    met {:?}\nplayers: {:?}\n    met {:?}\n\
             violations: {}\n",
            numbers.sessions,
            numbers.tags_sent,
            numbers.tags_played,
            bytes as f64 / 1e6,
            numbers.pairs.len(),
            numbers.protocols[0],
            numbers.faults[0],
            numbers.protocols[1],
            numbers.faults[1],
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
    reports: Reports,
    /// Its holdings before the first session.
    idle: Holdings,
    /// Its holdings after each round.
    seen: Vec<Holdings>,
}

impl Watched {
    fn new(name: &str, reports: Reports) -> Self {
        Self { name: name.to_owned(), idle: reports.holdings(), reports, seen: Vec::new() }
    }

    /// Records the holdings of the process; `rest`: after it has freed everything that belongs to a session.
    fn look(&mut self, rest: bool) {
        if rest {
            wait_until(Duration::from_secs(90), || self.reports.descriptors() == self.idle.descriptors);
        }
        self.seen.push(self.reports.holdings());
    }

    /// A description of a growth or a leak; `None` without one.
    fn judge(&self) -> Option<String> {
        let [warm, last] = [WARM_UP, ROUNDS].map(|round| self.seen[round as usize - 1]);
        let grows = last.heap > warm.heap + HEAP_TOLERANCE || last.memory > warm.memory + MEMORY_TOLERANCE;
        let leaks = [warm, last].iter().any(|held| held.descriptors != self.idle.descriptors);
        (grows || leaks)
            .then(|| format!("{} holds more and more: {:?}, then {:?}", self.name, self.idle, self.seen))
    }

    fn describe(&self) -> String {
        let heap: Vec<u64> = self.seen.iter().map(|held| held.heap).collect();
        let memory: Vec<u64> = self.seen.iter().map(|held| held.memory).collect();
        let growth = heap[ROUNDS as usize - 1] as i64 - heap[WARM_UP as usize - 1] as i64;
        let [before, after] = [self.idle, self.seen[ROUNDS as usize - 1]].map(|held| held.descriptors);
        format!(
            "{}: heap {heap:?} kB, {growth:+} since the warm-up; memory {memory:?} kB; {before} descriptors before, \
             {after} after",
            self.name
        )
    }
}
