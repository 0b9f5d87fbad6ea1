//! Our headers compared with those of librtmp 2.4: every name exists and has the same meaning for a compiler,
//! and additions are listed and documented.
//!
//! The C programs that print layouts and use functions are complete, because every field, value, macro and
//! function of the reference headers is searched for in them. Without the reference headers,
//! `tests/abi/layout.txt` replaces them.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use crate::support::{TempDir, library::package, require};
use crate::toolchain::{
    REFERENCE_HEADERS, has_reference_headers,
    header::{Declaration, Header, Kind, identifiers},
    include_option,
    listing::{Addition, additions, symbols},
    output, run,
};

const HEADERS: [&str; 4] = ["amf", "http", "log", "rtmp"];

/// Headers that only we have.
const NEW_HEADERS: [&str; 2] = ["enhanced", "loop"];

/// Macros that are not numbers. `tests/c/abi_layout.c` uses each in a different way.
const OTHER_MACROS: [&str; 4] = ["AVC", "AVMATCH", "CRYPTO", "RTMPPacket_IsReady"];

#[test]
fn every_name_of_the_reference_headers_exists() {
    let (reference, ours) = need!(both());
    let missing: Vec<_> = reference.names().difference(&ours.names()).cloned().collect();
    assert!(missing.is_empty(), "our headers lack {missing:?}");
}

#[test]
fn comparison_programs_cover_every_name() {
    let (reference, _) = need!(both());
    let layout = entries("abi_layout", &["TYPE", "ENUM", "VALUE", "FIELD"]);
    let prototypes = entries("prototypes", &["FUNCTION", "VARIABLE"]);
    let other = c_program("abi_layout") + &c_program("prototypes");
    let other: BTreeSet<_> = identifiers(&other).collect();

    let mut left_out = Vec::new();
    let mut expect = |is_there: bool, what: String| {
        if !is_there {
            left_out.push(what);
        }
    };
    for name in reference.macros.iter().filter(|name| !name.starts_with("__")) {
        let is_there = layout.contains(&format!("VALUE {name}"))
            || OTHER_MACROS.contains(&name.as_str()) && other.contains(name.as_str());
        expect(is_there, format!("VALUE({name})"));
    }
    let mut fields_seen = 0;
    for Declaration { name, kind, .. } in &reference.declarations {
        match kind {
            Kind::Struct(fields) => {
                expect(layout.contains(&format!("TYPE {name}")), format!("TYPE({name})"));
                fields_seen += fields.len();
                for field in fields {
                    let entry = format!("FIELD {name} {field}");
                    expect(layout.contains(&entry), entry);
                }
            }
            Kind::Enum(values) => {
                expect(layout.contains(&format!("ENUM {name}")), format!("ENUM({name})"));
                for value in values {
                    expect(layout.contains(&format!("VALUE {value}")), format!("VALUE({value})"));
                }
            }
            Kind::Function => expect(prototypes.contains(&format!("FUNCTION {name}")), format!("{name}()")),
            Kind::Variable | Kind::Alias => {
                let is_there = other.contains(name.as_str()) || other.contains(&*format!("check_{name}"));
                expect(is_there, name.clone());
            }
        }
    }
    assert!(left_out.is_empty(), "tests/c/abi_layout.c and prototypes.c leave out {left_out:?}");
    let compared = layout.iter().filter(|entry| entry.starts_with("FIELD")).count();
    assert_eq!(compared, fields_seen, "fields in tests/c/abi_layout.c, and in the reference headers");
}

#[test]
fn additions_are_listed_and_documented() {
    let (reference, ours) = need!(both());
    let (listed, known) = (additions(), symbols());
    let dir = our_header("rtmp").parent().unwrap().to_owned();
    let only_ours = Headers::read_some(&dir, &NEW_HEADERS);
    let names: BTreeSet<_> = ours.names().union(&only_ours.names()).cloned().collect();
    let known_names = reference.names();
    // Include guards are not for programs.
    let new: BTreeSet<_> = names
        .difference(&known_names)
        .filter(|name| !name.trim_end_matches('_').ends_with("_H"))
        .cloned()
        .collect();
    let unlisted: Vec<_> = new
        .iter()
        // The reference exports some names that its headers do not declare.
        .filter(|name| !known.contains_key(*name) && !listed.iter().any(|addition| addition.covers(name)))
        .collect();
    assert!(unlisted.is_empty(), "not in tests/abi/additions.txt: {unlisted:?}");

    let all_headers = HEADERS.iter().chain(&NEW_HEADERS);
    let headers: String = all_headers.map(|name| fs::read_to_string(our_header(name)).unwrap()).collect();
    for Addition { name, is_prefix, text } in &listed {
        if *is_prefix {
            let count = new.iter().filter(|other| other.starts_with(name.as_str())).count();
            assert!(count > 0 && !text.is_empty(), "tests/abi/additions.txt: {name}*");
        } else {
            let said = first_sentence(&headers, name);
            assert_eq!(
                said.as_ref(),
                Some(text),
                "what additions.txt says of {name} is not what its header says"
            );
        }
    }
}

