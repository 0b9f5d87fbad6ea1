//! The C library `librtmp.so.1`: what programs written for librtmp 2.4 link, over the safe core in the package `librtmp`.
//!
//! Rust programs use that package. This crate can be linked from Rust for its tests and fuzz targets alone.

#[allow(non_camel_case_types, non_snake_case, non_upper_case_globals)]
pub mod capi;

#[doc(no_inline)]
pub use rtmp_core::*;
