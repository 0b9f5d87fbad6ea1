//! Measures this library, Debian's librtmp and FFmpeg's RTMP side by side, against the bare socket.
//!
//! Each row of the table is one C program that runs with each library in turn, several times; the result is the median. The
//! work of the peers is not included, because they run in this process, which is not measured.
//!
//! ```text
//! make bench                        everything
//! make bench ONLY="RTMP_Read"       the rows whose names contain a word
//! make bench ROUNDS=3               as many rounds, however long they take
//! make bench BASELINE=librtmp.so.1  with an earlier build beside it
//! make bench CHECK=1                counts instructions, and fails if there are more than in the last entry
//! make bench CHECK=record           counts instructions, and adds an entry
//! cargo test --bench compare        every row once, with very little work, to see that it works
//! ```

mod bare;
mod chart;
mod contestants;
mod history;
mod peer;
mod rows;
mod rust;
mod table;
mod tls;

use std::{env, fs, io, path::Path};

use contestants::{ByContestant, Contestant, Contestants, Sizes};
use rows::Row;
use serde_json::{Value, json};
use table::Table;

/// Shown in the table where there is no value.
pub const ABSENT: &str = "–";

/// The figures of one contestant in one row.
#[derive(Debug, Clone, Copy, Default)]
pub struct Figures {
    /// CPU seconds per gigabyte, or microseconds for each message, connection or round, or bytes for each connection.
    pub cost: f64,
    /// The same, in wall-clock time.
    pub wall: f64,
    /// Allocations for each message, connection or round.
    pub allocations: f64,
    /// System calls for each.
    pub calls: Option<f64>,
    /// The maximum resident set size, in bytes.
    pub peak: f64,
    /// The number of runs; the figures are those of the median run.
    pub rounds: usize,
}

/// A row with its figures, in the order of [`Contestant::ALL`].
pub struct Measured {
    /// The row.
    pub row: Row,
    /// By contestant, or the reason why there are none.
    pub figures: ByContestant<Result<Figures, &'static str>>,
    /// The cost of each contestant divided by that of this library in the same round: the median ratio.
    ratios: ByContestant<Option<f64>>,
}

impl Measured {
    /// The cost of a contestant's work.
    pub fn of(&self, contestant: Contestant) -> Option<Figures> {
        self.figures[contestant as usize].ok()
    }

    /// Whether this library and all others that take part have done the work.
    fn is_complete(&self) -> bool {
        let done =
            |figures: &Result<Figures, &str>| figures.as_ref().map_or_else(|why| *why == ABSENT, |_| true);
        self.of(Contestant::Ours).is_some_and(|figures| figures.cost.is_finite())
            && self.figures.iter().all(done)
    }

    /// The cost of another contestant divided by that of this library.
    pub fn ratio(&self, other: Contestant) -> Option<f64> {
        self.of(other).and(self.ratios[other as usize])
    }
}

fn main() -> io::Result<()> {
    if rust::run_if_asked()? {
        return Ok(());
    }
    // `cargo bench` passes this, `cargo test` does not.
    if env::args().any(|argument| argument == "--bench") { measure() } else { check() }
}

/// Measures. A run of all rows is written to the files in `benches`.
fn measure() -> io::Result<()> {
    let rounds = variable("ROUNDS").and_then(|rounds| rounds.parse().ok()).filter(|rounds| *rounds > 0);
    let only = variable("ONLY");
    let contestants = Contestants::prepare("bench", variable("BASELINE").as_deref())?;
    let mut rows = rows::rows();
    rows.retain(|row| only.as_ref().is_none_or(|only| row.name.contains(only.as_str())));
    if let Some(check) = variable("CHECK") {
        return history::check(&contestants, &rows, check == "record");
    }
    let columns = Table::new(contestants.has_baseline());
    let (count, mut all) = (rows.len(), Vec::new());
    let mut table = columns.heading();
    for rows in rows.chunk_by(Row::shares_runs) {
        eprintln!("{} of {count}: {}", all.len() + 1, rows[0].name);
        for measured in contestants.measure(rows, rounds)? {
            table = format!("{table}\n{}", columns.line(&measured));
            all.push(measured);
        }
    }
    println!("{}\n\n{table}", table::summary(&all));
    let sizes = contestants.sizes();
    let baseline = sizes.baseline.map_or(String::new(), |bytes| format!(", baseline {:.0} kB", bytes / 1e3));
    let library = format!(
        "Shared library, stripped: ours {:.0} kB, librtmp {:.0} kB{baseline}.",
        sizes.ours / 1e3,
        sizes.original / 1e3
    );
    println!("\n{library}");
    if only.is_none() {
        let benches = Path::new(env!("CARGO_MANIFEST_DIR")).join("benches");
        let text = serde_json::to_string_pretty(&results(&all, &sizes)).expect("numbers and text");
        fs::write(benches.join("results.json"), text + "\n")?;
        fs::write(benches.join("results.svg"), chart::draw(&all))?;
        let readme = fs::read_to_string(benches.join("README.md"))?;
        let readme = table::replace(&readme, &format!("{table}\n\n{library}"))
            .ok_or_else(|| io::Error::other("benches/README.md has no place for the table"))?;
        fs::write(benches.join("README.md"), readme)?;
        println!("Written: results.json, results.svg and the table in README.md, all in benches");
    }
    Ok(())
}

