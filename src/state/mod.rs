//! The private state of the session behind an `RTMP`.
//!
//! It is in [`Private`], to which a pointer in the struct leads that librtmp used for its own table. Nothing can be appended to
//! the struct, and callers move and clear it.

mod callbacks;
mod core;
mod ending;
mod exclusive;
mod facts;
mod held;
mod never_waits;
mod notes;
mod patience;
mod settings;
mod slot;

use std::{
    cell::{Cell, RefCell},
    mem::{self, ManuallyDrop},
    ptr::NonNull,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicPtr, AtomicU8, AtomicU32, AtomicUsize, Ordering, fence},
    },
    time::Instant,
};

use libc::c_char;
use rtmp_core::{
    error::{Error, Result},
    handshake::{self, Swf},
    session::{self as protocol, Notice, auth},
    transport::deadline::Deadline,
};
use rustix::fd::BorrowedFd;

pub(crate) use self::{
    core::{Core, Sending},
    ending::{abort, clear_abort, take_pipe},
    exclusive::{Exclusive, exclusive},
    facts::Fact,
    held::Held,
    never_waits::forget_progress,
    settings::{Login, Settings},
};
use self::{
    facts::Facts,
    slot::{attached, put},
};
use crate::{
    gate::{Gate, Keeper},
    outbox::{Locked, Outbox},
    pipe::Pipe,
    reason::{self, Failure, Phase},
    rtmp::{
        RTMP, defaults,
        origin::Origin,
        receive_buffer,
        sockbuf::{Inbox, SockBuf},
    },
    single_thread,
    valid::{Rtmp, field},
};

/// The state of a session besides the fields of its `RTMP`. The fields are in memory as they are here, see
/// [`Session`](protocol::Session): the first ones are those that each message needs.
#[derive(Default)]
#[repr(C)]
pub(crate) struct Private {
    /// Address of the `RTMP` at the last call; differs after the caller has moved it.
    home: AtomicPtr<RTMP>,
    /// `timeoutMs` of `settings`; 0 if there is none.
    timeout_ms: AtomicU32,
    /// Facts about the session.
    facts: Facts,
    /// The hooks in `settings`, see [`Hooks::bits`].
    hooked: AtomicU8,
    /// All that is not said at once, behind one lock, with the bytes to send, and the turn to send them.
    outbox: Outbox<Core>,
    /// Whether a byte that was received is still on the socket.
    left: AtomicBool,
    /// The number of times the connection was closed. A call that began before the last time is not current.
    closings: AtomicU32,
    /// `sendQueue` of `settings`; 0 if there is none.
    queue_limit: AtomicUsize,
}

/// An `RTMP` in use by an exported function.
///
/// The private state is detached from the struct only when the last handle is dropped, so all calls of a session share one
/// state and its locks. Closing the connection changes that state; it does not replace it.
pub(crate) struct Handle {
    raw: NonNull<RTMP>,
    private: ManuallyDrop<Arc<Private>>,
    /// The value of `Private::closings` when this call began.
    closings: u32,
    /// The number of receives of this call, and the time of the first, if its session does not wait.
    receives: Cell<u32>,
    receives_since: Cell<Option<Instant>>,
    /// The time at which all waits of this call end, in addition to the timeout of each wait.
    limit: Cell<Deadline>,
    /// The phase in which the connection failed: the core's errors do not contain it.
    failed_in: Cell<Option<Phase>>,
    /// The peer's notices that were not yet reported to the program.
    notices: RefCell<Vec<Notice>>,
}

impl Private {
    /// The state of a session without a connection.
    fn with_settings(settings: Settings, origin: Origin) -> Self {
        let mut private = Self::default();
        private.copy_out(&settings);
        let core = private.outbox.get_mut();
        (core.settings, core.origin) = (Some(Box::new(settings)), origin);
        private
    }

    /// Connections that were given up, once no other call uses them: the gate is held, and this is the only call.
    fn take_retired(&self) -> Vec<Pipe> {
        // Synchronises with the end of other calls.
        fence(Ordering::Acquire);
        self.facts.note(Fact::HasRetired, false);
        mem::take(&mut self.core().retired)
    }

