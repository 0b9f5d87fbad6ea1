//! The program's end of a connection: its events, and the waits for them.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll, Waker, ready},
    time::{Duration, Instant},
};

use ::tokio::{
    sync::{Notify, futures::Notified},
    task::{self, coop},
    time::timeout_at,
};

use crate::{
    client::stepper::{Sent, Stepper, StepperEvent},
    error::{Error, Result},
    message::MessageType,
    stats::Stats,
};

/// The program's end of a connection whose bytes a task moves.
pub(super) struct Front(Arc<Shared>);

pub(super) struct Shared {
    inner: Mutex<Inner>,
    /// The program has done something that the task must process.
    pub(super) work: Notify,
    /// The task has done something that the program may be waiting for.
    news: Notify,
}

pub(super) struct Inner {
    pub(super) stepper: Stepper,
    /// The events for the program.
    events: VecDeque<StepperEvent>,
    /// Bytes of the messages in `events`.
    waiting: usize,
    /// Whether the program reads no events.
    pub(super) drops_events: bool,
    /// Whether only the last event can still follow.
    is_ending: bool,
    /// The reason why the connection has ended, until the program has it.
    pub(super) failure: Option<Error>,
    pub(super) is_over: bool,
    /// The program's task, if it waits without a future of [`Front::news`].
    waker: Option<Waker>,
}

/// The limit of waiting events, above which nothing more is received.
const MAX_EVENTS: usize = 32;

/// The limit of bytes of waiting messages.
const MAX_WAITING: usize = 256 << 10;

impl Front {
    /// The end of a connection whose bytes a task will move.
    pub(super) fn new(stepper: Stepper) -> Self {
        let inner = Inner {
            stepper,
            events: VecDeque::new(),
            waiting: 0,
            drops_events: false,
            is_ending: false,
            failure: None,
            is_over: false,
            waker: None,
        };
        Self(Arc::new(Shared { inner: Mutex::new(inner), work: Notify::new(), news: Notify::new() }))
    }

    /// The state that the task shares.
    pub(super) fn shared(&self) -> Arc<Shared> {
        self.0.clone()
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, Inner> {
        self.0.lock()
    }

    /// Waits for the next event. `patience` limits each wait for the peer's bytes.
    pub(super) async fn next(&self, patience: Option<Duration>) -> Result<StepperEvent> {
        // A program that always has something to receive still lets other tasks run.
        task::consume_budget().await;
        let after = |now: Instant| patience.and_then(|patience| now.checked_add(patience));
        let (mut deadline, mut received) = (after(Instant::now()), None);
        loop {
            {
                let mut inner = self.lock();
                if let Some(event) = inner.take() {
                    self.0.work.notify_one();
                    return event;
                }
                let now = Instant::now();
                let received_now = Some(inner.stepper.received());
                if received != received_now {
                    (received, deadline) = (received_now, after(now));
                }
                if deadline.is_some_and(|deadline| deadline <= now) {
                    return Err(Error::TimedOut);
                }
            }
            let news = self.0.news.notified();
            match deadline {
                // The loop finds the result above.
                Some(deadline) => drop(timeout_at(deadline.into(), news).await),
                None => news.await,
            }
        }
    }

    /// As [`Self::next`], without a timeout.
    pub(super) fn poll_next(&self, context: &mut Context<'_>) -> Poll<Result<StepperEvent>> {
        let budget = ready!(coop::poll_proceed(context));
        let mut inner = self.lock();
        let Some(event) = inner.take() else {
            inner.wake_later(context);
            return Poll::Pending;
        };
        drop(inner);
        budget.made_progress();
        self.wake_task();
        Poll::Ready(event)
    }

    /// Waits until the task has done something.
    pub(super) fn news(&self) -> Notified<'_> {
        self.0.news.notified()
    }

    /// Wakes the task, because the program has done something.
    pub(super) fn wake_task(&self) {
        self.0.work.notify_one();
    }

