//! The headers by the rules of Microsoft's compiler, which clang knows: no extensions of GNU C, a `long` of 32 bits, and its own
//! layout of structs and enumerations.

use std::{fs, path::Path, process::Command};

use crate::support::{TempDir, library::package, require};
use crate::toolchain::{include_option, run};

const TARGETS: [(&str, &str); 2] =
    [("x86_64-pc-windows-msvc", "layout.txt"), ("i686-pc-windows-msvc", "layout-32.txt")];

/// As much of Microsoft's headers as the library's need.
const SYSTEM: [(&str, &str); 6] = [
    ("errno.h", "#define ETIMEDOUT 138\n"),
    ("stdio.h", "#include <stddef.h>\ntypedef struct _iobuf { void *_Placeholder; } FILE;\n"),
    ("stdlib.h", "#include <stddef.h>\n"),
    ("string.h", "#include <stddef.h>\n"),
    (
        "winsock2.h",
        "#pragma once\n#include <stdint.h>\ntypedef uintptr_t SOCKET;\ntypedef unsigned short WORD;\n\
         typedef struct pollfd { SOCKET fd; short events; short revents; } WSAPOLLFD;\n",
    ),
    ("ws2tcpip.h", "#include <winsock2.h>\n"),
];

const HEADERS: [&str; 7] = ["amf", "enhanced", "http", "log", "loop", "rtmp", "rtmp_sys"];

/// Compiles a text as C and as C++ for a target.
fn compile(clang: &Path, target: &str, text: &str) {
    let dir = TempDir::new("msvc");
    for (name, text) in SYSTEM.into_iter().chain([("program", text)]) {
        fs::write(dir.join(name), text).unwrap();
    }
    for (language, standard) in [("c", "-std=c11"), ("c++", "-std=c++14")] {
        let mut command = Command::new(clang);
        command.args(["-x", language, standard, &format!("--target={target}"), "-fsyntax-only"]);
        command.args(["-fms-compatibility", "-fms-extensions", "-ffreestanding", "-nostdlibinc"]);
        command.args(["-Wall", "-Wextra", "-Wpedantic", "-Wgnu", "-Werror", include_option().as_str()]);
        run(command.arg("-isystem").arg(dir.path()).arg(dir.join("program")));
    }
}

#[test]
fn headers_compile_by_the_rules_of_msvc() {
    let clang = need!(require::program("clang"));
    for (target, _) in TARGETS {
        for header in HEADERS {
            compile(&clang, target, &format!("#include <librtmp/{header}.h>\nint unit;\n"));
        }
        let all: String = HEADERS.iter().map(|header| format!("#include <librtmp/{header}.h>\n")).collect();
        compile(&clang, target, &(all + "int unit;\n"));
    }
}

#[test]
fn struct_layouts_are_the_same_by_the_rules_of_msvc() {
    let clang = need!(require::program("clang"));
    for (target, layout) in TARGETS {
        let layout = fs::read_to_string(package().join("tests/abi").join(layout)).unwrap();
        let mut program = "#include <stddef.h>\n#include <librtmp/http.h>\n#include <librtmp/log.h>\n\
             #include <librtmp/rtmp.h>\n#ifdef __cplusplus\n#define ASSERT static_assert\n#else\n#define ASSERT _Static_assert\n#endif\n"
            .to_owned();
        let (mut name, mut checked) = ("", 0);
        for line in layout.lines() {
            let condition = if let Some((field, place)) = line.trim().split_once(" @ ") {
                let (offset, size) = place.split_once(", ").unwrap();
                format!("offsetof({name}, {field}) == {offset} && sizeof((({name} *)0)->{field}) == {size}")
            } else if let Some((value, number)) = line.trim().split_once(" = ") {
                format!("(long)({value}) == {number}")
            } else {
                // Not the names of kinds of macros.
                let Some((of, size)) = line.split_once(": ") else { continue };
                let Some((size, _)) = size.split_once(" bytes") else { continue };
                name = of;
                format!("sizeof({name}) == {size}")
            };
            program.push_str(&format!("ASSERT({condition}, {line:?});\n"));
            checked += 1;
        }
        assert!(checked > 200, "{checked}");
        compile(&clang, target, &program);
    }
}
