//! SOCKS5 (RFC 1928), with a user name and password (RFC 1929) if the proxy requests them.

use std::net::IpAddr;

use super::{Negotiation, Next, Target};
use crate::error::{Error, Result};

/// Method, login if the proxy selected it, request.
pub(super) struct Socks5 {
    stage: Stage,
    /// The message of RFC 1929; `None` without a user.
    login: Option<Vec<u8>>,
    request: Vec<u8>,
}

/// The next reply.
#[derive(Debug, Clone, Copy)]
enum Stage {
    Method,
    Login,
    Request,
}

impl Socks5 {
    pub(super) fn new(target: Target<'_>, user: &[u8], password: &[u8]) -> Result<Self> {
        let login = if user.is_empty() && password.is_empty() {
            None
        } else {
            let mut login = vec![LOGIN_VERSION];
            for text in [user, password] {
                login.push(length(text)?);
                login.extend(text);
            }
            Some(login)
        };
        let mut request = vec![VERSION, CONNECT, 0];
        let port = match target {
            Target::Address(address) => {
                match address.ip().to_canonical() {
                    IpAddr::V4(v4) => {
                        request.push(IPV4);
                        request.extend(v4.octets());
                    }
                    IpAddr::V6(v6) => {
                        request.push(IPV6);
                        request.extend(v6.octets());
                    }
                }
                address.port()
            }
            Target::Name(name, port) => {
                request.extend([NAME, length(name)?]);
                request.extend(name);
                port
            }
        };
        request.extend(port.to_be_bytes());
        Ok(Self { stage: Stage::Method, login, request })
    }

    fn ask(&mut self) -> Next {
        self.stage = Stage::Request;
        Next::Send(self.request.clone())
    }
}

impl Negotiation for Socks5 {
    fn greeting(&self) -> Vec<u8> {
        match self.login {
            None => vec![VERSION, 1, NO_LOGIN],
            Some(_) => vec![VERSION, 2, NO_LOGIN, PASSWORD],
        }
    }

    fn receive(&mut self, input: &[u8]) -> Result<Option<(usize, Next)>> {
        match self.stage {
            Stage::Method => {
                check_version(input, VERSION)?;
                let Some(&[_, method]) = input.first_chunk() else { return Ok(None) };
                let next = match (method, &self.login) {
                    (NO_LOGIN, _) => self.ask(),
                    (PASSWORD, Some(login)) => {
                        self.stage = Stage::Login;
                        Next::Send(login.clone())
                    }
                    (NO_METHOD, None) => {
                        return Err(Error::Proxy("the proxy wants a user name and password".into()));
                    }
                    (NO_METHOD, Some(_)) => {
                        return Err(Error::Proxy("the proxy takes no user name and password".into()));
                    }
                    _ => return Err(Error::Proxy(format!("unknown SOCKS5 method {method}").into())),
                };
                Ok(Some((2, next)))
            }
            Stage::Login => {
                check_version(input, LOGIN_VERSION)?;
                match input.first_chunk() {
                    None => Ok(None),
                    Some([_, 0]) => Ok(Some((2, self.ask()))),
                    Some([_, _]) => Err(Error::Proxy("user name or password is wrong".into())),
                }
            }
            Stage::Request => receive_answer(input),
        }
    }
}

/// The reply to the request. A refusal counts as soon as its code has arrived: some proxies send nothing else.
fn receive_answer(input: &[u8]) -> Result<Option<(usize, Next)>> {
    check_version(input, VERSION)?;
    if let Some(&code) = input.get(1).filter(|&&code| code != 0) {
        let reason = REASONS.get(usize::from(code)).unwrap_or(&"unknown code");
        return Err(Error::Proxy(format!("SOCKS returned error code {code}, {reason}").into()));
    }
    let Some(&[_, _, _, kind, first]) = input.first_chunk() else { return Ok(None) };
    let address_len = match kind {
        IPV4 => 4,
        IPV6 => 16,
        NAME => 1 + usize::from(first),
        _ => return Err(Error::Proxy(format!("unknown SOCKS5 address type {kind}").into())),
    };
    let len = 4 + address_len + 2;
    Ok((input.len() >= len).then_some((len, Next::Done)))
}

fn check_version(input: &[u8], expected: u8) -> Result<()> {
    match input.first() {
        Some(&version) if version != expected => {
            Err(Error::Proxy(format!("this is no SOCKS5 reply, it starts with 0x{version:02x}").into()))
        }
        _ => Ok(()),
    }
}

fn length(text: &[u8]) -> Result<u8> {
    u8::try_from(text.len()).map_err(|_| Error::TooLarge("text for a SOCKS5 proxy"))
}

const VERSION: u8 = 5;
const LOGIN_VERSION: u8 = 1;
const NO_LOGIN: u8 = 0;
const PASSWORD: u8 = 2;
const NO_METHOD: u8 = 0xff;
const CONNECT: u8 = 1;
const IPV4: u8 = 1;
const NAME: u8 = 3;
const IPV6: u8 = 4;
/// RFC 1928, 6.
const REASONS: [&str; 9] = [
    "succeeded",
    "general failure",
    "not allowed by the rules",
    "network unreachable",
    "host unreachable",
    "connection refused",
    "TTL expired",
    "command not supported",
    "address type not supported",
];
