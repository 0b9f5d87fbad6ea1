//! A server's request to connect again.

use std::{ptr, sync::Arc, time::Instant};

use libc::c_int;
use rtmp_core::{
    error::{Error, Result},
    session::{Reconnect, application},
    url::{self, Protocol},
};

use super::requested::Requested;
use crate::{
    FALSE, TRUE,
    amf::{AVal, encode::encode_extras, owned_list},
    boundary::{Kind, boundary},
    ptr::{Out, aval_bytes},
    reason::{self, During, Phase},
    rtmp::{RTMP, RTMP_FEATURE_WRITE, RTMP_LF_FAPU, RTMP_LF_FTCU, RTMP_LNK, options::Field, origin::STRINGS},
    state::{Handle, Settings},
    valid::{Rtmp, field},
};

impl Handle {
    /// Stores the server's request to connect again.
    pub(crate) fn keep_reconnect(&self, request: Reconnect) {
        let (url, protocol) =
            (field!(self.rtmp(), Link.tcUrl).copy(), field!(self.rtmp(), Link.protocol).get());
        // SAFETY: strings of `Link` are readable for their lengths (`Handle::from_raw`), and stay during the call.
        let current = unsafe { aval_bytes(&url) };
        let is_tls = Protocol::from_bits(protocol).is_tls();
        let requested = Arc::new(Requested::new(request, current, is_tls));
        self.change_settings(|settings| settings.reconnect = Some(requested));
    }
}

/// Returns the URL of the server's request to connect again.
///
/// The library does not follow the request itself, and the server continues with this connection until the program
/// closes it. `*url` becomes the absolute URL of the application; `RTMP_SetupReconnect` sets up another session for
/// it. `*description` becomes the server's explanation, or empty. Both belong to the library and are valid until the
/// next request or `RTMP_Close`, also after the connection has ended. Either pointer may be NULL.
///
/// Servers send such requests only to clients that announce them: see the option `reconnect`.
///
/// Returns TRUE, or FALSE if there is no request, or if its URL is invalid or leads from TLS to a connection without
/// TLS.
///
/// Fails with `RTMP_ERR_URL` if the URL is refused.
///
/// # Safety
/// `r` is null or points to an initialised `RTMP`; `url` and `description` are null or writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn RTMP_GetReconnect(r: *mut RTMP, url: *mut AVal, description: *mut AVal) -> c_int {
    boundary(Kind::Session, FALSE, |_| {
        // SAFETY: `r` is null or points to an initialised `RTMP`, and the places are null or writable, by the Safety section.
        let (handle, url, description) = unsafe {
            reason::looking_at(r)?;
            (Handle::existing(r), Out::new(url, "url"), Out::new(description, "description"))
        };
        let Some(requested) = handle.and_then(|handle| handle.settings().reconnect) else { return Ok(FALSE) };
        let found = requested.url().during(Phase::Url)?;
        for (place, text) in [(url, found), (description, requested.description())] {
            if let Ok(place) = place {
                place.write(AVal::of(text)?);
            }
        }
        Ok(TRUE)
    })
}

/// Sets up a session for the server's request to connect again.
///
/// `to` is a new session from `RTMP_Init`. It gets the URL of `RTMP_GetReconnect`, the other settings of `from`
/// except callbacks, and copies of all strings. The program then connects `to` while `from` is still connected,
/// switches at a key frame, sends metadata and decoder configurations again, and closes `from`. If `from` publishes,
/// so does `to`.
///
/// Returns TRUE, or FALSE if there is no request, or if it is refused: a request that leads from TLS to a connection
/// without TLS, and the sixth request within a minute, counted across sessions.
///
/// Fails with `RTMP_ERR_ARGUMENT` if there is no request or `to` is connected, and with `RTMP_ERR_URL` if the request
/// is refused. The reason is stored in `to`.
///
/// # Safety
/// `to` and `from` are null or point to initialised `RTMP`s.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn RTMP_SetupReconnect(to: *mut RTMP, from: *mut RTMP) -> c_int {
    boundary(Kind::Session, FALSE, |_| {
        // SAFETY: both are null or point to initialised `RTMP`s, by the Safety section.
        let source = unsafe {
            reason::about(to)?;
            Rtmp::new(from)
        };
        let source = source.filter(|_| !ptr::eq(to, from));
        let source = source.ok_or(Error::Invalid("the session to copy is missing"))?;
        let old = Handle::of(source).map(|handle| handle.settings()).unwrap_or_default();
        let requested = old.reconnect.clone().ok_or(Error::Invalid("there is no reconnect request"))?;
        let url = requested.url().during(Phase::Url)?;
        // SAFETY: `to` is null or points to an initialised `RTMP`, by the Safety section.
        let handle = unsafe { Handle::from_raw(to) }?;
        if handle.is_open() {
            return Err(Error::Invalid("the session to set up is connected").into());
        }
        // Settings of the old session alone are not copied: callbacks have arguments that belong to it.
        let Settings {
            local,
            tls,
            enhanced,
            tuning,
            mut history,
            before_url: _,
            login: _,
            reconnect: _,
            texts: _,
            origin: _,
            hooks: _,
        } = old;
        history.count(Instant::now()).during(Phase::Url)?;
        let texts = copy(handle.rtmp(), source, url).during(Phase::Url)?;
        handle.change_settings(|settings| {
            (settings.local, settings.tls) = (local, tls);
            (settings.enhanced, settings.tuning) = (enhanced, tuning);
            (settings.history, settings.texts) = (history, Some(texts));
        });
        Ok(TRUE)
    })
}

