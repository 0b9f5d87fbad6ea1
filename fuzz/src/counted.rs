//! Bodies whose memory is counted.

#![forbid(unsafe_code)]

use std::cell::Cell;

use rtmp_core::{error::Result, message::Body};

/// A body that counts its memory, all bodies of the thread together.
#[derive(Debug, Default)]
pub struct Counted(Vec<u8>);

thread_local! {
    static RESERVED: Cell<usize> = const { Cell::new(0) };
}

impl Counted {
    /// Bytes that all bodies of this thread have reserved.
    pub fn reserved() -> usize {
        RESERVED.get()
    }
}

impl AsRef<[u8]> for Counted {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

impl AsMut<[u8]> for Counted {
    fn as_mut(&mut self) -> &mut [u8] {
        &mut self.0
    }
}

impl Body for Counted {
    fn reserve_total(&mut self, capacity: usize) -> Result<()> {
        let before = self.0.capacity();
        self.0.reserve_total(capacity)?;
        RESERVED.set(RESERVED.get() + self.0.capacity() - before);
        assert!(RESERVED.get() <= MOST_RESERVED, "{} bytes are reserved", RESERVED.get());
        Ok(())
    }

    fn capacity(&self) -> usize {
        self.0.capacity()
    }

    fn append(&mut self, bytes: &[u8]) {
        assert!(self.0.len() + bytes.len() <= self.0.capacity(), "no room was made");
        self.0.extend_from_slice(bytes);
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        RESERVED.set(RESERVED.get() - self.0.capacity());
    }
}

/// What the decoder may hold, and on top of it a message that is being looked at and one that is kept back.
const MOST_RESERVED: usize = rtmp_core::chunk::MAX_UNFINISHED + (2 << 24) + (1 << 18);
