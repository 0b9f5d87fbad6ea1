//! Measures this library, Debian's librtmp and FFmpeg's RTMP side by side, against the bare socket.
//!
//! Each row of the table is one C program run on each library in turn, several times; what counts is the median. The
//! work of the peers is not in the figures: they run in this process, which is not the measured one.
//!
//! ```text
//! make bench                        everything
//! make bench ONLY="RTMP_Read"       the rows whose names contain a word
//! make bench ROUNDS=3               fewer rounds
//! ```

mod chart;
mod contestants;
mod peer;
mod rows;
mod tls;

use std::{env, fs, io, path::Path};

use contestants::{Contestant, Contestants};
use rows::Row;
use serde_json::{Value, json};

/// What was measured of one contestant in one row.
#[derive(Debug, Clone, Copy, Default)]
pub struct Figures {
    /// CPU seconds per gigabyte, or microseconds for each connection or round, or bytes for each connection.
    pub cost: f64,
    /// The same, by the clock on the wall.
    pub wall: f64,
    /// Allocations for each message, connection or round.
    pub allocations: f64,
    /// System calls for each.
    pub calls: Option<f64>,
    /// The largest resident set, in bytes.
    pub peak: f64,
}

/// A row with what was measured, in the order of [`Contestant::ALL`].
pub struct Measured {
    /// What was measured.
    pub row: Row,
    /// By contestant.
    pub figures: [Option<Figures>; 4],
}

impl Measured {
    /// What a contestant's work cost.
    pub fn of(&self, contestant: Contestant) -> Option<Figures> {
        self.figures[contestant as usize]
    }

    /// How many times as much another contestant needs.
    pub fn ratio(&self, other: Contestant) -> Option<f64> {
        Some(self.of(other)?.cost / self.of(Contestant::Ours)?.cost)
    }
}

fn main() -> io::Result<()> {
    let rounds = variable("ROUNDS").and_then(|rounds| rounds.parse().ok()).unwrap_or(7);
    let only = variable("ONLY");
    let contestants = Contestants::prepare()?;
    let mut all = Vec::new();
    println!("{}", heading());
    for row in rows::rows() {
        if only.as_ref().is_some_and(|only| !row.name.contains(only.as_str())) {
            continue;
        }
        let measured = contestants.measure(row, rounds)?;
        println!("{}", line(&measured));
        all.push(measured);
    }
    let sizes = contestants.sizes();
    println!("\nShared library, stripped: ours {:.0} kB, librtmp {:.0} kB", sizes.0 / 1e3, sizes.1 / 1e3);
    if only.is_none() {
        let benches = Path::new(env!("CARGO_MANIFEST_DIR")).join("benches");
        let text = serde_json::to_string_pretty(&results(&all, sizes, rounds)).expect("numbers and text");
        fs::write(benches.join("results.json"), text + "\n")?;
        fs::write(benches.join("results.svg"), chart::draw(&all))?;
        println!("Written: benches/results.json, benches/results.svg");
    }
    Ok(())
}

/// A variable of the environment that is not empty.
fn variable(name: &str) -> Option<String> {
    env::var(name).ok().filter(|value| !value.is_empty())
}

fn heading() -> String {
    format!(
        "{:<44} {:>6} {:>9} {:>9} {:>7} {:>9} {:>7} {:>9} {:>7}  {:>15} {:>15}",
        "",
        "unit",
        "ours",
        "librtmp",
        "ratio",
        "FFmpeg",
        "ratio",
        "socket",
        "ours/it",
        "calls each",
        "allocs each"
    )
}

fn line(measured: &Measured) -> String {
    let cost = |contestant| number(measured.of(contestant).map(|figures| figures.cost));
    let ratio =
        |contestant| measured.ratio(contestant).map_or("-".to_owned(), |ratio| format!("{ratio:.2}x"));
    let over =
        measured.ratio(Contestant::Socket).map_or("-".to_owned(), |ratio| format!("{:.2}", 1.0 / ratio));
    let pair = |of: fn(Figures) -> Option<f64>| {
        let of = |contestant| number(measured.of(contestant).and_then(of));
        format!("{} / {}", of(Contestant::Ours), of(Contestant::Original))
    };
    format!(
        "{:<44} {:>6} {:>9} {:>9} {:>7} {:>9} {:>7} {:>9} {:>7}  {:>15} {:>15}",
        measured.row.name,
        measured.row.unit.name(),
        cost(Contestant::Ours),
        cost(Contestant::Original),
        ratio(Contestant::Original),
        cost(Contestant::Ffmpeg),
        ratio(Contestant::Ffmpeg),
        cost(Contestant::Socket),
        over,
        pair(|figures| figures.calls),
        pair(|figures| Some(figures.allocations)),
    )
}

/// Three digits, or a dash.
fn number(value: Option<f64>) -> String {
    match value {
        None => "-".to_owned(),
        Some(value) if value >= 100.0 => format!("{value:.0}"),
        Some(value) if value >= 10.0 => format!("{value:.1}"),
        Some(value) if value >= 1.0 => format!("{value:.2}"),
        Some(value) => format!("{value:.3}"),
    }
}

fn results(all: &[Measured], sizes: (f64, f64), rounds: usize) -> Value {
    let rows: Vec<Value> = all
        .iter()
        .map(|measured| {
            let figures = |contestant| {
                measured.of(contestant).map(|figures| {
                    json!({
                        "cost": figures.cost,
                        "wall": figures.wall,
                        "allocations_each": figures.allocations,
                        "system_calls_each": figures.calls,
                        "peak_bytes": figures.peak,
                    })
                })
            };
            json!({
                "name": measured.row.name,
                "unit": measured.row.unit.name(),
                "ours": figures(Contestant::Ours),
                "librtmp": figures(Contestant::Original),
                "ffmpeg": figures(Contestant::Ffmpeg),
                "socket": figures(Contestant::Socket),
                "librtmp_to_ours": measured.ratio(Contestant::Original),
                "ffmpeg_to_ours": measured.ratio(Contestant::Ffmpeg),
                "socket_to_ours": measured.ratio(Contestant::Socket),
            })
        })
        .collect();
    json!({
        "rounds": rounds,
        "stripped_library_bytes": { "ours": sizes.0, "librtmp": sizes.1 },
        "rows": rows,
    })
}
