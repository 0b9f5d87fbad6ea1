//! An accepted connection until its session is known.

use std::{
    mem,
    sync::Arc,
    time::{Duration, Instant},
};

use log::debug;

use super::{
    served::{Served, fill, hand_over, send},
    step::{Interest, Wanted, is_past, sooner},
    tunnels::{Carried, Tunnels},
    wire::Wire,
};
use crate::{
    error::{Error, Result},
    transport::tunnel::{Connection, Head, MAX_UNWANTED, Target},
};

/// A connection of which at most the first bytes are known.
pub(super) struct Arrival {
    wire: Wire,
    connection: Connection,
    tunnels: Tunnels,
    task: Task,
    /// The number of refused requests.
    refusals: u32,
    deadline: Option<Instant>,
}

/// The state of an arrival.
enum Task {
    /// The first byte, which determines the protocol, has not arrived.
    Undecided,
    /// The next HTTP request is arriving.
    Idle,
    /// A request that begins a session.
    Opening,
    /// The body of a refused request, and its deadline.
    Unwanted { until: Instant },
    /// The connection ends with this error after its output.
    Ending(Error),
}

/// The owner of a connection.
pub(super) enum Outcome {
    /// It has no tunnel.
    Plain(Box<Wire>),
    /// It has begun this session.
    Started(Box<Served>),
    /// It belongs to a session that is served by another link.
    Joined,
}

impl Arrival {
    /// A connection on which nothing was received. Its session must be known before `deadline`.
    pub(super) fn new(wire: Wire, tunnels: Tunnels, deadline: Option<Instant>) -> Self {
        Self { task: Task::Undecided, ..Self::of_http(wire, Vec::new(), tunnels, deadline) }
    }

    /// As [`Self::new`], for an open HTTP connection, on which `input` was already received.
    pub(super) fn of_http(wire: Wire, input: Vec<u8>, tunnels: Tunnels, deadline: Option<Instant>) -> Self {
        let connection = Connection::new(input);
        Self { wire, connection, tunnels, task: Task::Idle, refusals: 0, deadline }
    }

    /// Does what can be done now.
    pub(super) fn step(&mut self, now: Instant) -> Result<Option<Outcome>> {
        self.wire.step(now)?;
        if let Task::Undecided = self.task {
            match if self.wire.is_open() { self.wire.first_byte(now)? } else { None } {
                None if is_past(self.deadline, now) => return Err(Error::TimedOut),
                None => return Ok(None),
                // HTTP requests begin with a capital letter, and no version of RTMP has such a value.
                Some(byte) if byte.is_ascii_uppercase() => {
                    (self.connection, self.task) = (Connection::new(self.wire.take_early()), Task::Idle);
                }
                Some(_) => {
                    let wire = mem::replace(&mut self.wire, Wire::ended());
                    return Ok(Some(Outcome::Plain(Box::new(wire))));
                }
            }
        }
        loop {
            // Also after a request that no session took: the connection then begins again, and has to see the end again.
            if self.connection.wants_input() {
                fill(&mut self.wire, now, |bytes, now| {
                    match bytes {
                        Some(bytes) => self.connection.receive(bytes, now),
                        None => self.connection.end(),
                    }
                    self.connection.wants_input()
                })?;
            }
            send(&mut self.connection, &mut self.wire)?;
            match &self.task {
                Task::Idle => {
                    if let Some((head, len)) = self.connection.head() {
                        if let Some(outcome) = self.begin(&head, len, now)? {
                            return Ok(Some(outcome));
                        }
                        continue;
                    }
                }
                Task::Opening if self.connection.skip_body() => return self.start(now).map(Some),
                Task::Unwanted { until } if *until <= now => {
                    self.connection.refuse("404 Not Found");
                    self.task = Task::Ending(Error::malformed("HTTP request", "nothing that a tunnel has"));
                    continue;
                }
                Task::Unwanted { .. } if self.connection.skip_body() => {
                    self.connection.reply("404 Not Found", None);
                    self.refusals += 1;
                    self.task = Task::Idle;
                    if self.refusals == MAX_REFUSALS {
                        self.connection.finish();
                    }
                    continue;
                }
                _ => {}
            }
            if self.connection.is_over() {
                self.wire.finish(now);
                return Err(match mem::replace(&mut self.task, Task::Idle) {
                    Task::Ending(error) => error,
                    _ => Error::malformed("HTTP connection", "it ended before a session began"),
                });
            }
            if is_past(sooner(self.connection.limit(), self.deadline), now) {
                return Err(Error::TimedOut);
            }
            return Ok(None);
        }
    }

