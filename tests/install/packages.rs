//! What distributions and package managers get: licences, versions, symbols, and recipes that can be read.

use std::{
    collections::{BTreeMap, BTreeSet},
    env, fs,
    path::Path,
    process::Command,
};

use serde_json::Value;

use crate::support::{Library, TempDir, library::package, process::leave_cargo, require};
use crate::toolchain::{run, staging::Staged};

/// Licences that may be linked in, the preferred one first.
const ALLOWED: [&str; 6] = ["MIT", "ISC", "BSD-3-Clause", "Apache-2.0", "Zlib", "Unicode-3.0"];

/// Systems whose crates are linked in.
const SYSTEMS: [&str; 6] = [
    "x86_64-unknown-linux-gnu",
    "x86_64-pc-windows-gnu",
    "x86_64-pc-windows-msvc",
    "aarch64-apple-darwin",
    "aarch64-linux-android",
    "x86_64-unknown-freebsd",
];

/// A crate of the registry.
struct Crate {
    name: String,
    version: String,
    license: String,
    authors: Vec<String>,
    /// Names and texts of the files that hold licences.
    texts: Vec<(String, String)>,
}

#[test]
fn notice_names_the_licences_of_everything_that_is_linked_in() {
    let mut linked = BTreeMap::new();
    for system in SYSTEMS {
        let metadata = metadata(&["--filter-platform", system]);
        linked.extend(linked_in(&metadata).into_iter().map(|it| ((it.name.clone(), it.version.clone()), it)));
    }
    let mut notice = String::from(
        "librtmp is licensed under MIT or Apache-2.0, at your choice.\n\n\
         The library links the standard library of Rust, which is licensed under MIT or Apache-2.0, and the crates below. Which of\n\
         them depends on the system and the features. `make notice` writes this file.\n",
    );
    let mut texts: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for it in linked.values() {
        let chosen =
            chosen(&it.license).unwrap_or_else(|| panic!("{} is licensed under {}", it.name, it.license));
        notice.push_str(&format!("\n{} {}: {}", it.name, it.version, chosen.join(" and ")));
        for (_, text) in it.texts.iter().filter(|(name, _)| belongs(name, &chosen)) {
            texts.entry(text.clone()).or_default().push(format!("{} {}", it.name, it.version));
        }
    }
    notice.push('\n');
    let mut sections: Vec<_> = texts.into_iter().map(|(text, crates)| (crates, text)).collect();
    sections.sort();
    for (crates, text) in sections {
        notice.push_str(&format!("\n{}\n{}:\n\n{}\n", "-".repeat(72), crates.join(", "), text.trim_end()));
    }
    assert_committed("NOTICE", &notice);
}

#[test]
fn debian_copyright_names_every_vendored_crate() {
    let metadata = metadata(&[]);
    let crates: Vec<_> =
        packages(&metadata).filter(|package| !package["source"].is_null()).map(read_crate).collect();
    let mut text = String::from(
        "Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/\n\
         Upstream-Name: librtmp\n\n\
         Files: *\nCopyright: 2026 The librtmp developers\nLicense: MIT or Apache-2.0\n",
    );
    let mut used: BTreeSet<String> = ["MIT", "Apache-2.0"].map(str::to_owned).into();
    for it in &crates {
        let license = debian_expression(&it.license);
        used.extend(
            license.split([' ', ',']).filter(|word| !matches!(*word, "or" | "and" | "")).map(str::to_owned),
        );
        let authors = match &it.authors[..] {
            [] => format!("The developers of {}", it.name),
            authors => authors.join("\n           "),
        };
        text.push_str(&format!(
            "\nFiles: vendor/{}-{}/*\nCopyright: {authors}\nLicense: {license}\n",
            it.name, it.version
        ));
    }
    for license in &used {
        let body = match license.as_str() {
            "Apache-2.0" | "MPL-2.0" => format!("The text is in /usr/share/common-licenses/{license} on Debian systems."),
            "LGPL-2.1-or-later" => "The text is in /usr/share/common-licenses/LGPL-2.1 on Debian systems.".to_owned(),
            "Apache-2.0-with-LLVM-exception" => {
                "The text is in /usr/share/common-licenses/Apache-2.0 on Debian systems. As an exception, compiled code may be \
                 distributed without the notices that sections 4(a), 4(b) and 4(d) ask for."
                    .to_owned()
            }
            "MIT" => fs::read_to_string(package().join("LICENSE-MIT")).unwrap(),
            license => text_of(&crates, license),
        };
        text.push_str(&format!("\nLicense: {license}\n{}\n", indented(&body)));
    }
    assert_committed("debian/copyright", &text);
}

