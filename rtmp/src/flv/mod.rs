//! The FLV byte stream that `RTMP_Read` returns and `RTMP_Write` accepts.
//!
//! This layer turns messages into FLV tags and back. It knows the FLV file layout, how a download is resumed and what a caller
//! of the read and write calls may observe between two of them. It does not know where messages come from and go to: a pump
//! feeds it and asks what it needs next. Metadata is passed on unread; the session interprets it.
//!
//! ```
//! use rtmp::{flv, message::MessageType};
//!
//! let tag = flv::TagHeader { kind: MessageType::AUDIO.0, length: 3, timestamp: 40 };
//! let file = [&flv::FILE_HEADER[..], &tag.write(), b"\xAF\x01\x21", &tag.previous_tag_size()].concat();
//!
//! // A file is published in pieces of any size: each message is passed on when its last byte has arrived.
//! let mut writer = flv::Writer::<Vec<u8>>::default();
//! let mut messages = Vec::new();
//! for piece in [&file[..26], &file[26..]] {
//!     let used = flv::write(&mut writer, piece, &mut |message| {
//!         messages.push((message.timestamp, message.body.to_vec()));
//!         Ok(())
//!     })?;
//!     assert_eq!(used, piece.len());
//! }
//! assert_eq!(messages, [(40, b"\xAF\x01\x21".to_vec())]);
//! # Ok::<(), rtmp::Error>(())
//! ```

mod aggregate;
pub mod file;
mod place;
pub mod reader;
mod resume;
mod state;
pub mod stream;
pub mod tag;
pub mod writer;

pub use file::{Decoded, Tag, TagReader};
pub use place::Place;
pub use reader::{Piece, Verdict, accept, in_order, is_too_small, plain_tag};
pub use state::{DATA_TYPE_AUDIO, DATA_TYPE_VIDEO, Flags, ReadState, Resume};
pub use stream::{Call, Ending, Step, Stream};
pub use tag::{PREVIOUS_TAG_SIZE_LEN, TAG_HEADER_LEN, TagHeader};
pub use writer::{Finished, Writer, write};

/// The header of an FLV file and the PreviousTagSize before the first tag. Byte 4, which has the kinds of media in the file, is
/// 0 here.
pub const FILE_HEADER: [u8; 13] = *b"FLV\x01\0\0\0\0\x09\0\0\0\0";

/// The first bytes of an FLV file.
pub const SIGNATURE: [u8; 3] = *b"FLV";
