//! Moves bytes: name lookup, connecting, receiving and sending. Knows no RTMP.
//!
//! Every wait has a deadline, and can be ended early: see [`wait`]. Sockets may belong to the caller, so they are borrowed and
//! stay in blocking mode; their timeouts are those of the socket itself.

pub mod deadline;
pub mod local;
pub mod proxy;
pub mod stream;
pub mod tcp;
pub mod tls;
pub mod tunnel;
pub mod wait;
