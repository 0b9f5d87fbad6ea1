//! The reviewed list of what ours does differently on purpose: `tests/differences.md`.

use std::collections::BTreeMap;
use std::fs;

use super::library;

/// The reasons by name. Panics when the list is not a table of four columns, each of them filled.
pub fn reasons() -> BTreeMap<String, String> {
    let file = library::package().join("tests/differences.md");
    let text = fs::read_to_string(file).expect("the list is part of the package");
    let mut reasons = BTreeMap::new();
    for line in text.lines().filter(|line| line.starts_with("| `")) {
        let cells: Vec<&str> = line.trim_matches('|').split(" | ").map(str::trim).collect();
        assert!(
            cells.len() == 4 && cells.iter().all(|cell| !cell.is_empty()),
            "a row without four cells: {line}"
        );
        let name = cells[0].trim_matches('`').to_owned();
        assert!(reasons.insert(name, cells[3].to_owned()).is_none(), "twice in the list: {line}");
    }
    assert!(!reasons.is_empty());
    reasons
}
