//! The built-in writer: the output stream, the callback that replaces it, and what a line looks like.
//!
//! Programs print from signal handlers, so nothing here allocates, and the lock is one that its own thread passes
//! while it holds it.

use std::{
    cell::Cell,
    ffi::CStr,
    ptr,
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicPtr, Ordering},
    },
};

use libc::{FILE, c_char, c_int};

use super::types::{RTMP_LOGALL, RTMP_LOGCRIT, RTMP_LogCallback};
use crate::{Errno, cancel::Shield, globals};

unsafe extern "C" {
    /// C's `stderr`, by `variadic.c`.
    safe fn rtmp_variadic_stderr() -> *mut FILE;
}

/// The application's callback; null while the built-in writer is in use.
static CALLBACK: AtomicPtr<RTMP_LogCallback> = AtomicPtr::new(ptr::null_mut());
/// The output stream; null means `stderr`.
static OUTPUT: AtomicPtr<FILE> = AtomicPtr::new(ptr::null_mut());
/// Whether the cursor stands behind a status.
static AFTER_STATUS: AtomicBool = AtomicBool::new(false);

/// What lines of each level start with.
const NAMES: [&str; 6] = ["CRIT", "ERROR", "WARNING", "INFO", "DEBUG", "DEBUG2"];

/// How the AMF dump names properties without a name; below `RTMP_LOGALL` nobody wants to see them.
const UNNAMED: &[u8] = b"no-name";

/// Replaces the callback.
pub(super) fn set_callback(callback: *mut RTMP_LogCallback) {
    CALLBACK.store(callback, Ordering::Release);
}

/// Replaces the stream. Nobody writes to the old one once this returns.
pub(super) fn set_output(file: *mut FILE) {
    let _writing = Writing::begin();
    OUTPUT.store(file, Ordering::Release);
}

/// Whether messages of this level pass.
pub(super) extern "C" fn wanted(level: c_int) -> c_int {
    globals::logs(level).into()
}

/// The callback, or null.
pub(super) extern "C" fn callback() -> *const RTMP_LogCallback {
    CALLBACK.load(Ordering::Acquire)
}

/// Writes one line with the name of its level.
///
/// # Safety
/// `text` is a string.
pub(super) unsafe extern "C" fn log(level: c_int, text: *const c_char) {
    // SAFETY: `text` is a string, by the Safety section.
    let text = unsafe { CStr::from_ptr(text) }.to_bytes();
    let unnamed = text.windows(UNNAMED.len()).any(|part| part == UNNAMED);
    if unnamed && globals::debug_level() < RTMP_LOGALL {
        return;
    }
    let name = usize::try_from(level).ok().and_then(|level| NAMES.get(level)).unwrap_or(&"DEBUG2");
    let mut line = Line::default();
    let writing = Writing::begin();
    if AFTER_STATUS.swap(false, Ordering::AcqRel) {
        line.push(b"\n");
    }
    line.push(name.as_bytes());
    line.push(b": ");
    line.push(text);
    line.push(b"\n");
    writing.put(line.bytes());
}

/// Writes text as it is, on a line of its own if a status was there.
///
/// # Safety
/// `text` is a string.
pub(super) unsafe extern "C" fn print(text: *const c_char) {
    if globals::debug_level() == RTMP_LOGCRIT {
        return;
    }
    // SAFETY: `text` is a string, by the Safety section.
    let text = unsafe { CStr::from_ptr(text) }.to_bytes();
    let mut line = Line::default();
    let writing = Writing::begin();
    if AFTER_STATUS.swap(false, Ordering::AcqRel) {
        line.push(b"\n");
    }
    line.push(text);
    writing.put(line.bytes());
    if text.ends_with(b"\n") {
        writing.flush();
    }
}

/// Writes text that the next status overwrites and everything else leaves standing.
///
/// # Safety
/// `text` is a string.
pub(super) unsafe extern "C" fn status(text: *const c_char) {
    if globals::debug_level() == RTMP_LOGCRIT {
        return;
    }
    // SAFETY: `text` is a string, by the Safety section.
    let text = unsafe { CStr::from_ptr(text) }.to_bytes();
    let writing = Writing::begin();
    writing.put(text);
    writing.flush();
    AFTER_STATUS.store(true, Ordering::Release);
}

/// The right to use the output stream.
struct Writing {
    /// Writing is a cancellation point.
    _shield: Shield,
    /// `None` in a signal handler that interrupted a write of its own thread; then stdio's own lock has to do.
    _lock: Option<MutexGuard<'static, ()>>,
    outermost: bool,
    /// Programs log what went wrong before they look at `errno`, and signal handlers must not change it.
    _errno: Errno,
}

impl Writing {
    fn begin() -> Self {
        static LOCK: Mutex<()> = Mutex::new(());
        let shield = Shield::begin();
        // Marked before the lock is taken, so that there is no moment at which a handler could wait for it in vain.
        let errno = Errno::keep();
        let outermost = !BUSY.replace(true);
        let lock = outermost.then(|| LOCK.lock().unwrap_or_else(PoisonError::into_inner));
        Self { _lock: lock, outermost, _errno: errno, _shield: shield }
    }

    fn stream(&self) -> *mut FILE {
        let file = OUTPUT.load(Ordering::Acquire);
        if file.is_null() { rtmp_variadic_stderr() } else { file }
    }

    fn put(&self, bytes: &[u8]) {
        // The test runner shows what tests print when they fail only, and knows nothing of C's `stderr`.
        #[cfg(test)]
        if OUTPUT.load(Ordering::Acquire).is_null() {
            eprint!("{}", String::from_utf8_lossy(bytes));
            return;
        }
        // SAFETY: `RTMP_LogSetOutput` asks for a stream that is open until another one is set, which waits for us.
        // A short write has nobody to be reported to.
        unsafe { libc::fwrite(bytes.as_ptr().cast(), 1, bytes.len(), self.stream()) };
    }

    fn flush(&self) {
        // SAFETY: as in `put`.
        unsafe { libc::fflush(self.stream()) };
    }
}

impl Drop for Writing {
    fn drop(&mut self) {
        self._lock = None;
        if self.outermost {
            BUSY.set(false);
        }
    }
}

thread_local! {
    /// Whether this thread is in the writer already.
    static BUSY: Cell<bool> = const { Cell::new(false) };
}

/// A line that is put together before it is written, so that lines of other threads cannot get into it.
struct Line {
    bytes: [u8; 2100],
    len: usize,
}

impl Line {
    /// Appends what fits; texts arrive cut to 2046 characters, so everything does.
    fn push(&mut self, text: &[u8]) {
        let room = &mut self.bytes[self.len..];
        let len = text.len().min(room.len());
        room[..len].copy_from_slice(&text[..len]);
        self.len += len;
    }

    fn bytes(&self) -> &[u8] {
        &self.bytes[..self.len]
    }
}

impl Default for Line {
    fn default() -> Self {
        Self { bytes: [0; 2100], len: 0 }
    }
}
