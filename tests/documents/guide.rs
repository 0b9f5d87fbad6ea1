//! The guide in `docs` and README: their code is that of files that compile and run, their links hold, and mdBook can build the
//! guide.
//!
//! `make guide` writes the files' text into the documents; without it these tests only compare. The line before a block says
//! where the block is tested:
//!
//! - `<!-- code: FILE -->` or `<!-- code: FILE#PART -->`: it is the text of a file that the tests compile and run.
//! - `<!-- run -->`: `shell_lines_of_the_guide_work` runs it.
//! - `<!-- run: tools -->`: `command_lines_of_the_tools_work` runs each line.
//! - `<!-- run: README -->`: `every_line_of_readme_works_in_order_and_twice` runs it after the lines of README.
//! - `<!-- not run: REASON -->`: nothing runs it.
#![forbid(unsafe_code)]

use std::{
    collections::BTreeSet,
    env, fs,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use crate::support::certs::{Authority, Valid};
use crate::support::examples::ExampleServer;
use crate::support::front::Front;
use crate::support::library::{package, scratch};
use crate::support::process::{free_port, listens, wait_until};
use crate::support::proxy;
use crate::support::wire::Message;
use crate::support::{Library, Peer, Program, Run, Running, Server, TempDir, clip, flv, program, require};

const LIMIT: Duration = Duration::from_secs(60);

/// All files with this extension below a directory of the package.
fn files(directory: &str, extension: &str) -> Vec<PathBuf> {
    let entries = fs::read_dir(package().join(directory)).expect("the directory is there");
    let paths = entries.map(|entry| entry.expect("the directory is readable").path());
    let mut files: Vec<_> =
        paths.filter(|path| path.extension().is_some_and(|found| found == extension)).collect();
    files.sort();
    files
}

fn chapters() -> Vec<PathBuf> {
    files("docs/src", "md")
}

/// The text of a file, or of the part between `[name]` and `[name end]` in it, as it stands in a chapter.
fn source(reference: &str) -> String {
    let (file, part) = reference.split_once('#').unwrap_or((reference, ""));
    let path = package().join(file);
    let text = fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    // Marks of other parts are not for readers.
    let is_mark = |line: &str| {
        let comment =
            line.trim().trim_start_matches("//").trim_start_matches("/*").trim_end_matches("*/").trim();
        comment.len() < line.trim().len() && comment.starts_with('[') && comment.ends_with(']')
    };
    if part.is_empty() {
        return text.lines().filter(|line| !is_mark(line)).map(|line| format!("{line}\n")).collect();
    }
    let lines: Vec<_> = text.lines().collect();
    let find = |mark: String| {
        let at = lines.iter().position(|line| line.contains(&mark));
        at.unwrap_or_else(|| panic!("{file} has no {mark}"))
    };
    let part = &lines[find(format!("[{part}]")) + 1..find(format!("[{part} end]"))];
    let indent = part.iter().filter(|line| !line.trim().is_empty());
    let indent = indent.map(|line| line.len() - line.trim_start().len()).min().unwrap_or(0);
    let part = part.iter().filter(|line| !is_mark(line));
    part.map(|line| format!("{}\n", line.get(indent..).unwrap_or(""))).collect()
}

/// A chapter with the text of the files in the blocks that name one: `<!-- code: FILE -->` or `<!-- code: FILE#PART -->`
/// before the block.
fn with_sources(chapter: &str) -> String {
    let mut result = String::new();
    let mut lines = chapter.lines();
    while let Some(line) = lines.next() {
        result.push_str(line);
        result.push('\n');
        let Some(reference) = line.strip_prefix("<!-- code: ").and_then(|rest| rest.strip_suffix(" -->"))
        else {
            continue;
        };
        let fence = lines.next().unwrap_or_default();
        assert!(fence.starts_with("```"), "no block behind {line}");
        while lines.next().is_some_and(|line| line != "```") {}
        result.push_str(&format!("{fence}\n{}```\n", source(reference)));
    }
    result
}

/// The chapters and README.
fn chapters_and_readme() -> Vec<PathBuf> {
    let mut documents = chapters();
    documents.push(package().join("README.md"));
    documents
}

#[test]
fn code_in_the_guide_matches_the_files() {
    for path in chapters_and_readme() {
        let chapter = fs::read_to_string(&path).expect("it is readable");
        let expected = with_sources(&chapter);
        if env::var_os("WRITE_GUIDE").is_some() {
            fs::write(&path, &expected).expect("the package is writable");
        } else {
            assert!(chapter == expected, "{} is out of date, run `make guide`", path.display());
        }
    }
}

#[test]
fn every_code_block_is_tested_or_says_why_not() {
    let mut not_run = Vec::new();
    for path in chapters_and_readme() {
        let text = fs::read_to_string(&path).expect("it is readable");
        let (mut before, mut inside) = ("", false);
        for line in text.lines() {
            let is_fence = line.starts_with("```");
            if is_fence && !inside {
                let language = &line[3..];
                let tested = match language {
                    "text" => true, // diagrams, forms of URLs, and output
                    "sh" => ["<!-- run -->", "<!-- run: tools -->", "<!-- run: README -->"].contains(&before),
                    // The example of the crate's documentation, see `rust_in_readme_is_the_example_of_the_crate`.
                    "rust" if path.ends_with("README.md") => true,
                    _ => before.starts_with("<!-- code: "),
                };
                let reason = before.strip_prefix("<!-- not run: ");
                not_run.extend(reason.map(|reason| format!("{}: {reason}", path.display())));
                assert!(
                    tested || reason.is_some(),
                    "{}: a block of {language:?} without a test",
                    path.display()
                );
            }
            inside ^= is_fence;
            before = line;
        }
    }
    assert!(not_run.len() <= 5, "too much is not run:\n{}", not_run.join("\n"));
}

#[test]
fn rust_in_readme_is_the_example_of_the_crate() {
    let readme = fs::read_to_string(package().join("README.md")).expect("it is readable");
    let (_, block) = readme.split_once("```rust\n").expect("README has a Rust program");
    let (block, _) = block.split_once("```").expect("it ends");
    let comment: String =
        block.lines().map(|line| format!("//! {line}").trim_end().to_owned() + "\n").collect();
    let crate_documentation = fs::read_to_string(package().join("rtmp/src/lib.rs")).expect("it is readable");
    assert!(
        crate_documentation.contains(&comment),
        "rtmp/src/lib.rs has no example with these lines:\n{comment}"
    );
}

/// The targets of the links of a text, without those in code.
fn links(text: &str) -> Vec<String> {
    let outside: String = text.split("```").step_by(2).collect();
    let outside: String = outside.split('`').step_by(2).collect();
    let parts = outside.split("](").skip(1);
    parts.filter_map(|part| Some(part.split_once(')')?.0.to_owned())).collect()
}

/// The anchors of a text's headings, as GitHub and mdBook make them.
fn anchors(text: &str) -> BTreeSet<String> {
    let outside = text.split("```").step_by(2).collect::<String>();
    let headings =
        outside.lines().filter_map(|line| Some(line.strip_prefix('#')?.trim_start_matches('#').trim()));
    let mut anchors = BTreeSet::new();
    for heading in headings {
        let lower = heading.to_lowercase();
        let kept = lower.chars().filter(|letter| letter.is_alphanumeric() || " -_".contains(*letter));
        anchors.insert(kept.map(|letter| if letter == ' ' { '-' } else { letter }).collect());
    }
    anchors
}

#[test]
fn links_of_all_documents_hold() {
    let mut documents = chapters();
    documents.extend(files(".", "md"));
    documents.extend(["c-examples/README.md", "benches/README.md"].map(|name| package().join(name)));
    let mut seen = 0;
    for path in documents {
        let text = fs::read_to_string(&path).expect("it is readable");
        for link in links(&text) {
            if link.starts_with("http://") || link.starts_with("https://") {
                continue;
            }
            seen += 1;
            let (file, anchor) = link.split_once('#').unwrap_or((&link, ""));
            let target = if file.is_empty() { path.clone() } else { path.with_file_name(file) };
            assert!(target.exists(), "{}: {link} leads nowhere", path.display());
            if !anchor.is_empty() {
                let text = fs::read_to_string(&target).expect("it is readable");
                assert!(anchors(&text).contains(anchor), "{}: there is no {link}", path.display());
            }
        }
    }
    assert!(seen > 30, "{seen} links");
}

/// The number of cells in a row of a table. A `|` in code or after a backslash is text.
fn cells(row: &str) -> usize {
    let text: String = row.replace("\\|", " ").split('`').step_by(2).collect();
    text.matches('|').count() - 1
}

#[test]
fn rows_of_a_table_have_as_many_cells_as_its_head() {
    let mut documents = chapters_and_readme();
    documents.extend(
        ["SECURITY.md", "CONTRIBUTING.md", "PROMISES.md", "benches/README.md", "c-examples/README.md"]
            .map(|name| package().join(name)),
    );
    let mut tables = 0;
    for path in documents {
        let text = fs::read_to_string(&path).expect("it is readable");
        let mut head = None;
        let mut is_code = false;
        for (number, line) in (1..).zip(text.lines()) {
            is_code ^= line.starts_with("```");
            if is_code || !line.starts_with('|') {
                head = None;
                continue;
            }
            tables += usize::from(head.is_none());
            let head = *head.get_or_insert_with(|| cells(line));
            assert_eq!(cells(line), head, "{}:{number}: {line}", path.display());
        }
    }
    assert!(tables > 30, "{tables} tables");
}

#[test]
fn the_summary_lists_every_chapter_once() {
    let summary = fs::read_to_string(package().join("docs/src/SUMMARY.md")).expect("it is there");
    let mut listed = links(&summary);
    listed.sort();
    let mut found: Vec<_> =
        chapters().iter().map(|path| path.file_name().unwrap().to_str().unwrap().to_owned()).collect();
    found.retain(|name| name != "SUMMARY.md");
    assert_eq!(listed, found);
    // On pages without a sidebar, the table of the first chapter is the way to the others.
    let index = fs::read_to_string(package().join("docs/src/index.md")).expect("it is there");
    let reached: BTreeSet<_> = links(&index).into_iter().collect();
    found.retain(|name| name != "index.md" && !reached.contains(name));
    assert!(found.is_empty(), "no link in index.md: {found:?}");
}

#[test]
fn mdbook_builds_the_guide() {
    let mdbook = scratch().with_file_name("test-tools").join("mdbook/bin/mdbook");
    let mdbook = if mdbook.exists() { mdbook } else { need!(require::program("mdbook")) };
    let directory = TempDir::new("book");
    let mut build = Command::new(mdbook);
    build.arg("build").arg("--dest-dir").arg(directory.path()).arg(package().join("docs"));
    let run = program::run(&mut build, "", LIMIT);
    assert_eq!(run.code, Some(0), "{run:?}");
    assert!(!run.stderr.contains("WARN") && !run.stderr.contains("ERROR"), "{}", run.stderr);
    let page = fs::read_to_string(directory.join("index.html")).expect("it was built");
    assert!(page.contains("librtmp"), "{page}");
}

/// The shell lines of a chapter that the test runs, after `<!-- run -->`.
fn shell_lines(chapter: &str) -> String {
    let blocks = chapter.split("<!-- run -->\n```sh\n").skip(1);
    blocks.map(|block| block.split("```").next().expect("split gives something")).collect()
}

/// What a reader types, in a directory with the files that the chapters show, and with the tools of `make install-tools`.
#[test]
fn shell_lines_of_the_guide_work() {
    for program in ["cc", "c++", "pkg-config", "openssl", "python3", "ffmpeg", "go", "java"] {
        need!(require::program(program));
    }
    need!(require::file(&PathBuf::from("/usr/share/java/jna.jar")));
    let clip = need!(clip::flv());
    let directory = TempDir::new("guide-shell");
    for source in
        [files("c-examples/guide", "c"), files("c-examples/ffi", "cpp"), files("c-examples/ffi", "py")]
            .concat()
    {
        fs::copy(&source, directory.join(source.file_name().expect("it has a name")))
            .expect("it is writable");
    }
    for name in ["rtmp.go", "Rtmp.java"] {
        fs::copy(package().join("c-examples/ffi").join(name), directory.join(name)).expect("it is writable");
    }
    fs::create_dir(directory.join("films")).expect("the build directory is writable");
    for name in ["films/stream.flv", "demo.flv", "film.flv", "film.mp4"] {
        fs::copy(&clip, directory.join(name)).expect("the build directory is writable");
    }
    let library = Library::Ours.directory().expect("ours is always there");
    fs::write(
        directory.join("librtmp.pc"),
        format!(
            "Name: librtmp\nDescription: built here\nVersion: 2.4\nLibs: -L{} -lrtmp\nCflags: -I{}\n",
            library.display(),
            package().join("include").display()
        ),
    )
    .expect("the build directory is writable");
    fs::create_dir(directory.join("bin")).expect("the build directory is writable");
    for tool in ["receive", "publish", "server"] {
        let program = need!(Program::example(tool)).path().to_owned();
        std::os::unix::fs::symlink(program, directory.join("bin").join(format!("rtmp-{tool}")))
            .expect("the build directory takes symbolic links");
    }
    let server = need!(ExampleServer::start(Library::Ours, &directory.join("films")));
    let mut chapters_run = 0;
    // In the order in which they are read.
    let summary = fs::read_to_string(package().join("docs/src/SUMMARY.md")).expect("it is there");
    for path in links(&summary).iter().map(|name| package().join("docs/src").join(name)) {
        let chapter = fs::read_to_string(&path).expect("it is readable");
        let lines = shell_lines(&chapter);
        if lines.is_empty() {
            continue;
        }
        chapters_run += 1;
        let [own, tls] = [free_port(), free_port()];
        let lines = lines
            .replace("rtmp://localhost/", &server.url("rtmp", ""))
            .replace("127.0.0.1/", &format!("127.0.0.1:{own}/"))
            .replace("./serve 1935", &format!("./serve {own}"))
            .replace("--tls-port 1936", &format!("--port 0 --tls-port {tls}"))
            .replace(":1936/", &format!(":{tls}/"))
            .replace(" &\n", " &\nbackground=\"$background $!\"; sleep 1\n");
        let script = format!("set -e\ntrap 'kill $background 2>/dev/null || :' EXIT\n{lines}");
        let mut shell = Command::new("sh");
        shell.current_dir(directory.path()).args(["-c", &script]);
        let path_variable = env::var("PATH").unwrap_or_default();
        shell.env("PATH", format!("{}:{path_variable}", directory.join("bin").display()));
        shell.env("PKG_CONFIG_PATH", directory.path()).env("LD_LIBRARY_PATH", &library);
        shell.env("GO111MODULE", "off").env("GOCACHE", scratch().with_file_name("go-cache"));
        shell.env("CGO_LDFLAGS", format!("-L{}", library.display()));
        program::run(&mut shell, "", Duration::from_secs(300))
            .expect(&format!("{}: {script}", path.display()));
    }
    assert!(chapters_run > 4, "{chapters_run} chapters");
    assert!(
        fs::metadata(directory.join("copy.flv")).is_ok_and(|data| data.len() > 1000),
        "of the chapter on TLS"
    );
}

/// A program of `c-examples/guide`.
fn guide(name: &str) -> Option<Program> {
    Program::of_ours(&package().join("c-examples/guide").join(name).with_extension("c"))
}

fn run(name: &str, arguments: &[&str]) -> Option<Run> {
    guide(name)?.run(Library::Ours, arguments, "", LIMIT)
}

#[test]
fn every_program_of_the_guide_compiles_and_is_shown() {
    let shown: String =
        chapters_and_readme().iter().map(|path| fs::read_to_string(path).expect("it is readable")).collect();
    for path in files("c-examples/guide", "c") {
        need!(Program::of_ours(&path));
        let name = path.file_name().expect("it has a name").to_str().expect("it is text");
        assert!(shown.contains(&format!("<!-- code: c-examples/guide/{name}")), "no chapter shows {name}");
    }
    for path in files("rtmp/examples", "rs") {
        let name = path.file_name().expect("it has a name").to_str().expect("it is text");
        assert!(shown.contains(&format!("<!-- code: rtmp/examples/{name}")), "no chapter shows {name}");
    }
}

/// The lines of the blocks after `<!-- run: tools -->`.
fn lines_of_tools() -> Vec<String> {
    let mut lines = Vec::new();
    for path in chapters() {
        let chapter = fs::read_to_string(&path).expect("it is readable");
        for block in chapter.split("<!-- run: tools -->\n```sh\n").skip(1) {
            lines
                .extend(block.split("```").next().expect("split gives something").lines().map(str::to_owned));
        }
    }
    lines
}

/// Whether a file in a directory, whose name starts like this, has more than 10000 bytes.
fn has_data(directory: &TempDir, start: &str) -> bool {
    let entries = fs::read_dir(directory.path()).expect("it is readable");
    entries.flatten().any(|entry| {
        let begins = entry.file_name().to_str().is_some_and(|name| name.starts_with(start));
        begins && entry.metadata().is_ok_and(|data| data.len() > 10_000)
    })
}

/// Each line runs until its effect is seen. Live streams have a publisher, and end with it.
#[test]
fn command_lines_of_the_tools_work() {
    let clip = need!(clip::flv());
    let directory = TempDir::new("guide-tools");
    for name in ["films", "bin"] {
        fs::create_dir(directory.join(name)).expect("the build directory is writable");
    }
    fs::copy(&clip, directory.join("clip.flv")).expect("the build directory is writable");
    for tool in ["receive", "publish", "server"] {
        let program = need!(Program::example(tool)).path().to_owned();
        std::os::unix::fs::symlink(program, directory.join("bin").join(format!("rtmp-{tool}")))
            .expect("the build directory takes symbolic links");
    }
    fs::write(directory.join("bin/ffplay"), "#!/bin/sh\nexec cat >shown\n").expect("it is writable");
    program::run(Command::new("chmod").arg("+x").arg(directory.join("bin/ffplay")), "", LIMIT)
        .expect("chmod");
    let server = need!(ExampleServer::start(Library::Ours, &directory.join("films")));
    let library = Library::Ours.directory().expect("ours is always there");
    let start = |line: &str| {
        let line = line.replace("rtmp://localhost/", &server.url("rtmp", ""));
        let mut shell = Command::new("sh");
        shell.current_dir(directory.path()).arg("-c");
        shell.arg(if line.contains('|') { line } else { format!("exec {line}") });
        let path = env::var("PATH").unwrap_or_default();
        shell.env("PATH", format!("{}:{path}", directory.join("bin").display()));
        Running::start(shell.env("LD_LIBRARY_PATH", &library))
    };
    let ends_well = |mut running: Running, line: &str| {
        let status = running.wait(LIMIT).unwrap_or_else(|| panic!("{line} does not end"));
        assert!(status.success(), "{line}: {status:?}\n{}", running.stderr());
    };
    let publish = "rtmp-publish --loop clip.flv rtmp://localhost/live/stream";
    let lines = lines_of_tools();
    assert!(lines.iter().any(|line| line == publish), "{lines:?}");
    for line in &lines {
        println!("{line}");
        let publications = || server.log().matches("publishes live/stream").count();
        let before = publications();
        if line.starts_with("rtmp-receive ") {
            let publisher = start(publish);
            assert!(wait_until(LIMIT, || publications() > before), "{}", publisher.stderr());
            let output = line.split(" -o ").nth(1).expect("there is an output").split(['.', ' ']).next();
            let output = output.filter(|name| *name != "-").unwrap_or("shown");
            // Of an earlier line.
            let _ = fs::remove_file(directory.join(format!("{output}.flv")));
            let receiver = start(line);
            assert!(wait_until(LIMIT, || has_data(&directory, output)), "{line}: {}", receiver.stderr());
            publisher.signal("INT");
            ends_well(publisher, publish);
            ends_well(receiver, line);
        } else if line.starts_with("rtmp-publish ") {
            let publisher = start(line);
            assert!(wait_until(LIMIT, || publications() > before), "{}", publisher.stderr());
            publisher.signal("INT");
            ends_well(publisher, line);
        } else {
            let another = start(&format!("{line} --port 0"));
            assert!(wait_until(LIMIT, || another.stdout().contains("listening on ")), "{}", another.stderr());
            assert!(directory.join("recordings").exists());
            another.signal("INT");
            ends_well(another, line);
        }
    }
}

#[test]
fn programs_of_the_guide_work_as_described() {
    let clip = need!(clip::flv());
    let directory = TempDir::new("guide");
    fs::copy(&clip, directory.join("film.flv")).expect("the build directory is writable");
    let film = flv::load(&clip);
    let options = ["-r", &directory.path().to_string_lossy()];
    let server = need!(ExampleServer::start_with(Library::Ours, directory.path(), None, &options, &[]));
    let url = server.url("rtmp", "vod/film");
    let nobody = format!("rtmp://127.0.0.1:{}/app/name", free_port());
    let at = |name: &str| directory.join(name).to_string_lossy().into_owned();

    need!(run("record", &[&url, &at("copy.flv")])).expect("record");
    flv::assert_equal(&flv::readable(&film), &flv::load(&directory.join("copy.flv")), "record");
    let failed = need!(run("record", &[&nobody, &at("none.flv")]));
    assert_eq!(failed.code, Some(1));
    assert!(failed.stderr.starts_with("connect: connection refused by"), "{failed:?}");

    let played = need!(guide("play")).command(Library::Ours);
    let played = need!(played).arg(&url).output().expect("it was compiled");
    assert!(played.status.success(), "{played:?}");
    fs::write(directory.join("played.flv"), played.stdout).expect("the build directory is writable");
    flv::assert_equal(&flv::readable(&film), &flv::load(&directory.join("played.flv")), "play");

    need!(run("publish_file", &[&at("film.flv"), &server.url("rtmp", "live/published")]))
        .expect("publish_file");
    let frames = |tags: &[flv::Tag]| tags.iter().filter(|tag| tag.kind != 18).cloned().collect::<Vec<_>>();
    let published = directory.join("published.flv");
    let whole = || fs::read(&published).is_ok_and(|data| data.len() > 1000);
    assert!(wait_until(LIMIT, whole), "nothing was recorded");
    server.wait_for_log("ends published");
    flv::assert_equal(&frames(&film), &frames(&flv::load(&published)), "publish_file");

    let printed = need!(run("metadata", &[&url])).expect("metadata");
    assert!(printed.contains("videocodecid = 7") && printed.contains("duration = "), "{printed}");
    let printed = need!(run("bitrate", &[&url])).expect("bitrate");
    assert!(printed.starts_with("audio ") && printed.contains(" kbit/s, video "), "{printed}");
    let printed = need!(run("options", &["TIMEOUT", "20", "pubUser", "me", &server.url("rtmp", "live/o")]));
    assert_eq!(printed.expect("options"), "connected\n");
    let refused = need!(run("options", &["lvie", "1", &url]));
    assert!(refused.code == Some(1) && refused.stdout.starts_with("option: "), "{refused:?}");
    let printed = need!(run("own_log", &[&url])).expect("own_log");
    assert!(printed.contains("librtmp debug: ") && !printed.contains("ERROR"), "{printed}");
    assert!(need!(run("own_log", &[&nobody])).stdout.contains("librtmp error: "));
    assert_eq!(need!(run("threads", &[&server.url("rtmp", "live/t")])).expect("threads"), "sent\n");
    assert_eq!(need!(run("reconnect", &[&url, &at("rec"), "3"])).code, Some(0));
    assert!(directory.join("rec.1.flv").exists());
    let again = need!(run("reconnect", &[&nobody, &at("none"), "2"]));
    assert!(again.code == Some(1) && again.stderr.contains("next attempt in 1 s"), "{again:?}");

    let printed = need!(run("stats", &[&server.url("rtmp", "live/s")])).expect("stats");
    assert!(
        printed.starts_with("connected after look-up ") && printed.contains(" kbit/s out, "),
        "{printed}"
    );
    let printed = need!(run("events", &[&url])).expect("events");
    let expected =
        ["socket 1\n", "status NetConnection.Connect.Success: ", "status NetStream.Play.Start", " events\n"];
    assert!(expected.iter().all(|words| printed.contains(words)), "{printed}");
    let printed = need!(run("tracks", &[&url])).expect("tracks");
    assert!(
        printed.contains("video track 0: codec 7, ") && printed.contains("audio track 0: codec 10, "),
        "{printed}"
    );

    let printed = need!(run("event_loop", &[&url, &url])).expect("event_loop");
    assert_eq!(printed.matches(" bytes, reading: the stream has ended").count(), 2, "{printed}");
    let printed = need!(run("event_loop", &[&url, &nobody]));
    assert!(
        printed.code == Some(1) && printed.stdout.contains("stream 2: 0 bytes, connect: "),
        "{printed:?}"
    );
    assert_eq!(need!(run("streams", &[&server.url("rtmp", "live/one"), "two"])).expect("streams"), "sent\n");
    for name in ["one", "two"] {
        server.wait_for_log(&format!("ends {name}"));
        assert_eq!(flv::media(&flv::load(&directory.join(format!("{name}.flv")))).len(), 100, "{name}");
    }

    // A stream without an end.
    let endless = Server::once(|peer: &mut Peer| {
        peer.accept_play();
        peer.drain(LIMIT);
    });
    assert_eq!(need!(run("cancel", &[&endless.url()])).expect("cancel"), "cancelled\n");
    endless.join();
}

/// Makes a file of ten seconds with a key frame in each second.
fn make_long_film(file: &Path) -> Option<()> {
    let mut make = Command::new(require::program("ffmpeg")?);
    make.args([
        "-nostdin",
        "-loglevel",
        "error",
        "-f",
        "lavfi",
        "-i",
        "testsrc=size=64x48:rate=25",
        "-t",
        "10",
    ]);
    make.args(["-c:v", "libx264", "-preset", "ultrafast", "-g", "25", "-pix_fmt", "yuv420p"]);
    program::run(make.arg(file), "", LIMIT).expect("ffmpeg");
    Some(())
}

#[test]
fn a_cut_download_is_completed() {
    let directory = TempDir::new("guide-resume");
    need!(make_long_film(&directory.join("long.flv")));
    let whole = fs::read(directory.join("long.flv")).expect("ffmpeg has written it");
    let server = need!(ExampleServer::start(Library::Ours, directory.path()));
    let part = directory.join("part.flv");
    let arguments = [server.url("rtmp", "vod/long"), part.to_string_lossy().into_owned()];
    let arguments = [&arguments[0][..], &arguments[1]];
    let video = |tags: Vec<flv::Tag>| tags.into_iter().filter(|tag| tag.kind == 9).collect::<Vec<_>>();
    // The end of the file is not part of the stream.
    let expected = video(flv::readable(&flv::load(&directory.join("long.flv"))));
    for cut in [whole.len() / 3, whole.len() - 100] {
        fs::write(&part, &whole[..cut]).expect("the build directory is writable");
        assert_eq!(need!(run("resume", &arguments)).expect("resume"), "complete\n");
        let found = video(flv::readable(&flv::load(&part)));
        flv::assert_equal(&expected, &found, &format!("cut at {cut}"));
    }
    // Another stream has other metadata and key frames.
    fs::write(&part, fs::read(need!(clip::flv())).expect("it is readable")).expect("it is writable");
    let refused = need!(run("resume", &arguments));
    assert!(refused.code == Some(1) && !refused.stdout.contains("complete"), "{refused:?}");
}

#[test]
fn a_reader_continues_after_a_timeout() {
    let (go_on, wait) = std::sync::mpsc::channel::<()>();
    let server = Server::once(move |peer: &mut Peer| {
        peer.accept_play();
        for time in [0, 20, 40] {
            peer.send(&Message::new(4, time, 8, 1, &[0xAF; 33]));
            if time == 20 {
                wait.recv_timeout(LIMIT).expect("the reader times out");
            }
        }
        peer.status(1, "status", "NetStream.Play.Complete", "");
        peer.drain(LIMIT);
    });
    let mut command = need!(need!(guide("timeout")).command(Library::Ours));
    let mut running = Running::start(command.args([&server.url(), "1", "100"]));
    assert!(wait_until(LIMIT, || running.stdout().contains("no data for 1 s\n")), "{}", running.stdout());
    go_on.send(()).expect("the server waits");
    let status = running.wait(LIMIT);
    server.join();
    assert!(status.is_some_and(|status| status.success()), "{}", running.stdout());
    // A file header, and three tags with their sizes.
    let bytes = 13 + 3 * (11 + 33 + 4);
    assert!(
        running
            .stdout()
            .ends_with(&format!("{bytes} bytes, reading: the stream has ended, NetStream.Play.Complete\n")),
        "{}",
        running.stdout()
    );
}

#[test]
fn a_client_certificate_and_a_private_authority_are_used() {
    let authority = need!(Authority::new());
    let trust = authority.certificate().to_string_lossy().into_owned();
    let own = authority.issue("client", "DNS:client", Valid::Now);
    let certificate = authority.issue("server", "DNS:localhost,IP:127.0.0.1", Valid::Now);
    let server = Server::once(|peer: &mut Peer| {
        peer.accept_play();
        peer.drain(LIMIT);
    });
    let front =
        need!(Front::stunnel_for_clients_of(&authority.certificate(), &certificate, "TLSv1.3", server.port));
    let url = front.url("app", "name");
    let refused = need!(run("tls", &[&url, &trust]));
    assert_eq!(refused.code, Some(1), "without a certificate: {refused:?}");
    let elsewhere = need!(run("tls", &[&url, &own.chain.to_string_lossy()]));
    assert!(elsewhere.stdout.starts_with("no secure connection: "), "{elsewhere:?}");
    let (chain, key) = (own.chain.to_string_lossy(), own.key.to_string_lossy());
    let printed = need!(run("tls", &[&url, &trust, &chain, &key]));
    server.join();
    assert_eq!(printed.expect("tls"), "connected\n");
}

#[test]
fn a_proxy_is_used() {
    let directory = TempDir::new("guide-proxy");
    fs::copy(need!(clip::flv()), directory.join("film.flv")).expect("the build directory is writable");
    let server = need!(ExampleServer::start(Library::Ours, directory.path()));
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("loopback has a free port");
    let proxy = listener.local_addr().expect("it listens").to_string();
    proxy::relay(listener, proxy::socks4);
    let url = server.url("rtmp", "vod/film");
    assert_eq!(need!(run("proxy", &[&proxy, &url])).expect("proxy"), "connected\n");
    let refused = need!(run("proxy", &[&format!("socks5://127.0.0.1:{}", free_port()), &url]));
    assert_eq!(refused.code, Some(1), "{refused:?}");
}

#[test]
fn a_film_can_be_sought_in_and_paused() {
    let directory = TempDir::new("guide-seek");
    need!(make_long_film(&directory.join("long.flv")));
    let server = need!(ExampleServer::start(Library::Ours, directory.path()));
    let printed = need!(run("seek_pause", &[&server.url("rtmp", "vod/long")])).expect("seek_pause");
    let times: Vec<i64> = printed.split_whitespace().filter_map(|word| word.parse().ok()).collect();
    assert!(
        times.len() == 3 && times[0] >= 500 && times[1] >= 4000 && times[2] >= times[1] + 500,
        "{printed}"
    );
}

/// What an encoder makes plays, and says what it is.
#[test]
fn encoder_output_is_published_as_h264_and_aac() {
    let ffmpeg = need!(require::program("ffmpeg"));
    let ffprobe = need!(require::program("ffprobe"));
    let directory = TempDir::new("guide-encoder");
    let at = |name: &str| directory.join(name).to_string_lossy().into_owned();
    let mut make = Command::new(&ffmpeg);
    make.args(["-nostdin", "-loglevel", "error", "-f", "lavfi", "-i", "testsrc=size=320x240:rate=25"]);
    make.args([
        "-f",
        "lavfi",
        "-i",
        "sine=frequency=440",
        "-t",
        "2",
        "-c:v",
        "libx264",
        "-preset",
        "ultrafast",
    ]);
    make.args(["-x264-params", "slices=1:sliced-threads=0", "-bf", "0", "-pix_fmt", "yuv420p", "-g", "25"]);
    make.args(["-map", "0", &at("video.h264"), "-c:a", "aac", "-map", "1", "-t", "2", &at("audio.aac")]);
    program::run(&mut make, "", LIMIT).expect("ffmpeg");
    let options = ["-r", &directory.path().to_string_lossy()];
    let server = need!(ExampleServer::start_with(Library::Ours, directory.path(), None, &options, &[]));
    let url = server.url("rtmp", "live/encoded");
    let printed = need!(run("publish_encoder", &[&at("video.h264"), &at("audio.aac"), &url]));
    assert!(
        printed.expect("publish_encoder").starts_with("50 frames, 8"),
        "frames and sounds of two seconds"
    );
    server.wait_for_log("ends encoded");
    let mut probe = Command::new(ffprobe);
    probe.args(["-v", "error", "-count_frames", "-show_entries"]);
    probe.args(["stream=codec_name,width,sample_rate,nb_read_frames", "-of", "compact"]);
    let run = program::run(probe.arg(at("encoded.flv")), "", LIMIT);
    assert_eq!((run.code, &run.stderr[..]), (Some(0), ""), "{run:?}");
    assert!(run.stdout.contains("codec_name=h264|width=320|nb_read_frames=50"), "{run:?}");
    assert!(run.stdout.contains("codec_name=aac|sample_rate=44100"), "{run:?}");
}

#[test]
fn small_server_plays_and_accepts_streams() {
    let directory = TempDir::new("guide-serve");
    let port = free_port();
    let mut command = need!(need!(guide("serve")).command(Library::Ours));
    let mut server = Running::start(command.arg(port.to_string()));
    assert!(wait_until(LIMIT, || listens(port)), "{}", server.stderr());
    let url = format!("rtmp://127.0.0.1:{port}/app/name");
    let file = directory.join("played.flv");
    let played = run("record", &[&url, &file.to_string_lossy()]);
    need!(played).expect("record");
    assert_eq!(flv::media(&flv::load(&file)).len(), 500);
    assert_eq!(need!(run("threads", &[&url])).expect("threads"), "sent\n");
    assert!(wait_until(LIMIT, || server.stdout().contains("after 350 bytes")), "{}", server.stdout());
    server.kill();
}
