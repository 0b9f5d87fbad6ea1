//! Connecting to a server.

use std::{net::SocketAddr, ptr};

use libc::{c_int, sockaddr};
use rtmp_core::{
    error::{Error, Result},
    net::Entry,
    text::{self, Text},
};
use socket2::{Domain, SockAddr, SockAddrStorage};

use super::{
    RTMP_FEATURE_WRITE,
    close::close_to_reconnect,
    options::{APP, TC_URL},
    url::owned,
    view::Packet,
};
use crate::{
    FALSE, TRUE,
    boundary::{Kind, boundary},
    fields,
    progress::{Opening, Stage, What},
    ptr::required,
    reason::{self, During, Failure, Phase},
    state::{Fact, Handle},
    valid::{Rtmp, field},
};

/// Connects to the server that `Link` names: it looks up the host, connects, does the handshake and sends the `connect`
/// command. `RTMP_ConnectStream` waits for the answer.
///
/// If `cp` is not NULL, the function sends it instead of the library's own `connect` command; it still belongs to the
/// caller. If `m_outChunkSize` is not 128, the function announces that size to the server first.
///
/// Returns TRUE when the command was sent, or FALSE.
///
/// Fails with `RTMP_ERR_URL` without a host, `RTMP_ERR_RESOLVE` if the host was not found, `RTMP_ERR_CONNECT` if it did
/// not accept the connection, `RTMP_ERR_PROXY`, `RTMP_ERR_TLS` or `RTMP_ERR_HANDSHAKE` if that step failed,
/// `RTMP_ERR_TIMEDOUT` if one of the steps took longer than `Link.timeout`, `RTMP_ERR_ABORTED` after `RTMP_Abort`, and
/// `RTMP_ERR_UNSUPPORTED` if this library was built without what the protocol needs.
///
/// # Safety
/// `r` is null or points to an initialised `RTMP`; `cp` is null or points to an `RTMPPacket` whose body is readable for
/// `m_nBodySize` bytes.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn RTMP_Connect(r: Option<Rtmp<'_>>, cp: Option<Packet<'_>>) -> c_int {
    boundary(Kind::Waits, FALSE, |_| {
        let r = reason::start_afresh(r)?;
        let handle = Handle::made_for(r)?;
        if !field!(r, Link.hostname).copy().is_given() {
            let error = Error::Invalid("RTMP_Connect, there is no host name");
            return Err(Failure::new(error, Phase::Connect));
        }
        let begin = || {
            if handle.is_open() && (handle.has(Fact::Dialled) || handle.has(Fact::HungUp)) {
                // The session was connected before and not closed; its socket would leak.
                close_to_reconnect(&handle);
            }
            Opening::reaching(&handle, What::Connect, Entry::Name)
        };
        connect(&handle, What::Connect, cp, begin)?;
        Ok(TRUE)
    })
}

/// Connects a TCP socket to `svc`, an IPv4 or IPv6 address, and does no handshake. `RTMP_Connect1` continues from
/// there.
///
/// If `Link.socksport` is not 0, `svc` is the address of the proxy that `Link.sockshost` describes. The function then
/// asks the proxy for a connection to `Link.hostname` and `Link.port`. Without a proxy it sends nothing.
///
/// Returns TRUE or FALSE.
///
/// # Safety
/// `r` is null or points to an initialised `RTMP`; `svc` is null or points to a socket address of its family's size.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn RTMP_Connect0(r: Option<Rtmp<'_>>, svc: *mut sockaddr) -> c_int {
    boundary(Kind::Waits, FALSE, |_| {
        let handle = Handle::made_for(reason::start_afresh(r)?)?;
        // SAFETY: `svc` is null or points to a socket address of its family's size, by the Safety section.
        let address = unsafe { socket_address(svc) };
        let entry = Entry::Address(address.during(Phase::Connect)?);
        let begin = || Opening::reaching(&handle, What::Reach, entry);
        handle.make_connection(What::Reach, begin, |_| {})?;
        Ok(TRUE)
    })
}

/// Does the handshake on the connected socket `m_sb.sb_socket` and sends the `connect` command, or `cp` instead of it.
/// The socket may be the caller's own.
///
/// Returns TRUE, or FALSE after it has closed the socket.
///
/// # Safety
/// As for `RTMP_Connect`.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn RTMP_Connect1(r: Option<Rtmp<'_>>, cp: Option<Packet<'_>>) -> c_int {
    boundary(Kind::Waits, FALSE, |_| {
        let r = reason::start_afresh(r)?;
        let handle = Handle::connected_to(Some(r))?;
        let begin = || {
            handle.note(Fact::Dialled, false);
            Ok(Opening::at(What::Begin, Stage::Connected))
        };
        connect(&handle, What::Begin, cp, begin)?;
        // A caller that passes a socket waits for it, too.
        let publishes = field!(r, Link.protocol).get() & RTMP_FEATURE_WRITE != 0;
        handle.watch(!handle.has(Fact::Opened) && !publishes && !handle.never_waits());
        handle.update_readiness();
        Ok(TRUE)
    })
}

/// Makes a connection, or continues one that an earlier call without waiting has begun. `cp`, if not NULL, replaces the
/// library's `connect` command.
fn connect(
    handle: &Handle,
    what: What,
    cp: Option<Packet<'_>>,
    begin: impl FnOnce() -> Result<Opening, Failure>,
) -> Result<(), Failure> {
    handle.make_connection(
        what,
        || Ok(Opening { first: cp.map(Packet::copy), ..begin()? }),
        |opening| {
            if let (Some(format), Some(packet)) = (opening.sent_format, cp) {
                packet.note_format(format);
            }
        },
    )
}

/// Connects again, and appends to the application's name and URL what the server requested for a publisher's login.
pub(crate) fn log_in(handle: &Handle, token: &[u8]) -> Result<(), Failure> {
    handle.count_login()?;
    let link = field!(handle.rtmp(), Link);
    for string in [APP, TC_URL] {
        string.own(link, owned(&[fields::text(string.get(link)), token].concat())?);
    }
    let [app, url, name] = [APP.get(link), TC_URL.get(link), field!(link, playpath)].map(fields::text);
    log::debug!(
        "PublisherAuth, new app: {} tcUrl: {} playpath: {}",
        Text(&text::without_answer(app)),
        Text(&text::without_answer(url)),
        Text(name)
    );
    close_to_reconnect(handle);
    handle.make_connection(What::Connect, || Opening::reaching(handle, What::Connect, Entry::Name), |_| {})
}

/// An address in C's form.
///
/// # Safety
/// `address` is null or points to a socket address of its family's size.
unsafe fn socket_address(address: *const sockaddr) -> Result<SocketAddr> {
    // SAFETY: null, or a socket address, by the Safety section.
    let family = unsafe { required(address, "svc") }?.sa_family;
    let len = match Domain::from(c_int::from(family)) {
        Domain::IPV4 => SockAddr::from(SocketAddr::from(([0; 4], 0))).len(),
        Domain::IPV6 => SockAddr::from(SocketAddr::from(([0_u16; 8], 0))).len(),
        _ => return Err(Error::Invalid("the address is neither IPv4 nor IPv6")),
    };
    let mut storage = SockAddrStorage::zeroed();
    // SAFETY: both have at least `len` bytes, and a storage holds an address of any family.
    let address = unsafe {
        ptr::copy_nonoverlapping(address.cast::<u8>(), (&raw mut storage).cast::<u8>(), len as usize);
        SockAddr::new(storage, len)
    };
    address.as_socket().ok_or(Error::Invalid("the address is neither IPv4 nor IPv6"))
}
