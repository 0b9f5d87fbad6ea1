//! Protocol state of a session, which callers never see, and its send queue.

use std::collections::BTreeMap;

use rtmp_core::{flv, session as protocol, stats::Phases};

use crate::{
    memory::{Body, Lent},
    outbox::{Queue, Turn},
    rtmp::{read_state::Block, reservoir::Reservoir},
};

/// Protocol state that callers never see.
#[derive(Default)]
pub(crate) struct Core {
    /// The protocol.
    pub(crate) session: protocol::Session<Body>,
    /// The larger receive buffer for a fast peer, if there is one.
    pub(crate) reservoir: Option<Box<Reservoir>>,
    /// For `m_read`: FLV bytes that were produced and not read.
    pub(crate) stream: flv::Stream<Body>,
    /// The block that the last read call filled.
    pub(crate) block: Block,
    /// For `m_write`: the tag that is being written. Most connections write none.
    pub(crate) writer: Option<Box<flv::Writer<Body>>>,
    /// The body of that tag, which `m_write` holds between calls: the caller may free it.
    pub(crate) unfinished: Option<Lent>,
    /// The incomplete tags of further streams, by message stream.
    pub(crate) further: BTreeMap<u32, flv::Writer<Body>>,
    /// The further stream whose answer a later call of a session that does not wait will check: its name, and its key.
    pub(crate) opening: Option<(Vec<u8>, i32)>,
    /// The number of logins that a server requested from this session.
    pub(super) logins: u32,
    /// The durations of the connection phases below the protocol.
    pub(crate) phases: Phases,
}

/// Keeps other threads from sending.
pub(crate) type Sending<'a> = Turn<'a, Core>;

impl Queue for Core {
    #[inline]
    fn has_unsent(&self) -> bool {
        !self.session.unsent().is_empty()
    }

    fn take_unsent(&mut self, all: bool) -> Vec<u8> {
        self.session.take_unsent(all)
    }
}

impl Core {
    /// Forgets a connection; the next one may continue the same block of a read call.
    pub(crate) fn forget_connection(&mut self) {
        *self = Self { block: self.block, ..Self::default() };
    }

    /// Whether a message is sent unchanged after encoding, and alone.
    pub(crate) fn leaves_as_it_is(&self) -> bool {
        !self.session.is_encrypted() && self.session.unsent().is_empty()
    }
}
