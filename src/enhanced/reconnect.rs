//! A server's request to connect again.

use std::{ptr, sync::Arc, time::Instant};

use libc::c_int;
use rtmp_core::{
    error::{Error, Result},
    session::{Reconnect, application},
    url::{self, Protocol},
};

use super::requested::{Requested, view};
use crate::{
    FALSE, TRUE,
    amf::{AVal, encode::encode_extras, owned_list},
    boundary::{Kind, boundary},
    ptr::aval_bytes,
    reason::{self, During, Phase},
    rtmp::{RTMP, RTMP_FEATURE_WRITE, RTMP_LF_FAPU, RTMP_LF_FTCU, RTMP_LNK, origin::STRINGS},
    shared,
    state::{Handle, Settings},
};

impl Handle {
    /// The server has asked to connect again.
    pub(crate) fn keep_reconnect(&self, request: Reconnect) {
        // SAFETY: the handle's `RTMP` stays valid while the handle exists (`Handle::from_raw`), and the URL is
        // readable for its length.
        let (current, protocol) = unsafe {
            let link = &raw const (*self.raw()).Link;
            (aval_bytes(&(*link).tcUrl), (*link).protocol)
        };
        let is_tls = Protocol::from_bits(protocol).is_tls();
        let requested = Arc::new(Requested::new(request, current, is_tls));
        self.change_settings(|settings| settings.reconnect = Some(requested));
    }
}

/// Returns whether the server has asked to connect again, and where.
///
/// The server continues with this connection until the program leaves it; nothing is followed by itself. `*url` becomes
/// the absolute URL of the application, with `RTMP_SetupReconnect` to set up another session for it; `*description`
/// becomes the server's explanation, empty if it gave none. Both stay the library's and are valid until the next
/// request or `RTMP_Close`. They are there although the connection has ended since. Either pointer may be NULL.
///
/// Servers ask only clients that announce it: see the option `reconnect`.
///
/// Returns TRUE, or FALSE if the server has not asked, or if the URL leads out of TLS or makes no sense.
///
/// Fails with `RTMP_ERR_URL` if the URL must not be followed.
///
/// # Safety
/// `r` is null or points to an initialised `RTMP`; `url` and `description` are null or writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn RTMP_GetReconnect(r: *mut RTMP, url: *mut AVal, description: *mut AVal) -> c_int {
    boundary(Kind::Session, FALSE, |_| {
        // SAFETY: `r` is null or points to an initialised `RTMP`, by the Safety section.
        unsafe { reason::about(r) }?;
        // SAFETY: as above.
        let requested = unsafe { Handle::existing(r) }.and_then(|handle| handle.settings().reconnect);
        let Some(requested) = requested else { return Ok(FALSE) };
        let found = requested.url().during(Phase::Url)?;
        for (place, text) in [(url, found), (description, requested.description())] {
            if !place.is_null() {
                // SAFETY: the place is null or writable, by the Safety section.
                unsafe { place.write(view(text)) };
            }
        }
        Ok(TRUE)
    })
}

