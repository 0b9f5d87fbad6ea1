//! Streams and what is said about them: starting, pausing, seeking, control messages.

use std::{mem, time::Duration};

use libc::{c_int, c_short, c_uint};
use rtmp_core::{
    error::{Error, Result},
    flv::Ending,
    session::{self, Command, Profile, Session, command, packet_log, pausing},
    transport::wait,
};

use super::{RTMP, outgoing::without_session};
use crate::{
    FALSE, TRUE,
    boundary::{Kind, boundary},
    calls::CallArray,
    fields::{load, profile},
    memory::{Body, release},
    reason::{self, During, Failure, Phase},
    shared,
    state::Handle,
};

/// How long `RTMP_ToggleStream` leaves the stream paused.
const TOGGLE_PAUSE: Duration = Duration::from_secs(1);

/// Waits for the answers to `connect` and what follows it until the stream plays or may be published; returns TRUE or
/// FALSE. `seekTime` above 0 says where to start, in milliseconds. A refusal by the server closes the connection and
/// returns at once, with the server's words in the log and in `RTMP_GetErrorString`.
///
/// For the answer to each of its commands the server has `Link.timeout`, whatever else it sends meanwhile. When that is
/// over, `RTMP_IsTimedout` is TRUE and the connection stays open: the call may be repeated, and waits on.
///
/// # Safety
/// `r` is null or points to an initialised `RTMP`.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn RTMP_ConnectStream(r: *mut RTMP, seekTime: c_int) -> c_int {
    boundary(Kind::Waits, FALSE, |errno| {
        // SAFETY: `r` is null or points to an initialised `RTMP`, by the Safety section.
        let handle = unsafe { Handle::connected(r) }
            .inspect_err(|_| errno.leave_unchanged())
            .during(Phase::Reading)?;
        if seekTime > 0 {
            // SAFETY: `r` is null or points to an initialised `RTMP`, by the Safety section.
            unsafe { (*r).Link.seekTime = seekTime };
        }
        // What went wrong was logged where it was seen.
        handle.connect_stream().map_err(|error| handle.failure(error.reported(), Phase::Call))?;
        handle.settle();
        Ok(TRUE)
    })
}

/// Gives the message stream back, asks for a new one and waits as `RTMP_ConnectStream` does; returns TRUE or FALSE.
///
/// # Safety
/// `r` is null or points to an initialised `RTMP`.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn RTMP_ReconnectStream(r: *mut RTMP, seekTime: c_int) -> c_int {
    boundary(Kind::Waits, FALSE, |errno| {
        // SAFETY: `r` is null or points to an initialised `RTMP`, by the Safety section; the same for all of these.
        // Without a connection the others would say so again.
        let connected = unsafe {
            if let Err(error) = Handle::connected(r) {
                let first_chunk = log_unsent(r, |session| command::create_stream(&mut session.state));
                return Err(Failure::unsent(error, first_chunk));
            }
            RTMP_DeleteStream(r);
            RTMP_SendCreateStream(r);
            RTMP_ConnectStream(r, seekTime)
        };
        if connected == FALSE {
            errno.take_current();
        }
        Ok(connected)
    })
}

/// Gives the message stream back, if there is one.
///
/// # Safety
/// `r` is null or points to an initialised `RTMP`.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn RTMP_DeleteStream(r: *mut RTMP) {
    boundary(Kind::Waits, (), |errno| {
        // SAFETY: `r` is null or an initialised `RTMP`, by the Safety section, and is looked at only if it is not null.
        if !r.is_null() && unsafe { shared::read(&raw const (*r).m_stream_id) } < 0 {
            // Nothing to send is nothing that the system could refuse.
            errno.leave_unchanged();
        }
        // SAFETY: `r` is null or points to an initialised `RTMP`, by the Safety section.
        let handle = unsafe { Handle::connected(r) }.during(Phase::SENDING)?;
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

/// Asks for a message stream; returns TRUE if that was sent, else FALSE.
///
/// # Safety
/// `r` is null or points to an initialised `RTMP`.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn RTMP_SendCreateStream(r: *mut RTMP) -> c_int {
    // SAFETY: `r` is null or points to an initialised `RTMP`, by the Safety section.
    unsafe { send(r, |session| command::create_stream(&mut session.state)) }
}

/// Tells the server the length of the play buffer, `m_nBufferMS`.
///
/// # Safety
/// `r` is null or points to an initialised `RTMP`.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn RTMP_UpdateBufferMS(r: *mut RTMP) {
    // SAFETY: `r` is null or points to an initialised `RTMP`, by the Safety section.
    unsafe {
        send(r, |session| command::set_buffer_length(session.state.stream_id, session.state.buffer_ms))
    };
}

