//! A link as a socket, for programs that wait for sockets themselves.

use std::{
    io::IoSlice,
    net::Shutdown,
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

use log::debug;
use socket2::Socket;

use super::{
    link::Link,
    receive::receive_now,
    send::send_now,
    step::{Interest, Received, Wanted, sooner},
    wait::wait,
};
use crate::{error::Result, system};

/// Forwards the stream of an open link to a socket, in its own thread, and returns the other end of that socket, which blocks.
/// When that end is closed, the link says goodbye; when the link ends, reading from the socket ends, too.
pub fn bridge(link: Link) -> Result<Socket> {
    let (near, far) = system::pair()?;
    near.set_nonblocking(true)?;
    far.set_nonblocking(false)?;
    let bridge = Bridge { link, near: Arc::new(near), inbound: Block::new(), outbound: Block::new() };
    thread::Builder::new().name("rtmpt session".to_owned()).stack_size(STACK_LEN).spawn(|| bridge.run())?;
    Ok(far)
}

struct Bridge {
    link: Link,
    near: Arc<Socket>,
    inbound: Block,
    outbound: Block,
}

/// Bytes in transit in one direction.
struct Block {
    bytes: Box<[u8]>,
    start: usize,
    end: usize,
    /// No more bytes will follow.
    ended: bool,
}

impl Block {
    fn new() -> Self {
        Self { bytes: vec![0; BLOCK_LEN].into_boxed_slice(), start: 0, end: 0, ended: false }
    }

    fn rest(&self) -> &[u8] {
        &self.bytes[self.start..self.end]
    }

    fn is_empty(&self) -> bool {
        self.start == self.end
    }
}

impl Bridge {
    fn run(mut self) {
        if let Err(error) = self.pass_on() {
            debug!("a tunnelled session ends: {error}");
            self.inbound.ended = true;
        }
        // The program reads the bytes that have arrived and then the end, as on a connection that the client has closed.
        let _ = self.near.shutdown(Shutdown::Write);
        self.link.finish(Instant::now());
        while self.link.step(Instant::now()).is_ok() && !self.link.is_finished() {
            let mut interests = Vec::new();
            self.link.interests(Wanted::default(), &mut interests);
            if wait(&interests, self.link.deadline()).is_err() {
                break;
            }
        }
        let Self { link, near, outbound, .. } = self;
        drop(link);
        if !outbound.ended {
            discard(&near);
        }
    }

    /// Forwards bytes until one side has ended.
    fn pass_on(&mut self) -> Result<()> {
        let mut interests = Vec::new();
        let mut end = None;
        loop {
            let now = Instant::now();
            if self.link.peer_has_left() && now >= *end.get_or_insert(now + PATIENCE) {
                return Ok(());
            }
            let stepped = self.link.step(now);
            let moved = self.pass_in(now)? | self.pass_out(now)?;
            if self.inbound.ended && self.inbound.is_empty()
                || self.outbound.ended && self.outbound.is_empty()
            {
                return Ok(());
            }
            stepped?;
            if moved {
                continue;
            }
            interests.clear();
            let wanted = Wanted { read: self.inbound.is_empty(), write: !self.outbound.is_empty() };
            self.link.interests(wanted, &mut interests);
            let (read, write) = (self.outbound.is_empty(), !self.inbound.is_empty());
            if read || write {
                interests.push(Interest { socket: self.near.clone(), read, write });
            }
            wait(&interests, sooner(end, self.link.deadline()))?;
        }
    }

    /// Forwards bytes from the peer; true if there was any progress.
    fn pass_in(&mut self, now: Instant) -> Result<bool> {
        let block = &mut self.inbound;
        let mut moved = false;
        if block.is_empty() && !block.ended {
            match self.link.receive(&mut block.bytes, now)? {
                Received::Bytes(count) => (block.start, block.end) = (0, count),
                Received::Nothing => {}
                Received::End => block.ended = true,
            }
            moved = !block.is_empty() || block.ended;
        }
        while !block.is_empty() {
            match send_now(&self.near, &[IoSlice::new(block.rest())]) {
                Ok(0) => break,
                Ok(count) => block.start += count,
                // The program does not read; there may still be bytes for the peer.
                Err(_) => block.start = block.end,
            }
            moved = true;
        }
        Ok(moved)
    }

    /// Forwards bytes from the program; true if there was any progress.
    fn pass_out(&mut self, now: Instant) -> Result<bool> {
        let block = &mut self.outbound;
        let mut moved = false;
        if block.is_empty() && !block.ended {
            match receive_now(&self.near, &mut block.bytes) {
                Ok(Received::Bytes(count)) => (block.start, block.end) = (0, count),
                Ok(Received::Nothing) => {}
                Ok(Received::End) | Err(_) => block.ended = true,
            }
            moved = !block.is_empty() || block.ended;
        }
        while !block.is_empty() {
            match self.link.send(&[IoSlice::new(block.rest())], now)? {
                0 => break,
                count => block.start += count,
            }
            moved = true;
        }
        Ok(moved)
    }
}

/// Accepts bytes for a session that has ended, for a while. The program may send acknowledgements for data that it has not read
/// yet, and must not fail before it reaches the end.
fn discard(near: &Arc<Socket>) {
    let end = Instant::now() + PATIENCE;
    let interest = Interest { socket: near.clone(), read: true, write: false };
    let mut unwanted = [0; 4096];
    while Instant::now() < end {
        match receive_now(near, &mut unwanted) {
            Ok(Received::Bytes(_)) => {}
            Ok(Received::Nothing) if wait(std::slice::from_ref(&interest), Some(end)).is_ok() => {}
            _ => return,
        }
    }
}

/// The number of bytes that are forwarded at a time.
const BLOCK_LEN: usize = 16 << 10;

/// The time for which a program may write to a session that has ended.
const PATIENCE: Duration = Duration::from_secs(30);

/// The stack of a thread: enough for the functions called here, and for a program's own log function.
const STACK_LEN: usize = 256 << 10;