/// Copies the settings, except those that the URL of the application changes. Returns the memory of the strings.
fn copy(to: Rtmp<'_>, from: Rtmp<'_>, url: &[u8]) -> Result<Arc<[u8]>> {
    let parsed = url::parse(url)?;
    // SAFETY: both are initialised (`Rtmp`), and the program uses `Link` in no other thread during this call (`rtmp.h`).
    let (link, source) = unsafe { (&mut *field!(to, Link).as_ptr(), &mut *field!(from, Link).as_ptr()) };
    // SAFETY: the list is empty or holds initialised properties, as `amf.h` requires.
    let extras = unsafe { encode_extras(&source.extras) }?;
    let text = |(name, field): (&str, Field)| match name {
        "app" => application(url).to_vec(),
        "tcUrl" => url.to_vec(),
        _ if ptr::eq(field(source), &source.hostname) => parsed.host.unwrap_or_default().to_vec(),
        // SAFETY: strings of `Link` are readable for their lengths, as `rtmp.h` requires, and stay during this call.
        _ => unsafe { aval_bytes(field(source)) }.to_vec(),
    };
    let strings = STRINGS.map(text);
    let texts: Arc<[u8]> = strings.concat().into_iter().chain(extras).collect();
    let mut rest = &texts[..];
    for (string, (_, field)) in strings.iter().zip(STRINGS) {
        let (text, others) = rest.split_at(string.len());
        *field(link) = AVal::of(text)?;
        rest = others;
    }
    link.extras = owned_list(rest)?;
    let RTMP_LNK { edepth, seekTime, stopTime, swfAge, timeout, socksport, SWFSize, SWFHash, .. } = *source;
    (link.edepth, link.seekTime, link.stopTime, link.swfAge) = (edepth, seekTime, stopTime, swfAge);
    (link.timeout, link.socksport, link.SWFSize, link.SWFHash) = (timeout, socksport, SWFSize, SWFHash);
    link.lFlags = source.lFlags & !(RTMP_LF_FAPU | RTMP_LF_FTCU);
    link.protocol = parsed.protocol.bits() | source.protocol & RTMP_FEATURE_WRITE;
    link.port = if parsed.port == 0 { parsed.protocol.default_port() } else { parsed.port };
    field!(to, m_nBufferMS).set(field!(from, m_nBufferMS).get());
    field!(to, m_outChunkSize).set(field!(from, m_outChunkSize).get());
    field!(to, m_fAudioCodecs).set(field!(from, m_fAudioCodecs).get());
    field!(to, m_fVideoCodecs).set(field!(from, m_fVideoCodecs).get());
    field!(to, m_fEncoding).set(field!(from, m_fEncoding).get());
    field!(to, m_bSendEncoding).set(field!(from, m_bSendEncoding).get());
    Ok(texts)
}

#[cfg(test)]
mod tests {
    use std::ffi::CString;

    use super::*;
    use crate::rtmp::{
        close::RTMP_Close,
        lifecycle::{RTMP_Alloc, RTMP_Free, RTMP_Init},
        setup::RTMP_SetupURL,
    };

    /// A session with a URL, and with a request to connect again.
    struct Asked {
        r: *mut RTMP,
        _url: CString,
    }

