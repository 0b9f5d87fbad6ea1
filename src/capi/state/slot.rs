//! The pointer of an `RTMP` that the private state hangs on.

use std::{ptr, sync::Arc};

use super::Private;
use crate::capi::{gate::Keeper, rtmp::RTMP};

/// The private state on an `RTMP`'s slot, if there is any.
///
/// # Safety
/// `r` points to an initialised `RTMP`, whose gate is held.
pub(super) unsafe fn attached(r: *mut RTMP, keeper: &Keeper<'_>) -> Option<Arc<Private>> {
    // SAFETY: the caller's contract; a slot that is not null was filled by `Handle::from_raw` and holds a reference of
    // its own.
    unsafe {
        let slot = slot(r, keeper)?;
        Arc::increment_strong_count(slot);
        Some(Arc::from_raw(slot))
    }
}

/// What is on the slot of an `RTMP`, if it was put there by this library.
///
/// # Safety
/// As for [`attached`].
pub(super) unsafe fn slot(r: *mut RTMP, keeper: &Keeper<'_>) -> Option<*const Private> {
    // SAFETY: the caller's contract.
    let slot = unsafe { (*r).m_vecChannelsOut.cast::<Private>().cast_const() };
    (!slot.is_null() && keeper.found_sound()).then_some(slot)
}

/// Whether it is `private` that is on the slot of an `RTMP`.
///
/// # Safety
/// As for [`attached`].
pub(super) unsafe fn hangs_on(r: *mut RTMP, private: &Arc<Private>, keeper: &Keeper<'_>) -> bool {
    // SAFETY: the caller's contract.
    unsafe { slot(r, keeper) == Some(Arc::as_ptr(private)) }
}

/// Takes the private state off an `RTMP`; calls that are running keep it alive until they return.
///
/// # Safety
/// As for [`attached`].
pub(super) unsafe fn detach(r: *mut RTMP, keeper: &Keeper<'_>) -> Option<Arc<Private>> {
    // SAFETY: the caller's contract; the slot's own reference is handed over.
    unsafe {
        let private = slot(r, keeper).map(|slot| Arc::from_raw(slot));
        (*r).m_vecChannelsOut = ptr::null_mut();
        private
    }
}
