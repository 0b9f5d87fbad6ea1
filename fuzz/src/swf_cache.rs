//! The file of SWF hashes: no line is lost, and what was stored is found.

#![forbid(unsafe_code)]

use rtmp_core::swf::{
    SwfHash,
    cache::{Cache, Entry, key},
    date,
};

use super::input;

pub fn run(data: &[u8]) {
    let Some(([choice], _, text)) = input::choices(data) else { return };
    if let Some(seconds) = std::str::from_utf8(text).ok().and_then(date::parse) {
        assert_eq!(date::parse(&date::format(seconds)), Some(seconds));
    }
    let cache = Cache::parse(text);
    let written = cache.to_bytes();
    assert_eq!(Cache::parse(&written), cache);

    // URLs of the file itself, or one that it does not have.
    let url = text.strip_prefix(b"url: ").map(|rest| rest.split(|byte| byte.is_ascii_control()).next());
    let url = key(url.flatten().unwrap_or(b"http://host/file.swf"));
    let mut cache = cache;
    let entry = cache.find(url);
    let _ = entry.as_ref().map(|entry| entry.is_fresh(784_111_777, i32::from(choice as i8)));
    let stored = Entry {
        checked: Some(u64::from(choice) * 86_400 * 365),
        date: entry.map_or(b"then".to_vec(), |entry| entry.date),
        swf: SwfHash { size: u32::from(choice), hash: [choice; 32] },
    };
    cache.store(url, &stored);
    assert_eq!(cache.find(url), Some(stored.clone()));
    let again = Cache::parse(&cache.to_bytes());
    assert_eq!(again.find(url), Some(stored));
    assert_eq!(again, cache);
}
