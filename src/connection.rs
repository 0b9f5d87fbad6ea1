//! A session's connection: how the driver's steps and bytes reach the `RTMP` and its socket.
//!
//! Bytes pass encryption, the HTTP tunnel, TLS and the socket, each of which but the last may be missing. They are put
//! together here and nowhere else: `fill` and what it calls for one direction, `send_pieces` for the other.

use std::{iter, sync::atomic::Ordering};

use libc::c_int;
use rtmp_core::{
    chunk::{Chunks, Outgoing},
    driver::{self, Connection, Parts},
    error::{Error, Result},
    flv,
    session::{Calls, Command, State},
    transport::{
        deadline::Deadline,
        tunnel::Tunnel,
        wait::{self, Patience},
    },
};

use super::{
    calls::CallArray,
    fields::{load, mirror_timestamp, profile, store},
    globals,
    line::{self, Line},
    log::Deferred,
    memory::Body,
    reason::Phase,
    rtmp::{
        RTMP, close, connect, direct,
        reservoir::{self, Reservoir},
        sockbuf,
    },
    shared,
    state::{Core, Handle, Outbound},
};

impl Connection for Handle {
    type Body = Body;

    fn step<R>(&self, step: impl FnOnce(&mut Parts<'_, '_, Body>) -> R) -> R {
        self.run(false, step)
    }

    fn reading_step<R>(&self, step: impl FnOnce(&mut Parts<'_, '_, Body>) -> R) -> R {
        // SAFETY: the handle's `RTMP` stays valid while the handle exists (`Handle::from_raw`); only the thread that
        // reads touches the buffer.
        unsafe {
            let buffer = &raw mut (*self.raw()).m_sb;
            let result = self.run(true, step);
            // With a tunnel, what TLS has decrypted is HTTP, which is the tunnel's to read.
            let direct = sockbuf::has_tls(buffer) && self.tunnel().is_none();
            let refilled = if direct { sockbuf::refill_from_pending(buffer) } else { 0 };
            if refilled > 0 {
                self.receive_newest(refilled);
                self.mark_refilled();
            }
            result
        }
    }

    fn fill(&self, whole: bool) -> Result<()> {
        if self.take_refilled() {
            return Ok(());
        }
        let tunnel = self.tunnel();
        if tunnel.is_none()
            && !self.is_watched()
            && let Some(result) = self.fill_straight(whole)
        {
            return result;
        }
        // SAFETY: the handle's `RTMP` stays valid while the handle exists (`Handle::from_raw`); only the thread that
        // reads touches the buffer.
        let count = unsafe {
            let sb = &raw mut (*self.raw()).m_sb;
            match tunnel {
                None if self.is_watched() => sockbuf::fill(sb, |room| {
                    sockbuf::receive_leaving_one(sb, room, self.left_byte(), &self.patience())
                }),
                None => sockbuf::fill(sb, |room| sockbuf::receive_into(sb, room, &self.patience())),
                Some(tunnel) => {
                    let result = sockbuf::fill(sb, |room| tunnel.fill(&Line(self), room));
                    line::show(self, &tunnel.status());
                    result
                }
            }
        }?;
        self.receive_newest(count);
        Ok(())
    }

