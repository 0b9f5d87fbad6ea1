//! Filling an `RTMP` before it connects: to be written.
