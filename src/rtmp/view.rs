//! A packet or a chunk that a C program has built, for safe code.

use libc::c_int;
use rtmp_core::{
    chunk::Outgoing,
    error::{Error, Result},
    message::{Message, MessageType},
};

use super::{RTMPChunk, RTMPPacket};
use crate::{amf::view::In, ptr::bytes};

/// A packet, whose body is null or readable for its size.
pub type Packet<'a> = In<'a, RTMPPacket>;
/// A chunk to be sent unchanged, whose payload is null or readable for its size.
pub type RawChunk<'a> = In<'a, RTMPChunk>;

impl<'a> Packet<'a> {
    pub(crate) fn body(self) -> Result<&'a [u8]> {
        let size = c_int::try_from(self.m_nBodySize).map_err(|_| Error::TooLarge("m_nBodySize"))?;
        // SAFETY: the body is null or readable for its size, and stays (`In`).
        unsafe { bytes(self.m_body, size, "m_body is NULL but m_nBodySize is not 0") }
    }

    /// The message to send.
    pub(super) fn message(self) -> Result<Outgoing<'a>> {
        Ok(Outgoing {
            chunk_stream: u32::try_from(self.m_nChannel)
                .map_err(|_| Error::Invalid("m_nChannel is negative"))?,
            format: self.m_headerType,
            kind: MessageType(self.m_packetType),
            timestamp: self.m_nTimeStamp,
            stream_id: self.m_nInfoField2 as u32,
            body: self.body()?,
        })
    }

    /// A copy of the message to send.
    pub(super) fn copy(self) -> Result<Message> {
        let Outgoing { chunk_stream, format, kind, timestamp, stream_id, body } = self.message()?;
        Ok(Message { chunk_stream, format, kind, timestamp, stream_id, body: body.to_vec() })
    }

    /// Stores the header format that the message was sent with, at the end of a call.
    pub(super) fn note_format(self, format: u8) {
        // SAFETY: it is the packet of a program, which has no constant ones.
        unsafe { (*self.address()).m_headerType = format };
    }
}

impl<'a> RawChunk<'a> {
    /// The header and the payload.
    pub(super) fn pieces(self) -> Result<[&'a [u8]; 2]> {
        if self.c_headerSize as usize > self.c_header.len() {
            return Err(Error::Invalid("c_headerSize"));
        }
        // SAFETY: the header fits in its field, as just checked, the payload is null or readable for its size, and both stay
        // (`In`).
        unsafe {
            let header = bytes(self.c_header.as_ptr(), self.c_headerSize, "c_header")?;
            Ok([header, bytes(self.c_chunk, self.c_chunkSize, "c_chunk")?])
        }
    }
}
