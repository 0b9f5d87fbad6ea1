//! The task of a connection, which moves its bytes.

use std::{
    future::{Future, poll_fn},
    pin::pin,
    sync::Arc,
    task::{Context, Poll},
    time::{Duration, Instant},
};

use ::tokio::{
    io::{Interest as Directions, unix::AsyncFd},
    task,
    time::timeout_at,
};
use socket2::Socket;

use super::front::{Front, Inner, Shared};
use crate::{
    client::{blocking::Abort, stepper::Stepper},
    error::Result,
    net::Interest,
};

/// The sockets that the runtime watches for a connection.
#[derive(Default)]
struct Watch {
    interests: Vec<Interest>,
    /// In the same order as `interests`.
    sockets: Vec<AsyncFd<Arc<Socket>>>,
}

/// The least delay of work that is due while nothing is received.
const PAUSE: Duration = Duration::from_millis(20);

/// Registers a socket with the runtime.
// The replacement of this function is unsafe, because descriptors of other types may be closed too early. Ours stays open as
// long as the registered share of the socket.
#[allow(deprecated)]
pub(super) fn register(socket: Arc<Socket>, directions: Directions) -> Result<AsyncFd<Arc<Socket>>> {
    Ok(AsyncFd::with_interest(socket, directions)?)
}

/// Begins to move the bytes of a connection.
pub(super) fn drive(stepper: Stepper, abort: Arc<Abort>) -> Front {
    let front = Front::new(stepper);
    task::spawn(move_bytes(front.shared(), abort));
    front
}

/// Moves the bytes of a connection until it has ended.
async fn move_bytes(shared: Arc<Shared>, abort: Arc<Abort>) {
    let mut watch = Watch::default();
    loop {
        // An abort from here on is noticed, whatever the step does.
        let mut aborted = pin!(abort.notified());
        let mut work = pin!(shared.work.notified());
        let now = Instant::now();
        let (is_over, deadline) = {
            let mut inner = shared.lock();
            inner.advance(now);
            if let Err(error) = watch.follow(&inner) {
                inner.stepper.end();
                (inner.failure, inner.is_over) = (Some(error), true);
            }
            let deadline = inner.stepper.deadline();
            // Work that needs the program to read an event must not cause a busy loop.
            let soonest = if inner.reads() { now } else { now + PAUSE };
            (inner.is_over, deadline.map(|deadline| deadline.max(soonest)))
        };
        shared.wake_program();
        if is_over {
            return;
        }
        let ready = poll_fn(|context| {
            let is_ready = aborted.as_mut().poll(context).is_ready()
                | work.as_mut().poll(context).is_ready()
                | watch.poll(context);
            if is_ready { Poll::Ready(()) } else { Poll::Pending }
        });
        match deadline {
            // Other tasks run before a peer that sends without a pause continues.
            Some(deadline) if deadline <= now => task::yield_now().await,
            Some(deadline) => drop(timeout_at(deadline.into(), ready).await),
            None => ready.await,
        }
    }
}

impl Watch {
    /// Watches the sockets that the connection waits for now. Earlier ones stay registered.
    fn follow(&mut self, inner: &Inner) -> Result<()> {
        self.interests.clear();
        inner.stepper.interests(&mut self.interests);
        let reads = inner.reads();
        self.interests.iter_mut().for_each(|interest| interest.read &= reads);
        let mut sockets = Vec::with_capacity(self.interests.len());
        for interest in &self.interests {
            let known = self.sockets.iter().position(|fd| Arc::ptr_eq(fd.get_ref(), &interest.socket));
            sockets.push(match known {
                Some(place) => self.sockets.swap_remove(place),
                None => register(interest.socket.clone(), Directions::READABLE | Directions::WRITABLE)?,
            });
        }
        self.sockets = sockets;
        Ok(())
    }

    /// Whether a socket is ready. Readiness is cleared before the step that uses it: later bytes set it again.
    fn poll(&self, context: &mut Context<'_>) -> bool {
        let mut is_ready = false;
        for (interest, socket) in self.interests.iter().zip(&self.sockets) {
            // An error means that the runtime shuts down, and also drops this task.
            let readable = interest.read.then(|| socket.poll_read_ready(context));
            if let Some(Poll::Ready(Ok(mut guard))) = readable {
                guard.clear_ready();
                is_ready = true;
            }
            let writable = interest.write.then(|| socket.poll_write_ready(context));
            if let Some(Poll::Ready(Ok(mut guard))) = writable {
                guard.clear_ready();
                is_ready = true;
            }
        }
        is_ready
    }
}
