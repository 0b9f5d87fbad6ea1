//! The server example once more, with every access to memory and every operation of its C code checked: what clients
//! say and what players get. A sanitizer ends the server, and so the test, when it finds fault.
#![forbid(unsafe_code)]

#[path = "../examples/server/client.rs"]
mod client;
#[path = "../examples/server/commands.rs"]
mod commands;
#[path = "../examples/server/control.rs"]
mod control;
#[path = "../examples/server/late.rs"]
mod late;
#[path = "../examples/server/names.rs"]
mod names;

/// What has to be done before a server is built.
fn prepare() -> Option<()> {
    crate::support::program::sanitize()
}
