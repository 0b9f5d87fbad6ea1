//! Requests of the application: commands of a client, and answers of a server.

use std::time::Instant;

use super::{Application, Session, Side, Stage};
use crate::{
    chunk,
    error::{Error, Result},
    message::Body,
    session::{
        Capabilities, Command, State, StreamStage, command, feature,
        serve::{self, Requests},
    },
};

impl<B: Body> Session<B> {
    /// Sends `connect` with the application's settings, followed by `extras` (AMF0 values). The answers lead to
    /// [`Event::Streaming`](super::Event::Streaming).
    pub fn connect(&mut self, application: &mut dyn Application, extras: &[u8], now: Instant) -> Result<()> {
        self.set_starting(true);
        self.begin_phase(now);
        let connect = command::connect(&mut self.state, &application.wishes().0, extras);
        self.send_command(application, &connect)
    }

    /// Asks the server to pause the stream at its current position, or to continue from there.
    pub fn pause(&mut self, application: &mut dyn Application, paused: bool) -> Result<()> {
        if paused {
            self.state.pause_timestamp = self.media_clock();
        }
        let time_ms = self.state.pause_timestamp as i32;
        let command = command::pause(&mut self.state, paused, time_ms);
        self.send_command(application, &command)
    }

    /// Asks the server to seek to a position in the stream, in milliseconds.
    pub fn seek(&mut self, application: &mut dyn Application, time_ms: i32) -> Result<()> {
        self.state.seeking = true;
        let command = command::seek(&mut self.state, time_ms);
        self.send_command(application, &command)
    }

    /// Changes the largest chunk payload to the peer, and announces it.
    pub fn set_chunk_size(&mut self, application: &mut dyn Application, bytes: u32) -> Result<()> {
        let size = chunk::valid_chunk_size(bytes).ok_or(Error::Invalid("a chunk size of 0"))?;
        self.send_command(application, &command::set_chunk_size(size))?;
        self.state.out_chunk_size = size as i32;
        Ok(())
    }

    /// Begins to publish a further stream on the connection of the first one, which must be running. Returns a key for
    /// [`Session::stream_stage`].
    pub fn open_stream(&mut self, application: &mut dyn Application, name: &[u8]) -> Result<i32> {
        if !self.is_open() || !self.state.playing || !application.wishes().0.publish {
            return Err(Error::Invalid("a further stream needs a first one that is being published"));
        }
        let (key, commands) = self.further.open(&mut self.state, name)?;
        commands.iter().try_for_each(|command| self.send_command(application, command))?;
        Ok(key)
    }

    /// The stage of a further stream; `None` if there is no such stream.
    pub fn stream_stage(&self, key: i32) -> Option<&StreamStage> {
        self.further.stage(key)
    }

    /// Forgets a further stream that was refused, or that the application no longer waits for.
    pub fn forget_stream(&mut self, key: i32) {
        self.further.forget(key);
    }

    /// Whether a further stream is open on a message stream.
    pub fn has_stream(&self, stream_id: u32) -> bool {
        self.further.contains(stream_id)
    }

    /// Ends the further stream on a message stream. The other streams continue.
    pub fn close_stream(&mut self, application: &mut dyn Application, stream_id: u32) -> Result<()> {
        let commands = self.further.close(&mut self.state, stream_id);
        let commands = commands.ok_or(Error::Invalid("there is no further stream of this number"))?;
        commands.iter().try_for_each(|command| self.send_command(application, command))
    }

    /// Ends the stream in an orderly way, if there is one, and receives nothing afterwards.
    pub fn close(&mut self, application: &mut dyn Application) {
        let was_open = self.is_open();
        self.stage = Stage::Closing;
        self.state.playing = false;
        self.deadline = None;
        let stream_id = std::mem::replace(&mut self.state.stream_id, 0);
        if !was_open || stream_id <= 0 || !matches!(self.side, Side::Client) {
            return;
        }
        for goodbye in self.further.close_all(&mut self.state) {
            // As below.
            let _ = self.send_command(application, &goodbye);
        }
        let profile = application.wishes().0;
        let unpublish = profile.publish.then(|| command::fc_unpublish(&mut self.state, &profile));
        let delete = command::delete_stream(&mut self.state, stream_id);
        for goodbye in unpublish.into_iter().chain([delete]) {
            // A name that is too long for a message was refused before.
            let _ = self.send_command(application, &goodbye);
        }
    }

    /// Accepts the request of a server's client.
    pub fn accept(&mut self, application: &mut dyn Application) -> Result<()> {
        let announced = self.announced.take();
        let result = self.answer(application, |requests, state| requests.accept(state, announced.as_deref()));
        self.announced = announced;
        result
    }

    /// Refuses the request of a server's client, with a description for people. After a refused `connect`, the session is
    /// closing.
    pub fn refuse(&mut self, application: &mut dyn Application, description: &str) -> Result<()> {
        let mut closes = false;
        self.answer(application, |requests, _| {
            closes = requests.refuses_connection();
            requests.refuse(description)
        })?;
        if closes {
            self.close(application);
        }
        Ok(())
    }

    /// Informs the client of a server that a message stream that it plays has ended.
    pub fn end_stream(&mut self, application: &mut dyn Application, stream_id: u32) -> Result<()> {
        self.answer(application, |requests, _| requests.end(stream_id))
    }

    fn answer(
        &mut self,
        application: &mut dyn Application,
        answer: impl FnOnce(&mut Requests, &mut State) -> Result<Vec<Command>>,
    ) -> Result<()> {
        let Side::Server(requests) = &mut self.side else {
            return Err(Error::Invalid("only a server answers requests"));
        };
        let commands = answer(requests, &mut self.state)?;
        commands.iter().try_for_each(|command| self.reply(application, command))
    }

    /// Sets the capabilities that a server announces to the clients that it accepts from now on.
    pub fn announce(&mut self, capabilities: Capabilities) {
        self.announced = Some(Box::new(capabilities));
    }

    /// Asks the client of a server to connect again: to `url`, an absolute or relative URL of an application, or to the same
    /// one if it is empty. Fails, and sends nothing, if the client has not announced support for such requests.
    pub fn request_reconnect(
        &mut self,
        application: &mut dyn Application,
        url: &[u8],
        description: &[u8],
    ) -> Result<()> {
        if !self.peer().is_some_and(|peer| peer.capabilities.has(feature::RECONNECT)) {
            return Err(Error::Unsupported("a reconnect request to a client that has not announced them"));
        }
        self.send_command(application, &serve::reconnect_request(url, description))
    }
}
