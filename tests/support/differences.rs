//! The reviewed list of intended differences: the names in `docs/src/differences.md`.

use std::collections::BTreeMap;
use std::fs;

use super::library;

/// Our behaviour, by name. Panics if a row of the list does not have three columns, each of them filled.
pub fn reasons() -> BTreeMap<String, String> {
    let file = library::package().join("docs/src/differences.md");
    let text = fs::read_to_string(file).expect("the list is part of the package");
    let mut reasons = BTreeMap::new();
    for line in text.lines().filter(|line| line.starts_with("| ") && line.contains("`differences::")) {
        let cells: Vec<&str> = line.trim_matches('|').split(" | ").map(str::trim).collect();
        assert!(
            cells.len() == 3 && cells.iter().all(|cell| !cell.is_empty()),
            "a row without three cells: {line}"
        );
        for name in cells[2].split("`differences::").skip(1) {
            let name = name.split('`').next().expect("it is there").to_owned();
            assert!(reasons.insert(name, cells[1].to_owned()).is_none(), "twice in the list: {line}");
        }
    }
    assert!(!reasons.is_empty());
    reasons
}
