//! Hashes a SWF file as it arrives, and uncompresses it if necessary.

use std::io::{self, Write};

use hmac::{Hmac, KeyInit, Mac};
use log::warn;
use lzma_rs::{
    decompress::{Options, UnpackedSize},
    lzma_decompress_with_options,
};
use miniz_oxide::inflate::{
    TINFLStatus as Status,
    core::{
        DecompressorOxide, decompress,
        inflate_flags::{TINFL_FLAG_HAS_MORE_INPUT, TINFL_FLAG_PARSE_ZLIB_HEADER},
    },
};
use sha2::Sha256;

use super::SwfHash;
use crate::error::{Error, Result};

/// The limit of a file's size, both as it arrives and uncompressed.
pub const MAX_SIZE: usize = 64 << 20;

/// A hash that is being computed.
///
/// Files that begin with `CWS` or `ZWS` are uncompressed. Everything else is hashed unchanged, also files shorter than the
/// header of a SWF file. The length in that header is not used.
///
/// ```
/// let mut hasher = rtmp::swf::hash::Hasher::new();
/// hasher.update(b"FWS\x0A\x0C\0\0\0")?;
/// hasher.update(b"rest")?;
/// assert_eq!(hasher.finish()?.map(|hash| hash.size), Some(12));
/// # Ok::<(), rtmp::Error>(())
/// ```
pub struct Hasher {
    state: State,
}

enum State {
    /// The header is not complete.
    Header(Vec<u8>),
    Plain(Digest),
    Deflated(Digest, Inflater),
    /// The whole file, since damaged ones are hashed unchanged.
    Lzma(Vec<u8>),
}

impl Hasher {
    /// Starts a hash.
    pub fn new() -> Self {
        Self { state: State::Header(Vec::new()) }
    }

    /// Adds the next part of the file.
    pub fn update(&mut self, mut bytes: &[u8]) -> Result<()> {
        if let State::Header(header) = &mut self.state {
            let count = bytes.len().min(HEADER - header.len().min(HEADER));
            let (more, rest) = bytes.split_at(count);
            header.extend_from_slice(more);
            if header.len() < HEADER {
                return Ok(());
            }
            self.state = State::after(header)?;
            bytes = rest;
        }
        match &mut self.state {
            State::Header(_) => Ok(()),
            State::Plain(digest) => digest.update(bytes),
            State::Deflated(digest, inflater) => inflater.update(bytes, digest),
            State::Lzma(file) if bytes.len() > MAX_SIZE - file.len().min(MAX_SIZE) => Err(TOO_LARGE),
            State::Lzma(file) => {
                file.extend_from_slice(bytes);
                Ok(())
            }
        }
    }

    /// The hash of all added bytes; `None` if there were none.
    pub fn finish(self) -> Result<Option<SwfHash>> {
        Ok(Some(match self.state {
            State::Header(header) if header.is_empty() => return Ok(None),
            State::Header(header) => Digest::of(&header)?.finish(),
            State::Plain(digest) => digest.finish(),
            State::Deflated(digest, inflater) => {
                if !inflater.is_done {
                    warn!("the SWF file is cut or damaged, its hash is that of the beginning");
                }
                digest.finish()
            }
            State::Lzma(file) => unpack(&file)?.finish(),
        }))
    }
}

impl Default for Hasher {
    fn default() -> Self {
        Self::new()
    }
}

impl State {
    fn after(header: &[u8]) -> Result<Self> {
        Ok(match header {
            [b'C', b'W', b'S', ..] => Self::Deflated(Digest::uncompressed(header)?, Inflater::new()),
            [b'Z', b'W', b'S', ..] => Self::Lzma(header.to_vec()),
            _ => Self::Plain(Digest::of(header)?),
        })
    }
}

/// Counts and hashes uncompressed bytes.
struct Digest {
    mac: Hmac<Sha256>,
    size: usize,
}

impl Digest {
    fn of(bytes: &[u8]) -> Result<Self> {
        let mac = Hmac::new_from_slice(KEY).map_err(|_| Error::Invalid("key of the SWF hash"))?;
        let mut digest = Self { mac, size: 0 };
        digest.update(bytes)?;
        Ok(digest)
    }

    /// Starts with the header of a compressed file, which becomes that of an uncompressed one.
    fn uncompressed(header: &[u8]) -> Result<Self> {
        let mut digest = Self::of(b"F")?;
        digest.update(header.get(1..).unwrap_or_default())?;
        Ok(digest)
    }

    fn update(&mut self, bytes: &[u8]) -> Result<()> {
        if bytes.len() > MAX_SIZE - self.size {
            return Err(TOO_LARGE);
        }
        self.size += bytes.len();
        self.mac.update(bytes);
        Ok(())
    }

