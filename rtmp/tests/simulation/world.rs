//! A client, a server and the network between them, moved step by step.

use std::time::{Duration, Instant};

use rtmp::{
    Error,
    session::{Event, Request, command, pausing},
};

use super::{
    dice::Dice,
    end::{End, Over, Owner},
    network::{Faults, Pipe, SECOND, Time},
    noise,
    plan::{CLIENT, Ending, Plan, Protocol, Refusal, SERVER},
};

pub struct World {
    plan: Plan,
    dice: Dice,
    epoch: Instant,
    now: Time,
    ends: [End; 2],
    /// The directions, each under the number of the end that reads it.
    pipes: [Pipe; 2],
    /// Connections so far.
    connections: u32,
    steps: u64,
    /// What the steps were, in one number.
    trace: u64,
    /// The messages that the receiver gets, by their place in the stream.
    delivered: Vec<usize>,
}

/// What can be done next.
#[derive(Debug, Clone, Copy)]
enum Step {
    Read,
    Flush,
    Act,
    NoticeEnd,
}

/// What an application can do next.
#[derive(Debug, Clone, Copy)]
enum Act {
    Answer,
    Media,
    Noise,
    Control,
    Finish,
    Leave,
    AskToClose,
    /// The buffer of a server runs empty, so that its client pauses.
    RunDry,
    ConfirmPause,
    /// The stream continues, from somewhat earlier.
    Resume,
    Shut,
}

/// More steps than any simulation takes.
const MOST_STEPS: u64 = 3_000_000;

/// How long an application waits for anything to happen.
const IDLE: Time = 300 * SECOND;

impl World {
    pub fn new(seed: u64) -> Self {
        let mut dice = Dice::new(seed);
        let plan = Plan::new(&mut dice);
        let epoch = Instant::now();
        let owners = [CLIENT, SERVER].map(|_| Owner::new(&plan, &mut dice));
        let (ends, pipes) = connect(&plan, owners, 0, epoch, &mut dice);
        let to_client = !plan.publishes;
        let delivered = (0..plan.items.len()).filter(|at| plan.items[*at].is_delivered(to_client)).collect();
        Self { plan, dice, epoch, now: 0, ends, pipes, connections: 1, steps: 0, trace: seed, delivered }
    }

    pub fn plan(&self) -> &Plan {
        &self.plan
    }

    /// Runs to the end, and returns what the steps were in one number, and how many.
    pub fn run(&mut self) -> (u64, u64) {
        loop {
            let steps = self.possible_steps();
            if steps.is_empty() {
                match self.next_time() {
                    Some(time) => self.now = self.now.max(time),
                    None if self.log_in() => continue,
                    None => break,
                }
            } else {
                let (side, step) = self.dice.pick(&steps);
                self.trace(side as u64 * 8 + step as u64);
                self.take(side, step);
                self.now += self.dice.below(200);
            }
            self.check_time();
            self.steps += 1;
            assert!(self.steps < MOST_STEPS, "it does not end");
        }
        self.check_outcome();
        (self.trace, self.steps)
    }

    fn clock(&self) -> Instant {
        self.epoch + Duration::from_micros(self.now)
    }

    fn trace(&mut self, value: u64) {
        self.trace = Dice::new(self.trace ^ value).roll();
    }

    fn sender(&self) -> usize {
        if self.plan.publishes { CLIENT } else { SERVER }
    }

    fn possible_steps(&mut self) -> Vec<(usize, Step)> {
        let mut steps = Vec::with_capacity(8);
        let tunnelled = self.plan.protocol == Protocol::Tunnelled;
        let client_gone = self.ends[CLIENT].shut;
        for side in [CLIENT, SERVER] {
            let end = &self.ends[side];
            if end.shut {
                continue;
            }
            let deaf = self.plan.deaf[side].is_some_and(|(begin, end)| (begin..end).contains(&self.now));
            let failed = end.peer_gone || matches!(end.over, Some(Over::Failed(_)));
            if !deaf && !failed {
                if self.pipes[side].is_readable(self.now)
                    && end.layer.wants_to_read(end.session.wants_input())
                {
                    steps.push((side, Step::Read));
                }
                if self.pipes[side].has_ended(self.now)
                    && end.has_used_all()
                    && (!tunnelled || side == CLIENT || client_gone)
                {
                    steps.push((side, Step::NoticeEnd));
                }
            }
            if !failed && end.wants_to_write(self.now) && self.pipes[1 - side].has_room() {
                steps.push((side, Step::Flush));
            }
            if self.acts(side).next().is_some() {
                steps.push((side, Step::Act));
            }
        }
        steps
    }

