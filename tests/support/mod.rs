//! The shared parts of the integration tests: the two libraries, C programs, scripted peers, real servers and FLV files.
//!
//! Nothing here uses the crate's Rust code: the tests use the library from outside, as a C program or a peer does.
#![allow(dead_code)] // every test binary uses a part of this module

pub mod amf;
pub mod calls;
pub mod capture;
pub mod certs;
pub mod clip;
pub mod differences;
pub mod examples;
pub mod fault;
pub mod flv;
pub mod foreign;
pub mod front;
pub mod hex;
pub mod holdings;
pub mod library;
pub mod network;
pub mod numbered;
pub mod peer;
pub mod process;
pub mod program;
pub mod proxy;
pub mod relay;
#[macro_use]
pub mod require;
pub mod servers;
pub mod site;
pub mod stage;
pub mod stall;
pub mod torrent;
pub mod wire;
pub mod wiretap;

#[allow(unused_imports)] // as above
pub use library::Library;
#[allow(unused_imports)]
pub use network::Network;
#[allow(unused_imports)]
pub use peer::{Peer, Server};
#[allow(unused_imports)]
pub use process::{Running, TempDir, wait_until};
#[allow(unused_imports)]
pub use program::{Program, Run};
