//! TLS as C programs see it, and the trusted certificates.

use std::ptr;

use libc::{c_int, c_void};
use rtmp_core::{
    environment, features, system,
    transport::tls::{ServerContext, TlsOptions, Trust},
};

use crate::{
    FALSE, TRUE,
    boundary::{Kind, boundary},
    globals,
    progress::{Opening, What},
    ptr::{NulText, given, required},
    reason::{self, During, Phase},
    state::Handle,
    valid::Rtmp,
};

/// The trusted certificates. A process with more rights than its caller ignores its environment.
pub(crate) fn trust(options: &TlsOptions) -> Trust {
    options.trust_in(environment::is_ignored(), environment::variable("RTMP_TLS_VERIFY").as_deref())
}

/// The same for the certificate of an `https` proxy.
pub(crate) fn proxy_trust(options: &TlsOptions) -> Trust {
    options.proxy_trust_in(environment::is_ignored(), environment::variable("RTMP_TLS_VERIFY").as_deref())
}

/// Prepares TLS for use; `RTMP_TLS_ctx` is not NULL afterwards. `RTMP_Init` calls this function. Calling it again does
/// nothing.
#[unsafe(no_mangle)]
pub extern "C" fn RTMP_TLS_Init() {
    /// The target of `RTMP_TLS_ctx`. TLS has no process-wide state, so only the address matters.
    static CONTEXT: u8 = 0;
    if globals::tls_context().is_null() {
        globals::set_tls_context((&raw const CONTEXT).cast_mut().cast());
    }
}

/// Reads the certificate and key of a server for `RTMP_TLS_Accept`.
///
/// `cert` and `key` are names of PEM files, and may be the same. Certificates of the issuers may follow the server's
/// certificate. The key is PKCS#8, PKCS#1 or SEC1, without a passphrase. Any number of threads may use the handle at
/// the same time.
///
/// Returns a handle, or NULL if the files cannot be used. Free the handle with `RTMP_TLS_FreeServerContext`.
///
/// # Safety
/// `cert` and `key` are null or NUL-terminated strings.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn RTMP_TLS_AllocServerContext(
    cert: Option<NulText<'_>>,
    key: Option<NulText<'_>>,
) -> *mut c_void {
    boundary(Kind::Session, ptr::null_mut(), |_| {
        RTMP_TLS_Init();
        features::SERVER.check()?;
        let (cert, key) = (given(cert, "cert is NULL")?, given(key, "key is NULL")?);
        let context = ServerContext::from_files(&system::path(cert.bytes()), &system::path(key.bytes()))?;
        Ok(Box::into_raw(Box::new(context)).cast())
    })
}

/// Frees a handle of `RTMP_TLS_AllocServerContext`. Connections that were accepted with it stay open. NULL is allowed.
///
/// # Safety
/// `ctx` is null or came from `RTMP_TLS_AllocServerContext` and nobody uses it any more.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn RTMP_TLS_FreeServerContext(ctx: *mut c_void) {
    boundary(Kind::Session, (), |_| {
        if !ctx.is_null() {
            // SAFETY: `ctx` is a box that `RTMP_TLS_AllocServerContext` made and nobody uses any more, by the Safety section.
            drop(unsafe { Box::from_raw(ctx.cast::<ServerContext>()) });
        }
        Ok(())
    })
}

/// Does a TLS handshake, as the server, with the client on `m_sb.sb_socket`. Call `RTMP_Serve` next.
///
/// The timeouts of the socket limit each wait, and `Link.timeout` limits the whole handshake.
///
/// Returns TRUE or FALSE. In both cases `RTMP_Close` closes the socket and frees what was allocated.
///
/// # Safety
/// `r` is null or points to an initialised `RTMP`; `ctx` is null or came from `RTMP_TLS_AllocServerContext`.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn RTMP_TLS_Accept(r: Option<Rtmp<'_>>, ctx: *mut c_void) -> c_int {
    boundary(Kind::Waits, FALSE, |_| {
        let r = reason::start_afresh(r)?;
        let handle = Handle::connected_to(Some(r)).during(Phase::Tls)?;
        // SAFETY: `ctx` is null or came from `RTMP_TLS_AllocServerContext`, by the Safety section.
        let context = unsafe { required(ctx.cast::<ServerContext>().cast_const(), "ctx is NULL") };
        let context = context.during(Phase::Tls)?;
        features::SERVER.check()?;
        let begin = || Opening::accepting_tls(&handle, context).during(Phase::Tls);
        handle.make_connection(What::AcceptTls, begin, |_| {})?;
        Ok(TRUE)
    })
}
