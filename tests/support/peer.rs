//! A scripted RTMP peer: the server side of a connection, driven by a closure, with everything the client sends kept.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{Ipv4Addr, Shutdown, TcpListener, TcpStream};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use socket2::SockRef;

use super::amf::{self, Value, n, s};
use super::wire::{Message, Reader};

/// How long a peer waits for anything unless told otherwise.
pub const PATIENCE: Duration = Duration::from_secs(20);
/// How long it waits for a client, which may run under valgrind and have other things to do before.
const START: Duration = Duration::from_secs(300);

/// A listening socket whose connections are handled by a closure in a thread.
pub struct Server<T> {
    pub port: u16,
    thread: JoinHandle<T>,
}

impl<T: Send + 'static> Server<T> {
    /// Accepts one connection and passes it to `script`.
    pub fn once(script: impl FnOnce(&mut Peer) -> T + Send + 'static) -> Self {
        Self::listen(move |listener| script(&mut Peer::accept(listener)))
    }

    /// Hands the listening socket to `script`, for clients that connect more than once or not at all.
    pub fn listen(script: impl FnOnce(&TcpListener) -> T + Send + 'static) -> Self {
        Self::listen_on(Ipv4Addr::LOCALHOST, script)
    }

    /// As `listen`, on another address of the loopback interface.
    pub fn listen_on(address: Ipv4Addr, script: impl FnOnce(&TcpListener) -> T + Send + 'static) -> Self {
        let listener = TcpListener::bind((address, 0)).expect("loopback has a free port");
        let port = listener.local_addr().expect("a bound socket has an address").port();
        Self { port, thread: thread::spawn(move || script(&listener)) }
    }

    /// `rtmp://…/app/name` on this server.
    pub fn url(&self) -> String {
        format!("rtmp://127.0.0.1:{}/app/name", self.port)
    }

    /// The result of the script; panics if the script did.
    pub fn join(self) -> T {
        self.thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    }
}

impl Server<()> {
    /// Plays a stream of `messages` short sounds to one client, and waits until it disconnects.
    pub fn of_sounds(messages: u32) -> Self {
        Self::once(move |peer| {
            peer.accept_play();
            for time in 0..messages {
                peer.send(&Message::new(4, time * 20, 8, 1, &[0xAF; 33]));
            }
            peer.status(1, "status", "NetStream.Play.Complete", "");
            peer.finish();
            peer.drain(PATIENCE);
        })
    }
}

/// How long the FLV file of that stream is.
pub fn bytes_of_sounds(messages: u32) -> u32 {
    13 + messages * (11 + 33 + 4)
}

/// What carries the bytes of a connection: a socket, or something around one.
pub trait Carriage: Send {
    /// Reads available bytes within `limit`; 0 at the end of the connection.
    fn receive(&mut self, buffer: &mut [u8], limit: Duration) -> io::Result<usize>;

    /// Sends bytes, or keeps them until it is this side's turn.
    fn send(&mut self, bytes: &[u8]) -> io::Result<()>;

    /// Ends one direction, or both.
    fn end(&mut self, how: Shutdown);

    /// Separates the next bytes from those sent before, if the carriage can do this.
    fn part(&mut self) {}

    /// What the client did, apart from the bytes that it sent.
    fn transcript(&self) -> String {
        String::new()
    }
}

impl Carriage for TcpStream {
    fn receive(&mut self, buffer: &mut [u8], limit: Duration) -> io::Result<usize> {
        self.set_read_timeout(Some(limit))?;
        // What a client's system holds back for want of acknowledgements is lost if it closes without reading.
        SockRef::from(&*self).set_tcp_quickack(true)?;
        self.read(buffer)
    }

    fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.write_all(bytes)
    }

    fn end(&mut self, how: Shutdown) {
        let _ = self.shutdown(how);
    }
}

/// One connection, seen from the server.
pub struct Peer {
    carriage: Box<dyn Carriage>,
    reader: Reader,
    /// Every byte the client sent after the handshake.
    pub bytes: Vec<u8>,
    /// Every message the client sent.
    pub messages: Vec<Message>,
    /// Every message this side sent.
    pub sent: Vec<Message>,
    taken: usize,
    /// The client's C1.
    pub c1: Vec<u8>,
    /// The chunk size of this side's messages.
    pub chunk_size: usize,
}

