//! `HTTP_get` end to end: a C program against a scripted server, on librtmp 2.4 where it does not crash, and
//! on ours.
#![forbid(unsafe_code)]

use std::{fs, path::Path, time::Duration};

use crate::support::{
    Library, Program, TempDir,
    certs::{Authority, Valid},
    program,
    servers::https_server,
};
use crate::web::{Site, Step};

const LIMIT: Duration = Duration::from_secs(60);

const OK: &str = "HTTP/1.0 200 OK\r\nContent-Length: 5\r\nLast-Modified: now\r\n\r\nhello";

fn send(bytes: impl AsRef<[u8]>) -> Step {
    Step::Send(bytes.as_ref().to_vec())
}

/// The program's output for a result, a status, a date and a body.
fn report(result: u32, status: i32, date: &str, body: &str) -> String {
    let size = 100 + body.len();
    let callback = if body.is_empty() {
        String::new()
    } else {
        format!("in the callback: status {status}, date \"{date}\", wrong arguments 0, wrong size 0\n")
    };
    let shown = body.replace('\r', "\\0d").replace('\n', "\\0a");
    format!(
        "result {result}, status {status}, size {size}, date \"{date}\"\n{callback}body {}:{shown}\n",
        body.len()
    )
}

/// Runs the program with our library.
fn get(program: &Program, arguments: &[&str]) -> String {
    let run = program.run(Library::Ours, arguments, "", LIMIT).expect("ours is there");
    run.expect(&format!("HTTP_get of {arguments:?}"))
}

/// Runs the program on both libraries, which must do the same.
fn get_on_both(program: &Program, arguments: &[&str], expected: &str) {
    assert_eq!(get(program, arguments), expected, "ours: {arguments:?}");
    if let Some(run) = program.run(Library::Original, arguments, "", LIMIT) {
        assert_eq!(run.expect("the original"), expected, "the original: {arguments:?}");
    }
}

#[test]
fn responses_have_the_same_result_as_with_librtmp() {
    let program = need!(Program::test("http_get"));
    let chunked = "5\r\nabcde\r\n0\r\n\r\n";
    let cases: [(&[Step], String); 20] = [
        (&[send(OK)], report(0, 200, "now", "hello")),
        (&[send(format!("{OK} world")), Step::Silence], report(0, 200, "now", "hello world")),
        (&[send("HTTP/1.0 200 OK")], report(3, 200, "", "")),
        (&[send("HTTP/1.0 304 Not")], report(1, 304, "", "")),
        (&[send("HTTP/1.1 304 x\r\nLast-Modified: a\r\n\r\nb"), Step::Silence], report(1, 304, "", "")),
        (&[send("HTTP/1.1 404 x\r\nLast-Modified: a\r\n\r\nno")], report(2, 404, "a", "no")),
        (&[send("HTTP/1.1 404 x\r\nContent-Length: 9\r\n\r\nno")], report(6, 404, "", "no")),
        (&[send("HTTP/1.1 403 x\r\n\r\nno")], report(3, 403, "", "no")),
        (&[send("HTTP/1.1 503 x\r\n\r\nno")], report(4, 503, "", "no")),
        (&[send("HTTP/1.1 302 x\r\nLocation: /\r\n\r\nno")], report(5, 302, "", "no")),
        (&[send("HTTP/1.1 206 x\r\n\r\npart")], report(0, 206, "", "part")),
        (
            &[send("HTTP/1.1 100 x\r\n\r\nHTTP/1.1 200 x\r\n\r\n")],
            report(0, 100, "", "HTTP/1.1 200 x\r\n\r\n"),
        ),
        (&[send("HTTP/1.1 200 x\r\nContent-Length: -5\r\n\r\nab")], report(0, 200, "", "ab")),
        (&[send("HTTP/1.1 200 x\r\nCONTENT-length: 2x\r\n\r\nab"), Step::Silence], report(0, 200, "", "ab")),
        (&[send("HTTP/1.1 200 x\r\n junk\r\nno colon\r\nX: y\r\n\r\nab")], report(0, 200, "", "ab")),
        (
            &[send(format!("HTTP/1.1 200 x\r\nTransfer-Encoding: chunked\r\n\r\n{chunked}"))],
            report(0, 200, "", chunked),
        ),
        (&[send("HTTP/2 200 x\r\n\r\n")], report(3, -1, "", "")),
        (&[send("SSH-2.0\r\n")], report(3, -1, "", "")),
        (&[], report(6, -1, "", "")),
        (&[send("HTTP/1.1 200 x\r\n\r\n")], report(0, 200, "", "")),
    ];
    for (steps, expected) in &cases {
        let site = Site::new(steps);
        get_on_both(&program, &[&site.url("/")], expected);
    }
}

