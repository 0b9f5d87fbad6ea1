//! Published FLV bytes: every byte counts, and the same messages leave however the program passes them.

#![forbid(unsafe_code)]

use rtmp_core::{flv::{FILE_HEADER, Finished, TagHeader, Writer, write}, message::MessageType};

use super::{
    counted::Counted,
    input::{self, Cuts},
};

pub fn run(data: &[u8]) {
    let Some(([_], cuts, bytes)) = input::choices(data) else { return };
    publish(bytes, cuts);
    let file = well_formed(bytes);
    let whole = publish(&file, Cuts::WHOLE);
    assert_eq!(publish(&file, cuts), whole);
    assert!(!whole.1);
    assert_eq!(Counted::reserved(), 0);
}

type Message = (MessageType, u32, u8, Vec<u8>);

/// The messages that bytes in pieces become, and whether writing failed.
fn publish(bytes: &[u8], cuts: Cuts) -> (Vec<Message>, bool) {
    let (mut writer, mut messages) = (Writer::<Counted>::default(), Vec::new());
    for piece in cuts.pieces(bytes) {
        let result = write(&mut writer, piece, &mut |Finished { kind, timestamp, format_hint, body }| {
            messages.push((kind, timestamp, format_hint, body.to_vec()));
            Ok(())
        });
        let Ok(used) = result else { return (messages, true) };
        assert_eq!(used, piece.len());
        assert!(writer.bytes_read() <= writer.body_size() as usize);
    }
    (messages, false)
}

/// Tags whose types, times and bodies are in these bytes, with a file header here and there. Bytes that are no FLV file
/// can mean one thing in one piece and another in two: what belongs behind a tag may be left out at the end of a call.
fn well_formed(mut bytes: &[u8]) -> Vec<u8> {
    let mut file = Vec::new();
    while let [choice, high, low, rest @ ..] = bytes {
        let kind = [8, 9, 0x12, 0x0F][usize::from(choice & 3)];
        if choice & 4 != 0 {
            file.extend(FILE_HEADER);
        }
        let size = usize::from(u16::from_be_bytes([*high, *low]));
        let mut body = rest[..size.min(rest.len())].to_vec();
        bytes = &rest[body.len()..];
        if choice & 8 != 0 {
            body.splice(0..0, *b"\x02\0\x0AonMetaData");
        }
        if choice & 16 != 0 {
            // Sizes that look like the beginning of a tag need bodies of their length.
            body.resize(size, *choice);
        }
        let header = TagHeader { kind, length: body.len() as u32, timestamp: u32::from(*low) << (choice >> 3) };
        file.extend([&header.write()[..], &body, &header.previous_tag_size()].concat());
    }
    file
}
