//! Hashes of SWF files, for servers that want to see one.

use libc::{c_int, c_uchar, c_uint};
use rtmp_core::{
    error::{Error, Result},
    swf::{self, LookUp, SwfHash, store},
    transport::{tls::TlsOptions, wait::Patience},
};

use super::RTMP_SWF_HASHLEN;
use crate::{
    boundary::{Kind, boundary},
    globals,
    ptr::{NulText, Out, Parameter, given},
    tls::trust,
};

/// Computes the length and the hash of the uncompressed SWF file at `url`, for SWF verification. It stores them in
/// `*size` and in the `RTMP_SWF_HASHLEN` bytes at `hash`.
///
/// The hashes are cached in the file `.swfinfo` in the directory `HOME`, or on Windows without that variable in
/// `USERPROFILE`. The server is asked again after `age` days; 0 or less asks it now. A process with more rights than the
/// user who started it, such as a set-uid program, has no cache. A file of more than 64 MiB is an error.
///
/// Returns 0, or -1 if the file is not available. After a failed download `size` and `hash` contain the cached values,
/// if there are any; otherwise they are unchanged.
///
/// # Safety
/// `url` is null or a NUL-terminated string; `size` is null or writable; `hash` is null or writable for
/// `RTMP_SWF_HASHLEN` bytes.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn RTMP_HashSWF(
    url: Option<NulText<'_>>,
    size: Option<Out<c_uint>>,
    hash: *mut c_uchar,
    age: c_int,
) -> c_int {
    boundary(Kind::Waits, -1, |errno| {
        const MISSING: &str = "a null pointer for RTMP_HashSWF";
        // SAFETY: `hash` is null or writable for a hash, by the Safety section.
        let hash = unsafe { Out::from_c(hash.cast::<[u8; RTMP_SWF_HASHLEN]>()) };
        let url = given(url, MISSING)?.bytes();
        let (size, hash) = (given(size, MISSING)?, given(hash, MISSING)?);
        let result = look_up(url, age, &TlsOptions::default(), &globals::USER);
        if let Some(swf) = result.swf {
            size.write(swf.size);
            hash.write(swf.hash);
        }
        Ok(match &result.failure {
            None => 0,
            Some(error) => {
                errno.set_from(error);
                -1
            }
        })
    })
}

/// The values that `RTMP_HashSWF` stores, for callers that continue without a hash; the log has the reason.
pub(crate) fn hash_swf(url: &[u8], age: c_int, tls: &TlsOptions, patience: &dyn Patience) -> Result<SwfHash> {
    look_up(url, age, tls, patience).swf.ok_or(Error::Invalid("swfUrl, whose hash is not known"))
}

fn look_up(url: &[u8], age: c_int, tls: &TlsOptions, patience: &dyn Patience) -> LookUp {
    swf::look_up(url, age, store::path().as_deref(), &trust(tls), patience)
}

#[cfg(test)]
mod tests {
    use std::ptr;

    use super::*;
    use crate::ptr::from_c as c;

    #[test]
    fn null_is_a_failure() {
        let (mut size, mut hash) = (7, [7; RTMP_SWF_HASHLEN]);
        let url = c"http://127.0.0.1:1/".as_ptr().cast_mut();
        // SAFETY: each argument is null or valid.
        unsafe {
            assert_eq!(RTMP_HashSWF(None, c(&mut size), hash.as_mut_ptr(), 0), -1);
            assert_eq!(RTMP_HashSWF(c(url), None, hash.as_mut_ptr(), 0), -1);
            assert_eq!(RTMP_HashSWF(c(url), c(&mut size), ptr::null_mut(), 0), -1);
        }
        assert_eq!((size, hash), (7, [7; RTMP_SWF_HASHLEN]));
    }

    #[test]
    fn without_a_hash_there_is_an_error() {
        assert!(hash_swf(b"rtmp://no/file", 0, &TlsOptions::default(), &globals::USER).is_err());
    }
}