    fn transmit<'m>(
        &self,
        encode: impl FnOnce(&mut Parts<'_, '_, Body>) -> Result<Chunks<'m>>,
    ) -> Result<()> {
        let _deferred = Deferred::begin();
        let mut outbound = self.outbound();
        let chunks = self.step(encode)?;
        let result = self.send_chunks(&chunks, &mut outbound);
        outbound.rest();
        result
    }

    fn try_transmit<'m>(
        &self,
        encode: impl FnOnce(&mut Parts<'_, '_, Body>) -> Result<Chunks<'m>>,
    ) -> Option<Result<()>> {
        let _deferred = Deferred::begin();
        let mut outbound = self.try_outbound()?;
        let result = self.step(encode).and_then(|chunks| self.send_chunks(&chunks, &mut outbound));
        outbound.rest();
        Some(result)
    }

    fn transmit_commands<'m>(&self, mut commands: impl Iterator<Item = &'m Command>) -> Result<()> {
        if self.has_tunnel() {
            // One request for each, as servers know it from librtmp.
            return commands
                .try_for_each(|command| self.transmit(|parts| driver::encode(self, parts, command)));
        }
        let _deferred = Deferred::begin();
        let mut outbound = self.outbound();
        let start = outbound.begin();
        let Outbound { scratch, .. } = &mut *outbound;
        self.step(|parts| {
            for command in commands {
                driver::encode(self, parts, command)?.append_to(scratch);
            }
            Ok::<_, Error>(())
        })?;
        let result = self.send_whole(&mut outbound, start);
        outbound.rest();
        result
    }

    fn transmit_ahead(&self, mut bytes: Vec<u8>) -> Result<()> {
        if self.has_tunnel() {
            // A request of its own, as above.
            return self.transmit_bytes(&[&bytes]);
        }
        let mut outbound = self.outbound();
        if outbound.ahead.is_empty() {
            outbound.ahead = bytes;
        } else {
            outbound.ahead.append(&mut bytes);
        }
        Ok(())
    }

    fn transmit_bytes(&self, pieces: &[&[u8]]) -> Result<()> {
        let _deferred = Deferred::begin();
        self.send_pieces(pieces.iter().copied(), &mut self.outbound())
    }

    fn has_more(&self) -> bool {
        // A byte that was left there is none of them.
        let left = usize::from(self.left_byte().load(Ordering::Relaxed));
        self.socket().is_ok_and(|fd| wait::has_more(fd, left))
    }

    fn is_open(&self) -> bool {
        // SAFETY: the handle stands for an `RTMP` that stays valid while it exists (`Handle::from_raw`).
        unsafe { shared::read(&raw const (*self.raw()).m_sb.sb_socket) != -1 }
    }

    fn dumps(&self) -> bool {
        globals::dumps()
    }

    fn descriptor(&self) -> Option<i32> {
        // SAFETY: the handle stands for an `RTMP` that stays valid while it exists (`Handle::from_raw`).
        Some(unsafe { shared::read(&raw const (*self.raw()).m_sb.sb_socket) })
    }

    fn begin_phase(&self) {
        self.set_limit(Deadline::after(self.timeout()));
    }

    fn end_phase(&self) {
        self.set_limit(Deadline::NEVER);
    }

    fn check(&self) -> Result<()> {
        let patience = self.patience();
        if patience.is_over() {
            return Err(Error::Interrupted);
        }
        patience.deadline().left().map(drop).inspect_err(|_| {
            // SAFETY: the handle stands for an `RTMP` that stays valid while it exists (`Handle::from_raw`).
            unsafe { sockbuf::set_timed_out(&raw mut (*self.raw()).m_sb, true) }
        })
    }

    fn close(&self) {
        close::close(self, close::Manner::Polite);
    }

    fn give_up(&self) {
        close::close(self, close::Manner::Abrupt);
    }

    fn reconnect(&self, token: &[u8]) -> Result<()> {
        connect::log_in(self, token).map_err(|failure| {
            let (error, phase) = failure.into_parts();
            if !matches!(error, Error::Reported(_)) {
                ::log::error!("Closing connection: {error}");
            }
            self.note_failed(phase);
            error
        })
    }

    fn failed(&self, phase: driver::Phase) {
        self.note_failed(Phase::Stream(phase));
    }

    fn arrived(&self, chunk_stream: u32, timestamp: u32) {
        // SAFETY: the handle stands for an `RTMP` that stays valid while it exists (`Handle::from_raw`).
        unsafe { mirror_timestamp(self.raw(), chunk_stream as usize, timestamp) }
    }
}

/// [`load`] as one function for all kinds of steps.
///
/// # Safety
/// As for `load`.
#[inline(never)]
unsafe fn load_all(raw: *mut RTMP) -> State {
    // SAFETY: `raw` points to an initialised `RTMP`, by the contract of `load`.
    unsafe { load(raw) }
}

/// [`store`] as one function for all kinds of steps.
///
/// # Safety
/// As for `store`.
#[inline(never)]
unsafe fn store_all(raw: *mut RTMP, before: &State, after: &State) {
    // SAFETY: `raw` points to an initialised `RTMP`, by the contract of `store`.
    unsafe { store(raw, before, after) }
}

