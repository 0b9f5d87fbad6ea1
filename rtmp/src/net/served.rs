//! The server's side of an HTTP tunnel: the HTTP connections of one session.

use std::{io::IoSlice, mem, net::Shutdown, sync::Arc, time::Instant};

use log::debug;
use socket2::Socket;

use super::{
    step::{Interest, Received, Wanted, is_past},
    tunnels::{Carried, Membership, Tunnels},
    wire::Wire,
};
use crate::{
    error::{Error, Result},
    transport::{
        tcp::LINGER,
        tunnel::{Arrived, Connection, NEXT_REPLY, Server, SessionId},
    },
};

/// A session, and the connections that carry its requests.
pub(super) struct Served {
    server: Server,
    membership: Membership,
    wires: Vec<(u64, Wire)>,
    /// The number of the next connection.
    next: u64,
    /// Represents the connection to the user, who may watch it or shut it down. It refers to the first connection, or to its
    /// replacement.
    face: Arc<Socket>,
    /// Whether a user has that socket.
    has_face: bool,
    /// The connection that `face` refers to, or should refer to.
    shown: Option<u64>,
    /// The socket that `face` should refer to, for a user who can redirect it.
    replacement: Option<Arc<Socket>>,
    /// The time at which a user who waits for bytes has to check again: there are some that no socket signals.
    nudge: Option<Instant>,
    phase: Phase,
}

/// The phase of the session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    Open,
    /// The user has finished; written bytes go to the client with its next requests.
    Leaving,
    /// Connections end after their output.
    Parting(Instant),
    Gone,
}

impl Served {
    /// A session that begins on `connection`.
    pub(super) fn new(
        membership: Membership,
        mut wire: Wire,
        connection: Connection,
        now: Instant,
    ) -> Result<Self> {
        let face = wire.socket().ok_or(Error::NotConnected)?.clone();
        // The user's descriptor may be redirected later.
        wire.use_own_descriptor()?;
        let mut server = Server::new(membership.id().clone(), membership.tunnels().idle(), now);
        server.connect(0, connection, now);
        let mut served = Self {
            server,
            membership,
            wires: vec![(0, wire)],
            next: 1,
            face,
            has_face: true,
            shown: Some(0),
            replacement: None,
            nudge: None,
            phase: Phase::Open,
        };
        served.step(now)?;
        Ok(served)
    }

    /// Does what is possible without waiting.
    pub(super) fn step(&mut self, now: Instant) -> Result<()> {
        self.nudge = self.nudge.filter(|nudge| *nudge > now);
        if self.phase == Phase::Gone {
            return Ok(());
        }
        for connection in self.membership.arrivals() {
            self.adopt(connection, now);
        }
        let interrupted = self.exchange(now);
        if self.server.is_over() {
            // Later requests find no session.
            self.membership.leave();
        }
        match self.phase {
            Phase::Open => interrupted,
            Phase::Leaving => {
                let silence = self.server.last_request().checked_add(NEXT_REPLY);
                if self.server.is_drained() || is_past(silence, now) {
                    self.part(now);
                }
                Ok(())
            }
            Phase::Parting(until) => {
                if self.wires.is_empty() || until <= now {
                    self.give_up();
                }
                Ok(())
            }
            Phase::Gone => Ok(()),
        }
    }

    /// Copies bytes of the stream into `buffer`.
    pub(super) fn receive(&mut self, buffer: &mut [u8], now: Instant) -> Result<Received> {
        if self.phase != Phase::Open {
            return Ok(Received::End);
        }
        let arrived = self.server.read(buffer, now);
        // Makes room for input, and for replies.
        self.exchange(now)?;
        Ok(match arrived {
            Arrived::Bytes(count) => Received::Bytes(count),
            // The bytes taken just now had content.
            Arrived::Nothing => match self.server.read(buffer, now) {
                Arrived::Bytes(count) => {
                    self.exchange(now)?;
                    Received::Bytes(count)
                }
                Arrived::Nothing => Received::Nothing,
                Arrived::End => Received::End,
            },
            Arrived::End => Received::End,
        })
    }

