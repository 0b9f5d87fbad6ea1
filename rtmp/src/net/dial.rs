//! The way to a server, up to a connected socket: look-up, connection and proxy, all of it before one deadline.

use std::{mem, sync::Arc, time::Instant};

use socket2::Socket;

use super::{
    lookup::Lookup,
    proxy::ProxyDialog,
    race::Race,
    step::{Interest, Step},
    target::{Entry, Target},
};
use crate::{
    error::{Cause, Error, Result},
    stats::Phases,
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
    /// When the stage began.
    since: Instant,
    phases: Phases,
}

enum Stage {
    Resolving(Lookup),
    Connecting(Race),
    Asking(ProxyDialog),
    Over,
}

impl Dial {
    /// Begins to connect to `target`, with a look-up unless the address is known.
    pub(crate) fn to(target: &Target, deadline: Option<Instant>, now: Instant) -> Result<Self> {
        let Target { host, port, proxy, local, .. } = target;
        let family = local.reachable()?;
        let stage = match (target.entry, proxy) {
            (Entry::Name, Some(proxy)) => {
                Stage::Resolving(Lookup::begin(proxy.host(), proxy.port(), family, deadline)?)
            }
            (Entry::Name, None) => Stage::Resolving(Lookup::begin(host, *port, family, deadline)?),
            (Entry::Address(address), _) => {
                Stage::Connecting(Race::new(vec![address], local.clone(), deadline, now))
            }
            (Entry::None, _) => return Err(Error::Closed),
        };
        Ok(Self {
            host: host.clone(),
            port: *port,
            proxy: proxy.clone(),
            local: local.clone(),
            deadline,
            stage,
            since: now,
            phases: Phases::default(),
        })
    }

    /// How long each stage took that has ended.
    pub(crate) fn phases(&self) -> Phases {
        self.phases
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
            let spent = now.saturating_duration_since(self.since);
            let next = match &mut self.stage {
                Stage::Resolving(lookup) => match lookup.step(now)? {
                    Some(addresses) => {
                        self.phases.lookup = spent;
                        Stage::Connecting(Race::new(addresses, self.local.clone(), self.deadline, now))
                    }
                    None => return Ok(None),
                },
                Stage::Connecting(race) => match race.step(now) {
                    Ok(Some(socket)) => match self.proxy.take() {
                        Some(proxy) => {
                            self.phases.tcp = spent;
                            let (host, port) = (mem::take(&mut self.host), self.port);
                            let dialog = ProxyDialog::begin(proxy, socket, host, port, self.deadline, now)?;
                            Stage::Asking(dialog)
                        }
                        None => {
                            self.phases.tcp = spent;
                            self.stage = Stage::Over;
                            return Ok(Some(socket));
                        }
                    },
                    Ok(None) => return Ok(None),
                    Err(error) => return Err(self.unreached(error)),
                },
                Stage::Asking(dialog) => {
                    let socket = dialog.step(now)?;
                    if socket.is_some() {
                        self.phases.proxy = spent;
                    }
                    return Ok(socket);
                }
                Stage::Over => return Err(Error::NotConnected),
            };
            self.stage = next;
            self.since = now;
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
