//! The log of a session with both libraries, line by line: ours contains every line of librtmp 2.4, in the
//! same order, with its words and numbers at the start. Additional and different lines are in `accepted`.

use std::collections::BTreeSet;

use super::Outcome;
use super::accepted::{ADDED, Ending, Instead, LOG, SECRETS};

/// The uses of `accepted`: an entry that is never used is no longer a difference.
#[derive(Default)]
pub struct Needed {
    pub log: BTreeSet<usize>,
    pub added: BTreeSet<usize>,
    pub secrets: bool,
}

/// Says what differs first.
pub fn compare(outcome: &Outcome, needed: &mut Needed) -> Result<(), String> {
    let (Ok(original), Ok(ours)) = (&outcome.original, &outcome.ours) else { return Ok(()) };
    // Endless output is cut anywhere; signals and polled bytes come at any time.
    let is_by_chance = outcome.name.ends_with(" in turns") || outcome.like == "poll-and-read-packets";
    if original.ending == Ending::Hang || is_by_chance {
        return Ok(());
    }
    let (name, like) = (&outcome.name[..], outcome.like);
    let crashes = original.ending == Ending::Crash;
    let (original, ours) = (normalise(&original.log), normalise(&ours.log));
    let mut rest = ours.iter().enumerate().peekable();
    for (number, line) in original.iter().enumerate() {
        loop {
            let Some(&(at, own)) = rest.peek() else {
                if accepted(name, like, line, None, needed) {
                    break;
                }
                return Err(report(&original, number, &ours, ours.len()));
            };
            if goes_on(line, own) || (SECRETS.contains(&like) && hides(line, own, needed)) {
                rest.next();
                break;
            }
            if accepted(name, like, line, Some(own), needed) {
                rest.next();
                break;
            }
            if accepted(name, like, line, None, needed) {
                break;
            }
            if !is_added(name, like, own, needed) {
                return Err(report(&original, number, &ours, at));
            }
            rest.next();
        }
    }
    // The original has nothing to say after its end.
    for (at, own) in rest.filter(|_| !crashes) {
        if !is_added(name, like, own, needed) {
            return Err(report(&original, original.len(), &ours, at));
        }
    }
    Ok(())
}

/// Whether our line is the original's, perhaps with more behind it. A number must not continue.
fn goes_on(original: &str, ours: &str) -> bool {
    let number = original.ends_with(|c: char| c.is_ascii_digit());
    original.is_empty() == ours.is_empty()
        && ours
            .strip_prefix(original)
            .is_some_and(|more| !(number && more.starts_with(|c: char| c.is_ascii_digit())))
}

/// Whether our dump is librtmp's with asterisks in it.
fn hides(original: &str, ours: &str, needed: &mut Needed) -> bool {
    let (Some((kind, original)), Some((own_kind, ours))) = (original.split_once(DUMP), ours.split_once(DUMP))
    else {
        return false;
    };
    let asterisk = hex_of(b"*");
    let pairs = |text: &str| text.as_bytes().chunks(2).map(<[u8]>::to_vec).collect::<Vec<_>>();
    let (original, ours) = (pairs(original), pairs(ours));
    let same = kind == own_kind
        && original.len() == ours.len()
        && original.iter().zip(&ours).all(|(byte, own)| byte == own || own == asterisk.as_bytes());
    needed.secrets |= same;
    same
}

/// Whether an entry allows our line in place of librtmp's, or none.
fn accepted(name: &str, like: &str, line: &str, own: Option<&str>, needed: &mut Needed) -> bool {
    let found = LOG.iter().position(|entry| {
        (entry.rows.is_empty() || entry.rows.contains(&like) || entry.rows.contains(&name))
            && if entry.original.is_empty() { line.is_empty() } else { line.starts_with(entry.original) }
            && match (&entry.ours, own) {
                (Instead::Nothing, own) => own.is_none(),
                (Instead::Line(expected), Some(own)) => own.starts_with(expected),
                (Instead::SameUpTo(column), Some(own)) => line.get(..*column) == own.get(..*column),
                (_, None) => false,
            }
    });
    needed.log.extend(found);
    found.is_some()
}

/// Whether an entry allows a line of ours that librtmp does not have.
fn is_added(name: &str, like: &str, own: &str, needed: &mut Needed) -> bool {
    let found = ADDED.iter().position(|entry| {
        (entry.rows.is_empty() || entry.rows.contains(&like) || entry.rows.contains(&name))
            && own.starts_with(entry.ours)
    });
    needed.added.extend(found);
    found.is_some()
}

