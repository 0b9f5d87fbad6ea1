//! A Rust program that binds the system's librtmp and uses this project's Rust package gets the C functions of the former.
#![forbid(unsafe_code)]

use std::{env, fs, process::Command, time::Duration};

use crate::support::{
    Library, TempDir,
    library::{self, package},
    process, program, require,
};

/// Uses both: the C function by its name, the Rust package through its API.
const PROGRAM: &str = r#"
#[link(name = "rtmp")]
unsafe extern "C" {
    fn RTMP_LibVersion() -> i32;
}

fn main() {
    let refused = rtmp::Client::new("rtmp://127.0.0.1:1/app/name").and_then(|client| client.play()).is_err();
    println!("{} {refused}", unsafe { RTMP_LibVersion() });
}
"#;

#[test]
fn the_rust_package_exports_no_c_symbol() {
    if library::ours_is_original() {
        return;
    }
    let nm = need!(require::program("nm"));
    let original = need!(Library::Original.directory());
    let directory = TempDir::new("rust-symbols");
    let core = package().join("rtmp");
    // With the profile of the tests, so that what is built already is the same.
    let ours = fs::read_to_string(package().join("Cargo.toml")).unwrap();
    let (_, profile) = ours.split_once("[profile.dev]").expect("Cargo.toml has profiles");
    let (profile, _) = profile.split_once("[profile.release]").expect("in this order");
    let manifest = format!(
        "[package]\nname = \"both\"\nedition = \"2024\"\n[workspace]\n[dependencies]\nlibrtmp = {{ path = {core:?} }}\n\
         [profile.dev]{profile}"
    );
    fs::create_dir(directory.join("src")).unwrap();
    fs::write(directory.join("Cargo.toml"), manifest).unwrap();
    fs::write(directory.join("src/main.rs"), PROGRAM).unwrap();
    let search = format!("cargo:rustc-link-search=native={}", original.display());
    fs::write(directory.join("build.rs"), format!("fn main() {{ println!({search:?}) }}")).unwrap();
    fs::copy(package().join("Cargo.lock"), directory.join("Cargo.lock")).unwrap();

    // In the build directory of the tests, where most of what it needs is built already.
    let binary = env::current_exe().expect("a process knows its own file");
    let target = binary.ancestors().nth(3).expect("cargo puts tests into <target>/<profile>/deps");
    let mut build = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    build.current_dir(directory.path()).args(["build", "--quiet", "--offline", "--target-dir"]).arg(target);
    process::leave_cargo(&mut build);
    program::run(&mut build, "", Duration::from_secs(600)).expect("cargo");
    let both = target.join("debug/both");

    let listing = program::run(Command::new(nm).arg(&both), "", Duration::from_secs(60)).expect("nm");
    let is_c = |name: &str| ["RTMP", "AMF", "HTTP_"].iter().any(|prefix| name.starts_with(prefix));
    let symbols: Vec<&str> =
        listing.lines().filter(|line| line.split_whitespace().last().is_some_and(is_c)).collect();
    assert!(
        !symbols.is_empty() && symbols.iter().all(|line| line.trim_start().starts_with("U ")),
        "{symbols:#?}"
    );

    let mut both = Command::new(both);
    both.env("LD_LIBRARY_PATH", &original);
    assert_eq!(program::run(&mut both, "", Duration::from_secs(60)).expect("both"), "131840 true\n");
}
