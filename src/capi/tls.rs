//! TLS as C programs see it: for now only that it is there.

use crate::capi::globals;

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
