//! Bytes that wait until the connection accepts them.

use std::mem;

/// A queue of bytes. It keeps its memory for the next message, unless that is too much.
#[derive(Debug, Default)]
pub(super) struct Queue {
    bytes: Vec<u8>,
    /// The number of bytes in `bytes` that were sent.
    sent: usize,
    /// The most that `bytes` held since the queue was empty.
    peak: usize,
}

impl Queue {
    /// The next bytes to send.
    pub(super) fn unsent(&self) -> &[u8] {
        &self.bytes[self.sent..]
    }

    pub(super) fn len(&self) -> usize {
        self.bytes.len() - self.sent
    }

    pub(super) fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Lets `write` append bytes and returns them, so that the caller can encrypt them in place.
    pub(super) fn append(&mut self, write: impl FnOnce(&mut Vec<u8>)) -> &mut [u8] {
        if self.sent > self.bytes.len() / 2 {
            self.bytes.drain(..self.sent);
            self.sent = 0;
        }
        let start = self.bytes.len();
        write(&mut self.bytes);
        self.peak = self.peak.max(self.bytes.len());
        &mut self.bytes[start..]
    }

    /// Moves all bytes to `taken`, in place of what is there, and keeps the memory of that. Nothing is copied if none of them
    /// has been sent.
    pub(super) fn swap(&mut self, taken: &mut Vec<u8>) {
        mem::swap(&mut self.bytes, taken);
        taken.drain(..self.sent);
        self.bytes.clear();
        (self.sent, self.peak) = (0, 0);
        self.give_back(taken.len());
    }

    /// Removes the first `count` bytes, which were sent.
    pub(super) fn remove(&mut self, count: usize) {
        self.sent = self.bytes.len().min(self.sent + count);
        if self.is_empty() {
            self.sent = 0;
            self.bytes.clear();
            let peak = mem::take(&mut self.peak);
            self.give_back(peak);
        }
    }

    /// Gives memory back that is large for a queue which last held `peak` bytes. A connection that only receives does not
    /// keep the memory that its handshake needed.
    fn give_back(&mut self, peak: usize) {
        if self.bytes.capacity() > KEPT || self.bytes.capacity() / 4 > peak {
            self.bytes = Vec::new();
        }
    }
}

/// The memory that an empty queue may keep: twice a message of usual length, or a batch of 64 kB and its last message.
const KEPT: usize = 160 << 10;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_leave_in_the_order_in_which_they_came() {
        let (mut queue, mut expected, mut sent) = (Queue::default(), Vec::new(), Vec::new());
        for round in 0..500_usize {
            let bytes: Vec<u8> = (0..round % 97).map(|at| (round + at) as u8).collect();
            expected.extend_from_slice(&bytes);
            assert_eq!(queue.append(|out| out.extend_from_slice(&bytes)), bytes);
            let count = queue.len().min(round * 7 % 89);
            sent.extend_from_slice(&queue.unsent()[..count]);
            queue.remove(count);
            assert_eq!(queue.len(), expected.len() - sent.len());
        }
        sent.extend_from_slice(queue.unsent());
        assert!(sent == expected);
    }

    #[test]
    fn memory_stays_in_proportion_to_its_use() {
        let mut queue = Queue::default();
        for (len, is_kept) in [(3000, true), (3000, true), (100, false), (100, true)] {
            queue.append(|out| out.resize(out.len() + len, 1));
            queue.remove(len);
            assert!(queue.is_empty());
            assert_eq!(queue.bytes.capacity() > 0, is_kept, "{len}");
        }
    }

    #[test]
    fn an_empty_queue_gives_large_memory_back() {
        let mut queue = Queue::default();
        queue.append(|out| out.resize(KEPT * 4, 1));
        queue.remove(KEPT);
        assert_eq!(queue.len(), 3 * KEPT);
        queue.remove(3 * KEPT);
        assert!(queue.is_empty() && queue.bytes.capacity() == 0);
    }
}
