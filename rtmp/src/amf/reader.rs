//! Reads big-endian fields from the front of a slice; knows where the input ends and nothing about values.

use super::{Fault, MAX_VALUES, Parse};

/// The rest of the input, and of the number of permitted values.
#[derive(Debug, Clone)]
pub(super) struct Reader<'a> {
    pub(super) rest: &'a [u8],
    values_left: usize,
    /// The targets of AMF3 references. Without them, values are read as librtmp reads them, and so are AMF0's typed objects.
    pub(super) tables: Option<Tables<'a>>,
}

/// The targets of references in one AMF3 value; each value has its own tables. References to objects are not followed, because
/// data could grow without end.
#[derive(Debug, Default, Clone)]
pub(super) struct Tables<'a> {
    pub(super) strings: Vec<&'a [u8]>,
    pub(super) classes: Vec<Class<'a>>,
}

/// The definition of a class.
#[derive(Debug, Default, Clone)]
pub(super) struct Class<'a> {
    pub(super) names: Vec<&'a [u8]>,
    pub(super) externalizable: bool,
    pub(super) dynamic: bool,
}

impl<'a> Reader<'a> {
    pub(super) fn new(input: &'a [u8]) -> Self {
        Self { rest: input, values_left: MAX_VALUES, tables: None }
    }

    /// As `new`, for values of any kind.
    pub(super) fn generous(input: &'a [u8]) -> Self {
        Self { tables: Some(Tables::default()), ..Self::new(input) }
    }

    /// Counts a value.
    #[inline]
    pub(super) fn count_value(&mut self) -> Parse<()> {
        self.values_left = self.values_left.checked_sub(1).ok_or(TOO_MANY)?;
        Ok(())
    }

    pub(super) fn len(&self) -> usize {
        self.rest.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    #[inline]
    pub(super) fn array<const N: usize>(&mut self) -> Parse<[u8; N]> {
        let (head, rest) = self.rest.split_first_chunk().ok_or(CUT_OFF)?;
        self.rest = rest;
        Ok(*head)
    }

    #[inline]
    pub(super) fn bytes(&mut self, len: usize) -> Parse<&'a [u8]> {
        let (head, rest) = self.rest.split_at_checked(len).ok_or(CUT_OFF)?;
        self.rest = rest;
        Ok(head)
    }

    #[inline]
    pub(super) fn u8(&mut self) -> Parse<u8> {
        Ok(u8::from_be_bytes(self.array()?))
    }

    #[inline]
    pub(super) fn u16(&mut self) -> Parse<u16> {
        Ok(u16::from_be_bytes(self.array()?))
    }

    #[inline]
    pub(super) fn u32(&mut self) -> Parse<u32> {
        Ok(u32::from_be_bytes(self.array()?))
    }

    #[inline]
    pub(super) fn f64(&mut self) -> Parse<f64> {
        Ok(f64::from_be_bytes(self.array()?))
    }

    /// A text after a 16-bit length.
    #[inline]
    pub(super) fn string(&mut self) -> Parse<&'a [u8]> {
        let len = self.u16()?;
        self.bytes(usize::from(len))
    }

    /// A text after a 32-bit length. C stores lengths in an `int`, so longer text is refused.
    pub(super) fn long_string(&mut self) -> Parse<&'a [u8]> {
        let len = i32::from_be_bytes(self.array()?);
        self.bytes(usize::try_from(len).map_err(|_| CUT_OFF)?)
    }
}

const TOO_MANY: Fault = Fault::Malformed("more values than this library holds");
const CUT_OFF: Fault = Fault::Malformed("a field reaches past the end of the data");
