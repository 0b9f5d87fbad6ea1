//! SOCKS4, and SOCKS4a, in which the proxy looks the name up.

use std::net::{IpAddr, Ipv4Addr};

use super::{Negotiation, Next, Target};
use crate::error::{Error, Result};

/// One request and one reply.
pub(super) struct Socks4 {
    request: Vec<u8>,
}

impl Socks4 {
    pub(super) fn new(target: Target<'_>, user: &[u8], password: &[u8]) -> Result<Self> {
        if !password.is_empty() {
            return Err(Error::Invalid("SOCKS4 knows users but no passwords"));
        }
        if user.contains(&0) {
            return Err(Error::Invalid("the name of a SOCKS4 user has a NUL"));
        }
        let (address, port, name) = match target {
            Target::Address(address) => match address.ip().to_canonical() {
                IpAddr::V4(v4) => (v4, address.port(), None),
                IpAddr::V6(_) => return Err(Error::Unsupported("an IPv6 address behind a SOCKS4 proxy")),
            },
            Target::Name(name, port) => (NAME_FOLLOWS, port, Some(name)),
        };
        let mut request = vec![VERSION, CONNECT];
        request.extend(port.to_be_bytes());
        request.extend(address.octets());
        request.extend(user);
        request.push(0);
        if let Some(name) = name {
            request.extend(name);
            request.push(0);
        }
        Ok(Self { request })
    }
}

impl Negotiation for Socks4 {
    fn greeting(&self) -> Vec<u8> {
        self.request.clone()
    }

    fn receive(&mut self, input: &[u8]) -> Result<Option<(usize, Next)>> {
        let Some(reply) = input.first_chunk::<REPLY_LEN>() else { return Ok(None) };
        match *reply {
            [0, GRANTED, ..] => Ok(Some((REPLY_LEN, Next::Done))),
            [0, code, ..] => {
                let reason = match code {
                    91 => "request rejected or failed",
                    92 => "it cannot ask this machine who the user is",
                    93 => "this machine names another user",
                    _ => "unknown code",
                };
                Err(Error::Proxy(format!("SOCKS returned error code {code}, {reason}").into()))
            }
            [first, ..] => {
                Err(Error::Proxy(format!("this is no SOCKS4 reply, it starts with 0x{first:02x}").into()))
            }
        }
    }
}

const VERSION: u8 = 4;
const CONNECT: u8 = 1;
const GRANTED: u8 = 90;
const REPLY_LEN: usize = 8;
/// SOCKS4a: an address of this form, which no server has, means that a name follows.
const NAME_FOLLOWS: Ipv4Addr = Ipv4Addr::new(0, 0, 0, 1);
