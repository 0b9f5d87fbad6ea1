//! `RTMP_HashSWF` end to end: a C program with its own home directory against a scripted server, on librtmp
//! 2.4 where it does not crash, and on ours.
#![forbid(unsafe_code)]

use std::{
    fs,
    io::Write,
    os::unix::fs::{PermissionsExt, symlink},
    path::PathBuf,
    process::Command,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use crate::support::{Library, Program, Running, TempDir, examples::Client, program, require, wait_until};
use crate::web::{Site, Step, response};
use flate2::{Compression, write::ZlibEncoder};
use rtmp_core::swf::date::{self, DAY};

const LIMIT: Duration = Duration::from_secs(120);
const MODIFIED: &str = "Mon, 01 Jan 2024 00:00:00 GMT";
const HASH: &str = "39fdf20adc2884f7c56cc1f1a201e320540d22691568ef1817ca178b11f8e2a1";
/// The program's output if size and hash were not changed.
const UNTOUCHED: &str =
    "size 3735928559, hash eeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeee";

/// A user: his home directory, and the library he uses.
struct User {
    home: TempDir,
    library: Library,
    program: Program,
}

impl User {
    fn new(program: &Program, library: Library) -> Self {
        Self { home: TempDir::new("home"), library, program: program.clone() }
    }

    /// One for each available library.
    fn both(program: &Program) -> Vec<Self> {
        [Library::Ours, Library::Original]
            .into_iter()
            .filter(|library| library.directory().is_some())
            .map(|library| Self::new(program, library))
            .collect()
    }

    fn file(&self) -> PathBuf {
        self.home.join(".swfinfo")
    }

    fn cache(&self) -> String {
        fs::read_to_string(self.file()).unwrap_or_default()
    }

    /// The cache, with every time of a check replaced.
    fn cache_without_times(&self) -> String {
        let cache = self.cache();
        let lines = cache.lines().map(|line| if line.starts_with("ctim: ") { "ctim: TIME" } else { line });
        lines.flat_map(|line| [line, "\n"]).collect()
    }

    fn command(&self, age: i32, urls: &[&str]) -> Command {
        let mut command = self.program.command(self.library).expect("the library is there");
        command.arg(age.to_string()).args(urls).env("HOME", self.home.path()).current_dir(self.home.path());
        command
    }

    fn hash(&self, age: i32, url: &str) -> String {
        let run = program::run(&mut self.command(age, &[url]), "", LIMIT);
        run.expect(&format!("{:?} with {url}", self.library))
    }
}

fn plain() -> Vec<u8> {
    let body: Vec<u8> = (0..20).flat_map(|_| 0..250).collect();
    [b"FWS\x0a", &5008u32.to_le_bytes()[..], &body].concat()
}

fn deflated(plain: &[u8]) -> Vec<u8> {
    let mut encoder = ZlibEncoder::new([b"C", &plain[1..8]].concat(), Compression::default());
    encoder.write_all(&plain[8..]).unwrap();
    encoder.finish().unwrap()
}

fn known() -> String {
    format!("result 0, size 5008, hash {HASH}\n")
}

fn failed(error: &str) -> String {
    format!("ERROR: RTMP_HashSWF: {error}\nresult -1, {UNTOUCHED}\n")
}

fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs()
}

/// An entry that was checked at some time.
fn entry(url: &str, checked: u64) -> String {
    let checked = date::format(checked);
    format!("url: {url}\nctim: {checked}\ndate: {MODIFIED}\nsize: 00001390\nhash: {HASH}\n")
}

#[test]
fn plain_and_compressed_files_have_the_recorded_hash() {
    let program = need!(Program::test("http_hash_swf"));
    for user in User::both(&program) {
        let mut cache = String::new();
        // Both live to the end, so that their ports differ.
        let sites = [plain(), deflated(&plain())].map(|file| Site::of_file(&file));
        for site in &sites {
            let url = site.url("/d/x.swf");
            assert_eq!(user.hash(30, &format!("{url}?query")), known(), "{:?}", user.library);
            cache += &format!("url: {url}\nctim: TIME\ndate: {MODIFIED}\nsize: 00001390\nhash: {HASH}\n");
        }
        assert_eq!(user.cache_without_times(), cache, "{:?}", user.library);
    }
}

#[test]
fn files_packed_with_lzma_have_the_hash_of_their_contents() {
    // librtmp 2.4 hashes them as they arrive, and such a hash is useless.
    let program = need!(Program::test("http_hash_swf"));
    let site = Site::of_file(include_bytes!("../vectors/packed.swf"));
    assert_eq!(User::new(&program, Library::Ours).hash(30, &site.url("/x.swf")), known());
}

