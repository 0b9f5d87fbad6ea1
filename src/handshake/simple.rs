//! The handshake of the published specification: each side echoes the other's random block.

use log::warn;

use super::{BLOCK_LEN, Block, Progress, VERSION};
use crate::error::{Error, Result};

/// The client's side.
#[derive(Debug)]
pub struct Client {
    c1: Block,
    state: ClientState,
}

#[derive(Debug)]
enum ClientState {
    ExpectsS0S1,
    ExpectsS2,
    Done,
}

/// The server's side.
#[derive(Debug)]
pub struct Server {
    s1: Block,
    state: ServerState,
}

#[derive(Debug)]
enum ServerState {
    ExpectsC0C1,
    ExpectsC2,
    Done,
}

/// C1 or S1: the time in milliseconds, four zeros, and what is left of `random`.
fn first_block(time: u32, random: &Block) -> Block {
    let mut block = *random;
    block[..4].copy_from_slice(&time.to_be_bytes());
    block[4..8].fill(0);
    block
}

/// The version byte and block at the start of `input`, once both are there.
fn version_and_block(input: &[u8]) -> Option<(u8, &Block)> {
    let (&version, rest) = input.split_first()?;
    Some((version, rest.first_chunk()?))
}

impl Client {
    /// A client that has not sent anything; `time` is in milliseconds of any clock, `random` fills C1.
    pub fn new(time: u32, random: &Block) -> Self {
        Self { c1: first_block(time, random), state: ClientState::ExpectsS0S1 }
    }

    /// C0 and C1, to be sent first.
    pub fn start(&self) -> Vec<u8> {
        [&[VERSION], &self.c1[..]].concat()
    }

    /// Takes what the server sent so far.
    pub fn advance(&mut self, input: &[u8]) -> Progress {
        match self.state {
            ClientState::ExpectsS0S1 => {
                let Some((version, s1)) = version_and_block(input) else { return Progress::needs_more() };
                if version != VERSION {
                    warn!("HandShake: Type mismatch: client sent {VERSION}, server answered {version}");
                }
                self.state = ClientState::ExpectsS2;
                Progress { consumed: 1 + BLOCK_LEN, output: s1.to_vec(), done: false }
            }
            ClientState::ExpectsS2 => {
                let Some(s2) = input.first_chunk::<BLOCK_LEN>() else { return Progress::needs_more() };
                if *s2 != self.c1 {
                    warn!("HandShake: client signature does not match!");
                }
                self.state = ClientState::Done;
                Progress { consumed: BLOCK_LEN, output: Vec::new(), done: true }
            }
            ClientState::Done => Progress { consumed: 0, output: Vec::new(), done: true },
        }
    }
}

impl Server {
    /// A server that has not read anything; `time` is in milliseconds of any clock, `random` fills S1.
    pub fn new(time: u32, random: &Block) -> Self {
        Self { s1: first_block(time, random), state: ServerState::ExpectsC0C1 }
    }

    /// Takes what the client sent so far; fails on a version that is not plain RTMP.
    pub fn advance(&mut self, input: &[u8]) -> Result<Progress> {
        Ok(match self.state {
            ServerState::ExpectsC0C1 => {
                let Some((version, c1)) = version_and_block(input) else { return Ok(Progress::needs_more()) };
                match version {
                    VERSION => {}
                    6 | 8 => return Err(Error::Unsupported("an RTMPE client")),
                    _ => return Err(Error::malformed("handshake", "Unknown version")),
                }
                self.state = ServerState::ExpectsC2;
                let output = [&[VERSION], &self.s1[..], &c1[..]].concat();
                Progress { consumed: 1 + BLOCK_LEN, output, done: false }
            }
            ServerState::ExpectsC2 => {
                let Some(c2) = input.first_chunk::<BLOCK_LEN>() else { return Ok(Progress::needs_more()) };
                if *c2 != self.s1 {
                    warn!("SHandShake: client signature does not match!");
                }
                self.state = ServerState::Done;
                Progress { consumed: BLOCK_LEN, output: Vec::new(), done: true }
            }
            ServerState::Done => Progress { consumed: 0, output: Vec::new(), done: true },
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Runs both sides against each other, delivering `step` bytes at a time.
    fn run(step: usize) {
        let mut client = Client::new(7, &[1; BLOCK_LEN]);
        let mut server = Server::new(9, &[2; BLOCK_LEN]);
        let (mut to_server, mut to_client) = (client.start(), Vec::new());
        let (mut seen_by_server, mut seen_by_client) = (Vec::new(), Vec::new());
        let (mut client_done, mut server_done) = (false, false);
        while !(client_done && server_done) {
            let arrived = to_server.len().min(step);
            seen_by_server.extend(to_server.drain(..arrived));
            let progress = server.advance(&seen_by_server).unwrap();
            seen_by_server.drain(..progress.consumed);
            to_client.extend(progress.output);
            server_done = progress.done;

            let arrived = to_client.len().min(step);
            seen_by_client.extend(to_client.drain(..arrived));
            let progress = client.advance(&seen_by_client);
            seen_by_client.drain(..progress.consumed);
            to_server.extend(progress.output);
            client_done = progress.done;
        }
        assert!(to_client.is_empty() && to_server.is_empty() && seen_by_client.is_empty());
    }

    #[test]
    fn both_sides_agree_however_the_bytes_arrive() {
        for step in [1, 7, BLOCK_LEN, BLOCK_LEN + 1, 4 * BLOCK_LEN] {
            run(step);
        }
    }

    #[test]
    fn the_first_block_holds_the_time_and_four_zeros() {
        let start = Client::new(0x0102_0304, &[0xAA; BLOCK_LEN]).start();
        assert_eq!(start.len(), 1 + BLOCK_LEN);
        assert_eq!(start[..10], [3, 1, 2, 3, 4, 0, 0, 0, 0, 0xAA]);
    }

    #[test]
    fn a_server_refuses_versions_it_does_not_speak() {
        for version in [0, 2, 6, 9, 255] {
            let mut input = vec![0; 1 + BLOCK_LEN];
            input[0] = version;
            assert!(Server::new(0, &[0; BLOCK_LEN]).advance(&input).is_err());
        }
    }

    #[test]
    fn a_client_echoes_s1_and_accepts_any_s2() {
        let mut client = Client::new(0, &[0; BLOCK_LEN]);
        let mut s0s1 = vec![3];
        s0s1.extend([5; BLOCK_LEN]);
        assert_eq!(client.advance(&s0s1).output, [5; BLOCK_LEN]);
        assert!(client.advance(&[6; BLOCK_LEN]).done);
    }
}
