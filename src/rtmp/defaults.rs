//! What the fields of an `RTMP` are before a program sets them.

use libc::{c_double, c_int};

use super::RTMP;
use crate::shared;

/// Gives a session of zeros its defaults. Programs that allocate one with zeros and forget `RTMP_Init` would have
/// descriptor 0 for a connection, and waits without an end. What they have set is kept.
///
/// # Safety
/// `r` points to an `RTMP`, initialised or all zeros but for its settings.
pub(crate) unsafe fn initialise_zeroed(r: *mut RTMP) {
    // SAFETY: `r` points to an `RTMP`, initialised or all zeros but for its settings, by the Safety section.
    unsafe {
        // No session that was initialised or has a connection lacks all of them. The size of what is sent is a setting.
        let sent = shared::read(&raw const (*r).m_outChunkSize);
        if shared::read(&raw const (*r).m_sb.sb_socket) != 0
            || shared::read(&raw const (*r).m_inChunkSize) != 0
            || (sent != 0 && shared::read(&raw const (*r).m_nClientBW2) != 0)
        {
            return;
        }
        (*r).m_sb.sb_socket = NO_SOCKET;
        (*r).m_inChunkSize = DEFAULT_CHUNK_SIZE;
        let defaults: [(&mut c_int, c_int); 5] = [
            (&mut (*r).m_outChunkSize, DEFAULT_CHUNK_SIZE),
            (&mut (*r).m_nBufferMS, 30_000),
            (&mut (*r).m_nServerBW, DEFAULT_WINDOW),
            (&mut (*r).m_nClientBW, DEFAULT_WINDOW),
            (&mut (*r).Link.timeout, 30),
        ];
        for (field, default) in defaults {
            if *field == 0 {
                *field = default;
            }
        }
        (*r).m_nClientBW2 = DYNAMIC_LIMIT;
        (*r).m_fAudioCodecs = AUDIO_CODECS;
        (*r).m_fVideoCodecs = VIDEO_CODECS;
    }
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
