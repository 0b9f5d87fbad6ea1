//! A stream as the bytes of an FLV file.

use super::settings::Settings;
use crate::{
    error::Error,
    flv::{self, Call, Flags, ReadState, Step},
    message::Message,
    session::State,
};

/// A stream that is read as bytes: the state of reading, and bytes that were produced and not read.
#[derive(Default)]
pub(super) struct FlvBytes {
    flv: flv::Stream<Vec<u8>>,
    progress: ReadState<'static>,
    live: bool,
}

/// The source of a stream's messages.
pub(super) trait Source {
    /// The reason why there is no message now.
    type Error: From<Error>;

    /// The next message; `None` at the end of the stream.
    fn next(&mut self) -> Result<Option<Message>, Self::Error>;

    /// The protocol's state.
    fn state(&self) -> State;
}

impl FlvBytes {
    pub(super) fn new(settings: &Settings) -> Self {
        let mut progress = ReadState::default();
        if settings.common.tuning.all_data {
            progress.flags.set(Flags::ALL);
        }
        Self { flv: flv::Stream::default(), progress, live: settings.live }
    }

    /// Reads the next bytes; 0 at the end of the stream.
    pub(super) fn read<S: Source>(&mut self, buffer: &mut [u8], source: &mut S) -> Result<usize, S::Error> {
        if buffer.is_empty() {
            return Ok(0);
        }
        self.follow(&source.state());
        // Available bytes are returned without waiting for more.
        let ready = self.flv.pending().len();
        let room = if self.progress.flags.has(Flags::HEADER) && ready > 0 { ready } else { usize::MAX };
        let room = room.min(buffer.len());
        let mut call = Call::new(&mut buffer[..room]);
        let mut step = self.flv.begin(&mut call, &mut self.progress);
        loop {
            match step {
                Step::Done(count) => {
                    drop(self.flv.take_spent());
                    return Ok(count);
                }
                Step::Failed => return Err(Error::OutOfMemory.into()),
                Step::NeedMessage => {}
            }
            step = match source.next() {
                Ok(Some(mut message)) => {
                    self.follow(&source.state());
                    let Message { kind, timestamp, body, .. } = &mut message;
                    self.flv.message(&mut call, &mut self.progress, *kind, *timestamp, body, self.live)
                }
                Ok(None) => return Ok(self.flv.finish(&mut call, &mut self.progress)),
                Err(error) => {
                    return match self.flv.suspend(call) {
                        0 => Err(error),
                        count => Ok(count),
                    };
                }
            };
        }
    }

    /// Updates the state of reading from the state of the session.
    fn follow(&mut self, state: &State) {
        self.progress.data_type |= state.media_types;
        if state.seeking {
            self.progress.flags.set(Flags::SEEKING);
        } else {
            self.progress.flags.clear(Flags::SEEKING);
        }
    }
}
