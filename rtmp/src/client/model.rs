//! The blocking pump under schedules that are rare with real threads: random ones, and some with few switches between threads.
//!
//! The pump is the library's own file, compiled with locks that let a scheduler choose which thread continues, and with a small
//! connection that has a queue, a socket and an end. The clock does not move, so a wait ends because its socket is ready and
//! not because of its length, unless a test says otherwise. A deadlock is a failure, too. A test that fails prints how to run
//! its schedule again. With `MODEL_TIME=`, each scheduler of each test looks for more schedules for that many seconds.

use std::{env, time::Duration};

use shuttle::{
    Config, Runner,
    scheduler::{PctScheduler, RandomScheduler, Scheduler},
    sync::Arc,
    thread,
};

use self::{
    blocking::{Abort, Shared},
    connection::Happening,
    settings::Settings,
    socket::{Socket, Wire},
};
use crate::{
    chunk::Outgoing,
    error::{Error, Result},
    message::MessageType,
};

#[path = "blocking.rs"]
#[allow(clippy::duplicate_mod, reason = "the same code with other locks is what a model is about")]
#[allow(dead_code, reason = "some functions differ from others in nothing that threads do")]
mod blocking;

mod connection {
    use std::time::{Duration, Instant};

    use super::{
        Arc, MESSAGE, Settings,
        socket::{Interest, Socket},
    };
    use crate::{
        chunk::Outgoing,
        error::{Error, Result},
        session::{Application, Session},
    };

    pub(super) struct Connection {
        socket: Arc<Socket>,
        stage: Stage,
        unsent: Vec<u8>,
        queued: u64,
    }

    #[derive(Clone, Copy, PartialEq, Eq)]
    enum Stage {
        Linking,
        Open,
        Leaving,
        Ended,
    }

    #[allow(dead_code, reason = "the pump treats all that happens to a stream alike")]
    #[derive(Debug, PartialEq, Eq)]
    pub(super) enum Happening {
        Streaming,
        Media,
        Ended,
        Idle,
        Busy,
        Left,
    }

    impl Connection {
        pub(super) fn begin(
            settings: &Arc<Settings>,
            _publish: bool,
            _swf: Option<()>,
            _now: Instant,
        ) -> Result<Self> {
            let socket = settings.socket.clone();
            Ok(Self { socket, stage: Stage::Linking, unsent: Vec::new(), queued: 0 })
        }

        pub(super) fn step(&mut self, now: Instant) -> Result<Happening> {
            let happening = self.advance(now);
            if happening.is_err() {
                self.end();
            }
            happening
        }

        fn advance(&mut self, now: Instant) -> Result<Happening> {
            if self.stage == Stage::Ended {
                return Err(Error::NotConnected);
            }
            loop {
                self.flush(now)?;
                match self.socket.receive() {
                    Some(Some(b'S')) => {
                        self.stage = Stage::Open;
                        return Ok(Happening::Streaming);
                    }
                    Some(Some(b'M')) => return Ok(Happening::Media),
                    Some(Some(_)) => self.queue(b'p'),
                    Some(None) if self.stage == Stage::Leaving => {
                        self.end();
                        return Ok(Happening::Left);
                    }
                    Some(None) => return Err(Error::Closed),
                    None => return Ok(Happening::Idle),
                }
            }
        }

        fn queue(&mut self, name: u8) {
            self.unsent.extend([name; MESSAGE]);
            self.queued += MESSAGE as u64;
        }

        pub(super) fn send(&mut self, message: &Outgoing<'_>, now: Instant) -> Result<()> {
            self.put(message.body[0], now)
        }

        fn put(&mut self, name: u8, now: Instant) -> Result<()> {
            if self.stage != Stage::Open {
                return Err(Error::NotConnected);
            }
            self.queue(name);
            self.flush(now)
        }

        pub(super) fn say(
            &mut self,
            now: Instant,
            _say: impl FnOnce(&mut Session, &mut dyn Application) -> Result<()>,
        ) -> Result<()> {
            self.put(b's', now)
        }

        pub(super) fn set_chunk_size(&mut self, now: Instant, _bytes: u32) -> Result<()> {
            self.put(b'c', now)
        }

