//! The structs of `loop.h`.

use crate::layout::assert_layout;

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

assert_layout! {
    RTMPStats: 104 {
        s_size @ 0, s_retransmissions @ 4, s_bytesIn @ 8, s_bytesOut @ 16, s_messagesIn @ 24, s_messagesOut @ 32,
        s_acknowledged @ 40, s_queued @ 48, s_unsent @ 56, s_roundTrip @ 64, s_blocked @ 68, s_stalled @ 72,
        s_lookup @ 76, s_tcp @ 80, s_proxy @ 84, s_tls @ 88, s_handshake @ 92, s_connect @ 96, s_stream @ 100,
    }
}
