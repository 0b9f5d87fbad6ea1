//! The recorded results of librtmp's URL and option parsing, compared with the core, the exported functions and a C program.
//!
//! `tests/vectors/urls.json` contains the meanings of URLs and stream names; `tests/vectors/setup.json` contains the lines that
//! `tests/c/setup.c` prints. Cases with a `differs` are deliberate differences from librtmp.

use std::{fs, process::Command, ptr, time::Duration};

use crate::support::{
    Library, Program,
    library::package,
    program::{Run, run},
    require,
};
use rtmp::{
    amf::{AVal, access::AMF_Reset},
    log::{RTMP_LOGCRIT, RTMP_LogSetLevel},
    ptr::from_c as c,
    rtmp::{
        RTMP, RTMP_LF_FAPU, RTMP_LF_FTCU, close::RTMP_Close, lifecycle::*, set_option::RTMP_SetOpt, setup::*,
        url::*,
    },
};
use rtmp_core::url;
use serde_json::Value;

fn vectors(file: &str) -> Value {
    let text = fs::read_to_string(package().join("tests/vectors").join(file)).unwrap();
    serde_json::from_str(&text).unwrap()
}

fn rows<'v>(vectors: &'v Value, list: &str) -> &'v [Value] {
    let rows = vectors[list].as_array().unwrap();
    assert!(!rows.is_empty());
    rows
}

/// A text of a row, `None` for null.
fn text<'v>(row: &'v Value, name: &str) -> Option<&'v [u8]> {
    row[name].as_str().map(str::as_bytes)
}

#[test]
fn the_core_reads_every_measured_url() {
    for row in rows(&vectors("urls.json"), "urls") {
        let parsed = url::parse(text(row, "url").unwrap());
        assert_eq!(parsed.is_ok(), row["ret"] == 1, "{row}");
        let Ok(parsed) = parsed else { continue };
        assert_eq!(i64::from(parsed.protocol.bits()), row["protocol"], "{row}");
        assert_eq!(parsed.host, text(row, "host"), "{row}");
        assert_eq!(i64::from(parsed.port), row["port"], "{row}");
        assert_eq!(parsed.app, text(row, "app"), "{row}");
        assert_eq!(parsed.playpath.as_deref(), text(row, "playpath"), "{row}");
        assert_eq!(parsed.userinfo.as_ref().map(|info| info.user), text(row, "user"), "{row}");
        assert_eq!(parsed.userinfo.and_then(|info| info.password), text(row, "password"), "{row}");
    }
}

#[test]
fn the_core_spells_every_measured_stream_name() {
    for row in rows(&vectors("urls.json"), "stream_names") {
        assert_eq!(url::stream_name(text(row, "text").unwrap()), text(row, "name").unwrap(), "{row}");
    }
}

/// The line that `setup.c` prints for a row of `urls.json`.
fn url_line(row: &Value) -> String {
    let mut line = format!("{} protocol={} port={}", row["ret"], row["protocol"], row["port"]);
    for (name, place) in [("host", "caller"), ("app", "caller"), ("playpath", "heap")] {
        if let Some(part) = row[name].as_str() {
            line += &format!(" {name}='{part}'({place})");
        }
    }
    line
}

/// A line of input for `setup.c`, the line that it prints, and whether librtmp prints the same.
struct Case {
    input: String,
    output: String,
    differs: bool,
}

fn cases() -> Vec<Case> {
    let (urls, setup) = (vectors("urls.json"), vectors("setup.json"));
    let case = |kind: &str, row: &Value, name: &str, output: String| Case {
        input: format!("{kind}{}\n", row[name].as_str().unwrap()),
        output,
        differs: row["differs"].is_string(),
    };
    let printed = |row: &Value| row["result"].as_str().unwrap().to_owned();
    let name = |row: &Value| format!("1 name='{}'(heap)", row["name"].as_str().unwrap());
    let mut cases = Vec::new();
    cases.extend(rows(&urls, "urls").iter().map(|row| case("u", row, "url", url_line(row))));
    cases.extend(rows(&urls, "stream_names").iter().map(|row| case("n", row, "text", name(row))));
    cases.extend(rows(&setup, "setups").iter().map(|row| case("s", row, "text", printed(row))));
    cases.extend(rows(&setup, "options").iter().map(|row| case("o", row, "text", printed(row))));
    cases
}

