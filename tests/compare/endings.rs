//! Every way in which `RTMP_Read` ends (flv.md, 2): before the first byte, after some frames, and while publishing.

use super::cases::Case;
use super::support::Peer;
use super::support::amf::{Value, n, object, s};
use super::support::wire::Message;

/// Four reads: more than there is to read in each case.
const READ: &str = "setup rtmp://127.0.0.1:PORT/app/stream\nset timeout 5\nconnect\nstream 0\nread 65536\nread 65536\n\
                    read 65536\nread 65536\nclose\n";
/// As above, for servers that stop sending.
const READ_SILENCE: &str = "setup rtmp://127.0.0.1:PORT/app/stream\nset timeout 2\nconnect\nstream 0\nread 65536\n\
                            read 65536\nread 65536\nset status 0\nread 65536\nclose\n";
/// Small reads, so that bytes are left when the end comes.
const READ_SMALL: &str = "setup rtmp://127.0.0.1:PORT/app/stream\nset timeout 5\nconnect\nstream 0\nread 10\nread 10\n\
                          read 60\nread 60\nread 60\nread 60\nread 60\nread 60\nread 60\n";

pub const ENDINGS: &[Case] = &[
    Case {
        name: "read-until-stop",
        steps: READ,
        server: |peer| status_after_film(peer, "NetStream.Play.Stop"),
    },
    Case {
        name: "read-until-complete",
        steps: READ,
        server: |peer| status_after_film(peer, "NetStream.Play.Complete"),
    },
    Case {
        name: "read-until-unpublish",
        steps: READ,
        server: |peer| status_after_film(peer, "NetStream.Play.UnpublishNotify"),
    },
    Case {
        name: "read-until-failed",
        steps: READ,
        server: |peer| status_after_film(peer, "NetStream.Failed"),
    },
    Case {
        name: "read-until-play-failed",
        steps: READ,
        server: |peer| status_after_film(peer, "NetStream.Play.Failed"),
    },
    Case {
        name: "read-until-not-found",
        steps: READ,
        server: |peer| status_after_film(peer, "NetStream.Play.StreamNotFound"),
    },
    Case {
        name: "read-until-invalid-app",
        steps: READ,
        server: |peer| status_after_film(peer, "NetConnection.Connect.InvalidApp"),
    },
    Case {
        name: "read-until-fcunsubscribe",
        steps: READ,
        server: |peer| {
            film(peer);
            peer.invoke(0, &[s("onFCUnsubscribe"), n(0), Value::Null, object(&[])]);
        },
    },
    Case {
        name: "read-until-close",
        steps: READ,
        server: |peer| {
            film(peer);
            peer.invoke(0, &[s("close"), n(0), Value::Null]);
        },
    },
    Case {
        name: "read-until-the-peer-closes",
        steps: READ,
        server: |peer| {
            film(peer);
            peer.finish();
        },
    },
    Case { name: "read-until-silence", steps: READ_SILENCE, server: film },
    Case {
        name: "read-small-until-complete",
        steps: READ_SMALL,
        server: |peer| status_after_film(peer, "NetStream.Play.Complete"),
    },
    Case {
        name: "read-small-until-the-peer-closes",
        steps: READ_SMALL,
        server: |peer| {
            film(peer);
            peer.finish();
        },
    },
    Case {
        name: "read-nothing-until-complete",
        steps: READ,
        server: |peer| {
            peer.accept_play();
            peer.status(1, "status", "NetStream.Play.Complete", "");
        },
    },
    Case {
        name: "read-nothing-until-not-found",
        steps: READ,
        server: |peer| {
            peer.accept_play();
            peer.status(1, "error", "NetStream.Play.StreamNotFound", "");
        },
    },
    Case {
        name: "read-nothing-until-the-peer-closes",
        steps: READ,
        server: |peer| {
            peer.accept_play();
            peer.finish();
        },
    },
    Case { name: "read-nothing-until-silence", steps: READ_SILENCE, server: Peer::accept_play },
    Case {
        name: "read-resume-mismatch",
        steps: "setup rtmp://127.0.0.1:PORT/app/stream\nset timeout 5\nconnect\nstream 0\n\
                resume 9 1000 1701aabb 02000a6f6e4d65746144617461 0\nread 65536\nread 65536\nread 65536\n",
        server: |peer| {
            peer.accept_play();
            peer.send(&Message::new(5, 0, 0x12, 1, b"\x02\x00\x0aonMetaData\x05"));
            peer.send(&Message::new(6, 0, 9, 1, &[0x17, 1, 0xaa, 0xbb, 1, 2]));
        },
    },
    Case {
        name: "read-resume-ignored-frames",
        steps: "setup rtmp://127.0.0.1:PORT/app/stream\nset timeout 5\nconnect\nstream 0\nresume 9 1000 1701aabbccdd\n\
                read 65536\nread 65536\nread 65536\n",
        server: |peer| {
            peer.accept_play();
            for _ in 0..60 {
                peer.send(&Message::new(6, 0, 9, 1, &[0x27, 1, 0, 0, 0, 0, 1]));
            }
        },
    },
    Case {
        name: "read-resume-ignored-aggregates",
        steps: "setup rtmp://127.0.0.1:PORT/app/stream\nset timeout 5\nconnect\nstream 0\nresume 9 1000 1701aabbccdd\n\
                read 65536\nread 65536\nread 65536\n",
        server: |peer| {
            peer.accept_play();
            for _ in 0..60 {
                let aggregate = [8, 0, 0, 2, 0, 8, 0, 0, 0, 0, 0, 0xaf, 1, 0, 0, 0, 13];
                peer.send(&Message::new(6, 2048, 0x16, 1, &aggregate));
            }
        },
    },
    Case {
        name: "read-resume",
        steps: "setup rtmp://127.0.0.1:PORT/app/stream\nset timeout 5\nconnect\nstream 0\nresume 9 1000 1701aabbccdd\n\
                read 65536\nread 65536\nread 65536\n",
        server: |peer| {
            peer.accept_play();
            peer.send(&Message::new(6, 0, 9, 1, &[0x17, 1, 0xaa, 0xbb, 0xcc, 0xdd]));
            peer.send(&Message::new(6, 40, 9, 1, &[0x27, 1, 0, 0, 0, 0, 1]));
            peer.send(&Message::new(6, 80, 9, 1, &[0x27, 1, 0, 0, 0, 0, 2]));
            peer.finish();
        },
    },
    Case {
        name: "read-until-memory-runs-out",
        steps: "setup rtmp://127.0.0.1:PORT/app/stream\nset timeout 5\nconnect\nstream 0\nset clientBW 200000000\n\
                read 76\nset loglevel 3\nleave 1500\nread 10\nread 10\nread 10\nclose\n",
        server: |peer| {
            film(peer);
            peer.set_chunk_size(0xff_ffff);
            // There is memory for the message, but none to keep the part that the caller has no room for.
            // That includes a part of a tag's header, so the message cannot stay where it was received.
            peer.send(&Message::new(6, 80, 9, 1, &vec![0x27; 1_000_000]));
            peer.finish();
        },
    },
    Case {
        name: "read-while-seeking",
        steps: "setup rtmp://127.0.0.1:PORT/app/stream\nset timeout 5\nconnect\nstream 0\nread 65536\nseek 5000\n\
                read 65536\nread 65536\nread 65536\n",
        server: |peer| {
            film(peer);
            peer.wait_for("seek");
            peer.send(&Message::new(6, 120, 9, 1, &[0x27, 1, 0, 0, 0, 0, 3]));
            peer.status(1, "status", "NetStream.Seek.Notify", "");
            peer.send(&Message::new(6, 5000, 9, 1, &[0x17, 1, 0, 0, 0, 0, 4]));
            peer.status(1, "status", "NetStream.Play.Stop", "");
        },
    },
    Case {
        name: "write-after-the-end",
        steps: "setup rtmp://127.0.0.1:PORT/app/stream\nset timeout 5\nenablewrite\nconnect\nstream 0\n\
                write 464c5601050000000900000000090000060000000000000017010000000000000011\npacket\n\
                write 09000006000028000000002701000000000000000011\nclose\n",
        server: |peer| {
            peer.accept_publish();
            peer.status(1, "status", "NetStream.Play.UnpublishNotify", "");
        },
    },
];

/// Sound and picture of two frames; times from 0 to 40, so that the header is complete with the first frame.
fn film(peer: &mut Peer) {
    peer.accept_play();
    peer.send(&Message::new(6, 0, 9, 1, &[0x17, 1, 0, 0, 0, 0, 1]));
    peer.send(&Message::new(4, 0, 8, 1, &[0xaf, 1, 2, 3]));
    peer.send(&Message::new(6, 40, 9, 1, &[0x27, 1, 0, 0, 0, 0, 2]));
}

fn status_after_film(peer: &mut Peer, code: &str) {
    film(peer);
    peer.status(1, "status", code, "the end");
}
