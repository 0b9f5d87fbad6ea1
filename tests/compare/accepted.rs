//! The differences between the original's output and ours, as text. `tests/differences.md` says why each is accepted.

/// Text of the original's output that is another with ours.
pub struct Accepted {
    /// The name in `tests/differences.md`.
    pub name: &'static str,
    /// The rows in which it has to occur; none: any row, at least one.
    pub rows: &'static [&'static str],
    pub original: &'static str,
    pub ours: &'static str,
}

pub const ACCEPTED: &[Accepted] = &[
    Accepted {
        name: "next-url",
        rows: &["connected-twice"],
        original: "playpath='name' app='other'\n",
        ours: "playpath='name' app='other' tcUrl='rtmp://127.0.0.1:PORT/other'\n",
    },
    Accepted {
        name: "next-url",
        rows: &["connected-twice"],
        original: "app=s(\"other\"), tcUrl=s(\"rtmp://127.0.0.1:PORT/app\")",
        ours: "app=s(\"other\"), tcUrl=s(\"rtmp://127.0.0.1:PORT/other\")",
    },
    Accepted { name: "no-dangling-strings", rows: &[], original: "playpath=dangling", ours: "playpath=NULL" },
    Accepted {
        name: "no-dangling-strings",
        rows: &["login-limelight"],
        original: "app=NULL(112) tcUrl=NULL(135)",
        ours: "app=NULL tcUrl=NULL",
    },
    Accepted {
        name: "closed-is-not-playing",
        rows: ENDED_BY_SERVER,
        original: "connected=0 stream_id=-1",
        ours: "connected=0 playing=0 stream_id=-1",
    },
    Accepted {
        name: "closed-is-not-playing",
        rows: &["end-through-media"],
        original: "close: -> 0 | playing=0\n",
        ours: "close: -> 0 |\n",
    },
    Accepted {
        name: "closed-is-not-playing",
        rows: &[
            "read-until-stop",
            "read-until-complete",
            "read-until-unpublish",
            "read-until-fcunsubscribe",
            "read-nothing-until-complete",
        ],
        original: "close: -> 0 | playing=0 read.status=0\n",
        ours: "close: -> 0 | read.status=0\n",
    },
    Accepted {
        name: "end-after-pause",
        rows: &["end-through-media-after-pause"],
        original: "media: -> 0 | connected=0 playing=0 stream_id=-1 numInvokes=0 times= bytesIn=0 playpath0=NULL \
                   playpath=NULL\n",
        ours: "media: type 20 time 0 size 89 -> 2 | connected=0 playing=0 stream_id=-1 numInvokes=0 times= bytesIn=0 \
               playpath0=NULL playpath=NULL header 0 channel 3 stream 1 absolute 1 read 89 \
               body=0200086f6e537461747573000000000000000000050300056c6576656c0200067374617475730004636f646502001\
               74e657453747265616d2e506c61792e436f\n",
    },
    Accepted {
        name: "refusals-end-the-wait",
        rows: &["refused-connect"],
        original: "stream 0: -> 0 | timedout=1 bytesIn=3180 errno=EAGAIN\n",
        ours: REFUSED,
    },
    Accepted {
        name: "refusals-end-the-wait",
        rows: &["refused-publish"],
        original: "stream 0: -> 0 | timedout=1 stream_id=1 numInvokes=5 calls=publish:5, bytesIn=3308 errno=EAGAIN\n",
        ours: REFUSED,
    },
    Accepted {
        name: "refusals-end-the-wait",
        rows: &["refused-publish"],
        original: "chunk stream 3 type 20 stream 0: s(\"FCUnpublish\") n(6) null s(\"stream\")\n\
                   chunk stream 3 type 20 stream 0: s(\"deleteStream\") n(7) null n(1)\n",
        ours: "",
    },
    Accepted {
        name: "refusals-end-the-wait",
        rows: &["login-limelight-wrong-password"],
        original: "stream 0: -> 0 | timedout=1 stream_id=-1 numCalls=0 calls= bytesIn=3250 lFlags=96 \
                   app='app/inst?authmod=llnw&user=foo' \
                   tcUrl='rtmp://127.0.0.1:PORT/app/inst?authmod=llnw&user=foo' errno=EAGAIN\n",
        ours: REFUSED_LOGIN,
    },
    Accepted {
        name: "refusals-end-the-wait",
        rows: &["login-adobe-wrong-password"],
        original: "stream 0: -> 0 | timedout=1 stream_id=-1 numCalls=0 calls= bytesIn=3253 lFlags=96 \
                   app='app/inst?authmod=adobe&user=foo' \
                   tcUrl='rtmp://127.0.0.1:PORT/app/inst?authmod=adobe&user=foo' errno=EAGAIN\n",
        ours: REFUSED_LOGIN,
    },
    Accepted {
        name: "refusals-end-the-wait",
        rows: &["login-limelight-unknown-user"],
        original: "stream 0: -> 0 | timedout=1 numCalls=0 calls= bytesIn=3216 errno=EAGAIN\n",
        ours: REFUSED,
    },
    Accepted {
        name: "refusals-end-the-wait",
        rows: &["login-adobe-unknown-user"],
        original: "stream 0: -> 0 | timedout=1 numCalls=0 calls= bytesIn=3217 errno=EAGAIN\n",
        ours: REFUSED,
    },
    Accepted {
        name: "refusals-end-the-wait",
        rows: &["login-without-a-password", "login-of-an-unknown-kind"],
        original: "stream 0: -> 0 | timedout=1 numCalls=0 calls= bytesIn=3219 errno=EAGAIN\n",
        ours: REFUSED,
    },
    Accepted {
        name: "proxy-bytes-are-not-counted",
        rows: &["option-socks"],
        original: "bytesIn=3081",
        ours: "bytesIn=3073",
    },
    Accepted {
        name: "proxy-bytes-are-not-counted",
        rows: &["option-socks"],
        original: "bytesIn=3310",
        ours: "bytesIn=3302",
    },
    // The first message of its kind, in a request of its own.
    Accepted {
        name: "full-first-headers",
        rows: &["events-to-a-publisher over rtmpt"],
        original: "Content-length: 14\n",
        ours: "Content-length: 18\n",
    },
    Accepted {
        name: "log-lines-say-why",
        rows: &["serve", "serve-tls"],
        original: "ERROR: RTMP_ReadPacket, failed to read RTMP packet header\n",
        ours: "ERROR: RTMP_ReadPacket, failed to read RTMP packet header: the peer closed the connection\n",
    },
    Accepted {
        name: "log-lines-say-why",
        rows: &["serve-tls"],
        original: "no such file: 0\n",
        ours: "ERROR: cannot use /nonexistent: I/O error: No such file or directory (os error 2)\nno such file: 0\n",
    },
    Accepted {
        name: "no-close-without-a-connection",
        rows: &["never-connected"],
        original: "playing=0 stream_id=-1 numInvokes=0",
        ours: "playing=0 stream_id=0 numInvokes=0",
    },
    // After that close there is no stream whose end could not be sent.
    Accepted {
        name: "no-close-without-a-connection",
        rows: &["never-connected"],
        original: "\ndelete: -> 0 |\n",
        ours: "\ndelete: -> 0 | stray=EBADF\n",
    },
    Accepted {
        name: "no-close-without-a-connection",
        rows: &["set-up-but-not-connected"],
        original: "packet: -> -1 | stream_id=-1 playpath0=NULL playpath=NULL errno=EBADF\n",
        ours: "packet: -> -1 | errno=EBADF\n",
    },
    Accepted {
        name: "no-close-without-a-connection",
        rows: &["never-connected"],
        original: "reconnect 0: -> 0 | read.status=0 errno=EBADF\n",
        ours: "reconnect 0: -> 0 | errno=EBADF\n",
    },
    Accepted {
        name: "no-close-without-a-connection",
        rows: &["set-up-but-not-connected"],
        original: "0011: -> -1 | read.status=0 errno=EBADF\n",
        ours: "0011: -> -1 | errno=EBADF\n",
    },
    Accepted {
        name: "no-close-without-a-connection",
        rows: &["never-connected"],
        original: "\nclose: -> 0 |\nclose",
        ours: "\nclose: -> 0 | stream_id=-1 read.status=0\nclose",
    },
    Accepted {
        name: "no-close-without-a-connection",
        rows: &["set-up-but-not-connected"],
        original: "\nclose: -> 0 |\n",
        ours: "\nclose: -> 0 | stream_id=-1 read.status=0 playpath0=NULL playpath=NULL\n",
    },
    Accepted {
        name: "chunk-sizes-start-anew",
        rows: &["connected-twice-with-chunk-sizes"],
        original: "bytesIn=3514",
        ours: "bytesIn=3515",
    },
    Accepted {
        name: "chunk-sizes-start-anew",
        rows: &["connected-twice-with-chunk-sizes"],
        original: "calls=connect:1, bytesIn=3073\n",
        ours: "calls=connect:1, inChunkSize=128 bytesIn=3073\n",
    },
    Accepted {
        name: "errno-is-the-reason",
        rows: &["errno"],
        original: "TLS, reset: RTMP_Connect(r, NULL) -> 0 EPIPE\n",
        ours: "TLS, reset: RTMP_Connect(r, NULL) -> 0 ECONNRESET\n",
    },
    Accepted {
        name: "requested-chunk-size",
        rows: &["chunk-size-before-connecting"],
        original: "connection 0, C1 00000000\n",
        ours: "connection 0, C1 00000000\nchunk stream 2 type 1 stream 0: 00001000\n",
    },
    Accepted {
        name: "no-close-without-a-connection",
        rows: &["socket-closed-by-the-program"],
        original: "pause 1: -> 0 | playing=0 stream_id=-1 numInvokes=0 pauseStamp=20 times= bytesIn=0 playpath0=NULL \
                   playpath=NULL errno=EBADF\nclose: -> 0 |\n",
        ours: "pause 1: -> 0 | errno=EBADF\nclose: -> 0 | playing=0 stream_id=-1 numInvokes=0 times= bytesIn=0 \
               playpath0=NULL playpath=NULL\n",
    },
    Accepted {
        name: "errno-after-success",
        rows: &["options-swfVfy-swfAge"],
        original: " stray=ENOENT\n",
        ours: "\n",
    },
    Accepted { name: "errno-after-success", rows: &["errno"], original: "-> 32 EAGAIN\n", ours: "-> 32 -\n" },
    Accepted {
        name: "chunk-size-zero",
        rows: &["chunk-size-zero"],
        original: "size 4 -> 0 | inChunkSize=0 bytesIn=3318",
        ours: "size 4 -> 0 | bytesIn=3318",
    },
    Accepted {
        name: "chunk-size-zero",
        rows: &["chunk-size-zero"],
        original: "media: -> 0 | timedout=1 bytesIn=3334 errno=EAGAIN\n",
        ours: "media: type 9 time 20 size 4 -> 1 | mediaChannel=6 mediaStamp=20 times=6:20, bytesIn=3334 header 0 \
               channel 6 stream 1 absolute 1 read 4 body=17010102\n",
    },
];