    /// Copies frequently used settings to fields that need no lock.
    fn copy_out(&self, settings: &Settings) {
        self.hooked.store(settings.hooks.bits(), Ordering::Relaxed);
        let milliseconds = settings.common.tuning.timeout.map_or(0, |timeout| timeout.as_millis());
        self.timeout_ms.store(u32::try_from(milliseconds).unwrap_or(u32::MAX), Ordering::Relaxed);
        self.queue_limit.store(settings.common.tuning.queue_limit.unwrap_or(0), Ordering::Relaxed);
    }

    fn core(&self) -> Locked<'_, Core> {
        self.outbox.lock()
    }
}

impl Handle {
    /// The session of an `RTMP`, made on first use. For calls that set a session up. A handle ends with the call that made it, and
    /// so before the struct.
    pub(crate) fn made_for(r: Rtmp<'_>) -> Result<Self> {
        Self::open(Some(r), false)
    }

    /// The session of an `RTMP`, if it has one.
    pub(crate) fn of(r: Rtmp<'_>) -> Option<Self> {
        let keeper = Gate::of(r).hold();
        attached(r, &keeper).map(|private| Self::new(r.as_non_null(), private))
    }

    /// The session of an exported function, whose parameter this is. An error if it is null or has no connection.
    pub(crate) fn connected_to(r: Option<Rtmp<'_>>) -> Result<Self> {
        let handle = Self::idle_on(r)?;
        if handle.never_waits() && handle.go_on()? {
            return Err(Error::NotConnected.reported());
        }
        Ok(handle)
    }

    /// The same without continuing the unfinished work of earlier calls.
    pub(crate) fn idle_on(r: Option<Rtmp<'_>>) -> Result<Self> {
        let handle = Self::open(r, true)?;
        if handle.private.outbox.is_poisoned() || handle.has(Fact::Broken) {
            // A panic left the protocol state unfinished. Only this session ends.
            handle.give_up();
            return Err(Error::NotConnected);
        }
        Ok(handle)
    }

    fn new(raw: NonNull<RTMP>, private: Arc<Private>) -> Self {
        let closings = private.closings.load(Ordering::Relaxed);
        let (limit, failed_in) = (Cell::new(Deadline::NEVER), Cell::new(None));
        let (receives, receives_since) = (Cell::new(0), Cell::new(None));
        let (private, notices) = (ManuallyDrop::new(private), RefCell::default());
        Self { raw, private, closings, receives, receives_since, limit, failed_in, notices }
    }