/// Sends a user control message; returns TRUE if that was sent, else FALSE. `nObject` is a stream id or what else the
/// event is about; `nTime` counts for event 3 (buffer length in milliseconds) only.
///
/// # Safety
/// `r` is null or points to an initialised `RTMP`.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn RTMP_SendCtrl(
    r: *mut RTMP,
    nType: c_short,
    nObject: c_uint,
    nTime: c_uint,
) -> c_int {
    let event = nType as u16;
    let data = match event {
        0x03 => [nObject.to_be_bytes(), nTime.to_be_bytes()].concat(),
        0x1A => vec![nObject as u8],
        0x1B if !r.is_null() => {
            // SAFETY: `r` is null or points to an initialised `RTMP`, by the Safety section.
            let response = unsafe { (*r).Link.SWFVerificationResponse };
            response.map(|byte| byte as u8).to_vec()
        }
        _ => nObject.to_be_bytes().to_vec(),
    };
    // SAFETY: `r` is null or points to an initialised `RTMP`, by the Safety section.
    unsafe { send(r, |_| command::user_control(event, &data)) }
}

/// Asks the server to pause (`DoPause` not 0) or go on at `dTime` milliseconds; returns TRUE if that was sent, else
/// FALSE.
///
/// # Safety
/// `r` is null or points to an initialised `RTMP`.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn RTMP_SendPause(r: *mut RTMP, DoPause: c_int, dTime: c_int) -> c_int {
    // SAFETY: `r` is null or points to an initialised `RTMP`, by the Safety section.
    unsafe { send(r, |session| command::pause(&mut session.state, DoPause != 0, dTime)) }
}

/// Pauses at the timestamp of the last media message (`DoPause` not 0) or goes on from there; returns TRUE if that was
/// sent, else FALSE.
///
/// # Safety
/// `r` is null or points to an initialised `RTMP`.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn RTMP_Pause(r: *mut RTMP, DoPause: c_int) -> c_int {
    // SAFETY: `r` is null or points to an initialised `RTMP`, by the Safety section.
    unsafe {
        send(r, |session| {
            if DoPause != 0 {
                session.state.pause_timestamp = session.media_clock();
            }
            let time = session.state.pause_timestamp as i32;
            command::pause(&mut session.state, DoPause != 0, time)
        })
    }
}

/// Asks the server to go to `dTime` milliseconds; returns TRUE if that was sent, else FALSE. `RTMP_Read` drops what
/// arrives until the server confirms.
///
/// # Safety
/// `r` is null or points to an initialised `RTMP`.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn RTMP_SendSeek(r: *mut RTMP, dTime: c_int) -> c_int {
    // SAFETY: `r` is null or points to an initialised `RTMP`, by the Safety section.
    unsafe {
        send(r, |session| {
            shared::write(&raw mut (*r).m_read.nResumeTS, 0);
            session.state.seeking = true;
            command::seek(&mut session.state, dTime)
        })
    }
}

/// Sends the window acknowledgement size, `m_nServerBW`; returns TRUE if that was sent, else FALSE.
///
/// # Safety
/// `r` is null or points to an initialised `RTMP`.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn RTMP_SendServerBW(r: *mut RTMP) -> c_int {
    // SAFETY: `r` is null or points to an initialised `RTMP`, by the Safety section.
    unsafe { send(r, |session| command::window_acknowledgement_size(&session.state)) }
}

/// Limits the peer's bandwidth to `m_nClientBW` bytes in the manner `m_nClientBW2`; returns TRUE if that was sent, else
/// FALSE.
///
/// # Safety
/// `r` is null or points to an initialised `RTMP`.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn RTMP_SendClientBW(r: *mut RTMP) -> c_int {
    // SAFETY: `r` is null or points to an initialised `RTMP`, by the Safety section.
    unsafe { send(r, |session| command::set_peer_bandwidth(&session.state)) }
}

