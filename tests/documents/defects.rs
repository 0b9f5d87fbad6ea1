//! Every row of `docs/src/differences.md` names tests that exist.
#![forbid(unsafe_code)]

use std::collections::HashMap;
use std::fs;
use std::path::Path;

#[test]
fn every_defect_has_a_test_that_exists() {
    let package = Path::new(env!("CARGO_MANIFEST_DIR"));
    let read = |file: &str| fs::read_to_string(package.join(file)).unwrap_or_default();
    let table = read("docs/src/differences.md");
    let mut sources = HashMap::new();
    let mut wrong = Vec::new();
    let (mut rows, mut sections) = (0, 0);
    for line in table.lines() {
        sections += usize::from(line.starts_with("## "));
        let cells: Vec<&str> = line.trim_matches('|').split(" | ").map(str::trim).collect();
        let [defect, here, tests] = cells.as_slice() else { continue };
        if !line.starts_with('|') || *defect == "librtmp 2.4" {
            continue;
        }
        rows += 1;
        if here.is_empty() || !tests.contains("::") {
            wrong.push(format!("no test: {defect}"));
        }
        for test in tests.split(", ").map(|test| test.trim_matches('`')) {
            let (file, name) = test.split_once("::").unwrap_or((test, ""));
            if file == "differences" {
                continue; // `tests/compare/coverage.rs` looks for those
            }
            let source: &String = sources.entry(file).or_insert_with(|| read(file));
            let exists = if file.ends_with(".rs") { has_test(source, name) } else { source.contains(name) };
            if !exists {
                wrong.push(format!("{test} ({defect})"));
            }
        }
    }
    assert!(wrong.is_empty(), "docs/src/differences.md names tests that do not exist:\n{}", wrong.join("\n"));
    assert!(rows >= 150 && sections == 9, "{rows} rows in {sections} sections");
}

/// Whether a source file has a test function of this name.
fn has_test(source: &str, name: &str) -> bool {
    let function = format!("fn {name}()");
    source.match_indices("#[test]").any(|(at, _)| {
        let mut below = source[at..].lines().skip(1).map(str::trim);
        below.find(|line| !line.starts_with("#[")).is_some_and(|line| line.starts_with(&function))
    })
}

#[test]
fn missing_tests_are_noticed() {
    let source = "    #[test]\n    #[cfg(unix)]\n    fn here() {\n    }\nfn helper() {}\n";
    assert!(has_test(source, "here"));
    assert!(!has_test(source, "helper") && !has_test(source, "her") && !has_test(source, "nowhere"));
}
