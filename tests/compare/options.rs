//! Every option, in a URL and on its own, up to its effect on the wire.

use super::session::Session;
use super::support::Peer;
use super::support::wire::Message;

pub const OPTIONS: &[Session] = &[
    Session {
        name: "options-of-strings",
        steps: "setup rtmp://127.0.0.1:PORT/app/stream app=other tcUrl=rtmp://elsewhere/other pageUrl=http://h/p \
                swfUrl=http://h/a.swf flashver=WIN\\2010,0 playpath=mp4:name\nset timeout 5\nconnect\nstream 0\nclose\n",
        connections: &[Peer::accept_play],
    },
    Session {
        name: "options-of-live-streams",
        steps: "setup rtmp://127.0.0.1:PORT/app/stream live=1 subscribe=channel jtv=usher token=secret buffer=1234 \
                timeout=5\nconnect\nstream 0\nclose\n",
        connections: &[Peer::accept_play],
    },
    Session {
        name: "options-of-films",
        steps: "setup rtmp://127.0.0.1:PORT/app/stream playlist=yes start=0x100 stop=01000 timeout=0x5\nconnect\nstream 0\n",
        connections: &[Peer::accept_play],
    },
    Session {
        name: "options-conn",
        steps: "setup rtmp://127.0.0.1:PORT/app/stream conn=B:1 conn=S:a:b conn=N:-0.5 conn=Z: conn=O:1 conn=NO:o:1 \
                conn=NS:s:t conn=NN:n:1e9 conn=NB:b:1 conn=O:0 conn=O:0 timeout=5\nconnect\nstream 0\n",
        connections: &[Peer::accept_play],
    },
    Session {
        name: "option-timeout",
        steps: "setup rtmp://127.0.0.1:PORT/app/stream timeout=2\nconnect\nstream 0\nmedia\n",
        connections: &[Peer::accept_play],
    },
    Session {
        name: "option-socks",
        steps: "setup rtmp://127.0.0.2:4711/app/stream socks=127.0.0.1:PORT timeout=5\nconnect\nstream 0\nclose\n",
        connections: &[|peer| {
            let request = peer.read_exact(9);
            assert_eq!(
                request,
                [4, 1, 4711_u16.to_be_bytes()[0], 4711_u16.to_be_bytes()[1], 127, 0, 0, 2, 0]
            );
            peer.send_raw(&[0, 90, 0, 0, 0, 0, 0, 0]);
            peer.accept_play();
        }],
    },
    Session {
        name: "option-socks-refused",
        steps: "setup rtmp://127.0.0.2:4711/app/stream socks=127.0.0.1:PORT timeout=5\nconnect\n",
        connections: &[|peer| {
            peer.read_exact(9);
            peer.send_raw(&[0, 91, 0, 0, 0, 0, 0, 0]);
        }],
    },
    Session {
        name: "options-swfVfy-swfAge",
        steps: "setup rtmp://127.0.0.1:PORT/app/stream swfUrl=http://127.0.0.1:PORT/a.swf swfVfy=1 swfAge=0 timeout=5\n\
                connect\nstream 0\npacket\n",
        connections: &[swf_file, |peer| {
            peer.accept_play();
            peer.send_control(4, &[0, 0x1a, 1]);
        }],
    },
    Session {
        name: "options-pubUser-pubPasswd",
        steps: "setup rtmp://127.0.0.1:PORT/app/stream pubUser=foo pubPasswd=bar timeout=5\nenablewrite\nconnect\nstream 0\n\
                close\n",
        connections: &[Peer::accept_publish],
    },
    Session {
        name: "options-one-by-one",
        steps: "option app=app\noption TCURL=rtmp://h/app\noption pageUrl=http://h/p\noption swfUrl=http://h/a.swf\n\
                option flashver=TST 1,2\noption playpath=name\noption playlist=on\noption live=1\noption subscribe=sub\n\
                option jtv=usher\noption token=foobar\noption swfVfy=0\noption swfAge=7\noption start=100\n\
                option stop=5100\noption buffer=77\noption timeout=5\noption pubUser=u\noption pubPasswd=p\n\
                option conn=S:x\noption conn=O:1\noption conn=NS:a:b\noption socks=\noption nonsense=1\noption conn=X:1\n\
                setup rtmp://127.0.0.1:PORT/path/stream\nconnect\nstream 0\nclose\n",
        connections: &[Peer::accept_play],
    },
    Session {
        name: "setup-stream",
        steps: "setupstream PORT\nconnect\nstream 0\nclose\n",
        connections: &[Peer::accept_play],
    },
    Session {
        name: "connect-with-a-packet",
        steps: "setup rtmp://127.0.0.1:PORT/app/stream timeout=5\nset sendCounter 1\nconnectwith PORT\nstream 0\nclose\n",
        connections: &[Peer::accept_play],
    },
    Session {
        name: "packets-of-the-program",
        steps: "setup rtmp://127.0.0.1:PORT/app/stream timeout=5\nset audioCodecs 1\nset videoCodecs 2\nset encoding 3\n\
                connect\nstream 0\nset numInvokes 40\nsend 20 3 0 0 0 1 02000463616c6c00404480000000000005\n\
                send 20 3 0 0 1 0 02000463616c6c00404480000000000005\nsend 8 4 1 40 0 0 af010203\nsend 8 4 1 80 1 0 af010204\n\
                send 9 70 1 16777215 0 0 17010000\ndrop 0\nset outChunkSize 4096\nset stream_id 9\npause 1\n\
                set numInvokes 7\nseek 1\nupdate\nserverbw\nclientbw\n\
                chunk 040000000000030801000000 aabbcc\n",
        connections: &[Peer::accept_play],
    },
    Session { name: "never-connected", steps: EVERYTHING_WITHOUT_A_CONNECTION, connections: &[] },
    Session {
        name: "set-up-but-not-connected",
        steps: concat!(
            "setup rtmp://127.0.0.1:PORT/app/stream timeout=2\n",
            "stream 0\npacket\nmedia\nread 100\nwrite 0900000600000000000000170100000000000011\nclose\nread 100\n"
        ),
        connections: &[],
    },
    Session {
        name: "connected-twice",
        steps: "setup rtmp://127.0.0.1:PORT/app/stream timeout=5\nconnect\nstream 0\nmedia\npause 1\nclose\n\
                setup rtmp://127.0.0.1:PORT/other/name live=1\nconnect\nstream 0\nmedia\nclose\n",
        connections: &[one_frame, one_frame],
    },
    Session {
        name: "connected-again-after-the-end",
        steps: "setup rtmp://127.0.0.1:PORT/app/stream timeout=5\nconnect\nstream 0\nread 100\nread 100\nread 100\n\
                setup rtmp://127.0.0.1:PORT/app/stream\nconnect\nstream 0\nread 100\nread 100\nclose\n",
        connections: &[
            |peer| {
                one_frame(peer);
                peer.finish();
            },
            |peer| {
                one_frame(peer);
                peer.finish();
            },
        ],
    },
    Session {
        name: "connected-twice-with-chunk-sizes",
        steps: "setup rtmp://127.0.0.1:PORT/app/stream timeout=5\nconnect\nstream 0\npacket\nclose\n\
                setup rtmp://127.0.0.1:PORT/app/stream timeout=2\nconnect\nstream 0\npacket\nclose\n",
        connections: &[
            |peer| {
                peer.accept_play();
                peer.set_chunk_size(4096);
            },
            |peer| {
                peer.accept_play();
                peer.send(&Message::new(6, 20, 9, 1, &[0x17; 200]));
            },
        ],
    },
    Session {
        name: "large-messages",
        steps: "setup rtmp://127.0.0.1:PORT/app/stream timeout=5\nconnect\nstream 0\npause 1\nsettle 50072\npacket\n\
                packet\npacket\npacket\npacket\n",
        connections: &[|peer| {
            peer.accept_play();
            peer.wait_for("pause");
            peer.set_chunk_size(60_000);
            for (time, size) in [(0, 10), (20, 30_000), (40, 20_000), (60, 1)] {
                peer.send(&Message::new(6, time, 9, 1, &vec![0x17; size]));
            }
        }],
    },
];

