//! tshark on the loopback interface, and the output of its dissector for RTMP.

use std::collections::{BTreeSet, HashMap};
use std::fs;
use std::net::{Ipv4Addr, UdpSocket};
use std::path::PathBuf;
use std::process::Command;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::Duration;

use super::process::{self, Running, TempDir, wait_until};
use super::require;

const PATIENCE: Duration = Duration::from_secs(90);

/// A capture of all bytes to and from one loopback address that nothing else uses.
pub struct Capture {
    pub address: Ipv4Addr,
    tshark: PathBuf,
    process: Running,
    directory: TempDir,
}

/// One message, or a part of the handshake, as tshark shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dissected {
    pub from_client: bool,
    /// Its summary in one line: `AMF0 Command connect('app')`.
    pub title: String,
    /// The fields of the body, one a line.
    pub fields: Vec<String>,
    /// The fields of the header.
    header: Vec<String>,
    /// Message stream and time, as the sender meant them.
    means: (u32, u32),
}

/// A TCP connection with RTMP on it.
#[derive(Debug)]
pub struct Connection {
    pub server_port: u16,
    client_port: u16,
    pub messages: Vec<Dissected>,
}

impl Capture {
    /// Starts tshark and waits until it captures packets. `None` when it is missing or not allowed to capture.
    pub fn start() -> Option<Self> {
        static NEXT: AtomicU8 = AtomicU8::new(1);
        let tshark = require::program("tshark")?;
        let id = std::process::id();
        let last = NEXT.fetch_add(1, Ordering::Relaxed);
        let address = Ipv4Addr::new(127, 64 + (id >> 8 & 63) as u8, id as u8, last);
        let directory = TempDir::new("capture");
        let mut command = Command::new(&tshark);
        command.args(["-q", "-n", "-i", "lo", "-f", &format!("host {address}"), "-w"]);
        let mut process = Running::start(command.arg(directory.join("packets")));
        let mut ready = false;
        wait_until(PATIENCE, || {
            ready = seen(&directory, address, "start");
            ready || process.ended().is_some()
        });
        if process.ended().is_some() && process.stderr().contains("permission") {
            require::missing("the right to capture packets (root)");
            return None;
        }
        assert!(ready, "tshark does not capture: {}", process.stderr());
        Some(Self { address, tshark, process, directory })
    }

    /// Ends the capture when it contains everything up to now, and dissects it.
    pub fn finish(mut self) -> Finished {
        let complete = wait_until(PATIENCE, || seen(&self.directory, self.address, "end"));
        assert!(complete, "tshark has lost its way: {}", self.process.stderr());
        self.process.signal("INT");
        let status = self.process.wait(PATIENCE);
        assert!(status.is_some_and(|status| status.success()), "tshark: {}", self.process.stderr());
        Finished { tshark: self.tshark, directory: self.directory }
    }
}

/// Sends a datagram to the address; returns true once the file contains such a datagram. The packets in the file are ordered by
/// time.
fn seen(directory: &TempDir, address: Ipv4Addr, word: &str) -> bool {
    let probe = format!("probe of the capture: {word}");
    let socket = UdpSocket::bind((address, 0)).expect("every address of 127.0.0.0/8 is this machine's");
    let to = socket.local_addr().expect("a bound socket has an address");
    socket.send_to(probe.as_bytes(), to).expect("datagrams to oneself arrive");
    let file = fs::read(directory.join("packets")).unwrap_or_default();
    file.windows(probe.len()).any(|window| window == probe.as_bytes())
}

/// The packets of a finished capture.
pub struct Finished {
    tshark: PathBuf,
    directory: TempDir,
}

impl Finished {
    fn read(&self, arguments: &[&str]) -> String {
        let file = self.directory.join("packets");
        let mut all = vec!["-n", "-r", file.to_str().expect("the build directory is text")];
        // Every port except the well-known ones carries RTMP, in chunks that are larger than tshark expects.
        all.extend(["-d", "tcp.port==1024-65535,rtmpt", "-o", "rtmpt.max_packet_size:16777216"]);
        all.extend(arguments);
        let output = process::output(&self.tshark, &all, PATIENCE);
        String::from_utf8_lossy(&output).into_owned()
    }

    /// The frames in which the dissector finds something wrong, restricted by a display filter.
    pub fn complaints(&self, filter: &str) -> String {
        let wrong = "rtmpt && (_ws.malformed || _ws.expert.severity == error)";
        self.read(&["-Y", &format!("({filter}) && ({wrong})"), "-V", "-O", "rtmpt"])
    }

