//! Measures this library, Debian's librtmp and FFmpeg's RTMP side by side, against the bare socket.
//!
//! Each row of the table is one C program run on each library in turn, several times; what counts is the median. The
//! work of the peers is not in the figures: they run in this process, which is not the measured one.
//!
//! ```text
//! make bench                        everything
//! make bench ONLY="RTMP_Read"       the rows whose names contain a word
//! make bench ROUNDS=3               as many rounds, however long they take
//! ```

mod chart;
mod contestants;
mod peer;
mod player;
mod rows;
mod tls;

use std::{env, fs, io, path::Path};

use contestants::{Contestant, Contestants};
use rows::Row;
use serde_json::{Value, json};

/// In the table where there is nothing to measure.
pub const ABSENT: &str = "–";

/// What was measured of one contestant in one row.
#[derive(Debug, Clone, Copy, Default)]
pub struct Figures {
    /// CPU seconds per gigabyte, or microseconds for each message, connection or round, or bytes for each connection.
    pub cost: f64,
    /// The same, by the clock on the wall.
    pub wall: f64,
    /// Allocations for each message, connection or round.
    pub allocations: f64,
    /// System calls for each.
    pub calls: Option<f64>,
    /// The largest resident set, in bytes.
    pub peak: f64,
    /// The runs of which this is the one in the middle.
    pub rounds: usize,
}

/// A row with what was measured, in the order of [`Contestant::ALL`].
pub struct Measured {
    /// What was measured.
    pub row: Row,
    /// By contestant, or why there are none.
    pub figures: [Result<Figures, &'static str>; 4],
    /// How many times as much each of them needs as this library did in the same round: the ratio in the middle.
    ratios: [Option<f64>; 4],
}

impl Measured {
    /// What a contestant's work cost.
    pub fn of(&self, contestant: Contestant) -> Option<Figures> {
        self.figures[contestant as usize].ok()
    }

    /// How many times as much another contestant needs.
    pub fn ratio(&self, other: Contestant) -> Option<f64> {
        self.of(other).and(self.ratios[other as usize])
    }
}

/// What stands around the results in the README.
const TABLE_BEGINS: &str = "<!-- written by make bench -->";
const TABLE_ENDS: &str = "<!-- until here -->";

fn main() -> io::Result<()> {
    if player::run_if_asked()? {
        return Ok(());
    }
    let rounds = variable("ROUNDS").and_then(|rounds| rounds.parse().ok()).filter(|rounds| *rounds > 0);
    let only = variable("ONLY");
    let contestants = Contestants::prepare()?;
    let mut all = Vec::new();
    let mut table = heading();
    println!("{table}");
    for row in rows::rows() {
        if only.as_ref().is_some_and(|only| !row.name.contains(only.as_str())) {
            continue;
        }
        let measured = contestants.measure(row, rounds)?;
        let line = line(&measured);
        println!("{line}");
        table = format!("{table}\n{line}");
        all.push(measured);
    }
    let sizes = contestants.sizes();
    let library =
        format!("Shared library, stripped: ours {:.0} kB, librtmp {:.0} kB.", sizes.0 / 1e3, sizes.1 / 1e3);
    println!("\n{library}");
    if only.is_none() {
        let benches = Path::new(env!("CARGO_MANIFEST_DIR")).join("benches");
        let text = serde_json::to_string_pretty(&results(&all, sizes)).expect("numbers and text");
        fs::write(benches.join("results.json"), text + "\n")?;
        fs::write(benches.join("results.svg"), chart::draw(&all))?;
        let readme = fs::read_to_string(benches.join("README.md"))?;
        let readme = replace_table(&readme, &format!("{table}\n\n{library}"))
            .ok_or_else(|| io::Error::other("benches/README.md has no place for the table"))?;
        fs::write(benches.join("README.md"), readme)?;
        println!("Written: results.json, results.svg and the table in README.md, all in benches");
    }
    Ok(())
}

/// A variable of the environment that is not empty.
fn variable(name: &str) -> Option<String> {
    env::var(name).ok().filter(|value| !value.is_empty())
}

fn heading() -> String {
    let cells = [
        "unit",
        "ours",
        "librtmp",
        "ratio",
        "FFmpeg",
        "ratio",
        "socket",
        "to socket",
        "wall",
        "calls each",
        "allocs each",
        "peak MB",
    ];
    let rule = [":"; 12].map(|end| format!("---{end}"));
    format!("{}\n{}", table_line("", &cells.map(str::to_owned)), table_line("---", &rule))
}

fn line(measured: &Measured) -> String {
    let cost = |contestant: Contestant| match measured.figures[contestant as usize] {
        Ok(figures) => number(Some(figures.cost)),
        Err(reason) => reason.to_owned(),
    };
    let ratio = |contestant| number(measured.ratio(contestant));
    let pair = |of: fn(Figures) -> Option<f64>| {
        let of = |contestant| number(measured.of(contestant).and_then(of));
        format!("{} / {}", of(Contestant::Ours), of(Contestant::Original))
    };
    table_line(
        measured.row.name,
        &[
            measured.row.unit.name().to_owned(),
            cost(Contestant::Ours),
            cost(Contestant::Original),
            ratio(Contestant::Original),
            cost(Contestant::Ffmpeg),
            ratio(Contestant::Ffmpeg),
            cost(Contestant::Socket),
            number(measured.ratio(Contestant::Socket).map(|ratio| 1.0 / ratio)),
            pair(|figures| Some(figures.wall)),
            pair(|figures| figures.calls),
            pair(|figures| Some(figures.allocations).filter(|count| count.is_finite())),
            pair(|figures| Some(figures.peak / 1e6)),
        ],
    )
}

/// A line of a table in Markdown, in columns that can be read as they are.
fn table_line(name: &str, cells: &[String; 12]) -> String {
    let widths = [5, 7, 14, 6, 7, 6, 7, 9, 15, 15, 15, 13];
    let cells = cells.iter().zip(widths).map(|(cell, width)| format!(" {cell:>width$} |"));
    format!("| {name:<46} |{}", cells.collect::<String>())
}

/// Puts the results between the two lines of the README that mark their place.
fn replace_table(readme: &str, results: &str) -> Option<String> {
    let (before, rest) = readme.split_once(TABLE_BEGINS)?;
    let (_, after) = rest.split_once(TABLE_ENDS)?;
    Some(format!("{before}{TABLE_BEGINS}\n{results}\n{TABLE_ENDS}{after}"))
}

/// Three digits, or a dash.
fn number(value: Option<f64>) -> String {
    match value {
        None => ABSENT.to_owned(),
        Some(value) if value.is_nan() => ABSENT.to_owned(),
        Some(value) if value >= 100.0 => format!("{value:.0}"),
        Some(value) if value >= 10.0 => format!("{value:.1}"),
        Some(value) if value >= 1.0 => format!("{value:.2}"),
        Some(value) => format!("{value:.3}"),
    }
}

fn results(all: &[Measured], sizes: (f64, f64)) -> Value {
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
                "ffmpeg": figures(Contestant::Ffmpeg),
                "socket": figures(Contestant::Socket),
                "librtmp_to_ours": measured.ratio(Contestant::Original),
                "ffmpeg_to_ours": measured.ratio(Contestant::Ffmpeg),
                "socket_to_ours": measured.ratio(Contestant::Socket),
            })
        })
        .collect();
    json!({
        "stripped_library_bytes": { "ours": sizes.0, "librtmp": sizes.1 },
        "rows": rows,
    })
}
