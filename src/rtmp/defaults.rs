//! What the fields of an `RTMP` are before a program sets them.

use libc::{c_double, c_int};

use crate::valid::{Rtmp, field};

/// Gives a session of zeros its defaults. Programs that allocate one with zeros and forget `RTMP_Init` would have
/// descriptor 0 for a connection, and waits without an end. What they have set is kept.
pub(crate) fn initialise_zeroed(r: Rtmp<'_>) {
    // No session that was initialised or has a connection lacks all of them. The size of what is sent is a setting.
    let sent = field!(r, m_outChunkSize).get();
    if field!(r, m_sb.sb_socket).get() != 0
        || field!(r, m_inChunkSize).get() != 0
        || (sent != 0 && field!(r, m_nClientBW2).get() != 0)
    {
        return;
    }
    field!(r, m_sb.sb_socket).set(NO_SOCKET);
    field!(r, m_inChunkSize).set(DEFAULT_CHUNK_SIZE);
    for (field, default) in [
        (field!(r, m_outChunkSize), DEFAULT_CHUNK_SIZE),
        (field!(r, m_nBufferMS), 30_000),
        (field!(r, m_nServerBW), DEFAULT_WINDOW),
        (field!(r, m_nClientBW), DEFAULT_WINDOW),
        (field!(r, Link.timeout), 30),
    ] {
        if field.get() == 0 {
            field.set(default);
        }
    }
    field!(r, m_nClientBW2).set(DYNAMIC_LIMIT);
    field!(r, m_fAudioCodecs).set(AUDIO_CODECS);
    field!(r, m_fVideoCodecs).set(VIDEO_CODECS);
}

/// `sb_socket` without a connection.
pub(super) const NO_SOCKET: c_int = -1;
/// RTMP 1.0, 5.4.1.
pub(super) const DEFAULT_CHUNK_SIZE: c_int = 128;
/// Acknowledgement window and peer bandwidth, in bytes.
const DEFAULT_WINDOW: c_int = 2_500_000;
/// RTMP 1.0, 5.4.5: the limit type "dynamic".
const DYNAMIC_LIMIT: u8 = 2;
/// What Flash players put into connect: every audio codec but one, and every video codec from Sorenson H.263 on.
const AUDIO_CODECS: c_double = 3191.0;
const VIDEO_CODECS: c_double = 252.0;
