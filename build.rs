//! The soname of the shared library, and the C part of the printf-style log functions.

use std::{env, process::Command};

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    for file in ["variadic.c", "variadic.h", "exported.c"] {
        println!("cargo:rerun-if-changed=src/log/{file}");
    }
    println!("cargo:rustc-check-cfg=cfg(rtmp_naked)");
    let target = |name| env::var(name).unwrap_or_default();
    let jump = jump(&target("CARGO_CFG_TARGET_ARCH")).filter(|_| has_naked_functions());
    let naked = jump.is_some();
    if let Some(jump) = jump {
        println!("cargo:rustc-cfg=rtmp_naked");
        println!("cargo:rustc-env=RTMP_JUMP={jump} {{0}}");
    }
    let is_apple = target("CARGO_CFG_TARGET_VENDOR") == "apple";
    let is_elf = target("CARGO_CFG_TARGET_FAMILY").contains("unix") && !is_apple;
    let mut shim = cc::Build::new();
    shim.warnings(true)
        .extra_warnings(true)
        .flag_if_supported("-fvisibility=hidden")
        // The assembly that names symbols has to stay in the file of these symbols.
        .flag_if_supported("-fno-lto")
        // A program's callback may throw through RTMP_Log, and cancelling a thread unwinds it.
        .flag_if_supported("-fexceptions");
    if !naked {
        shim.define("RTMP_EXPORT_FROM_C", None);
    }
    shim.clone().file("src/log/variadic.c").compile("rtmp_variadic");

    if !naked && is_elf {
        for object in shim.file("src/log/exported.c").compile_intermediates() {
            println!("cargo:rustc-cdylib-link-arg={}", object.display());
        }
    }
    if !naked && is_apple {
        for name in ["RTMP_Log", "RTMP_LogPrintf", "RTMP_LogStatus"] {
            println!("cargo:rustc-cdylib-link-arg=-Wl,-exported_symbol,_{name}");
        }
    }
    // Mach-O and PE name their libraries in other ways, which packagers set.
    if is_elf {
        println!("cargo:rustc-cdylib-link-arg=-Wl,-soname,librtmp.so.1");
    }
}

/// The instruction of an architecture that jumps to a function and leaves every argument in place, where naked functions exist.
fn jump(architecture: &str) -> Option<&'static str> {
    Some(match architecture {
        "x86" | "x86_64" => "jmp",
        "arm" | "aarch64" | "loongarch64" => "b",
        "riscv64" => "tail",
        "s390x" => "jg",
        _ => return None,
    })
}

/// Whether naked functions are stable in this compiler: since 1.88.
fn has_naked_functions() -> bool {
    let compiler = env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let version =
        Command::new(compiler).arg("--version").output().map(|output| output.stdout).unwrap_or_default();
    // rustc 1.88.0 (6b00bc388 2025-06-23)
    let version = String::from_utf8_lossy(&version).into_owned();
    let minor = version.split('.').nth(1).and_then(|minor| minor.parse::<u32>().ok());
    minor.is_some_and(|minor| minor >= 88)
}
