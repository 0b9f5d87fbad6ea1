//! Programs that break the rules of the headers or apply them to the letter: nothing crashes, nothing that
//! belongs to the program is closed or written to, and nothing leaks. `tests/c/misuse.c` has the expected
//! results; the same programs run under valgrind in `memcheck`, and with sanitizers in `sanitizers`.
#![forbid(unsafe_code)]

mod cases;

use crate::support::{Library, Program, library};
use cases::{LIMIT, MISUSE};

/// Runs a scenario with our library. librtmp 2.4 crashes in most of them.
fn check(name: &str) {
    if library::ours_is_original() {
        return;
    }
    let scenario = MISUSE.iter().find(|scenario| scenario.name == name).expect("a scenario of this name");
    let program = need!(Program::test("misuse"));
    let server = scenario.serve();
    let url = format!("rtmp://127.0.0.1:{}/app/stream.flv", server.port);
    let run = need!(program.run(Library::Ours, &[name, &url], "", LIMIT));
    assert_eq!((run.code, run.stdout.as_str()), (Some(0), ""), "{run:?}");
    server.join();
}

#[test]
fn functions_fail_without_a_connection() {
    check("closed");
}

#[test]
fn functions_fail_after_the_connection_was_closed() {
    check("used");
}

#[test]
fn a_struct_of_zeros_has_no_connection_and_can_make_one() {
    check("zeroed");
}

#[test]
fn settings_can_be_cleared_at_any_time() {
    check("cleared");
}

#[test]
fn urls_may_be_literals() {
    check("literal");
}

#[test]
fn bodies_need_no_space_around_them_and_invalid_sizes_and_channels_are_refused() {
    check("bodies");
}

#[test]
fn chunks_of_impossible_sizes_are_refused() {
    check("chunks");
}

#[test]
fn commands_that_are_not_amf_are_sent_and_not_stored() {
    check("queued");
}

#[test]
fn packets_of_any_type_may_be_short_or_have_no_body() {
    check("handled");
}

#[test]
fn message_is_sent_with_one_call() {
    check("piece");
}

#[test]
fn closing_a_socket_buffer_keeps_the_number_and_closing_a_session_does_not() {
    check("socket");
}

#[test]
fn flv_may_be_written_in_two_pieces_cut_anywhere_and_may_be_empty() {
    check("write");
}

#[test]
fn lost_peer_raises_no_signal() {
    check("gone");
}

#[test]
fn threads_may_make_the_first_sessions_together() {
    check("threads");
}

#[test]
fn connecting_twice_closes_the_first_connection_and_closing_leaves_no_dangling_strings() {
    check("twice");
}

#[test]
fn a_connection_after_an_error_starts_with_the_default_chunk_size() {
    check("reconnect");
}

#[test]
fn closing_twice_or_without_a_connection_closes_nothing_else() {
    check("double");
}

#[test]
fn freeing_without_closing_leaves_the_connection_alone() {
    check("freed");
}

#[test]
fn last_value_of_a_repeated_option_is_used() {
    check("options");
}

#[test]
fn a_struct_may_be_moved_between_all_calls() {
    check("moved");
}

/// Fails for a new scenario without a test.
#[test]
fn every_scenario_has_a_test() {
    let here =
        std::fs::read_to_string(library::package().join("tests/c_api/careless.rs")).expect("it is there");
    for scenario in MISUSE {
        assert!(here.contains(&format!("check(\"{}\")", scenario.name)), "{}", scenario.name);
    }
}

#[test]
fn a_body_left_in_a_packet_is_neither_used_nor_freed() {
    check("leftover");
}
