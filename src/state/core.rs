//! Protocol state of a session, which callers never see, and the queue that it sends from.

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
    /// Room for what a fast peer sends, while there is one.
    pub(crate) reservoir: Option<Box<Reservoir>>,
    /// Behind `m_read`: FLV bytes that were made but not read.
    pub(crate) stream: flv::Stream<Body>,
    /// Where the last read call was told to put its bytes.
    pub(crate) block: Block,
    /// Behind `m_write`: the tag that is being written. Most connections write none.
    pub(crate) writer: Option<Box<flv::Writer<Body>>>,
    /// The body of that tag, which `m_write` holds between calls: the caller may free it.
    pub(crate) unfinished: Option<Lent>,
    /// The tags that are being written on further streams, by message stream.
    pub(crate) further: BTreeMap<u32, flv::Writer<Body>>,
    /// The further stream whose answer a session that does not wait will look for again: its name, and its key.
    pub(crate) opening: Option<(Vec<u8>, i32)>,
    /// How often a server made this session log in.
    pub(super) logins: u32,
    /// How long the phases of connecting took that are below the protocol.
    pub(crate) phases: Phases,
}

/// Keeps other threads from sending.
pub(crate) type Sending<'a> = Turn<'a, Core>;

impl Queue for Core {
    #[inline]
    fn has_unsent(&self) -> bool {
        !self.session.unsent().is_empty()
    }

    fn take_unsent(&mut self, all: bool, into: &mut Vec<u8>) {
        self.session.take_unsent(all, into);
    }
}

impl Core {
    /// Forgets a connection; the next one may belong to the same block of a read call.
    pub(crate) fn forget_connection(&mut self) {
        *self = Self { block: self.block, ..Self::default() };
    }
}
