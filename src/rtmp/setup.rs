//! Fills the settings of an `RTMP` before it connects: from a URL with options, or from parts.

use std::{slice, sync::Arc};

use libc::{c_char, c_int, c_long, c_uint};
use rtmp_core::{
    error::{Error, Result},
    features,
    options::{Common, Pair, next_pair, number, unescape},
    text::{self, NOT_SHOWN, Text},
    transport::proxy::{self, Proxy},
    url::{self, Protocol},
};

use super::{
    RTMP_LF_AUTH, RTMP_LF_LIVE, RTMP_LF_SWFV, RTMP_LNK, RTMP_SWF_HASHLEN,
    options::{self, APP, TC_URL, forget_stream_name},
    origin::{Origin, forget_login},
    swf::hash_swf,
    url::{borrowed, owned, parse, part},
};
use crate::{
    FALSE, TRUE,
    amf::{AVal, view},
    boundary::{Kind, boundary},
    fields, globals, memory,
    ptr::{NulText, Parameter, aval_bytes, given},
    reason::{self, During, Failure, Phase},
    state::{Handle, Login},
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
pub unsafe extern "C-unwind" fn RTMP_SetupURL(r: Option<Rtmp<'_>>, url: *mut c_char) -> c_int {
    boundary(Kind::Waits, FALSE, |_| {
        let r = reason::use_session(r)?;
        // SAFETY: `url` is null or a NUL-terminated string, which is writable from its first space on or not at all, by the
        // Safety section.
        let mut text = unsafe { Divided::new(url) }.during(Phase::Url)?;
        let (mut origin, is_new) = Origin::begin(r, text.bytes(), text.head);
        let result = set_up(r, &mut text, is_new, &mut origin);
        // Also what an invalid text has set.
        origin.keep(r);
        result
    })
}

/// A URL and its options, which are divided in place. Only the running call uses the text.
struct Divided {
    base: *mut c_char,
    len: usize,
    /// The length of the URL.
    head: usize,
}

impl Divided {
    /// # Safety
    /// `base` is null or a NUL-terminated string, which is writable from its first space on or not at all, and which nothing else
    /// uses.
    unsafe fn new(base: *mut c_char) -> Result<Self> {
        // SAFETY: `base` is null or NUL-terminated, by the Safety section.
        let text = given(unsafe { NulText::from_c(base) }, "url is NULL")?.bytes();
        let head = text.iter().position(|&byte| byte == b' ').unwrap_or(text.len());
        Ok(Self { base, len: text.len(), head })
    }

    fn bytes(&self) -> &[u8] {
        // SAFETY: the string has that many bytes, and nothing else uses it (`new`).
        unsafe { slice::from_raw_parts(self.base.cast(), self.len) }
    }

    fn url(&self) -> &[u8] {
        &self.bytes()[..self.head]
    }

    /// Writes a NUL behind the URL, in place of the first space; returns whether the text is writable.
    fn end_url(&mut self) -> bool {
        // SAFETY: the byte belongs to the string, or is its NUL, and nothing else uses it (`new`).
        unsafe { memory::try_end_text(self.base.add(self.head)) }
    }

    /// The text behind the URL, with its NUL, once [`Self::end_url`] has found that it is writable.
    fn options(&mut self) -> &mut [u8] {
        // SAFETY: these bytes are writable, because the first one is, and nothing else uses them (`new`).
        unsafe { slice::from_raw_parts_mut(self.base.add(self.head).cast(), self.len + 1 - self.head) }
    }

    /// A part of the text, for the settings.
    fn part(&self, start: usize, len: usize) -> Result<AVal> {
        borrowed(self.base.wrapping_add(start), len)
    }
}

/// Fills the settings from a text, and notes in `origin` which of them the text has set, if it is new.
fn set_up(r: Rtmp<'_>, text: &mut Divided, is_new: bool, origin: &mut Origin) -> Result<c_int, Failure> {
    forget_login(r);
    let before = hidden_options(r);
    let has_login = apply_url(r, text).during(Phase::Url)?;
    features::check_protocol(Protocol::from_bits(field!(r, Link.protocol).get())).during(Phase::Call)?;
    if text.head < text.len {
        let applied = apply_options(r, text);
        if is_new {
            origin.note_options(r);
            keep_hidden_options(r, before);
        }
        applied.during(Phase::Option)?;
    }
    let link = field!(r, Link);
    complete_tc_url(link, text, has_login).during(Phase::Url)?;
    let swf_url = field!(link, swfUrl);
    if field!(link, lFlags).get() & RTMP_LF_SWFV != 0 && swf_url.copy().av_len > 0 {
        features::SWF.check().during(Phase::Call)?;
        let handle = Handle::made_for(r).during(Phase::Url)?;
        let tls = handle.with_settings(|settings| settings.common.tls.clone());
        // The reason why there is no hash was logged; the session continues without one.
        if let Ok(swf) = hash_swf(fields::text(swf_url), field!(link, swfAge).get(), &tls, &handle.patience())
        {
            field!(link, SWFSize).set(swf.size);
            field!(link, SWFHash).put(swf.hash);
            origin.note_swf(swf.size);
        }
    }
    let proxy = field!(link, sockshost);
    if !origin.has_divided(proxy.copy()) {
        let result = set_proxy(link, fields::text(proxy));
        origin.note_proxy(proxy.copy(), result.is_ok());
        result.during(Phase::Option)?;
    }
    default_port(link);
    Ok(TRUE)
}

/// The options that have no field and belong to the text of a URL.
fn hidden_options(r: Rtmp<'_>) -> Common {
    Handle::of(r).map(|handle| handle.with_settings(|settings| settings.common.clone())).unwrap_or_default()
}

/// Stores the values of the options without a field before a text changes them.
fn keep_hidden_options(r: Rtmp<'_>, before: Common) {
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
    r: Option<Rtmp<'_>>,
    protocol: c_int,
    hostname: Option<Valid<'_, AVal>>,
    port: c_uint,
    sockshost: Option<Valid<'_, AVal>>,
    playpath: Option<Valid<'_, AVal>>,
    tcUrl: Option<Valid<'_, AVal>>,
    swfUrl: Option<Valid<'_, AVal>>,
    pageUrl: Option<Valid<'_, AVal>>,
    app: Option<Valid<'_, AVal>>,
    auth: Option<Valid<'_, AVal>>,
    swfSHA256Hash: Option<Valid<'_, AVal>>,
    swfSize: u32,
    flashVer: Option<Valid<'_, AVal>>,
    subscribepath: Option<Valid<'_, AVal>>,
    usherToken: Option<Valid<'_, AVal>>,
    dStart: c_int,
    dStop: c_int,
    bLiveStream: c_int,
    timeout: c_long,
) {
    boundary(Kind::Session, (), |_| {
        let r = reason::use_session(r)?;
        let strings = [
            hostname,
            sockshost,
            playpath,
            tcUrl,
            swfUrl,
            pageUrl,
            app,
            auth,
            swfSHA256Hash,
            flashVer,
            subscribepath,
            usherToken,
        ];
        // They are copied at once, because they may be fields of `r`.
        let strings = strings.map(|string| string.map_or(AVal::EMPTY, Valid::copy));
        let [hostname, sockshost, playpath, tcUrl, swfUrl, pageUrl, app, ..] = strings;
        let [.., auth, hash, flashVer, subscribepath, usherToken] = strings;
        // SAFETY: the strings are readable for their lengths, by the Safety section.
        let text = |string: &AVal| unsafe { aval_bytes(string) };

        ::log::debug!("Protocol : {}", globals::protocol_name(protocol).to_string_lossy());
        log_text("Hostname", text(&hostname));
        ::log::debug!("Port     : {port}");
        log_text("Playpath", text(&playpath));
        for (name, value, is_secret) in [
            ("tcUrl", tcUrl, false),
            ("swfUrl", swfUrl, false),
            ("pageUrl", pageUrl, false),
            ("app", app, false),
            ("auth", auth, true),
            ("subscribepath ", subscribepath, false),
            ("NetStream.Authenticate.UsherToken ", usherToken, true),
            ("flashVer", flashVer, false),
        ] {
            match (value.is_given(), is_secret) {
                (false, _) => {}
                (true, false) => log_text(name, text(&value)),
                (true, true) => ::log::debug!("{name:<9}: {NOT_SHOWN}"),
            }
        }
        for (name, milliseconds) in [("StartTime", dStart), ("StopTime", dStop)] {
            if milliseconds > 0 {
                ::log::debug!("{name:<14}: {milliseconds} msec");
            }
        }
        ::log::debug!("live     : {}", if bLiveStream != 0 { "yes" } else { "no" });
        ::log::debug!("timeout  : {timeout} sec");

        Origin::forget_closed(r);
        let link = field!(r, Link);
        set_swf(link, text(&hash), swfSize);
        let proxy = set_proxy(link, text(&sockshost));
        for (marked, value) in [(TC_URL, tcUrl), (APP, app)] {
            if value.is_given() {
                marked.replace(link, value);
            }
        }
        for (field, value) in [
            (field!(link, swfUrl), swfUrl),
            (field!(link, pageUrl), pageUrl),
            (field!(link, subscribepath), subscribepath),
            (field!(link, usherToken), usherToken),
            (field!(link, auth), auth),
        ] {
            if value.is_given() {
                field.put(value);
            }
        }
        for (flag, is_set) in [(RTMP_LF_AUTH, auth.is_given()), (RTMP_LF_LIVE, bLiveStream != 0)] {
            if is_set {
                field!(link, lFlags).change(|flags| flags | flag);
            }
        }
        let flash_version = if flashVer.is_given() { flashVer } else { globals::default_flash_version() };
        field!(link, flashVer).put(flash_version);
        field!(link, seekTime).set(dStart);
        field!(link, stopTime).set(dStop);
        // Cut to C's smaller types, as librtmp does.
        field!(link, timeout).set(timeout as c_int);
        field!(link, protocol).set(protocol);
        field!(link, hostname).put(hostname);
        field!(link, playpath).put(playpath);
        field!(link, port).set(port as u16);
        if u16::try_from(port).is_err() {
            ::log::warn!("{port} is not a port number, {} is used", port as u16);
        }
        default_port(link);
        proxy.during(Phase::Option)
    })
}

/// Stores the parts of a URL, and returns whether it has user information.
fn apply_url(r: Rtmp<'_>, text: &Divided) -> Result<bool> {
    let link = field!(r, Link);
    forget_stream_name(link);
    APP.replace(link, AVal::EMPTY);
    field!(link, protocol).set(Protocol::RTMP.bits());
    let url = text.url();
    let parsed = parse(url)?;
    let place = |bytes: Option<&[u8]>| bytes.map_or(Ok(AVal::EMPTY), |bytes| part(text.base, url, bytes));
    let name = parsed.playpath.map_or(Ok(AVal::EMPTY), |name| owned(&name))?;
    field!(link, playpath0).put(name);
    field!(link, playpath).put(name);
    field!(link, protocol).set(parsed.protocol.bits());
    field!(link, hostname).put(place(parsed.host)?);
    field!(link, port).set(parsed.port);
    field!(link, app).put(place(parsed.app)?);
    let Some(info) = parsed.userinfo else { return Ok(false) };
    let (mut user, mut password) = (place(Some(info.user))?, place(info.password)?);
    if url.contains(&b'%') && (info.decoded_user() != info.user || info.has_escaped_password()) {
        let login = Login::new(&info.decoded_user(), &info.decoded_password());
        // Without the NUL.
        user = borrowed(login.user.as_ptr().cast_mut().cast(), login.user.len() - 1)?;
        password = borrowed(login.password.as_ptr().cast_mut().cast(), login.password.len() - 1)?;
        Handle::made_for(r)?.change_settings(|settings| settings.login = Some(Arc::new(login)));
    }
    for (field, value) in [(field!(link, pubUser), user), (field!(link, pubPasswd), password)] {
        if !field.copy().is_given() {
            field.put(value);
        }
    }
    Ok(true)
}

/// Splits the text behind a URL into options and sets them. In a text that is not writable, names and values get no NUL at
/// their ends.
fn apply_options(r: Rtmp<'_>, text: &mut Divided) -> Result<()> {
    let (head, writable) = (text.head, text.end_url());
    let mut start = head + 1;
    loop {
        let Some(Pair { name, value }) = next_pair(text.bytes(), start) else {
            if text.bytes().get(start..).is_some_and(|rest| rest.iter().any(|&byte| byte != b' ')) {
                // It may be the rest of a secret that contains a space.
                ::log::warn!("the text behind the last option has no equals sign and is ignored");
            }
            return Ok(());
        };
        let mut len = value.len();
        if writable {
            let options = text.options();
            // The bytes behind both are separators, or the NUL at the end.
            (options[name.end - head], options[value.end - head]) = (0, 0);
            let value = &mut options[value.start - head..=value.end - head];
            len = unescape(&mut value[..len])?;
            value[len] = 0;
        } else if text.bytes()[value.clone()].contains(&b'\\') {
            return Err(Error::Invalid("an option's value has an escape, and the URL cannot be written to"));
        }
        let mut argument = text.part(value.start, len)?;
        // SAFETY: the program keeps the text unchanged as long as the session uses it, a rule of `rtmp.h`.
        let argument = unsafe { view::Text::from_c(&mut argument) };
        options::set(r, &text.bytes()[name], given(argument, "value")?)?;
        start = value.end + 1;
    }
}

/// Makes `tcUrl` from the URL and the application, unless an option set it.
fn complete_tc_url(link: Valid<'_, RTMP_LNK>, text: &Divided, has_login: bool) -> Result<()> {
    if TC_URL.get(link).copy().is_given() {
        return Ok(());
    }
    match (end_of_app(field!(link, app).copy(), text), has_login) {
        (Some(end), false) => TC_URL.replace(link, text.part(0, end)?),
        (Some(end), true) => TC_URL.own(link, owned(&url::without_login(&text.url()[..end]))?),
        (None, _) => TC_URL.own(link, owned(&compose_tc_url(link))?),
    }
    Ok(())
}

/// The position in the URL where the application ends: the end of the URL if there is none, no position if an option named it.
fn end_of_app(app: AVal, text: &Divided) -> Option<usize> {
    let len = usize::try_from(app.av_len).ok().filter(|&len| len > 0);
    let Some(len) = len else { return Some(text.head) };
    let end = app.av_val.addr().checked_sub(text.base.addr())?.checked_add(len)?;
    Some(end).filter(|&end| end <= text.head)
}

/// `scheme://host:port/app`. For a URL without a port, librtmp writes port 0; this library writes the port that it connects to.
fn compose_tc_url(link: Valid<'_, RTMP_LNK>) -> Vec<u8> {
    let protocol = field!(link, protocol).get();
    let port = match field!(link, port).get() {
        0 => Protocol::from_bits(protocol).default_port(),
        port => port,
    };
    let authority = url::authority(fields::text(field!(link, hostname)), port);
    let app = fields::text(field!(link, app));
    [globals::protocol_scheme(protocol).to_bytes(), b"://", &authority, b"/", app].concat()
}

/// Splits the text of a proxy into its port and the rest, which is parsed when a connection is made. The text is a copy; as
/// with librtmp, it is never freed.
fn set_proxy(link: Valid<'_, RTMP_LNK>, text: &[u8]) -> Result<()> {
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

fn set_swf(link: Valid<'_, RTMP_LNK>, hash: &[u8], size: u32) {
    let hash = hash.first_chunk::<RTMP_SWF_HASHLEN>().filter(|_| size > 0);
    field!(link, SWFSize).set(hash.map_or(0, |_| size));
    let Some(hash) = hash else { return };
    field!(link, SWFHash).put(*hash);
    ::log::debug!("SWFSHA256:");
    text::hex_rows(hash).for_each(|row| ::log::debug!("{row}"));
    ::log::debug!("SWFSize  : {size}");
}

fn default_port(link: Valid<'_, RTMP_LNK>) {
    let port = field!(link, port);
    if port.get() == 0 {
        port.set(Protocol::from_bits(field!(link, protocol).get()).default_port());
    }
}

fn log_text(name: &str, text: &[u8]) {
    ::log::debug!("{name:<9}: {}", Text(&url::without_login(text)));
}
