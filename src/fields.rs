//! The owners of the fields of the public structs.
//!
//! Callers allocate the struct, read and write its fields between calls and clear it. So fields that both sides use have no
//! second copy: a step loads them, runs, and stores its changes.

use libc::c_int;
use rtmp_core::{
    flv::Flags,
    session::{Profile, State},
};

use super::{
    amf::{AVal, view::Object},
    memory,
    ptr::aval_bytes,
    rtmp::{RTMP, RTMP_FEATURE_WRITE, RTMP_LF_AUTH, RTMP_LF_BUFX, RTMP_LF_LIVE, RTMP_LF_PLST, RTMP_LNK},
    valid::{Rtmp, Valid, field},
};

/// A `State` field's form in the C struct.
trait Shared<C>: Copy {
    fn load(stored: C) -> Self;
    fn store(self) -> C;
}

impl<T: Copy> Shared<T> for T {
    fn load(stored: T) -> Self {
        stored
    }
    fn store(self) -> T {
        self
    }
}

impl Shared<c_int> for u32 {
    fn load(stored: c_int) -> Self {
        stored as u32
    }
    fn store(self) -> c_int {
        self as i32
    }
}

impl Shared<u8> for bool {
    fn load(stored: u8) -> Self {
        stored != 0
    }
    fn store(self) -> u8 {
        u8::from(self)
    }
}

/// The session's names for the fields that it shares with callers: first those that arriving chunks and their acknowledgements
/// use. In the struct these are close together.
macro_rules! shared_fields {
    ($($media:ident: $($media_name:ident).+;)* ...; $($field:ident: $($name:ident).+;)*) => {
        /// Reads the fields that a step uses, one by one: callers may read them meanwhile.
        #[inline(always)]
        pub(super) fn load(r: Rtmp<'_>) -> State {
            State {
                $($field: Shared::load(field!(r, $($name).+).get()),)*
                seeking: field!(r, m_read.flags).get() & Flags::SEEKING.0 != 0,
                ..load_for_media(r)
            }
        }

        /// As [`load`], but only the fields that arriving chunks use; the others are as in a new session.
        #[inline(always)]
        pub(super) fn load_for_media(r: Rtmp<'_>) -> State {
            State {
                $($media: Shared::load(field!(r, $($media_name).+).get()),)*
                ..State::NEW
            }
        }

        /// Writes the fields that a step changed. Other threads may write the others meanwhile.
        #[inline(always)]
        pub(super) fn store(r: Rtmp<'_>, before: &State, after: &State) {
            store_for_media(r, before, after);
            $(if after.$field != before.$field {
                field!(r, $($name).+).set(Shared::store(after.$field));
            })*
            if after.seeking != before.seeking {
                let flags = field!(r, m_read.flags);
                let (others, seeking) = (flags.get() & !Flags::SEEKING.0, Flags::SEEKING.0);
                flags.set(if after.seeking { others | seeking } else { others });
            }
        }

        /// As [`store`], for the fields that [`load_for_media`] has read.
        #[inline(always)]
        pub(super) fn store_for_media(r: Rtmp<'_>, before: &State, after: &State) {
            $(if after.$media != before.$media {
                field!(r, $($media_name).+).set(Shared::store(after.$media));
            })*
        }
    };
}

shared_fields! {
    in_chunk_size: m_inChunkSize;
    out_chunk_size: m_outChunkSize;
    bytes_in: m_nBytesIn;
    acknowledged: m_nBytesInSent;
    acknowledges: m_bSendCounter;
    media_chunk_stream: m_mediaChannel;
    media_timestamp: m_mediaStamp;
    pausing: m_pausing;
    window_size: m_nServerBW;
    peer_bandwidth: m_nClientBW;
    playing: m_bPlaying;
    ...;
    bandwidth_checks: m_nBWCheckCounter;
    buffer_ms: m_nBufferMS;
    stream_id: m_stream_id;
    pause_timestamp: m_pauseStamp;
    peer_bandwidth_limit: m_nClientBW2;
    sends_encoding: m_bSendEncoding;
    transactions: m_numInvokes;
    audio_codecs: m_fAudioCodecs;
    video_codecs: m_fVideoCodecs;
    object_encoding: m_fEncoding;
    duration: m_fDuration;
    media_types: m_read.dataType;
}

