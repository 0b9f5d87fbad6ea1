//! The structs of `rtmp.h`, their constants and the layouts that compiled programs rely on.

use libc::{c_char, c_int, c_uint, c_ushort, c_void};

use crate::{
    amf::{AMFObject, AVal},
    layout::assert_layout,
    memory::RTMP_MAX_HEADER_SIZE,
};

/// The value of `RTMP_LibVersion`.
pub const RTMP_LIB_VERSION: c_int = 0x020300;
/// Protocol bit: tunnelled over HTTP.
pub const RTMP_FEATURE_HTTP: c_int = 0x01;
/// Protocol bit: encrypted with RTMPE.
pub const RTMP_FEATURE_ENC: c_int = 0x02;
/// Protocol bit: inside TLS.
pub const RTMP_FEATURE_SSL: c_int = 0x04;
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

/// A chunk with its header, as it is on the wire.
///
/// `RTMP_ReadPacket` fills the one that `RTMPPacket.m_chunk` points to; `RTMP_SendChunk` sends one.
#[repr(C)]
#[derive(Debug)]
pub struct RTMPChunk {
    /// Number of bytes used in `c_header`.
    pub c_headerSize: c_int,
    /// Number of bytes at `c_chunk`.
    pub c_chunkSize: c_int,
    /// Payload. After reading, it points into the body of the packet and lives as long as that does; while the message
    /// is incomplete, it is valid until the next call. For sending, it belongs to the caller and is only read.
    pub c_chunk: *mut c_char,
    /// Header bytes.
    pub c_header: [c_char; RTMP_MAX_HEADER_SIZE],
}

/// A message, or the part of it that has arrived.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct RTMPPacket {
    /// Header format, one of `RTMP_PACKET_SIZE_*`: that of the chunk that was read, or the requested one when sending.
    /// `RTMP_SendPacket` may choose another and then stores it here.
    pub m_headerType: u8,
    /// Message type, one of `RTMP_PACKET_TYPE_*`.
    pub m_packetType: u8,
    /// Out: not 0 if the header of the chunk that was read has an absolute timestamp. Ignored when sending.
    pub m_hasAbsTimestamp: u8,
    /// Chunk stream id, 2 to 65599.
    pub m_nChannel: c_int,
    /// Milliseconds: absolute once the message is complete, and always absolute when sending.
    pub m_nTimeStamp: u32,
    /// Message stream id.
    pub m_nInfoField2: i32,
    /// Number of bytes of the whole body.
    pub m_nBodySize: u32,
    /// Out: number of bytes of the body that have arrived, equal to `m_nBodySize` when the message is complete
    /// (`RTMPPacket_IsReady`). Ignored when sending.
    pub m_nBytesRead: u32,
    /// In, may be NULL: where `RTMP_ReadPacket` stores the chunk it reads. It belongs to the caller, who keeps it alive
    /// until the message is complete. Ignored when sending.
    pub m_chunk: *mut RTMPChunk,
    /// Body, or NULL. A body from `RTMPPacket_Alloc` or `RTMP_ReadPacket` belongs to the caller, who frees it with
    /// `RTMPPacket_Free`; its memory block starts `RTMP_MAX_HEADER_SIZE` bytes earlier. For sending, any memory works,
    /// and it still belongs to the caller.
    pub m_body: *mut c_char,
}

/// A socket and its receive buffer.
///
/// `sb_start` may point into the struct itself: do not move it while `sb_size` is not 0.
#[repr(C)]
#[derive(Debug)]
pub struct RTMPSockBuf {
    /// Socket descriptor, -1 when there is none. A caller may store a connected socket of its own here.
    pub sb_socket: c_int,
    /// Number of unread bytes at `sb_start`. While it is not 0, a read may succeed without the socket being readable:
    /// check it before waiting with `select`.
    pub sb_size: c_int,
    /// First unread byte. It is in `sb_buf`, or in a larger buffer of the library while a peer sends fast, and valid
    /// until the next call that reads or ends the connection.
    pub sb_start: *mut c_char,
    /// Received bytes, unless they are in the library's larger buffer.
    pub sb_buf: [c_char; RTMP_BUFFER_CACHE_SIZE],
    /// Out: not 0 if the last read ended because of a timeout.
    pub sb_timedout: c_int,
    /// TLS session, private to the library; NULL without TLS.
    pub sb_ssl: *mut c_void,
}

