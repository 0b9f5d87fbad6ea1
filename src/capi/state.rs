//! Who owns what in the public structs, and the session behind an `RTMP`.
//!
//! Callers allocate the struct, read and write its fields between calls and clear it. So fields that both sides use
//! have no second copy: a step loads them, runs, and stores what it changed. What callers never see lives in
//! [`Private`], which hangs on a pointer of the struct that librtmp used for a table of its own.

use std::{
    os::fd::BorrowedFd,
    ptr::{self, NonNull},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError, TryLockError,
        atomic::{AtomicBool, AtomicPtr, Ordering},
    },
    time::Duration,
};

use libc::c_int;

use super::{
    calls::CallArray,
    line::{self, Line},
    log::Deferred,
    memory::{self, Body},
    ptr::aval_bytes,
    rtmp::{
        RTMP, RTMP_FEATURE_WRITE, RTMP_LF_AUTH, RTMP_LF_BUFX, RTMP_LF_LIVE, RTMP_LF_PLST, RTMP_LNK, close,
        connect, direct, sockbuf,
    },
    tls::TlsOptions,
};
use crate::{
    chunk::{Chunks, Decoder, Encoder},
    driver::{self, Connection, Parts},
    error::{Error, Result},
    flv::{self, Flags},
    handshake::{self, Cipher, Swf},
    session::{Profile, State},
    transport::{local::Local, tunnel::Tunnel},
};

/// How often one session logs in at most.
const MAX_LOGINS: u32 = 4;

/// What a session owns besides the fields of its `RTMP`.
#[derive(Default)]
pub(crate) struct Private {
    /// Held for short steps only, never while waiting.
    core: Mutex<Core>,
    /// Held by whoever sends, so that messages stay whole.
    outbound: Mutex<Outbound>,
    /// Held by the thread that reads, except while it waits.
    inbound: Mutex<Inbound>,
    /// Whether bytes came into the buffer after the last step that looked at it: there is no need to wait for more.
    refilled: AtomicBool,
    /// The HTTP tunnel, if bytes go through one. Has locks of its own.
    tunnel: Mutex<Option<Arc<Tunnel>>>,
    /// Whether this library made the connection, and may make another in its place.
    dialled: AtomicBool,
    settings: Mutex<Settings>,
    /// Where the struct was when it was last used: callers move it by assignment.
    home: AtomicPtr<RTMP>,
}

/// Options for which `Link` has no field. Text is copied. They are set before the connection, hold for every
/// connection after that, and go when the program calls `RTMP_Close`; a connection that fails by itself keeps them, so
/// that trying again does not leave by another way or trust another server than was asked for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Settings {
    /// Where connections leave from, and which addresses they may go to: the options `bind` and `ipv`.
    pub(crate) local: Local,
    /// Whom to trust: the options `tlsVerify` and `tlsCA`.
    pub(crate) tls: TlsOptions,
}

/// Protocol state that callers never see.
#[derive(Default)]
pub(crate) struct Core {
    pub(crate) decoder: Decoder<Body>,
    pub(crate) encoder: Encoder,
    /// Behind `m_read`: FLV bytes that were made but not read.
    pub(crate) stream: flv::Stream<Body>,
    /// Behind `m_write`: the tag that is being written.
    pub(crate) writer: flv::Writer<Body>,
    /// How often a server made this session log in.
    logins: u32,
}

/// What bytes pass on their way out: encryption, then the tunnel, then TLS, then the socket.
#[derive(Default)]
struct Outbound {
    /// Encrypts, after an RTMPE handshake.
    cipher: Option<Cipher>,
    /// Memory for putting pieces together.
    scratch: Vec<u8>,
    /// Memory for a message as a whole: the pieces that are sent belong to somebody else.
    whole: Vec<u8>,
}

/// What bytes pass on their way in.
#[derive(Default)]
struct Inbound {
    /// Decrypts, after an RTMPE handshake.
    cipher: Option<Cipher>,
}

/// An `RTMP` in use by an exported function.
pub(crate) struct Handle {
    raw: NonNull<RTMP>,
    private: Arc<Private>,
}

/// A `State` field's form in the C struct.
trait Shared<C>: Copy {
    fn load(stored: C) -> Self;
    fn store(self) -> C;
}

macro_rules! shared_as_is {
    ($($type:ty),*) => { $(impl Shared<$type> for $type {
        fn load(stored: $type) -> Self {
            stored
        }
        fn store(self) -> $type {
            self
        }
    })* };
}
shared_as_is!(i32, u32, u8, f64);

