//! Playing and publishing from Rust: [`Client`], [`Player`] and [`Publisher`].
//!
//! The API for Rust programs, as the C library is the API for C programs. It has URLs, options and threads; the layers below
//! contain the protocol for both. There are three interfaces to the same connection, which itself never waits: calls that
//! block, the steps of a program ([`Stepper`]), and tasks of tokio (the module `tokio`, with the Cargo feature of that name).

mod blocking;
mod connection;
mod flv_bytes;
// The crate that schedules the threads of a model is not for every system.
#[cfg(all(test, not(any(target_arch = "mips64", target_abi = "eabi", all(windows, target_arch = "x86")))))]
mod model;
mod player;
mod publisher;
mod pump;
mod server;
mod settings;
mod stepper;
mod system;
#[cfg(all(feature = "tokio", unix))]
pub mod tokio;

use std::{
    fmt, io,
    sync::Arc,
    time::{Duration, Instant},
};

use self::{
    blocking::{Abort, Shared},
    settings::Settings,
};
use crate::{
    error::{Error, Result},
    session::{Capabilities, Reconnect},
};

pub use player::{Event, Messages, Player};
pub use publisher::Publisher;
pub use server::{Server, ServerEvent, ServerSession};
pub use stepper::{Sent, Stepper, StepperEvent};

/// A server's URL and the options for connecting to it.
///
/// A client is made from a URL, `rtmp://host[:port]/app/stream`. The schemes are `rtmp`, `rtmps` (TLS), `rtmpe`
/// (RTMPE encryption), `rtmpt`, `rtmpts` and `rtmpte` (the same through HTTP). A user name and a password in front of
/// the host log a publisher in. [`play`](Self::play) and [`publish`](Self::publish) make connections, any number of
/// them.
///
/// ```no_run
/// use std::{fs::File, io};
///
/// let mut player = rtmp::Client::new("rtmp://localhost/live/stream")?.live(true).play()?;
/// io::copy(&mut player, &mut File::create("stream.flv")?)?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Options
///
/// All options of the C library work here: after the URL, separated by spaces, or with [`option`](Self::option).
/// Names are case-insensitive. In the text after a URL, `\20` is a space.
///
/// ```
/// let client = rtmp::Client::new("rtmp://localhost/app/stream live=1 swfUrl=http://localhost/player.swf")?
///     .option("pageUrl", "http://localhost/")?
///     .option("socks", "socks5://localhost:1080")?;
/// assert!(rtmp::Client::new("rtmp://localhost/app/stream lvie=1").is_err());
/// # Ok::<(), rtmp::Error>(())
/// ```
///
/// | | |
/// |---|---|
/// | `app`, `playpath`, `tcUrl` | Application, stream and URL, if they differ from the URL |
/// | `live`, `start`, `stop`, `buffer`, `playlist`, `subscribe` | What to play; times in milliseconds |
/// | `timeout` | Seconds that one wait may take, more than 0 |
/// | `swfUrl`, `pageUrl`, `flashver`, `conn` | Values of the `connect` command |
/// | `swfVfy`, `swfAge`, `token`, `jtv` | SWF verification and tokens |
/// | `pubUser`, `pubPasswd` | Login of a publisher |
/// | `tlsVerify`, `tlsCA`, `tlsPin` | Which certificates to accept; without them, those that the platform trusts |
/// | `tlsCert`, `tlsKey` | Certificate to show to the server, and its key |
/// | `socks`, `bind`, `ipv` | Proxy, local address or interface, version of IP |
/// | `enhanced`, `fourCcList`, `videoFourCc`, `audioFourCc`, `capsEx`, `videoFunction`, `reconnect` | What to announce of Enhanced RTMP, see [`announce`](Self::announce) |
/// | `enhancedForce` | Sends what the server has not announced |
/// | `objectEncoding` | 3 for a session in which the server may send AMF3 as well |
/// | `nodelay`, `keepalive`, `closeReset` | How the socket sends, probes and ends |
/// | `timeoutMs`, `sendQueue` | As `timeout` in milliseconds; bytes that may wait in a [`Stepper`] |
/// | `data` | `all` returns every script tag and the smallest audio and video |
///
/// # Waiting
///
/// Calls block. No wait is longer than the timeout, 30 seconds unless [`timeout`](Self::timeout) sets another one. If
/// the server's data does not arrive in time, the call fails with [`Error::TimedOut`] and loses nothing: it may be
/// repeated. [`abort_handle`](Self::abort_handle) ends waits from another thread.
pub struct Client {
    settings: Arc<Settings>,
    abort: Arc<Abort>,
}

/// Ends the connections of a [`Client`] from another thread.
///
/// ```no_run
/// use std::{thread, time::Duration};
///
/// let client = rtmp::Client::new("rtmp://localhost/live/stream")?;
/// let handle = client.abort_handle();
/// thread::spawn(move || {
///     thread::sleep(Duration::from_secs(60));
///     handle.abort();
/// });
/// let mut player = client.play()?;
/// for message in player.messages() {
///     match message {
///         Err(rtmp::Error::Interrupted) => println!("a minute has passed"),
///         message => println!("{:?}", message?.kind),
///     }
/// }
/// # Ok::<(), rtmp::Error>(())
/// ```
#[derive(Clone)]
pub struct AbortHandle(Arc<Abort>);

impl Client {
    /// Parses a URL and the options after it. It does not connect.
    pub fn new(url: &str) -> Result<Self> {
        Ok(Self { settings: Arc::new(Settings::parse(url.as_bytes())?), abort: Arc::default() })
    }

    /// Sets an option by its name. The value has no escapes.
    pub fn option(mut self, name: &str, value: &str) -> Result<Self> {
        self.settings().set(name.as_bytes(), value.as_bytes())?;
        Ok(self)
    }

