//! Streams and their control messages: starting, pausing and seeking.

use std::{
    mem,
    time::{Duration, Instant},
};

use libc::{c_int, c_short, c_uint};
use rtmp_core::{
    error::{Error, Result},
    flv::Ending,
    session::{self, Command, Profile, Session, command, packet_log, pausing},
    transport::wait,
};

use super::outgoing::{connected, without_session};
use crate::{
    FALSE, TRUE,
    boundary::{Kind, boundary},
    calls::CallArray,
    fields::{load, profile},
    memory::Body,
    reason::{self, During, Failure, Phase},
    state::Handle,
    valid::{Rtmp, field},
};

/// The duration for which `RTMP_ToggleStream` pauses the stream.
const TOGGLE_PAUSE: Duration = Duration::from_secs(1);

/// Waits until the server has accepted the connection and the stream plays or may be published. `seekTime` above 0 is
/// the start position in milliseconds.
///
/// Returns TRUE or FALSE. If the server refuses, the function returns at once and closes the connection.
///
/// Fails with `RTMP_ERR_REFUSED` if the server refuses; `RTMP_GetErrorString` then contains its words. Fails with
/// `RTMP_ERR_TIMEDOUT` if the answer to one of the commands takes longer than `Link.timeout`, whatever else the server
/// sends meanwhile. The connection then stays open, `RTMP_IsTimedout` returns TRUE, and the call may be repeated to
/// wait longer.
///
/// # Safety
/// `r` is null or points to an initialised `RTMP`.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn RTMP_ConnectStream(r: Option<Rtmp<'_>>, seekTime: c_int) -> c_int {
    boundary(Kind::Waits, FALSE, |errno| {
        let handle =
            Handle::connected_to(r).inspect_err(|_| errno.leave_unchanged()).during(Phase::Reading)?;
        if seekTime > 0 {
            field!(handle.rtmp(), Link.seekTime).set(seekTime);
        }
        handle.show_data_option();
        // The error was logged where it occurred.
        handle.connect_stream().map_err(|error| handle.failure(error.reported(), Phase::Call))?;
        handle.update_readiness();
        Ok(TRUE)
    })
}

/// Deletes the message stream, creates a new one, and waits as `RTMP_ConnectStream` does.
///
/// Returns TRUE or FALSE.
///
/// # Safety
/// `r` is null or points to an initialised `RTMP`.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn RTMP_ReconnectStream(r: Option<Rtmp<'_>>, seekTime: c_int) -> c_int {
    boundary(Kind::Waits, FALSE, |errno| {
        let build: &mut Build<'_> = &mut |_, session| command::create_stream(&mut session.state);
        // Otherwise, the calls below would each report it.
        let handle = connected(r, |r| log_unsent(r, build))?;
        let mut has_begun = false;
        handle.progress_if_any(|progress| has_begun = mem::take(&mut progress.reconnecting));
        // SAFETY: `r` is an initialised `RTMP`, which the program passed for calls like these.
        let connected = unsafe {
            if !has_begun {
                RTMP_DeleteStream(r);
                RTMP_SendCreateStream(r);
            }
            RTMP_ConnectStream(r, seekTime)
        };
        handle.progress_if_any(|progress| progress.reconnecting = progress.starting.is_some());
        if connected == FALSE {
            errno.take_current();
        }
        Ok(connected)
    })
}

/// Deletes the message stream on the server, if there is one. The connection stays open.
///
/// # Safety
/// `r` is null or points to an initialised `RTMP`.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn RTMP_DeleteStream(r: Option<Rtmp<'_>>) {
    boundary(Kind::Waits, (), |errno| {
        if r.is_some_and(|r| field!(r, m_stream_id).get() < 0) {
            // Without anything to send, the system can refuse nothing.
            errno.leave_unchanged();
        }
        let handle = Handle::connected_to(r).during(Phase::SENDING)?;
        let stream_id = handle.step(|session, _| {
            let state = &mut session.state;
            if state.stream_id < 0 {
                return None;
            }
            state.playing = false;
            Some(mem::replace(&mut state.stream_id, -1))
        });
        let Some(stream_id) = stream_id else { return Ok(()) };
        handle
            .send(|session, _| command::delete_stream(&mut session.state, stream_id))
            .map_err(|error| handle.failure(error.reported(), Phase::Call))
    })
}

