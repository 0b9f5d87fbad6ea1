//! Commands from the server: results of our own, and status messages.

use log::{debug, error, warn};

use super::{
    Action, Context, Outcome, Reaction,
    auth::{self, Decision},
    command, pausing, secure_token,
};
use crate::{
    amf::{self, Properties, Value},
    error::{Refusal, Result},
    message::MessageType,
    text::Text,
};

/// Marker of an AMF0 string, which every command begins with.
const STRING_MARKER: u8 = 2;

/// Commands without which there is no stream: an error in answer to one of them ends the session.
const ESSENTIAL: [&[u8]; 4] = [b"connect", b"createStream", b"publish", b"play"];

/// What a status code means.
enum Status {
    /// The stream runs; the command with this name has its answer.
    Started(&'static [u8]),
    /// The stream is over.
    Ended,
    /// The stream will not run.
    Failed,
    SeekDone,
    /// The stream goes on where it was.
    SeekFailed,
    Paused,
    /// Whatever its level says.
    Other,
}

fn status_of(code: &[u8]) -> Status {
    match code {
        b"NetStream.Play.Start" | b"NetStream.Play.PublishNotify" => Status::Started(b"play"),
        b"NetStream.Publish.Start" => Status::Started(b"publish"),
        b"NetStream.Play.Complete" | b"NetStream.Play.Stop" | b"NetStream.Play.UnpublishNotify" => {
            Status::Ended
        }
        b"NetStream.Failed"
        | b"NetStream.Play.Failed"
        | b"NetStream.Play.StreamNotFound"
        | b"NetConnection.Connect.InvalidApp" => Status::Failed,
        b"NetStream.Seek.Notify" => Status::SeekDone,
        b"NetStream.Seek.Failed" | b"NetStream.Seek.InvalidTime" => Status::SeekFailed,
        b"NetStream.Pause.Notify" => Status::Paused,
        _ => Status::Other,
    }
}

/// Takes the AMF0 body of a command message.
pub(super) fn receive(context: &mut Context<'_, '_>, body: &[u8]) -> Reaction {
    let mut reaction = Reaction::new(Outcome::Handled);
    if body.first() != Some(&STRING_MARKER) {
        warn!("HandleInvoke, Sanity failed. no string method in invoke packet");
        return reaction;
    }
    let values = match amf::decode(body) {
        Ok(values) => values,
        Err(error) => {
            error!("HandleInvoke, error decoding invoke packet: {error}");
            return reaction;
        }
    };
    let method = value(&values, 0).and_then(Value::as_string).unwrap_or_default();
    let transaction = value(&values, 1).and_then(Value::as_number).unwrap_or_default();
    debug!("server invoking <{}>", Text(method));
    let state = &mut *context.state;
    let actions = &mut reaction.actions;
    match method {
        b"_result" => result(context, transaction, &values, actions),
        b"_error" => error_result(context, transaction, &values, actions),
        b"onStatus" => return status(context, &values),
        b"onBWDone" if state.bandwidth_checks == 0 => {
            actions.push(Action::Send(command::check_bandwidth(state)));
        }
        b"_onbwcheck" => actions.push(Action::Send(command::bandwidth_result(state, transaction))),
        b"_onbwdone" => context.calls.forget(b"_checkbw"),
        b"ping" => actions.push(Action::Send(command::pong(state, transaction))),
        b"playlist_ready" => context.calls.forget(b"set_playlist"),
        b"onFCUnsubscribe" => {
            actions.push(Action::Close);
            reaction.outcome = Outcome::Ended;
        }
        b"close" => {
            error!("rtmp server requested close");
            actions.push(Action::Close);
        }
        _ => {}
    }
    reaction
}

/// The result of one of our commands: what comes after it.
fn result(
    context: &mut Context<'_, '_>,
    transaction: f64,
    values: &Properties<'_>,
    actions: &mut Vec<Action>,
) {
    let Some(call) = context.calls.take(transaction as i32) else {
        debug!("received result id {transaction} without matching request");
        return;
    };
    debug!("received result for method call <{}>", Text(&call));
    let Context { state, profile, .. } = context;
    let mut send = |command| actions.push(Action::Send(command));
    match &call[..] {
        b"connect" => {
            if let Some(challenge) = values.find_deep(b"secureToken").and_then(Value::as_string)
                && !profile.secure_token.is_empty()
                && let Some(answer) = secure_token::answer(profile.secure_token, challenge)
            {
                send(command::secure_token_response(&answer));
            }
            if profile.publish {
                send(command::release_stream(state, profile));
                send(command::fc_publish(state, profile));
            } else {
                send(command::window_acknowledgement_size(state));
                send(command::set_buffer_length(0, 300));
            }
            send(command::create_stream(state));
            if !profile.publish {
                if !profile.usher_token.is_empty() {
                    send(command::usher_token(state, profile));
                }
                if !profile.subscribe_name.is_empty() {
                    send(command::fc_subscribe(state, profile.subscribe_name));
                } else if profile.live {
                    send(command::fc_subscribe(state, profile.stream_name));
                }
            }
        }
        b"createStream" => {
            let Some(stream_id) = value(values, 3).and_then(Value::as_number) else {
                let description = "the result has no stream id".to_owned();
                let method = "createStream".to_owned();
                refused(context, Refusal { method, code: String::new(), description }, actions);
                return;
            };
            state.stream_id = stream_id as i32;
            if profile.publish {
                send(command::publish(state, profile));
                return;
            }
            if profile.playlist {
                send(command::set_playlist(state, profile));
            }
            send(command::play(state, profile));
            send(command::set_buffer_length(state.stream_id, state.buffer_ms));
        }
        b"play" | b"publish" => state.playing = true,
        _ => {}
    }
}

/// An error in answer to one of our commands.
fn error_result(
    context: &mut Context<'_, '_>,
    transaction: f64,
    values: &Properties<'_>,
    actions: &mut Vec<Action>,
) {
    let id = transaction as i32;
    let call = if f64::from(id) == transaction { context.calls.take(id) } else { None };
    let info = info_object(values);
    let Some(call) = call else {
        error!("rtmp server sent error: {}", refusal(b"no command that is known", info));
        return;
    };
    if call == b"connect" && context.profile.publish {
        match authenticate(context, text_member(info, b"description")) {
            Ok(Decision::Reconnect { append }) => {
                debug!("connecting again to authenticate the publisher");
                actions.push(Action::Authenticate(append));
                return;
            }
            Ok(Decision::GiveUp { reason }) => error!("PublisherAuth, {reason}"),
            Ok(Decision::NotAsked) => {}
            Err(error) => error!("PublisherAuth, Authentication failed: {error}"),
        }
    }
    let refusal = refusal(&call, info);
    error!("rtmp server sent error: {refusal}");
    if ESSENTIAL.contains(&&call[..]) {
        refused(context, refusal, actions);
    }
}

/// What to do about a server that wants to know who publishes.
fn authenticate(context: &mut Context<'_, '_>, description: &[u8]) -> Result<Decision> {
    let profile = context.profile;
    auth::respond(description, profile.app, profile.user, profile.password, &mut context.random)
}

fn status(context: &mut Context<'_, '_>, values: &Properties<'_>) -> Reaction {
    let mut reaction = Reaction::new(Outcome::Handled);
    let info = info_object(values);
    let code = text_member(info, b"code");
    let level = text_member(info, b"level");
    debug!("onStatus: {}", Text(code));
    let state = &mut *context.state;
    match status_of(code) {
        Status::Started(name) => {
            state.playing = true;
            context.calls.forget(name);
        }
        Status::Ended => {
            reaction.actions.push(Action::Close);
            reaction.outcome = Outcome::Ended;
        }
        Status::Failed => refused(context, refusal(b"a command", info), &mut reaction.actions),
        Status::SeekDone => state.seeking = false,
        Status::SeekFailed => {
            state.seeking = false;
            error!("rtmp server sent error: {}", refusal(b"a command", info));
        }
        Status::Paused if matches!(state.pausing, pausing::ASKED | pausing::PAUSED) => {
            state.pausing = pausing::RESUMING;
            let resume = command::pause(state, false, state.pause_timestamp as i32);
            reaction.actions.push(Action::Send(resume));
        }
        Status::Other if level == b"error" && state.playing => {
            error!("rtmp server sent error: {}", refusal(b"a command", info));
        }
        Status::Other if level == b"error" => {
            refused(context, refusal(b"a command", info), &mut reaction.actions);
        }
        Status::Paused | Status::Other => {}
    }
    reaction
}

/// Whether a command says that the stream is over.
pub(super) fn ends(body: &[u8]) -> bool {
    let Ok(values) = amf::decode(body) else { return false };
    match value(&values, 0).and_then(Value::as_string) {
        Some(b"onStatus") => {
            let code = text_member(info_object(&values), b"code");
            matches!(status_of(code), Status::Ended | Status::Failed)
        }
        Some(b"onFCUnsubscribe" | b"close") => true,
        _ => false,
    }
}

/// What a command from the server says as a status message, for people; `None` if it is none.
pub fn status_words(kind: MessageType, body: &[u8]) -> Option<Refusal> {
    let body = match kind {
        MessageType::COMMAND => body,
        // Behind a byte that says so there is AMF0.
        MessageType::COMMAND_AMF3 => body.get(1..)?,
        _ => return None,
    };
    let values = amf::decode(body).ok()?;
    let method = value(&values, 0).and_then(Value::as_string)?;
    Some(refusal(method, info_object(&values)))
}

/// The server will not let the stream run: there is nothing to delete, and nothing to wait for.
fn refused(context: &mut Context<'_, '_>, refusal: Refusal, actions: &mut Vec<Action>) {
    error!("Closing connection: {refusal}");
    context.state.stream_id = -1;
    actions.push(Action::Refuse(refusal));
}

fn value<'v, 'a>(values: &'v Properties<'a>, index: usize) -> Option<&'v Value<'a>> {
    values.get(index).map(|property| &property.value)
}

/// The information object of a result or status message, its fourth value. An array in its place counts as nothing,
/// as it always did for librtmp.
fn info_object<'v, 'a>(values: &'v Properties<'a>) -> Option<&'v Properties<'a>> {
    value(values, 3)?.as_object()
}

fn text_member<'a>(info: Option<&Properties<'a>>, name: &[u8]) -> &'a [u8] {
    info.and_then(|members| members.find(name)?.as_string()).unwrap_or_default()
}

fn refusal(method: &[u8], info: Option<&Properties<'_>>) -> Refusal {
    Refusal {
        method: Text(method).to_string(),
        code: Text(text_member(info, b"code")).to_string(),
        description: Text(text_member(info, b"description")).to_string(),
    }
}
