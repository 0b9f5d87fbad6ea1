//! The configurations of clients, which are kept for later connections: reading the platform's trusted certificates takes
//! longer than a handshake.

#[cfg(unix)]
use std::os::unix::fs::MetadataExt;
use std::{
    ffi::OsString,
    fs,
    path::Path,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant, SystemTime},
};

use rustls::{ClientConfig, client::Resumption};

use super::{Trust, provider, server, verify::VARIABLES, versions};
use crate::{environment, error::Result};

/// The configuration of a client with this `trust`.
///
/// Certificates are read again when a file or directory that the program or the environment names has changed, and after
/// [`MAX_AGE`].
pub(super) fn client(trust: &Trust) -> Result<Arc<ClientConfig>> {
    static KEPT: Kept<ClientConfig> = Kept::new();
    KEPT.get_or_make(Source::of(trust), Instant::now(), || make(trust))
}

fn make(trust: &Trust) -> Result<ClientConfig> {
    let config = versions(ClientConfig::builder_with_provider(provider()))?
        .dangerous()
        .with_custom_certificate_verifier(trust.verifier()?);
    let mut config = match trust.identity() {
        None => config.with_no_client_auth(),
        Some((certificate, key)) => {
            let (chain, private) = server::read_identity(certificate, key)?;
            let config = config.with_client_auth_cert(chain, private);
            config.map_err(|error| server::unusable(key, error))?
        }
    };
    // Only for connections with this configuration, and so with a server that it has accepted.
    config.resumption = Resumption::in_memory_sessions(MAX_RESUMABLE);
    Ok(config)
}

/// The limit of sessions that can be resumed with each configuration: a publisher that connects again saves the server's
/// signature and the verification of its certificates.
const MAX_RESUMABLE: usize = 32;
/// The limit of configurations that are kept. A program has one, or one for each file that it names.
const MAX_KEPT: usize = 8;
/// The time for which a configuration is used: changes of the platform's certificates are noticed after that.
const MAX_AGE: Duration = Duration::from_secs(3600);

/// The source of trusted certificates.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Source {
    trust: Trust,
    /// The file and the directories that the environment names.
    variables: [Option<OsString>; 2],
    /// The state of these paths, in the same order.
    stamps: Vec<Option<Stamp>>,
}

/// Identifies the state of a file or directory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Stamp {
    /// Device and inode.
    place: [u64; 2],
    size: u64,
    /// The last change of the content.
    modified: Option<SystemTime>,
    /// Seconds and nanoseconds of the last change of anything.
    changed: Option<(i64, i64)>,
}

impl Source {
    /// Reads the state of the files, which must happen before they are read.
    fn of(trust: &Trust) -> Self {
        let variables = match trust.whom() {
            Trust::Platform => VARIABLES.map(environment::variable),
            Trust::PlatformOnly | Trust::File(_) | Trust::Anyone | Trust::Under(_) => [None, None],
        };
        let [file, directories] = &variables;
        let mut stamps = Vec::new();
        if let Trust::File(path) = trust.whom() {
            stamps.push(Stamp::of(path));
        }
        if let Some((certificate, key)) = trust.identity() {
            stamps.extend([certificate, key].map(|path| Stamp::of(path)));
        }
        stamps.extend(file.iter().map(|file| Stamp::of(Path::new(file))));
        stamps.extend(
            directories.iter().flat_map(std::env::split_paths).map(|directory| Stamp::of(&directory)),
        );
        Self { trust: trust.clone(), variables, stamps }
    }

    /// Whether both name the same paths, whatever their state.
    fn has_places_of(&self, other: &Self) -> bool {
        self.trust == other.trust && self.variables == other.variables
    }
}

impl Stamp {
    /// `None` if nothing is there.
    fn of(path: &Path) -> Option<Self> {
        let data = fs::metadata(path).ok()?;
        #[cfg(unix)]
        let place = [data.dev(), data.ino()];
        #[cfg(unix)]
        let changed = Some((data.ctime(), data.ctime_nsec()));
        #[cfg(not(unix))]
        let (place, changed) = ([0; 2], None);
        Some(Self { place, size: data.len(), modified: data.modified().ok(), changed })
    }
}

/// Values made from sources, at most [`MAX_KEPT`], with the last used one at the end.
struct Kept<T>(Mutex<Vec<Entry<T>>>);

struct Entry<T> {
    source: Source,
    made: Instant,
    value: Arc<T>,
}

impl<T> Kept<T> {
    const fn new() -> Self {
        Self(Mutex::new(Vec::new()))
    }

