//! Statistics of a TCP connection from Linux, which `ss -ti` shows, too: a netlink request, as in `sock_diag(7)`.
//!
//! `getsockopt` with `TCP_INFO` returns the same numbers, but no crate has it as a safe function, and this crate has no unsafe
//! code. Systems that refuse netlink to programs, such as Android, report nothing.

use std::{net::SocketAddr, time::Duration};

use rustix::net::{
    AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, netlink, recv, send, socket_with, sockopt,
};
use socket2::Socket;

/// The system's measurements of a connection.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct TcpInfo {
    /// Bytes that the peer's system has not confirmed.
    pub(super) unsent: u64,
    pub(super) round_trip: Duration,
    /// Packets that were sent again.
    pub(super) retransmissions: u64,
}

// linux/netlink.h, linux/sock_diag.h and linux/inet_diag.h.
const SOCK_DIAG_BY_FAMILY: u16 = 20;
const NLM_F_REQUEST: u16 = 1;
const INET_DIAG_INFO: u16 = 2;
/// `struct nlmsghdr`, `struct inet_diag_req_v2`, `struct inet_diag_msg`.
const HEADER: usize = 16;
const REQUEST: usize = 56;
const ANSWER: usize = 72;
/// Where `struct inet_diag_msg` has `idiag_wqueue`.
const WRITE_QUEUE: usize = 60;
/// Where `struct tcp_info` (linux/tcp.h), which only ever grows, has `tcpi_rtt` and `tcpi_total_retrans`.
const ROUND_TRIP: usize = 68;
const RETRANSMISSIONS: usize = 100;

impl TcpInfo {
    /// The numbers of a connected socket; `None` if the system does not say. Never waits: the answer is there when the
    /// request has been sent.
    pub(super) fn of(socket: &Socket) -> Option<Self> {
        let near = socket.local_addr().ok()?.as_socket()?;
        let far = socket.peer_addr().ok()?.as_socket()?;
        let cookie = sockopt::socket_cookie(socket).ok()?;
        let flags = SocketFlags::CLOEXEC;
        let system =
            socket_with(AddressFamily::NETLINK, SocketType::DGRAM, flags, Some(netlink::SOCK_DIAG)).ok()?;
        send(&system, &request(near, far, cookie), SendFlags::DONTWAIT).ok()?;
        let mut answer = [0; 2048];
        let (_, len) = recv(&system, &mut answer[..], RecvFlags::DONTWAIT).ok()?;
        parse(answer.get(..len)?)
    }
}

/// The question about one connection, of which the system knows the number `cookie`.
fn request(near: SocketAddr, far: SocketAddr, cookie: u64) -> Vec<u8> {
    const TCP: u8 = 6;
    let family = if near.is_ipv4() { AddressFamily::INET } else { AddressFamily::INET6 };
    let mut bytes = Vec::with_capacity(HEADER + REQUEST);
    bytes.extend(((HEADER + REQUEST) as u32).to_ne_bytes());
    bytes.extend(SOCK_DIAG_BY_FAMILY.to_ne_bytes());
    bytes.extend(NLM_F_REQUEST.to_ne_bytes());
    // Sequence number and sender.
    bytes.extend([0; 8]);
    bytes.extend([family.as_raw() as u8, TCP, 1 << (INET_DIAG_INFO - 1), 0]);
    // All states.
    bytes.extend(u32::MAX.to_ne_bytes());
    bytes.extend(near.port().to_be_bytes());
    bytes.extend(far.port().to_be_bytes());
    bytes.extend(octets(near));
    bytes.extend(octets(far));
    // Any interface, except that addresses of one link have a meaning there alone.
    bytes.extend(scope(far).to_ne_bytes());
    bytes.extend((cookie as u32).to_ne_bytes());
    bytes.extend(((cookie >> 32) as u32).to_ne_bytes());
    bytes
}

fn octets(address: SocketAddr) -> [u8; 16] {
    match address {
        SocketAddr::V4(address) => {
            let mut octets = [0; 16];
            octets[..4].copy_from_slice(&address.ip().octets());
            octets
        }
        SocketAddr::V6(address) => address.ip().octets(),
    }
}

fn scope(address: SocketAddr) -> u32 {
    match address {
        SocketAddr::V4(_) => 0,
        SocketAddr::V6(address) => address.scope_id(),
    }
}

