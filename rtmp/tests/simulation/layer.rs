//! What lies between a session and the network.

use std::io::IoSlice;

use super::{
    dice::Dice,
    network::{Pipe, Time},
};

/// Bytes of a session as they are.
pub enum Layer {
    Plain,
}

impl Layer {
    /// Sends the beginning of these bytes of a session, and returns how much.
    pub fn send(&mut self, slices: &[IoSlice<'_>], pipe: &mut Pipe, now: Time, dice: &mut Dice) -> usize {
        let mut sent = 0;
        for slice in slices {
            let count = pipe.write(slice, now, dice);
            sent += count;
            if count < slice.len() {
                break;
            }
        }
        sent
    }
}
