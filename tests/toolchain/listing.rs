//! The lists in `tests/abi`: what librtmp 2.4 exports, and what our library has beyond it.

use std::{collections::BTreeMap, fs};

use crate::support::library::package;

/// Type, as the letter that `nm` shows, and size of a symbol. A function may have any size.
pub type Symbol = (char, Option<u64>);

/// What librtmp 2.4 exports.
pub fn symbols() -> BTreeMap<String, Symbol> {
    lines("symbols.txt")
        .iter()
        .map(|line| {
            let mut words = line.split_whitespace();
            let (name, kind) = (words.next().unwrap(), words.next().unwrap());
            let size = words.next().map(|size| size.parse().unwrap());
            (name.to_owned(), (kind.parse().unwrap(), size))
        })
        .collect()
}

/// A name, or the beginning of several, that our headers declare and those of librtmp 2.4 do not, or that only ours
/// exports; and what the header says about it.
pub struct Addition {
    pub name: String,
    pub is_prefix: bool,
    pub text: String,
}

impl Addition {
    pub fn covers(&self, name: &str) -> bool {
        if self.is_prefix { name.starts_with(&self.name) } else { name == self.name }
    }
}

/// What our library has beyond librtmp 2.4.
pub fn additions() -> Vec<Addition> {
    lines("additions.txt")
        .iter()
        .map(|line| {
            let (name, text) =
                line.split_once(": ").unwrap_or_else(|| panic!("`NAME: text` expected: {line}"));
            let prefix = name.strip_suffix('*');
            Addition {
                name: prefix.unwrap_or(name).to_owned(),
                is_prefix: prefix.is_some(),
                text: text.trim().to_owned(),
            }
        })
        .collect()
}

fn lines(file: &str) -> Vec<String> {
    let text = fs::read_to_string(package().join("tests/abi").join(file)).unwrap();
    text.lines().filter(|line| !line.starts_with('#') && !line.is_empty()).map(str::to_owned).collect()
}
