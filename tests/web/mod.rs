//! A web server on the loopback interface that answers every request in the same way.
#![allow(dead_code)] // every test binary uses a part of this module

use std::{
    io::{Read, Write},
    net::{TcpListener, TcpStream},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, JoinHandle},
    time::Duration,
};

/// What the server does after it has read a request.
#[derive(Clone)]
pub enum Step {
    /// Sends bytes, all at once.
    Send(Vec<u8>),
    /// Says nothing until the client gives up.
    Silence,
}

/// The server; it ends with the value.
pub struct Site {
    host: &'static str,
    port: u16,
    requests: Arc<Mutex<Vec<String>>>,
    ended: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

/// Longer than any client waits.
const LIMIT: Duration = Duration::from_secs(40);

impl Site {
    pub fn new(steps: &[Step]) -> Self {
        Self::on("127.0.0.1", steps).expect("the loopback interface is there")
    }

    /// A server that sends one response and closes.
    pub fn sending(response: impl AsRef<[u8]>) -> Self {
        Self::new(&[Step::Send(response.as_ref().to_vec())])
    }

    /// A server of one file.
    pub fn of_file(file: &[u8]) -> Self {
        Self::sending(response("200 OK\r\nLast-Modified: Mon, 01 Jan 2024 00:00:00 GMT", file))
    }

    /// A server on any host of this machine; none if it has no such address.
    pub fn on(host: &'static str, steps: &[Step]) -> Option<Self> {
        let listener = TcpListener::bind((host, 0)).ok()?;
        let port = listener.local_addr().expect("it is bound").port();
        let requests = Arc::new(Mutex::new(Vec::new()));
        let ended = Arc::new(AtomicBool::new(false));
        let (seen, stop, steps) = (requests.clone(), ended.clone(), steps.to_vec());
        let thread = thread::spawn(move || {
            for connection in listener.incoming().flatten() {
                if stop.load(Ordering::SeqCst) {
                    return;
                }
                // Clients may go away at any time.
                let _ = answer(connection, &steps, &seen);
            }
        });
        Some(Self { host, port, requests, ended, thread: Some(thread) })
    }

    pub fn port(&self) -> u16 {
        self.port
    }

    /// The URL of a path of this server.
    pub fn url(&self, path: &str) -> String {
        format!("http://{}:{}{path}", self.host, self.port)
    }

    /// The requests so far, with `PORT` in place of the number.
    pub fn requests(&self) -> Vec<String> {
        let requests = self.requests.lock().expect("the server does not panic").clone();
        let port = format!(":{}/", self.port);
        requests.into_iter().map(|request| request.replace(&port, ":PORT/")).collect()
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        self.ended.store(true, Ordering::SeqCst);
        let _ = TcpStream::connect((self.host, self.port));
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// A response with a length.
pub fn response(status_and_headers: &str, body: &[u8]) -> Vec<u8> {
    let head = format!("HTTP/1.0 {status_and_headers}\r\nContent-Length: {}\r\n\r\n", body.len());
    [head.as_bytes(), body].concat()
}

fn answer(mut connection: TcpStream, steps: &[Step], seen: &Mutex<Vec<String>>) -> std::io::Result<()> {
    connection.set_read_timeout(Some(LIMIT))?;
    connection.set_write_timeout(Some(LIMIT))?;
    connection.set_nodelay(true)?;
    let mut request = Vec::new();
    let mut buffer = [0; 4096];
    while !request.ends_with(b"\r\n\r\n") {
        match connection.read(&mut buffer)? {
            0 => break,
            count => request.extend_from_slice(&buffer[..count]),
        }
    }
    seen.lock().expect("nobody panics with it").push(String::from_utf8_lossy(&request).into_owned());
    for step in steps {
        match step {
            Step::Send(bytes) => connection.write_all(bytes)?,
            Step::Silence => while connection.read(&mut buffer)? > 0 {},
        }
    }
    Ok(())
}
