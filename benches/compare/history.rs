//! The number of instructions of each row in earlier commits.
//!
//! Seconds depend on the machine and its load; instructions depend only on the program, the compiler and the C library. So they
//! reveal small regressions that time measurements do not.

use std::{fs, io, path::PathBuf, process::Command};

use serde_json::{Map, Value, json};

use crate::{contestants::Contestants, rows::Row};

/// The ratio to the earlier count above which a row is a regression.
const TOLERANCE: f64 = 1.05;

/// Counts the instructions of rows. With `record`, adds them to the file; otherwise compares them with its last entry and fails
/// if a row has more than [`TOLERANCE`] times as many.
pub fn check(contestants: &Contestants, rows: &[Row], record: bool) -> io::Result<()> {
    let mut history = read()?;
    let before = history.last().and_then(|entry| entry.get("rows")).cloned().unwrap_or_default();
    println!("{:<46} {:>12} {:>12} {:>7}", "user instructions for each message", "now", "before", "ratio");
    let (mut counted, mut worse) = (Map::new(), Vec::new());
    for row in rows {
        let Some(now) = contestants.instructions(*row)? else { continue };
        let before = before.get(row.name).and_then(Value::as_f64);
        let ratio = before.map(|before| now / before);
        let shown =
            |value: Option<f64>, digits| value.map_or("–".to_owned(), |value| format!("{value:.digits$}"));
        println!("{:<46} {now:>12.0} {:>12} {:>7}", row.name, shown(before, 0), shown(ratio, 3));
        if ratio.is_some_and(|ratio| ratio > TOLERANCE) {
            worse.push(row.name);
        }
        counted.insert(row.name.to_owned(), json!(now.round()));
    }
    if record {
        history.push(json!({ "commit": commit(), "rows": counted }));
        let text = serde_json::to_string_pretty(&history).map_err(io::Error::other)?;
        fs::write(path(), text + "\n")?;
        println!("written to benches/instructions.json");
        return Ok(());
    }
    if worse.is_empty() {
        println!("no row takes more than {TOLERANCE} times as many as before");
        return Ok(());
    }
    Err(io::Error::other(format!("more instructions than before: {}", worse.join("; "))))
}

fn path() -> PathBuf {
    [env!("CARGO_MANIFEST_DIR"), "benches", "instructions.json"].iter().collect()
}

/// All entries, the oldest first.
fn read() -> io::Result<Vec<Value>> {
    match fs::read_to_string(path()) {
        Ok(text) => serde_json::from_str(&text).map_err(io::Error::other),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
        Err(error) => Err(error),
    }
}

/// The current commit; the measured files may have further changes.
fn commit() -> String {
    let output = Command::new("git").args(["rev-parse", "--short", "HEAD"]).output();
    let text = output.map(|output| String::from_utf8_lossy(&output.stdout).trim().to_owned());
    text.unwrap_or_default()
}
