//! Requests to a tunnel's server: a head is the same whether or not its beginning was looked at before.

#![forbid(unsafe_code)]

use rtmp_core::transport::tunnel::parse_head;

use super::input;

pub fn run(data: &[u8]) {
    let Some(([_], cuts, bytes)) = input::choices(data) else { return };
    let whole = parse_head(bytes, 0);
    let (mut seen, mut len) = (0, 0);
    for piece in cuts.pieces(bytes) {
        len += piece.len();
        match parse_head(&bytes[..len], seen) {
            Ok(None) => seen = len,
            Ok(Some((head, used))) => {
                assert!(used <= len);
                assert_eq!(whole.expect("more bytes change nothing"), Some((head, used)));
                return;
            }
            Err(_) => {
                assert!(whole.is_err());
                return;
            }
        }
    }
    assert!(!matches!(whole, Ok(Some(_))));
}
