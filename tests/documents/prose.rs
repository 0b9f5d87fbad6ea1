//! Documents, headers and comments are in plain English: no words that make a reader stop, and no sentences that begin with a
//! clause. The rules are in CONTRIBUTING.md. This is a list of phrases, not a grammar; `make lint` runs it.
#![forbid(unsafe_code)]

use std::{
    fs,
    path::{Path, PathBuf},
};

use crate::support::library::package;

/// Words with a plain or a technical word in their place, for documents, headers and comments.
const UNUSUAL: [&str; 34] = [
    "whoever",
    "whomever",
    "somebody",
    "anybody",
    "everybody",
    "nobody else",
    "in any case",
    "dearer",
    "the long way",
    "in a hurry",
    "in one go",
    "in vain",
    "for ever",
    "time-out",
    "time-outs",
    "passed over",
    "goes on",
    "go on",
    "going on",
    "mend",
    "makes no sense",
    "make no sense",
    "anew",
    "is to be",
    "are to be",
    "hands out",
    "handed out",
    "lets go",
    "let go of",
    "is over",
    "are over",
    "put together",
    "puts together",
    "but for",
];

/// Further words for what users read. In comments these are names of the code.
const UNUSUAL_IN_DOCUMENTS: [&str; 2] = ["goodbye", "wishes"];

/// Beginnings of a comment on an item: a clause in place of a noun.
const CLAUSES: [&str; 6] = ["what ", "who ", "how much ", "how many ", "how often ", "how long "];

/// Files below a directory with one of these extensions. Directories that git ignores have none.
fn below(directory: &Path, extensions: &[&str], found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(directory).expect("the directory is readable") {
        let path = entry.expect("the directory is readable").path();
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        if path.is_dir() {
            if !["target", "node_modules", "corpus", "artifacts"].contains(&name) {
                below(&path, extensions, found);
            }
        } else if path.extension().is_some_and(|is| extensions.iter().any(|extension| is == *extension)) {
            found.push(path);
        }
    }
}

fn all(directories: &[&str], extensions: &[&str]) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for directory in directories {
        below(&package().join(directory), extensions, &mut found);
    }
    found.sort();
    assert!(!found.is_empty(), "{directories:?} have no such files");
    found
}

/// A line without code, in small letters.
fn words(line: &str) -> String {
    line.split('`').step_by(2).collect::<String>().to_lowercase()
}

/// Whether a text contains a phrase, not as a part of longer words.
fn has(text: &str, phrase: &str) -> bool {
    let is_letter = |letter: char| letter.is_alphanumeric() || letter == '_';
    text.match_indices(phrase).any(|(at, _)| {
        text[..at].chars().next_back().is_none_or(|before| !is_letter(before))
            && text[at + phrase.len()..].chars().next().is_none_or(|after| !is_letter(after))
    })
}

/// The comment in a line of a source file.
fn comment(line: &str, is_rust: bool) -> Option<&str> {
    let line = line.trim_start();
    if is_rust {
        let text = line.strip_prefix("//").or_else(|| line.split_once(" // ").map(|(_, comment)| comment))?;
        return Some(text.trim_start_matches(['/', '!']).trim_start());
    }
    let text = line.strip_prefix("* ").or_else(|| line.split_once("/*").map(|(_, comment)| comment))?;
    Some(text.trim_start_matches(['*', '<']).trim_start())
}

#[track_caller]
fn report(found: &[String]) {
    assert!(found.is_empty(), "write it in another way, see CONTRIBUTING.md:\n{}", found.join("\n"));
}

#[test]
fn documents_and_headers_use_plain_words() {
    let mut documents = all(&["docs/src", "c-examples", "benches", "packaging"], &["md"]);
    documents.extend(
        ["README.md", "SECURITY.md", "CONTRIBUTING.md", "PROMISES.md", "CHANGELOG.md"]
            .map(|name| package().join(name)),
    );
    documents.extend(all(&["man/man1"], &["1"]));
    documents.extend(all(&["man/man3"], &["3"]));
    documents.extend(all(&["include/librtmp"], &["h"]));
    let mut found = Vec::new();
    for path in documents {
        let text = fs::read_to_string(&path).expect("it is readable").replace("\\-", "-");
        for (number, line) in (1..).zip(text.lines()) {
            let line = words(line);
            let unusual = UNUSUAL.iter().chain(&UNUSUAL_IN_DOCUMENTS).filter(|phrase| has(&line, phrase));
            found.extend(unusual.map(|phrase| format!("{}:{number}: {phrase}", path.display())));
        }
    }
    report(&found);
}

#[test]
fn comments_use_plain_words() {
    let sources =
        all(&["src", "rtmp", "benches", "c-examples", "fuzz", "tests", "man/examples"], &["rs", "c", "h"]);
    assert!(sources.len() > 300, "{} files", sources.len());
    let mut found = Vec::new();
    for path in sources {
        let is_rust = path.extension().is_some_and(|extension| extension == "rs");
        let is_library =
            ["src", "rtmp/src"].iter().any(|directory| path.starts_with(package().join(directory)));
        let text = fs::read_to_string(&path).expect("it is readable");
        let mut follows_comment = false;
        for (number, line) in (1..).zip(text.lines()) {
            let Some(comment) = comment(line, is_rust) else {
                follows_comment = false;
                continue;
            };
            let comment = words(comment);
            let unusual = UNUSUAL.iter().filter(|phrase| has(&comment, phrase));
            found.extend(unusual.map(|phrase| format!("{}:{number}: {phrase}", path.display())));
            let begins = is_library && !follows_comment;
            if begins && CLAUSES.iter().any(|clause| comment.starts_with(clause)) {
                found.push(format!("{}:{number}: begins with a clause", path.display()));
            }
            follows_comment = true;
        }
    }
    report(&found);
}

#[test]
fn phrases_are_found_as_words_and_not_in_code() {
    assert!(has(&words("It goes on."), "goes on"));
    assert!(!has(&words("It goes once."), "goes on"));
    assert!(!has(&words("`goes on`"), "goes on"));
    assert_eq!(comment("    let a = 1; // What a", true), Some("What a"));
    assert_eq!(comment(" * What a", false), Some("What a"));
    assert_eq!(comment("    int a; /**< What a */", false), Some("What a */"));
    assert_eq!(comment("    let a = 1;", true), None);
}
