//! The values of an `RTMP`'s fields before a program sets them.

use libc::{c_double, c_int};

use crate::valid::{Rtmp, field};

/// Sets the defaults of a session of zeros. A program that allocates zeros and forgets `RTMP_Init` would otherwise have
/// descriptor 0 as its connection, and waits without limit. Values that it has set are kept.
pub(crate) fn initialise_zeroed(r: Rtmp<'_>) {
    // An initialised or connected session has at least one of these. The outgoing chunk size does not count, because it is a
    // setting.
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

/// The value of `sb_socket` without a connection.
pub(super) const NO_SOCKET: c_int = -1;
/// RTMP 1.0, 5.4.1.
pub(super) const DEFAULT_CHUNK_SIZE: c_int = 128;
/// Acknowledgement window and peer bandwidth, in bytes.
const DEFAULT_WINDOW: c_int = 2_500_000;
/// RTMP 1.0, 5.4.5: the limit type "dynamic".
const DYNAMIC_LIMIT: u8 = 2;
/// The values that Flash players announce: every audio codec except one, and every video codec from Sorenson H.263 on.
const AUDIO_CODECS: c_double = 3191.0;
const VIDEO_CODECS: c_double = 252.0;
