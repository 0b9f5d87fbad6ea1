//! What must have a row: every export, every option, every message type and command, every ending, every
//! field that applications read.

use std::collections::BTreeSet;
use std::fs;

use super::support::amf;
use super::support::differences::reasons;
use super::support::wire::Improved;
use super::support::{Library, Program, library};
use super::{
    Outcome,
    accepted::{ACCEPTED, ADDED, DEFECTS, LOG, SECRETS},
    outcomes, session,
};

/// Fails with the required items that were not found.
fn assert_covered<'a>(what: &str, wanted: impl IntoIterator<Item = &'a str>, found: &BTreeSet<String>) {
    let missing: Vec<&str> = wanted.into_iter().filter(|name| !found.contains(*name)).collect();
    assert!(missing.is_empty(), "{what} without a row: {missing:?}");
}

#[test]
fn every_export_is_used_on_both() {
    let outcomes = need!(outcomes());
    let file = library::package().join("tests/abi/symbols.txt");
    let text = fs::read_to_string(file).expect("the list of symbols is part of the package");
    // The type follows each name.
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    let exports: Vec<&str> = lines.filter_map(|line| line.split_whitespace().next()).collect();
    assert_eq!(exports.len(), 116);
    let assert_used = |observation: fn(&Outcome) -> &Result<super::Observation, String>| {
        let (mut used, mut failed) = (BTreeSet::new(), Vec::new());
        for outcome in outcomes {
            match observation(outcome) {
                Ok(observation) => used.extend(observation.used.iter().cloned()),
                Err(reason) => failed.push(format!("{}: {reason}", outcome.name)),
            }
        }
        let missing: Vec<_> = exports.iter().filter(|name| !used.contains(**name)).collect();
        // Nothing is known about the exports of a run that failed or did not end.
        let failed = failed.join("\n");
        assert!(missing.is_empty(), "exports without a row: {missing:?}; rows without a result:\n{failed}");
    };
    assert_used(|outcome| &outcome.original);
    assert_used(|outcome| &outcome.ours);
}

/// librtmp 2.4 prints its options for an unknown one.
#[test]
fn every_option_is_used_in_a_url_and_on_its_own() {
    let program = need!(Program::test("session_driver"));
    let run = need!(program.run(Library::Original, &[], "option nonsense=1\n", session::LIMIT));
    let options: Vec<&str> = run
        .stderr
        .lines()
        .filter_map(|line| line.strip_prefix("ERROR:")?.trim().split_once(' '))
        .filter(|(_, rest)| {
            ["string ", "boolean ", "integer ", "AMF "].iter().any(|kind| rest.starts_with(kind))
        })
        .map(|(name, _)| name)
        .collect();
    assert!(options.len() >= 21 && options.contains(&"swfVfy"), "{}", run.stderr);
    let (mut in_urls, mut alone) = (BTreeSet::new(), BTreeSet::new());
    for session in session::all() {
        for line in session.steps.lines() {
            let (step, rest) = line.split_once(' ').unwrap_or((line, ""));
            let names =
                rest.split(' ').filter_map(|word| word.split_once('=')).map(|(name, _)| name.to_lowercase());
            match step {
                "setup" => in_urls.extend(names),
                "option" => alone.extend(names),
                _ => {}
            }
        }
    }
    let options: Vec<String> = options.iter().map(|name| name.to_lowercase()).collect();
    assert_covered("options in a URL", options.iter().map(String::as_str), &in_urls);
    assert_covered("options on their own", options.iter().map(String::as_str), &alone);
}