    /// Sets the limit of each wait: for a connection, for data from the server, and for the server to accept ours. At
    /// least a millisecond.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        let settings = self.settings();
        settings.timeout = timeout.max(Duration::from_millis(1));
        settings.common.tuning.timeout = None;
        self
    }

    /// Sets whether the stream is live.
    pub fn live(mut self, live: bool) -> Self {
        self.settings().live = live;
        self
    }

    /// Sets the start position in the stream.
    pub fn start(mut self, time: Duration) -> Self {
        self.settings().start_ms = milliseconds(time);
        self
    }

    /// Sets the end position in the stream.
    pub fn stop(mut self, time: Duration) -> Self {
        self.settings().stop_ms = milliseconds(time);
        self
    }

    /// Announces support for new codecs and features, instead of what options set. Without this and without an option
    /// nothing is announced, because some servers fail on it.
    ///
    /// ```
    /// use rtmp::{Client, session::Capabilities};
    ///
    /// // Whatever comes is recorded as it is.
    /// let client = Client::new("rtmp://localhost/live/stream")?.announce(Capabilities::forwarding());
    /// # Ok::<(), rtmp::Error>(())
    /// ```
    pub fn announce(mut self, capabilities: Capabilities) -> Self {
        self.settings().common.enhanced.capabilities = capabilities;
        self
    }

    /// Returns the client for a server's request to connect again: the same settings and another application. A
    /// program makes its connections beside the old ones, moves to them at a key frame, sends metadata and
    /// configurations again, and then closes the old ones.
    ///
    /// Fails if the URL is invalid, if it leads out of TLS, and for the sixth request within a minute.
    ///
    /// ```no_run
    /// # let client = rtmp::Client::new("rtmp://localhost/live/stream")?.option("reconnect", "1")?;
    /// let mut player = client.play()?;
    /// while let Some(message) = player.next_message()? {
    ///     if let Some(request) = player.reconnect() {
    ///         player = client.follow(&request)?.play()?;
    ///     }
    /// }
    /// # Ok::<(), rtmp::Error>(())
    /// ```
    pub fn follow(&self, request: &Reconnect) -> Result<Self> {
        let settings = self.settings.follow(request, Instant::now())?;
        Ok(Self { settings: Arc::new(settings), abort: self.abort.clone() })
    }

    /// Connects and waits until the stream plays.
    ///
    /// If the server refuses, it fails with [`Error::Refused`], which contains the server's code and description.
    pub fn play(&self) -> Result<Player> {
        let server = Shared::connect(&self.settings, &self.abort, false)?;
        Ok(Player::new(server, self.settings.clone()))
    }

    /// Connects and waits until the stream can be published.
    ///
    /// If the server refuses, it fails with [`Error::Refused`], which contains the server's code and description.
    pub fn publish(&self) -> Result<Publisher> {
        Publisher::new(Shared::connect(&self.settings, &self.abort, true)?, &self.settings)
    }

    /// Starts to play without waiting, for programs with an event loop.
    ///
    /// There is one exception: with `swfVfy`, an SWF file whose hash is unknown or too old is downloaded here.
    pub fn start_play(&self) -> Result<Stepper> {
        self.start_stepper(false)
    }

    /// Starts to publish without waiting, with the same exception as [`start_play`](Self::start_play).
    pub fn start_publish(&self) -> Result<Stepper> {
        self.start_stepper(true)
    }

    fn start_stepper(&self, publish: bool) -> Result<Stepper> {
        let swf = self.settings.swf();
        Stepper::connect(&self.settings, &self.abort, publish, swf, Instant::now())
    }

    /// Returns a handle that ends the waits of this client and of all its players and publishers.
    pub fn abort_handle(&self) -> AbortHandle {
        AbortHandle(self.abort.clone())
    }

    /// Existing connections keep the settings with which they were made.
    fn settings(&mut self) -> &mut Settings {
        Arc::make_mut(&mut self.settings)
    }
}

impl fmt::Debug for Client {
    /// Shows the server. Options may be secret.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Settings { protocol, .. } = &*self.settings;
        f.debug_struct("Client")
            .field("scheme", &protocol.scheme())
            .field("host", &self.settings.host_name())
            .field("port", &self.settings.port())
            .finish_non_exhaustive()
    }
}

impl AbortHandle {
    /// Ends all present and future waits of the client's players and publishers with [`Error::Interrupted`], within a
    /// tenth of a second, and its steppers at their next step. It cannot be undone. Other clients are not affected.
    pub fn abort(&self) {
        self.0.abort();
    }

    /// Whether [`abort`](Self::abort) was called.
    pub fn is_aborted(&self) -> bool {
        self.0.is_wanted()
    }
}

impl fmt::Debug for AbortHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AbortHandle").field("aborted", &self.is_aborted()).finish()
    }
}

fn milliseconds(time: Duration) -> i32 {
    i32::try_from(time.as_millis()).unwrap_or(i32::MAX)
}

/// An error for the traits of `std::io`. [`Error::Interrupted`] does not become `ErrorKind::Interrupted`, because readers and
/// writers would try again.
fn into_io(error: Error) -> io::Error {
    let kind = match error {
        Error::Io(error) => return error,
        Error::TimedOut => io::ErrorKind::TimedOut,
        Error::Closed => io::ErrorKind::ConnectionAborted,
        Error::NotConnected => io::ErrorKind::NotConnected,
        Error::OutOfMemory => io::ErrorKind::OutOfMemory,
        Error::Malformed { .. } => io::ErrorKind::InvalidData,
        _ => io::ErrorKind::Other,
    };
    io::Error::new(kind, error)
}
