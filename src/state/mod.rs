//! The session behind an `RTMP`: what callers never see.
//!
//! It lives in [`Private`], which hangs on a pointer of the struct that librtmp used for a table of its own. Nothing can
//! be appended to the struct, and callers move and clear it.

mod exclusive;
mod slot;

use std::{
    cell::{Cell, RefCell},
    collections::BTreeMap,
    fmt,
    mem::{self, ManuallyDrop},
    ptr::NonNull,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicPtr, AtomicU8, AtomicU32, AtomicUsize, Ordering, fence},
    },
    time::{Duration, Instant},
};

use libc::{c_char, c_int};
use rtmp_core::{
    error::{Error, Result},
    flv,
    handshake::{self, Swf},
    net::SendHook,
    options::{Enhanced, Tuning},
    session::{self as protocol, History, Notice, auth},
    stats::{Phases, Stats},
    transport::{
        deadline::Deadline,
        local::{Local, SocketHook},
        tcp,
        tls::TlsOptions,
        wait::Patience,
    },
};
use rustix::fd::BorrowedFd;

pub(crate) use self::exclusive::{Exclusive, exclusive};
use self::slot::{attached, hangs_on, put};
use super::{
    carrier::Carrier,
    enhanced::requested::Requested,
    event_loop::{
        RTMP_EVENT_SOCKET, RTMP_EVENT_STALL, RTMP_SendCallback, RTMP_SessionLogCallback, RTMPEvent,
    },
    gate::{Gate, Keeper},
    globals,
    hooks::{self, Hook, Hooks},
    memory::{Body, Lent},
    outbox::{Outbox, Queue, Turn},
    pipe::Pipe,
    progress::Progress,
    reason::{self, Failure, Phase},
    rtmp::{
        RTMP, defaults,
        origin::Origin,
        read_state::Block,
        reservoir::{self, Reservoir},
        sockbuf,
    },
    shared, single_thread, socket,
    tcp_info::TcpInfo,
};

/// What a session owns besides the fields of its `RTMP`.
#[derive(Default)]
pub(crate) struct Private {
    /// Protocol state, which is locked for short steps only, with the bytes it has to send, and the turn to send them.
    outbox: Outbox<Core>,
    /// Whether bytes came into the buffer after the last step that looked at it: there is no need to wait for more.
    refilled: AtomicBool,
    /// What carries bytes through an HTTP tunnel, or for a session that does not wait. Has a lock of its own.
    carrier: Mutex<Option<Arc<Carrier>>>,
    /// Whether there is one.
    carried: AtomicBool,
    /// Whether calls never wait.
    never_waits: AtomicBool,
    /// Whether a connection of a session that never waits is being made.
    opening: AtomicBool,
    /// What calls that do not wait have begun.
    progress: Mutex<Option<Box<Progress>>>,
    /// Whether this library made the connection, and may make another in its place.
    dialled: AtomicBool,
    /// Whether this library made the socket.
    opened: AtomicBool,
    /// Whether the socket is the caller's own, who waits for it to become readable and then reads once.
    watched: AtomicBool,
    /// Whether a byte that was received is still on the socket.
    left: AtomicBool,
    /// Whether a panic left the protocol state half done without a lock to tell.
    broken: AtomicBool,
    /// Whether bytes had to be waited for last time.
    expects_wait: AtomicBool,
    /// Whether the end of the connection keeps the descriptor, because a reader does not know of the end yet.
    keeps_descriptor: AtomicBool,
    /// Whether the connection has ended and only its descriptor is left.
    hung_up: AtomicBool,
    /// Few programs change any.
    settings: Mutex<Option<Box<Settings>>>,
    /// Where the struct was when it was last used: callers move it by assignment.
    home: AtomicPtr<RTMP>,
    /// Connections that were given up. Other calls may be using them; the last of all closes them.
    retired: Mutex<Vec<Pipe>>,
    /// Whether there are any.
    has_retired: AtomicBool,
    /// How many times the connection was closed. A call that began before the last time is not current.
    closings: AtomicU32,
    /// How long sending has waited for room.
    blocked: Mutex<Blocked>,
    /// Which hooks `settings` has, see [`Hooks::bits`].
    hooked: AtomicU8,
    /// `timeoutMs` of `settings`; 0 if there is none.
    timeout_ms: AtomicU32,
}

/// How long sending has waited for the peer to take bytes.
#[derive(Debug, Default, Clone, Copy)]
struct Blocked {
    /// In waits that have ended.
    before: Duration,
    /// When the wait began that goes on.
    since: Option<Instant>,
    /// How many of its seconds the program was told of.
    told: u64,
}

/// How long a call waits: as long as it may, unless the user or the program wants it to end.
pub(crate) struct Patient<'a> {
    gate: Gate<'a>,
    deadline: Deadline,
    expects_wait: &'a AtomicBool,
    /// What waits for room tell of; `None` where nothing is sent.
    private: Option<&'a Private>,
}

