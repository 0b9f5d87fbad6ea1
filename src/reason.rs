//! Why calls fail: the values that `RTMP_GetLastError` and `RTMP_GetErrorString` return afterwards.
//!
//! The reason has to outlive the connection, which a failure usually closes, and the private state with it. If that state were
//! kept, every program that clears or frees its struct after a failure without `RTMP_Close` would leak memory. Many programs do
//! so, and may: for example, an encoder that retries every second for a year. So the struct itself holds the code and a number,
//! in `Link.pFlags`, which has no other use. A table of fixed size has the texts of the process's last failures, and the number
//! identifies a text. Nothing has to be freed, and both stay with a struct that is moved. A reason whose text has been
//! displaced, by [`KEPT`] later ones, is described by its code alone.
//!
//! [`boundary`](super::boundary::boundary) is the only place where errors become reasons. Functions on the way set the session
//! of a call ([`use_session`]); the [`Failure`] that they return contains the phase of the call.

use std::{
    cell::{Cell, RefCell},
    fmt, ptr,
    sync::{
        Mutex, MutexGuard, OnceLock, PoisonError,
        atomic::{AtomicI32, AtomicUsize, Ordering},
    },
};

use rtmp_core::{
    error::{Error, Result},
    session::{self, packet_log},
};

use super::{
    gate::Gate,
    rtmp::RTMP,
    valid::{Rtmp, field},
};

/// The phase of a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Phase {
    /// A phase without a name.
    Call,
    Url,
    Option,
    Lookup,
    Connect,
    Proxy,
    Tls,
    Tunnel,
    Handshake,
    /// The phases that the connection reports itself.
    Stream(session::Phase),
    Reading,
    /// Parsing an FLV file.
    Flv,
}

impl Phase {
    pub(crate) const CONNECT_COMMAND: Self = Self::Stream(session::Phase::Connect);
    pub(crate) const SENDING: Self = Self::Stream(session::Phase::Sending);
}

