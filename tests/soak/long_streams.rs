//! Long streams: timestamps and byte counters that pass the ends of their fields, from `RTMP_Write` through our server to
//! `RTMP_Read`. Every tag is compared.
#![forbid(unsafe_code)]

use std::thread;
use std::time::Duration;

use crate::support::certs::{Authority, Valid};
use crate::support::examples::{ExampleServer, LIMIT};
use crate::support::numbered::{Numbered, Outcome, Worker};
use crate::support::{Library, TempDir, library::ours_is_original};

/// A server, and the options of its clients.
struct Site {
    server: ExampleServer,
    trust: String,
    _authority: Authority,
    _folder: TempDir,
}

impl Site {
    fn open() -> Option<Self> {
        let (authority, folder) = (Authority::new()?, TempDir::new("long"));
        let certificate = authority.issue("server", "IP:127.0.0.1", Valid::Now);
        let server = ExampleServer::start_with_tls(Library::Ours, folder.path(), &certificate)?;
        let trust = format!(" tlsCA={}", authority.certificate().display());
        Some(Self { server, trust, _authority: authority, _folder: folder })
    }

    fn url(&self, protocol: &str, name: &str) -> String {
        let trust = if protocol.ends_with('s') { &self.trust } else { "" };
        self.server.url(protocol, &format!("live/{name}")) + trust
    }

    /// Publishes a stream, which the player has to receive completely.
    fn travel(&self, stream: &Numbered, protocol: &str, [publisher, player]: [&mut Worker; 2]) {
        let what = format!("{protocol}, {stream:?}");
        let url = self.url(protocol, &format!("{protocol}-{}", stream.id));
        assert_eq!(player.play(stream, &url, LIMIT), Ok(()), "{what}");
        publisher.publish(stream, Duration::ZERO, &url);
        let published = publisher.outcome(LIMIT);
        assert_eq!(published, Outcome::Published { tags: stream.tags, complete: true }, "{what}");
        let played = player.outcome(LIMIT);
        assert_eq!(played, Outcome::Played { tags: stream.tags, timed_out: false }, "{what}");
    }
}

/// 4 hours, 39 minutes and 36 seconds: chunks have extended timestamps from this time.
const EXTENDED: u32 = 0xff_ffff;

/// Timestamps that pass the ends of 24, 31 and 32 bits in small and in large steps.
const TIMES: [(u32, u32); 9] = [
    (EXTENDED - 500, 13),
    (EXTENDED - 3, 1),
    (EXTENDED, 40),
    (0x7fff_ff00, 13),
    (u32::MAX - 500, 13),
    (u32::MAX - 2, 1),
    // Differences that need the extended field themselves, and differences that are just below.
    (0, EXTENDED - 1),
    (5, EXTENDED),
    (u32::MAX - 3 * (EXTENDED + 1), EXTENDED + 1),
];

fn streams_arrive_whole(protocols: &[&'static str]) {
    if ours_is_original() {
        return; // It has no RTMPT server.
    }
    let site = need!(Site::open());
    thread::scope(|scope| {
        for &protocol in protocols {
            let (mut publisher, mut player) =
                (need!(Worker::start(Library::Ours)), need!(Worker::start(Library::Ours)));
            let site = &site;
            scope.spawn(move || {
                for (number, (start, step)) in TIMES.into_iter().enumerate() {
                    let stream = Numbered { id: number as u32, tags: 60, start, step };
                    site.travel(&stream, protocol, [&mut publisher, &mut player]);
                }
            });
        }
    });
}

#[test]
fn timestamps_past_24_and_32_bits_arrive_by_rtmp() {
    streams_arrive_whole(&["rtmp", "rtmpe", "rtmps"]);
}

#[test]
fn timestamps_past_24_and_32_bits_arrive_by_http() {
    streams_arrive_whole(&["rtmpt", "rtmpte", "rtmpts"]);
}

#[test]
fn large_streams_arrive_complete_over_every_transport() {
    if ours_is_original() {
        return; // As above.
    }
    let site = need!(Site::open());
    for protocol in ["rtmp", "rtmpe", "rtmpt", "rtmpte", "rtmps", "rtmpts"] {
        let (mut publisher, mut player) =
            (need!(Worker::start(Library::Ours)), need!(Worker::start(Library::Ours)));
        let stream = Numbered { id: 7, tags: 700, start: 0, step: 40 };
        site.travel(&stream, protocol, [&mut publisher, &mut player]);
    }
}
