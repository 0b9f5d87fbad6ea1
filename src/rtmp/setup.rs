//! Fills the settings of an `RTMP` before it connects: from a URL with options, or from parts.

use std::{slice, sync::Arc};

use libc::{c_char, c_int, c_long, c_uint};
use rtmp_core::{
    error::{Error, Result},
    features,
    options::{next_pair, number, unescape},
    text::{self, NOT_SHOWN, Text},
    transport::proxy::{self, Proxy},
    url::{self, Protocol},
};

use super::{
    RTMP, RTMP_LF_AUTH, RTMP_LF_FAPU, RTMP_LF_FTCU, RTMP_LF_LIVE, RTMP_LF_SWFV, RTMP_LNK, RTMP_SWF_HASHLEN,
    options::{self, Field, replace},
    origin::{Origin, forget_login},
    swf::hash_swf,
    url::{borrowed, owned, parse, part},
};
use crate::{
    FALSE, TRUE,
    amf::AVal,
    boundary::{Kind, boundary},
    globals, memory,
    ptr::{aval_bytes, c_string},
    reason::{self, During, Failure, Phase},
    state::{Handle, Hidden, Login},
    valid::{Rtmp, Valid, field},
};

/// Configures a session from a URL and the options after it, for example `rtmp://host/app/stream live=1 timeout=10`.
///
/// Returns TRUE, or FALSE if the URL or an option is invalid. Settings before the invalid one may have been applied.
///
/// Fails with `RTMP_ERR_URL` if the URL cannot be used, with `RTMP_ERR_OPTION` if an option is unknown or its value is
/// invalid, and with `RTMP_ERR_UNSUPPORTED` if this library was built without what the protocol or `swfVfy` needs.
///
/// The session keeps using `url`, and the function divides it in place. Keep it unchanged until `RTMP_Close` has
/// returned, and longer if you connect again without another URL. A string literal works as long as no option value
/// contains an escape. An escape is a backslash and two hexadecimal digits: `\20` is a space, `\5c` is a backslash. A
/// user name and password in the URL log a publisher in, unless options name others. In them, write `/`, `?`, `#`, `:`
/// and `@` as `%` and two hexadecimal digits.
///
/// The function first resets what the text of the previous call set, except for `timeout`. What the program itself set,
/// with `RTMP_SetOpt` or in the fields, stays unless that text replaced it. If you pass the same unchanged memory
/// again, its options stay, although they no longer follow the URL. `RTMP_Close` resets the options `tlsVerify` and
/// `tlsCA`.
///
/// # Safety
/// `r` is null or points to an initialised `RTMP`; `url` is null or a NUL-terminated string, which is writable from its
/// first space on or not at all.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn RTMP_SetupURL(r: *mut RTMP, url: *mut c_char) -> c_int {
    boundary(Kind::Waits, FALSE, |_| {
        // SAFETY: `r` is null or points to an initialised `RTMP`, by the Safety section.
        let r = unsafe { reason::about(r) }?;
        // SAFETY: `url` is null or NUL-terminated, by the Safety section.
        let text = unsafe { c_string(url, "url is NULL") }.during(Phase::Url)?;
        let len = text.len();
        let head = text.iter().position(|&byte| byte == b' ').unwrap_or(len);
        let (mut origin, is_new) = Origin::begin(r, text, head);
        // SAFETY: `url` is the string that was measured, writable from its first space on or not at all, by the Safety section.
        let result = unsafe { set_up(r, url, len, head, is_new, &mut origin) };
        // Also what an invalid text has set.
        origin.keep(r);
        result
    })
}

