//! The way to a server, up to an open channel: look-up, connection and proxy, all before one deadline.

use std::{mem, time::Instant};

use super::{
    channel::Channel,
    lookup::{Addresses, Lookup},
    proxy::ProxyDialog,
    race::Race,
    step::{Interest, Step, is_past},
    target::{Entry, Target},
};
use crate::{
    error::{Cause, Error, Result},
    stats::{Phases, spent},
    transport::{local::Local, proxy::Proxy, tls::Trust},
};

/// A connection that is being made.
pub(crate) struct Dial {
    /// For a proxy; empty if there is none.
    host: Vec<u8>,
    port: u16,
    proxy: Option<Proxy>,
    proxy_trust: Trust,
    /// For the connection after a look-up.
    local: Local,
    deadline: Option<Instant>,
    stage: Stage,
    /// The time when the stage began.
    since: Instant,
    phases: Phases,
}

enum Stage {
    Resolving(Lookup),
    Connecting(Race),
    /// The TLS handshake with an `https` proxy.
    Securing(Channel, Proxy),
    Asking(ProxyDialog),
    Over,
}

impl Dial {
    /// Begins to connect to `target`, with a look-up unless the address is known.
    pub(crate) fn to(target: &Target, deadline: Option<Instant>, now: Instant) -> Result<Self> {
        let Target { host, port, proxy, proxy_trust, local, .. } = target;
        let family = local.reachable()?;
        let stage = match (target.entry, proxy) {
            (Entry::Name, Some(proxy)) => {
                Stage::Resolving(Lookup::begin(proxy.host(), proxy.port(), family, deadline)?)
            }
            (Entry::Name, None) => Stage::Resolving(Lookup::begin(host, *port, family, deadline)?),
            (Entry::Address(first), _) => {
                let addresses = Addresses { first, others: Vec::new() };
                Stage::Connecting(Race::new(addresses, local.clone(), deadline, now))
            }
            (Entry::None, _) => return Err(Error::Closed),
        };
        Ok(Self {
            host: if proxy.is_some() { host.clone() } else { Vec::new() },
            port: *port,
            proxy: proxy.clone(),
            proxy_trust: proxy_trust.clone(),
            local: local.clone(),
            deadline,
            stage,
            since: now,
            phases: Phases::default(),
        })
    }

    /// Begins the dialog with the proxy.
    fn ask(&mut self, proxy: Proxy, channel: Channel, now: Instant) -> Result<Stage> {
        let host = mem::take(&mut self.host);
        ProxyDialog::begin(proxy, channel, host, self.port, self.deadline, now).map(Stage::Asking)
    }

    /// Continues TLS with the proxy; true when the handshake has ended.
    fn shake_hands(channel: &mut Channel, deadline: Option<Instant>, now: Instant) -> Result<bool> {
        match channel.shake_hands()? {
            false if is_past(deadline, now) => Err(Error::TimedOut),
            done => Ok(done),
        }
    }

    /// The durations of the stages that have ended.
    pub(crate) fn phases(&self) -> Phases {
        self.phases
    }

    /// An error of connecting, which says whether the proxy or the server was not reached.
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
    type Output = Channel;

    fn step(&mut self, now: Instant) -> Result<Option<Channel>> {
        loop {
            let spent = spent(self.since, now);
            let next = match &mut self.stage {
                Stage::Resolving(lookup) => match lookup.step(now)? {
                    Some(addresses) => {
                        self.phases.lookup = spent;
                        Stage::Connecting(Race::new(
                            addresses,
                            mem::take(&mut self.local),
                            self.deadline,
                            now,
                        ))
                    }
                    None => return Ok(None),
                },
                Stage::Connecting(race) => match race.step(now) {
                    Ok(Some(socket)) => {
                        self.phases.tcp = spent;
                        let mut channel = Channel::new(socket);
                        match self.proxy.take() {
                            Some(proxy) if proxy.is_secure() => {
                                let secured = channel.secure_proxy(&proxy.name(), &self.proxy_trust);
                                secured.map_err(|error| proxy.failed(error))?;
                                Stage::Securing(channel, proxy)
                            }
                            Some(proxy) => self.ask(proxy, channel, now)?,
                            None => {
                                self.stage = Stage::Over;
                                return Ok(Some(channel));
                            }
                        }
                    }
                    Ok(None) => return Ok(None),
                    Err(error) => return Err(self.unreached(error)),
                },
                Stage::Securing(channel, proxy) => match Self::shake_hands(channel, self.deadline, now) {
                    Ok(false) => return Ok(None),
                    Ok(true) => match mem::replace(&mut self.stage, Stage::Over) {
                        Stage::Securing(channel, proxy) => {
                            let dialog = self.ask(proxy, channel, now)?;
                            // The handshake counts as part of the dialog.
                            self.stage = dialog;
                            continue;
                        }
                        _ => return Err(Error::NotConnected),
                    },
                    Err(error) => return Err(proxy.failed(error)),
                },
                Stage::Asking(dialog) => {
                    let channel = dialog.step(now)?;
                    if channel.is_some() {
                        self.phases.proxy = spent;
                    }
                    return Ok(channel);
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
            Stage::Securing(channel, _) => out.push(channel.interest(true, channel.unsent() > 0)),
            Stage::Asking(dialog) => dialog.interests(out),
            Stage::Over => {}
        }
    }

    fn deadline(&self) -> Option<Instant> {
        match &self.stage {
            Stage::Resolving(lookup) => lookup.deadline(),
            Stage::Connecting(race) => race.deadline(),
            Stage::Securing(..) => self.deadline,
            Stage::Asking(dialog) => dialog.deadline(),
            Stage::Over => None,
        }
    }
}
