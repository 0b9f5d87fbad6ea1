//! Further streams that a client publishes over the connection of its first one.
//!
//! The first stream is the session's own: it begins with the connection, and its refusal ends the connection. A further stream
//! is opened later, has its own message stream, and can be refused or closed without affecting the others.

use super::{Command, State, command, reply};
use crate::{
    amf,
    chunk::MAX_CHUNK_STREAM,
    error::{Error, Refusal, Result},
    message::{Message, MessageType},
};

/// The limit of streams that one connection publishes, including the first one.
pub const MAX_STREAMS: usize = 8;

/// The chunk stream for the media of a further stream. Only this stream uses it, so a short header is sufficient.
pub fn further_chunk_stream(stream_id: u32) -> u32 {
    /// After the ids that programs use.
    const FIRST: u32 = 64;
    FIRST + stream_id % (MAX_CHUNK_STREAM - FIRST)
}

/// The stage of a further stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StreamStage {
    /// The server has not answered yet.
    Opening,
    /// It is open for publishing.
    Open {
        /// Its message stream.
        stream_id: u32,
    },
    /// The server refused it.
    Refused(Refusal),
}

/// The further streams of a session.
#[derive(Default)]
pub(super) struct Streams(Vec<Further>);

struct Further {
    /// The application's key: the transaction of its `createStream`.
    key: i32,
    name: Vec<u8>,
    stream_id: i32,
    /// The transaction of its `publish`, once that has been sent.
    publish: Option<i32>,
    stage: StreamStage,
}

/// The result of a message for a further stream.
pub(super) struct Answered {
    pub(super) commands: Vec<Command>,
}

impl Streams {
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Begins to open a stream; returns its key, and the command to send.
    pub(super) fn open(&mut self, state: &mut State, name: &[u8]) -> Result<(i32, Vec<Command>)> {
        if name.is_empty() {
            return Err(Error::Invalid("a stream without a name"));
        }
        // The list has all streams except the first one.
        let taken = self.0.iter().filter(|stream| !matches!(stream.stage, StreamStage::Refused(_))).count();
        if taken + 1 >= MAX_STREAMS {
            return Err(Error::TooLarge("the number of streams"));
        }
        if self.0.iter().any(|stream| stream.name == name) {
            return Err(Error::Invalid("the connection has a stream of this name"));
        }
        let release = command::connection_command(state, "releaseStream", name);
        let announce = command::connection_command(state, "FCPublish", name);
        let mut create = command::create_stream(state);
        // The result is not for the first stream.
        let key = create.remember.take().map_or(0, |(_, transaction)| transaction);
        let name = name.to_vec();
        self.0.push(Further { key, name, stream_id: 0, publish: None, stage: StreamStage::Opening });
        Ok((key, vec![release, announce, create]))
    }

    /// The stage of the stream with this key; `None` if it was closed.
    pub(super) fn stage(&self, key: i32) -> Option<&StreamStage> {
        self.0.iter().find(|stream| stream.key == key).map(|stream| &stream.stage)
    }

    /// Forgets a stream that the server refused or did not answer.
    pub(super) fn forget(&mut self, key: i32) {
        self.0.retain(|stream| stream.key != key);
    }

    /// Whether a message stream belongs to an open further stream.
    pub(super) fn contains(&self, stream_id: u32) -> bool {
        self.0.iter().any(|stream| stream.stage == StreamStage::Open { stream_id })
    }

    /// Closes the further stream on a message stream; returns the commands to send. `None` if there is none.
    pub(super) fn close(&mut self, state: &mut State, stream_id: u32) -> Option<Vec<Command>> {
        let at = self.0.iter().position(|stream| stream.stage == StreamStage::Open { stream_id })?;
        Some(self.0.remove(at).goodbye(state))
    }

    /// Closes all further streams; returns the commands to send.
    pub(super) fn close_all(&mut self, state: &mut State) -> Vec<Command> {
        std::mem::take(&mut self.0).into_iter().flat_map(|stream| stream.goodbye(state)).collect()
    }

