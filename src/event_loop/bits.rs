//! The bits that `RTMP_Step` returns, as in the header.

use libc::c_int;

pub(super) const CONNECTED: c_int = 0x01;
pub(super) const STREAMING: c_int = 0x02;
pub(super) const READABLE: c_int = 0x04;
pub(super) const WRITABLE: c_int = 0x08;
pub(super) const FLUSHED: c_int = 0x10;
pub(super) const FAILED: c_int = 0x20;
pub(super) const CLOSED: c_int = 0x40;
