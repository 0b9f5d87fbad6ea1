//! Commands from the server: results of our commands, and status messages.

use log::{debug, error, warn};

use super::{
    Action, Actions, Calls, Context, Notice, Outcome, Peer, Reaction, Reconnect,
    auth::{self, Decision},
    command, pausing, secure_token,
};
use crate::{
    amf::{self, Properties, Value},
    error::{Refusal, Result},
    message::MessageType,
    text::{OrNull, Text},
};

/// Marker of an AMF0 string, with which every command begins.
const STRING_MARKER: u8 = 2;
/// The same in AMF3.
const AMF3_STRING_MARKER: u8 = 6;
/// The marker in front of an AMF3 value in AMF0.
const AMF3_MARKER: u8 = 0x11;

/// Commands that a stream needs: an error in answer to one of them ends the session.
const ESSENTIAL: [&[u8]; 4] = [b"connect", b"createStream", b"publish", b"play"];

/// The number of such commands that wait for their results.
pub(super) fn count_essential(calls: &dyn Calls) -> usize {
    ESSENTIAL.iter().filter(|name| calls.contains(name)).count()
}

/// The meaning of a status code.
enum Status {
    /// The stream runs; the command with this name has its answer.
    Started(&'static [u8]),
    /// The stream has ended.
    Ended,
    /// The stream cannot run.
    Failed,
    SeekDone,
    /// The stream continues at its old position.
    SeekFailed,
    Paused,
    /// The server asks its client to connect again.
    Reconnect,
    /// Any other code; its level decides.
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
        b"NetConnection.Connect.ReconnectRequest" => Status::Reconnect,
        _ => Status::Other,
    }
}

