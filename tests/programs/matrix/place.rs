//! A server, with all the ways to reach it.

use std::fs;
use std::net::TcpListener;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use crate::gateway;
use crate::support::certs::{Authority, Valid};
use crate::support::front::Front;
use crate::support::proxy;
use crate::support::site::{Make, Site};
use crate::support::stage::Stage;
use crate::web;

/// How a client reaches a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    Rtmp,
    Rtmpe,
    /// Through stunnel.
    Rtmps,
    /// Through a gateway if the server has no HTTP.
    Rtmpt,
    Rtmpte,
    /// Through a SOCKS4 proxy.
    Socks,
}

/// What plays films in browsers: a SWF file on a web server.
pub struct Player(web::Site);

impl Player {
    fn offer() -> Self {
        Self(web::Site::of_file(&[b"FWS\x0a\x18\0\0\0".as_slice(), &[7; 16]].concat()))
    }

    /// Puts its address in the place of `SWF`.
    pub fn replace(&self, word: &str) -> String {
        if word == "SWF" { self.0.url("/player.swf") } else { word.to_owned() }
    }

    /// How often it was asked for.
    pub fn requests(&self) -> usize {
        self.0.requests().len()
    }
}

/// The server, and the proxies before it.
pub struct Place {
    pub site: Site,
    pub stage: Stage,
    /// A SWF file, and its URL.
    pub player: Player,
    tls: Front,
    authority: Authority,
    http_port: u16,
    socks: String,
    homes: AtomicU32,
}

impl Place {
    pub fn open(make: Make) -> Option<Self> {
        let stage = Stage::set()?;
        let site = make.start(stage.folder.path())?;
        let authority = Authority::new()?;
        let certificate = authority.issue("server", "DNS:localhost", Valid::Now);
        let tls = Front::stunnel(&certificate, "TLSv1.2", site.port())?;
        let http_port = site.http_port().unwrap_or_else(|| {
            gateway::gateway(&gateway::with_limits(Duration::from_secs(60), 64), site.port())
        });
        let listener = TcpListener::bind("127.0.0.1:0").expect("loopback has a free port");
        let socks = listener.local_addr().expect("it is bound").to_string();
        proxy::relay(listener, proxy::socks4);
        Some(Self {
            site,
            stage,
            player: Player::offer(),
            tls,
            authority,
            http_port,
            socks,
            homes: AtomicU32::new(0),
        })
    }

    /// The address of a stream, by its application and name.
    pub fn url(&self, way: Way, path: &str) -> String {
        let (protocol, host, port) = match way {
            Way::Rtmp | Way::Socks => ("rtmp", "127.0.0.1", self.site.port()),
            Way::Rtmpe => ("rtmpe", "127.0.0.1", self.site.port()),
            Way::Rtmps => ("rtmps", "localhost", self.tls.port),
            Way::Rtmpt => ("rtmpt", "127.0.0.1", self.http_port),
            Way::Rtmpte => ("rtmpte", "127.0.0.1", self.http_port),
        };
        format!("{protocol}://{host}:{port}/{path}")
    }

    /// A directory for each player.
    pub fn new_home(&self) -> PathBuf {
        let home = self.stage.folder.join(format!("home-{}", self.homes.fetch_add(1, Ordering::Relaxed)));
        fs::create_dir(&home).expect("the build directory is writable");
        home
    }

    /// The additional options of rtmpdump.
    pub fn options(&self, way: Way) -> Vec<String> {
        if way == Way::Socks { vec!["-S".to_owned(), self.socks.clone()] } else { Vec::new() }
    }

    /// The environment in which programs trust the server.
    pub fn environment(&self, way: Way) -> Option<(&'static str, PathBuf)> {
        (way == Way::Rtmps).then(|| ("SSL_CERT_FILE", self.authority.certificate()))
    }
}
