//! The connection of an exported function.

use rtmp_core::error::Result;

use super::{
    state::Handle,
    valid::{Rtmp, Valid},
};

impl Handle {
    /// The session of an exported function, whose parameter this is. An error if it is null or has no connection.
    pub(crate) fn connected_to(r: Option<Rtmp<'_>>) -> Result<Self> {
        // SAFETY: null, or an initialised `RTMP`, which outlives the handle: that ends with the exported function.
        unsafe { Self::connected(Valid::or_null(r)) }
    }

    /// The same without continuing the unfinished work of earlier calls; `None` if there is no connection.
    pub(crate) fn idle_on(r: Rtmp<'_>) -> Option<Self> {
        // SAFETY: it is initialised (`Valid::new`), and outlives the handle, which ends with the exported function.
        unsafe { Self::idle(r.as_ptr()) }
    }
}