/// Settings of a connection.
///
/// The strings are borrowed: a caller that sets one, directly or through `RTMP_SetupURL`, `RTMP_SetupStream` or
/// `RTMP_SetOpt`, keeps its memory unchanged until `RTMP_Close` has returned. Most strings are not NUL-terminated:
/// use their lengths.
#[repr(C)]
#[derive(Debug)]
pub struct RTMP_LNK {
    /// Host name or address of the server.
    pub hostname: AVal,
    /// Proxy without its port. A host name or address is a SOCKS4 proxy. For others it is a URL without a port, for
    /// example `socks5://user:password@host`; the schemes are `socks4`, `socks4a`, `socks5`, `http` (CONNECT) and `https`
    /// (CONNECT in TLS). An IPv6 address is in brackets, and user and password may contain escapes such as `%40`. A SOCKS4
    /// proxy receives the address of the server, or its name if the local look-up fails; the others always receive the
    /// name. Empty for none.
    pub sockshost: AVal,
    /// Stream name taken from the URL. Allocated by the library and freed by `RTMP_Close`.
    pub playpath0: AVal,
    /// Stream name to play or publish: `playpath0`, or one that was set explicitly.
    pub playpath: AVal,
    /// URL of the application, sent to the server.
    pub tcUrl: AVal,
    /// URL of the SWF player. It is sent to the server, and the file is hashed for SWF verification.
    pub swfUrl: AVal,
    /// URL of the page, sent to the server.
    pub pageUrl: AVal,
    /// Application on the server.
    pub app: AVal,
    /// Sent after the `connect` command unless it is empty; see `RTMP_LF_AUTH`.
    pub auth: AVal,
    /// Flash version, sent to the server.
    pub flashVer: AVal,
    /// Stream to subscribe to. If it is empty, live streams use `playpath`.
    pub subscribepath: AVal,
    /// Token for Justin.tv's usher service; empty for none.
    pub usherToken: AVal,
    /// Key for answering a SecureToken challenge; empty for none.
    pub token: AVal,
    /// User name of the publisher, for servers that require a login.
    pub pubUser: AVal,
    /// Password for `pubUser`.
    pub pubPasswd: AVal,
    /// Values appended to the `connect` command, in this order. The array is from `malloc`; free it with `AMF_Reset`,
    /// because `RTMP_Close` does not. Its strings are borrowed like the others here.
    pub extras: AMFObject,
    /// Number of objects at the end of `extras` that `conn` options have not closed yet.
    pub edepth: c_int,
    /// Where to start playing, in milliseconds. Not used for live streams.
    pub seekTime: c_int,
    /// Where to stop playing, in milliseconds; 0 plays to the end.
    pub stopTime: c_int,
    /// Switches, `RTMP_LF_*` combined.
    pub lFlags: c_int,
    /// Days for which a cached SWF hash is used without asking the server again.
    pub swfAge: c_int,
    /// One of `RTMP_PROTOCOL_*`, with `RTMP_FEATURE_WRITE` added for publishing.
    pub protocol: c_int,
    /// Limit in seconds for each phase of connecting (look-up and connection, TLS, tunnel, handshake), for each wait
    /// for data, for each message sent, and for closing. For a socket that the program itself opened, the timeouts of
    /// that socket apply instead, if it has any. A value of 0 or less disables the limit, except while closing. Avoid
    /// it.
    pub timeout: c_int,
    /// Private to the library.
    pub pFlags: c_int,
    /// Port of the proxy; 0 for no proxy.
    pub socksport: c_ushort,
    /// Port of the server.
    pub port: c_ushort,
    /// Key exchange, private to the library; NULL while there is none.
    pub dh: *mut c_void,
    /// RTMPE key for reading, private to the library; NULL while there is none.
    pub rc4keyIn: *mut c_void,
    /// RTMPE key for writing, private to the library; NULL while there is none.
    pub rc4keyOut: *mut c_void,
    /// Size of the uncompressed SWF file in bytes; 0 disables SWF verification.
    pub SWFSize: u32,
    /// Hash of the uncompressed SWF file, see `RTMP_HashSWF`.
    pub SWFHash: [u8; RTMP_SWF_HASHLEN],
    /// Out: answer to the server's verification request, known after the handshake. `RTMP_SWF_HASHLEN + 10` bytes.
    pub SWFVerificationResponse: [c_char; 42],
}