/// Sends `createStream`, which asks the server for a message stream.
///
/// Returns TRUE if the command was sent, else FALSE.
///
/// # Safety
/// `r` is null or points to an initialised `RTMP`.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn RTMP_SendCreateStream(r: Option<Rtmp<'_>>) -> c_int {
    send(r, &mut |_, session| command::create_stream(&mut session.state))
}

/// Sends the length of the play buffer, `m_nBufferMS`, to the server.
///
/// # Safety
/// `r` is null or points to an initialised `RTMP`.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn RTMP_UpdateBufferMS(r: Option<Rtmp<'_>>) {
    send(r, &mut |_, session| command::set_buffer_length(session.state.stream_id, session.state.buffer_ms));
}

/// Sends a user control message. `nType` is the event (RTMP 1.0, section 7.1.7), `nObject` is its stream id or other
/// value. `nTime` is used by event 3 only, the buffer length in milliseconds.
///
/// Returns TRUE if the message was sent, else FALSE.
///
/// # Safety
/// `r` is null or points to an initialised `RTMP`.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn RTMP_SendCtrl(
    r: Option<Rtmp<'_>>,
    nType: c_short,
    nObject: c_uint,
    nTime: c_uint,
) -> c_int {
    let event = nType as u16;
    let mut build = |r: Rtmp<'_>, _: &mut Session<Body>| {
        let data = match event {
            0x03 => [nObject.to_be_bytes(), nTime.to_be_bytes()].concat(),
            0x1A => vec![nObject as u8],
            0x1B => field!(r, Link.SWFVerificationResponse).copy().map(|byte| byte as u8).to_vec(),
            _ => nObject.to_be_bytes().to_vec(),
        };
        command::user_control(event, &data)
    };
    send(r, &mut build)
}

/// Asks the server to pause (`DoPause` not 0) or to continue at `dTime` milliseconds.
///
/// Returns TRUE if the command was sent, else FALSE.
///
/// # Safety
/// `r` is null or points to an initialised `RTMP`.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn RTMP_SendPause(r: Option<Rtmp<'_>>, DoPause: c_int, dTime: c_int) -> c_int {
    send(r, &mut |_, session| command::pause(&mut session.state, DoPause != 0, dTime))
}

/// Pauses the stream at its current position (`DoPause` not 0), or continues from there. The position is the timestamp
/// of the last media message.
///
/// Returns TRUE if the command was sent, else FALSE.
///
/// # Safety
/// `r` is null or points to an initialised `RTMP`.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn RTMP_Pause(r: Option<Rtmp<'_>>, DoPause: c_int) -> c_int {
    send(r, &mut |_, session| {
        if DoPause != 0 {
            session.state.pause_timestamp = session.media_clock();
        }
        let time = session.state.pause_timestamp as i32;
        command::pause(&mut session.state, DoPause != 0, time)
    })
}

/// Asks the server to seek to `dTime` milliseconds. `RTMP_Read` drops what arrives until the server confirms.
///
/// Returns TRUE if the command was sent, else FALSE.
///
/// # Safety
/// `r` is null or points to an initialised `RTMP`.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn RTMP_SendSeek(r: Option<Rtmp<'_>>, dTime: c_int) -> c_int {
    send(r, &mut |r, session| {
        field!(r, m_read.nResumeTS).set(0);
        session.state.seeking = true;
        command::seek(&mut session.state, dTime)
    })
}

/// Sends the window acknowledgement size, `m_nServerBW`.
///
/// Returns TRUE if the message was sent, else FALSE.
///
/// # Safety
/// `r` is null or points to an initialised `RTMP`.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn RTMP_SendServerBW(r: Option<Rtmp<'_>>) -> c_int {
    send(r, &mut |_, session| command::window_acknowledgement_size(&session.state))
}

/// Limits the peer's bandwidth to `m_nClientBW` bytes; `m_nClientBW2` is the kind of limit.
///
/// Returns TRUE if the message was sent, else FALSE.
///
/// # Safety
/// `r` is null or points to an initialised `RTMP`.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn RTMP_SendClientBW(r: Option<Rtmp<'_>>) -> c_int {
    send(r, &mut |_, session| command::set_peer_bandwidth(&session.state))
}

