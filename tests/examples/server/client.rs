//! A scripted client of the server example.

use std::net::TcpStream;
use std::ops::{Deref, DerefMut};
use std::time::Duration;

use crate::support::amf::{self, Value, n, object, s};
use crate::support::examples::ExampleServer;
use crate::support::peer::PATIENCE;
use crate::support::wire::Message;
use crate::support::{Library, Peer, TempDir};

/// A server with a folder of its own for files and recordings. `None` when it cannot be built.
pub fn server(library: Library, options: &[&str]) -> Option<(ExampleServer, TempDir)> {
    super::prepare()?;
    let folder = TempDir::new("server");
    let path = folder.path().to_string_lossy().into_owned();
    let options: Vec<&str> =
        options.iter().map(|option| if *option == "FOLDER" { &path } else { *option }).collect();
    let server = ExampleServer::start_with(library, folder.path(), None, &options, &[])?;
    Some((server, folder))
}

/// One connection to a server.
pub struct Client(Peer);

impl Deref for Client {
    type Target = Peer;

    fn deref(&self) -> &Peer {
        &self.0
    }
}

impl DerefMut for Client {
    fn deref_mut(&mut self) -> &mut Peer {
        &mut self.0
    }
}

impl Client {
    /// Connects and shakes hands.
    pub fn shake_hands(server: &ExampleServer) -> Self {
        Self::shake_hands_with(server.port())
    }

    fn shake_hands_with(port: u16) -> Self {
        let stream = TcpStream::connect(("127.0.0.1", port)).expect("the server listens");
        stream.set_nodelay(true).expect("TCP sockets take TCP_NODELAY");
        let mut peer = Peer::over(Box::new(stream));
        peer.send_raw(&[&[3][..], &[0; 1536]].concat());
        let answer = peer.read_exact(3073);
        peer.send_raw(&answer[1..1537]);
        Self(peer)
    }

    /// Connects to an application, which must succeed.
    pub fn connect(server: &ExampleServer, app: &str) -> Self {
        Self::connect_to(server.port(), app)
    }

    /// As `connect`, to the server on a port.
    pub fn connect_to(port: u16, app: &str) -> Self {
        let mut client = Self::shake_hands_with(port);
        client.call("connect", &[object(&[("app", s(app))])]);
        client
    }

    /// Sends a command of the connection and returns the values of its result.
    pub fn call(&mut self, name: &str, arguments: &[Value]) -> Vec<Value> {
        let mut values = vec![s(name), n(7)];
        values.extend_from_slice(arguments);
        self.invoke(0, &values);
        self.wait_for("_result")
    }

    /// Creates a message stream.
    pub fn create(&mut self) -> u32 {
        let result = self.call("createStream", &[Value::Null]);
        result.get(3).and_then(Value::number).expect("createStream has an id as its result") as u32
    }

    /// Sends a command on a message stream.
    pub fn command(&mut self, stream: u32, name: &str, arguments: &[Value]) {
        let mut values = vec![s(name), n(0), Value::Null];
        values.extend_from_slice(arguments);
        self.invoke(stream, &values);
    }

    /// The next `onStatus`: its message stream and its code.
    pub fn status_within(&mut self, limit: Duration) -> Option<(u32, String)> {
        loop {
            let message = self.next(limit)?;
            if message.command().as_deref() == Some("onStatus") {
                let values = amf::decode(&message.body)?;
                let code = values.get(3)?.member("code")?.text()?.to_owned();
                return Some((message.message_stream, code));
            }
        }
    }

    /// Reads statuses up to one with that code.
    pub fn wait_for_status(&mut self, stream: u32, code: &str) {
        let mut seen = Vec::new();
        while let Some(status) = self.status_within(PATIENCE) {
            if status == (stream, code.to_owned()) {
                return;
            }
            seen.push(status);
        }
        panic!("no {code} on message stream {stream}, but {seen:?}");
    }

    /// Publishes, which must succeed.
    pub fn publish(&mut self, stream: u32, name: &str) {
        self.command(stream, "publish", &[s(name), s("live")]);
        self.wait_for_status(stream, "NetStream.Publish.Start");
    }

    /// Plays what is live, or will be.
    pub fn play(&mut self, stream: u32, name: &str) {
        self.command(stream, "play", &[s(name), n(-1000)]);
        self.wait_for_status(stream, "NetStream.Play.Start");
    }

    /// Connects and publishes on message stream 1.
    pub fn publisher(server: &ExampleServer, app: &str, name: &str) -> Self {
        let mut client = Self::connect(server, app);
        let stream = client.create();
        client.publish(stream, name);
        client
    }

    /// Connects and plays on message stream 1.
    pub fn player(server: &ExampleServer, app: &str, name: &str) -> Self {
        let mut client = Self::connect(server, app);
        let stream = client.create();
        client.play(stream, name);
        client
    }

    /// Sends audio, video or data on a message stream.
    pub fn media(&mut self, stream: u32, kind: u8, time: u32, body: &[u8]) {
        self.send(&Message::new(u32::from(kind), time, kind, stream, body));
    }

    /// The next audio, video or data message.
    pub fn next_media(&mut self, limit: Duration) -> Option<Message> {
        loop {
            let message = self.next(limit)?;
            if matches!(message.kind, 8 | 9 | 18) {
                return Some(message);
            }
        }
    }

    /// The bodies of the media messages up to and with one of that body.
    pub fn media_until(&mut self, last: &[u8]) -> Vec<Vec<u8>> {
        let mut bodies = Vec::new();
        while let Some(message) = self.next_media(PATIENCE) {
            let end = message.body == last;
            bodies.push(message.body);
            if end {
                return bodies;
            }
        }
        panic!("{last:02x?} never came, but {bodies:02x?}");
    }

    /// The server still answers.
    pub fn assert_alive(&mut self) {
        self.call("_checkbw", &[Value::Null]);
    }

    /// The server closes the connection.
    pub fn assert_ended(&mut self, limit: Duration) {
        assert!(self.drain(limit), "the server does not end the connection");
    }
}
