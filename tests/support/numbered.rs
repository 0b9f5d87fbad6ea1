//! `tests/c/numbered.c`: processes that publish and play streams of numbered tags, one after the other.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::thread;
use std::time::Duration;

use super::{Library, Program};

/// A stream: what is in it follows from these.
#[derive(Clone, Copy, Debug)]
pub struct Numbered {
    pub id: u32,
    pub tags: u32,
    /// The first tag's timestamp and the distance of the others.
    pub start: u32,
    pub step: u32,
}

/// A process that publishes or plays. It ends with the value.
pub struct Worker {
    child: Child,
    orders: ChildStdin,
    answers: Receiver<String>,
    last: String,
}

/// What a worker says in the end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// There was no connection, or not the stream.
    Refused,
    /// How many tags were sent, and whether these are all.
    Published { tags: u32, complete: bool },
    /// How many tags arrived, each as it was sent and from the first one on; whether they ended with a timeout.
    Played { tags: u32, timed_out: bool },
    /// Something else, such as a tag that was never sent.
    Wrong(String),
    /// No answer.
    Hangs,
}

impl Worker {
    /// `None` when the program cannot be built.
    pub fn start(library: Library) -> Option<Self> {
        Some(Self::run(&mut Program::test("numbered")?.command(library)?))
    }

    /// Starts a command that runs the program.
    pub fn run(command: &mut Command) -> Self {
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(if std::env::var_os("NUMBERED_LOG").is_some() { Stdio::inherit() } else { Stdio::null() })
            .spawn()
            .expect("the program was just built");
        let orders = child.stdin.take().expect("it is piped");
        let output = BufReader::new(child.stdout.take().expect("it is piped"));
        let (sender, answers) = mpsc::channel();
        thread::spawn(move || {
            for line in output.lines().map_while(Result::ok) {
                if sender.send(line).is_err() {
                    break;
                }
            }
        });
        Self { child, orders, answers, last: String::new() }
    }

    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Sets `Link.timeout` of the sessions that follow.
    pub fn set_timeout(&mut self, seconds: u32) {
        self.set(&format!("timeout {seconds}"));
    }

    /// Makes the sessions that follow look as if so much had arrived before.
    pub fn count_from(&mut self, bytes: u64) {
        self.set(&format!("count {bytes}"));
    }

    fn set(&mut self, order: &str) {
        self.order(order);
        assert_eq!(self.answer(Duration::from_secs(20)).as_deref(), Some("set"), "{order}");
    }

    /// Begins to publish; `pace` is a pause between tags.
    pub fn publish(&mut self, stream: &Numbered, pace: Duration, url: &str) {
        let Numbered { id, tags, start, step } = stream;
        self.order(&format!("publish {id} {tags} {start} {step} {} {url}", pace.as_micros()));
    }

    /// Begins to play, and waits until the server has said yes; what it says instead otherwise.
    pub fn play(&mut self, stream: &Numbered, url: &str, limit: Duration) -> Result<(), Outcome> {
        let Numbered { id, start, step, .. } = stream;
        self.order(&format!("play {id} {start} {step} {url}"));
        match self.answer(limit).as_deref() {
            Some("playing") => Ok(()),
            Some(other) => Err(Outcome::parse(other)),
            None => Err(Outcome::Hangs),
        }
    }

    /// How what was begun has ended.
    pub fn outcome(&mut self, limit: Duration) -> Outcome {
        self.answer(limit).map_or(Outcome::Hangs, |line| Outcome::parse(&line))
    }

    /// How often the last session that played waited too long and went on.
    pub fn time_outs(&self) -> u32 {
        let count = self.last.split(' ').find_map(|word| word.strip_prefix("timeouts=")?.parse().ok());
        count.unwrap_or_default()
    }

    fn order(&mut self, line: &str) {
        // A process that has died does not answer either, which is where it shows.
        let _ = writeln!(self.orders, "{line}");
    }

    fn answer(&mut self, limit: Duration) -> Option<String> {
        let line = self.answers.recv_timeout(limit).ok()?;
        self.last.clone_from(&line);
        Some(line)
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Outcome {
    fn parse(line: &str) -> Self {
        let words: Vec<&str> = line.split(' ').collect();
        let number = |at: usize| words.get(at).and_then(|word| word.parse().ok()).unwrap_or_default();
        match words[0] {
            "refused" => Self::Refused,
            "published" => Self::Published { tags: number(1), complete: words.last() == Some(&"complete") },
            "played" => Self::Played { tags: number(1), timed_out: words.contains(&"timedout=1") },
            _ => Self::Wrong(line.to_owned()),
        }
    }
}
