//! The functions of the C interface as programs call them: results, waiting times, the fields of the structs,
//! and misuse.

#[path = "../pumps/mod.rs"]
mod pumps;
#[path = "../support/mod.rs"]
#[macro_use]
mod support;

mod answers;
mod bad_input;
mod blocks;
mod callbacks;
mod cancel;
mod careless;
mod chunk_size;
mod connect;
mod deadlines;
mod enhanced;
mod event_loop;
mod events;
mod fork;
mod http;
mod interrupt;
mod log;
mod next_url;
mod nonblocking;
mod options;
mod privileges;
mod reasons;
mod reconnect;
mod stats;
mod streams;
mod swf;
mod swf_verification;
mod threads;
#[path = "../toolchain/mod.rs"]
mod toolchain;
#[path = "../compare/tunnel.rs"]
mod tunnel;
#[path = "../compare/ways.rs"]
mod ways;
#[path = "../web/mod.rs"]
mod web;
mod written_in_pieces;