const ENDED_BY_SERVER: &[&str] = &[
    "end-through-media",
    "read-until-stop",
    "read-until-complete",
    "read-until-unpublish",
    "read-until-fcunsubscribe",
    "read-small-until-complete",
    "read-nothing-until-complete",
    "read-while-seeking",
];
const REFUSED: &str = "stream 0: -> 0 | connected=0 stream_id=-1 numInvokes=0 numCalls=0 calls= bytesIn=0 \
                       playpath0=NULL playpath=NULL\n";
const REFUSED_LOGIN: &str = "stream 0: -> 0 | connected=0 stream_id=-1 numInvokes=0 numCalls=0 calls= bytesIn=0 \
                             playpath0=NULL playpath=NULL app=NULL tcUrl=NULL\n";

/// A row that the original does not survive.
pub struct Defect {
    /// The name in `tests/differences.md`.
    pub name: &'static str,
    pub row: &'static str,
    pub original: Ending,
    /// What ours prints.
    pub ours: &'static str,
}

/// How a program ends.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Ending {
    #[default]
    Well,
    /// Killed by a signal.
    Crash,
    /// Killed at its time limit.
    Hang,
}

pub const DEFECTS: &[Defect] = &[
    Defect {
        name: "refusal-without-description",
        row: "refused-without-description",
        original: Ending::Crash,
        ours: "\nstream 0: -> 0 | connected=0",
    },
    Defect {
        name: "tunnel-without-answers",
        row: "tunnel-without-answers",
        original: Ending::Hang,
        ours: "\nconnect: -> 0 |",
    },
    Defect {
        name: "tunnel-of-silence",
        row: "tunnel-of-silence",
        original: Ending::Hang,
        ours: "\nmedia: -> 0 | timedout=1 msgCounter=",
    },
    Defect { name: "sigpipe", row: "publishing-to-nobody", original: Ending::Crash, ours: "11: -> -1 |" },
];