#[test]
fn debian_symbols_are_those_of_the_library() {
    let library = Library::Ours.file().expect("ours is always there");
    let exported = run(Command::new("nm").args(["-D", "--defined-only"]).arg(library));
    let exported: BTreeSet<_> = exported.lines().filter_map(|line| line.split_whitespace().last()).collect();
    let known = crate::toolchain::listing::symbols();
    let mut text = "librtmp.so.1 librtmp1 #MINVER#\n* Build-Depends-Package: librtmp-dev\n".to_owned();
    for name in exported {
        // Programs that use nothing else may run on rtmpdump's library.
        let since =
            if known.contains_key(name) { "2.3".to_owned() } else { format!("2.4+rust{}~", release()) };
        text.push_str(&format!(" {name}@Base {since}\n"));
    }
    assert_committed("debian/librtmp1.symbols", &text);
}

#[test]
fn versions_agree() {
    let version = release();
    let read = |name: &str| fs::read_to_string(package().join(name)).unwrap();
    let changelog = read("CHANGELOG.md");
    let heading = changelog.lines().find_map(|line| line.strip_prefix("## ")).expect("a heading");
    assert!(
        heading == "Unreleased" || heading.split_whitespace().next() == Some(version),
        "CHANGELOG.md: {heading}"
    );
    for (name, line) in [
        ("debian/changelog", format!("librtmp-rs (2.4+rust{version}-1) ")),
        ("packaging/rpm/librtmp.spec", format!("Version:        {version}\n")),
        ("packaging/arch/PKGBUILD", format!("pkgver={version}\n")),
        ("packaging/vcpkg/vcpkg.json", format!("\"version\": \"{version}\"")),
        ("packaging/conan/conanfile.py", format!("version = \"{version}\"\n")),
        ("packaging/meson/librtmp.wrap", format!("directory = librtmp-{version}\n")),
        ("packaging/meson/meson.build", format!("version: '{version}'")),
        ("packaging/homebrew/librtmp.rb", format!("version \"{version}\"\n")),
        (
            "Cargo.toml",
            format!("rtmp_core = {{ package = \"librtmp\", path = \"rtmp\", version = \"{version}\""),
        ),
        // The ABI: the first number is the soname's, the others this version's.
        ("Cargo.toml", format!("version = \"1.{}\"\n", version.rsplit_once('.').unwrap().0)),
        ("Makefile", "SONAME = $(NAME).so.1\n".to_owned()),
        ("build.rs", "-Wl,-soname,librtmp.so.1".to_owned()),
        // What librtmp 2.4 calls itself in its pkg-config file, and in RTMP_LibVersion.
        ("librtmp.pc.in", "Version: v2.4\n".to_owned()),
        ("include/librtmp/rtmp.h", "#define RTMP_LIB_VERSION 0x020300\n".to_owned()),
    ] {
        assert!(read(name).contains(&line), "{name} has no {line:?}");
    }
}

#[test]
fn a_cmake_project_finds_the_library() {
    need!(require::program("make"));
    let cmake = need!(require::program("cmake"));
    let staged = Staged::install("/opt/media", "lib", &[]);
    let dir = TempDir::new("cmake-project");
    build_as_the_guide_shows("CMakeLists.txt", &staged, |source, build| {
        run(with_staged(Command::new(&cmake).arg("-S").arg(source).arg("-B").arg(build), &staged)
            .arg(format!("-DCMAKE_PREFIX_PATH={}", staged.path("/opt/media").display())));
        run(Command::new(&cmake).arg("--build").arg(build));
    });
    fs::write(
        dir.join("CMakeLists.txt"),
        "cmake_minimum_required(VERSION 3.13)\nproject(example C)\nfind_package(librtmp 2.4 REQUIRED)\n\
         find_package(Threads REQUIRED)\n\
         add_executable(shared example.c)\ntarget_link_libraries(shared librtmp::rtmp)\n\
         add_executable(static example.c)\ntarget_link_libraries(static librtmp::rtmp_static)\n",
    )
    .unwrap();
    fs::write(
        dir.join("example.c"),
        "#include <librtmp/rtmp.h>\nint main(void) { return RTMP_LibVersion() != RTMP_LIB_VERSION; }\n",
    )
    .unwrap();
    let build = dir.join("build");
    let mut configure = Command::new(&cmake);
    configure.arg("-S").arg(dir.path()).arg("-B").arg(&build);
    configure.arg(format!("-DCMAKE_PREFIX_PATH={}", staged.path("/opt/media").display()));
    leave_cargo(&mut configure);
    run(&mut configure);
    run(Command::new(&cmake).arg("--build").arg(&build));
    run(Command::new(build.join("shared")).env("LD_LIBRARY_PATH", staged.path("/opt/media/lib")));
    run(&mut Command::new(build.join("static")));
    let mut newer = Command::new(&cmake);
    fs::write(
        dir.join("CMakeLists.txt"),
        "cmake_minimum_required(VERSION 3.13)\nproject(example C)\nfind_package(librtmp 9 REQUIRED)\n",
    )
    .unwrap();
    newer.arg("-S").arg(dir.path()).arg("-B").arg(dir.join("newer"));
    newer.arg(format!("-DCMAKE_PREFIX_PATH={}", staged.path("/opt/media").display()));
    assert!(!newer.output().unwrap().status.success(), "version 9 is found");
}

