//! URLs and options: every part lies in the text, and what was unescaped is not longer than before.

#![forbid(unsafe_code)]

use rtmp::{
    options::{self, conn::Item, number},
    url,
};

use super::input;

pub fn run(data: &[u8]) {
    let Some(([_], _, text)) = input::choices(data) else { return };
    if let Ok(url) = url::parse(text) {
        for part in [url.host, url.app].into_iter().flatten() {
            assert!(text.as_ptr_range().contains(&part.as_ptr()) || part.is_empty());
        }
        assert!(url.playpath.is_none_or(|name| name.len() <= text.len() + 4));
        let authority = url::authority(url.host.unwrap_or_default(), url.port);
        assert!(authority.len() <= text.len() + 8);
    }
    assert!(url::stream_name(text).len() <= text.len() + 4);

    let mut start = 0;
    while let Some(pair) = options::next_pair(text, start) {
        assert!(start <= pair.name.start && pair.name.end < pair.value.start);
        start = pair.value.end;
        let mut value = text[pair.value].to_vec();
        let len = value.len();
        if let Ok(unescaped) = options::unescape(&mut value) {
            assert!(unescaped <= len);
            value.truncate(unescaped);
        }
        if let Ok(item) = Item::parse(&value) {
            assert!(item.name().is_none_or(|name| name.len() < value.len()));
        }
        let _ = (number::decimal(&value), number::any_base(&value), number::float(&value));
    }
}
