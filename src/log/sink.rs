//! The core's log: records of the `log` crate become `RTMP_Log` calls, at once, or later if the session is locked.
//!
//! A callback of the application may use the library, and even close the session that logs. So code that holds a lock or a
//! borrow of a session also holds a [`Deferred`]. The thread's log lines are then kept, and delivered in order when the last
//! `Deferred` is dropped. Text from the core may contain a peer's bytes and is escaped here.

use std::{cell::RefCell, collections::VecDeque, ffi::CString, marker::PhantomData, sync::Once};

use libc::c_int;
use log::{Level, LevelFilter, Log, Metadata, Record};
use rtmp_core::text;

use super::{
    RTMP_LOGDEBUG, RTMP_LOGDEBUG2, RTMP_LOGERROR, RTMP_LOGINFO, RTMP_LOGWARNING, RTMP_LogLevel, variadic,
};
use crate::{globals, hooks, reason::Report};

/// Installs this logger for the core's records. Every export calls it first, through `boundary`.
///
/// A Rust program with its own logger keeps it and finds the records there.
pub(crate) fn enter() {
    static INSTALL: Once = Once::new();
    INSTALL.call_once(|| {
        if log::set_logger(&Sink).is_ok() {
            // `RTMP_debuglevel` may change at any time and is read for every record.
            log::set_max_level(LevelFilter::Trace);
        }
    });
}

/// Delays this thread's log lines until the last `Deferred` of the thread is dropped.
///
/// Begin it before the lock or borrow it protects, so that it is dropped after it:
/// ```text
/// let _deferred = Deferred::begin();
/// let mut session = lock(&shared);
/// ```
/// `RTMP_Log` calls of the application are never delayed: the application does not run during a step.
#[derive(Debug)]
#[must_use = "lines are kept back only while this lives"]
pub(crate) struct Deferred {
    /// The counter belongs to the thread.
    _not_send: PhantomData<*const ()>,
}

impl Deferred {
    /// Starts delaying lines. May be nested.
    pub(crate) fn begin() -> Self {
        with_pending(|pending| pending.depth += 1);
        Self { _not_send: PhantomData }
    }
}

impl Drop for Deferred {
    fn drop(&mut self) {
        let deliver = with_pending(|pending| {
            pending.depth = pending.depth.saturating_sub(1);
            pending.start_delivery()
        });
        if deliver != Some(true) {
            return;
        }
        // One line at a time and outside of the borrow: the callback may log, defer and deliver itself.
        while let Some((level, text)) = with_pending(Pending::next).flatten() {
            emit(level, text);
        }
    }
}

/// Passes records of the `log` crate to `RTMP_Log`.
struct Sink;

impl Log for Sink {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        ours(metadata.target()) && level_of(metadata.level()) <= globals::debug_level()
    }

    fn log(&self, record: &Record<'_>) {
        if !self.enabled(record.metadata()) {
            return;
        }
        let level = level_of(record.level());
        // Formatting the arguments runs code of the core that may log, too, so nothing is borrowed meanwhile.
        let text = text::log_line(record.args().to_string(), MAX_LINE);
        let mut text = Some(text);
        with_pending(|pending| {
            if pending.holds_back() {
                pending.push(level, text.take().unwrap_or_default());
            }
        });
        if let Some(text) = text {
            emit(level, text);
        }
    }

    fn flush(&self) {}
}

/// The delayed lines of a thread.
struct Pending {
    /// The number of `Deferred` values.
    depth: usize,
    /// Whether delivery is running: lines logged meanwhile join the queue. This keeps their order, and a callback that uses the
    /// library is not called recursively once per line.
    delivering: bool,
    lines: VecDeque<(RTMP_LogLevel, String)>,
    /// Their total size.
    bytes: usize,
    /// The number of dropped lines, and the most important level among them.
    lost: Option<(usize, RTMP_LogLevel)>,
}

impl Pending {
    const NOTHING: Self = Self { depth: 0, delivering: false, lines: VecDeque::new(), bytes: 0, lost: None };