fn input(cases: &[Case]) -> String {
    cases.iter().map(|case| case.input.as_str()).collect()
}

/// Compares the printed lines with the expected ones.
fn check(run: Run, cases: &[Case]) {
    let printed = run.expect("setup.c");
    let mut lines = printed.lines();
    for case in cases {
        assert_eq!(lines.next().unwrap_or("nothing").trim_end(), case.output.trim_end(), "{}", case.input);
    }
    let setup = vectors("setup.json");
    let rest = rows(&setup, "rest").iter().map(|line| on_any_system(line.as_str().unwrap()));
    assert_eq!(lines.map(on_any_system).collect::<Vec<_>>(), rest.collect::<Vec<_>>());
}

/// The line with the bytes of a new session, without their places and order where the struct has another layout than the one that
/// was recorded. Other lines are the same everywhere.
fn on_any_system(line: &str) -> String {
    if cfg!(all(target_pointer_width = "64", target_endian = "little")) || !line.starts_with("defaults ") {
        return line.to_owned();
    }
    let mut bytes: Vec<_> = line.split_whitespace().filter_map(|word| word.split_once(':')).collect();
    bytes.sort_by_key(|(_, value)| *value);
    bytes.iter().map(|(_, value)| format!("{value} ")).collect()
}

const LIMIT: Duration = Duration::from_secs(60);

#[test]
fn a_c_program_sees_every_measured_result() {
    let cases = cases();
    let program = need!(Program::test("setup"));
    check(need!(program.run(Library::Ours, &[], &input(&cases), LIMIT)), &cases);
}

#[test]
fn librtmp_gives_the_same_results_except_for_listed_differences() {
    let mut cases = cases();
    cases.retain(|case| !case.differs);
    let program = need!(Program::test("setup"));
    check(need!(program.run(Library::Original, &[], &input(&cases), LIMIT)), &cases);
}

#[test]
fn listed_differences_from_librtmp_exist() {
    let mut cases = cases();
    cases.retain(|case| case.differs);
    let program = need!(Program::test("setup"));
    let run = need!(program.run(Library::Original, &[], &input(&cases), LIMIT));
    let printed = run.expect("setup.c");
    for (case, line) in cases.iter().zip(printed.lines()) {
        assert_ne!(line.trim_end(), case.output.trim_end(), "{}", case.input);
    }
}

#[test]
fn nothing_is_read_past_its_length_and_nothing_leaks() {
    if std::env::var_os("RTMP_TEST_RUNNER").is_some() {
        // valgrind runs only programs of this system.
        return;
    }
    let cases = cases();
    let program = need!(Program::test("setup"));
    let command = need!(program.command(Library::Ours));
    let mut checked = Command::new(need!(require::program("valgrind")));
    checked.args(["-q", "--error-exitcode=9", "--leak-check=full", "--show-leak-kinds=definite,indirect"]);
    checked.args(["--errors-for-leak-kinds=definite,indirect"]).arg(command.get_program()).arg("exact");
    for (name, value) in command.get_envs() {
        checked.env(name, value.unwrap_or_default());
    }
    check(run(&mut checked, &input(&cases), LIMIT), &cases);
}

/// A session that is closed and freed at the end.
struct Session(*mut RTMP);

impl Session {
    fn new() -> Self {
        let r = RTMP_Alloc();
        // SAFETY: new memory of the right size.
        unsafe { RTMP_Init(r) };
        Self(r)
    }

    /// Sets up a text, which has to outlive the session.
    fn setup(&self, text: &mut [u8]) -> i32 {
        assert_eq!(text.last(), Some(&0));
        // SAFETY: an initialised session and a NUL-terminated text.
        unsafe { RTMP_SetupURL(c(self.0), text.as_mut_ptr().cast()) }
    }

    fn set(&self, name: &'static str, value: AVal) -> i32 {
        let mut value = value;
        // SAFETY: an initialised session and readable strings.
        unsafe { RTMP_SetOpt(c(self.0), c(&mut aval(name)), &mut value) }
    }

