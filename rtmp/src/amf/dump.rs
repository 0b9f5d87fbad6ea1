//! Decoded values as log lines, in librtmp's words.

#![forbid(unsafe_code)]

use std::fmt;

use log::{Level, debug, log_enabled};

use super::{MAX_DEPTH, Properties, Value};
use crate::text::Text;

/// The line before the members of an object or array.
pub const BEGIN: &str = "(object begin)";
/// The line after them.
pub const END: &str = "(object end)";
/// Columns of a name, in bytes.
pub const NAME_WIDTH: usize = 18;
/// The limit of bytes that are shown of a value.
pub const LONGEST_VALUE: usize = 254;
/// The name of a property without a name. The log's built-in writer omits such lines below level ALL.
pub const NO_NAME: &str = "no-name.";

/// Logs values and everything inside them at level DEBUG.
pub fn dump(values: &Properties<'_>) {
    if log_enabled!(Level::Debug) {
        dump_within(values, MAX_DEPTH);
    }
}

fn dump_within(values: &Properties<'_>, depth: usize) {
    debug!("{BEGIN}");
    for property in values {
        match &property.value {
            Value::Null => debug!("Property: NULL"),
            Value::Invalid => debug!("Property: INVALID"),
            value => {
                let shown = property.name.get(..NAME_WIDTH).unwrap_or(property.name);
                let name = if shown.is_empty() { NO_NAME.to_owned() } else { Text(shown).to_string() };
                debug!("{}", Line { name: &name, value: &words(value) });
            }
        }
        match &property.value {
            Value::Object(members) | Value::EcmaArray(members) | Value::StrictArray(members) if depth > 0 => {
                dump_within(members, depth - 1);
            }
            _ => {}
        }
    }
    debug!("{END}");
}

/// A property that has a value.
pub struct Line<'a> {
    /// The name of the member.
    pub name: &'a str,
    /// The text in place of its value.
    pub value: &'a str,
}

impl fmt::Display for Line<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Property: <Name: {:>NAME_WIDTH$}, {}>", self.name, self.value)
    }
}

fn words(value: &Value<'_>) -> String {
    match value {
        Value::Number(number) => format!("NUMBER:\t{}", two_decimals(*number)),
        Value::Boolean(true) => "BOOLEAN:\tTRUE".to_owned(),
        Value::Boolean(false) => "BOOLEAN:\tFALSE".to_owned(),
        Value::String(text) => {
            let text = text.get(..LONGEST_VALUE - "STRING:\t".len()).unwrap_or(text);
            format!("STRING:\t{}", Text(text))
        }
        Value::Object(_) => "OBJECT".to_owned(),
        Value::EcmaArray(_) => "ECMA_ARRAY".to_owned(),
        Value::StrictArray(_) => "STRICT_ARRAY".to_owned(),
        Value::Date { millis, utc_offset } => {
            format!("DATE:\ttimestamp: {}, UTC offset: {utc_offset}", two_decimals(*millis))
        }
        Value::XmlDocument(_) => "INVALID TYPE 0x0f".to_owned(),
        Value::Null | Value::Invalid => String::new(),
    }
}

/// A number as C's `%.2f` writes it.
pub fn two_decimals(number: f64) -> String {
    match number {
        number if !number.is_nan() => format!("{number:.2}"),
        number if number.is_sign_negative() => "-nan".to_owned(),
        _ => "nan".to_owned(),
    }
}
