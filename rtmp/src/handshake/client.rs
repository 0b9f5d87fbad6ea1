//! The client's side.

use log::{debug, warn};

use super::{
    BLOCK_LEN, Block, ENCRYPTED, Expected, Keys, Outcome, PLAIN, Progress, Swf,
    dh::{KeyPair, PRIVATE_LEN},
    digest::{CLIENT, Hash, SERVER, Scheme},
    first_block, log_hash, signature, version_and_block,
};
use crate::{
    error::{Error, Result},
    random::{Random, fill_predictably},
    text::NOT_SHOWN,
};

/// The settings of a client.
#[derive(Debug, Clone, Copy, Default)]
pub struct ClientOptions {
    /// Milliseconds of any clock.
    pub time: u32,
    /// Whether the connection has to be encrypted.
    pub encrypted: bool,
    /// The SWF file that a server may ask for; it takes a signed handshake.
    pub swf: Option<Swf>,
}

/// The client's side of a handshake.
pub struct Client {
    c1: Block,
    /// The contents of C2 if it is signed.
    filling: Block,
    mode: Mode,
    swf: Option<Swf>,
    state: State,
}

enum Mode {
    Simple,
    Signed,
    Encrypted(Box<KeyPair>),
}

enum State {
    ExpectsS0S1,
    ExpectsS2(Expected),
    Done,
}

/// Versions of Flash Player that C1 names.
const VERSION_SIMPLE: [u8; 4] = [0; 4];
const VERSION_SIGNED: [u8; 4] = [10, 0, 45, 2];
const VERSION_ENCRYPTED: [u8; 4] = [128, 0, 3, 2];

/// Room for `connect` in the memory of C2.
const ROOM_FOR_COMMAND: usize = 512;

impl Client {
    /// A client that has not sent anything.
    pub fn new(options: ClientOptions, random: Random<'_>) -> Result<Self> {
        let (mut c1, mut filling, mut private) = ([0; BLOCK_LEN], [0; BLOCK_LEN], [0; PRIVATE_LEN]);
        // The system is slow to produce random bytes, so request no more than needed.
        if options.encrypted || options.swf.is_some() {
            random(&mut c1)?;
            random(&mut filling)?;
        } else {
            // They only have to tell this handshake from others (RTMP 1.0, section 5.2.3).
            fill_predictably(&mut c1, random)?;
        }
        if options.encrypted {
            random(&mut private)?;
        }
        Self::from_parts(options, &c1, &filling, &private)
    }

    /// A client with given bytes in place of random ones: in C1, in a signed C2, and in the private key (see [`KeyPair::new`]).
    pub fn from_parts(options: ClientOptions, c1: &Block, filling: &Block, private: &[u8]) -> Result<Self> {
        let ClientOptions { time, encrypted, swf } = options;
        let (mode, version) = if encrypted {
            (Mode::Encrypted(Box::new(KeyPair::new(private)?)), VERSION_ENCRYPTED)
        } else if swf.is_some() {
            (Mode::Signed, VERSION_SIGNED)
        } else {
            (Mode::Simple, VERSION_SIMPLE)
        };
        let mut c1 = first_block(time, version, c1);
        if let Mode::Encrypted(key_pair) = &mode {
            Scheme::Two.write_key(&mut c1, key_pair.public());
        }
        if let Some(scheme) = mode.scheme() {
            let digest = CLIENT.write_digest(scheme, &mut c1);
            mode.log(scheme, &c1, &digest);
        }
        Ok(Self { c1, filling: *filling, mode, swf, state: State::ExpectsS0S1 })
    }

    /// C0 and C1, to be sent first.
    pub fn start(&self) -> Vec<u8> {
        [&[self.mode.version()], &self.c1[..]].concat()
    }

