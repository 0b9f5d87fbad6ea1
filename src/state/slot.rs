//! The pointer in an `RTMP` that leads to the private state.

use std::{ptr, sync::Arc};

use super::Private;
use crate::{
    gate::Keeper,
    valid::{Rtmp, field},
};

/// The private state in an `RTMP`'s slot, if there is any. Its gate is held.
pub(super) fn attached(r: Rtmp<'_>, keeper: &Keeper<'_>) -> Option<Arc<Private>> {
    let slot = slot(r, keeper)?;
    // SAFETY: a slot that is not null was filled by `put` and holds a reference of its own, which is not released while the
    // gate is held.
    unsafe {
        Arc::increment_strong_count(slot);
        Some(Arc::from_raw(slot))
    }
}

/// The pointer in the slot of an `RTMP`, whose gate is held. The gate has cleared a slot that this library did not fill.
pub(super) fn slot(r: Rtmp<'_>, _: &Keeper<'_>) -> Option<*const Private> {
    let slot = field!(r, m_vecChannelsOut).get().cast::<Private>().cast_const();
    (!slot.is_null()).then_some(slot)
}

/// Whether the slot of an `RTMP`, whose gate is held, leads to `private`.
pub(super) fn hangs_on(r: Rtmp<'_>, private: &Arc<Private>, keeper: &Keeper<'_>) -> bool {
    slot(r, keeper) == Some(Arc::as_ptr(private))
}

/// Stores other private state in the slot of an `RTMP`, whose gate is held, or none, and returns the previous one. Only the
/// last call of a session may replace it: calls that share a session share its locks.
pub(super) fn put(r: Rtmp<'_>, keeper: &Keeper<'_>, private: Option<Arc<Private>>) -> Option<Arc<Private>> {
    // SAFETY: a slot that is not null was filled by this function; this takes over the slot's own reference.
    let before = slot(r, keeper).map(|slot| unsafe { Arc::from_raw(slot) });
    let private = private.map_or(ptr::null_mut(), |private| Arc::into_raw(private).cast_mut().cast());
    field!(r, m_vecChannelsOut).set(private);
    before
}