/// Makes the constants of the header, and the texts for reasons without a more precise one.
macro_rules! codes {
    ($($(#[$doc:meta])* $variant:ident = $value:literal, $name:literal, $text:literal;)*) => {
        /// Why a call failed, as programs see it. Values never change.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        #[repr(u8)]
        pub(crate) enum Code {
            $($(#[$doc])* $variant = $value,)*
        }

        impl Code {
            /// The code with this value.
            fn from_value(value: u32) -> Option<Self> {
                match value {
                    $($value => Some(Self::$variant),)*
                    _ => None,
                }
            }

            fn text(self) -> &'static str {
                match self {
                    $(Self::$variant => $text,)*
                }
            }
        }

        /// Names in the header, and values.
        #[cfg(test)]
        const NAMES: &[(&str, u32)] = &[$(($name, $value)),*];
    };
}

codes! {
    None = 0, "RTMP_ERR_NONE", "";
    Ended = 1, "RTMP_ERR_ENDED", "the stream has ended";
    Argument = 2, "RTMP_ERR_ARGUMENT", "invalid argument";
    Memory = 3, "RTMP_ERR_MEMORY", "out of memory";
    Url = 4, "RTMP_ERR_URL", "the URL cannot be used";
    Option = 5, "RTMP_ERR_OPTION", "an option cannot be used";
    NotConnected = 6, "RTMP_ERR_NOT_CONNECTED", "there is no connection";
    Resolve = 7, "RTMP_ERR_RESOLVE", "the host has no address";
    Connect = 8, "RTMP_ERR_CONNECT", "the host was not reached";
    Proxy = 9, "RTMP_ERR_PROXY", "the proxy did not connect";
    Tls = 10, "RTMP_ERR_TLS", "TLS failed";
    Handshake = 11, "RTMP_ERR_HANDSHAKE", "the handshake failed";
    Refused = 12, "RTMP_ERR_REFUSED", "the peer refused";
    TimedOut = 13, "RTMP_ERR_TIMEDOUT", "timed out";
    Closed = 14, "RTMP_ERR_CLOSED", "the peer closed the connection";
    Io = 15, "RTMP_ERR_IO", "the operating system refused";
    Malformed = 16, "RTMP_ERR_MALFORMED", "the peer sent something malformed";
    TooLarge = 17, "RTMP_ERR_TOO_LARGE", "something is too large";
    Flv = 18, "RTMP_ERR_FLV", "malformed FLV";
    Resume = 19, "RTMP_ERR_RESUME", "the stream does not go on where the file ends";
    Joined = 20, "RTMP_ERR_JOINED", "the connection belongs to a session that is served already";
    Interrupted = 21, "RTMP_ERR_INTERRUPTED", "interrupted";
    /// For calls that another thread aborts.
    Aborted = 22, "RTMP_ERR_ABORTED", "aborted";
    Unsupported = 23, "RTMP_ERR_UNSUPPORTED", "not supported";
    Internal = 24, "RTMP_ERR_INTERNAL", "internal error, the call was given up";
    Again = 25, "RTMP_ERR_AGAIN", "the call would have to wait";
}

/// A text with C's NUL at its end.
pub(crate) type Text = [u8; TEXT_LEN];

/// The size of a text. The longest of the library's own texts say why a certificate is refused, and how to proceed.
pub(crate) const TEXT_LEN: usize = 512;

/// The number of texts. A program asks right after a call, so it loses a text only if other threads fail this many times in
/// between.
const KEPT: usize = 256;

/// The texts of the last failures.
static TEXTS: Mutex<Texts> = Mutex::new(Texts { newest: 0, kept: [([0; TEXT_LEN], 0); KEPT] });

struct Texts {
    /// The number of the newest text.
    newest: u32,
    /// Each text, and the operating system's error or 0, is at its number, modulo their count.
    kept: [(Text, i32); KEPT],
}

impl Texts {
    fn add(&mut self, text: Text, system_code: i32) -> u32 {
        // 0 means that there is no text.
        self.newest = self.newest % MAX_NUMBER + 1;
        self.kept[self.newest as usize % KEPT] = (text, system_code);
        self.newest
    }

    fn get(&self, number: u32) -> Option<(Text, i32)> {
        let later = self.newest.checked_sub(number)?;
        (number > 0 && (later as usize) < KEPT).then(|| self.kept[number as usize % KEPT])
    }
}

/// The number of bits of the field that contain the code; the others contain the number of the text.
const CODE_BITS: u32 = 6;
/// The largest number of a text. The next number after it is 1.
const MAX_NUMBER: u32 = u32::MAX >> CODE_BITS;

/// Why a call fails, and in which phase.
#[derive(Debug)]
pub(crate) struct Failure {
    error: Error,
    phase: Phase,
    /// The length of the first chunk of the message that could not be sent.
    first_chunk: usize,
}

impl Failure {
    pub(crate) fn new(error: Error, phase: Phase) -> Self {
        Self { error, phase, first_chunk: 0 }
    }

    /// There is no connection to send a message on, whose first chunk would have this length.
    pub(crate) fn unsent(error: Error, first_chunk: usize) -> Self {
        Self { error, phase: Phase::SENDING, first_chunk }
    }

    /// Whether the call would have to wait, and its session does not.
    pub(crate) fn is_again(&self) -> bool {
        match &self.error {
            Error::Reported(cause) => matches!(**cause, Error::Again),
            error => matches!(error, Error::Again),
        }
    }

    pub(crate) fn error(&self) -> &Error {
        &self.error
    }

    /// The same for a later call, without logging it again.
    pub(crate) fn reported(self) -> Self {
        Self { error: self.error.reported(), ..self }
    }

    pub(crate) fn into_parts(self) -> (Error, Phase) {
        (self.error, self.phase)
    }

    /// Logs it, unless it was already logged, as librtmp does when a call finds no connection: people search for these words.
    pub(crate) fn log(&self) {
        match (&self.error, self.phase) {
            (Error::Reported(_) | Error::Again, _) => {}
            (error @ Error::NotConnected, Phase::Reading) => {
                log::error!("RTMP_ReadPacket, failed to read RTMP packet header: {error}");
            }
            (error @ Error::NotConnected, Phase::SENDING) => {
                packet_log::log_failed_send(error, self.first_chunk)
            }
            (error, _) => log::error!("{error}"),
        }
    }

    /// Stores it as the reason why the call fails.
    pub(crate) fn keep(&self) {
        let Self { error, phase, .. } = self;
        if self.is_again() {
            return keep_again();
        }
        let phase = phase_of(error, *phase);
        match code_of(error, phase) {
            Code::Interrupted if is_aborted() => keep_text(Code::Aborted, phase, 0, "aborted"),
            code => keep_text(code, phase, error.os_code().unwrap_or(0), &words_of(error, phase)),
        }
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::new(error, Phase::Call)
    }
}

/// Adds the phase of a call to a failure.
pub(crate) trait During<T> {
    /// The same, as the failure of a call in `phase`.
    fn during(self, phase: Phase) -> Result<T, Failure>;
}

impl<T> During<T> for Result<T> {
    fn during(self, phase: Phase) -> Result<T, Failure> {
        self.map_err(|error| Failure::new(error, phase))
    }
}

thread_local! {
    /// The session of the innermost call of this thread, or null. The log uses it, because its callback may call the library,
    /// too.
    static SESSION: Cell<*mut RTMP> = const { Cell::new(ptr::null_mut()) };
}

/// A running exported function. Its end resets the session of the call.
pub(super) struct Scope(*mut RTMP);

impl Scope {
    pub(super) fn begin() -> Self {
        Self(SESSION.replace(ptr::null_mut()))
    }
}

/// A function to call after a call with a session.
type Follow = fn(Rtmp<'_>);

/// Set when such a function is registered.
static FOLLOW: OnceLock<Follow> = OnceLock::new();

/// Registers `follow` to be called after every call with a session. It is always the same function.
#[cfg(any(target_os = "linux", target_os = "android"))]
pub(super) fn follow_calls_with(follow: Follow) {
    let _ = FOLLOW.set(follow);
}

/// Whether something follows calls.
pub(super) fn has_followers() -> bool {
    FOLLOW.get().is_some()
}

impl Drop for Scope {
    fn drop(&mut self) {
        if let (true, Some(session), Some(follow)) = (self.0.is_null(), session(), FOLLOW.get()) {
            follow(session);
        }
        SESSION.set(self.0);
    }
}

/// The number of log lines that are being delivered to the program, in all threads.
static REPORTS: AtomicUsize = AtomicUsize::new(0);

thread_local! {
    /// The sessions for which this thread has interrupted a call to report something.
    static TOLD: RefCell<Vec<*mut RTMP>> = const { RefCell::new(Vec::new()) };
}

/// A log line that is being delivered to the program. Its callback may use the library meanwhile, but not the session of the
/// call that reports, because that call has not finished.
pub(super) struct Report {
    /// The number of sessions before, if this report added one.
    before: Option<usize>,
}

impl Report {
    pub(super) fn begin() -> Self {
        Self::about(SESSION.get())
    }

    /// As `begin`, for this session.
    pub(super) fn about(session: *mut RTMP) -> Self {
        if session.is_null() {
            return Self { before: None };
        }
        let add = |told: &RefCell<Vec<*mut RTMP>>| {
            let mut told = told.try_borrow_mut().ok()?;
            told.push(session);
            Some(told.len() - 1)
        };
        let before = TOLD.try_with(add).ok().flatten();
        if before.is_some() {
            REPORTS.fetch_add(1, Ordering::Relaxed);
        }
        Self { before }
    }
}

impl Drop for Report {
    fn drop(&mut self) {
        if let Some(before) = self.before {
            let _ = TOLD.try_with(|told| told.try_borrow_mut().map(|mut told| told.truncate(before)));
            REPORTS.fetch_sub(1, Ordering::Relaxed);
        }
    }
}

/// Whether any thread reports something: then calls have to find out whether it is this one, as [`use_session`] does.
#[inline(always)]
pub(super) fn is_reporting() -> bool {
    REPORTS.load(Ordering::Relaxed) != 0
}

/// Whether this thread is in the log callback of a call with a session for which `matches` is true.
pub(super) fn is_told(matches: impl Fn(*mut RTMP) -> bool) -> bool {
    let any = |told: &RefCell<Vec<*mut RTMP>>| told.borrow().iter().any(|session| matches(*session));
    is_reporting() && TOLD.try_with(any).unwrap_or(false)
}

/// The session of the innermost call of this thread. The result is used during that call.
pub(super) fn session<'a>() -> Option<Rtmp<'a>> {
    // SAFETY: the session of a call is initialised until the call returns: it is a parameter of an exported function (`look_at`).
    unsafe { Rtmp::new(SESSION.get()) }
}

/// The error of a call that comes from inside the log callback of another one with the same session. It is not logged, because
/// that would call the callback again, and so on.
pub(super) fn refusal() -> Error {
    Error::Invalid("the session is in the call whose log callback this is").reported()
}

/// Sets the session of the exported function, whose parameter this is; an error if it is null, or if it is in a call of this
/// thread.
pub(crate) fn use_session(r: Option<Rtmp<'_>>) -> Result<Rtmp<'_>> {
    let session = look_at(r)?;
    if is_told(|told| told == session.as_ptr()) { Err(refusal()) } else { Ok(session) }
}

/// An argument of a call with a session, for calls that look at the session later: the reason why it is invalid is stored.
pub(crate) fn argument<T>(r: Option<Rtmp<'_>>, argument: Result<T>) -> Result<T> {
    if argument.is_err() {
        use_session(r)?;
    }
    argument
}

/// As [`use_session`], for functions that only read, and may be called in a callback of the same session.
pub(crate) fn look_at(r: Option<Rtmp<'_>>) -> Result<Rtmp<'_>> {
    let session = r.ok_or(Error::Invalid(NO_SESSION))?;
    SESSION.set(session.as_ptr());
    Ok(session)
}

/// As [`use_session`], and resets the reason of earlier calls, because a connection begins.
pub(crate) fn start_afresh(r: Option<Rtmp<'_>>) -> Result<Rtmp<'_>> {
    let session = use_session(r)?;
    field_of(session).store(0, Ordering::Relaxed);
    Ok(session)
}

/// Whether the program has aborted the calls of this session.
fn is_aborted() -> bool {
    session().is_some_and(|session| Gate::of(session).is_aborted())
}

/// Stores a reason that is not an error, or one without a name.
pub(crate) fn keep_as(code: Code, phase: Phase, words: impl fmt::Display) {
    keep_text(code, phase, 0, &words.to_string());
}

/// Keeps that a call would have to wait. Programs meet it with almost every message: it displaces no text, and its own is the
/// code's.
fn keep_again() {
    if let Some(field) = field() {
        field.store(Code::Again as i32, Ordering::Relaxed);
    }
}

fn keep_text(code: Code, phase: Phase, system_code: i32, words: &str) {
    let Some(field) = field() else { return };
    // Calls that find no connection come after the one that lost it, and must not replace its reason.
    if code == Code::NotConnected && !matches!(stored(field).0, Code::None | Code::Again) {
        return;
    }
    let name = name_of(phase);
    // Words that begin with the phase do not get it a second time.
    let has_name = name.is_empty() || words.strip_prefix(name).is_some_and(|rest| rest.starts_with(' '));
    let text = if has_name { one_line(words) } else { one_line(&format!("{name}: {words}")) };
    let number = texts().add(text, system_code);
    field.store((number << CODE_BITS | code as u32) as i32, Ordering::Relaxed);
}

fn texts() -> MutexGuard<'static, Texts> {
    TEXTS.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The field of the call's session.
fn field<'a>() -> Option<&'a AtomicI32> {
    session().map(field_of)
}

/// The field in which a session stores its reason.
fn field_of(session: Rtmp<'_>) -> &AtomicI32 {
    field!(session, Link.pFlags).atomic()
}

/// The reason of a session: its code, and the number of its text. A value that a program stored there is not a reason.
fn stored(field: &AtomicI32) -> (Code, u32) {
    let value = field.load(Ordering::Relaxed) as u32;
    let code = Code::from_value(value & ((1 << CODE_BITS) - 1)).unwrap_or(Code::None);
    (code, value >> CODE_BITS)
}

/// The code of the last failure. For a session that is NULL, that is the reason.
pub(crate) fn last_code(r: Option<Rtmp<'_>>) -> Code {
    r.map_or(Code::Argument, |session| stored(field_of(session)).0)
}

/// The operating system's error for [`last_code`]; 0 if there is none, or its text has been displaced.
pub(crate) fn last_system_code(r: Option<Rtmp<'_>>) -> i32 {
    r.and_then(|session| texts().get(stored(field_of(session)).1)).map_or(0, |(_, code)| code)
}

/// The text for [`last_code`].
pub(crate) fn last_text(r: Option<Rtmp<'_>>) -> Text {
    let Some(session) = r else { return one_line(NO_SESSION) };
    match stored(field_of(session)) {
        (Code::None, _) => one_line(""),
        (code, number) => texts().get(number).map_or_else(|| one_line(code.text()), |(text, _)| text),
    }
}

/// Some errors contain their own phase.
fn phase_of(error: &Error, phase: Phase) -> Phase {
    match error {
        Error::Reported(cause) => phase_of(cause, phase),
        Error::UnknownOption(_) => Phase::Option,
        Error::Unresolved(_) => Phase::Lookup,
        Error::Unreachable(_) => Phase::Connect,
        Error::Proxy(_) => Phase::Proxy,
        Error::Handshake(_) => Phase::Handshake,
        _ => phase,
    }
}

fn name_of(phase: Phase) -> &'static str {
    match phase {
        Phase::Call => "",
        Phase::Url => "URL",
        Phase::Option => "option",
        Phase::Lookup => "name lookup",
        Phase::Connect => "connect",
        Phase::Proxy => "proxy",
        Phase::Tls => "TLS",
        Phase::Tunnel => "HTTP tunnel",
        Phase::Handshake => "handshake",
        Phase::Stream(phase) => phase.name(),
        Phase::Reading => "reading",
        Phase::Flv => "FLV",
    }
}

fn code_of(error: &Error, phase: Phase) -> Code {
    match (error, phase) {
        (Error::Reported(cause), _) => code_of(cause, phase),
        (Error::OutOfMemory, _) => Code::Memory,
        (Error::UnknownOption(_), _) => Code::Option,
        (
            Error::Malformed { .. } | Error::TooLarge(_) | Error::Invalid(_) | Error::Unsupported(_),
            Phase::Url,
        ) => Code::Url,
        (
            Error::Malformed { .. } | Error::TooLarge(_) | Error::Invalid(_) | Error::Unsupported(_),
            Phase::Option,
        ) => Code::Option,
        (Error::Malformed { .. } | Error::TooLarge(_), Phase::Flv) => Code::Flv,
        (Error::Malformed { .. }, _) => Code::Malformed,
        (Error::TooLarge(_), _) => Code::TooLarge,
        (Error::Invalid(_), _) => Code::Argument,
        (Error::Handshake(_), _) => Code::Handshake,
        (Error::Closed, _) => Code::Closed,
        (Error::NotConnected, _) => Code::NotConnected,
        (Error::TimedOut, _) => Code::TimedOut,
        (Error::Again, _) => Code::Again,
        (Error::Interrupted, _) => Code::Interrupted,
        (Error::Io(_), _) => Code::Io,
        (Error::Unresolved(_), _) => Code::Resolve,
        (Error::Unreachable(_), _) => Code::Connect,
        (Error::Proxy(_), _) => Code::Proxy,
        (Error::Refused(_), _) => Code::Refused,
        (Error::Tls(_), _) => Code::Tls,
        (Error::Unsupported(_), _) => Code::Unsupported,
        // Rust programs may see new variants of `Error`; variants of the core belong above.
        (_, _) => Code::Internal,
    }
}

/// An error in the words of the log and of the Rust API, without what the phase already says.
fn words_of(error: &Error, phase: Phase) -> String {
    let mut words = String::new();
    match error {
        Error::Reported(cause) => return words_of(cause, phase),
        Error::Malformed { what, detail }
            if matches!(phase, Phase::Url | Phase::Flv | Phase::Tunnel) && what.ends_with(name_of(phase)) =>
        {
            words.push_str(detail);
        }
        Error::Handshake(why) => words.push_str(why),
        // Others are the name of an argument.
        Error::Invalid(why) if why.contains(' ') => words.push_str(why),
        Error::Refused(refusal) => refusal.write_words(&mut words).unwrap_or_default(),
        error => return error.to_string(),
    }
    words
}

/// A text as one line, with a NUL at its end. What does not fit is replaced by dots.
fn one_line(text: &str) -> Text {
    let mut line = [0; TEXT_LEN];
    let mut used = 0;
    for character in text.chars() {
        // Text from peers was already escaped; text from the operating system is used unchanged.
        let character = if character.is_control() { ' ' } else { character };
        if used + character.len_utf8() > LONGEST {
            line[used..used + DOTS.len()].copy_from_slice(DOTS);
            break;
        }
        used += character.encode_utf8(&mut line[used..]).len();
    }
    line
}

/// The end of a cut text.
const DOTS: &[u8] = b"...";
/// The limit of a text, so that the dots and a NUL fit after it.
const LONGEST: usize = TEXT_LEN - 1 - DOTS.len();

const NO_SESSION: &str = "the RTMP pointer is NULL";

#[cfg(test)]
mod tests {
    use std::{collections::BTreeSet, ffi::CStr, mem::MaybeUninit, thread};

    use super::*;
    use crate::boundary::{Kind, boundary};
    use rtmp_core::error::Refusal;

    /// Keeps tests with many failures from displacing the texts of others.
    fn one_at_a_time() -> MutexGuard<'static, ()> {
        static ALONE: Mutex<()> = Mutex::new(());
        ALONE.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A struct without a reason.
    fn session() -> Box<RTMP> {
        // SAFETY: all-zero bytes are a valid `RTMP`.
        Box::new(unsafe { MaybeUninit::zeroed().assume_init() })
    }

    /// A call that fails.
    fn fail(r: *mut RTMP, phase: Phase, error: Error) {
        boundary(Kind::Session, (), |_| {
            // SAFETY: the tests' sessions are initialised.
            use_session(unsafe { Rtmp::new(r) })?;
            Err(Failure::new(error.reported(), phase))
        });
    }

    /// Code and text.
    fn reason(r: *mut RTMP) -> (Code, String) {
        // SAFETY: the tests' sessions are initialised.
        let r = unsafe { Rtmp::new(r) };
        let (code, text) = (last_code(r), last_text(r));
        (code, CStr::from_bytes_until_nul(&text).unwrap().to_str().unwrap().to_owned())
    }

    #[test]
    fn a_reason_has_its_phase_and_the_words_of_the_error() {
        let _turn = one_at_a_time();
        let mut session = session();
        let r = &raw mut *session;
        assert_eq!(reason(r), (Code::None, String::new()));
        let refusal = Refusal {
            method: "a command".to_owned(),
            code: "NetStream.Publish.BadName".to_owned(),
            description: "already publishing".to_owned(),
            ..Refusal::default()
        };
        let unknown = Error::Unresolved("x.invalid (no)".into()).reported();
        let cases = [
            (
                Phase::Stream(session::Phase::Publish),
                Error::Refused(refusal),
                Code::Refused,
                "publish: NetStream.Publish.BadName: already publishing",
            ),
            (Phase::Handshake, Error::Handshake("wrong"), Code::Handshake, "handshake: wrong"),
            (Phase::Connect, unknown, Code::Resolve, "name lookup: no address for host x.invalid (no)"),
            (Phase::Tls, Error::TimedOut, Code::TimedOut, "TLS: timed out"),
            (Phase::Call, Error::Closed, Code::Closed, "the peer closed the connection"),
            (Phase::Flv, Error::malformed("FLV", "no"), Code::Flv, "FLV: no"),
            (
                Phase::Reading,
                Error::malformed("chunk", "no"),
                Code::Malformed,
                "reading: malformed chunk: no",
            ),
        ];
        for (phase, error, code, text) in cases {
            fail(r, phase, error);
            assert_eq!(reason(r), (code, text.to_owned()));
        }
    }

    #[test]
    fn every_error_has_its_code() {
        let io = || Error::Io(std::io::ErrorKind::ConnectionReset.into());
        let text = || "no".to_owned();
        let cases = [
            (Phase::Reading, Error::malformed("a", "b"), Code::Malformed),
            (Phase::Url, Error::malformed("a", "b"), Code::Url),
            (Phase::Option, Error::Unsupported("a"), Code::Option),
            (Phase::Flv, Error::TooLarge("a"), Code::Flv),
            (Phase::SENDING, Error::TooLarge("a"), Code::TooLarge),
            (Phase::SENDING, Error::Invalid("a"), Code::Argument),
            (Phase::Option, Error::Invalid("a"), Code::Option),
            (Phase::Option, Error::OutOfMemory, Code::Memory),
            (Phase::Handshake, Error::Handshake("a"), Code::Handshake),
            (Phase::Reading, Error::NotConnected, Code::NotConnected),
            (Phase::Reading, Error::Interrupted, Code::Interrupted),
            (Phase::Connect, io(), Code::Io),
            (Phase::Connect, Error::Unresolved(text().into()), Code::Resolve),
            (Phase::Connect, Error::Unreachable(text().into()), Code::Connect),
            (Phase::Connect, Error::Proxy(text().into()), Code::Proxy),
            (Phase::Reading, Error::Tls(text().into()), Code::Tls),
            (Phase::Option, Error::UnknownOption(text()), Code::Option),
            (Phase::Tunnel, Error::Unsupported("a"), Code::Unsupported),
            (Phase::Reading, io().reported(), Code::Io),
        ];
        for (phase, error, code) in cases {
            assert_eq!(code_of(&error, phase), code, "{error:?} while {phase:?}");
        }
    }

    #[test]
    fn a_missing_connection_does_not_hide_why_it_was_lost() {
        let _turn = one_at_a_time();
        let mut session = session();
        let r = &raw mut *session;
        fail(r, Phase::Reading, Error::NotConnected);
        assert_eq!(reason(r), (Code::NotConnected, "reading: there is no connection".to_owned()));
        fail(r, Phase::Reading, Error::Closed);
        fail(r, Phase::SENDING, Error::NotConnected);
        assert_eq!(reason(r).0, Code::Closed);
        boundary(Kind::Session, (), |_| {
            // SAFETY: the session is initialised.
            start_afresh(unsafe { Rtmp::new(r) })?;
            Ok(())
        });
        assert_eq!(reason(r).0, Code::None);
    }

    #[test]
    fn a_panic_is_a_reason() {
        let _turn = one_at_a_time();
        let mut session = session();
        let r = &raw mut *session;
        boundary(Kind::Session, (), |_| {
            // SAFETY: the session is initialised.
            use_session(unsafe { Rtmp::new(r) })?;
            panic!("a defect")
        });
        assert_eq!(reason(r), (Code::Internal, "internal error, the call was given up".to_owned()));
    }

    #[test]
    fn calls_inside_calls_keep_to_their_sessions() {
        let _turn = one_at_a_time();
        let (mut outer, mut inner) = (session(), session());
        let (r, other) = (&raw mut *outer, &raw mut *inner);
        boundary(Kind::Session, (), |_| {
            // SAFETY: the session is initialised.
            use_session(unsafe { Rtmp::new(r) })?;
            fail(other, Phase::SENDING, Error::Closed);
            Err(Failure::new(Error::TimedOut, Phase::Reading))
        });
        assert_eq!(reason(r), (Code::TimedOut, "reading: timed out".to_owned()));
        assert_eq!(reason(other).1, "sending: the peer closed the connection");
        // Outside of any call there is no session.
        Failure::from(Error::OutOfMemory).keep();
        assert_eq!(reason(r).0, Code::TimedOut);
    }

    #[test]
    fn reason_follows_its_struct_and_keeps_its_code_without_the_text() {
        let _turn = one_at_a_time();
        let mut first = session();
        fail(&raw mut *first, Phase::Connect, Error::Unreachable("nobody there".into()));
        let mut moved = *first;
        assert_eq!(reason(&raw mut moved), (Code::Connect, "connect: nobody there".to_owned()));
        let mut others = session();
        for _ in 0..KEPT {
            fail(&raw mut *others, Phase::Reading, Error::Closed);
        }
        assert_eq!(reason(&raw mut moved), (Code::Connect, "the host was not reached".to_owned()));
    }

    #[test]
    fn numbers_of_texts_restart_after_the_largest() {
        let mut texts = Box::new(Texts { newest: MAX_NUMBER - 1, kept: [([0; TEXT_LEN], 0); KEPT] });
        let numbers: Vec<_> = (1..=3_u8).map(|byte| texts.add([byte; TEXT_LEN], byte.into())).collect();
        assert_eq!(numbers, [MAX_NUMBER, 1, 2]);
        assert_eq!(texts.get(2), Some(([3; TEXT_LEN], 3)));
        assert_eq!(texts.get(0), None);
        assert_eq!(texts.get(3), None, "one that is still to come");
    }

    #[test]
    fn values_that_programs_left_in_the_field_are_not_a_reason() {
        let mut session = session();
        for value in [-1, 63, i32::MIN | 40] {
            session.Link.pFlags = value;
            assert_eq!(reason(&raw mut *session), (Code::None, String::new()));
        }
        session.Link.pFlags = i32::MAX;
        session.Link.pFlags &= !63;
        session.Link.pFlags |= Code::Io as i32;
        assert_eq!(reason(&raw mut *session), (Code::Io, "the operating system refused".to_owned()));
    }

    #[test]
    fn null_has_a_reason() {
        assert_eq!(reason(ptr::null_mut()), (Code::Argument, "the RTMP pointer is NULL".to_owned()));
    }

    #[test]
    fn a_text_is_one_line_that_ends_in_dots_where_it_is_cut() {
        assert_eq!(one_line("a\nb\x7f")[..5], *b"a b \0");
        let words = |text: &Text| CStr::from_bytes_until_nul(text).unwrap().to_str().unwrap().to_owned();
        for unit in ["x", "\u{e9}", "\u{20ac}", "\u{1f600}"] {
            let text = words(&one_line(&(unit.repeat(TEXT_LEN) + "more")));
            assert!(text.ends_with(&format!("{unit}...")) && text.len() > TEXT_LEN - 8, "{}", text.len());
        }
        assert!(!words(&one_line(&"x".repeat(LONGEST))).contains('.'));
    }

    #[test]
    fn threads_that_fail_do_not_mix_their_reasons() {
        let _turn = one_at_a_time();
        thread::scope(|scope| {
            for name in ["one", "two", "three"] {
                scope.spawn(move || {
                    let mut session = session();
                    let r = &raw mut *session;
                    for count in 0..1000 {
                        let words = format!("{name} {count}");
                        fail(r, Phase::Connect, Error::Unreachable(words.clone().into()));
                        let (code, text) = reason(r);
                        assert_eq!(code, Code::Connect);
                        // Other threads may have displaced it meanwhile, but not exchanged it.
                        assert!(
                            text == format!("connect: {words}") || text == "the host was not reached",
                            "{text}"
                        );
                    }
                });
            }
        });
    }

    #[test]
    fn the_header_has_every_code_and_no_other() {
        let header = include_str!("headers/rtmp.h");
        let (_, rest) = header.split_once("\ntypedef enum {\n").expect("the enum");
        let (body, _) = rest.split_once("} RTMP_ERR_CODE;").expect("its end");
        let declared: BTreeSet<_> = body
            .lines()
            .map(|line| {
                let (name, rest) = line.trim().split_once(" = ").expect("a name and a value");
                let digits = rest.split(|c: char| !c.is_ascii_digit()).next().expect("split gives something");
                (name, digits.parse().expect("a number"))
            })
            .collect();
        assert_eq!(declared, NAMES.iter().copied().collect());
        assert_eq!(declared.len(), NAMES.len());
        let largest = NAMES.iter().map(|(_, value)| *value).max().expect("there are some");
        assert!(largest < 1 << CODE_BITS);
    }
}
