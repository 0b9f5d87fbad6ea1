//! Protocol state of a session, which callers never see, and its send queue.

use std::{collections::BTreeMap, mem, sync::Arc};

use rtmp_core::{flv, session as protocol, stats::Phases, transport::wait::Limits};

use super::{patience::Blocked, settings::Settings};
use crate::{
    carrier::Carrier,
    memory::{Body, Lent},
    outbox::{Queue, Turn},
    pipe::Pipe,
    progress::Progress,
    rtmp::{origin::Origin, read_state::Block, receive_buffer::ReceiveBuffer},
};

/// The state behind the only lock of a session, which is held only for short steps and never while a call waits. The fields are in
/// memory as they are here, see [`Session`](protocol::Session): the first ones are those that each message needs.
#[derive(Default)]
#[repr(C)]
pub(crate) struct Core {
    /// The unfinished work of calls that do not wait. Use [`Handle::progress`](super::Handle::progress) for changes to what was
    /// begun, and to errors of sending.
    pub(crate) progress: Option<Box<Progress>>,
    /// The larger receive buffer for a fast peer, if there is one.
    pub(crate) receive_buffer: Option<Box<ReceiveBuffer>>,
    /// The protocol.
    pub(crate) session: protocol::Session<Body>,
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
    /// The link that carries bytes through an HTTP tunnel, or for a session that does not wait. It has its own lock.
    pub(super) carrier: Option<Arc<Carrier>>,
    /// Few programs change any.
    pub(super) settings: Option<Box<Settings>>,
    /// The settings that came from the URL.
    pub(crate) origin: Origin,
    /// Connections that were given up. Other calls may be using them; the last of all closes them.
    pub(super) retired: Vec<Pipe>,
    /// The time for which sending has waited for room.
    pub(super) blocked: Blocked,
    /// The limits of the last wait for bytes.
    pub(super) limits: Option<Limits>,
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
    /// Forgets a connection; the next one may continue the same block of a read call.
    pub(crate) fn forget_connection(&mut self) {
        *self = Self {
            block: self.block,
            progress: self.progress.take(),
            settings: self.settings.take(),
            origin: self.origin,
            retired: mem::take(&mut self.retired),
            blocked: self.blocked,
            ..Self::default()
        };
    }
}