#[test]
fn incomplete_response_head_is_a_lost_connection() {
    let program = need!(Program::test("http_get"));
    let site = Site::sending("HTTP/1.1 200 x\r\nLast-Modified: a\r\n");
    assert_eq!(get(&program, &[&site.url("/")]), report(6, 200, "", ""));
}

#[test]
fn pauses_of_five_seconds_end_a_response() {
    let program = need!(Program::test("http_get"));
    let cases: [(&[Step], String); 3] = [
        (&[Step::Silence], report(6, -1, "", "")),
        (&[send("HTTP/1.1 200 x\r\n\r\nab"), Step::Silence], report(0, 200, "", "ab")),
        (&[send("HTTP/1.1 200 x\r\nContent-Length: 3\r\n\r\nab"), Step::Silence], report(6, 200, "", "ab")),
    ];
    std::thread::scope(|scope| {
        for (steps, expected) in &cases {
            scope.spawn(|| {
                let site = Site::new(steps);
                get_on_both(&program, &[&site.url("/")], expected);
            });
        }
    });
}

#[test]
fn requests_are_those_of_librtmp() {
    let program = need!(Program::test("http_get"));
    let site = Site::sending(OK);
    let expected = report(0, 200, "now", "hello");
    get_on_both(&program, &[&site.url("/d/x.swf?q=1#f")], &expected);
    get_on_both(&program, &[&site.url("/"), "Mon, 01 Jan 2024 00:00:00 GMT"], &expected);
    let expected = [
        "GET /d/x.swf?q=1#f HTTP/1.0\r\nUser-Agent: Mozilla/5.0\r\nHost: 127.0.0.1\r\n\
         Referer: http://127.0.0.1:PORT/\r\n\r\n",
        "GET / HTTP/1.0\r\nUser-Agent: Mozilla/5.0\r\nHost: 127.0.0.1\r\nReferer: http://127.0.0.1:PORT/\r\n\
         If-Modified-Since: Mon, 01 Jan 2024 00:00:00 GMT\r\n\r\n",
    ];
    let requests = site.requests();
    let runs = requests.len() / expected.len();
    assert!(runs > 0);
    for (index, request) in requests.iter().enumerate() {
        assert_eq!(request, expected[index / runs]);
    }
}

#[test]
fn urls_are_parsed_as_by_librtmp() {
    let program = need!(Program::test("http_get"));
    let site = Site::sending(OK);
    for scheme in ["HTTP", "httpx"] {
        let url = site.url("/").replace("http", scheme);
        get_on_both(&program, &[&url], &report(0, 200, "now", "hello"));
    }
    for url in ["", "http", "http:/x", "ftp://127.0.0.1/x"] {
        get_on_both(&program, &[url], &report(3, -1, "", ""));
    }
    for url in ["http:///x", "http://127.0.0.1:x/"] {
        get_on_both(&program, &[url], &report(6, -1, "", ""));
    }
    let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    get_on_both(&program, &[&format!("http://{closed}/")], &report(6, -1, "", ""));
}

#[test]
fn a_url_without_a_path_asks_for_the_root() {
    let program = need!(Program::test("http_get"));
    let site = Site::sending(OK);
    assert_eq!(get(&program, &[&site.url("")]), report(0, 200, "now", "hello"));
    assert!(site.requests()[0].starts_with("GET / HTTP/1.0\r\n"), "{:?}", site.requests());
    assert!(site.requests()[0].ends_with("Referer: http://127.0.0.1:PORT/\r\n\r\n"));
}

