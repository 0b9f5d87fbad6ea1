//! Settings that came from the text of the last `RTMP_SetupURL`, so that the next URL does not inherit them.
//!
//! The text belongs to the program. The program may free it once the session is closed, and may connect again without another
//! URL as long as it keeps the text. So values from the text are forgotten when the next one is set up. Values that the program
//! set itself stay: with `RTMP_SetOpt`, or in the fields.

mod update;

use std::mem::size_of;

use libc::c_int;

pub(crate) use self::update::STRINGS;
pub(super) use self::update::forget_login;
use super::RTMP_BUFFER_CACHE_SIZE;
use crate::{
    amf::AVal,
    valid::{Rtmp, Valid, field},
};

/// Addresses and values, none of which is used as a pointer.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Origin {
    /// The address of the text; 0 if there was none.
    start: usize,
    /// Its length with all options, before it was split.
    len: usize,
    /// The length of the URL before the options, and a checksum of its bytes.
    head_len: usize,
    head_sum: u64,
    /// The address of `sockshost`, once a proxy's port was removed from its text.
    proxy: usize,
    extras: Extras,
    /// The numbers in `update::NUMBERS`.
    numbers: [Change; 4],
    /// The flags in `update::FLAGS` that the text has set.
    raised: c_int,
    /// Options that the program has set since, one bit for each.
    replaced: u64,
    /// The size of the SWF file that was hashed.
    swf_size: u32,
    /// Whether the proxy came from the text.
    has_proxy: u32,
    /// Whether the session was closed since: the text may have been freed.
    closed: u32,
}

/// A number before and after the text was read; the same value twice if the text has no such option.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Change {
    before: c_int,
    after: c_int,
}

/// The values that the text has appended to `Link.extras`: from `first` up to `end`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Extras {
    array: usize,
    first: c_int,
    end: c_int,
    /// The number of values in the open objects, and outside them.
    count: c_int,
}

impl Origin {
    /// Whether the port was removed from the text of a proxy.
    pub(super) fn has_divided(&self, proxy: AVal) -> bool {
        self.proxy != 0 && self.proxy == proxy.av_val.addr()
    }

    /// Notes that the port was removed from the text of the proxy, which is now a copy. If it is not usable, the program's text
    /// is parsed once more.
    pub(super) fn note_proxy(&mut self, proxy: AVal, is_usable: bool) {
        if is_usable || self.has_proxy != 0 {
            self.proxy = proxy.av_val.addr();
        }
    }

    /// Notes the size of the hashed SWF file of the text.
    pub(super) fn note_swf(&mut self, size: u32) {
        self.swf_size = size;
    }

    fn contains(&self, string: AVal) -> bool {
        (self.start..=self.start.saturating_add(self.len)).contains(&string.av_val.addr())
    }

    /// The origin that the struct keeps while it has no session.
    pub(crate) fn in_struct(r: Rtmp<'_>) -> Self {
        let kept = place(r).copy();
        if kept.mark == MARK && kept.sum == kept.origin.sum() { kept.origin } else { Self::default() }
    }

    /// Stores it in the struct, at the end of the receive buffer, which is empty without a connection.
    pub(crate) fn put_into_struct(self, r: Rtmp<'_>) {
        let kept = if self == Self::default() {
            Kept::default()
        } else {
            Kept { mark: MARK, sum: self.sum(), origin: self }
        };
        place(r).put(kept);
    }

    /// A checksum that distinguishes stored values from bytes that a program or a peer left in that place.
    fn sum(&self) -> u64 {
        let Self { start, len, head_len, head_sum, proxy, extras, numbers, .. } = *self;
        let Self { raised, replaced, swf_size, has_proxy, closed, .. } = *self;
        let addresses = [start, len, head_len, proxy, extras.array].map(|word| word as u64);
        let counts = [extras.first, extras.end, raised].map(|word| u64::from(word as u32));
        let changes =
            numbers.map(|Change { before, after }| u64::from(before as u32) << 32 | u64::from(after as u32));
        let rest = [swf_size, has_proxy, closed].map(u64::from);
        let words = [&addresses[..], &[head_sum, replaced], &counts, &changes, &rest];
        words.into_iter().flatten().fold(SUM_OF_NOTHING, |sum, word| add(sum, *word))
    }
}

/// The form stored in the struct.
#[derive(Clone, Copy, Default)]
struct Kept {
    mark: u64,
    sum: u64,
    origin: Origin,
}

const MARK: u64 = u64::from_be_bytes(*b"URL text");

/// The end of the buffer.
fn place(r: Rtmp<'_>) -> Valid<'_, Kept> {
    const AT: usize = RTMP_BUFFER_CACHE_SIZE - size_of::<Kept>();
    // SAFETY: the place lies in `sb_buf`, and any bytes are a `Kept`.
    unsafe { field!(r, m_sb.sb_buf).part(|buffer| buffer.cast::<u8>().wrapping_add(AT).cast()) }
}

fn sum(bytes: &[u8]) -> u64 {
    bytes.iter().fold(SUM_OF_NOTHING, |sum, &byte| add(sum, byte.into()))
}

/// FNV-1a.
fn add(sum: u64, word: u64) -> u64 {
    (sum ^ word).wrapping_mul(0x100_0000_01B3)
}

const SUM_OF_NOTHING: u64 = 0xCBF2_9CE4_8422_2325;