#[test]
fn setting_up_a_url_with_swf_vfy_hashes_the_file() {
    let program = need!(Program::test("swf_setup"));
    let site = Site::of_file(&plain());
    let url = format!("rtmp://127.0.0.1/app/x swfUrl={} swfVfy=1", site.url("/x.swf"));
    for user in User::both(&program) {
        let run = program::run(
            user.program.command(user.library).unwrap().arg(&url).env("HOME", user.home.path()),
            "",
            LIMIT,
        );
        assert_eq!(run.stdout, format!("setup 1, size 5008, hash {HASH}\n"), "{:?}", user.library);
        let run =
            program::run(user.program.command(user.library).unwrap().arg(url.replace("=1", "=0")), "", LIMIT);
        assert_eq!(run.stdout, format!("setup 1, size 0, hash {}\n", "0".repeat(64)), "{:?}", user.library);
    }
}

/// rtmpdump downloads the file, or receives the hash as an option, and answers the server's request.
#[test]
fn rtmpdump_verifies_its_swf_file() {
    let server = need!(Program::test("swf_verify"));
    let rtmpdump = need!(require::program("rtmpdump"));
    let site = Site::of_file(&plain());
    let file = site.url("/x.swf");
    for library in [Library::Original, Library::Ours] {
        for options in [vec!["-W", &file], vec!["-w", HASH, "-x", "5008", "-s", &file]] {
            let serving = Running::start(need!(server.command(Library::Ours)).args(["server", HASH]));
            assert!(wait_until(LIMIT, || serving.stdout().contains('\n')), "{}", serving.stderr());
            let port = serving.stdout().trim().to_owned();
            let home = TempDir::new("home");
            let mut command = need!(program::on_library(&rtmpdump, library));
            command.args(["-r", &format!("rtmp://127.0.0.1:{port}/app/name"), "-o", "/dev/null", "-m", "10"]);
            command.args(&options).env("HOME", home.path());
            Client::start(command, library).finish();
            assert!(wait_until(LIMIT, || serving.stdout().lines().count() >= 4), "{}", serving.stdout());
            let expected = format!("{port}\nserve 1\nanswer right\nversion 1 1, size 1\n");
            assert_eq!(serving.stdout(), expected, "{library:?}, {options:?}");
        }
    }
}

#[test]
fn old_hash_is_checked_with_the_server() {
    let program = need!(Program::test("http_hash_swf"));
    for user in User::both(&program) {
        let site = Site::of_file(&plain());
        let url = site.url("/x.swf");
        assert_eq!(user.hash(30, &url), known());
        assert_eq!(site.requests().len(), 1);
        let first = user.cache_without_times();
        for age in [0, -1] {
            assert_eq!(user.hash(age, &url), known());
            let requests = site.requests();
            assert!(requests.last().unwrap().contains(&format!("If-Modified-Since: {MODIFIED}\r\n")));
        }
        assert_eq!(site.requests().len(), 3, "{:?}", user.library);
        assert_eq!(user.cache_without_times(), first);
    }
}

#[test]
fn a_fresh_hash_needs_no_server() {
    // librtmp 2.4 never uses entries that it wrote on the 8th and 9th of a month, or for a query with a
    // slash.
    let program = need!(Program::test("http_hash_swf"));
    let user = User::new(&program, Library::Ours);
    let site = Site::of_file(&plain());
    for _ in 0..3 {
        assert_eq!(user.hash(30, &site.url("/x.swf?a=/b")), known());
    }
    assert_eq!(site.requests().len(), 1);
}

#[test]
fn not_modified_keeps_the_hash_and_renews_its_time() {
    let program = need!(Program::test("http_hash_swf"));
    let site = Site::sending("HTTP/1.0 304 Not Modified\r\n\r\n");
    let url = site.url("/x.swf");
    for user in User::both(&program) {
        let old = entry(&url, now() - 100 * DAY);
        fs::write(user.file(), &old).unwrap();
        assert_eq!(user.hash(30, &url), known(), "{:?}", user.library);
        let text = user.cache();
        let checked = text.lines().find_map(|line| line.strip_prefix("ctim: ")).unwrap();
        assert!(now() - date::parse(checked).unwrap() < 120, "{:?}: {text}", user.library);
        assert_eq!(text.len(), old.len());
        assert!(text.contains(MODIFIED));
    }
}

