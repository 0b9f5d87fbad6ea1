//! `RTMP_SetOpt`: the field of an `RTMP` for each option. The core's table lists the options.

use libc::c_int;
use rtmp_core::{
    error::{Error, Result},
    options::{self, OPTIONS, Seconds, Setting},
};

use super::{RTMP_LF_FAPU, RTMP_LF_FTCU, RTMP_LF_LIVE, RTMP_LF_PLST, RTMP_LF_SWFV, RTMP_LNK, extras};
use crate::{
    amf::{AVal, view::Text},
    fields::release_text,
    state::Handle,
    valid::{Rtmp, Valid, field},
};

/// Sets one option.
pub(super) fn set(r: Rtmp<'_>, name: &[u8], arg: Text<'_>) -> Result<()> {
    match options::read(name, arg.bytes()) {
        // The log lists the known options.
        Err(error @ Error::UnknownOption(_)) => Err(error.reported()),
        // The argument may be the field that it is for, so it is copied.
        setting => setting?.map_or(Ok(()), |setting| apply(r, *arg, setting)),
    }
}

/// The bit of an option, for sets of them; 0 if there is no such option.
pub(super) fn bit(name: &[u8]) -> u64 {
    const { assert!(OPTIONS.len() <= u64::BITS as usize) };
    options::position(name).map_or(0, |position| 1 << position)
}

/// One of the strings of the settings.
pub(crate) type Field = for<'a> fn(Valid<'a, RTMP_LNK>) -> Valid<'a, AVal>;

/// A string that belongs to the library while a flag is set.
pub(super) struct Marked {
    field: Field,
    flag: c_int,
}

pub(super) const APP: Marked = Marked { field: |link| field!(link, app), flag: RTMP_LF_FAPU };
pub(super) const TC_URL: Marked = Marked { field: |link| field!(link, tcUrl), flag: RTMP_LF_FTCU };

impl Marked {
    pub(super) fn get<'a>(&self, link: Valid<'a, RTMP_LNK>) -> Valid<'a, AVal> {
        (self.field)(link)
    }

    pub(super) fn is_set(&self, link: Valid<'_, RTMP_LNK>) -> bool {
        field!(link, lFlags).get() & self.flag != 0
    }

    /// Frees the string if it belongs to the library, and leaves an empty one.
    pub(super) fn release(&self, link: Valid<'_, RTMP_LNK>) {
        if self.is_set(link) {
            // SAFETY: the flag is set only for strings that this library allocated (`own`), and by programs that used malloc,
            // a rule of `rtmp.h`; nothing else uses them while a call sets up or closes the session.
            unsafe { release_text(self.get(link)) };
            field!(link, lFlags).change(|flags| flags & !self.flag);
        }
    }

    /// Stores a string that does not belong to the library.
    pub(super) fn replace(&self, link: Valid<'_, RTMP_LNK>, value: AVal) {
        // A caller may pass the field's own value: it stays, and still belongs to the library.
        if self.get(link).copy().av_val != value.av_val {
            self.release(link);
        }
        self.get(link).put(value);
    }

    /// Stores a string from `malloc`, which then belongs to the library.
    pub(super) fn own(&self, link: Valid<'_, RTMP_LNK>, value: AVal) {
        self.replace(link, value);
        field!(link, lFlags).change(|flags| flags | self.flag);
    }
}

/// Removes the stream name that came from a URL, and frees it: it must not be used afterwards.
pub(super) fn forget_stream_name(link: Valid<'_, RTMP_LNK>) {
    if field!(link, playpath.av_val).get() == field!(link, playpath0.av_val).get() {
        field!(link, playpath).put(AVal::EMPTY);
    }
    // SAFETY: `playpath0` always belongs to the library (`rtmp.h`), and its only other use has ended; nothing else uses it while
    // a call sets up or closes the session.
    unsafe { release_text(field!(link, playpath0)) };
}

/// Stores a setting: a text with the program's pointer, which is `arg`.
fn apply(r: Rtmp<'_>, arg: AVal, setting: Setting<'_>) -> Result<()> {
    let link = field!(r, Link);
    // As in librtmp, no option clears a flag.
    let raise = |flag, yes| {
        if yes {
            field!(link, lFlags).change(|flags| flags | flag);
        }
    };
    match setting {
        Setting::Socks(_) => field!(link, sockshost).put(arg),
        Setting::App(_) => APP.replace(link, arg),
        Setting::TcUrl(_) => TC_URL.replace(link, arg),
        Setting::PageUrl(_) => field!(link, pageUrl).put(arg),
        Setting::SwfUrl(_) => field!(link, swfUrl).put(arg),
        Setting::FlashVersion(_) => field!(link, flashVer).put(arg),
        // The text of an option stays as long as the session uses it, a rule of `rtmp.h` for `RTMP_SetOpt` and `RTMP_SetupURL`.
        Setting::Conn(item) => extras::append(link, item)?,
        Setting::PlayPath(_) => field!(link, playpath).put(arg),
        Setting::Playlist(yes) => raise(RTMP_LF_PLST, yes),
        Setting::Live(yes) => raise(RTMP_LF_LIVE, yes),
        Setting::Subscribe(_) => field!(link, subscribepath).put(arg),
        Setting::UsherToken(_) => field!(link, usherToken).put(arg),
        Setting::SecureToken(_) => field!(link, token).put(arg),
        Setting::VerifySwf(yes) => raise(RTMP_LF_SWFV, yes),
        Setting::SwfAge(days) => field!(link, swfAge).set(days),
        Setting::Start(milliseconds) => field!(link, seekTime).set(milliseconds),
        Setting::Stop(milliseconds) => field!(link, stopTime).set(milliseconds),
        Setting::Buffer(milliseconds) => field!(r, m_nBufferMS).set(milliseconds),
        Setting::Timeout(Seconds(seconds)) => field!(link, timeout).set(seconds),
        Setting::PublishUser(_) => field!(link, pubUser).put(arg),
        Setting::PublishPassword(_) => field!(link, pubPasswd).put(arg),
        // The others have no field.
        other => Handle::made_for(r)?.change_settings(|settings| match settings.common.apply(&other)? {
            true => Ok(()),
            false => Err(Error::Unsupported("this option")),
        })?,
    }
    Ok(())
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