impl Peer {
    /// Waits for a connection.
    pub fn accept(listener: &TcpListener) -> Self {
        listener.set_nonblocking(true).expect("listening sockets can be polled");
        let deadline = Instant::now() + START;
        loop {
            if let Some(peer) = Self::try_accept(listener) {
                return peer;
            }
            assert!(Instant::now() < deadline, "no client came");
            thread::sleep(Duration::from_millis(2));
        }
    }

    /// An existing connection. The listener does not block.
    pub fn try_accept(listener: &TcpListener) -> Option<Self> {
        match listener.accept() {
            Ok((stream, _)) => {
                stream.set_nonblocking(false).expect("sockets can block");
                stream.set_nodelay(true).expect("TCP sockets take TCP_NODELAY");
                Some(Self::over(Box::new(stream)))
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => None,
            Err(error) => panic!("cannot accept: {error}"),
        }
    }

    /// A peer on an existing connection.
    pub fn over(carriage: Box<dyn Carriage>) -> Self {
        Self {
            carriage,
            reader: Reader::new(),
            bytes: Vec::new(),
            messages: Vec::new(),
            sent: Vec::new(),
            taken: 0,
            c1: Vec::new(),
            chunk_size: 128,
        }
    }

    /// Puts something around the connection, before the chunk stream starts.
    pub fn wrap(mut self, around: impl FnOnce(Box<dyn Carriage>) -> Box<dyn Carriage>) -> Self {
        self.carriage = around(self.carriage);
        self
    }

    /// Reads exactly `n` bytes, before the chunk stream starts.
    pub fn read_exact(&mut self, n: usize) -> Vec<u8> {
        read_exact(self.carriage.as_mut(), n)
    }

    /// Reads up to and with an empty line: the head of an HTTP request.
    pub fn read_head(&mut self) -> String {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.extend(self.read_exact(1));
        }
        String::from_utf8_lossy(&head).into_owned()
    }

    /// The simple handshake with an S1 of zeros, unless there was a handshake already.
    pub fn handshake(&mut self) {
        if !self.c1.is_empty() {
            return;
        }
        let c0c1 = self.read_exact(1537);
        assert_eq!(c0c1[0], 3, "version of the handshake");
        self.c1 = c0c1[1..].to_vec();
        let mut reply = vec![3];
        reply.extend([0; 1536]);
        reply.extend(&self.c1);
        self.send_raw(&reply);
        let c2 = self.read_exact(1536);
        assert!(c2.iter().all(|byte| *byte == 0), "C2 must repeat S1");
    }

    /// Sends bytes without a change. A disconnected client is not an error: other checks compare what it received.
    pub fn send_raw(&mut self, bytes: &[u8]) {
        let _ = self.carriage.send(bytes);
    }

    pub fn send(&mut self, message: &Message) {
        self.sent.push(message.clone());
        let chunks = message.chunks(self.chunk_size);
        self.send_raw(&chunks);
    }

    /// Sends a message on the control chunk stream.
    pub fn send_control(&mut self, kind: u8, body: &[u8]) {
        self.send(&Message::new(2, 0, kind, 0, body));
    }

    /// Announces and uses a chunk size.
    pub fn set_chunk_size(&mut self, size: u32) {
        self.send_control(1, &size.to_be_bytes());
        self.chunk_size = size as usize;
    }

    /// Reads available bytes within `limit`; false at the end of the connection or of the time.
    fn fill(&mut self, limit: Duration) -> bool {
        if limit.is_zero() {
            return false;
        }
        let mut part = [0; 65536];
        let Ok(n @ 1..) = self.carriage.receive(&mut part, limit) else { return false };
        self.bytes.extend(&part[..n]);
        self.messages.extend(self.reader.feed(&part[..n]));
        true
    }

    /// The next message of the client.
    pub fn next(&mut self, limit: Duration) -> Option<Message> {
        let deadline = Instant::now() + limit;
        while self.taken == self.messages.len() {
            if !self.fill(deadline.saturating_duration_since(Instant::now())) {
                return None;
            }
        }
        self.taken += 1;
        Some(self.messages[self.taken - 1].clone())
    }

    /// Reads until the client sends this command and returns its values.
    pub fn wait_for(&mut self, command: &str) -> Vec<Value> {
        loop {
            let Some(message) = self.next(PATIENCE) else {
                let seen: Vec<String> = self.messages.iter().map(Message::describe).collect();
                panic!("the client never sent {command:?}, but:\n{}", seen.join("\n"));
            };
            if message.command().as_deref() == Some(command) {
                return amf::decode(&message.body).unwrap_or_default();
            }
        }
    }