    /// The stored value for `source`, or a new one. Threads may make the same one at the same time: files can be slow, and only
    /// threads that need them wait for them.
    fn get_or_make(&self, source: Source, now: Instant, make: impl FnOnce() -> Result<T>) -> Result<Arc<T>> {
        if let Some(value) = self.get(&source, now) {
            return Ok(value);
        }
        let value = Arc::new(make()?);
        self.put(Entry { source, made: now, value: value.clone() });
        Ok(value)
    }

    fn get(&self, source: &Source, now: Instant) -> Option<Arc<T>> {
        let mut entries = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        entries.retain(|entry| now.saturating_duration_since(entry.made) < MAX_AGE);
        let position = entries.iter().position(|entry| entry.source == *source)?;
        entries[position..].rotate_left(1);
        entries.last().map(|entry| entry.value.clone())
    }

    fn put(&self, entry: Entry<T>) {
        let mut entries = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        entries.retain(|other| !other.source.has_places_of(&entry.source));
        if entries.len() == MAX_KEPT {
            entries.remove(0);
        }
        entries.push(entry);
    }
}

#[cfg(test)]
mod tests {
    use std::{cell::Cell, env, process};

    use super::*;
    use crate::error::Error;

    fn file(name: &str) -> Source {
        Source { trust: Trust::File(name.into()), variables: [None, None], stamps: Vec::new() }
    }

    /// Values that count how many were made.
    struct Counter {
        kept: Kept<u32>,
        made: Cell<u32>,
    }

    impl Counter {
        fn new() -> Self {
            Self { kept: Kept::new(), made: Cell::new(0) }
        }

        fn get(&self, source: Source, now: Instant) -> u32 {
            let make = || {
                self.made.set(self.made.get() + 1);
                Ok(self.made.get())
            };
            *self.kept.get_or_make(source, now, make).expect("it can be made")
        }
    }

    #[test]
    fn a_value_is_made_once_in_an_hour() {
        let (counter, now) = (Counter::new(), Instant::now());
        assert_eq!(counter.get(file("a"), now), 1);
        assert_eq!(counter.get(file("b"), now), 2);
        assert_eq!(counter.get(file("a"), now + MAX_AGE - Duration::from_secs(1)), 1);
        assert_eq!(counter.get(file("a"), now + MAX_AGE), 3);
        assert_eq!(counter.get(file("b"), now + MAX_AGE), 4);
    }

    #[test]
    fn a_failure_is_not_kept() {
        let kept = Kept::new();
        assert!(kept.get_or_make(file("a"), Instant::now(), || Err(Error::Closed)).is_err());
        assert_eq!(*kept.get_or_make(file("a"), Instant::now(), || Ok(1)).expect("it can be made"), 1);
    }

    #[test]
    fn the_value_used_longest_ago_makes_room() {
        let (counter, now) = (Counter::new(), Instant::now());
        for number in 0..MAX_KEPT {
            counter.get(file(&number.to_string()), now);
        }
        assert_eq!(counter.get(file("0"), now), 1);
        assert_eq!(counter.get(file("new"), now), MAX_KEPT as u32 + 1);
        assert_eq!(counter.get(file("0"), now), 1);
        assert_eq!(counter.get(file("1"), now), MAX_KEPT as u32 + 2);
        assert_eq!(counter.kept.0.lock().expect("nobody panicked").len(), MAX_KEPT);
    }

    #[test]
    fn another_state_of_a_file_replaces_the_one_before() {
        let counter = Counter::new();
        let path = env::temp_dir().join(format!("trust-{}.pem", process::id()));
        let get = || counter.get(Source::of(&Trust::File(path.clone())), Instant::now());
        fs::write(&path, "one").expect("the directory is writable");
        assert_eq!((get(), get()), (1, 1));
        fs::write(&path, "other").expect("the directory is writable");
        assert_eq!((get(), get()), (2, 2));
        // The same size, but a different file.
        let other = path.with_extension("new");
        fs::write(&other, "third").expect("the directory is writable");
        fs::rename(&other, &path).expect("the directory is writable");
        assert_eq!((get(), get()), (3, 3));
        fs::remove_file(&path).expect("it is there");
        assert_eq!((get(), get()), (4, 4));
        assert_eq!(counter.kept.0.lock().expect("nobody panicked").len(), 1);
    }

    #[test]
    fn environment_replaces_only_the_platform_certificates() {
        for trust in [Trust::PlatformOnly, Trust::File("a".into()), Trust::Anyone] {
            assert_eq!(Source::of(&trust).variables, [None, None]);
        }
        let expected = VARIABLES.map(environment::variable);
        assert_eq!(Source::of(&Trust::Platform).variables, expected);
    }
}
