//! The measurements, and their tables.

use std::{
    env, fs, io,
    path::{Path, PathBuf},
    process::Command,
    time::{Duration, Instant},
};

use crate::{
    audience::Audience,
    publisher::Publisher,
    servers::{self, Kind, Server},
};

/// The amount of work.
struct Amount {
    players: &'static [usize],
    /// How long the players of one measurement play.
    time: Duration,
    /// The number of players that connect at once, and of players beside one that stalls.
    storm: usize,
    beside: usize,
    rounds: usize,
}

const WHOLE: Amount =
    Amount { players: &[1, 10, 100, 500], time: Duration::from_secs(4), storm: 500, beside: 100, rounds: 3 };
const BRIEF: Amount =
    Amount { players: &[1, 5], time: Duration::from_millis(500), storm: 10, beside: 5, rounds: 1 };

/// The number of players that connect together where that is not measured.
const AT_ONCE: usize = 50;

/// The cost of a number of players.
struct Cost {
    players: usize,
    /// Percent of a core: all work of the server.
    processor: f64,
    /// Bytes for all players together: the difference from the server with a publisher alone, whose only player has left.
    memory: f64,
    lost: u64,
}

/// The measurements of a server in one round.
struct Round {
    costs: Vec<Cost>,
    /// Microseconds: the percentiles 50 and 99.9 of the time from the connection to the first frame in a storm of connections.
    starts: [f64; 2],
    /// The same for the delay of a message, without and with a player that reads nothing.
    free: [f64; 2],
    beside: [f64; 2],
    lost: u64,
}

pub fn main() -> io::Result<()> {
    let is_bench = env::args().any(|argument| argument == "--bench");
    // Players for a running server: --play PORT PLAYERS SECONDS.
    let numbers: Vec<u64> = env::args().filter_map(|argument| argument.parse().ok()).collect();
    if let (true, [port, players, seconds]) = (env::args().any(|argument| argument == "--play"), &numbers[..])
    {
        return play(*port as u16, *players as usize, Duration::from_secs(*seconds));
    }
    servers::leave_first_core();
    let mut amount = if is_bench { WHOLE } else { BRIEF };
    if let Some(rounds) = env::var("ROUNDS").ok().and_then(|rounds| rounds.parse().ok()) {
        amount.rounds = rounds;
    }
    let directory = Path::new(env!("CARGO_TARGET_TMPDIR")).join("bench-server");
    fs::create_dir_all(&directory)?;
    let Some(example) = compile(&directory)? else {
        println!("test result: ok. 0 passed; 0 failed; 1 ignored; 0 measured; 0 filtered out");
        return Ok(());
    };
    let mut rounds: Vec<(Kind, Vec<Round>)> = Kind::ALL.map(|kind| (kind, Vec::new())).into();
    for number in 0..amount.rounds {
        for (kind, done) in &mut rounds {
            eprintln!("round {} of {}: {}", number + 1, amount.rounds, kind.name());
            match measure(*kind, &example, &directory, &amount) {
                Ok(Some(round)) => done.push(round),
                Ok(None) => eprintln!("{} is not installed", kind.name()),
                // The others are measured nevertheless.
                Err(error) if *kind != Kind::Ours => eprintln!("{}: {error}", kind.name()),
                Err(error) => return Err(error),
            }
        }
    }
    println!("{}", tables(&rounds, &amount));
    let lost: u64 = rounds[0].1.iter().map(|round| round.lost).sum();
    if lost > 0 {
        println!("test result: FAILED. 0 passed; 1 failed; 0 ignored; 0 measured; 0 filtered out");
        return Err(io::Error::other("players of the server have lost messages"));
    }
    println!("test result: ok. 1 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out");
    Ok(())
}

/// The example with the library beside this program. `None` without a compiler.
fn compile(directory: &Path) -> io::Result<Option<PathBuf>> {
    let library = env::current_exe()?.ancestors().nth(2).map(Path::to_path_buf).unwrap_or_default();
    if !library.join("librtmp.so").exists() {
        return Err(io::Error::other("librtmp.so is not built"));
    }
    let link = directory.join("librtmp.so.1");
    let _ = fs::remove_file(&link);
    std::os::unix::fs::symlink(library.join("librtmp.so"), &link)?;
    let package = Path::new(env!("CARGO_MANIFEST_DIR"));
    let examples = package.join("c-examples");
    let mut sources: Vec<PathBuf> = ["tool.c", "flv.c", "media.c"].map(|name| examples.join(name)).into();
    for file in fs::read_dir(examples.join("server"))? {
        let file = file?.path();
        if file.extension().is_some_and(|extension| extension == "c") {
            sources.push(file);
        }
    }
    let program = directory.join("server");
    let mut command = Command::new("cc");
    command
        .args(["-std=c11", "-O2", "-pthread"])
        .arg("-I")
        .arg(package.join("include"))
        .arg("-o")
        .arg(&program);
    command.args(&sources).arg(format!("-Wl,-rpath,{}", directory.display())).arg(&link);
    match command.status() {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Ok(status) if status.success() => Ok(Some(program)),
        _ => Err(io::Error::other("the server does not compile")),
    }
}

fn play(port: u16, players: usize, time: Duration) -> io::Result<()> {
    let origin = Instant::now();
    let _publisher = Publisher::start(port, origin)?;
    let mut audience = Audience::new(port, origin)?;
    let missing = audience.join(players)?;
    audience.play(time)?;
    eprintln!("{missing} players without a frame");
    let [middle, last] = percentiles(&mut audience.delays);
    println!(
        "{} messages, {} lost, {middle} us, 99.9 % within {last} us",
        audience.delays.len(),
        audience.lost
    );
    Ok(())
}

