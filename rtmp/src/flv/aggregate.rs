//! Aggregate messages: several FLV tags in one body (RTMP 1.0, section 7.1.6).
//!
//! Moves the tags inside to the message's timestamp and corrects their sizes. Does not judge the tags: even empty ones stay.

use log::{error, warn};

use super::state::data_type_of;
use super::tag::{PREVIOUS_TAG_SIZE_LEN, TAG_HEADER_LEN, TagHeader};

/// The result for an aggregate's body.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Rebased {
    /// The number of bytes of the body to output.
    pub len: usize,
    /// The bytes missing after it.
    pub suffix: Option<[u8; PREVIOUS_TAG_SIZE_LEN]>,
    /// The kinds of media inside.
    pub data_type: u8,
    /// Timestamp of the last tag.
    pub last_timestamp: u32,
}

/// Shifts the tags in `body` so that the first one has the timestamp `timestamp` + `offset`, and corrects every
/// PreviousTagSize. A tag that is longer than the body ends the correction; its bytes stay as they are.
pub(super) fn rebase(body: &mut [u8], timestamp: u32, offset: u32) -> Rebased {
    let mut rebased = Rebased { len: body.len(), suffix: None, data_type: 0, last_timestamp: timestamp };
    let Some(first) = first_timestamp(body) else { return rebased };
    rebased.last_timestamp = first;
    let delta = timestamp.wrapping_sub(first).wrapping_add(offset);
    let mut position = 0;
    while position + TAG_HEADER_LEN < body.len() {
        let tag = &mut body[position..];
        let Some(mut header) = TagHeader::parse(tag) else { break };
        header.timestamp = header.timestamp.wrapping_add(delta);
        // Kind and length are written back unchanged; the stream id is not touched.
        tag[..STREAM_ID_POSITION].copy_from_slice(&header.write()[..STREAM_ID_POSITION]);
        rebased.data_type |= data_type_of(header.kind);
        rebased.last_timestamp = header.timestamp;

        let end = TAG_HEADER_LEN + header.body_len();
        if end > tag.len() {
            error!("Wrong data size ({}), stream corrupted, aborting!", header.length);
            break;
        }
        let size = header.previous_tag_size();
        match tag.get_mut(end..end + PREVIOUS_TAG_SIZE_LEN) {
            Some(present) => present.copy_from_slice(&size),
            None => {
                warn!("No tagSize found, appending!");
                rebased.len = position + end;
                rebased.suffix = Some(size);
            }
        }
        position += end + PREVIOUS_TAG_SIZE_LEN;
    }
    rebased
}

/// Timestamp of the first tag, if it is complete enough.
fn first_timestamp(body: &[u8]) -> Option<u32> {
    let &[_, _, _, _, t0, t1, t2, t3, ..] = body else { return None };
    Some(u32::from_be_bytes([t3, t0, t1, t2]))
}

/// The offset of the three bytes of stream id in a tag header.
const STREAM_ID_POSITION: usize = 8;

#[cfg(test)]
mod tests {
    use super::*;

    fn tag(kind: u8, timestamp: u32, body: &[u8]) -> Vec<u8> {
        let header = TagHeader { kind, length: body.len() as u32, timestamp };
        [&header.write()[..], body, &header.previous_tag_size()].concat()
    }

    #[test]
    fn tags_move_by_the_same_amount() {
        let mut body = [tag(8, 500, b"abc"), tag(9, 520, b"")].concat();
        let rebased = rebase(&mut body, 100, 7);
        assert_eq!(body, [tag(8, 107, b"abc"), tag(9, 127, b"")].concat());
        assert_eq!(rebased, Rebased { len: body.len(), suffix: None, data_type: 5, last_timestamp: 127 });
    }

    #[test]
    fn wrong_previous_tag_size_is_replaced() {
        let mut body = tag(8, 0, b"abc");
        let right = body.clone();
        body[14..].fill(0xFF);
        rebase(&mut body, 0, 0);
        assert_eq!(body, right);
    }

    #[test]
    fn cut_previous_tag_size_is_completed_by_four_bytes_and_no_more() {
        let whole = [tag(8, 0, b"abc"), tag(8, 9, b"de")].concat();
        for missing in 1..=4 {
            let mut body = whole[..whole.len() - missing].to_vec();
            let rebased = rebase(&mut body, 0, 0);
            assert_eq!(rebased.suffix, Some([0, 0, 0, 13]));
            assert_eq!([&body[..rebased.len], &[0, 0, 0, 13]].concat(), whole);
        }
    }

    #[test]
    fn tag_longer_than_the_message_ends_the_correction() {
        let mut body = [tag(8, 10, b"abc"), tag(9, 20, b"defg")].concat();
        body[18 + 1] = 0xFF;
        let rebased = rebase(&mut body, 11, 0);
        assert_eq!((rebased.len, rebased.suffix), (body.len(), None));
        assert_eq!(rebased.last_timestamp, 21);
    }

    #[test]
    fn body_without_a_complete_timestamp_is_unchanged() {
        let mut body = *b"\x08\0\0\0\0\0\x0A";
        let rebased = rebase(&mut body, 77, 5000);
        assert_eq!(&body, b"\x08\0\0\0\0\0\x0A");
        assert_eq!(rebased, Rebased { len: 7, suffix: None, data_type: 0, last_timestamp: 77 });
    }

    #[test]
    fn lone_tag_header_keeps_its_timestamp() {
        for len in 8..=11 {
            let mut body = tag(8, 500, b"")[..len].to_vec();
            let rebased = rebase(&mut body, 100, 0);
            assert_eq!(body, tag(8, 500, b"")[..len]);
            assert_eq!((rebased.len, rebased.data_type, rebased.last_timestamp), (len, 0, 500));
        }
    }

    #[test]
    fn rest_of_eleven_bytes_or_less_is_copied() {
        let mut body = [tag(8, 10, b"abc"), vec![0xEE; 11]].concat();
        let rebased = rebase(&mut body, 20, 0);
        assert_eq!(rebased.len, body.len());
        assert_eq!(body[18..], [0xEE; 11]);
    }
}
