//! The structs of `loop.h`.

#[cfg(target_pointer_width = "64")]
use std::mem;
use std::time::Duration;

use libc::{c_char, c_int, c_void};

use crate::{amf::AVal, rtmp::RTMP};

/// A socket was made and is not connected yet.
pub const RTMP_EVENT_SOCKET: c_int = 1;
/// The peer has sent a status.
pub const RTMP_EVENT_STATUS: c_int = 2;
/// The server wants its client to connect again.
pub const RTMP_EVENT_RECONNECT: c_int = 3;
/// The peer has sent data.
pub const RTMP_EVENT_DATA: c_int = 4;
/// The peer has sent a command that the library does not know.
pub const RTMP_EVENT_COMMAND: c_int = 5;
/// A send waits for the peer.
pub const RTMP_EVENT_STALL: c_int = 6;

/// `int (RTMP *r, const RTMPEvent *event, void *arg)`.
pub type RTMP_EventCallback = unsafe extern "C-unwind" fn(*mut RTMP, *const RTMPEvent, *mut c_void) -> c_int;
/// `int (RTMP *r, const char *bytes, int size, void *arg)`.
pub type RTMP_SendCallback =
    unsafe extern "C-unwind" fn(*mut RTMP, *const c_char, c_int, *mut c_void) -> c_int;
/// `void (RTMP *r, int level, const char *line, void *arg)`.
pub type RTMP_SessionLogCallback = unsafe extern "C-unwind" fn(*mut RTMP, c_int, *const c_char, *mut c_void);

/// An event of a session, for `RTMP_EventCallback`.
///
/// The event and its strings belong to the library and are valid only during the call. Strings are not NUL-terminated. Fields
/// that the type does not use are 0. Later versions may add types and fields.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct RTMPEvent {
    /// One of `RTMP_EVENT_*`.
    pub e_type: c_int,
    /// SOCKET: the descriptor, which belongs to the library.
    pub e_socket: c_int,
    /// STATUS, DATA, COMMAND: the message stream; 0 is the connection itself.
    pub e_stream: c_int,
    /// DATA, COMMAND: the message type, `RTMP_PACKET_TYPE_*`.
    pub e_packetType: c_int,
    /// DATA, COMMAND: the timestamp in milliseconds, absolute.
    pub e_timestamp: u32,
    /// STALL: milliseconds since the peer last accepted a byte.
    pub e_stalled: u32,
    /// STATUS: the name of the command: `onStatus`, `_result` or `_error`. DATA, COMMAND: the first string of the message;
    /// empty if it does not start with a string.
    pub e_name: AVal,
    /// STATUS: the status code, for example `NetStream.Play.Start`; never empty.
    pub e_code: AVal,
    /// STATUS: `status`, `warning` or `error`; empty if the peer sent none.
    pub e_level: AVal,
    /// STATUS, RECONNECT: a description for people; empty if the peer sent none.
    pub e_description: AVal,
    /// RECONNECT: the URL to connect to, as the server sent it; empty for the same URL. `RTMP_GetReconnect` returns the
    /// checked URL, also in the callback.
    pub e_url: AVal,
    /// STATUS, COMMAND: the whole command as AMF0 values, for `AMF_Decode`. DATA: the unchanged body of the message: AMF0, or AMF3
    /// if `e_packetType` is `RTMP_PACKET_TYPE_FLEX_STREAM_SEND`.
    pub e_body: AVal,
}

impl RTMPEvent {
    /// An event of this type about which nothing is said.
    pub(crate) const fn of(kind: c_int) -> Self {
        Self {
            e_type: kind,
            e_socket: 0,
            e_stream: 0,
            e_packetType: 0,
            e_timestamp: 0,
            e_stalled: 0,
            e_name: AVal::EMPTY,
            e_code: AVal::EMPTY,
            e_level: AVal::EMPTY,
            e_description: AVal::EMPTY,
            e_url: AVal::EMPTY,
            e_body: AVal::EMPTY,
        }
    }

    /// The peer has accepted nothing for this time.
    pub(crate) fn stall(stalled: Duration) -> Self {
        let e_stalled = u32::try_from(stalled.as_millis()).unwrap_or(u32::MAX);
        Self { e_stalled, ..Self::of(RTMP_EVENT_STALL) }
    }
}

/// The statistics of the current connection, for `RTMP_GetStats`.
///
/// All are 0 while there is no connection. Each connection starts with zeros, also one that a new login makes. Later versions may
/// add fields at the end; `s_size` tells versions apart.
#[repr(C)]
#[derive(Debug, Clone, Copy, Default)]
pub struct RTMPStats {
    /// In: `sizeof(RTMPStats)`. No more bytes are written.
    pub s_size: u32,
    /// TCP segments that the system sent again; 0 if it does not report them.
    pub s_retransmissions: u32,
    /// RTMP bytes received and processed: handshake and chunks, without the overhead of TLS and HTTP.
    pub s_bytesIn: u64,
    /// RTMP bytes made for the peer, including queued ones.
    pub s_bytesOut: u64,
    /// Complete messages received.
    pub s_messagesIn: u64,
    /// Messages made for the peer. `RTMP_SendChunk` does not count as one.
    pub s_messagesOut: u64,
    /// Bytes that the peer has acknowledged (message type 3). Some peers never acknowledge. The number changes only when the
    /// program reads.
    pub s_acknowledged: u64,
    /// Bytes that are queued in the library.
    pub s_queued: u64,
    /// Bytes in the system's send buffer that the peer's system has not confirmed; 0 if the system does not report them.
    pub s_unsent: u64,
    /// Round trip time in microseconds, as the system has measured it; 0 if it does not report it.
    pub s_roundTrip: u32,
    /// Milliseconds in total during which sending waited for the peer.
    pub s_blocked: u32,
    /// Milliseconds since the peer last accepted a byte, while a send waits; otherwise 0.
    pub s_stalled: u32,
    /// Connecting: milliseconds of the look-up of the host or the proxy. This and the following fields are 0 for a phase that has
    /// not ended or that the connection does not have.
    pub s_lookup: u32,
    /// Connecting: milliseconds of the TCP connection, to the address that answered first.
    pub s_tcp: u32,
    /// Connecting: milliseconds of the exchange with the proxy.
    pub s_proxy: u32,
    /// Connecting: milliseconds of the TLS handshake.
    pub s_tls: u32,
    /// Connecting: milliseconds of the RTMP handshake.
    pub s_handshake: u32,
    /// Connecting: milliseconds from the handshake to the answer to `connect`, which `RTMP_ConnectStream` receives.
    pub s_connect: u32,
    /// Connecting: milliseconds from that answer until the stream plays or can be published.
    pub s_stream: u32,
}

// The layout that C programs were compiled with.
#[cfg(target_pointer_width = "64")]
const _: () = {
    assert!(size_of::<RTMPEvent>() == 120 && mem::offset_of!(RTMPEvent, e_name) == 24);
    assert!(mem::offset_of!(RTMPEvent, e_code) == 40 && mem::offset_of!(RTMPEvent, e_body) == 104);
    assert!(size_of::<RTMPStats>() == 104 && mem::offset_of!(RTMPStats, s_bytesIn) == 8);
    assert!(mem::offset_of!(RTMPStats, s_roundTrip) == 64 && mem::offset_of!(RTMPStats, s_stream) == 100);
};