    pub(super) fn stats(&self) -> Stats {
        self.lock().stepper.stats(Instant::now())
    }

    /// Waits until there is room for a message, and sends it.
    pub(super) async fn send(
        &self,
        stream_id: u32,
        kind: MessageType,
        timestamp: u32,
        body: &[u8],
    ) -> Result<()> {
        task::consume_budget().await;
        loop {
            {
                let mut inner = self.lock();
                inner.check_open()?;
                if inner.stepper.send(stream_id, kind, timestamp, body)? == Sent::Taken {
                    // The task sends what the system has not accepted.
                    self.0.work.notify_one();
                    return Ok(());
                }
            }
            self.0.news.notified().await;
        }
    }

    /// Runs something on the connection; the task then sends its bytes.
    pub(super) fn act<T>(&self, act: impl FnOnce(&mut Inner) -> Result<T>) -> Result<T> {
        let mut inner = self.lock();
        inner.check_open()?;
        let result = act(&mut inner);
        self.0.work.notify_one();
        result
    }

    /// Says goodbye. The task ends after that.
    pub(super) fn close(&self) {
        self.lock().stepper.close();
        self.0.work.notify_one();
    }
}

impl Drop for Front {
    fn drop(&mut self) {
        self.lock().drops_events = true;
        self.close();
    }
}

impl Shared {
    /// A thread that panicked may leave a connection in an inconsistent state: at worst it is unusable.
    pub(super) fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Shared {
    /// Wakes the program, because the task has done something.
    pub(super) fn wake_program(&self) {
        self.news.notify_one();
        let waker = self.lock().waker.take();
        if let Some(waker) = waker {
            waker.wake();
        }
    }
}

impl Inner {
    /// Registers the program's task to be woken when this task has done something.
    pub(super) fn wake_later(&mut self, context: &Context<'_>) {
        self.waker = Some(context.waker().clone());
    }

    /// Steps as long as there is something to do and room for its events.
    pub(super) fn advance(&mut self, now: Instant) {
        while !self.is_over {
            let event =
                if self.reads() { self.stepper.step(now) } else { self.stepper.flush(now).map(|()| None) };
            match event {
                Ok(None) => return,
                Ok(Some(event)) => {
                    self.is_ending |= matches!(event, StepperEvent::Ended);
                    self.is_over = matches!(event, StepperEvent::Left);
                    if !self.drops_events || self.is_over {
                        self.waiting += len(&event);
                        self.events.push_back(event);
                    }
                }
                Err(error) => {
                    self.is_over = true;
                    self.failure = Some(error);
                }
            }
        }
    }

    /// The oldest event; the failure comes after all events.
    pub(super) fn take(&mut self) -> Option<Result<StepperEvent>> {
        match self.events.pop_front() {
            Some(event) => {
                self.waiting -= len(&event);
                Some(Ok(event))
            }
            None if self.is_over => Some(Err(self.failure.take().unwrap_or(Error::NotConnected))),
            None => None,
        }
    }

    /// Drops the messages that the program has not read.
    pub(super) fn drop_messages(&mut self) {
        self.events.retain(|event| !matches!(event, StepperEvent::Message(_)));
        self.waiting = 0;
    }

    /// Fails with the reason if nothing can be sent.
    pub(super) fn check_open(&mut self) -> Result<()> {
        match self.failure.take() {
            Some(error) => Err(error),
            None if self.is_over => Err(Error::NotConnected),
            None => Ok(()),
        }
    }

    /// Whether more is received.
    pub(super) fn reads(&self) -> bool {
        self.drops_events || self.is_ending || self.events.len() < MAX_EVENTS && self.waiting < MAX_WAITING
    }
}

fn len(event: &StepperEvent) -> usize {
    match event {
        StepperEvent::Message(message) => message.body.len(),
        StepperEvent::Notice(notice) => notice.len(),
        _ => 0,
    }
}
