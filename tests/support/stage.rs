//! What tests with real streams start from: a film in a folder, and its way through a server and back.

use std::fs;
use std::path::{Path, PathBuf};

use super::examples::{self, Client, ExampleServer};
use super::flv::{self, Tag};
use super::library::Library;
use super::process::TempDir;
use super::{clip, wiretap::Wiretap};

/// A folder with `film.flv` in it, which servers play and tests may use.
pub struct Stage {
    pub folder: TempDir,
    /// The same film where it is kept.
    pub clip: PathBuf,
    /// Its tags in the form that librtmp returns.
    pub film: Vec<Tag>,
}

impl Stage {
    /// `None` when the film cannot be made.
    pub fn set() -> Option<Self> {
        let clip = clip::flv()?;
        let folder = TempDir::new("stage");
        fs::copy(&clip, folder.join("film.flv")).expect("the build directory is writable");
        let film = flv::readable(&flv::load(&clip));
        Some(Self { folder, clip, film })
    }

    /// Plays the film with the receiver, publishes it and receives what the server relays; `options` follow each URL.
    pub fn travel(
        &self,
        server: &ExampleServer,
        tap: &Wiretap,
        protocol: &str,
        options: &str,
        clients_on: Library,
    ) -> Option<()> {
        let what = format!("{protocol}, clients on {clients_on:?}");
        let file = self.folder.join(format!("{protocol}.flv"));
        examples::receive(clients_on, &(tap.url(protocol, "vod/film") + options), &file)?;
        self.assert_whole(&file, &what);

        let url = tap.url(protocol, "live/show") + options;
        let player = self.player(&url, &file, clients_on)?;
        server.wait_for_log("plays live/show");
        examples::publish(clients_on, &self.clip, &url)?;
        // The player's end is the proof that the publisher's goodbye has arrived.
        player.finish().expect(&what);
        self.assert_complete(&file, &what);
        Some(())
    }

    /// The receiver, waiting for a live stream.
    pub fn player(&self, url: &str, file: &Path, library: Library) -> Option<Client> {
        let file = file.to_string_lossy();
        Client::example("receive", library, &["-q", "--live", "-t", "10", "-o", &file, url])
    }

    /// The file is the film.
    pub fn assert_whole(&self, file: &Path, what: &str) {
        flv::assert_equal(&flv::media(&self.film), &flv::media(&flv::load(file)), what);
    }

    /// All frames of the film are in the file, from the first to the last.
    pub fn assert_complete(&self, file: &Path, what: &str) {
        let found = flv::readable(&flv::load(file));
        let frames = self.film.iter().filter(|tag| tag.kind != 0x12 && !tag.is_sequence_header()).count();
        let received = flv::assert_contiguous(&self.film, &found, what);
        assert_eq!(received, frames, "{what}: all frames have to arrive");
    }

    /// An uninterrupted part of the film is in the file, of more than 150 of its frames.
    pub fn assert_most(&self, file: &Path, what: &str) {
        let found = flv::readable(&flv::load(file));
        assert!(flv::assert_contiguous(&self.film, &found, what) > 150, "{what}");
    }
}