/// The owner of every field. Never called: an added field does not compile until it is listed here.
#[expect(dead_code, reason = "a table for readers and the compiler")]
fn owners(rtmp: &RTMP) {
    let RTMP {
        // Shared: the table above loads and stores them.
        m_inChunkSize: _,
        m_outChunkSize: _,
        m_nBWCheckCounter: _,
        m_nBytesIn: _,
        m_nBytesInSent: _,
        m_nBufferMS: _,
        m_stream_id: _,
        m_mediaChannel: _,
        m_mediaStamp: _,
        m_pauseStamp: _,
        m_pausing: _,
        m_nServerBW: _,
        m_nClientBW: _,
        m_nClientBW2: _,
        m_bPlaying: _,
        m_bSendEncoding: _,
        m_bSendCounter: _,
        m_numInvokes: _,
        m_fAudioCodecs: _,
        m_fVideoCodecs: _,
        m_fEncoding: _,
        m_fDuration: _,
        // Shared: `calls` works in place on the array, whose entries callers may free.
        m_numCalls: _,
        m_methodCalls: _,
        // Mirror: written for each message that arrived, never read.
        m_channelsAllocatedIn: _,
        m_channelTimestamp: _,
        // Unused; always null.
        m_vecChannelsIn: _,
        // Private: the slot of `Private`, and the gate for it.
        m_vecChannelsOut: _,
        m_channelsAllocatedOut: _,
        // Mirrors of the tunnel's state.
        m_msgCounter: _,
        m_polling: _,
        m_resplen: _,
        m_unackd: _,
        m_clientID: _,
        // Shared, see `rtmp::io`; `buf` and its related fields mirror `Core::stream`.
        m_read: _,
        // Mirror of `Core::writer`.
        m_write: _,
        // Shared: `sockbuf` works in place, and callers watch the number of unread bytes.
        m_sb: _,
        // Written by the caller before the connection, read when needed; `close` frees the strings that flags mark as the
        // library's. `pFlags` is private: see `reason`.
        Link: _,
    } = rtmp;
}

/// The bytes of a string in `Link`, which stay until the string is replaced or the session is closed.
#[inline]
pub(crate) fn text<'a>(string: Valid<'a, AVal>) -> &'a [u8] {
    // SAFETY: strings in `Link` are readable for their lengths, a rule of `rtmp.h`.
    unsafe { aval_bytes(&string.copy()) }
}

/// The values for the `connect` command, which stay until the list is changed or freed.
pub(crate) fn extras(link: Valid<'_, RTMP_LNK>) -> Object<'_> {
    // SAFETY: the list is empty or holds as many valid properties as its count says, a rule of `rtmp.h`.
    unsafe { Object::of(field!(link, extras)) }
}

/// Frees a string of the C allocator and leaves an empty one.
///
/// # Safety
/// The string is empty or came from the C allocator, and nobody uses its bytes any more.
pub(crate) unsafe fn release_text(string: Valid<'_, AVal>) {
    // SAFETY: the bytes are null or came from the C allocator, and nobody uses them any more, by the Safety section.
    unsafe { memory::release(string.copy().av_val) };
    string.put(AVal::EMPTY);
}

/// The settings in `Link` as the protocol's profile, with strings that stay as in [`text`].
pub(super) fn profile(link: Valid<'_, RTMP_LNK>) -> Profile<'_> {
    let flags = field!(link, lFlags).get();
    let flag = |flag| flags & flag != 0;
    Profile {
        publish: field!(link, protocol).get() & RTMP_FEATURE_WRITE != 0,
        live: flag(RTMP_LF_LIVE),
        playlist: flag(RTMP_LF_PLST),
        buffer_events: flag(RTMP_LF_BUFX),
        app: text(field!(link, app)),
        tc_url: text(field!(link, tcUrl)),
        flash_version: text(field!(link, flashVer)),
        swf_url: text(field!(link, swfUrl)),
        page_url: text(field!(link, pageUrl)),
        stream_name: text(field!(link, playpath)),
        auth: text(field!(link, auth)),
        auth_flag: flag(RTMP_LF_AUTH),
        subscribe_name: text(field!(link, subscribepath)),
        usher_token: text(field!(link, usherToken)),
        secure_token: text(field!(link, token)),
        user: text(field!(link, pubUser)),
        password: text(field!(link, pubPasswd)),
        swf_verification: (field!(link, SWFSize).get() != 0).then(|| {
            // SAFETY: the field is initialised, and changes only when a handshake ends; signed and unsigned bytes are laid out
            // alike.
            unsafe { &*field!(link, SWFVerificationResponse).as_ptr().cast() }
        }),
        start_ms: field!(link, seekTime).get(),
        stop_ms: field!(link, stopTime).get(),
        capabilities: None,
        all_data: false,
    }
}

/// Shows callers the timestamp of the last message of each chunk stream; the array grows as librtmp's did.
#[inline(always)]
pub(super) fn mirror_timestamp(r: Rtmp<'_>, chunk_stream: usize, timestamp: u32) {
    let allocated = usize::try_from(field!(r, m_channelsAllocatedIn).get()).unwrap_or(0);
    if chunk_stream < allocated || grow_timestamps(r, chunk_stream, allocated) {
        // SAFETY: the array has `m_channelsAllocatedIn` entries, which only this file and `RTMP_Close` change.
        unsafe { *field!(r, m_channelTimestamp).get().add(chunk_stream) = timestamp as i32 };
    }
}

/// Makes room for a chunk stream beyond the `allocated` entries; returns whether that was possible.
#[cold]
#[inline(never)]
fn grow_timestamps(r: Rtmp<'_>, chunk_stream: usize, allocated: usize) -> bool {
    let wanted = (chunk_stream + 10).max(allocated * 2);
    let array = field!(r, m_channelTimestamp);
    // SAFETY: the array has `allocated` entries and comes from here, and so from the C allocator.
    let Ok(grown) = (unsafe { memory::grow_zeroed(array.get(), allocated, wanted) }) else { return false };
    array.set(grown);
    field!(r, m_channelsAllocatedIn).set(wanted as c_int);
    true
}