/// Message types, user control events, commands and status codes that a client reacts to, and one of each that it does
/// not know. (session.md, 8 and 9)
const TYPES: [u8; 14] = [1, 3, 4, 5, 6, 8, 9, 0x0f, 0x10, 0x11, 0x12, 0x13, 0x14, 0x16];
const EVENTS: [u8; 8] = [0, 1, 2, 4, 6, 31, 32, 0x1a];
const COMMANDS: [&str; 11] = [
    "_result",
    "_error",
    "onBWDone",
    "_onbwcheck",
    "_onbwdone",
    "ping",
    "onFCSubscribe",
    "onFCUnsubscribe",
    "close",
    "playlist_ready",
    "onStatus",
];
const CODES: [&str; 12] = [
    "NetStream.Failed",
    "NetStream.Play.Failed",
    "NetStream.Play.StreamNotFound",
    "NetConnection.Connect.InvalidApp",
    "NetStream.Play.Start",
    "NetStream.Play.PublishNotify",
    "NetStream.Publish.Start",
    "NetStream.Play.Complete",
    "NetStream.Play.Stop",
    "NetStream.Play.UnpublishNotify",
    "NetStream.Seek.Notify",
    "NetStream.Pause.Notify",
];
/// The server's refusal decides about the login. (session.md, 9.1)
const LOGINS: [&str; 8] = [
    "authmod=adobe",
    "authmod=llnw",
    "code=403 need auth",
    "?reason=needauth",
    "?reason=authfailed",
    "?reason=authfail",
    "?reason=nosuchuser",
    "authmod=other",
];

#[test]
fn every_message_and_command_is_sent_to_a_client() {
    let outcomes = need!(outcomes());
    let sent = outcomes.iter().filter_map(|outcome| outcome.ours.as_ref().ok()).flat_map(|ours| &ours.sent);
    let (mut types, mut events) = (BTreeSet::new(), BTreeSet::new());
    let (mut commands, mut texts) = (BTreeSet::new(), String::new());
    for message in sent {
        types.insert(message.kind);
        match message.kind {
            4 => events.extend(message.body.get(1).copied()),
            0x14 => {
                commands.extend(message.command());
                texts += &amf::describe(&message.body);
            }
            _ => {}
        }
    }
    let missing: Vec<u8> = TYPES.into_iter().filter(|kind| !types.contains(kind)).collect();
    assert!(missing.is_empty() && types.len() > TYPES.len(), "types without a row: {missing:?}");
    let missing: Vec<u8> = EVENTS.into_iter().filter(|event| !events.contains(event)).collect();
    assert!(missing.is_empty() && events.len() > EVENTS.len(), "events without a row: {missing:?}");
    assert_covered("commands", COMMANDS, &commands);
    assert!(commands.contains("unheardOf"));
    let missing: Vec<&str> = CODES.into_iter().chain(LOGINS).filter(|text| !texts.contains(text)).collect();
    assert!(missing.is_empty(), "codes and descriptions without a row: {missing:?}");
}

/// Messages go both ways over every transport.
#[test]
fn every_transport_plays_and_publishes() {
    let outcomes = need!(outcomes());
    for (way, around) in [
        ("rtmpt", &TUNNEL[..]),
        ("rtmpe", &["RTMPE of type 6\n"]),
        ("rtmpte", &[&TUNNEL[..], &["RTMPE of type 6\n"]].concat()),
        ("rtmps", &["TLS for None, None\n"]),
        ("rtmpts", &TUNNEL),
    ] {
        for name in ["film-to-the-end", "film-to-a-server"].map(|name| format!("{name} over {way}")) {
            assert!(outcomes.iter().any(|outcome| outcome.name == name), "{name} has no row");
        }
        let rows = outcomes.iter().filter(|outcome| outcome.name.ends_with(&format!(" over {way}")));
        let text: String = rows.filter_map(|row| Some(row.ours.as_ref().ok()?.text.as_str())).collect();
        let missing: Vec<&&str> = around.iter().filter(|part| !text.contains(**part)).collect();
        assert!(missing.is_empty(), "{way} without {missing:?}");
    }
}

const TUNNEL: [&str; 4] = ["POST /open/1", "POST /send/", "POST /idle/", "POST /close/"];

