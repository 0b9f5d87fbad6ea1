//! Walks nested data without recursion: which lists are open, and where a finished one belongs.
//!
//! An explicit stack makes the use of the thread's stack independent of the peer: C programs may call from threads with a small
//! stack.

use std::mem;

use super::{Fault, List, MAX_DEPTH, Parse, Value, reader::Reader, stack::Stack};

/// The form of a list's properties, and the position in it.
#[derive(Debug)]
pub(super) enum Shape<'a> {
    /// AMF0, up to an end marker or the end of the data.
    Members { named: bool, ecma: bool },
    /// AMF0, a number of values.
    Elements { named: bool, left: usize },
    /// The members of an AMF3 object.
    Amf3(Members<'a>),
}

/// The members of an object that were not read yet.
#[derive(Debug)]
pub(super) enum Members<'a> {
    /// None.
    Done,
    /// One value, with or without a name before it.
    One { named: bool },
    /// The one value of an externalizable object.
    Externalizable,
    /// Values whose names are in the class definition, then possibly dynamic members.
    Sealed { names: Reader<'a>, left: usize, dynamic: bool },
    /// The same, with the class in the table and the index of the next name.
    OfClass { class: usize, next: usize },
    /// Named values up to an empty name.
    Dynamic,
    /// The named values of an array up to an empty name; then values without names.
    Keyed { left: usize, any: bool },
    /// Values without names.
    Items { left: usize, keyed: bool },
}

impl Members<'_> {
    fn is_array(&self) -> bool {
        matches!(self, Self::Keyed { .. } | Self::Items { .. })
    }

    /// Whether an array has members with names.
    fn has_names(&self) -> bool {
        matches!(self, Self::Keyed { any: true, .. } | Self::Items { keyed: true, .. })
    }
}

/// The point where the reading of a list paused.
pub(super) enum Pause<'a> {
    /// At the start of a value with members: its name, and the shape of what follows.
    Nested(&'a [u8], Shape<'a>),
    /// At the end of the list.
    End,
}

/// A list that is being read.
struct Level<'a, L> {
    name: &'a [u8],
    shape: Shape<'a>,
    list: L,
}

/// Reads the properties of a list into `list`; on failure those before the invalid one stay there. `step` continues to read a
/// list up to a value with members, or to its end.
pub(super) fn read<'a, L: List<'a>>(
    list: &mut L,
    reader: &mut Reader<'a>,
    shape: Shape<'a>,
    step: impl Fn(&mut L, &mut Shape<'a>, &mut Reader<'a>) -> Parse<Pause<'a>>,
) -> Parse<()> {
    let mut outer = Stack::new();
    let mut current = Level { name: &[], shape, list: mem::take(list) };
    let result = read_levels(&mut outer, &mut current, reader, step);
    let outermost = outer.into_first().unwrap_or(current);
    *list = outermost.list;
    result
}

fn read_levels<'a, L: List<'a>>(
    outer: &mut Stack<Level<'a, L>>,
    current: &mut Level<'a, L>,
    reader: &mut Reader<'a>,
    step: impl Fn(&mut L, &mut Shape<'a>, &mut Reader<'a>) -> Parse<Pause<'a>>,
) -> Parse<()> {
    loop {
        let Level { shape, list, .. } = &mut *current;
        match step(list, shape, reader)? {
            Pause::Nested(name, shape) => {
                if outer.len() == MAX_DEPTH {
                    return Err(Fault::Malformed("objects are nested too deeply"));
                }
                outer.push(mem::replace(current, Level { name, shape, list: L::default() }))?;
            }
            Pause::End => {
                let Some(parent) = outer.pop() else { return Ok(()) };
                let Level { name, shape, list } = mem::replace(current, parent);
                current.list.push(name, shape.value(list))?;
            }
        }
    }
}

impl Shape<'_> {
    /// The value of a nested list of this shape.
    fn value<'a, L>(&self, list: L) -> Value<'a, L> {
        match self {
            Self::Members { ecma: true, .. } => Value::EcmaArray(list),
            Self::Elements { .. } => Value::StrictArray(list),
            Self::Amf3(members) if members.is_array() => match members.has_names() {
                true => Value::EcmaArray(list),
                false => Value::StrictArray(list),
            },
            Self::Members { .. } | Self::Amf3(_) => Value::Object(list),
        }
    }
}
