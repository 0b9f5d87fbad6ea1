//! `http.h`: the types of the small HTTP client that fetches SWF files.

use libc::{c_char, c_int, c_uint, c_void, size_t};

use crate::capi::layout::assert_layout;

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

/// Takes one piece of a response body: `size * nmemb` bytes at `ptr`, which are the library's and valid during the
/// call only. `stream` is `HTTP_ctx.data`. What it returns is ignored.
pub type HTTP_read_callback =
    unsafe extern "C" fn(ptr: *mut c_void, size: size_t, nmemb: size_t, stream: *mut c_void) -> size_t;

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