/// Without a connection, every function fails with an error.
const EVERYTHING_WITHOUT_A_CONNECTION: &str = "pause 1\npause 0\nsendpause 1 5\nseek 5\nctrl 3 1 5\nserverbw\nclientbw\n\
     create\nbuffer 5\nupdate\ndelete\nsend 8 4 1 0 0 0 af01\nsend 20 3 0 0 0 1 02000463616c6c00404480000000000005\n\
     chunk 040000000000030801000000 aabbcc\npacket\nmedia\nread 100\nstream 0\nreconnect 0\n\
     write 0900000600000000000000170100000000000011\nconnect\nclose\nclose\n";

fn one_frame(peer: &mut Peer) {
    peer.accept_play();
    peer.send(&Message::new(6, 40, 9, 1, &[0x17, 1, 0, 0, 0, 0, 1]));
}

/// A web server that has one SWF file.
fn swf_file(peer: &mut Peer) {
    let head = peer.read_head();
    assert!(head.starts_with("GET /a.swf HTTP/1."), "{head}");
    let file = b"FWS\x08\x40\0\0\0a film of the Flash player, not compressed, of 64 bytes ........";
    let mut response = format!(
        "HTTP/1.0 200 OK\r\nLast-Modified: Mon, 01 Jan 2024 00:00:00 GMT\r\nContent-Length: {}\r\n\r\n",
        file.len()
    );
    response += &String::from_utf8_lossy(file);
    peer.send_raw(response.as_bytes());
    peer.finish();
}