    /// Processes a message if it is for one of the further streams.
    pub(super) fn receive(&mut self, state: &mut State, message: &Message<&[u8]>) -> Option<Answered> {
        let body = match message.kind {
            MessageType::COMMAND => message.body,
            MessageType::COMMAND_AMF3 => message.body.get(1..)?,
            _ => return None,
        };
        let values = amf::decode(body).ok()?;
        let method = reply::value(&values, 0)?.as_string()?;
        let transaction = reply::value(&values, 1)?.as_number()?;
        let info = reply::info_object(&values);
        let code = reply::text_member(info, b"code").unwrap_or_default();
        let has = |number: i32| f64::from(number) == transaction;
        let taken: Vec<i32> = self.0.iter().map(|stream| stream.stream_id).chain([state.stream_id]).collect();
        let stream = match method {
            b"_result" | b"_error" => self.0.iter_mut().find(|stream| {
                stream.stage == StreamStage::Opening
                    && (stream.publish.map_or(has(stream.key), has) || has(stream.key))
            })?,
            // Some servers do not say which stream they mean. The first one already runs.
            b"onStatus" => self.0.iter_mut().find(|stream| {
                let own = stream.stream_id != 0 && stream.stream_id as u32 == message.stream_id;
                let next = message.stream_id == 0 && code == PUBLISHING && stream.publish.is_some();
                own || (next && stream.stage == StreamStage::Opening)
            })?,
            _ => return None,
        };
        let is_error = method == b"_error" || reply::text_member(info, b"level") == Some(b"error");
        let mut commands = Vec::new();
        if is_error {
            if stream.stream_id != 0 {
                commands.push(command::delete_stream(state, stream.stream_id));
            }
            stream.stage = StreamStage::Refused(reply::refusal(method, info));
        } else if method == b"_result" && stream.publish.is_none() {
            match reply::value(&values, 3).and_then(amf::Value::as_number) {
                Some(number) if taken.contains(&(number as i32)) => {
                    // nginx-rtmp does that. Deleting the message stream would end the other stream.
                    let description = "the server has one stream for each connection".to_owned();
                    let method = "createStream".to_owned();
                    let refusal = Refusal { method, description, ..Refusal::default() };
                    stream.stage = StreamStage::Refused(refusal);
                }
                Some(number) if number >= 1.0 => {
                    stream.stream_id = number as i32;
                    let publish = command::publish_on(state, &stream.name, stream.stream_id);
                    stream.publish = Some(state.transactions);
                    commands.push(publish);
                }
                _ => {
                    let description = "the result has no stream id".to_owned();
                    let method = "createStream".to_owned();
                    let refusal = Refusal { method, description, ..Refusal::default() };
                    stream.stage = StreamStage::Refused(refusal);
                }
            }
        } else if method == b"_result" || code == PUBLISHING {
            stream.stage = StreamStage::Open { stream_id: stream.stream_id as u32 };
        }
        Some(Answered { commands })
    }
}

/// The status of a stream that is open for publishing.
const PUBLISHING: &[u8] = b"NetStream.Publish.Start";

