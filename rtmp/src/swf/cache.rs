//! The text file that stores hashes: entries of five lines, one after the other.
//!
//! ```text
//! url: http://example.com/player.swf
//! ctim: Sun, 06 Nov 1994 08:49:37 GMT
//! date: Sat, 05 Nov 1994 00:00:00 GMT
//! size: 00001390
//! hash: 39fdf20adc2884f7c56cc1f1a201e320540d22691568ef1817ca178b11f8e2a1
//! ```
//!
//! librtmp and its programs share this file, so their entries are understood, and anything else stays unchanged. Knows no
//! files, and the time only as a number.

use super::{SwfHash, date};

/// The contents of the file.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Cache {
    sections: Vec<Section>,
}

/// The data of one SWF file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// The time when the server was last asked, in seconds since 1970, if it can be read.
    pub checked: Option<u64>,
    /// The date of the file, in the server's words; may be empty.
    pub date: Vec<u8>,
    /// Its hash.
    pub swf: SwfHash,
}

/// The lines from one URL to the next; only the first section may be without.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Section {
    url: Option<Vec<u8>>,
    lines: Vec<Vec<u8>>,
}

/// The longest date that is stored, as in the buffers of librtmp's programs.
pub const MAX_DATE: usize = 63;

/// The part of a URL by which entries are found.
pub fn key(url: &[u8]) -> &[u8] {
    url.split(|&byte| byte == b'?').next().unwrap_or_default()
}

impl Cache {
    /// Reads the contents of the file, even if they are invalid.
    pub fn parse(text: &[u8]) -> Self {
        let mut sections = vec![Section::default()];
        for line in text.split_inclusive(|&byte| byte == b'\n') {
            let line = line.strip_suffix(b"\n").unwrap_or(line);
            // All of them: a line that is written again must not change a second time.
            let end = line.iter().rposition(|byte| *byte != b'\r').map_or(0, |last| last + 1);
            let line = &line[..end];
            if let Some(url) = line.strip_prefix(b"url: ") {
                sections.push(Section { url: Some(url.to_vec()), lines: Vec::new() });
            } else if let Some(section) = sections.last_mut() {
                section.lines.push(line.to_vec());
            }
        }
        Self { sections }
    }

    /// Replaces the entry of the URL with this key, or adds it at the end.
    pub fn store(&mut self, key: &[u8], entry: &Entry) {
        let section = Section { url: Some(key.to_vec()), lines: entry.lines() };
        let is_same = |other: &Section| other.url.as_deref() == Some(key);
        match self.sections.iter().position(is_same) {
            Some(first) => {
                self.sections[first] = section;
                let mut index = 0;
                self.sections.retain(|section| {
                    index += 1;
                    index - 1 <= first || !is_same(section)
                });
            }
            None => self.sections.push(section),
        }
    }

    /// The entry of the URL with this key. Damaged entries count as missing.
    pub fn find(&self, key: &[u8]) -> Option<Entry> {
        let mut same = self.sections.iter().filter(|section| section.url.as_deref() == Some(key));
        same.find_map(Section::entry)
    }

    /// The contents of the file.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut text = Vec::new();
        for section in &self.sections {
            if let Some(url) = &section.url {
                text.extend_from_slice(&[b"url: ", &url[..], b"\n"].concat());
            }
            section.lines.iter().for_each(|line| text.extend_from_slice(&[line, &b"\n"[..]].concat()));
        }
        text
    }
}

impl Entry {
    /// Whether the entry may be used without asking the server: fewer than `age` days have passed. 0 or less always asks. A
    /// check with a future date counts as fresh.
    pub fn is_fresh(&self, now: u64, age: i32) -> bool {
        let Some(checked) = self.checked.filter(|checked| *checked > 0) else { return false };
        let days = now.saturating_sub(checked) / date::DAY;
        u64::try_from(age).is_ok_and(|age| days < age)
    }

    fn lines(&self) -> Vec<Vec<u8>> {
        let SwfHash { size, hash } = self.swf;
        let hash: String = hash.iter().map(|byte| format!("{byte:02x}")).collect();
        vec![
            format!("ctim: {}", date::format(self.checked.unwrap_or(0))).into_bytes(),
            [b"date: ", &self.date[..]].concat(),
            format!("size: {size:08x}").into_bytes(),
            format!("hash: {hash}").into_bytes(),
        ]
    }
}

impl Section {
    fn entry(&self) -> Option<Entry> {
        let field = |name: &[u8]| self.lines.iter().find_map(|line| line.strip_prefix(name));
        let checked = field(b"ctim: ").and_then(|text| date::parse(std::str::from_utf8(text).ok()?));
        let date = field(b"date: ").filter(|date| is_date(date)).unwrap_or_default();
        let size = decode_hex(field(b"size: ")?)?;
        let hash = decode_hex(field(b"hash: ")?)?;
        Some(Entry { checked, date: date.to_vec(), swf: SwfHash { size: u32::from_be_bytes(size), hash } })
    }
}