/// How `RTMP_Read` ends: its result and the state of the session, for each ending of flv.md, 2.
#[test]
fn every_ending_of_a_read_has_a_row() {
    let outcomes = need!(outcomes());
    let endings = [
        ("read-until-the-peer-closes", "-> 0 | connected=0", "read.status=-1"),
        ("read-until-silence", "-> 0 | timedout=1", "read.status=-1"),
        ("read-until-stop", "-> 0 | connected=0", "read.status=-3"),
        ("read-until-complete", "-> 0 | connected=0", "read.status=-3"),
        ("read-until-unpublish", "-> 0 | connected=0", "read.status=-3"),
        ("read-until-fcunsubscribe", "-> 0 | connected=0", "read.status=-3"),
        ("read-until-failed", "-> 0 | connected=0", "read.status=-1"),
        ("read-until-play-failed", "-> 0 | connected=0", "read.status=-1"),
        ("read-until-not-found", "-> 0 | connected=0", "read.status=-1"),
        ("read-until-invalid-app", "-> 0 | connected=0", "read.status=-1"),
        ("read-until-close", "-> 0 | connected=0", "read.status=-1"),
        ("read-resume-mismatch", "-> 0 |", "read.status=-2"),
        ("read-resume-mismatch", "-> -1 |", "errno=EINVAL"),
        ("read-resume-ignored-frames", "-> 0 |", "read.status=-2"),
        ("read-resume-ignored-aggregates", "-> 0 |", "read.status=-2"),
        ("read-until-memory-runs-out", "-> 0 |", "read.status=-2"),
    ];
    for (name, result, status) in endings {
        let row = outcomes.iter().find(|outcome| outcome.name == name);
        for observation in row.iter().flat_map(|row| [&row.original, &row.ours]) {
            let text = observation.as_ref().map_or("", |observation| &observation.text);
            let found = text
                .lines()
                .any(|line| line.starts_with("read ") && line.contains(result) && line.contains(status));
            assert!(found, "{name}: no read ends with {result} {status}:\n{text}");
        }
        assert!(row.is_some(), "{name} has no row");
    }
}

/// The fields that applications read and write (abi.md, 6), by the names that the driver prints.
const FIELDS: &[&str] = &[
    // rtmpdump, rtmpgw
    "read.timestamp",
    "read.status",
    "read.flags",
    "pausing",
    "pauseStamp",
    "read.frameType",
    "read.resumeTS",
    "read.meta",
    "read.frame",
    "read.metaSize",
    "read.frameSize",
    "lFlags",
    "extras",
    "token",
    // rtmpsrv
    "encoding",
    "connected",
    "audioCodecs",
    "videoCodecs",
    "app",
    "flashVer",
    "swfUrl",
    "tcUrl",
    "pageUrl",
    "usherToken",
    "playpath",
    "seekTime",
    // rtmpsuck
    "buffered",
    "unread",
    "mediaChannel",
    "times",
    "mediaStamp",
    "SWFSize",
    "body",
    "inChunkSize",
    "outChunkSize",
    "stream_id",
    "playing",
    "sendCounter",
    "sendEncoding",
    "protocol",
    "hostname",
    "port",
    "timeout",
    "auth",
    "SWFHash",
    // libcurl, GStreamer, python-librtmp, publishers
    "timedout",
    "numInvokes",
    "duration",
    "bufferMS",
    // Evidence that the private state is the same
    "msgCounter",
    "polling",
    "clientID",
    "calls",
    "bytesIn",
    "bytesInSent",
    "serverBW",
    "clientBW",
    "clientBW2",
    "bwCheckCounter",
    "subscribepath",
    "stopTime",
    "swfAge",
    "edepth",
    "pubUser",
    "pubPasswd",
    "sockshost",
    "socksport",
];
/// Those with the same value in all rows.
const CONSTANT: &[&str] = &["port"];