/// Pauses the stream, waits a second and lets it go on, so that a server that stopped sending starts again; returns TRUE
/// if that was sent, else FALSE. A stream that was paused before only goes on. After a time-out `RTMP_Read` can be used
/// again.
///
/// # Safety
/// `r` is null or points to an initialised `RTMP`.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn RTMP_ToggleStream(r: *mut RTMP) -> c_int {
    boundary(Kind::Waits, FALSE, |_| {
        // SAFETY: `r` is null or points to an initialised `RTMP`, by the Safety section.
        let handle = unsafe { Handle::connected(r) }.during(Phase::SENDING)?;
        if handle.step(|session, _| session.state.pausing) == pausing::NO {
            // SAFETY: `r` is null or points to an initialised `RTMP`, by the Safety section.
            unsafe {
                let status = &raw mut (*r).m_read.status;
                if handle.timed_out() && shared::read(status) == Ending::Eof.status() {
                    shared::write(status, 0);
                }
            }
            toggle(&handle, true)?;
            handle.step(|session, _| session.state.pausing = pausing::ASKED);
            wait::pause(handle.socket()?, TOGGLE_PAUSE, &handle.patience())?;
        }
        let result = toggle(&handle, false);
        handle.step(|session, _| session.state.pausing = pausing::RESUMING);
        result.map(|()| TRUE)
    })
}

fn toggle(handle: &Handle, paused: bool) -> Result<(), Failure> {
    let pause = |session: &mut Session<Body>, _: &Profile<'_>| {
        let time = session.state.pause_timestamp as i32;
        command::pause(&mut session.state, paused, time)
    };
    handle.send(pause).map_err(|error| handle.failure(error.reported(), Phase::Call))
}

/// Forgets entry `i` of `m_methodCalls`; with `freeit` not 0 its name is freed, else it is the caller's.
///
/// # Safety
/// `r` is null or points to an initialised `RTMP`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn RTMP_DropRequest(r: *mut RTMP, i: c_int, freeit: c_int) {
    boundary(Kind::Session, (), |_| {
        // SAFETY: `r` is null or points to an initialised `RTMP`, by the Safety section; names of entries come from
        // malloc.
        unsafe {
            reason::about(r)?;
            let index =
                usize::try_from(i).map_err(|_| Error::Invalid("RTMP_DropRequest, no such request"))?;
            // Other threads may be sending.
            let handle = Handle::existing(r);
            let core = handle.as_ref().map(Handle::core);
            let name = CallArray::new(r).remove(index);
            drop(core);
            let name = name.ok_or(Error::Invalid("RTMP_DropRequest, no such request"))?;
            if freeit != 0 {
                release(name.av_val);
            }
        }
        Ok(())
    })
}

/// Logs a command that cannot be sent, and returns how many bytes its first chunk would have. The session, which may have no
/// state of its own yet, stays as it is.
///
/// # Safety
/// `r` is null or points to an initialised `RTMP`.
unsafe fn log_unsent(r: *mut RTMP, build: impl FnOnce(&mut Session<Body>) -> Command) -> usize {
    let log = |r: *mut RTMP| {
        let mut session = Session::default();
        // SAFETY: `r` points to an initialised `RTMP`, by the Safety section.
        let profile = unsafe {
            session.state = load(r);
            profile(&(*r).Link)
        };
        let command = build(&mut session);
        let chunk_size = session::chunk_size(session.state.out_chunk_size);
        packet_log::log_unsent_command(&command, &profile, chunk_size)
    };
    // SAFETY: `r` is null or points to an initialised `RTMP`, by the Safety section.
    unsafe { without_session(r, log) }
}

/// Builds a message in a step and sends it.
///
/// # Safety
/// `r` is null or points to an initialised `RTMP`.
unsafe fn send(r: *mut RTMP, build: impl FnOnce(&mut Session<Body>) -> Command) -> c_int {
    boundary(Kind::Session, FALSE, |_| {
        // SAFETY: `r` is null or points to an initialised `RTMP`, by the Safety section.
        let handle = match unsafe { Handle::connected(r) } {
            Ok(handle) => handle,
            Err(error) => {
                // SAFETY: `r` is null or an initialised `RTMP`, by the Safety section, and is looked at only if it is
                // not null.
                let first_chunk = unsafe { log_unsent(r, build) };
                return Err(Failure::unsent(error, first_chunk));
            }
        };
        handle
            .send(|session, _| build(session))
            .map_err(|error| handle.failure(error.reported(), Phase::SENDING))?;
        Ok(TRUE)
    })
}
