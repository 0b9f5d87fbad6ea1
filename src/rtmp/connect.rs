//! Connecting to a server.

use std::{
    net::{IpAddr, SocketAddr},
    ptr,
    sync::Arc,
    time::Instant,
};

use libc::{c_int, sockaddr};
use rtmp_core::{
    chunk,
    error::{Error, Result},
    handshake::ClientOptions,
    random,
    session::{Session, command},
    text::{self, Text},
    transport::{connect::connect, deadline::Deadline, tcp, tunnel::Tunnel},
};
use rustix::fd::{AsFd, BorrowedFd};
use socket2::{Domain, SockAddr, SockAddrStorage, SockRef, Socket};

use super::{
    RTMP, RTMP_FEATURE_ENC, RTMP_FEATURE_HTTP, RTMP_FEATURE_WRITE, RTMP_LF_FAPU, RTMP_LF_FTCU, RTMPPacket,
    close::close_to_reconnect,
    defaults::DEFAULT_CHUNK_SIZE,
    dial::{connect_socket, is_foreign, proxy, secure},
    misc::RTMP_GetTime,
    outgoing::send_packet,
    sockbuf,
};
use crate::{
    FALSE, TRUE,
    amf::{AVal, encode::encode_extras},
    boundary::{Kind, boundary},
    line::Line,
    memory,
    ptr::{aval_bytes, required},
    reason::{self, During, Failure, Phase},
    shared, socket,
    state::Handle,
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
/// `RTMP_ERR_TIMEDOUT` if one of the steps took longer than `Link.timeout`, and `RTMP_ERR_ABORTED` after `RTMP_Abort`.
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
            if handle.is_open() && (handle.is_dialled() || handle.is_hung_up()) {
                // Connected before, and not closed: that socket would be lost.
                close_to_reconnect(&handle);
            }
            dial(&handle).during(Phase::Connect)?;
            start(&handle, cp)
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
            connect_to(r, svc).during(Phase::Connect)?;
        }
        Ok(TRUE)
    })
}

/// Connects to an address, and through the proxy if `Link` names one.
///
/// # Safety
/// As for [`RTMP_Connect0`], and `r` is not null.
unsafe fn connect_to(r: *mut RTMP, svc: *mut sockaddr) -> Result<()> {
    // SAFETY: `r` is an initialised `RTMP`, whose strings are readable for their lengths, and `svc` an address, by the
    // Safety section.
    let (handle, address, host, port, proxy) = unsafe {
        required(svc.cast_const(), "svc")?;
        let handle = Handle::from_raw(r)?;
        (handle, socket_address(svc)?, aval_bytes(&(*r).Link.hostname), (*r).Link.port, proxy(r)?)
    };
    open(&handle, |handle| {
        let (local, deadline) = (handle.settings().local, Deadline::after(handle.timeout()));
        let patience = handle.patience();
        let socket = connect(&[address], &local, deadline, &patience)?;
        match proxy {
            Some(proxy) => proxy.open(socket, host, port, deadline, &patience),
            None => Ok(socket),
        }
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
            handle.set_dialled(false);
            start(&handle, cp)?;
            // Who brings a socket waits for it as well.
            handle.set_watched(!handle.is_opened() && (*r).Link.protocol & RTMP_FEATURE_WRITE == 0);
            handle.settle();
            Ok(TRUE)
        }
    })
}

/// Connects to the server that `Link` names.
fn dial(handle: &Handle) -> Result<()> {
    open(handle, connect_socket)?;
    handle.set_dialled(true);
    // SAFETY: the handle stands for an `RTMP` that stays valid while it exists (`Handle::from_raw`).
    unsafe { shared::write(&raw mut (*handle.raw()).m_bSendCounter, 1) };
    Ok(())
}

/// From where to where a connection leads; `None` if not over IP.
fn ends(socket: BorrowedFd<'_>) -> Option<Box<(IpAddr, SocketAddr)>> {
    let socket = SockRef::from(&socket);
    let (here, there) = (socket.local_addr().ok()?.as_socket()?, socket.peer_addr().ok()?.as_socket()?);
    Some(Box::new((here.ip(), there)))
}