    /// Processes the bytes received so far.
    pub fn advance(&mut self, input: &[u8]) -> Result<Progress> {
        match &mut self.state {
            State::ExpectsS0S1 => {
                let Some((version, s1)) = version_and_block(input) else { return Ok(Progress::needs_more()) };
                let (c2, expected) = self.answer(version, s1)?;
                self.state = State::ExpectsS2(expected);
                // The first command is sent with it.
                let mut output = Vec::with_capacity(BLOCK_LEN + ROOM_FOR_COMMAND);
                output.extend_from_slice(&c2);
                Ok(Progress::step(1 + BLOCK_LEN, output))
            }
            State::ExpectsS2(expected) => {
                let Some(s2) = input.first_chunk() else { return Ok(Progress::needs_more()) };
                let outcome = expected.check(&SERVER, &self.c1, s2)?;
                debug!("HandShake: Handshaking finished....");
                self.state = State::Done;
                Ok(Progress::done(outcome))
            }
            State::Done => Ok(Progress::needs_more()),
        }
    }

    /// C2, and the expected S2.
    fn answer(&self, version: u8, s1: &Block) -> Result<(Block, Expected)> {
        let own = self.mode.version();
        debug!("HandShake: Type Answer   : {version:02X}");
        if version != own {
            warn!("HandShake: Type mismatch: client sent {own}, server answered {version}");
        }
        let [t0, t1, t2, t3, major, minor, micro, nano, ..] = *s1;
        debug!("HandShake: Server Uptime : {}", i32::from_be_bytes([t0, t1, t2, t3]));
        debug!("HandShake: FMS Version   : {major}.{minor}.{micro}.{nano}");
        let signs = version != PLAIN || major != 0;
        let Some(own_scheme) = self.mode.scheme().filter(|_| signs) else {
            // A caller that asked for encryption does not want to continue in clear text.
            return match self.mode {
                Mode::Encrypted(_) => Err(Error::Handshake("the server does not encrypt")),
                _ => Ok((*s1, Expected::Echo)),
            };
        };

        let (scheme, server_digest) = SERVER.find_digest(own_scheme, s1)?;
        let swf_response = self.swf.map(|swf| swf.response(s1));
        let keys = match &self.mode {
            Mode::Encrypted(key_pair) => {
                let peer = scheme.key(s1);
                debug!("HandShake: Server DH public key offset: {}", scheme.key_offset(s1));
                // These keys decrypt everything that follows.
                for secret in ["HandShake: Secret key", "RC4 Out Key", "RC4 In Key"] {
                    debug!("{secret}: {NOT_SHOWN}");
                }
                Some(Keys::new(&key_pair.agree(&peer)?, key_pair.public(), &peer))
            }
            _ => None,
        };
        let mut c2 = self.filling;
        let key = CLIENT.signature_key(&server_digest);
        log_hash("HandShake: Calculated digest key from secure key and server digest: ", &key);
        signature::sign(version, &key, &mut c2);
        log_hash("HandShake: Client signature calculated:", signature::of(&c2));
        let key = SERVER.signature_key(&CLIENT.digest(own_scheme, &self.c1));
        Ok((
            c2,
            Expected::Signature { version, key, outcome: Outcome { keys, swf_response }, or_echo: false },
        ))
    }
}

impl Mode {
    /// C0.
    fn version(&self) -> u8 {
        match self {
            Self::Simple | Self::Signed => PLAIN,
            Self::Encrypted(_) => ENCRYPTED,
        }
    }

    /// Logs the contents of C1.
    fn log(&self, scheme: Scheme, c1: &Block, digest: &Hash) {
        debug!("HandShake: Client type: {:02X}", self.version());
        if let Self::Encrypted(_) = self {
            debug!("HandShake: DH pubkey position: {}", scheme.key_offset(c1));
        }
        debug!("HandShake: Client digest offset: {}", scheme.digest_offset(c1));
        log_hash("HandShake: Initial client digest: ", digest);
    }

    /// The scheme of C1, if it holds a digest.
    fn scheme(&self) -> Option<Scheme> {
        match self {
            Self::Simple => None,
            Self::Signed => Some(Scheme::One),
            Self::Encrypted(_) => Some(Scheme::Two),
        }
    }
}
