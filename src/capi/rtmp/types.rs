//! The structs of `rtmp.h`, their constants and the layouts that compiled programs rely on.

use std::mem::{align_of, offset_of, size_of};

use libc::{c_char, c_int, c_uchar, c_ushort, c_void};

use crate::capi::amf::{AMFObject, AVal};

/// The value of `RTMP_LibVersion`.
pub const RTMP_LIB_VERSION: c_int = 0x020300;
/// Protocol bit: tunnelled over HTTP.
pub const RTMP_FEATURE_HTTP: c_int = 0x01;
/// Protocol bit: encrypted with RTMPE.
pub const RTMP_FEATURE_ENC: c_int = 0x02;
/// Protocol bit: inside TLS.
pub const RTMP_FEATURE_SSL: c_int = 0x04;
/// Protocol bit: RTMFP, which is not implemented.
pub const RTMP_FEATURE_MFP: c_int = 0x08;
/// Protocol bit: publish instead of play.
pub const RTMP_FEATURE_WRITE: c_int = 0x10;
/// Protocol bit: serving a client that tunnels over HTTP.
pub const RTMP_FEATURE_HTTP2: c_int = 0x20;

/// Size of the receive buffer in `RTMPSockBuf`.
pub const RTMP_BUFFER_CACHE_SIZE: usize = 16 * 1024;
/// Size of an SWF hash.
pub const RTMP_SWF_HASHLEN: usize = 32;

/// `Link.lFlags`: `Link.auth` is sent with a true boolean before it.
pub const RTMP_LF_AUTH: c_int = 0x0001;
/// `Link.lFlags`: the stream is live.
pub const RTMP_LF_LIVE: c_int = 0x0002;
/// `Link.lFlags`: hash the SWF file named by `swfUrl`.
pub const RTMP_LF_SWFV: c_int = 0x0004;
/// `Link.lFlags`: send set_playlist before play.
pub const RTMP_LF_PLST: c_int = 0x0008;
/// `Link.lFlags`: pause and resume on buffer-empty events.
pub const RTMP_LF_BUFX: c_int = 0x0010;
/// `Link.lFlags`: `Link.tcUrl` came from malloc and `RTMP_Close` frees it.
pub const RTMP_LF_FTCU: c_int = 0x0020;
/// `Link.lFlags`: `Link.app` came from malloc and `RTMP_Close` frees it.
pub const RTMP_LF_FAPU: c_int = 0x0040;

/// One chunk as it was on the wire.
#[repr(C)]
pub struct RTMPChunk {
    pub c_headerSize: c_int,
    pub c_chunkSize: c_int,
    pub c_chunk: *mut c_char,
    pub c_header: [c_char; 18],
}

/// One message.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct RTMPPacket {
    pub m_headerType: u8,
    pub m_packetType: u8,
    pub m_hasAbsTimestamp: u8,
    pub m_nChannel: c_int,
    pub m_nTimeStamp: u32,
    pub m_nInfoField2: i32,
    pub m_nBodySize: u32,
    pub m_nBytesRead: u32,
    pub m_chunk: *mut RTMPChunk,
    pub m_body: *mut c_char,
}

/// A socket and what was read from it ahead of need.
#[repr(C)]
pub struct RTMPSockBuf {
    pub sb_socket: c_int,
    pub sb_size: c_int,
    pub sb_start: *mut c_char,
    pub sb_buf: [c_char; RTMP_BUFFER_CACHE_SIZE],
    pub sb_timedout: c_int,
    pub sb_ssl: *mut c_void,
}

/// Where to connect and what to say there.
#[repr(C)]
pub struct RTMP_LNK {
    pub hostname: AVal,
    pub sockshost: AVal,
    pub playpath0: AVal,
    pub playpath: AVal,
    pub tcUrl: AVal,
    pub swfUrl: AVal,
    pub pageUrl: AVal,
    pub app: AVal,
    pub auth: AVal,
    pub flashVer: AVal,
    pub subscribepath: AVal,
    pub usherToken: AVal,
    pub token: AVal,
    pub pubUser: AVal,
    pub pubPasswd: AVal,
    pub extras: AMFObject,
    pub edepth: c_int,
    pub seekTime: c_int,
    pub stopTime: c_int,
    pub lFlags: c_int,
    pub swfAge: c_int,
    pub protocol: c_int,
    pub timeout: c_int,
    pub pFlags: c_int,
    pub socksport: c_ushort,
    pub port: c_ushort,
    pub dh: *mut c_void,
    pub rc4keyIn: *mut c_void,
    pub rc4keyOut: *mut c_void,
    pub SWFSize: u32,
    pub SWFHash: [u8; RTMP_SWF_HASHLEN],
    pub SWFVerificationResponse: [c_char; RTMP_SWF_HASHLEN + 10],
}

/// State of `RTMP_Read`.
#[repr(C)]
pub struct RTMP_READ {
    pub buf: *mut c_char,
    pub bufpos: *mut c_char,
    pub buflen: u32,
    pub timestamp: u32,
    pub dataType: u8,
    pub flags: u8,
    pub status: i8,
    pub initialFrameType: u8,
    pub nResumeTS: u32,
    pub metaHeader: *mut c_char,
    pub initialFrame: *mut c_char,
    pub nMetaHeaderSize: u32,
    pub nInitialFrameSize: u32,
    pub nIgnoredFrameCounter: u32,
    pub nIgnoredFlvFrameCounter: u32,
}

/// A command that waits for its result.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct RTMP_METHOD {
    pub name: AVal,
    pub num: c_int,
}

/// A session.
#[repr(C)]
pub struct RTMP {
    pub m_inChunkSize: c_int,
    pub m_outChunkSize: c_int,
    pub m_nBWCheckCounter: c_int,
    pub m_nBytesIn: c_int,
    pub m_nBytesInSent: c_int,
    pub m_nBufferMS: c_int,
    pub m_stream_id: c_int,
    pub m_mediaChannel: c_int,
    pub m_mediaStamp: u32,
    pub m_pauseStamp: u32,
    pub m_pausing: c_int,
    pub m_nServerBW: c_int,
    pub m_nClientBW: c_int,
    pub m_nClientBW2: u8,
    pub m_bPlaying: u8,
    pub m_bSendEncoding: u8,
    pub m_bSendCounter: u8,
    pub m_numInvokes: c_int,
    pub m_numCalls: c_int,
    pub m_methodCalls: *mut RTMP_METHOD,
    pub m_channelsAllocatedIn: c_int,
    pub m_channelsAllocatedOut: c_int,
    pub m_vecChannelsIn: *mut *mut RTMPPacket,
    pub m_vecChannelsOut: *mut *mut RTMPPacket,
    pub m_channelTimestamp: *mut c_int,
    pub m_fAudioCodecs: f64,
    pub m_fVideoCodecs: f64,
    pub m_fEncoding: f64,
    pub m_fDuration: f64,
    pub m_msgCounter: c_int,
    pub m_polling: c_int,
    pub m_resplen: c_int,
    pub m_unackd: c_int,
    pub m_clientID: AVal,
    pub m_read: RTMP_READ,
    pub m_write: RTMPPacket,
    pub m_sb: RTMPSockBuf,
    pub Link: RTMP_LNK,
}
const _: () = assert!(align_of::<c_uchar>() == 1);
const _: () = assert!(size_of::<RTMP>() == 17088 && offset_of!(RTMP, Link) == 16688);
