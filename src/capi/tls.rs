//! TLS as C programs see it, and whom they trust.

use std::{
    ffi::{CStr, OsStr, OsString},
    os::unix::ffi::{OsStrExt, OsStringExt},
    path::Path,
    ptr,
    sync::Arc,
};

use libc::{c_char, c_int, c_void};

use crate::{
    capi::{
        FALSE, TRUE, boundary, globals,
        ptr::required,
        rtmp::{RTMP, sockbuf},
        state::Handle,
    },
    error::{Error, Result},
    transport::{
        tcp,
        tls::{ServerContext, Session, Trust},
    },
};

/// What a program says about trust, in options of one connection.
///
/// `RTMP_Close` forgets them, like everything else that belongs to a connection: whoever connects again without setting
/// them again is back to full checks against the platform's certificates.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct TlsOptions {
    /// `tlsVerify`: whether certificates are checked; `None` leaves it to the environment.
    pub(crate) verify: Option<bool>,
    /// `tlsCA`: a PEM file with the only certificates to trust.
    pub(crate) ca_file: Option<Vec<u8>>,
}

impl TlsOptions {
    /// Sets `tlsVerify`. A word that is neither yes nor no must not switch anything off.
    pub(crate) fn set_verify(&mut self, value: &[u8]) -> Result<()> {
        let is_one_of =
            |words: [&str; 4]| words.iter().any(|word| word.as_bytes().eq_ignore_ascii_case(value));
        self.verify = Some(match () {
            () if is_one_of(["1", "on", "yes", "true"]) => true,
            () if is_one_of(["0", "off", "no", "false"]) => false,
            () => return Err(Error::Invalid("tlsVerify is neither 1 nor 0")),
        });
        Ok(())
    }

    /// Whom to trust. Options go before the environment, and naming certificates means that they are to be checked.
    pub(crate) fn trust(&self) -> Trust {
        self.trust_in(is_privileged(), std::env::var_os("RTMP_TLS_VERIFY").as_deref())
    }

    fn trust_in(&self, privileged: bool, environment: Option<&OsStr>) -> Trust {
        let environment_says_no = !privileged && environment == Some(OsStr::new("0"));
        match (self.verify, &self.ca_file) {
            (Some(false), _) => Trust::Anyone,
            (_, Some(file)) => Trust::File(OsString::from_vec(file.clone()).into()),
            (None, None) if environment_says_no => Trust::Anyone,
            (_, None) if privileged => Trust::PlatformOnly,
            (_, None) => Trust::Platform,
        }
    }
}

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

/// Reads a server's certificate and key for `RTMP_TLS_Accept`; returns a handle, or NULL if they cannot be used.
///
/// Both are names of PEM files, which may be one and the same. Behind the certificate may be those that lead to its
/// issuer. The key is PKCS#8, PKCS#1 or SEC1, without a pass phrase. The handle is the caller's, who frees it with
/// `RTMP_TLS_FreeServerContext`; any number of threads may use it at the same time.
///
/// # Safety
/// `cert` and `key` are null or NUL-terminated strings.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn RTMP_TLS_AllocServerContext(cert: *const c_char, key: *const c_char) -> *mut c_void {
    boundary(ptr::null_mut(), || {
        RTMP_TLS_Init();
        // SAFETY: the caller's contract; the names are used during the call only.
        let (cert, key) = unsafe { (path(cert, "cert is NULL")?, path(key, "key is NULL")?) };
        let context = Box::new(ServerContext::from_files(cert, key)?);
        Ok(Box::into_raw(context).cast())
    })
}

/// Frees a handle of `RTMP_TLS_AllocServerContext`; returns nothing. Connections that were accepted with it stay as
/// they are. NULL is allowed.
///
/// # Safety
/// `ctx` is null or came from `RTMP_TLS_AllocServerContext` and nobody uses it any more.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn RTMP_TLS_FreeServerContext(ctx: *mut c_void) {
    boundary((), || {
        if !ctx.is_null() {
            // SAFETY: the caller's contract: a box that `RTMP_TLS_AllocServerContext` made.
            drop(unsafe { Box::from_raw(ctx.cast::<ServerContext>()) });
        }
        Ok(())
    })
}

/// Shakes hands in TLS, as the server, with the client on `m_sb.sb_socket`; returns TRUE or FALSE. Either way
/// `RTMP_Close` releases what was made, and closes the socket. `RTMP_Serve` comes next.
///
/// The waits are bounded by the socket's time-outs, and all of them together by `Link.timeout`.
///
/// # Safety
/// `r` is null or points to an initialised `RTMP`; `ctx` is null or came from `RTMP_TLS_AllocServerContext`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn RTMP_TLS_Accept(r: *mut RTMP, ctx: *mut c_void) -> c_int {
    boundary(FALSE, || {
        // SAFETY: the caller's contract.
        let (handle, context) = unsafe {
            (Handle::connected(r)?, required(ctx.cast::<ServerContext>().cast_const(), "ctx is NULL")?)
        };
        begin(&handle, Session::server(context)?)?;
        Ok(TRUE)
    })
}