impl Shared<c_int> for u32 {
    fn load(stored: c_int) -> Self {
        stored.cast_unsigned()
    }
    fn store(self) -> c_int {
        self.cast_signed()
    }
}

impl Shared<u8> for bool {
    fn load(stored: u8) -> Self {
        stored != 0
    }
    fn store(self) -> u8 {
        u8::from(self)
    }
}

/// The session's words for the fields that it shares with callers.
macro_rules! shared_fields {
    ($($field:ident: $($name:ident).+;)*) => {
        /// Reads the fields that a step works with.
        ///
        /// # Safety
        /// `raw` points to an initialised `RTMP`.
        unsafe fn load(raw: *mut RTMP) -> State {
            // SAFETY: the caller's contract; fields are plain numbers, read one by one.
            unsafe {
                State {
                    $($field: Shared::load((*raw).$($name).+),)*
                    seeking: (*raw).m_read.flags & Flags::SEEKING.0 != 0,
                }
            }
        }

        /// Writes the fields that a step changed, and leaves the others to whoever writes them meanwhile.
        ///
        /// # Safety
        /// `raw` points to an initialised `RTMP`.
        unsafe fn store(raw: *mut RTMP, before: &State, after: &State) {
            $(if after.$field != before.$field {
                // SAFETY: the caller's contract.
                unsafe { (*raw).$($name).+ = Shared::store(after.$field) };
            })*
            if after.seeking != before.seeking {
                // SAFETY: the caller's contract.
                let flags = unsafe { &mut (*raw).m_read.flags };
                *flags = if after.seeking { *flags | Flags::SEEKING.0 } else { *flags & !Flags::SEEKING.0 };
            }
        }
    };
}

shared_fields! {
    in_chunk_size: m_inChunkSize;
    out_chunk_size: m_outChunkSize;
    bandwidth_checks: m_nBWCheckCounter;
    bytes_in: m_nBytesIn;
    acknowledged: m_nBytesInSent;
    buffer_ms: m_nBufferMS;
    stream_id: m_stream_id;
    media_chunk_stream: m_mediaChannel;
    media_timestamp: m_mediaStamp;
    pause_timestamp: m_pauseStamp;
    pausing: m_pausing;
    window_size: m_nServerBW;
    peer_bandwidth: m_nClientBW;
    peer_bandwidth_limit: m_nClientBW2;
    playing: m_bPlaying;
    sends_encoding: m_bSendEncoding;
    acknowledges: m_bSendCounter;
    transactions: m_numInvokes;
    audio_codecs: m_fAudioCodecs;
    video_codecs: m_fVideoCodecs;
    object_encoding: m_fEncoding;
    duration: m_fDuration;
    media_types: m_read.dataType;
}

/// The owner of every field. Never called: a field that is added does not compile until it has its place here.
#[expect(dead_code, reason = "a table for readers and the compiler")]
fn owners(rtmp: &RTMP) {
    let RTMP {
        // Shared: the table above loads and stores them.
        m_inChunkSize: _,
        m_outChunkSize: _,
        m_nBWCheckCounter: _,
        m_nBytesIn: _,
        m_nBytesInSent: _,
        m_nBufferMS: _,
        m_stream_id: _,
        m_mediaChannel: _,
        m_mediaStamp: _,
        m_pauseStamp: _,
        m_pausing: _,
        m_nServerBW: _,
        m_nClientBW: _,
        m_nClientBW2: _,
        m_bPlaying: _,
        m_bSendEncoding: _,
        m_bSendCounter: _,
        m_numInvokes: _,
        m_fAudioCodecs: _,
        m_fVideoCodecs: _,
        m_fEncoding: _,
        m_fDuration: _,
        // Shared: `calls` works in place on the array, which callers may free entries of.
        m_numCalls: _,
        m_methodCalls: _,
        // Mirror: written for each message that arrived, never read.
        m_channelsAllocatedIn: _,
        m_channelTimestamp: _,
        // Unused; always null.
        m_vecChannelsIn: _,
        // Private: the slot of `Private`, and 0 to guard it.
        m_vecChannelsOut: _,
        m_channelsAllocatedOut: _,
        // Mirrors of the tunnel's state.
        m_msgCounter: _,
        m_polling: _,
        m_resplen: _,
        m_unackd: _,
        m_clientID: _,
        // Shared, see `stream_io`; `buf` and what belongs to it mirror `Core::stream`.
        m_read: _,
        // Mirror of `Core::writer`.
        m_write: _,
        // Shared: `sockbuf` works in place, callers watch how much is unread.
        m_sb: _,
        // Written by the caller before the connection, read when needed; `close` frees what flags say is ours.
        Link: _,
    } = rtmp;
}