#[test]
fn silent_server_changes_no_entry() {
    let program = need!(Program::test("http_hash_swf"));
    for response in ["HTTP/1.0 304 x\r\n\r\n", "HTTP/1.0 200 x\r\n\r\n"] {
        let site = Site::sending(response);
        for user in User::both(&program) {
            assert_eq!(user.hash(0, &site.url("/x.swf")), format!("result 0, {UNTOUCHED}\n"));
        }
    }
}

#[test]
fn failures_name_the_failed_step() {
    let program = need!(Program::test("http_hash_swf"));
    // librtmp 2.4 crashes when the first piece of a body has fewer than 8 bytes.
    let body = "<html>sorry</html>";
    let cases = [
        ("404 x\r\n\r\n", "swfurl URL not found"),
        ("403 x\r\n\r\n", "couldn't contact swfurl URL (HTTP error 403)"),
        ("302 x\r\n\r\n", "couldn't contact swfurl URL (HTTP error 302)"),
        ("500 x\r\n\r\n", "couldn't contact swfurl URL (HTTP error 500)"),
        ("200 x\r\nContent-Length: 99\r\n\r\n", "connection lost while downloading swfurl URL"),
    ];
    let cases = cases.map(|(head, error)| (format!("HTTP/1.0 {head}{body}"), error));
    let not_http = ("FTP\r\n".to_owned(), "couldn't contact swfurl URL (HTTP error -1)");
    for (response, error) in cases.into_iter().chain([not_http]) {
        let site = Site::sending(response);
        let url = site.url("/x.swf");
        let expected = failed(&error.replace("URL", &url));
        for user in User::both(&program) {
            assert_eq!(user.hash(30, &url), expected, "{:?}", user.library);
            assert_eq!(user.cache(), "");
            // A known hash is returned nevertheless.
            fs::write(user.file(), entry(&url, now() - 100 * DAY)).unwrap();
            let expected = expected.replace(UNTOUCHED, &format!("size 5008, hash {HASH}"));
            assert_eq!(user.hash(30, &url), expected, "{:?}", user.library);
        }
    }
}

#[test]
fn unreachable_https_server_is_reported_once() {
    let program = need!(Program::test("http_hash_swf"));
    let output = User::new(&program, Library::Ours).hash(30, "https://127.0.0.1:1/x.swf");
    assert_eq!(output.matches("ERROR").count(), 1, "{output}");
    assert!(output.ends_with(&format!("result -1, {UNTOUCHED}\n")), "{output}");
}

#[test]
fn hashes_age_by_whole_days() {
    let program = need!(Program::test("http_hash_swf"));
    let site = Site::sending("HTTP/1.0 304 x\r\n\r\n");
    let url = site.url("/x.swf");
    let user = User::new(&program, Library::Ours);
    let now = now();
    for (age, checked, asks) in [
        (30, now - 30 * DAY + 8640, false),
        (30, now - 30 * DAY - 8640, true),
        (1, now - DAY + 600, false),
        (1, now - DAY - 600, true),
        (i32::MAX, now - 1000 * DAY, false),
        (0, now, true),
        (i32::MIN, now, true),
        (30, now + 365 * DAY, false),
    ] {
        fs::write(user.file(), entry(&url, checked)).unwrap();
        let before = site.requests().len();
        assert_eq!(user.hash(age, &url), known());
        let text = date::format(checked);
        assert_eq!(site.requests().len() - before, usize::from(asks), "checked {text}, age {age}");
    }
}

#[test]
fn the_file_is_in_the_home_directory() {
    let program = need!(Program::test("http_hash_swf"));
    let site = Site::of_file(&plain());
    let url = site.url("/x.swf");
    for user in User::both(&program) {
        let output = program::run(user.command(30, &[&url]).env_remove("HOME"), "", LIMIT);
        assert_eq!(output.expect("without HOME"), known());
        assert!(user.cache().contains(&url), "{:?}: it is the current directory then", user.library);

        let nowhere = user.home.join("nowhere");
        let output = program::run(user.command(30, &[&url]).env("HOME", &nowhere), "", LIMIT);
        let file = nowhere.join(".swfinfo");
        let reason = "for writing, errno 2 (No such file or directory)";
        let expected = failed(&format!("couldn't open {} {reason}", file.display()));
        assert_eq!(output.expect("with a wrong HOME"), expected, "{:?}", user.library);
    }
}