/// Sets up a session for the server's request to connect again.
///
/// `to` comes fresh from `RTMP_Init`; it gets the settings of `from`, but for callbacks, with the URL that
/// `RTMP_GetReconnect` tells for `from`, and copies of all strings. The program then connects `to` beside `from`,
/// goes over at a key frame, sends metadata and decoder configurations again, and closes `from`. A publisher calls
/// `RTMP_EnableWrite` as for any session, unless `from` is one.
///
/// Returns TRUE, or FALSE if there is no request, or if it is refused: one that leads out of TLS, and the sixth
/// within a minute, counted from session to session.
///
/// Fails with `RTMP_ERR_ARGUMENT` if there is no request or `to` is connected, and with `RTMP_ERR_URL` if the request
/// must not be followed. The reason is that of `to`.
///
/// # Safety
/// `to` and `from` are null or point to initialised `RTMP`s.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn RTMP_SetupReconnect(to: *mut RTMP, from: *mut RTMP) -> c_int {
    boundary(Kind::Session, FALSE, |_| {
        // SAFETY: `to` is null or points to an initialised `RTMP`, by the Safety section.
        unsafe { reason::about(to) }?;
        if from.is_null() || ptr::eq(to, from) {
            return Err(Error::Invalid("the session to copy is missing").into());
        }
        // SAFETY: `from` points to an initialised `RTMP`, by the Safety section.
        let old = unsafe { Handle::existing(from) }.map(|handle| handle.settings()).unwrap_or_default();
        let requested = old.reconnect.clone().ok_or(Error::Invalid("there is no reconnect request"))?;
        let url = requested.url().during(Phase::Url)?;
        // SAFETY: `to` is null or points to an initialised `RTMP`, by the Safety section.
        let handle = unsafe { Handle::from_raw(to) }?;
        if handle.is_open() {
            return Err(Error::Invalid("the session to set up is connected").into());
        }
        // What belongs to the old session alone stays there: callbacks have arguments about it.
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
        // SAFETY: both point to initialised `RTMP`s, by the Safety section.
        let texts = unsafe { copy(to, from, url) }.during(Phase::Url)?;
        handle.change_settings(|settings| {
            (settings.local, settings.tls) = (local, tls);
            (settings.enhanced, settings.tuning) = (enhanced, tuning);
            (settings.history, settings.texts) = (history, Some(texts));
        });
        Ok(TRUE)
    })
}

/// Copies the settings, but for what the URL of the application says otherwise. Returns the memory that the strings
/// are in.
///
/// # Safety
/// Both point to initialised `RTMP`s.
unsafe fn copy(to: *mut RTMP, from: *mut RTMP, url: &[u8]) -> Result<Arc<[u8]>> {
    // SAFETY: both point to initialised `RTMP`s, by the Safety section, whose strings are readable for their lengths;
    // this call has both to itself.
    unsafe {
        let parsed = url::parse(url)?;
        let source = &mut (*from).Link;
        let extras = encode_extras(&source.extras)?;
        let mut strings: Vec<Vec<u8>> =
            STRINGS.iter().map(|(_, field)| aval_bytes(field(source)).to_vec()).collect();
        for (string, (name, field)) in strings.iter_mut().zip(STRINGS) {
            match name {
                "app" => *string = application(url).to_vec(),
                "tcUrl" => *string = url.to_vec(),
                _ if ptr::eq(field(source), &source.hostname) => {
                    *string = parsed.host.unwrap_or_default().to_vec()
                }
                _ => {}
            }
        }
        let texts: Arc<[u8]> = strings.concat().into_iter().chain(extras.iter().copied()).collect();
        let link = &mut (*to).Link;
        let mut at = 0;
        for (string, (_, field)) in strings.iter().zip(STRINGS) {
            *field(link) = view(&texts[at..at + string.len()]);
            at += string.len();
        }
        link.extras = owned_list(&texts[at..])?;
        let RTMP_LNK { edepth, seekTime, stopTime, swfAge, timeout, socksport, SWFSize, SWFHash, .. } =
            *source;
        (link.edepth, link.seekTime, link.stopTime, link.swfAge) = (edepth, seekTime, stopTime, swfAge);
        (link.timeout, link.socksport, link.SWFSize, link.SWFHash) = (timeout, socksport, SWFSize, SWFHash);
        link.lFlags = source.lFlags & !(RTMP_LF_FAPU | RTMP_LF_FTCU);
        link.protocol = parsed.protocol.bits() | source.protocol & RTMP_FEATURE_WRITE;
        link.port = if parsed.port == 0 { parsed.protocol.default_port() } else { parsed.port };
        shared::write(&raw mut (*to).m_nBufferMS, shared::read(&raw const (*from).m_nBufferMS));
        shared::write(&raw mut (*to).m_outChunkSize, shared::read(&raw const (*from).m_outChunkSize));
        (*to).m_fAudioCodecs = (*from).m_fAudioCodecs;
        (*to).m_fVideoCodecs = (*from).m_fVideoCodecs;
        (*to).m_fEncoding = (*from).m_fEncoding;
        (*to).m_bSendEncoding = (*from).m_bSendEncoding;
        Ok(texts)
    }
}