/// Fills the settings from a text of `len` bytes, which begins with a URL of `head` bytes, and notes in `origin` which settings
/// the text has set, if it is new.
///
/// # Safety
/// `url` is such a text, writable from its first space on or not at all.
unsafe fn set_up(
    r: Rtmp<'_>,
    url: *mut c_char,
    len: usize,
    head: usize,
    is_new: bool,
    origin: &mut Origin,
) -> Result<c_int, Failure> {
    // SAFETY: the text has `head` bytes at least, by the Safety section; what follows does not touch those.
    let head_text = unsafe { slice::from_raw_parts(url.cast::<u8>().cast_const(), head) };
    forget_login(r);
    let before = hidden_options(r);
    let has_login = apply_url(r, url, head_text).during(Phase::Url)?;
    features::check_protocol(Protocol::from_bits(field!(r, Link.protocol).get())).during(Phase::Call)?;
    if head < len {
        // SAFETY: the text has `len` bytes, by the Safety section, and a program leaves it alone during the call.
        let applied = unsafe {
            let writable = memory::try_end_text(url.add(head));
            apply_options(r, url, len, head + 1, writable)
        };
        if is_new {
            origin.note_options(r);
            keep_hidden_options(r, before);
        }
        applied.during(Phase::Option)?;
    }
    let link = field!(r, Link);
    complete_tc_url(link, url, head_text, has_login).during(Phase::Url)?;
    let swf_url = field!(link, swfUrl).copy();
    if field!(link, lFlags).get() & RTMP_LF_SWFV != 0 && swf_url.av_len > 0 {
        features::SWF.check().during(Phase::Call)?;
        let handle = Handle::made_for(r).during(Phase::Url)?;
        // SAFETY: strings of `Link` are readable for their lengths, a rule of `rtmp.h`, and nothing else uses it during the call.
        let (url, tls) = (unsafe { aval_bytes(&swf_url) }, handle.settings().tls);
        // The reason why there is no hash was logged; the session continues without one.
        if let Ok(swf) = hash_swf(url, field!(link, swfAge).get(), &tls, &handle.patience()) {
            field!(link, SWFSize).set(swf.size);
            field!(link, SWFHash).put(swf.hash);
            origin.note_swf(swf.size);
        }
    }
    let proxy = field!(link, sockshost);
    if !origin.has_divided(proxy.copy()) {
        // SAFETY: strings of `Link` are readable for their lengths, a rule of `rtmp.h`, and nothing else uses it during the call.
        let result = unsafe { set_proxy(link, proxy.copy()) };
        origin.note_proxy(proxy.copy(), result.is_ok());
        result.during(Phase::Option)?;
    }
    default_port(link);
    Ok(TRUE)
}

/// The options that have no field and belong to the text of a URL.
fn hidden_options(r: Rtmp<'_>) -> Hidden {
    let settings = Handle::of(r).map(|handle| handle.settings()).unwrap_or_default();
    Hidden { local: settings.local, tls: settings.tls, tuning: settings.tuning, enhanced: settings.enhanced }
}

/// Stores the values of the options without a field before a text changes them.
fn keep_hidden_options(r: Rtmp<'_>, before: Hidden) {
    let changed = hidden_options(r) != before;
    if let Some(handle) = changed.then(|| Handle::of(r)).flatten() {
        handle.change_settings(|settings| settings.before_url = Some(Box::new(before)));
    }
}

