//! A play or publish session, from the handshake to the FLV bytes: the same however the server's bytes arrive.

#![forbid(unsafe_code)]

use std::time::Instant;

use rtmp_core::{
    error::{Error, Result},
    flv::{Call, Ending, ReadState, Step, Stream},
    handshake::{ClientOptions, RESPONSE_LEN},
    message::{Message, MessageType},
    session::{Event, Outcome, Profile, Session, State},
};

use super::{
    connection::{Counted, Memory},
    input::{self, Cuts},
};

/// What the first byte chooses.
const HANDSHAKE: u8 = 0x01;
const PUBLISH: u8 = 0x02;
const LIVE: u8 = 0x04;
const PLAYLIST: u8 = 0x08;
const BUFFER_EVENTS: u8 = 0x10;
const EXTRAS: u8 = 0x20;
const ACKNOWLEDGES: u8 = 0x40;
const TIME_OUTS: u8 = 0x80;

pub fn run(data: &[u8]) {
    let Some(([choice], cuts, bytes)) = input::choices(data) else { return };
    // A time-out ends a handshake.
    let choice = if choice & HANDSHAKE == 0 { choice } else { choice & !TIME_OUTS };
    let whole = play(bytes, choice & !TIME_OUTS, Cuts::WHOLE);
    let cut = play(bytes, choice, cuts);
    assert_eq!(cut.media, whole.media);
    assert_eq!(cut.flv, whole.flv);
    assert_eq!(cut.ending, whole.ending);
    if choice & TIME_OUTS == 0 {
        // When an acknowledgement is sent depends on how much came at once, and so do the headers behind it.
        if choice & ACKNOWLEDGES == 0 {
            assert_eq!(cut.sent, whole.sent);
            // A number that is none differs from itself, but not from how it is written.
            if cut.state != whole.state {
                assert_eq!(format!("{:?}", cut.state), format!("{:?}", whole.state));
            }
        }
        assert!(cut.sent.len() <= 8192 + 1024 * bytes.len());
    }
    assert_eq!(Counted::reserved(), 0);
}

/// What came of a session.
#[derive(Default)]
struct Played {
    media: Vec<(Outcome, MessageType, u32, u32, Vec<u8>)>,
    flv: Vec<u8>,
    ending: String,
    state: State,
    sent: Vec<u8>,
}

fn play(bytes: &[u8], choice: u8, cuts: Cuts) -> Played {
    let mut pieces = cuts.pieces(bytes);
    if choice & TIME_OUTS != 0 {
        pieces = pieces.into_iter().flat_map(|piece| [&[], piece]).collect();
    }
    let session = if choice & HANDSHAKE == 0 {
        Ok(Session::default())
    } else {
        let random = &mut |bytes: &mut [u8]| {
            bytes.fill(9);
            Ok(())
        };
        Session::client(ClientOptions::default(), None, random, Instant::now())
    };
    let mut memory = Memory::new(session.expect("there are bytes"), profile(choice), pieces);
    let mut played = Played::default();
    let mut stream = Stream::default();
    if let Err(error) = session_of(&mut memory, choice, &mut stream, &mut played) {
        played.ending = error.to_string();
    }
    memory.session.close(&mut memory.wishes);
    memory.flush();
    assert!(!memory.session.is_open());
    // Bytes in front of those that end a session are counted or not, as they came.
    played.state = State { bytes_in: 0, ..memory.session.state };
    played.sent = memory.sent;
    played
}

fn session_of(
    memory: &mut Memory<'_>,
    choice: u8,
    stream: &mut Stream<Counted>,
    played: &mut Played,
) -> Result<()> {
    memory.session.state.acknowledges = choice & ACKNOWLEDGES != 0;
    if choice & HANDSHAKE != 0 {
        let Event::Handshaken { .. } = memory.next()? else { panic!("a handshake comes first") };
    }
    memory.session.connect(&mut memory.wishes, b"", memory.now)?;
    match patiently(|| memory.next())? {
        Event::Streaming => {}
        Event::Refused(refusal) => return Err(Error::Refused(refusal)),
        Event::Login(_) => return Err(Error::Unsupported("publisher authentication")),
        Event::Ended(_) => return Err(Error::Closed),
        event => panic!("{event:?} before the stream"),
    }

    let mut state = ReadState::default();
    // Short reads first, then longer ones.
    for size in (0..).map(|count: usize| [0, 1, 7, 20, 100, 4096][count.min(5)]) {
        let mut room = vec![0; size];
        let mut call = Call::new(&mut room);
        let mut step = stream.begin(&mut call, &mut state);
        let count = loop {
            step = match step {
                Step::Failed => return Err(Error::Invalid("FLV stream")),
                Step::Done(count) => break count,
                Step::NeedMessage => match patiently(|| next_media(memory)) {
                    Ok((outcome, mut message)) => {
                        let body = message.body.as_ref().to_vec();
                        let (kind, timestamp) = (message.kind, message.timestamp);
                        played.media.push((outcome, kind, timestamp, message.stream_id, body));
                        match outcome {
                            Outcome::Ended => stream.end(&mut call, &mut state, Ending::Complete),
                            _ => {
                                let live = choice & LIVE != 0;
                                stream.message(
                                    &mut call,
                                    &mut state,
                                    kind,
                                    timestamp,
                                    &mut message.body,
                                    live,
                                )
                            }
                        }
                    }
                    Err(error) => {
                        played.ending = error.to_string();
                        stream.end(&mut call, &mut state, Ending::Eof)
                    }
                },
            };
        };
        assert!(count <= size);
        played.flv.extend_from_slice(&room[..count]);
        if state.status != 0 {
            break;
        }
    }
    Ok(())
}

fn next_media(memory: &mut Memory<'_>) -> Result<(Outcome, Message<Counted>)> {
    loop {
        match memory.next()? {
            Event::Media(message) => return Ok((Outcome::Media, message)),
            Event::Ended(message) => return Ok((Outcome::Ended, message)),
            Event::Refused(refusal) => return Err(Error::Refused(refusal)),
            Event::Login(_) => return Err(Error::Unsupported("publisher authentication")),
            _ => {}
        }
    }
}

/// Tries again after each time-out.
fn patiently<T>(mut attempt: impl FnMut() -> Result<T>) -> Result<T> {
    loop {
        match attempt() {
            Err(Error::TimedOut) => {}
            result => return result,
        }
    }
}

fn profile(choice: u8) -> Profile<'static> {
    let mut profile = Profile {
        publish: choice & PUBLISH != 0,
        live: choice & LIVE != 0,
        playlist: choice & PLAYLIST != 0,
        buffer_events: choice & BUFFER_EVENTS != 0,
        app: b"app",
        tc_url: b"rtmp://h/app",
        stream_name: b"name",
        ..Profile::default()
    };
    if choice & EXTRAS != 0 {
        profile = Profile {
            // As when a publisher connects again to log in.
            app: match profile.live {
                true => b"app?authmod=adobe&user=user",
                false => b"app?authmod=llnw&user=user",
            },
            auth: b"auth",
            auth_flag: true,
            subscribe_name: b"other",
            usher_token: b"usher",
            secure_token: b"key",
            user: b"user",
            password: b"password",
            swf_verification: Some(&[1; RESPONSE_LEN]),
            start_ms: 1000,
            stop_ms: 9000,
            ..profile
        };
    }
    profile
}
