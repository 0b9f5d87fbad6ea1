//! The rows of the table.

use crate::peer::{self, Cover, Pace, Role};

/// One row of the table.
#[derive(Debug, Clone, Copy)]
pub struct Row {
    /// Its name in the table.
    pub name: &'static str,
    /// The unit of its costs.
    pub unit: Unit,
    /// The driver's first argument.
    pub work: &'static str,
    /// The other end; rows without one have no connection.
    pub peer: Option<(Role, Cover)>,
    /// Chunk and message size of what is sent.
    pub sends: (usize, usize),
    /// The number of connections that are open before the first of them is closed.
    pub at_once: u64,
    /// Bytes of media, connections or rounds.
    pub total: u64,
    /// Bytes of media that each connection of `connect` receives.
    pub receives: usize,
    /// Whether the Rust API does the same work.
    pub rust: bool,
    /// FFmpeg's function for the same work.
    pub ffmpeg: Option<&'static str>,
}

/// The unit of costs.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Unit {
    /// CPU seconds for a gigabyte.
    PerGigabyte,
    /// CPU microseconds for each message, connection or round.
    Each,
    /// Resident bytes for each.
    Memory,
    /// Microseconds: the number with this name in the program's output.
    Printed(&'static str),
}

impl Unit {
    /// The name for the table.
    pub fn name(self) -> &'static str {
        match self {
            Self::PerGigabyte => "s/GB",
            Self::Each | Self::Printed(_) => "us",
            Self::Memory => "bytes",
        }
    }
}

/// Work of the program that loads the library itself, in place of the driver's.
pub const LOAD: &str = "load";
/// Bytes of an ordinary message.
const MESSAGE: usize = 16 << 10;
/// Bytes of the largest message that RTMP can represent, and of the largest chunk.
const LARGEST: usize = (16 << 20) - 1;
/// Bytes of a message at the pace of a live stream.
const LIVE: usize = 400;
/// The number of messages at that pace: 0.2 seconds.
const LIVE_MESSAGES: u64 = 100;
/// Bytes of a video message of a live stream of 2.5 Mbit/s, and the number of its messages: 0.3 seconds.
const PICTURE: usize = 12_000;
const STREAM_MESSAGES: u64 = 20;
/// Bytes of a message on one of many chunk streams, and the number of these.
const SHORT: usize = 100;
const STREAMS: usize = 65_000;