fn measure(kind: Kind, example: &Path, directory: &Path, amount: &Amount) -> io::Result<Option<Round>> {
    let origin = Instant::now();
    let mut costs = Vec::new();
    for players in amount.players {
        let Some(server) = Server::start(kind, example, directory)? else { return Ok(None) };
        let _publisher = Publisher::start(server.port, origin)?;
        // The first player of a server also costs what all of them share, such as the server's own code.
        let mut first = Audience::new(server.port, origin)?;
        admit(kind, first.join(1)?)?;
        first.play(amount.time / 4)?;
        drop(first);
        let mut audience = Audience::new(server.port, origin)?;
        audience.play(amount.time / 4)?;
        let memory = server.memory()?;
        for first in (0..*players).step_by(AT_ONCE) {
            admit(kind, audience.join(AT_ONCE.min(players - first))?)?;
        }
        audience.play(amount.time / 4)?;
        audience.forget();
        let (time, before) = (Instant::now(), server.processor_time()?);
        audience.play(amount.time)?;
        let busy = share(server.processor_time()? - before, time.elapsed());
        costs.push(Cost {
            players: *players,
            processor: busy,
            memory: server.memory()? as f64 - memory as f64,
            lost: audience.lost,
        });
    }
    let Some(server) = Server::start(kind, example, directory)? else { return Ok(None) };
    let _publisher = Publisher::start(server.port, origin)?;
    let mut audience = Audience::new(server.port, origin)?;
    admit(kind, audience.join(amount.storm)?)?;
    let starts = percentiles(&mut audience.starts);
    let storm_lost = audience.lost;
    drop(audience);
    let mut audience = Audience::new(server.port, origin)?;
    admit(kind, audience.join(amount.beside)?)?;
    audience.play(amount.time / 4)?;
    audience.forget();
    audience.play(amount.time)?;
    let free = percentiles(&mut audience.delays);
    audience.stall_one()?;
    // By then the system's buffers for it are full.
    audience.play(amount.time * 2)?;
    audience.delays.clear();
    audience.play(amount.time)?;
    let beside = percentiles(&mut audience.delays);
    let lost = costs.iter().map(|cost| cost.lost).sum::<u64>() + storm_lost + audience.lost;
    Ok(Some(Round { costs, starts, free, beside, lost }))
}

/// On a busy machine other servers leave some players without a frame. They are measured with those that they serve.
fn admit(kind: Kind, missing: usize) -> io::Result<()> {
    if missing > 0 {
        eprintln!("{}: {missing} players get nothing", kind.name());
    }
    if missing > 0 && kind == Kind::Ours {
        Err(io::Error::other("not all players get the stream"))
    } else {
        Ok(())
    }
}

/// In percent.
fn share(used: Duration, passed: Duration) -> f64 {
    100.0 * used.as_secs_f64() / passed.as_secs_f64()
}

/// The percentiles 50 and 99.9, in microseconds.
fn percentiles(values: &mut [u64]) -> [f64; 2] {
    values.sort_unstable();
    [0.5, 0.999].map(|part| {
        let index = (values.len() as f64 * part) as usize;
        values.get(index.min(values.len().saturating_sub(1))).map_or(f64::NAN, |value| *value as f64 / 1000.0)
    })
}

fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.collect();
    values.retain(|value| !value.is_nan());
    values.sort_unstable_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}

fn tables(rounds: &[(Kind, Vec<Round>)], amount: &Amount) -> String {
    let rounds: Vec<&(Kind, Vec<Round>)> = rounds.iter().filter(|(_, done)| !done.is_empty()).collect();
    let mut text = String::from("| players |");
    for (kind, _) in &rounds {
        text += &format!(" {0}: % of a core each | {0}: kB each | {0}: lost |", kind.name());
    }
    text += &format!("\n|--:|{}\n", "--:|".repeat(3 * rounds.len()));
    for (index, players) in amount.players.iter().enumerate() {
        text += &format!("| {players} |");
        for (_, done) in &rounds {
            let each = |value: fn(&Cost) -> f64| {
                median(
                    done.iter().map(|round| value(&round.costs[index]) / round.costs[index].players as f64),
                )
            };
            let lost: u64 = done.iter().map(|round| round.costs[index].lost).sum();
            text += &format!(
                " {:.4} | {:.1} | {lost} |",
                each(|cost| cost.processor),
                each(|cost| cost.memory) / 1e3
            );
        }
        text += "\n";
    }
    text += "\n| ms, percentiles 50 / 99.9 |";
    for (kind, _) in &rounds {
        text += &format!(" {} |", kind.name());
    }
    text += &format!("\n|---|{}\n", "--:|".repeat(rounds.len()));
    type Percentiles = fn(&Round) -> [f64; 2];
    let rows: [(String, Percentiles); 3] = [
        (format!("connection to first frame, {} at once", amount.storm), |round| round.starts),
        (format!("a message to one of {} players", amount.beside), |round| round.free),
        ("the same, with one that reads nothing".to_owned(), |round| round.beside),
    ];
    for (name, value) in rows {
        text += &format!("| {name} |");
        for (_, done) in &rounds {
            let at = |place: usize| median(done.iter().map(|round| value(round)[place])) / 1000.0;
            text += &format!(" {:.2} / {:.2} |", at(0), at(1));
        }
        text += "\n";
    }
    text
}
