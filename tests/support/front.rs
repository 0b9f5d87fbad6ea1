//! Programs that add TLS to a server without it.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use super::certs::Certificate;
use super::process::{Running, TempDir, free_port, listens, wait_until};
use super::require;

/// TLS in front of a server without it.
pub struct Front {
    pub port: u16,
    _process: Running,
    _directory: TempDir,
}

impl Front {
    /// nginx, whose `protocol` is for example `TLSv1.3`. It sends tickets.
    pub fn nginx(certificate: &Certificate, protocol: &str, behind: u16) -> Option<Self> {
        let nginx = require::program("nginx")?;
        let module = require::file(Path::new("/usr/lib/nginx/modules/ngx_stream_module.so"))?;
        let (directory, port) = (TempDir::new("nginx-tls"), free_port());
        let root = directory.path().display();
        let configuration = format!(
            "load_module {};\ndaemon off; master_process off; pid {root}/pid; error_log stderr info;\n\
             events {{ worker_connections 64; }}\nstream {{ server {{ listen 127.0.0.1:{port} ssl;\n\
             ssl_certificate {}; ssl_certificate_key {}; ssl_protocols {protocol};\n\
             ssl_session_tickets on; proxy_pass 127.0.0.1:{behind}; }} }}\n",
            module.display(),
            certificate.chain.display(),
            certificate.key.display()
        );
        fs::write(directory.join("nginx.conf"), configuration).expect("the build directory is writable");
        let mut command = Command::new(nginx);
        command.arg("-p").arg(directory.path()).args(["-e", "stderr", "-c", "nginx.conf"]);
        Some(Self::start(command, directory, port))
    }

    /// stunnel, whose `protocol` is for example `TLSv1.3`.
    pub fn stunnel(certificate: &Certificate, protocol: &str, behind: u16) -> Option<Self> {
        Self::stunnel_with(certificate, protocol, behind, "")
    }

    /// stunnel that accepts only clients with a certificate of this authority.
    pub fn stunnel_for_clients_of(
        authority: &Path,
        certificate: &Certificate,
        protocol: &str,
        behind: u16,
    ) -> Option<Self> {
        let check = format!("verifyChain = yes\nCAfile = {}\n", authority.display());
        Self::stunnel_with(certificate, protocol, behind, &check)
    }

    fn stunnel_with(certificate: &Certificate, protocol: &str, behind: u16, more: &str) -> Option<Self> {
        let stunnel = require::program("stunnel4")?;
        let (directory, port) = (TempDir::new("stunnel"), free_port());
        let configuration = format!(
            "foreground = yes\npid =\nsyslog = no\n[rtmps]\naccept = 127.0.0.1:{port}\n\
             connect = 127.0.0.1:{behind}\ncert = {}\nkey = {}\nsslVersionMin = {protocol}\n\
             sslVersionMax = {protocol}\n{more}",
            certificate.chain.display(),
            certificate.key.display()
        );
        let file = directory.join("stunnel.conf");
        fs::write(&file, configuration).expect("the build directory is writable");
        let mut command = Command::new(stunnel);
        command.arg(file);
        Some(Self::start(command, directory, port))
    }

    fn start(mut command: Command, directory: TempDir, port: u16) -> Self {
        let mut process = Running::start(&mut command);
        let ready = wait_until(Duration::from_secs(10), || listens(port) || process.ended().is_some());
        assert!(ready && process.ended().is_none(), "{command:?} did not start: {}", process.stderr());
        Self { port, _process: process, _directory: directory }
    }

    /// `rtmps://localhost…/<app>/<name>`.
    pub fn url(&self, app: &str, name: &str) -> String {
        format!("rtmps://localhost:{}/{app}/{name}", self.port)
    }
}