    /// Takes the first bytes of `pieces`; returns how many.
    pub(super) fn send(&mut self, pieces: &[IoSlice<'_>], now: Instant) -> Result<usize> {
        if self.phase != Phase::Open {
            return Err(Error::NotConnected);
        }
        let had_early = self.server.has_early();
        if self.server.room() == 0 {
            self.exchange(now)?;
        }
        while self.server.room() == 0 && self.server.make_room(now) {
            self.exchange(now)?;
        }
        let mut taken = 0;
        for piece in pieces {
            let count = self.server.write(piece, now);
            taken += count;
            if count < piece.len() {
                break;
            }
        }
        self.exchange(now)?;
        if self.server.has_early() && !had_early {
            self.nudge = Some(now);
        }
        Ok(taken)
    }

    /// Bytes of replies that the system has not accepted yet. Bytes that wait for the client's next request do not count.
    pub(super) fn unsent(&self) -> usize {
        let below: usize = self.wires.iter().map(|(_, wire)| wire.unsent()).sum();
        self.server.unsent() + below
    }

    /// Appends the sockets to wait for.
    pub(super) fn interests(&self, wanted: Wanted, out: &mut Vec<Interest>) {
        let takes = self.phase == Phase::Open && self.unsent() == 0 && self.server.room() > 0;
        let has_room = wanted.write && takes;
        out.push(self.membership.interest(has_room));
        for (number, wire) in &self.wires {
            let read = self.server.wants_input(*number);
            let write = self.server.output(*number).next().is_some();
            wire.interests(Wanted { read, write }, out);
        }
    }

    /// The time at which a step has something to do although no socket is ready.
    pub(super) fn deadline(&self) -> Option<Instant> {
        let own = match self.phase {
            Phase::Open => self.nudge,
            Phase::Leaving => self.server.last_request().checked_add(NEXT_REPLY),
            Phase::Parting(until) => Some(until),
            Phase::Gone => return None,
        };
        let below = self.wires.iter().filter_map(|(_, wire)| wire.deadline());
        below.chain(self.server.deadline()).chain(own).min()
    }

    /// Whether the client has gone or has said goodbye. There may still be bytes to receive that it sent before.
    pub(super) fn peer_has_left(&self) -> bool {
        self.server.is_over()
    }

    /// Whether there are received bytes of the stream that no socket signals.
    pub(super) fn has_early(&self) -> bool {
        self.server.has_early()
    }

    /// The socket that the user sees.
    pub(super) fn face(&self) -> &Arc<Socket> {
        &self.face
    }

    /// A socket that the user's one should refer to from now on, if that has changed.
    pub(super) fn take_replacement(&mut self) -> Option<Arc<Socket>> {
        self.replacement.take()
    }

    /// The user no longer has a descriptor.
    pub(super) fn let_go_of_face(&mut self) {
        self.face = self.membership.interest(false).socket;
        (self.has_face, self.shown, self.replacement) = (false, None, None);
    }

    /// Replaces the user's descriptor.
    pub(super) fn replace_face(&mut self, by: Arc<Socket>) {
        self.face = by;
    }

    /// Ends the session: written bytes still go to the client, if it sends a request soon.
    pub(super) fn finish(&mut self, now: Instant) {
        if self.phase == Phase::Open {
            self.phase = Phase::Leaving;
            self.server.close(now);
            let _ = self.step(now);
        }
    }

    /// Whether bytes of the stream can go both ways.
    pub(super) fn is_open(&self) -> bool {
        self.phase == Phase::Open
    }

    pub(super) fn is_finished(&self) -> bool {
        self.phase == Phase::Gone
    }

    /// Drops everything.
    pub(super) fn give_up(&mut self) {
        self.phase = Phase::Gone;
        for (_, wire) in self.wires.drain(..) {
            shut_down(&wire);
        }
    }

    /// Closes each connection after its output. A client that sends another request first is told that the session has ended.
    fn part(&mut self, now: Instant) {
        self.phase = Phase::Parting(now + LINGER);
        if self.server.is_over() {
            self.server.end_session(now);
            let _ = self.exchange(now);
        }
    }

    /// Takes over a connection that belongs to this session.
    fn adopt(&mut self, Carried { wire, input }: Carried, now: Instant) {
        let number = self.next;
        self.next += 1;
        self.wires.push((number, wire));
        if let Some(oldest) = self.server.connect(number, Connection::new(input), now) {
            self.remove(oldest);
        }
        self.show_some();
    }

    /// Moves bytes between the connections and the session, as long as there is progress. Fails if the user has shut down its
    /// socket.
    fn exchange(&mut self, now: Instant) -> Result<()> {
        let mut result = Ok(());
        loop {
            result = result.and(self.carry(now));
            if !self.sort(now) {
                return result;
            }
        }
    }

    fn carry(&mut self, now: Instant) -> Result<()> {
        let mut interrupted = Ok(());
        loop {
            let mut moved = false;
            for (number, wire) in &mut self.wires {
                let carried = carry(&mut self.server, *number, wire, now);
                moved |= !matches!(carried, Ok(Moved::Nothing));
                if !matches!(carried, Ok(Moved::End) | Err(_)) {
                    continue;
                }
                if self.shown == Some(*number) && self.phase == Phase::Open && wire.is_shut_down_here() {
                    interrupted = Err(Error::Interrupted);
                }
                // Complete requests still count after the end of the peer's side.
                self.server.end(*number);
                if let Err(error) = carried {
                    debug!("an HTTP connection of a tunnelled session breaks: {error}");
                    self.server.disconnect(*number);
                    shut_down(wire);
                    wire.give_up();
                }
            }
            self.server.step(now);
            if !moved {
                return interrupted;
            }
        }
    }

    /// Closes connections that have finished, and passes on those whose next request is for another session; true if that
    /// created more work.
    fn sort(&mut self, now: Instant) -> bool {
        let mut again = false;
        for (number, mut wire) in mem::take(&mut self.wires) {
            if let Some(id) = self.server.foreign(number).cloned() {
                again |= self.give_away(number, wire, &id, now);
                continue;
            }
            if self.server.is_finished(number) {
                wire.finish(now);
            }
            if wire.is_over() {
                // Another connection may have waited for this one.
                again = true;
                self.server.disconnect(number);
                self.forget(number);
            } else {
                self.wires.push((number, wire));
            }
        }
        self.show_some();
        again
    }

    /// Passes a connection to the session of its next request; true if there is no such session, and a reply that says so.
    fn give_away(&mut self, number: u64, wire: Wire, id: &SessionId, now: Instant) -> bool {
        let Some(input) = self.server.release(number) else { return false };
        match hand_over(self.membership.tunnels(), id, Carried { wire, input }) {
            Ok(None) => self.forget(number),
            Ok(Some(Carried { wire, input })) => {
                // There is no such session, so the request is answered here.
                self.wires.push((number, wire));
                self.server.connect(number, Connection::new(input), now);
                self.server.deny(number, now);
                return true;
            }
            Err(error) => {
                debug!("an HTTP connection cannot change hands: {error}");
                self.forget(number);
            }
        }
        false
    }

    fn remove(&mut self, number: u64) {
        if let Some(index) = self.wires.iter().position(|(other, _)| *other == number) {
            let (_, wire) = self.wires.remove(index);
            shut_down(&wire);
        }
        self.forget(number);
    }

    /// Removes a connection that has ended.
    fn forget(&mut self, number: u64) {
        if self.shown == Some(number) {
            self.shown = None;
        }
    }

    /// Shows the user a connection if it has none.
    fn show_some(&mut self) {
        if let (true, None, Some((number, wire))) = (self.has_face, self.shown, self.wires.last()) {
            self.replacement = wire.socket().cloned();
            self.shown = Some(*number);
        }
    }
}

/// The progress of a connection.
enum Moved {
    Bytes,
    Nothing,
    /// The peer has ended its side.
    End,
}

/// Moves bytes between a connection and the session.
fn carry(server: &mut Server, number: u64, wire: &mut Wire, now: Instant) -> Result<Moved> {
    wire.note_error();
    wire.step(now)?;
    let mut moved = match server.connection(number) {
        Some(connection) => send(connection, wire)?,
        None => false,
    };
    if !server.wants_input(number) {
        return Ok(if moved { Moved::Bytes } else { Moved::Nothing });
    }
    let mut ended = false;
    fill(wire, now, |bytes, now| {
        moved = true;
        match bytes {
            Some(bytes) => server.receive(number, bytes, now),
            None => ended = true,
        }
        server.wants_input(number)
    })?;
    Ok(match (ended, moved) {
        (true, _) => Moved::End,
        (false, true) => Moved::Bytes,
        (false, false) => Moved::Nothing,
    })
}

/// Sends a connection's output, as far as it is accepted; true if there was any progress.
pub(super) fn send(connection: &mut Connection, wire: &mut Wire) -> Result<bool> {
    let mut moved = false;
    loop {
        let pieces: Vec<_> = connection.output().map(IoSlice::new).collect();
        if pieces.is_empty() {
            return Ok(moved);
        }
        match wire.send(&pieces)? {
            0 => return Ok(moved),
            count => {
                drop(pieces);
                connection.advance(count);
                moved = true;
            }
        }
    }
}

/// Receives available bytes and passes them to `take`, or `None` at the end, until that returns false.
pub(super) fn fill(
    wire: &mut Wire,
    now: Instant,
    mut take: impl FnMut(Option<&[u8]>, Instant) -> bool,
) -> Result<()> {
    let mut block = [0; BLOCK_LEN];
    loop {
        match wire.receive(&mut block, now)? {
            Received::Bytes(count) => {
                if !take(Some(&block[..count]), now) {
                    return Ok(());
                }
            }
            Received::Nothing => return Ok(()),
            Received::End => {
                take(None, now);
                return Ok(());
            }
        }
    }
}

/// Passes a connection to another session, or returns it if there is no such session.
pub(super) fn hand_over(
    tunnels: &Tunnels,
    id: &SessionId,
    mut connection: Carried,
) -> Result<Option<Carried>> {
    // The descriptor may belong to the user of the connection's previous link.
    connection.wire.use_own_descriptor()?;
    Ok(tunnels.hand_over(id, connection))
}

/// Ends a connection for the peer, even if another descriptor refers to it.
fn shut_down(wire: &Wire) {
    if let Some(socket) = wire.socket() {
        // If the peer has gone, the socket is shut down already.
        let _ = socket.shutdown(Shutdown::Both);
    }
}

/// The number of bytes that are received at a time.
const BLOCK_LEN: usize = 16 << 10;
