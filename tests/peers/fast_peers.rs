//! Streams that arrive faster than they are read: unread bytes are then in the library's own memory, and
//! whatever calls read them, in any order, nothing is lost, repeated or unreachable.
#![forbid(unsafe_code)]

use std::time::Duration;

use crate::support::torrent::{End, Torrent};
use crate::support::{Library, Program, Run, library::ours_is_original};

const LIMIT: Duration = Duration::from_secs(120);
/// The difference in used memory when the buffer for fast peers is freed.
const GIVEN_BACK: u64 = 90_000;
/// The same, if memory for the late message was allocated at that time.
const GIVEN_BACK_LATE: u64 = GIVEN_BACK - (64 << 10);

/// The program's lines about the place of unread bytes.
#[derive(Debug)]
struct Seen {
    outside: u64,
    outside_at_last: bool,
    given_back: u64,
    given_back_late: u64,
}

impl Seen {
    /// Of the last connection.
    fn of(run: &Run) -> Self {
        let line = run.stderr.lines().last().unwrap_or_default();
        let numbers: Vec<u64> = line.split(' ').filter_map(|word| word.parse().ok()).collect();
        let [outside, last, given_back, given_back_late, _] = numbers[..] else { panic!("{run:?}") };
        Self { outside, outside_at_last: last != 0, given_back, given_back_late }
    }
}

/// Runs the program against a peer that sends this once for each round, and compares it with the received
/// bytes.
fn play(library: Library, torrent: &Torrent, pattern: &str, options: &str, rounds: usize) -> Option<Seen> {
    let program = Program::test("fast_peer")?;
    let server = torrent.clone().serve(rounds);
    let arguments = [&server.url(), pattern, options, &rounds.to_string()];
    let run = program.run(library, &arguments, "", LIMIT)?;
    let what = format!("{library:?}, {pattern} {options}");
    assert!(run.code == Some(0) && !run.timed_out, "{what}: {:?} {}", run.code, run.stderr);
    server.join();
    let expected = torrent.arrives();
    let mut lines = run.stdout.lines();
    for round in 0..rounds {
        for (number, expected) in expected.iter().enumerate() {
            assert_eq!(lines.next(), Some(expected.as_str()), "{what}: message {number} of round {round}");
        }
    }
    assert_eq!(lines.next(), None, "{what}");
    Some(Seen::of(&run))
}

/// Plays with our library: the buffer for fast peers is used, and freed when the stream becomes slow or late.
fn ours(torrent: &Torrent, pattern: &str, options: &str, rounds: usize) -> Option<()> {
    let seen = play(Library::Ours, torrent, pattern, options, rounds)?;
    if ours_is_original() {
        return Some(());
    }
    assert!(seen.outside > 0, "{pattern} {options}: {seen:?}");
    // Under valgrind and sanitizers the used memory is unknown.
    let unknown =
        ["RTMP_TEST_VALGRIND", "RTMP_TEST_CFLAGS"].map(std::env::var_os).iter().any(Option::is_some);
    let given_back = match torrent.end {
        _ if unknown => return Some(()),
        End::Slow => !seen.outside_at_last && seen.given_back >= GIVEN_BACK,
        End::Late => seen.given_back_late >= GIVEN_BACK_LATE,
        End::Cut | End::Gone => return Some(()),
    };
    assert!(given_back, "{pattern} {options}: {seen:?}");
    Some(())
}

/// As `ours`, and the result with librtmp 2.4 is the same.
fn both(torrent: &Torrent, pattern: &str, options: &str) -> Option<()> {
    ours(torrent, pattern, options, 1)?;
    play(Library::Original, torrent, pattern, options, 1).map(drop)
}

#[test]
fn packets_arrive_whole_on_both_libraries() {
    let torrent = Torrent::new(1, 40 << 20, 1);
    need!(both(&torrent, "n", "w"));
}

#[test]
fn files_arrive_whole_on_both_libraries() {
    // Smaller messages do not fit into a file.
    let torrent = Torrent::new(2, 6 << 20, 6);
    for pattern in ["k", "r", "R"] {
        need!(both(&torrent, pattern, "w"));
    }
}

#[test]
fn all_reading_calls_can_alternate_on_one_stream() {
    let torrent = Torrent::new(3, 8 << 20, 6);
    need!(both(&torrent, "npr", "w"));
    need!(both(&torrent, "pnRpkn", "-"));
}

