//! The outbox under schedules that are rare with real threads: random ones, and some with few switches between threads.
//!
//! The outbox is the library's own file, compiled with locks that let a scheduler choose which thread continues. Around it are
//! a socket that may be full, fail and be shut down, and calls with the same order of operations as those of `connection/send.rs`
//! and `rtmp/close.rs`. A deadlock is a failure, too. A test that fails prints how to run its schedule again. With
//! `MODEL_TIME=`, each scheduler of each test looks for more schedules for that many seconds.

use std::{env, time::Duration};

use shuttle::{
    Config, Runner,
    rand::Rng,
    scheduler::{PctScheduler, RandomScheduler, Scheduler},
    sync::{Arc, Condvar, Mutex, MutexGuard},
    thread::{self, ThreadId},
};

use self::outbox::{Outbox, Queue, Turn};

#[path = "outbox.rs"]
#[allow(clippy::duplicate_mod, reason = "the same code with other locks is what a model is about")]
#[allow(dead_code, reason = "steps of a program with one thread have no schedules")]
mod outbox;

mod sync {
    pub(super) use std::sync::PoisonError;
    use std::sync::TryLockError;

    pub(super) use shuttle::sync::{Condvar, Mutex, MutexGuard};

    pub(super) fn is_poisoned<T>(mutex: &Mutex<T>) -> bool {
        matches!(mutex.try_lock(), Err(TryLockError::Poisoned(_)))
    }
}

/// The schedules that each scheduler tries, unless `MODEL_TIME` is set.
const SCHEDULES: usize = 1500;

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

/// The protocol state, as far as the outbox needs it.
#[derive(Default)]
struct Core {
    unsent: Vec<u8>,
    closings: u32,
}

impl Queue for Core {
    fn has_unsent(&self) -> bool {
        !self.unsent.is_empty()
    }

    fn take_unsent(&mut self, all: bool, into: &mut Vec<u8>) {
        let len = if all { self.unsent.len() } else { MESSAGE };
        *into = self.unsent.drain(..len).collect();
    }
}

/// The result of sending: an error if only a part was sent, or nothing.
type Sent = Result<(), &'static str>;

#[derive(Default)]
struct Socket {
    wire: Mutex<Wire>,
    changed: Condvar,
}

#[derive(Default)]
struct Wire {
    taken: Vec<u8>,
    room: usize,
    is_down: bool,
    /// The byte before which a wait times out, if any.
    times_out_at: Option<usize>,
    /// The thread whose wait timed out, which ends its call.
    failed: Option<ThreadId>,
}

impl Socket {
    fn lock(&self) -> MutexGuard<'_, Wire> {
        self.wire.lock().unwrap()
    }

    fn send(&self, bytes: &[u8], waits: bool) -> Sent {
        let me = Some(thread::current().id());
        assert_ne!(self.lock().failed, me, "what follows part of a message in the same call makes no sense");
        for byte in bytes {
            let mut wire = self.lock();
            loop {
                if wire.is_down {
                    return Err("the socket is shut down");
                }
                if wire.times_out_at == Some(wire.taken.len()) {
                    (wire.times_out_at, wire.failed) = (None, me);
                    return Err("time is up");
                }
                if wire.room > 0 {
                    break;
                }
                if !waits {
                    return Err("the socket is full");
                }
                wire = self.changed.wait(wire).unwrap();
            }
            wire.room -= 1;
            wire.taken.push(*byte);
            self.changed.notify_all();
        }
        Ok(())
    }

    /// Takes what there is room for; returns how many bytes that were.
    fn send_now(&self, bytes: &[u8]) -> Result<usize, &'static str> {
        let mut wire = self.lock();
        if wire.is_down {
            return Err("the socket is shut down");
        }
        let until_timeout = wire.times_out_at.map_or(usize::MAX, |at| at - wire.taken.len());
        let count = bytes.len().min(wire.room).min(until_timeout);
        wire.room -= count;
        wire.taken.extend(&bytes[..count]);
        self.changed.notify_all();
        Ok(count)
    }

    fn shut_down(&self) {
        self.lock().is_down = true;
        self.changed.notify_all();
    }

    /// The peer, which reads until the connection ends.
    fn read(&self) {
        let mut wire = self.lock();
        while !wire.is_down {
            if wire.room == 0 {
                wire.room = ROOM;
                self.changed.notify_all();
            }
            wire = self.changed.wait(wire).unwrap();
        }
    }
}

/// A session that threads share.
#[derive(Default)]
struct Session {
    outbox: Outbox<Core>,
    socket: Socket,
    /// Whether messages are sent one by one, as in a tunnel.
    one_by_one: bool,
}

impl Session {
    fn drain(&self, turn: Turn<'_, Core>, sent: Sent) -> Sent {
        turn.drain(sent, !self.one_by_one, |bytes| self.socket.send(bytes, true))
    }

    /// As `fast_write::transmit`, and if that does nothing, as `Handle::transmit_packet`.
    fn publish(&self, name: u8) -> Sent {
        let message = [name; MESSAGE];
        if let Some(passage) = self.outbox.try_past() {
            let sent = self.socket.send_now(&message);
            if sent == Ok(MESSAGE) {
                return Ok(());
            }
            let turn = passage.unlock();
            let sent = sent.and_then(|sent| self.socket.send(&message[sent..], true));
            return self.drain(turn, sent);
        }
        let turn = self.outbox.take_turn();
        let is_queued = {
            let mut core = self.outbox.lock();
            let is_queued = core.has_unsent();
            if is_queued {
                core.unsent.extend(message);
            }
            is_queued
        };
        if is_queued { self.drain(turn, Ok(())) } else { self.send_past(&message, turn) }
    }