    /// Connections in the order of their first message. Their servers listen on `server_ports`.
    pub fn connections(&self, server_ports: &BTreeSet<u16>) -> Vec<Connection> {
        let text = self.read(&["-Y", "rtmpt", "-V", "-O", "rtmpt"]);
        let mut connections: Vec<Connection> = Vec::new();
        // The connection of the frame, and whether the client has sent it.
        let mut current = None;
        let mut in_header = false;
        for line in text.lines() {
            if let Some(ports) = line.strip_prefix("Transmission Control Protocol, Src Port: ") {
                let mut numbers = ports
                    .split(", Dst Port: ")
                    .filter_map(|text| text.split(|c: char| !c.is_ascii_digit()).next()?.parse::<u16>().ok());
                let [from, to] =
                    [numbers.next(), numbers.next()].map(|port| port.expect("tshark prints ports"));
                let from_client = server_ports.contains(&to);
                let (client_port, server_port) = if from_client { (from, to) } else { (to, from) };
                let known = connections.iter().position(|connection| {
                    (connection.client_port, connection.server_port) == (client_port, server_port)
                });
                let at = known.unwrap_or_else(|| {
                    connections.push(Connection { server_port, client_port, messages: Vec::new() });
                    connections.len() - 1
                });
                current = Some((at, from_client));
            } else if let Some(title) = line.strip_prefix("Real Time Messaging Protocol (") {
                let (at, from_client) = current.expect("messages are inside of segments");
                let title = title.strip_suffix(')').unwrap_or(title).to_owned();
                in_header = false;
                let (fields, header) = (Vec::new(), Vec::new());
                connections[at].messages.push(Dissected {
                    from_client,
                    title,
                    fields,
                    header,
                    means: (0, 0),
                });
            } else if ["    RTMP Header", "    RTMP Body"].contains(&line) {
                in_header = line == "    RTMP Header";
            } else if let Some((at, _)) = current.filter(|_| line.starts_with(' ')) {
                let Some(message) = connections[at].messages.last_mut() else { continue };
                let fields = if in_header { &mut message.header } else { &mut message.fields };
                fields.push(line.trim().to_owned());
            }
        }
        connections.iter_mut().for_each(Connection::resolve);
        connections
    }
}

impl Connection {
    /// Resolves headers that omit fields: the message stream of the last full one, and a time that follows
    /// the last one. librtmp's format 3 means the same time; ours never uses it for anything else.
    fn resolve(&mut self) {
        let mut known = HashMap::new();
        for message in self.messages.iter_mut().filter(|message| !message.header.is_empty()) {
            let chunk_stream = message.number("Chunk Stream ID").expect("every header has a chunk stream");
            let (stream, time) = known.entry((message.from_client, chunk_stream)).or_insert((0_u32, 0_u32));
            *stream = message.number("Stream ID").unwrap_or(*stream);
            let field = message.number("Extended timestamp");
            *time = match message.number("Format") {
                Some(0) => field.or(message.number("Timestamp")).unwrap_or(0),
                Some(3) => *time,
                _ => time.wrapping_add(field.or(message.number("Timestamp delta")).unwrap_or(0)),
            };
            message.means = (*stream, *time);
        }
    }
}

impl Dissected {
    /// A number in the header.
    fn number(&self, name: &str) -> Option<u32> {
        self.header.iter().find_map(|field| {
            // Bits are shown before the name.
            let (before, value) = field.split_once(": ")?;
            let value = value.split(' ').next()?;
            (before == name || before.ends_with(&format!("= {name}"))).then(|| value.parse().ok())?
        })
    }

    /// Its direction and contents, without the form of its header, and without values that differ each time:
    /// the server's port and address, the numbers of frames, the random bytes of the handshake.
    pub fn content(&self, address: Ipv4Addr, port: u16) -> String {
        let (stream, time) = self.means;
        let mut out = format!("{}\nstream {stream} time {time}\n", self.title);
        for field in self
            .header
            .iter()
            .filter(|field| field.contains("Chunk Stream ID") || field.starts_with("Type ID"))
        {
            out += field;
            out.push('\n');
        }
        let changing =
            ["Handshake data:", "Response to this call in frame:", "Call for this response in frame:"];
        for field in self.fields.iter().filter(|field| !changing.iter().any(|start| field.starts_with(start)))
        {
            out += field;
            out.push('\n');
        }
        out.replace(&format!("{address}:{port}"), "ADDRESS:PORT")
    }

    /// A message of sound or picture.
    pub fn is_media(&self) -> bool {
        ["Audio Data", "Video Data", "Aggregate"].contains(&self.title.as_str())
    }
}
