use std::{
    cell::{Cell, RefCell},
    collections::VecDeque,
};

use super::*;
use crate::{
    amf,
    error::Error,
    handshake::{self, BLOCK_LEN},
    message::{Message, MessageType},
    session::{Outcome, command},
};

/// A connection in memory: what the peer sends arrives in pieces, what is sent is kept.
struct Memory {
    parts: RefCell<Owned>,
    arriving: RefCell<VecDeque<Vec<u8>>>,
    sent: RefCell<Vec<u8>>,
    open: Cell<bool>,
    /// How sending fails, if it does.
    unsendable: Cell<Option<fn() -> Error>>,
    /// What was said of a failure last.
    failed: Cell<Option<Phase>>,
    /// Whether the socket is never empty.
    floods: Cell<bool>,
    /// How often may be received until the phase is over, if there is one.
    left: Cell<Option<u32>>,
}

/// As many receives are the time of a phase when the socket is never empty.
const PHASE: u32 = 100;

#[derive(Default)]
struct Owned {
    state: State,
    profile: Profile<'static>,
    calls: Vec<(Vec<u8>, i32)>,
    decoder: Decoder<Vec<u8>>,
    encoder: Encoder,
    input: Vec<u8>,
}

impl Memory {
    /// A client to which `bytes` arrive, `step` at a time, after which the peer closes.
    fn new(profile: Profile<'static>, bytes: &[u8], step: usize) -> Self {
        let arriving = bytes.chunks(step.max(1)).map(<[u8]>::to_vec).collect();
        let parts = RefCell::new(Owned { profile, ..Owned::default() });
        Self {
            parts,
            arriving: RefCell::new(arriving),
            sent: RefCell::default(),
            open: Cell::new(true),
            unsendable: Cell::new(None),
            failed: Cell::new(None),
            floods: Cell::new(false),
            left: Cell::new(None),
        }
    }
}

impl Connection for Memory {
    type Body = Vec<u8>;

    fn step<R>(&self, step: impl FnOnce(&mut Parts<'_, '_, Vec<u8>>) -> R) -> R {
        let mut owned = self.parts.borrow_mut();
        let Owned { state, profile, calls, decoder, encoder, .. } = &mut *owned;
        step(&mut Parts { state, profile: *profile, calls, decoder, encoder, input: &[], consumed: 0 })
    }

    fn reading_step<R>(&self, step: impl FnOnce(&mut Parts<'_, '_, Vec<u8>>) -> R) -> R {
        let mut owned = self.parts.borrow_mut();
        let Owned { state, profile, calls, decoder, encoder, input } = &mut *owned;
        let mut parts = Parts { state, profile: *profile, calls, decoder, encoder, input, consumed: 0 };
        let result = step(&mut parts);
        let consumed = parts.consumed;
        owned.input.drain(..consumed);
        result
    }

    fn fill(&self, _whole: bool) -> Result<()> {
        if let Some(left) = self.left.get() {
            self.left.set(Some(left.checked_sub(1).ok_or(Error::TimedOut)?));
        }
        match self.arriving.borrow_mut().pop_front() {
            // An empty piece stands for a time-out.
            Some(piece) if piece.is_empty() => Err(Error::TimedOut),
            Some(piece) => {
                self.parts.borrow_mut().input.extend(piece);
                Ok(())
            }
            None => Err(Error::Closed),
        }
    }

    fn transmit<'m>(
        &self,
        encode: impl FnOnce(&mut Parts<'_, '_, Vec<u8>>) -> Result<Chunks<'m>>,
    ) -> Result<()> {
        let chunks = self.step(encode)?;
        if let Some(error) = self.unsendable.get() {
            return Err(error());
        }
        self.sent.borrow_mut().extend(chunks.pieces().flatten());
        Ok(())
    }

    fn transmit_bytes(&self, pieces: &[&[u8]]) -> Result<()> {
        self.sent.borrow_mut().extend(pieces.iter().copied().flatten());
        Ok(())
    }

    fn begin_phase(&self) {
        self.left.set(self.floods.get().then_some(PHASE));
    }

    fn end_phase(&self) {
        self.left.set(None);
    }

    fn has_more(&self) -> bool {
        self.floods.get()
    }

    fn is_open(&self) -> bool {
        self.open.get()
    }

    fn close(&self) {
        close_politely(self);
        self.give_up();
    }

    fn give_up(&self) {
        self.open.set(false);
        self.step(|parts| parts.state.playing = false);
    }

    fn failed(&self, phase: Phase) {
        self.failed.set(Some(phase));
    }
}

