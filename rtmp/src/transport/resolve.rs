//! Name lookup as a blocking call.

use std::net::SocketAddr;

use super::{
    deadline::Deadline,
    local::Family,
    wait::{Patience, run},
};
use crate::{error::Result, net::Lookup};

/// The addresses of a host: IPv6 and IPv4 take turns, beginning with what the system prefers (RFC 8305, 4).
pub fn resolve(
    host: &[u8],
    port: u16,
    family: Family,
    deadline: Deadline,
    patience: &dyn Patience,
) -> Result<Vec<SocketAddr>> {
    run(Lookup::begin(host, port, family, deadline.moment())?, patience)
}
