//! Requests as librtmp sends them: some servers answer only these lines.

use super::url::Url;
use crate::error::{Error, Result};

/// A GET request for a URL. A date that is not empty requests an answer only if the resource has changed since.
pub fn encode(url: &Url, date: &[u8]) -> Result<Vec<u8>> {
    if date.iter().any(u8::is_ascii_control) {
        return Err(Error::Invalid("date with a control character"));
    }
    let mut request = [
        b"GET ",
        url.path.as_slice(),
        b" HTTP/1.0\r\nUser-Agent: Mozilla/5.0\r\nHost: ",
        &url.authority,
        b"\r\nReferer: ",
        &url.origin,
        b"\r\n",
    ]
    .concat();
    if let Some(login) = &url.authorization {
        request.extend_from_slice(format!("Authorization: {login}\r\n").as_bytes());
    }
    if !date.is_empty() {
        request.extend_from_slice(&[b"If-Modified-Since: ", date, b"\r\n"].concat());
    }
    request.extend_from_slice(b"\r\n");
    Ok(request)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn encode_text(url: &str, date: &str) -> Result<String> {
        let url = Url::parse(url.as_bytes()).unwrap();
        encode(&url, date.as_bytes()).map(|request| String::from_utf8(request).unwrap())
    }

    #[test]
    fn a_request_is_what_librtmp_sends() {
        let request = encode_text("http://127.0.0.1:33971/d/x.swf?q=1#f", "").unwrap();
        let expected = "GET /d/x.swf?q=1#f HTTP/1.0\r\nUser-Agent: Mozilla/5.0\r\nHost: 127.0.0.1\r\n\
                        Referer: http://127.0.0.1:33971/\r\n\r\n";
        assert_eq!(request, expected);
    }

    #[test]
    fn a_login_is_in_one_header_only() {
        let request = encode_text("http://u:p@h:81/d/x.swf", "").unwrap();
        assert!(request.ends_with("Host: h\r\nReferer: http://h:81/\r\nAuthorization: Basic dTpw\r\n\r\n"));
        assert!(!request.contains("u:p"));
    }

    #[test]
    fn a_date_is_a_condition() {
        let request = encode_text("http://h/", "Mon, 01 Jan 2024 00:00:00 GMT").unwrap();
        assert!(
            request
                .ends_with("Referer: http://h/\r\nIf-Modified-Since: Mon, 01 Jan 2024 00:00:00 GMT\r\n\r\n")
        );
    }

    #[test]
    fn a_date_cannot_bring_headers_of_its_own() {
        assert!(encode_text("http://h/", "x\r\nCookie: y").is_err());
    }

    #[test]
    fn long_paths_are_sent_whole() {
        let request = encode_text(&format!("http://h/{}", "x".repeat(40_000)), "").unwrap();
        assert!(request.len() > 40_000);
    }
}
