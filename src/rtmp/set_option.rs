//! `RTMP_SetOpt`.

use libc::c_int;

use super::{options::set, origin::Origin};
use crate::{
    FALSE, TRUE,
    amf::{AVal, view::Text},
    boundary::{Kind, boundary},
    ptr::{Parameter, given},
    reason::{self, During, Phase},
    valid::{Rtmp, field},
};

/// Sets the option `opt` to the value `arg`. Option names are case-insensitive.
///
/// Returns TRUE, or FALSE if the option is unknown or the value is invalid. The log then lists all options.
///
/// Fails with `RTMP_ERR_OPTION`.
///
/// Strings are not copied: keep the memory of `arg` until `RTMP_Close` has returned, and longer if you connect again.
/// The setting applies to every following URL until a URL contains the same option. Numbers may be decimal, hexadecimal
/// or octal. Text that is not a number counts as 0, except that `timeout` then keeps its value. `1`, `on`, `yes` and
/// `true` set a flag; no value clears one. The log names invalid values. `socks` takes effect at the next
/// `RTMP_SetupURL`; `RTMP_LNK.sockshost` lists the kinds of proxy. The options from `tlsVerify` on in the
/// list are copied, apply to every connection until `RTMP_Close`, and are then reset; `nodelay` and `closeReset` are the
/// flags that can be cleared.
///
/// # Safety
/// `r` is null or points to an initialised `RTMP`; `opt` and `arg` are null or point to strings that are readable for
/// their lengths.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn RTMP_SetOpt(r: Option<Rtmp<'_>>, opt: Option<Text<'_>>, arg: *mut AVal) -> c_int {
    boundary(Kind::Session, FALSE, |_| {
        let r = reason::use_session(r)?;
        let name = given(opt, "opt is NULL").during(Phase::Option)?.bytes();
        // SAFETY: `arg` is null or points to a string that is readable for its length, by the Safety section.
        let arg = given(unsafe { Text::from_c(arg) }, "arg is NULL").during(Phase::Option)?;
        let extras = field!(r, Link.extras.o_props).get().addr();
        set(r, name, arg).during(Phase::Option)?;
        Origin::note_replaced(r, name, extras);
        Ok(TRUE)
    })
}