#[test]
fn short_files_and_slow_servers_crash_nothing() {
    let program = need!(Program::test("http_hash_swf"));
    let user = User::new(&program, Library::Ours);
    for body in [&b"F"[..], b"FWS", b"CWS\x0a\0\0\0"] {
        let site = Site::sending(response("200 OK", body));
        let output = user.hash(0, &site.url("/short.swf"));
        assert!(output.starts_with(&format!("result 0, size {},", body.len())), "{output}");
    }
    for file in [plain(), deflated(&plain())] {
        let whole = response("200 OK", &file);
        // The head and the first bytes of the body in pieces of one byte.
        let (first, rest) = whole.split_at(whole.len() - file.len() + 12);
        let mut steps: Vec<_> = first.iter().map(|byte| Step::Send(vec![*byte])).collect();
        steps.push(Step::Send(rest.to_vec()));
        assert_eq!(user.hash(0, &Site::new(&steps).url("/slow.swf")), known());
    }
}

#[test]
fn damaged_files_are_hashed_up_to_the_damage_as_on_the_original() {
    let program = need!(Program::test("http_hash_swf"));
    let file = deflated(&plain());
    let mut wrong_checksum = file.clone();
    *wrong_checksum.last_mut().unwrap() ^= 1;
    let garbage = b"CWS\x0a\0\0\0\0no zlib stream at all".to_vec();
    for body in [garbage, file[..file.len() - 4].to_vec(), wrong_checksum] {
        let site = Site::of_file(&body);
        let users = User::both(&program);
        let outputs: Vec<_> = users.iter().map(|user| user.hash(0, &site.url("/x.swf"))).collect();
        assert!(outputs[0].starts_with("result 0, size "), "{}", outputs[0]);
        assert!(outputs.iter().all(|output| *output == outputs[0]), "{outputs:?}");
    }
}

#[test]
fn files_that_grow_beyond_64_mib_are_refused() {
    let program = need!(Program::test("http_hash_swf"));
    let user = User::new(&program, Library::Ours);
    let bomb = deflated(&[b"FWS\x0a\0\0\0\x04".as_slice(), &vec![0; 64 << 20]].concat());
    assert!(bomb.len() < 1 << 20);
    let site = Site::of_file(&bomb);
    let url = site.url("/x.swf");
    let error = format!("swfurl {url}: an SWF file of more than 64 MiB is too large");
    assert_eq!(user.hash(30, &url), failed(&error));
    assert_eq!(user.cache(), "");
}

#[test]
fn an_endless_body_is_refused() {
    let program = need!(Program::test("http_hash_swf"));
    let mut steps = vec![Step::Send(b"HTTP/1.0 200 OK\r\n\r\n".to_vec())];
    steps.resize(80, Step::Send(vec![b'x'; 1 << 20]));
    let site = Site::new(&steps);
    let url = site.url("/x.swf");
    let error = format!("swfurl {url}: an SWF file of more than 64 MiB is too large");
    assert_eq!(User::new(&program, Library::Ours).hash(30, &url), failed(&error));
}

#[test]
fn another_file_of_the_same_name_has_its_own_hash() {
    let program = need!(Program::test("http_hash_swf"));
    let user = User::new(&program, Library::Ours);
    let site = Site::of_file(&plain());
    let other = entry(&site.url("/d/x.swf"), now()).replace("39fdf2", "000000");
    fs::write(user.file(), other).unwrap();
    for path in ["/other/x.swf", "/d/x.swfish", "/d/x.sw", "/x.swf"] {
        assert_eq!(user.hash(30, &site.url(path)), known(), "{path}");
    }
    assert_eq!(site.requests().len(), 4);
}

#[test]
fn damaged_entries_are_asked_for_again_and_replaced() {
    let program = need!(Program::test("http_hash_swf"));
    let user = User::new(&program, Library::Ours);
    let site = Site::of_file(&plain());
    let url = site.url("/x.swf");
    let neighbour = entry("http://127.0.0.1:1/neighbour.swf", now());
    let good = entry(&url, now());
    let damages = [
        (good.replace(HASH, &HASH.repeat(10)), true),
        (good.replace(HASH, "39fd"), true),
        (good.replace("size: 00001390", "size: zzz"), true),
        (good.replace("ctim: ", "ctim: x y "), true),
        (format!("url: {url}\nctim: \n"), true),
        ("\0\u{ff}\n\n: \nhash: \nurl:\nurl: ".to_owned(), true),
        (good.replace(MODIFIED, &"d".repeat(5000)), false),
        (good.trim_end().to_owned(), false),
        (good.replace('\n', "\r\n"), false),
    ];
    for (damaged, asks) in damages {
        fs::write(user.file(), format!("{neighbour}{damaged}")).unwrap();
        let before = site.requests().len();
        assert_eq!(user.hash(30, &url), known(), "{damaged}");
        assert_eq!(site.requests().len() - before, usize::from(asks), "{damaged}");
        if asks {
            assert!(user.cache().starts_with(&neighbour), "{}", user.cache());
            assert!(user.cache().ends_with(&format!("hash: {HASH}\n")), "{}", user.cache());
            assert_eq!(user.hash(30, &url), known());
            assert_eq!(site.requests().len() - before, 1, "it was repaired: {}", user.cache());
        }
    }
}

