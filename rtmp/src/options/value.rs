//! The kinds of option values, and how they are read from text.

use log::warn;

use super::{
    conn,
    number::{self, Flaw},
};
use crate::{error::Result, text::Text};

/// The value that an option's text is read as.
pub(super) trait Value<'a>: Sized {
    /// The kind, for the list of options.
    const KIND: &'static str;

    /// Reads the text for the option `name`; `None` if the old value stays. The log reports invalid text.
    fn read(name: &str, text: &'a [u8]) -> Result<Option<Self>>;
}

/// The longest wait in seconds. Text that is not a number changes nothing, because 0 may disable the timeout.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Seconds(pub i32);

/// Any text.
impl<'a> Value<'a> for &'a [u8] {
    const KIND: &'static str = "string";

    fn read(_: &str, text: &'a [u8]) -> Result<Option<Self>> {
        Ok(Some(text))
    }
}

/// A number; invalid text counts as 0.
impl Value<'_> for i32 {
    const KIND: &'static str = "integer";

    fn read(name: &str, text: &[u8]) -> Result<Option<Self>> {
        let (number, flaw) = number::checked_any_base(text);
        if let Some(flaw) = flaw {
            warn!("{name}={}: {}, {number} is used", Text(text), words(flaw));
        }
        Ok(Some(number))
    }
}

impl Value<'_> for Seconds {
    const KIND: &'static str = i32::KIND;

    fn read(name: &str, text: &[u8]) -> Result<Option<Self>> {
        match number::checked_any_base(text) {
            (seconds, None) => Ok(Some(Self(seconds))),
            (seconds @ 1.., Some(flaw @ Flaw::MoreThanANumber)) => {
                warn!("{name}={}: {}, {seconds} is used", Text(text), words(flaw));
                Ok(Some(Self(seconds)))
            }
            (_, Some(flaw)) => {
                warn!("{name}={}: {}, the old value stays", Text(text), words(flaw));
                Ok(None)
            }
        }
    }
}

/// Whether the text is one of the words for "yes".
impl Value<'_> for bool {
    const KIND: &'static str = "boolean";

    fn read(name: &str, text: &[u8]) -> Result<Option<Self>> {
        let is_one_of = |words: [&[u8]; 4]| words.iter().any(|word| word.eq_ignore_ascii_case(text));
        let yes = is_one_of([b"1", b"on", b"yes", b"true"]);
        if !yes && !is_one_of([b"0", b"off", b"no", b"false"]) {
            warn!("{name}={}: neither yes nor no", Text(text));
        }
        Ok(Some(yes))
    }
}

/// A piece of the AMF data that follows the connect command.
impl<'a> Value<'a> for conn::Item<'a> {
    const KIND: &'static str = "AMF";

    fn read(name: &str, text: &'a [u8]) -> Result<Option<Self>> {
        let item = Self::parse(text)?;
        if conn::is_flawed(text) {
            // Some servers receive secrets in this way, so the value is not shown.
            warn!("{name}: a value is not the number that its letter stands for");
        }
        Ok(Some(item))
    }
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

    fn read<'a, T: Value<'a>>(text: &'a str) -> Option<T> {
        T::read("option", text.as_bytes()).expect("the kind takes any text")
    }

    #[test]
    fn text_that_is_no_number_counts_as_zero() {
        for (text, number) in [("0x10", 16), ("010", 8), ("-7s", -7), ("abc", 0), ("", 0)] {
            assert_eq!(read::<i32>(text), Some(number), "{text}");
        }
    }

    #[test]
    fn a_flag_is_set_by_the_words_for_yes_only() {
        for (text, yes) in [
            ("1", true),
            ("oN", true),
            ("YES", true),
            ("true", true),
            ("2", false),
            ("off", false),
            ("", false),
        ] {
            assert_eq!(read::<bool>(text), Some(yes), "{text}");
        }
    }

    #[test]
    fn invalid_timeout_keeps_the_old_one() {
        for text in ["abc", "\"15\"", "", "0x", "-9s", "4294967297"] {
            assert_eq!(read::<Seconds>(text), None, "{text}");
        }
        for (text, seconds) in [("7", 7), ("12s", 12), ("-3", -3), ("0", 0)] {
            assert_eq!(read::<Seconds>(text), Some(Seconds(seconds)), "{text}");
        }
    }

    #[test]
    fn text_that_is_no_amf_value_is_an_error() {
        assert!(conn::Item::read("conn", b"X:1").is_err());
        assert!(conn::Item::read("conn", b"B:1").is_ok());
    }
}
