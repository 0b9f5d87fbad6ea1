//! `net::Link` against peers on loopback: every protocol below RTMP; peers that refuse, are silent or send slowly in every
//! phase; and large transfers in which each side waits for the other. The test has its own clock to reach timeouts.

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
