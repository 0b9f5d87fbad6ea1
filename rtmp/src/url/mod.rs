//! RTMP addresses: protocol, host, port, application and stream in the text of a URL.
//!
//! This module splits text into pieces and knows how stream names are spelled. It resolves nothing, stores nothing and does not
//! know the options that librtmp users append to a URL (see [`crate::options`]).
//!
//! ```
//! let url = rtmp::url::parse(b"rtmps://user:secret@[::1]:444/vod/films/one.mp4")?;
//! assert_eq!((url.protocol, url.host, url.port), (rtmp::url::Protocol::RTMPS, Some(&b"::1"[..]), 444));
//! assert_eq!((url.app, url.playpath.as_deref()), (Some(&b"vod/films"[..]), Some(&b"mp4:one"[..])));
//! # Ok::<(), rtmp::Error>(())
//! ```

mod protocol;
mod stream_name;
mod userinfo;

use std::borrow::Cow;

use crate::{
    error::{Error, Result},
    options::number,
    text::Text,
};

pub use protocol::Protocol;
pub use stream_name::stream_name;
pub use userinfo::basic_credentials;
pub use userinfo::{UserInfo, hex_pair, without_login};

/// A URL in pieces. Everything except the stream name is a part of the parsed text, so a caller can find its position in that
/// text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Url<'a> {
    /// RTMP when the scheme is unknown.
    pub protocol: Protocol,
    /// User name and password.
    pub userinfo: Option<UserInfo<'a>>,
    /// Name or address without brackets, possibly empty; `None` when it is longer than any host name.
    pub host: Option<&'a [u8]>,
    /// 0 when the URL has none, or an invalid one.
    pub port: u16,
    /// `None` when nothing follows the host, not even a slash.
    pub app: Option<&'a [u8]>,
    /// The stream name as it is sent, `None` when the URL ends before it.
    pub playpath: Option<Cow<'a, [u8]>>,
}

/// Splits a URL as librtmp does: the scheme may be unknown, an invalid port is omitted, and up to three path components belong
/// to the application when a fourth follows.
///
/// Fails only if `://` is missing or nothing follows it. Unlike librtmp, it understands an IPv6 address in brackets,
/// `user:password@` before the host, and a stream name of several components that begins with `mp4:`, `mp3:` or `flv:`.
pub fn parse(text: &[u8]) -> Result<Url<'_>> {
    log::debug!("Parsing...");
    let Some((scheme, rest)) = cut(text, b"://") else {
        return Err(Error::malformed("RTMP URL", NO_SCHEME));
    };
    let protocol = Protocol::from_scheme(scheme);
    match protocol {
        Some(protocol) => log::debug!("Parsed protocol: {}", protocol.bits()),
        None => log::warn!("Unknown protocol! {} is taken for rtmp", Text(scheme)),
    }
    if rest.is_empty() {
        return Err(Error::malformed("RTMP URL", NO_HOST));
    }

    let authority = Authority::parse(rest);
    let (app, name) = split_path(rest, authority.end);
    if let Some(app) = app {
        log::debug!("Parsed app     : {}", Text(app));
    } else {
        log::warn!("No application or playpath in URL!");
    }
    Ok(Url {
        protocol: protocol.unwrap_or(Protocol::RTMP),
        userinfo: authority.userinfo,
        host: authority.host,
        port: authority.port,
        app,
        playpath: name.map(stream_name),
    })
}

/// Why a text is not a URL.
pub const NO_SCHEME: &str = "no :// in url";
/// Why a URL has no target.
pub const NO_HOST: &str = "no hostname in url";

/// `host:port` as in URLs and in HTTP: an IPv6 address needs brackets to separate it from its port.
pub fn authority(host: &[u8], port: u16) -> Vec<u8> {
    let (open, close) = if host.contains(&b':') { ("[", "]") } else { ("", "") };
    [open.as_bytes(), host, close.as_bytes(), b":", port.to_string().as_bytes()].concat()
}

/// The part of a URL up to the first slash after the scheme.
struct Authority<'a> {
    userinfo: Option<UserInfo<'a>>,
    host: Option<&'a [u8]>,
    port: u16,
    /// The position of the first slash, or the end of the text.
    end: usize,
}

