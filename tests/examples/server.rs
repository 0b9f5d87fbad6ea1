//! The server example as something that stands in a network: acknowledgements, message streams, names, files, the log,
//! players that come late or read slowly, floods. Real programs where they differ, scripted clients for the rest.
#![forbid(unsafe_code)]

mod building;
mod client;
mod commands;
mod control;
mod forward;
mod late;
mod limits;
mod names;
mod programs;

/// What has to be done before a server is built.
fn prepare() -> Option<()> {
    Some(())
}