impl Private {
    fn settings(&self) -> Settings {
        self.settings.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Handle {
    /// The session of an `RTMP`, made on first use.
    ///
    /// # Safety
    /// `r` is null or points to an initialised `RTMP` that stays where it is while the handle is used.
    pub(crate) unsafe fn from_raw(r: *mut RTMP) -> Result<Self> {
        let raw = NonNull::new(r).ok_or(Error::Invalid("the RTMP pointer is NULL"))?;
        // SAFETY: the caller's contract.
        let private = match unsafe { attached(r) } {
            Some(private) => private,
            None => {
                let private = Arc::<Private>::default();
                // SAFETY: the caller's contract; the slot is empty.
                unsafe {
                    (*r).m_vecChannelsOut = Arc::into_raw(private.clone()).cast_mut().cast();
                    (*r).m_channelsAllocatedOut = 0;
                }
                private
            }
        };
        let home = private.home.swap(r, Ordering::Relaxed);
        if home != r && !home.is_null() {
            // SAFETY: the caller's contract.
            unsafe { sockbuf::follow(&raw mut (*r).m_sb, home.addr(), r.addr()) }
        }
        Ok(Self { raw, private })
    }

    /// The struct itself, for fields that no step touches.
    pub(crate) fn raw(&self) -> *mut RTMP {
        self.raw.as_ptr()
    }

    /// Protocol state, for the length of a step.
    pub(crate) fn core(&self) -> MutexGuard<'_, Core> {
        self.private.core.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Options that `Link` has no field for.
    pub(crate) fn settings(&self) -> Settings {
        self.private.settings()
    }

    /// Changes options that `Link` has no field for.
    pub(crate) fn change_settings<R>(&self, change: impl FnOnce(&mut Settings) -> R) -> R {
        change(&mut self.private.settings.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// The socket, while there is one.
    pub(crate) fn socket(&self) -> Result<BorrowedFd<'_>> {
        // SAFETY: the handle's contract; the descriptor is open as long as the caller leaves it so.
        unsafe {
            match (*self.raw()).m_sb.sb_socket {
                -1 => Err(Error::NotConnected),
                fd => sockbuf::borrow(fd),
            }
        }
    }

    /// As `from_raw`, and there has to be a connection.
    ///
    /// # Safety
    /// As for `from_raw`.
    pub(crate) unsafe fn connected(r: *mut RTMP) -> Result<Self> {
        // SAFETY: the caller's contract.
        let socket = (!r.is_null()).then(|| unsafe { (*r).m_sb.sb_socket });
        if socket == Some(-1) {
            return Err(Error::NotConnected);
        }
        // SAFETY: the caller's contract.
        let handle = unsafe { Self::from_raw(r) }?;
        if handle.private.core.is_poisoned() {
            // A panic left the protocol state half done. That is the end of this session, and of nothing else.
            handle.give_up();
            return Err(Error::NotConnected);
        }
        Ok(handle)
    }

    /// Whether the last wait for bytes ended because time was up.
    pub(crate) fn timed_out(&self) -> bool {
        // SAFETY: the handle's contract.
        unsafe { (*self.raw()).m_sb.sb_timedout != 0 }
    }

    /// How long a wait may last; `None` for ever.
    pub(crate) fn timeout(&self) -> Option<Duration> {
        // SAFETY: the handle's contract.
        let seconds = unsafe { (*self.raw()).Link.timeout };
        u64::try_from(seconds).ok().filter(|seconds| *seconds > 0).map(Duration::from_secs)
    }

    fn outbound(&self) -> MutexGuard<'_, Outbound> {
        self.private.outbound.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn inbound(&self) -> MutexGuard<'_, Inbound> {
        self.private.inbound.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts an attempt to log in. Servers need two; one that always asks again must not keep the caller busy.
    pub(crate) fn count_login(&self) -> Result<()> {
        let logins = &mut self.core().logins;
        *logins += 1;
        if *logins > MAX_LOGINS {
            Err(Error::Invalid("the server asks to log in again and again"))
        } else {
            Ok(())
        }
    }

    /// Whether this library made the connection.
    pub(crate) fn is_dialled(&self) -> bool {
        self.private.dialled.load(Ordering::Relaxed)
    }

    /// Says who made the connection.
    pub(crate) fn set_dialled(&self, dialled: bool) {
        self.private.dialled.store(dialled, Ordering::Relaxed);
    }

    /// The HTTP tunnel, if bytes go through one.
    pub(crate) fn tunnel(&self) -> Option<Arc<Tunnel>> {
        self.private.tunnel.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Sends everything from now on through a tunnel, or no longer.
    pub(crate) fn set_tunnel(&self, tunnel: Option<Arc<Tunnel>>) {
        *self.private.tunnel.lock().unwrap_or_else(PoisonError::into_inner) = tunnel;
    }

    /// The SWF file that a signed handshake vouches for, if the caller has one.
    pub(crate) fn swf(&self) -> Option<Swf> {
        // SAFETY: the handle's contract.
        let (size, hash) = unsafe { ((*self.raw()).Link.SWFSize, (*self.raw()).Link.SWFHash) };
        (size != 0).then_some(Swf { size, hash })
    }

    /// Starts from clear bytes, whatever an earlier handshake agreed on.
    pub(crate) fn forget_ciphers(&self) {
        self.inbound().cipher = None;
        self.outbound().cipher = None;
    }

    /// Applies what a handshake agreed on to everything after it, what is received and unread already included.
    pub(crate) fn apply(&self, outcome: handshake::Outcome) {
        let r = self.raw();
        // SAFETY: the handle's contract.
        unsafe {
            if let Some(response) = outcome.swf_response {
                (*r).Link.SWFVerificationResponse = response.map(u8::cast_signed);
            }
            let Some(handshake::Keys { mut receive, send }) = outcome.keys else { return };
            receive.apply(sockbuf::newest(&raw mut (*r).m_sb, usize::MAX));
            self.inbound().cipher = Some(receive);
            self.outbound().cipher = Some(send);
            // Callers look whether these are null, and at nothing behind them.
            let mark = (&raw mut (*r).Link.SWFVerificationResponse).cast();
            (*r).Link.dh = mark;
            (*r).Link.rc4keyIn = mark;
            (*r).Link.rc4keyOut = mark;
        }
    }

    /// Runs a step with what the session owns; tells how much of `input` it used.
    fn run<R>(&self, input: &[u8], step: impl FnOnce(&mut Parts<'_, '_, Body>) -> R) -> (R, usize) {
        let _deferred = Deferred::begin();
        let mut core = self.core();
        let Core { decoder, encoder, .. } = &mut *core;
        let raw = self.raw();
        // SAFETY: the handle's contract; the lock keeps other steps out, and callers do not free what the session
        // works with while a call is running.
        unsafe {
            let before = load(raw);
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
            store(raw, &before, &state);
            (result, consumed)
        }
    }

    /// Sends pieces in order.
    fn send_pieces<'p>(&self, pieces: impl Iterator<Item = &'p [u8]>, outbound: &mut Outbound) -> Result<()> {
        // SAFETY: the handle's contract; the descriptor is open as long as the caller leaves it so.
        let sb = unsafe { &raw const (*self.raw()).m_sb };
        let Outbound { cipher, scratch, whole } = outbound;
        let tunnel = self.tunnel();
        if cipher.is_none() && tunnel.is_none() {
            // SAFETY: as above.
            return unsafe { sockbuf::send_all(sb, pieces, scratch) };
        }
        whole.clear();
        pieces.for_each(|piece| whole.extend_from_slice(piece));
        if let Some(cipher) = cipher {
            cipher.apply(whole);
        }
        let Some(tunnel) = tunnel else {
            // SAFETY: as above.
            return unsafe { sockbuf::send_all(sb, std::iter::once(&whole[..]), scratch) };
        };
        let result = tunnel.send(&Line(self), &[whole]);
        line::show(self, &tunnel.status());
        result
    }

    /// Receives into the body of the message that is arriving. `None` if there is none, or if its bytes have to pass
    /// something on their way.
    fn fill_body(&self, whole: bool) -> Option<Result<()>> {
        // SAFETY: the handle's contract; only the thread that reads touches the buffer.
        let (sb, clear) = unsafe {
            let sb = &raw mut (*self.raw()).m_sb;
            (sb, (*sb).sb_ssl.is_null() && sockbuf::extent(sb).1 == 0)
        };
        if !clear || self.inbound().cipher.is_some() {
            return None;
        }
        // SAFETY: the handle's contract.
        let chunk_size = unsafe { driver::chunk_size((*self.raw()).m_inChunkSize) };
        let mut loan = self.core().decoder.lend(chunk_size)?;
        // SAFETY: the handle's contract; only the thread that reads touches the buffer, which was found empty.
        let result = unsafe { direct::receive(sb, &mut loan, whole) };
        let arrived = *result.as_ref().unwrap_or(&direct::Arrived::default());
        let mut core = self.core();
        core.decoder.give_back(loan, arrived.chunks);
        // SAFETY: the handle's contract; the lock keeps steps out.
        unsafe {
            let count = &raw mut (*self.raw()).m_nBytesIn;
            *count = (*count).wrapping_add(arrived.used as c_int);
        }
        Some(result.map(|_| ()))
    }

    /// Undoes what the peer did to bytes that have just arrived, the last of those unread.
    fn receive_newest(&self, count: usize) {
        if count > 0
            && let Some(cipher) = &mut self.inbound().cipher
        {
            // SAFETY: the handle's contract; only the thread that reads touches the buffer.
            cipher.apply(unsafe { sockbuf::newest(&raw mut (*self.raw()).m_sb, count) });
        }
    }
}

impl Drop for Handle {
    /// Without a connection a session owns nothing but options. If there are none either, callers that free the struct
    /// without `RTMP_Close`, because they never got a connection, lose nothing.
    fn drop(&mut self) {
        // The slot's reference and this one: no other call is using it.
        let alone = || Arc::strong_count(&self.private) == 2;
        if !self.is_open() && alone() && self.settings() == Settings::default() {
            // SAFETY: the handle's contract.
            unsafe { detach(self.raw()) }
        }
    }
}

impl Connection for Handle {
    type Body = Body;

    fn step<R>(&self, step: impl FnOnce(&mut Parts<'_, '_, Body>) -> R) -> R {
        self.run(&[], step).0
    }

    fn reading_step<R>(&self, step: impl FnOnce(&mut Parts<'_, '_, Body>) -> R) -> R {
        // SAFETY: the handle's contract; only the thread that reads touches the buffer.
        unsafe {
            let buffer = &raw mut (*self.raw()).m_sb;
            let (result, consumed) = self.run(sockbuf::unread(buffer), step);
            sockbuf::consume(buffer, consumed);
            let refilled = sockbuf::refill_from_pending(buffer);
            if refilled > 0 {
                self.receive_newest(refilled);
                self.private.refilled.store(true, Ordering::Relaxed);
            }
            result
        }
    }

    fn fill(&self, whole: bool) -> Result<()> {
        if self.private.refilled.swap(false, Ordering::Relaxed) {
            return Ok(());
        }
        let tunnel = self.tunnel();
        if tunnel.is_none()
            && let Some(result) = self.fill_body(whole)
        {
            return result;
        }
        // SAFETY: the handle's contract; only the thread that reads touches the buffer.
        let count = unsafe {
            let sb = &raw mut (*self.raw()).m_sb;
            match tunnel {
                None => sockbuf::fill(sb, |room| sockbuf::receive_into(sb, room)),
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
        self.send_pieces(chunks.pieces(), &mut outbound)
    }

    fn try_transmit<'m>(
        &self,
        encode: impl FnOnce(&mut Parts<'_, '_, Body>) -> Result<Chunks<'m>>,
    ) -> Option<Result<()>> {
        let _deferred = Deferred::begin();
        let mut outbound = match self.private.outbound.try_lock() {
            Ok(outbound) => outbound,
            Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner(),
            Err(TryLockError::WouldBlock) => return None,
        };
        let chunks = self.step(encode);
        Some(chunks.and_then(|chunks| self.send_pieces(chunks.pieces(), &mut outbound)))
    }

    fn transmit_bytes(&self, pieces: &[&[u8]]) -> Result<()> {
        let _deferred = Deferred::begin();
        self.send_pieces(pieces.iter().copied(), &mut self.outbound())
    }

    fn is_open(&self) -> bool {
        // SAFETY: the handle's contract.
        unsafe { (*self.raw()).m_sb.sb_socket != -1 }
    }

    fn close(&self) {
        close::close(self, close::Manner::Polite);
    }

    fn give_up(&self) {
        close::close(self, close::Manner::Abrupt);
    }

    fn reconnect(&self, token: &[u8]) -> Result<()> {
        connect::log_in(self, token)
    }

    fn arrived(&self, chunk_stream: u32, timestamp: u32) {
        // SAFETY: the handle's contract.
        unsafe { mirror_timestamp(self.raw(), chunk_stream as usize, timestamp) }
    }
}

/// The private state on an `RTMP`'s slot, if there is any.
///
/// # Safety
/// `r` points to an initialised `RTMP`.
unsafe fn attached(r: *mut RTMP) -> Option<Arc<Private>> {
    // SAFETY: the caller's contract; a slot that is not null, guarded by a count of 0, was filled by
    // `Handle::from_raw` and holds a reference of its own.
    unsafe {
        let slot = (*r).m_vecChannelsOut.cast::<Private>().cast_const();
        if slot.is_null() || (*r).m_channelsAllocatedOut != 0 {
            return None;
        }
        Arc::increment_strong_count(slot);
        Some(Arc::from_raw(slot))
    }
}

/// Options that `Link` has no field for.
///
/// # Safety
/// `r` points to an initialised `RTMP`.
pub(crate) unsafe fn settings(r: *mut RTMP) -> Settings {
    // SAFETY: the caller's contract.
    let private = unsafe { attached(r) };
    private.map(|private| private.settings()).unwrap_or_default()
}

/// Takes the private state off an `RTMP`; calls that are running keep it alive until they return.
///
/// # Safety
/// `r` points to an initialised `RTMP`.
pub(crate) unsafe fn detach(r: *mut RTMP) {
    // SAFETY: the caller's contract; the slot's own reference goes with it.
    unsafe {
        if let Some(private) = attached(r) {
            Arc::decrement_strong_count(Arc::as_ptr(&private));
        }
        (*r).m_vecChannelsOut = ptr::null_mut();
        (*r).m_channelsAllocatedOut = 0;
    }
}

/// What `Link` says about the connection.
///
/// # Safety
/// The strings of `link` are readable for their lengths while the result is used.
unsafe fn profile<'a>(link: &RTMP_LNK) -> Profile<'a> {
    let flag = |flag| link.lFlags & flag != 0;
    // SAFETY: the caller's contract.
    let bytes = |value| unsafe { aval_bytes(value) };
    Profile {
        publish: link.protocol & RTMP_FEATURE_WRITE != 0,
        live: flag(RTMP_LF_LIVE),
        playlist: flag(RTMP_LF_PLST),
        buffer_events: flag(RTMP_LF_BUFX),
        app: bytes(&link.app),
        tc_url: bytes(&link.tcUrl),
        flash_version: bytes(&link.flashVer),
        swf_url: bytes(&link.swfUrl),
        page_url: bytes(&link.pageUrl),
        stream_name: bytes(&link.playpath),
        auth: bytes(&link.auth),
        auth_flag: flag(RTMP_LF_AUTH),
        subscribe_name: bytes(&link.subscribepath),
        usher_token: bytes(&link.usherToken),
        secure_token: bytes(&link.token),
        user: bytes(&link.pubUser),
        password: bytes(&link.pubPasswd),
        swf_verification: (link.SWFSize != 0).then(|| {
            // SAFETY: the caller's contract; signed and unsigned bytes are laid out alike.
            unsafe { &*(&raw const link.SWFVerificationResponse).cast() }
        }),
        start_ms: link.seekTime,
        stop_ms: link.stopTime,
    }
}

/// Shows callers the timestamp of the last message of each chunk stream; the array grows as librtmp's did.
///
/// # Safety
/// `r` points to an initialised `RTMP`.
unsafe fn mirror_timestamp(r: *mut RTMP, chunk_stream: usize, timestamp: u32) {
    // SAFETY: the caller's contract; the array has `m_channelsAllocatedIn` entries and comes from the C allocator.
    unsafe {
        let allocated = usize::try_from((*r).m_channelsAllocatedIn).unwrap_or(0);
        if chunk_stream >= allocated {
            let wanted = (chunk_stream + 10).max(allocated * 2);
            let Ok(grown) = memory::grow_zeroed((*r).m_channelTimestamp, allocated, wanted) else { return };
            (*r).m_channelTimestamp = grown;
            (*r).m_channelsAllocatedIn = wanted as c_int;
        }
        *(*r).m_channelTimestamp.add(chunk_stream) = timestamp.cast_signed();
    }
}
