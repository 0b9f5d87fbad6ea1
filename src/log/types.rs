//! The levels of `log.h`, and the type of the callback.

use libc::c_uint;

/// The log level: a message is dropped if its level is above `RTMP_debuglevel`.
pub type RTMP_LogLevel = c_uint;
/// The program cannot continue.
pub const RTMP_LOGCRIT: RTMP_LogLevel = 0;
/// Something failed; the level a program starts with.
pub const RTMP_LOGERROR: RTMP_LogLevel = 1;
/// Something is odd, and the session continues.
pub const RTMP_LOGWARNING: RTMP_LogLevel = 2;
/// Information for users, such as the metadata of the stream.
pub const RTMP_LOGINFO: RTMP_LogLevel = 3;
/// The commands of a session.
pub const RTMP_LOGDEBUG: RTMP_LogLevel = 4;
/// The bytes of a session.
pub const RTMP_LOGDEBUG2: RTMP_LogLevel = 5;
/// Everything, unnamed AMF properties included.
pub const RTMP_LOGALL: RTMP_LogLevel = 6;

/// `void (int level, const char *fmt, va_list args)`. Opaque, because only C can name its last argument.
#[repr(C)]
pub struct RTMP_LogCallback {
    _opaque: [u8; 0],
}
