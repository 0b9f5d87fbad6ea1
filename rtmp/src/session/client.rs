//! The client's reaction to a message, by message type.

use log::{debug, error, warn};

use super::{Action, Context, Notice, Outcome, Reaction, command, metadata, pausing, reply};
use crate::{flv, message::MessageType};

/// User control events (RTMP 1.0, section 7.1.7, and what Flash Media Server adds).
pub mod event {
    pub(crate) const STREAM_BEGIN: u16 = 0;
    pub(crate) const STREAM_EOF: u16 = 1;
    pub(crate) const STREAM_DRY: u16 = 2;
    pub(crate) const STREAM_IS_RECORDED: u16 = 4;
    pub(crate) const PING: u16 = 6;
    pub(crate) const PONG: u16 = 7;
    pub(crate) const SWF_VERIFICATION: u16 = 0x1A;
    pub(crate) const SWF_VERIFICATION_RESPONSE: u16 = 0x1B;
    pub(crate) const BUFFER_EMPTY: u16 = 31;
    pub(crate) const BUFFER_READY: u16 = 32;
}

/// Takes a complete message other than audio and video, and returns its meaning and the necessary actions. For audio and video,
/// [`State::media_arrived`](super::State::media_arrived) is enough.
pub fn react(context: &mut Context<'_, '_>, kind: MessageType, timestamp: u32, body: &[u8]) -> Reaction {
    let mut reaction = Reaction::new(Outcome::Handled);
    let state = &mut *context.state;
    match kind {
        MessageType::SET_CHUNK_SIZE => match be_u32(body).map(crate::chunk::valid_chunk_size) {
            Some(Some(size)) => {
                state.in_chunk_size = size as i32;
                debug!("HandleChangeChunkSize, received: chunk size change to {size}");
            }
            Some(None) => warn!("ignoring a chunk size of less than 1 from the server"),
            None => {}
        },
        MessageType::ACKNOWLEDGEMENT => debug!("RTMP_ClientPacket, received: bytes read report"),
        MessageType::ABORT => {
            debug!("RTMP_ClientPacket, unknown packet type received: 0x02");
            if let Some(chunk_stream) = be_u32(body) {
                reaction.actions.push(Action::Abort(chunk_stream));
            }
        }
        MessageType::USER_CONTROL => return user_control(context, body),
        MessageType::WINDOW_ACKNOWLEDGEMENT_SIZE => {
            if let Some(size) = be_u32(body) {
                state.window_size = size as i32;
                debug!("HandleServerBW: server BW = {}", state.window_size);
            }
        }
        MessageType::SET_PEER_BANDWIDTH => {
            if let Some(size) = be_u32(body) {
                state.peer_bandwidth = size as i32;
                state.peer_bandwidth_limit = body.get(4).copied().unwrap_or(u8::MAX);
                let (size, limit) = (state.peer_bandwidth, state.peer_bandwidth_limit);
                debug!("HandleClientBW: client BW = {size} {limit}");
            }
        }
        MessageType::DATA => {
            debug!("RTMP_ClientPacket, received: notify {} bytes", body.len());
            if metadata::receive(state, body) || context.profile.all_data {
                reaction.outcome = Outcome::Media;
            } else if context.wants_notices {
                reaction.notice = Some(Notice::of_data(kind, body));
            }
        }
        MessageType::COMMAND => {
            debug!("RTMP_ClientPacket, received: invoke {} bytes", body.len());
            return reply::receive(context, body);
        }
        // One byte names the format; what follows is AMF0 in practice.
        MessageType::COMMAND_AMF3 => {
            debug!("RTMP_ClientPacket, flex message, size {} bytes, not fully supported", body.len());
            return reply::receive(context, behind_format(body));
        }
        MessageType::AGGREGATE => {
            aggregate(context, timestamp, body);
            reaction.outcome = Outcome::Media;
        }
        // Only a session that announced AMF3 receives these.
        MessageType::DATA_AMF3 if state.object_encoding == AMF3 => {
            debug!("RTMP_ClientPacket, received: flex stream send, {} bytes", body.len());
            if metadata::receive(state, behind_format(body)) || context.profile.all_data {
                reaction.outcome = Outcome::Media;
            } else if context.wants_notices {
                reaction.notice = Some(Notice::of_data(kind, body));
            }
        }
        MessageType::DATA_AMF3 => {
            debug!("RTMP_ClientPacket, flex stream send, size {} bytes, not supported, ignoring", body.len());
            if context.profile.all_data {
                reaction.outcome = Outcome::Media;
            } else if context.wants_notices {
                reaction.notice = Some(Notice::of_data(kind, body));
            }
        }
        MessageType::SHARED_OBJECT_AMF3 => {
            debug!(
                "RTMP_ClientPacket, flex shared object, size {} bytes, not supported, ignoring",
                body.len()
            );
        }
        MessageType::SHARED_OBJECT => debug!("RTMP_ClientPacket, shared object, not supported, ignoring"),
        MessageType(kind) => debug!("RTMP_ClientPacket, unknown packet type received: 0x{kind:02x}"),
    }
    reaction
}

