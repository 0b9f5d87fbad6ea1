//! The table of options, and where each of them goes in an `RTMP`.

use libc::c_int;
use rtmp_core::{
    error::{Error, Result},
    options::{self, Definition, Setter, conn},
    text::Text,
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
    let Some(option) = options::find(OPTIONS, name) else {
        options::log_unknown(OPTIONS, name);
        return Err(Error::UnknownOption(Text(name).to_string()).reported());
    };
    // SAFETY: `r` points to an initialised `RTMP`; `arg` is readable for its length, by the Safety section.
    option.apply(&mut Target { r, arg }, unsafe { aval_bytes(&arg) })
}

/// The bit of an option, for sets of them; 0 if there is no such option.
pub(super) fn bit(name: &[u8]) -> u32 {
    let position = OPTIONS.iter().position(|option| option.name.as_bytes().eq_ignore_ascii_case(name));
    position.map_or(0, |position| 1 << position)
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
    /// The settings, for one assignment: nothing is logged or called meanwhile.
    fn link(&mut self) -> &mut RTMP_LNK {
        // SAFETY: by the contract of `set`, and nobody else uses the settings during the call.
        unsafe { &mut (*self.r).Link }
    }

    /// Stores the value as it came, with the caller's pointer.
    fn put(&mut self, field: Field) -> Result<()> {
        let arg = self.arg;
        *field(self.link()) = arg;
        Ok(())
    }

    /// As `put`, for a field whose old value may be the library's.
    fn put_over(&mut self, field: Field, flag: c_int) -> Result<()> {
        let arg = self.arg;
        // SAFETY: the flag is set for what this library allocated, and by callers that used malloc.
        unsafe { replace(self.link(), field, flag, arg) };
        Ok(())
    }

    fn number(&mut self, field: fn(&mut RTMP_LNK) -> &mut c_int, value: i32) -> Result<()> {
        *field(self.link()) = value;
        Ok(())
    }

    /// Sets a bit of `lFlags`; there is no way to clear one, as in librtmp.
    fn raise(&mut self, flag: c_int, yes: bool) -> Result<()> {
        if yes {
            self.link().lFlags |= flag;
        }
        Ok(())
    }

    fn buffer(&mut self, milliseconds: i32) -> Result<()> {
        // SAFETY: by the contract of `set`.
        unsafe { (*self.r).m_nBufferMS = milliseconds };
        Ok(())
    }

    fn bind(&mut self, text: &[u8]) -> Result<()> {
        let bind = Bind::parse(text)?;
        self.settings(|settings| {
            settings.local.bind = bind;
            Ok(())
        })
    }

    fn ip_version(&mut self, version: i32) -> Result<()> {
        let family = Family::from_version(version)?;
        self.settings(|settings| {
            settings.local.family = family;
            Ok(())
        })
    }

    /// Changes what has no field in the settings that callers see.
    fn settings(&mut self, change: impl FnOnce(&mut Settings) -> Result<()>) -> Result<()> {
        // SAFETY: by the contract of `set`.
        unsafe { Handle::from_raw(self.r) }?.change_settings(change)
    }

    fn append(&mut self, item: conn::Item<'_>) -> Result<()> {
        // SAFETY: by the contract of `set`.
        unsafe { extras::append(&raw mut (*self.r).Link, item) }
    }
}

const fn option(name: &'static str, help: &'static str, setter: Setter<Target>) -> Definition<Target> {
    Definition { name, help, setter }
}

