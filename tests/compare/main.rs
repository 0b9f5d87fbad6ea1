//! C programs, compiled once, on the original and on ours: the same output, the same fields after every step, the same
//! bytes on the wire.
//!
//! Rows are sessions against a scripted server (`cases`, `options`, `incoming`, `endings`, `patterns`) and
//! whole programs (`programs`). Accepted differences are in `accepted`, each with a name that
//! `docs/src/differences.md` explains; an entry that no longer differs fails. `coverage` lists what must have
//! a row.
#![forbid(unsafe_code)]

#[path = "../support/mod.rs"]
#[macro_use]
mod support;

mod accepted;
mod answers;
mod carried;
mod cases;
mod coverage;
mod endings;
mod incoming;
mod log_lines;
mod odd_options;
mod options;
mod patterns;
mod programs;
mod session;
mod tunnel;
mod verbose;
mod ways;
#[path = "../web/mod.rs"]
mod web;

use std::collections::BTreeSet;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use accepted::{ADDED, DEFECTS, Ending, LOG};
use log_lines::Needed;
use support::wire::{Improved, Message, Sent, meant_time};
use support::{Library, library};

/// The result of a row with one library.
#[derive(Default)]
pub struct Observation {
    /// The program's output and the server's view, as text.
    pub text: String,
    /// How it ended.
    pub ending: Ending,
    /// The client's messages.
    pub messages: Vec<Message>,
    /// The client's violations of the protocol.
    pub violations: Vec<String>,
    /// The exports that the program used.
    pub used: BTreeSet<String>,
    /// What the server sent.
    pub sent: Vec<Message>,
    /// The session's log.
    pub log: String,
}

/// A task for both libraries.
pub struct Row {
    /// The name in failures.
    pub name: String,
    /// The name in `accepted`, which is the same for the session over any transport.
    pub like: &'static str,
    /// `None` when a program is missing.
    pub run: Box<dyn Fn(Library) -> Option<Observation> + Send + Sync>,
}

/// A row and its results; an error is the message of a panic.
pub struct Outcome {
    /// The row's.
    pub name: String,
    /// The row's.
    pub like: &'static str,
    /// The result with librtmp 2.4.
    pub original: Result<Observation, String>,
    /// The result with ours.
    pub ours: Result<Observation, String>,
    /// The result with ours when calls are made of steps.
    pub stepping: Option<Result<Observation, String>>,
}

/// All rows with both libraries, run once for all tests. `None` if librtmp 2.4 or a program is missing.
fn outcomes() -> Option<&'static [Outcome]> {
    static OUTCOMES: OnceLock<Option<Vec<Outcome>>> = OnceLock::new();
    Library::Original.file()?;
    OUTCOMES.get_or_init(run_all).as_deref()
}

/// Rows, over any transport, in which a sanitizer ends librtmp 2.4 before a signal does, needs the memory
/// that the program is denied, or makes it so slow that it ends inside one of its endless requests. Programs
/// that were not built for it cannot load a sanitized library, and the texts of proxies are never freed, as
/// in librtmp.
const NOT_SANITIZED: [&str; 7] = [
    "refused-without-description",
    "read-until-memory-runs-out",
    "tunnel-of-silence",
    "errno",
    "rtmpdump-V",
    "rtmpdump-z",
    "odd-proxies",
];

/// Rows of programs that use the socket themselves, which a session that never waits does not share: they set its timeouts,
/// and wait for it to become readable.
const NOT_IN_STEPS: [&str; 2] = ["time-outs-of-the-socket", "errno"];

fn is_sanitized() -> bool {
    std::env::var("RTMP_TEST_CFLAGS").is_ok_and(|flags| flags.contains("-fsanitize"))
}

