//! A call that reads until something comes which the program wants.

use super::Connection;
use crate::error::Result;

/// Keeps a peer that never stops sending from holding a call for ever.
///
/// A live stream may have no media for long, while its server sends pings, so there is no limit to what such a call
/// receives: each wait is bounded instead. A peer that never lets the socket run empty is never waited for. For that peer
/// the time of one wait bounds the call as a whole, from when the flood is noticed until the socket has run empty.
pub struct Reading<'c, C: Connection> {
    pub(super) connection: &'c C,
    /// Receives since the socket was empty, as far as they count.
    receives: u32,
    flooded: bool,
}

/// How often a call receives before it asks whether there is more. Most messages have arrived by then.
const FREE_RECEIVES: u32 = 64;

impl<'c, C: Connection> Reading<'c, C> {
    /// A call begins.
    pub fn new(connection: &'c C) -> Self {
        Self { connection, receives: 0, flooded: false }
    }

    /// Receives once, as [`Connection::fill`].
    pub(super) fn fill(&mut self, whole: bool) -> Result<()> {
        if self.receives < FREE_RECEIVES {
            self.receives += 1;
        } else if !self.connection.has_more() {
            self.receives = 0;
            self.calm();
        } else if self.flooded {
            self.connection.check()?;
        } else {
            self.connection.begin_phase();
            self.flooded = true;
        }
        self.connection.fill(whole)
    }

    fn calm(&mut self) {
        if self.flooded {
            self.connection.end_phase();
            self.flooded = false;
        }
    }
}

impl<C: Connection> Drop for Reading<'_, C> {
    fn drop(&mut self) {
        self.calm();
    }
}
