//! Connecting to a server.

use std::{net::SocketAddr, ptr};

use libc::{c_int, sockaddr};
use rtmp_core::{
    error::{Error, Result},
    net::Entry,
    text::{self, Text},
};
use socket2::{Domain, SockAddr, SockAddrStorage};

use super::{RTMP, RTMP_FEATURE_WRITE, RTMP_LF_FAPU, RTMP_LF_FTCU, RTMPPacket, close::close_to_reconnect};
use crate::{
    FALSE, TRUE,
    amf::AVal,
    boundary::{Kind, boundary},
    memory,
    progress::{FirstMessage, Opening, Stage, What},
    ptr::{aval_bytes, required},
    reason::{self, During, Failure, Phase},
    state::Handle,
    valid::{Valid, field},
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
pub unsafe extern "C-unwind" fn RTMP_Connect(r: *mut RTMP, cp: *mut RTMPPacket) -> c_int {
    boundary(Kind::Waits, FALSE, |_| {
        // SAFETY: `r` is null or points to an initialised `RTMP`; `cp` is null or points to an `RTMPPacket` whose body
        // is readable for `m_nBodySize` bytes, by the Safety section.
        unsafe {
            reason::start_afresh(r)?;
            let handle = Handle::from_raw(r)?;
            if aval_bytes(&(*r).Link.hostname).is_empty() {
                let error = Error::Invalid("RTMP_Connect, there is no host name");
                return Err(Failure::new(error, Phase::Connect));
            }
            connect(&handle, What::Connect, cp, || {
                if handle.is_open() && (handle.is_dialled() || handle.is_hung_up()) {
                    // The session was connected before and not closed; its socket would leak.
                    close_to_reconnect(&handle);
                }
                Opening::reaching(&handle, What::Connect, Entry::Name)
            })?;
            Ok(TRUE)
        }
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
pub unsafe extern "C-unwind" fn RTMP_Connect0(r: *mut RTMP, svc: *mut sockaddr) -> c_int {
    boundary(Kind::Waits, FALSE, |_| {
        // SAFETY: `r` is null or an initialised `RTMP`, by the Safety section, and is looked at only if it is not null.
        unsafe {
            reason::start_afresh(r)?;
            let handle = Handle::from_raw(r)?;
            let address = required(svc.cast_const(), "svc").and_then(|_| socket_address(svc));
            let entry = Entry::Address(address.during(Phase::Connect)?);
            connect(&handle, What::Reach, ptr::null_mut(), || {
                Opening::reaching(&handle, What::Reach, entry)
            })?;
        }
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
pub unsafe extern "C-unwind" fn RTMP_Connect1(r: *mut RTMP, cp: *mut RTMPPacket) -> c_int {
    boundary(Kind::Waits, FALSE, |_| {
        // SAFETY: `r` is null or points to an initialised `RTMP`; `cp` is null or points to an `RTMPPacket` whose body
        // is readable for `m_nBodySize` bytes, by the Safety section.
        unsafe {
            reason::start_afresh(r)?;
            let handle = Handle::connected(r)?;
            connect(&handle, What::Begin, cp, || {
                handle.set_dialled(false);
                Ok(Opening::at(What::Begin, Stage::Connected))
            })?;
            // A caller that passes a socket waits for it, too.
            let publishes = field!(handle.rtmp(), Link.protocol).get() & RTMP_FEATURE_WRITE != 0;
            handle.watch(!handle.is_opened() && !publishes && !handle.never_waits());
            handle.update_readiness();
            Ok(TRUE)
        }
    })
}

/// Makes a connection, or continues one that an earlier call without waiting has begun. `cp`, if not NULL, replaces the
/// library's `connect` command.
///
/// # Safety
/// `cp` is null or points to a packet whose body is null or readable for `m_nBodySize` bytes.
unsafe fn connect(
    handle: &Handle,
    what: What,
    cp: *mut RTMPPacket,
    begin: impl FnOnce() -> Result<Opening, Failure>,
) -> Result<(), Failure> {
    handle.make_connection(
        what,
        || {
            // SAFETY: `cp` is null or points to a packet whose body is readable for its size, by the Safety section.
            let first = unsafe { cp.as_ref().map(|packet| FirstMessage::copy_of(packet)) };
            Ok(Opening { first, ..begin()? })
        },
        |opening| {
            // SAFETY: `cp` is null or points to a packet, by the Safety section.
            if let (Some(format), Some(packet)) = (opening.sent_format, unsafe { cp.as_mut() }) {
                packet.m_headerType = format;
            }
        },
    )
}

/// Connects again, and appends to the application's name and URL what the server requested for a publisher's login.
pub(crate) fn log_in(handle: &Handle, token: &[u8]) -> Result<(), Failure> {
    handle.count_login()?;
    let link = field!(handle.rtmp(), Link);
    let (app, url, flags) = (field!(link, app), field!(link, tcUrl), field!(link, lFlags));
    for (string, flag) in [(app, RTMP_LF_FAPU), (url, RTMP_LF_FTCU)] {
        // SAFETY: strings of `Link` are readable for their lengths, a rule of `rtmp.h`; one with its flag set belongs to the
        // library, which may free it.
        unsafe { append(string, flags.get() & flag != 0, token) }?;
        flags.set(flags.get() | flag);
    }
    let [app, url, name] = [app, url, field!(link, playpath)].map(|string| string.copy());
    // SAFETY: strings of `Link` are readable for their lengths, a rule of `rtmp.h`, and stay while they are logged.
    let [app, url, name] = unsafe { [aval_bytes(&app), aval_bytes(&url), aval_bytes(&name)] };
    log::debug!(
        "PublisherAuth, new app: {} tcUrl: {} playpath: {}",
        Text(&text::without_answer(app)),
        Text(&text::without_answer(url)),
        Text(name)
    );
    close_to_reconnect(handle);
    handle.make_connection(What::Connect, || Opening::reaching(handle, What::Connect, Entry::Name), |_| {})
}

/// Replaces a string by a longer copy from `malloc`.
///
/// # Safety
/// `string` is readable for its length; if it is `ours`, it came from the C allocator.
unsafe fn append(string: Valid<'_, AVal>, ours: bool, tail: &[u8]) -> Result<()> {
    let old = string.copy();
    // SAFETY: the string is readable for its length; if it is `ours`, it came from the C allocator, by the Safety section.
    unsafe {
        let whole = [aval_bytes(&old), tail].concat();
        let av_len = c_int::try_from(whole.len()).map_err(|_| Error::TooLarge("application name"))?;
        string.put(AVal { av_val: memory::duplicate(&whole)?, av_len });
        if ours {
            memory::release(old.av_val);
        }
    }
    Ok(())
}

/// An address in C's form.
///
/// # Safety
/// `address` points to a socket address of its family's size.
unsafe fn socket_address(address: *const sockaddr) -> Result<SocketAddr> {
    // SAFETY: `address` points to a socket address of its family's size, by the Safety section.
    let len = match Domain::from(c_int::from(unsafe { (*address).sa_family })) {
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