/// Shakes hands in TLS with the server on the socket, and checks that it is `host`. After a failure the session may
/// still hang on the socket; closing the connection releases it.
pub(crate) fn connect_tls(handle: &Handle, host: &str, options: &TlsOptions) -> Result<()> {
    let trust = options.trust();
    if trust == Trust::Anyone {
        log::warn!("TLS: nobody checks that the server is {host}");
    }
    begin(handle, Session::client(host, &trust)?)
}

/// Puts a session on the socket and shakes hands.
fn begin(handle: &Handle, session: Session) -> Result<()> {
    let session = Arc::new(session);
    tcp::add_missing_timeouts(handle.socket()?, handle.timeout());
    // SAFETY: the handle's contract; before the handshake nobody else uses the socket.
    unsafe {
        let sb = &raw mut (*handle.raw()).m_sb;
        sockbuf::attach(sb, session.clone());
        session.handshake(handle.socket()?, handle.timeout(), globals::interrupted)?;
        // The peer's first bytes may have come with the end of its handshake.
        sockbuf::refill_from_pending(sb);
    }
    Ok(())
}

/// A file name that C passes.
///
/// # Safety
/// `name` is null or a NUL-terminated string, which nobody changes while the result is used.
unsafe fn path<'a>(name: *const c_char, missing: &'static str) -> Result<&'a Path> {
    if name.is_null() {
        return Err(Error::Invalid(missing));
    }
    // SAFETY: the caller's contract.
    let bytes = unsafe { CStr::from_ptr(name) }.to_bytes();
    Ok(Path::new(OsStr::from_bytes(bytes)))
}

/// Whether the process has more rights than whoever started it, and so must not believe its environment.
#[cfg(any(target_os = "linux", target_os = "android"))]
fn is_privileged() -> bool {
    // SAFETY: reads a number that the kernel left for the process.
    unsafe { libc::getauxval(libc::AT_SECURE) != 0 }
}

/// Whether the process has more rights than whoever started it, and so must not believe its environment.
#[cfg(not(any(target_os = "linux", target_os = "android")))]
fn is_privileged() -> bool {
    // SAFETY: these take nothing and cannot fail.
    unsafe { libc::getuid() != libc::geteuid() || libc::getgid() != libc::getegid() }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ZERO: Option<&str> = Some("0");

    fn trust(verify: Option<bool>, file: bool, privileged: bool, environment: Option<&str>) -> Trust {
        let options = TlsOptions { verify, ca_file: file.then(|| b"ca.pem".to_vec()) };
        options.trust_in(privileged, environment.map(OsStr::new))
    }

    #[test]
    fn certificates_are_checked_unless_somebody_says_no() {
        assert_eq!(trust(None, false, false, None), Trust::Platform);
        assert_eq!(trust(None, false, false, Some("")), Trust::Platform);
        assert_eq!(trust(None, false, false, Some("1")), Trust::Platform);
        assert_eq!(trust(None, false, false, ZERO), Trust::Anyone);
        assert_eq!(trust(Some(false), false, false, None), Trust::Anyone);
        assert_eq!(trust(Some(false), true, false, None), Trust::Anyone);
    }

    #[test]
    fn options_go_before_the_environment() {
        assert_eq!(trust(Some(true), false, false, ZERO), Trust::Platform);
        assert_eq!(trust(None, true, false, ZERO), Trust::File("ca.pem".into()));
    }

    #[test]
    fn a_process_with_more_rights_ignores_the_environment() {
        assert_eq!(trust(None, false, true, ZERO), Trust::PlatformOnly);
        assert_eq!(trust(Some(true), false, true, ZERO), Trust::PlatformOnly);
        assert_eq!(trust(Some(false), false, true, None), Trust::Anyone);
    }

    #[test]
    fn only_a_clear_no_switches_checks_off() {
        let mut options = TlsOptions::default();
        for (word, verify) in [("0", false), ("NO", false), ("off", false), ("1", true), ("Yes", true)] {
            options.set_verify(word.as_bytes()).unwrap();
            assert_eq!(options.verify, Some(verify), "{word}");
        }
        for word in ["", "2", "maybe", "nope", " 0"] {
            assert!(options.set_verify(word.as_bytes()).is_err(), "{word}");
            assert_eq!(options.verify, Some(true), "{word}");
        }
    }
}
