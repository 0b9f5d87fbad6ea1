//! Programs and servers of other makes, unmodified, and the examples against them.
#![forbid(unsafe_code)]

#[path = "../support/mod.rs"]
#[macro_use]
mod support;

mod better;
mod bindings;
#[path = "../compare/cases.rs"]
mod cases;
mod clients;
mod enhanced;
mod extended_timestamps;
mod ffi;
mod forks;
#[allow(dead_code)] // the tests of the tunnel use the rest
#[path = "../transport/tunnel/gateway.rs"]
mod gateway;
mod lost_peers;
mod matrix;
mod more_clients;
mod plugins;
mod publish;
#[path = "../pumps/mod.rs"]
mod pumps;
mod refusals;
mod resume;
#[path = "../web/mod.rs"]
mod web;
mod wire;
