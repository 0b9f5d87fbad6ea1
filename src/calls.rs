//! `m_methodCalls`: the commands that wait for their results, in the array that callers see.

use std::ptr;

use libc::c_int;

use super::{
    amf::AVal,
    memory,
    ptr::{aval_bytes, items},
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
        let count = u32::try_from(field!(self.0, m_numCalls).get()).unwrap_or(0);
        // SAFETY: `m_methodCalls` is null or has `m_numCalls` entries, as `rtmp.h` says of the two fields.
        unsafe { items(self.array().get(), count) }.unwrap_or_default()
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

    /// The same, and frees the name. Returns whether there was an entry.
    pub(crate) fn discard(&mut self, index: usize) -> bool {
        // SAFETY: names come from `remember`, or from a program that used malloc, and the entry was removed.
        self.remove(index).map(|name| unsafe { memory::release(name.av_val) }).is_some()
    }

    /// The same for the first entry for which `matches` is true.
    fn discard_first(&mut self, matches: impl Fn(&RTMP_METHOD) -> bool) {
        if let Some(index) = self.calls().iter().position(matches) {
            self.discard(index);
        }
    }

    /// Frees the array and all names.
    pub(crate) fn clear(&mut self) {
        while self.discard(0) {}
        // SAFETY: the array comes from the C allocator: from `remember`, or from a program that used malloc.
        unsafe { memory::release(self.array().get()) };
        self.array().set(ptr::null_mut());
        self.set_count(0);
    }
}

impl Calls for CallArray<'_> {
    fn remember(&mut self, name: &[u8], transaction: i32) {
        if self.calls().len() >= MAX_CALLS {
            self.discard(0);
        }
        let count = self.calls().len();
        let array = self.array();
        // An entry that cannot be stored is lost, and its result will be ignored.
        if array.get().is_null() || (count >= LEAST && count.is_power_of_two()) {
            // SAFETY: the array has `count` entries and comes from the C allocator, as in `clear`; all-zero bytes are an entry.
            let grown = unsafe { memory::grow_zeroed(array.get(), count, (2 * count).max(LEAST)) };
            let Ok(grown) = grown else { return };
            array.set(grown);
        }
        let Ok(copy) = memory::duplicate(name) else { return };
        let name = AVal { av_val: copy, av_len: name.len() as c_int };
        // SAFETY: the array has room for `count` entries rounded up to a power of two, and for `LEAST` at least.
        unsafe { *array.get().add(count) = RTMP_METHOD { name, num: transaction } };
        self.set_count(count + 1);
    }

    fn name_of(&self, transaction: i32) -> Option<&[u8]> {
        self.calls().iter().find(|call| call.num == transaction).map(name)
    }

    fn end(&mut self, transaction: i32) {
        self.discard_first(|call| call.num == transaction);
    }

    fn forget(&mut self, name: &[u8]) {
        self.discard_first(|call| self::name(call) == name);
    }

    fn count(&self) -> usize {
        self.calls().len()
    }

    fn transaction_of(&self, name: &[u8]) -> Option<i32> {
        self.calls().iter().find(|call| self::name(call) == name).map(|call| call.num)
    }
}

/// The name of an entry.
fn name(call: &RTMP_METHOD) -> &[u8] {
    // SAFETY: names of entries are readable for their lengths: they come from `remember`, or from the program.
    unsafe { aval_bytes(&call.name) }
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
            for calls in [&mut calls as &mut dyn Calls, &mut others] {
                assert_eq!(calls.name_of(transaction).is_some(), is_known, "{transaction}");
                calls.end(transaction);
                assert_eq!(calls.name_of(transaction), None, "{transaction}");
            }
        }
        calls.clear();
    }
}
