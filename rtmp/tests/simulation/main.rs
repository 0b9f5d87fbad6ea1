//! Sessions of clients and servers, with a network between them that delays, splits, stalls, floods, breaks and damages, and
//! a clock that moves only when all of them wait. All of it follows from a seed.
//!
//! `SEED=17 cargo test -p librtmp --test simulation` runs one seed again. `SEEDS=` runs so many, and `TIME=` as many as
//! there are in so many seconds, from seeds on that no run had before.

mod dice;
mod end;
mod layer;
mod media;
mod network;
mod noise;
mod plan;
mod world;

use std::{
    env,
    panic::{self, AssertUnwindSafe},
    thread,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use world::World;

/// Seeds of a run that does not say how many.
const SEEDS: u64 = 10_000;

#[test]
fn messages_arrive_once_and_every_wait_ends() {
    let began = Instant::now();
    let (first, count, time) = match (number("SEED"), number("TIME")) {
        (Some(seed), _) => (seed, 1, None),
        (None, Some(seconds)) => (fresh_seed(), u64::MAX, Some(Duration::from_secs(seconds))),
        (None, None) => (0, number("SEEDS").unwrap_or(SEEDS), None),
    };
    // Each seed is a world of its own.
    let workers = thread::available_parallelism().map_or(1, |count| count.get() as u64).min(count);
    let work = |worker: u64| {
        let (mut seeds, mut steps) = (0, 0);
        for seed in (worker..count).step_by(workers as usize) {
            if time.is_some_and(|time| began.elapsed() >= time) {
                break;
            }
            steps += run(first.wrapping_add(seed)).1;
            seeds += 1;
        }
        (seeds, steps)
    };
    let (seeds, steps) = thread::scope(|scope| {
        let threads: Vec<_> = (0..workers).map(|worker| scope.spawn(move || work(worker))).collect();
        threads.into_iter().fold((0, 0), |sum: (u64, u64), thread| {
            let (seeds, steps) = thread.join().unwrap_or_else(|failure| panic::resume_unwind(failure));
            (sum.0 + seeds, sum.1 + steps)
        })
    });
    println!("{seeds} seeds from {first} on, {steps} steps, {:.1} s", began.elapsed().as_secs_f64());
}

#[test]
fn a_seed_repeats_itself() {
    for seed in 0..50 {
        assert_eq!(run(seed), run(seed));
    }
}

/// Runs a seed, and says how to run it again if it fails.
fn run(seed: u64) -> (u64, u64) {
    let mut world = World::new(seed);
    panic::catch_unwind(AssertUnwindSafe(|| world.run())).unwrap_or_else(|failure| {
        println!("{:?}\nSEED={seed} cargo test -p librtmp --test simulation", world.plan());
        panic::resume_unwind(failure)
    })
}

fn number(name: &str) -> Option<u64> {
    let text = env::var(name).ok().filter(|text| !text.is_empty())?;
    Some(text.parse().unwrap_or_else(|_| panic!("{name} is not a number: {text}")))
}

fn fresh_seed() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |time| time.as_secs()) << 20
}
