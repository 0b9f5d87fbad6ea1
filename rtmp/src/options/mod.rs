//! Named options: `name=value` pairs behind a URL, and how the text of a value is read.
//!
//! Knows the syntax and the kinds of values. Which options exist and where their values go is said by a table of
//! [`Definition`]s, which whoever owns the settings provides.
//!
//! ```
//! use rtmp::options::{Definition, Setter, find};
//!
//! fn set_size(size: &mut i32, value: i32) -> rtmp::Result<()> {
//!     *size = value;
//!     Ok(())
//! }
//!
//! let table = [Definition { name: "size", help: "in bytes", setter: Setter::Integer(set_size) }];
//! let mut size = 0;
//! find(&table, b"Size").expect("it is in the table").apply(&mut size, b"0x10")?;
//! assert_eq!(size, 16);
//! # Ok::<(), rtmp::Error>(())
//! ```

pub mod conn;
pub mod number;
mod text;

use log::warn;

use self::number::Flaw;
use crate::{error::Result, text::Text};

pub use text::{Pair, next_pair, unescape};

/// One option: its name, a sentence for the list that is logged when somebody misspells one, and where it goes.
pub struct Definition<T: 'static> {
    /// Compared without regard to case.
    pub name: &'static str,
    /// What the option is for.
    pub help: &'static str,
    /// How its value is read and stored.
    pub setter: Setter<T>,
}

/// Stores a value that was read from text in the settings `T`; the variant is the kind of the option.
pub enum Setter<T> {
    /// Any text.
    Text(fn(&mut T, &[u8]) -> Result<()>),
    /// A number, with 0 for text that is none.
    Integer(fn(&mut T, i32) -> Result<()>),
    /// The longest wait in seconds. Text that is no number changes nothing, because 0 may disable the time-out.
    Timeout(fn(&mut T, i32) -> Result<()>),
    /// Whether the value is one of the words for "yes".
    Flag(fn(&mut T, bool) -> Result<()>),
    /// A piece of the AMF data that follows the connect command.
    Amf(fn(&mut T, conn::Item<'_>) -> Result<()>),
}

/// The option of that name.
pub fn find<'t, T>(table: &'t [Definition<T>], name: &[u8]) -> Option<&'t Definition<T>> {
    table.iter().find(|option| option.name.as_bytes().eq_ignore_ascii_case(name))
}

/// Logs that there is no such option, and which ones there are.
pub fn log_unknown<T>(table: &[Definition<T>], name: &[u8]) {
    log::error!("Unknown option {}", Text(name));
    log::error!("Valid RTMP options are:");
    for option in table {
        log::error!("{:>10} {:<8} {}", option.name, option.setter.kind(), option.help);
    }
}

impl<T> Definition<T> {
    /// Reads `value` and stores it. The log says if it makes no sense.
    pub fn apply(&self, target: &mut T, value: &[u8]) -> Result<()> {
        match self.setter {
            Setter::Text(set) => set(target, value),
            Setter::Integer(set) => {
                let (number, flaw) = number::checked_any_base(value);
                if let Some(flaw) = flaw {
                    warn!("{}={}: {}, {number} is used", self.name, Text(value), words(flaw));
                }
                set(target, number)
            }
            Setter::Timeout(set) => match number::checked_any_base(value) {
                (seconds, None) => set(target, seconds),
                (seconds @ 1.., Some(flaw @ Flaw::MoreThanANumber)) => {
                    warn!("{}={}: {}, {seconds} is used", self.name, Text(value), words(flaw));
                    set(target, seconds)
                }
                (_, Some(flaw)) => {
                    warn!("{}={}: {}, the old value stays", self.name, Text(value), words(flaw));
                    Ok(())
                }
            },
            Setter::Flag(set) => {
                let yes = means_yes(value);
                if !yes && !means_no(value) {
                    warn!("{}={}: neither yes nor no", self.name, Text(value));
                }
                set(target, yes)
            }
            Setter::Amf(set) => {
                let item = conn::Item::parse(value)?;
                if conn::is_flawed(value) {
                    // Servers are sent secrets in this way, so it is not shown.
                    warn!("{}: a value is not the number that its letter stands for", self.name);
                }
                set(target, item)
            }
        }
    }
}