impl Patience for Patient<'_> {
    fn is_over(&self) -> bool {
        self.gate.is_aborted() || globals::interrupted()
    }

    fn deadline(&self) -> Deadline {
        self.deadline
    }

    fn expects_wait(&self) -> bool {
        self.expects_wait.load(Ordering::Relaxed)
    }

    fn begin_wait(&self) {
        self.expects_wait.store(true, Ordering::Relaxed);
    }

    fn blocked(&self, begun: Instant) {
        let Some(private) = self.private else { return };
        let waited = begun.elapsed();
        {
            let mut blocked = lock(&private.blocked);
            if blocked.since != Some(begun) {
                (blocked.since, blocked.told) = (Some(begun), 0);
            }
            if waited.as_secs() <= blocked.told {
                return;
            }
            blocked.told = waited.as_secs();
        }
        let e_stalled = u32::try_from(waited.as_millis()).unwrap_or(u32::MAX);
        let event = RTMPEvent { e_stalled, ..RTMPEvent::of(RTMP_EVENT_STALL) };
        // A program that gives up ends the wait.
        // SAFETY: the gate stands for an `RTMP` that outlives it (`Gate::of`).
        let _ = unsafe { private.raise(self.gate.session(), &event) };
    }

    fn unblocked(&self, begun: Instant) {
        if let Some(private) = self.private {
            let mut blocked = lock(&private.blocked);
            blocked.before += begun.elapsed();
            blocked.since = None;
        }
    }

    fn never_waits(&self) -> bool {
        self.private.is_some_and(|private| private.never_waits.load(Ordering::Relaxed))
    }

    fn leaves_wait_to_system(&self) -> bool {
        self.deadline == Deadline::NEVER && single_thread::is_alone()
    }
}

/// Options for which `Link` has no field. Text is copied. They are set before the connection, hold for every
/// connection after that, and go when the program calls `RTMP_Close`; a connection that fails by itself keeps them, so
/// that trying again does not leave by another way or trust another server than was asked for.
#[derive(Debug, Clone, Default)]
pub(crate) struct Settings {
    /// Where connections leave from, and which addresses they may go to: the options `bind` and `ipv`.
    pub(crate) local: Local,
    /// Whom to trust: the options `tlsVerify` and `tlsCA`.
    pub(crate) tls: TlsOptions,
    /// What to announce of Enhanced RTMP.
    pub(crate) enhanced: Enhanced,
    /// How the connection behaves: `timeoutMs`, `sendQueue`, `closeReset` and `data`.
    pub(crate) tuning: Tuning,
    /// These as they were before the text of the URL changed them.
    pub(crate) before_url: Option<Box<Hidden>>,
    /// What the login in the URL means.
    pub(crate) login: Option<Arc<Login>>,
    /// What the server has asked for last.
    pub(crate) reconnect: Option<Arc<Requested>>,
    /// Reconnect requests that led here.
    pub(crate) history: History,
    /// The strings of `Link`, if they are copies for a reconnect request.
    pub(crate) texts: Option<Arc<[u8]>>,
    /// What else came from the URL.
    pub(crate) origin: Origin,
    /// Functions of the program.
    pub(crate) hooks: Hooks,
}

/// Options for which `Link` has no field and that the text of a URL can set.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Hidden {
    pub(crate) local: Local,
    pub(crate) tls: TlsOptions,
    pub(crate) tuning: Tuning,
    pub(crate) enhanced: Enhanced,
}

impl Settings {
    /// Whether there is anything that the struct has no place for.
    pub(crate) fn is_needed(&self) -> bool {
        let Self {
            local,
            tls,
            enhanced,
            tuning,
            before_url,
            login,
            reconnect,
            history,
            texts,
            origin: _,
            hooks,
        } = self;
        *hooks != Hooks::default()
            || before_url.is_some()
            || login.is_some()
            || reconnect.is_some()
            || texts.is_some()
            || *local != Local::default()
            || *tls != TlsOptions::default()
            || *tuning != Tuning::default()
            || *enhanced != Enhanced::default()
            || *history != History::default()
    }
}

/// A user name and a password that the fields of `Link` show. Programs may write to what is there.
#[derive(Default)]
pub(crate) struct Login {
    /// With a NUL at the end.
    pub(crate) user: Box<[AtomicU8]>,
    pub(crate) password: Box<[AtomicU8]>,
}

impl Login {
    pub(crate) fn new(user: &[u8], password: &[u8]) -> Self {
        let text = |text: &[u8]| text.iter().copied().chain([0]).map(AtomicU8::new).collect();
        Self { user: text(user), password: text(password) }
    }

    /// Whether a string is one of the two.
    pub(crate) fn owns(&self, string: *const c_char) -> bool {
        [&self.user, &self.password].iter().any(|text| text.as_ptr().cast() == string)
    }
}

impl fmt::Debug for Login {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Login(not shown)")
    }
}

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
    logins: u32,
    /// How long the phases of connecting took that are below the protocol.
    pub(crate) phases: Phases,
}

/// Keeps other threads from sending.
pub(super) type Sending<'a> = Turn<'a, Core>;

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
    /// Forgets a connection; the next one may belong to the same block of a read call.
    pub(crate) fn forget_connection(&mut self) {
        *self = Self { block: self.block, ..Self::default() };
    }

    /// Whether a message leaves as it was encoded, and by itself.
    pub(crate) fn leaves_as_it_is(&self) -> bool {
        !self.session.is_encrypted() && self.session.unsent().is_empty()
    }
}