/// Runs a build with a file of `c-examples/build_systems`, then the program.
fn build_as_the_guide_shows(file: &str, staged: &Staged, build: impl FnOnce(&Path, &Path)) {
    let dir = TempDir::new("build-system");
    for name in [file, "program.c"] {
        fs::copy(package().join("c-examples/build_systems").join(name), dir.join(name)).unwrap();
    }
    build(dir.path(), &dir.join("build"));
    run(Command::new(dir.join("build/program")).env("LD_LIBRARY_PATH", staged.path("/opt/media/lib")));
}

/// A command that finds what is staged with pkg-config.
fn with_staged<'a>(command: &'a mut Command, staged: &Staged) -> &'a mut Command {
    leave_cargo(command);
    command
        .env("PKG_CONFIG_PATH", staged.path("/opt/media/lib/pkgconfig"))
        .env("PKG_CONFIG_SYSROOT_DIR", staged.root.path())
}

#[test]
fn a_meson_project_finds_the_library() {
    need!(require::program("make"));
    let meson = need!(require::program("meson"));
    let ninja = need!(require::program("ninja"));
    let staged = Staged::install("/opt/media", "lib", &[]);
    build_as_the_guide_shows("meson.build", &staged, |source, build| {
        run(with_staged(Command::new(meson).arg("setup").arg(build).arg(source), &staged));
        run(Command::new(ninja).arg("-C").arg(build));
    });
}

#[test]
fn recipes_can_be_read() {
    let recipes = package().join("packaging");
    let port = fs::read_to_string(recipes.join("vcpkg/vcpkg.json")).unwrap();
    serde_json::from_str::<Value>(&port).expect("JSON");
    run(Command::new(need!(require::program("bash"))).arg("-n").arg(recipes.join("arch/PKGBUILD")));
    let conan = fs::read_to_string(recipes.join("conan/conanfile.py")).unwrap();
    run(Command::new(need!(require::program("python3"))).args([
        "-c",
        "import ast, sys; ast.parse(sys.argv[1])",
        &conan,
    ]));
    run(Command::new(need!(require::program("ruby"))).arg("-c").arg(recipes.join("homebrew/librtmp.rb")));
    run(Command::new(need!(require::program("rpmspec"))).arg("-P").arg(recipes.join("rpm/librtmp.spec")));
}

/// The version of both packages.
fn release() -> &'static str {
    env!("CARGO_PKG_VERSION")
}

/// Compares a generated file with the committed one, or writes it.
fn assert_committed(name: &str, text: &str) {
    let path = package().join(name);
    if env::var_os("WRITE_NOTICE").is_some() {
        fs::write(&path, text).unwrap();
    }
    let committed = fs::read_to_string(&path).unwrap_or_default();
    let mut lines = text.lines().zip(committed.lines().chain(std::iter::repeat("")));
    let difference = lines.find(|(new, old)| new != old);
    assert!(text == committed, "{name} is out of date, run `make notice`: {difference:?}");
}

fn metadata(options: &[&str]) -> Value {
    let mut command = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.current_dir(package()).args(["metadata", "--locked", "--format-version", "1"]).args(options);
    serde_json::from_str(&run(&mut command)).expect("JSON")
}

fn packages(metadata: &Value) -> impl Iterator<Item = &Value> {
    metadata["packages"].as_array().unwrap().iter()
}