fn report(original: &[String], number: usize, ours: &[String], at: usize) -> String {
    let line = |lines: &[String], at: usize| lines.get(at).map_or("(the end)", String::as_str).to_owned();
    let before = number.checked_sub(1).map_or(String::new(), |before| line(original, before));
    format!(
        "line {number} of the log, behind {before}\n  original {}\n  ours     {}\n  and then {}",
        line(original, number),
        line(ours, at),
        line(ours, at + 1)
    )
}

/// The prefix of the bytes of a dump.
const DUMP: &str = "dump ";

/// Lines without parts that differ in each run: a dump becomes one line, in which the server's port, nonces
/// and values derived from them are hidden, and random parts of a handshake become a word.
pub fn normalise(log: &str) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    let mut dump: Option<(&str, Vec<u8>)> = None;
    let mut hex: Option<Vec<u8>> = None;
    for line in log.lines().map(Some).chain([None]) {
        let row = line.and_then(dump_row);
        let ends =
            |level: &str| row.as_ref().is_none_or(|(own_level, first, _)| *own_level != level || *first);
        if let Some((level, bytes)) = dump.take_if(|(level, _)| ends(level)) {
            lines.push(format!("{level}: {DUMP}{}", hex_of(&without_chance(&bytes))));
        }
        if let Some((level, _, bytes)) = row {
            dump.get_or_insert((level, Vec::new())).1.extend(bytes);
            continue;
        }
        if let Some(bytes) = line.and_then(hex_row) {
            hex.get_or_insert_default().extend(bytes);
            continue;
        }
        if let Some(bytes) = hex.take() {
            let behind = lines.last().map_or("", String::as_str);
            let secret = SECRET_KEYS.into_iter().any(|start| behind.starts_with(start));
            let random = RANDOM.into_iter().any(|start| behind.starts_with(start));
            lines.push(match (secret, random) {
                (true, _) => "DEBUG: secret bytes".to_owned(),
                (_, true) => format!("DEBUG: {} random bytes", bytes.len()),
                _ => format!("DEBUG: bytes {}", hex_of(&bytes)),
            });
        }
        let Some(line) = line else { break };
        lines.push(match line.rsplit_once(' ') {
            Some((start, _)) if OFFSETS.contains(&start) => format!("{start} RANDOM"),
            _ => line.to_owned(),
        });
    }
    lines
}

/// The prefixes of keys that would decrypt everything.
const SECRET_KEYS: [&str; 3] =
    ["DEBUG: HandShake: Secret key: ", "DEBUG: RC4 Out Key: ", "DEBUG: RC4 In Key: "];

/// The prefixes of random bytes, and of bytes derived from them.
const RANDOM: [&str; 4] =
    ["DEBUG: HandShake: ", "DEBUG: SHandShake: ", "DEBUG2: SHandShake: ", "DEBUG2: Serversig: "];

/// The prefixes of random numbers: offsets in a handshake, and the server's port.
const OFFSETS: [&str; 4] = [
    "DEBUG: HandShake: DH pubkey position:",
    "DEBUG: HandShake: Client digest offset:",
    "DEBUG: HandShake: Server DH public key offset:",
    "DEBUG: Port     :",
];

/// A line of a dump with offsets: its level, whether it is the first, and its bytes.
fn dump_row(line: &str) -> Option<(&str, bool, Vec<u8>)> {
    let (level, text) = line.split_once(":   ")?;
    let (offset, rest) = text.split_at_checked(4)?;
    let offset = u32::from_str_radix(offset, 16).ok()?;
    let digits = rest.strip_prefix(":  ")?.get(..3 * 16 + 1)?;
    Some((level, offset == 0, bytes(digits)?))
}

/// A line of nothing but bytes.
fn hex_row(line: &str) -> Option<Vec<u8>> {
    let digits = line.strip_prefix("DEBUG: ").or_else(|| line.strip_prefix("DEBUG2: "))?;
    bytes(digits).filter(|bytes| !bytes.is_empty())
}

fn bytes(digits: &str) -> Option<Vec<u8>> {
    digits
        .split_whitespace()
        .map(|byte| u8::from_str_radix(byte, 16).ok().filter(|_| byte.len() == 2))
        .collect()
}

fn hex_of(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The bytes of a dump without the server's port and without values derived from a nonce.
fn without_chance(bytes: &[u8]) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    for (start, len) in [(&b"127.0.0.1:"[..], 5), (b"127.0.0.2:", 5), (b"cnonce=", 8), (b"response=", 32)] {
        let mut from = 0;
        while let Some(at) = bytes[from..].windows(start.len()).position(|window| window == start) {
            from += at + start.len();
            let end = bytes.len().min(from + len);
            bytes[from..end].fill(b'?');
        }
    }
    bytes
}