    /// What the application at this end can do now.
    fn acts(&self, side: usize) -> impl Iterator<Item = Act> {
        let (end, plan) = (&self.ends[side], &self.plan);
        let open = end.over.is_none() && end.session.is_open();
        let active = open && !end.asked_to_close;
        let room = end.session.queued() <= plan.high_water[side];
        let runs = active && end.stream_id.is_some();
        let (counted, most) = match side == self.sender() {
            true => (end.sent, plan.items.len()),
            false => (end.received, self.delivered.len()),
        };
        let sends = runs && side == self.sender();
        let all_sent = end.sent == plan.items.len();
        let pause = self.ends[CLIENT].session.state.pausing;
        let dries = sends && end.dry_left > 0 && !end.dry && pause == pausing::NO;
        let answers = match &end.pending {
            Some((request, at)) => *at <= self.now && plan.unanswered != Some(place(request)),
            None => false,
        };
        let leaves = match plan.ending {
            Ending::ClientCloses(after) => side == CLIENT && counted >= after.min(most),
            Ending::ServerCloses(after) => side == SERVER && counted >= after.min(most),
            _ => false,
        };
        let asks = matches!(plan.ending, Ending::ServerAsksToClose(after) if counted >= after.min(most));
        [
            (Act::Answer, open && answers),
            (Act::Media, sends && room && !all_sent && !end.dry),
            (Act::Noise, active && room && end.noise_left > 0 && end.handshaken),
            (Act::Control, runs && room && end.controls_left > 0),
            (Act::Finish, sends && all_sent && !end.dry && plan.ending == Ending::Complete && room),
            (Act::Leave, runs && leaves),
            (Act::AskToClose, runs && asks && side == SERVER && !end.asked_to_close),
            (Act::RunDry, dries && room),
            (Act::ConfirmPause, runs && end.dry && !end.confirmed && pause == pausing::ASKED && room),
            (Act::Resume, runs && end.dry && pause == pausing::RESUMING),
            (Act::Shut, end.may_shut()),
        ]
        .into_iter()
        .filter_map(|(act, possible)| possible.then_some(act))
    }

    /// When something becomes possible that is not now.
    fn next_time(&self) -> Option<Time> {
        let mut times = Vec::new();
        for side in [CLIENT, SERVER] {
            let end = &self.ends[side];
            if end.shut {
                continue;
            }
            times.extend(self.pipes[side].next_arrival());
            times.extend(end.layer.next_time(self.now));
            times.extend(self.plan.deaf[side].iter().flat_map(|deaf| [deaf.0, deaf.1]));
            times.extend(end.pending.iter().map(|pending| pending.1));
            if end.over.is_none() {
                times.extend(end.session.deadline().map(|deadline| self.since_epoch(deadline)));
            }
            times.push(end.progress + IDLE);
        }
        times.into_iter().filter(|time| (self.now + 1..Time::MAX).contains(time)).min()
    }

    fn since_epoch(&self, instant: Instant) -> Time {
        (instant - self.epoch).as_micros() as Time
    }

    fn take(&mut self, side: usize, step: Step) {
        let other = 1 - side;
        match step {
            Step::Read => {
                let most = if self.dice.once_in(8) { 8 } else { self.plan.most_read[side] };
                let most = self.dice.up_to(most);
                let end = &mut self.ends[side];
                end.read(&mut self.pipes[side], most, self.now, &mut self.dice);
            }
            Step::Flush => {
                let end = &mut self.ends[side];
                end.flush(&mut self.pipes[other], self.now, &mut self.dice);
            }
            Step::NoticeEnd if self.ends[side].layer.ends_with_connection(self.now) || side == SERVER => {
                self.ends[side].peer_gone = true;
                self.ends[side].finish(Over::PeerGone);
            }
            Step::NoticeEnd => {}
            Step::Act => {
                let acts: Vec<Act> = self.acts(side).collect();
                let act = self.dice.pick(&acts);
                self.trace(64 + act as u64);
                self.act(side, act);
            }
        }
        // Also what had to wait until the peer had read something.
        self.take_events(side);
        let wants_connection = self.ends[CLIENT].layer.wants_connection() && !self.ends[CLIENT].shut;
        if wants_connection && self.ends[SERVER].shut {
            self.ends[CLIENT].peer_gone = true;
            self.ends[CLIENT].finish(Over::PeerGone);
        } else if wants_connection {
            // The next connection of a tunnel has nothing in its way.
            let latency = self.plan.faults[CLIENT].latency;
            let faults = Faults { latency, ..Faults::default() };
            self.pipes = [CLIENT, SERVER].map(|side| Pipe::new(faults.clone(), self.plan.capacity[side]));
            let now = self.now;
            self.ends.iter_mut().for_each(|end| end.layer.reconnect(now));
        }
        self.break_both();
    }