        pub(super) fn flush(&mut self, _now: Instant) -> Result<()> {
            if self.stage == Stage::Ended {
                return Err(Error::NotConnected);
            }
            let count = self.socket.send(&self.unsent);
            self.unsent.drain(..count);
            Ok(())
        }

        pub(super) fn say_goodbye(&mut self, now: Instant) {
            if self.stage == Stage::Open {
                self.queue(b'!');
                self.stage = Stage::Leaving;
                let _ = self.flush(now);
            }
        }

        pub(super) fn end(&mut self) {
            self.stage = Stage::Ended;
            self.socket.shut_down();
        }

        pub(super) fn begin_phase(&mut self, _now: Instant) {}

        pub(super) fn is_open(&self) -> bool {
            self.stage == Stage::Open
        }

        pub(super) fn takes_bytes(&self) -> bool {
            self.is_open()
        }

        pub(super) fn timeout(&self) -> Option<Duration> {
            None
        }

        pub(super) fn received(&self) -> u64 {
            0
        }

        pub(super) fn queued_until(&self) -> u64 {
            if self.stage == Stage::Ended { 0 } else { self.queued }
        }

        pub(super) fn sent_until(&self) -> u64 {
            if self.stage == Stage::Ended { u64::MAX } else { self.queued - self.unsent.len() as u64 }
        }

        pub(super) fn interests(&self, out: &mut Vec<Interest>) {
            if self.stage != Stage::Ended {
                let write = !self.unsent.is_empty();
                out.push(Interest { socket: self.socket.clone(), read: true, write });
            }
        }

        pub(super) fn deadline(&self) -> Option<Instant> {
            None
        }

        pub(super) fn explain(&self, error: Error) -> Error {
            error
        }
    }
}

mod settings {
    use super::{Arc, Socket};

    /// The target of a connection.
    pub(super) struct Settings {
        pub(super) socket: Arc<Socket>,
    }

    impl Settings {
        pub(super) fn swf(&self) -> Option<()> {
            None
        }
    }
}

mod socket {
    use std::collections::VecDeque;

    use shuttle::sync::{Condvar, Mutex, MutexGuard};

    use super::Arc;

    /// A socket, and the peer at its other end.
    #[derive(Default)]
    pub(super) struct Socket {
        wire: Mutex<Wire>,
        pub(super) changed: Condvar,
        /// Whether waits may end without an event, as after a timeout.
        pub(super) ends_waits: bool,
    }

    #[derive(Default)]
    pub(super) struct Wire {
        /// The bytes that the peer has received.
        pub(super) taken: Vec<u8>,
        /// The number of further bytes that it accepts.
        pub(super) room: usize,
        /// The bytes that it has sent.
        pub(super) incoming: VecDeque<u8>,
        /// The number of calls that it lets end before it closes the connection.
        pub(super) senders: usize,
        /// Whether it has stopped sending.
        pub(super) is_finished: bool,
        /// Whether this side has shut the socket down.
        pub(super) is_down: bool,
    }

    pub(super) struct Interest {
        pub(super) socket: Arc<Socket>,
        pub(super) read: bool,
        pub(super) write: bool,
    }

    impl Socket {
        pub(super) fn new(wire: Wire) -> Self {
            Self { wire: Mutex::new(wire), ..Self::default() }
        }

        pub(super) fn lock(&self) -> MutexGuard<'_, Wire> {
            self.wire.lock().unwrap()
        }

        /// The next byte, or the end; `None` if there is nothing yet.
        pub(super) fn receive(&self) -> Option<Option<u8>> {
            let mut wire = self.lock();
            match wire.incoming.pop_front() {
                Some(byte) => Some(Some(byte)),
                None if wire.is_finished || wire.is_down => Some(None),
                None => None,
            }
        }

        /// Sends as many bytes as there is room for.
        pub(super) fn send(&self, bytes: &[u8]) -> usize {
            let mut wire = self.lock();
            let count = if wire.is_down { 0 } else { bytes.len().min(wire.room) };
            wire.taken.extend(&bytes[..count]);
            wire.room -= count;
            self.changed.notify_all();
            count
        }

