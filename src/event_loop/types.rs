//! The structs of `loop.h`.

#[cfg(target_pointer_width = "64")]
use std::mem;

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

/// What has happened to a session, for `RTMP_EventCallback`. The library makes it. It and all strings are valid during the call
/// only; strings are not NUL-terminated. Fields that do not belong to the type are 0.
///
/// Later versions add types and fields.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct RTMPEvent {
    /// One of `RTMP_EVENT_*`.
    pub e_type: c_int,
    /// SOCKET: the descriptor, which stays the library's.
    pub e_socket: c_int,
    /// STATUS, DATA, COMMAND: the message stream that it is about; 0 is the connection itself.
    pub e_stream: c_int,
    /// DATA, COMMAND: the message type, `RTMP_PACKET_TYPE_*`.
    pub e_packetType: c_int,
    /// DATA, COMMAND: milliseconds, absolute.
    pub e_timestamp: u32,
    /// STALL: milliseconds for which the send has been waiting since the peer last took a byte.
    pub e_stalled: u32,
    /// STATUS: the command that carries it, `onStatus`, `_result` or `_error`. DATA, COMMAND: the name, the
    /// first string of the message; empty if it does not begin with one.
    pub e_name: AVal,
    /// STATUS: what happened, for example `NetStream.Play.Start`; never empty.
    pub e_code: AVal,
    /// STATUS: `status`, `warning` or `error`; empty if the peer does not say.
    pub e_level: AVal,
    /// STATUS, RECONNECT: what happened, for people; empty if the peer does not say.
    pub e_description: AVal,
    /// RECONNECT: where to connect to, as the server says it; empty for the same place. `RTMP_GetReconnect` returns the
    /// checked URL, also in the callback.
    pub e_url: AVal,
    /// STATUS, COMMAND: the whole command as AMF0 values, for `AMF_Decode`. DATA: the body of the message as it came, AMF0, or
    /// AMF3 if `e_packetType` is `RTMP_PACKET_TYPE_FLEX_STREAM_SEND`.
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
}

/// The numbers of one connection, from its beginning to now, for `RTMP_GetStats`. All are 0 while there is no connection. The
/// next one begins with zeros, also the one that a new login makes.
///
/// Later versions add fields at the end; `s_size` tells them apart.
#[repr(C)]
#[derive(Debug, Clone, Copy, Default)]
pub struct RTMPStats {
    /// In: `sizeof(RTMPStats)`. What lies beyond it is not written.
    pub s_size: u32,
    /// Packets that the system had to send again; 0 where it does not say.
    pub s_retransmissions: u32,
    /// Bytes of RTMP received and used: the handshake and all chunks, without what TLS and HTTP add.
    pub s_bytesIn: u64,
    /// Bytes of RTMP made for the peer, also those that are still queued.
    pub s_bytesOut: u64,
    /// Complete messages received.
    pub s_messagesIn: u64,
    /// Messages made for the peer. `RTMP_SendChunk` makes bytes only.
    pub s_messagesOut: u64,
    /// How many bytes the peer says that it has received (message type 3). Peers say so now and then, some never, and the
    /// library learns it when it receives: a publisher that never reads never does.
    pub s_acknowledged: u64,
    /// Bytes in the queue of this library.
    pub s_queued: u64,
    /// Bytes that the system has taken and the peer's system has not confirmed; 0 where the system does not say.
    pub s_unsent: u64,
    /// Microseconds that a packet takes to the peer and back, as the system has measured it; 0 where it does not say.
    pub s_roundTrip: u32,
    /// Milliseconds for which sending has waited for the peer to take bytes, in all.
    pub s_blocked: u32,
    /// Milliseconds for which a send has been waiting since the peer last took a byte; 0 if none waits.
    pub s_stalled: u32,
    /// Connecting: milliseconds for looking up the host, or the proxy's. This and the following are 0 for a phase that has not
    /// ended, and for one that the connection did not have.
    pub s_lookup: u32,
    /// Connecting: milliseconds to the TCP connection, with the address that answered first.
    pub s_tcp: u32,
    /// Connecting: milliseconds of the proxy's dialog.
    pub s_proxy: u32,
    /// Connecting: milliseconds of the TLS handshake.
    pub s_tls: u32,
    /// Connecting: milliseconds of the RTMP handshake.
    pub s_handshake: u32,
    /// Connecting: milliseconds from the handshake to the answer to `connect`, which `RTMP_ConnectStream` receives.
    pub s_connect: u32,
    /// Connecting: milliseconds from there until the stream plays or may be published.
    pub s_stream: u32,
}

// What C programs were compiled with.
#[cfg(target_pointer_width = "64")]
const _: () = {
    assert!(size_of::<RTMPEvent>() == 120 && mem::offset_of!(RTMPEvent, e_name) == 24);
    assert!(mem::offset_of!(RTMPEvent, e_code) == 40 && mem::offset_of!(RTMPEvent, e_body) == 104);
    assert!(size_of::<RTMPStats>() == 104 && mem::offset_of!(RTMPStats, s_bytesIn) == 8);
    assert!(mem::offset_of!(RTMPStats, s_roundTrip) == 64 && mem::offset_of!(RTMPStats, s_stream) == 100);
};
