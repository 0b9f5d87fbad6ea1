//! Named options: `name=value` pairs after a URL, and how the text of a value is read.
//!
//! Knows the existing options, in one table, and the form of their values. Each program interface, the C library and
//! [`Client`](crate::Client), stores a [`Setting`] in its own settings.
//!
//! ```
//! use rtmp::options::{self, Setting};
//!
//! assert!(matches!(options::read(b"START", b"0x10")?, Some(Setting::Start(16))));
//! # Ok::<(), rtmp::Error>(())
//! ```

mod common;
pub mod conn;
mod enhanced;
pub mod number;
mod table;
mod text;
mod tuning;
mod value;

use crate::{
    error::{Error, Result},
    text::Text,
};

pub use common::Common;
pub use enhanced::Enhanced;
pub use table::{OPTIONS, Setting};
pub use text::{Pair, next_pair, unescape};
pub use tuning::Tuning;
pub use value::Seconds;

/// One row of the table of options.
pub struct Definition {
    /// Compared without regard to case.
    pub name: &'static str,
    /// The kind of its value, for the list of options.
    pub kind: &'static str,
    /// The purpose of the option, for the list of options.
    pub help: &'static str,
    read: for<'a> fn(&str, &'a [u8]) -> Result<Option<Setting<'a>>>,
}

/// Reads a value for the option `name`, which is case-insensitive. `None` means that the value is invalid and the old one
/// stays.
///
/// The log reports an invalid value, and lists the options if there is none with that name.
pub fn read<'a>(name: &[u8], value: &'a [u8]) -> Result<Option<Setting<'a>>> {
    match position(name) {
        Some(position) => (OPTIONS[position].read)(OPTIONS[position].name, value),
        None => {
            log_unknown(name);
            Err(Error::UnknownOption(Text(name).to_string()))
        }
    }
}

/// The position of the option `name`, which is case-insensitive, in [`OPTIONS`].
pub fn position(name: &[u8]) -> Option<usize> {
    OPTIONS.iter().position(|option| option.name.as_bytes().eq_ignore_ascii_case(name))
}

fn log_unknown(name: &[u8]) {
    log::error!("Unknown option {}", Text(name));
    log::error!("Valid RTMP options are:");
    for Definition { name, kind, help, .. } in OPTIONS {
        log::error!("{name:>10} {kind:<8} {help}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_option_is_found_by_its_whole_name_in_any_case() {
        for name in ["tcUrl", "TCURL", "tcurl"] {
            assert_eq!(position(name.as_bytes()), Some(2));
            assert!(matches!(read(name.as_bytes(), b"x"), Ok(Some(Setting::TcUrl(b"x")))));
        }
        for unknown in ["tcUr", "tcUrls", "", " tcUrl"] {
            assert_eq!(position(unknown.as_bytes()), None);
            assert!(
                matches!(read(unknown.as_bytes(), b"x"), Err(Error::UnknownOption(name)) if name == unknown)
            );
        }
    }

    #[test]
    fn names_are_different_in_more_than_case() {
        for (expected, option) in OPTIONS.iter().enumerate() {
            assert_eq!(position(option.name.to_ascii_lowercase().as_bytes()), Some(expected));
        }
    }

    /// The rows of the guide's table of options: name and type.
    fn documented() -> Vec<(&'static str, &'static str)> {
        let chapter = include_str!("../../../docs/src/options.md");
        let (_, rest) = chapter.split_once("\n## Options\n").expect("the chapter has a section of options");
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
    fn guide_has_every_option_with_its_type_and_no_other() {
        let options: Vec<_> = OPTIONS.iter().map(|option| (option.name, option.kind)).collect();
        assert_eq!(documented(), options);
    }
}
