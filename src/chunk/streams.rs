//! Something for each chunk stream in use, found by its id.

#![forbid(unsafe_code)]

use std::iter;

/// A table by chunk stream id that grows with what is in it.
///
/// The ids that take one or two bytes are found at once. The others, which only a peer that means harm or a test
/// uses, are kept in pages, so that the largest id alone costs some kilobytes and not half a megabyte.
#[derive(Debug)]
pub(super) struct Streams<T> {
    near: Vec<Option<T>>,
    /// What follows `near`, [`PAGE`] ids each.
    pages: Vec<Vec<Option<T>>>,
}

/// The ids below this one take one or two bytes.
const NEAR: usize = 320;
/// The square root of the number of all ids, roughly: neither a page nor the list of pages is long.
const PAGE: usize = 256;

impl<T> Default for Streams<T> {
    fn default() -> Self {
        Self { near: Vec::new(), pages: Vec::new() }
    }
}

impl<T> Streams<T> {
    /// What was put there for a chunk stream.
    #[inline(always)]
    pub(super) fn get(&self, chunk_stream: u32) -> Option<&T> {
        match self.near.get(chunk_stream as usize) {
            Some(place) => place.as_ref(),
            None => self.get_far(chunk_stream),
        }
    }

    #[inline(never)]
    fn get_far(&self, chunk_stream: u32) -> Option<&T> {
        let far = (chunk_stream as usize).checked_sub(NEAR)?;
        self.pages.get(far / PAGE)?.get(far % PAGE)?.as_ref()
    }

    /// The same, to be changed.
    #[inline(always)]
    pub(super) fn get_mut(&mut self, chunk_stream: u32) -> Option<&mut T> {
        match self.near.get_mut(chunk_stream as usize) {
            Some(place) => place.as_mut(),
            None => get_far_mut(&mut self.pages, chunk_stream),
        }
    }

    /// The place of a chunk stream, made on first use. Whoever asks has checked the id: the table grows up to it.
    #[inline]
    pub(super) fn slot(&mut self, chunk_stream: u32) -> &mut Option<T> {
        let index = chunk_stream as usize;
        match index.checked_sub(NEAR) {
            None => place(&mut self.near, index, || None),
            Some(far) => place(place(&mut self.pages, far / PAGE, Vec::new), far % PAGE, || None),
        }
    }

    /// All that was put there, with the ids.
    pub(super) fn iter(&self) -> impl Iterator<Item = (u32, &T)> {
        let far = self.pages.iter().enumerate().flat_map(|(page, slots)| {
            slots.iter().enumerate().map(move |(index, slot)| (NEAR + page * PAGE + index, slot))
        });
        let near = self.near.iter().enumerate();
        near.chain(far).filter_map(|(id, slot)| Some((u32::try_from(id).ok()?, slot.as_ref()?)))
    }
}

#[inline(never)]
fn get_far_mut<T>(pages: &mut [Vec<Option<T>>], chunk_stream: u32) -> Option<&mut T> {
    let far = (chunk_stream as usize).checked_sub(NEAR)?;
    pages.get_mut(far / PAGE)?.get_mut(far % PAGE)?.as_mut()
}

/// The element at `index` of a list that is made long enough for it.
#[inline]
fn place<E>(list: &mut Vec<E>, index: usize, filling: impl FnMut() -> E) -> &mut E {
    if index >= list.len() {
        let missing = index + 1 - list.len();
        list.extend(iter::repeat_with(filling).take(missing));
    }
    &mut list[index]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chunk::MAX_CHUNK_STREAM;

    #[test]
    fn every_id_has_a_place_of_its_own() {
        let mut streams = Streams::default();
        // Downwards and upwards, so that the table grows in all ways.
        let down = (0..=MAX_CHUNK_STREAM).rev().filter(|id| id % 2 == 0);
        for id in down.chain((0..=MAX_CHUNK_STREAM).filter(|id| id % 2 == 1)) {
            assert!(streams.get(id).is_none() && streams.get_mut(id).is_none());
            *streams.slot(id) = Some(id);
        }
        for id in 0..=MAX_CHUNK_STREAM {
            assert_eq!(streams.get(id), Some(&id));
            assert_eq!(streams.get_mut(id).copied(), Some(id));
            assert_eq!(*streams.slot(id), Some(id));
        }
        assert_eq!(streams.get(MAX_CHUNK_STREAM + 1), None);
        assert!(streams.iter().map(|(id, value)| (id, *value)).eq((0..=MAX_CHUNK_STREAM).map(|id| (id, id))));
    }

    #[test]
    fn the_largest_id_alone_takes_little_memory() {
        let mut streams = Streams::<Box<u8>>::default();
        *streams.slot(MAX_CHUNK_STREAM) = Some(Box::new(1));
        let slots = streams.near.capacity() + streams.pages.iter().map(Vec::capacity).sum::<usize>();
        let bytes = slots * size_of::<Option<Box<u8>>>() + streams.pages.capacity() * size_of::<Vec<u8>>();
        assert!(bytes <= 16 << 10, "{bytes}");
    }
}
