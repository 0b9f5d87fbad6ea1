//! The server's side. The client decides whether to sign and to encrypt.

use log::{debug, error, log_enabled, trace};

use super::{
    BLOCK_LEN, Block, ENCRYPTED, Expected, Keys, Outcome, PLAIN, Progress, Swf,
    dh::{KeyPair, PRIVATE_LEN},
    digest::{CLIENT, Hash, SERVER, Scheme},
    first_block, log_block, signature, version_and_block,
};
use crate::{
    error::{Error, Result},
    random::{Random, fill_predictably},
    text,
};

/// The settings of a server.
#[derive(Debug, Clone, Copy, Default)]
pub struct ServerOptions {
    /// Milliseconds of any clock.
    pub time: u32,
    /// A SWF file whose verification the server requests.
    pub swf: Option<Swf>,
}

/// The server's side of a handshake.
pub struct Server {
    options: ServerOptions,
    s1: Block,
    private: Vec<u8>,
    state: State,
}

enum State {
    ExpectsC0C1,
    /// S0 and S1 of an encrypted session were sent, S2 was not.
    Verifies {
        version: u8,
        c1: Box<Block>,
        key_pair: Box<KeyPair>,
    },
    ExpectsC2(Expected),
    Done,
}

/// Versions that S1 names.
const VERSION_SIMPLE: [u8; 4] = [0; 4];
const VERSION_SIGNED: [u8; 4] = [3, 5, 1, 1];
/// First byte of the version of clients that support type 8, even when they request type 6.
const ENCRYPTING_PLAYER: u8 = 128;

impl Server {
    /// A server that has not read anything.
    pub fn new(options: ServerOptions, random: Random<'_>) -> Result<Self> {
        let (mut s1, mut private) = ([0; BLOCK_LEN], [0; PRIVATE_LEN]);
        // They are sent as they are, and only have to tell this handshake from others.
        fill_predictably(&mut s1, random)?;
        random(&mut private)?;
        Ok(Self::from_parts(options, &s1, &private))
    }

    /// A server with given bytes in place of random ones: in S1, and in the private key (see [`KeyPair::new`]).
    pub fn from_parts(options: ServerOptions, s1: &Block, private: &[u8]) -> Self {
        Self { options, s1: *s1, private: private.to_vec(), state: State::ExpectsC0C1 }
    }

    /// Processes the bytes received so far.
    pub fn advance(&mut self, input: &[u8]) -> Result<Progress> {
        match &mut self.state {
            State::ExpectsC0C1 => {
                let Some((version, c1)) = version_and_block(input) else { return Ok(Progress::needs_more()) };
                debug!("SHandShake: Type Requested : {version:02X}");
                let output = self.first_answer(version, c1)?;
                self.log(c1);
                if let Some(s2) = output.last_chunk().filter(|_| output.len() > 1 + BLOCK_LEN) {
                    log_block("SHandShake: Sending handshake response: ", s2);
                }
                Ok(Progress::step(1 + BLOCK_LEN, output))
            }
            State::Verifies { version, c1, key_pair } => {
                let (scheme, digest) = CLIENT.find_digest(Scheme::Two, c1)?;
                let peer = scheme.key(c1);
                let keys = Some(Keys::new(&key_pair.agree(&peer)?, key_pair.public(), &peer));
                let (version, s2) = (*version, signed_echo(*version, c1, &digest));
                log_block("SHandShake: Sending handshake response: ", &s2);
                self.state = State::ExpectsC2(self.expected_signature(version, Scheme::Two, keys));
                Ok(Progress::step(0, s2.to_vec()))
            }
            State::ExpectsC2(expected) => {
                let Some(c2) = input.first_chunk() else { return Ok(Progress::needs_more()) };
                log_block("SHandShake: 2nd handshake: ", c2);
                let outcome = expected.check(&CLIENT, &self.s1, c2)?;
                debug!("SHandShake: Handshaking finished....");
                self.state = State::Done;
                Ok(Progress::done(outcome))
            }
            State::Done => Ok(Progress::needs_more()),
        }
    }

    /// S0 and S1, and S2 if nothing has to be verified first.
    fn first_answer(&mut self, version: u8, c1: &Block) -> Result<Vec<u8>> {
        match version {
            PLAIN => Ok(self.plain_answer(c1)),
            ENCRYPTED | signature::XTEA => {
                let version = if c1[4] == ENCRYPTING_PLAYER { signature::XTEA } else { version };
                let key_pair = Box::new(KeyPair::new(&self.private)?);
                self.write_s1(VERSION_SIGNED);
                Scheme::Two.write_key(&mut self.s1, key_pair.public());
                SERVER.write_digest(Scheme::Two, &mut self.s1);
                self.state = State::Verifies { version, c1: Box::new(*c1), key_pair };
                Ok([&[version], &self.s1[..]].concat())
            }
            _ => {
                error!("SHandShake: Unknown version {version:02x}");
                Err(Error::Handshake("the client speaks another protocol"))
            }
        }
    }

    /// S0, S1 and S2 of a session that is not encrypted.
    fn plain_answer(&mut self, c1: &Block) -> Vec<u8> {
        // librtmp would refuse a client that sends its version without a digest. Like other servers, this one accepts the
        // published handshake.
        let digest = if c1[4] == 0 { None } else { CLIENT.find_digest(Scheme::One, c1).ok() };
        let s2 = match digest {
            Some((_, digest)) => {
                self.write_s1(VERSION_SIGNED);
                SERVER.write_digest(Scheme::One, &mut self.s1);
                self.state = State::ExpectsC2(self.expected_signature(PLAIN, Scheme::One, None));
                signed_echo(PLAIN, c1, &digest)
            }
            None => {
                self.write_s1(VERSION_SIMPLE);
                self.state = State::ExpectsC2(Expected::Echo);
                *c1
            }
        };
        [&[PLAIN], &self.s1[..], &s2[..]].concat()
    }

    /// Logs both first blocks.
    fn log(&self, c1: &Block) {
        if log_enabled!(log::Level::Trace) {
            text::hex_rows(c1).for_each(|row| trace!("{row}"));
        }
        log_block("Serversig: ", &self.s1);
        let [t0, t1, t2, t3, major, minor, micro, nano, ..] = *c1;
        debug!("SHandShake: Client Uptime : {}", i32::from_be_bytes([t0, t1, t2, t3]));
        debug!("SHandShake: Player Version: {major}.{minor}.{micro}.{nano}");
    }

    fn write_s1(&mut self, version: [u8; 4]) {
        self.s1 = first_block(self.options.time, version, &self.s1);
    }

    /// The expected signature in C2, in answer to our S1.
    fn expected_signature(&self, version: u8, scheme: Scheme, keys: Option<Keys>) -> Expected {
        let key = CLIENT.signature_key(&SERVER.digest(scheme, &self.s1));
        let swf_response = self.options.swf.map(|swf| swf.response(&self.s1));
        let or_echo = keys.is_none();
        Expected::Signature { version, key, outcome: Outcome { keys, swf_response }, or_echo }
    }
}

/// C1 with the server's signature at its end.
fn signed_echo(version: u8, c1: &Block, client_digest: &Hash) -> Block {
    let mut s2 = *c1;
    signature::sign(version, &SERVER.signature_key(client_digest), &mut s2);
    s2
}