fn read_crate(package: &Value) -> Crate {
    let text = |name: &str| package[name].as_str().unwrap_or_default().to_owned();
    let manifest = text("manifest_path");
    let mut texts = Vec::new();
    for entry in fs::read_dir(Path::new(&manifest).parent().unwrap()).unwrap() {
        let entry = entry.unwrap();
        let name = entry.file_name().into_string().unwrap_or_default().to_uppercase();
        let is_license = ["LICENSE", "LICENCE", "COPYING", "NOTICE", "UNLICENSE"]
            .iter()
            .any(|start| name.starts_with(start));
        if is_license && entry.path().is_file() {
            texts.push((name, fs::read_to_string(entry.path()).unwrap().replace('\r', "")));
        }
    }
    texts.sort();
    let authors = package["authors"].as_array().unwrap().iter();
    Crate {
        name: text("name"),
        version: text("version"),
        license: text("license"),
        authors: authors.map(|author| author.as_str().unwrap().to_owned()).collect(),
        texts,
    }
}

/// The crates of the registry that the C library and the Rust package link.
fn linked_in(metadata: &Value) -> Vec<Crate> {
    let nodes: BTreeMap<_, _> = metadata["resolve"]["nodes"]
        .as_array()
        .unwrap()
        .iter()
        .map(|node| (node["id"].as_str().unwrap(), node))
        .collect();
    let own = packages(metadata).filter(|package| package["source"].is_null());
    let mut open: Vec<_> = own.map(|package| package["id"].as_str().unwrap()).collect();
    let mut seen = BTreeSet::new();
    while let Some(id) = open.pop() {
        if !seen.insert(id) {
            continue;
        }
        for dependency in nodes[id]["deps"].as_array().unwrap() {
            // Dependencies of tests and of build scripts have a kind.
            if dependency["dep_kinds"].as_array().unwrap().iter().any(|kind| kind["kind"].is_null()) {
                open.push(dependency["pkg"].as_str().unwrap());
            }
        }
    }
    packages(metadata)
        .filter(|package| !package["source"].is_null() && seen.contains(package["id"].as_str().unwrap()))
        .map(read_crate)
        .collect()
}

/// The licences that are chosen of an expression, if it allows one of ours.
fn chosen(expression: &str) -> Option<Vec<&'static str>> {
    expression
        .split(" AND ")
        .map(|part| {
            let offered: Vec<_> =
                part.trim_matches(['(', ')']).split(" OR ").flat_map(|part| part.split('/')).collect();
            ALLOWED.into_iter().find(|license| offered.contains(license))
        })
        .collect()
}

/// Whether a file with this name is about one of the licences, or about all of them.
fn belongs(file: &str, chosen: &[&str]) -> bool {
    let licenses = [
        ("MIT", "MIT"),
        ("APACHE", "Apache-2.0"),
        ("ISC", "ISC"),
        ("ZLIB", "Zlib"),
        ("0BSD", "0BSD"),
        ("UNICODE", "Unicode-3.0"),
        ("UNLICENSE", "Unlicense"),
        ("BSD", "BSD-3-Clause"),
    ];
    licenses.iter().find(|(word, _)| file.contains(word)).is_none_or(|(_, license)| {
        chosen.contains(license) || file.contains("OTHER") || file.contains("BORING")
    })
}

/// An SPDX expression as Debian writes it.
fn debian_expression(expression: &str) -> String {
    let text = expression
        .replace("Apache-2.0 WITH LLVM-exception", "Apache-2.0-with-LLVM-exception")
        .replace('/', " or ");
    let text = text.replace(" OR ", " or ").replace(" AND ", ", and ");
    text.replace(['(', ')'], "")
}

/// A licence's text as a crate has it.
fn text_of(crates: &[Crate], license: &str) -> String {
    let word = license.split(['-', '.']).next().unwrap().to_uppercase();
    let named =
        |it: &Crate| it.texts.iter().find(|(name, _)| name.contains(&word)).map(|(_, text)| text.clone());
    let only = |it: &Crate| it.texts.first().filter(|_| it.license == license).map(|(_, text)| text.clone());
    let text =
        crates.iter().filter(|it| it.license.contains(license)).find_map(|it| named(it).or_else(|| only(it)));
    text.unwrap_or_else(|| panic!("no crate has the text of {license}"))
}

/// Text as it stands in a field of a control file.
fn indented(text: &str) -> String {
    let lines = text.trim().lines().map(|line| match line.trim_end() {
        "" => " .".to_owned(),
        line => format!(" {line}"),
    });
    lines.collect::<Vec<_>>().join("\n")
}
