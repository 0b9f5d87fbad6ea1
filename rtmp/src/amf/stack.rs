//! A stack for walking nested data: the depth of real data fits in place, and more goes to the heap.

use crate::error::{Error, Result};

/// A stack whose first items need no allocation.
pub struct Stack<T> {
    shallow: [Option<T>; SHALLOW],
    deep: Vec<T>,
    len: usize,
}

const SHALLOW: usize = 2;

impl<T> Stack<T> {
    /// A stack without items.
    pub const fn new() -> Self {
        Self { shallow: [const { None }; SHALLOW], deep: Vec::new(), len: 0 }
    }

    /// Pushes an item. Fails if memory is short.
    #[inline]
    pub fn push(&mut self, item: T) -> Result<()> {
        match self.shallow.get_mut(self.len) {
            Some(slot) => *slot = Some(item),
            None => {
                self.deep.try_reserve(1).map_err(|_| Error::OutOfMemory)?;
                self.deep.push(item);
            }
        }
        self.len += 1;
        Ok(())
    }

    /// Takes the item on top.
    #[inline]
    pub fn pop(&mut self) -> Option<T> {
        self.len = self.len.checked_sub(1)?;
        match self.shallow.get_mut(self.len) {
            Some(slot) => slot.take(),
            None => self.deep.pop(),
        }
    }

    /// True while there is no item.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The number of items.
    pub fn len(&self) -> usize {
        self.len
    }

    /// The item that was pushed first, if there is any.
    pub fn into_first(self) -> Option<T> {
        let [first, ..] = self.shallow;
        first
    }
}

impl<T> Default for Stack<T> {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn items_come_back_in_reverse_order() {
        for count in 0..10 {
            let mut stack = Stack::new();
            (0..count).for_each(|item| stack.push(item).unwrap());
            assert_eq!(stack.len(), count);
            let items: Vec<_> = std::iter::from_fn(|| stack.pop()).collect();
            assert_eq!(items, (0..count).rev().collect::<Vec<_>>());
            stack.push(7).unwrap();
            assert_eq!(stack.into_first(), Some(7));
        }
    }
}