#[test]
fn a_kept_date_that_is_too_long_is_not_sent() {
    let program = need!(Program::test("http_hash_swf"));
    let user = User::new(&program, Library::Ours);
    let site = Site::of_file(&plain());
    let url = site.url("/x.swf");
    fs::write(user.file(), entry(&url, now()).replace(MODIFIED, &"d".repeat(64))).unwrap();
    assert_eq!(user.hash(0, &url), known());
    assert!(!site.requests()[0].contains("If-Modified-Since"));
}

#[test]
fn a_long_last_modified_is_not_kept() {
    let program = need!(Program::test("http_hash_swf"));
    let user = User::new(&program, Library::Ours);
    let long = "d".repeat(300);
    let site = Site::sending(response(&format!("200 OK\r\nLast-Modified: {long}"), &plain()));
    assert_eq!(user.hash(30, &site.url("/x.swf")), known());
    assert!(user.cache().contains("\ndate: \n"), "{}", user.cache());
}

#[test]
fn the_file_is_private_and_replaced_as_a_whole() {
    let program = need!(Program::test("http_hash_swf"));
    let user = User::new(&program, Library::Ours);
    let site = Site::of_file(&plain());
    let elsewhere = user.home.join("elsewhere");
    fs::write(&elsewhere, "keep me").unwrap();
    symlink(&elsewhere, user.file()).unwrap();
    assert_eq!(user.hash(30, &site.url("/x.swf")), known());
    assert_eq!(fs::read_to_string(&elsewhere).unwrap(), "keep me");
    let metadata = fs::symlink_metadata(user.file()).unwrap();
    assert!(metadata.is_file());
    assert_eq!(metadata.permissions().mode() & 0o777, 0o600);
    let directory = fs::read_dir(user.home.path()).unwrap();
    let mut names: Vec<_> = directory.map(|entry| entry.unwrap().file_name()).collect();
    names.sort();
    assert_eq!(names, [".swfinfo", "elsewhere"]);
}

#[test]
fn pipe_in_place_of_the_file_blocks_nothing() {
    let program = need!(Program::test("http_hash_swf"));
    let user = User::new(&program, Library::Ours);
    assert!(Command::new("mkfifo").arg(user.file()).status().unwrap().success());
    let site = Site::of_file(&plain());
    assert_eq!(user.hash(30, &site.url("/x.swf")), known());
    assert!(fs::metadata(user.file()).unwrap().is_file());
}

#[test]
fn leftovers_of_a_dead_writer_are_removed() {
    let program = need!(Program::test("http_hash_swf"));
    let user = User::new(&program, Library::Ours);
    let site = Site::of_file(&plain());
    let left = user.home.join(".swfinfo.new");
    fs::write(&left, "half an ent").unwrap();
    // Another process may still be writing: the hash is returned, but not stored.
    assert_eq!(user.hash(30, &site.url("/x.swf")), known());
    assert_eq!(user.cache(), "");
    let file = fs::File::options().write(true).open(&left).unwrap();
    file.set_modified(SystemTime::now() - Duration::from_secs(60)).unwrap();
    assert_eq!(user.hash(30, &site.url("/x.swf")), known());
    assert!(user.cache().starts_with("url: "));
    assert!(!left.exists());
}

#[test]
fn processes_that_write_at_the_same_time_lose_nothing() {
    let program = need!(Program::test("http_hash_swf"));
    let user = User::new(&program, Library::Ours);
    let site = Site::of_file(&plain());
    let start = |process: usize| {
        let urls: Vec<_> = (0..10).map(|file| site.url(&format!("/{process}/{file}.swf"))).collect();
        Running::start(&mut user.command(30, &urls.iter().map(String::as_str).collect::<Vec<_>>()))
    };
    let mut running: Vec<_> = (0..4).map(start).collect();
    for process in &mut running {
        assert!(process.wait(LIMIT).is_some_and(|status| status.success()));
        assert_eq!(process.stdout(), known().repeat(10));
    }
    let cache = user.cache();
    for (process, file) in (0..4).flat_map(|process| (0..10).map(move |file| (process, file))) {
        let url = format!("url: {}\n", site.url(&format!("/{process}/{file}.swf")));
        assert_eq!(cache.matches(&url).count(), 1, "{url}");
    }
    assert_eq!(cache.lines().count(), 40 * 5);
}