/// State of `RTMP_Read`.
///
/// The fields for resuming are set by the caller after connecting and before the first `RTMP_Read`; the memory they
/// point to stays the caller's and is only read.
#[repr(C)]
#[derive(Debug)]
pub struct RTMP_READ {
    /// Block that holds data not yet returned; NULL when there is none. Private to the library.
    pub buf: *mut c_char,
    /// Next byte to return, inside `buf`.
    pub bufpos: *mut c_char,
    /// Number of bytes left at `bufpos`.
    pub buflen: c_uint,
    /// Milliseconds: timestamp of the last tag that was returned.
    pub timestamp: u32,
    /// The content that the FLV header announces: 1 for video, 4 for audio, 5 for both.
    pub dataType: u8,
    /// Switches, `RTMP_READ_*` flags combined.
    pub flags: u8,
    /// Out: why no more data arrives, one of `RTMP_READ_COMPLETE`, `RTMP_READ_ERROR` and `RTMP_READ_EOF`; otherwise 0.
    pub status: i8,
    /// Resuming: message type of `initialFrame`, 8 for audio or 9 for video.
    pub initialFrameType: u8,
    /// Resuming: timestamp of `initialFrame` in milliseconds.
    pub nResumeTS: u32,
    /// Resuming: body of the metadata tag that the caller already has, or NULL.
    pub metaHeader: *mut c_char,
    /// Resuming: body of the last key frame that the caller already has. Output starts after it in the stream.
    pub initialFrame: *mut c_char,
    /// Resuming: number of bytes at `metaHeader`; 0 skips the comparison.
    pub nMetaHeaderSize: u32,
    /// Resuming: number of bytes at `initialFrame`.
    pub nInitialFrameSize: u32,
    /// Resuming: number of messages skipped while looking for `initialFrame`.
    pub nIgnoredFrameCounter: u32,
    /// Resuming: the same for messages that hold several FLV tags.
    pub nIgnoredFlvFrameCounter: u32,
}

/// A command that waits for its result.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct RTMP_METHOD {
    /// Name of the command, NUL-terminated, from `malloc`.
    pub name: AVal,
    /// Its transaction id.
    pub num: c_int,
}

