//! The handshake: three blocks each way before the first chunk (RTMP 1.0, section 5.2).
//!
//! In the published form each side echoes the other's random block. In Flash's own form the blocks hold digests and signatures,
//! and for RTMPE the public keys of a key agreement. The module knows the blocks and no sockets: the caller passes bytes as
//! slices, and supplies time and randomness.
//!
//! ```
//! use rtmp::handshake::{Client, ClientOptions, Server, ServerOptions};
//!
//! let options = ClientOptions { encrypted: true, ..ClientOptions::default() };
//! let mut client = Client::new(options, &mut rtmp::random::system)?;
//! let mut server = Server::new(ServerOptions::default(), &mut rtmp::random::system)?;
//!
//! // The bytes that each has sent and the other has not used yet, in place of sockets.
//! let (mut to_server, mut to_client) = (client.start(), Vec::new());
//! let (mut of_client, mut of_server) = (None, None);
//! while of_client.is_none() || of_server.is_none() {
//!     let progress = server.advance(&to_server)?;
//!     to_server.drain(..progress.consumed);
//!     to_client.extend(progress.output);
//!     of_server = of_server.or(progress.outcome);
//!     let progress = client.advance(&to_client)?;
//!     to_client.drain(..progress.consumed);
//!     to_server.extend(progress.output);
//!     of_client = of_client.or(progress.outcome);
//! }
//! assert!(of_client.is_some_and(|outcome| outcome.keys.is_some()));
//! # Ok::<(), rtmp::Error>(())
//! ```

#[cfg(feature = "rtmpe")]
mod cipher_keys;
mod client;
#[cfg_attr(not(feature = "rtmpe"), path = "absent_dh.rs")]
pub mod dh;
pub mod digest;
pub mod rc4;
mod server;
pub mod signature;
mod swf;

#[cfg(test)]
mod tests;

use std::fmt;

use log::{Level, debug, log_enabled, trace, warn};

use self::digest::End;
pub use self::{
    client::{Client, ClientOptions},
    rc4::{Cipher, Keys},
    server::{Server, ServerOptions},
    swf::{RESPONSE_LEN, Response, Swf},
};
use crate::{
    error::{Error, Result},
    text,
};

/// Length of C1, C2, S1 and S2.
pub const BLOCK_LEN: usize = 1536;

/// C1, C2, S1 or S2.
pub type Block = [u8; BLOCK_LEN];

/// The version byte (C0, S0) of plain RTMP.
const PLAIN: u8 = 3;
/// The version byte of RTMPE.
const ENCRYPTED: u8 = 6;

/// The result of a step of a handshake.
#[derive(Debug)]
pub struct Progress {
    /// Bytes of the input that were used; offer the rest again, with more after it.
    pub consumed: usize,
    /// Bytes to send now, before anything else is read.
    pub output: Vec<u8>,
    /// The agreed values, once the handshake has ended and chunks may follow. Returned once.
    pub outcome: Option<Outcome>,
}

/// The values that the two ends have agreed on.
#[derive(Debug, Default)]
pub struct Outcome {
    /// The ciphers, if everything after the handshake is encrypted. Input that was not consumed is encrypted, too.
    pub keys: Option<Keys>,
    /// The answer to a request for SWF verification; only signed handshakes have one.
    pub swf_response: Option<Response>,
}

impl Progress {
    /// Nothing can be done before more input arrives.
    const fn needs_more() -> Self {
        Self { consumed: 0, output: Vec::new(), outcome: None }
    }

    /// Input was used, and output has to be sent.
    const fn step(consumed: usize, output: Vec<u8>) -> Self {
        Self { consumed, output, outcome: None }
    }

    /// The peer's last block was used.
    const fn done(outcome: Outcome) -> Self {
        Self { consumed: BLOCK_LEN, output: Vec::new(), outcome: Some(outcome) }
    }
}

/// The expected contents of the peer's last block.
enum Expected {
    /// The block that was sent, unchanged.
    Echo,
    /// A block with a signature.
    Signature {
        /// S0, which determines how the signature is encrypted.
        version: u8,
        /// The peer's key for it.
        key: digest::Hash,
        /// The outcome if the signature is correct.
        outcome: Outcome,
        /// Whether an echo is accepted, too: FFmpeg publishes with a digest in C1 and does not sign C2.
        or_echo: bool,
    },
}

impl Expected {
    /// Compares with the peer's answer to `own`. Like other implementations, it accepts a wrong echo.
    fn check(&mut self, peer: &End, own: &Block, answer: &Block) -> Result<Outcome> {
        let (function, party) = peer.names_in_log();
        match self {
            Self::Echo => {
                if answer != own {
                    warn!("{function}: client signature does not match!");
                }
                Ok(Outcome::default())
            }
            Self::Signature { version, key, outcome, or_echo } => {
                log_hash(format_args!("{function}: {} sent signature:", peer.kind()), signature::of(answer));
                log_hash(format_args!("{function}: Digest key: "), key);
                if log_enabled!(Level::Debug) {
                    let expected = signature::signature(*version, key, answer);
                    log_hash(format_args!("{function}: Signature calculated:"), &expected);
                }
                if signature::verify(*version, key, answer) {
                    debug!("{function}: Genuine Adobe Flash {}", peer.product());
                } else if !*or_echo || answer != own {
                    warn!("{function}: {party} not genuine Adobe!");
                    return Err(Error::Handshake("the peer's signature is wrong"));
                }
                Ok(std::mem::take(outcome))
            }
        }
    }
}

/// Logs a hash, which is not secret.
fn log_hash(words: impl fmt::Display, hash: &digest::Hash) {
    debug!("{words}");
    if log_enabled!(Level::Debug) {
        text::hex_rows(hash).for_each(|row| debug!("{row}"));
    }
}

/// Logs a block at the level for session bytes. It contains no secret.
fn log_block(words: &str, block: &Block) {
    if log_enabled!(Level::Trace) {
        trace!("{words}");
        text::hex_rows(block).for_each(|row| trace!("{row}"));
    }
}

/// C1 or S1 without digest and key: the time in milliseconds, the sender's version, and the rest of `random`.
fn first_block(time: u32, version: [u8; 4], random: &Block) -> Block {
    let mut block = *random;
    block[..4].copy_from_slice(&time.to_be_bytes());
    block[4..8].copy_from_slice(&version);
    block
}

/// The version byte and block at the start of `input`, once both are there.
fn version_and_block(input: &[u8]) -> Option<(u8, &Block)> {
    let (&version, rest) = input.split_first()?;
    Some((version, rest.first_chunk()?))
}
