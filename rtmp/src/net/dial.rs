//! The way to a server, up to a connected socket: look-up, connection and proxy, all of it before one deadline.

use std::{mem, sync::Arc, time::Instant};

use socket2::Socket;

use super::{
    lookup::Lookup,
    proxy::ProxyDialog,
    race::Race,
    step::{Interest, Step},
};
use crate::{
    error::{Cause, Error, Result},
    transport::{local::Local, proxy::Proxy},
};

/// A connection that is being made.
pub(crate) struct Dial {
    host: Vec<u8>,
    port: u16,
    proxy: Option<Proxy>,
    local: Local,
    deadline: Option<Instant>,
    stage: Stage,
}

enum Stage {
    Resolving(Lookup),
    Connecting(Race),
    Asking(ProxyDialog),
    Over,
}

impl Dial {
    /// Begins with looking up the host, or that of the proxy.
    pub(crate) fn begin(
        host: &[u8],
        port: u16,
        proxy: Option<&Proxy>,
        local: &Local,
        deadline: Option<Instant>,
    ) -> Result<Self> {
        let family = local.reachable()?;
        let lookup = match proxy {
            Some(proxy) => Lookup::begin(proxy.host(), proxy.port(), family, deadline)?,
            None => Lookup::begin(host, port, family, deadline)?,
        };
        Ok(Self {
            host: host.to_vec(),
            port,
            proxy: proxy.cloned(),
            local: local.clone(),
            deadline,
            stage: Stage::Resolving(lookup),
        })
    }

    /// An error of connecting, which says whether the proxy was not reached or the server.
    fn unreached(&self, error: Error) -> Error {
        match error {
            Error::Unreachable(cause) if self.proxy.is_some() => {
                Error::Unreachable(Cause::new(format!("proxy: {cause}"), cause.raw_os_error()))
            }
            error => error,
        }
    }
}

impl Step for Dial {
    type Output = Arc<Socket>;

    fn step(&mut self, now: Instant) -> Result<Option<Arc<Socket>>> {
        loop {
            let next = match &mut self.stage {
                Stage::Resolving(lookup) => match lookup.step(now)? {
                    Some(addresses) => {
                        Stage::Connecting(Race::new(addresses, self.local.clone(), self.deadline, now))
                    }
                    None => return Ok(None),
                },
                Stage::Connecting(race) => match race.step(now) {
                    Ok(Some(socket)) => match self.proxy.take() {
                        Some(proxy) => {
                            let (host, port) = (mem::take(&mut self.host), self.port);
                            let dialog = ProxyDialog::begin(proxy, socket, host, port, self.deadline, now)?;
                            Stage::Asking(dialog)
                        }
                        None => {
                            self.stage = Stage::Over;
                            return Ok(Some(socket));
                        }
                    },
                    Ok(None) => return Ok(None),
                    Err(error) => return Err(self.unreached(error)),
                },
                Stage::Asking(dialog) => return dialog.step(now),
                Stage::Over => return Err(Error::NotConnected),
            };
            self.stage = next;
        }
    }

    fn interests(&self, out: &mut Vec<Interest>) {
        match &self.stage {
            Stage::Resolving(lookup) => lookup.interests(out),
            Stage::Connecting(race) => race.interests(out),
            Stage::Asking(dialog) => dialog.interests(out),
            Stage::Over => {}
        }
    }

    fn deadline(&self) -> Option<Instant> {
        match &self.stage {
            Stage::Resolving(lookup) => lookup.deadline(),
            Stage::Connecting(race) => race.deadline(),
            Stage::Asking(dialog) => dialog.deadline(),
            Stage::Over => None,
        }
    }
}