impl Handle {
    /// Runs a step with what the session owns, unread bytes included if it `reads`.
    fn run<R>(&self, reads: bool, step: impl FnOnce(&mut Parts<'_, '_, Body>) -> R) -> R {
        let _deferred = Deferred::begin();
        let mut core = self.core();
        let Core { decoder, encoder, reservoir, .. } = &mut *core;
        let raw = self.raw();
        // SAFETY: the handle's `RTMP` stays valid while the handle exists (`Handle::from_raw`); the lock keeps other
        // steps out, callers do not free what the session works with while a call is running, and only the thread that
        // reads touches the buffer.
        unsafe {
            let input: &[u8] =
                if reads { reservoir::unread(&raw const (*raw).m_sb, reservoir.as_deref()) } else { &[] };
            let before = load_all(raw);
            let mut state = before;
            let mut parts = Parts {
                state: &mut state,
                profile: profile(&(*raw).Link),
                calls: &mut CallArray::new(raw),
                decoder,
                encoder,
                input,
                consumed: 0,
            };
            let result = step(&mut parts);
            let consumed = parts.consumed;
            store_all(raw, &before, &state);
            // Before another call may close the connection, after which nothing is unread.
            sockbuf::consume(&raw mut (*raw).m_sb, consumed);
            result
        }
    }

    /// Encodes a message and sends it, with as little besides as can be; `call` is remembered, and `encoded` tells the
    /// header format once the message has its place among those that were sent.
    pub(super) fn transmit_packet(
        &self,
        message: &Outgoing<'_>,
        call: Option<(&[u8], i32)>,
        encoded: &mut Option<u8>,
    ) -> Result<()> {
        let _deferred = Deferred::begin();
        let mut outbound = self.outbound();
        let chunks = {
            let mut core = self.core();
            let raw = self.raw();
            // SAFETY: the handle's `RTMP` stays valid while the handle exists (`Handle::from_raw`); the lock keeps
            // steps out.
            let chunk_size = driver::chunk_size(unsafe { shared::read(&raw const (*raw).m_outChunkSize) });
            let chunks = core.encoder.encode(message, chunk_size)?;
            if let Some((name, transaction)) = call {
                // SAFETY: the handle's `RTMP` stays valid while the handle exists (`Handle::from_raw`); the lock keeps
                // steps out.
                unsafe { CallArray::new(raw) }.remember(name, transaction);
            }
            if globals::logs_debug() {
                // SAFETY: the handle's `RTMP` stays valid while the handle exists (`Handle::from_raw`); callers do not
                // free what the session works with while a call is running.
                let profile = unsafe { profile(&(*raw).Link) };
                driver::log_sent(self.descriptor(), message, &chunks, &profile);
            }
            chunks
        };
        *encoded = Some(chunks.format);
        self.send_chunks(&chunks, &mut outbound)
    }