/// What a scripted server sends: chunks on chunk stream 3 with full headers.
#[derive(Default)]
struct Script {
    encoder: Encoder,
    bytes: Vec<u8>,
}

impl Script {
    fn message(mut self, kind: MessageType, timestamp: u32, body: &[u8]) -> Self {
        let message = Outgoing { chunk_stream: 3, format: 1, kind, timestamp, stream_id: 1, body };
        self.bytes.extend(self.encoder.encode(&message, 128).unwrap().pieces().flatten());
        self
    }

    fn command(self, name: &str, transaction: f64, rest: impl FnOnce(&mut amf::Encoder)) -> Self {
        let mut body = amf::Encoder::new();
        body.string(name.as_bytes()).number(transaction).null();
        rest(&mut body);
        self.message(MessageType::COMMAND, 0, &body.finish())
    }

    fn status(self, code: &str) -> Self {
        self.command("onStatus", 0.0, |body| {
            body.begin_object()
                .named_string(b"level", b"status")
                .named_string(b"code", code.as_bytes())
                .end_object();
        })
    }
}

use crate::chunk::Outgoing;

/// The client's side of a simple handshake.
fn client() -> handshake::Client {
    let options = handshake::ClientOptions::default();
    handshake::Client::from_parts(options, &[9; BLOCK_LEN], &[9; BLOCK_LEN], &[]).unwrap()
}

/// A whole play session, handshake included.
fn play_script() -> Vec<u8> {
    let mut bytes = vec![3];
    bytes.extend([7; 2 * BLOCK_LEN]);
    let script = Script::default()
        .message(MessageType::WINDOW_ACKNOWLEDGEMENT_SIZE, 0, &200_u32.to_be_bytes())
        .command("_result", 1.0, |_| {})
        .message(MessageType::USER_CONTROL, 0, b"\0\x06\0\0\0\x09")
        .command("_result", 2.0, |body| {
            body.number(1.0);
        })
        .status("NetStream.Play.Start")
        .message(MessageType::AUDIO, 0, &[0xAF; 10])
        .message(MessageType::VIDEO, 40, &[0x17; 400])
        .message(MessageType::VIDEO, 80, b"")
        .message(MessageType::AUDIO, 0x0100_0000, &[0xAF; 300])
        .status("NetStream.Play.Stop");
    bytes.extend(script.bytes);
    bytes
}

/// Plays a script to its end; returns the media and everything that was sent.
fn play(bytes: &[u8], step: usize) -> (Vec<Message>, Vec<u8>) {
    let profile = Profile { app: b"app", stream_name: b"name", ..Profile::default() };
    let connection = Memory::new(profile, bytes, step);
    connection.step(|parts| parts.state.acknowledges = true);
    handshake_as_client(&connection, client()).unwrap();
    let connect = connection.step(|parts| command::connect(parts.state, &parts.profile, b""));
    send(&connection, &connect).unwrap();
    connect_stream(&connection).unwrap();
    let mut media = Vec::new();
    loop {
        match next_media(&connection).unwrap() {
            (Outcome::Media, message) => media.push(message),
            (outcome, _) => {
                assert_eq!(outcome, Outcome::Ended);
                break;
            }
        }
    }
    assert!(!connection.is_open());
    (media, connection.sent.take())
}

#[test]
fn a_session_is_the_same_however_its_bytes_arrive() {
    let script = play_script();
    let (media, sent) = play(&script, script.len());
    let timestamps: Vec<_> = media.iter().map(|message| message.timestamp).collect();
    assert_eq!(timestamps, [0, 40, 0x0100_0000]);
    assert_eq!(media[1].body, [0x17; 400]);
    for step in (1..40).chain([127, 128, 129, 1536, 1537, 3072, 3073, 3074]) {
        assert_eq!(play(&script, step).0, media, "{step} bytes at a time");
    }
    // Acknowledgements depend on how much arrived at once; everything else does not.
    let commands = |sent: &[u8]| {
        sent.windows(8).filter(|window| *window == b"createSt" || *window == b"deleteSt").count()
    };
    assert_eq!(commands(&sent), 2);
    assert_eq!(commands(&play(&script, 1).1), 2);
}