impl<'a> Authority<'a> {
    fn parse(rest: &'a [u8]) -> Self {
        let end = position(rest, b'/').unwrap_or(rest.len());
        let (userinfo, text) = split_userinfo(&rest[..end]);
        let (host, port) = split_host(text);
        let host = if host.len() > MAX_HOST {
            log::warn!("Hostname exceeds {MAX_HOST} characters!");
            None
        } else {
            log::debug!("Parsed host    : {}", Text(host));
            Some(host)
        };
        Self { userinfo, host, port: port.map_or(0, parse_port), end }
    }
}

/// The user information and the text after it. An `@` after a question mark belongs to the query.
fn split_userinfo(authority: &[u8]) -> (Option<UserInfo<'_>>, &[u8]) {
    let limit = position(authority, b'?').unwrap_or(authority.len());
    let (userinfo, _) = UserInfo::split(&authority[..limit]);
    (userinfo, &authority[userinfo.map_or(0, |info| info.text_len())..])
}

/// The host and the text of the port. As in librtmp, a question mark does not end a host.
fn split_host(text: &[u8]) -> (&[u8], Option<&[u8]>) {
    if let Some((address, behind)) = text.strip_prefix(b"[").and_then(|inside| cut(inside, b"]")) {
        match behind.split_first() {
            None | Some((b'?', _)) => return (address, None),
            Some((b':', port)) => return (address, Some(port)),
            Some(_) => {}
        }
    }
    match cut(text, b":") {
        Some((host, port)) => (host, Some(port)),
        None => (text, None),
    }
}

/// The number at the start of `text`, 0 if it is not a port. A value that C's `int` cannot hold wraps around first.
fn parse_port(text: &[u8]) -> u16 {
    // A question mark belongs to a query, which the log does not show.
    let shown = Text(&text[..position(text, b'?').unwrap_or(text.len())]);
    let (number, flaw) = number::checked_decimal(text);
    match (u16::try_from(number), flaw) {
        (Err(_), _) => {
            log::warn!("Invalid port number! {shown} is out of range, the default port is used");
            0
        }
        (Ok(0), _) if shown.0.is_empty() => 0,
        (Ok(0), _) => {
            log::warn!("{shown} is not a port number, the default port is used");
            0
        }
        (Ok(port), Some(_)) if shown.0.len() < text.len() && number::checked_decimal(shown.0).1.is_none() => {
            port
        }
        (Ok(port), flaw) => {
            if flaw.is_some() {
                log::warn!("{shown} is not a port number, {port} is used");
            }
            port
        }
    }
}

/// The application and the text that names the stream; `slash` is the position of the slash after the host.
fn split_path(rest: &[u8], slash: usize) -> (Option<&[u8]>, Option<&[u8]>) {
    let Some(path) = rest.get(slash + 1..) else {
        return (None, None);
    };
    let query = position(rest, b'?');
    let (app, name) = match query {
        // A playlist in the query: it names the stream, and the server expects it in the application, too.
        Some(query) if find(path, b"slist=").is_some() => (path, &rest[query..]),
        _ => path.split_at(app_len(path)),
    };
    let name = name.strip_prefix(b"/").unwrap_or(name);
    (Some(app), Some(name).filter(|name| !name.is_empty()))
}

/// The length of the application in a path.
fn app_len(path: &[u8]) -> usize {
    if path.starts_with(b"ondemand/") {
        return b"ondemand".len();
    }
    // A file type before its path: players that write it mean the name to begin there.
    let mut parts = path.split(|&byte| byte == b'/');
    if let Some(name) = parts.find(|part| FILE_TYPES.iter().any(|kind| part.starts_with(kind))) {
        // Without the slash before it, unless the name is the whole path.
        return (name.as_ptr().addr() - path.as_ptr().addr()).saturating_sub(1);
    }
    let slashes = path.iter().enumerate().filter(|&(_, &byte)| byte == b'/').map(|(at, _)| at);
    slashes.take(3).last().unwrap_or(path.len())
}

/// The text on both sides of the first `separator`.
fn cut<'a>(text: &'a [u8], separator: &[u8]) -> Option<(&'a [u8], &'a [u8])> {
    let at = find(text, separator)?;
    Some((&text[..at], &text[at + separator.len()..]))
}

