//! The server's side of a session: clients' requests, and the answers (RTMP 1.0, sections 7.2.1 and 7.2.2).

use log::{debug, warn};

use super::{Capabilities, Command, Peer, State, client::event, command};
use crate::{
    amf::{self, Encoder, Properties, Value},
    error::{Error, Result},
    message::{Message, MessageType},
    text::Text,
};

/// A client's request to a server. Strings are bytes: the protocol does not specify their encoding.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Request {
    /// To use an application.
    Connect(Connect),
    /// To publish a stream.
    Publish {
        /// The message stream that media will come on.
        stream_id: u32,
        /// Name of the stream, including any text after a question mark.
        name: Vec<u8>,
        /// `live`, `record` or `append`; empty if it is missing.
        kind: Vec<u8>,
    },
    /// To play a stream.
    Play {
        /// The message stream to send media on.
        stream_id: u32,
        /// Name of the stream, including any text after a question mark.
        name: Vec<u8>,
        /// Where to start, in milliseconds; negative for a live stream.
        start_ms: f64,
    },
}

/// The contents of a client's `connect`.
#[derive(Debug, Clone, Default, PartialEq)]
#[non_exhaustive]
pub struct Connect {
    /// Name of the application.
    pub app: Vec<u8>,
    /// URL of the application.
    pub tc_url: Vec<u8>,
    /// The client's name and version.
    pub flash_version: Vec<u8>,
    /// URL of the SWF file that the client runs; empty if it names none.
    pub swf_url: Vec<u8>,
    /// URL of the page that the SWF file is on; empty if the client names none.
    pub page_url: Vec<u8>,
    /// AMF version that the client requests for messages.
    pub object_encoding: f64,
    /// The client's announcement of Enhanced RTMP.
    pub capabilities: Box<Capabilities>,
    /// The body of the message: AMF0, with everything else that the client sent.
    pub body: Vec<u8>,
}

/// The state of a client, and the request that waits for an answer.
#[derive(Debug, Default)]
pub(super) struct Requests {
    pending: Option<(f64, Request)>,
    connected: bool,
    /// The message streams that the client has, and the use of each.
    streams: Vec<(u32, Use)>,
    last_stream: u32,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Use {
    Nothing,
    Published,
    Played,
}

/// The result of processing a client's message.
pub(super) enum Reaction {
    Event(Said),
    Answer(Vec<Command>),
    Nothing,
    /// It concerns the connection itself, and both sides react in the same way.
    Control,
}

/// A message for the application.
pub(super) enum Said {
    Request(Request),
    StreamClosed(u32),
    Media,
}

/// The limit of message streams that a client may have at a time.
const MAX_STREAMS: usize = 16;

/// The limit of bytes of a stream's name in answers to its client.
const MAX_SHOWN: usize = 255;

/// The server's name, in Flash Media Server's form: clients check the beginning.
const NAME: &[u8] = b"FMS/3,5,7,7009";

/// The capabilities that Flash Media Server announces.
const CAPABILITIES: f64 = 31.0;

impl Requests {
    pub(super) fn is_pending(&self) -> bool {
        self.pending.is_some()
    }

    /// Whether refusing the pending request ends the connection.
    pub(super) fn refuses_connection(&self) -> bool {
        matches!(self.pending, Some((_, Request::Connect(_))))
    }

    pub(super) fn receive(&mut self, state: &mut State, message: &Message<&[u8]>) -> Result<Reaction> {
        let body = message.body;
        match message.kind {
            MessageType::COMMAND => self.command(state, message.stream_id, body),
            // AMF0 follows a byte that names the format.
            MessageType::COMMAND_AMF3 => {
                self.command(state, message.stream_id, body.get(1..).unwrap_or_default())
            }
            MessageType::AUDIO
            | MessageType::VIDEO
            | MessageType::DATA
            | MessageType::DATA_AMF3
            | MessageType::AGGREGATE => {
                if self.usage(message.stream_id) == Some(Use::Published) {
                    return Ok(Reaction::Event(Said::Media));
                }
                debug!("ignoring media on message stream {}, which is not published", message.stream_id);
                Ok(Reaction::Nothing)
            }
            _ => Ok(Reaction::Control),
        }
    }