    /// A connection that breaks in one direction breaks in the other.
    fn break_both(&mut self) {
        if let Some(side) = (0..2).find(|side| self.pipes[*side].is_broken()) {
            self.pipes[1 - side].break_off(self.now, &mut self.dice);
        }
    }

    fn act(&mut self, side: usize, act: Act) {
        let clock = self.clock();
        let Self { plan, dice, ends, pipes, now, .. } = self;
        let end = &mut ends[side];
        let pipe = &mut pipes[1 - side];
        match act {
            Act::Answer => {
                let (request, _) = end.pending.take().expect("there is a request");
                self.answer(request);
                return;
            }
            Act::Media => {
                if !plan.chunk_sizes.is_empty() && dice.once_in(4) {
                    let size = dice.pick(plan.chunk_sizes);
                    end.session.set_chunk_size(&mut end.owner, size).expect("the size is valid");
                }
                end.send(&plan.items[end.sent], pipe, *now, dice);
                end.progress = *now;
            }
            Act::Noise => {
                end.noise_left -= 1;
                if side == CLIENT && plan.publishes && end.stream_id.is_some() && dice.once_in(6) {
                    // It changes nothing, but has to be answered.
                    end.publish_again();
                } else {
                    let message = noise::message(dice, side, plan.impatient == Some(1 - side));
                    end.say(&message);
                }
            }
            Act::Control => {
                end.controls_left -= 1;
                let result = match dice.below(3) {
                    0 => end.session.seek(&mut end.owner, dice.roll() as i32),
                    _ => end.session.pause(&mut end.owner, dice.once_in(2)),
                };
                result.expect("it is short");
            }
            Act::Finish if side == CLIENT => {
                end.session.close(&mut end.owner);
                end.finish(Over::Done);
            }
            Act::Finish => {
                let stream_id = end.stream_id.take().expect("the stream runs");
                end.session.end_stream(&mut end.owner, stream_id).expect("it is played");
            }
            Act::Leave => {
                end.session.close(&mut end.owner);
                end.finish(Over::Done);
            }
            Act::AskToClose => {
                end.say(&noise::call("close"));
                end.asked_to_close = true;
            }
            Act::RunDry => {
                (end.dry, end.confirmed, end.dry_left) = (true, false, end.dry_left - 1);
                end.say(&command::user_control(31, &[0, 0, 0, 1]));
            }
            Act::ConfirmPause => {
                end.confirmed = true;
                end.say(&noise::status("NetStream.Pause.Notify", "status"));
            }
            Act::Resume => {
                end.dry = false;
                end.sent -= dice.below(end.sent as u64 + 1) as usize;
            }
            Act::Shut => {
                end.shut = true;
                pipe.shut(*now);
                pipes[side].abandon();
            }
        }
        assert!(ends[side].session.check(clock).is_ok() || ends[side].over.is_none());
    }

    fn answer(&mut self, request: Request) {
        let end = &mut self.ends[SERVER];
        if let Request::Connect(connect) = &request {
            let says = |words: &[u8]| connect.app.windows(words.len()).any(|window| window == words);
            let words = if self.plan.refusal == Some(Refusal::Connection) {
                Some(REFUSED)
            } else if self.plan.logs_in && !says(b"authmod=adobe&user=user") {
                Some("[ AccessManager.Reject ] : [ code=403 need auth; authmod=adobe ] : ")
            } else if self.plan.logs_in && !says(b"&response=") {
                Some(
                    "[ AccessManager.Reject ] : [ authmod=adobe ] : ?reason=needauth&user=user&salt=s&challenge=c&opaque=o",
                )
            } else {
                None
            };
            if let Some(words) = words {
                end.session.refuse(&mut end.owner, words).expect("there is a request");
                end.finish(Over::Done);
                return;
            }
        } else if self.plan.refusal == Some(Refusal::Stream) {
            end.session.refuse(&mut end.owner, REFUSED).expect("there is a request");
            return;
        }
        end.session.accept(&mut end.owner).expect("there is a request");
        if let Request::Publish { stream_id, .. } | Request::Play { stream_id, .. } = request {
            end.stream_id = Some(stream_id);
        }
    }

