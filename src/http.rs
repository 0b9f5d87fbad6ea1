//! `http.h`: the small HTTP client that fetches SWF files.

use std::{mem, ptr};

use libc::{c_char, c_int, c_uint, c_void, size_t};
use log::debug;
use rtmp_core::{
    error::{Error, Result},
    http::{self, Outcome, Receiver},
    swf::cache::{MAX_DATE, is_date},
    transport::tls::TlsOptions,
};

use crate::{
    boundary::{Kind, boundary},
    globals,
    layout::assert_layout,
    ptr::{NulText, Parameter},
    tls::trust,
    valid::{Valid, field},
};

/// How a request ended, one of the `HTTPRES_*` values.
pub type HTTPResult = c_uint;
/// The request succeeded and the whole body was delivered.
pub const HTTPRES_OK: HTTPResult = 0;
/// The resource has not changed since the date that was sent.
pub const HTTPRES_OK_NOT_MODIFIED: HTTPResult = 1;
/// The server does not know the resource.
pub const HTTPRES_NOT_FOUND: HTTPResult = 2;
/// The URL cannot be used, or the server refused the request.
pub const HTTPRES_BAD_REQUEST: HTTPResult = 3;
/// The server failed.
pub const HTTPRES_SERVER_ERROR: HTTPResult = 4;
/// The resource is somewhere else; redirections are not followed.
pub const HTTPRES_REDIRECTED: HTTPResult = 5;
/// The connection ended before the whole body had arrived.
pub const HTTPRES_LOST_CONNECTION: HTTPResult = 6;

/// `size_t (void *ptr, size_t size, size_t nmemb, void *stream)`, a C function type that Rust does not have.
#[repr(C)]
pub struct HTTP_read_callback {
    _opaque: [u8; 0],
}

/// A request: filled by the caller, answered by `HTTP_get`.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct HTTP_ctx {
    /// In and out: buffer of the caller, at least 64 bytes, holding a NUL-terminated HTTP date or an empty string.
    /// A date is sent as If-Modified-Since; the server's Last-Modified replaces it.
    pub date: *mut c_char,
    /// In and out: bytes of the body that were delivered are added to it, so set it to 0 first.
    pub size: c_int,
    /// Out: status code of the response, -1 while there is none.
    pub status: c_int,
    /// In: passed to the callback as its last argument; otherwise not used.
    pub data: *mut c_void,
}

assert_layout! {
    HTTP_ctx: 24 { date @ 0, size @ 8, status @ 12, data @ 16 }
}

/// Fetches an `http` or `https` URL. `http` describes the request and receives the answer. The function passes the body
/// to `cb` in pieces, also that of an error page.
///
/// `cb` may use the library, and it has to return: a C++ exception that leaves it ends the process. It is not called
/// without a body. The function does not follow redirections. It gives up when the server is silent for 5 seconds; a
/// body of unannounced length then counts as complete. A body may take a minute, plus a second for every 4 KiB. It
/// verifies the certificates of https servers; the environment variables `SSL_CERT_FILE` and `RTMP_TLS_VERIFY` apply.
///
/// Returns one of the `HTTPRES_*` values.
///
/// # Safety
/// `http` is null or points to an `HTTP_ctx` whose `date` is null or as described there; `url` is null or a
/// NUL-terminated string; `cb` is null or a function of the type above.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn HTTP_get(
    http: Option<Valid<'_, HTTP_ctx>>,
    url: Option<NulText<'_>>,
    cb: *mut HTTP_read_callback,
) -> HTTPResult {
    boundary(Kind::Waits, HTTPRES_LOST_CONNECTION, |errno| {
        // SAFETY: `cb` is null or a function of that type, by the Safety section.
        let callback = unsafe { mem::transmute::<*mut HTTP_read_callback, Option<ReadFunction>>(cb) };
        let (Some(http), Some(url), Some(callback)) = (http, url, callback) else {
            debug!("HTTP_get: an argument is null");
            return Ok(HTTPRES_BAD_REQUEST);
        };
        let mut answer = Answer::new(http, callback);
        // A copy, because the answer replaces the date.
        let date = answer.date();
        let result =
            http::get(url.bytes(), &date, &trust(&TlsOptions::default()), &globals::USER, &mut answer);
        if let Err(error) = &result {
            debug!("HTTP_get: {error}");
            errno.set_from(error);
        }
        Ok(match Outcome::of_result(&result) {
            Outcome::Complete => HTTPRES_OK,
            Outcome::NotModified => HTTPRES_OK_NOT_MODIFIED,
            Outcome::NotFound => HTTPRES_NOT_FOUND,
            Outcome::BadRequest => HTTPRES_BAD_REQUEST,
            Outcome::ServerError => HTTPRES_SERVER_ERROR,
            Outcome::Redirected => HTTPRES_REDIRECTED,
            Outcome::LostConnection => HTTPRES_LOST_CONNECTION,
        })
    })
}