/// An `RTMP` in use by an exported function.
///
/// The private state leaves the struct only when the last handle is dropped, so all calls of a session share one state and
/// its locks. Closing the connection changes that state; it does not replace it.
pub(crate) struct Handle {
    raw: NonNull<RTMP>,
    private: ManuallyDrop<Arc<Private>>,
    /// What `Private::closings` was when this call began.
    closings: u32,
    /// How often this call has received.
    receives: Cell<u32>,
    /// When all waits of this call end, besides each of them in its own time.
    limit: Cell<Deadline>,
    /// What the connection was at when something failed: the core's errors do not carry it.
    failed_in: Cell<Option<Phase>>,
    /// What the peer has said and the program was not told of.
    notices: RefCell<Vec<Notice>>,
}

impl Private {
    fn with_settings(settings: Settings) -> Self {
        let private = Self::default();
        private.note(&settings);
        Self { settings: Mutex::new(Some(Box::new(settings))), ..private }
    }

    /// Connections that were given up, once no other call uses them: the gate is held, and this is the only call.
    fn take_retired(&self) -> Vec<Pipe> {
        // What other calls did with them is over.
        fence(Ordering::Acquire);
        self.has_retired.store(false, Ordering::Relaxed);
        mem::take(&mut *self.retired.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Tells the program of an event; an error if it gives up.
    ///
    /// # Safety
    /// `r` points to an initialised `RTMP`, whose private state this is.
    unsafe fn raise(&self, r: *mut RTMP, event: &RTMPEvent) -> Result<()> {
        if self.hooked.load(Ordering::Relaxed) & hooks::EVENT == 0 {
            return Ok(());
        }
        // SAFETY: `r` points to an initialised `RTMP`, by the Safety section.
        self.settings().hooks.event.map_or(Ok(()), |hook| unsafe { hook.raise(r, event) })
    }

    /// Keeps what is asked for often where it takes no lock.
    fn note(&self, settings: &Settings) {
        self.hooked.store(settings.hooks.bits(), Ordering::Relaxed);
        let milliseconds = settings.tuning.timeout.map_or(0, |timeout| timeout.as_millis());
        self.timeout_ms.store(u32::try_from(milliseconds).unwrap_or(u32::MAX), Ordering::Relaxed);
    }

    fn core(&self) -> MutexGuard<'_, Core> {
        self.outbox.lock()
    }

    fn settings(&self) -> Settings {
        self.settings.lock().unwrap_or_else(PoisonError::into_inner).as_deref().cloned().unwrap_or_default()
    }
}

impl Handle {
    /// The session of an `RTMP`, made on first use. For calls that set a session up.
    ///
    /// # Safety
    /// `r` is null or points to an initialised `RTMP` that stays where it is while the handle is used.
    pub(crate) unsafe fn from_raw(r: *mut RTMP) -> Result<Self> {
        // SAFETY: `r` points to an initialised `RTMP`, by the Safety section.
        unsafe { Self::open(r, false) }
    }

    /// The session of an `RTMP`, if it has one.
    ///
    /// # Safety
    /// As for `from_raw`.
    pub(crate) unsafe fn existing(r: *mut RTMP) -> Option<Self> {
        let raw = NonNull::new(r)?;
        // SAFETY: `r` points to an initialised `RTMP`, by the Safety section.
        unsafe {
            let keeper = Gate::of(r).hold();
            attached(r, &keeper).map(|private| Self::new(raw, private))
        }
    }

    fn new(raw: NonNull<RTMP>, private: Arc<Private>) -> Self {
        let closings = private.closings.load(Ordering::Relaxed);
        let (limit, failed_in) = (Cell::new(Deadline::NEVER), Cell::new(None));
        let receives = Cell::new(0);
        let private = ManuallyDrop::new(private);
        Self { raw, private, closings, receives, limit, failed_in, notices: RefCell::default() }
    }

    /// As `from_raw`; if there `has_to_be` a connection, none is made without one: a call that fails leaves nothing behind.
    ///
    /// # Safety
    /// As for `from_raw`.
    unsafe fn open(r: *mut RTMP, has_to_be: bool) -> Result<Self> {
        // SAFETY: `r` is null or points to an initialised `RTMP` that stays where it is while the handle is used, by
        // the Safety section; exported functions use the `RTMP` that they were called with.
        let raw = unsafe { reason::about(r) }?;
        // SAFETY: `r` is null or points to an initialised `RTMP` that stays where it is while the handle is used, by
        // the Safety section.
        unsafe { defaults::initialise_zeroed(r) };
        single_thread::ask();
        // SAFETY: `r` is null or points to an initialised `RTMP` that stays where it is while the handle is used, by
        // the Safety section.
        let gate = unsafe { Gate::of(r) };
        // Connections are taken off the struct while the gate is held.
        // SAFETY: `r` is null or points to an initialised `RTMP` that stays where it is while the handle is used, by
        // the Safety section.
        let is_missing = || has_to_be && unsafe { shared::read(&raw const (*r).m_sb.sb_socket) } == -1;
        let find = |keeper: &Keeper<'_>| {
            // SAFETY: `r` is an initialised `RTMP`, by the Safety section. The count is read while no other call closes
            // this connection.
            let found = unsafe { attached(r, keeper) };
            if is_missing() && !found.as_ref().is_some_and(|private| private.opening.load(Ordering::Relaxed))
            {
                return Err(Error::NotConnected);
            }
            Ok(found.map(|private| Self::new(raw, private)))
        };
        let found = find(&gate.hold())?;
        let handle = match found {
            Some(handle) => handle,
            None => {
                // SAFETY: `r` is null or points to an initialised `RTMP` that stays where it is while the handle is
                // used, by the Safety section; without private state there is no connection of the library's.
                let origin = unsafe { Origin::in_struct(r) };
                let fresh = Arc::new(if origin == Origin::default() {
                    Private::default()
                } else {
                    Private::with_settings(Settings { origin, ..Settings::default() })
                });
                let keeper = gate.hold();
                match find(&keeper)? {
                    Some(other_was_faster) => other_was_faster,
                    None => {
                        // SAFETY: `r` is null or points to an initialised `RTMP` that stays where it is while the
                        // handle is used, by the Safety section; the slot is empty.
                        unsafe { put(r, &keeper, Some(fresh.clone())) };
                        Self::new(raw, fresh)
                    }
                }
            }
        };
        if handle.private.home.load(Ordering::Relaxed) != r {
            let home = handle.private.home.swap(r, Ordering::Relaxed);
            if home != r && !home.is_null() {
                // SAFETY: `r` is null or points to an initialised `RTMP` that stays where it is while the handle is
                // used, by the Safety section.
                unsafe { sockbuf::follow(&raw mut (*r).m_sb, home.addr(), r.addr()) }
            }
        }
        Ok(handle)
    }

