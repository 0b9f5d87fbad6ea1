//! Players: one thread with epoll that records which messages each of them receives, and when.

use std::{
    io::{self, Read, Write},
    net::TcpStream,
    time::{Duration, Instant},
};

use rustix::event::epoll;
use socket2::{Domain, Protocol, Socket, Type};

use crate::{publisher, wire, wire::Messages};

/// Players of one stream.
pub struct Audience {
    port: u16,
    origin: Instant,
    epoll: rustix::fd::OwnedFd,
    players: Vec<Player>,
    block: Vec<u8>,
    /// The number of messages that were missing between received ones.
    pub lost: u64,
    /// From the sending of a message to its arrival, in nanoseconds.
    pub delays: Vec<u64>,
    /// From the beginning of a connection to its first frame, in nanoseconds.
    pub starts: Vec<u64>,
}

struct Player {
    stream: TcpStream,
    messages: Messages,
    begun: Instant,
    /// The received part of the handshake; `None` after it.
    handshake: Option<Vec<u8>>,
    /// The numbers of the next audio and video message.
    next: [Option<u64>; 2],
    is_stalled: bool,
    has_started: bool,
}

const HANDSHAKE: usize = 3073;

impl Audience {
    pub fn new(port: u16, origin: Instant) -> io::Result<Self> {
        let epoll = epoll::create(epoll::CreateFlags::CLOEXEC)?;
        let (players, block) = (Vec::new(), vec![0; 256 << 10]);
        Ok(Self { port, origin, epoll, players, block, lost: 0, delays: Vec::new(), starts: Vec::new() })
    }

    /// Connects this many at the same time, and returns when all of them play, or after a minute the number of those that do
    /// not.
    pub fn join(&mut self, count: usize) -> io::Result<usize> {
        let before = self.players.len();
        for _ in 0..count {
            self.begin()?;
        }
        let limit = Instant::now() + Duration::from_secs(60);
        loop {
            let missing = self.players[before..].iter().filter(|player| !player.has_started).count();
            if missing == 0 || Instant::now() > limit {
                return Ok(missing);
            }
            self.turn(Duration::from_millis(100))?;
        }
    }

    /// The first player stops reading.
    pub fn stall_one(&mut self) -> io::Result<()> {
        let player = &mut self.players[0];
        player.is_stalled = true;
        Ok(epoll::delete(&self.epoll, &player.stream)?)
    }

    /// Plays for a while.
    pub fn play(&mut self, time: Duration) -> io::Result<()> {
        let end = Instant::now() + time;
        while let Some(left) = end.checked_duration_since(Instant::now()).filter(|left| !left.is_zero()) {
            self.turn(left)?;
        }
        Ok(())
    }

    /// Resets the counters.
    pub fn forget(&mut self) {
        self.lost = 0;
        self.delays.clear();
        self.starts.clear();
    }

    fn begin(&mut self) -> io::Result<()> {
        let begun = Instant::now();
        let socket = Socket::new(Domain::IPV4, Type::STREAM, Some(Protocol::TCP))?;
        let address = std::net::SocketAddr::from(([127, 0, 0, 1], self.port));
        socket.connect(&address.into())?;
        socket.set_tcp_nodelay(true)?;
        let mut stream = TcpStream::from(socket);
        let mut hello = [0; 1537];
        hello[0] = 3;
        stream.write_all(&hello)?;
        stream.set_nonblocking(true)?;
        let data = epoll::EventData::new_u64(self.players.len() as u64);
        epoll::add(&self.epoll, &stream, data, epoll::EventFlags::IN)?;
        self.players.push(Player {
            stream,
            messages: Messages::new(),
            begun,
            handshake: Some(Vec::new()),
            next: [None; 2],
            is_stalled: false,
            has_started: false,
        });
        Ok(())
    }

    fn turn(&mut self, most: Duration) -> io::Result<()> {
        let mut events =
            [epoll::Event { flags: epoll::EventFlags::empty(), data: epoll::EventData::new_u64(0) }; 256];
        let timeout = most.try_into().expect("not much");
        let count = match epoll::wait(&self.epoll, &mut events, Some(&timeout)) {
            Err(rustix::io::Errno::INTR) => 0,
            result => result?,
        };
        for event in &events[..count] {
            let index = event.data.u64() as usize;
            if !self.players[index].is_stalled {
                self.receive(index)?;
            }
        }
        Ok(())
    }

    fn receive(&mut self, index: usize) -> io::Result<()> {
        let player = &mut self.players[index];
        let count = match player.stream.read(&mut self.block) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
            result => result?,
        };
        if count == 0 {
            return Err(io::Error::other("the server ends a connection"));
        }
        let mut bytes = &self.block[..count];
        if let Some(handshake) = &mut player.handshake {
            let missing = (HANDSHAKE - handshake.len()).min(bytes.len());
            handshake.extend(&bytes[..missing]);
            bytes = &bytes[missing..];
            if handshake.len() < HANDSHAKE {
                return Ok(());
            }
            player.stream.write_all(&[&handshake[1..1537], &wire::requests(self.port, "play")].concat())?;
            player.handshake = None;
        }
        let now = self.origin.elapsed().as_nanos() as u64;
        let (lost, delays, starts) = (&mut self.lost, &mut self.delays, &mut self.starts);
        let Player { messages, next, has_started, begun, .. } = player;
        messages.take(bytes, |kind, body| {
            let (8 | 9, Some((number, sent))) = (kind, publisher::stamp_of(body)) else { return };
            let next = &mut next[usize::from(kind == 9)];
            *lost += next.map_or(0, |next| number.saturating_sub(next));
            *next = Some(number + 1);
            if kind == 9 && !*has_started {
                *has_started = true;
                starts.push(begun.elapsed().as_nanos() as u64);
            } else if *has_started {
                delays.push(now.saturating_sub(sent));
            }
        });
        Ok(())
    }
}
