//! Runs the fuzz targets on the saved inputs in `fuzz/corpus`.

use std::{
    collections::BTreeSet,
    fs,
    panic::catch_unwind,
    path::{Path, PathBuf},
};

#[path = "../fuzz/src/lib.rs"]
mod fuzz;

use fuzz::TARGETS;

/// The largest size of a file, and of all files together, in the repository.
const MAX_FILE: usize = 64 << 10;
const MAX_TOTAL: usize = 2 << 20;

fn entries(directory: &Path) -> Vec<PathBuf> {
    let listing = fs::read_dir(directory).expect("the directory is committed");
    let mut paths: Vec<_> = listing.map(|entry| entry.expect("it can be read").path()).collect();
    paths.sort();
    paths
}

fn corpus() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus")
}

#[test]
fn no_input_crashes() {
    let mut total = 0;
    let mut failed = Vec::new();
    for (name, run) in TARGETS {
        let inputs = entries(&corpus().join(name));
        assert!(inputs.len() > 1, "{name} has inputs");
        for path in inputs {
            let data = fs::read(&path).expect("the input can be read");
            assert!(data.len() <= MAX_FILE, "{} is too large to be kept", path.display());
            total += data.len();
            if catch_unwind(|| run(&data)).is_err() {
                failed.push(path);
            }
        }
    }
    assert!(failed.is_empty(), "{failed:#?}");
    assert!(total <= MAX_TOTAL, "{total} bytes are too many to be kept");
}

#[test]
fn every_target_is_known_to_cargo_fuzz_and_has_a_corpus() {
    let named = |paths: Vec<PathBuf>| -> BTreeSet<String> {
        paths.iter().filter_map(|path| Some(path.file_stem()?.to_str()?.to_owned())).collect()
    };
    let targets: BTreeSet<_> = TARGETS.iter().map(|(name, _)| (*name).to_owned()).collect();
    assert_eq!(named(entries(&corpus())), targets);
    assert_eq!(named(entries(&corpus().with_file_name("fuzz_targets"))), targets);
    let manifest = fs::read_to_string(corpus().with_file_name("Cargo.toml")).expect("it is committed");
    let listed = manifest.lines().filter_map(|line| line.strip_prefix("name = \"")?.strip_suffix('"'));
    assert_eq!(listed.skip(1).map(str::to_owned).collect::<BTreeSet<_>>(), targets);
}

/// Inputs that are too short for their options are ignored.
#[test]
fn short_inputs_do_not_crash() {
    for (_, run) in TARGETS {
        for len in 0..6 {
            run(&vec![0; len]);
            run(&vec![0xFF; len]);
        }
    }
}
