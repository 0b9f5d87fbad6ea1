//! A session's connection: the way of bytes and protocol code to the `RTMP` and its socket.
//!
//! Bytes pass the session, which encrypts them if necessary, the HTTP tunnel, TLS and the socket. Only the two files below combine
//! them, one for each direction; this one has the steps of protocol code.

mod receive;
mod send;

use libc::c_int;
use rtmp_core::{
    chunk::Chunk,
    error::{Error, Result},
    flv,
    session::{Application, Calls, Notice, Profile, Session, State},
    transport::{deadline::Deadline, wait::Patience},
};

pub(crate) use self::send::Batch;
use super::{
    amf::AVal,
    calls::CallArray,
    carrier::Carrier,
    fields::{load, load_for_media, mirror_timestamp, profile, store, store_for_media},
    log::Deferred,
    memory::{self, Body},
    rtmp::receive_buffer,
    state::{Core, Fact, Handle},
    valid::{Rtmp, field},
};

/// The program's settings, which the session reads from `Link`, and the fields that it shows in the struct.
pub(crate) struct Wishes<'h> {
    rtmp: Rtmp<'h>,
    calls: CallArray<'h>,
    /// The peer's notices, for a program that receives them.
    notices: Option<&'h mut Vec<Notice>>,
}

impl Application for Wishes<'_> {
    fn wishes(&mut self) -> (Profile<'_>, &mut dyn Calls) {
        let mut profile = profile(field!(self.rtmp, Link));
        profile.all_data = flv::Flags(field!(self.rtmp, m_read.flags).get()).has(flv::Flags::ALL);
        (profile, &mut self.calls)
    }

    fn arrived(&mut self, chunk_stream: u32, timestamp: u32) {
        mirror_timestamp(self.rtmp, chunk_stream as usize, timestamp);
    }

    fn calls(&mut self) -> &mut dyn Calls {
        &mut self.calls
    }

    fn wants_notices(&self) -> bool {
        self.notices.is_some()
    }

    fn notified(&mut self, notice: Notice) {
        if let Some(notices) = &mut self.notices {
            notices.push(notice);
        }
    }
}

impl Handle {
    /// Runs protocol code that does not wait. Log records of the step are delivered after it.
    pub(crate) fn step<R>(&self, step: impl FnOnce(&mut Session<Body>, &mut Wishes<'_>) -> R) -> R {
        let _deferred = Deferred::begin();
        self.run(&mut self.core().session, step)
    }

    /// As `step`, with the bytes received so far, of which it returns how many it used: none after an error. Only for the thread
    /// that reads.
    pub(crate) fn receiving_step<R>(
        &self,
        step: impl FnOnce(&mut Session<Body>, &mut Wishes<'_>, &mut [u8]) -> Result<(usize, R)>,
    ) -> Result<R> {
        let mut inbox = self.inbox();
        let result = {
            let _deferred = Deferred::begin();
            let mut core = self.core();
            let Core { session, receive_buffer, .. } = &mut *core;
            let input = receive_buffer::unread_mut(&mut inbox, receive_buffer.as_deref_mut());
            let result = self.run(session, |session, wishes| step(session, wishes, input));
            // Before another call can close the connection and discard the unread bytes.
            result.map(|(used, result)| {
                inbox.consume(used);
                result
            })
        };
        // With a tunnel, the bytes that TLS has decrypted are HTTP, and the tunnel reads them.
        let direct = inbox.sb().has_tls() && !self.has(Fact::Carried);
        let refilled = if direct { inbox.refill_from_pending() } else { 0 };
        if refilled > 0 {
            self.receive_newest(refilled);
            self.note(Fact::Refilled, true);
        }
        result
    }

    /// Runs a step with the values of the struct's fields, and stores the values that it has changed.
    fn run<R>(
        &self,
        session: &mut Session<Body>,
        step: impl FnOnce(&mut Session<Body>, &mut Wishes<'_>) -> R,
    ) -> R {
        let rtmp = self.rtmp();
        let mut notices = self.wants_events().then(Vec::new);
        session.set_descriptor(self.descriptor());
        let before = load_all(rtmp);
        session.state = before;
        let mut wishes = Wishes { rtmp, calls: CallArray::new(rtmp), notices: notices.as_mut() };
        let result = step(session, &mut wishes);
        store_all(rtmp, &before, &session.state);
        if let Some(notices) = notices {
            self.keep_notices(notices);
        }
        result
    }

    /// Shows callers the state of the tunnel.
    pub(crate) fn show_tunnel(&self, carrier: &Carrier) {
        let Some(status) = carrier.lock().tunnel_status() else { return };
        let r = self.rtmp();
        // Both the reading and the sending thread may be here.
        let _core = self.core();
        if !self.is_current() {
            return;
        }
        field!(r, m_msgCounter).set(status.sequence as c_int);
        field!(r, m_unackd).set(status.unanswered as c_int);
        field!(r, m_polling).set(status.polling.into());
        field!(r, m_resplen).set(status.missing as c_int);
        if let (Some(session), true) = (&status.session, field!(r, m_clientID.av_val).get().is_null()) {
            let path = format!("/{}", session.as_str());
            // The string comes from `malloc`, like every other that `RTMP_Close` frees there.
            if let Ok(copy) = memory::duplicate(path.as_bytes()) {
                field!(r, m_clientID).put(AVal { av_val: copy, av_len: path.len() as c_int });
            }
        }
    }

    /// Whether there is a connection.
    pub(crate) fn is_open(&self) -> bool {
        self.descriptor() != Some(-1)
    }

    /// The socket's number in the log.
    pub(crate) fn descriptor(&self) -> Option<i32> {
        Some(field!(self.rtmp(), m_sb.sb_socket).get())
    }

    /// From now on all waits together are limited to the time of one, until [`end_phase`](Self::end_phase).
    pub(crate) fn begin_phase(&self) {
        self.set_limit(Deadline::after(self.timeout()));
    }

    /// From now on each wait has its own limit again.
    pub(crate) fn end_phase(&self) {
        self.set_limit(Deadline::NEVER);
    }

    /// Fails if a wait would fail at once, because the phase has ended or the program has aborted.
    pub(crate) fn check(&self) -> Result<()> {
        let patience = self.patience();
        if patience.is_over() {
            return Err(Error::Interrupted);
        }
        patience.deadline().left().map(drop).inspect_err(|_| self.sb().set_timed_out(true))
    }
}

/// Reads a chunk, which needs few fields of the struct, as [`Session::receive_chunk`].
#[inline]
pub(crate) fn receive_chunk(
    rtmp: Rtmp<'_>,
    session: &mut Session<Body>,
    input: &[u8],
) -> Result<(usize, Option<Chunk<Body>>)> {
    session.set_descriptor(Some(field!(rtmp, m_sb.sb_socket).get()));
    let before = load_for_media(rtmp);
    session.state = before;
    let mut wishes = Wishes { rtmp, calls: CallArray::new(rtmp), notices: None };
    let result = session.receive_chunk(&mut wishes, input);
    store_for_media(rtmp, &before, &session.state);
    result
}

/// [`load`] as one function for all kinds of steps, which is not inlined.
#[inline(never)]
fn load_all(rtmp: Rtmp<'_>) -> State {
    load(rtmp)
}

/// [`store`] as one function for all kinds of steps, which is not inlined.
#[inline(never)]
fn store_all(rtmp: Rtmp<'_>, before: &State, after: &State) {
    store(rtmp, before, after);
}
