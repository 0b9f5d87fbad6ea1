//! Visiting the properties of a tree depth first, without recursion: programs may build trees of any depth.

use std::slice;

use rtmp_core::{amf::stack::Stack, error::Result};

use super::{list::properties, types::*};

/// What a walk comes across.
pub(super) enum Step<'a> {
    /// A property; its members follow if the walk was told to enter it.
    Property(&'a AMFObjectProperty),
    /// The end of the members of an entered property, or of the whole walk's list.
    End,
}

/// A walk through a list and the lists inside it.
pub(super) struct Walk<'a> {
    current: Option<slice::Iter<'a, AMFObjectProperty>>,
    outer: Stack<slice::Iter<'a, AMFObjectProperty>>,
}

impl<'a> Walk<'a> {
    /// A walk that starts with the first property of `object`.
    ///
    /// # Safety
    /// `object` and all objects inside it hold as many properties as they say for as long as the walk is used.
    pub(super) unsafe fn new(object: &AMFObject) -> Self {
        // SAFETY: the caller's contract above.
        Self { current: Some(unsafe { properties(object) }.iter()), outer: Stack::new() }
    }

    /// Continues with the members of an object that the walk came across.
    pub(super) fn enter(&mut self, members: &'a AMFObject) -> Result<()> {
        // SAFETY: the contract of `new` covers nested objects.
        let members = unsafe { properties(members) }.iter();
        match self.current.replace(members) {
            Some(outer) => self.outer.push(outer),
            None => Ok(()),
        }
    }
}

impl<'a> Iterator for Walk<'a> {
    type Item = Step<'a>;

    fn next(&mut self) -> Option<Step<'a>> {
        match self.current.as_mut()?.next() {
            Some(property) => Some(Step::Property(property)),
            None => {
                self.current = self.outer.pop();
                Some(Step::End)
            }
        }
    }
}