    fn command(&mut self, state: &mut State, stream_id: u32, body: &[u8]) -> Result<Reaction> {
        let values = match amf::decode(body) {
            Ok(values) => values,
            Err(error) => {
                warn!("ignoring a command that cannot be decoded: {error}");
                return Ok(Reaction::Nothing);
            }
        };
        let name = text(&values, 0);
        let transaction = number(&values, 1).unwrap_or_default();
        debug!("the client calls <{}>", Text(name));
        if !self.connected && name != b"connect" {
            warn!("ignoring {} before connect", Text(name));
            return Ok(Reaction::Nothing);
        }
        Ok(match name {
            b"connect" => self.ask(transaction, Request::Connect(connect(&values, body))),
            b"createStream" => self.create_stream(transaction),
            b"releaseStream" | b"FCPublish" | b"FCSubscribe" | b"_checkbw" | b"getStreamLength"
                if transaction > 0.0 =>
            {
                Reaction::Answer(vec![result(transaction, |_| {})])
            }
            b"publish" if self.usage(stream_id).is_some() => {
                let (name, kind) = (text(&values, 3).to_vec(), text(&values, 4).to_vec());
                self.ask(transaction, Request::Publish { stream_id, name, kind })
            }
            b"play" if self.usage(stream_id).is_some() => {
                let name = text(&values, 3).to_vec();
                let start_ms = number(&values, 4).unwrap_or(-2000.0);
                self.ask(transaction, Request::Play { stream_id, name, start_ms })
            }
            b"deleteStream" => match number(&values, 3) {
                Some(stream_id) => self.close_stream(stream_id as u32, true),
                None => Reaction::Nothing,
            },
            b"closeStream" => self.close_stream(stream_id, false),
            b"ping" => Reaction::Answer(vec![command::pong(state, transaction)]),
            _ => Reaction::Nothing,
        })
    }

    fn ask(&mut self, transaction: f64, request: Request) -> Reaction {
        self.pending = Some((transaction, request.clone()));
        Reaction::Event(Said::Request(request))
    }

    fn create_stream(&mut self, transaction: f64) -> Reaction {
        if self.streams.len() == MAX_STREAMS {
            let info = |body: &mut Encoder| {
                write_info(body, "error", "NetConnection.Call.Failed", "there are too many message streams");
            };
            return Reaction::Answer(vec![answer("_error", transaction, info)]);
        }
        self.last_stream = self.last_stream.wrapping_add(1).max(1);
        let stream_id = self.last_stream;
        self.streams.push((stream_id, Use::Nothing));
        let id = |body: &mut Encoder| {
            body.number(f64::from(stream_id));
        };
        Reaction::Answer(vec![result(transaction, id)])
    }

    /// Ends the use of a message stream. A stream that is `deleted` cannot be used again.
    fn close_stream(&mut self, stream_id: u32, deleted: bool) -> Reaction {
        let Some(index) = self.streams.iter().position(|stream| stream.0 == stream_id) else {
            return Reaction::Nothing;
        };
        let used = std::mem::replace(&mut self.streams[index].1, Use::Nothing);
        if deleted {
            self.streams.remove(index);
        }
        if used == Use::Nothing { Reaction::Nothing } else { Reaction::Event(Said::StreamClosed(stream_id)) }
    }

    /// Answers the pending request. A client that connects receives `announced` in both objects of the result, because clients
    /// differ in which one they read.
    pub(super) fn accept(
        &mut self,
        state: &mut State,
        announced: Option<&Capabilities>,
    ) -> Result<Vec<Command>> {
        let (transaction, request) = self.take()?;
        match request {
            Request::Connect(connect) => {
                self.connected = true;
                let announce = |body: &mut Encoder| {
                    if let Some(announced) = announced {
                        announced.write_members(body);
                    }
                };
                let success = |body: &mut Encoder| {
                    body.begin_object();
                    write_members(
                        body,
                        "status",
                        "NetConnection.Connect.Success",
                        "the connection succeeded",
                    );
                    body.named_number(b"objectEncoding", connect.object_encoding);
                    announce(body);
                    body.end_object();
                };
                let mut body = Encoder::new();
                body.string(b"_result").number(transaction).begin_object();
                body.named_string(b"fmsVer", NAME).named_number(b"capabilities", CAPABILITIES);
                announce(&mut body);
                body.end_object();
                success(&mut body);
                Ok(vec![
                    command::window_acknowledgement_size(state),
                    command::set_peer_bandwidth(state),
                    on_connection(body),
                ])
            }
            Request::Publish { stream_id, name, .. } => {
                self.set_usage(stream_id, Use::Published);
                let description = format!("{} is now published", shown(&name));
                Ok(vec![
                    begin(stream_id),
                    on_status(stream_id, "status", "NetStream.Publish.Start", &description),
                ])
            }
            Request::Play { stream_id, name, .. } => {
                self.set_usage(stream_id, Use::Played);
                let reset = format!("playing and resetting {}", shown(&name));
                let start = format!("started playing {}", shown(&name));
                Ok(vec![
                    begin(stream_id),
                    on_status(stream_id, "status", "NetStream.Play.Reset", &reset),
                    on_status(stream_id, "status", "NetStream.Play.Start", &start),
                ])
            }
        }
    }

    pub(super) fn refuse(&mut self, description: &str) -> Result<Vec<Command>> {
        let (transaction, request) = self.take()?;
        Ok(vec![match request {
            Request::Connect(_) => answer("_error", transaction, |body| {
                write_info(body, "error", "NetConnection.Connect.Rejected", description);
            }),
            Request::Publish { stream_id, .. } => {
                on_status(stream_id, "error", "NetStream.Publish.BadName", description)
            }
            Request::Play { stream_id, .. } => {
                on_status(stream_id, "error", "NetStream.Play.StreamNotFound", description)
            }
        }])
    }

