//! The AMF0 encoder: writes commands and metadata in the order in which its methods are called.

use super::{
    ShortBytes,
    amf0::{BOOLEAN, ECMA_ARRAY, END_OF_LIST, LONG_STRING, NULL, NUMBER, OBJECT, STRICT_ARRAY, STRING},
};

/// Writes AMF0 values into a growing buffer. It does not check that objects are closed or members are named.
///
/// ```
/// let mut body = rtmp::amf::Encoder::new();
/// body.string(b"connect").number(1.0).begin_object().named_string(b"app", b"live").end_object();
/// assert_eq!(body.finish().len(), 10 + 9 + 1 + 12 + 3);
/// ```
#[derive(Debug, Clone, Default)]
pub struct Encoder {
    bytes: ShortBytes,
}

impl Encoder {
    /// An encoder that has written nothing.
    pub fn new() -> Self {
        Self::default()
    }

    /// An encoder that has written nothing, with room for so many bytes.
    pub fn with_capacity(capacity: usize) -> Self {
        Self { bytes: ShortBytes::with_capacity(capacity) }
    }

    /// Writes a string; what is longer than 65,535 bytes becomes a long string.
    pub fn string(&mut self, value: &[u8]) -> &mut Self {
        match u16::try_from(value.len()) {
            Ok(len) => self.marked(STRING, len.to_be_bytes()).raw(value),
            Err(_) => {
                let len = u32::try_from(value.len()).unwrap_or(u32::MAX);
                self.marked(LONG_STRING, len.to_be_bytes()).raw(value.get(..len as usize).unwrap_or(value))
            }
        }
    }

    /// Writes a number.
    pub fn number(&mut self, value: f64) -> &mut Self {
        self.marked(NUMBER, value.to_be_bytes())
    }

    /// Writes true or false.
    pub fn boolean(&mut self, value: bool) -> &mut Self {
        self.raw(&[BOOLEAN, u8::from(value)])
    }

    /// Writes a null.
    pub fn null(&mut self) -> &mut Self {
        self.raw(&[NULL])
    }

    /// Starts an object; its members follow, each with a name.
    pub fn begin_object(&mut self) -> &mut Self {
        self.raw(&[OBJECT])
    }

    /// Starts an ECMA array with `count` in its header; its members follow, each with a name.
    pub fn begin_ecma_array(&mut self, count: u32) -> &mut Self {
        self.marked(ECMA_ARRAY, count.to_be_bytes())
    }

    /// Starts a strict array, whose `count` members follow without names and without an end.
    pub fn begin_strict_array(&mut self, count: u32) -> &mut Self {
        self.marked(STRICT_ARRAY, count.to_be_bytes())
    }

    /// Ends an object or an ECMA array.
    pub fn end_object(&mut self) -> &mut Self {
        self.raw(&END_OF_LIST)
    }

    /// Writes the name of the member that follows. The format has room for 65,535 bytes; the rest is cut off.
    pub fn name(&mut self, name: &[u8]) -> &mut Self {
        let len = u16::try_from(name.len()).unwrap_or(u16::MAX);
        self.raw(&len.to_be_bytes()).raw(name.get(..usize::from(len)).unwrap_or(name))
    }

    /// Writes a member that is a string.
    pub fn named_string(&mut self, name: &[u8], value: &[u8]) -> &mut Self {
        self.name(name).string(value)
    }

    /// Writes a member that is a number.
    pub fn named_number(&mut self, name: &[u8], value: f64) -> &mut Self {
        self.name(name).number(value)
    }

    /// Writes a member that is true or false.
    pub fn named_boolean(&mut self, name: &[u8], value: bool) -> &mut Self {
        self.name(name).boolean(value)
    }

    /// Writes bytes that are already encoded.
    pub fn raw(&mut self, bytes: &[u8]) -> &mut Self {
        self.bytes.put(bytes);
        self
    }

    /// Writes a marker and a field.
    fn marked<const N: usize>(&mut self, marker: u8, field: [u8; N]) -> &mut Self {
        self.raw(&[marker]).raw(&field)
    }

    /// Takes the written bytes; the encoder is empty then and may be used again.
    pub fn take(&mut self) -> Vec<u8> {
        self.bytes.take().into()
    }

    /// The written bytes.
    pub fn finish(self) -> Vec<u8> {
        self.bytes.into()
    }

    /// The written bytes, without a copy if they are few.
    pub fn into_bytes(self) -> ShortBytes {
        self.bytes
    }
}
