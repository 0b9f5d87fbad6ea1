//! The numbers in SECURITY.md are those in the sources.
#![forbid(unsafe_code)]

use std::{collections::BTreeSet, fs, path::Path};

/// A row of a table: the value in the document, and the name of the constant.
struct Row<'a> {
    said: &'a str,
    constant: &'a str,
    file: &'a str,
}

fn rows(page: &str) -> Vec<Row<'_>> {
    page.lines()
        .filter_map(|line| {
            let mut cells = line.strip_prefix("| ")?.strip_suffix(" |")?.split(" | ");
            let (_, said, source) = (cells.next()?, cells.next()?, cells.next()?);
            let (constant, file) = source.strip_prefix('`')?.strip_suffix('`')?.split_once("` in `")?;
            Some(Row { said, constant, file })
        })
        .collect()
}

/// A number with a unit: bytes, or milliseconds.
fn amount(text: &str) -> Option<u64> {
    let (number, unit) = text.split_once(' ').unwrap_or((text, ""));
    let factor = match unit {
        "" | "ms" => 1,
        "s" => 1000,
        "KiB" => 1 << 10,
        "MiB" => 1 << 20,
        _ => return None,
    };
    Some(number.parse::<u64>().ok()? * factor)
}

/// The value of a constant: a product, a sum, a shift of numbers or of other constants of the file, or a duration.
fn evaluate(source: &str, expression: &str) -> Option<u64> {
    let expression = expression.trim();
    for (function, factor) in [("Duration::from_secs(", 1000), ("Duration::from_millis(", 1)] {
        if let Some(rest) = expression.strip_prefix(function) {
            return Some(evaluate(source, rest.strip_suffix(')')?)? * factor);
        }
    }
    type Operation = fn(u64, u64) -> u64;
    let operations: [(&str, Operation); 3] =
        [(" << ", |a, b| a << b), (" + ", |a, b| a + b), (" * ", |a, b| a * b)];
    for (operator, apply) in operations {
        if let Some((left, right)) = expression.rsplit_once(operator) {
            return Some(apply(evaluate(source, left)?, evaluate(source, right)?));
        }
    }
    let digits = expression.replace('_', "");
    match digits.strip_prefix("0x") {
        Some(hex) => u64::from_str_radix(hex, 16).ok(),
        None => digits.parse().ok().or_else(|| constant(source, expression)),
    }
}

fn constant(source: &str, name: &str) -> Option<u64> {
    let (_, definition) = source.split_once(&format!("const {name}: "))?;
    let (_, value) = definition.split_once(" = ")?;
    evaluate(source, value.split_once(';')?.0)
}

#[test]
fn every_limit_matches_its_constant() {
    let package = Path::new(env!("CARGO_MANIFEST_DIR"));
    let page = fs::read_to_string(package.join("SECURITY.md")).expect("SECURITY.md is there");
    let rows = rows(&page);
    // Every line of a table except the first two.
    let lines = page.lines().filter(|line| line.starts_with("| ") && !line.starts_with("| What | "));
    assert_eq!(rows.len(), lines.count(), "a row has another form");
    assert!(rows.len() > 40, "only {} rows", rows.len());
    for Row { said, constant: name, file } in &rows {
        let source = fs::read_to_string(package.join(file)).unwrap_or_else(|error| panic!("{file}: {error}"));
        let value = constant(&source, name).unwrap_or_else(|| panic!("{file} has no number {name}"));
        assert_eq!(amount(said), Some(value), "{name} in {file}");
    }
    let names: BTreeSet<_> = rows.iter().map(|row| (row.constant, row.file)).collect();
    assert_eq!(names.len(), rows.len(), "a constant has two rows");
}

#[test]
fn numbers_are_read_as_they_are_written() {
    let source = "const A: usize = 0xFF_FFFF;\npub const B: usize = 4 * A;\nconst C: Duration = Duration::from_secs(10 * 60);\nconst D: u64 = 64 << 20;";
    let values = ["A", "B", "C", "D", "E"].map(|name| constant(source, name));
    assert_eq!(values, [Some(0xFF_FFFF), Some(4 * 0xFF_FFFF), Some(600_000), Some(64 << 20), None]);
    assert_eq!(
        ["7", "2 KiB", "3 s", "5 ms", "5 m"].map(amount),
        [Some(7), Some(2048), Some(3000), Some(5), None]
    );
}
