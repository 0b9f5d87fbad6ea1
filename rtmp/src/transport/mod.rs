//! Moves bytes: name lookup, connecting, receiving and sending. Knows no RTMP.
//!
//! Every wait has a deadline, and ends when somebody wants it to: see [`wait`]. Sockets may belong to somebody else, so they
//! are borrowed and stay in blocking mode; their time-outs are those of the socket itself.

pub mod connect;
pub mod deadline;
pub mod local;
pub mod proxy;
pub mod resolve;
pub mod stream;
pub mod tcp;
pub mod tls;
pub mod tunnel;
pub mod wait;
