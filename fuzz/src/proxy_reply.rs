//! Replies of proxies: the same dialog however they are cut, and it ends.

#![forbid(unsafe_code)]

use rtmp_core::transport::proxy::{Next, Proxy, Target};

use super::input;

const PROXIES: [&str; 6] = [
    "socks4://proxy",
    "socks4a://user@proxy",
    "socks5://proxy",
    "socks5://user:password@proxy",
    "http://user:password@proxy",
    "https://proxy",
];

pub fn run(data: &[u8]) {
    let Some(([choice], cuts, bytes)) = input::choices(data) else { return };
    let whole = talk(choice, &[bytes]);
    let cut = talk(choice, &cuts.pieces(bytes));
    match (&whole.1, &cut.1) {
        // More bytes change nothing about what was said before an error, or before the end.
        (Some(_), Some(_)) | (None, None) => assert_eq!(whole, cut),
        _ => assert!(whole.0.starts_with(&cut.0) || cut.0.starts_with(&whole.0)),
    }
}

/// What is said, and how it ends: the number of bytes that belong to the proxy, or an error.
fn talk(choice: u8, pieces: &[&[u8]]) -> (Vec<Vec<u8>>, Option<Result<usize, String>>) {
    let text = PROXIES[usize::from(choice) % PROXIES.len()];
    let proxy = Proxy::parse(text.as_bytes()).expect("it is a proxy");
    let target = Target::Name(b"example.com", 1935);
    let mut negotiation = proxy.negotiation(target).expect("the name fits");
    let mut said = vec![negotiation.greeting()];
    let (mut input, mut used) = (Vec::new(), 0);
    for piece in pieces {
        input.extend_from_slice(piece);
        loop {
            match negotiation.receive(&input) {
                Ok(None) => break,
                Ok(Some((count, next))) => {
                    assert!((1..=input.len()).contains(&count));
                    input.drain(..count);
                    used += count;
                    match next {
                        Next::Send(bytes) => said.push(bytes),
                        Next::Receive => {}
                        Next::Done => return (said, Some(Ok(used))),
                    }
                }
                Err(error) => return (said, Some(Err(error.to_string()))),
            }
        }
    }
    (said, None)
}