#[test]
fn bytes_that_the_program_receives_itself_keep_their_order() {
    let torrent = Torrent::new(11, 6 << 20, 6);
    need!(both(&torrent, "npr", "f"));
}

/// To a peer that continues as if nothing had been said.
#[test]
fn seeking_and_pausing_lose_nothing_that_was_received_ahead() {
    let torrent = Torrent::new(14, 6 << 20, 6);
    for pattern in ["n", "np"] {
        need!(both(&torrent, pattern, "s"));
    }
}

#[test]
fn receive_buffer_is_freed_whichever_call_reads() {
    let torrent = Torrent::new(8, 6 << 20, 6);
    for last in ["n", "p", "k"] {
        need!(ours(&torrent, &format!("{}{last}", "n".repeat(30)), "l", 1));
    }
}

#[test]
fn moved_session_continues_reading() {
    if ours_is_original() {
        return; // Unread bytes are lost.
    }
    let torrent = Torrent::new(4, 6 << 20, 6);
    need!(ours(&torrent, "n", "m", 1));
    need!(ours(&torrent, "nprkR", "mw", 2));
}

#[test]
fn a_socket_that_does_not_block_loses_nothing() {
    if ours_is_original() {
        return; // It closes the connection when there is nothing to read.
    }
    let torrent = Torrent::new(5, 6 << 20, 6);
    need!(ours(&torrent, "n", "b", 1));
    need!(ours(&torrent, "rpn", "bm", 1));
}

#[test]
fn slow_stream_frees_the_receive_buffer_and_continues() {
    if ours_is_original() {
        return; // As above.
    }
    let torrent = Torrent::new(6, 4 << 20, 6).with_end(End::Late);
    for pattern in ["n", "R"] {
        need!(ours(&torrent, pattern, "u", 1));
    }
}

#[test]
fn a_stream_that_is_cut_ends_and_the_session_connects_again() {
    if ours_is_original() {
        return; // It frees something twice when a struct connects again.
    }
    let torrent = Torrent::new(7, 4 << 20, 6).with_end(End::Cut);
    for pattern in ["n", "npr", "r"] {
        need!(ours(&torrent, pattern, "-", 3));
    }
}

/// Runs the program with a thread that sends or aborts. The messages received in each round, at least this
/// many, are the first ones that were sent.
fn disturbed(torrent: &Torrent, pattern: &str, options: &str, rounds: usize, least: usize) -> Option<()> {
    let program = Program::test("fast_peer")?;
    let server = torrent.clone().serve(rounds);
    let arguments = [&server.url(), pattern, options, &rounds.to_string()];
    let run = program.run(Library::Ours, &arguments, "", LIMIT)?;
    assert!(run.code == Some(0) && !run.timed_out, "{pattern} {options}: {:?} {}", run.code, run.stderr);
    server.join();
    let sent = torrent.arrives();
    let played: Vec<&str> = run.stdout.split_terminator("over\n").collect();
    assert_eq!(played.len(), rounds, "{pattern} {options}");
    for lines in played {
        let arrived: Vec<&str> = lines.lines().collect();
        assert!(arrived.len() >= least, "{pattern} {options}: {} messages", arrived.len());
        assert!(arrived.iter().zip(&sent).all(|(line, sent)| line == sent), "{pattern} {options}");
        assert!(arrived.len() <= sent.len(), "{pattern} {options}");
    }
    Some(())
}

#[test]
fn abort_ends_the_session_and_the_next_one_works() {
    if ours_is_original() {
        return; // It has no abort.
    }
    let torrent = Torrent::new(12, 8 << 20, 6);
    for pattern in ["n", "r", "pn"] {
        need!(disturbed(&torrent, pattern, "a", 3, 300));
    }
}

#[test]
fn sending_thread_takes_no_bytes_from_the_reader() {
    let torrent = Torrent::new(13, 6 << 20, 6);
    let all = torrent.arrives().len();
    if ours_is_original() {
        return; // One thread at a time.
    }
    for pattern in ["n", "rp"] {
        need!(disturbed(&torrent, pattern, "t", 1, all));
        // Bytes that were unread when the peer closed may be lost.
        need!(disturbed(&torrent.with_end(End::Gone), pattern, "t", 3, 1));
    }
}