#[test]
fn a_time_out_anywhere_loses_nothing() {
    let script = play_script();
    let (media, _) = play(&script, script.len());
    let start = 1 + 2 * BLOCK_LEN;
    let after_start = script.windows(20).position(|window| window == b"NetStream.Play.Start").unwrap() + 23;
    assert!(after_start > start);
    for cut in after_start..script.len() {
        let connection = Memory::new(Profile::default(), &script[start..], script.len());
        {
            let mut arriving = connection.arriving.borrow_mut();
            let all = arriving.pop_front().unwrap();
            let (before, after) = all.split_at(cut - start);
            arriving.extend([before.to_vec(), Vec::new(), after.to_vec()]);
        }
        let connect = connection.step(|parts| command::connect(parts.state, &parts.profile, b""));
        send(&connection, &connect).unwrap();
        connect_stream(&connection).unwrap();
        let mut received = Vec::new();
        let mut timeouts = 0;
        loop {
            match next_media(&connection) {
                Ok((Outcome::Media, message)) => received.push(message),
                Ok(_) => break,
                Err(Error::TimedOut) => timeouts += 1,
                Err(error) => panic!("cut at {cut}: {error}"),
            }
        }
        assert_eq!((received, timeouts), (media.clone(), 1), "cut at {cut}");
    }
}

#[test]
fn a_server_that_closes_anywhere_is_an_error() {
    let script = play_script();
    for len in 0..script.len() - 60 {
        let profile = Profile { app: b"app", stream_name: b"name", ..Profile::default() };
        let connection = Memory::new(profile, &script[..len], 1000);
        let result = handshake_as_client(&connection, client())
            .and_then(|_| {
                let connect = connection.step(|parts| command::connect(parts.state, &parts.profile, b""));
                send(&connection, &connect)
            })
            .and_then(|()| connect_stream(&connection))
            .and_then(|()| {
                loop {
                    if let (Outcome::Ended, _) = next_media(&connection)? {
                        return Ok(());
                    }
                }
            });
        assert!(matches!(result, Err(Error::Closed)), "after {len} bytes: {result:?}");
    }
}

/// A peer that has sent everything may be gone before it is read. Answers to what it said, such as acknowledgements and
/// those to pings, then fail in the middle of what is still there.
#[test]
fn what_a_peer_sent_before_it_went_is_read_to_the_end() {
    let script = Script::default().status("NetStream.Play.Start");
    let script = (0..20).fold(script, |script, time| {
        script.message(MessageType::VIDEO, time, &[0x27; 300]).message(
            MessageType::USER_CONTROL,
            time,
            b"\0\x06\0\0\0\x09",
        )
    });
    let connection = || {
        let connection = Memory::new(Profile::default(), &script.bytes, 100);
        connection.step(|parts| {
            parts.state.acknowledges = true;
            parts.state.peer_bandwidth = 10_000;
        });
        connect_stream(&connection).unwrap();
        connection
    };
    for error in [|| Error::Closed, || std::io::Error::from(std::io::ErrorKind::BrokenPipe).into()] {
        let player = connection();
        player.unsendable.set(Some(error));
        for time in 0..20 {
            assert_eq!(next_media(&player).unwrap().1.timestamp, time);
        }
        assert!(matches!(next_media(&player), Err(Error::Closed)));
        assert!(!player.is_open());

        let server = connection();
        server.unsendable.set(Some(error));
        let count = std::iter::from_fn(|| receive_message(&server).ok()).count();
        assert_eq!(count, 40);
        assert!(!server.is_open());
    }
    // One that is there and does not read is given up: half an answer may be on its way.
    let stuck = connection();
    stuck.unsendable.set(Some(|| Error::TimedOut));
    assert!((0..20).any(|_| next_media(&stuck).is_err()));
    assert!(!stuck.is_open());
}

#[test]
fn what_a_client_owes_is_sent_before_it_waits() {
    // A server that sends S2 only when it has C2.
    for (received, sent) in [(0, 0), (BLOCK_LEN, 0), (1 + BLOCK_LEN, BLOCK_LEN), (2 * BLOCK_LEN, BLOCK_LEN)] {
        let mut script = vec![3];
        script.extend([0; 2 * BLOCK_LEN]);
        let connection = Memory::new(Profile::default(), &script[..received], 700);
        let result = handshake_as_client(&connection, client());
        assert!(matches!(result, Err(Error::Closed)), "{result:?}");
        assert_eq!(connection.sent.take().len(), 1 + BLOCK_LEN + sent, "after {received} bytes");
    }
}

