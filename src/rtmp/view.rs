//! A packet that a C program has built, for safe code.

use rtmp_core::{chunk::Outgoing, error::Result};

use super::{
    RTMPPacket,
    outgoing::{body_of, message_of},
};
use crate::amf::view::In;

/// A packet, whose body is null or readable for its size.
pub type Packet<'a> = In<'a, RTMPPacket>;

impl<'a> Packet<'a> {
    pub(crate) fn body(self) -> Result<&'a [u8]> {
        // SAFETY: the body is null or readable for its size, and stays (`In`).
        unsafe { body_of(&self) }
    }

    /// The message to send.
    pub(super) fn message(self) -> Result<Outgoing<'a>> {
        // SAFETY: the body is null or readable for its size, and stays (`In`).
        unsafe { message_of(&self) }
    }

    /// Stores the header format that the message was sent with, at the end of a call.
    pub(super) fn note_format(self, format: u8) {
        // SAFETY: it is the packet of a program, which has no constant ones.
        unsafe { (*self.address()).m_headerType = format };
    }
}
