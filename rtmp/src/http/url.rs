//! URLs of HTTP resources: the host to connect to, and the path to request.

use crate::{
    error::{Error, Result},
    url::{UserInfo, basic_credentials},
};

/// A URL in parts.
#[derive(Clone, PartialEq, Eq)]
pub struct Url {
    /// Whether the connection is inside TLS.
    pub secure: bool,
    /// Name or address to connect to, without the brackets of an IPv6 address; may be empty.
    pub host: String,
    /// 0 if the text in its place is not a number.
    pub port: u16,
    /// The value of the Authorization header, if the URL has a user name.
    pub authorization: Option<String>,
    /// The host in the form of the Host header.
    pub authority: Vec<u8>,
    /// The URL up to and including the first slash of the path, without the login, for the Referer header.
    pub origin: Vec<u8>,
    /// From the first slash to the end, query and fragment included.
    pub path: Vec<u8>,
}

impl Url {
    /// Parses `http` and `https` URLs; a missing path is `/`. Other text between `http` and the colon is ignored, as in
    /// librtmp.
    pub fn parse(text: &[u8]) -> Result<Self> {
        if text.iter().any(u8::is_ascii_control) {
            return Err(Error::Invalid("URL with a control character"));
        }
        let scheme_end = text.iter().skip(4).position(|&byte| byte == b':').map(|position| position + 4);
        let Some((scheme, rest)) = scheme_end.and_then(|end| text.split_at_checked(end)) else {
            return Err(Error::Invalid("URL without a scheme"));
        };
        let Some(rest) = rest.strip_prefix(b"://") else {
            return Err(Error::Invalid("URL without ://"));
        };
        if !scheme.get(..4).is_some_and(|scheme| scheme.eq_ignore_ascii_case(b"http")) {
            return Err(Error::Invalid("URL of another scheme than http and https"));
        }
        // librtmp would request HTTPS://… in clear text, which the author of such a URL cannot want.
        let secure = scheme.get(4).is_some_and(|byte| byte.eq_ignore_ascii_case(&b's'));

        let host_end = rest.iter().position(|byte| b"/?#".contains(byte)).unwrap_or(rest.len());
        let (authority, path) = rest.split_at(host_end);
        let (userinfo, host_and_port) = UserInfo::split(authority);
        let authorization =
            userinfo.map(|info| basic_credentials(&info.decoded_user(), &info.decoded_password()));
        let origin = [scheme, b"://", host_and_port, b"/"].concat();
        let path = if path.starts_with(b"/") { path.to_vec() } else { [b"/", path].concat() };

        let (authority, port) = split_port(host_and_port)?;
        let host = match authority {
            [b'[', address @ .., b']'] => address,
            name => name,
        };
        if host.len() > MAX_HOST {
            return Err(Error::Invalid("URL with a host of more than 255 characters"));
        }
        let host =
            std::str::from_utf8(host).map_err(|_| Error::Invalid("URL with a host that is not UTF-8"))?;
        let default_port = if secure { 443 } else { 80 };
        Ok(Self {
            secure,
            host: host.to_owned(),
            port: port.map_or(Ok(default_port), number)?,
            authorization: authorization.transpose()?,
            authority: authority.to_vec(),
            origin,
            path,
        })
    }
}

/// Splits at the last colon that is not part of an IPv6 address.
fn split_port(text: &[u8]) -> Result<(&[u8], Option<&[u8]>)> {
    let address_end = match text.first() {
        Some(b'[') => match text.iter().position(|&byte| byte == b']') {
            Some(bracket) => bracket + 1,
            None => return Err(Error::Invalid("URL with an IPv6 address that does not end")),
        },
        _ => 0,
    };
    let colon = text.iter().skip(address_end).rposition(|&byte| byte == b':');
    Ok(match colon.map(|colon| text.split_at(address_end + colon)) {
        Some((host, port)) => (host, port.get(1..)),
        None => (text, None),
    })
}

/// The number at the start of a text; 0 if there is none.
fn number(text: &[u8]) -> Result<u16> {
    let digits = text.iter().take_while(|byte| byte.is_ascii_digit());
    let value =
        digits.fold(0u32, |value, digit| value.saturating_mul(10).saturating_add(u32::from(digit - b'0')));
    u16::try_from(value).map_err(|_| Error::Invalid("URL with a port above 65535"))
}