#[test]
fn a_failure_is_told_with_what_the_server_owed() {
    // Which commands are answered: a publisher sends two more before createStream.
    let cases: [(bool, &[f64], Phase); 5] = [
        (false, &[], Phase::Connect),
        (false, &[1.0], Phase::CreateStream),
        (false, &[1.0, 2.0], Phase::Play),
        (true, &[1.0], Phase::CreateStream),
        (true, &[1.0, 4.0], Phase::Publish),
    ];
    for (publish, answered, owed) in cases {
        let answers = |script: Script, transaction: &f64| {
            script.command("_result", *transaction, |body| {
                body.number(1.0);
            })
        };
        let script = answered.iter().fold(Script::default(), answers);
        let silent = script.bytes.len();
        let bytes = script.status("NetConnection.Connect.InvalidApp").bytes;
        for (len, refused) in [(silent, false), (bytes.len(), true)] {
            let profile = Profile { publish, ..Profile::default() };
            let connection = Memory::new(profile, &bytes[..len], 1000);
            let connect = connection.step(|parts| command::connect(parts.state, &parts.profile, b""));
            send(&connection, &connect).unwrap();
            match connect_stream(&connection) {
                Err(Error::Refused(words)) if refused => {
                    assert_eq!(words.code, "NetConnection.Connect.InvalidApp");
                }
                Err(Error::Closed) if !refused => {}
                other => panic!("{owed:?}: {other:?}"),
            }
            assert_eq!(connection.failed.get(), Some(owed), "publish: {publish}, refused: {refused}");
            assert!(!connection.is_open());
        }
    }
}

#[test]
fn a_refusal_while_the_stream_plays_is_returned_too() {
    let bytes = Script::default().status("NetStream.Play.Start").status("NetStream.Play.Failed").bytes;
    let connection = Memory::new(Profile::default(), &bytes, bytes.len());
    connect_stream(&connection).unwrap();
    let Err(Error::Refused(words)) = next_media(&connection) else { panic!("not refused") };
    assert_eq!(words.code, "NetStream.Play.Failed");
}

#[test]
fn both_ends_shake_hands_in_memory() {
    let mut client = client();
    let mut first = client.start();
    first.extend(client.advance(&[&[3][..], &[0; BLOCK_LEN]].concat()).unwrap().output);
    let server = Memory::new(Profile::default(), &first, 100);
    handshake_as_server(
        &server,
        handshake::Server::from_parts(handshake::ServerOptions::default(), &[2; BLOCK_LEN], &[]),
    )
    .unwrap();
    assert_eq!(server.sent.borrow().len(), 1 + 2 * BLOCK_LEN);
    assert_eq!(server.step(|parts| parts.state.bytes_in), first.len() as u32);
}

#[test]
fn nonsense_in_the_chunk_sizes_counts_as_the_default() {
    let connection = Memory::new(Profile::default(), b"", 1);
    for size in [0, -1, i32::MIN] {
        connection.step(|parts| {
            parts.state.out_chunk_size = size;
            assert_eq!(parts.chunk_size_out(), 128);
        });
    }
}

#[test]
fn media_before_the_stream_plays_is_dropped() {
    let script = Script::default()
        .message(MessageType::AUDIO, 0, b"early")
        .status("NetStream.Play.Start")
        .message(MessageType::AUDIO, 0, b"late")
        .bytes;
    let connection = Memory::new(Profile::default(), &script, script.len());
    connect_stream(&connection).unwrap();
    assert_eq!(next_media(&connection).unwrap().1.body, b"late");
}

