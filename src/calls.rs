//! `m_methodCalls`: the commands that wait for their results, in the array that callers see.

use std::{ptr, slice};

use libc::c_int;

use super::{
    amf::AVal,
    memory,
    ptr::aval_bytes,
    rtmp::{RTMP, RTMP_METHOD},
};
use rtmp_core::session::{Calls, MAX_CALLS};

/// Entries of the first array, a power of two; it doubles when it is full. Few commands wait at a time.
const LEAST: usize = 1;

/// The array of one `RTMP`.
pub(crate) struct CallArray {
    raw: *mut RTMP,
}

impl CallArray {
    /// The array of `raw`.
    ///
    /// # Safety
    /// `raw` points to an initialised `RTMP`, which outlives the result.
    pub(crate) unsafe fn new(raw: *mut RTMP) -> Self {
        Self { raw }
    }

    /// The entries.
    fn calls(&self) -> &[RTMP_METHOD] {
        // SAFETY: by the contract of `new`; the array has `m_numCalls` entries.
        unsafe {
            let count = usize::try_from((*self.raw).m_numCalls).unwrap_or(0);
            match (*self.raw).m_methodCalls {
                array if array.is_null() || count == 0 => &[],
                array => slice::from_raw_parts(array, count),
            }
        }
    }

    /// The first entry of that name.
    fn position(&self, name: &[u8]) -> Option<usize> {
        // SAFETY: names are readable for their lengths.
        self.calls().iter().position(|call| unsafe { aval_bytes(&call.name) } == name)
    }

    /// Takes out an entry and returns its name, which comes from `malloc`; `None` if there is no such entry.
    pub(crate) fn remove(&mut self, index: usize) -> Option<AVal> {
        let count = self.calls().len();
        let name = self.calls().get(index)?.name;
        // SAFETY: by the contract of `new`; `index` is below `count`, so all entries moved or cleared exist.
        unsafe {
            let entry = (*self.raw).m_methodCalls.add(index);
            ptr::copy(entry.add(1), entry, count - index - 1);
            *(*self.raw).m_methodCalls.add(count - 1) = RTMP_METHOD { name: AVal::EMPTY, num: 0 };
            (*self.raw).m_numCalls = (count - 1) as c_int;
        }
        Some(name)
    }

    /// Frees the array and all names.
    pub(crate) fn clear(&mut self) {
        while let Some(name) = self.remove(0) {
            // SAFETY: names come from `remember`, or from a caller that used malloc.
            unsafe { memory::release(name.av_val) };
        }
        // SAFETY: by the contract of `new`; the array comes from the C allocator.
        unsafe {
            memory::release((*self.raw).m_methodCalls);
            (*self.raw).m_methodCalls = ptr::null_mut();
            (*self.raw).m_numCalls = 0;
        }
    }
}

impl Calls for CallArray {
    fn remember(&mut self, name: &[u8], transaction: i32) {
        let is_full = self.calls().len() >= MAX_CALLS;
        if let Some(oldest) = is_full.then(|| self.remove(0)).flatten() {
            // SAFETY: names come from `remember`, or from a caller that used malloc.
            unsafe { memory::release(oldest.av_val) };
        }
        let count = self.calls().len();
        // An entry that cannot be stored is lost, and its result will be ignored.
        let Ok(copy) = memory::duplicate(name) else { return };
        // SAFETY: by the contract of `new`; the array has room for `count` entries rounded up to a power of two, and
        // for `LEAST` at least.
        unsafe {
            let mut array = (*self.raw).m_methodCalls;
            if array.is_null() || (count >= LEAST && count.is_power_of_two()) {
                let Ok(grown) = memory::grow_zeroed(array, count, (2 * count).max(LEAST)) else {
                    memory::release(copy);
                    return;
                };
                array = grown;
                (*self.raw).m_methodCalls = array;
            }
            let name = AVal { av_val: copy, av_len: name.len() as c_int };
            *array.add(count) = RTMP_METHOD { name, num: transaction };
            (*self.raw).m_numCalls = (count + 1) as c_int;
        }
    }

    fn take(&mut self, transaction: i32) -> Option<Vec<u8>> {
        let index = self.calls().iter().position(|call| call.num == transaction)?;
        let name = self.remove(index)?;
        // SAFETY: names come from `remember`, or from a caller that used malloc.
        unsafe {
            let copy = aval_bytes(&name).to_vec();
            memory::release(name.av_val);
            Some(copy)
        }
    }

    fn forget(&mut self, name: &[u8]) {
        if let Some(name) = self.position(name).and_then(|index| self.remove(index)) {
            // SAFETY: names come from `remember`, or from a caller that used malloc.
            unsafe { memory::release(name.av_val) };
        }
    }

    fn count(&self) -> usize {
        self.calls().len()
    }

    fn transaction_of(&self, name: &[u8]) -> Option<i32> {
        self.position(name).and_then(|index| self.calls().get(index)).map(|call| call.num)
    }
}

#[cfg(test)]
mod tests {
    use std::mem::MaybeUninit;

    use super::*;

    #[test]
    fn the_oldest_command_makes_room_for_one_too_many() {
        // SAFETY: all-zero bytes are a valid `RTMP`.
        let mut rtmp: Box<RTMP> = Box::new(unsafe { MaybeUninit::zeroed().assume_init() });
        // SAFETY: the struct lives to the end of the test.
        let mut calls = unsafe { CallArray::new(&raw mut *rtmp) };
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