/// A line of the original's log that ours says in other words, or has no reason to say.
pub struct LogLine {
    /// The name in `tests/differences.md`.
    pub name: &'static str,
    /// The rows in which it may be missing; none: any row.
    pub rows: &'static [&'static str],
    /// How it begins.
    pub original: &'static str,
    /// How ours begins instead; nothing: it says nothing.
    ours: Option<&'static str>,
}

pub const LOG: &[LogLine] = &[
    // The number is that of the operating system's error, and of bytes that nobody could send.
    LogLine {
        name: "log-lines-say-why",
        rows: &[],
        original: "ERROR: WriteN, RTMP send error ",
        ours: Some("ERROR: WriteN, RTMP send error: "),
    },
    LogLine {
        name: "log-lines-say-why",
        rows: &["option-socks-refused"],
        original: "ERROR: SocksNegotiate, SOCKS returned error code 91",
        ours: Some(
            "ERROR: RTMP_Connect0, SOCKS negotiation failed. 127.0.0.1:PORT: SOCKS returned error code 91",
        ),
    },
    LogLine {
        name: "log-lines-say-why",
        rows: &["swf-verification"],
        original: "ERROR: HandleCtrl: SWFVerification Type 2 request not supported!",
        ours: Some("ERROR: HandleCtrl: SWFVerification Type 2 request not supported!"),
    },
    LogLine {
        name: "refusals-end-the-wait",
        rows: &[
            "refused-connect",
            "refused-publish",
            "login-adobe-unknown-user",
            "login-adobe-wrong-password",
            "login-limelight-unknown-user",
            "login-limelight-wrong-password",
            "login-without-a-password",
            "login-of-an-unknown-kind",
        ],
        original: "ERROR: RTMP_ReadPacket, failed to read RTMP packet header",
        ours: Some("ERROR: Closing connection: "),
    },
    LogLine {
        name: "chunk-size-zero",
        rows: &["chunk-size-zero"],
        original: "ERROR: RTMP_ReadPacket, failed to read RTMP packet header. type: 17",
        ours: Some("WARNING: ignoring a chunk size of less than 1 from the server"),
    },
    LogLine {
        name: "option-help",
        rows: &["options-one-by-one"],
        original: "ERROR:  ",
        ours: Some("ERROR:  "),
    },
];

/// How a line of our log has to begin where the original's has `line`; `None` if there may be none.
pub fn log_line(row: &str, line: &str) -> Option<String> {
    let entry = LOG.iter().find(|entry| {
        line.starts_with(entry.original) && (entry.rows.is_empty() || entry.rows.contains(&row))
    });
    entry.map_or(Some(line), |entry| entry.ours).map(str::to_owned)
}

/// What ours has to print in a row in which the original has printed `text`. `names` are those by which it may be meant.
pub fn apply(names: [&str; 2], text: &str) -> Result<String, String> {
    let mut expected = text.to_owned();
    for entry in ACCEPTED {
        let meant = entry.rows.iter().any(|row| names.contains(row));
        if meant && !expected.contains(entry.original) {
            return Err(format!("the accepted difference {} does not occur any more:\n{text}", entry.name));
        }
        if entry.rows.is_empty() || meant {
            expected = expected.replace(entry.original, entry.ours);
        }
    }
    Ok(expected)
}
