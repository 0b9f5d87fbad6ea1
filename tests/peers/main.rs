//! Peers that lie, hang up or are faster than the program, and what the library does about them. Those that flood are in
//! `floods`, a program of its own because it measures time.
#![forbid(unsafe_code)]

#[path = "../support/mod.rs"]
#[macro_use]
mod support;

mod fast_peers;
mod hostile;
mod session_peer;
mod stress;
