//! The fast path of a step, and of the questions what to wait for: a session that streams, has nothing to send, and whose link
//! only passes bytes to the socket.
//!
//! This is an exception to the one way of `RTMP_Step`, for programs with thousands of sessions, and
//! for servers that wake up for each message. What a step costs there is the memory that it touches, its own code included: the
//! general path looks at the link and takes a dozen locks. Anything unusual goes to the general path, which starts from the
//! beginning.

use std::{
    io,
    time::{Duration, Instant},
};

use libc::c_int;

use super::bits::{CONNECTED, FLUSHED, READABLE, STREAMING, WRITABLE};
use crate::{
    Errno,
    cancel::Shield,
    outbox::Locked,
    progress::{Input, Progress},
    rtmp::sockbuf::Inbox,
    state::{Core, Held},
    valid::{Rtmp, field},
};

/// A session that has nothing to send, and nothing to continue or to report.
struct Quiet<'a> {
    core: Locked<'a, Core>,
    held: Held<'a>,
    _shield: Shield,
    _errno: Errno,
}

/// A step; `None` if the general path has to do it.
#[inline(always)]
pub(super) fn step(r: Rtmp<'_>) -> Option<c_int> {
    look(r)?.with(|held, inbox, progress| {
        match (progress.input, inbox.extent().1 > 0) {
            (Input::Some, _) => progress.drained = false,
            (Input::Maybe, true) => (progress.drained, progress.input) = (false, Input::Some),
            (Input::None, true) => return None,
            (_, false) => receive(held, inbox, progress)?,
        }
        progress.told = progress.input == Input::Some;
        let mut bits = CONNECTED | WRITABLE | FLUSHED;
        if field!(r, m_bPlaying).get() != 0 {
            bits |= STREAMING;
        }
        if progress.told {
            bits |= READABLE;
        }
        Some(bits)
    })
}

/// As `RTMP_GetPollTimeout`; `None` if the general path has to do it.
#[inline(always)]
pub(super) fn left(r: Rtmp<'_>) -> Option<Option<Duration>> {
    look(r)?.with(|held, inbox, progress| {
        let now = Instant::now();
        progress.note_drained(inbox.extent().1 > 0, now);
        let moment = match progress.input {
            Input::None => progress.silence_ends(held.timeout()),
            Input::Maybe => Some(now),
            Input::Some => (!progress.told).then_some(now),
        };
        Some(moment.map(|moment| moment.saturating_duration_since(now)))
    })
}

/// Whether a session waits for its socket to become readable; `None` if the general path has to find that out.
#[inline(always)]
pub(super) fn waits_for_input(r: Rtmp<'_>) -> Option<(c_int, bool)> {
    look(r)?
        .with(|held, _, progress| Some((field!(held.sb(), sb_socket).get(), progress.input != Input::Some)))
}

/// The session, if the fast path can be used. This is one function for all calls: a program that waits for each message runs
/// them one after the other, and their code is as cold as their data.
#[inline(never)]
fn look(r: Rtmp<'_>) -> Option<Quiet<'_>> {
    let errno = Errno::keep();
    let shield = Shield::begin();
    let held = Held::unobserved(r)?;
    // SAFETY: `Quiet` drops the lock before `held`.
    let core = unsafe { held.outbox() }.try_lock()?;
    let Core { session, receive_buffer, stream, progress, .. } = &*core;
    let is_plain = progress.as_deref().is_some_and(|progress| progress.quiet)
        && session.unsent().is_empty()
        && session.wants_input()
        && !session.is_encrypted()
        && receive_buffer.is_none()
        && stream.pending().is_empty();
    is_plain.then_some(Quiet { core, held, _shield: shield, _errno: errno })
}

impl Quiet<'_> {
    /// Runs `work` with the session.
    #[inline(always)]
    fn with<T>(
        mut self,
        work: impl FnOnce(&Held<'_>, &mut Inbox<'_>, &mut Progress) -> Option<T>,
    ) -> Option<T> {
        // SAFETY: only one thread at a time uses a session that never waits, which is a rule of `loop.h`.
        let mut inbox = unsafe { Inbox::of(self.held.sb()) };
        work(&self.held, &mut inbox, self.core.progress.as_deref_mut()?)
    }
}

/// Receives what has arrived. `None` at the end of the stream, which the general path finds again.
fn receive(held: &Held<'_>, inbox: &mut Inbox<'_>, progress: &mut Progress) -> Option<()> {
    let found = match inbox.fill_at_once().ok()? {
        Ok((0, _)) => return None,
        Ok((_, has_room)) => {
            (progress.drained, progress.silent_since) = (has_room, None);
            true
        }
        Err(error) if error.kind() == io::ErrorKind::Interrupted => return None,
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
            progress.drained = false;
            // The call that reads reports the timeout.
            progress.silent_since.is_some()
                && progress.silence_ends(held.timeout()).is_some_and(|end| end <= Instant::now())
        }
        Err(error) => {
            progress.drained = false;
            progress.keep_receive_error(error.into());
            true
        }
    };
    progress.input = if found { Input::Some } else { Input::None };
    Some(())
}
