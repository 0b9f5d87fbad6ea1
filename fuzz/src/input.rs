//! How the bytes of an input are used: choices first, then what the library is fed.

#![forbid(unsafe_code)]

use std::{fmt::Write, sync::Once};

use log::{LevelFilter, Log, Metadata, Record};

/// Where bytes are cut; 65,536 ways.
#[derive(Clone, Copy)]
pub struct Cuts(u16);

/// Splits choices from the rest of an input; none if it is too short.
pub fn choices<const N: usize>(data: &[u8]) -> Option<([u8; N], Cuts, &[u8])> {
    let (choices, rest) = data.split_first_chunk::<N>()?;
    let (cuts, rest) = rest.split_first_chunk()?;
    listen();
    Some((*choices, Cuts(u16::from_be_bytes(*cuts)), rest))
}

impl Cuts {
    /// Not cut at all.
    pub const WHOLE: Self = Self(0xF);

    /// The pieces of `bytes`, none of them empty. They become longer the more there are, so that it is not their number
    /// that takes the time: whatever can be cut in the middle can come early.
    pub fn pieces(self, bytes: &[u8]) -> Vec<&[u8]> {
        let mut longest = LENGTHS[usize::from(self.0 & 0xF)];
        let mut noise = self.0 >> 4;
        let mut rest = bytes;
        let mut pieces = Vec::new();
        while !rest.is_empty() {
            let mut len = longest.min(rest.len());
            if noise != 0 {
                // A linear feedback shift register, which never becomes 0.
                noise = noise >> 1 ^ if noise & 1 == 1 { 0xB400 } else { 0 };
                len = 1 + usize::from(noise) % len;
            }
            let (piece, behind) = rest.split_at(len);
            pieces.push(piece);
            if pieces.len() % MANY == 0 {
                longest = longest.saturating_mul(2);
            }
            rest = behind;
        }
        pieces
    }
}

/// After this many pieces they are twice as long.
const MANY: usize = 128;

/// Lengths of pieces: around those of headers, chunks and handshake blocks.
const LENGTHS: [usize; 16] = [1, 2, 3, 5, 11, 12, 18, 64, 127, 128, 129, 1536, 1537, 3073, 4096, usize::MAX];

/// Formats every log record, which is part of what must not fail, and drops it.
fn listen() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        if log::set_logger(&Sink).is_ok() {
            log::set_max_level(LevelFilter::Trace);
        }
    });
}

struct Sink;

impl Log for Sink {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true
    }

    fn log(&self, record: &Record<'_>) {
        struct Null;
        impl Write for Null {
            fn write_str(&mut self, _: &str) -> std::fmt::Result {
                Ok(())
            }
        }
        Null.write_fmt(*record.args()).expect("nothing can be written everywhere");
    }

    fn flush(&self) {}
}
