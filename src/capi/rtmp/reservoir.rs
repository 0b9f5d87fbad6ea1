//! Memory for what a fast peer sends, larger than the buffer in the struct: one system call brings many messages, and that
//! saves more than the copy out of here costs.
//!
//! A session has one while its peer is ahead of it. `sb_start` and `sb_size` then tell callers what is unread as ever.

use std::{mem::MaybeUninit, os::fd::BorrowedFd, slice};

use libc::c_int;
use socket2::MaybeUninitSlice;

use super::{RTMPSockBuf, sockbuf};
use crate::{
    capi::shared,
    error::{Error, Result},
    transport::{tcp, wait::Patience},
};

/// More memory did not make reading cheaper, half of it made it dearer; allocators keep this much at hand.
const CAPACITY: usize = 96 << 10;

/// How many receives in a row the struct's own buffer may have been enough for before the memory goes.
const KEPT_FOR: u32 = 16;

/// Bytes that were received ahead of need, besides those in the struct.
#[derive(Debug)]
pub(crate) struct Reservoir {
    memory: Vec<u8>,
    /// How many receives in a row brought no more than the struct has room for.
    modest: u32,
}

impl Reservoir {
    /// An empty one, or none if memory is short: it only saves time.
    fn new() -> Option<Box<Self>> {
        let mut memory = Vec::new();
        memory.try_reserve_exact(CAPACITY).ok()?;
        Some(Box::new(Self { memory, modest: 0 }))
    }

    /// The bytes from `start` on, if they all lie here.
    fn bytes(&self, start: usize, size: usize) -> Option<&[u8]> {
        let offset = start.wrapping_sub(self.memory.as_ptr().addr());
        self.memory.get(offset..)?.get(..size)
    }

    /// Lets `receive` append to the unread bytes, which move to the front.
    ///
    /// # Safety
    /// `sb` points to an initialised `RTMPSockBuf`, whose unread bytes are there or here, and that nobody else reads from.
    unsafe fn append(
        &mut self,
        sb: *mut RTMPSockBuf,
        receive: impl FnOnce(BorrowedFd<'_>, &mut [MaybeUninit<u8>]) -> Result<usize>,
    ) -> Result<usize> {
        // SAFETY: the caller's contract.
        let fd = unsafe {
            sockbuf::set_timed_out(sb, false);
            let (start, size) = ((*sb).sb_start.addr(), size(sb));
            let offset = start.wrapping_sub(self.memory.as_ptr().addr());
            if self.bytes(start, size).is_some() {
                self.memory.copy_within(offset..offset + size, 0);
                self.memory.truncate(size);
            } else {
                self.memory.clear();
                self.memory.extend_from_slice(sockbuf::unread(sb));
            }
            (*sb).sb_start = self.memory.as_mut_ptr().cast();
            sockbuf::set_size(sb, self.memory.len() as c_int);
            sockbuf::socket(sb)?
        };
        let received = receive(fd, self.memory.spare_capacity_mut())?;
        // SAFETY: that many bytes were received behind those that there were.
        unsafe {
            self.memory.set_len(self.memory.len() + received);
            sockbuf::set_size(sb, self.memory.len() as c_int);
        }
        self.modest = if received > sockbuf::CAPACITY { 0 } else { self.modest + 1 };
        Ok(received)
    }

    /// Waits for bytes and puts them behind the unread ones.
    ///
    /// # Safety
    /// As for [`append`](Self::append), nothing is between the socket and the buffer, and nobody closes the socket meanwhile.
    pub(crate) unsafe fn fill(&mut self, sb: *mut RTMPSockBuf, patience: &dyn Patience) -> Result<()> {
        let receive = |fd: BorrowedFd<'_>, room: &mut [MaybeUninit<u8>]| {
            tcp::receive_vectored(fd, &mut [MaybeUninitSlice::new(room)], patience)
        };
        // SAFETY: the caller's contract.
        let received = unsafe { self.append(sb, receive) }.inspect_err(|error| {
            if matches!(error, Error::TimedOut) {
                // SAFETY: the caller's contract.
                unsafe { sockbuf::set_timed_out(sb, true) };
            }
        })?;
        if received == 0 { Err(Error::Closed) } else { Ok(()) }
    }

