//! Measures the server example beside nginx with its RTMP module and node-media-server: one publisher of 2.5 Mbit/s, and
//! players that count what they receive.
//!
//! ```text
//! make bench ONLY=server            everything
//! make bench ONLY=server ROUNDS=1   once
//! cargo test --bench server         everything once, with very little work, to see that it works
//! ```

#[cfg(target_os = "linux")]
mod audience;
#[cfg(target_os = "linux")]
mod figures;
#[cfg(target_os = "linux")]
mod publisher;
#[cfg(target_os = "linux")]
mod servers;
#[cfg(target_os = "linux")]
mod wire;

#[cfg(not(target_os = "linux"))]
fn main() {
    println!("test result: ok. 0 passed; 0 failed; 1 ignored; 0 measured; 0 filtered out");
}

#[cfg(target_os = "linux")]
fn main() -> std::io::Result<()> {
    figures::main()
}
