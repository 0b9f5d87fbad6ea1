//! The interface that programs compiled for librtmp 2.4 rely on: symbols, layouts, values, and running
//! without relinking. The variables that they copy have their own test, `symbols`.

#[path = "../support/mod.rs"]
#[macro_use]
mod support;

mod headers;
mod linkage;
mod manual;
mod msvc;
mod reference_headers;
mod sample;
mod symbols;
#[path = "../toolchain/mod.rs"]
mod toolchain;

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use support::{Library, library::package, require};
use toolchain::{
    listing::{Symbol, additions, symbols},
    output, run,
};

#[test]
fn exports_are_those_of_librtmp_and_the_documented_additions() {
    let (exported, known, additions) = (dynamic_symbols(&ours()), symbols(), additions());
    for (name, symbol) in &known {
        // Programs copy variables, so their sizes are part of the ABI.
        assert_eq!(exported.get(name), Some(symbol), "{name}: type, and size if it is a variable");
    }
    let unlisted: Vec<_> = exported
        .keys()
        .filter(|name| !known.contains_key(*name) && !additions.iter().any(|addition| addition.covers(name)))
        .collect();
    assert!(unlisted.is_empty(), "neither librtmp's nor in tests/abi/additions.txt: {unlisted:?}");
}

#[test]
fn symbol_list_matches_the_reference_library() {
    let reference = need!(Library::Original.file());
    assert_eq!(dynamic_symbols(&reference), symbols());
    assert_eq!(symbols().len(), 116);
}

#[test]
fn soname_matches_librtmp() {
    let dynamic = run(Command::new("readelf").arg("-dW").arg(ours()));
    assert!(dynamic.contains("Library soname: [librtmp.so.1]"), "{dynamic}");
}

#[test]
fn symbols_have_no_versions() {
    // The linker records version nodes of a library, and such programs do not run on librtmp 2.4.
    let sections = run(Command::new("readelf").arg("-SW").arg(ours()));
    assert!(!sections.contains(".gnu.version_d"), "{sections}");
}

#[test]
fn constants_in_rust_are_those_of_the_headers() {
    let expected = fs::read_to_string(package().join("tests/abi/layout.txt")).unwrap();
    let in_headers: BTreeMap<_, _> =
        expected.lines().filter_map(|line| line.trim().split_once(" = ")).collect();
    let mut compared = 0;
    for (name, value) in rust_constants(&package().join("src")) {
        if let Some(in_header) = in_headers.get(name.as_str()) {
            assert_eq!(value.to_string(), *in_header, "{name}");
            compared += 1;
        }
    }
    assert!(compared > 10, "only {compared} constants found");
}

/// Types are compared in `reference_headers`: the reference comes without debug information.
#[test]
fn abidiff_finds_nothing_but_the_additions() {
    let abidiff = need!(require::program("abidiff"));
    let reference = need!(Library::Original.file());
    let result = output(Command::new(&abidiff).arg("--no-added-syms").arg(&reference).arg(ours()));
    let report = String::from_utf8_lossy(&result.stdout).into_owned();
    assert!(result.status.code() == Some(0), "abidiff: {:?}\n{report}", result.status);

    // The other way round the additions are missing, and abidiff would report that.
    let result = output(Command::new(abidiff).arg("--no-added-syms").arg(ours()).arg(&reference));
    let report = String::from_utf8_lossy(&result.stdout).into_owned();
    let known = symbols();
    for name in dynamic_symbols(&ours()).keys().filter(|name| !known.contains_key(*name)) {
        assert!(report.contains(&format!("[D] {name}")), "{name}: {report}");
    }
}

/// The shared library of this test run.
fn ours() -> PathBuf {
    Library::Ours.file().expect("ours is always there")
}

/// The symbols that a shared library exports. The sizes of functions may differ.
fn dynamic_symbols(library: &Path) -> BTreeMap<String, Symbol> {
    let table = run(Command::new("nm").args(["-D", "-S", "--defined-only"]).arg(library));
    let rows = table.lines().map(|line| line.split_whitespace().collect::<Vec<_>>());
    rows.map(|words| {
        let [.., kind, name] = &words[..] else { panic!("nm says {words:?}") };
        let kind = kind.parse().unwrap();
        let size = words.get(1).filter(|_| kind != 'T').map(|size| u64::from_str_radix(size, 16).unwrap());
        ((*name).to_owned(), (kind, size))
    })
    .collect()
}

/// The constants below a directory that are written as a plain number.
fn rust_constants(dir: &Path) -> Vec<(String, i64)> {
    let mut constants = Vec::new();
    for path in fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path()) {
        if path.is_dir() {
            constants.extend(rust_constants(&path));
            continue;
        }
        if path.extension().is_none_or(|extension| extension != "rs") {
            continue;
        }
        for line in fs::read_to_string(&path).unwrap().lines() {
            let Some((name, rest)) = line.strip_prefix("pub const ").and_then(|rest| rest.split_once(": "))
            else {
                continue;
            };
            let value = rest.split_once(" = ").and_then(|(_, value)| number(value.trim_end_matches(';')));
            constants.extend(value.map(|value| (name.to_owned(), value)));
        }
    }
    constants
}

fn number(text: &str) -> Option<i64> {
    text.strip_prefix("0x").map_or_else(|| text.parse().ok(), |digits| i64::from_str_radix(digits, 16).ok())
}
