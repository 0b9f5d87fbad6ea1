//! Servers of other makes that take whatever is published: `rust-servers NAME PORT`, with NAME one of librtmp2, oxideav and
//! rtmp-rs. They print what a client announces and what it sends, a line each:
//!
//! ```text
//! ready
//! connect list=Opus,hvc1 video=*:4 audio= caps=14
//! video 40 9168766331000028...
//! ```

use std::collections::BTreeMap;
use std::io::Write as _;
use std::net::{Ipv4Addr, SocketAddr};
use std::thread;
use std::time::Duration;

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    let [_, name, port] = &arguments[..] else { panic!("usage: rust-servers NAME PORT") };
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port.parse().expect("a port")));
    match name.as_str() {
        "librtmp2" => librtmp2(address),
        "oxideav" => oxideav(address),
        "rtmp-rs" => rtmp_rs::serve(address),
        _ => panic!("there is no server {name}"),
    }
}

fn say(line: &str) {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{line}").and_then(|()| out.flush()).expect("there is a reader");
}

/// What a client announces, with lists and maps in the order of their names.
fn say_connect(mut list: Vec<String>, video: BTreeMap<String, u32>, audio: BTreeMap<String, u32>, caps: u32) {
    list.sort();
    let [video, audio] = [video, audio]
        .map(|map| map.iter().map(|(codec, mask)| format!("{codec}:{mask}")).collect::<Vec<_>>().join(","));
    say(&format!("connect list={} video={video} audio={audio} caps={caps}", list.join(",")));
}

fn say_message(kind: &str, timestamp: u32, body: &[u8]) {
    let hex: String = body.iter().map(|byte| format!("{byte:02x}")).collect();
    say(&format!("{kind} {timestamp} {hex}"));
}

/// It answers with what both ends can do, out of a list that is its own.
fn librtmp2(address: SocketAddr) {
    use librtmp2::{ConnState, FrameType, server::Server, types::ServerConfig};

    let mut server = Server::from_config(ServerConfig::default(), None).expect("no TLS is needed");
    server.enable_relay_export(1 << 16, 1 << 28);
    server.listen(&address.to_string()).expect("the port is free");
    say("ready");
    let mut known = Vec::new();
    loop {
        server.poll(10).expect("it goes on");
        for connection in &server.connections {
            if connection.state < ConnState::AppConnected || known.contains(&connection.conn_id) {
                continue;
            }
            known.push(connection.conn_id);
            let caps = &connection.negotiated_caps;
            let text = |code: &librtmp2::types::FourCc| {
                String::from_utf8_lossy(&code.cc).trim_end_matches('\0').to_owned()
            };
            let list = caps.four_cc_list.entries[..caps.four_cc_list.count].iter().map(text).collect();
            let map = &caps.video_four_cc_info_map;
            let video = map.entries[..map.count].iter().map(text).zip(map.masks).collect();
            say_connect(list, video, BTreeMap::new(), caps.caps_ex_mask);
        }
        for frame in server.drain_exported_relay_frames() {
            let kind = match frame.frame_type {
                FrameType::Audio => "audio",
                FrameType::Video => "video",
                FrameType::Script | FrameType::Metadata => "data",
            };
            say_message(kind, frame.timestamp, &frame.payload);
        }
        thread::sleep(Duration::from_millis(1));
    }
}

/// What it prints of messages is what it makes of them again.
fn oxideav(address: SocketAddr) {
    use oxideav_rtmp::{ConnectCapabilities, RtmpServer, StreamPacket, flv};

    let mut server = RtmpServer::bind(address).expect("the port is free");
    let mut own = ConnectCapabilities { caps_ex: 3, ..ConnectCapabilities::default() };
    own.fourcc_list = vec!["hvc1".into(), "Opus".into()];
    own.video_fourcc_info_map.insert("hvc1", 5);
    own.audio_fourcc_info_map.insert("*", 4);
    server.set_capabilities(own);
    say("ready");
    loop {
        // A client that does not publish is an error.
        let Ok(request) = server.accept() else { continue };
        let caps = request.capabilities.clone();
        let map = |map: &oxideav_rtmp::FourCcInfoMap| {
            map.iter().map(|(code, mask)| (code.to_owned(), mask)).collect()
        };
        say_connect(
            caps.fourcc_list,
            map(&caps.video_fourcc_info_map),
            map(&caps.audio_fourcc_info_map),
            caps.caps_ex,
        );
        let Ok(mut session) = request.accept() else { continue };
        loop {
            match session.next_packet() {
                Ok(Some(StreamPacket::Audio { timestamp, tag })) => {
                    say_message("audio", timestamp, &flv::build_audio(&tag));
                }
                Ok(Some(StreamPacket::Video { timestamp, tag })) => {
                    say_message("video", timestamp, &flv::build_video(&tag));
                }
                Ok(Some(_)) => {}
                Ok(None) => break,
                Err(error) => {
                    say(&format!("error {error}"));
                    break;
                }
            }
        }
    }
}

/// It answers with what both ends can do, out of what it is given here.
mod rtmp_rs {
    use std::collections::HashMap;
    use std::net::SocketAddr;

    use rtmp_rs::media::flv::{FlvTag, FlvTagType};
    use rtmp_rs::media::fourcc::{AudioFourCc, VideoFourCc};
    use rtmp_rs::protocol::enhanced::FourCcCapability;
    use rtmp_rs::protocol::message::ConnectParams;
    use rtmp_rs::server::config::EnhancedServerCapabilities;
    use rtmp_rs::server::handler::MediaDeliveryMode;
    use rtmp_rs::session::{SessionContext, StreamContext};
    use rtmp_rs::{AuthResult, RtmpHandler, RtmpServer, ServerConfig};

    use super::{say, say_connect, say_message};

    struct Printer;

    impl RtmpHandler for Printer {
        async fn on_connect(&self, _: &SessionContext, params: &ConnectParams) -> AuthResult {
            let map =
                |map: &Option<HashMap<String, u32>>| map.clone().unwrap_or_default().into_iter().collect();
            say_connect(
                params.fourcc_list.clone().unwrap_or_default(),
                map(&params.video_fourcc_info_map),
                map(&params.audio_fourcc_info_map),
                params.caps_ex.unwrap_or_default(),
            );
            AuthResult::Accept
        }

        async fn on_media_tag(&self, _: &StreamContext, tag: &FlvTag) -> bool {
            let kind = match tag.tag_type {
                FlvTagType::Audio => "audio",
                FlvTagType::Video => "video",
                FlvTagType::Script => "data",
            };
            say_message(kind, tag.timestamp, &tag.data);
            true
        }

        fn media_delivery_mode(&self) -> MediaDeliveryMode {
            MediaDeliveryMode::RawFlv
        }
    }

    #[tokio::main]
    pub async fn serve(address: SocketAddr) {
        let own = EnhancedServerCapabilities::minimal()
            .with_video_codec(VideoFourCc::Hevc, FourCcCapability::from_bits(5))
            .with_audio_codec(AudioFourCc::Opus, FourCcCapability::from_bits(4))
            .with_multitrack();
        let server = RtmpServer::new(ServerConfig::with_addr(address).enhanced_capabilities(own), Printer);
        say("ready");
        server.run().await.expect("it runs until it is stopped");
    }
}
