//! `RTMP_SetOpt`: where each option goes in an `RTMP`. Which options there are is said by the core's table.

use libc::c_int;
use rtmp_core::{
    error::{Error, Result},
    options::{self, OPTIONS, Seconds, Setting, conn},
    transport::local::{Bind, Family},
};

use super::{RTMP, RTMP_LF_FAPU, RTMP_LF_FTCU, RTMP_LF_LIVE, RTMP_LF_PLST, RTMP_LF_SWFV, RTMP_LNK, extras};
use crate::{
    amf::AVal,
    memory,
    ptr::aval_bytes,
    state::{Handle, Settings},
};

/// Sets one option.
///
/// # Safety
/// `r` points to an initialised `RTMP`; `arg` is readable for its length.
pub(super) unsafe fn set(r: *mut RTMP, name: &[u8], arg: AVal) -> Result<()> {
    // SAFETY: `arg` is readable for its length, by the Safety section.
    let setting = match options::read(name, unsafe { aval_bytes(&arg) }) {
        // The log lists the options there are.
        Err(error @ Error::UnknownOption(_)) => return Err(error.reported()),
        setting => setting?,
    };
    match setting {
        Some(setting) => Target { r, arg }.apply(setting),
        None => Ok(()),
    }
}

/// The bit of an option, for sets of them; 0 if there is no such option.
pub(super) fn bit(name: &[u8]) -> u64 {
    const { assert!(OPTIONS.len() <= u64::BITS as usize) };
    options::position(name).map_or(0, |position| 1 << position)
}

/// Stores a string whose old value `flag` may mark as the library's: that is freed, and the flag goes.
///
/// # Safety
/// What the flag marks came from the C allocator, and nobody uses it any more.
pub(super) unsafe fn replace(link: &mut RTMP_LNK, field: Field, flag: c_int, value: AVal) {
    // A caller may hand back what it found in the field: it stays as it is, and the library's.
    if link.lFlags & flag != 0 && field(link).av_val != value.av_val {
        // SAFETY: what the flag marks came from the C allocator, and nobody uses it any more, by the Safety section.
        unsafe { memory::release_string(field(link)) };
        link.lFlags &= !flag;
    }
    *field(link) = value;
}

/// One of the strings of the settings.
pub(super) type Field = fn(&mut RTMP_LNK) -> &mut AVal;

/// What an option is set in, and to what. Made by `set` only, whose contract every method relies on.
struct Target {
    r: *mut RTMP,
    arg: AVal,
}

