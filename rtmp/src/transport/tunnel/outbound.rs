//! Bytes that wait for the client's next request.

use std::collections::VecDeque;

/// Bytes in blocks that are all full except the last.
#[derive(Debug, Default)]
pub(super) struct Outbound {
    blocks: VecDeque<Vec<u8>>,
    len: usize,
}

impl Outbound {
    pub(super) fn len(&self) -> usize {
        self.len
    }

    pub(super) fn push(&mut self, mut bytes: &[u8]) {
        self.len += bytes.len();
        while !bytes.is_empty() {
            if self.blocks.back().is_none_or(|last| last.len() == last.capacity()) {
                self.blocks.push_back(Vec::with_capacity(BLOCK_LEN));
            }
            let Some(last) = self.blocks.back_mut() else { return };
            let (now, later) = bytes.split_at(bytes.len().min(last.capacity() - last.len()));
            last.extend_from_slice(now);
            bytes = later;
        }
    }

    /// Moves `len` bytes, which must be available, to the end of `to`.
    pub(super) fn take(&mut self, mut len: usize, to: &mut Vec<u8>) {
        self.len -= len;
        while len > 0 {
            let Some(first) = self.blocks.front_mut() else { break };
            if first.len() <= len {
                len -= first.len();
                to.append(first);
                self.blocks.pop_front();
            } else {
                to.extend(first.drain(..len));
                len = 0;
            }
        }
    }
}

/// The size of an allocation.
const BLOCK_LEN: usize = 16 << 10;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_for_a_client_are_taken_in_order_and_in_the_length_that_is_asked_for() {
        for (step, most) in [(1, 7), (1000, 40_000), (16 << 10, 1), (40_000, 16 << 10), (40_001, 39_999)] {
            let bytes: Vec<u8> = (0..120_000_u32).map(|index| ((index * 7) >> 3) as u8).collect();
            let mut outbound = Outbound::default();
            bytes.chunks(step).for_each(|piece| outbound.push(piece));
            assert!(outbound.blocks.len() <= bytes.len() / BLOCK_LEN + 1);
            let mut taken = Vec::new();
            while outbound.len > 0 {
                let (before, len) = (taken.len(), outbound.len.min(most));
                outbound.take(len, &mut taken);
                assert_eq!(taken.len(), before + len);
            }
            assert!(taken == bytes && outbound.blocks.is_empty(), "{step}, {most}");
        }
    }
}