/// Pauses the stream for a second and continues, so that a server that has stopped sending starts again. If the stream
/// was already paused, the function only continues it. After a timeout, `RTMP_Read` can then be used again.
///
/// Returns TRUE if the commands were sent, else FALSE.
///
/// # Safety
/// `r` is null or points to an initialised `RTMP`.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn RTMP_ToggleStream(r: Option<Rtmp<'_>>) -> c_int {
    boundary(Kind::Waits, FALSE, |_| {
        let handle = Handle::connected_to(r).during(Phase::SENDING)?;
        let was_paused = handle.step(|session, _| session.state.pausing) != pausing::NO;
        if !was_paused {
            pause(&handle)?;
        }
        if handle.never_waits() {
            stay_paused(&handle, was_paused)?;
        } else if !was_paused {
            wait::pause(handle.socket()?, TOGGLE_PAUSE, &handle.patience())?;
        }
        let result = toggle(&handle, false);
        handle.step(|session, _| session.state.pausing = pausing::RESUMING);
        result.map(|()| TRUE)
    })
}

/// Fails with [`Error::Again`] until the pause of a session that does not wait has ended: a later call resumes the stream.
fn stay_paused(handle: &Handle, was_paused: bool) -> Result<()> {
    let now = Instant::now();
    let until = handle.progress(|progress| progress.toggled.take());
    let until = until.or((!was_paused).then(|| now + TOGGLE_PAUSE));
    if until.is_some_and(|until| now < until) {
        handle.progress(|progress| progress.toggled = until);
        return Err(Error::Again);
    }
    Ok(())
}

/// Pauses the stream. After a timeout `RTMP_Read` can be used again.
fn pause(handle: &Handle) -> Result<(), Failure> {
    let status = field!(handle.rtmp(), m_read.status);
    if handle.timed_out() && status.get() == Ending::Eof.status() {
        status.set(0);
    }
    toggle(handle, true)?;
    handle.step(|session, _| session.state.pausing = pausing::ASKED);
    Ok(())
}

fn toggle(handle: &Handle, paused: bool) -> Result<(), Failure> {
    let pause = |session: &mut Session<Body>, _: &Profile<'_>| {
        let time = session.state.pause_timestamp as i32;
        command::pause(&mut session.state, paused, time)
    };
    handle.send(pause).map_err(|error| handle.failure(error.reported(), Phase::Call))
}

/// Removes entry `i` from `m_methodCalls`. If `freeit` is not 0, the function frees the entry's name; otherwise the
/// caller does.
///
/// # Safety
/// `r` is null or points to an initialised `RTMP`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn RTMP_DropRequest(r: Option<Rtmp<'_>>, i: c_int, freeit: c_int) {
    boundary(Kind::Session, (), |_| {
        let r = reason::use_session(r)?;
        let missing = || Error::Invalid("RTMP_DropRequest, no such request");
        let index = usize::try_from(i).map_err(|_| missing())?;
        // Other threads may be sending.
        let handle = Handle::of(r);
        let core = handle.as_ref().map(Handle::core);
        let mut calls = CallArray::new(r);
        let was_there = if freeit != 0 { calls.discard(index) } else { calls.remove(index).is_some() };
        drop(core);
        if was_there { Ok(()) } else { Err(missing().into()) }
    })
}

/// Builds a command of a session.
type Build<'b> = dyn FnMut(Rtmp<'_>, &mut Session<Body>) -> Command + 'b;

/// Logs a command that cannot be sent, and returns the length that its first chunk would have. The session, which may have no
/// state of its own yet, stays unchanged.
fn log_unsent(r: Rtmp<'_>, build: &mut Build<'_>) -> usize {
    without_session(r, || {
        let mut session = Session::default();
        session.state = load(r);
        let command = build(r, &mut session);
        let chunk_size = session::chunk_size(session.state.out_chunk_size);
        packet_log::log_unsent_command(&command, &profile(field!(r, Link)), chunk_size)
    })
}

/// Builds a message in a step and sends it.
fn send(r: Option<Rtmp<'_>>, build: &mut Build<'_>) -> c_int {
    boundary(Kind::Session, FALSE, |_| {
        let handle = connected(r, |r| log_unsent(r, build))?;
        handle
            .send(|session, _| build(handle.rtmp(), session))
            .map_err(|error| handle.failure(error.reported(), Phase::SENDING))?;
        Ok(TRUE)
    })
}
