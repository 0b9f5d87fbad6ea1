//! Peers that send wrong data, close, or are faster than the program, and the library's reaction. Peers that
//! flood are in `floods`, a separate program because it measures time.
#![forbid(unsafe_code)]

#[path = "../support/mod.rs"]
#[macro_use]
mod support;

mod fast_peers;
mod hostile;
mod session_peer;
mod stress;
