//! Media messages become an FLV stream: the same bytes whatever room the reads have, also when a download is resumed.

#![forbid(unsafe_code)]

use rtmp_core::{flv::{Call, Ending, Flags, ReadState, Resume, Step, Stream}, message::{Body, MessageType}};

use super::{
    counted::Counted,
    input::{self, Cuts},
};

/// What the first byte chooses; the bits above are the length of the key frame that is resumed at.
const RESUME: u8 = 0x01;
const LIVE: u8 = 0x02;
const COMPARES_METADATA: u8 = 0x04;

pub fn run(data: &[u8]) {
    let Some(([choice, offset], cuts, bytes)) = input::choices(data) else { return };
    let config = Config { choice, offset };
    assert_eq!(config.read(bytes, cuts), config.read(bytes, Cuts::WHOLE));
    assert_eq!(Counted::reserved(), 0);
}

struct Config {
    choice: u8,
    offset: u8,
}

impl Config {
    /// The stream, and what the reader knows in the end.
    fn read(&self, bytes: &[u8], cuts: Cuts) -> (Vec<u8>, String) {
        let messages = messages(bytes);
        let mut state = ReadState::default();
        if self.choice & RESUME != 0 {
            state.flags = Flags::RESUME;
            state.resume_timestamp = u32::from(self.offset);
            // Any body's beginning, so that there is something to find.
            let frame = messages.first().map_or(&[][..], |message| &message.2);
            let frame = &frame[..frame.len().min(usize::from(self.choice >> 3))];
            state.resume = Resume { initial_frame_type: 9, initial_frame: frame, meta_header: b"" };
            if self.choice & COMPARES_METADATA != 0 {
                state.resume.meta_header = b"\x02\0\x0AonMetaData";
            }
        }
        let mut source = messages.iter();
        let mut stream = Stream::<Counted>::default();
        let mut flv = Vec::new();
        // Reads with little room at first; room for all of them would hide the end of the stream.
        let mut rooms = cuts.pieces(&[0; 5000]).into_iter().map(<[u8]>::len).chain(std::iter::repeat(4096));
        while state.status == 0 {
            let mut room = vec![0; rooms.next().unwrap_or(1)];
            let mut call = Call::new(&mut room);
            let mut step = stream.begin(&mut call, &mut state);
            let count = loop {
                step = match step {
                    Step::Done(count) => break count,
                    Step::Failed => break 0,
                    Step::NeedMessage => match source.next() {
                        Some((kind, timestamp, body)) => {
                            let live = self.choice & LIVE != 0;
                            let mut owned = Counted::default();
                            owned.reserve_total(body.len()).expect("there is memory");
                            owned.append(body);
                            stream.message(&mut call, &mut state, *kind, *timestamp, &mut owned, live)
                        }
                        None => stream.end(&mut call, &mut state, Ending::Eof),
                    },
                };
            };
            flv.extend_from_slice(&room[..count]);
        }
        (flv, format!("{state:?}"))
    }
}

/// Messages as type, timestamp, length and body.
fn messages(mut bytes: &[u8]) -> Vec<(MessageType, u32, Vec<u8>)> {
    let mut messages = Vec::new();
    while let [kind, t3, t2, t1, t0, high, low, rest @ ..] = bytes {
        let len = usize::from(u16::from_be_bytes([*high, *low])).min(rest.len());
        let (body, behind) = rest.split_at(len);
        messages.push((MessageType(*kind), u32::from_be_bytes([*t3, *t2, *t1, *t0]), body.to_vec()));
        bytes = behind;
    }
    messages
}
