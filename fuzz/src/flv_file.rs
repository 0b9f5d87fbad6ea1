//! FLV files: the same tags however their bytes arrive.

#![forbid(unsafe_code)]

use rtmp_core::flv::{TagHeader, TagReader};

use super::input::{self, Cuts};

pub fn run(data: &[u8]) {
    let Some(([_], cuts, bytes)) = input::choices(data) else { return };
    assert_eq!(read(bytes, cuts), read(bytes, Cuts::WHOLE));
}

/// The tags, how many bytes were not used, and whether reading failed.
fn read(bytes: &[u8], cuts: Cuts) -> (Vec<(TagHeader, Vec<u8>)>, usize, bool) {
    let (mut reader, mut tags) = (TagReader::new(), Vec::new());
    let (mut from, mut to) = (0, 0);
    for piece in cuts.pieces(bytes) {
        to += piece.len();
        loop {
            let Ok(decoded) = reader.next(&bytes[from..to]) else { return (tags, 0, true) };
            from += decoded.consumed;
            let Some(tag) = decoded.tag else { break };
            assert_eq!(tag.body.len(), tag.header.body_len());
            tags.push((tag.header, tag.body.to_vec()));
        }
    }
    (tags, to - from, false)
}
