//! Random calls about sessions that never wait, in any order: a client, a server and one that is closed again and again, whose
//! peers say what the input says.
//!
//! Nothing may wait, whatever is called; a call that fails leaves a reason.

use std::{
    ffi::{c_char, c_int},
    io::{Read, Write},
    mem,
    net::{TcpListener, TcpStream},
    os::fd::IntoRawFd,
};

use rtmp::{
    amf::AVal,
    event_loop::{
        RTMPStats,
        stats::RTMP_GetStats,
        steps::{RTMP_GetPollFds, RTMP_GetPollTimeout, RTMP_SetNonBlocking, RTMP_Step},
    },
    log::{RTMP_LOGCRIT, RTMP_LogSetLevel},
    ptr::from_c as c,
    rtmp::{
        RTMP, RTMPPacket,
        abort::RTMP_Abort,
        close::RTMP_Close,
        connect::RTMP_Connect,
        error::RTMP_GetLastError,
        io::{RTMP_Read, RTMP_Write},
        lifecycle::{RTMP_Alloc, RTMP_EnableWrite, RTMP_Free, RTMP_Init},
        packet::{RTMP_ClientPacket, RTMP_ReadPacket, RTMPPacket_Free},
        serve::RTMP_Serve,
        setup::RTMP_SetupURL,
        stream::{RTMP_ConnectStream, RTMP_Pause, RTMP_ReconnectStream, RTMP_SendSeek, RTMP_ToggleStream},
        streams::RTMP_OpenStream,
    },
};

use super::input;

/// A session and its peer.
struct Session {
    r: *mut RTMP,
    /// Lives as long as the session.
    url: Box<[u8]>,
    listener: TcpListener,
    peer: Option<TcpStream>,
}

pub fn run(data: &[u8]) {
    let Some(([kinds], _, mut bytes)) = input::choices(data) else { return };
    RTMP_LogSetLevel(RTMP_LOGCRIT);
    let mut sessions = [Session::new(kinds & 1 != 0), Session::new(kinds & 2 != 0)];
    for _ in 0..MOST_CALLS {
        let Some(([which, argument], rest)) = bytes.split_first_chunk().map(|(head, rest)| (*head, rest)) else {
            break;
        };
        bytes = rest;
        let session = &mut sessions[usize::from(which & 1)];
        let spoken = usize::from(argument).min(bytes.len());
        if which >> 1 == 0 {
            session.say(&bytes[..spoken]);
            bytes = &bytes[spoken..];
        } else {
            session.call(which >> 1, argument);
        }
    }
}

impl Session {
    fn new(publishes: bool) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("loopback has a free port");
        listener.set_nonblocking(true).expect("sockets can be polled");
        let port = listener.local_addr().expect("a bound socket has an address").port();
        let mut url: Box<[u8]> = format!("rtmp://127.0.0.1:{port}/app/name timeout=5\0").into_bytes().into();
        // SAFETY: the memory is an `RTMP`'s, and the text lives as long as the session.
        let r = unsafe {
            let r = RTMP_Alloc();
            RTMP_Init(r);
            assert_eq!(RTMP_SetupURL(c(r), url.as_mut_ptr().cast()), 1);
            if publishes {
                RTMP_EnableWrite(c(r));
            }
            assert_eq!(RTMP_SetNonBlocking(c(r), 1), 1);
            r
        };
        Self { r, url, listener, peer: None }
    }

    /// The peer says something, and drops what it hears.
    fn say(&mut self, bytes: &[u8]) {
        if self.peer.is_none() {
            self.peer = self.listener.accept().ok().map(|(peer, _)| peer);
        }
        let Some(peer) = &mut self.peer else { return };
        let _ = peer.set_nonblocking(true);
        let mut scrap = [0; 4096];
        while peer.read(&mut scrap).is_ok_and(|count| count > 0) {}
        // A handshake is more than an input has room for.
        let said = match bytes {
            [0, ..] => peer.write(&[&[3][..], &[0; 3072]].concat()),
            bytes => peer.write(bytes),
        };
        if said.is_err() {
            self.peer = None;
        }
    }

    fn call(&mut self, call: u8, argument: u8) {
        let r = self.r;
        let number = c_int::from(argument);
        let mut buffer = [0_u8; 300];
        let out: *mut c_char = buffer.as_mut_ptr().cast();
        // SAFETY: the session is initialised until this is dropped; the other pointers lead to memory of these lengths.
        unsafe {
            let failed = match call {
                1..=6 => RTMP_Step(c(r)) & FAILED != 0,
                7 => RTMP_Connect(c(r), None) == 0,
                8 => RTMP_ConnectStream(c(r), number) == 0,
                9 => RTMP_Read(c(r), out, number) < 0,
                10 => RTMP_Write(c(r), out, number) < 0,
                11 => self.read_packet(),
                12 => RTMP_Pause(c(r), number & 1) == 0,
                13 => RTMP_SendSeek(c(r), number) == 0,
                14 => RTMP_ToggleStream(c(r)) == 0,
                15 => RTMP_ReconnectStream(c(r), 0) == 0,
                16 => {
                    let mut name = AVal { av_val: c"further".as_ptr().cast_mut(), av_len: 1 + number % 7 };
                    RTMP_OpenStream(c(r), c(&mut name)) == 0
                }
                17 => {
                    let mut stats = RTMPStats { s_size: size_of::<RTMPStats>() as u32, ..RTMPStats::default() };
                    RTMP_GetStats(c(r), &mut stats);
                    false
                }
                18 => {
                    let mut fds = mem::zeroed::<[_; 4]>();
                    assert!(RTMP_GetPollFds(c(r), fds.as_mut_ptr(), 4) >= 0);
                    assert!(RTMP_GetPollTimeout(c(r)) >= -1);
                    false
                }
                19 => {
                    RTMP_Abort(c(r));
                    false
                }
                20 => {
                    RTMP_Close(c(r));
                    self.peer = None;
                    false
                }
                21 => self.serve(),
                _ => RTMP_SetNonBlocking(c(r), 1) == 0,
            };
            assert!(!failed || RTMP_GetLastError(c(r)) != 0, "call {call} has failed without a reason");
        }
    }

    fn read_packet(&self) -> bool {
        // SAFETY: zeros are an empty packet, which is freed; the session is initialised.
        unsafe {
            let mut packet: RTMPPacket = mem::zeroed();
            let failed = RTMP_ReadPacket(c(self.r), c(&mut packet)) == 0;
            if !failed && packet.m_nBytesRead == packet.m_nBodySize {
                RTMP_ClientPacket(c(self.r), c(&mut packet));
            }
            RTMPPacket_Free(c(&mut packet));
            failed
        }
    }

    /// Serves a client, in place of being one.
    fn serve(&mut self) -> bool {
        // SAFETY: the session is initialised; it owns its socket from here on.
        unsafe {
            if (*self.r).m_sb.sb_socket == -1 {
                let address = self.listener.local_addr().expect("a bound socket has an address");
                let Ok(served) = TcpStream::connect(address) else { return false };
                (*self.r).m_sb.sb_socket = served.into_raw_fd();
            }
            RTMP_Serve(c(self.r)) == 0
        }
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        // SAFETY: the session is not used after this, and its text is freed later.
        unsafe {
            RTMP_Close(c(self.r));
            RTMP_Free(self.r);
        }
        self.url.fill(0);
    }
}

/// More would take too long for one input.
const MOST_CALLS: usize = 300;

/// `RTMP_STEP_FAILED`.
const FAILED: c_int = 0x20;