/// Every option, in the order in which the log lists them.
const OPTIONS: &[Definition<Target>] = &[
    option(
        "socks",
        "Proxy to connect through: host[:port] for SOCKS4, or socks5://[user:password@]host[:port], socks4a:, http:",
        Setter::Text(|to, _| to.put(|link| &mut link.sockshost)),
    ),
    option(
        "app",
        "Application on the server",
        Setter::Text(|to, _| to.put_over(|link| &mut link.app, RTMP_LF_FAPU)),
    ),
    option(
        "tcUrl",
        "URL that the server is told, without the stream",
        Setter::Text(|to, _| to.put_over(|link| &mut link.tcUrl, RTMP_LF_FTCU)),
    ),
    option(
        "pageUrl",
        "URL of the page that shows the stream",
        Setter::Text(|to, _| to.put(|link| &mut link.pageUrl)),
    ),
    option("swfUrl", "URL of the player's SWF file", Setter::Text(|to, _| to.put(|link| &mut link.swfUrl))),
    option(
        "flashver",
        "Flash version to claim, for example LNX 10,0,32,18",
        Setter::Text(|to, _| to.put(|link| &mut link.flashVer)),
    ),
    option("conn", "AMF value to append to the connect command", Setter::Amf(Target::append)),
    option(
        "playpath",
        "Name of the stream on the server",
        Setter::Text(|to, _| to.put(|link| &mut link.playpath)),
    ),
    option("playlist", "Send set_playlist before play", Setter::Flag(|to, yes| to.raise(RTMP_LF_PLST, yes))),
    option(
        "live",
        "The stream is live and cannot be sought in",
        Setter::Flag(|to, yes| to.raise(RTMP_LF_LIVE, yes)),
    ),
    option(
        "subscribe",
        "Name of the stream to subscribe to",
        Setter::Text(|to, _| to.put(|link| &mut link.subscribepath)),
    ),
    option(
        "jtv",
        "Token for NetStream.Authenticate.UsherToken",
        Setter::Text(|to, _| to.put(|link| &mut link.usherToken)),
    ),
    option(
        "token",
        "Key for the answer to SecureToken",
        Setter::Text(|to, _| to.put(|link| &mut link.token)),
    ),
    option(
        "swfVfy",
        "Hash the SWF file for verification",
        Setter::Flag(|to, yes| to.raise(RTMP_LF_SWFV, yes)),
    ),
    option(
        "swfAge",
        "Days for which a stored SWF hash is good",
        Setter::Integer(|to, value| to.number(|link| &mut link.swfAge, value)),
    ),
    option(
        "start",
        "Where to start in the stream, in milliseconds",
        Setter::Integer(|to, value| to.number(|link| &mut link.seekTime, value)),
    ),
    option(
        "stop",
        "Where to stop in the stream, in milliseconds",
        Setter::Integer(|to, value| to.number(|link| &mut link.stopTime, value)),
    ),
    option("buffer", "Length of the buffer in milliseconds", Setter::Integer(Target::buffer)),
    option(
        "timeout",
        "Seconds without data after which to give up",
        Setter::Timeout(|to, value| to.number(|link| &mut link.timeout, value)),
    ),
    option(
        "pubUser",
        "Name to log in with when publishing",
        Setter::Text(|to, _| to.put(|link| &mut link.pubUser)),
    ),
    option(
        "pubPasswd",
        "Password to log in with when publishing",
        Setter::Text(|to, _| to.put(|link| &mut link.pubPasswd)),
    ),
    option(
        "tlsVerify",
        "0 accepts any certificate, 1 ignores RTMP_TLS_VERIFY",
        Setter::Text(|to, value| to.settings(|settings| settings.tls.set_verify(value))),
    ),
    option(
        "tlsCA",
        "PEM file with the only certificates to trust",
        Setter::Text(|to, value| {
            to.settings(|settings| {
                settings.tls.ca_file = Some(value.to_vec());
                Ok(())
            })
        }),
    ),
    option("bind", "Local address or network interface to connect from", Setter::Text(Target::bind)),
    option("ipv", "Version of IP to connect with, 4 or 6; 0 for both", Setter::Integer(Target::ip_version)),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rust_api_has_the_same_options() {
        let names: Vec<_> = OPTIONS.iter().map(|option| option.name).collect();
        assert_eq!(names, rtmp_core::client::option_names());
    }

    #[test]
    fn the_manual_describes_every_option() {
        let manual = include_str!("../../man/librtmp.3");
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

    /// The rows of README's table that look like options: name and type.
    fn documented() -> Vec<(&'static str, &'static str)> {
        let readme = include_str!("../../README.md");
        let (_, rest) = readme.split_once("\n## Options\n").expect("README has a section of options");
        let section = rest.split("\n## ").next().expect("split gives something");
        section
            .lines()
            .filter_map(|line| line.strip_prefix("| `"))
            .filter_map(|row| {
                let (name, rest) = row.split_once("` | ")?;
                Some((name, rest.split(" | ").next()?))
            })
            .collect()
    }

    #[test]
    fn readme_has_every_option_with_its_type_and_no_other() {
        let options: Vec<_> = OPTIONS.iter().map(|option| (option.name, option.setter.kind())).collect();
        assert_eq!(documented(), options);
    }
}
