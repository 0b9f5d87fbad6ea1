//! `m_read`: the state of the FLV stream that `RTMP_Read` produces, and the buffer that its caller fills.

use std::slice;

use libc::c_char;
use rtmp_core::flv::{Flags, ReadState, Resume};

use crate::valid::{Rtmp, field};

/// Runs a step with the values of `m_read`, and stores what it changes.
#[inline(always)]
pub(super) fn with_read_state<R>(r: Rtmp<'_>, step: impl FnOnce(&mut ReadState<'_>) -> R) -> R {
    let fields = field!(r, m_read);
    let block = |data: *mut c_char, size: u32| match size as usize {
        // SAFETY: a program that resumes keeps both buffers, of these sizes, while it reads: a rule of `rtmp.h`.
        size if size > 0 && !data.is_null() => unsafe { slice::from_raw_parts(data.cast::<u8>(), size) },
        _ => &[],
    };
    let mut state = ReadState {
        timestamp: field!(fields, timestamp).get(),
        data_type: field!(fields, dataType).get(),
        flags: Flags(field!(fields, flags).get()),
        status: field!(fields, status).get(),
        resume_timestamp: field!(fields, nResumeTS).get(),
        resume: Resume {
            initial_frame_type: field!(fields, initialFrameType).get(),
            initial_frame: block(field!(fields, initialFrame).get(), field!(fields, nInitialFrameSize).get()),
            meta_header: block(field!(fields, metaHeader).get(), field!(fields, nMetaHeaderSize).get()),
        },
        ignored_frames: field!(fields, nIgnoredFrameCounter).get(),
        ignored_flv_frames: field!(fields, nIgnoredFlvFrameCounter).get(),
        passed_over: 0,
    };
    let resume_timestamp = state.resume_timestamp;
    let result = step(&mut state);
    field!(fields, timestamp).set(state.timestamp);
    field!(fields, dataType).set(state.data_type);
    field!(fields, flags).set(state.flags.0);
    field!(fields, status).set(state.status);
    if state.resume_timestamp != resume_timestamp {
        field!(fields, nResumeTS).set(state.resume_timestamp);
    }
    field!(fields, nIgnoredFrameCounter).set(state.ignored_frames);
    field!(fields, nIgnoredFlvFrameCounter).set(state.ignored_flv_frames);
    result
}

/// The buffer of a read call. Some programs fill a block with many calls, and process it when it is full or when a call returns
/// 0; only the calls for the next block may report the end.
///
/// If there is no connection when a block begins, GStreamer's rtmpsrc connects again.
#[derive(Debug, Default, Clone, Copy)]
pub(crate) struct Block {
    start: usize,
    end: usize,
    /// Whether this call fills the rest of a block.
    pub(super) goes_on: bool,
    /// Whether such a call was ever made.
    fills: bool,
}

impl Block {
    /// Continues with the buffer of the next call.
    pub(super) fn next(&mut self, buffer: *const c_char, size: usize) -> Self {
        let (start, end) = (buffer.addr(), buffer.addr().wrapping_add(size));
        let goes_on = end == self.end && start > self.start;
        *self = Self { start, end, goes_on, fills: goes_on || self.fills };
        *self
    }

    /// Whether a call, with or without bytes, leaves a block that the program still has to process.
    pub(super) fn is_unfinished(self, got_bytes: bool) -> bool {
        self.fills && (self.goes_on || got_bytes)
    }
}
