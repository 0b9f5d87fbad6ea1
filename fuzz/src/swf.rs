//! SWF files: the same hash however they arrive.

#![forbid(unsafe_code)]

use rtmp_core::swf::{
    SwfHash,
    hash::{Hasher, MAX_SIZE},
};

use super::input::{self, Cuts};

pub fn run(data: &[u8]) {
    let Some(([_], cuts, bytes)) = input::choices(data) else { return };
    let whole = hash(bytes, Cuts::WHOLE);
    assert_eq!(hash(bytes, cuts), whole);
    if let Some(Some(hash)) = whole {
        assert!(hash.size as usize <= MAX_SIZE);
    }
}

/// The hash; `None` for a file that is refused.
fn hash(bytes: &[u8], cuts: Cuts) -> Option<Option<SwfHash>> {
    let mut hasher = Hasher::new();
    for piece in cuts.pieces(bytes) {
        hasher.update(piece).ok()?;
    }
    hasher.finish().ok()
}
