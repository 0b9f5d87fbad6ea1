//! Connects with options, for example for TLS, a proxy or a login: `cargo run --example options -- URL [NAME VALUE]...`
//!
//! ```text
//! options rtmps://host/app/stream tlsCA my-ca.pem tlsCert client.pem tlsKey client.key
//! options rtmp://host/app/stream socks socks5://user:password@proxy.example.com:1080
//! options rtmp://host/app/stream pubUser me pubPasswd secret
//! ```

#![forbid(unsafe_code)]

use std::{env, process::ExitCode};

use rtmp::{Client, Error};

// [connect]
fn connect(url: &str, options: &[(&str, &str)]) -> Result<(), Error> {
    let mut client = Client::new(url)?;
    for (name, value) in options {
        client = client.option(name, value)?;
    }
    client.publish()?.finish()
}
// [connect end]

fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let Some((url, options)) = arguments.split_first().filter(|(_, options)| options.len() % 2 == 0) else {
        eprintln!("usage: options URL [NAME VALUE]...");
        return ExitCode::from(2);
    };
    let options: Vec<(&str, &str)> = options.chunks(2).map(|pair| (&pair[0][..], &pair[1][..])).collect();
    // [report]
    match connect(url, &options) {
        Ok(()) => println!("connected"),
        Err(error) => {
            let what = match error {
                Error::Tls(_) => "no secure connection",
                Error::Proxy(_) => "the proxy does not connect",
                Error::Refused(_) => "the server refuses",
                _ => "failed",
            };
            println!("{what}: {error}");
            return ExitCode::FAILURE;
        }
    }
    // [report end]
    ExitCode::SUCCESS
}
