//! HTTP CONNECT (RFC 9110, 9.3.6), with a user name and password (RFC 7617) if there are any.

use super::{Negotiation, Next, Target};
use crate::{
    error::{Error, Result},
    http::head,
    text::Text,
    url::{authority, basic_credentials},
};

/// One request, and one reply after any number of interim ones.
pub(super) struct Http {
    request: Vec<u8>,
}

impl Http {
    pub(super) fn new(target: Target<'_>, user: &[u8], password: &[u8]) -> Result<Self> {
        let authority = match target {
            Target::Address(address) => address.to_string().into_bytes(),
            Target::Name(name, port) => authority(name, port),
        };
        let mut request =
            [b"CONNECT ", &authority[..], b" HTTP/1.1\r\nHost: ", &authority[..], b"\r\n"].concat();
        if !user.is_empty() || !password.is_empty() {
            let login = basic_credentials(user, password)?;
            request.extend_from_slice(format!("Proxy-Authorization: {login}\r\n").as_bytes());
        }
        request.extend_from_slice(b"\r\n");
        Ok(Self { request })
    }
}

impl Negotiation for Http {
    fn greeting(&self) -> Vec<u8> {
        self.request.clone()
    }

    fn receive(&mut self, input: &[u8]) -> Result<Option<(usize, Next)>> {
        let (response, len) = match head::Response::parse(input, MAX_HEADERS) {
            Ok(Some(parsed)) => parsed,
            Ok(None) => return Ok(None),
            Err(error) => return Err(Error::Proxy(format!("this is no HTTP reply: {error}").into())),
        };
        match response.status {
            // A success has no body, whatever its headers say.
            200..=299 => Ok(Some((len, Next::Done))),
            // 101 would switch from HTTP to a protocol that was not requested.
            100 | 102..=199 => Ok(Some((len, Next::Receive))),
            code => {
                let reason = Text(response.reason.as_bytes());
                Err(Error::Proxy(format!("the proxy refuses: {code} {reason}").into()))
            }
        }
    }
}

const MAX_HEADERS: usize = 64;