/// Processes the AMF0 body of a command message.
pub(super) fn receive(context: &mut Context<'_, '_>, body: &[u8]) -> Reaction {
    let mut reaction = Reaction::new(Outcome::Handled);
    if !matches!(body, [STRING_MARKER, ..] | [AMF3_MARKER, AMF3_STRING_MARKER, ..]) {
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
    amf::dump::dump(&values);
    let method = value(&values, 0).and_then(Value::as_string).unwrap_or_default();
    let transaction = value(&values, 1).and_then(Value::as_number).unwrap_or_default();
    debug!("HandleInvoke, server invoking <{}>", OrNull(Some(method)));
    let mut is_known = true;
    let state = &mut *context.state;
    let actions = &mut reaction.actions;
    match method {
        b"_result" => result(context, transaction, &values, body, actions),
        b"_error" => error_result(context, transaction, &values, actions),
        b"onStatus" => reaction = status(context, &values),
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
        b"onBWDone" => {}
        _ => is_known = false,
    }
    if context.wants_notices {
        let request = reaction.actions.iter().find_map(|action| match action {
            Action::Reconnect(request) => Some(Notice::Reconnect(request.clone())),
            _ => None,
        });
        reaction.notice =
            request.or_else(|| Notice::of_command(method, info_object(&values), body, is_known));
    }
    reaction
}

/// A command that was sent.
#[derive(PartialEq)]
enum Call {
    Connect,
    CreateStream,
    /// `play` or `publish`.
    Stream,
    Other,
}

/// Reacts to the result of one of our commands.
fn result(
    context: &mut Context<'_, '_>,
    transaction: f64,
    values: &Properties<'_>,
    body: &[u8],
    actions: &mut Actions,
) {
    let id = transaction as i32;
    let Some(name) = context.calls.name_of(id) else {
        debug!("HandleInvoke, received result id {transaction:.6} without matching request");
        return;
    };
    debug!("HandleInvoke, received result for method call <{}>", Text(name));
    let call = match name {
        b"connect" => Call::Connect,
        b"createStream" => Call::CreateStream,
        b"play" | b"publish" => Call::Stream,
        _ => Call::Other,
    };
    context.calls.end(id);
    let Context { state, profile, .. } = context;
    if call == Call::Connect {
        actions.push(Action::Introduced(Peer::new(values, body)));
    }
    let mut send = |command| actions.push(Action::Send(command));
    match call {
        Call::Connect => {
            let challenge = values.find_deep(b"secureToken").and_then(Value::as_string);
            let challenge = challenge.filter(|_| !profile.secure_token.is_empty());
            if let Some(answer) = challenge.and_then(|text| secure_token::answer(profile.secure_token, text))
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
        Call::CreateStream => {
            let Some(stream_id) = value(values, 3).and_then(Value::as_number) else {
                let description = "the result has no stream id".to_owned();
                let method = "createStream".to_owned();
                refused(context, Refusal { method, description, ..Refusal::default() }, actions);
                return;
            };
            state.stream_id = stream_id as i32;
            if profile.stream_name.is_empty() {
                warn!("the stream has no name: neither the URL nor the option playpath names one");
            }
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
        Call::Stream => state.playing = true,
        Call::Other => {}
    }
}

/// Reacts to an error in answer to one of our commands. It refuses the stream if the stream needs the command.
fn error_result(
    context: &mut Context<'_, '_>,
    transaction: f64,
    values: &Properties<'_>,
    actions: &mut Actions,
) {
    let id = transaction as i32;
    let call =
        if f64::from(id) == transaction { context.calls.name_of(id).map(<[u8]>::to_vec) } else { None };
    if call.is_some() {
        context.calls.end(id);
    }
    let info = info_object(values);
    let publish = context.profile.publish;
    match &call {
        Some(call) if publish => debug!("HandleInvoke, received error for method call <{}>", Text(call)),
        None if publish => {
            debug!("HandleInvoke, received result id {transaction:.6} without matching request");
        }
        _ => {}
    }
    if publish && call.as_deref() == Some(b"connect") {
        let description = text_member(info, b"description");
        debug!("HandleInvoke, error description: {}", OrNull(description));
        match authenticate(context, description.unwrap_or_default()) {
            Ok(Decision::Reconnect { append }) => {
                actions.push(Action::Authenticate(append));
                return;
            }
            Ok(Decision::GiveUp { reason }) => error!("PublisherAuth, {reason}"),
            Ok(Decision::NotAsked) => {}
            Err(error) => error!("PublisherAuth, Authentication failed: {error}"),
        }
    }
    let refusal = refusal(call.as_deref().unwrap_or(b"no command that is known"), info);
    if !publish {
        error!("rtmp server sent error: {refusal}");
    }
    if !context.state.playing && call.is_some_and(|call| ESSENTIAL.contains(&&call[..])) {
        refused(context, refusal, actions);
    }
}

/// Reacts to a server that requires publishers to log in.
fn authenticate(context: &mut Context<'_, '_>, description: &[u8]) -> Result<Decision> {
    let profile = context.profile;
    auth::respond(description, profile.app, profile.user, profile.password, &mut context.random)
}

/// The status codes that refuse a command if their level is "error": their prefix, the command, and the side that waits for it.
/// Any other code is about a side matter, such as a recording that cannot be made, or a call that the server does not know.
const REFUSALS: [(&[u8], &[u8], Side); 3] = [
    (b"NetConnection.Connect.", b"connect", Side::Both),
    // Some servers write `NetStream.publish.Unauthorized`.
    (b"NetStream.Publish.", b"publish", Side::Publisher),
    (b"NetStream.Play.", b"play", Side::Player),
];

/// Codes about side matters, regardless of the command that they answer.
const SIDE_MATTERS: [&[u8]; 7] = [
    b"NetConnection.Call.",
    b"NetStream.Buffer.",
    b"NetStream.Pause.",
    b"NetStream.Record.",
    b"NetStream.Seek.",
    b"NetStream.Unpublish.",
    b"SharedObject.",
];

#[derive(PartialEq)]
enum Side {
    Both,
    Player,
    Publisher,
}

/// The command that an error with this code refuses. A stream that runs can no longer be refused.
fn refused_method(context: &Context<'_, '_>, code: &[u8], values: &Properties<'_>) -> Option<&'static [u8]> {
    if context.state.playing {
        return None;
    }
    let begins = |start: &[u8]| code.get(..start.len()).is_some_and(|head| head.eq_ignore_ascii_case(start));
    let side = if context.profile.publish { Side::Publisher } else { Side::Player };
    if let Some((_, method, of)) = REFUSALS.into_iter().find(|(start, ..)| begins(start)) {
        return (of == Side::Both || of == side).then_some(method);
    }
    if SIDE_MATTERS.into_iter().any(begins) {
        return None;
    }
    // A code of the server's own counts if it says which command it answers.
    let transaction = value(values, 1).and_then(Value::as_number)? as i32;
    ESSENTIAL.into_iter().find(|name| context.calls.transaction_of(name) == Some(transaction))
}

/// The server reports an error that does not keep the stream from running.
fn log_side_matter(info: Option<&Properties<'_>>) {
    let mut words = String::new();
    // Writing to a string cannot fail.
    let _ = refusal(b"", info).write_words(&mut words);
    warn!("the server reports an error, and the session continues: {words}");
}

fn status(context: &mut Context<'_, '_>, values: &Properties<'_>) -> Reaction {
    let mut reaction = Reaction::new(Outcome::Handled);
    let info = info_object(values);
    let code = text_member(info, b"code");
    debug!("HandleInvoke, onStatus: {}", OrNull(code));
    let code = code.unwrap_or_default();
    let is_error = text_member(info, b"level") == Some(b"error");
    let refused_method = refused_method(context, code, values).filter(|_| is_error);
    let state = &mut *context.state;
    match status_of(code) {
        Status::Started(name) => {
            state.playing = true;
            context.calls.forget(name);
        }
        // Sent before the server has received the seek; the stream continues at the new position.
        Status::Ended if state.seeking && code != b"NetStream.Play.UnpublishNotify" => {}
        Status::Ended => {
            reaction.actions.push(Action::Close);
            reaction.outcome = Outcome::Ended;
        }
        Status::Failed => refused(context, refusal(b"a command", info), &mut reaction.actions),
        Status::SeekDone => state.seeking = false,
        Status::SeekFailed => {
            state.seeking = false;
            log_side_matter(info);
        }
        Status::Paused if matches!(state.pausing, pausing::ASKED | pausing::PAUSED) => {
            state.pausing = pausing::RESUMING;
            let resume = command::pause(state, false, state.pause_timestamp as i32);
            reaction.actions.push(Action::Send(resume));
        }
        Status::Reconnect => {
            let member = |name| text_member(info, name).unwrap_or_default().to_vec();
            let request = Reconnect { reference: member(b"tcUrl"), description: member(b"description") };
            debug!("the server asks to connect again, to {}", Text(&request.reference));
            reaction.actions.push(Action::Reconnect(request));
        }
        Status::Other => match refused_method {
            Some(method) => refused(context, refusal(method, info), &mut reaction.actions),
            None if is_error => log_side_matter(info),
            None => {}
        },
        Status::Paused => {}
    }
    reaction
}

/// Whether a command means that the stream has ended.
pub(super) fn ends(body: &[u8]) -> bool {
    let Ok(values) = amf::decode(body) else { return false };
    match value(&values, 0).and_then(Value::as_string) {
        Some(b"onStatus") => {
            let code = text_member(info_object(&values), b"code").unwrap_or_default();
            matches!(status_of(code), Status::Ended | Status::Failed)
        }
        Some(b"onFCUnsubscribe" | b"close") => true,
        _ => false,
    }
}

/// The text of a status message in a command from the server; `None` if the command is not one.
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
fn refused(context: &mut Context<'_, '_>, refusal: Refusal, actions: &mut Actions) {
    error!("Closing connection: {refusal}");
    context.state.stream_id = -1;
    actions.push(Action::Refuse(refusal));
}

pub(super) fn value<'v, 'a>(values: &'v Properties<'a>, index: usize) -> Option<&'v Value<'a>> {
    values.get(index).map(|property| &property.value)
}

/// The information object of a result or status message, its fourth value. Some servers send an array in its place.
pub(super) fn info_object<'v, 'a>(values: &'v Properties<'a>) -> Option<&'v Properties<'a>> {
    members(value(values, 3)?)
}

fn members<'v, 'a>(value: &'v Value<'a>) -> Option<&'v Properties<'a>> {
    match value {
        Value::Object(members) | Value::EcmaArray(members) => Some(members),
        _ => None,
    }
}

pub(super) fn text_member<'a>(info: Option<&Properties<'a>>, name: &[u8]) -> Option<&'a [u8]> {
    info?.find(name)?.as_string()
}

/// Where a server wants its client to go instead: Adobe Media Server says so in an object of its own.
fn redirect<'a>(info: Option<&Properties<'a>>) -> Option<&'a [u8]> {
    text_member(info?.find(b"ex").and_then(members), b"redirect").or_else(|| text_member(info, b"redirect"))
}

pub(super) fn refusal(method: &[u8], info: Option<&Properties<'_>>) -> Refusal {
    let text = |bytes: Option<&[u8]>| Text(bytes.unwrap_or_default()).to_string();
    Refusal {
        method: text(Some(method)),
        code: text(text_member(info, b"code")),
        description: text(text_member(info, b"description")),
        redirect: text(redirect(info)),
    }
}

/// The notice for the application in a command.
pub(super) fn notice(body: &[u8]) -> Option<Notice> {
    let values = amf::decode(body).ok()?;
    Notice::of_command(value(&values, 0)?.as_string()?, info_object(&values), body, true)
}
