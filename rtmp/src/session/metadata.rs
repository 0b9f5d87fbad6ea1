//! `onMetaData`: the description of a stream.

use log::{error, info};

use super::State;
use crate::{
    amf::{self, Properties, Value},
    text::Text,
};

/// FLV header flag for streams with audio.
const HAS_AUDIO: u8 = 4;
/// FLV header flag for streams with video.
const HAS_VIDEO: u8 = 1;

/// The log cuts strings at this length.
const MAX_LOGGED: usize = 254;

/// The log shows objects down to this depth. The decoder refuses deeper ones.
const MAX_LOG_DEPTH: usize = 64;

/// Processes a data message; true if it was `onMetaData`, which the application receives.
pub(super) fn receive(state: &mut State, body: &[u8]) -> bool {
    let values = match amf::decode(body) {
        Ok(values) => values,
        Err(error) => {
            error!("HandleMetadata, error decoding meta data packet: {error}");
            return false;
        }
    };
    amf::dump::dump(&values);
    if !is_on_metadata(&values) {
        return false;
    }
    if log::log_enabled!(log::Level::Info) {
        info!("Metadata:");
        log_properties(&values, 0);
    }
    if let Some(duration) = values.find_deep(b"duration").and_then(Value::as_number) {
        state.duration = duration;
    }
    if values.has_prefix_property(b"video") {
        state.media_types |= HAS_VIDEO;
    }
    if values.has_prefix_property(b"audio") {
        state.media_types |= HAS_AUDIO;
    }
    true
}

/// Whether the application receives a data message.
pub(super) fn is_handed_on(body: &[u8]) -> bool {
    amf::decode(body).is_ok_and(|values| is_on_metadata(&values))
}

fn is_on_metadata(values: &Properties<'_>) -> bool {
    values.get(0).and_then(|property| property.value.as_string()) == Some(b"onMetaData")
}

/// Logs named properties, one per line, with the contents of containers below their names.
fn log_properties(properties: &Properties<'_>, depth: usize) {
    if depth == MAX_LOG_DEPTH {
        return;
    }
    for property in properties.iter() {
        let name = Text(property.name);
        let value = match &property.value {
            Value::Object(members) | Value::EcmaArray(members) | Value::StrictArray(members) => {
                if !property.name.is_empty() {
                    info!("{name}:");
                }
                log_properties(members, depth + 1);
                continue;
            }
            Value::Number(number) => format!("{number:.2}"),
            Value::Boolean(true) => "TRUE".to_owned(),
            Value::Boolean(false) => "FALSE".to_owned(),
            Value::String(text) => {
                let text = text.strip_suffix(b"\n").unwrap_or(text);
                Text(&text[..text.len().min(MAX_LOGGED)]).to_string()
            }
            Value::Date { millis, .. } => format!("timestamp:{millis:.2}"),
            _ => continue,
        };
        if !property.name.is_empty() && !value.is_empty() {
            info!("  {:<22}{value}", name.to_string());
        }
    }
}
