//! `m_methodCalls`: the commands that wait for their results, in the array that callers see.

use std::{ptr, slice};

use libc::c_int;

use super::{
    amf::AVal,
    memory,
    ptr::aval_bytes,
    rtmp::RTMP_METHOD,
    valid::{Rtmp, Valid, field},
};
use rtmp_core::session::{Calls, MAX_CALLS};

/// Entries of the first array, a power of two; it doubles when it is full. Connecting and playing takes as many.
const LEAST: usize = 4;

/// The array of one `RTMP`.
pub(crate) struct CallArray<'a>(Rtmp<'a>);

impl<'a> CallArray<'a> {
    /// The array of a session.
    pub(crate) fn new(rtmp: Rtmp<'a>) -> Self {
        Self(rtmp)
    }

    /// The pointer to the array, or null.
    fn array(&self) -> Valid<'a, *mut RTMP_METHOD> {
        field!(self.0, m_methodCalls)
    }

    fn set_count(&self, count: usize) {
        field!(self.0, m_numCalls).set(count as c_int);
    }

    /// The entries.
    fn calls(&self) -> &[RTMP_METHOD] {
        match (self.array().get(), usize::try_from(field!(self.0, m_numCalls).get()).unwrap_or(0)) {
            (array, count) if array.is_null() || count == 0 => &[],
            // SAFETY: `m_methodCalls` has `m_numCalls` entries, as `rtmp.h` says of the two fields.
            (array, count) => unsafe { slice::from_raw_parts(array, count) },
        }
    }

    /// The first entry of that name.
    fn position(&self, name: &[u8]) -> Option<usize> {
        // SAFETY: names of entries are readable for their lengths: they come from `remember`, or from the program.
        self.calls().iter().position(|call| unsafe { aval_bytes(&call.name) } == name)
    }

    /// Takes out an entry and returns its name, which comes from `malloc`; `None` if there is no such entry.
    pub(crate) fn remove(&mut self, index: usize) -> Option<AVal> {
        let count = self.calls().len();
        let name = self.calls().get(index)?.name;
        // SAFETY: the array has `count` entries (`calls`), and `index` is below that, so all entries moved or cleared exist.
        unsafe {
            let entry = self.array().get().add(index);
            ptr::copy(entry.add(1), entry, count - index - 1);
            *self.array().get().add(count - 1) = RTMP_METHOD { name: AVal::EMPTY, num: 0 };
        }
        self.set_count(count - 1);
        Some(name)
    }

    /// Frees the array and all names.
    pub(crate) fn clear(&mut self) {
        while let Some(name) = self.remove(0) {
            free(name);
        }
        // SAFETY: the array comes from the C allocator: from `remember`, or from a program that used malloc.
        unsafe { memory::release(self.array().get()) };
        self.array().set(ptr::null_mut());
        self.set_count(0);
    }
}

impl Calls for CallArray<'_> {
    fn remember(&mut self, name: &[u8], transaction: i32) {
        let is_full = self.calls().len() >= MAX_CALLS;
        if let Some(oldest) = is_full.then(|| self.remove(0)).flatten() {
            free(oldest);
        }
        let count = self.calls().len();
        // An entry that cannot be stored is lost, and its result will be ignored.
        let Ok(copy) = memory::duplicate(name) else { return };
        let mut array = self.array().get();
        if array.is_null() || (count >= LEAST && count.is_power_of_two()) {
            // SAFETY: the array has `count` entries and comes from the C allocator, as in `clear`; all-zero bytes are an entry.
            let Ok(grown) = (unsafe { memory::grow_zeroed(array, count, (2 * count).max(LEAST)) }) else {
                // SAFETY: the copy was made above, and no other pointer to it exists.
                return unsafe { memory::release(copy) };
            };
            array = grown;
            self.array().set(array);
        }
        let name = AVal { av_val: copy, av_len: name.len() as c_int };
        // SAFETY: the array has room for `count` entries rounded up to a power of two, and for `LEAST` at least.
        unsafe { *array.add(count) = RTMP_METHOD { name, num: transaction } };
        self.set_count(count + 1);
    }

    fn take(&mut self, transaction: i32) -> Option<Vec<u8>> {
        let index = self.calls().iter().position(|call| call.num == transaction)?;
        let name = self.remove(index)?;
        // SAFETY: names of entries are readable for their lengths: they come from `remember`, or from the program.
        let copy = unsafe { aval_bytes(&name) }.to_vec();
        free(name);
        Some(copy)
    }

    fn forget(&mut self, name: &[u8]) {
        if let Some(name) = self.position(name).and_then(|index| self.remove(index)) {
            free(name);
        }
    }

    fn count(&self) -> usize {
        self.calls().len()
    }

    fn transaction_of(&self, name: &[u8]) -> Option<i32> {
        self.position(name).and_then(|index| self.calls().get(index)).map(|call| call.num)
    }
}

/// Frees the name of an entry that was removed.
fn free(name: AVal) {
    // SAFETY: names come from `remember`, or from a program that used malloc, and the entry was removed.
    unsafe { memory::release(name.av_val) }
}

#[cfg(test)]
mod tests {
    use std::mem::MaybeUninit;

    use super::*;
    use crate::rtmp::RTMP;

    #[test]
    fn the_oldest_command_makes_room_for_one_too_many() {
        // SAFETY: all-zero bytes are a valid `RTMP`.
        let mut rtmp: Box<RTMP> = Box::new(unsafe { MaybeUninit::zeroed().assume_init() });
        // SAFETY: the struct lives to the end of the test.
        let mut calls = CallArray::new(unsafe { Rtmp::new(&raw mut *rtmp) }.unwrap());
        let mut others = Vec::new();
        for transaction in 0..MAX_CALLS as i32 + 3 {
            calls.remember(b"pause", transaction);
            Calls::remember(&mut others, b"pause", transaction);
        }
        assert_eq!((rtmp.m_numCalls as usize, others.len()), (MAX_CALLS, MAX_CALLS));
        for (transaction, is_known) in [(0, false), (2, false), (3, true), (MAX_CALLS as i32 + 2, true)] {
            assert_eq!(calls.take(transaction).is_some(), is_known, "{transaction}");
            assert_eq!(others.take(transaction).is_some(), is_known, "{transaction}");
        }
        calls.clear();
    }
}
