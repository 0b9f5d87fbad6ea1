//! The limits of protected connections: the socket with RC4 or rustls over it, without RTMP.

use std::{
    io::{self, Read, Write},
    net::TcpStream,
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

use rc4::{KeyInit, Rc4, StreamCipher};
use rustls::{
    ClientConfig, ClientConnection, DigitallySignedStruct, SignatureScheme,
    client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    crypto::{CryptoProvider, ring},
    pki_types::{CertificateDer, ServerName, UnixTime},
};

use crate::peer::{LIVE_INTERVAL, SOUND};
use crate::rust::Measurement;

/// Receives `total` bytes with `size` bytes for each call, or sends them (`store`): as fast as possible, one block every 2 ms
/// (`store-live`), or as a live stream (`store-stream`), of which `total` is the number of messages.
pub fn run(work: &str, cover: &str, port: &str, size: usize, total: u64) -> io::Result<()> {
    let mut stream = TcpStream::connect(format!("127.0.0.1:{port}"))?;
    stream.set_nodelay(true)?;
    let mut block = vec![0x55; size];
    let mut pace = Pace { work: work.to_owned(), size, begun: Instant::now(), counts: [0; 2] };
    match cover {
        "rc4" => {
            let mut cipher = Rc4::new(&[0x5A; 32].into());
            transfer(work, total, || {
                if work == "recv" {
                    let count = stream.read(&mut block)?;
                    cipher.apply_keystream(&mut block[..count]);
                    return Ok(count);
                }
                let part = &mut block[..pace.next()];
                cipher.apply_keystream(part);
                stream.write_all(part)?;
                Ok(part.len())
            })
        }
        "tls" => {
            let mut tls = client()?;
            while tls.is_handshaking() {
                tls.complete_io(&mut stream)?;
            }
            transfer(work, total, || {
                if work != "recv" {
                    let part = &block[..pace.next()];
                    tls.writer().write_all(part)?;
                    while tls.wants_write() {
                        tls.write_tls(&mut stream)?;
                    }
                    return Ok(part.len());
                }
                loop {
                    match tls.reader().read(&mut block) {
                        Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                        read => return read,
                    }
                    tls.read_tls(&mut stream)?;
                    tls.process_new_packets().map_err(io::Error::other)?;
                }
            })
        }
        _ => Err(io::Error::other(format!("no cover is called {cover}"))),
    }
}

/// When the next block is sent, and how long it is: as in `driver.c`.
struct Pace {
    work: String,
    size: usize,
    begun: Instant,
    /// Of video and audio messages.
    counts: [u32; 2],
}

impl Pace {
    /// Sleeps until the next block is due, and returns its length.
    fn next(&mut self) -> usize {
        let [video, audio] = [25, 43].map(|rate| Duration::from_secs(1) / rate);
        let (due, length) = match self.work.as_str() {
            "store-live" => {
                self.counts[0] += 1;
                (LIVE_INTERVAL * self.counts[0], self.size)
            }
            "store-stream" if audio * self.counts[1] < video * self.counts[0] => {
                self.counts[1] += 1;
                (audio * (self.counts[1] - 1), SOUND)
            }
            "store-stream" => {
                self.counts[0] += 1;
                (video * (self.counts[0] - 1), self.size)
            }
            _ => return self.size,
        };
        thread::sleep((self.begun + due).saturating_duration_since(Instant::now()));
        length
    }
}

/// Calls `step` until it has handled this many bytes, or messages of a live stream, and reports the cost.
fn transfer(work: &str, total: u64, mut step: impl FnMut() -> io::Result<usize>) -> io::Result<()> {
    let measurement = Measurement::start();
    let (mut count, mut calls) = (0, 0);
    while (if work == "store-stream" { calls } else { count }) < total {
        match step()? {
            0 => return Err(io::ErrorKind::UnexpectedEof.into()),
            done => count += done as u64,
        }
        calls += 1;
    }
    measurement.report(count, calls)
}

/// A TLS session that trusts any certificate: the peer is this program.
fn client() -> io::Result<ClientConnection> {
    let provider = Arc::new(ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider.clone())
        .with_safe_default_protocol_versions()
        .map_err(io::Error::other)?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(Trusting(provider)))
        .with_no_client_auth();
    let name = ServerName::try_from("localhost").map_err(io::Error::other)?;
    ClientConnection::new(Arc::new(config), name).map_err(io::Error::other)
}

/// Accepts every certificate.
#[derive(Debug)]
struct Trusting(Arc<CryptoProvider>);

impl ServerCertVerifier for Trusting {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
