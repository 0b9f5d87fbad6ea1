//! Who owns what in the public structs.
//!
//! Callers allocate the struct, read and write its fields between calls and clear it. So fields that both sides use
//! have no second copy: a step loads them, runs, and stores what it changed.

use libc::c_int;
use rtmp_core::{
    flv::Flags,
    session::{Profile, State},
};

use super::{
    memory,
    ptr::aval_bytes,
    rtmp::{RTMP, RTMP_FEATURE_WRITE, RTMP_LF_AUTH, RTMP_LF_BUFX, RTMP_LF_LIVE, RTMP_LF_PLST, RTMP_LNK},
    shared,
};

/// A `State` field's form in the C struct.
trait Shared<C>: Copy {
    fn load(stored: C) -> Self;
    fn store(self) -> C;
}

macro_rules! shared_as_is {
    ($($type:ty),*) => { $(impl Shared<$type> for $type {
        fn load(stored: $type) -> Self {
            stored
        }
        fn store(self) -> $type {
            self
        }
    })* };
}
shared_as_is!(i32, u32, u8, f64);

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

/// The session's words for the fields that it shares with callers: first those that plain audio and video have to do with.
macro_rules! shared_fields {
    ($($media:ident: $($media_name:ident).+;)* ...; $($field:ident: $($name:ident).+;)*) => {
        /// Reads the fields that a step works with, one by one: callers may look at them meanwhile.
        ///
        /// # Safety
        /// `raw` points to an initialised `RTMP`.
        #[inline(always)]
        pub(super) unsafe fn load(raw: *mut RTMP) -> State {
            // SAFETY: `raw` points to an initialised `RTMP`, by the Safety section; fields are plain numbers, read one
            // by one.
            unsafe {
                State {
                    $($field: Shared::load(shared::read(&raw const (*raw).$($name).+)),)*
                    seeking: shared::read(&raw const (*raw).m_read.flags) & Flags::SEEKING.0 != 0,
                    ..load_for_media(raw)
                }
            }
        }

        /// As [`load`], but only the fields that the arrival of audio and video has to do with; the others are as in a new
        /// session.
        ///
        /// # Safety
        /// As for `load`.
        #[inline(always)]
        pub(super) unsafe fn load_for_media(raw: *mut RTMP) -> State {
            // SAFETY: `raw` points to an initialised `RTMP`, by the Safety section; fields are plain numbers, read one
            // by one.
            unsafe {
                State {
                    $($media: Shared::load(shared::read(&raw const (*raw).$($media_name).+)),)*
                    ..State::NEW
                }
            }
        }

        /// Writes the fields that a step changed, and leaves the others to whoever writes them meanwhile.
        ///
        /// # Safety
        /// `raw` points to an initialised `RTMP`.
        #[inline(always)]
        pub(super) unsafe fn store(raw: *mut RTMP, before: &State, after: &State) {
            // SAFETY: `raw` points to an initialised `RTMP`, by the Safety section.
            unsafe { store_for_media(raw, before, after) };
            $(if after.$field != before.$field {
                // SAFETY: `raw` points to an initialised `RTMP`, by the Safety section.
                unsafe { shared::write(&raw mut (*raw).$($name).+, Shared::store(after.$field)) };
            })*
            if after.seeking != before.seeking {
                // SAFETY: `raw` points to an initialised `RTMP`, by the Safety section.
                unsafe {
                    let field = &raw mut (*raw).m_read.flags;
                    let flags = shared::read(field);
                    let seeking = Flags::SEEKING.0;
                    shared::write(field, if after.seeking { flags | seeking } else { flags & !seeking });
                }
            }
        }

        /// As [`store`], for what [`load_for_media`] has read.
        ///
        /// # Safety
        /// As for `store`.
        #[inline(always)]
        pub(super) unsafe fn store_for_media(raw: *mut RTMP, before: &State, after: &State) {
            $(if after.$media != before.$media {
                // SAFETY: `raw` points to an initialised `RTMP`, by the Safety section.
                unsafe { shared::write(&raw mut (*raw).$($media_name).+, Shared::store(after.$media)) };
            })*
        }
    };
}