    /// The struct itself, for fields that no step touches.
    pub(crate) fn raw(&self) -> *mut RTMP {
        self.raw.as_ptr()
    }

    /// Protocol state, for the length of a step.
    pub(crate) fn core(&self) -> MutexGuard<'_, Core> {
        self.private.core()
    }

    /// Options that `Link` has no field for.
    pub(crate) fn settings(&self) -> Settings {
        self.private.settings()
    }

    /// One of the options that `Link` has no field for: in contrast to `settings`, nothing is copied.
    pub(crate) fn look_at_settings<R>(&self, look: impl FnOnce(&Settings) -> Option<R>) -> Option<R> {
        look(self.private.settings.lock().unwrap_or_else(PoisonError::into_inner).as_deref()?)
    }

    /// Changes options that `Link` has no field for.
    pub(crate) fn change_settings<R>(&self, change: impl FnOnce(&mut Settings) -> R) -> R {
        let mut settings = self.private.settings.lock().unwrap_or_else(PoisonError::into_inner);
        let settings = settings.get_or_insert_default();
        let result = change(settings);
        self.private.note(settings);
        result
    }

    /// Changes the functions of the program that the session calls.
    pub(crate) fn change_hooks(&self, change: impl FnOnce(&mut Hooks)) {
        /// # Safety
        /// As for `existing`.
        unsafe fn find(r: *mut RTMP) -> Option<Hook<RTMP_SessionLogCallback>> {
            // SAFETY: `r` points to an initialised `RTMP`, by the Safety section.
            unsafe { Handle::existing(r) }?.private.settings().hooks.log
        }
        let has_log = self.change_settings(|settings| {
            change(&mut settings.hooks);
            settings.hooks.log.is_some()
        });
        if has_log {
            hooks::find_logs_with(find);
        }
        if let Some(carrier) = self.carrier() {
            self.send_through_hook(&carrier);
        }
    }

    /// Has readers get every data message if the option `data` says so.
    pub(crate) fn show_data_option(&self) {
        if self.settings().tuning.all_data {
            // SAFETY: the handle stands for an `RTMP` that stays valid while it exists (`Handle::from_raw`).
            unsafe {
                let flags = &raw mut (*self.raw()).m_read.flags;
                shared::write(flags, shared::read(flags) | flv::Flags::ALL.0);
            }
        }
    }

    /// Has closing reset the connection if the option `closeReset` says so.
    pub(crate) fn prepare_reset(&self) {
        if let (true, Ok(socket)) = (self.settings().tuning.resets, self.socket()) {
            tcp::reset_at_close(socket);
        }
    }

    /// Where connections leave from, with the event that each of their sockets is.
    pub(crate) fn local(&self) -> Local {
        let mut local = self.settings().local;
        if self.wants_events() {
            local.hook = Some(SocketHook::new(raise_socket));
        }
        local
    }

    /// Has a carrier hand its bytes to the program, if that wants them.
    pub(crate) fn send_through_hook(&self, carrier: &Carrier) {
        let hook = self.send_hook().map(|hook| {
            SendHook::new(move |bytes| {
                let r = reason::session();
                // SAFETY: links are used in calls about the session whose they are, which is initialised until the call of this
                // thread returns (`reason::about`).
                unsafe { hook.send(r, bytes) }.map(|()| bytes.len())
            })
        });
        carrier.lock().send_through(hook);
    }

    /// Keeps what the peer has said for the end of the step.
    pub(crate) fn keep_notices(&self, notices: Vec<Notice>) {
        if !notices.is_empty() {
            self.notices.borrow_mut().extend(notices);
        }
    }

    /// What was kept.
    pub(crate) fn take_notices(&self) -> Vec<Notice> {
        self.notices.take()
    }

    /// Whether the program wants to know of events.
    pub(crate) fn wants_events(&self) -> bool {
        self.private.hooked.load(Ordering::Relaxed) & hooks::EVENT != 0
    }

    /// What replaces `send`, if the program has set that.
    pub(crate) fn send_hook(&self) -> Option<Hook<RTMP_SendCallback>> {
        if self.private.hooked.load(Ordering::Relaxed) & hooks::SEND == 0 {
            return None;
        }
        self.settings().hooks.send
    }

    /// Tells the program of an event; an error if it gives up.
    pub(crate) fn raise(&self, event: &RTMPEvent) -> Result<()> {
        // SAFETY: the handle stands for an `RTMP` that stays valid while it exists (`Handle::from_raw`).
        unsafe { self.private.raise(self.raw(), event) }
    }

    /// The socket, while there is one.
    pub(crate) fn socket(&self) -> Result<BorrowedFd<'_>> {
        // SAFETY: the handle's `RTMP` stays valid while the handle exists (`Handle::from_raw`); the descriptor is open
        // as long as the caller leaves it so.
        unsafe {
            match shared::read(&raw const (*self.raw()).m_sb.sb_socket) {
                -1 => Err(Error::NotConnected),
                fd => sockbuf::borrow(fd),
            }
        }
    }

    /// What ends this call's waits.
    pub(crate) fn patience(&self) -> Patient<'_> {
        Patient {
            gate: self.gate(),
            deadline: self.limit.get(),
            expects_wait: &self.private.expects_wait,
            private: Some(&self.private),
        }
    }

    /// Says when all waits of this call end, besides each of them in its own time.
    pub(crate) fn set_limit(&self, limit: Deadline) {
        self.limit.set(limit);
    }

    /// See [`Self::set_limit`].
    pub(crate) fn limit(&self) -> Deadline {
        self.limit.get()
    }

    fn gate(&self) -> Gate<'_> {
        // SAFETY: the handle stands for an `RTMP` that stays valid while it exists (`Handle::from_raw`).
        unsafe { Gate::of(self.raw()) }
    }

    /// Whether the connection is still the one that this call began with. If it is not, another call has closed it.
    pub(super) fn is_current(&self) -> bool {
        self.private.closings.load(Ordering::Relaxed) == self.closings
    }

    /// Says that the connection was closed, which was taken off the struct before. The protocol state is locked.
    pub(super) fn mark_closed(&self) {
        self.private.closings.fetch_add(1, Ordering::Relaxed);
    }

    /// Takes the socket and TLS off the struct.
    pub(super) fn take_pipe(&self) -> Pipe {
        // SAFETY: the handle stands for an `RTMP` that stays valid while it exists (`Handle::from_raw`).
        unsafe { sockbuf::take_pipe(&raw mut (*self.raw()).m_sb, &self.gate().hold()) }
    }

    /// Takes the connection off the struct. It is closed by the last call that may be using it; if its descriptor is to be
    /// kept, the connection ends, and that is the caller's.
    pub(super) fn hang_up(&self, keep: bool) -> Option<c_int> {
        // SAFETY: the handle stands for an `RTMP` that stays valid while it exists (`Handle::from_raw`).
        unsafe {
            let keeper = self.gate().hold();
            let mut pipe = sockbuf::take_pipe(&raw mut (*self.raw()).m_sb, &keeper);
            let alone = self.is_alone(&keeper);
            drop(keeper);
            pipe.say_goodbye();
            if keep || !alone {
                pipe.shut_down();
            }
            let kept = if keep { pipe.socket.take().map(socket::into_c) } else { None };
            self.private.retired.lock().unwrap_or_else(PoisonError::into_inner).push(pipe);
            self.private.has_retired.store(true, Ordering::Relaxed);
            kept
        }
    }

    /// Closes connections that were taken off the struct before, unless another call may be using them.
    pub(super) fn close_retired(&self) {
        let keeper = self.gate().hold();
        if self.is_alone(&keeper) {
            let pipes = self.private.take_retired();
            drop(keeper);
            drop(pipes);
        }
    }

    /// Whether this is the only call. No other begins while the gate is held.
    fn is_alone(&self, keeper: &Keeper<'_>) -> bool {
        // SAFETY: the handle stands for an `RTMP` that stays valid while it exists (`Handle::from_raw`).
        let on_slot = unsafe { hangs_on(self.raw(), &self.private, keeper) };
        Arc::strong_count(&self.private) == 1 + usize::from(on_slot)
    }

    /// As `from_raw`, and there has to be a connection.
    ///
    /// # Safety
    /// As for `from_raw`.
    pub(crate) unsafe fn connected(r: *mut RTMP) -> Result<Self> {
        // SAFETY: `r` is null or points to an initialised `RTMP` that stays where it is while the handle is used, by
        // the Safety section.
        let handle = unsafe { Self::open(r, true) }?;
        if handle.private.outbox.is_poisoned() || handle.private.broken.load(Ordering::Relaxed) {
            // A panic left the protocol state half done. That is the end of this session, and of nothing else.
            handle.give_up();
            return Err(Error::NotConnected);
        }
        if handle.never_waits() {
            handle.go_on().map_err(|failure| {
                failure.log();
                let (error, _) = failure.into_parts();
                if matches!(error, Error::Again) { error } else { error.reported() }
            })?;
        }
        Ok(handle)
    }

    /// As [`Self::connected`], without going on with what a call has begun; `None` if there is no connection.
    ///
    /// # Safety
    /// As for `from_raw`.
    pub(crate) unsafe fn idle(r: *mut RTMP) -> Option<Self> {
        // SAFETY: `r` is null or points to an initialised `RTMP` that stays where it is while the handle is used, by
        // the Safety section.
        let handle = unsafe { Self::open(r, true) }.ok()?;
        if handle.private.outbox.is_poisoned() || handle.private.broken.load(Ordering::Relaxed) {
            handle.give_up();
            return None;
        }
        Some(handle)
    }

    /// Notes what the connection was at when something failed in it, or in a new login.
    pub(crate) fn note_failed(&self, phase: Phase) {
        self.failed_in.set(Some(phase));
    }

    /// The failure of a call that was at `phase`, unless something else was noted.
    pub(crate) fn failure(&self, error: Error, phase: Phase) -> Failure {
        Failure::new(error, self.failed_in.take().unwrap_or(phase))
    }

    /// As `connected`, at the least cost, if the session is in its place and there is no doubt about its socket.
    ///
    /// # Safety
    /// As for `from_raw`.
    #[inline]
    pub(crate) unsafe fn at_hand(r: *mut RTMP) -> Option<Self> {
        let raw = NonNull::new(r)?;
        // SAFETY: `r` is null or points to an initialised `RTMP` that stays where it is while the handle is used, by
        // the Safety section.
        let handle = unsafe {
            let keeper = Gate::of(r).try_hold()?;
            // 0 may be what a program left there that forgot RTMP_Init.
            if shared::read(&raw const (*r).m_sb.sb_socket) <= 0 {
                return None;
            }
            Self::new(raw, attached(r, &keeper)?)
        };
        (handle.private.home.load(Ordering::Relaxed) == r && !handle.never_waits()).then_some(handle)
    }

    /// The numbers of the connection; zeros if there is none.
    pub(crate) fn stats(&self) -> Stats {
        let Ok(socket) = self.socket() else { return Stats::default() };
        let TcpInfo { unsent, round_trip, retransmissions } = TcpInfo::of(socket);
        let (mut stats, below) = {
            let core = self.core();
            (core.session.stats(), core.phases)
        };
        let Blocked { before, since, .. } = *lock(&self.private.blocked);
        let stalled = since.map_or(Duration::ZERO, |since| since.elapsed());
        (stats.stalled, stats.blocked) = (stalled, before + stalled);
        (stats.unsent, stats.round_trip, stats.retransmissions) = (unsent, round_trip, retransmissions);
        let phases = &mut stats.phases;
        (phases.lookup, phases.tcp, phases.proxy, phases.tls) =
            (below.lookup, below.tcp, below.proxy, below.tls);
        stats
    }

    /// Whether the last wait for bytes ended because time was up.
    pub(crate) fn timed_out(&self) -> bool {
        // SAFETY: the handle stands for an `RTMP` that stays valid while it exists (`Handle::from_raw`).
        unsafe { shared::read(&raw const (*self.raw()).m_sb.sb_timedout) != 0 }
    }

    /// How long a wait may last; `None` for ever.
    pub(crate) fn timeout(&self) -> Option<Duration> {
        let milliseconds = self.private.timeout_ms.load(Ordering::Relaxed);
        if milliseconds > 0 {
            return Some(Duration::from_millis(milliseconds.into()));
        }
        // SAFETY: the handle stands for an `RTMP` that stays valid while it exists (`Handle::from_raw`).
        let seconds = unsafe { (*self.raw()).Link.timeout };
        u64::try_from(seconds).ok().filter(|seconds| *seconds > 0).map(Duration::from_secs)
    }

    /// Protocol state with the bytes it has to send, and the turn to send them.
    pub(super) fn outbox(&self) -> &Outbox<Core> {
        &self.private.outbox
    }

    /// Says that bytes came into the buffer after the last step that looked at it.
    pub(super) fn mark_refilled(&self) {
        self.private.refilled.store(true, Ordering::Relaxed);
    }

    /// Says that the peer is ahead of this side, so that bytes need not be waited for.
    pub(super) fn expect_bytes(&self) {
        self.private.expects_wait.store(false, Ordering::Relaxed);
    }

    /// Whether that was said since this was asked last.
    pub(super) fn take_refilled(&self) -> bool {
        self.private.refilled.swap(false, Ordering::Relaxed)
    }

    /// Counts an attempt to log in.
    pub(crate) fn count_login(&self) -> Result<()> {
        auth::count_login(&mut self.core().logins)
    }

    /// Whether this library made the connection.
    pub(crate) fn is_dialled(&self) -> bool {
        self.private.dialled.load(Ordering::Relaxed)
    }

    /// Says who made the connection.
    pub(crate) fn set_dialled(&self, dialled: bool) {
        self.private.dialled.store(dialled, Ordering::Relaxed);
    }

    /// Whether bytes go through something else than the socket and TLS over it.
    pub(crate) fn is_carried(&self) -> bool {
        self.private.carried.load(Ordering::Acquire)
    }

    /// Says that this library made the socket.
    pub(crate) fn mark_opened(&self) {
        self.private.opened.store(true, Ordering::Relaxed);
        *lock(&self.private.blocked) = Blocked::default();
        self.private.hung_up.store(false, Ordering::Relaxed);
    }

    /// Whether this library made the socket.
    pub(crate) fn is_opened(&self) -> bool {
        self.private.opened.load(Ordering::Relaxed)
    }

    /// Says whether the socket was there before this library knew of it.
    pub(crate) fn set_watched(&self, watched: bool) {
        self.private.watched.store(watched, Ordering::Relaxed);
    }

    /// Whether the socket has to stay readable as long as there is something to read.
    pub(crate) fn is_watched(&self) -> bool {
        self.private.watched.load(Ordering::Relaxed)
    }

    /// Whether a byte that was received is still on the socket.
    pub(crate) fn left_byte(&self) -> &AtomicBool {
        &self.private.left
    }

    /// Says whether the end of the connection keeps the descriptor.
    pub(crate) fn keep_descriptor(&self, keep: bool) {
        self.private.keeps_descriptor.store(keep, Ordering::Relaxed);
    }

    /// Whether the end of the connection keeps the descriptor.
    pub(crate) fn keeps_descriptor(&self) -> bool {
        self.private.keeps_descriptor.load(Ordering::Relaxed)
    }

    /// Says that of the connection only the descriptor is left.
    pub(crate) fn mark_hung_up(&self) {
        self.forget_connection();
        self.private.hung_up.store(true, Ordering::Relaxed);
    }

    /// Forgets what was noted of a connection.
    pub(crate) fn forget_connection(&self) {
        let Private { refilled, dialled, opened, watched, left, broken, keeps_descriptor, hung_up, .. } =
            &**self.private;
        for flag in [refilled, dialled, opened, watched, left, broken, keeps_descriptor, hung_up] {
            flag.store(false, Ordering::Relaxed);
        }
    }

    /// Whether of the connection only the descriptor is left.
    pub(crate) fn is_hung_up(&self) -> bool {
        self.private.hung_up.load(Ordering::Relaxed)
    }

    /// What carries bytes, unless that is the socket and TLS over it.
    pub(crate) fn carrier(&self) -> Option<Arc<Carrier>> {
        if !self.is_carried() {
            return None;
        }
        self.private.carrier.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Sends everything from now on through a carrier, or no longer.
    pub(crate) fn set_carrier(&self, carrier: Option<Arc<Carrier>>) {
        self.private.carried.store(carrier.is_some(), Ordering::Release);
        *self.private.carrier.lock().unwrap_or_else(PoisonError::into_inner) = carrier;
    }

    /// Whether calls never wait.
    pub(crate) fn never_waits(&self) -> bool {
        self.private.never_waits.load(Ordering::Relaxed)
    }

    /// Says whether calls wait.
    pub(crate) fn set_never_waits(&self, never: bool) {
        let before = self.private.never_waits.swap(never, Ordering::Relaxed);
        match (before, never) {
            (false, true) => drop(NEVER_WAITING.fetch_add(1, Ordering::Relaxed)),
            (true, false) => drop(NEVER_WAITING.fetch_sub(1, Ordering::Relaxed)),
            _ => {}
        }
        if !never {
            *self.private.progress.lock().unwrap_or_else(PoisonError::into_inner) = None;
            self.private.opening.store(false, Ordering::Relaxed);
        }
    }

    /// What calls that do not wait have begun.
    pub(crate) fn progress<R>(&self, look: impl FnOnce(&mut Progress) -> R) -> R {
        let mut progress = self.private.progress.lock().unwrap_or_else(PoisonError::into_inner);
        let progress = progress.get_or_insert_default();
        let result = look(progress);
        self.private.opening.store(progress.is_opening(), Ordering::Relaxed);
        result
    }

    /// As [`Self::progress`], if the session never waits.
    pub(crate) fn progress_if_any(&self, change: impl FnOnce(&mut Progress)) {
        if self.never_waits() {
            self.progress(change);
        }
    }

    /// Counts a receive of this call; returns how many there were.
    pub(crate) fn count_receive(&self) -> u32 {
        let receives = self.receives.get() + 1;
        self.receives.set(receives);
        receives
    }

    /// The SWF file that a signed handshake vouches for, if the caller has one.
    pub(crate) fn swf(&self) -> Option<Swf> {
        // SAFETY: the handle stands for an `RTMP` that stays valid while it exists (`Handle::from_raw`).
        let (size, hash) = unsafe { ((*self.raw()).Link.SWFSize, (*self.raw()).Link.SWFHash) };
        (size != 0).then_some(Swf { size, hash })
    }

    /// Starts with bytes in the struct and without a cipher, whatever an earlier connection had.
    pub(crate) fn forget_session(&self) {
        // SAFETY: the handle's `RTMP` stays valid while the handle exists (`Handle::from_raw`); only the thread that
        // reads touches the buffer.
        unsafe { reservoir::release(&raw mut (*self.raw()).m_sb, &mut self.core().reservoir) }
        let session = &mut self.core().session;
        let is_starting = session.is_starting();
        *session = protocol::Session::default();
        session.set_starting(is_starting);
    }

    /// Shows what a handshake has agreed on.
    pub(crate) fn show_handshake(&self, encrypted: bool, swf_response: Option<handshake::Response>) {
        let r = self.raw();
        // SAFETY: the handle stands for an `RTMP` that stays valid while it exists (`Handle::from_raw`).
        unsafe {
            if let Some(response) = swf_response {
                (*r).Link.SWFVerificationResponse = response.map(|byte| byte as c_char);
            }
            if encrypted {
                // Callers look whether these are null, and at nothing behind them.
                let mark = (&raw mut (*r).Link.SWFVerificationResponse).cast();
                (*r).Link.dh = mark;
                (*r).Link.rc4keyIn = mark;
                (*r).Link.rc4keyOut = mark;
            }
        }
    }
}

