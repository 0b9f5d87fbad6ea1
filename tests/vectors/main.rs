//! Replays what librtmp 2.4 was recorded doing: the JSON files beside this one.

#[path = "../support/mod.rs"]
#[macro_use]
mod support;

mod amf_vectors;
mod chunk_vectors;
mod flv_core;
mod flv_vectors;
#[path = "../guarded/mod.rs"]
mod guarded;
#[cfg(feature = "rtmpe")]
mod handshake_vectors;
#[cfg(all(feature = "tls", feature = "rtmpe", feature = "rtmpt", feature = "swf"))]
mod setup_vectors;
