//! The boundary of a call: what every exported function does around its body.

use std::panic::{AssertUnwindSafe, catch_unwind};

use rtmp_core::error::Error;

use super::{
    cancel::{self, Shield},
    errno::Errno,
    log::sink::enter as start_log,
    privilege,
    reason::{self, Code, Failure, Phase, Scope},
};

/// The kind of a function.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// It computes: it uses no session, stores no reason, and calls no function of the program except the log callback after an
    /// error.
    Plain,
    /// It uses a session, or calls a function of the program, where a thread must not be cancelled.
    Session,
    /// As `Session`; it may also wait, so it is a cancellation point. It and the functions around it unwind, as [`cancel::act`]
    /// requires.
    Waits,
}

/// Runs the body of an exported function. A failure is logged, unless it was already, and determines the session's reason, the
/// value of `errno`, and the result `failed`. A panic ends here and does not cross into C.
///
/// The body gets the value that `errno` will have, for functions that return normally after a failure, or that leave `errno`
/// unchanged after an error.
#[inline(always)]
pub(crate) fn boundary<T: Copy>(
    kind: Kind,
    failed: T,
    body: impl FnOnce(&mut Errno) -> Result<T, Failure>,
) -> T {
    let value = match kind {
        Kind::Plain => compute(body),
        Kind::Session | Kind::Waits => in_session(body),
    };
    if kind == Kind::Waits {
        cancel::act();
    }
    value.unwrap_or(failed)
}

#[inline(always)]
fn in_session<T>(body: impl FnOnce(&mut Errno) -> Result<T, Failure>) -> Option<T> {
    let mut call = Call::begin();
    match catch_unwind(AssertUnwindSafe(|| body(&mut call.errno))) {
        Ok(Ok(value)) => {
            call.end();
            Some(value)
        }
        Ok(Err(failure)) => {
            call.fail(failure);
            None
        }
        Err(_) => {
            call.give_up();
            None
        }
    }
}

/// The guards of a call with a session, which are dropped in this order. Its functions are not inlined: there are many exported
/// functions, and each needs no more code than its body.
struct Call {
    /// Dropping it may call a function of the program.
    _scope: Scope,
    errno: Errno,
    _shield: Shield,
}

impl Call {
    #[inline(never)]
    fn begin() -> Self {
        let shield = Shield::begin();
        let errno = Errno::keep();
        enter();
        Self { _scope: Scope::begin(), errno, _shield: shield }
    }

    #[inline(never)]
    fn end(self) {}

    #[cold]
    #[inline(never)]
    fn fail(mut self, failure: Failure) {
        failure.log();
        failure.keep();
        self.errno.set_from(failure.error());
    }

    #[cold]
    #[inline(never)]
    fn give_up(self) {
        ::log::error!("{GIVEN_UP}");
        reason::keep_as(Code::Internal, Phase::Call, GIVEN_UP);
    }
}

#[inline(always)]
fn compute<T>(body: impl FnOnce(&mut Errno) -> Result<T, Failure>) -> Option<T> {
    enter();
    let mut errno = Errno::keep();
    match catch_unwind(AssertUnwindSafe(|| body(&mut errno))) {
        Ok(Ok(value)) => return Some(value),
        Ok(Err(failure)) => report(&failure, &mut errno),
        Err(_) => report(&Error::Invalid(GIVEN_UP).into(), &mut errno),
    }
    None
}

#[cold]
#[inline(never)]
fn report(failure: &Failure, errno: &mut Errno) {
    let _shield = Shield::begin();
    failure.log();
    errno.set_from(failure.error());
}

/// The setup that every call needs, and the first one performs.
fn enter() {
    start_log();
    privilege::ask();
}

/// Runs the fast path of an exported function, which neither logs nor fails: `None` leaves the work to the general path, which
/// also detects a panic by the state that it left.
#[inline(always)]
pub(crate) fn attempt<T>(body: impl FnOnce() -> Option<T>) -> Option<T> {
    catch_unwind(AssertUnwindSafe(body)).ok().flatten()
}

/// As [`attempt`], for work that cannot be repeated: a panic ends the call.
#[inline(always)]
pub(crate) fn attempt_once<T: Copy>(failed: T, body: impl FnOnce() -> Option<T>) -> Option<T> {
    match catch_unwind(AssertUnwindSafe(body)) {
        Ok(result) => result,
        Err(_) => Some(boundary(Kind::Session, failed, |_| Err(Error::Invalid(GIVEN_UP).into()))),
    }
}

/// The message for a call that panicked.
const GIVEN_UP: &str = "internal error, the call was given up";
