//! Published FLV bytes: the same messages however the program passes them.

#![forbid(unsafe_code)]

use rtmp::{
    flv::{Finished, Writer, write},
    message::MessageType,
};

use super::{
    connection::Counted,
    input::{self, Cuts},
};

/// Length of what follows each tag.
const PREVIOUS_TAG_SIZE_LEN: usize = 4;

pub fn run(data: &[u8]) {
    let Some(([_], cuts, bytes)) = input::choices(data) else { return };
    let whole = publish(bytes, Cuts::WHOLE);
    assert_eq!(publish(bytes, cuts), whole);
    assert_eq!(in_one_call(bytes), whole);
    calls(bytes, cuts);
    assert_eq!(Counted::reserved(), 0);
}

type Message = (MessageType, u32, u8, Vec<u8>);

fn owned<B: AsRef<[u8]>>(message: Finished<B>) -> Message {
    (message.kind, message.timestamp, message.format_hint, message.body.as_ref().to_vec())
}

/// The messages, and whether writing failed; step by step.
fn publish(bytes: &[u8], cuts: Cuts) -> (Vec<Message>, bool) {
    let (mut writer, mut messages) = (Writer::<Counted>::default(), Vec::new());
    let (mut from, mut to) = (0, 0);
    for piece in cuts.pieces(bytes) {
        to += piece.len();
        while from < to {
            let Ok(step) = writer.step(&bytes[from..to]) else { return (messages, true) };
            from += step.consumed;
            match step.finished {
                Some(message) => {
                    messages.push(owned(message));
                    from += PREVIOUS_TAG_SIZE_LEN;
                }
                None if step.consumed == 0 => break,
                None => {}
            }
        }
    }
    (messages, false)
}

fn in_one_call(bytes: &[u8]) -> (Vec<Message>, bool) {
    let mut messages = Vec::new();
    let result = write(&mut Writer::<Counted>::default(), bytes, &mut |message| {
        messages.push(owned(message));
        Ok(())
    });
    if let Ok(used) = result {
        assert!(used <= bytes.len());
    }
    (messages, result.is_err())
}

/// Calls as programs make them, which pass what was not used again.
fn calls(bytes: &[u8], cuts: Cuts) {
    let mut writer = Writer::<Counted>::default();
    let (mut from, mut to) = (0, 0);
    for piece in cuts.pieces(bytes) {
        to += piece.len();
        let input = &bytes[from..to];
        let Ok(used) = write(&mut writer, input, &mut |_| Ok(())) else { return };
        assert!(used <= input.len());
        assert!(writer.bytes_read() <= writer.body_size() as usize);
        from += used;
    }
}