shared_fields! {
    in_chunk_size: m_inChunkSize;
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
    out_chunk_size: m_outChunkSize;
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

/// The owner of every field. Never called: a field that is added does not compile until it has its place here.
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
        // Shared: `calls` works in place on the array, which callers may free entries of.
        m_numCalls: _,
        m_methodCalls: _,
        // Mirror: written for each message that arrived, never read.
        m_channelsAllocatedIn: _,
        m_channelTimestamp: _,
        // Unused; always null.
        m_vecChannelsIn: _,
        // Private: the slot of `Private`, and the gate in front of it.
        m_vecChannelsOut: _,
        m_channelsAllocatedOut: _,
        // Mirrors of the tunnel's state.
        m_msgCounter: _,
        m_polling: _,
        m_resplen: _,
        m_unackd: _,
        m_clientID: _,
        // Shared, see `rtmp::io`; `buf` and what belongs to it mirror `Core::stream`.
        m_read: _,
        // Mirror of `Core::writer`.
        m_write: _,
        // Shared: `sockbuf` works in place, callers watch how much is unread.
        m_sb: _,
        // Written by the caller before the connection, read when needed; `close` frees what flags say is ours. `pFlags`
        // is private: see `reason`.
        Link: _,
    } = rtmp;
}

/// What `Link` says about the connection.
///
/// # Safety
/// The strings of `link` are readable for their lengths while the result is used.
pub(super) unsafe fn profile<'a>(link: &RTMP_LNK) -> Profile<'a> {
    let flag = |flag| link.lFlags & flag != 0;
    // SAFETY: the strings of `link` are readable for their lengths while the result is used, by the Safety section.
    let bytes = |value| unsafe { aval_bytes(value) };
    Profile {
        publish: link.protocol & RTMP_FEATURE_WRITE != 0,
        live: flag(RTMP_LF_LIVE),
        playlist: flag(RTMP_LF_PLST),
        buffer_events: flag(RTMP_LF_BUFX),
        app: bytes(&link.app),
        tc_url: bytes(&link.tcUrl),
        flash_version: bytes(&link.flashVer),
        swf_url: bytes(&link.swfUrl),
        page_url: bytes(&link.pageUrl),
        stream_name: bytes(&link.playpath),
        auth: bytes(&link.auth),
        auth_flag: flag(RTMP_LF_AUTH),
        subscribe_name: bytes(&link.subscribepath),
        usher_token: bytes(&link.usherToken),
        secure_token: bytes(&link.token),
        user: bytes(&link.pubUser),
        password: bytes(&link.pubPasswd),
        swf_verification: (link.SWFSize != 0).then(|| {
            // SAFETY: the strings of `link` are readable for their lengths while the result is used, by the Safety
            // section; signed and unsigned bytes are laid out alike.
            unsafe { &*(&raw const link.SWFVerificationResponse).cast() }
        }),
        start_ms: link.seekTime,
        stop_ms: link.stopTime,
        capabilities: None,
        all_data: false,
    }
}

/// Shows callers the timestamp of the last message of each chunk stream; the array grows as librtmp's did.
///
/// # Safety
/// `r` points to an initialised `RTMP`.
#[inline(always)]
pub(super) unsafe fn mirror_timestamp(r: *mut RTMP, chunk_stream: usize, timestamp: u32) {
    // SAFETY: `r` points to an initialised `RTMP`, by the Safety section; the array has `m_channelsAllocatedIn` entries
    // and comes from the C allocator.
    unsafe {
        let allocated = usize::try_from((*r).m_channelsAllocatedIn).unwrap_or(0);
        if chunk_stream < allocated || grow_timestamps(r, chunk_stream, allocated) {
            *(*r).m_channelTimestamp.add(chunk_stream) = timestamp as i32;
        }
    }
}

/// Makes room for a chunk stream behind those there is room for; tells whether that was possible.
///
/// # Safety
/// As for [`mirror_timestamp`], whose array has `allocated` entries.
#[cold]
#[inline(never)]
unsafe fn grow_timestamps(r: *mut RTMP, chunk_stream: usize, allocated: usize) -> bool {
    let wanted = (chunk_stream + 10).max(allocated * 2);
    // SAFETY: `r` points to an initialised `RTMP`; its array has `allocated` entries, by the Safety section.
    unsafe {
        let Ok(grown) = memory::grow_zeroed((*r).m_channelTimestamp, allocated, wanted) else { return false };
        (*r).m_channelTimestamp = grown;
        (*r).m_channelsAllocatedIn = wanted as c_int;
    }
    true
}
