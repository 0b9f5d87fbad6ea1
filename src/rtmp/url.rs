//! `RTMP_ParseURL` and `RTMP_ParsePlaypath`, and the way from a piece of text back to a pointer into the caller's
//! memory.

use libc::{c_char, c_int, c_uint};
use rtmp_core::{
    error::{Error, Result},
    url,
};

use crate::{
    FALSE, TRUE,
    amf::{AVal, view::Text},
    boundary::{Kind, boundary},
    memory,
    ptr::{NulText, Out, Parameter, given},
};

/// Splits a URL into its parts; the log says in librtmp's words why that is not possible.
pub(super) fn parse(text: &[u8]) -> Result<url::Url<'_>> {
    url::parse(text).map_err(|error| {
        let blank =
            if text.first().is_none_or(|&byte| byte == b' ') { " A blank may be in front of it" } else { "" };
        match error {
            Error::Malformed { detail: url::NO_SCHEME, .. } => log::error!("RTMP URL: No :// in url!{blank}"),
            Error::Malformed { detail: url::NO_HOST, .. } => {
                log::warn!("No hostname in URL!");
                return error;
            }
            error => return error,
        }
        error.reported()
    })
}

/// Splits a URL into its parts.
///
/// `host` and `app` become parts of `url` and are not NUL-terminated. `playpath` becomes a NUL-terminated string that
/// the caller frees. A missing part becomes `{NULL, 0}`, a missing port becomes 0, and an unknown scheme counts as
/// rtmp. `host` is not written if the function fails or the name is longer than 255 bytes. An IPv6 address is stored
/// without its brackets. No pointer may be NULL.
///
/// Returns TRUE, or FALSE if the text has no `://` or nothing after it.
///
/// # Safety
/// `url` is null or a NUL-terminated string; the others are null or writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn RTMP_ParseURL(
    url: Option<NulText<'_>>,
    protocol: Option<Out<c_int>>,
    host: Option<Out<AVal>>,
    port: Option<Out<c_uint>>,
    playpath: Option<Out<AVal>>,
    app: Option<Out<AVal>>,
) -> c_int {
    boundary(Kind::Session, FALSE, |_| {
        let (Some(protocol), Some(host), Some(port), Some(playpath), Some(app)) =
            (protocol, host, port, playpath, app)
        else {
            return Err(Error::Invalid("a pointer to a part of the URL is NULL").into());
        };
        protocol.write(0);
        port.write(0);
        playpath.write(AVal::EMPTY);
        app.write(AVal::EMPTY);
        let url = given(url, "url is NULL")?;
        let (base, text) = (url.as_ptr(), url.bytes());
        let parsed = parse(text)?;
        let app_part = parsed.app.map_or(Ok(AVal::EMPTY), |app| part(base, text, app))?;
        let host_part = parsed.host.map(|host| part(base, text, host)).transpose()?;
        let name = parsed.playpath.map_or(Ok(AVal::EMPTY), |name| owned(&name))?;
        protocol.write(parsed.protocol.bits());
        port.write(parsed.port.into());
        playpath.write(name);
        app.write(app_part);
        if let Some(part) = host_part {
            host.write(part);
        }
        Ok(TRUE)
    })
}

/// Converts the last part of a URL into the stream name that servers expect, for example `film.mp4` into `mp4:film`.
///
/// `out` becomes a NUL-terminated string that the caller frees, or `{NULL, 0}` if memory is short or `in` is NULL.
/// `out` and `in` may be the same.
///
/// # Safety
/// `in` is null or points to a string that is readable for its length; `out` is null or writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn RTMP_ParsePlaypath(r#in: *mut AVal, out: Option<Out<AVal>>) {
    boundary(Kind::Session, (), |_| {
        let out = given(out, "out is NULL")?;
        // SAFETY: `in` is null or points to a string that is readable for its length, by the Safety section. It is no longer used
        // when `out` is written, which may be the same.
        let name = given(unsafe { Text::from_c(r#in) }, "in is NULL");
        let name = name.and_then(|text| owned(&url::stream_name(text.bytes())));
        out.write(*name.as_ref().unwrap_or(&AVal::EMPTY));
        name?;
        Ok(())
    })
}

/// `part`, which was cut out of `text`, as a string in the memory at `base`, which `text` is the view of.
pub(super) fn part(base: *mut c_char, text: &[u8], part: &[u8]) -> Result<AVal> {
    // Not taken from `part` itself, which is read-only: callers may write to their memory through the result.
    borrowed(base.wrapping_add(offset(text, part)), part.len())
}

/// Where `part`, which was cut out of `text`, begins.
pub(super) fn offset(text: &[u8], part: &[u8]) -> usize {
    part.as_ptr().addr() - text.as_ptr().addr()
}

/// A string in memory of the caller.
pub(super) fn borrowed(start: *mut c_char, len: usize) -> Result<AVal> {
    let av_len = c_int::try_from(len).map_err(|_| Error::TooLarge("the URL"))?;
    Ok(AVal { av_val: start, av_len })
}

/// A NUL-terminated copy from `malloc`.
pub(super) fn owned(text: &[u8]) -> Result<AVal> {
    let av_len = c_int::try_from(text.len()).map_err(|_| Error::TooLarge("the URL"))?;
    Ok(AVal { av_val: memory::duplicate(text)?, av_len })
}
