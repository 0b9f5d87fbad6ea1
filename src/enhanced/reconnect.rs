//! A server's request to connect again.

use std::{sync::Arc, time::Instant};

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
    fields::{extras, text},
    ptr::{Out, given},
    reason::{self, During, Phase},
    rtmp::{RTMP_FEATURE_WRITE, RTMP_LF_FAPU, RTMP_LF_FTCU, origin::STRINGS},
    state::{Handle, Settings},
    valid::{Rtmp, field},
};

impl Handle {
    /// Stores the server's request to connect again.
    pub(crate) fn keep_reconnect(&self, request: Reconnect) {
        let link = field!(self.rtmp(), Link);
        let is_tls = Protocol::from_bits(field!(link, protocol).get()).is_tls();
        let requested = Arc::new(Requested::new(request, text(field!(link, tcUrl)), is_tls));
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
pub unsafe extern "C" fn RTMP_GetReconnect(
    r: Option<Rtmp<'_>>,
    url: Option<Out<AVal>>,
    description: Option<Out<AVal>>,
) -> c_int {
    boundary(Kind::Session, FALSE, |_| {
        let handle = Handle::of(reason::look_at(r)?);
        let requested = handle.and_then(|handle| handle.with_settings(|settings| settings.reconnect.clone()));
        let Some(requested) = requested else { return Ok(FALSE) };
        let found = requested.url().during(Phase::Url)?;
        for (place, text) in [(url, found), (description, requested.description())] {
            if let Some(place) = place {
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
pub unsafe extern "C" fn RTMP_SetupReconnect(to: Option<Rtmp<'_>>, from: Option<Rtmp<'_>>) -> c_int {
    boundary(Kind::Session, FALSE, |_| {
        let to = reason::use_session(to)?;
        let from = from.filter(|from| from.as_ptr() != to.as_ptr());
        let from = given(from, "the session to copy is missing")?;
        let old = Handle::of(from).map(|handle| handle.with_settings(Settings::clone)).unwrap_or_default();
        let requested = old.reconnect.clone().ok_or(Error::Invalid("there is no reconnect request"))?;
        let url = requested.url().during(Phase::Url)?;
        let handle = Handle::made_for(to)?;
        if handle.is_open() {
            return Err(Error::Invalid("the session to set up is connected").into());
        }
        // Settings of the old session alone are not copied: callbacks have arguments that belong to it.
        let Settings { common, mut history, before_url: _, login: _, reconnect: _, texts: _, hooks: _ } = old;
        history.count(Instant::now()).during(Phase::Url)?;
        let texts = copy(to, from, url).during(Phase::Url)?;
        handle.change_settings(|settings| {
            (settings.common, settings.history, settings.texts) = (common, history, Some(texts));
        });
        Ok(TRUE)
    })
}

/// Copies fields of these names.
macro_rules! copy_numbers {
    ($from:ident => $to:ident: $($field:ident),+) => {
        $(field!($to, $field).set(field!($from, $field).get());)+
    };
}

/// Copies the settings, except those that the URL of the application changes. Returns the memory of the strings.
fn copy(to: Rtmp<'_>, from: Rtmp<'_>, url: &[u8]) -> Result<Arc<[u8]>> {
    let parsed = url::parse(url)?;
    let (link, source) = (field!(to, Link), field!(from, Link));
    let extras = encode_extras(extras(source))?;
    let strings = STRINGS.map(|(name, field)| match name {
        "app" => application(url),
        "tcUrl" => url,
        _ if field(source).as_ptr() == field!(source, hostname).as_ptr() => parsed.host.unwrap_or_default(),
        _ => text(field(source)),
    });
    let texts: Arc<[u8]> = strings.concat().into_iter().chain(extras).collect();
    let mut rest = &texts[..];
    for (string, (_, field)) in strings.iter().zip(STRINGS) {
        let (text, others) = rest.split_at(string.len());
        field(link).put(AVal::of(text)?);
        rest = others;
    }
    field!(link, extras).put(owned_list(rest)?);
    copy_numbers!(source => link: edepth, seekTime, stopTime, swfAge, timeout, socksport, SWFSize);
    field!(link, SWFHash).put(field!(source, SWFHash).copy());
    field!(link, lFlags).set(field!(source, lFlags).get() & !(RTMP_LF_FAPU | RTMP_LF_FTCU));
    let publishes = field!(source, protocol).get() & RTMP_FEATURE_WRITE;
    field!(link, protocol).set(parsed.protocol.bits() | publishes);
    field!(link, port).set(if parsed.port == 0 { parsed.protocol.default_port() } else { parsed.port });
    copy_numbers!(from => to: m_nBufferMS, m_outChunkSize, m_fEncoding, m_bSendEncoding);
    copy_numbers!(from => to: m_fAudioCodecs, m_fVideoCodecs);
    Ok(texts)
}

#[cfg(test)]
mod tests {
    use std::ffi::CString;

    use super::*;
    use crate::{
        ptr::{aval_bytes, from_c as c},
        rtmp::{
            close::RTMP_Close,
            lifecycle::{RTMP_Alloc, RTMP_Free, RTMP_Init},
            setup::RTMP_SetupURL,
        },
    };

    /// A session with a URL, and with a request to connect again.
    struct Asked {
        r: Rtmp<'static>,
        _url: CString,
    }

    impl Asked {
        fn new(url: &str, reference: &str) -> Self {
            let url = CString::new(url).unwrap();
            let r = fresh();
            // SAFETY: the session is initialised, and the URL has no spaces, so that it is only read.
            assert_eq!(unsafe { RTMP_SetupURL(Some(r), url.as_ptr().cast_mut()) }, TRUE);
            ask(r, reference);
            Self { r, _url: url }
        }
    }

    impl Drop for Asked {
        fn drop(&mut self) {
            free(self.r);
        }
    }

    fn fresh() -> Rtmp<'static> {
        // SAFETY: the session is new, and stays until `free`.
        unsafe {
            let r = RTMP_Alloc();
            RTMP_Init(r);
            Rtmp::new(r).unwrap()
        }
    }

    fn free(r: Rtmp<'_>) {
        // SAFETY: the session is initialised, and is no longer used.
        unsafe {
            RTMP_Close(Some(r));
            RTMP_Free(r.as_ptr());
        }
    }

    fn ask(r: Rtmp<'_>, reference: &str) {
        let request = Reconnect { reference: reference.into(), description: b"why".to_vec() };
        Handle::made_for(r).unwrap().keep_reconnect(request);
    }

    fn words(value: &AVal) -> String {
        // SAFETY: the strings of a session are readable for their lengths.
        String::from_utf8(unsafe { aval_bytes(value) }.to_vec()).unwrap()
    }

    /// The target of a session's request.
    fn target(r: Rtmp<'_>) -> Option<String> {
        let (mut url, mut description) = (AVal::EMPTY, AVal::EMPTY);
        // SAFETY: the session is initialised and the places are writable.
        let found = unsafe { RTMP_GetReconnect(Some(r), c(&mut url), c(&mut description)) };
        assert!(found == FALSE || words(&description) == "why");
        (found == TRUE).then(|| words(&url))
    }

    #[test]
    fn a_session_is_set_up_with_copies_of_everything() {
        let to = fresh();
        let url = "rtmp://user:secret@one:1936/app/name";
        let asked = Asked::new(url, "//two:99/other/inst");
        assert_eq!(target(asked.r).as_deref(), Some("rtmp://two:99/other/inst"));
        // SAFETY: both sessions are initialised.
        assert_eq!(unsafe { RTMP_SetupReconnect(Some(to), Some(asked.r)) }, TRUE);
        drop(asked);
        for (field, expected) in [
            (field!(to, Link.hostname), "two"),
            (field!(to, Link.app), "other/inst"),
            (field!(to, Link.tcUrl), "rtmp://two:99/other/inst"),
            (field!(to, Link.playpath), "name"),
            (field!(to, Link.pubUser), "user"),
            (field!(to, Link.pubPasswd), "secret"),
        ] {
            assert_eq!(text(field), expected.as_bytes());
        }
        assert_eq!((field!(to, Link.port).get(), field!(to, Link.protocol).get()), (99, 0));
        assert_eq!(target(to), None);
        // SAFETY: the session is initialised.
        unsafe { RTMP_Close(Some(to)) };
        assert_eq!(text(field!(to, Link.hostname)), b"", "nothing points to what is gone");
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
                assert_eq!(RTMP_SetupReconnect(Some(to), Some(asked.r)), FALSE);
                assert_eq!(RTMP_SetupReconnect(Some(asked.r), Some(asked.r)), FALSE);
            }
            free(to);
        }
        let (first, second) = (fresh(), fresh());
        // SAFETY: both sessions are initialised.
        let result = unsafe { RTMP_SetupReconnect(Some(second), Some(first)) };
        assert_eq!(result, FALSE, "there is no request");
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
            let done = unsafe { RTMP_SetupReconnect(Some(to), chain.last().copied()) };
            assert_eq!(done == TRUE, number < 6, "{number}");
            ask(to, "/app");
            chain.push(to);
        }
        chain.drain(1..).for_each(free);
    }
}