    fn finish(self) -> SwfHash {
        let size = u32::try_from(self.size).expect("at most MAX_SIZE");
        SwfHash { size, hash: self.mac.finalize().into_bytes().into() }
    }
}

/// Uncompresses a zlib stream as it arrives.
struct Inflater {
    stream: Box<DecompressorOxide>,
    /// The last bytes of output, which the stream refers to.
    window: Vec<u8>,
    /// The position in the window of the next byte.
    position: usize,
    /// The stream is complete; bytes after it are ignored.
    is_done: bool,
    /// The stream is damaged; bytes after the damage are ignored.
    is_damaged: bool,
}

impl Inflater {
    fn new() -> Self {
        Self {
            stream: Box::default(),
            window: vec![0; WINDOW],
            position: 0,
            is_done: false,
            is_damaged: false,
        }
    }

    fn update(&mut self, mut input: &[u8], digest: &mut Digest) -> Result<()> {
        while !self.is_done && !self.is_damaged {
            let (status, consumed, produced) =
                decompress(&mut self.stream, input, &mut self.window, self.position, FLAGS);
            let end = self.position + produced;
            // Output before the damage counts, as in librtmp.
            digest.update(self.window.get(self.position..end).unwrap_or_default())?;
            self.position = end % WINDOW;
            input = input.get(consumed..).unwrap_or_default();
            match status {
                Status::Done => self.is_done = true,
                Status::NeedsMoreInput => return Ok(()),
                Status::HasMoreOutput => {}
                _ => self.is_damaged = true,
            }
        }
        Ok(())
    }
}

/// Uncompresses a whole `ZWS` file: the header of 8 bytes, the length of the compressed part (4 bytes), 5 bytes of LZMA
/// properties, and the LZMA stream. If it is damaged, the file is hashed unchanged.
fn unpack(file: &[u8]) -> Result<Digest> {
    let (Some(header), Some(packed)) = (file.get(..HEADER), file.get(HEADER + 4..)) else {
        return Digest::of(file);
    };
    let size = header.iter().skip(4).rev().fold(0, |size, &byte| size << 8 | usize::from(byte));
    let Some(size) = size.checked_sub(HEADER) else { return Digest::of(file) };
    if size > MAX_SIZE {
        return Err(TOO_LARGE);
    }
    let options = Options {
        unpacked_size: UnpackedSize::UseProvided(Some(size as u64)),
        memlimit: Some(MAX_SIZE),
        allow_incomplete: false,
    };
    let mut output = Output { digest: Digest::uncompressed(header)?, is_full: false };
    match lzma_decompress_with_options(&mut &packed[..], &mut output, &options) {
        _ if output.is_full => Err(TOO_LARGE),
        Ok(()) => Ok(output.digest),
        Err(error) => {
            warn!("the SWF file cannot be uncompressed and is hashed as it is: {error}");
            Digest::of(file)
        }
    }
}

/// A digest that a decoder can write to.
struct Output {
    digest: Digest,
    is_full: bool,
}

impl Write for Output {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.digest.update(bytes).is_err() {
            self.is_full = true;
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The key of all these hashes.
const KEY: &[u8] = b"Genuine Adobe Flash Player 001";
/// Size of the part of a SWF file that is never compressed.
const HEADER: usize = 8;
/// The largest distance of references in a zlib stream.
const WINDOW: usize = 32 * 1024;
const FLAGS: u32 = TINFL_FLAG_PARSE_ZLIB_HEADER | TINFL_FLAG_HAS_MORE_INPUT;

const TOO_LARGE: Error = Error::TooLarge("an SWF file of more than 64 MiB");

#[cfg(test)]
mod tests {
    use flate2::{Compress, Compression, FlushCompress, Status};

    use super::*;

    const SIZE: u32 = 5008;
    const HASH: &str = "39fdf20adc2884f7c56cc1f1a201e320540d22691568ef1817ca178b11f8e2a1";

    /// A file of 5008 bytes: header, then 00 to f9 twenty times.
    fn plain() -> Vec<u8> {
        let body: Vec<u8> = (0..20).flat_map(|_| 0..250).collect();
        [b"FWS\x0a", &SIZE.to_le_bytes()[..], &body].concat()
    }

    fn deflate(bytes: &[u8]) -> Vec<u8> {
        let mut output = Vec::with_capacity(bytes.len() / 2 + 1024);
        let mut stream = Compress::new(Compression::best(), true);
        let status = stream.compress_vec(bytes, &mut output, FlushCompress::Finish).unwrap();
        assert_eq!(status, Status::StreamEnd);
        output
    }

    fn deflated(plain: &[u8]) -> Vec<u8> {
        [b"C", &plain[1..8], &deflate(&plain[8..])].concat()
    }