    /// Begins to process a request.
    fn begin(&mut self, head: &Head, len: usize, now: Instant) -> Result<Option<Outcome>> {
        match &head.target {
            Target::Session { id, .. } => {
                let wire = mem::replace(&mut self.wire, Wire::ended());
                let input = mem::replace(&mut self.connection, Connection::new(Vec::new())).into_input();
                match hand_over(&self.tunnels, id, Carried { wire, input })? {
                    None => return Ok(Some(Outcome::Joined)),
                    Some(Carried { wire, input }) => {
                        debug!("a request for a session that does not exist, {id:?}");
                        (self.wire, self.connection) = (wire, Connection::new(input));
                    }
                }
            }
            Target::Open => {
                self.task = Task::Opening;
                if let Err(error) = self.connection.begin(head, len, now) {
                    self.task = Task::Ending(error);
                }
                return Ok(None);
            }
            Target::Other => {}
        }
        self.task = Task::Unwanted { until: now + UNWANTED_TIME };
        if head.length > MAX_UNWANTED || self.connection.begin(head, len, now).is_err() {
            self.connection.refuse("404 Not Found");
            self.task = Task::Ending(Error::malformed("HTTP request", "nothing that a tunnel has"));
        }
        Ok(None)
    }

    /// Begins a session whose request was read.
    fn start(&mut self, now: Instant) -> Result<Outcome> {
        let Some(membership) = self.tunnels.join()? else {
            self.connection.refuse("503 Service Unavailable");
            let _ = send(&mut self.connection, &mut self.wire);
            self.wire.finish(now);
            return Err(Error::TooLarge("number of tunnelled sessions"));
        };
        let name = format!("{}\n", membership.id().as_str());
        self.connection.reply("200 OK", Some(Arc::new(name.into_bytes())));
        let wire = mem::replace(&mut self.wire, Wire::ended());
        let connection = mem::replace(&mut self.connection, Connection::new(Vec::new()));
        Ok(Outcome::Started(Box::new(Served::new(membership, wire, connection, now)?)))
    }

    /// Appends the sockets to wait for.
    pub(super) fn interests(&self, out: &mut Vec<Interest>) {
        let wanted = Wanted { read: self.connection.wants_input(), write: self.connection.unsent() > 0 };
        self.wire.interests(wanted, out);
    }

    /// The time at which a step has something to do although no socket is ready.
    pub(super) fn deadline(&self) -> Option<Instant> {
        let until = match self.task {
            Task::Unwanted { until } => Some(until),
            _ => None,
        };
        sooner(sooner(sooner(self.connection.limit(), until), self.deadline), self.wire.deadline())
    }

    pub(super) fn wire(&self) -> &Wire {
        &self.wire
    }

    pub(super) fn wire_mut(&mut self) -> &mut Wire {
        &mut self.wire
    }

    pub(super) fn into_wire(self) -> Wire {
        self.wire
    }
}

/// The limit of requests for resources that a tunnel does not have, before the connection is closed.
const MAX_REFUSALS: u32 = 16;

/// The time limit for the body of such a request. A client that sends all of it can use the connection again.
const UNWANTED_TIME: Duration = Duration::from_secs(5);