/// Configures a session from separate values instead of a URL.
///
/// The strings are not copied, except for `sockshost`: keep their memory until `RTMP_Close` has returned, and longer if
/// you connect again. `protocol` is one of the `RTMP_PROTOCOL_*` constants. Port 0 means the default port of the
/// protocol. `sockshost` is a proxy as in the option `socks`, or empty. If `tcUrl`, `swfUrl`, `pageUrl`, `app`, `auth`,
/// `subscribepath` or `usherToken` is NULL or empty, the field keeps its value, unless that came from the text of an
/// `RTMP_SetupURL` before the last `RTMP_Close`. `swfSHA256Hash` holds the 32-byte hash of an SWF file of `swfSize`
/// bytes. `dStart` and `dStop` are milliseconds; `timeout` is seconds.
///
/// # Safety
/// `r` is null or points to an initialised `RTMP`; the others are null or point to strings that are readable for their
/// lengths.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn RTMP_SetupStream(
    r: *mut RTMP,
    protocol: c_int,
    hostname: *mut AVal,
    port: c_uint,
    sockshost: *mut AVal,
    playpath: *mut AVal,
    tcUrl: *mut AVal,
    swfUrl: *mut AVal,
    pageUrl: *mut AVal,
    app: *mut AVal,
    auth: *mut AVal,
    swfSHA256Hash: *mut AVal,
    swfSize: u32,
    flashVer: *mut AVal,
    subscribepath: *mut AVal,
    usherToken: *mut AVal,
    dStart: c_int,
    dStop: c_int,
    bLiveStream: c_int,
    timeout: c_long,
) {
    boundary(Kind::Session, (), |_| {
        let first = [hostname, sockshost, playpath, tcUrl, swfUrl, pageUrl, app];
        let others = [auth, swfSHA256Hash, flashVer, subscribepath, usherToken];
        // SAFETY: `r` is null or points to an initialised `RTMP`; the others are null or point to strings that are
        // readable for their lengths, by the Safety section. They are copied at once, because they may be fields of `r`.
        let (rtmp, first, others) = unsafe {
            let copy = |value: *mut AVal| value.as_ref().copied().unwrap_or(AVal::EMPTY);
            (reason::about(r)?, first.map(copy), others.map(copy))
        };
        let [hostname, sockshost, playpath, tcUrl, swfUrl, pageUrl, app] = first;
        let [auth, hash, flashVer, subscribepath, usherToken] = others;

        ::log::debug!("Protocol : {}", globals::protocol_name(protocol).to_string_lossy());
        log_text("Hostname", hostname);
        ::log::debug!("Port     : {port}");
        log_text("Playpath", playpath);
        for (name, value) in [("tcUrl", tcUrl), ("swfUrl", swfUrl), ("pageUrl", pageUrl), ("app", app)] {
            log_given(name, value);
        }
        log_secret("auth", auth);
        log_given("subscribepath ", subscribepath);
        log_secret("NetStream.Authenticate.UsherToken ", usherToken);
        log_given("flashVer", flashVer);
        for (name, milliseconds) in [("StartTime", dStart), ("StopTime", dStop)] {
            if milliseconds > 0 {
                ::log::debug!("{name:<14}: {milliseconds} msec");
            }
        }
        ::log::debug!("live     : {}", if bLiveStream != 0 { "yes" } else { "no" });
        ::log::debug!("timeout  : {timeout} sec");

        // SAFETY: `r` is null or points to an initialised `RTMP`; the others are null or point to strings that are
        // readable for their lengths, by the Safety section; one assignment at a time, nothing is logged or called
        // meanwhile.
        unsafe {
            Origin::forget_closed(rtmp);
            set_swf(&mut (*r).Link, aval_bytes(&hash), swfSize);
            log_swf(&(*r).Link);
            let proxy = set_proxy(field!(rtmp, Link), sockshost);
            let link = &mut (*r).Link;
            let optional: [(Field, c_int, AVal); 6] = [
                (|link| &mut link.tcUrl, RTMP_LF_FTCU, tcUrl),
                (|link| &mut link.swfUrl, 0, swfUrl),
                (|link| &mut link.pageUrl, 0, pageUrl),
                (|link| &mut link.app, RTMP_LF_FAPU, app),
                (|link| &mut link.subscribepath, 0, subscribepath),
                (|link| &mut link.usherToken, 0, usherToken),
            ];
            for (field, flag, value) in optional.into_iter().filter(|&(_, _, value)| is_given(value)) {
                replace(link, field, flag, value);
            }
            if is_given(auth) {
                link.auth = auth;
                link.lFlags |= RTMP_LF_AUTH;
            }
            link.flashVer = if is_given(flashVer) { flashVer } else { globals::default_flash_version() };
            if bLiveStream != 0 {
                link.lFlags |= RTMP_LF_LIVE;
            }
            link.seekTime = dStart;
            link.stopTime = dStop;
            // Cut to C's smaller types, as librtmp does.
            link.timeout = timeout as c_int;
            link.protocol = protocol;
            link.hostname = hostname;
            link.playpath = playpath;
            link.port = port as u16;
            if c_uint::from(link.port) != port {
                ::log::warn!("{port} is not a port number, {} is used", link.port);
            }
            default_port(field!(rtmp, Link));
            proxy.during(Phase::Option)
        }
    })
}

/// Stores the parts of a URL, and returns whether it has user information. `head` is a view of the memory at `base`.
fn apply_url(r: Rtmp<'_>, base: *mut c_char, head: &[u8]) -> Result<bool> {
    // SAFETY: nothing else uses `Link` while a session is set up, a rule of `rtmp.h`; nothing is logged or called meanwhile.
    forget_stream(unsafe { &mut *field!(r, Link).as_ptr() });
    field!(r, Link.protocol).set(Protocol::RTMP.bits());
    let parsed = parse(head)?;
    let place = |bytes: Option<&[u8]>| bytes.map_or(Ok(AVal::EMPTY), |bytes| part(base, head, bytes));
    let name = parsed.playpath.map_or(Ok(AVal::EMPTY), |name| owned(&name))?;
    // SAFETY: as above; `change_settings` does not read it.
    let link = unsafe { &mut *field!(r, Link).as_ptr() };
    link.playpath0 = name;
    link.playpath = name;
    link.protocol = parsed.protocol.bits();
    link.hostname = place(parsed.host)?;
    link.port = parsed.port;
    link.app = place(parsed.app)?;
    let Some(info) = parsed.userinfo else { return Ok(false) };
    let (mut user, mut password) = (place(Some(info.user))?, place(info.password)?);
    if head.contains(&b'%') && (info.decoded_user() != info.user || info.has_escaped_password()) {
        let login = Login::new(&info.decoded_user(), &info.decoded_password());
        // Without the NUL.
        user = borrowed(login.user.as_ptr().cast_mut().cast(), login.user.len() - 1)?;
        password = borrowed(login.password.as_ptr().cast_mut().cast(), login.password.len() - 1)?;
        Handle::made_for(r)?.change_settings(|settings| settings.login = Some(Arc::new(login)));
    }
    if !is_given(link.pubUser) {
        link.pubUser = user;
    }
    if !is_given(link.pubPasswd) {
        link.pubPasswd = password;
    }
    Ok(true)
}