    /// Lets the session use its input, and does what its events ask for.
    fn take_events(&mut self, side: usize) {
        let clock = self.clock();
        while self.ends[side].over.is_none() {
            let Some(event) = self.ends[side].event(clock) else { break };
            self.trace(128);
            match side {
                CLIENT => self.client_event(event),
                _ => self.server_event(event),
            }
        }
        let end = &mut self.ends[side];
        if end.over.is_some() && !matches!(end.over, Some(Over::Failed(_))) {
            // What comes behind the end is dropped.
            while end.event(clock).is_some() {}
        }
    }

    fn client_event(&mut self, event: Event) {
        let clock = self.clock();
        let trusted = !self.plan.is_damaged();
        let end = &mut self.ends[CLIENT];
        match event {
            Event::Handshaken { encrypted, swf_response } => {
                assert!(!end.handshaken);
                end.handshaken = true;
                assert_eq!(encrypted, self.plan.protocol == Protocol::Encrypted);
                if trusted {
                    assert_eq!(swf_response.is_some(), self.plan.protocol == Protocol::Signed);
                }
                end.set_swf_response(swf_response);
                end.session.connect(&mut end.owner, &[], clock).expect("it is short");
            }
            Event::Streaming => {
                assert!(end.stream_id.is_none() && end.session.state.playing);
                assert!(end.session.deadline().is_none());
                end.stream_id = Some(end.session.state.stream_id as u32);
                if trusted {
                    assert!(self.plan.refusal.is_none() && self.plan.unanswered.is_none());
                }
            }
            Event::Media(message) => {
                if trusted {
                    assert!(!self.plan.publishes);
                    let stream_id = end.stream_id.expect("the stream runs");
                    self.check_media(CLIENT, &message, stream_id);
                }
            }
            Event::Ended(_) => end.finish(Over::Ended),
            Event::Refused(refusal) => end.finish(Over::Refused(refusal)),
            Event::Login(token) => end.finish(Over::Login(token)),
            other => panic!("a client is told {other:?}"),
        }
    }

    fn server_event(&mut self, event: Event) {
        let trusted = !self.plan.is_damaged();
        let thinks = if self.dice.once_in(4) { self.dice.below(3 * SECOND) } else { 0 };
        let end = &mut self.ends[SERVER];
        match event {
            Event::Handshaken { encrypted, .. } => {
                assert!(!end.handshaken);
                end.handshaken = true;
                assert_eq!(encrypted, self.plan.protocol == Protocol::Encrypted);
            }
            Event::Request(request) => {
                if trusted {
                    match &request {
                        Request::Connect(connect) => assert_eq!(connect.app, self.ends[CLIENT].owner.app),
                        Request::Publish { name, .. } => assert!(self.plan.publishes && name == b"stream"),
                        Request::Play { name, .. } => assert!(!self.plan.publishes && name == b"stream"),
                        other => panic!("a server is asked for {other:?}"),
                    }
                }
                assert!(!self.ends[SERVER].session.wants_input());
                self.ends[SERVER].pending = Some((request, self.now + thinks));
            }
            Event::Media(message) => {
                if trusted {
                    assert!(self.plan.publishes);
                    let stream_id = end.stream_id.expect("the stream runs");
                    self.check_media(SERVER, &message, stream_id);
                }
            }
            Event::StreamClosed { stream_id } => {
                if trusted {
                    assert!(end.stream_id == Some(stream_id));
                }
                end.stream_id = None;
                end.finish(Over::Ended);
            }
            other => panic!("a server is told {other:?}"),
        }
    }

    /// What arrives is the next message that was sent.
    fn check_media(&mut self, side: usize, message: &rtmp::message::Message, stream_id: u32) {
        let at = self.delivered.get(self.ends[side].received);
        let at = *at.expect("no more messages arrive than were sent");
        assert!(at < self.ends[1 - side].sent, "message {at} arrives before it is sent");
        let item = &self.plan.items[at];
        assert!(item.is(message, stream_id), "{item:?} is not what arrives");
        self.ends[side].received += 1;
    }