/// A session: one connection to a server or, after `RTMP_Serve`, to a client.
///
/// Memory for it comes from `RTMP_Alloc` or from the caller; `RTMP_Init` fills it. One thread may read from it while
/// another sends, and any thread may call `RTMP_Abort`, or `shutdown` on its socket, in order to end calls that wait.
/// Fields that are not described as private may be read between calls, those marked "In" may be written too.
#[repr(C)]
#[derive(Debug)]
pub struct RTMP {
    /// Number of payload bytes per chunk from the peer: 128 after a handshake, then the value of its Set Chunk Size
    /// message. In, for callers that process that message themselves.
    pub m_inChunkSize: c_int,
    /// Number of payload bytes per chunk to the peer. In: a value other than 128, from 1 to 0xFFFFFF, that is set
    /// before `RTMP_Connect`, `RTMP_Connect1` or `RTMP_Serve` is announced to the peer before any other message and
    /// then used, on every connection. While connected, change it directly after sending a message of type
    /// `RTMP_PACKET_TYPE_CHUNK_SIZE` with the same value.
    pub m_outChunkSize: c_int,
    /// Number of bandwidth checks of the server that were answered.
    pub m_nBWCheckCounter: c_int,
    /// Number of bytes received and processed, modulo 2^32. Unread bytes in `m_sb` and the overhead of a tunnel are not
    /// counted.
    pub m_nBytesIn: c_int,
    /// `m_nBytesIn` when it was last reported to the peer.
    pub m_nBytesInSent: c_int,
    /// Milliseconds of media that the server is asked to send ahead, see `RTMP_SetBufferMS`.
    pub m_nBufferMS: c_int,
    /// Message stream id of the stream; 0 before there is one, -1 after it was closed. A publisher's messages carry it
    /// in `m_nInfoField2`.
    pub m_stream_id: c_int,
    /// Chunk stream id of the first audio or video message; 0 before the first one.
    pub m_mediaChannel: c_int,
    /// Timestamp of the last audio or video message in milliseconds. It does not change while the stream is paused.
    pub m_mediaStamp: u32,
    /// Where the stream was paused, in milliseconds.
    pub m_pauseStamp: u32,
    /// 0 playing, 1 pause requested, 2 paused, 3 continuing.
    pub m_pausing: c_int,
    /// In: window acknowledgement size in bytes. `RTMP_SendServerBW` sends it, and so does a player once it is
    /// connected. The peer's own value replaces it; the library acknowledges received data before half of it has
    /// arrived.
    pub m_nServerBW: c_int,
    /// In: limit for the peer's bandwidth in bytes, which `RTMP_SendClientBW` sends. A limit from the peer replaces it;
    /// the library acknowledges each tenth of it.
    pub m_nClientBW: c_int,
    /// In: kind of the limit in `m_nClientBW`: 0 hard, 1 soft, 2 dynamic, 255 if the peer did not specify it.
    pub m_nClientBW2: u8,
    /// Not 0 while a stream plays or is published.
    pub m_bPlaying: u8,
    /// In: if not 0, the `connect` command contains `m_fEncoding` even if it is 0.
    pub m_bSendEncoding: u8,
    /// In: if not 0, the library acknowledges received bytes. `RTMP_Connect` sets it.
    pub m_bSendCounter: u8,
    /// Last transaction id used.
    pub m_numInvokes: c_int,
    /// Number of entries in `m_methodCalls`.
    pub m_numCalls: c_int,
    /// Commands that wait for results; see `RTMP_DropRequest`. NULL when there are none.
    pub m_methodCalls: *mut RTMP_METHOD,
    /// Number of entries in `m_channelTimestamp`.
    pub m_channelsAllocatedIn: c_int,
    /// Private to the library.
    pub m_channelsAllocatedOut: c_int,
    /// Not used, always NULL.
    pub m_vecChannelsIn: *mut *mut RTMPPacket,
    /// Private to the library.
    pub m_vecChannelsOut: *mut *mut RTMPPacket,
    /// Absolute timestamp of the last complete message in milliseconds, indexed by chunk stream id.
    pub m_channelTimestamp: *mut c_int,
    /// In: audio codecs, sent in the `connect` command.
    pub m_fAudioCodecs: f64,
    /// In: video codecs, sent in the `connect` command.
    pub m_fVideoCodecs: f64,
    /// In: object encoding, sent in the `connect` command: 0 for AMF0, 3 for AMF3.
    pub m_fEncoding: f64,
    /// Duration of the stream in seconds, from its metadata; 0 while it is unknown.
    pub m_fDuration: f64,
    /// RTMPT: number of the next request.
    pub m_msgCounter: c_int,
    /// RTMPT: polling interval that the server recommends.
    pub m_polling: c_int,
    /// RTMPT: number of unread bytes of the current response.
    pub m_resplen: c_int,
    /// RTMPT: number of requests without a response.
    pub m_unackd: c_int,
    /// RTMPT: session id, from `malloc`, freed by `RTMP_Close`.
    pub m_clientID: AVal,
    /// State of `RTMP_Read`.
    pub m_read: RTMP_READ,
    /// State of `RTMP_Write`: the message in progress.
    pub m_write: RTMPPacket,
    /// The socket and its receive buffer.
    pub m_sb: RTMPSockBuf,
    /// Settings of the connection.
    pub Link: RTMP_LNK,
}

