//! The soname of the shared library, and the C part of the printf-style log functions.

use std::env;

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    println!("cargo:rerun-if-changed=src/log/variadic.c");
    cc::Build::new()
        .file("src/log/variadic.c")
        .warnings(true)
        .extra_warnings(true)
        .flag_if_supported("-fvisibility=hidden")
        // The assembly that names symbols has to stay in the file of these symbols.
        .flag_if_supported("-fno-lto")
        // A program's callback may throw through RTMP_Log, and cancelling a thread unwinds it.
        .flag_if_supported("-fexceptions")
        .compile("rtmp_variadic");

    // Mach-O and PE name their libraries in other ways, which packagers set.
    let target = |name| env::var(name).unwrap_or_default();
    if target("CARGO_CFG_TARGET_VENDOR") == "apple" {
        for name in ["RTMP_Log", "RTMP_LogPrintf", "RTMP_LogStatus"] {
            println!("cargo:rustc-cdylib-link-arg=-Wl,-exported_symbol,_{name}");
        }
    }
    if target("CARGO_CFG_TARGET_FAMILY").contains("unix") && target("CARGO_CFG_TARGET_VENDOR") != "apple" {
        println!("cargo:rustc-cdylib-link-arg=-Wl,-soname,librtmp.so.1");
    }
}
