//! The protocols that carry RTMP: RTMPE, TLS and HTTP tunnels, from both ends.

#[path = "../support/mod.rs"]
#[macro_use]
mod support;
#[path = "../pumps/mod.rs"]
mod pumps;

mod https_tunnel;
mod rtmp;
mod rtmpe;
mod rtmps;
mod rtmpt;
mod tls;
mod tls_c;
mod tls_options;
mod tls_peers;
mod tunnel;
