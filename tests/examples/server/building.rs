//! That the server compiles elsewhere, and that its page is right.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use crate::support::{library, program, require};

fn sources() -> Vec<PathBuf> {
    let folder = library::package().join("c-examples/server");
    let files = fs::read_dir(folder).expect("the sources are there").flatten().map(|file| file.path());
    files.filter(|file| file.extension().is_some_and(|extension| extension == "c")).collect()
}

#[test]
fn server_compiles_as_old_and_new_c_without_warnings() {
    for compiler in ["gcc", "clang"] {
        let compiler = need!(require::program(compiler));
        // Elsewhere than on Linux the event loop waits with poll.
        for (standard, waiter) in [
            ("c99", "-USERVER_POLL"),
            ("c11", "-USERVER_POLL"),
            ("c17", "-USERVER_POLL"),
            ("c99", "-DSERVER_POLL"),
        ] {
            let output = Command::new(&compiler)
                .args([
                    &format!("-std={standard}"),
                    waiter,
                    "-fsyntax-only",
                    "-Wall",
                    "-Wextra",
                    "-Wpedantic",
                    "-Werror",
                ])
                .args(program::include_arguments())
                .args(sources())
                .output()
                .expect("the compiler starts");
            assert!(
                output.status.success(),
                "{standard} {waiter}: {}",
                String::from_utf8_lossy(&output.stderr)
            );
        }
    }
}

/// `8 << 20` is 8388608.
fn evaluate(expression: &str) -> u64 {
    let (number, shift) = expression.split_once(" << ").unwrap_or((expression, "0"));
    let parse =
        |text: &str| text.trim().parse::<u64>().unwrap_or_else(|_| panic!("not a number: {expression}"));
    parse(number) << parse(shift)
}

#[test]
fn limits_in_the_readme_match_the_sources() {
    let folder = library::package().join("c-examples");
    let page = fs::read_to_string(folder.join("README.md")).expect("the page is there");
    let mut rows = 0;
    for line in page.lines() {
        let Some((row, constant)) = line.rsplit_once(" | `").filter(|(row, _)| row.starts_with("| ")) else {
            continue;
        };
        let Some((name, file)) =
            constant.strip_suffix("` |").and_then(|constant| constant.split_once("` in `"))
        else {
            continue;
        };
        let source = fs::read_to_string(folder.join(file)).unwrap_or_else(|error| panic!("{file}: {error}"));
        let (_, value) =
            source.split_once(&format!("{name} = ")).unwrap_or_else(|| panic!("no {name} in {file}"));
        let end = value.find([',', '}', '\n', '/']).expect("the value ends");
        let amount = row.rsplit(" | ").next().expect("there is an amount");
        let (number, unit) = amount.split_once(' ').unwrap_or((amount, ""));
        let factor = match unit {
            "" | "ms" => 1,
            "s" => 1000,
            "KiB" => 1 << 10,
            "MiB" => 1 << 20,
            _ => panic!("unknown unit: {amount}"),
        };
        assert_eq!(
            evaluate(value[..end].trim()),
            number.parse::<u64>().expect("a number") * factor,
            "{name}"
        );
        rows += 1;
    }
    assert!(rows > 10, "only {rows} rows");
}
