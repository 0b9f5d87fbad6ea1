//! What a connection is at, for those who want to know where it failed.

use super::{Calls, Profile};

/// What a connection is at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// The server owes the result of `connect`.
    Connect,
    /// The server owes a message stream.
    CreateStream,
    /// The server has to say that the stream plays.
    Play,
    /// The server has to say that the stream may be published.
    Publish,
    /// A message was on its way to the server.
    Sending,
}

impl Phase {
    /// What the server owes before the stream runs.
    pub fn owed(profile: &Profile<'_>, calls: &dyn Calls) -> Self {
        if calls.contains(b"connect") {
            Self::Connect
        } else if calls.contains(b"createStream") {
            Self::CreateStream
        } else if profile.publish {
            Self::Publish
        } else {
            Self::Play
        }
    }

    /// What people call it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Connect => "connect command",
            Self::CreateStream => "createStream",
            Self::Play => "play",
            Self::Publish => "publish",
            Self::Sending => "sending",
        }
    }
}
