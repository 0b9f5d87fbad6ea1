//! A server's request to connect again, possibly elsewhere, and the URL that results from it.

use std::time::{Duration, Instant};

use crate::{
    error::{Error, Result},
    text::Text,
    url::{self, Protocol},
};

/// A server asks its client to connect again. Until the client leaves, the server continues with the old connection.
///
/// A client moves at a good moment, for example at a key frame, and sends metadata and configurations again.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct Reconnect {
    /// The URL of the application as the server sent it: absolute, or relative to the current one. Empty means the current one.
    pub reference: Vec<u8>,
    /// The server's explanation; empty if it gave none.
    pub description: Vec<u8>,
}

/// The times of the last reconnects: too many in a row are a loop.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct History(Vec<Instant>);

/// The limit of reconnects within [`PERIOD`].
pub const MAX_RECONNECTS: usize = 5;

/// See [`MAX_RECONNECTS`].
pub const PERIOD: Duration = Duration::from_secs(60);

/// The longest URL that is followed, in bytes.
const MAX_URL: usize = 4096;

impl Reconnect {
    /// The absolute URL of the application to connect to. `current` is the URL of this connection; `is_tls` is whether the
    /// connection is inside TLS.
    ///
    /// Fails if the URL is invalid, or if it leads from TLS to a connection without TLS.
    pub fn resolve(&self, current: &[u8], is_tls: bool) -> Result<Vec<u8>> {
        let url = resolve(current, &self.reference)?;
        if url.len() > MAX_URL {
            return Err(Error::TooLarge("the URL of a reconnect request"));
        }
        // Text after a space would be read as options.
        if url.iter().any(|byte| *byte <= b' ' || *byte == 0x7F) {
            return Err(Error::malformed(URL, "a character that no URL has"));
        }
        let scheme = url.split(|byte| *byte == b':').next().unwrap_or_default();
        let protocol = Protocol::from_scheme(scheme).filter(|protocol| *protocol != Protocol::RTMFP);
        let Some(protocol) = protocol else {
            return Err(Error::Unsupported("the scheme of a reconnect request"));
        };
        if is_tls && !protocol.is_tls() {
            return Err(Error::Invalid("a reconnect request leads out of TLS"));
        }
        if url::parse(&url)?.host.is_none_or(<[u8]>::is_empty) {
            return Err(Error::malformed(URL, "no host name"));
        }
        Ok(url)
    }
}

impl History {
    /// Counts one more reconnect. Fails if there were too many within a minute.
    pub fn count(&mut self, now: Instant) -> Result<()> {
        self.0.retain(|time| now.saturating_duration_since(*time) < PERIOD);
        if self.0.len() >= MAX_RECONNECTS {
            return Err(Error::Invalid("too many reconnect requests in a minute"));
        }
        self.0.push(now);
        Ok(())
    }
}

/// The application in a URL without a stream name: everything after the host.
pub fn application(url: &[u8]) -> &[u8] {
    url.splitn(4, |&byte| byte == b'/').nth(3).unwrap_or_default()
}

/// The stream's URL: the application's URL followed by the name of the stream.
pub fn stream_url(application: &[u8], name: &[u8]) -> Vec<u8> {
    let slash: &[u8] = if application.ends_with(b"/") || name.is_empty() { b"" } else { b"/" };
    [application, slash, name].concat()
}

/// Resolves a reference against a base URL (RFC 3986, section 5.2, for the URLs of applications).
fn resolve(current: &[u8], reference: &[u8]) -> Result<Vec<u8>> {
    if reference.is_empty() {
        return Ok(current.to_vec());
    }
    let scheme_end = |url: &[u8]| url.windows(3).position(|window| window == b"://");
    if scheme_end(reference).is_some_and(|end| reference[..end].iter().all(u8::is_ascii_alphanumeric)) {
        return Ok(reference.to_vec());
    }
    let end = scheme_end(current).ok_or(Error::malformed(URL, "the current one has no scheme"))?;
    if reference.starts_with(b"//") {
        return Ok([&current[..end], b":", reference].concat());
    }
    let authority = end + 3;
    let path = current[authority..].iter().position(|byte| matches!(byte, b'/' | b'?'));
    let path = path.map_or(current.len(), |at| authority + at);
    if reference.starts_with(b"/") {
        return Ok([&current[..path], reference].concat());
    }
    let query = current[path..].iter().position(|byte| *byte == b'?').map_or(current.len(), |at| path + at);
    let base = current[path..query].iter().rposition(|byte| *byte == b'/').map_or(path, |at| path + at);
    log::debug!("a reconnect request for {} is relative to the path", Text(reference));
    Ok([&current[..base], b"/", reference].concat())
}