/// Removes the stream and the application of an earlier URL.
fn forget_stream(link: &mut RTMP_LNK) {
    if link.playpath.av_val == link.playpath0.av_val {
        link.playpath = AVal::EMPTY;
    }
    // SAFETY: the stream name of a URL always belongs to the library, and its only other use has ended. The flag is set only
    // for strings that this library allocated, and by callers that used malloc.
    unsafe {
        memory::release_string(&mut link.playpath0);
        replace(link, |link| &mut link.app, RTMP_LF_FAPU, AVal::EMPTY);
    }
}

/// Splits the text from `start` on into options and sets them. In a text that is not writable, names and values get no NUL at
/// their ends.
///
/// # Safety
/// `base` is a string of `len` bytes and a NUL, from `start` on writable if that is said, and nothing else reads that part
/// meanwhile.
unsafe fn apply_options(
    r: Rtmp<'_>,
    base: *mut c_char,
    len: usize,
    mut start: usize,
    writable: bool,
) -> Result<()> {
    loop {
        // SAFETY: `base` is a string of `len` bytes and a NUL, and nothing else writes to it meanwhile, by the Safety section;
        // the view is gone before anything is written.
        let text = unsafe { slice::from_raw_parts(base.cast::<u8>(), len) };
        let Some(pair) = next_pair(text, start) else {
            if text.get(start..).is_some_and(|rest| rest.iter().any(|&byte| byte != b' ')) {
                // It may be the rest of a secret that contains a space.
                ::log::warn!("the text behind the last option has no equals sign and is ignored");
            }
            return Ok(());
        };
        // SAFETY: the pair lies between `start` and `len`, and the bytes after its two parts are a separator or the NUL at the
        // end, so writing a NUL there changes nothing else.
        unsafe {
            let value = base.add(pair.value.start);
            let mut value_len = pair.value.len();
            if writable {
                *base.add(pair.name.end) = 0;
                *value.add(value_len) = 0;
                value_len = unescape(slice::from_raw_parts_mut(value.cast(), value_len))?;
                *value.add(value_len) = 0;
            } else if slice::from_raw_parts(value.cast::<u8>(), value_len).contains(&b'\\') {
                return Err(Error::Invalid(
                    "an option's value has an escape, and the URL cannot be written to",
                ));
            }
            let name = slice::from_raw_parts(base.add(pair.name.start).cast(), pair.name.len());
            options::set(r, name, borrowed(value, value_len)?)?;
        }
        start = pair.value.end + 1;
    }
}

/// Makes `tcUrl` from the URL and the application, unless an option set it. `head` is a view of the memory at `base`.
fn complete_tc_url(link: Valid<'_, RTMP_LNK>, base: *mut c_char, head: &[u8], has_login: bool) -> Result<()> {
    // SAFETY: it belongs to an initialised `RTMP`, and nothing else uses it while a session is set up, a rule of `rtmp.h`.
    let link = unsafe { &mut *link.as_ptr() };
    if is_given(link.tcUrl) {
        return Ok(());
    }
    let tc_url = match (end_of_app(link.app, base, head.len()), has_login) {
        (Some(end), false) => borrowed(base, end)?,
        (Some(end), true) => owned(&url::without_login(&head[..end]))?,
        (None, _) => owned(&compose_tc_url(link))?,
    };
    let is_borrowed = tc_url.av_val == base;
    // SAFETY: the flag is set only for strings that this library allocated, and by callers that used malloc.
    unsafe { replace(link, |link| &mut link.tcUrl, RTMP_LF_FTCU, tc_url) };
    if !is_borrowed {
        link.lFlags |= RTMP_LF_FTCU;
    }
    Ok(())
}

