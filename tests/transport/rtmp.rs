//! Plain RTMP between the two libraries: clients on one play from and publish to a server on the other.
#![forbid(unsafe_code)]

use crate::support::Library;
use crate::support::examples::{self, ExampleServer};
use crate::support::stage::Stage;
use crate::support::wiretap::Wiretap;

fn films_travel(server_on: Library, clients_on: Library) {
    let stage = need!(Stage::set());
    let server = need!(ExampleServer::start(server_on, stage.folder.path()));
    let tap = Wiretap::in_front_of(server.port());
    need!(stage.travel(&server, &tap, "rtmp", "", clients_on));
    let file = stage.folder.join("dumped.flv");
    need!(examples::rtmpdump(clients_on, &tap.url("rtmp", "vod/film"), &file));
    stage.assert_whole(&file, "rtmpdump");
    for [from_client, from_server] in tap.recordings() {
        assert_eq!((from_client[0], from_server[0]), (3, 3), "types of the handshake");
    }
}

#[test]
fn librtmps_clients_play_and_publish_on_our_server() {
    films_travel(Library::Ours, Library::Original);
}

#[test]
fn our_clients_play_and_publish_on_librtmps_server() {
    films_travel(Library::Original, Library::Ours);
}

#[test]
fn our_clients_play_and_publish_on_our_server() {
    films_travel(Library::Ours, Library::Ours);
}