    fn holds_back(&self) -> bool {
        self.depth > 0 || self.delivering
    }

    fn push(&mut self, level: RTMP_LogLevel, text: String) {
        // If memory has run out, the program must not end because of a log line.
        if self.lines.try_reserve(1).is_err() {
            self.lose(level);
            return;
        }
        self.bytes += cost(&text);
        self.lines.push_back((level, text));
        while self.bytes > MAX_HELD_BACK {
            // The least important lines are dropped first.
            let oldest = self.lines.iter().position(|line| line.0 >= RTMP_LOGDEBUG).unwrap_or(0);
            let Some((level, text)) = self.lines.remove(oldest) else { break };
            self.bytes -= cost(&text);
            self.lose(level);
        }
    }

    fn lose(&mut self, level: RTMP_LogLevel) {
        let (count, most_important) = self.lost.unwrap_or((0, level));
        self.lost = Some((count + 1, most_important.min(level)));
    }

    /// Whether the caller has to deliver the lines.
    fn start_delivery(&mut self) -> bool {
        let start = !self.holds_back() && !self.lines.is_empty();
        self.delivering |= start;
        start
    }

    /// The next line to deliver; `None` ends the delivery.
    fn next(&mut self) -> Option<(RTMP_LogLevel, String)> {
        if let Some((count, level)) = self.lost.take() {
            return Some((level, format!("{count} log lines were dropped here")));
        }
        let line = self.lines.pop_front();
        self.bytes -= line.as_ref().map_or(0, |line| cost(&line.1));
        self.delivering = line.is_some();
        line
    }
}

/// The size of a line while it is kept.
fn cost(text: &str) -> usize {
    size_of::<(RTMP_LogLevel, String)>() + text.len()
}

/// The limit of kept bytes. At level DEBUG2 a message of two megabytes in chunks of 128 bytes needs that much.
const MAX_HELD_BACK: usize = 16 << 20;
/// Bytes of a line; the built-in writer shows less.
const MAX_LINE: usize = 4096;

thread_local! {
    static PENDING: RefCell<Pending> = const { RefCell::new(Pending::NOTHING) };
}

/// Runs `action` on the thread's pending lines. `None` if they are not accessible: while the thread ends, and in a signal
/// handler that interrupted this function. Lines are then delivered at once.
fn with_pending<T>(action: impl FnOnce(&mut Pending) -> T) -> Option<T> {
    PENDING
        .try_with(|pending| pending.try_borrow_mut().ok().map(|mut pending| action(&mut pending)))
        .ok()
        .flatten()
}

/// Whether a record comes from this crate. Log records of dependencies are for their developers.
fn ours(target: &str) -> bool {
    const CRATE: &str = env!("CARGO_CRATE_NAME");
    target.strip_prefix(CRATE).is_some_and(|rest| rest.is_empty() || rest.starts_with("::"))
}

fn level_of(level: Level) -> RTMP_LogLevel {
    match level {
        Level::Error => RTMP_LOGERROR,
        Level::Warn => RTMP_LOGWARNING,
        Level::Info => RTMP_LOGINFO,
        Level::Debug => RTMP_LOGDEBUG,
        Level::Trace => RTMP_LOGDEBUG2,
    }
}

/// Makes one `RTMP_Log` call.
fn emit(level: RTMP_LogLevel, text: String) {
    // Escaped text has no NUL.
    let text = CString::new(text).unwrap_or_default();
    if hooks::log_of_session(level as c_int, &text) {
        return;
    }
    let _report = Report::begin();
    variadic::report(level as c_int, &text);
}

#[cfg(test)]
mod tests {
    use std::{
        ffi::CStr,
        sync::{Arc, Barrier, Mutex, MutexGuard, PoisonError},
        thread,
    };

    use libc::{c_char, c_void};
    use log::{debug, error, info, trace};

    use super::*;
    use crate::log::{RTMP_LogCallback, RTMP_LogSetCallback, variadic::rtmp_variadic_log};

