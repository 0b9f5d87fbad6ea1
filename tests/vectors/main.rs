//! Repeats the recorded results of librtmp 2.4 in the JSON files of this directory. On Windows, without the C programs.

#[cfg(unix)]
#[path = "../support/mod.rs"]
#[macro_use]
mod support;
#[cfg(not(unix))]
#[path = "../support/hex.rs"]
mod hex;
#[cfg(not(unix))]
mod support {
    pub(crate) use super::hex;
}

mod amf_vectors;
#[cfg(unix)]
mod chunk_vectors;
mod flv_core;
#[cfg(unix)]
mod flv_vectors;
#[path = "../guarded/mod.rs"]
mod guarded;
#[cfg(feature = "rtmpe")]
mod handshake_vectors;
#[cfg(all(unix, feature = "tls", feature = "rtmpe", feature = "rtmpt", feature = "swf"))]
mod setup_vectors;
