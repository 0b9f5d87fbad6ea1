//! The statements in the documents are true.
#![forbid(unsafe_code)]

#[path = "../support/mod.rs"]
#[macro_use]
mod support;

mod defects;
mod guide;
mod prose;
mod readme;
mod security;