assert_layout! {
    RTMPChunk: 40 { c_headerSize @ 0, c_chunkSize @ 4, c_chunk @ 8, c_header @ 16 }

    RTMPPacket: 40 {
        m_headerType @ 0, m_packetType @ 1, m_hasAbsTimestamp @ 2, m_nChannel @ 4, m_nTimeStamp @ 8,
        m_nInfoField2 @ 12, m_nBodySize @ 16, m_nBytesRead @ 20, m_chunk @ 24, m_body @ 32,
    }

    RTMPSockBuf: 16416 {
        sb_socket @ 0, sb_size @ 4, sb_start @ 8, sb_buf @ 16, sb_timedout @ 16400, sb_ssl @ 16408,
    }

    RTMP_LNK: 400 {
        hostname @ 0, sockshost @ 16, playpath0 @ 32, playpath @ 48, tcUrl @ 64, swfUrl @ 80, pageUrl @ 96, app @ 112,
        auth @ 128, flashVer @ 144, subscribepath @ 160, usherToken @ 176, token @ 192, pubUser @ 208,
        pubPasswd @ 224, extras @ 240, edepth @ 256, seekTime @ 260, stopTime @ 264, lFlags @ 268, swfAge @ 272,
        protocol @ 276, timeout @ 280, pFlags @ 284, socksport @ 288, port @ 290, dh @ 296, rc4keyIn @ 304,
        rc4keyOut @ 312, SWFSize @ 320, SWFHash @ 324, SWFVerificationResponse @ 356,
    }

    RTMP_READ: 64 {
        buf @ 0, bufpos @ 8, buflen @ 16, timestamp @ 20, dataType @ 24, flags @ 25, status @ 26,
        initialFrameType @ 27, nResumeTS @ 28, metaHeader @ 32, initialFrame @ 40, nMetaHeaderSize @ 48,
        nInitialFrameSize @ 52, nIgnoredFrameCounter @ 56, nIgnoredFlvFrameCounter @ 60,
    }

    RTMP_METHOD: 24 { name @ 0, num @ 16 }

    RTMP: 17088 {
        m_inChunkSize @ 0, m_outChunkSize @ 4, m_nBWCheckCounter @ 8, m_nBytesIn @ 12, m_nBytesInSent @ 16,
        m_nBufferMS @ 20, m_stream_id @ 24, m_mediaChannel @ 28, m_mediaStamp @ 32, m_pauseStamp @ 36, m_pausing @ 40,
        m_nServerBW @ 44, m_nClientBW @ 48, m_nClientBW2 @ 52, m_bPlaying @ 53, m_bSendEncoding @ 54,
        m_bSendCounter @ 55, m_numInvokes @ 56, m_numCalls @ 60, m_methodCalls @ 64, m_channelsAllocatedIn @ 72,
        m_channelsAllocatedOut @ 76, m_vecChannelsIn @ 80, m_vecChannelsOut @ 88, m_channelTimestamp @ 96,
        m_fAudioCodecs @ 104, m_fVideoCodecs @ 112, m_fEncoding @ 120, m_fDuration @ 128, m_msgCounter @ 136,
        m_polling @ 140, m_resplen @ 144, m_unackd @ 148, m_clientID @ 152, m_read @ 168, m_write @ 232, m_sb @ 272,
        Link @ 16688,
    }
}

impl RTMPPacket {
    /// All zero: an empty packet without a body.
    pub(crate) const EMPTY: Self = Self {
        m_headerType: 0,
        m_packetType: 0,
        m_hasAbsTimestamp: 0,
        m_nChannel: 0,
        m_nTimeStamp: 0,
        m_nInfoField2: 0,
        m_nBodySize: 0,
        m_nBytesRead: 0,
        m_chunk: std::ptr::null_mut(),
        m_body: std::ptr::null_mut(),
    };
}
