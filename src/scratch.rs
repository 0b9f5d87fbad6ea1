//! Memory to assemble the pieces of a message. A thread keeps it, and not a session: with thousands of sessions that send from one
//! thread, it is in the caches, and most sessions need no memory of this kind.

use std::cell::Cell;

thread_local! {
    static KEPT: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
}

/// The most that a thread keeps for its next message, also when its sessions have ended: twice a message of usual length.
const MOST_KEPT: usize = 32 << 10;

/// Runs `work` with memory whose contents nobody needs. A function of the program may be called inside, and send, too: it gets other
/// memory.
#[inline]
pub(crate) fn with<R>(work: impl FnOnce(&mut Vec<u8>) -> R) -> R {
    // A thread that ends has none any more.
    let mut memory = KEPT.try_with(Cell::take).unwrap_or_default();
    let result = work(&mut memory);
    if memory.capacity() <= MOST_KEPT {
        let _ = KEPT.try_with(|kept| kept.set(memory));
    }
    result
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_used_again_unless_it_is_much() {
        let first = with(|memory| {
            memory.resize(1000, 1);
            memory.as_ptr()
        });
        assert_eq!(with(|memory| (memory.as_ptr(), memory.capacity() >= 1000)), (first, true));
        with(|memory| memory.reserve(MOST_KEPT + 1));
        assert_eq!(with(|memory| memory.capacity()), 0);
    }

    #[test]
    fn memory_in_use_is_not_lent_twice() {
        with(|outer| {
            outer.extend(b"outer");
            with(|inner| inner.extend(b"inner"));
            assert_eq!(outer, b"outer");
        });
    }
}