impl<T> Setter<T> {
    /// The kind, as the option list names it.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Text(_) => "string",
            Self::Integer(_) | Self::Timeout(_) => "integer",
            Self::Flag(_) => "boolean",
            Self::Amf(_) => "AMF",
        }
    }
}

fn means_yes(value: &[u8]) -> bool {
    [&b"1"[..], b"on", b"yes", b"true"].iter().any(|word| word.eq_ignore_ascii_case(value))
}

fn means_no(value: &[u8]) -> bool {
    [&b"0"[..], b"off", b"no", b"false"].iter().any(|word| word.eq_ignore_ascii_case(value))
}

fn words(flaw: Flaw) -> &'static str {
    match flaw {
        Flaw::NoNumber => "not a number",
        Flaw::MoreThanANumber => "text follows the number",
        Flaw::OutOfRange => "the number is out of range",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Default)]
    struct Settings {
        name: Vec<u8>,
        count: i32,
        flag: Option<bool>,
    }

    const TABLE: &[Definition<Settings>] = &[
        Definition { name: "name", help: "", setter: Setter::Text(Settings::set_name) },
        Definition { name: "Count", help: "", setter: Setter::Integer(Settings::set_count) },
        Definition { name: "flag", help: "", setter: Setter::Flag(Settings::set_flag) },
        Definition { name: "wait", help: "", setter: Setter::Timeout(Settings::set_count) },
        Definition { name: "conn", help: "", setter: Setter::Amf(|_, _| Ok(())) },
    ];

    impl Settings {
        fn set_name(&mut self, text: &[u8]) -> Result<()> {
            self.name = text.to_vec();
            Ok(())
        }

        fn set_count(&mut self, value: i32) -> Result<()> {
            self.count = value;
            Ok(())
        }

        fn set_flag(&mut self, yes: bool) -> Result<()> {
            self.flag = Some(yes);
            Ok(())
        }
    }

    fn set(to: &mut Settings, name: &str, value: &str) -> Result<()> {
        find(TABLE, name.as_bytes()).expect("the option exists").apply(to, value.as_bytes())
    }

    #[test]
    fn an_option_is_found_by_its_whole_name_in_any_case() {
        assert!(find(TABLE, b"NAME").is_some());
        for unknown in ["nam", "names", "", " name"] {
            assert!(find(TABLE, unknown.as_bytes()).is_none());
        }
    }

    #[test]
    fn a_value_is_read_as_the_kind_of_its_option() {
        let mut to = Settings::default();
        set(&mut to, "name", "a b").unwrap();
        set(&mut to, "count", "0x10").unwrap();
        assert_eq!((&to.name[..], to.count), (&b"a b"[..], 16));
        for (text, yes) in
            [("1", true), ("oN", true), ("YES", true), ("true", true), ("2", false), ("", false)]
        {
            set(&mut to, "flag", text).unwrap();
            assert_eq!(to.flag, Some(yes), "{text}");
        }
        for (text, seconds) in
            [("7", 7), ("abc", 7), ("\"15\"", 7), ("", 7), ("0x", 7), ("-9s", 7), ("4294967297", 7)]
        {
            set(&mut to, "wait", text).unwrap();
            assert_eq!(to.count, seconds, "{text}");
        }
        for (text, seconds) in [("12s", 12), ("-3", -3), ("0", 0)] {
            set(&mut to, "wait", text).unwrap();
            assert_eq!(to.count, seconds, "{text}");
        }
        assert!(set(&mut to, "conn", "X:1").is_err());
        assert!(set(&mut to, "conn", "B:1").is_ok());
    }
}
