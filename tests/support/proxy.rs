//! Proxies between a client and a server.

use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::thread;

/// Passes connections on. Before that, `open` talks to each client, and returns the address to connect to.
pub fn relay(
    listener: TcpListener,
    open: impl Fn(&mut TcpStream) -> io::Result<SocketAddr> + Send + Copy + 'static,
) {
    thread::spawn(move || {
        for mut client in listener.incoming().flatten() {
            thread::spawn(move || -> io::Result<()> {
                let server = TcpStream::connect(open(&mut client)?)?;
                let (mut up, mut down) = (client.try_clone()?, server.try_clone()?);
                thread::spawn(move || {
                    let _ = io::copy(&mut up, &mut down);
                    let _ = down.shutdown(Shutdown::Write);
                });
                io::copy(&mut &server, &mut client)?;
                client.shutdown(Shutdown::Both)
            });
        }
    });
}

/// Talks SOCKS4, and returns the address to connect to.
pub fn socks4(client: &mut TcpStream) -> io::Result<SocketAddr> {
    let mut request = [0; 8];
    client.read_exact(&mut request)?;
    let mut byte = [1];
    while byte != [0] {
        client.read_exact(&mut byte)?;
    }
    client.write_all(&[0, 90, 0, 0, 0, 0, 0, 0])?;
    let [_, _, high, low, a, b, c, d] = request;
    Ok(SocketAddr::from(([a, b, c, d], u16::from_be_bytes([high, low]))))
}
