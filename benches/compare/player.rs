//! The program that is measured in rows of the Rust library: this one, started once more.

use std::{
    env, fs,
    io::{self, Read},
    time::Instant,
};

/// The first argument that makes this program the measured one.
pub const WORK: &str = "player";

/// Does the work if this is the measured program: `player URL chunk-size message-size total`, as `driver.c` does it.
pub fn run_if_asked() -> io::Result<bool> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let [work, url, _, _, total] = arguments.as_slice() else { return Ok(false) };
    if work != WORK {
        return Ok(false);
    }
    let total: u64 = total.parse().map_err(io::Error::other)?;
    let mut player =
        rtmp_core::Client::new(url).and_then(|client| client.play()).map_err(io::Error::other)?;
    let mut buffer = vec![0; 64 * 1024];
    let (mut count, mut messages) = (0, 0);
    if player.read(&mut buffer)? == 0 {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    let (start, before) = (Instant::now(), cpu_seconds()?);
    while count < total {
        match player.read(&mut buffer)? {
            0 => return Err(io::ErrorKind::UnexpectedEof.into()),
            got => count += got as u64,
        }
        messages += 1;
    }
    let (cpu, wall) = (cpu_seconds()? - before, start.elapsed().as_secs_f64());
    let status = fs::read_to_string("/proc/self/status")?;
    let peak =
        status.lines().find_map(|line| line.strip_prefix("VmHWM:")?.trim().split(' ').next()?.parse().ok());
    let peak = peak.unwrap_or(f64::NAN) * 1024.0;
    println!("{{\"cpu\":{cpu},\"wall\":{wall},\"count\":{count},\"messages\":{messages},\"peak\":{peak}}}");
    Ok(true)
}

/// What the only thread that works has used so far.
fn cpu_seconds() -> io::Result<f64> {
    let text = fs::read_to_string("/proc/self/schedstat")?;
    let nanoseconds = text.split(' ').next().and_then(|number| number.parse::<f64>().ok());
    Ok(nanoseconds.ok_or(io::ErrorKind::InvalidData)? / 1e9)
}