    fn tc_url(&self) -> AVal {
        // SAFETY: an initialised session.
        unsafe { (*self.0).Link.tcUrl }
    }

    fn flags(&self) -> i32 {
        // SAFETY: an initialised session.
        unsafe { (*self.0).Link.lFlags }
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        // SAFETY: an initialised session, which nobody uses any more.
        unsafe {
            RTMP_Close(c(self.0));
            RTMP_Free(self.0);
        }
    }
}

fn aval(text: &'static str) -> AVal {
    AVal { av_val: text.as_ptr().cast_mut().cast(), av_len: text.len() as i32 }
}

#[test]
fn a_string_that_the_library_made_is_freed_when_an_option_replaces_it() {
    let session = Session::new();
    let mut text = *b"rtmp://h/a/s app=x\0";
    assert_eq!(session.setup(&mut text), 1);
    assert_eq!(session.flags(), RTMP_LF_FTCU);
    // The field's own string may be passed back; the library keeps it.
    assert_eq!(session.set("tcUrl", session.tc_url()), 1);
    assert_eq!(session.flags(), RTMP_LF_FTCU);
    assert_eq!(session.set("tcUrl", aval("rtmp://literal")), 1);
    assert_eq!(session.flags(), 0);

    // SAFETY: an initialised session; the string comes from malloc, as the flag says.
    unsafe {
        (*session.0).Link.app = AVal { av_val: libc::strdup(c"heap".as_ptr()), av_len: 4 };
        (*session.0).Link.lFlags |= RTMP_LF_FAPU;
    }
    assert_eq!(session.set("APP", aval("literal")), 1);
    assert_eq!(session.flags(), 0);
}

#[test]
fn a_session_can_be_set_up_again() {
    let session = Session::new();
    let (mut first, mut second) = (*b"rtmp://h/a/s app=x\0", *b"rtmp://i/b/t\0");
    assert_eq!(session.setup(&mut first), 1);
    assert_eq!(session.setup(&mut second), 1);
    // SAFETY: an initialised session.
    let link = unsafe { &(*session.0).Link };
    assert_eq!(link.playpath.av_val, link.playpath0.av_val);
    // SAFETY: as above; librtmp keeps a tcUrl that is there, wherever it came from.
    assert_eq!(unsafe { *link.playpath.av_val } as u8, b't');
}

#[test]
fn a_shortened_value_ends_with_a_nul() {
    let session = Session::new();
    let mut text = *b"rtmp://h/a/s flashver=LNX\\2011,2\0";
    assert_eq!(session.setup(&mut text), 1);
    assert!(text.windows(9).any(|window| window == b"LNX 11,2\0"));
}

#[test]
fn a_list_that_the_program_emptied_takes_no_members() {
    let session = Session::new();
    assert_eq!(session.set("conn", aval("O:1")), 1);
    // SAFETY: an initialised session.
    let link = unsafe { &raw mut (*session.0).Link };
    // SAFETY: as above; the list is the library's.
    unsafe {
        AMF_Reset(&raw mut (*link).extras);
        assert_eq!(session.set("conn", aval("NS:a:b")), 0);
        (*link).edepth = i32::MAX;
        assert_eq!(session.set("conn", aval("S:a")), 0);
        (*link).edepth = i32::MIN;
        assert_eq!(session.set("conn", aval("NS:a:b")), 0);
        assert_eq!(session.set("conn", aval("S:a")), 1);
        assert_eq!((*link).extras.o_num, 1);
        (*link).edepth = 1;
        assert_eq!(session.set("conn", aval("NS:a:b")), 0, "the last property is no object");
        AMF_Reset(&raw mut (*link).extras);
    }
}