    /// Does what is due at this time, and checks that nothing else is.
    fn check_time(&mut self) {
        let clock = self.clock();
        for side in [CLIENT, SERVER] {
            let end = &mut self.ends[side];
            if end.shut {
                continue;
            }
            let due = end.session.deadline().is_some_and(|deadline| deadline <= clock);
            if let Err(error) = end.check(clock, due) {
                assert!(matches!(error, Error::TimedOut));
                end.time_outs += 1;
                let phases = u64::from(end.time_outs) + MOST_PHASES;
                assert!(self.now - end.began <= phases * (self.plan.timeout + SECOND), "phases without end");
                if end.time_outs > self.plan.patience {
                    end.session.close(&mut end.owner);
                    end.finish(Over::TimedOut);
                } else {
                    end.session.begin_phase(clock);
                }
                assert!(end.session.check(clock).is_ok());
            }
            if end.progress + IDLE <= self.now {
                let pending = end.pending.is_some();
                assert!(self.plan.is_disturbed(), "end {side} waits for ever, {pending}, {:?}", end.over);
                // Also where it had to send something before it could close.
                end.over = Some(Over::Idle);
                end.progress = self.now;
            }
        }
    }

    /// Connects again if the server wants the client to log in.
    fn log_in(&mut self) -> bool {
        let Some(Over::Login(token)) = &self.ends[CLIENT].over else { return false };
        assert!(self.plan.is_disturbed() || self.plan.logs_in && self.connections < 3);
        if self.connections == 3 {
            return false;
        }
        self.connections += 1;
        let mut owners = [CLIENT, SERVER].map(|_| Owner::new(&self.plan, &mut self.dice));
        owners[CLIENT].app = [&self.ends[CLIENT].owner.app[..], token].concat();
        owners[CLIENT].tc_url = [&self.ends[CLIENT].owner.tc_url[..], token].concat();
        (self.ends, self.pipes) = connect(&self.plan, owners, self.now, self.clock(), &mut self.dice);
        true
    }

    fn check_outcome(&self) {
        let [client, server] = &self.ends;
        assert!(client.shut && server.shut, "nothing happens, and no deadline is pending");
        if self.plan.is_disturbed() {
            return;
        }
        let receiver = &self.ends[1 - self.sender()];
        let (over, other) = (&client.over, &server.over);
        let outcome = format!("client: {over:?}, server: {other:?}");
        match (self.plan.refusal, self.plan.ending) {
            (Some(refusal), _) => {
                let code = match (refusal, self.plan.publishes) {
                    (Refusal::Connection, _) => "NetConnection.Connect.Rejected",
                    (Refusal::Stream, true) => "NetStream.Publish.BadName",
                    (Refusal::Stream, false) => "NetStream.Play.StreamNotFound",
                };
                let Some(Over::Refused(refusal)) = over else { panic!("{outcome}") };
                assert_eq!((&refusal.code[..], &refusal.description[..]), (code, REFUSED));
                assert_eq!(receiver.received, 0);
            }
            (None, Ending::Complete) => {
                assert_eq!(receiver.received, self.delivered.len(), "{outcome}");
                match self.plan.publishes {
                    true => {
                        assert!(matches!((over, other), (Some(Over::Done), Some(Over::Ended))), "{outcome}")
                    }
                    false => {
                        assert!(
                            matches!((over, other), (Some(Over::Ended), Some(Over::PeerGone))),
                            "{outcome}"
                        );
                    }
                }
            }
            (None, Ending::ServerAsksToClose(_)) => {
                assert!(matches!(over, Some(Over::Failed(Error::Closed))), "{outcome}");
            }
            (None, Ending::ClientCloses(_)) => assert!(matches!(over, Some(Over::Done)), "{outcome}"),
            (None, Ending::ServerCloses(_)) => assert!(matches!(other, Some(Over::Done)), "{outcome}"),
        }
    }
}

fn connect(
    plan: &Plan,
    owners: [Owner; 2],
    now: Time,
    clock: Instant,
    dice: &mut Dice,
) -> ([End; 2], [Pipe; 2]) {
    let [client, server] = owners;
    let ends =
        [End::new(CLIENT, plan, client, now, clock, dice), End::new(SERVER, plan, server, now, clock, dice)];
    let pipes = [CLIENT, SERVER].map(|side| Pipe::new(plan.faults[side].clone(), plan.capacity[side]));
    (ends, pipes)
}

fn place(request: &Request) -> Refusal {
    if matches!(request, Request::Connect(_)) { Refusal::Connection } else { Refusal::Stream }
}

/// A handshake, and the commands that a client waits for one after the other.
const MOST_PHASES: u64 = 5;

const REFUSED: &str = "this is what the server says";
