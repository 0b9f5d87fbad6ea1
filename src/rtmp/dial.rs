//! Connections to the server that `Link` names: TCP, through a proxy if it names one, and TLS over it.

use rtmp_core::{
    error::{Error, Result},
    stats::Phases,
    text::Text,
    transport::{
        local::{Bind, Local},
        proxy::Proxy,
        route::Route,
    },
};
use socket2::Socket;

use super::{RTMP, RTMP_FEATURE_SSL};
use crate::{ptr::aval_bytes, state::Handle, tls::connect_tls};

/// The proxy to go through, if there is one.
///
/// # Safety
/// `r` points to an initialised `RTMP`, whose strings are readable for their lengths.
pub(super) unsafe fn proxy(r: *mut RTMP) -> Result<Option<Proxy>> {
    // SAFETY: `r` points to an initialised `RTMP`, whose strings are readable for their lengths, by the Safety section.
    unsafe {
        match (*r).Link.socksport {
            0 => Ok(None),
            port => Proxy::new(aval_bytes(&(*r).Link.sockshost), port).map(Some),
        }
    }
}

/// A connection to the server that `Link` names, through the proxy if it names one, all of it before one deadline; and how
/// long its making took.
pub(super) fn connect_socket(handle: &Handle) -> Result<(Socket, Phases)> {
    let r = handle.raw();
    // SAFETY: the handle's `RTMP` stays valid while the handle exists (`Handle::from_raw`); the host name is readable
    // for its length.
    let (host, port, proxy) = unsafe { (aval_bytes(&(*r).Link.hostname), (*r).Link.port, proxy(r)?) };
    let route = Route { host, port, proxy: proxy.as_ref(), local: &handle.local() };
    route.connect(handle.timeout(), &handle.patience())
}

/// A further connection to the same server. If the program made the one that there is, it had its reasons: this one
/// leads from the same address to the same address.
pub(crate) fn connect_once_more(handle: &Handle) -> Result<Socket> {
    if !is_foreign(handle)? {
        return connect_socket(handle).map(|(socket, _)| socket);
    }
    let (here, there) = *handle.core().ends.clone().ok_or(Error::Closed)?;
    let local = Local { bind: Some(Bind::Address(here)), hook: handle.local().hook, ..Local::default() };
    let host = there.ip().to_string();
    let route = Route { host: host.as_bytes(), port: there.port(), proxy: None, local: &local };
    route.connect(handle.timeout(), &handle.patience()).map(|(socket, _)| socket)
}

/// Whether a program made the connection, and no proxy has to be asked for the next one.
pub(super) fn is_foreign(handle: &Handle) -> Result<bool> {
    // SAFETY: the handle stands for an `RTMP` that stays valid while it exists (`Handle::from_raw`).
    let has_proxy = unsafe { proxy(handle.raw()) }?.is_some();
    Ok(!handle.is_dialled() && !handle.is_opened() && !has_proxy)
}

/// TLS, if the protocol has it.
pub(crate) fn secure(handle: &Handle) -> Result<()> {
    // SAFETY: the handle's `RTMP` stays valid while the handle exists (`Handle::from_raw`); the host name is readable
    // for its length.
    let (protocol, host) =
        unsafe { ((*handle.raw()).Link.protocol, aval_bytes(&(*handle.raw()).Link.hostname)) };
    if protocol & RTMP_FEATURE_SSL == 0 {
        return Ok(());
    }
    connect_tls(handle, &Text(host).to_string(), &handle.settings().tls)
}
