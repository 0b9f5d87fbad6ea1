//! Peers that flood, lie, hang up or are faster than the program, and what the library does about them.
#![forbid(unsafe_code)]

#[path = "../support/mod.rs"]
#[macro_use]
mod support;

mod fast_peers;
mod floods;
mod hostile;
mod session_peer;
mod stress;
