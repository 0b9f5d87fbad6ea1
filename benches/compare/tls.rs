//! TLS for peers: with a certificate that the `openssl` program creates for the run.

use std::{
    fs,
    io::{self, Read},
    net::TcpStream,
    path::Path,
    process::{Command, Stdio},
    sync::Arc,
};

use rustls::{
    ServerConfig, ServerConnection, StreamOwned,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
    version::{TLS12, TLS13},
};

/// A server's configuration for one version of TLS.
pub fn config(version: &str) -> io::Result<Arc<ServerConfig>> {
    let (certificate, key) = certificate()?;
    let versions = if version == "1.2" { [&TLS12] } else { [&TLS13] };
    let mut config = ServerConfig::builder_with_protocol_versions(&versions)
        .with_no_client_auth()
        .with_single_cert(vec![certificate], key)
        .map_err(io::Error::other)?;
    // librtmp treats a session ticket as an error, and then has no figures.
    config.send_tls13_tickets = 0;
    Ok(Arc::new(config))
}

/// A connection with TLS over it.
pub fn accept(
    stream: TcpStream,
    config: Arc<ServerConfig>,
) -> io::Result<StreamOwned<ServerConnection, TcpStream>> {
    stream.set_nodelay(true)?;
    let session = ServerConnection::new(config).map_err(io::Error::other)?;
    Ok(StreamOwned::new(session, stream))
}

/// Whether the client has said goodbye, which is answered: librtmp reads until it receives an answer.
pub fn answer_goodbye(tls: &mut StreamOwned<ServerConnection, TcpStream>) -> io::Result<bool> {
    let StreamOwned { conn, sock } = tls;
    sock.set_nonblocking(true)?;
    let received = conn.read_tls(sock);
    sock.set_nonblocking(false)?;
    match received {
        Ok(0) => return Ok(true),
        Ok(_) => {}
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(false),
        Err(error) => return Err(error),
    }
    let state = conn.process_new_packets().map_err(io::Error::other)?;
    io::copy(&mut conn.reader().take(state.plaintext_bytes_to_read() as u64), &mut io::sink())?;
    if !state.peer_has_closed() {
        return Ok(false);
    }
    conn.send_close_notify();
    while conn.wants_write() {
        conn.write_tls(sock)?;
    }
    Ok(true)
}

fn certificate() -> io::Result<(CertificateDer<'static>, PrivateKeyDer<'static>)> {
    let directory = Path::new(env!("CARGO_TARGET_TMPDIR"));
    let (certificate, key) = (directory.join("bench-certificate.pem"), directory.join("bench-key.pem"));
    fs::create_dir_all(directory)?;
    let status = Command::new("openssl")
        .args(["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"])
        .args(["-days", "2", "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"])
        .arg("-keyout")
        .arg(&key)
        .arg("-out")
        .arg(&certificate)
        .stderr(Stdio::null())
        .status()?;
    if !status.success() {
        return Err(io::Error::other("openssl makes no certificate"));
    }
    let certificate = CertificateDer::from_pem_file(certificate).map_err(io::Error::other)?;
    Ok((certificate, PrivateKeyDer::from_pem_file(key).map_err(io::Error::other)?))
}
