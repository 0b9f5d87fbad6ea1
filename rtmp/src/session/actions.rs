//! The list of actions after a message, which is short.

use std::{array, fmt, iter, ops::Deref, vec};

use super::Action;

/// A list of actions, in their order. As many as a message usually requires need no allocation.
#[derive(Clone)]
pub struct Actions {
    /// `count` actions, unless they are in `all`.
    few: [Action; FEW],
    count: usize,
    /// All actions, if they are many.
    all: Vec<Action>,
}

/// The number of actions of a player after the result of `connect`.
const FEW: usize = 5;

impl Actions {
    /// Adds an action.
    pub fn push(&mut self, action: Action) {
        if let Some(place) = self.few.get_mut(self.count) {
            *place = action;
            self.count += 1;
            return;
        }
        if self.all.is_empty() {
            self.all.extend(self.few.iter_mut().map(|action| std::mem::replace(action, UNUSED)));
        }
        self.all.push(action);
    }
}

/// The value of places that are not used.
const UNUSED: Action = Action::Close;

impl Default for Actions {
    fn default() -> Self {
        Self { few: [const { UNUSED }; FEW], count: 0, all: Vec::new() }
    }
}

impl Deref for Actions {
    type Target = [Action];

    fn deref(&self) -> &[Action] {
        if self.all.is_empty() { &self.few[..self.count] } else { &self.all }
    }
}

impl IntoIterator for Actions {
    type Item = Action;
    type IntoIter = iter::Chain<iter::Take<array::IntoIter<Action, FEW>>, vec::IntoIter<Action>>;

    fn into_iter(self) -> Self::IntoIter {
        let count = if self.all.is_empty() { self.count } else { 0 };
        self.few.into_iter().take(count).chain(self.all)
    }
}

impl PartialEq for Actions {
    fn eq(&self, other: &Self) -> bool {
        **self == **other
    }
}

impl Eq for Actions {}

impl fmt::Debug for Actions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&**self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_number_of_actions_keeps_its_order() {
        let (mut actions, mut expected) = (Actions::default(), Vec::new());
        for number in 0..3 * FEW as u32 {
            assert_eq!(*actions, *expected);
            assert!(actions.clone().into_iter().eq(expected.clone()));
            actions.push(Action::Abort(number));
            expected.push(Action::Abort(number));
        }
    }
}
