//! Moves bytes: name lookup, connecting, receiving and sending. Knows no RTMP.
//!
//! Every wait has a deadline. Sockets may belong to somebody else, so they are borrowed and stay in blocking mode;
//! their time-outs are those of the socket itself.

#![forbid(unsafe_code)]

pub mod tcp;
pub mod tunnel;
