//! What is measured.

use crate::peer::{Cover, Role};

/// One row of the table.
#[derive(Debug, Clone, Copy)]
pub struct Row {
    /// What the table calls it.
    pub name: &'static str,
    /// What its costs are counted in.
    pub unit: Unit,
    /// The driver's first argument.
    pub work: &'static str,
    /// The other end; rows without one measure no connection.
    pub peer: Option<(Role, Cover)>,
    /// Chunk and message size of what is sent.
    pub sends: (usize, usize),
    /// Bytes of media, connections or rounds.
    pub total: u64,
    /// FFmpeg's way to the same.
    pub ffmpeg: Option<&'static str>,
}

/// What costs are counted in.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Unit {
    /// CPU seconds for a gigabyte.
    PerGigabyte,
    /// CPU microseconds for each.
    Each,
    /// Resident bytes for each.
    Memory,
}

impl Unit {
    /// For the table.
    pub fn name(self) -> &'static str {
        match self {
            Self::PerGigabyte => "s/GB",
            Self::Each => "us",
            Self::Memory => "bytes",
        }
    }
}

/// Bytes of an ordinary message.
const MESSAGE: usize = 16 << 10;

/// The table.
pub fn rows() -> Vec<Row> {
    let mut rows = Vec::new();
    for (name, work, chunk, size, ffmpeg) in [
        ("RTMP_Read, chunks of 128", "read", 128, MESSAGE, true),
        ("RTMP_Read, chunks of 4096", "read", 4096, MESSAGE, true),
        ("RTMP_Read, chunks of 65536", "read", 65536, MESSAGE, true),
        ("RTMP_Read, 400-byte messages", "read", 65536, 400, true),
        ("RTMP_GetNextMediaPacket, chunks of 128", "next", 128, MESSAGE, false),
        ("RTMP_GetNextMediaPacket, chunks of 4096", "next", 4096, MESSAGE, false),
        ("RTMP_GetNextMediaPacket, chunks of 65536", "next", 65536, MESSAGE, false),
        ("RTMP_GetNextMediaPacket, 400-byte messages", "next", 65536, 400, false),
    ] {
        rows.push(Row {
            name,
            work,
            peer: Some((Role::Play { chunk, size }, Cover::Plain)),
            total: if size == MESSAGE { 1 << 30 } else { 512 << 20 },
            ffmpeg: ffmpeg.then_some("read"),
            ..Row::EMPTY
        });
    }
    for (name, work, chunk, size, total, ffmpeg) in [
        ("RTMP_Write, chunks of 128", "write", 128, MESSAGE, 64 << 20, true),
        ("RTMP_Write, chunks of 4096", "write", 4096, MESSAGE, 512 << 20, false),
        ("RTMP_Write, chunks of 65536", "write", 65536, MESSAGE, 1 << 30, true),
        ("RTMP_Write, 300-byte messages", "write", 65536, 300, 32 << 20, true),
        ("RTMP_SendPacket, chunks of 128", "send", 128, MESSAGE, 64 << 20, false),
        ("RTMP_SendPacket, chunks of 4096", "send", 4096, MESSAGE, 512 << 20, false),
        ("RTMP_SendPacket, chunks of 65536", "send", 65536, MESSAGE, 1 << 30, false),
        ("RTMP_SendPacket, 300-byte messages", "send", 65536, 300, 32 << 20, false),
    ] {
        rows.push(Row {
            name,
            work,
            peer: Some((Role::Publish, Cover::Plain)),
            sends: (chunk, size),
            total,
            ffmpeg: ffmpeg.then_some("write"),
            ..Row::EMPTY
        });
    }
    let play = Role::Play { chunk: 4096, size: MESSAGE };
    for (name, work, role, cover, total) in [
        ("RTMPE, RTMP_Read", "read", play, Cover::Encrypted, 256 << 20),
        ("RTMPE, RTMP_Write", "write", Role::Publish, Cover::Encrypted, 128 << 20),
        ("TLS 1.2, RTMP_Read", "read", play, Cover::Tls("1.2"), 512 << 20),
        ("TLS 1.3, RTMP_Read", "read", play, Cover::Tls("1.3"), 512 << 20),
        ("TLS 1.2, RTMP_Write", "write", Role::Publish, Cover::Tls("1.2"), 256 << 20),
        ("TLS 1.3, RTMP_Write", "write", Role::Publish, Cover::Tls("1.3"), 256 << 20),
    ] {
        rows.push(Row { name, work, peer: Some((role, cover)), sends: (4096, MESSAGE), total, ..Row::EMPTY });
    }
    for (name, unit, work, cover, total) in [
        ("Connect, play, close", Unit::Each, "connect", Cover::Plain, 1000),
        ("Connect, play, close over RTMPE", Unit::Each, "connect", Cover::Encrypted, 200),
        ("Connect 10", Unit::Each, "connect", Cover::Plain, 10),
        ("Open 1000 side by side", Unit::Each, "idle", Cover::Plain, 1000),
        ("Memory of one of 1000 connections", Unit::Memory, "idle", Cover::Plain, 1000),
    ] {
        rows.push(Row { name, unit, work, peer: Some((Role::Idle, cover)), total, ..Row::EMPTY });
    }
    rows.push(Row {
        name: "AMF, encode and decode an object",
        unit: Unit::Each,
        work: "amf",
        total: 200_000,
        ..Row::EMPTY
    });
    rows
}

impl Row {
    const EMPTY: Self = Self {
        name: "",
        unit: Unit::PerGigabyte,
        work: "",
        peer: None,
        sends: (4096, MESSAGE),
        total: 0,
        ffmpeg: None,
    };

    /// The bare socket doing the same, and the bytes it handles in one call; `None` where there is no such thing.
    pub fn limit(&self) -> Option<(Role, &'static str, usize)> {
        match self.peer? {
            (Role::Play { .. }, Cover::Plain) => Some((Role::RawSource, "recv", MESSAGE)),
            (Role::Publish, Cover::Plain) => Some((Role::RawSink, "store", self.sends.1)),
            _ => None,
        }
    }
}