        pub(super) fn shut_down(&self) {
            self.lock().is_down = true;
            self.changed.notify_all();
        }

        /// A call that sends has ended.
        pub(super) fn leave(&self) {
            self.lock().senders -= 1;
            self.changed.notify_all();
        }

        /// The peer reads until it has `len` bytes and no call sends, and closes the connection.
        pub(super) fn read_and_close(&self, len: usize) {
            let mut wire = self.lock();
            while (wire.taken.len() < len || wire.senders > 0) && !wire.is_down {
                if wire.room == 0 {
                    wire.room = super::ROOM;
                    self.changed.notify_all();
                }
                wire = self.changed.wait(wire).unwrap();
            }
            wire.is_finished = true;
            self.changed.notify_all();
        }
    }
}

mod system {
    use std::{io, sync::OnceLock, time::Instant};

    pub(super) use shuttle::sync::{Mutex, MutexGuard, atomic::AtomicBool};
    use shuttle::thread;

    use super::socket::Interest;

    pub(super) fn now() -> Instant {
        static START: OnceLock<Instant> = OnceLock::new();
        *START.get_or_init(Instant::now)
    }

    pub(super) fn wait(interests: &[Interest], _until: Option<Instant>) -> io::Result<()> {
        let [Interest { socket, read, write }] = interests else { return Ok(()) };
        if socket.ends_waits {
            thread::yield_now();
            return Ok(());
        }
        let mut wire = socket.lock();
        loop {
            let is_readable = !wire.incoming.is_empty() || wire.is_finished;
            if wire.is_down || (*read && is_readable) || (*write && wire.room > 0) {
                return Ok(());
            }
            wire = socket.changed.wait(wire).unwrap();
        }
    }
}

/// The schedules that each scheduler tries, unless `MODEL_TIME` is set.
const SCHEDULES: usize = 500;

/// The length of a message in bytes.
const MESSAGE: usize = 3;

/// The number of bytes that the socket accepts before it is full.
const ROOM: usize = 2;

/// Tries schedules of the threads of `model`.
fn explore(model: fn()) {
    let seconds =
        env::var("MODEL_TIME").ok().map(|text| text.parse().expect("MODEL_TIME is a number of seconds"));
    let schedules = if seconds.is_some() { usize::MAX } else { SCHEDULES };
    let mut config = Config::new();
    config.max_time = seconds.map(Duration::from_secs);
    fn run(scheduler: impl Scheduler + 'static, config: Config, model: fn()) {
        Runner::new(scheduler, config).run(model);
    }
    run(RandomScheduler::new(schedules), config.clone(), model);
    run(PctScheduler::new(4, schedules), config, model);
}

/// A connection with a peer that has sent `incoming`, and the calls that wait for it.
fn connected(socket: Socket, incoming: &[u8]) -> (Arc<Shared>, Arc<Socket>, Arc<Abort>) {
    socket.lock().incoming = [b"S", incoming].concat().into();
    let (socket, abort) = (Arc::new(socket), Arc::<Abort>::default());
    let settings = Arc::new(Settings { socket: socket.clone() });
    (Shared::connect(&settings, &abort, true).unwrap(), socket, abort)
}

fn send(shared: &Shared, name: u8) -> Result<()> {
    shared.send(&Outgoing {
        chunk_stream: 4,
        format: 0,
        kind: MessageType::VIDEO,
        timestamp: 0,
        stream_id: 1,
        body: &[name],
    })
}

/// Sends until that fails.
fn send_on(shared: &Shared) -> Error {
    loop {
        if let Err(error) = send(shared, b'a') {
            return error;
        }
    }
}

/// Receives until that fails, or the connection has ended.
fn receive_on(shared: &Shared) -> Error {
    loop {
        match shared.next(None) {
            Ok(Happening::Left) => return Error::Closed,
            Ok(_) => {}
            Err(error) => return error,
        }
    }
}

/// Runs calls in their own threads until all have ended.
fn join<const N: usize>(calls: [Box<dyn FnOnce() + Send>; N]) {
    let threads = calls.map(thread::spawn);
    threads.into_iter().for_each(|thread| thread.join().unwrap());
}

