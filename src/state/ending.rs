//! The end of a connection, of a call, and of the private state.

use std::{
    mem::{self, ManuallyDrop},
    sync::{Arc, atomic::Ordering},
};

use libc::c_int;

use super::{
    Core, Fact, Handle, Private,
    settings::Settings,
    slot::{hangs_on, put},
};
use crate::{
    gate::{Gate, Keeper},
    pipe::Pipe,
    socket,
    valid::{Rtmp, field},
};

impl Handle {
    /// Whether the connection is still the one that this call began with. If it is not, another call has closed it.
    pub(crate) fn is_current(&self) -> bool {
        self.private.closings.load(Ordering::Relaxed) == self.closings
    }

    /// Records that the connection was closed, after it was detached from the struct. The protocol state is locked.
    pub(crate) fn mark_closed(&self) {
        self.private.closings.fetch_add(1, Ordering::Relaxed);
    }

    /// Detaches the socket and TLS from the struct.
    pub(crate) fn take_pipe(&self) -> Pipe {
        self.sb().take_pipe(&self.gate().hold())
    }

    /// Detaches the connection from the struct. The last call that may be using it closes it. With `keep`, the connection ends,
    /// and the descriptor goes to the caller.
    pub(crate) fn hang_up(&self, core: &mut Core, keep: bool) -> Option<c_int> {
        let keeper = self.gate().hold();
        let mut pipe = self.sb().take_pipe(&keeper);
        let is_only = self.is_only_call(&keeper);
        drop(keeper);
        pipe.say_goodbye();
        if keep || !is_only {
            pipe.shut_down();
        }
        let kept = if keep { pipe.socket.take().map(socket::into_c) } else { None };
        core.retired.push(pipe);
        self.note(Fact::HasRetired, true);
        kept
    }

    /// Closes detached connections, unless another call may be using them.
    pub(crate) fn close_retired(&self) {
        let keeper = self.gate().hold();
        if self.is_only_call(&keeper) {
            let pipes = self.private.take_retired();
            drop(keeper);
            drop(pipes);
        }
    }

    /// Whether this is the only call. No other call begins while the gate is held.
    fn is_only_call(&self, keeper: &Keeper<'_>) -> bool {
        let on_slot = hangs_on(self.rtmp(), &self.private, keeper);
        Arc::strong_count(&self.private) == 1 + usize::from(on_slot)
    }
}

impl Drop for Handle {
    /// The last call of a closed session cleans up. Without a connection a session owns only options. If there are none either,
    /// callers that free the struct without `RTMP_Close`, because they never got a connection, leak nothing.
    fn drop(&mut self) {
        // SAFETY: the handle ends here, and none of its parts is used afterwards.
        let private = unsafe { ManuallyDrop::take(&mut self.private) };
        // While the gate is held, no other call begins or ends: what is decided here holds for the session as it is left.
        let keeper = self.gate().hold();
        let is_open = || field!(self.sb(), sb_socket).get() != -1;
        let stays = is_open() || private.facts.has(Fact::NeverWaits);
        let on_slot = hangs_on(self.rtmp(), &private, &keeper);
        let is_last = Arc::strong_count(&private) == 1 + usize::from(on_slot);
        if !is_last || (on_slot && stays && !private.facts.has(Fact::HasRetired)) {
            // Before the gate is released: of two calls that end at the same time, the second has to see that it is the last.
            drop(private);
            drop(keeper);
            return;
        }
        let settings = if stays { None } else { private.core().settings.as_deref().cloned() };
        let origin = private.core().origin;
        let needed = settings.filter(Settings::is_needed);
        let next = needed.map(|settings| Arc::new(Private::with_settings(settings, origin)));
        let mut only = Some(private);
        if on_slot {
            only = put(self.rtmp(), &keeper, None);
        }
        let mut retired = Vec::new();
        let mut is_worn = false;
        // Synchronises with the end of other calls.
        if let Some(private) = only.as_mut().and_then(Arc::get_mut) {
            private.facts.note(Fact::HasRetired, false);
            retired = mem::take(&mut private.outbox.get_mut().retired);
            is_worn = *private.closings.get_mut() > 0;
        }
        if on_slot {
            let (is_open, is_needed) = (stays || is_open(), next.is_some());
            if !is_open && !is_needed {
                origin.put_into_struct(self.rtmp());
            }
            let keeps = is_open || (is_needed && !is_worn);
            let left = if keeps { only.take() } else { next };
            put(self.rtmp(), &keeper, left);
        }
        drop(keeper);
        drop((retired, only));
    }
}

/// Detaches the socket and TLS from an `RTMP` that no other call uses.
pub(crate) fn take_pipe(r: Rtmp<'_>) {
    field!(r, m_sb).take_pipe(&Gate::of(r).hold()).say_goodbye();
}

/// Ends the waits of all calls with an `RTMP`, until it is closed.
pub(crate) fn abort(r: Rtmp<'_>) {
    Gate::of(r).abort();
}

/// Clears the abort of an `RTMP`, so that its calls work again.
pub(crate) fn clear_abort(r: Rtmp<'_>) {
    Gate::of(r).clear_abort();
}
