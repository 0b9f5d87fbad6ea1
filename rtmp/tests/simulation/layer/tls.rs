//! TLS at both ends.

use std::{
    io::{ErrorKind, Read, Write},
    sync::{Arc, OnceLock},
    time::Duration,
};

use rtmp::{Error, Result};
use rustls::{
    ClientConfig, ClientConnection, Connection, RootCertStore, ServerConfig, ServerConnection,
    crypto::ring,
    pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer, ServerName, UnixTime},
    time_provider::TimeProvider,
};

use super::super::plan::CLIENT;

pub struct Tls(Connection);

/// A certificate for `host`. Signatures of its kind have one length, so that records have the same lengths each time.
const CERTIFICATE: &[u8] = include_bytes!("certificates/certificate.der");
const KEY: &[u8] = include_bytes!("certificates/key.der");

/// A time at which the certificate is valid.
#[derive(Debug)]
struct Then;

impl TimeProvider for Then {
    fn current_time(&self) -> Option<UnixTime> {
        Some(UnixTime::since_unix_epoch(Duration::from_secs(2_000_000_000)))
    }
}

impl Tls {
    pub fn new(side: usize) -> Self {
        static CONFIGS: OnceLock<(Arc<ClientConfig>, Arc<ServerConfig>)> = OnceLock::new();
        let (client, server) = CONFIGS.get_or_init(configs);
        Self(if side == CLIENT {
            let name = ServerName::try_from("host").expect("it is a name");
            ClientConnection::new(client.clone(), name).expect("the configuration is right").into()
        } else {
            ServerConnection::new(server.clone()).expect("the configuration is right").into()
        })
    }

    /// Takes the beginning of `plain`, and returns how much.
    pub fn take(&mut self, plain: &[u8]) -> usize {
        self.0.writer().write(plain).expect("a buffer in memory takes bytes or none")
    }

    pub fn is_open(&self) -> bool {
        !self.0.is_handshaking()
    }

    pub fn wants_to_write(&self) -> bool {
        self.0.wants_write()
    }

    pub fn write(&mut self, wire: &mut Vec<u8>) {
        while self.0.wants_write() {
            self.0.write_tls(wire).expect("a vector takes bytes");
        }
    }

    pub fn receive(&mut self, mut bytes: &[u8], plain: &mut Vec<u8>) -> Result<()> {
        while !bytes.is_empty() {
            self.0.read_tls(&mut bytes).map_err(Error::Io)?;
            self.0.process_new_packets().map_err(|error| Error::Tls(error.to_string().into()))?;
            match self.0.reader().read_to_end(plain) {
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                result => drop(result.map_err(Error::Io)?),
            }
        }
        Ok(())
    }
}

fn configs() -> (Arc<ClientConfig>, Arc<ServerConfig>) {
    let certificate = CertificateDer::from(CERTIFICATE);
    let mut roots = RootCertStore::empty();
    roots.add(certificate.clone()).expect("the certificate can be read");
    let provider = Arc::new(ring::default_provider());
    let client = ClientConfig::builder_with_details(provider.clone(), Arc::new(Then))
        .with_safe_default_protocol_versions()
        .expect("there are versions")
        .with_root_certificates(roots)
        .with_no_client_auth();
    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(KEY));
    let mut server = ServerConfig::builder_with_details(provider, Arc::new(Then))
        .with_safe_default_protocol_versions()
        .expect("there are versions")
        .with_no_client_auth()
        .with_single_cert(vec![certificate], key)
        .expect("the key can be used");
    server.send_tls13_tickets = 0;
    (Arc::new(client), Arc::new(server))
}
