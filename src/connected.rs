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
}