fn run_all() -> Option<Vec<Outcome>> {
    let sanitized = is_sanitized();
    let rows: Vec<Row> = session::rows()
        .chain(programs::rows())
        .chain(verbose::rows())
        .filter(|row| !(sanitized && NOT_SANITIZED.iter().any(|name| row.name.starts_with(name))))
        .filter(|row| std::env::var("ROWS").map_or(true, |name| row.name.starts_with(&name)))
        .collect();
    let next = AtomicUsize::new(0);
    // They wait more than they compute.
    let results: Vec<Vec<(usize, Option<Outcome>)>> = thread::scope(|scope| {
        let worker = || {
            let mut done = Vec::new();
            loop {
                let at = next.fetch_add(1, Ordering::Relaxed);
                let Some(row) = rows.get(at) else { return done };
                done.push((at, run_row(row)));
            }
        };
        let threads: Vec<_> = (0..12).map(|_| scope.spawn(worker)).collect();
        threads.into_iter().map(|thread| thread.join().expect("panics of rows are caught")).collect()
    });
    let mut results: Vec<_> = results.into_iter().flatten().collect();
    results.sort_by_key(|(at, _)| *at);
    results.into_iter().map(|(_, outcome)| outcome).collect()
}

fn run_row(row: &Row) -> Option<Outcome> {
    let on = |library| match catch_unwind(AssertUnwindSafe(|| (row.run)(library))) {
        Ok(observation) => observation.map(Ok),
        Err(panic) => {
            let text = panic.downcast_ref::<String>().map(String::as_str);
            Some(Err(text.or(panic.downcast_ref::<&str>().copied()).unwrap_or("a panic").to_owned()))
        }
    };
    Some(Outcome {
        name: row.name.clone(),
        like: row.like,
        original: on(Library::Original)?,
        ours: on(Library::Ours)?,
        stepping: match library::ours_is_original() || NOT_IN_STEPS.contains(&row.like) {
            true => None,
            false => Some(on(Library::Stepping)?),
        },
    })
}

#[test]
fn every_row_is_the_same_on_both() {
    let outcomes = need!(outcomes());
    let failures: Vec<String> = outcomes
        .iter()
        .filter_map(|outcome| {
            let result = compare(outcome, &outcome.ours, &mut str::to_owned);
            result.err().map(|error| format!("{}: {error}", outcome.name))
        })
        .collect();
    assert!(failures.is_empty(), "{} of {} rows:\n{}", failures.len(), outcomes.len(), failures.join("\n"));
}

/// A non-blocking session prints, sends and ends like a blocking one.
#[test]
fn every_row_is_the_same_in_steps() {
    let outcomes = need!(outcomes());
    let failures: Vec<String> = outcomes
        .iter()
        .filter_map(|outcome| {
            let stepping = outcome.stepping.as_ref()?;
            let result = compare(outcome, stepping, &mut hide_pieces);
            result.err().map(|error| format!("{}: {error}", outcome.name))
        })
        .collect();
    assert!(failures.is_empty(), "{} of {} rows:\n{}", failures.len(), outcomes.len(), failures.join("\n"));
}

/// A text without the requests of a tunnel, which carry the same bytes in another number of pieces if calls
/// do not wait for each of them, and without values that depend on how much is read ahead.
fn hide_pieces(text: &str) -> String {
    let hidden = ["msgCounter=", "polling=", "buffered=", "timedout=0"];
    let shown = |word: &&str| !hidden.iter().any(|name| word.starts_with(name));
    let line = |line: &str| line.split(' ').filter(shown).collect::<Vec<_>>().join(" ");
    text.lines().filter(|line| !line.starts_with("POST ")).map(line).collect::<Vec<_>>().join("\n")
}

