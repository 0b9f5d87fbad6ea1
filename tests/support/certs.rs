//! Certificates for tests, made with the `openssl` program.

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use super::process::{TempDir, output};
use super::require;

/// A private authority, in its own directory with everything that it issues.
pub struct Authority {
    openssl: PathBuf,
    directory: TempDir,
}

/// A certificate with its key, both in PEM files.
#[derive(Clone, Debug)]
pub struct Certificate {
    pub chain: PathBuf,
    pub key: PathBuf,
}

/// When a certificate is valid.
#[derive(Clone, Copy, Debug)]
pub enum Valid {
    Now,
    /// Until 2021.
    Before,
    /// From 2090 on.
    Later,
}

impl Valid {
    fn dates(self) -> [&'static str; 2] {
        match self {
            Self::Now => ["20200101000000Z", "20991231000000Z"],
            Self::Before => ["20200101000000Z", "20210101000000Z"],
            Self::Later => ["20900101000000Z", "20991231000000Z"],
        }
    }
}

impl Authority {
    /// `None` when `openssl` is not installed.
    pub fn new() -> Option<Self> {
        let authority = Self { openssl: require::program("openssl")?, directory: TempDir::new("certs") };
        fs::write(authority.directory.join("index.txt"), "").expect("the directory is writable");
        fs::write(
            authority.directory.join("ca.conf"),
            format!(
                "[ca]\ndefault_ca = d\n[d]\ndatabase = {0}/index.txt\nnew_certs_dir = {0}\nrand_serial = yes\n\
                 default_md = sha256\npolicy = p\nunique_subject = no\n[p]\ncommonName = optional\n\
                 [req]\ndistinguished_name = n\n[n]\n",
                authority.directory.path().display()
            ),
        )
        .expect("the directory is writable");
        authority.certify("ca", "ca", "CA:TRUE", "DNS:authority", Valid::Now);
        Some(authority)
    }

    /// The authority's own certificate.
    pub fn certificate(&self) -> PathBuf {
        self.directory.join("ca.pem")
    }

    /// A server's certificate, issued by an intermediate authority, whose certificate is in the chain.
    pub fn issue_through_intermediate(&self, names: &str) -> Certificate {
        if !self.directory.join("middle.pem").exists() {
            self.certify("middle", "ca", "CA:TRUE", "DNS:middle", Valid::Now);
        }
        let leaf = self.certify("deep", "middle", "CA:FALSE", names, Valid::Now);
        let chain = [leaf.chain, self.directory.join("middle.pem")]
            .map(|file| fs::read_to_string(file).expect("the file was just written"));
        let path = self.directory.join("deep-chain.pem");
        fs::write(&path, chain.concat()).expect("the directory is writable");
        Certificate { chain: path, key: leaf.key }
    }

    /// A server's certificate for `names`, for example `DNS:localhost,IP:127.0.0.1`.
    pub fn issue(&self, file: &str, names: &str, valid: Valid) -> Certificate {
        self.certify(file, "ca", "CA:FALSE", names, valid)
    }

    /// A certificate that no authority has signed.
    pub fn self_signed(&self, file: &str, names: &str, constraints: &str, valid: Valid) -> Certificate {
        self.certify(file, file, constraints, names, valid)
    }

    /// A certificate for a key that exists.
    pub fn issue_for(&self, file: &str, key: &[&str], names: &str) -> Certificate {
        let path = self.directory.join(format!("{file}.key"));
        self.run(&[key, &["-out", text(&path)]].concat());
        self.sign(file, "ca", "CA:FALSE", names, Valid::Now)
    }

    /// The same key in another form.
    pub fn convert(&self, key: &std::path::Path, file: &str, arguments: &[&str]) -> PathBuf {
        let path = self.directory.join(file);
        self.run(&[arguments, &["-in", text(key), "-out", text(&path)]].concat());
        path
    }

    pub fn directory(&self) -> &TempDir {
        &self.directory
    }

    fn certify(&self, file: &str, issuer: &str, constraints: &str, names: &str, valid: Valid) -> Certificate {
        let key = self.directory.join(format!("{file}.key"));
        let curve = ["genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256", "-out"];
        self.run(&[&curve[..], &[text(&key)]].concat());
        self.sign(file, issuer, constraints, names, valid)
    }

    fn sign(&self, file: &str, issuer: &str, constraints: &str, names: &str, valid: Valid) -> Certificate {
        let [key, request, certificate, extensions] =
            ["key", "csr", "pem", "ext"].map(|end| self.directory.join(format!("{file}.{end}")));
        let config = self.directory.join("ca.conf");
        let subject = format!("/CN=test {file}");
        let request_arguments =
            ["req", "-new", "-config", text(&config), "-key", text(&key), "-subj", &subject];
        self.run(&[&request_arguments[..], &["-out", text(&request)]].concat());
        let lines = format!("basicConstraints=critical,{constraints}\nsubjectAltName={names}\n");
        fs::write(&extensions, lines).expect("the directory is writable");
        let [issuer_certificate, issuer_key] =
            ["pem", "key"].map(|end| self.directory.join(format!("{issuer}.{end}")));
        let [start, end] = valid.dates();
        let mut arguments = vec!["ca", "-batch", "-notext", "-config", text(&config), "-in", text(&request)];
        arguments.extend(["-out", text(&certificate), "-extfile", text(&extensions)]);
        arguments.extend(["-startdate", start, "-enddate", end, "-keyfile", text(&issuer_key)]);
        if issuer == file {
            arguments.push("-selfsign");
        } else {
            arguments.extend(["-cert", text(&issuer_certificate)]);
        }
        self.run(&arguments);
        Certificate { chain: certificate, key }
    }

    fn run(&self, arguments: &[&str]) {
        output(&self.openssl, arguments, Duration::from_secs(60));
    }
}

fn text(path: &std::path::Path) -> &str {
    path.to_str().expect("paths of the build directory are text")
}