/// Runs the rows whose names contain one of the arguments, or all of them, with very little work. The output has the form of
/// the other tests.
fn check() -> io::Result<()> {
    let wanted: Vec<String> = env::args().skip(1).filter(|argument| !argument.starts_with('-')).collect();
    let mut rows = rows::rows();
    let all = rows.len();
    rows.retain(|row| wanted.is_empty() || wanted.iter().any(|part| row.name.contains(part)));
    if rows.is_empty() {
        println!("test result: ok. 0 passed; 0 failed; 0 ignored; 0 measured; {all} filtered out");
        return Ok(());
    }
    let contestants = Contestants::prepare("bench-check", variable("BASELINE").as_deref())?;
    let table = Table::new(contestants.has_baseline());
    println!("running {} tests\n{}", rows.len(), table.heading());
    let (mut passed, mut failed) = (0, 0);
    rows.iter_mut().for_each(|row| *row = row.brief());
    for rows in rows.chunk_by(Row::shares_runs) {
        for measured in contestants.measure(rows, Some(1))? {
            println!("{}", table.line(&measured));
            if measured.is_complete() {
                println!("test {} ... ok", measured.row.name);
                passed += 1;
            } else {
                println!("test {} ... FAILED", measured.row.name);
                failed += 1;
            }
        }
    }
    if wanted.is_empty() {
        let amf = rows::rows().into_iter().find(|row| row.work == "amf");
        match contestants.instructions(amf.expect("a row")) {
            Ok(Some(_)) => {
                println!("test counting instructions ... ok");
                passed += 1;
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                println!("test counting instructions ... ignored, valgrind is not installed");
            }
            result => {
                println!("test counting instructions ... FAILED: {result:?}");
                failed += 1;
            }
        }
    }
    let result = if failed == 0 { "ok" } else { "FAILED" };
    let others = all.saturating_sub(passed + failed);
    println!(
        "test result: {result}. {passed} passed; {failed} failed; 0 ignored; 0 measured; {others} filtered out"
    );
    if failed == 0 { Ok(()) } else { Err(io::Error::other("some rows failed")) }
}

/// An environment variable that is not empty.
fn variable(name: &str) -> Option<String> {
    env::var(name).ok().filter(|value| !value.is_empty())
}

fn results(all: &[Measured], sizes: &Sizes) -> Value {
    let rows: Vec<Value> = all
        .iter()
        .map(|measured| {
            let figures = |contestant| match measured.figures[contestant as usize] {
                Ok(figures) => json!({
                    "cost": figures.cost,
                    "rounds": figures.rounds,
                    "wall": figures.wall,
                    "allocations_each": figures.allocations,
                    "system_calls_each": figures.calls,
                    "peak_bytes": figures.peak,
                }),
                Err(ABSENT) => Value::Null,
                Err(reason) => json!(reason),
            };
            json!({
                "name": measured.row.name,
                "unit": measured.row.unit.name(),
                "ours": figures(Contestant::Ours),
                "librtmp": figures(Contestant::Original),
                "baseline": figures(Contestant::Baseline),
                "rust": figures(Contestant::Rust),
                "ffmpeg": figures(Contestant::Ffmpeg),
                "socket": figures(Contestant::Socket),
                "librtmp_to_ours": measured.ratio(Contestant::Original),
                "baseline_to_ours": measured.ratio(Contestant::Baseline),
                "rust_to_ours": measured.ratio(Contestant::Rust),
                "ffmpeg_to_ours": measured.ratio(Contestant::Ffmpeg),
                "socket_to_ours": measured.ratio(Contestant::Socket),
            })
        })
        .collect();
    json!({
        "stripped_library_bytes": { "ours": sizes.ours, "librtmp": sizes.original, "baseline": sizes.baseline },
        "rows": rows,
    })
}
