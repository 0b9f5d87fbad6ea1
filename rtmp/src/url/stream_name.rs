//! Stream names in the form for Flash servers: `mp4:`, `mp3:`, no file extension, nothing escaped.

use std::borrow::Cow;

use super::{
    cut, find, position,
    userinfo::{percent_decode, percent_decode_into},
};

/// The server's name for the stream in the last part of a URL.
///
/// `dir/film.mp4?key=1` is `mp4:dir/film?key=1`. Text that starts with `?` and has an `slist=` parameter is named by that
/// parameter. `%xx` is decoded; an invalid escape stays unchanged.
pub fn stream_name(text: &[u8]) -> Cow<'_, [u8]> {
    let (name, in_playlist) = match playlist_entry(text) {
        Some(entry) => (entry, true),
        None => (text, false),
    };
    let end = position(name, b'?').unwrap_or(name.len());
    let start = end.saturating_sub(EXTENSION_LEN);
    let (prefix, strips): (&[u8], bool) = match &name[start..end] {
        b".f4v" | b".mp4" => (b"mp4:", true),
        b".mp3" => (b"mp3:", true),
        b".flv" => (b"", !in_playlist),
        _ => (b"", false),
    };
    if !strips || (!prefix.is_empty() && name.starts_with(prefix)) {
        return if name.contains(&b'%') { percent_decode(name).into() } else { name.into() };
    }
    let mut out = Vec::with_capacity(prefix.len() + name.len());
    out.extend_from_slice(prefix);
    percent_decode_into(&mut out, &name[..start]);
    percent_decode_into(&mut out, &name[end..]);
    out.into()
}

/// The value of `slist=` in a query.
fn playlist_entry(text: &[u8]) -> Option<&[u8]> {
    if !text.starts_with(b"?") {
        return None;
    }
    let entry = &text[find(text, b"slist=")? + b"slist=".len()..];
    Some(cut(entry, b"&").map_or(entry, |(entry, _)| entry))
}

const EXTENSION_LEN: usize = ".mp4".len();

#[cfg(test)]
mod tests {
    use super::*;

    fn name(text: &[u8]) -> Vec<u8> {
        stream_name(text).into_owned()
    }

    #[test]
    fn invalid_escapes_stay_unchanged() {
        for text in ["%", "%4", "%zzb", "a%", "% 4x", "%-4x", "%4gx"] {
            assert_eq!(name(text.as_bytes()), text.as_bytes());
        }
        assert_eq!(name(b"%41%00%2f"), b"A\0/");
    }

    #[test]
    fn name_shorter_than_an_extension_is_unchanged() {
        assert_eq!(name(b"mp4?x"), b"mp4?x");
        assert_eq!(name(b"?x.mp4"), b"?x.mp4");
        assert_eq!(name(b"?slist=y?.mp4"), b"y?.mp4");
        assert_eq!(name(b"?"), b"?");
        assert_eq!(name(b""), b"");
    }

    #[test]
    fn an_extension_is_looked_for_before_escapes_are_decoded() {
        assert_eq!(name(b"s.mp4%41"), b"s.mp4A");
        assert_eq!(name(b"%2emp4"), b".mp4");
        assert_eq!(name(b"%6d%70%34:s.mp4"), b"mp4:mp4:s");
    }

    #[test]
    fn an_escape_does_not_reach_across_a_removed_extension() {
        assert_eq!(name(b"a%4.flv?1"), b"a%4?1");
    }
}
