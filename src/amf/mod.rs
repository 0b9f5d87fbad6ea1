//! `amf.h`: AMF values as C programs see them, over the core's decoder and a writer for their buffers.
//!
//! Names and text are never copied or freed here: they point into the buffer that was decoded or to memory of the program. Only
//! the property arrays of objects are owned, and those come from the C allocator.

pub mod access;
pub mod decode;
pub mod dump;
pub mod encode;
mod list;
pub mod plain;
pub(crate) mod room;
pub mod search;
pub mod tracks;
pub mod types;
pub mod view;
mod walk;

pub(crate) use list::{append_item, owned_list, owned_property};
pub use types::*;

#[cfg(test)]
mod tests;
