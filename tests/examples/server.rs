//! The server example in a network: acknowledgements, message streams, names, files, the log, players that join late or read
//! slowly, floods. Tests use real programs where these differ, and scripted clients for everything else.
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
mod together;

/// The preparations for a server.
fn prepare() -> Option<()> {
    Some(())
}
