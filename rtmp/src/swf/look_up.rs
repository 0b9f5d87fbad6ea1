//! The hash of the SWF file at a URL, from the cache or from the server.

use std::{
    io,
    path::Path,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use log::{error, warn};

use super::{
    SwfHash,
    cache::{self, Entry},
    hash::{Hasher, MAX_SIZE},
    store,
};
use crate::{
    error::{Error, Result},
    features,
    http::{self, Outcome, Receiver},
    transport::{tls::Trust, wait::Patience},
    url,
};

/// The limit of a download.
const DOWNLOAD_TIME: Duration = Duration::from_secs(600);

/// The result of a look-up.
#[derive(Debug)]
pub struct LookUp {
    /// The hash; also after a failed download, if an old one is known.
    pub swf: Option<SwfHash>,
    /// The error, which was logged. Without one there may still be no hash: the server had no file to send.
    pub failure: Option<Error>,
}

/// Looks the hash up in the cache file `path`, if there is one, and asks the server unless that was done less than `age` days
/// ago. Logs failures.
pub fn look_up(url: &[u8], age: i32, path: Option<&Path>, trust: &Trust, patience: &dyn Patience) -> LookUp {
    if let Err(error) = features::SWF.check() {
        error!("{CALLER}: {error}");
        return LookUp { swf: None, failure: Some(error.reported()) };
    }
    let key = cache::key(url);
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
    let known = path.and_then(|path| store::load(path).find(key));
    let old = known.as_ref().map(|entry| entry.swf);
    if known.as_ref().is_some_and(|entry| entry.is_fresh(now, age)) {
        return LookUp { swf: old, failure: None };
    }
    let date = known.as_ref().map(|entry| entry.date.clone()).unwrap_or_default();
    let (new, date) = match download(url, date, trust, patience) {
        Ok(answer) => answer,
        Err(error) => return LookUp { swf: old, failure: Some(error) },
    };
    let Some(swf) = new.or(old) else {
        // Nothing to store: a server that sent neither a file nor a reason.
        return LookUp { swf: None, failure: None };
    };
    let Some(path) = path else { return LookUp { swf: Some(swf), failure: None } };
    let entry = Entry { checked: Some(now), date, swf };
    match store::change(path, |cache| cache.store(key, &entry)) {
        // Other processes may keep the file busy; the next look-up then asks again.
        Err(error) if old.is_none() && error.kind() != io::ErrorKind::AlreadyExists => {
            report_unwritable(path, &error);
            LookUp { swf: None, failure: Some(error.into()) }
        }
        Err(error) => {
            warn!("cannot write {}: {error}", path.display());
            LookUp { swf: Some(swf), failure: None }
        }
        Ok(()) => LookUp { swf: Some(swf), failure: None },
    }
}

/// Asks the server for a file newer than `date`; returns its hash, if it sent one, and the new date. A failure is logged.
fn download(
    url: &[u8],
    date: Vec<u8>,
    trust: &Trust,
    patience: &dyn Patience,
) -> Result<(Option<SwfHash>, Vec<u8>)> {
    let mut download = Download::new(date.clone());
    let mut result = http::get(url, &date, trust, patience, &mut download);
    let Download { hasher, status, date, .. } = download;
    if let Ok(Outcome::Complete) = result {
        match hasher.finish() {
            Ok(swf) => return Ok((swf, date)),
            Err(error) => result = Err(error),
        }
    }

    let url = url::without_login(url);
    let url = String::from_utf8_lossy(&url);
    match (&result, Outcome::of_result(&result)) {
        (_, Outcome::NotModified) => return Ok((None, date)),
        // Was logged where the connection would have been made.
        (Err(Error::Unsupported(_)), _) => {}
        (Err(error @ Error::TooLarge(_)), _) => error!("{CALLER}: swfurl {url}: {error}"),
        (_, Outcome::LostConnection) => {
            error!("{CALLER}: connection lost while downloading swfurl {url}");
        }
        (_, Outcome::NotFound) => error!("{CALLER}: swfurl {url} not found"),
        _ => {
            let status = status.map_or(-1, i32::from);
            error!("{CALLER}: couldn't contact swfurl {url} (HTTP error {status})");
        }
    }
    Err(result.err().unwrap_or(Error::Invalid("the server sends no SWF file")).reported())
}

fn report_unwritable(path: &Path, error: &io::Error) {
    let path = path.display();
    let code = error.raw_os_error().unwrap_or(0);
    let text = error.to_string();
    // Rust adds the number to the text.
    let text = text.split(" (os error").next().unwrap_or_default();
    error!("{CALLER}: couldn't open {path} for writing, errno {code} ({text})");
}

/// A file that is being downloaded.
struct Download {
    hasher: Hasher,
    status: Option<u16>,
    date: Vec<u8>,
    /// Bytes of any body, including error pages.
    received: usize,
    deadline: Instant,
}

impl Download {
    fn new(date: Vec<u8>) -> Self {
        let deadline = Instant::now() + DOWNLOAD_TIME;
        Self { hasher: Hasher::new(), status: None, date, received: 0, deadline }
    }
}

impl Receiver for Download {
    fn status(&mut self, status: u16) {
        self.status = Some(status);
    }

    fn last_modified(&mut self, date: &[u8]) {
        if cache::is_date(date) {
            self.date = date.to_vec();
        }
    }

    fn body(&mut self, bytes: &[u8]) -> Result<()> {
        if Instant::now() >= self.deadline {
            return Err(Error::TimedOut);
        }
        self.received = self.received.saturating_add(bytes.len());
        if self.received > MAX_SIZE {
            return Err(Error::TooLarge("an SWF file of more than 64 MiB"));
        }
        match self.status.map(Outcome::of_status) {
            Some(Outcome::Complete) => self.hasher.update(bytes),
            _ => Ok(()),
        }
    }
}

/// The function that librtmp's messages name.
const CALLER: &str = "RTMP_HashSWF";