    /// As [`fill`](Self::fill), but only with what is on the socket already; tells whether that was something.
    ///
    /// # Safety
    /// As for `fill`.
    unsafe fn fill_now(&mut self, sb: *mut RTMPSockBuf) -> Result<bool> {
        let receive = |fd: BorrowedFd<'_>, room: &mut [MaybeUninit<u8>]| {
            Ok(tcp::receive_vectored_now(fd, &mut [MaybeUninitSlice::new(room)])?.unwrap_or(0))
        };
        // SAFETY: the caller's contract.
        Ok(unsafe { self.append(sb, receive) }? > 0)
    }
}

/// The unread bytes, wherever they are.
///
/// # Safety
/// `sb` points to an initialised `RTMPSockBuf`, whose buffer nobody writes while the result is used.
#[inline(always)]
pub(crate) unsafe fn unread(sb: *const RTMPSockBuf, reservoir: Option<&Reservoir>) -> &[u8] {
    // SAFETY: the caller's contract.
    unsafe {
        match reservoir.and_then(|reservoir| reservoir.bytes((*sb).sb_start.addr(), size(sb))) {
            Some(bytes) => bytes,
            None => sockbuf::unread(sb),
        }
    }
}

/// Receives what is there behind the unread bytes; tells whether that was something. A reservoir comes and goes as it is needed.
///
/// # Safety
/// As for [`Reservoir::fill`].
pub(crate) unsafe fn fill_now(sb: *mut RTMPSockBuf, reservoir: &mut Option<Box<Reservoir>>) -> Result<bool> {
    // SAFETY: the caller's contract.
    unsafe {
        if reservoir.as_ref().is_some_and(|reservoir| reservoir.modest >= KEPT_FOR) {
            release(sb, reservoir);
        }
        if let Some(reservoir) = reservoir {
            return reservoir.fill_now(sb);
        }
        let received = sockbuf::fill_now(sb)?;
        if sockbuf::unread(sb).len() == sockbuf::CAPACITY {
            provide(reservoir);
        }
        Ok(received)
    }
}

/// Makes a reservoir unless there is one: the peer has more to say than there was room for.
pub(crate) fn provide(reservoir: &mut Option<Box<Reservoir>>) {
    if reservoir.is_none() {
        *reservoir = Reservoir::new();
    }
}

/// Lets the memory go, if what is unread has room in the struct.
///
/// # Safety
/// `sb` points to an initialised `RTMPSockBuf` that nobody else reads from.
pub(crate) unsafe fn release(sb: *mut RTMPSockBuf, reservoir: &mut Option<Box<Reservoir>>) {
    // SAFETY: the caller's contract; `sb_buf` is an array of initialised bytes.
    unsafe {
        let (start, size) = ((*sb).sb_start.addr(), size(sb));
        if let Some(bytes) = reservoir.as_ref().and_then(|reservoir| reservoir.bytes(start, size)) {
            let buffer = (&raw mut (*sb).sb_buf).cast::<u8>();
            let Some(room) = slice::from_raw_parts_mut(buffer, sockbuf::CAPACITY).get_mut(..size) else {
                return;
            };
            room.copy_from_slice(bytes);
            (*sb).sb_start = buffer.cast();
        }
    }
    *reservoir = None;
}

/// How many bytes are unread, as callers see it.
///
/// # Safety
/// `sb` points to an initialised `RTMPSockBuf`.
unsafe fn size(sb: *const RTMPSockBuf) -> usize {
    // SAFETY: the caller's contract.
    usize::try_from(unsafe { shared::read(&raw const (*sb).sb_size) }).unwrap_or(0)
}