/// The table. Rows that are slow for one of the contestants have less work.
pub fn rows() -> Vec<Row> {
    let mut rows = Vec::new();
    for (name, work, chunk, size, total, ffmpeg) in [
        ("RTMP_Read, chunks of 1", "read", 1, MESSAGE, 4 << 20, true),
        ("RTMP_Read, chunks of 16", "read", 16, MESSAGE, 32 << 20, true),
        ("RTMP_Read, chunks of 128", "read", 128, MESSAGE, 256 << 20, true),
        ("RTMP_Read, chunks of 1024", "read", 1024, MESSAGE, 512 << 20, true),
        ("RTMP_Read, chunks of 4096", "read", 4096, MESSAGE, 512 << 20, true),
        ("RTMP_Read, chunks of 65536", "read", 65536, MESSAGE, 512 << 20, true),
        ("RTMP_Read, chunks of 1 MB, messages of 16 MB", "read", 1 << 20, LARGEST, 512 << 20, true),
        ("RTMP_Read, chunks of 16 MB, messages of 16 MB", "read", LARGEST, LARGEST, 512 << 20, true),
        ("RTMP_Read, 100-byte messages", "read", 65536, 100, 64 << 20, true),
        ("RTMP_Read, 400-byte messages", "read", 65536, 400, 256 << 20, true),
        ("RTMP_Read, 1000-byte messages", "read", 65536, 1000, 256 << 20, true),
        ("RTMP_Read, 64 kB messages", "read", 65536, 64 << 10, 512 << 20, true),
        ("RTMP_Read, 1 MB messages", "read", 65536, 1 << 20, 512 << 20, true),
        ("RTMP_Read, 16 MB messages", "read", 65536, LARGEST, 512 << 20, true),
        ("RTMP_GetNextMediaPacket, chunks of 128", "next", 128, MESSAGE, 512 << 20, false),
        ("RTMP_GetNextMediaPacket, chunks of 4096", "next", 4096, MESSAGE, 512 << 20, false),
        ("RTMP_GetNextMediaPacket, chunks of 65536", "next", 65536, MESSAGE, 512 << 20, false),
        ("RTMP_GetNextMediaPacket, 400-byte messages", "next", 65536, 400, 256 << 20, false),
        ("RTMP_GetNextMediaPacket, 100 kB messages", "next", 65536, 100_000, 512 << 20, false),
        ("RTMP_GetNextMediaPacket, 140 kB messages", "next", 65536, 140_000, 512 << 20, false),
        ("RTMP_GetNextMediaPacket, 200 kB messages", "next", 65536, 200_000, 512 << 20, false),
        ("RTMP_GetNextMediaPacket, 400 kB messages", "next", 65536, 400_000, 512 << 20, false),
        ("RTMP_GetNextMediaPacket, 16 MB messages", "next", 65536, LARGEST, 512 << 20, false),
    ] {
        rows.push(Row {
            name,
            work,
            peer: Some((Role::Play { chunk, size, streams: 1, pace: Pace::Flood }, Cover::Plain)),
            total,
            rust: true,
            ffmpeg: ffmpeg.then_some("read"),
            ..Row::EMPTY
        });
    }
    for (name, work, chunk, size, total, ffmpeg) in [
        ("RTMP_Write, chunks of 128", "write", 128, MESSAGE, 32 << 20, true),
        ("RTMP_Write, chunks of 4096", "write", 4096, MESSAGE, 256 << 20, false),
        ("RTMP_Write, chunks of 65536", "write", 65536, MESSAGE, 512 << 20, true),
        ("RTMP_Write, 100-byte messages", "write", 65536, 100, 8 << 20, true),
        ("RTMP_Write, 300-byte messages", "write", 65536, 300, 16 << 20, true),
        ("RTMP_Write, 1000-byte messages", "write", 65536, 1000, 64 << 20, true),
        ("RTMP_Write, 64 kB messages", "write", 65536, 64 << 10, 512 << 20, true),
        ("RTMP_Write, 1 MB messages", "write", 65536, 1 << 20, 512 << 20, true),
        ("RTMP_Write, 16 MB messages", "write", 65536, LARGEST, 512 << 20, true),
        ("RTMP_SendPacket, chunks of 128", "send", 128, MESSAGE, 32 << 20, false),
        ("RTMP_SendPacket, chunks of 4096", "send", 4096, MESSAGE, 256 << 20, false),
        ("RTMP_SendPacket, chunks of 65536", "send", 65536, MESSAGE, 512 << 20, false),
        ("RTMP_SendPacket, 300-byte messages", "send", 65536, 300, 16 << 20, false),
    ] {
        rows.push(Row {
            name,
            work,
            peer: Some((Role::Publish, Cover::Plain)),
            sends: (chunk, size),
            total,
            rust: true,
            ffmpeg: ffmpeg.then_some("write"),
            ..Row::EMPTY
        });
    }
    for (name, work, size) in [
        ("RTMP_Write, 64 kB blocks of 100-byte tags", "blocks", 100),
        ("RTMP_Write, 64 kB blocks of 400-byte tags", "blocks", 400),
        ("RTMP_Write, 64 kB blocks of 2,000-byte tags", "blocks", 2000),
    ] {
        rows.push(Row {
            name,
            work,
            peer: Some((Role::Publish, Cover::Plain)),
            sends: (65536, size),
            total: 64 << 20,
            ..Row::EMPTY
        });
    }
    const TLS: Cover = Cover::Tls("1.3");
    for (name, work, cover) in [
        ("Live pace, RTMP_Write", "write-live", Cover::Plain),
        ("Live pace, RTMP_SendPacket", "send-live", Cover::Plain),
        ("Live pace, RTMP_Write over RTMPE", "write-live", Cover::Encrypted),
        ("Live pace, RTMP_Write over TLS 1.3", "write-live", TLS),
        ("Live pace, RTMP_Write by steps", "write-live-steps", Cover::Plain),
        ("Live pace, RTMP_Write by steps over RTMPE", "write-live-steps", Cover::Encrypted),
        ("Live pace, RTMP_Write by steps over TLS 1.3", "write-live-steps", TLS),
    ] {
        rows.push(Row {
            name,
            unit: Unit::Each,
            work,
            peer: Some((Role::Publish, cover)),
            sends: (4096, LIVE),
            total: LIVE_MESSAGES * LIVE as u64,
            ffmpeg: (work == "write-live" && cover == Cover::Plain).then_some("write-live"),
            ..Row::EMPTY
        });
    }
    for (name, work, cover) in [
        ("Live stream, RTMP_Write", "write-stream", Cover::Plain),
        ("Live stream, RTMP_Write over RTMPE", "write-stream", Cover::Encrypted),
        ("Live stream, RTMP_Write over TLS 1.3", "write-stream", TLS),
        ("Live stream, RTMP_Write by steps", "write-stream-steps", Cover::Plain),
        ("Live stream, RTMP_Write by steps over RTMPE", "write-stream-steps", Cover::Encrypted),
        ("Live stream, RTMP_Write by steps over TLS 1.3", "write-stream-steps", TLS),
    ] {
        rows.push(Row {
            name,
            unit: Unit::Each,
            work,
            peer: Some((Role::Publish, cover)),
            sends: (4096, PICTURE),
            total: STREAM_MESSAGES,
            ..Row::EMPTY
        });
    }
    for (name, work, pace, cover) in [
        ("Live pace, RTMP_Read", "read", Pace::Live, Cover::Plain),
        ("Live pace, RTMP_GetNextMediaPacket", "next", Pace::Live, Cover::Plain),
        ("Live pace, RTMP_Read over RTMPE", "read", Pace::Live, Cover::Encrypted),
        ("Live pace, RTMP_Read over TLS 1.3", "read", Pace::Live, TLS),
        ("Live pace, RTMP_Read by steps", "read-steps", Pace::Live, Cover::Plain),
        ("Live pace, RTMP_Read by steps over RTMPE", "read-steps", Pace::Live, Cover::Encrypted),
        ("Live pace, RTMP_Read by steps over TLS 1.3", "read-steps", Pace::Live, TLS),
        ("Live stream, RTMP_Read", "read", Pace::Stream, Cover::Plain),
        ("Live stream, RTMP_Read over RTMPE", "read", Pace::Stream, Cover::Encrypted),
        ("Live stream, RTMP_Read over TLS 1.3", "read", Pace::Stream, TLS),
        ("Live stream, RTMP_Read by steps", "read-steps", Pace::Stream, Cover::Plain),
        ("Live stream, RTMP_Read by steps over RTMPE", "read-steps", Pace::Stream, Cover::Encrypted),
        ("Live stream, RTMP_Read by steps over TLS 1.3", "read-steps", Pace::Stream, TLS),
    ] {
        let (chunk, size, total) = match pace {
            Pace::Stream => (4096, PICTURE, STREAM_MESSAGES * (25 * PICTURE + 43 * peer::SOUND) as u64 / 68),
            _ => (65536, LIVE, LIVE_MESSAGES * LIVE as u64),
        };
        rows.push(Row {
            name,
            unit: Unit::Each,
            work,
            peer: Some((Role::Play { chunk, size, streams: 1, pace }, cover)),
            total,
            rust: cover == Cover::Plain && pace == Pace::Live && work != "read-steps",
            ffmpeg: (cover == Cover::Plain && work == "read").then_some("read"),
            ..Row::EMPTY
        });
    }
    let play = Role::Play { chunk: 4096, size: MESSAGE, streams: 1, pace: Pace::Flood };
    for (name, work, role, cover, total) in [
        ("RTMPE, RTMP_Read", "read", play, Cover::Encrypted, 128 << 20),
        ("RTMPE, RTMP_Write", "write", Role::Publish, Cover::Encrypted, 128 << 20),
        ("TLS 1.2, RTMP_Read", "read", play, Cover::Tls("1.2"), 256 << 20),
        ("TLS 1.3, RTMP_Read", "read", play, Cover::Tls("1.3"), 256 << 20),
        ("TLS 1.2, RTMP_Write", "write", Role::Publish, Cover::Tls("1.2"), 128 << 20),
        ("TLS 1.3, RTMP_Write", "write", Role::Publish, Cover::Tls("1.3"), 128 << 20),
    ] {
        rows.push(Row { name, work, peer: Some((role, cover)), sends: (4096, MESSAGE), total, ..Row::EMPTY });
    }
    for (name, streams) in [
        ("65,000 messages on one chunk stream", 1),
        ("65,000 messages on 1,000 chunk streams", 1000),
        ("65,000 messages on 65,000 chunk streams", STREAMS),
    ] {
        rows.push(Row {
            name,
            unit: Unit::Each,
            work: "next",
            peer: Some((Role::Play { chunk: 4096, size: SHORT, streams, pace: Pace::Flood }, Cover::Plain)),
            total: (STREAMS * SHORT) as u64,
            ..Row::EMPTY
        });
    }
    for (name, unit, cover, at_once, total) in [
        ("Connect, play, close", Unit::Each, Cover::Plain, 1, 1000),
        ("Connect, play, close over RTMPE", Unit::Each, Cover::Encrypted, 1, 200),
        // Without tickets, so that each connection is like the first one.
        ("Connect, play, close over TLS 1.3", Unit::Each, Cover::Tls("1.3"), 1, 200),
        // All except the first one resume its session, if the library can.
        ("Connect again over TLS 1.2, play, close", Unit::Each, Cover::Tls("1.2"), 1, 200),
        ("Connect 10, then close them", Unit::Each, Cover::Plain, 10, 1000),
        ("Connect 100, then close them", Unit::Each, Cover::Plain, 100, 1000),
        ("Connect 1,000, then close them", Unit::Each, Cover::Plain, 1000, 1000),
        ("Connect 5,000, then close them", Unit::Each, Cover::Plain, 5000, 5000),
        ("Memory of one of 1,000 idle sessions", Unit::Memory, Cover::Plain, 1000, 1000),
    ] {
        let peer = Some((Role::Idle, cover));
        rows.push(Row { name, unit, work: "connect", peer, at_once, total, ..Row::EMPTY });
    }
    rows.push(Row {
        name: "Memory of one of 1,000 that received 1 MB",
        unit: Unit::Memory,
        work: "connect",
        peer: Some((Role::Play { chunk: 4096, size: MESSAGE, streams: 1, pace: Pace::Burst }, Cover::Plain)),
        at_once: 1000,
        total: 1000,
        receives: peer::BURST,
        ..Row::EMPTY
    });
    let flood = Role::Play { chunk: 4096, size: SHORT, streams: 1, pace: Pace::Flood };
    let flood = Some((flood, Cover::Plain));
    for (name, work, what) in [
        ("Send beside a flood, 99.9th percentile", "beside", "p999"),
        ("Send beside a flood, worst", "beside", "worst"),
        ("Send beside a flood, 99.9th, busy machine", "beside-busy", "p999"),
        ("Send beside a flood, worst, busy machine", "beside-busy", "worst"),
    ] {
        let unit = Unit::Printed(what);
        rows.push(Row { name, unit, work, peer: flood, sends: (4096, 30), total: 1000, ..Row::EMPTY });
    }
    for (names, work, role) in [
        (
            [
                "Arrival to caller, median",
                "Arrival to caller, 99th percentile",
                "Arrival to caller, 99.9th percentile",
            ],
            "arrival",
            Role::Clock { bare: false },
        ),
        (
            [
                "Arrival while sending a flood, median",
                "Arrival while sending a flood, 99th percentile",
                "Arrival while sending a flood, 99.9th",
            ],
            "arrival-beside",
            Role::Clock { bare: false },
        ),
        (
            [
                "RTMP_SendPacket to peer, median",
                "RTMP_SendPacket to peer, 99th percentile",
                "RTMP_SendPacket to peer, 99.9th percentile",
            ],
            "departure",
            Role::Stopwatch { floods: false, bare: false },
        ),
        (
            [
                "To peer beside a flood, median",
                "To peer beside a flood, 99th percentile",
                "To peer beside a flood, 99.9th percentile",
            ],
            "departure",
            Role::Stopwatch { floods: true, bare: false },
        ),
    ] {
        let peer = Some((role, Cover::Plain));
        for (name, what) in names.into_iter().zip(["p50", "p99", "p999"]) {
            let unit = Unit::Printed(what);
            rows.push(Row { name, unit, work, peer, sends: (4096, 30), total: 1000, ..Row::EMPTY });
        }
    }
    rows.push(Row {
        name: "AMF, encode and decode an object",
        unit: Unit::Each,
        work: "amf",
        total: 200_000,
        ..Row::EMPTY
    });
    rows.push(Row {
        name: "Loading the library (dlopen)",
        unit: Unit::Printed("loading"),
        work: LOAD,
        total: 100,
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
        at_once: 1,
        total: 0,
        receives: 0,
        rust: false,
        ffmpeg: None,
    };

    /// Whether messages are sent at the pace of a live stream.
    pub fn is_paced(&self) -> bool {
        match self.peer {
            Some((Role::Play { pace, .. }, _)) => matches!(pace, Pace::Live | Pace::Stream),
            _ => self.work.contains("-live") || self.work.contains("-stream"),
        }
    }

    /// Whether both rows show figures of the same runs.
    pub fn shares_runs(&self, other: &Self) -> bool {
        let run = |row: &Self| (row.work, row.peer, row.sends, row.at_once, row.total, row.receives);
        run(self) == run(other)
    }

    /// The row with very little work, as a test.
    pub fn brief(self) -> Self {
        let (total, at_once) = match (self.work, self.peer) {
            ("connect", _) => (2, 2.min(self.at_once)),
            (_, Some((Role::Play { pace: Pace::Live, size, .. }, _))) => (20 * size as u64, 1),
            ("read" | "next" | "read-steps", Some((Role::Play { size, .. }, _))) => (2 * size as u64, 1),
            ("write-stream" | "write-stream-steps", _) => (4, 1),
            (_, Some((Role::Publish, _))) => (2 * self.sends.1 as u64, 1),
            _ => (10, 1),
        };
        Self { total, at_once, ..self }
    }

    /// The work of a shorter and a longer run whose system calls are counted. The difference has enough messages for an
    /// average.
    pub fn traced(&self) -> Option<(u64, u64)> {
        let (part, least) = match (self.work, self.peer?) {
            // The number of open connections cannot be reduced, and tracing thousands takes long.
            ("connect", _) if self.at_once > 10 => return None,
            ("connect", _) => (16, 10),
            // On a busy machine some messages arrive together, which takes fewer calls. If that happens in the shorter run, it
            // hardly matters.
            _ if self.is_paced() => return Some((self.total / 20, self.total / 2)),
            ("read" | "next", (Role::Play { size, .. }, _)) => (16, 16 * size as u64),
            ("write" | "send" | "blocks", _) => (16, 16 * self.sends.1 as u64),
            _ => return None,
        };
        let total = (self.total / part).max(least.min(self.total));
        Some((total, 2 * total))
    }

    /// The work of a shorter and a longer run whose instructions are counted; `None` if the work depends on time.
    pub fn counted(&self) -> Option<(u64, u64)> {
        let each = match (self.work, self.peer) {
            ("amf", _) => return Some((1000, 3000)),
            ("connect", _) if self.at_once > 1 => return None,
            ("connect", _) => return Some((4, 12)),
            _ if self.is_paced() => return None,
            // How much of such a message has arrived decides whether it is received into the buffer or into its place.
            ("next", Some((Role::Play { size: 140_000, .. }, _))) => return None,
            ("read" | "next", Some((Role::Play { size, .. }, _))) => size as u64,
            ("blocks", _) => 64 << 10,
            ("write" | "send", _) => self.sends.1 as u64,
            _ => return None,
        };
        // Enough messages for an average, and enough bytes for some acknowledgements.
        let less = (each * 16).max(1 << 20).min(self.total / 2).max(each);
        Some((less, 3 * less))
    }

    /// The limit: the socket, with the library's cipher or TLS over it and without RTMP, and the number of bytes of one call;
    /// `None` if there is no such limit.
    pub fn limit(&self) -> Option<Limit> {
        let (role, cover) = self.peer?;
        let by_steps = self.work.ends_with("-steps") && cover == Cover::Plain;
        let (role, work, size) = match (self.unit, role) {
            (Unit::Each, Role::Play { size, pace, .. }) if self.is_paced() => {
                (Role::RawSource { size, pace }, if by_steps { "recv-steps" } else { "recv" }, MESSAGE)
            }
            (Unit::Each, Role::Publish) if self.is_paced() => {
                let work = match (self.work.contains("-stream"), by_steps) {
                    (false, false) => "store-live",
                    (false, true) => "store-live-steps",
                    (true, false) => "store-stream",
                    (true, true) => "store-stream-steps",
                };
                (Role::RawSink, work, self.sends.1)
            }
            (Unit::PerGigabyte, Role::Play { pace, .. }) => {
                (Role::RawSource { size: 1 << 20, pace }, "recv", MESSAGE)
            }
            (Unit::PerGigabyte, Role::Publish) if self.work == "blocks" => (Role::RawSink, "store", 64 << 10),
            (Unit::PerGigabyte, Role::Publish) => (Role::RawSink, "store", self.sends.1),
            (Unit::Printed(_), Role::Clock { .. }) => (Role::Clock { bare: true }, self.work, self.sends.1),
            (Unit::Printed(_), Role::Stopwatch { floods, .. }) => {
                (Role::Stopwatch { floods, bare: true }, self.work, self.sends.1)
            }
            (Unit::Printed(_), Role::Play { .. }) => (Role::BareFlood, self.work, self.sends.1),
            _ => return None,
        };
        Some(Limit { role, cover, work, size })
    }
}

/// The limit that is measured beside a row.
#[derive(Debug, Clone, Copy)]
pub struct Limit {
    /// The peer's role.
    pub role: Role,
    /// The encryption of the bytes.
    pub cover: Cover,
    /// The driver's first argument.
    pub work: &'static str,
    /// Bytes of one call.
    pub size: usize,
}
