//! A growing sequence of bytes that needs no allocation while it is short.

use std::{fmt, mem, ops::Deref};

/// The body of a command. Most commands have fewer than 62 bytes.
#[derive(Clone)]
pub struct ShortBytes(Bytes);

#[derive(Clone)]
enum Bytes {
    Here { len: u8, room: [u8; ROOM] },
    Allocated(Vec<u8>),
}

/// The number of bytes that need no allocation.
const ROOM: usize = 62;

impl ShortBytes {
    const NONE: Bytes = Bytes::Here { len: 0, room: [0; ROOM] };

    /// No bytes, with room for so many.
    pub(super) fn with_capacity(capacity: usize) -> Self {
        Self(if capacity <= ROOM { Self::NONE } else { Bytes::Allocated(Vec::with_capacity(capacity)) })
    }

    /// Appends bytes.
    pub(super) fn put(&mut self, bytes: &[u8]) {
        match &mut self.0 {
            Bytes::Allocated(all) => all.extend_from_slice(bytes),
            Bytes::Here { len, room } => {
                let start = usize::from(*len);
                match room.get_mut(start..start + bytes.len()) {
                    Some(free) => {
                        free.copy_from_slice(bytes);
                        *len += bytes.len() as u8;
                    }
                    None => {
                        let mut all = Vec::with_capacity((2 * ROOM).max(start + bytes.len()));
                        all.extend_from_slice(&room[..start]);
                        all.extend_from_slice(bytes);
                        self.0 = Bytes::Allocated(all);
                    }
                }
            }
        }
    }

    /// Takes all bytes.
    pub(super) fn take(&mut self) -> Self {
        Self(mem::replace(&mut self.0, Self::NONE))
    }
}

impl Default for ShortBytes {
    fn default() -> Self {
        Self(Self::NONE)
    }
}

impl Deref for ShortBytes {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        match &self.0 {
            Bytes::Here { len, room } => &room[..usize::from(*len)],
            Bytes::Allocated(all) => all,
        }
    }
}

impl AsRef<[u8]> for ShortBytes {
    fn as_ref(&self) -> &[u8] {
        self
    }
}

impl From<&[u8]> for ShortBytes {
    fn from(bytes: &[u8]) -> Self {
        let mut own = Self::with_capacity(bytes.len());
        own.put(bytes);
        own
    }
}

impl From<ShortBytes> for Vec<u8> {
    fn from(bytes: ShortBytes) -> Self {
        match bytes.0 {
            Bytes::Allocated(all) => all,
            Bytes::Here { .. } => bytes.to_vec(),
        }
    }
}

impl PartialEq for ShortBytes {
    fn eq(&self, other: &Self) -> bool {
        **self == **other
    }
}

impl Eq for ShortBytes {}

impl fmt::Debug for ShortBytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&**self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_the_same_in_either_place() {
        for piece in [1, 3, ROOM - 1, ROOM, ROOM + 1] {
            let (mut bytes, mut expected) = (ShortBytes::default(), Vec::new());
            for round in 0..2 * ROOM {
                let more = vec![round as u8; piece];
                bytes.put(&more);
                expected.extend(more);
                assert_eq!(*bytes, *expected);
                assert_eq!(matches!(bytes.0, Bytes::Here { .. }), expected.len() <= ROOM);
            }
            assert_eq!(ShortBytes::from(&*expected), bytes);
            assert_eq!(Vec::from(bytes.take()), expected);
            assert!(bytes.is_empty());
        }
    }
}