    /// Reads until the client closes, at most `limit`; true when it closed.
    pub fn drain(&mut self, limit: Duration) -> bool {
        let deadline = Instant::now() + limit;
        while self.fill(deadline.saturating_duration_since(Instant::now())) {}
        self.taken = self.messages.len();
        Instant::now() < deadline
    }

    /// Reads and ignores everything until the client closes; returns the number of bytes.
    pub fn swallow(&mut self, limit: Duration) -> u64 {
        let (mut part, mut total) = (vec![0; 1 << 20], 0);
        while let Ok(n @ 1..) = self.carriage.receive(&mut part, limit) {
            total += n as u64;
        }
        total
    }

    /// Sends nothing more.
    pub fn finish(&mut self) {
        self.carriage.end(Shutdown::Write);
    }

    /// Sends and reads nothing more.
    pub fn leave(&mut self) {
        self.carriage.end(Shutdown::Both);
    }

    /// Separates the next bytes from those sent before: in an HTTP tunnel, they are in the next reply.
    pub fn part(&mut self) {
        self.carriage.part();
    }

    /// Sends a command on chunk stream 3.
    pub fn invoke(&mut self, message_stream: u32, values: &[Value]) {
        self.send(&Message::invoke(3, message_stream, values));
    }

    /// `_result` for the client's command.
    pub fn result(&mut self, transaction: f64, values: &[Value]) {
        let mut all = vec![s("_result"), n(transaction)];
        all.extend_from_slice(values);
        self.invoke(0, &all);
    }

    /// `onStatus` on a message stream.
    pub fn status(&mut self, message_stream: u32, level: &str, code: &str, description: &str) {
        let values = [s("onStatus"), n(0), Value::Null, amf::status(level, code, description)];
        self.invoke(message_stream, &values);
    }

    /// The handshake, and success for the client's connect.
    pub fn accept_connect(&mut self) -> Vec<Value> {
        self.handshake();
        let connect = self.wait_for("connect");
        self.connect_result(&[]);
        connect
    }

    /// Success for connect, with more members in the status object.
    pub fn connect_result(&mut self, more: &[(&str, Value)]) {
        let mut members = vec![("level", s("status")), ("code", s("NetConnection.Connect.Success"))];
        members.extend_from_slice(more);
        self.result(1.0, &[Value::Null, amf::object(&members)]);
    }

    /// Stream id 1 for the client's createStream.
    pub fn accept_create(&mut self) {
        let create = self.wait_for("createStream");
        let transaction = create.get(1).and_then(Value::number).expect("createStream has a transaction id");
        self.result(transaction, &[Value::Null, n(1)]);
    }

    /// Everything up to the moment a player plays.
    pub fn accept_play(&mut self) {
        self.accept_connect();
        self.accept_create();
        self.wait_for("play");
        self.status(1, "status", "NetStream.Play.Start", "");
    }

    /// Everything up to the moment a publisher publishes.
    pub fn accept_publish(&mut self) {
        self.accept_connect();
        self.accept_create();
        self.wait_for("publish");
        self.status(1, "status", "NetStream.Publish.Start", "");
    }

    /// The chunk size the client uses without having announced it.
    pub fn assume_chunk_size(&mut self, size: usize) {
        self.reader.chunk_size = size;
    }

    /// What the client did against the protocol.
    pub fn violations(&self) -> &[String] {
        &self.reader.violations
    }

    /// The client's actions as lines: the carriage of its messages, and the messages.
    pub fn transcript(&self) -> String {
        let messages: String = self.messages.iter().map(|message| message.describe() + "\n").collect();
        self.carriage.transcript() + &messages
    }
}

/// Reads exactly `n` bytes.
pub fn read_exact(carriage: &mut dyn Carriage, n: usize) -> Vec<u8> {
    let mut bytes = vec![0; n];
    let deadline = Instant::now() + PATIENCE;
    let mut have = 0;
    while have < n {
        let left = deadline.saturating_duration_since(Instant::now()).max(Duration::from_millis(1));
        match carriage.receive(&mut bytes[have..], left) {
            Ok(0) => panic!("{n} bytes expected, the client has closed after {have}"),
            Ok(count) => have += count,
            Err(error) => panic!("{n} bytes expected: {error}"),
        }
    }
    bytes
}