/// The effects on the other arguments; that the call fails is tested in `bad_input`.
#[test]
fn a_null_pointer_is_a_failure_and_never_a_crash() {
    let session = Session::new();
    let null = ptr::null_mut();
    let (mut protocol, mut port) = (7, 7);
    let (mut host, mut playpath, mut app) = (aval("-"), aval("-"), aval("-"));
    // SAFETY: null is allowed everywhere, and the other pointers are valid.
    unsafe {
        assert_eq!(
            RTMP_ParseURL(None, c(&mut protocol), c(&mut host), c(&mut port), c(&mut playpath), c(&mut app)),
            0
        );
        assert_eq!((protocol, port, host.av_len, playpath.av_len, app.av_len), (0, 0, 1, 0, 0));

        let mut out = aval("-");
        RTMP_ParsePlaypath(null, c(&mut out));
        assert!(out.av_val.is_null() && out.av_len == 0);
        RTMP_ParsePlaypath(&mut out, c(null));
        RTMP_ParsePlaypath(&raw mut out, c(&raw mut out));
        assert!(!out.av_val.is_null() && out.av_len == 0);
        libc::free(out.av_val.cast());

        for name in ["live", "timeout", "app", "conn", ""] {
            session.set(name, AVal { av_val: ptr::null_mut(), av_len: 3 });
        }

        let setup = |r: *mut RTMP| {
            RTMP_SetupStream(
                c(r),
                0,
                None,
                0,
                None,
                None,
                None,
                None,
                None,
                None,
                None,
                None,
                5,
                None,
                None,
                None,
                0,
                0,
                0,
                9,
            );
        };
        setup(session.0);
        assert_eq!((*session.0).Link.timeout, 9);
        assert!((*session.0).Link.hostname.av_val.is_null());

        assert_eq!(RTMP_GetDuration(c(ptr::null_mut())), 0.0);
    }
}

/// A small random number generator with the same sequence on every run.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % bound as u64) as usize
    }
}

/// `text` with some bytes changed, removed or added; none of them is NUL.
fn mutate(random: &mut Random, text: &str) -> Vec<u8> {
    const INTERESTING: &[u8] = b"://?@[]%\\ =&.:slmpf4v3NBSOZ0x1\xff\x01";
    let mut bytes = text.as_bytes().to_vec();
    for _ in 0..random.below(6) {
        let at = random.below(bytes.len() + 1);
        let byte = INTERESTING[random.below(INTERESTING.len())];
        match random.below(3) {
            0 => bytes.insert(at, byte),
            _ if at == bytes.len() => bytes.truncate(at.saturating_sub(1)),
            1 => bytes[at] = byte,
            _ => _ = bytes.remove(at),
        }
    }
    bytes
}

#[test]
fn mutated_text_is_read_within_its_bounds() {
    let mut random = Random(0x2545_F491_4F6C_DD1D);
    // The log messages about thousands of texts are not needed.
    RTMP_LogSetLevel(RTMP_LOGCRIT);
    let cases = cases();
    for case in cases.iter().cycle().take(20_000) {
        let text = mutate(&mut random, case.input[1..].trim_end());
        if let Ok(parsed) = url::parse(&text) {
            let inside = text.as_ptr_range();
            for part in [parsed.host, parsed.app, parsed.userinfo.map(|info| info.user)].into_iter().flatten()
            {
                let part = part.as_ptr_range();
                assert!(inside.start <= part.start && part.end <= inside.end);
            }
        }
        url::stream_name(&text);

        let session = Session::new();
        let mut buffer = text.clone();
        buffer.push(0);
        let result = session.setup(&mut buffer);
        assert_eq!(buffer.pop(), Some(0));
        if !text.contains(&b' ') {
            assert_eq!(buffer, text, "nothing is written where there is nothing to divide");
        }
        // SAFETY: an initialised session.
        let link = unsafe { &raw mut (*session.0).Link };
        // SAFETY: as above, and the list is the library's.
        unsafe {
            assert!(result == 0 || (*link).port != 0);
            AMF_Reset(&raw mut (*link).extras);
            libc::free((*link).sockshost.av_val.cast());
        }
    }
}

#[test]
fn a_literal_without_options_is_not_written_to() {
    let session = Session::new();
    // SAFETY: an initialised session; the literal is in read-only memory, so a write would end this process.
    assert_eq!(unsafe { RTMP_SetupURL(c(session.0), c"rtmp://h:1/a/s".as_ptr().cast_mut()) }, 1);
}