const URL: &str = "URL of a reconnect request";

#[cfg(test)]
mod tests {
    use super::*;

    fn follow(current: &str, reference: &str) -> Result<String> {
        let request = Reconnect { reference: reference.into(), description: Vec::new() };
        let url = request.resolve(current.as_bytes(), current.starts_with("rtmps"))?;
        Ok(String::from_utf8(url).unwrap())
    }

    #[test]
    fn references_are_resolved_against_the_current_url() {
        let current = "rtmp://one.example:1936/app/instance?key=1";
        for (reference, url) in [
            ("", current),
            ("rtmp://two.example/other", "rtmp://two.example/other"),
            ("rtmps://two.example/other", "rtmps://two.example/other"),
            ("RTMPT://two.example/other", "RTMPT://two.example/other"),
            ("//two.example:99/other", "rtmp://two.example:99/other"),
            ("//[::1]/other", "rtmp://[::1]/other"),
            ("/other", "rtmp://one.example:1936/other"),
            ("other", "rtmp://one.example:1936/app/other"),
        ] {
            assert_eq!(follow(current, reference).expect(reference), url);
        }
        assert_eq!(follow("rtmp://host", "/app").unwrap(), "rtmp://host/app");
        assert_eq!(follow("rtmp://host", "app").unwrap(), "rtmp://host/app");
        assert_eq!(follow("rtmps://host/app", "//other/app").unwrap(), "rtmps://other/app");
        assert_eq!(follow("rtmps://host/app", "rtmpts://other/app").unwrap(), "rtmpts://other/app");
    }

    #[test]
    fn urls_that_lead_nowhere_good_are_refused() {
        let long = format!("/{}", "x".repeat(MAX_URL));
        for (current, reference) in [
            ("rtmps://host/app", "rtmp://host/app"),
            ("rtmps://host/app", "rtmpe://host/app"),
            ("rtmps://host/app", "rtmpt://host/app"),
            ("rtmp://host/app", "http://host/app"),
            ("rtmp://host/app", "rtmfp://host/app"),
            ("rtmp://host/app", "file:///etc/passwd"),
            ("rtmp://host/app", "rtmp:///app"),
            ("rtmp://host/app", "rtmp://"),
            ("rtmp://host/app", "/app tlsVerify=0"),
            ("rtmp://host/app", "/app\ttlsVerify=0"),
            ("rtmp://host/app", "/app\0"),
            ("rtmp://host/app", &long),
            ("", "/app"),
            ("", ""),
        ] {
            assert!(follow(current, reference).is_err(), "{current} {reference}");
        }
        // The URL differs from the actual connection.
        let request = Reconnect { reference: b"/other".to_vec(), ..Reconnect::default() };
        assert!(request.resolve(b"rtmp://host/app", true).is_err());
    }

    #[test]
    fn the_sixth_reconnect_within_a_minute_is_refused() {
        let now = Instant::now();
        let mut history = History::default();
        for number in 0..5 {
            history.count(now + Duration::from_secs(number)).unwrap();
        }
        assert!(history.count(now + Duration::from_secs(59)).is_err());
        // The first reconnect is long enough ago.
        history.count(now + Duration::from_secs(60)).unwrap();
        assert!(history.count(now + Duration::from_secs(60)).is_err());
    }

    #[test]
    fn stream_name_follows_the_application() {
        for (application, name, url) in [
            ("rtmp://h/a", "s", "rtmp://h/a/s"),
            ("rtmp://h/a/", "s?k", "rtmp://h/a/s?k"),
            ("rtmp://h/a", "", "rtmp://h/a"),
        ] {
            assert_eq!(stream_url(application.as_bytes(), name.as_bytes()), url.as_bytes());
        }
    }
}