/// The AMF0 values after the byte that names the format of an AMF3 message. Some of them may be AMF3.
fn behind_format(body: &[u8]) -> &[u8] {
    body.get(1..).unwrap_or_default()
}

/// The object encoding of sessions in which AMF3 may be sent.
const AMF3: f64 = 3.0;

fn be_u32(body: &[u8]) -> Option<u32> {
    body.first_chunk().copied().map(u32::from_be_bytes)
}

fn user_control(context: &mut Context<'_, '_>, body: &[u8]) -> Reaction {
    let mut reaction = Reaction::new(Outcome::Handled);
    let Some((kind, data)) = body.split_first_chunk::<2>() else { return reaction };
    let state = &mut *context.state;
    let kind = u16::from_be_bytes(*kind);
    log_event(kind, data);
    match kind {
        event::SWF_VERIFICATION => match (data.first(), context.profile.swf_verification) {
            (Some(&version), _) if version as i8 > 1 => {
                error!(
                    "HandleCtrl: SWFVerification Type {version} request not supported! Patches welcome..."
                );
            }
            (_, Some(response)) => {
                let response = command::user_control(event::SWF_VERIFICATION_RESPONSE, response);
                reaction.actions.push(Action::Send(response));
            }
            (_, None) => error!("HandleCtrl: Ignoring SWFVerification request, use --swfVfy!"),
        },
        _ if data.len() < 4 => {}
        event::STREAM_EOF if state.pausing == pausing::ASKED => reaction.outcome = Outcome::Ended,
        event::PING => reaction.actions.push(Action::Send(command::user_control(event::PONG, &data[..4]))),
        event::BUFFER_EMPTY if context.profile.buffer_events => match state.pausing {
            pausing::NO => {
                state.pause_timestamp = context.media_clock;
                state.pausing = pausing::ASKED;
                let pause = command::pause(state, true, state.pause_timestamp as i32);
                reaction.actions.push(Action::Send(pause));
            }
            pausing::PAUSED => {
                state.pausing = pausing::RESUMING;
                let resume = command::pause(state, false, state.pause_timestamp as i32);
                reaction.actions.push(Action::Send(resume));
            }
            _ => {}
        },
        _ => {}
    }
    reaction
}

/// Logs a user control event.
fn log_event(kind: u16, data: &[u8]) {
    // librtmp logs the kind as a signed number.
    debug!("HandleCtrl, received ctrl. type: {}, len: {}", kind as i16, data.len() + 2);
    if kind == event::SWF_VERIFICATION {
        debug!("HandleCtrl, SWFVerification ping received: ");
        return;
    }
    let Some(value) = be_u32(data) else { return };
    let words = match kind {
        event::STREAM_BEGIN => "Stream Begin",
        event::STREAM_EOF => "Stream EOF",
        event::STREAM_DRY => "Stream Dry",
        event::STREAM_IS_RECORDED => "Stream IsRecorded",
        event::PING => "Ping",
        event::BUFFER_EMPTY => "Stream BufferEmpty",
        event::BUFFER_READY => "Stream BufferReady",
        _ => "Stream xx",
    };
    debug!("HandleCtrl, {words} {}", value as i32);
}

/// Reads the FLV tags of an aggregate: metadata, and the timestamp of the last audio or video.
fn aggregate(context: &mut Context<'_, '_>, timestamp: u32, body: &[u8]) {
    let state = &mut *context.state;
    let mut last = timestamp;
    let mut rest = body;
    // A tag header without a body is skipped.
    while rest.len() > flv::TAG_HEADER_LEN {
        let Some(tag) = flv::TagHeader::parse(rest) else { break };
        let end = flv::TAG_HEADER_LEN + tag.body_len();
        let (Some(data), Some(next)) =
            (rest.get(flv::TAG_HEADER_LEN..end), rest.get(end + flv::PREVIOUS_TAG_SIZE_LEN..))
        else {
            warn!("Stream corrupt?!");
            break;
        };
        match MessageType(tag.kind) {
            MessageType::DATA => {
                metadata::receive(state, data);
            }
            MessageType::DATA_AMF3 if state.object_encoding == AMF3 => {
                metadata::receive(state, behind_format(data));
            }
            MessageType::AUDIO | MessageType::VIDEO => last = tag.timestamp,
            _ => {}
        }
        rest = next;
    }
    if state.pausing == pausing::NO {
        state.media_timestamp = last;
    }
}
