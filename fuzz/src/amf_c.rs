//! The AMF functions of the C library: the same values as in Rust, and nothing behind a buffer is touched.

use std::ffi::c_int;

use rtmp::{
    amf::{AMFObject, access::*, decode::*, encode::AMF_Encode},
    log::{RTMP_LOGCRIT, RTMP_LogSetLevel},
    ptr::from_c as c,
};
use rtmp_core::{amf::{Properties, amf0, amf3}};

use super::input;

pub fn run(data: &[u8]) {
    let Some(([choice], cuts, bytes)) = input::choices(data) else { return };
    RTMP_LogSetLevel(RTMP_LOGCRIT);
    let named = choice & 1 == 1;
    // Exactly as long as it has to be, so that reading on is found out.
    let copy: Box<[u8]> = bytes.into();
    let (buffer, len) = (copy.as_ptr().cast(), copy.len() as c_int);
    let mut object = AMFObject { o_num: 0, o_props: std::ptr::null_mut() };
    let object = &raw mut object;
    let mut list = Properties::default();
    let (result, expected) = match choice & 2 {
        0 => {
            // SAFETY: `object` is empty, and `buffer` is readable for `len` bytes.
            let result = unsafe { AMF_Decode(c(object), buffer, len, c_int::from(named)) };
            (result, amf0::decode_into(&mut list, bytes, named))
        }
        _ => {
            // SAFETY: as above.
            let result = unsafe { AMF3_Decode(c(object), buffer, len, c_int::from(named)) };
            (result, amf3::decode_into(&mut list, bytes, named))
        }
    };
    assert_eq!(result, expected.map_or(-1, |used| used as c_int));
    // SAFETY: `object` was decoded, or stayed empty.
    assert_eq!(unsafe { AMF_CountProp(c(object)) } as usize, list.len());

    // Room that may be too little.
    let room = cuts.pieces(&[0; 5000]).first().map_or(0, |piece| piece.len());
    let mut out = vec![0_u8; room].into_boxed_slice();
    let range = out.as_mut_ptr_range();
    // SAFETY: `object` is as above, and the range is writable memory.
    let end = unsafe { AMF_Encode(c(object), c(range.start.cast()), c(range.end.cast())) };
    assert!(end.is_null() || (range.start..=range.end).contains(&end.cast()));
    // SAFETY: `object` is as above, and nobody uses it any more.
    unsafe { AMF_Reset(object) };
}
