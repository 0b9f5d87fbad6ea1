//! TLS as C programs see it: for now only the functions, of which those that need it fail.

use std::ptr;

use libc::{c_char, c_int, c_void};
use log::error;

use crate::capi::{FALSE, boundary, globals, rtmp::RTMP};

/// Makes TLS ready for use; afterwards `RTMP_TLS_ctx` is not null. `RTMP_Init` calls it, and calling it again does
/// nothing.
#[unsafe(no_mangle)]
pub extern "C" fn RTMP_TLS_Init() {
    /// What `RTMP_TLS_ctx` points to. TLS has no state of the whole process, so only its address counts.
    static CONTEXT: u8 = 0;
    if globals::tls_context().is_null() {
        globals::set_tls_context((&raw const CONTEXT).cast_mut().cast());
    }
}

/// Takes a connection inside TLS, as a server with the context `ctx`, and returns TRUE or FALSE.
///
/// TLS is not available yet: always returns FALSE and says so in the log. `r` and `ctx` are not used.
///
/// # Safety
/// `r` is null or points to an initialised `RTMP`; `ctx` is null or a context of `RTMP_TLS_AllocServerContext`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn RTMP_TLS_Accept(r: *mut RTMP, ctx: *mut c_void) -> c_int {
    boundary(FALSE, || {
        let _ = (r, ctx);
        error!("{UNAVAILABLE}");
        Ok(FALSE)
    })
}

/// Returns a new context for a server from the PEM files `cert` and `key`, or NULL. The caller gives it back with
/// `RTMP_TLS_FreeServerContext`.
///
/// TLS is not available yet: always returns NULL and says so in the log. The files are not read.
///
/// # Safety
/// `cert` and `key` are null or NUL-terminated strings.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn RTMP_TLS_AllocServerContext(cert: *const c_char, key: *const c_char) -> *mut c_void {
    boundary(ptr::null_mut(), || {
        let _ = (cert, key);
        error!("{UNAVAILABLE}");
        Ok(ptr::null_mut())
    })
}

/// Gives back a context of `RTMP_TLS_AllocServerContext`; NULL is none, and then nothing happens.
///
/// TLS is not available yet, so there are no contexts: for anything but NULL, says so in the log.
///
/// # Safety
/// `ctx` is null or a context of `RTMP_TLS_AllocServerContext` that is not used any more.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn RTMP_TLS_FreeServerContext(ctx: *mut c_void) {
    boundary((), || {
        if !ctx.is_null() {
            error!("{UNAVAILABLE}");
        }
        Ok(())
    });
}

const UNAVAILABLE: &str = "TLS is not available yet";
