//! The server example as something that stands in a network: acknowledgements, message streams, names, files, the log,
//! players that come late or read slowly, floods. Real programs where they differ, scripted clients for the rest.
#![forbid(unsafe_code)]

#[path = "server/building.rs"]
mod building;
#[path = "server/client.rs"]
mod client;
#[path = "server/commands.rs"]
mod commands;
#[path = "server/control.rs"]
mod control;
#[path = "server/late.rs"]
mod late;
#[path = "server/limits.rs"]
mod limits;
#[path = "server/names.rs"]
mod names;
#[path = "server/programs.rs"]
mod programs;
mod support;

/// What has to be done before a server is built.
fn prepare() -> Option<()> {
    Some(())
}