/// Connects again, with what a server that wants a publisher to log in asked for behind the application's name and URL.
pub(crate) fn log_in(handle: &Handle, token: &[u8]) -> Result<(), Failure> {
    handle.count_login()?;
    // SAFETY: the handle stands for an `RTMP` that stays valid while it exists (`Handle::from_raw`).
    let link = unsafe { &raw mut (*handle.raw()).Link };
    // SAFETY: the handle's `RTMP` stays valid while the handle exists (`Handle::from_raw`); a string that its flag
    // marks is the library's to free.
    unsafe {
        append(&raw mut (*link).app, (*link).lFlags & RTMP_LF_FAPU != 0, token)?;
        (*link).lFlags |= RTMP_LF_FAPU;
        append(&raw mut (*link).tcUrl, (*link).lFlags & RTMP_LF_FTCU != 0, token)?;
        (*link).lFlags |= RTMP_LF_FTCU;
    }
    // SAFETY: as above; the strings are readable for their lengths.
    let [app, url, name] =
        unsafe { [aval_bytes(&(*link).app), aval_bytes(&(*link).tcUrl), aval_bytes(&(*link).playpath)] };
    log::debug!(
        "PublisherAuth, new app: {} tcUrl: {} playpath: {}",
        Text(&text::without_answer(app)),
        Text(&text::without_answer(url)),
        Text(name)
    );
    close_to_reconnect(handle);
    dial(handle).during(Phase::Connect)?;
    // SAFETY: there is no packet.
    unsafe { start(handle, ptr::null_mut()) }.map(drop)
}

/// Replaces a string by a longer copy from `malloc`.
///
/// # Safety
/// `string` points to a readable string; if it is `ours`, it came from the C allocator.
unsafe fn append(string: *mut AVal, ours: bool, tail: &[u8]) -> Result<()> {
    // SAFETY: `string` points to a readable string; if it is `ours`, it came from the C allocator, by the Safety
    // section.
    unsafe {
        let whole = [aval_bytes(&*string), tail].concat();
        let len = c_int::try_from(whole.len()).map_err(|_| Error::TooLarge("application name"))?;
        let copy = memory::duplicate(&whole)?;
        if ours {
            memory::release((*string).av_val);
        }
        *string = AVal { av_val: copy, av_len: len };
    }
    Ok(())
}

/// Makes a connection, and makes it the session's.
fn open(handle: &Handle, connect: impl FnOnce(&Handle) -> Result<Socket>) -> Result<()> {
    let r = handle.raw();
    // SAFETY: the handle stands for an `RTMP` that stays valid while it exists (`Handle::from_raw`).
    unsafe {
        sockbuf::set_timed_out(&raw mut (*r).m_sb, false);
        shared::write(&raw mut (*r).m_pausing, 0);
        shared::write(&raw mut (*r).m_fDuration, 0.0);
    }
    let socket = connect(handle).map_err(|error| {
        // As in librtmp, a host that is not known closes nothing: the stream name is still there for another try.
        if !matches!(error, Error::Unresolved(_)) {
            handle.give_up();
        }
        log_in_librtmps_words(&error);
        error.reported()
    })?;
    tcp::configure(socket.as_fd(), handle.timeout());
    // SAFETY: the handle's `RTMP` stays valid while the handle exists (`Handle::from_raw`); what is left of a
    // connection that was never closed is not for this socket.
    unsafe {
        drop(sockbuf::detach(&raw mut (*r).m_sb));
        sockbuf::set_size(&raw mut (*r).m_sb, 0);
        handle.core().reservoir = None;
        shared::write(&raw mut (*r).m_sb.sb_socket, socket::into_c(socket));
    }
    handle.mark_opened();
    Ok(())
}

/// Logs what users of librtmp look for.
fn log_in_librtmps_words(error: &Error) {
    match error {
        Error::Unresolved(host) => log::error!("Problem accessing the DNS. (addr: {host})"),
        Error::Proxy(reason) => log::error!("RTMP_Connect0, {reason}"),
        error => log::error!("RTMP_Connect0, failed to connect socket. {error}"),
    }
}

/// Shakes hands and sends the first command; closes the connection if that fails.
///
/// # Safety
/// `cp` as for `RTMP_Connect`.
unsafe fn start(handle: &Handle, cp: *mut RTMPPacket) -> Result<c_int, Failure> {
    // A socket of our own has them.
    if !handle.is_opened() {
        tcp::add_missing_timeouts(handle.socket()?, handle.timeout());
    }
    let failed = |what: &'static str| {
        move |error: Error| {
            log::error!("RTMP_Connect1, {what}: {error}");
            handle.give_up();
            error.reported()
        }
    };
    secure(handle).map_err(failed("TLS_Connect failed")).during(Phase::Tls)?;
    open_tunnel(handle).map_err(failed("Could not connect for handshake")).during(Phase::Tunnel)?;
    let requested = RequestedChunkSize::of(handle);
    log::debug!("RTMP_Connect1, ... connected, handshaking");
    shake_hands(handle).map_err(failed("handshake failed")).during(Phase::Handshake)?;
    log::debug!("RTMP_Connect1, handshaked");
    let unsent = |error| handle.failure(error, Phase::CONNECT_COMMAND);
    requested.announce(handle).map_err(unsent)?;
    // SAFETY: `cp` is null or points to a packet, by the contract of `RTMP_Connect`.
    match unsafe { cp.as_mut() } {
        Some(packet) => {
            // SAFETY: the body of `cp` is readable for `m_nBodySize` bytes, by the contract of `RTMP_Connect`.
            let sent = unsafe { send_packet(handle, packet, true) };
            sent.inspect_err(|_| handle.give_up()).map_err(unsent)?;
        }
        None => {
            // SAFETY: the handle's `RTMP` stays valid while the handle exists (`Handle::from_raw`); `extras` is a list
            // of properties as `RTMP_SetOpt` builds it.
            let extras = unsafe { encode_extras(&(*handle.raw()).Link.extras) };
            let extras = extras.inspect_err(|_| handle.give_up()).map_err(unsent)?;
            handle
                .send(|session, profile| command::connect(&mut session.state, profile, &extras))
                .map_err(|error| unsent(error.reported()))?;
        }
    }
    Ok(TRUE)
}

