//! A record for each chunk stream in use, found by its id.

use super::MAX_CHUNK_STREAM;

/// A table by chunk stream id that grows with its contents.
///
/// Records are stored next to each other in the order of first use, so that a few chunk streams share one small block. For the
/// ids that are common in practice, an array has the position of the record. For the others, pages have it, so that the largest
/// id alone costs some kilobytes and not a quarter of a megabyte.
#[derive(Debug)]
pub(super) struct Streams<T> {
    /// For each of the first ids the number of its record in `records`, counted from 1, or 0.
    numbers: [u8; NEAR],
    records: Vec<T>,
    far: Option<Box<Far<T>>>,
}

/// The positions for the other ids.
#[derive(Debug)]
struct Far<T> {
    /// As in `Streams`, [`PAGE`] ids each.
    pages: [Option<Box<[u32; PAGE]>>; FAR.div_ceil(PAGE)],
    records: Vec<T>,
}

/// Servers and players use ids below this one.
const NEAR: usize = 32;
/// The number of other ids.
const FAR: usize = MAX_CHUNK_STREAM as usize + 1 - NEAR;
/// Roughly the square root of the number of all ids: neither a page nor the list of pages is long.
const PAGE: usize = 256;

impl<T> Default for Streams<T> {
    fn default() -> Self {
        Self { numbers: [0; NEAR], records: Vec::new(), far: None }
    }
}

impl<T> Streams<T> {
    /// The record of a chunk stream.
    #[inline(always)]
    pub(super) fn get(&self, chunk_stream: u32) -> Option<&T> {
        let index = chunk_stream as usize;
        match self.numbers.get(index) {
            Some(number) => self.records.get(usize::from(*number).wrapping_sub(1)),
            None => self.far.as_ref()?.get(index - NEAR),
        }
    }

    /// The record of a chunk stream, mutable.
    #[inline(always)]
    pub(super) fn get_mut(&mut self, chunk_stream: u32) -> Option<&mut T> {
        let index = chunk_stream as usize;
        match self.numbers.get(index) {
            Some(number) => self.records.get_mut(usize::from(*number).wrapping_sub(1)),
            None => self.far.as_mut()?.get_mut(index - NEAR),
        }
    }

    /// All records.
    pub(super) fn records(&self) -> impl Iterator<Item = &T> {
        self.records.iter().chain(self.far.iter().flat_map(|far| &far.records))
    }

    /// All records, with their ids.
    pub(super) fn iter(&self) -> impl Iterator<Item = (u32, &T)> {
        let pages = self.far.iter().flat_map(|far| far.pages.iter().enumerate());
        let far = pages.filter(|(_, page)| page.is_some()).flat_map(|(page, _)| {
            let first = NEAR + page * PAGE;
            first..first + PAGE
        });
        (0..NEAR).chain(far).filter_map(|id| {
            let id = u32::try_from(id).ok()?;
            Some((id, self.get(id)?))
        })
    }
}

impl<T: Default> Streams<T> {
    /// The record of a chunk stream, with default values on first use. The caller has checked the id.
    #[inline]
    pub(super) fn slot(&mut self, chunk_stream: u32) -> &mut T {
        let index = chunk_stream as usize;
        let Some(number) = self.numbers.get_mut(index) else {
            return self.far.get_or_insert_default().slot(index - NEAR);
        };
        if *number == 0 {
            add(&mut self.records);
            *number = self.records.len() as u8;
        }
        &mut self.records[usize::from(*number) - 1]
    }
}

impl<T> Default for Far<T> {
    fn default() -> Self {
        Self { pages: [const { None }; FAR.div_ceil(PAGE)], records: Vec::new() }
    }
}

impl<T> Far<T> {
    #[inline(never)]
    fn get(&self, index: usize) -> Option<&T> {
        self.records.get(self.place(index)?)
    }

    #[inline(never)]
    fn get_mut(&mut self, index: usize) -> Option<&mut T> {
        let place = self.place(index)?;
        self.records.get_mut(place)
    }

    fn place(&self, index: usize) -> Option<usize> {
        let page = self.pages.get(index / PAGE)?.as_ref()?;
        (page[index % PAGE] as usize).checked_sub(1)
    }
}

impl<T: Default> Far<T> {
    #[inline(never)]
    fn slot(&mut self, index: usize) -> &mut T {
        let page = self.pages[index / PAGE].get_or_insert_with(|| Box::new([0; PAGE]));
        let number = &mut page[index % PAGE];
        if *number == 0 {
            add(&mut self.records);
            *number = self.records.len() as u32;
        }
        &mut self.records[*number as usize - 1]
    }
}

/// Appends a record.
#[cold]
fn add<T: Default>(records: &mut Vec<T>) {
    let count = records.len();
    if count == records.capacity() {
        // Most connections stay idle and have three.
        records.reserve_exact(if count == 0 { 3 } else { count.div_ceil(4).max(2) });
    }
    records.push(T::default());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_id_has_a_place_of_its_own() {
        let mut streams = Streams::default();
        // Downwards and upwards, so that the table grows in both ways.
        let down = (0..=MAX_CHUNK_STREAM).rev().filter(|id| id % 2 == 0);
        for id in down.chain((0..=MAX_CHUNK_STREAM).filter(|id| id % 2 == 1)) {
            assert!(streams.get(id).is_none() && streams.get_mut(id).is_none());
            assert_eq!(*streams.slot(id), 0);
            *streams.slot(id) = id;
        }
        for id in 0..=MAX_CHUNK_STREAM {
            assert_eq!(streams.get(id), Some(&id));
            assert_eq!(streams.get_mut(id).copied(), Some(id));
            assert_eq!(*streams.slot(id), id);
        }
        assert_eq!(streams.get(MAX_CHUNK_STREAM + 1), None);
        assert!(streams.iter().map(|(id, value)| (id, *value)).eq((0..=MAX_CHUNK_STREAM).map(|id| (id, id))));
    }

    #[test]
    fn the_largest_id_alone_takes_little_memory() {
        let mut streams = Streams::<u8>::default();
        *streams.slot(MAX_CHUNK_STREAM) = 1;
        let far = streams.far.as_ref().unwrap();
        let pages = far.pages.iter().flatten().map(|page| size_of_val(&**page)).sum::<usize>();
        let bytes = pages + size_of_val(&**far) + streams.records.capacity() + far.records.capacity();
        assert!(bytes <= 4 << 10, "{bytes}");
    }

    #[test]
    fn few_chunk_streams_take_no_more_than_they_need() {
        let mut streams = Streams::<u64>::default();
        for id in [2, 3, 8] {
            *streams.slot(id) = 1;
        }
        assert_eq!(streams.records.capacity(), 3);
        assert!(streams.far.is_none());
    }
}
