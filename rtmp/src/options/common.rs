//! Options that C and Rust programs have in common and that are stored in the same way.

use super::{Enhanced, Setting, Tuning};
use crate::{
    error::Result,
    transport::{
        local::{Bind, Family, Local},
        tls::TlsOptions,
    },
};

/// The values of these options.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Common {
    /// `bind`, `ipv`, `nodelay` and `keepalive`.
    pub local: Local,
    /// The options whose names begin with `tls`.
    pub tls: TlsOptions,
    /// `data`, `timeoutMs`, `sendQueue` and `closeReset`.
    pub tuning: Tuning,
    /// The options about Enhanced RTMP.
    pub enhanced: Enhanced,
}

impl Common {
    /// Stores an option; returns whether it is one of these.
    pub fn apply(&mut self, setting: &Setting<'_>) -> Result<bool> {
        match *setting {
            Setting::Bind(text) => self.local.bind = Bind::parse(text)?,
            Setting::IpVersion(version) => self.local.family = Family::from_version(version)?,
            Setting::NoDelay(yes) => self.local.delays = !yes,
            Setting::KeepAlive(seconds) => self.local.set_keep_alive(seconds)?,
            Setting::TlsVerify(text) => self.tls.set_verify(text)?,
            Setting::TlsCa(path) => self.tls.ca_file = Some(path.to_vec()),
            Setting::TlsCertificate(path) => self.tls.certificate = Some(path.to_vec()),
            Setting::TlsKey(path) => self.tls.key = Some(path.to_vec()),
            Setting::TlsPin(pins) => self.tls.set_pins(pins)?,
            Setting::Data(text) => self.tuning.set_data(text)?,
            Setting::TimeoutMs(milliseconds) => self.tuning.set_timeout(milliseconds)?,
            Setting::SendQueue(bytes) => self.tuning.set_queue_limit(bytes)?,
            Setting::CloseReset(yes) => self.tuning.resets = yes,
            Setting::Enhanced(_)
            | Setting::FourCcList(_)
            | Setting::VideoFourCc(_)
            | Setting::AudioFourCc(_)
            | Setting::CapsEx(_)
            | Setting::VideoFunction(_)
            | Setting::EnhancedForce(_)
            | Setting::Reconnect(_)
            | Setting::ObjectEncoding(_) => return self.enhanced.apply(setting),
            // C programs have these in `Link`, Rust programs in their own settings.
            Setting::Socks(_)
            | Setting::App(_)
            | Setting::TcUrl(_)
            | Setting::PageUrl(_)
            | Setting::SwfUrl(_)
            | Setting::FlashVersion(_)
            | Setting::Conn(_)
            | Setting::PlayPath(_)
            | Setting::Playlist(_)
            | Setting::Live(_)
            | Setting::Subscribe(_)
            | Setting::UsherToken(_)
            | Setting::SecureToken(_)
            | Setting::VerifySwf(_)
            | Setting::SwfAge(_)
            | Setting::Start(_)
            | Setting::Stop(_)
            | Setting::Buffer(_)
            | Setting::Timeout(_)
            | Setting::PublishUser(_)
            | Setting::PublishPassword(_) => return Ok(false),
        }
        Ok(true)
    }
}