#[test]
fn layouts_and_values_match_librtmp() {
    let dir = TempDir::new("abi-layout");
    let source = package().join("tests/c/abi_layout.c");
    let expected = fs::read_to_string(package().join("tests/abi/layout.txt")).unwrap();
    let print = |compiler: &Path, name: &str, options: &[&str]| {
        let program = dir.join(name);
        let mut compile = Command::new(compiler);
        if name.ends_with("cpp") {
            compile.args(["-x", "c++"]);
        }
        run(compile.args(options).arg("-o").arg(&program).arg(&source));
        run(&mut Command::new(program))
    };
    for (compiler, language) in [("cc", "c"), ("c++", "cpp"), ("clang", "c"), ("clang++", "cpp")] {
        let compiler = need!(require::program(compiler));
        let ours = print(&compiler, &format!("ours-{language}"), &[&include_option()]);
        assert_same_lines(&ours, &expected);
        if has_reference_headers() {
            let reference = print(&compiler, &format!("reference-{language}"), &["-include", "stddef.h"]);
            assert_same_lines(&reference, &expected);
        }
    }
}

/// A library made only from a header's declarations has all of its types in its debug information, which
/// librtmp 2.4 lacks.
#[test]
fn abidiff_finds_the_same_types_in_both_headers() {
    let abidiff = need!(require::program("abidiff"));
    let (reference, ours) = need!(both());
    let dir = TempDir::new("abi-hollow");
    let libraries = [(&reference, "reference"), (&ours, "ours")].map(|(headers, name)| {
        let include =
            if name == "ours" { package().join("include/librtmp") } else { REFERENCE_HEADERS.into() };
        (hollow_library(headers, &include, &dir, name), include)
    });
    let compare = |[(before, headers), (after, other_headers)]: [&(PathBuf, PathBuf); 2],
                   options: &[&str]| {
        let mut command = Command::new(&abidiff);
        command.arg("--headers-dir1").arg(headers).arg("--headers-dir2").arg(other_headers);
        let result = output(command.args(["--harmless"]).args(options).arg(before).arg(after));
        (
            result.status.code().expect("abidiff ends by itself"),
            String::from_utf8_lossy(&result.stdout).into_owned(),
        )
    };
    let [theirs, mine] = &libraries;
    let (code, report) = compare([theirs, mine], &["--no-added-syms"]);
    assert!(code == 0, "abidiff: {code:#b}\n{report}");

    // The comparison is effective: it finds a field that moves and an argument of another type.
    let broken_dir = dir.join("broken");
    fs::create_dir(&broken_dir).unwrap();
    for name in HEADERS {
        let text = fs::read_to_string(our_header(name)).unwrap();
        let text =
            text.replace("int m_nBufferMS;", "short m_nBufferMS;").replace("int seekTime)", "long seekTime)");
        fs::write(broken_dir.join(name).with_extension("h"), text).unwrap();
    }
    let broken_headers = Headers::read(&broken_dir);
    let broken = (hollow_library(&broken_headers, &broken_dir, &dir, "broken"), broken_dir);
    let (code, report) = compare([theirs, &broken], &["--no-added-syms"]);
    assert!(code != 0, "abidiff finds nothing in what is broken on purpose");
    assert!(report.contains("RTMP_ConnectStream") && report.contains("m_nBufferMS"), "{report}");
}

/// All headers of a library.
struct Headers {
    macros: BTreeSet<String>,
    declarations: Vec<Declaration>,
}

impl Headers {
    fn read(dir: &Path) -> Self {
        Self::read_some(dir, &HEADERS)
    }

