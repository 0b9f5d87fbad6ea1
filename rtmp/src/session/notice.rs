//! Notices: what a peer sends besides media, for programs that use it. The session itself reacts where it must.

use super::Reconnect;
use crate::{
    amf::Properties,
    message::{Message, MessageType},
};

/// Marker of an AMF0 string.
const STRING_MARKER: u8 = 2;

/// The status that asks a client to connect again.
pub(super) const RECONNECT: &[u8] = b"NetConnection.Connect.ReconnectRequest";

/// A message of a peer besides media. Each message leads to at most one notice.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Notice {
    /// A status, or the result of a command with an information object.
    Status(Status),
    /// A data message other than metadata: cue points, captions, time codes.
    Data {
        /// The string that it begins with; empty if it begins with another type.
        name: Vec<u8>,
        /// The received message.
        message: Message,
    },
    /// A command that the session does not know.
    Command {
        /// Its name.
        name: Vec<u8>,
        /// The message; the body is AMF0 values.
        message: Message,
    },
    /// The server asks its client to connect again, to the same place or to another one (Enhanced RTMP v2).
    Reconnect(Reconnect),
}

/// The contents of an information object.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Status {
    /// The message stream that it concerns; 0 is the connection itself.
    pub stream_id: u32,
    /// The command that carries it: `onStatus`, `_result` or `_error`.
    pub method: Vec<u8>,
    /// The status code, for example `NetStream.Play.Start`.
    pub code: Vec<u8>,
    /// `status`, `warning` or `error`; empty if it is missing.
    pub level: Vec<u8>,
    /// A description for people; empty if it is missing.
    pub description: Vec<u8>,
    /// The whole command, as AMF0 values.
    pub body: Vec<u8>,
}

impl Notice {
    /// The notice for a command: its information object, if it has one, and the whole command as AMF0.
    pub(super) fn of_command(
        method: &[u8],
        info: Option<&Properties<'_>>,
        body: &[u8],
        is_known: bool,
    ) -> Option<Self> {
        let text = |name| {
            let text = info.and_then(|info| info.find(name)?.as_string());
            text.unwrap_or_default().to_vec()
        };
        let code = text(b"code");
        if method == b"onStatus" && code == RECONNECT {
            return Some(Self::Reconnect(Reconnect {
                reference: text(b"tcUrl"),
                description: text(b"description"),
            }));
        }
        if !code.is_empty() && matches!(method, b"onStatus" | b"_result" | b"_error") {
            return Some(Self::Status(Status {
                stream_id: 0,
                method: method.to_vec(),
                code,
                level: text(b"level"),
                description: text(b"description"),
                body: body.to_vec(),
            }));
        }
        let message = || Message { kind: MessageType::COMMAND, body: body.to_vec(), ..Message::default() };
        (!is_known).then(|| Self::Command { name: method.to_vec(), message: message() })
    }

    /// The notice for a data message of this kind.
    pub(super) fn of_data(kind: MessageType, body: &[u8]) -> Self {
        // In AMF3 messages, the first byte names the format; what follows is AMF0 in practice.
        let values = if kind == MessageType::DATA_AMF3 { body.get(1..).unwrap_or_default() } else { body };
        let name = match values {
            [STRING_MARKER, high, low, rest @ ..] => {
                rest.get(..u16::from_be_bytes([*high, *low]).into()).unwrap_or_default()
            }
            _ => &[],
        };
        let message = Message { kind, body: body.to_vec(), ..Message::default() };
        Self::Data { name: name.to_vec(), message }
    }

    /// The length of the notice in bytes.
    pub(crate) fn len(&self) -> usize {
        match self {
            Self::Status(status) => status.body.len(),
            Self::Data { message, .. } | Self::Command { message, .. } => message.body.len(),
            Self::Reconnect(reconnect) => reconnect.reference.len() + reconnect.description.len(),
        }
    }

    /// Adds the message that it came from.
    pub(super) fn placed(mut self, message: &Message<&[u8]>) -> Self {
        match &mut self {
            Self::Status(status) => status.stream_id = message.stream_id,
            Self::Data { message: said, .. } | Self::Command { message: said, .. } => {
                let Message { chunk_stream, format, timestamp, stream_id, .. } = *message;
                (said.chunk_stream, said.format) = (chunk_stream, format);
                (said.timestamp, said.stream_id) = (timestamp, stream_id);
            }
            Self::Reconnect(_) => {}
        }
        self
    }
}