    impl Asked {
        fn new(url: &str, reference: &str) -> Self {
            let url = CString::new(url).unwrap();
            let r = fresh();
            // SAFETY: the session is initialised, and the URL has no spaces, so that it is only read.
            assert_eq!(unsafe { RTMP_SetupURL(r, url.as_ptr().cast_mut()) }, TRUE);
            ask(r, reference);
            Self { r, _url: url }
        }
    }

    impl Drop for Asked {
        fn drop(&mut self) {
            free(self.r);
        }
    }

    fn fresh() -> *mut RTMP {
        // SAFETY: the session is new.
        unsafe {
            let r = RTMP_Alloc();
            RTMP_Init(r);
            r
        }
    }

    fn free(r: *mut RTMP) {
        // SAFETY: the session is initialised, and is no longer used.
        unsafe {
            RTMP_Close(r);
            RTMP_Free(r);
        }
    }

    fn ask(r: *mut RTMP, reference: &str) {
        let request = Reconnect { reference: reference.into(), description: b"why".to_vec() };
        // SAFETY: the session is initialised.
        unsafe { Handle::from_raw(r) }.unwrap().keep_reconnect(request);
    }

    fn text(value: &AVal) -> String {
        // SAFETY: the strings of a session are readable for their lengths.
        String::from_utf8(unsafe { aval_bytes(value) }.to_vec()).unwrap()
    }

    /// The target of a session's request.
    fn target(r: *mut RTMP) -> Option<String> {
        let (mut url, mut description) = (AVal::EMPTY, AVal::EMPTY);
        // SAFETY: the session is initialised and the places are writable.
        let found = unsafe { RTMP_GetReconnect(r, &raw mut url, &raw mut description) };
        assert!(found == FALSE || text(&description) == "why");
        (found == TRUE).then(|| text(&url))
    }

    #[test]
    fn a_session_is_set_up_with_copies_of_everything() {
        let to = fresh();
        let url = "rtmp://user:secret@one:1936/app/name";
        let asked = Asked::new(url, "//two:99/other/inst");
        assert_eq!(target(asked.r).as_deref(), Some("rtmp://two:99/other/inst"));
        // SAFETY: both sessions are initialised.
        assert_eq!(unsafe { RTMP_SetupReconnect(to, asked.r) }, TRUE);
        drop(asked);
        // SAFETY: the session is initialised.
        let link = unsafe { &(*to).Link };
        for (field, expected) in [
            (&link.hostname, "two"),
            (&link.app, "other/inst"),
            (&link.tcUrl, "rtmp://two:99/other/inst"),
            (&link.playpath, "name"),
            (&link.pubUser, "user"),
            (&link.pubPasswd, "secret"),
        ] {
            assert_eq!(text(field), expected);
        }
        assert_eq!((link.port, link.protocol), (99, 0));
        assert_eq!(target(to), None);
        // SAFETY: as above.
        unsafe { RTMP_Close(to) };
        // SAFETY: as above.
        assert_eq!(text(unsafe { &(*to).Link.hostname }), "", "nothing points to what is gone");
        free(to);
    }

    #[cfg(feature = "tls")]
    #[test]
    fn requests_that_leave_tls_or_have_no_target_are_refused() {
        for (url, reference) in
            [("rtmps://one/app/name", "rtmp://two/app"), ("rtmp://one/app/name", "http://two/app")]
        {
            let (asked, to) = (Asked::new(url, reference), fresh());
            assert_eq!(target(asked.r), None);
            // SAFETY: both sessions are initialised.
            unsafe {
                assert_eq!(RTMP_SetupReconnect(to, asked.r), FALSE);
                assert_eq!(RTMP_SetupReconnect(asked.r, asked.r), FALSE);
            }
            free(to);
        }
        let (first, second) = (fresh(), fresh());
        // SAFETY: both sessions are initialised.
        assert_eq!(unsafe { RTMP_SetupReconnect(second, first) }, FALSE, "there is no request");
        free(first);
        free(second);
    }

    #[test]
    fn the_sixth_request_within_a_minute_is_refused() {
        let asked = Asked::new("rtmp://one/app/name", "");
        let mut chain = vec![asked.r];
        for number in 1..=6 {
            let to = fresh();
            // SAFETY: both sessions are initialised.
            let done = unsafe { RTMP_SetupReconnect(to, chain[chain.len() - 1]) };
            assert_eq!(done == TRUE, number < 6, "{number}");
            ask(to, "/app");
            chain.push(to);
        }
        chain.drain(1..).for_each(free);
    }
}
