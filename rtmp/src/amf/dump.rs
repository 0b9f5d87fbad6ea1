//! Decoded values as log lines, in librtmp's words.

#![forbid(unsafe_code)]

use log::{Level, debug, log_enabled};

use super::{MAX_DEPTH, Properties, Value};
use crate::text::Text;

/// The line before the members of an object or array.
pub const BEGIN: &str = "(object begin)";
/// The line after them.
pub const END: &str = "(object end)";
/// Columns of a name, in bytes.
const NAME_WIDTH: usize = 18;
/// The limit of bytes that are shown of a value.
const LONGEST_VALUE: usize = 254;
/// The name of a property without a name. The log's built-in writer omits such lines below level ALL.
const NO_NAME: &str = "no-name.";

/// Logs values and everything inside them at level DEBUG.
pub fn dump(values: &Properties<'_>) {
    if log_enabled!(Level::Debug) {
        dump_within(values, MAX_DEPTH);
    }
}

fn dump_within(values: &Properties<'_>, depth: usize) {
    debug!("{BEGIN}");
    for property in values {
        debug!("{}", line(property.name, &property.value));
        match &property.value {
            Value::Object(members) | Value::EcmaArray(members) | Value::StrictArray(members) if depth > 0 => {
                dump_within(members, depth - 1);
            }
            _ => {}
        }
    }
    debug!("{END}");
}

/// The line of a property.
pub fn line<L>(name: &[u8], value: &Value<'_, L>) -> String {
    match value {
        Value::Null => "Property: NULL".to_owned(),
        Value::Invalid => "Property: INVALID".to_owned(),
        value => line_with(name, &words(value)),
    }
}

/// The line of a property with this text in place of its value.
pub fn line_with(name: &[u8], value: &str) -> String {
    let shown = name.get(..NAME_WIDTH).unwrap_or(name);
    let name = if shown.is_empty() { NO_NAME.to_owned() } else { Text(shown).to_string() };
    format!("Property: <Name: {name:>NAME_WIDTH$}, {value}>")
}

fn words<L>(value: &Value<'_, L>) -> String {
    match value {
        Value::Number(number) => cut(format!("NUMBER:\t{}", two_decimals(*number))),
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
            cut(format!("DATE:\ttimestamp: {}, UTC offset: {utc_offset}", two_decimals(*millis)))
        }
        Value::XmlDocument(_) => "INVALID TYPE 0x0f".to_owned(),
        Value::Null | Value::Invalid => String::new(),
    }
}

/// As much of a number as is shown.
fn cut(mut words: String) -> String {
    words.truncate(LONGEST_VALUE);
    words
}

/// A number as C's `%.2f` writes it.
fn two_decimals(number: f64) -> String {
    match number {
        number if !number.is_nan() => format!("{number:.2}"),
        number if number.is_sign_negative() => "-nan".to_owned(),
        _ => "nan".to_owned(),
    }
}