impl Further {
    fn goodbye(self, state: &mut State) -> Vec<Command> {
        if self.stream_id == 0 || matches!(self.stage, StreamStage::Refused(_)) {
            return Vec::new();
        }
        let end = command::connection_command(state, "FCUnpublish", &self.name);
        vec![end, command::delete_stream(state, self.stream_id)]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::amf::Encoder;

    fn command(stream_id: u32, body: &[u8]) -> Message<&[u8]> {
        Message { kind: MessageType::COMMAND, stream_id, body, ..Message::default() }
    }

    fn result(transaction: i32, number: Option<f64>) -> Vec<u8> {
        let mut body = Encoder::new();
        body.string(b"_result").number(f64::from(transaction)).null();
        if let Some(number) = number {
            body.number(number);
        }
        body.finish()
    }

    fn status(level: &[u8], code: &[u8]) -> Vec<u8> {
        let mut body = Encoder::new();
        body.string(b"onStatus").number(0.0).null().begin_object();
        body.named_string(b"level", level).named_string(b"code", code).end_object();
        body.finish()
    }

    /// A stream whose `createStream` has its result; returns its key.
    fn created(streams: &mut Streams, state: &mut State, name: &[u8], stream_id: u32) -> i32 {
        let (key, commands) = streams.open(state, name).unwrap();
        assert_eq!(commands.len(), 3);
        let body = result(key, Some(stream_id.into()));
        let answered = streams.receive(state, &command(0, &body)).expect("it is its result");
        assert_eq!(answered.commands.len(), 1);
        assert_eq!(answered.commands[0].stream_id, stream_id);
        assert_eq!(streams.stage(key), Some(&StreamStage::Opening));
        key
    }

    #[test]
    fn a_stream_is_open_when_the_server_says_so_on_its_message_stream() {
        let (mut streams, mut state) = (Streams::default(), State::default());
        let first = created(&mut streams, &mut state, b"a", 2);
        let second = created(&mut streams, &mut state, b"b", 3);
        let start = status(b"status", PUBLISHING);
        assert!(streams.receive(&mut state, &command(3, &start)).is_some());
        assert_eq!(streams.stage(second), Some(&StreamStage::Open { stream_id: 3 }));
        assert_eq!(streams.stage(first), Some(&StreamStage::Opening));
        // Messages for the first stream, or for no stream of this list, are left to the session.
        assert!(streams.receive(&mut state, &command(1, &start)).is_none());
        assert!(streams.receive(&mut state, &command(0, &result(999, None))).is_none());
        assert!(streams.receive(&mut state, &command(0, &start)).is_some());
        assert_eq!(streams.stage(first), Some(&StreamStage::Open { stream_id: 2 }));
        assert_eq!(streams.close(&mut state, 2).expect("it is open").len(), 2);
        assert!(streams.close(&mut state, 2).is_none() && streams.contains(3));
        assert_eq!(streams.close_all(&mut state).len(), 2);
        assert!(streams.is_empty());
    }

    #[test]
    fn a_refused_stream_is_given_back_and_its_name_may_be_used_again() {
        let (mut streams, mut state) = (Streams::default(), State::default());
        let key = created(&mut streams, &mut state, b"a", 2);
        let refusal = status(b"error", b"NetStream.Publish.BadName");
        let answered = streams.receive(&mut state, &command(2, &refusal)).expect("it is about this stream");
        assert_eq!(answered.commands.len(), 1, "the message stream is deleted");
        let Some(StreamStage::Refused(refusal)) = streams.stage(key) else { panic!("it is refused") };
        assert_eq!(refusal.code, "NetStream.Publish.BadName");
        streams.forget(key);
        created(&mut streams, &mut state, b"a", 2);
    }

    #[test]
    fn a_server_with_one_stream_for_each_connection_refuses_others() {
        let (mut streams, mut state) = (Streams::default(), State { stream_id: 1, ..State::default() });
        let (key, _) = streams.open(&mut state, b"a").unwrap();
        let answered = streams.receive(&mut state, &command(0, &result(key, Some(1.0)))).unwrap();
        assert!(answered.commands.is_empty(), "the first stream is not deleted");
        assert!(matches!(streams.stage(key), Some(StreamStage::Refused(_))));
    }

    #[test]
    fn there_are_eight_streams_at_most_and_each_name_once() {
        let (mut streams, mut state) = (Streams::default(), State::default());
        assert!(streams.open(&mut state, b"").is_err());
        for number in 1..MAX_STREAMS {
            streams.open(&mut state, number.to_string().as_bytes()).expect("there is room");
        }
        assert!(matches!(streams.open(&mut state, b"more"), Err(Error::TooLarge(_))));
        let (mut streams, mut state) = (Streams::default(), State::default());
        streams.open(&mut state, b"twice").unwrap();
        assert!(matches!(streams.open(&mut state, b"twice"), Err(Error::Invalid(_))));
    }
}
