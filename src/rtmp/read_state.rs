//! `m_read`: where the FLV stream that `RTMP_Read` makes stands, and which buffer its caller fills.

use std::slice;

use libc::c_char;
use rtmp_core::flv::{Flags, ReadState, Resume};

use super::RTMP;
use crate::shared;

/// Runs a step with what `m_read` says, and keeps what it changes.
///
/// # Safety
/// `r` points to an initialised `RTMP`.
#[inline(always)]
pub(super) unsafe fn with_read_state<R>(r: *mut RTMP, step: impl FnOnce(&mut ReadState<'_>) -> R) -> R {
    // SAFETY: `r` points to an initialised `RTMP`, by the Safety section; callers that resume keep both buffers while
    // they read.
    unsafe {
        let fields = &raw mut (*r).m_read;
        let block = |data: *mut c_char, size: u32| match size as usize {
            size if size > 0 && !data.is_null() => slice::from_raw_parts(data.cast::<u8>(), size),
            _ => &[],
        };
        let mut state = ReadState {
            timestamp: (*fields).timestamp,
            data_type: shared::read(&raw const (*fields).dataType),
            flags: Flags(shared::read(&raw const (*fields).flags)),
            status: shared::read(&raw const (*fields).status),
            resume_timestamp: shared::read(&raw const (*fields).nResumeTS),
            resume: Resume {
                initial_frame_type: (*fields).initialFrameType,
                initial_frame: block((*fields).initialFrame, (*fields).nInitialFrameSize),
                meta_header: block((*fields).metaHeader, (*fields).nMetaHeaderSize),
            },
            ignored_frames: (*fields).nIgnoredFrameCounter,
            ignored_flv_frames: (*fields).nIgnoredFlvFrameCounter,
            passed_over: 0,
        };
        let resume_timestamp = state.resume_timestamp;
        let result = step(&mut state);
        (*fields).timestamp = state.timestamp;
        shared::write(&raw mut (*fields).dataType, state.data_type);
        shared::write(&raw mut (*fields).flags, state.flags.0);
        shared::write(&raw mut (*fields).status, state.status);
        if state.resume_timestamp != resume_timestamp {
            shared::write(&raw mut (*fields).nResumeTS, state.resume_timestamp);
        }
        (*fields).nIgnoredFrameCounter = state.ignored_frames;
        (*fields).nIgnoredFlvFrameCounter = state.ignored_flv_frames;
        result
    }
}

/// The buffer of a read call. Some programs fill a block with many calls, and hand it on when it is full or when a call
/// returns 0; only the calls for the next block are to find the end.
///
/// GStreamer's rtmpsrc connects again if there is no connection any more when it begins a block.
#[derive(Debug, Default, Clone, Copy)]
pub(crate) struct Block {
    start: usize,
    end: usize,
    /// Whether this call is for the rest of a block.
    pub(super) goes_on: bool,
    /// Whether such a call was ever made.
    fills: bool,
}

impl Block {
    /// Goes to the buffer of the next call.
    pub(super) fn next(&mut self, buffer: *const c_char, size: usize) -> Self {
        let (start, end) = (buffer.addr(), buffer.addr().wrapping_add(size));
        let goes_on = end == self.end && start > self.start;
        *self = Self { start, end, goes_on, fills: goes_on || self.fills };
        *self
    }

    /// Whether a call that got bytes, or got none, leaves a block that has to be handed on.
    pub(super) fn is_unfinished(self, got_bytes: bool) -> bool {
        self.fills && (self.goes_on || got_bytes)
    }
}