    /// The session of an `RTMP`. With `has_to_be`, no session is created for a struct without a connection, so that a call that
    /// fails leaves nothing behind.
    fn open(r: Option<Rtmp<'_>>, has_to_be: bool) -> Result<Self> {
        let rtmp = reason::use_session(r)?;
        let raw = rtmp.as_non_null();
        let gate = Gate::of(rtmp);
        defaults::initialise_zeroed(rtmp);
        single_thread::ask();
        // Connections are detached from the struct while the gate is held.
        let is_missing = || has_to_be && field!(rtmp, m_sb.sb_socket).get() == -1;
        let find = |keeper: &Keeper<'_>| {
            // The count is read while no other call can close this connection.
            let found = attached(rtmp, keeper);
            if is_missing() && !found.as_ref().is_some_and(|private| private.facts.has(Fact::Opening)) {
                return Err(Error::NotConnected);
            }
            Ok(found.map(|private| Self::new(raw, private)))
        };
        let found = find(&gate.hold())?;
        let handle = match found {
            Some(handle) => handle,
            None => {
                // Without private state, the library has no connection.
                let mut fresh = Private::default();
                fresh.outbox.get_mut().origin = Origin::in_struct(rtmp);
                let fresh = Arc::new(fresh);
                let keeper = gate.hold();
                match find(&keeper)? {
                    Some(other_was_faster) => other_was_faster,
                    None => {
                        put(rtmp, &keeper, Some(fresh.clone()));
                        Self::new(raw, fresh)
                    }
                }
            }
        };
        let r = rtmp.as_ptr();
        if handle.private.home.load(Ordering::Relaxed) != r {
            let home = handle.private.home.swap(r, Ordering::Relaxed);
            if home != r && !home.is_null() {
                handle.sb().follow(home.addr(), r.addr());
            }
        }
        Ok(handle)
    }

    /// The struct.
    #[inline(always)]
    pub(crate) fn rtmp(&self) -> Rtmp<'_> {
        // SAFETY: it is initialised and does not move while the handle exists (`made_for`).
        unsafe { Rtmp::from_non_null(self.raw) }
    }

    /// The socket and its buffer.
    #[inline(always)]
    pub(crate) fn sb(&self) -> SockBuf<'_> {
        field!(self.rtmp(), m_sb)
    }

    /// The received bytes that are unread, for calls that read; a call uses only one of these at a time.
    pub(crate) fn inbox(&self) -> Inbox<'_> {
        // SAFETY: only one thread at a time reads from a session, which is a rule of `rtmp.h` for programs.
        unsafe { Inbox::of(self.sb()) }
    }

    /// Protocol state, for the length of a step.
    pub(crate) fn core(&self) -> Locked<'_, Core> {
        self.private.core()
    }

    /// The socket, if there is one.
    pub(crate) fn socket(&self) -> Result<BorrowedFd<'_>> {
        match field!(self.sb(), sb_socket).get() {
            -1 => Err(Error::NotConnected),
            _ => self.sb().socket(),
        }
    }

    fn gate(&self) -> Gate<'_> {
        Gate::of(self.rtmp())
    }

    /// Notes the phase in which something failed, also during a new login.
    pub(crate) fn note_failed(&self, phase: Phase) {
        self.failed_in.set(Some(phase));
    }

    /// The failure of a call in `phase`, unless another phase was noted.
    pub(crate) fn failure(&self, error: Error, phase: Phase) -> Failure {
        Failure::new(error, self.failed_in.take().unwrap_or(phase))
    }

    /// Whether the program has aborted the calls of this session.
    pub(crate) fn is_aborted(&self) -> bool {
        self.gate().is_aborted()
    }

    /// Protocol state with the bytes to send, and the turn to send them.
    pub(super) fn outbox(&self) -> &Outbox<Core> {
        &self.private.outbox
    }

    /// Counts an attempt to log in.
    pub(crate) fn count_login(&self) -> Result<()> {
        auth::count_login(&mut self.core().logins)
    }

    /// The SWF file that a signed handshake verifies, if the caller has one.
    pub(crate) fn swf(&self) -> Option<Swf> {
        let (size, hash) =
            (field!(self.rtmp(), Link.SWFSize).get(), field!(self.rtmp(), Link.SWFHash).copy());
        (size != 0).then_some(Swf { size, hash })
    }

    /// Starts with an empty buffer in the struct and without a cipher, whatever an earlier connection had.
    pub(crate) fn forget_session(&self) {
        receive_buffer::release(&mut self.inbox(), &mut self.core().receive_buffer);
        let session = &mut self.core().session;
        let is_starting = session.is_starting();
        *session = protocol::Session::default();
        session.set_starting(is_starting);
    }

    /// Shows the result of a handshake in the struct.
    pub(crate) fn show_handshake(&self, encrypted: bool, swf_response: Option<handshake::Response>) {
        let r = self.rtmp();
        if let Some(response) = swf_response {
            field!(r, Link.SWFVerificationResponse).put(response.map(|byte| byte as c_char));
        }
        if encrypted {
            // Callers check whether these are null, and do not follow them.
            let mark = field!(r, Link.SWFVerificationResponse).as_ptr().cast();
            field!(r, Link.dh).set(mark);
            field!(r, Link.rc4keyIn).set(mark);
            field!(r, Link.rc4keyOut).set(mark);
        }
    }
}
