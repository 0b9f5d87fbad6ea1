//! The layers around a session's messages: TLS, HTTP, the cipher of RTMPE.

use std::fmt;
use std::io::{self, Read, Write};
use std::net::Shutdown;
use std::sync::Arc;
use std::time::Duration;

use rtmp_core::handshake::{self, BLOCK_LEN, Keys, Progress};
use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ServerConfig, ServerConnection, StreamOwned};

use super::support::Peer;
use super::support::certs::{Authority, Certificate, Valid};
use super::support::peer::{Carriage, PATIENCE, read_exact};
use super::tunnel::Tunnel;

/// The layers of a session, from the inside to the outside.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Way {
    /// The name of the protocol in a URL.
    pub protocol: &'static str,
    encrypted: bool,
    tunnelled: bool,
    pub tls: bool,
}

impl Way {
    pub const PLAIN: Self = Self { protocol: "rtmp", encrypted: false, tunnelled: false, tls: false };
    pub const TUNNELLED: Self = Self { protocol: "rtmpt", tunnelled: true, ..Self::PLAIN };
    pub const ENCRYPTED: Self = Self { protocol: "rtmpe", encrypted: true, ..Self::PLAIN };
    pub const ENCRYPTED_TUNNELLED: Self = Self { protocol: "rtmpte", encrypted: true, ..Self::TUNNELLED };
    pub const TLS: Self = Self { protocol: "rtmps", tls: true, ..Self::PLAIN };
    pub const TLS_TUNNELLED: Self = Self { protocol: "rtmpts", tls: true, ..Self::TUNNELLED };

    /// Adds the layers to a connection that a client of this way expects.
    pub fn dress(self, mut peer: Peer, tls: Option<&Arc<ServerConfig>>) -> Peer {
        if self.tls {
            let config = tls.expect("TLS needs a certificate").clone();
            peer = peer.wrap(|carriage| Box::new(Tls::over(carriage, config)));
        }
        if self.tunnelled {
            peer = peer.wrap(|carriage| Box::new(Tunnel::over(carriage)));
        }
        if self.encrypted {
            let mut c1 = Vec::new();
            peer = peer.wrap(|carriage| {
                let cipher = Encrypted::shake_hands(carriage);
                c1.clone_from(&cipher.c1);
                Box::new(cipher)
            });
            peer.c1 = c1;
        }
        peer
    }
}

impl fmt::Display for Way {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.protocol)
    }
}

/// A certificate for this machine, and its authority.
pub struct Credentials {
    pub authority: Authority,
    pub config: Arc<ServerConfig>,
}

impl Credentials {
    pub fn new() -> Option<Self> {
        let authority = Authority::new()?;
        let Certificate { chain, key } = authority.issue("server", "IP:127.0.0.1,DNS:localhost", Valid::Now);
        let chain = CertificateDer::pem_file_iter(chain).expect("the file was just written");
        let chain = chain.collect::<Result<_, _>>().expect("a chain of certificates");
        let key = PrivateKeyDer::from_pem_file(key).expect("the file was just written");
        // With 1.3, librtmp 2.4 treats the server's first ticket as an error.
        let config = ServerConfig::builder_with_provider(ring::default_provider().into())
            .with_protocol_versions(&[&rustls::version::TLS12])
            .expect("the provider knows TLS 1.2")
            .with_no_client_auth()
            .with_single_cert(chain, key)
            .expect("the key belongs to the certificate");
        Some(Self { authority, config: Arc::new(config) })
    }
}

/// A connection as an object to read and write, with a limit for each wait.
struct Limited {
    carriage: Box<dyn Carriage>,
    limit: Duration,
}

impl Read for Limited {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.carriage.receive(buffer, self.limit)
    }
}

impl Write for Limited {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        // The bytes that a client sent before it closed can only be read if the bytes that it no longer reads
        // are out of the way.
        let _ = self.carriage.send(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

struct Tls(StreamOwned<ServerConnection, Limited>);

impl Tls {
    fn over(carriage: Box<dyn Carriage>, config: Arc<ServerConfig>) -> Self {
        let connection = ServerConnection::new(config).expect("the configuration is complete");
        Self(StreamOwned::new(connection, Limited { carriage, limit: PATIENCE }))
    }
}

impl Carriage for Tls {
    fn receive(&mut self, buffer: &mut [u8], limit: Duration) -> io::Result<usize> {
        self.0.sock.limit = limit;
        self.0.read(buffer)
    }

    fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.0.write_all(bytes)
    }

    fn end(&mut self, how: Shutdown) {
        self.0.conn.send_close_notify();
        let _ = self.0.flush();
        self.0.sock.carriage.end(how);
    }

    fn transcript(&self) -> String {
        let tls = &self.0.conn;
        format!("TLS for {:?}, {:?}\n", tls.server_name(), tls.alpn_protocol())
            + &self.0.sock.carriage.transcript()
    }
}

/// Both directions of RTMPE.
struct Encrypted {
    carriage: Box<dyn Carriage>,
    keys: Keys,
    c1: Vec<u8>,
    log: String,
}

impl Encrypted {
    fn shake_hands(mut carriage: Box<dyn Carriage>) -> Self {
        let mut server =
            handshake::Server::new(handshake::ServerOptions::default(), &mut rtmp_core::random::system)
                .expect("the system has random bytes");
        let c0c1 = read_exact(carriage.as_mut(), 1 + BLOCK_LEN);
        let mut input = c0c1.clone();
        loop {
            let Progress { consumed, output, outcome } =
                server.advance(&input).expect("the client's blocks are right");
            input.drain(..consumed);
            carriage.send(&output).expect("the client is there");
            if let Some(outcome) = outcome {
                let keys = outcome.keys.expect("the client wants RTMPE");
                let log = format!("RTMPE of type {}\n", c0c1[0]);
                return Self { carriage, keys, c1: c0c1[1..].to_vec(), log };
            }
            if consumed == 0 && output.is_empty() {
                input.extend(read_exact(carriage.as_mut(), BLOCK_LEN - input.len()));
            }
        }
    }
}

impl Carriage for Encrypted {
    fn receive(&mut self, buffer: &mut [u8], limit: Duration) -> io::Result<usize> {
        let count = self.carriage.receive(buffer, limit)?;
        self.keys.receive.apply(&mut buffer[..count]);
        Ok(count)
    }

    fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        let mut bytes = bytes.to_vec();
        self.keys.send.apply(&mut bytes);
        self.carriage.send(&bytes)
    }

    fn end(&mut self, how: Shutdown) {
        self.carriage.end(how);
    }

    fn part(&mut self) {
        self.carriage.part();
    }

    fn transcript(&self) -> String {
        self.carriage.transcript() + &self.log
    }
}
