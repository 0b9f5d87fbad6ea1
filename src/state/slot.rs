//! The pointer of an `RTMP` that the private state hangs on.

use std::{ptr, sync::Arc};

use super::Private;
use crate::{gate::Keeper, rtmp::RTMP};

/// The private state on an `RTMP`'s slot, if there is any.
///
/// # Safety
/// `r` points to an initialised `RTMP`, whose gate is held.
pub(super) unsafe fn attached(r: *mut RTMP, keeper: &Keeper<'_>) -> Option<Arc<Private>> {
    // SAFETY: `r` points to an initialised `RTMP`, whose gate is held, by the Safety section; a slot that is not null
    // was filled by `put` and holds a reference of its own.
    unsafe {
        let slot = slot(r, keeper)?;
        Arc::increment_strong_count(slot);
        Some(Arc::from_raw(slot))
    }
}

/// What is on the slot of an `RTMP`. The gate has cleared a slot that this library did not fill.
///
/// # Safety
/// As for [`attached`].
pub(super) unsafe fn slot(r: *mut RTMP, _: &Keeper<'_>) -> Option<*const Private> {
    // SAFETY: `r` points to an initialised `RTMP`, whose gate is held, by the Safety section.
    let slot = unsafe { (*r).m_vecChannelsOut }.cast::<Private>().cast_const();
    (!slot.is_null()).then_some(slot)
}

/// Whether it is `private` that is on the slot of an `RTMP`.
///
/// # Safety
/// As for [`attached`].
pub(super) unsafe fn hangs_on(r: *mut RTMP, private: &Arc<Private>, keeper: &Keeper<'_>) -> bool {
    // SAFETY: `r` points to an initialised `RTMP`, whose gate is held, by the Safety section.
    unsafe { slot(r, keeper) == Some(Arc::as_ptr(private)) }
}

/// Puts other private state on an `RTMP`, or none, and returns what was there. Only the last call of a session may do so
/// where there was one: calls that share a session share its locks.
///
/// # Safety
/// As for [`attached`].
pub(super) unsafe fn put(
    r: *mut RTMP,
    keeper: &Keeper<'_>,
    private: Option<Arc<Private>>,
) -> Option<Arc<Private>> {
    // SAFETY: `r` points to an initialised `RTMP`, whose gate is held, by the Safety section; the slot's own reference
    // is handed over.
    unsafe {
        let before = slot(r, keeper).map(|slot| Arc::from_raw(slot));
        (*r).m_vecChannelsOut =
            private.map_or(ptr::null_mut(), |private| Arc::into_raw(private).cast_mut().cast());
        before
    }
}
