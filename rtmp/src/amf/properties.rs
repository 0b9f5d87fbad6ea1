//! A list of decoded properties for Rust callers, and the search in it.

use std::slice;

use super::{List, MAX_DEPTH, Value};
use crate::error::{Error, Result};

/// A value and its name; the name is empty where the format has none.
#[derive(Debug, Clone, PartialEq)]
pub struct Property<'a> {
    /// The name, by custom UTF-8.
    pub name: &'a [u8],
    /// The value.
    pub value: Value<'a>,
}

/// Properties in the order in which they were sent. Names may repeat.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Properties<'a>(Vec<Property<'a>>);

impl<'a> Properties<'a> {
    /// The number of properties, without nested ones.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The properties in order.
    pub fn iter(&self) -> slice::Iter<'_, Property<'a>> {
        self.0.iter()
    }

    /// The property at a position.
    pub fn get(&self, index: usize) -> Option<&Property<'a>> {
        self.0.get(index)
    }

    /// The first value of that name, looking only at this level.
    pub fn find(&self, name: &[u8]) -> Option<&Value<'a>> {
        self.iter().find(|property| property.name == name).map(|property| &property.value)
    }

    /// The first value of that name, depth first through objects and ECMA arrays.
    pub fn find_deep(&self, name: &[u8]) -> Option<&Value<'a>> {
        self.find_within(name, MAX_DEPTH)
    }

    /// Whether any name is longer than `prefix` and begins with it, looking into objects but not into arrays.
    pub fn has_prefix_property(&self, prefix: &[u8]) -> bool {
        self.has_prefix_within(prefix, MAX_DEPTH)
    }

    fn find_within(&self, name: &[u8], depth: usize) -> Option<&Value<'a>> {
        self.iter().find_map(|property| match &property.value {
            value if property.name == name => Some(value),
            Value::Object(members) | Value::EcmaArray(members) if depth > 0 => {
                members.find_within(name, depth - 1)
            }
            _ => None,
        })
    }

    fn has_prefix_within(&self, prefix: &[u8], depth: usize) -> bool {
        self.iter().any(|Property { name, value }| {
            let found = name.len() > prefix.len() && name.starts_with(prefix);
            found
                || match value {
                    Value::Object(members) if depth > 0 => members.has_prefix_within(prefix, depth - 1),
                    _ => false,
                }
        })
    }
}

impl<'a> List<'a> for Properties<'a> {
    fn push(&mut self, name: &'a [u8], value: Value<'a, Self>) -> Result<()> {
        self.0.try_reserve(1).map_err(|_| Error::OutOfMemory)?;
        self.0.push(Property { name, value });
        Ok(())
    }
}

impl<'l, 'a> IntoIterator for &'l Properties<'a> {
    type Item = &'l Property<'a>;
    type IntoIter = slice::Iter<'l, Property<'a>>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}