/// The C type of a pointer to `HTTP_read_callback`.
type ReadFunction =
    unsafe extern "C-unwind" fn(ptr: *mut c_void, size: size_t, nmemb: size_t, stream: *mut c_void) -> size_t;

/// Writes a response to the caller's destination.
struct Answer<'a> {
    /// The callback may use it, too.
    http: Valid<'a, HTTP_ctx>,
    callback: ReadFunction,
}

impl<'a> Answer<'a> {
    /// `callback` comes from the program, and is a function of its type.
    fn new(http: Valid<'a, HTTP_ctx>, callback: ReadFunction) -> Self {
        field!(http, status).set(-1);
        Self { http, callback }
    }

    fn date(&self) -> Vec<u8> {
        let date = field!(self.http, date).get();
        // SAFETY: a date that is not null is a NUL-terminated string, as `http.h` says of the field.
        unsafe { NulText::from_c(date) }.map_or(Vec::new(), |date| date.bytes().to_vec())
    }
}

impl Receiver for Answer<'_> {
    fn status(&mut self, status: u16) {
        field!(self.http, status).set(status.into());
    }

    fn last_modified(&mut self, date: &[u8]) {
        let buffer = field!(self.http, date).get();
        if buffer.is_null() || !is_date(date) {
            return;
        }
        // SAFETY: the buffer has room for `MAX_DATE` bytes and a NUL, as `http.h` says of the field; `is_date` has checked the
        // length.
        unsafe {
            ptr::copy_nonoverlapping(date.as_ptr(), buffer.cast(), date.len());
            buffer.add(date.len()).write(0);
        }
    }

    fn body(&mut self, bytes: &[u8]) -> Result<()> {
        let (received, data) = (field!(self.http, size), field!(self.http, data).get());
        let size = received.get();
        let count = c_int::try_from(bytes.len()).ok().filter(|count| size.checked_add(*count).is_some());
        let Some(count) = count else {
            return Err(Error::TooLarge("an HTTP body beyond what HTTP_ctx.size can count"));
        };
        // A copy, because C may write to the block that it gets.
        let mut block = bytes.to_vec();
        // SAFETY: the function has this type; `block` stays valid until it returns.
        unsafe { (self.callback)(block.as_mut_ptr().cast(), 1, block.len(), data) };
        received.set(received.get().saturating_add(count));
        Ok(())
    }
}

const _: () = assert!(MAX_DATE + 1 == 64, "what HTTP_ctx.date says");

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ptr::from_c as c;

    unsafe extern "C-unwind" fn count(
        _: *mut c_void,
        size: size_t,
        nmemb: size_t,
        stream: *mut c_void,
    ) -> size_t {
        // SAFETY: `data` is set below.
        unsafe { *stream.cast::<size_t>() += size * nmemb };
        0
    }

    #[test]
    fn null_is_a_bad_request() {
        let cb = count as *mut HTTP_read_callback;
        let mut http = HTTP_ctx { date: ptr::null_mut(), size: 0, status: 0, data: ptr::null_mut() };
        let url = c"http://127.0.0.1:1/".as_ptr().cast_mut();
        // SAFETY: each argument is null or valid.
        unsafe {
            assert_eq!(HTTP_get(None, c(url), cb), HTTPRES_BAD_REQUEST);
            assert_eq!(HTTP_get(c(&mut http), None, cb), HTTPRES_BAD_REQUEST);
            assert_eq!(HTTP_get(c(&mut http), c(url), ptr::null_mut()), HTTPRES_BAD_REQUEST);
        }
    }

    #[test]
    fn without_a_date_no_date_is_sent_or_stored() {
        let mut total: size_t = 0;
        let data = (&raw mut total).cast();
        let mut http = HTTP_ctx { date: ptr::null_mut(), size: 0, status: 0, data };
        // SAFETY: both exist until the end of the test.
        let mut answer = Answer::new(unsafe { Valid::new(&mut http) }.unwrap(), count);
        assert_eq!(answer.date(), b"");
        answer.status(200);
        answer.last_modified(b"now");
        answer.body(b"hello").unwrap();
        assert_eq!((http.status, http.size, total), (200, 5, 5));
    }

    #[test]
    fn more_than_the_size_can_count_ends_the_request() {
        let mut total: size_t = 0;
        let data = (&raw mut total).cast();
        let mut http = HTTP_ctx { date: ptr::null_mut(), size: c_int::MAX - 5, status: 0, data };
        // SAFETY: both exist until the end of the test.
        let mut answer = Answer::new(unsafe { Valid::new(&mut http) }.unwrap(), count);
        answer.body(b"hello").unwrap();
        assert!(answer.body(b"!").is_err());
        assert_eq!((http.size, total), (c_int::MAX, 5));
    }
}
