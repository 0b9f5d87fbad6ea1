//! User name and password before a host, in URLs of any scheme.

use std::fmt;

use base64::{Engine, prelude::BASE64_STANDARD};

use super::{cut, position};
use crate::error::{Error, Result};

/// The text before an `@` in front of the host, as written. A character that would end it, such as `/`, `?`, `#` or `@`, is
/// written as `%` and two hexadecimal digits, and so is a colon in the user name.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct UserInfo<'a> {
    /// Text before the first colon.
    pub user: &'a [u8],
    /// Text after the first colon, if there is one.
    pub password: Option<&'a [u8]>,
}

impl<'a> UserInfo<'a> {
    /// Splits `user:password@host`. The last `@` counts: a password may contain one, a host may not.
    pub fn split(authority: &'a [u8]) -> (Option<Self>, &'a [u8]) {
        let Some(at) = authority.iter().rposition(|&byte| byte == b'@') else { return (None, authority) };
        let text = &authority[..at];
        let info = match cut(text, b":") {
            Some((user, password)) => Self { user, password: Some(password) },
            None => Self { user: text, password: None },
        };
        (Some(info), &authority[at + 1..])
    }

    /// The user name to log in with.
    pub fn decoded_user(&self) -> Vec<u8> {
        percent_decode(self.user)
    }

    /// The password to log in with; empty if there is none.
    pub fn decoded_password(&self) -> Vec<u8> {
        percent_decode(self.password.unwrap_or_default())
    }

    /// Whether decoding changes the password.
    pub fn has_escaped_password(&self) -> bool {
        self.password.is_some_and(|text| percent_decode(text) != text)
    }

    /// Its length in bytes before the host, including the `@`.
    pub fn text_len(&self) -> usize {
        self.user.len() + self.password.map_or(0, |password| 1 + password.len()) + 1
    }
}

/// The log must not show a login.
impl fmt::Debug for UserInfo<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("UserInfo(not shown)")
    }
}

/// The text of a URL without user name and password, for logs and for servers.
pub fn without_login(url: &[u8]) -> Vec<u8> {
    let Some((scheme, rest)) = cut(url, b"://") else { return url.to_vec() };
    let end = rest.iter().position(|byte| b"/?".contains(byte)).unwrap_or(rest.len());
    let (authority, path) = rest.split_at(end);
    [scheme, b"://", UserInfo::split(authority).1, path].concat()
}

/// A user name and a password in HTTP's form (RFC 7617): `Basic` and base64. The name cannot contain a colon.
pub fn basic_credentials(user: &[u8], password: &[u8]) -> Result<String> {
    if user.contains(&b':') {
        return Err(Error::Invalid("the user name for HTTP has a colon"));
    }
    Ok(format!("Basic {}", BASE64_STANDARD.encode([user, b":", password].concat())))
}

/// Decodes `%xx`. An invalid escape stays unchanged.
pub fn percent_decode(text: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    percent_decode_into(&mut out, text);
    out
}

/// Appends `text` with `%xx` decoded.
pub(super) fn percent_decode_into(out: &mut Vec<u8>, mut text: &[u8]) {
    while let Some(percent) = position(text, b'%') {
        let (plain, escape) = text.split_at(percent);
        out.extend_from_slice(plain);
        let decoded = match escape {
            [_, high, low, ..] => hex_pair(*high, *low),
            _ => None,
        };
        out.push(decoded.unwrap_or(b'%'));
        text = &escape[if decoded.is_some() { 3 } else { 1 }..];
    }
    out.extend_from_slice(text);
}

/// The byte for two hexadecimal digits.
pub fn hex_pair(high: u8, low: u8) -> Option<u8> {
    let digit = |byte: u8| char::from(byte).to_digit(16);
    u8::try_from(digit(high)? << 4 | digit(low)?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    type Login = Option<(Vec<u8>, Vec<u8>)>;

    fn split(text: &str) -> (Login, &[u8]) {
        let (info, host) = UserInfo::split(text.as_bytes());
        (info.map(|info| (info.decoded_user(), info.decoded_password())), host)
    }

    fn login(user: &str, password: &str) -> Login {
        Some((user.into(), password.into()))
    }

    #[test]
    fn login_ends_at_the_last_at_sign_and_the_user_at_the_first_colon() {
        assert_eq!(split("host"), (None, &b"host"[..]));
        assert_eq!(split("u:p@host"), (login("u", "p"), &b"host"[..]));
        assert_eq!(split("u@host"), (login("u", ""), &b"host"[..]));
        assert_eq!(split("u:p:q@r@host"), (login("u", "p:q@r"), &b"host"[..]));
        assert_eq!(split(":@host"), (login("", ""), &b"host"[..]));
        assert_eq!(split("@"), (login("", ""), &b""[..]));
    }

    #[test]
    fn characters_that_would_end_a_login_are_escaped() {
        assert_eq!(split("a%3Ab:%2f%3F%23%40%3a%25@h").0, login("a:b", "/?#@:%"));
        assert_eq!(split("u:%C3%A9%00@h").0, login("u", "\u{e9}\0"));
        for odd in ["%", "%4", "100%", "%zz", "%%", "%4g@", "% 4"] {
            assert_eq!(
                split(&format!("{odd}:{odd}@h")).0,
                login(odd, odd),
                "what is no escape stays as it is"
            );
        }
        assert_eq!(split("u:%%34@h").0, login("u", "%4"), "decoded once");
    }

    #[test]
    fn url_without_its_login_is_the_same_otherwise() {
        for (url, expected) in [
            ("rtmp://u:p@h:1/a@b/c", "rtmp://h:1/a@b/c"),
            ("rtmp://u:p@q@[::1]", "rtmp://[::1]"),
            ("http://h?u@x", "http://h?u@x"),
            ("u:p@h/a", "u:p@h/a"),
        ] {
            assert_eq!(without_login(url.as_bytes()), expected.as_bytes());
        }
    }

    #[test]
    fn login_is_not_shown() {
        let (info, _) = UserInfo::split(b"user:secret@h");
        assert_eq!(format!("{info:?}"), "Some(UserInfo(not shown))");
        assert_eq!(info.unwrap().text_len(), b"user:secret@".len());
    }
}
