//! AMF3: only the bytes that count are used, and they mean the same without those after them.

#![forbid(unsafe_code)]

use rtmp_core::amf::{Properties, amf3};

use super::input;

pub fn run(data: &[u8]) {
    let Some(([mode], _, bytes)) = input::choices(data) else { return };
    let read = |bytes| {
        let mut list = Properties::default();
        let flag = mode & 1 == 1;
        let used = match mode & 2 {
            0 => amf3::decode_into(&mut list, bytes, flag),
            _ => amf3::decode_property_into(&mut list, bytes, flag),
        };
        used.ok().map(|used| (used, format!("{list:?}")))
    };
    let Some((used, values)) = read(bytes) else { return };
    assert!(used <= bytes.len());
    assert_eq!(read(&bytes[..used]), Some((used, values)));
}