impl Target {
    fn apply(&mut self, setting: Setting<'_>) -> Result<()> {
        match setting {
            Setting::Socks(_) => self.put(|link| &mut link.sockshost),
            Setting::App(_) => self.put_over(|link| &mut link.app, RTMP_LF_FAPU),
            Setting::TcUrl(_) => self.put_over(|link| &mut link.tcUrl, RTMP_LF_FTCU),
            Setting::PageUrl(_) => self.put(|link| &mut link.pageUrl),
            Setting::SwfUrl(_) => self.put(|link| &mut link.swfUrl),
            Setting::FlashVersion(_) => self.put(|link| &mut link.flashVer),
            Setting::Conn(item) => self.append(item)?,
            Setting::PlayPath(_) => self.put(|link| &mut link.playpath),
            Setting::Playlist(yes) => self.raise(RTMP_LF_PLST, yes),
            Setting::Live(yes) => self.raise(RTMP_LF_LIVE, yes),
            Setting::Subscribe(_) => self.put(|link| &mut link.subscribepath),
            Setting::UsherToken(_) => self.put(|link| &mut link.usherToken),
            Setting::SecureToken(_) => self.put(|link| &mut link.token),
            Setting::VerifySwf(yes) => self.raise(RTMP_LF_SWFV, yes),
            Setting::SwfAge(days) => self.link().swfAge = days,
            Setting::Start(milliseconds) => self.link().seekTime = milliseconds,
            Setting::Stop(milliseconds) => self.link().stopTime = milliseconds,
            Setting::Buffer(milliseconds) => self.buffer(milliseconds),
            Setting::Timeout(Seconds(seconds)) => self.link().timeout = seconds,
            Setting::PublishUser(_) => self.put(|link| &mut link.pubUser),
            Setting::PublishPassword(_) => self.put(|link| &mut link.pubPasswd),
            Setting::TlsVerify(value) => self.settings(|settings| settings.tls.set_verify(value))?,
            Setting::TlsCa(path) => self.settings(|settings| {
                settings.tls.ca_file = Some(path.to_vec());
                Ok(())
            })?,
            Setting::Bind(text) => {
                let bind = Bind::parse(text)?;
                self.settings(|settings| {
                    settings.local.bind = bind;
                    Ok(())
                })?;
            }
            Setting::Enhanced(_)
            | Setting::FourCcList(_)
            | Setting::VideoFourCc(_)
            | Setting::AudioFourCc(_)
            | Setting::CapsEx(_)
            | Setting::VideoFunction(_)
            | Setting::EnhancedForce(_)
            | Setting::Reconnect(_)
            | Setting::ObjectEncoding(_) => {
                self.settings(|settings| settings.enhanced.apply(&setting).map(drop))?;
            }
            Setting::Data(text) => self.settings(|settings| settings.tuning.set_data(text))?,
            Setting::TimeoutMs(milliseconds) => {
                self.settings(|settings| settings.tuning.set_timeout(milliseconds))?;
            }
            Setting::SendQueue(bytes) => self.settings(|settings| settings.tuning.set_queue_limit(bytes))?,
            Setting::CloseReset(yes) => self.assign(|settings| settings.tuning.resets = yes)?,
            Setting::NoDelay(yes) => self.assign(|settings| settings.local.delays = !yes)?,
            Setting::KeepAlive(seconds) => {
                self.settings(|settings| settings.local.set_keep_alive(seconds))?
            }
            Setting::TlsCertificate(path) => {
                self.assign(|settings| settings.tls.certificate = Some(path.to_vec()))?;
            }
            Setting::TlsKey(path) => self.assign(|settings| settings.tls.key = Some(path.to_vec()))?,
            Setting::TlsPin(pins) => self.settings(|settings| settings.tls.set_pins(pins))?,
            Setting::IpVersion(version) => {
                let family = Family::from_version(version)?;
                self.settings(|settings| {
                    settings.local.family = family;
                    Ok(())
                })?;
            }
        }
        Ok(())
    }

    /// The settings, for one assignment: nothing is logged or called meanwhile.
    fn link(&mut self) -> &mut RTMP_LNK {
        // SAFETY: by the contract of `set`, and nobody else uses the settings during the call.
        unsafe { &mut (*self.r).Link }
    }

    /// Stores the text as it came, with the caller's pointer.
    fn put(&mut self, field: Field) {
        let arg = self.arg;
        *field(self.link()) = arg;
    }

    /// As `put`, for a field whose old value may be the library's.
    fn put_over(&mut self, field: Field, flag: c_int) {
        let arg = self.arg;
        // SAFETY: the flag is set for what this library allocated, and by callers that used malloc.
        unsafe { replace(self.link(), field, flag, arg) };
    }

    /// Sets a bit of `lFlags`; there is no way to clear one, as in librtmp.
    fn raise(&mut self, flag: c_int, yes: bool) {
        if yes {
            self.link().lFlags |= flag;
        }
    }

    fn buffer(&mut self, milliseconds: i32) {
        // SAFETY: by the contract of `set`.
        unsafe { (*self.r).m_nBufferMS = milliseconds };
    }

    /// Changes what has no field in the settings that callers see.
    fn settings(&mut self, change: impl FnOnce(&mut Settings) -> Result<()>) -> Result<()> {
        // SAFETY: by the contract of `set`.
        unsafe { Handle::from_raw(self.r) }?.change_settings(change)
    }

    /// As `settings`, for a change that cannot fail.
    fn assign(&mut self, change: impl FnOnce(&mut Settings)) -> Result<()> {
        self.settings(|settings| {
            change(settings);
            Ok(())
        })
    }

    fn append(&mut self, item: conn::Item<'_>) -> Result<()> {
        // SAFETY: by the contract of `set`.
        unsafe { extras::append(&raw mut (*self.r).Link, item) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_manual_describes_every_option() {
        let manual = include_str!("../../man/man3/librtmp.3");
        let described: Vec<_> = manual
            .lines()
            .filter_map(|line| line.strip_prefix(".BI ")?.split_once("= "))
            .map(|(name, _)| name)
            .collect();
        for option in OPTIONS {
            assert!(described.contains(&option.name), "{}", option.name);
        }
        assert_eq!(described.len(), OPTIONS.len());
    }
}
