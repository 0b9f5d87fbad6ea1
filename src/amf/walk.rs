//! Visits the properties of a tree depth first, without recursion: programs may build trees of any depth.

use rtmp_core::{amf::stack::Stack, error::Result};

use super::view::{Object, Properties, Property};

/// A step of a walk.
pub(super) enum Step<'a> {
    /// A property; its members follow if the walk enters it.
    Property(Property<'a>),
    /// The end of the members of an entered property, or of the whole walk's list.
    End,
}

/// A walk through a list and the lists inside it.
pub(super) struct Walk<'a> {
    current: Option<Properties<'a>>,
    outer: Stack<Properties<'a>>,
}

impl<'a> Walk<'a> {
    /// A walk that starts with the first property of `object`.
    pub(super) fn new(object: Object<'a>) -> Self {
        Self { current: Some(object.properties()), outer: Stack::new() }
    }

    /// Continues with the members of an object that the walk has reached.
    pub(super) fn enter(&mut self, members: Object<'a>) -> Result<()> {
        match self.current.replace(members.properties()) {
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