#[test]
fn what_no_reader_gets_is_not_worth_reading() {
    let metadata = |name: &str| {
        let mut body = amf::Encoder::new();
        body.string(name.as_bytes());
        body.finish()
    };
    let worth = |script: Script, begun| {
        let (state, decoder) = (State::default(), Decoder::<Vec<u8>>::new());
        is_worth_reading(&state, &decoder, begun, &script.bytes)
    };
    let quiet = || {
        Script::default()
            .message(MessageType::USER_CONTROL, 0, &[0, 0, 0, 0, 0, 1])
            .status("NetStream.Play.Reset")
            .message(MessageType::DATA, 40, &metadata("|RtmpSampleAccess"))
            .message(MessageType::SHARED_OBJECT, 40, b"")
    };
    for begun in [false, true] {
        assert!(!worth(Script::default(), begun));
        assert!(!worth(quiet(), begun));
        for (kind, body) in [
            (MessageType::AUDIO, b"sound".to_vec()),
            (MessageType::VIDEO, b"picture".to_vec()),
            (MessageType::AGGREGATE, b"tags".to_vec()),
            (MessageType::DATA, metadata("onMetaData")),
        ] {
            // Without a time it does not end the wait for the beginning.
            assert_eq!(worth(quiet().message(kind, 0, &body), begun), begun, "{kind:?}");
            let mut timed = quiet().message(kind, 40, &body);
            assert!(worth(Script { bytes: timed.bytes.clone(), ..Script::default() }, begun), "{kind:?}");
            timed.bytes.pop();
            assert!(!worth(timed, begun), "{kind:?}, cut");
        }
        for end in ["NetStream.Play.Stop", "NetStream.Play.UnpublishNotify", "NetStream.Play.StreamNotFound"]
        {
            assert!(worth(quiet().status(end), begun), "{end}");
        }
        assert!(worth(quiet().command("close", 0.0, |_| ()), begun));
        assert!(worth(quiet().message(MessageType::USER_CONTROL, 0, &[0, 31, 0, 0, 0, 1]), begun));
    }
}

#[test]
fn a_look_ahead_follows_chunk_sizes_and_headers_and_changes_nothing() {
    let mut script = Script::default().message(MessageType::VIDEO, 40, b"first");
    let first = script.bytes.len();
    script = script.message(MessageType::SET_CHUNK_SIZE, 40, &1000_u32.to_be_bytes());
    let long = Outgoing {
        chunk_stream: 3,
        format: 1,
        kind: MessageType::VIDEO,
        timestamp: 80,
        stream_id: 1,
        body: &[7; 900],
    };
    script.bytes.extend(script.encoder.encode(&long, 1000).unwrap().pieces().flatten());
    let (state, mut decoder) = (State::default(), Decoder::<Vec<u8>>::new());
    decoder.decode_message(&script.bytes[..first], 128).unwrap().1.unwrap();
    let rest = &script.bytes[first..];
    for len in 0..=rest.len() {
        assert_eq!(is_worth_reading(&state, &decoder, true, &rest[..len]), len == rest.len(), "{len}");
    }
    assert_eq!(decoder.clock(3), 40);
    // What it cannot know the beginning of may be anything.
    let (_, message) = decoder.decode_message(&rest[..13], 128).unwrap();
    assert!(message.is_none() && is_worth_reading(&state, &decoder, true, &rest[13..15]));
}

/// A connection on which so many pings come, one with each receive, and then media.
fn pings(count: u32) -> Memory {
    let ping = |script: Script, _| script.message(MessageType::USER_CONTROL, 0, &[0, 6, 0, 0, 0, 1]);
    let script = (0..count).fold(Script::default(), ping).message(MessageType::VIDEO, 0, &[0x17; 5]);
    Memory::new(Profile::default(), &script.bytes, 18)
}

#[test]
fn pings_do_not_end_a_call_that_has_to_wait_for_them() {
    let connection = pings(1000);
    assert!(matches!(next_media(&connection), Ok((Outcome::Media, _))));
}

#[test]
fn a_peer_that_is_never_waited_for_has_the_time_of_one_wait() {
    let connection = pings(1000);
    connection.floods.set(true);
    let before = connection.arriving.borrow().len();
    assert!(matches!(next_media(&connection), Err(Error::TimedOut)));
    let received = before - connection.arriving.borrow().len();
    assert!((PHASE as usize..PHASE as usize + 65).contains(&received), "{received}");
    assert_eq!(connection.left.get(), None, "the phase is over with the call");
    // The call may be repeated, and a socket that runs empty is waited for again.
    connection.floods.set(false);
    assert!(matches!(next_media(&connection), Ok((Outcome::Media, _))));
}

#[test]
fn a_socket_that_runs_empty_ends_a_flood() {
    let connection = pings(1000);
    let mut reading = Reading::new(&connection);
    connection.floods.set(true);
    for _ in 0..100 {
        reading.fill(true).unwrap();
    }
    assert!(connection.left.get().is_some());
    connection.floods.set(false);
    reading.fill(true).unwrap();
    assert_eq!(connection.left.get(), None);
}
