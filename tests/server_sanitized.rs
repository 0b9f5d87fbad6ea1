//! The server example once more, with every access to memory and every operation of its C code checked: what clients
//! say and what players get. A sanitizer ends the server, and so the test, when it finds fault.
#![forbid(unsafe_code)]

#[path = "server/client.rs"]
mod client;
#[path = "server/commands.rs"]
mod commands;
#[path = "server/control.rs"]
mod control;
#[path = "server/late.rs"]
mod late;
#[path = "server/names.rs"]
mod names;
mod support;

/// What has to be done before a server is built.
fn prepare() -> Option<()> {
    support::program::sanitize()
}
