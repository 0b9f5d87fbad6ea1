//! Programs that need no scripted session, for the remaining exports.

use std::fs;
use std::process::Command;

use serde_json::Value;

use super::session::LIMIT;
use super::support::calls::CallLog;
use super::support::certs::{Authority, Valid};
use super::support::{Library, Program, TempDir, library, program};
use super::web::Site;
use super::{Observation, Row};

pub fn rows() -> impl Iterator<Item = Row> {
    let row = |name: &'static str, run: fn(Library) -> Option<Observation>| Row {
        name: name.to_owned(),
        like: name,
        run: Box::new(run),
    };
    [
        row("amf", |library| run("amf", library, &[], &amf_vectors())),
        row("log", |library| run("log", library, &[], "")),
        row("setup", |library| run("setup", library, &[], &setup_vectors())),
        row("sockets", |library| run("sockets", library, &[], "")),
        row("variables", |library| run("variables", library, &[], "")),
        row("serve", |library| run("serve", library, &[], "")),
        row("serve-tls", serve_tls),
        row("http-get", http_get),
        row("errno", errno),
        row("hash-swf", hash_swf),
    ]
    .into_iter()
}

/// Every way in which a call can end, and the value of `errno` after it.
fn errno(library: Library) -> Option<Observation> {
    let directory = TempDir::new("errno");
    run("errno", library, &[&directory.path().to_string_lossy()], "")
}

/// Runs a program of `tests/c`.
fn run(name: &str, library: Library, arguments: &[&str], input: &str) -> Option<Observation> {
    let program = Program::test(name)?;
    let mut command = program.command(library)?;
    command.args(arguments);
    Some(observe(&program, command, input))
}

fn observe(program: &Program, mut command: Command, input: &str) -> Observation {
    let calls = CallLog::of(&mut command);
    let run = program::run(&mut command, input, LIMIT);
    let log = run.stderr.clone();
    let text = run.expect(&program.path().display().to_string());
    Observation { text, log, used: calls.used_by(program.path()), ..Observation::default() }
}

/// Vectors whose results are indeterminate or wrong in librtmp 2.4; `amf_vectors` has our results.
const AMF_DEFECTS: [&str; 9] = [
    "avm-notobj",
    "p0-ecma-short-count",
    "arr-ecma-over",
    "a3int-9",
    "a3int-10",
    "a3int-13",
    "a3str-neg",
    "a3p-string-short",
    "a3p-object-plain",
];

/// Function, two arguments and bytes for each decode vector with which librtmp 2.4 does not crash.
fn amf_vectors() -> String {
    let vectors = vectors("amf-vectors.json");
    let mut input = String::new();
    for vector in list(&vectors["decode"]) {
        let id = vector["id"].as_str().unwrap_or_default();
        if vector["required"] != "as original" || AMF_DEFECTS.contains(&id) {
            continue;
        }
        let argument = |names: &[&str]| {
            let found = names.iter().find_map(|name| vector["args"][name].as_i64());
            found.unwrap_or(0)
        };
        let (first, second) =
            (argument(&["nArrayLen", "bDecodeName", "bAMFData"]), argument(&["bDecodeName"]));
        let bytes = vector["input"].as_str().unwrap_or_default().replace(' ', "");
        let function = vector["fn"].as_str().unwrap_or_default();
        input += &format!("{function} {first} {second} {bytes}\n");
    }
    input
}

/// The texts that both libraries read in the same way; `setup_vectors` has the others.
fn setup_vectors() -> String {
    let (urls, setup) = (vectors("urls.json"), vectors("setup.json"));
    let lists = [
        ("u", &urls["urls"], "url"),
        ("n", &urls["stream_names"], "text"),
        ("s", &setup["setups"], "text"),
        ("o", &setup["options"], "text"),
    ];
    let mut input = String::new();
    for (kind, rows, name) in lists {
        for row in list(rows).iter().filter(|row| row["differs"].is_null()) {
            input += &format!("{kind}{}\n", row[name].as_str().unwrap_or_default());
        }
    }
    input
}

fn vectors(file: &str) -> Value {
    let text = fs::read_to_string(library::package().join("tests/vectors").join(file));
    serde_json::from_str(&text.expect("vectors are part of the package")).expect("vectors are JSON")
}

fn list(value: &Value) -> &Vec<Value> {
    value.as_array().expect("a list of vectors")
}

/// Both ends of RTMPS. Ours does not verify the certificate, as librtmp 2.4 never does.
fn serve_tls(library: Library) -> Option<Observation> {
    let program = Program::test("serve")?;
    let authority = Authority::new()?;
    let certificate = authority.issue("server", "DNS:localhost,IP:127.0.0.1", Valid::Now);
    let mut command = program.command(library)?;
    command.arg(&certificate.chain).arg(&certificate.key).env("RTMP_TLS_VERIFY", "0");
    Some(observe(&program, command, ""))
}

const RESPONSE: &str = "HTTP/1.0 200 OK\r\nContent-Length: 5\r\nLast-Modified: now\r\n\r\nhello";

fn http_get(library: Library) -> Option<Observation> {
    let site = Site::sending(RESPONSE);
    let mut observation = run("http_get", library, &[&site.url("/a?b")], "")?;
    observation.text += &site.requests().concat();
    Some(observation)
}

fn hash_swf(library: Library) -> Option<Observation> {
    let program = Program::test("http_hash_swf")?;
    let site =
        Site::of_file(b"FWS\x08\x40\0\0\0a film of the Flash player, not compressed, of 64 bytes ........");
    let home = TempDir::new("home");
    let mut command = program.command(library)?;
    command.env("HOME", home.path()).arg("0").arg(site.url("/a.swf"));
    let mut observation = observe(&program, command, "");
    observation.text += &site.requests().concat();
    Some(observation)
}
