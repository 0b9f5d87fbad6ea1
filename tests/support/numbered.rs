//! `tests/c/numbered.c`: processes that publish and play streams of numbered tags, one after another.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::thread;
use std::time::Duration;

use super::{Library, Program};

/// A stream whose content is computed from these values.
#[derive(Clone, Copy, Debug)]
pub struct Numbered {
    pub id: u32,
    pub tags: u32,
    /// The first tag's timestamp, and the distance between tags.
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

/// The result of a worker.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// There was no connection, or the server refused the stream.
    Refused,
    /// The number of sent tags, and whether these are all tags.
    Published { tags: u32, complete: bool },
    /// The number of tags that arrived, unchanged and from the first one on; and whether a timeout ended them.
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

    /// Sets `Link.timeout` of the next sessions.
    pub fn set_timeout(&mut self, seconds: u32) {
        self.set(&format!("timeout {seconds}"));
    }

    /// Makes the next sessions begin with a counter of received bytes.
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

    /// Begins to play, and waits until the server has accepted; returns any other result.
    pub fn play(&mut self, stream: &Numbered, url: &str, limit: Duration) -> Result<(), Outcome> {
        let Numbered { id, start, step, .. } = stream;
        self.order(&format!("play {id} {start} {step} {url}"));
        match self.answer(limit).as_deref() {
            Some("playing") => Ok(()),
            Some(other) => Err(Outcome::parse(other)),
            None => Err(Outcome::Hangs),
        }
    }

    /// The result of the current stream.
    pub fn outcome(&mut self, limit: Duration) -> Outcome {
        self.answer(limit).map_or(Outcome::Hangs, |line| Outcome::parse(&line))
    }

    /// How often the last player reached a timeout and continued.
    pub fn time_outs(&self) -> u32 {
        let count = self.last.split(' ').find_map(|word| word.strip_prefix("timeouts=")?.parse().ok());
        count.unwrap_or_default()
    }

    fn order(&mut self, line: &str) {
        // If a process has ended, its missing answer shows this.
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
