//! `RTMP_SetOpt`.

use libc::c_int;

use super::{RTMP, options::set, origin::Origin};
use crate::{
    FALSE, TRUE,
    amf::AVal,
    boundary::{Kind, boundary},
    ptr::{aval_bytes, required},
    reason::{self, During, Phase},
};

/// Sets the option `opt`, in any case, to the value `arg`; returns TRUE, or FALSE if there is no such option or `arg`
/// makes no sense for it. The log then lists the options there are.
///
/// Strings are not copied: the memory of `arg` has to stay until `RTMP_Close` has returned, and longer if the session is
/// connected again: what is set here holds for every URL that follows, until one has the same option. Numbers may be hexadecimal
/// or octal, and text that is no number counts as 0, but leaves `timeout` as it is; 1, on, yes and true set a flag, and
/// nothing clears one. The log names values that make no sense. `socks` takes effect when `RTMP_SetupURL` follows:
/// see `RTMP_LNK.sockshost` for the proxies it can name. `bind` and `ipv` are copied, hold for every connection until
/// then, and are forgotten by `RTMP_Close`.
///
/// # Safety
/// `r` is null or points to an initialised `RTMP`; `opt` and `arg` are null or point to strings that are readable for
/// their lengths.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn RTMP_SetOpt(r: *mut RTMP, opt: *const AVal, arg: *mut AVal) -> c_int {
    boundary(Kind::Session, FALSE, |_| {
        // SAFETY: `r` is null or points to an initialised `RTMP`, by the Safety section.
        unsafe { reason::about(r) }?;
        // SAFETY: `opt` and `arg` are null or point to strings that are readable for their lengths, by the Safety
        // section.
        let name = unsafe { aval_bytes(required(opt, "opt is NULL").during(Phase::Option)?) };
        // SAFETY: `opt` and `arg` are null or point to strings that are readable for their lengths, by the Safety
        // section.
        let arg = *unsafe { required(arg, "arg is NULL") }.during(Phase::Option)?;
        // SAFETY: `r` is null or points to an initialised `RTMP`; `opt` and `arg` are null or point to strings that are
        // readable for their lengths, by the Safety section.
        unsafe {
            let extras = (*r).Link.extras.o_props.addr();
            set(r, name, arg).during(Phase::Option)?;
            Origin::note_replaced(r, name, extras);
        }
        Ok(TRUE)
    })
}