/// The position in the URL where the application ends: the end of the URL if there is none, no position if an option named it.
fn end_of_app(app: AVal, base: *mut c_char, head_len: usize) -> Option<usize> {
    let len = usize::try_from(app.av_len).ok().filter(|&len| len > 0);
    let Some(len) = len else { return Some(head_len) };
    let end = app.av_val.addr().checked_sub(base.addr())?.checked_add(len)?;
    Some(end).filter(|&end| end <= head_len)
}

/// `scheme://host:port/app`. For a URL without a port, librtmp writes port 0; this library writes the port that it connects to.
fn compose_tc_url(link: &RTMP_LNK) -> Vec<u8> {
    // SAFETY: strings of `Link` are readable for their lengths, a rule of `rtmp.h`.
    let (host, app) = unsafe { (aval_bytes(&link.hostname), aval_bytes(&link.app)) };
    let port = match link.port {
        0 => Protocol::from_bits(link.protocol).default_port(),
        port => port,
    };
    let authority = url::authority(host, port);
    [globals::protocol_scheme(link.protocol).to_bytes(), b"://", &authority, b"/", app].concat()
}

/// Splits the text of a proxy into its port and the rest, which is parsed when a connection is made. The text is a copy; as
/// with librtmp, it is never freed.
///
/// # Safety
/// `proxy` is readable for its length.
unsafe fn set_proxy(link: Valid<'_, RTMP_LNK>, proxy: AVal) -> Result<()> {
    // SAFETY: `proxy` is readable for its length, by the Safety section.
    let text = unsafe { aval_bytes(&proxy) };
    let parts = proxy::split(text);
    let default_port = proxy::default_port(text);
    // Cut to C's smaller type, as librtmp does.
    let cut = |text: &[u8]| {
        let (number, flaw) = number::checked_decimal(text);
        if flaw.is_some() || u16::try_from(number).is_err() {
            ::log::warn!("socks: {} is not a port number, {} is used", Text(text), number as u16);
        }
        number as u16
    };
    let (host, port) = match parts.port.map(cut) {
        None => (parts.host, default_port),
        // Port 0 means "no proxy", and librtmp then connects without one. The author of a URL does not expect that, so its text
        // is stored in a way that makes connecting fail.
        Some(0) if parts.is_url => (text, default_port),
        Some(port) => (parts.host, port),
    };
    let (sockshost, socksport) = if text.is_empty() { (AVal::EMPTY, 0) } else { (owned(host)?, port) };
    field!(link, sockshost).put(sockshost);
    field!(link, socksport).set(socksport);
    match Proxy::new(host, port) {
        _ if text.is_empty() => {}
        Ok(proxy) => ::log::debug!("Connecting via {proxy}"),
        Err(error) if parts.is_url => return Err(error),
        Err(_) if port == 0 => {
            ::log::debug!("Connecting via SOCKS proxy: {}:0", Text(host));
            ::log::warn!("the proxy has no valid port, connecting without a proxy");
        }
        Err(error) => ::log::warn!("{error}"),
    }
    Ok(())
}

fn set_swf(link: &mut RTMP_LNK, hash: &[u8], size: u32) {
    link.SWFSize = 0;
    if let Some(hash) = hash.first_chunk::<RTMP_SWF_HASHLEN>().filter(|_| size > 0) {
        link.SWFHash = *hash;
        link.SWFSize = size;
    }
}

fn log_swf(link: &RTMP_LNK) {
    if link.SWFSize == 0 {
        return;
    }
    ::log::debug!("SWFSHA256:");
    text::hex_rows(&link.SWFHash).for_each(|row| ::log::debug!("{row}"));
    ::log::debug!("SWFSize  : {}", link.SWFSize);
}

fn default_port(link: Valid<'_, RTMP_LNK>) {
    let port = field!(link, port);
    if port.get() == 0 {
        port.set(Protocol::from_bits(field!(link, protocol).get()).default_port());
    }
}

fn is_given(value: AVal) -> bool {
    value.av_len > 0 && !value.av_val.is_null()
}

fn log_given(name: &str, value: AVal) {
    if is_given(value) {
        log_text(name, value);
    }
}

fn log_secret(name: &str, value: AVal) {
    if is_given(value) {
        ::log::debug!("{name:<9}: {NOT_SHOWN}");
    }
}

fn log_text(name: &str, value: AVal) {
    // SAFETY: an argument of `RTMP_SetupStream`, readable for its length.
    let text = unsafe { aval_bytes(&value) };
    ::log::debug!("{name:<9}: {}", Text(&url::without_login(text)));
}