/// Whether text may be stored as a date and sent to a server.
pub fn is_date(text: &[u8]) -> bool {
    text.len() <= MAX_DATE && !text.iter().any(u8::is_ascii_control)
}

/// Exactly `N` bytes in hexadecimal.
fn decode_hex<const N: usize>(text: &[u8]) -> Option<[u8; N]> {
    let mut bytes = [0; N];
    if text.len() != 2 * N {
        return None;
    }
    for (byte, digits) in bytes.iter_mut().zip(text.chunks_exact(2)) {
        for &digit in digits {
            *byte = *byte << 4 | char::from(digit).to_digit(16)? as u8;
        }
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "\
url: http://h/a.swf
ctim: Sun, 06 Nov 1994 08:49:37 GMT
date: Sat, 05 Nov 1994 00:00:00 GMT
size: 00001390
hash: 39fdf20adc2884f7c56cc1f1a201e320540d22691568ef1817ca178b11f8e2a1
url: http://h/d/b.swf
ctim: Tue, 08 Nov 1994 08:49:37 GMT
date: 
size: 00000008
hash: 0101010101010101010101010101010101010101010101010101010101010101
";

    fn a() -> Entry {
        Cache::parse(TEXT.as_bytes()).find(b"http://h/a.swf").unwrap()
    }

    #[test]
    fn entries_have_a_time_a_date_a_size_and_a_hash() {
        assert_eq!(a().checked, Some(784_111_777));
        assert_eq!(a().date, b"Sat, 05 Nov 1994 00:00:00 GMT");
        assert_eq!(a().swf.size, 5008);
        assert_eq!(a().swf.hash[..2], [0x39, 0xfd]);
        let b = Cache::parse(TEXT.as_bytes()).find(b"http://h/d/b.swf").unwrap();
        assert_eq!((b.date, b.swf.size, b.swf.hash), (Vec::new(), 8, [1; 32]));
    }

    #[test]
    fn parsed_messages_are_written_unchanged() {
        assert_eq!(Cache::parse(TEXT.as_bytes()).to_bytes(), TEXT.as_bytes());
        assert_eq!(Cache::parse(b"").to_bytes(), b"");
        let foreign = "rubbish\n\nurl: x\nfoo: bar\nctim: \nurl: \n";
        assert_eq!(Cache::parse(foreign.as_bytes()).to_bytes(), foreign.as_bytes());
    }

    #[test]
    fn storing_replaces_in_place_or_adds_at_the_end() {
        let mut cache = Cache::parse(TEXT.as_bytes());
        cache.store(b"http://h/a.swf", &a());
        assert_eq!(cache.to_bytes(), TEXT.as_bytes());
        cache.store(b"http://h/c.swf", &a());
        let entry = TEXT.split("url: ").nth(1).unwrap().replace("a.swf", "c.swf");
        assert_eq!(cache.to_bytes(), format!("{TEXT}url: {entry}").as_bytes());
    }

    #[test]
    fn storing_keeps_the_neighbours_of_any_length() {
        let mut cache = Cache::parse(TEXT.replace("date: Sat", "date: A very long date, Sat").as_bytes());
        let entry = Entry { date: b"short".to_vec(), ..a() };
        cache.store(b"http://h/a.swf", &entry);
        assert_eq!(cache.find(b"http://h/a.swf"), Some(entry));
        assert!(cache.to_bytes().ends_with(&TEXT.as_bytes()[TEXT.rfind("url").unwrap()..]));
    }

    #[test]
    fn storing_removes_duplicates() {
        let mut cache = Cache::parse([TEXT, TEXT, TEXT].concat().as_bytes());
        cache.store(b"http://h/a.swf", &a());
        cache.store(b"http://h/d/b.swf", &cache.find(b"http://h/d/b.swf").unwrap());
        assert_eq!(cache.to_bytes(), TEXT.as_bytes());
    }

    #[test]
    fn a_missing_newline_at_the_end_glues_nothing() {
        let mut cache = Cache::parse(TEXT.trim_end().as_bytes());
        cache.store(b"http://h/c.swf", &a());
        assert!(cache.to_bytes().starts_with(format!("{TEXT}url: http://h/c.swf\n").as_bytes()));
    }

    #[test]
    fn urls_are_compared_whole_and_without_the_query() {
        assert_eq!(key(b"http://h/a.swf?x=/y?z"), b"http://h/a.swf");
        let cache = Cache::parse(TEXT.as_bytes());
        for other in ["http://h/a.sw", "http://h/a.swfish", "http://h/other/b.swf", "http://h/b.swf", ""] {
            assert_eq!(cache.find(other.as_bytes()), None, "{other}");
        }
    }

    #[test]
    fn fields_may_have_any_order_and_lines_may_end_in_cr_lf() {
        let text = TEXT.lines().take(5).collect::<Vec<_>>();
        let shuffled = [text[0], text[4], text[2], text[3], text[1]].join("\r\n");
        assert_eq!(Cache::parse(shuffled.as_bytes()).find(b"http://h/a.swf"), Some(a()));
    }

    #[test]
    fn lines_that_end_in_cr_more_than_once_are_written_the_same_each_time() {
        let cache = Cache::parse(b"url: http://h/a.swf\r\nctim: 08:49:37\r\r\x08\r\r\r\n\r\r\n");
        assert_eq!(cache.to_bytes(), b"url: http://h/a.swf\nctim: 08:49:37\r\r\x08\n\n");
        assert_eq!(Cache::parse(&cache.to_bytes()), cache);
    }

    #[test]
    fn entries_are_fresh_for_whole_days() {
        let checked = 784_111_777;
        let entry = Entry { checked: Some(checked), ..a() };
        assert!(entry.is_fresh(checked, 1));
        assert!(entry.is_fresh(checked + 30 * date::DAY - 1, 30));
        assert!(!entry.is_fresh(checked + 30 * date::DAY, 30));
        assert!(entry.is_fresh(checked - 100 * date::DAY, 30), "the future is fresh");
        for age in [0, -1, i32::MIN] {
            assert!(!entry.is_fresh(checked, age) && !entry.is_fresh(0, age));
        }
        assert!(!Entry { checked: None, ..a() }.is_fresh(checked, 30));
        assert!(!Entry { checked: Some(0), ..a() }.is_fresh(checked, 30));
    }

    #[test]
    fn entries_of_the_8th_and_9th_are_fresh_too() {
        for day in ["08", "09"] {
            let text = TEXT.replace("06 Nov 1994 08", &format!("{day} Nov 1994 09"));
            let entry = Cache::parse(text.as_bytes()).find(b"http://h/a.swf").unwrap();
            assert!(entry.is_fresh(784_111_777 + 3 * date::DAY, 30));
        }
    }

    #[test]
    fn a_time_that_cannot_be_read_is_not_fresh() {
        for time in ["", "x", "Sun, 06", "\u{ff}", ",,,,:::"] {
            let text = TEXT.replace("Sun, 06 Nov 1994 08:49:37 GMT", time);
            let entry = Cache::parse(text.as_bytes()).find(b"http://h/a.swf").unwrap();
            assert_eq!(entry.checked, None, "{time}");
        }
    }

    #[test]
    fn invalid_dates_are_ignored() {
        for (date, is_kept) in [("d".repeat(63), true), ("d".repeat(64), false), ("a\rb".to_owned(), false)] {
            let text = TEXT.replace("Sat, 05 Nov 1994 00:00:00 GMT", &date);
            let entry = Cache::parse(text.as_bytes()).find(b"http://h/a.swf").unwrap();
            assert_eq!(entry.date, if is_kept { date.into_bytes() } else { Vec::new() });
        }
    }

    #[test]
    fn damaged_entries_are_ignored() {
        for (from, to) in [
            ("hash: 39fd", "hash: "),
            ("hash: 39fd", "hash: 39fd39fd"),
            ("hash: 39fd", "hash: x9fd"),
            ("hash: 39fd", "hash: \u{e9}fd"),
            ("hash: 39", "hesh: 39"),
            ("size: 00001390", "size: 1390"),
            ("size: 00001390", "size: 0000139000"),
            ("size: 00001390", "size: +0001390"),
            ("size: 00001390\n", ""),
        ] {
            let text = TEXT.replace(from, to);
            assert_ne!(text, TEXT);
            assert_eq!(Cache::parse(text.as_bytes()).find(b"http://h/a.swf"), None, "{to}");
            let repaired = [text.as_str(), TEXT].concat();
            assert_eq!(Cache::parse(repaired.as_bytes()).find(b"http://h/a.swf"), Some(a()), "{to}");
        }
    }

    #[test]
    fn no_cut_and_no_changed_byte_panics_or_loses_bytes() {
        for index in 0..TEXT.len() {
            for byte in [0, b'\n', b' ', b':', b'0', 0x7f, 0xff] {
                let mut changed = TEXT.as_bytes().to_vec();
                changed[index] = byte;
                let cache = Cache::parse(&changed);
                let _ = cache.find(b"http://h/a.swf").map(|entry| entry.is_fresh(784_111_777, 30));
                assert_eq!(cache.to_bytes().trim_ascii_end(), changed.trim_ascii_end());
            }
            let _ = Cache::parse(&TEXT.as_bytes()[..index]).find(b"http://h/a.swf");
        }
    }
}