    fn read_some(dir: &Path, headers: &[&str]) -> Self {
        let scratch = TempDir::new("headers-names");
        let mut all = Self { macros: BTreeSet::new(), declarations: Vec::new() };
        for name in headers {
            let header = Header::read(scratch.path(), &dir.join(name).with_extension("h"));
            assert!(!header.declarations.is_empty(), "nothing found in {name}.h of {}", dir.display());
            all.macros.extend(header.macros);
            all.declarations.extend(header.declarations);
        }
        all
    }

    /// Every name that programs can use, those of fields left out.
    fn names(&self) -> BTreeSet<String> {
        let declared = self.declarations.iter().flat_map(|declaration| {
            let values: &[String] = if let Kind::Enum(values) = &declaration.kind { values } else { &[] };
            [&declaration.name].into_iter().chain(values).cloned()
        });
        self.macros.iter().cloned().chain(declared).collect()
    }
}

/// The reference's headers and ours.
fn both() -> Option<(Headers, Headers)> {
    has_reference_headers().then(|| {
        let ours = our_header("rtmp");
        (Headers::read(Path::new(REFERENCE_HEADERS)), Headers::read(ours.parent().unwrap()))
    })
}

/// A shared library with empty functions and variables that the headers declare.
fn hollow_library(headers: &Headers, include: &Path, dir: &TempDir, name: &str) -> PathBuf {
    let includes =
        HEADERS.map(|name| format!("#include \"{}\"\n", include.join(name).with_extension("h").display()));
    // Headers of the reference rely on these being included before.
    let mut text = "#include <stddef.h>\n#include <stdint.h>\n".to_owned() + &includes.concat();
    text.extend(headers.declarations.iter().filter_map(Declaration::hollow_definition));
    let source = dir.join(name).with_extension("c");
    fs::write(&source, text).unwrap();
    let library = dir.join(format!("{name}.so"));
    // Warnings are about the arrays without a length.
    run(Command::new("cc").args(["-g", "-w", "-fPIC", "-shared", "-o"]).arg(&library).arg(source));
    library
}

/// The first sentence of the comment on a declaration.
fn first_sentence(headers: &str, name: &str) -> Option<String> {
    let lines: Vec<_> = headers.lines().collect();
    let is_comment = |line: &str| ["/*", "*"].iter().any(|start| line.trim_start().starts_with(start));
    let at = lines.iter().position(|line| {
        let code = line.split("/*").next().unwrap();
        !is_comment(line) && identifiers(code).any(|word| word == name)
    })?;
    let text = match lines[at].split_once("/**<") {
        Some((_, comment)) => vec![comment],
        None => {
            let begin = lines[..at].iter().rposition(|line| line.contains("/**"))?;
            lines[begin..at].to_vec()
        }
    };
    let words = text.iter().map(|line| line.trim_matches([' ', '/', '*', '<']));
    let paragraph = words.skip_while(|line| line.is_empty()).take_while(|line| !line.is_empty());
    let paragraph = paragraph.collect::<Vec<_>>().join(" ");
    Some(paragraph.split_inclusive(". ").next().unwrap().trim().to_owned())
}

/// The lines of a program in `tests/c` that hand something to one of these macros, as `MACRO argument argument`. Of a
/// function only the name is kept, of a variable too.
fn entries(program: &str, macros: &[&str]) -> BTreeSet<String> {
    let text = c_program(program).replace("\n         ", " ");
    let mut entries = BTreeSet::new();
    for line in text.lines() {
        let Some((name, arguments)) = line.trim().trim_end_matches(';').split_once('(') else { continue };
        let Some(arguments) = arguments.strip_suffix(')').filter(|_| macros.contains(&name)) else {
            continue;
        };
        let arguments: Vec<_> = arguments.split(", ").collect();
        let told = if ["FUNCTION", "VARIABLE"].contains(&name) { arguments[1] } else { &arguments.join(" ") };
        entries.insert(format!("{name} {told}"));
    }
    entries
}

fn our_header(name: &str) -> PathBuf {
    package().join("include/librtmp").join(name).with_extension("h")
}

/// The text of a program in `tests/c`.
fn c_program(name: &str) -> String {
    fs::read_to_string(package().join("tests/c").join(name).with_extension("c")).unwrap()
}

fn assert_same_lines(actual: &str, expected: &str) {
    for (number, (actual, expected)) in (1..).zip(actual.lines().zip(expected.lines())) {
        assert_eq!(actual, expected, "line {number}");
    }
    assert_eq!(actual.lines().count(), expected.lines().count(), "number of lines in\n{actual}");
}
