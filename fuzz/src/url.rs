//! URLs and options: every part lies in the text, and what was unescaped is not longer than before.

#![forbid(unsafe_code)]

use rtmp_core::{options::{self, conn::Item, number}, url};

use super::input;

pub fn run(data: &[u8]) {
    let Some(([_], _, text)) = input::choices(data) else { return };
    if let Ok(url) = url::parse(text) {
        let login = url.userinfo.map(|info| [Some(info.user), info.password]).unwrap_or_default();
        for part in [url.host, url.app].into_iter().chain(login).flatten() {
            assert!(text.as_ptr_range().contains(&part.as_ptr()) || part.is_empty());
        }
        if let Some(info) = url.userinfo {
            assert!(info.decoded_user().len() <= info.user.len());
            assert!(info.decoded_password().len() <= info.password.unwrap_or_default().len());
            assert!(!info.user.contains(&b':') && !format!("{url:?}").contains("password"));
        }
        // A name with a type is not part of the application, unless the stream is named in another way.
        let app = url.app.unwrap_or_default();
        if !app.windows(6).any(|word| word == b"slist=") {
            let types: [&[u8]; 3] = [b"mp4:", b"mp3:", b"flv:"];
            let starts = |part: &[u8]| types.iter().any(|kind| part.starts_with(kind));
            assert!(!app.split(|byte| *byte == b'/').any(starts));
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
