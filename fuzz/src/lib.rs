//! The bodies of the fuzz targets. Each takes any bytes and panics when the library breaks a promise.
//!
//! They are compiled twice: for cargo-fuzz, which looks for bytes, and by `tests/corpora.rs`, which replays those that
//! were found. The first bytes choose how a target is driven, such as where the rest is cut into pieces.

macro_rules! targets {
    ($($name:ident),* $(,)?) => {
        $(pub mod $name;)*

        /// Every target by name.
        pub const TARGETS: &[(&str, fn(&[u8]))] = &[$((stringify!($name), $name::run)),*];
    };
}

mod counted;
mod input;

targets![
    amf0,
    amf3,
    amf_c,
    calls,
    chunk_reader,
    enhanced_session,
    flv_file,
    flv_reader,
    flv_writer,
    handshake,
    http_reply,
    link,
    media,
    proxy_reply,
    rtmpt_reply,
    rtmpt_request,
    rtmpt_server,
    session_machine,
    setup_url,
    swf,
    swf_cache,
    url,
];
