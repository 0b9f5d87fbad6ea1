//! The phase of a connection, to report where it failed.

use super::{Calls, Profile};

/// The phase of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// The result of `connect` has not arrived.
    Connect,
    /// The result of `createStream` has not arrived.
    CreateStream,
    /// The stream does not play yet.
    Play,
    /// The stream may not be published yet.
    Publish,
    /// A message was being sent to the server.
    Sending,
}

impl Phase {
    /// The phase that has to end before the stream runs.
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

    /// Its name in messages.
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