    /// Encodes a message and sends it if nothing but the socket is in its way: nobody else uses the session, and bytes
    /// leave as they are. Tells the header format and what came of sending; `None` if nothing has happened.
    #[inline(always)]
    pub(super) fn transmit_straight<'m>(
        &self,
        encode: impl FnOnce(&mut Core, u32) -> Option<Result<Chunks<'m>>>,
    ) -> Option<(u8, Result<()>)> {
        let mut outbound = self.try_outbound()?;
        if !self.leaves_as_it_is(&outbound) {
            return None;
        }
        let mut core = self.try_core()?;
        // SAFETY: the handle's `RTMP` stays valid while the handle exists (`Handle::from_raw`); the lock keeps steps
        // out.
        let chunk_size = unsafe { shared::read(&raw const (*self.raw()).m_outChunkSize) };
        let encoded = encode(&mut core, driver::chunk_size(chunk_size));
        drop(core);
        let Some(Ok(chunks)) = &encoded else { return None };
        // SAFETY: the handle's `RTMP` stays valid while the handle exists (`Handle::from_raw`); the descriptor is open
        // as long as the caller leaves it so.
        let result = unsafe {
            let sb = &raw const (*self.raw()).m_sb;
            sockbuf::send_chunks(sb, chunks, &mut outbound.scratch, &self.patience())
        };
        Some((chunks.format, result))
    }

    /// Whether a message goes to the socket, or into TLS, as it was encoded, and by itself.
    fn leaves_as_it_is(&self, outbound: &Outbound) -> bool {
        outbound.cipher.is_none() && outbound.ahead.is_empty() && !self.has_tunnel()
    }

    /// Sends a message.
    fn send_chunks(&self, chunks: &Chunks<'_>, outbound: &mut Outbound) -> Result<()> {
        if !self.leaves_as_it_is(outbound) {
            let start = outbound.begin();
            chunks.append_to(&mut outbound.scratch);
            return self.send_whole(outbound, start);
        }
        // SAFETY: the handle's `RTMP` stays valid while the handle exists (`Handle::from_raw`); the descriptor is open
        // as long as the caller leaves it so.
        unsafe {
            let sb = &raw const (*self.raw()).m_sb;
            sockbuf::send_chunks(sb, chunks, &mut outbound.scratch, &self.patience())
        }
    }

    /// Sends pieces in order.
    fn send_pieces<'p>(&self, pieces: impl Iterator<Item = &'p [u8]>, outbound: &mut Outbound) -> Result<()> {
        if !self.leaves_as_it_is(outbound) {
            let start = outbound.begin();
            pieces.for_each(|piece| outbound.scratch.extend_from_slice(piece));
            return self.send_whole(outbound, start);
        }
        // SAFETY: the handle's `RTMP` stays valid while the handle exists (`Handle::from_raw`); the descriptor is open
        // as long as the caller leaves it so.
        unsafe {
            let sb = &raw const (*self.raw()).m_sb;
            sockbuf::send_all(sb, pieces, &mut outbound.scratch, &self.patience())
        }
    }

    /// Sends what was put together in the scratch memory, encrypted from `start` on and through the tunnel, as the
    /// connection has it.
    fn send_whole(&self, outbound: &mut Outbound, start: usize) -> Result<()> {
        let Outbound { cipher, scratch, .. } = outbound;
        if let Some(cipher) = cipher {
            cipher.apply(&mut scratch[start..]);
        }
        let whole = &scratch[..];
        let Some(tunnel) = self.tunnel() else {
            // SAFETY: the handle's `RTMP` stays valid while the handle exists (`Handle::from_raw`); the descriptor is
            // open as long as the caller leaves it so.
            let sb = unsafe { &raw const (*self.raw()).m_sb };
            // SAFETY: as above. One piece needs no memory to be put together in.
            return unsafe { sockbuf::send_all(sb, iter::once(whole), &mut Vec::new(), &self.patience()) };
        };
        let result = tunnel.send(&Line(self), &[whole]);
        line::show(self, &tunnel.status());
        result
    }

    /// Receives into the body of the message that is arriving, or into the reservoir. `None` if there is neither, or if the
    /// bytes have to pass something on their way.
    fn fill_straight(&self, whole: bool) -> Option<Result<()>> {
        // SAFETY: the handle's `RTMP` stays valid while the handle exists (`Handle::from_raw`); only the thread that
        // reads touches the buffer.
        let sb = unsafe { &raw mut (*self.raw()).m_sb };
        // SAFETY: as above.
        if unsafe { sockbuf::has_tls(sb) } || self.inbound().cipher.is_some() {
            return None;
        }
        let mut core = self.core();
        let Core { decoder, reservoir, .. } = &mut *core;
        let worthwhile = direct::worthwhile(reservoir.as_deref());
        // SAFETY: as above.
        let (chunk_size, unread) = unsafe {
            let chunk_size = shared::read(&raw const (*self.raw()).m_inChunkSize);
            (driver::chunk_size(chunk_size), reservoir::unread(sb, reservoir.as_deref()))
        };
        // The log shows chunks one by one.
        let loan =
            if unread.is_empty() && !globals::dumps() { decoder.lend(chunk_size, worthwhile) } else { None };
        let Some(mut loan) = loan else {
            // SAFETY: as above.
            unsafe { reservoir::release_idle(sb, reservoir) };
            // Its memory stays where it is, and what is unread in it.
            let mut reservoir = reservoir.take()?;
            // SAFETY: as above. Another call may close the connection, but not while the lock is held.
            unsafe { reservoir.gather(sb) };
            drop(core);
            return Some(self.fill_reservoir(reservoir));
        };
        drop(core);
        // SAFETY: the handle's `RTMP` stays valid while the handle exists (`Handle::from_raw`); only the thread that
        // reads touches the buffer, which was found empty.
        let result = unsafe { direct::receive(sb, &mut loan, whole, &self.patience()) };
        let arrived = *result.as_ref().unwrap_or(&direct::Arrived::default());
        let mut core = self.core();
        core.decoder.give_back(loan, arrived.chunks);
        // SAFETY: the handle's `RTMP` stays valid while the handle exists (`Handle::from_raw`); the lock keeps steps
        // out.
        unsafe {
            let count = &raw mut (*self.raw()).m_nBytesIn;
            shared::write(count, shared::read(count).wrapping_add(arrived.used as c_int));
            if matches!(result, Err(Error::TimedOut)) {
                reservoir::release(sb, &mut core.reservoir);
            }
        }
        Some(result.map(|_| ()))
    }

    /// Receives into a reservoir that was taken out of the core, and has gathered what is unread.
    fn fill_reservoir(&self, mut reservoir: Box<Reservoir>) -> Result<()> {
        // SAFETY: the handle's `RTMP` stays valid while the handle exists (`Handle::from_raw`); only the thread that
        // reads touches the buffer.
        let sb = unsafe { &raw mut (*self.raw()).m_sb };
        // SAFETY: as above.
        let result = unsafe { reservoir.fill(sb, &self.patience()) };
        let mut core = self.core();
        if !self.is_open() || !self.is_current() {
            // What has come is nobody's, and the memory goes with this call.
            return result;
        }
        // SAFETY: as above; the lock keeps out whoever closes the connection.
        unsafe {
            reservoir.show(sb);
            core.reservoir = Some(reservoir);
            if matches!(result, Err(Error::TimedOut)) {
                reservoir::release(sb, &mut core.reservoir);
            }
        }
        result
    }

    /// Undoes what the peer did to bytes that have just arrived, the last of those unread.
    fn receive_newest(&self, count: usize) {
        if count > 0
            && let Some(cipher) = &mut self.inbound().cipher
        {
            // SAFETY: the handle's `RTMP` stays valid while the handle exists (`Handle::from_raw`); only the thread
            // that reads touches the buffer.
            cipher.apply(unsafe { sockbuf::newest(&raw mut (*self.raw()).m_sb, count) });
        }
    }

    /// Lets the socket become quiet when there is nothing for a reader in what was received, and asks the server of a tunnel
    /// for more. Callers that brought their own socket, as curl does, wait for it before they read: they do not know of bytes
    /// that are here already, and an HTTP server says nothing unless it is asked.
    pub(crate) fn settle(&self) {
        if !self.is_watched() {
            return;
        }
        let tunnel = self.tunnel();
        if self.left_byte().load(Ordering::Relaxed) && self.has_something_to_read(tunnel.as_deref()) {
            return;
        }
        let Ok(fd) = self.socket() else { return };
        sockbuf::drop_left_byte(fd, self.left_byte());
        // SAFETY: the handle stands for an `RTMP` that stays valid while it exists (`Handle::from_raw`).
        let has_ended = unsafe { shared::read(&raw const (*self.raw()).m_read.status) } != 0;
        if let Some(tunnel) = tunnel.filter(|_| !has_ended) {
            // The end of the connection, if that is why, makes the socket readable.
            if let Err(error) = tunnel.keep_polling(&Line(self)) {
                log::debug!("the tunnel's server takes no poll: {error}");
            }
            line::show(self, &tunnel.status());
        }
    }

    /// Whether there is something for a reader in what was received and not read.
    fn has_something_to_read(&self, tunnel: Option<&Tunnel>) -> bool {
        let core = self.core();
        // SAFETY: the handle's `RTMP` stays valid while the handle exists (`Handle::from_raw`); only the thread that
        // reads touches the buffer.
        let worth_reading = unsafe {
            let (sb, flags) = (&raw const (*self.raw()).m_sb, &raw const (*self.raw()).m_read.flags);
            let unread = reservoir::unread(sb, core.reservoir.as_deref());
            let begun = flv::Flags(shared::read(flags)).has(flv::Flags::HEADER);
            // Without anything unread it was all fetched, but for what a tunnel has not looked at.
            let more = (tunnel.is_some() || !unread.is_empty()) && sockbuf::tls_holds_more(sb);
            more || driver::is_worth_reading(&load(self.raw()), &core.decoder, begun, unread)
        };
        worth_reading || !core.stream.pending().is_empty() || tunnel.is_some_and(Tunnel::has_early)
    }
}