/// The longest name that DNS has.
const MAX_HOST: usize = 255;

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Url {
        Url::parse(text.as_bytes()).unwrap_or_else(|error| panic!("{text}: {error}"))
    }

    fn parts(text: &str) -> (bool, String, u16, String) {
        let url = parse(text);
        (url.secure, url.host, url.port, String::from_utf8(url.path).unwrap())
    }

    fn expected(secure: bool, host: &str, port: u16, path: &str) -> (bool, String, u16, String) {
        (secure, host.to_owned(), port, path.to_owned())
    }

    #[test]
    fn a_url_is_scheme_host_port_and_path() {
        assert_eq!(parts("http://h/p"), expected(false, "h", 80, "/p"));
        assert_eq!(parts("hTTp://h:8080/"), expected(false, "h", 8080, "/"));
        assert_eq!(parts("https://h/p"), expected(true, "h", 443, "/p"));
        assert_eq!(parts("httpx://h/p"), expected(false, "h", 80, "/p"));
        assert_eq!(parts("http://h/a:b/c?d=/#e"), expected(false, "h", 80, "/a:b/c?d=/#e"));
        assert_eq!(parts("http:///p"), expected(false, "", 80, "/p"));
    }

    #[test]
    fn login_is_for_the_authorization_header_only() {
        let url = parse("http://us%40er:se%2Fcret@h:81/p@q");
        assert_eq!((&url.host[..], url.port, &url.path[..]), ("h", 81, &b"/p@q"[..]));
        // "us@er:se/cret"
        assert_eq!(url.authorization.as_deref(), Some("Basic dXNAZXI6c2UvY3JldA=="));
        assert_eq!((&url.authority[..], &url.origin[..]), (&b"h"[..], &b"http://h:81/"[..]));
        assert_eq!(parse("https://u@[::1]/").authorization.as_deref(), Some("Basic dTo="));
        assert_eq!(parse("http://h/u:p@x").authorization, None);
        assert!(Url::parse(b"http://a%3Ab:c@h/").is_err(), "it could not be told from the password");
    }

    #[test]
    fn https_in_capitals_is_not_sent_in_clear_text() {
        assert_eq!(parts("HTTPS://h/p"), expected(true, "h", 443, "/p"));
    }

    #[test]
    fn a_path_that_is_missing_is_a_slash() {
        assert_eq!(parts("http://h"), expected(false, "h", 80, "/"));
        assert_eq!(parts("http://h:81"), expected(false, "h", 81, "/"));
        assert_eq!(parts("http://h?q"), expected(false, "h", 80, "/?q"));
        assert_eq!(parts("http://"), expected(false, "", 80, "/"));
        assert_eq!(parse("http://h").origin, b"http://h/");
    }

    #[test]
    fn ipv6_addresses_have_brackets() {
        assert_eq!(parts("http://[::1]/p"), expected(false, "::1", 80, "/p"));
        assert_eq!(parts("http://[::1]:81/p"), expected(false, "::1", 81, "/p"));
        assert_eq!(parse("http://[::1]:81/p").authority, b"[::1]");
        assert!(Url::parse(b"http://[::1/p").is_err());
    }

    #[test]
    fn a_port_is_the_number_it_begins_with() {
        assert_eq!(parse("http://h:80x/").port, 80);
        assert_eq!(parse("http://h:x/").port, 0);
        assert_eq!(parse("http://h:/").port, 0);
        assert_eq!(parse("http://h:65535/").port, 65_535);
        for port in ["65536", "4294967376", "99999999999999999999"] {
            assert!(Url::parse(format!("http://h:{port}/").as_bytes()).is_err(), "{port}");
        }
    }

    #[test]
    fn the_origin_ends_with_the_first_slash() {
        assert_eq!(parse("http://h:81/d/x.swf").origin, b"http://h:81/");
    }

    #[test]
    fn hosts_have_at_most_255_characters() {
        assert_eq!(parse(&format!("http://{}/", "h".repeat(255))).host.len(), 255);
        assert!(Url::parse(format!("http://{}/", "h".repeat(256)).as_bytes()).is_err());
    }

    #[test]
    fn control_characters_are_refused_and_spaces_are_not() {
        for byte in (0..0x20).chain([0x7f]) {
            assert!(Url::parse(&[b"http://h/a", &[byte][..], b"b"].concat()).is_err(), "{byte:#x}");
        }
        assert_eq!(parse("http://h/a b").path, b"/a b");
    }

    #[test]
    fn urls_other_than_http_are_refused() {
        for text in
            ["", "h", "http", "http:", "http:/", "http:/x", "http//x", "ftp://h/", "rtmp://h/a", "httq://h/"]
        {
            assert!(Url::parse(text.as_bytes()).is_err(), "{text}");
        }
    }

    #[test]
    fn no_prefix_and_no_byte_panics() {
        let text = b"https://[::1]:8080/p?q#f";
        for end in 0..=text.len() {
            let _ = Url::parse(&text[..end]);
        }
        for index in 0..text.len() {
            for byte in 0..=u8::MAX {
                let mut changed = text.to_vec();
                changed[index] = byte;
                let _ = Url::parse(&changed);
            }
        }
    }
}