    /// Ends a stream that the client plays.
    pub(super) fn end(&mut self, stream_id: u32) -> Result<Vec<Command>> {
        if self.usage(stream_id) != Some(Use::Played) {
            return Err(Error::Invalid("the client does not play this message stream"));
        }
        self.set_usage(stream_id, Use::Nothing);
        Ok(vec![
            command::user_control(event::STREAM_EOF, &stream_id.to_be_bytes()),
            on_status(stream_id, "status", "NetStream.Play.UnpublishNotify", "the stream has ended"),
            on_status(stream_id, "status", "NetStream.Play.Stop", "the stream has ended"),
        ])
    }

    fn take(&mut self) -> Result<(f64, Request)> {
        self.pending.take().ok_or(Error::Invalid("there is no request to answer"))
    }

    fn usage(&self, stream_id: u32) -> Option<Use> {
        self.streams.iter().find(|stream| stream.0 == stream_id).map(|stream| stream.1)
    }

    fn set_usage(&mut self, stream_id: u32, usage: Use) {
        if let Some(stream) = self.streams.iter_mut().find(|stream| stream.0 == stream_id) {
            stream.1 = usage;
        }
    }
}

/// Asks a client to connect again; the URL may be empty.
pub fn reconnect_request(url: &[u8], description: &[u8]) -> Command {
    let mut body = Encoder::new();
    body.string(b"onStatus").number(0.0).null().begin_object();
    body.named_string(b"level", b"status").named_string(b"code", b"NetConnection.Connect.ReconnectRequest");
    for (name, value) in [("tcUrl", url), ("description", description)] {
        if !value.is_empty() {
            body.named_string(name.as_bytes(), value);
        }
    }
    body.end_object();
    on_connection(body)
}

/// A name for people. The client must not determine the length of an answer.
fn shown(name: &[u8]) -> Text<'_> {
    Text(name.get(..MAX_SHOWN).unwrap_or(name))
}

fn connect(values: &Properties<'_>, body: &[u8]) -> Connect {
    let Some(Value::Object(members) | Value::EcmaArray(members)) = value(values, 2) else {
        return Connect { body: body.to_vec(), ..Connect::default() };
    };
    let text = |name: &[u8]| members.find(name).and_then(Value::as_string).unwrap_or_default().to_vec();
    Connect {
        app: text(b"app"),
        tc_url: text(b"tcUrl"),
        flash_version: text(b"flashVer"),
        swf_url: text(b"swfUrl"),
        page_url: text(b"pageUrl"),
        object_encoding: members.find(b"objectEncoding").and_then(Value::as_number).unwrap_or_default(),
        capabilities: Box::new(Peer::from_command(body).capabilities),
        body: body.to_vec(),
    }
}

fn value<'v, 'a>(values: &'v Properties<'a>, index: usize) -> Option<&'v Value<'a>> {
    values.get(index).map(|property| &property.value)
}

fn text<'a>(values: &Properties<'a>, index: usize) -> &'a [u8] {
    value(values, index).and_then(Value::as_string).unwrap_or_default()
}

fn number(values: &Properties<'_>, index: usize) -> Option<f64> {
    value(values, index).and_then(Value::as_number)
}

fn result(transaction: f64, write: impl FnOnce(&mut Encoder)) -> Command {
    answer("_result", transaction, write)
}

fn answer(name: &str, transaction: f64, write: impl FnOnce(&mut Encoder)) -> Command {
    let mut body = Encoder::new();
    body.string(name.as_bytes()).number(transaction).null();
    write(&mut body);
    on_connection(body)
}

fn on_connection(body: Encoder) -> Command {
    Command {
        chunk_stream: CONNECTION,
        format: 1,
        kind: MessageType::COMMAND,
        timestamp: 0,
        stream_id: 0,
        body: body.into_bytes(),
        remember: None,
    }
}

fn begin(stream_id: u32) -> Command {
    command::user_control(event::STREAM_BEGIN, &stream_id.to_be_bytes())
}

fn on_status(stream_id: u32, level: &str, code: &str, description: &str) -> Command {
    let mut body = Encoder::new();
    body.string(b"onStatus").number(0.0).null();
    write_info(&mut body, level, code, description);
    // Only a full header has the message stream.
    Command { chunk_stream: STATUS, format: 0, stream_id, ..on_connection(body) }
}

fn write_info(body: &mut Encoder, level: &str, code: &str, description: &str) {
    body.begin_object();
    write_members(body, level, code, description);
    body.end_object();
}

fn write_members(body: &mut Encoder, level: &str, code: &str, description: &str) {
    for (name, value) in [("level", level), ("code", code), ("description", description)] {
        body.named_string(name.as_bytes(), value.as_bytes());
    }
}

/// The chunk stream of answers that concern the connection.
const CONNECTION: u32 = 3;

/// The chunk stream of status messages, as in Flash Media Server.
const STATUS: u32 = 5;
