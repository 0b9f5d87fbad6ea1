//! AMF0 for tests: values to send, and a readable text of received values.

use std::fmt::{self, Write};

/// An AMF0 value.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    Number(f64),
    Bool(bool),
    Text(String),
    Object(Vec<(String, Value)>),
    Ecma(Vec<(String, Value)>),
    Strict(Vec<Value>),
    Null,
    Undefined,
    /// A string that is not UTF-8.
    Bytes(Vec<u8>),
}

/// A string value.
pub fn s(text: &str) -> Value {
    Value::Text(text.to_owned())
}

/// A number value.
pub fn n(number: impl Into<f64>) -> Value {
    Value::Number(number.into())
}

/// An object value.
pub fn object(members: &[(&str, Value)]) -> Value {
    Value::Object(members.iter().map(|(name, value)| (name.to_string(), value.clone())).collect())
}

/// An ECMA array value.
pub fn ecma(members: &[(&str, Value)]) -> Value {
    Value::Ecma(members.iter().map(|(name, value)| (name.to_string(), value.clone())).collect())
}

/// A status object as servers send it.
pub fn status(level: &str, code: &str, description: &str) -> Value {
    object(&[("level", s(level)), ("code", s(code)), ("description", s(description))])
}

/// Encodes the values one after another.
pub fn encode(values: &[Value]) -> Vec<u8> {
    let mut out = Vec::new();
    values.iter().for_each(|value| value.write(&mut out));
    out
}

impl Value {
    fn write(&self, out: &mut Vec<u8>) {
        match self {
            Self::Number(number) => {
                out.push(0);
                out.extend(number.to_be_bytes());
            }
            Self::Bool(value) => out.extend([1, u8::from(*value)]),
            Self::Text(text) => {
                out.push(2);
                short_string(text.as_bytes(), out);
            }
            Self::Bytes(bytes) => {
                out.push(2);
                short_string(bytes, out);
            }
            Self::Object(members) => {
                out.push(3);
                write_members(members, out);
            }
            Self::Ecma(members) => {
                out.push(8);
                out.extend((members.len() as u32).to_be_bytes());
                write_members(members, out);
            }
            Self::Strict(items) => {
                out.push(10);
                out.extend((items.len() as u32).to_be_bytes());
                items.iter().for_each(|item| item.write(out));
            }
            Self::Null => out.push(5),
            Self::Undefined => out.push(6),
        }
    }

    /// The number, if it is one.
    pub fn number(&self) -> Option<f64> {
        if let Self::Number(number) = self { Some(*number) } else { None }
    }

    /// The text, if it is one.
    pub fn text(&self) -> Option<&str> {
        if let Self::Text(text) = self { Some(text) } else { None }
    }

    /// A member of an object.
    pub fn member(&self, wanted: &str) -> Option<&Value> {
        let (Self::Object(members) | Self::Ecma(members)) = self else { return None };
        members.iter().find(|(name, _)| name == wanted).map(|(_, value)| value)
    }
}

fn write_members(members: &[(String, Value)], out: &mut Vec<u8>) {
    for (name, value) in members {
        short_string(name.as_bytes(), out);
        value.write(out);
    }
    out.extend([0, 0, 9]);
}

fn short_string(bytes: &[u8], out: &mut Vec<u8>) {
    out.extend((bytes.len() as u16).to_be_bytes());
    out.extend(bytes);
}

/// Reads all values of a body; `None` if it is not entirely AMF0.
pub fn decode(mut body: &[u8]) -> Option<Vec<Value>> {
    let mut values = Vec::new();
    while !body.is_empty() {
        values.push(read(&mut body)?);
    }
    Some(values)
}

/// The values of a body as text, in the notation of the specification: `s("play") n(4) null`. A rest that is
/// not AMF0 follows as hexadecimal digits.
pub fn describe(mut body: &[u8]) -> String {
    let mut words = Vec::new();
    while !body.is_empty() {
        let before = body;
        match read(&mut body) {
            Some(value) => words.push(value.to_string()),
            None => {
                words.push(format!("rest:{}", super::hex::encode(before)));
                break;
            }
        }
    }
    words.join(" ")
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Number(number) => write!(f, "n({number})"),
            Self::Bool(value) => write!(f, "b({value})"),
            Self::Text(text) => write!(f, "s({text:?})"),
            Self::Bytes(bytes) => write!(f, "bytes({})", super::hex::encode(bytes)),
            Self::Object(members) => write!(f, "obj{{{}}}", list(members)),
            Self::Ecma(members) => write!(f, "ecma{{{}}}", list(members)),
            Self::Strict(items) => {
                let items: Vec<_> = items.iter().map(ToString::to_string).collect();
                write!(f, "strict[{}]", items.join(", "))
            }
            Self::Null => f.write_str("null"),
            Self::Undefined => f.write_str("undefined"),
        }
    }
}

fn list(members: &[(String, Value)]) -> String {
    let mut text = String::new();
    for (name, value) in members {
        let separator = if text.is_empty() { "" } else { ", " };
        let _ = write!(text, "{separator}{name}={value}");
    }
    text
}

fn read(input: &mut &[u8]) -> Option<Value> {
    Some(match take(input, 1)?[0] {
        0 => Value::Number(f64::from_be_bytes(take(input, 8)?.try_into().ok()?)),
        1 => Value::Bool(take(input, 1)?[0] != 0),
        2 => {
            let bytes = read_string(input)?;
            String::from_utf8(bytes).map_or_else(|error| Value::Bytes(error.into_bytes()), Value::Text)
        }
        3 => Value::Object(read_members(input)?),
        5 => Value::Null,
        6 => Value::Undefined,
        8 => {
            take(input, 4)?;
            Value::Ecma(read_members(input)?)
        }
        10 => {
            let count = u32::from_be_bytes(take(input, 4)?.try_into().ok()?);
            Value::Strict((0..count).map(|_| read(input)).collect::<Option<_>>()?)
        }
        _ => return None,
    })
}

fn read_members(input: &mut &[u8]) -> Option<Vec<(String, Value)>> {
    let mut members = Vec::new();
    loop {
        if input.starts_with(&[0, 0, 9]) {
            take(input, 3)?;
            return Some(members);
        }
        let name = String::from_utf8_lossy(&read_string(input)?).into_owned();
        members.push((name, read(input)?));
    }
}

fn read_string(input: &mut &[u8]) -> Option<Vec<u8>> {
    let length = u16::from_be_bytes(take(input, 2)?.try_into().ok()?);
    take(input, usize::from(length)).map(<[u8]>::to_vec)
}

fn take<'a>(input: &mut &'a [u8], n: usize) -> Option<&'a [u8]> {
    let (head, tail) = input.split_at_checked(n)?;
    *input = tail;
    Some(head)
}
