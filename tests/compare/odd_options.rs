//! Options and URLs that are invalid: what the session is set up with, and what the log says.

use super::session::Session;

/// Most of them make no connection: the fields and the log are compared.
pub const ODD: &[Session] = &[
    Session {
        name: "odd-numbers",
        steps: concat!(
            "option start=1m\noption start=abc\noption start=\noption start=-5\noption start=99999999999\n",
            "option start=0x\noption start=08\noption start=+7\noption stop=1.5\noption stop=12ms\n",
            "option stop=-99999999999\noption buffer=\"5000\"\noption buffer=5s\noption swfAge=never\n",
            "option swfAge=1d\n"
        ),
        connections: &[],
    },
    Session {
        name: "odd-timeouts",
        steps: concat!(
            "option timeout=7\noption timeout=abc\noption timeout=\"15\"\noption timeout=\noption timeout=0x\n",
            "option timeout=99999999999\noption timeout=4294967297\noption timeout=-9s\noption timeout=12s\n",
            "option timeout=-3\noption timeout=0\n"
        ),
        connections: &[],
    },
    Session {
        name: "odd-flags",
        steps: concat!(
            "option live=maybe\noption live=\noption live=2\noption live=0\noption live=OFF\noption live=no\n",
            "option live=false\noption playlist=yess\noption swfVfy=y\noption live=true\n"
        ),
        connections: &[],
    },
    Session {
        name: "odd-values-of-conn",
        steps: "option conn=N:abc\noption conn=N:1x\noption conn=B:yes\noption conn=N:\noption conn=B:1\n",
        connections: &[],
    },
    Session {
        name: "odd-ports",
        steps: concat!(
            "setup rtmp://h:99999/app/stream\ninit\nsetup rtmp://h:65536/app/stream\ninit\nsetup rtmp://h:-1/app/stream\ninit\n",
            "setup rtmp://h:0/app/stream\ninit\nsetup rtmp://h:80x/app/stream\ninit\nsetup rtmp://h:abc/app/stream\ninit\n",
            "setup rtmp://h:/app/stream\ninit\nsetup rtmp://h:4294968231/app/stream\ninit\nsetup rtmp://h:65535/app/stream\ninit\n",
        ),
        connections: &[],
    },
    Session {
        name: "odd-urls",
        steps: concat!(
            "setup  rtmp://h/app/stream\ninit\nsetup http://h/app/stream\ninit\nsetup rtmpx://h/app/stream\ninit\nsetup rtmp://h/app\ninit\n",
            "setup rtmp://h\ninit\nsetup rtmp://\ninit\nsetup h/app/stream\ninit\nsetup rtmp://h/app/stream live\ninit\n",
        ),
        connections: &[],
    },
    Session {
        name: "odd-proxies",
        steps: concat!(
            "setup rtmp://h/app/stream socks=p:99999\nsetup rtmp://h/app/stream socks=p:abc\n",
            "setup rtmp://h/app/stream socks=p:80x\nsetup rtmp://h/app/stream socks=p:-1\n",
        ),
        connections: &[],
    },
    Session {
        name: "no-stream-name",
        steps: "setup rtmp://127.0.0.1:PORT/app\nset timeout 5\nconnect\nstream 0\n",
        connections: &[|peer| {
            peer.accept_connect();
            peer.accept_create();
            peer.wait_for("play");
            peer.status(1, "status", "NetStream.Play.Start", "");
        }],
    },
];
