//! `RTMP_SetupURL` and `RTMP_SetOpt`: URLs and options as C programs pass them.

use std::{
    ffi::{c_int, c_void},
    mem::MaybeUninit,
};

use rtmp::{
    amf::{AVal, access::AMF_Reset},
    log::{RTMP_LOGCRIT, RTMP_LogSetLevel},
    ptr::from_c as c,
    rtmp::{RTMP, RTMP_LNK, close::RTMP_Close, lifecycle::RTMP_Init, set_option::RTMP_SetOpt, setup::RTMP_SetupURL},
};

use super::input;

pub fn run(data: &[u8]) {
    let Some(([choice], _, bytes)) = input::choices(data) else { return };
    if bytes.to_ascii_lowercase().windows(6).any(|name| name == b"swfvfy") {
        // This option makes a download.
        return;
    }
    // Exactly as long as it has to be, so that reading on is found out.
    let mut text: Box<[u8]> = bytes.iter().copied().filter(|byte| *byte != 0).chain([0]).collect();
    let mut session = Box::new(MaybeUninit::<RTMP>::uninit());
    let r = session.as_mut_ptr();
    // SAFETY: `r` is memory for an `RTMP`.
    unsafe {
        RTMP_LogSetLevel(RTMP_LOGCRIT);
        RTMP_Init(r);
    }
    if choice & 3 == 2 {
        one_after_the_other(r, bytes, choice & 4 != 0);
    } else if choice & 1 == 0 {
        // SAFETY: `r` was initialised, and `text` ends with a 0 and lives as long as the session.
        unsafe { RTMP_SetupURL(c(r), text.as_mut_ptr().cast()) };
    } else {
        for option in text.split_mut(|byte| *byte == b'\n') {
            let at = option.iter().position(|byte| *byte == b'=').unwrap_or(0);
            let (name, value) = option.split_at_mut(at);
            let (mut name, mut value) = (string(name), string(value));
            // SAFETY: `r` was initialised, and the strings point into `text`, which lives as long as the session.
            unsafe { RTMP_SetOpt(c(r), c(&raw mut name), &raw mut value) };
        }
    }
    // SAFETY: `r` was initialised.
    let proxy = unsafe { (*r).Link.sockshost.av_val }.cast::<u8>();
    if !text.as_ptr_range().contains(&proxy.cast_const()) {
        // SAFETY: what is not part of `text` is a copy, or null. Programs know the copy to be never freed.
        unsafe { free(proxy.cast()) };
    }
    // SAFETY: `r` was initialised. What the option `conn` made belongs to the program, and closing does not look at the
    // proxy.
    unsafe {
        AMF_Reset(&raw mut (*r).Link.extras);
        RTMP_Close(c(r));
    }
}

/// Sets up one text after the other, and closes the session in between or not. Nothing points into a text that is no longer
/// in use.
fn one_after_the_other(r: *mut RTMP, bytes: &[u8], closes: bool) {
    let mut texts: Vec<Box<[u8]>> = Vec::new();
    let mut proxies = Vec::new();
    for text in bytes.split(|byte| *byte == b'\n').take(4) {
        if closes {
            // SAFETY: `r` was initialised.
            unsafe { RTMP_Close(c(r)) };
        }
        for old in &mut texts {
            // Nothing reads it any more.
            old.fill(0xAA);
        }
        let mut text: Box<[u8]> = text.iter().copied().filter(|byte| *byte != 0).chain([0]).collect();
        // SAFETY: `r` was initialised, and `text` ends with a 0 and is kept to the end.
        unsafe { RTMP_SetupURL(c(r), text.as_mut_ptr().cast()) };
        // SAFETY: `r` was initialised.
        let link = unsafe { &(*r).Link };
        for string in strings(link) {
            let string = string.av_val.cast::<u8>().cast_const();
            assert!(!texts.iter().any(|old| old.as_ptr_range().contains(&string)));
        }
        let proxy = link.sockshost.av_val;
        if !text.as_ptr_range().contains(&proxy.cast::<u8>().cast_const()) && !proxies.contains(&proxy) {
            proxies.push(proxy);
        }
        texts.push(text);
    }
    // SAFETY: `r` was initialised. Proxies that are no part of a text are copies, or null, which programs know to be never
    // freed.
    unsafe {
        (*r).Link.sockshost = AVal { av_val: std::ptr::null_mut(), av_len: 0 };
        proxies.into_iter().for_each(|proxy| free(proxy.cast()));
        AMF_Reset(&raw mut (*r).Link.extras);
        RTMP_Close(c(r));
    }
}

/// What texts can set.
fn strings(link: &RTMP_LNK) -> [AVal; 14] {
    let RTMP_LNK { hostname, sockshost, playpath, tcUrl, swfUrl, pageUrl, app, .. } = *link;
    let RTMP_LNK { auth, flashVer, subscribepath, usherToken, token, pubUser, pubPasswd, .. } = *link;
    [
        hostname, sockshost, playpath, tcUrl, swfUrl, pageUrl, app, auth, flashVer, subscribepath, usherToken,
        token, pubUser, pubPasswd,
    ]
}

unsafe extern "C" {
    fn free(block: *mut c_void);
}

fn string(text: &mut [u8]) -> AVal {
    AVal { av_val: text.as_mut_ptr().cast(), av_len: text.len() as c_int }
}