    /// As `Handle::send_past`.
    fn send_past(&self, message: &[u8], turn: Turn<'_, Core>) -> Sent {
        let sent = self.socket.send(message, true);
        self.drain(turn, sent)
    }

    /// The fast path of `RTMP_Write` with a part of a tag, and then nothing.
    fn publish_part(&self) {
        drop(self.outbox.try_past());
    }

    /// `Handle::transmit_packet` with a message that has no encoding.
    fn publish_nonsense(&self) -> Sent {
        let turn = self.outbox.take_turn();
        self.drain(turn, Ok(()))
    }

    /// As `Handle::answer`.
    fn answer(&self, name: u8) -> Sent {
        self.outbox.lock().unsent.extend([name; MESSAGE]);
        if !self.outbox.lock().has_unsent() {
            return Ok(());
        }
        self.outbox.try_turn().map_or(Ok(()), |turn| self.drain(turn, Ok(())))
    }

    /// As `close::close` of a player that began its call after `closings` closings.
    fn close(&self, closings: u32) {
        self.outbox.lock().unsent.extend([b'!'; MESSAGE]);
        if let Some(turn) = self.outbox.try_turn() {
            let _ = turn.drain(Ok(()), true, |bytes| self.socket.send(bytes, false));
        }
        let mut core = self.outbox.lock();
        if core.closings == closings {
            core.closings += 1;
            self.socket.shut_down();
        }
    }

    /// The messages that the peer has received, and whether the last one is incomplete.
    fn arrived(&self) -> (Vec<u8>, bool) {
        let wire = self.socket.lock();
        let messages = wire.taken.chunks(MESSAGE).map(|message| {
            assert!(message.iter().all(|byte| *byte == message[0]), "a message is split: {:?}", wire.taken);
            message[0]
        });
        (messages.collect(), wire.taken.len() % MESSAGE != 0)
    }
}

type Call = fn(&Session);

/// Runs calls in their own threads with a peer that reads, and then shuts the socket down.
fn run(session: Session, calls: &[Call]) -> Arc<Session> {
    let session = Arc::new(session);
    let peer = {
        let session = session.clone();
        thread::spawn(move || session.socket.read())
    };
    join(&session, calls);
    session.socket.shut_down();
    peer.join().unwrap();
    session
}

/// Runs calls in their own threads until all have ended.
fn join(session: &Arc<Session>, calls: &[Call]) {
    let threads: Vec<_> = calls
        .iter()
        .map(|call| {
            let (session, call) = (session.clone(), *call);
            thread::spawn(move || call(&session))
        })
        .collect();
    threads.into_iter().for_each(|thread| thread.join().unwrap());
}

#[test]
fn answers_are_sent_by_the_sending_thread() {
    explore(|| {
        let one_by_one = shuttle::rand::thread_rng().gen_bool(0.5);
        let session = run(
            Session { one_by_one, ..Session::default() },
            &[
                |session| {
                    session.publish(b'a').unwrap();
                    session.publish(b'b').unwrap();
                },
                |session| {
                    session.answer(b'1').unwrap();
                    session.answer(b'2').unwrap();
                },
                |session| {
                    session.publish_part();
                    session.publish_nonsense().unwrap();
                    session.publish_part();
                },
            ],
        );
        let (mut messages, has_part) = session.arrived();
        assert!(!session.outbox.lock().has_unsent(), "an answer is left behind");
        assert!(!has_part);
        let place = |name| messages.iter().position(|message| *message == name);
        assert!(place(b'a') < place(b'b') && place(b'1') < place(b'2'), "{messages:?}");
        messages.sort_unstable();
        assert_eq!(messages, b"12ab");
    });
}

#[test]
fn failed_call_drops_the_messages_left_to_it() {
    explore(|| {
        let wire = Wire { times_out_at: Some(4), ..Wire::default() };
        let socket = Socket { wire: Mutex::new(wire), ..Socket::default() };
        let session = run(
            Session { socket, ..Session::default() },
            &[
                |session| _ = session.publish(b'a').and_then(|()| session.publish(b'b')),
                |session| _ = session.answer(b'1').and_then(|()| session.answer(b'2')),
            ],
        );
        assert!(!session.outbox.lock().has_unsent(), "an answer is left behind");
    });
}

#[test]
fn closing_ends_sending_calls() {
    explore(|| {
        // The peer does not read, so the second message does not fit.
        let wire = Wire { room: MESSAGE, ..Wire::default() };
        let session = Arc::new(Session {
            socket: Socket { wire: Mutex::new(wire), ..Socket::default() },
            ..Session::default()
        });
        join(
            &session,
            &[
                |session| {
                    let _ = session.publish(b'a');
                    assert!(session.publish(b'b').and_then(|()| session.publish(b'c')).is_err());
                },
                |session| _ = session.answer(b'1'),
                |session| session.close(0),
                |session| session.close(0),
            ],
        );
        assert_eq!(session.outbox.lock().closings, 1, "the second call finds that it is not current");
        assert!(!session.outbox.lock().has_unsent(), "bytes are left behind");
        session.arrived();
    });
}