/// The chunk size that a program set before the handshake, after which both sides begin with 128 bytes. It is in the field
/// again when this ends, so that it holds for the next connection too, also if this one has failed.
pub(super) struct RequestedChunkSize {
    field: *mut c_int,
    size: Option<c_int>,
}

impl RequestedChunkSize {
    pub(super) fn of(handle: &Handle) -> Self {
        let raw = handle.raw();
        // SAFETY: the handle stands for an `RTMP` that stays valid while it exists (`Handle::from_raw`).
        let (field, size) = unsafe {
            let field = &raw mut (*raw).m_outChunkSize;
            (field, shared::read(field))
        };
        let size = match size {
            // 0 is what a program left there that cleared the struct.
            0 | DEFAULT_CHUNK_SIZE => None,
            size if u32::try_from(size).is_ok_and(|size| size <= chunk::MAX_MESSAGE_LEN) => Some(size),
            size => {
                log::warn!(
                    "ignoring m_outChunkSize {size}, which no message needs: it is {DEFAULT_CHUNK_SIZE}"
                );
                None
            }
        };
        Self { field, size }
    }

    /// Tells the peer, and uses it from then on; an error has closed the connection.
    pub(super) fn announce(self, handle: &Handle) -> Result<()> {
        self.size.map_or(Ok(()), |size| {
            let announcement = command::set_chunk_size(size as u32);
            handle.send(|_, _| announcement).map_err(Error::reported)
        })
    }
}

impl Drop for RequestedChunkSize {
    fn drop(&mut self) {
        if let Some(size) = self.size {
            // SAFETY: the field is that of the handle's `RTMP`, which outlives the call.
            unsafe { shared::write(self.field, size) };
        }
    }
}

/// A session of an HTTP tunnel, if the protocol has it.
fn open_tunnel(handle: &Handle) -> Result<()> {
    handle.set_tunnel(None);
    // SAFETY: the handle's `RTMP` stays valid while the handle exists (`Handle::from_raw`); the host name is readable
    // for its length.
    let (protocol, host, port) = unsafe {
        let link = &raw const (*handle.raw()).Link;
        ((*link).protocol, aval_bytes(&(*link).hostname), (*link).port)
    };
    if protocol & RTMP_FEATURE_HTTP == 0 {
        return Ok(());
    }
    let ends = if is_foreign(handle)? { ends(handle.socket()?) } else { None };
    handle.core().ends = ends;
    let tunnel = Arc::new(Tunnel::new(&Text(host).to_string(), port)?);
    tunnel.open(&Line(handle))?;
    handle.set_tunnel(Some(tunnel));
    Ok(())
}

/// The client's handshake, encrypted if the protocol says so.
fn shake_hands(handle: &Handle) -> Result<()> {
    handle.forget_session();
    // SAFETY: the handle stands for an `RTMP` that stays valid while it exists (`Handle::from_raw`).
    let encrypted = unsafe { (*handle.raw()).Link.protocol } & RTMP_FEATURE_ENC != 0;
    let options = ClientOptions { time: RTMP_GetTime(), encrypted, swf: handle.swf() };
    // How long its phases may take is for the handle to say.
    let session = Session::client(options, None, &mut random::system, Instant::now())?;
    let (encrypted, swf_response) = handle.shake_hands(session)?;
    handle.show_handshake(encrypted, swf_response);
    Ok(())
}

/// An address as C passes it.
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
    // SAFETY: both are at least `len` bytes, and a storage holds an address of any family.
    let address = unsafe {
        ptr::copy_nonoverlapping(address.cast::<u8>(), (&raw mut storage).cast::<u8>(), len as usize);
        SockAddr::new(storage, len)
    };
    address.as_socket().ok_or(Error::Invalid("the address is neither IPv4 nor IPv6"))
}