fn find(text: &[u8], wanted: &[u8]) -> Option<usize> {
    text.windows(wanted.len()).position(|window| window == wanted)
}

fn position(text: &[u8], wanted: u8) -> Option<usize> {
    text.iter().position(|&byte| byte == wanted)
}

/// The prefixes of stream names that Flash servers know.
const FILE_TYPES: [&[u8]; 3] = [b"mp4:", b"mp3:", b"flv:"];

/// No host name is longer; longer text is not taken for one.
const MAX_HOST: usize = 255;

#[cfg(test)]
mod tests {
    use super::*;

    /// Host, port and application, with `-` for what is missing.
    fn pieces(text: &str) -> String {
        let url = parse(text.as_bytes()).expect("the URL has a scheme and a host");
        let text = |part: Option<&[u8]>| String::from_utf8_lossy(part.unwrap_or(b"-")).into_owned();
        format!("{} {} {}", text(url.host), url.port, text(url.app))
    }

    #[test]
    fn an_ipv6_address_is_put_into_brackets() {
        assert_eq!(authority(b"host", 1935), b"host:1935");
        assert_eq!(authority(b"::1", 80), b"[::1]:80");
    }

    #[test]
    fn an_address_in_brackets_is_one_host() {
        assert_eq!(pieces("rtmp://[::1]:1936/a/s"), "::1 1936 a");
        assert_eq!(pieces("rtmp://[fe80::1%25eth0]/a/s"), "fe80::1%25eth0 0 a");
        assert_eq!(pieces("rtmp://u:p@[::1]:1936"), "::1 1936 -");
        assert_eq!(pieces("rtmp://[::1]?x=1"), "::1 0 -");
    }

    #[test]
    fn a_bracket_that_does_not_close_a_host_is_an_ordinary_character() {
        assert_eq!(pieces("rtmp://[::1/a]/s"), "[ 0 a]");
        assert_eq!(pieces("rtmp://[a]b:5/a/s"), "[a]b 5 a");
    }

    #[test]
    fn user_information_ends_at_the_last_at_sign_before_path_and_query() {
        let userinfo = |text: &'static str| parse(text.as_bytes()).unwrap().userinfo;
        assert_eq!(userinfo("rtmp://u:p@h/a"), Some(UserInfo { user: b"u", password: Some(b"p") }));
        assert_eq!(userinfo("rtmp://u@h/a"), Some(UserInfo { user: b"u", password: None }));
        assert_eq!(userinfo("rtmp://u:p:q@r@h/a"), Some(UserInfo { user: b"u", password: Some(b"p:q@r") }));
        assert_eq!(userinfo("rtmp://@h/a"), Some(UserInfo { user: b"", password: None }));
        assert_eq!(userinfo("rtmp://h/a@b/s"), None);
        assert_eq!(userinfo("rtmp://h?a@b"), None);
        assert_eq!(pieces("rtmp://h?a@b"), "h?a@b 0 -");
    }

    #[test]
    fn a_port_wraps_like_a_c_int_before_it_is_judged() {
        assert_eq!(pieces("rtmp://h:4294967376/a"), "h 80 a");
        assert_eq!(pieces("rtmp://h:99999999999999999999/a"), "h 0 a");
        assert_eq!(pieces("rtmp://h: +80x/a"), "h 80 a");
    }

    #[test]
    fn a_host_longer_than_any_name_is_left_out() {
        let url = |len: usize| format!("rtmp://{}/a/s", "x".repeat(len));
        assert_eq!(parse(url(255).as_bytes()).unwrap().host.map(<[u8]>::len), Some(255));
        let long = url(256);
        let long = parse(long.as_bytes()).unwrap();
        assert_eq!((long.host, long.app), (None, Some(&b"a"[..])));
    }

    #[test]
    fn a_playlist_name_may_precede_the_path() {
        let url = parse(b"rtmp://h?x/slist=b").unwrap();
        assert_eq!((url.app, url.playpath.as_deref()), (Some(&b"slist=b"[..]), Some(&b"b"[..])));
    }
}
