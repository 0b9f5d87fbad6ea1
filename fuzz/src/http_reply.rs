//! Replies to the download of a SWF file, and the URLs of such files.

#![forbid(unsafe_code)]

use rtmp_core::http::{
    request,
    response::{self, Progress},
    url::Url,
};

use super::input;

pub fn run(data: &[u8]) {
    let Some(([choice], cuts, bytes)) = input::choices(data) else { return };
    if choice & 1 != 0 {
        if let Ok(Ok(request)) = Url::parse(bytes).map(|url| request::encode(&url, b"")) {
            assert!(request.ends_with(b"\r\n\r\n"));
            let lines = request.iter().filter(|byte| **byte == b'\n').count();
            assert!(lines < 12, "a URL adds no lines");
        }
        return;
    }
    let whole = response::decode(bytes);
    let mut len = 0;
    for piece in cuts.pieces(bytes) {
        len += piece.len();
        match response::decode(&bytes[..len]) {
            Ok(Progress::Incomplete { .. }) => {}
            Ok(complete) => {
                assert_eq!(whole.expect("more bytes change nothing"), complete);
                return;
            }
            Err(_) => {
                assert!(whole.is_err());
                return;
            }
        }
    }
}
