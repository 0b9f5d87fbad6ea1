//! The header of an FLV tag. Knows its eleven bytes, but not the contents of the tag.

/// Length of a tag's header.
pub const TAG_HEADER_LEN: usize = 11;

/// Length of the PreviousTagSize field after every tag.
pub const PREVIOUS_TAG_SIZE_LEN: usize = 4;

/// The largest body a tag or a message can declare, 24 bits.
pub const MAX_BODY_LEN: usize = 0xFF_FFFF;

/// The header before a tag's body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TagHeader {
    /// 8 audio, 9 video, 0x12 metadata: the same numbers as message types.
    pub kind: u8,
    /// Bytes of body, 24 bits.
    pub length: u32,
    /// Milliseconds: 24 bits big-endian, then the upper 8 bits.
    pub timestamp: u32,
}

impl TagHeader {
    /// Reads the header at the start of `bytes`; `None` if there are too few.
    #[inline]
    pub fn parse(bytes: &[u8]) -> Option<Self> {
        let &[kind, l0, l1, l2, t0, t1, t2, t3, _, _, _, ..] = bytes else { return None };
        let length = u32::from_be_bytes([0, l0, l1, l2]);
        Some(Self { kind, length, timestamp: u32::from_be_bytes([t3, t0, t1, t2]) })
    }

    /// The header's bytes, with a stream id of 0.
    pub fn write(self) -> [u8; TAG_HEADER_LEN] {
        let [_, l0, l1, l2] = self.length.to_be_bytes();
        let [t3, t0, t1, t2] = self.timestamp.to_be_bytes();
        [self.kind, l0, l1, l2, t0, t1, t2, t3, 0, 0, 0]
    }

    /// Length of the body.
    pub fn body_len(self) -> usize {
        self.length as usize
    }

    /// The PreviousTagSize after the body.
    pub fn previous_tag_size(self) -> [u8; PREVIOUS_TAG_SIZE_LEN] {
        self.length.wrapping_add(TAG_HEADER_LEN as u32).to_be_bytes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn timestamp_has_its_upper_byte_after_the_lower_three() {
        let bytes = [
            0x09, // video
            0x00, 0x01, 0x2D, // 301 bytes
            0x34, 0x56, 0x78, 0x12, // timestamp 0x12345678
            0, 0, 0, // stream id
        ];
        let header = TagHeader { kind: 9, length: 301, timestamp: 0x1234_5678 };
        assert_eq!(TagHeader::parse(&bytes), Some(header));
        assert_eq!(header.write(), bytes);
        assert_eq!(header.previous_tag_size(), [0, 0, 1, 0x38]);
    }

    #[test]
    fn boundary_values_survive_a_round_trip() {
        for length in [0, 1, 0xFF, 0x100, 0xFFFF, 0x1_0000, 0xFF_FFFF] {
            for timestamp in [0, 0xFF_FFFE, 0xFF_FFFF, 0x100_0000, u32::MAX] {
                let header = TagHeader { kind: 0x12, length, timestamp };
                assert_eq!(TagHeader::parse(&header.write()), Some(header));
            }
        }
    }

    #[test]
    fn ten_bytes_are_not_a_header() {
        assert_eq!(TagHeader::parse(&[9; 10]), None);
    }
}
