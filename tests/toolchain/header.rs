//! What a C header declares, as the preprocessor leaves it.

use std::{collections::BTreeSet, fs, path::Path, process::Command};

use super::run;

/// A header's own part, without what it includes.
pub struct Header {
    /// The macros that it defines.
    pub macros: BTreeSet<String>,
    pub declarations: Vec<Declaration>,
}

/// One declaration. Its name is how C programs write it: `struct HTTP_ctx` where there is no shorter one.
pub struct Declaration {
    pub name: String,
    pub kind: Kind,
    /// From the first word up to the semicolon, which is left out.
    pub text: String,
}

pub enum Kind {
    Function,
    Variable,
    /// With the paths of its fields, those of unnamed types inside it too.
    Struct(Vec<String>),
    /// With the names of its values.
    Enum(Vec<String>),
    /// Another name of a type.
    Alias,
}

impl Header {
    /// Lets the compiler read a header; `dir` is for files in between.
    pub fn read(dir: &Path, header: &Path) -> Self {
        let preprocess = |name: &str, text: &str, option: &str| {
            let source = dir.join(name);
            fs::write(&source, text).unwrap();
            run(Command::new("cc").args(["-E", option]).arg(&source))
        };
        let header = header.to_str().unwrap();
        let with_header = format!("{STANDARD_HEADERS}#include \"{header}\"\n");
        let macros = |text: &str| macro_names(&preprocess("macros.c", text, "-dM")).collect::<BTreeSet<_>>();
        let declared = own_lines(&preprocess("declared.c", &with_header, "-dI"), header);
        Self {
            macros: macros(&with_header).difference(&macros(STANDARD_HEADERS)).cloned().collect(),
            declarations: statements(&declared).into_iter().filter_map(Declaration::parse).collect(),
        }
    }
}

impl Declaration {
    fn parse(text: String) -> Option<Self> {
        let (before, body) = match text.split_once('{') {
            Some((before, rest)) => (before, Some(rest.rsplit_once('}').expect("braces are closed"))),
            None => (&text[..], None),
        };
        let words: Vec<_> = identifiers(before).collect();
        let is_typedef = words.contains(&"typedef");
        if let Some((inside, behind)) = body {
            let short = identifiers(behind).next().map(str::to_owned);
            let name = short.unwrap_or_else(|| before.trim().to_owned());
            let is_enum = words.contains(&"enum");
            let kind = if is_enum { Kind::Enum(values(inside)) } else { Kind::Struct(fields(inside)) };
            return Some(Self { name, kind, text });
        }
        if let Some((declarator, arguments)) = text.split_once('(') {
            // A function type has its name in parentheses of its own.
            let name =
                if is_typedef { identifiers(arguments).next() } else { identifiers(declarator).last() };
            let kind = if is_typedef { Kind::Alias } else { Kind::Function };
            return Some(Self { name: name?.to_owned(), kind, text });
        }
        let name = identifiers(text.split('[').next()?).last()?.to_owned();
        match words[0] {
            "typedef" => Some(Self { name, kind: Kind::Alias, text }),
            "extern" => Some(Self { name, kind: Kind::Variable, text }),
            // The announcement of a struct.
            _ => None,
        }
    }

    /// A definition with nothing in it, for a library that is only looked at.
    pub fn hollow_definition(&self) -> Option<String> {
        match self.kind {
            Kind::Function => Some(format!("{} {{ __builtin_trap(); }}\n", self.without_attributes())),
            Kind::Variable => Some(format!("{};\n", self.text.trim().strip_prefix("extern")?)),
            _ => None,
        }
    }

    fn without_attributes(&self) -> &str {
        self.text.split("__attribute__").next().unwrap_or(&self.text)
    }
}

/// Identifiers of C, in order; numbers with letters in them are none.
pub fn identifiers(text: &str) -> impl Iterator<Item = &str> {
    let is_part = |character: char| character.is_ascii_alphanumeric() || character == '_';
    text.split(move |character| !is_part(character))
        .filter(|word| word.starts_with(|first: char| first.is_ascii_alphabetic() || first == '_'))
}

fn macro_names(definitions: &str) -> impl Iterator<Item = String> {
    definitions.lines().filter_map(|line| {
        let name = line.strip_prefix("#define ")?;
        identifiers(name).next().map(str::to_owned)
    })
}

/// The lines of preprocessed text that came from `header` itself.
fn own_lines(text: &str, header: &str) -> String {
    let mut is_own = false;
    let mut own = String::new();
    for line in text.lines() {
        if let Some(marker) = line.strip_prefix("# ") {
            is_own = marker.split('"').nth(1) == Some(header);
        } else if is_own && !line.starts_with('#') {
            own.push_str(line);
            own.push('\n');
        }
    }
    own
}

/// Divides text at the semicolons that are not inside braces.
fn statements(text: &str) -> Vec<String> {
    let mut depth = 0;
    let parts = text.split(|character| {
        match character {
            '{' => depth += 1,
            '}' => depth -= 1,
            _ => {}
        }
        character == ';' && depth == 0
    });
    parts.map(|part| part.trim().to_owned()).filter(|part| !part.is_empty()).collect()
}

/// The names in the body of an enum.
fn values(body: &str) -> Vec<String> {
    body.split(',').filter_map(|value| identifiers(value).next().map(str::to_owned)).collect()
}

/// The paths of the fields in the body of a struct or union.
fn fields(body: &str) -> Vec<String> {
    let mut paths = Vec::new();
    for field in statements(body) {
        if let Some((inside, name)) = field.split_once('{').and_then(|(_, rest)| rest.rsplit_once('}')) {
            let name = name.trim();
            paths.push(name.to_owned());
            paths.extend(fields(inside).iter().map(|path| format!("{name}.{path}")));
        } else {
            // `int a, *b, c[3]`: the name is what stands last in front of a bracket.
            let names = field.split(',').filter_map(|one| identifiers(one.split('[').next()?).last());
            paths.extend(names.map(str::to_owned));
        }
    }
    paths
}

/// What the headers themselves include, in front of them so that it does not count as theirs.
const STANDARD_HEADERS: &str = "\
#include <errno.h>
#include <poll.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
";