/// The messages that the peer has received; the last may be incomplete.
fn arrived(wire: &Wire) -> Vec<u8> {
    let messages = wire.taken.chunks(MESSAGE).map(|message| {
        assert!(message.iter().all(|byte| *byte == message[0]), "a message is split: {:?}", wire.taken);
        message[0]
    });
    messages.collect()
}

/// A peer that accepts a part of the first message, and sends nothing.
fn stalled() -> Socket {
    Socket::new(Wire { room: ROOM, ..Wire::default() })
}

#[test]
fn messages_and_answers_arrive_whole() {
    explore(|| {
        let socket = Socket::new(Wire { senders: 2, ..Wire::default() });
        let (shared, socket, _abort) = connected(socket, b"PMP");
        let [first, second, reader] = [(); 3].map(|()| shared.clone());
        let [one, other, peer] = [(); 3].map(|()| socket.clone());
        join([
            Box::new(move || {
                send(&first, b'a').unwrap();
                send(&first, b'b').unwrap();
                one.leave();
            }),
            Box::new(move || {
                send(&second, b'1').unwrap();
                other.leave();
            }),
            Box::new(move || assert!(matches!(receive_on(&reader), Error::Closed))),
            Box::new(move || peer.read_and_close(5 * MESSAGE)),
        ]);
        let mut messages = arrived(&socket.lock());
        let place = |name| messages.iter().position(|message| *message == name);
        assert!(place(b'a') < place(b'b'), "{messages:?}");
        messages.sort_unstable();
        assert_eq!(messages, b"1abpp");
    });
}

#[test]
fn an_abort_ends_all_calls_before_and_after_they_connect() {
    explore(|| {
        let socket = Arc::new(stalled());
        let abort = Arc::<Abort>::default();
        let (peer, program, checked) = (socket.clone(), abort.clone(), socket.clone());
        join([
            // The server accepts bytes at some time, or too late.
            Box::new(move || {
                peer.lock().incoming.extend(b"SP");
                peer.changed.notify_all();
            }),
            Box::new(move || program.abort()),
            Box::new(move || {
                let shared = match Shared::connect(&Arc::new(Settings { socket }), &abort, true) {
                    Ok(shared) => shared,
                    Err(error) => return assert!(matches!(error, Error::Interrupted), "{error}"),
                };
                let (sender, reader) = (shared.clone(), shared);
                join([
                    Box::new(move || assert!(matches!(send_on(&sender), Error::Interrupted))),
                    Box::new(move || assert!(matches!(receive_on(&reader), Error::Interrupted))),
                ]);
            }),
        ]);
        arrived(&checked.lock());
    });
}

#[test]
fn closing_ends_all_calls_and_may_be_repeated() {
    explore(|| close_twice(Shared::leave_at_once));
    explore(|| close_twice(|shared| shared.lock().end()));
}

/// Closes a connection in two threads while others send and receive.
fn close_twice(close: fn(&Shared)) {
    let (shared, socket, _abort) = connected(stalled(), b"P");
    let [first, second, sender, reader] = [(); 4].map(|()| shared.clone());
    let is_end = |error: Error| assert!(matches!(error, Error::Closed | Error::NotConnected), "{error}");
    join([
        Box::new(move || close(&first)),
        Box::new(move || close(&second)),
        Box::new(move || is_end(send_on(&sender))),
        Box::new(move || is_end(receive_on(&reader))),
    ]);
    is_end(shared.check_open().unwrap_err());
    arrived(&socket.lock());
}

#[test]
fn goodbye_follows_all_sent_bytes() {
    explore(|| {
        // The receiving thread learns of the goodbye when its wait ends.
        let mut socket = Socket::default();
        socket.ends_waits = true;
        let (shared, socket, _abort) = connected(socket, b"");
        let (sender, reader, peer) = (shared.clone(), shared, socket.clone());
        join([
            Box::new(move || {
                send(&sender, b'a').unwrap();
                sender.lock().say_goodbye(system::now());
            }),
            Box::new(move || assert!(matches!(receive_on(&reader), Error::Closed))),
            Box::new(move || peer.read_and_close(2 * MESSAGE)),
        ]);
        assert_eq!(arrived(&socket.lock()), b"a!");
    });
}
