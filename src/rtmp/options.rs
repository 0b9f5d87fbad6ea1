//! `RTMP_SetOpt`: the field of an `RTMP` for each option. The core's table lists the options.

use libc::c_int;
use rtmp_core::{
    error::{Error, Result},
    options::{self, OPTIONS, Seconds, Setting, conn},
};

use super::{RTMP_LF_FAPU, RTMP_LF_FTCU, RTMP_LF_LIVE, RTMP_LF_PLST, RTMP_LF_SWFV, RTMP_LNK, extras};
use crate::{
    amf::AVal,
    memory,
    ptr::aval_bytes,
    state::{Handle, Settings},
    valid::{Rtmp, field},
};

/// Sets one option.
///
/// # Safety
/// `arg` is readable for its length.
pub(super) unsafe fn set(r: Rtmp<'_>, name: &[u8], arg: AVal) -> Result<()> {
    // SAFETY: `arg` is readable for its length, by the Safety section.
    match options::read(name, unsafe { aval_bytes(&arg) }) {
        // The log lists the known options.
        Err(error @ Error::UnknownOption(_)) => Err(error.reported()),
        setting => setting?.map_or(Ok(()), |setting| Target { r, arg }.apply(setting)),
    }
}

/// The bit of an option, for sets of them; 0 if there is no such option.
pub(super) fn bit(name: &[u8]) -> u64 {
    const { assert!(OPTIONS.len() <= u64::BITS as usize) };
    options::position(name).map_or(0, |position| 1 << position)
}

/// Stores a string. If `flag` marks the old value as the library's, frees it and clears the flag.
///
/// # Safety
/// A string marked by the flag came from the C allocator, and is no longer used.
pub(super) unsafe fn replace(link: &mut RTMP_LNK, field: Field, flag: c_int, value: AVal) {
    // A caller may pass the field's own value: it stays, and still belongs to the library.
    if link.lFlags & flag != 0 && field(link).av_val != value.av_val {
        // SAFETY: what the flag marks came from the C allocator, and nobody uses it any more, by the Safety section.
        unsafe { memory::release_string(field(link)) };
        link.lFlags &= !flag;
    }
    *field(link) = value;
}

/// One of the strings of the settings.
pub(crate) type Field = fn(&mut RTMP_LNK) -> &mut AVal;

/// The session, and the value, of an option.
struct Target<'a> {
    r: Rtmp<'a>,
    arg: AVal,
}

impl Target<'_> {
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
            other => self.settings(|settings| match settings.common().apply(&other)? {
                true => Ok(()),
                false => Err(Error::Unsupported("this option")),
            })?,
        }
        Ok(())
    }

    /// The settings, for one assignment: nothing is logged or called meanwhile.
    fn link(&mut self) -> &mut RTMP_LNK {
        // SAFETY: programs do not use `Link` in other threads while they set options, a rule of `rtmp.h`, and the reference ends
        // with the assignment.
        unsafe { &mut *field!(self.r, Link).as_ptr() }
    }

    /// Stores the text unchanged, with the caller's pointer.
    fn put(&mut self, field: Field) {
        let arg = self.arg;
        *field(self.link()) = arg;
    }

    /// As `put`, for a field whose old value may belong to the library.
    fn put_over(&mut self, field: Field, flag: c_int) {
        let arg = self.arg;
        // SAFETY: the flag is set only for strings that this library allocated, and by callers that used malloc.
        unsafe { replace(self.link(), field, flag, arg) };
    }

    /// Sets a bit of `lFlags`; as in librtmp, no option clears one.
    fn raise(&mut self, flag: c_int, yes: bool) {
        if yes {
            self.link().lFlags |= flag;
        }
    }

    fn buffer(&mut self, milliseconds: i32) {
        field!(self.r, m_nBufferMS).set(milliseconds);
    }

    /// Changes settings that have no field visible to callers.
    fn settings(&mut self, change: impl FnOnce(&mut Settings) -> Result<()>) -> Result<()> {
        Handle::made_for(self.r)?.change_settings(change)
    }

    fn append(&mut self, item: conn::Item<'_>) -> Result<()> {
        // The text of an option stays as long as the session uses it, a rule of `rtmp.h` for `RTMP_SetOpt` and `RTMP_SetupURL`.
        extras::append(field!(self.r, Link), item)
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