/// Whether ours shows what the original does, except what is accepted and what `hide` takes away.
fn compare(
    outcome: &Outcome,
    ours: &Result<Observation, String>,
    hide: &mut dyn FnMut(&str) -> String,
) -> Result<(), String> {
    let original = outcome.original.as_ref().map_err(|error| format!("the original: {error}"))?;
    let ours = ours.as_ref().map_err(|error| format!("ours: {error}"))?;
    if ours.ending != Ending::Well && !library::ours_is_original() {
        let log: Vec<&str> = ours.log.lines().rev().take(5).collect();
        return Err(format!("ours ends in a {:?}:\n{}\n{log:#?}", ours.ending, ours.text));
    }
    let defect = DEFECTS.iter().find(|defect| defect.row == outcome.like);
    let ending = defect.map_or(Ending::Well, |defect| defect.original);
    if original.ending != ending {
        return Err(format!("the original ends {:?}, not {ending:?}:\n{}", original.ending, original.text));
    }
    if let Some(defect) = defect {
        let right = ours.text.contains(defect.ours) || library::ours_is_original();
        return if right { Ok(()) } else { Err(format!("not {:?}, but\n{}", defect.ours, ours.text)) };
    }
    let expected = if library::ours_is_original() {
        original.text.clone()
    } else {
        accepted::apply([&outcome.name, outcome.like], &original.text)?
    };
    let (expected, shown) = (hide(&expected), hide(&ours.text));
    for (number, (expected, found)) in (1..).zip(expected.lines().zip(shown.lines())) {
        if expected != found {
            return Err(format!("line {number}\n  original {expected}\n  ours     {found}"));
        }
    }
    if expected != shown {
        return Err(format!("the lengths differ:\n--- original\n{expected}\n--- ours\n{shown}"));
    }
    if library::ours_is_original() {
        return Ok(());
    }
    if !ours.violations.is_empty() {
        return Err(format!("against the protocol: {:?}", ours.violations));
    }
    // Messages that may be missing or additional have been compared as text.
    if original.messages.len() == ours.messages.len() {
        compare_headers(&original.messages, &ours.messages)?;
    }
    Ok(())
}

/// A program that searches the log for librtmp's words finds them in ours, in the same order.
#[test]
fn the_log_is_the_same_line_by_line() {
    let outcomes = need!(outcomes());
    if library::ours_is_original() {
        return;
    }
    let mut needed = Needed::default();
    let mut failures = Vec::new();
    for outcome in outcomes {
        let result = log_lines::compare(outcome, &mut needed);
        failures.extend(result.err().map(|error| format!("{}: {error}", outcome.name)));
    }
    assert!(failures.is_empty(), "{} of {} rows:\n{}", failures.len(), outcomes.len(), failures.join("\n"));
    // Their rows may be omitted.
    if is_sanitized() {
        return;
    }
    let idle = |len: usize, needed: &BTreeSet<usize>| (0..len).find(|at| !needed.contains(at));
    if let Some(at) = idle(LOG.len(), &needed.log) {
        panic!("{:?} of the original's log is not another any more", LOG[at].original);
    }
    if let Some(at) = idle(ADDED.len(), &needed.added) {
        panic!("{:?} is not logged any more", ADDED[at].ours);
    }
    assert!(needed.secrets, "no dump hides a secret any more");
    let lines: usize =
        outcomes.iter().filter_map(|outcome| Some(outcome.ours.as_ref().ok()?.log.len())).sum();
    assert!(lines > 1_000_000, "nothing is logged");
}

/// Headers are the same, except where librtmp's contradicts itself (`full-first-headers`). Together with the
/// bodies, which are in the text, and the chunk size, which the server's reader checks, that is every byte.
fn compare_headers(original: &[Message], ours: &[Message]) -> Result<(), String> {
    let mut rules = Improved::default();
    let mut times = std::collections::BTreeMap::new();
    for (number, (original, ours)) in original.iter().zip(ours).enumerate() {
        let before = times.get(&original.chunk_stream).copied().unwrap_or(0);
        let time = meant_time(before, &original.header);
        times.insert(original.chunk_stream, time);
        let sent = Sent {
            chunk_stream: ours.chunk_stream,
            timestamp: time,
            length: ours.body.len(),
            kind: ours.kind,
            message_stream: ours.message_stream,
        };
        let accepted = rules.headers(sent, &original.header);
        if !accepted.contains(&ours.header) || ours.timestamp != time {
            return Err(format!(
                "message {number} has the header {:02x?} and time {}, the original's is {:02x?} and means {time}",
                ours.header, ours.timestamp, original.header
            ));
        }
    }
    Ok(())
}
