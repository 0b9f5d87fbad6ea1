//! `net::Link` against peers on loopback: every protocol below RTMP, every phase refused, silent and trickling, and large
//! transfers in which each side waits for the other. Timeouts are reached with a clock of the test's own.

#[path = "link/peers.rs"]
mod peers;
#[path = "link/phases.rs"]
mod phases;
#[path = "link/proxies.rs"]
mod proxies;
#[path = "link/pump.rs"]
mod pump;
mod pumps;
mod support;
#[path = "link/tls.rs"]
mod tls;
#[path = "link/transfers.rs"]
mod transfers;
#[path = "link/tunnel.rs"]
mod tunnel;