    type Callback = unsafe extern "C" fn(c_int, *const c_char, *mut c_void);

    unsafe extern "C" {
        // On the systems that run the tests a `va_list` is passed as one pointer.
        fn vsnprintf(text: *mut c_char, size: usize, format: *const c_char, args: *mut c_void) -> c_int;
    }

    thread_local! {
        /// The lines that the callback received on this thread; other tests log as well.
        static SEEN: RefCell<Vec<(c_int, String)>> = const { RefCell::new(Vec::new()) };
    }

    fn seen() -> Vec<(c_int, String)> {
        SEEN.take()
    }

    fn texts() -> Vec<String> {
        seen().into_iter().map(|line| line.1).collect()
    }

    unsafe extern "C" fn collect(level: c_int, format: *const c_char, args: *mut c_void) {
        let mut text = [0; 8192];
        // SAFETY: the size is that of the buffer, and the arguments match the format.
        unsafe { vsnprintf(text.as_mut_ptr(), text.len(), format, args) };
        // SAFETY: vsnprintf ends its result with a NUL.
        let text = unsafe { CStr::from_ptr(text.as_ptr()) };
        SEEN.with_borrow_mut(|seen| seen.push((level, text.to_str().unwrap().to_owned())));
    }

    /// Sets level and callback for one test at a time, and the defaults after it.
    struct Setting(#[expect(dead_code)] MutexGuard<'static, ()>);

    impl Setting {
        fn new(callback: Callback) -> Self {
            static TURN: Mutex<()> = Mutex::new(());
            let turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
            enter();
            set_callback(Some(callback));
            globals::set_debug_level(RTMP_LOGDEBUG2);
            Self(turn)
        }
    }

    impl Drop for Setting {
        fn drop(&mut self) {
            globals::set_debug_level(RTMP_LOGERROR);
            set_callback(None);
        }
    }

    fn set_callback(callback: Option<Callback>) {
        let callback = callback.map_or(std::ptr::null_mut(), |callback| callback as *mut RTMP_LogCallback);
        // SAFETY: null or a function of the right type.
        unsafe { RTMP_LogSetCallback(callback) };
    }

    #[test]
    fn records_arrive_at_the_level_of_librtmp() {
        let _setting = Setting::new(collect);
        error!("e");
        log::warn!("w");
        info!("i");
        debug!("d");
        trace!("t");
        log::error!(target: "rustls", "of a dependency");
        let expected = [(1, "e"), (2, "w"), (3, "i"), (4, "d"), (5, "t")];
        assert_eq!(seen(), expected.map(|(level, text)| (level, text.to_owned())));
    }

    #[test]
    fn a_record_above_the_level_is_not_formatted() {
        struct Loud;
        impl std::fmt::Display for Loud {
            fn fmt(&self, _: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                panic!("formatted")
            }
        }
        let _setting = Setting::new(collect);
        globals::RTMP_debuglevel.store(RTMP_LOGINFO, std::sync::atomic::Ordering::Relaxed);
        debug!("{Loud}");
        info!("shown");
        assert_eq!(texts(), ["shown"]);
    }

    #[test]
    fn a_record_is_one_line_without_control_characters() {
        let _setting = Setting::new(collect);
        info!("100% \x1b[31m\nERROR: fake\0 tail");
        info!("own end\n");
        info!("{}", "ü".repeat(MAX_LINE));
        let lines = texts();
        assert_eq!(lines[..2], [r"100% \x1b[31m\x0aERROR: fake\x00 tail", "own end\n"]);
        assert_eq!(lines[2], "ü".repeat(MAX_LINE / 2));
    }

    #[test]
    fn lines_wait_until_the_outermost_step_ends() {
        let _setting = Setting::new(collect);
        info!("before");
        {
            let _outer = Deferred::begin();
            info!("first");
            {
                let _inner = Deferred::begin();
                info!("second");
            }
            info!("third");
            assert_eq!(texts(), ["before"]);
        }
        info!("after");
        assert_eq!(texts(), ["first", "second", "third", "after"]);
    }

    #[test]
    fn other_threads_do_not_wait_for_a_step() {
        let _setting = Setting::new(collect);
        let _step = Deferred::begin();
        let elsewhere = thread::spawn(|| {
            info!("elsewhere");
            texts()
        });
        assert_eq!(elsewhere.join().unwrap(), ["elsewhere"]);
    }

    #[test]
    fn a_full_queue_drops_old_details_and_says_so() {
        let _setting = Setting::new(collect);
        let padding = "x".repeat(2000);
        // This many details fit beside the important line.
        let kept = (MAX_HELD_BACK - cost("important")) / cost(&format!("detail 10000 {padding}"));
        {
            let _step = Deferred::begin();
            error!("important");
            for n in 10_000..10_000 + kept + 5 {
                trace!("detail {n} {padding}");
            }
        }
        let lines = seen();
        assert_eq!(lines.len(), kept + 2);
        assert_eq!(lines[0], (5, "5 log lines were dropped here".to_owned()));
        assert_eq!(lines[1], (1, "important".to_owned()));
        assert!(lines[2].1.starts_with("detail 10005 "));
        assert!(lines[kept].1.starts_with(&format!("detail {} ", 10_000 + kept + 3)));
    }

    #[test]
    fn a_callback_may_use_the_library() {
        static SESSION: Mutex<u32> = Mutex::new(0);

        /// An export that uses the session, as a callback would call it.
        fn export(what: &str) {
            let _step = Deferred::begin();
            let mut session = SESSION.try_lock().expect("no callback runs during a step");
            *session += 1;
            info!("{what} {session}");
        }

        unsafe extern "C" fn reenter(level: c_int, format: *const c_char, args: *mut c_void) {
            // SAFETY: the arguments are passed on.
            unsafe { collect(level, format, args) };
            let last = SEEN.with_borrow(|seen| seen.last().map(|line| line.1.clone())).unwrap();
            if last.starts_with("outer") {
                export("inner");
                // SAFETY: one `%d`, one int.
                unsafe { rtmp_variadic_log(1, c"own %d".as_ptr(), 7 as c_int) };
            }
        }

        let _setting = Setting::new(reenter);
        {
            let _call = Deferred::begin();
            export("outer");
            export("outer");
        }
        // The application's own line comes at once; the core's lines keep their order.
        assert_eq!(texts(), ["outer 1", "own 7", "outer 2", "own 7", "inner 3", "inner 4"]);
        assert_eq!(*SESSION.lock().unwrap(), 4);
        info!("after");
        assert_eq!(texts(), ["after"]);
    }

    #[test]
    fn threads_log_while_level_and_callback_change() {
        const LINES: usize = 500;
        let _setting = Setting::new(collect);
        let start = Arc::new(Barrier::new(5));
        let writers: Vec<_> = (0..4)
            .map(|thread| {
                let start = start.clone();
                thread::spawn(move || {
                    start.wait();
                    for n in 0..LINES {
                        let _step = Deferred::begin();
                        debug!("{thread} {n}");
                    }
                    texts()
                })
            })
            .collect();
        start.wait();
        loop {
            // Sometimes below the lines' level, so that the built-in writer stays silent.
            globals::set_debug_level(RTMP_LOGERROR);
            set_callback(None);
            set_callback(Some(collect));
            globals::set_debug_level(RTMP_LOGDEBUG2);
            if writers.iter().all(thread::JoinHandle::is_finished) {
                break;
            }
        }
        for (thread, writer) in writers.into_iter().enumerate() {
            let lines = writer.join().unwrap();
            let numbers: Vec<usize> = lines
                .iter()
                .map(|line| line.strip_prefix(&format!("{thread} ")).unwrap().parse().unwrap())
                .collect();
            assert!(numbers.is_sorted_by(|a, b| a < b), "lines of one thread stay in order: {numbers:?}");
        }
    }
}