/// A field is covered if it changes in some row: a field that is always the same shows nothing.
#[test]
fn every_field_that_applications_use_changes_in_some_row() {
    let outcomes = need!(outcomes());
    let mut values: BTreeSet<(String, String)> = BTreeSet::new();
    for outcome in outcomes {
        let text = outcome.ours.as_ref().map_or("", |ours| &ours.text);
        for line in text.lines().filter_map(|line| line.split_once(" -> ")).map(|(_, fields)| fields) {
            let pairs = line.split(' ').filter_map(|word| word.split_once('='));
            values.extend(pairs.map(|(name, value)| (name.to_owned(), value.to_owned())));
        }
    }
    let count = |name: &str| values.iter().filter(|(found, _)| found == name).count();
    let missing: Vec<&&str> =
        FIELDS.iter().filter(|name| count(name) < if CONSTANT.contains(name) { 1 } else { 2 }).collect();
    assert!(missing.is_empty(), "fields that never change: {missing:?}");
}

/// Names in the tests match rows of the list, and accepted differences really occur.
#[test]
fn every_difference_is_used_and_has_a_test() {
    let reasons = reasons();
    let tests = library::package().join("tests");
    let mut sources = String::new();
    for folder in ["", "compare", "vectors", "support"] {
        let files = fs::read_dir(tests.join(folder)).expect("tests have a directory").flatten();
        let files = files.map(|entry| entry.path()).filter(|file| {
            file.extension().is_some_and(|extension| extension == "rs" || extension == "json")
        });
        sources.extend(files.filter_map(|file| fs::read_to_string(file).ok()));
    }
    let unused: Vec<&String> =
        reasons.keys().filter(|name| !sources.contains(&format!("\"{name}\""))).collect();
    assert!(unused.is_empty(), "differences that no test names: {unused:?}");
    for entry in DEFECTS {
        assert!(reasons.contains_key(entry.name), "{} is not in docs/src/differences.md", entry.name);
    }
    for entry in ACCEPTED {
        assert!(reasons.contains_key(entry.name), "{} is not in docs/src/differences.md", entry.name);
    }
    for entry in ADDED {
        assert!(reasons.contains_key(entry.name), "{} is not in docs/src/differences.md", entry.name);
    }
    for entry in LOG {
        assert!(reasons.contains_key(entry.name), "{} is not in docs/src/differences.md", entry.name);
    }
    let outcomes = need!(outcomes());
    for entry in ACCEPTED.iter().filter(|entry| entry.rows.is_empty()) {
        let occurs = outcomes
            .iter()
            .filter_map(|outcome| outcome.original.as_ref().ok())
            .any(|original| original.text.contains(entry.original));
        assert!(occurs, "{} does not occur any more", entry.name);
    }
    let headers = |observation: &super::Observation| -> Vec<Vec<u8>> {
        observation.messages.iter().map(|message| message.header.clone()).collect()
    };
    let other_headers = outcomes.iter().any(|outcome| match (&outcome.original, &outcome.ours) {
        (Ok(original), Ok(ours)) => headers(original) != headers(ours),
        _ => false,
    });
    assert!(other_headers || library::ours_is_original(), "{} does not occur any more", Improved::NAME);
    let names: BTreeSet<&str> = outcomes.iter().map(|outcome| outcome.name.as_str()).collect();
    assert_eq!(names.len(), outcomes.len(), "rows have names of their own");
    let defects = DEFECTS.iter().map(|entry| &entry.row);
    let likes = outcomes.iter().map(|outcome| outcome.like);
    let names: BTreeSet<&str> = names.into_iter().chain(likes).collect();
    for row in ACCEPTED
        .iter()
        .flat_map(|entry| entry.rows)
        .chain(defects)
        .chain(LOG.iter().flat_map(|entry| entry.rows))
        .chain(ADDED.iter().flat_map(|entry| entry.rows))
        .chain(SECRETS)
    {
        assert!(names.contains(row), "{row} is no row");
    }
}