#[test]
fn hosts_and_paths_may_be_long() {
    let program = need!(Program::test("http_get"));
    for length in [256, 300, 100_000] {
        let url = format!("http://{}/", "h".repeat(length));
        assert_eq!(get(&program, &[&url]), report(3, -1, "", ""), "{length}");
    }
    let site = Site::sending(OK);
    let path = format!("/{}", "x".repeat(100_000));
    assert_eq!(get(&program, &[&site.url(&path)]), report(0, 200, "now", "hello"));
    assert!(site.requests()[0].starts_with(&format!("GET {path} HTTP/1.0\r\n")));
}

#[test]
fn a_url_cannot_bring_headers_of_its_own() {
    let program = need!(Program::test("http_get"));
    let site = Site::sending(OK);
    for path in ["/ HTTP/1.0\r\nCookie: x", "/\n", "/\x01", "/\x7f"] {
        assert_eq!(get(&program, &[&site.url(path)]), report(3, -1, "", ""), "{path:?}");
    }
    let output = get(&program, &[&site.url("/"), "a\r\nb: c"]);
    assert!(output.starts_with("result 3, status -1,"), "{output}");
    assert!(site.requests().is_empty());
}

#[test]
fn a_date_that_does_not_fit_is_dropped() {
    let program = need!(Program::test("http_get"));
    for (length, is_kept) in [(63, true), (64, false), (300, false), (10_000, false)] {
        let date = "d".repeat(length);
        let site = Site::sending(format!("HTTP/1.0 200 OK\r\nLast-Modified: {date}\r\n\r\nbody"));
        let kept = if is_kept { date.as_str() } else { "before" };
        assert_eq!(get(&program, &[&site.url("/"), "before"]), report(0, 200, kept, "body"), "{length}");
    }
}

#[test]
fn heads_may_arrive_in_any_pieces() {
    let program = need!(Program::test("http_get"));
    let pieces: Vec<_> = OK.bytes().map(|byte| send([byte])).collect();
    let site = Site::new(&pieces);
    assert_eq!(get(&program, &[&site.url("/")]), report(0, 200, "now", "hello"));
}

#[test]
fn heads_of_more_than_16_kib_are_refused() {
    let program = need!(Program::test("http_get"));
    let site = Site::sending(format!("HTTP/1.0 200 OK\r\nX: {}\r\n\r\nbody", "x".repeat(20_000)));
    assert_eq!(get(&program, &[&site.url("/")]), report(3, 200, "", ""));
}

#[test]
fn lines_may_end_in_lf_alone() {
    let program = need!(Program::test("http_get"));
    let site = Site::new(&[send(OK.replace("\r\n", "\n")), Step::Silence]);
    assert_eq!(get(&program, &[&site.url("/")]), report(0, 200, "now", "hello"));
}

#[test]
fn ipv6_addresses_work() {
    let program = need!(Program::test("http_get"));
    let Some(site) = Site::on("::1", &[send(OK)]) else {
        return crate::support::require::skipped("this machine has no IPv6 loopback");
    };
    let url = format!("http://[::1]:{}/x", site.port());
    assert_eq!(get(&program, &[&url]), report(0, 200, "now", "hello"));
    assert!(site.requests()[0].contains("Host: [::1]\r\n"));
}

#[test]
fn https_servers_are_verified() {
    let program = need!(Program::test("http_get"));
    let authority = need!(Authority::new());
    let folder = TempDir::new("https");
    fs::write(folder.join("x"), OK).expect("the folder is writable");
    let certificate = authority.issue("server", "IP:127.0.0.1", Valid::Now);
    let (_server, port) = need!(https_server(folder.path(), &certificate));
    let get = |variable: Option<(&str, &Path)>| {
        let mut command = program.command(Library::Ours).expect("ours is there");
        command.arg(format!("https://127.0.0.1:{port}/x")).env_remove("SSL_CERT_FILE").envs(variable);
        program::run(&mut command, "", LIMIT)
    };
    for way in [("SSL_CERT_FILE", &*authority.certificate()), ("RTMP_TLS_VERIFY", Path::new("0"))] {
        assert_eq!(get(Some(way)).stdout, report(0, 200, "now", "hello"), "{way:?}");
    }
    let refused = get(None);
    assert_eq!(refused.stdout, report(6, -1, "", ""));
    assert!(refused.stderr.contains("SSL_CERT_FILE"), "the log names the way out: {}", refused.stderr);
}