/// Tells the program of a socket, in the thread that connects.
fn raise_socket(socket: BorrowedFd<'_>) -> Result<()> {
    let event = RTMPEvent { e_socket: socket::number_of(socket), ..RTMPEvent::of(RTMP_EVENT_SOCKET) };
    // SAFETY: the session of the call that this thread is in is initialised until the call returns (`reason::about`).
    let handle = unsafe { Handle::existing(reason::session()) };
    handle.map_or(Ok(()), |handle| handle.raise(&event))
}

/// How many sessions of this process never wait.
static NEVER_WAITING: AtomicUsize = AtomicUsize::new(0);

/// Drops what a session that never waits has not finished, before its memory is freed.
///
/// # Safety
/// `r` points to memory that was an initialised `RTMP` if there are sessions that never wait, and nobody uses it any more.
pub(super) unsafe fn forget_progress(r: *mut RTMP) {
    if NEVER_WAITING.load(Ordering::Relaxed) == 0 {
        return;
    }
    // SAFETY: `r` points to an initialised `RTMP`, by the Safety section.
    let handle = unsafe { Handle::existing(r) };
    if let Some(handle) = handle.filter(Handle::never_waits) {
        handle.give_up();
        handle.set_never_waits(false);
    }
}

impl Drop for Handle {
    /// The last call of a session that was closed cleans up. Without a connection a session owns nothing but options. If
    /// there are none either, callers that free the struct without `RTMP_Close`, because they never got a connection, lose
    /// nothing.
    fn drop(&mut self) {
        // SAFETY: the handle ends here, and nothing of it is used afterwards.
        let private = unsafe { ManuallyDrop::take(&mut self.private) };
        // SAFETY: the handle stands for an `RTMP` that stays valid while it exists (`Handle::from_raw`).
        let is_open = || unsafe { shared::read(&raw const (*self.raw()).m_sb.sb_socket) != -1 };
        let stays = || is_open() || private.never_waits.load(Ordering::Relaxed);
        if stays() && !private.has_retired.load(Ordering::Relaxed) {
            return;
        }
        let stays = stays();
        let settings = if stays { Settings::default() } else { private.settings() };
        let origin = settings.origin;
        let next = settings.is_needed().then(|| Arc::new(Private::with_settings(settings)));
        let keeper = self.gate().hold();
        // SAFETY: the handle stands for an `RTMP` that stays valid while it exists (`Handle::from_raw`).
        let on_slot = unsafe { hangs_on(self.raw(), &private, &keeper) };
        if Arc::strong_count(&private) != 1 + usize::from(on_slot) {
            // Before the gate is let go: of two calls that end at once, the second has to find itself the last.
            drop(private);
            drop(keeper);
            return;
        }
        let mut only = Some(private);
        if on_slot {
            // SAFETY: the handle's `RTMP` stays valid while the handle exists (`Handle::from_raw`); no other call is
            // using what hangs there.
            let other = unsafe { put(self.raw(), &keeper, None) };
            only = other;
        }
        let mut retired = Vec::new();
        let mut is_worn = false;
        // What other calls did with it is over.
        if let Some(private) = only.as_mut().and_then(Arc::get_mut) {
            *private.has_retired.get_mut() = false;
            retired = mem::take(private.retired.get_mut().unwrap_or_else(PoisonError::into_inner));
            is_worn = *private.closings.get_mut() > 0;
        }
        if on_slot {
            let (is_open, is_needed) = (stays || is_open(), next.is_some());
            if !is_open && !is_needed {
                // SAFETY: the handle's `RTMP` stays valid while the handle exists (`Handle::from_raw`); the connection
                // is gone, and no other call receives into the struct.
                unsafe { origin.put_into_struct(self.raw()) }
            }
            let keeps = is_open || (is_needed && !is_worn);
            let left = if keeps { only.take() } else { next };
            // SAFETY: the gate is held, and this is the only call that uses what hangs there.
            unsafe { put(self.raw(), &keeper, left) };
        }
        drop(keeper);
        drop((retired, only));
    }
}

/// Takes the socket and TLS off an `RTMP` that no other call uses.
///
/// # Safety
/// `r` points to an initialised `RTMP`.
pub(super) unsafe fn take_pipe(r: *mut RTMP) {
    // SAFETY: `r` points to an initialised `RTMP`, by the Safety section.
    let pipe = unsafe { sockbuf::take_pipe(&raw mut (*r).m_sb, &Gate::of(r).hold()) };
    pipe.say_goodbye();
}

/// Ends the waits of everybody who uses an `RTMP`, now and until it is closed.
///
/// # Safety
/// `r` points to an initialised `RTMP`.
pub(super) unsafe fn abort(r: *mut RTMP) {
    // SAFETY: `r` points to an initialised `RTMP`, by the Safety section.
    unsafe { Gate::of(r) }.abort();
}

/// Lets the calls of an `RTMP` work again.
///
/// # Safety
/// `r` points to an initialised `RTMP`.
pub(super) unsafe fn clear_abort(r: *mut RTMP) {
    // SAFETY: `r` points to an initialised `RTMP`, by the Safety section.
    unsafe { Gate::of(r) }.clear_abort();
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