    /// `marked`: with a mark at the end, as some tools write it.
    fn packed(plain: &[u8], marked: bool) -> Vec<u8> {
        let body = &plain[8..];
        let mut stream = Vec::new();
        let unpacked_size = if marked { None } else { Some(body.len() as u64) };
        let options = lzma_rs::compress::Options {
            unpacked_size: lzma_rs::compress::UnpackedSize::WriteToHeader(unpacked_size),
        };
        lzma_rs::lzma_compress_with_options(&mut &body[..], &mut stream, &options).unwrap();
        // Properties of 5 bytes, then the size, which a SWF file does not have there.
        stream.drain(5..13);
        [b"Z", &plain[1..8], &(stream.len() as u32 - 5).to_le_bytes(), &stream].concat()
    }

    fn hash_parts<'a>(parts: impl Iterator<Item = &'a [u8]>) -> Result<Option<SwfHash>> {
        let mut hasher = Hasher::new();
        parts.into_iter().try_for_each(|part| hasher.update(part))?;
        hasher.finish()
    }

    fn hash(file: &[u8]) -> SwfHash {
        hash_parts([file].into_iter()).unwrap().unwrap()
    }

    fn hex(hash: SwfHash) -> String {
        hash.hash.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    #[test]
    fn plain_and_compressed_files_have_the_same_hash() {
        let files =
            [plain(), deflated(&plain()), packed(&plain(), true), packed(&plain(), false), xz_packed()];
        for file in files {
            let hash = hash(&file);
            assert_eq!((hash.size, hex(hash).as_str()), (SIZE, HASH), "{:?}", &file[..3]);
        }
    }

    /// The same file, its body compressed by `xz --format=lzma`.
    fn xz_packed() -> Vec<u8> {
        include_bytes!("../../../tests/vectors/packed.swf").to_vec()
    }

    #[test]
    fn the_hash_is_the_same_however_the_file_arrives() {
        for file in [plain(), deflated(&plain()), packed(&plain(), true)] {
            for size in [1, 2, 7, 8, 9, 100] {
                let hash = hash_parts(file.chunks(size)).unwrap().unwrap();
                assert_eq!((hash.size, hex(hash).as_str()), (SIZE, HASH));
            }
        }
    }

    #[test]
    fn short_files_are_hashed_unchanged() {
        for file in [&b"F"[..], b"CWS", b"CWS\x0a\0\0\0", b"ZWS\x0a\0\0\0"] {
            assert_eq!(hash(file), Digest::of(file).unwrap().finish());
        }
        assert_eq!(hash_parts(std::iter::empty()).unwrap(), None);
        assert_eq!(hash_parts([&b""[..]].into_iter()).unwrap(), None);
    }

    #[test]
    fn header_without_body_becomes_that_of_an_uncompressed_file() {
        assert_eq!(
            hash(b"CWS\x0a\x01\x02\x03\x04"),
            Digest::of(b"FWS\x0a\x01\x02\x03\x04").unwrap().finish()
        );
    }

    #[test]
    fn damaged_deflate_streams_count_up_to_the_damage() {
        assert_eq!(hash(b"CWS\x0a\x01\x02\x03\x04no zlib stream").size, 8);
        let file = deflated(&plain());
        let cut = hash(&file[..file.len() - 6]);
        assert!((8..=SIZE).contains(&cut.size));
        // A wrong checksum is detected after the whole output.
        let mut changed = file.clone();
        *changed.last_mut().unwrap() ^= 1;
        assert_eq!(hex(hash(&changed)), HASH);
    }

    #[test]
    fn a_damaged_deflate_stream_has_the_same_hash_however_it_arrives() {
        // Found by fuzzing: the damage comes after more output than there was room for.
        let file = unhex(
            "4357530a00040000789ccacacacacacacacacacaa100cacacacacacacacacacacacacacacacacacacacacacacacacacacaca \
             cacacaca1d1d1d1d1d1d1d1d1d1d1d1d1d1d1d1d1d1d1d1d1d1d1d1d1d1d1d1d1d1d1d1d1d1d1d1d1d1d1d1d1d1d1d1d1d1d \
             1d1d1d1d1d1d1d1d1d1d1d1d1d1d1d1d1d1d1d1d1d1d1d1d1d1d1d1d1d1d1d1d1d1d1d1d1d1d1d1d1d1d1d1d1d1d1d1d1d1d \
             1d1d1d1d1d1d1d1d1d1d1d1d1d1d1d1d1d1d1d1d1d1d1d1d1d1d1d1d1d1d1d1d1d1d1d1d1d1d1d1d1d1d1d1d1d1d1d1d1d1d \
             1d1d1d1d1d1d1d1d1d1d1d1d1d1d1d1d1d1d1d1dcaca636064caca73601d1d1e1d1d1d1d1d1dffffffffffffffffffffffff \
             ffffffffff1d1d1d1d1d1d1d1d1d1d1d1d1d1d1d1d1d1d1d1d1d1d1d1d1d1d1d1d1d1d1d1d1d1dcaca636064caca73606462 \
             66616563e7e0e4e262625155ff05ed18000000000080",
        );
        let whole = hash(&file);
        assert!(whole.size > 16 * 1024);
        for size in [1, 2, 3, 100, 319] {
            assert_eq!(hash_parts(file.chunks(size)).unwrap().unwrap(), whole, "{size}");
        }
    }

    /// Found by fuzzing: a window had room for a part of the output before the damage.
    #[test]
    fn output_before_the_damage_is_hashed() {
        let file = [
            &unhex("4357530a00040000789ccacaca")[..],
            &[0x1D; 46],
            &[0x9D],
            &[0x1D; 309],
            &unhex(
                "9a9f60626063204e8c280e3d7bf7ed3f70f0d0e123478f1d3f71f2d4e93746cf9dbf1d1d1d1d1d1d1d1d70f17fffff",
            ),
            &[0x3C; 62],
            &[0x44],
            &[0x3C; 29],
            &[0x2C, 0x3C],
            &[0x1D; 24],
            &[0x3C, 0x3C],
            &[0x1D; 32],
            &unhex("00123c4357530a00040000789ccacaca"),
            &[0x1D; 15],
        ]
        .concat();
        let whole = hash(&file);
        for place in 1..file.len() {
            let (front, back) = file.split_at(place);
            assert_eq!(hash_parts([front, back].into_iter()).unwrap().unwrap(), whole, "cut at {place}");
        }
    }

    fn unhex(text: &str) -> Vec<u8> {
        let digits: Vec<u8> =
            text.bytes().filter_map(|digit| (digit as char).to_digit(16)).map(|digit| digit as u8).collect();
        digits.chunks_exact(2).map(|pair| pair[0] << 4 | pair[1]).collect()
    }

    #[test]
    fn bytes_after_a_deflate_stream_are_ignored() {
        assert_eq!(hex(hash(&[&deflated(&plain())[..], b"more"].concat())), HASH);
    }

    #[test]
    fn damaged_lzma_streams_are_hashed_unchanged() {
        let file = packed(&plain(), false);
        for end in [8, 12, 16, 17, 22, file.len() / 2] {
            assert_eq!(hash(&file[..end]), Digest::of(&file[..end]).unwrap().finish(), "{end}");
        }
        for size in [0u32, 7, 5, SIZE + 1000] {
            let mut changed = file.clone();
            changed[4..8].copy_from_slice(&size.to_le_bytes());
            assert_eq!(hash(&changed), Digest::of(&changed).unwrap().finish(), "{size}");
        }
    }

    #[test]
    fn files_of_more_than_64_mib_are_refused() {
        let zeros = vec![0; 1 << 20];
        let chunks = |count| std::iter::repeat_n(&zeros[..], count);
        let fits = hash_parts(chunks(64)).unwrap().unwrap();
        assert_eq!(fits.size as usize, MAX_SIZE);
        let extra = chunks(64).chain([&b"x"[..]]);
        assert!(matches!(hash_parts(extra), Err(Error::TooLarge(_))));
    }

    #[test]
    fn files_that_grow_beyond_64_mib_are_refused() {
        let mut body = Vec::with_capacity(1 << 20);
        let mut stream = Compress::new(Compression::fast(), true);
        let zeros = vec![0; 1 << 20];
        for _ in 0..64 {
            stream.compress_vec(&zeros, &mut body, FlushCompress::None).unwrap();
            body.reserve(1 << 16);
        }
        while stream.compress_vec(&[], &mut body, FlushCompress::Finish).unwrap() != Status::StreamEnd {
            body.reserve(1 << 16);
        }
        assert!(body.len() < 1 << 20);
        let file = [b"CWS\x0a\0\0\0\x04", &body[..]].concat();
        assert!(matches!(hash_parts([&file[..]].into_iter()), Err(Error::TooLarge(_))));

        let mut file = packed(&plain(), false);
        file[4..8].copy_from_slice(&u32::MAX.to_le_bytes());
        assert!(matches!(hash_parts([&file[..]].into_iter()), Err(Error::TooLarge(_))));
    }

    #[test]
    fn no_cut_and_no_changed_byte_panics() {
        for file in [deflated(&plain()), packed(&plain(), true)] {
            for index in 0..file.len().min(400) {
                let _ = hash_parts([&file[..index]].into_iter());
                for byte in [0, 1, 0x5d, 0x7f, 0x80, 0xe1, 0xff] {
                    let mut changed = file.clone();
                    changed[index] = byte;
                    let _ = hash_parts([&changed[..]].into_iter());
                }
            }
        }
    }
}