/// The numbers in an answer; `None` for a refusal.
fn parse(answer: &[u8]) -> Option<TcpInfo> {
    let len = usize::try_from(u32_at(answer, 0)?).ok()?;
    let answer = answer.get(..len)?;
    if u16_at(answer, 4)? != SOCK_DIAG_BY_FAMILY {
        return None;
    }
    let unsent = u32_at(answer, HEADER + WRITE_QUEUE)?.into();
    let mut attributes = answer.get(HEADER + ANSWER..)?;
    while let (Some(len), Some(kind)) = (u16_at(attributes, 0), u16_at(attributes, 2)) {
        let attribute = attributes.get(..usize::from(len)).filter(|attribute| attribute.len() >= 4)?;
        if kind == INET_DIAG_INFO {
            return Some(TcpInfo {
                unsent,
                round_trip: Duration::from_micros(u32_at(attribute, 4 + ROUND_TRIP)?.into()),
                retransmissions: u32_at(attribute, 4 + RETRANSMISSIONS)?.into(),
            });
        }
        attributes = attributes.get(usize::from(len).next_multiple_of(4)..)?;
    }
    None
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    bytes.get(at..)?.first_chunk().copied().map(u32::from_ne_bytes)
}

fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    bytes.get(at..)?.first_chunk().copied().map(u16::from_ne_bytes)
}

#[cfg(test)]
mod tests {
    use std::{
        io::{Read, Write},
        net::{TcpListener, TcpStream},
    };

    use super::*;

    /// A connection, its other end, and the first end as the code has it.
    fn connection(address: &str) -> Option<(Socket, TcpStream)> {
        let listener = TcpListener::bind(address).ok()?;
        let near = TcpStream::connect(listener.local_addr().ok()?).ok()?;
        Some((near.into(), listener.accept().ok()?.0))
    }

    #[test]
    fn the_system_reports_the_round_trip_and_what_the_peer_has_not_read() {
        for address in ["127.0.0.1:0", "[::1]:0"] {
            let Some((near, mut far)) = connection(address) else { continue };
            far.write_all(b"x").unwrap();
            (&near).read_exact(&mut [0]).unwrap();
            let before = TcpInfo::of(&near).expect("Linux answers");
            assert!(before.round_trip > Duration::ZERO && before.unsent == 0, "{before:?}");
            near.set_nonblocking(true).unwrap();
            // The peer's buffer and ours: whatever does not fit into the peer's is unsent.
            while (&near).write(&[0; 65536]).is_ok() {}
            let after = TcpInfo::of(&near).expect("Linux answers");
            assert!(after.unsent > 0, "{after:?}");
        }
    }

    #[test]
    fn a_connection_with_another_number_is_not_found() {
        let (near, _far) = connection("127.0.0.1:0").expect("loopback");
        let (own, peer) = (near.local_addr().unwrap(), near.peer_addr().unwrap());
        let system = socket_with(
            AddressFamily::NETLINK,
            SocketType::DGRAM,
            SocketFlags::CLOEXEC,
            Some(netlink::SOCK_DIAG),
        )
        .unwrap();
        let wrong = request(own.as_socket().unwrap(), peer.as_socket().unwrap(), 1 << 40);
        send(&system, &wrong, SendFlags::DONTWAIT).unwrap();
        let mut answer = [0; 2048];
        let (_, len) = recv(&system, &mut answer[..], RecvFlags::DONTWAIT).unwrap();
        assert_eq!(parse(&answer[..len]), None);
    }

    #[test]
    fn an_answer_that_is_cut_anywhere_reports_nothing() {
        let mut answer = vec![0; HEADER + ANSWER];
        answer[4..6].copy_from_slice(&SOCK_DIAG_BY_FAMILY.to_ne_bytes());
        answer[HEADER + WRITE_QUEUE] = 7;
        // Another attribute, with padding, in front.
        answer.extend([5_u16.to_ne_bytes(), 8_u16.to_ne_bytes()].concat());
        answer.extend([1, 0, 0, 0]);
        answer.extend([(4 + 104_u16).to_ne_bytes(), INET_DIAG_INFO.to_ne_bytes()].concat());
        let mut info = [0; 104];
        info[ROUND_TRIP..ROUND_TRIP + 4].copy_from_slice(&250_u32.to_ne_bytes());
        info[RETRANSMISSIONS..].copy_from_slice(&3_u32.to_ne_bytes());
        answer.extend(info);
        let len = answer.len();
        answer[..4].copy_from_slice(&(len as u32).to_ne_bytes());
        let whole = TcpInfo { unsent: 7, round_trip: Duration::from_micros(250), retransmissions: 3 };
        assert_eq!(parse(&answer), Some(whole));
        for cut in 0..len {
            assert_eq!(parse(&answer[..cut]), None, "{cut}");
            let mut shorter = answer[..cut].to_vec();
            if let Some(place) = shorter.first_chunk_mut::<4>() {
                *place = (cut as u32).to_ne_bytes();
            }
            assert_eq!(parse(&shorter), None, "{cut}");
        }
    }
}
