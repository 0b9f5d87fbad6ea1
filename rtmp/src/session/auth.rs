//! Publisher authentication: the text that a client appends to its application's name after a server has refused `connect`
//! because it requires a login.
//!
//! Two schemes are in use, `adobe` and `llnw`. Both expect a first reconnect that names the user, and a second one that answers
//! a challenge in the refusal. The module knows the text of refusals, and not the connection.

use base64::{Engine, engine::general_purpose::STANDARD};
use log::{Level, debug, log_enabled};
use md5::{Digest, Md5};

use crate::{
    error::{Error, Refusal, Result},
    random::Random,
    text::{self, NOT_SHOWN, Text, position},
};

/// How to respond to a refusal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Decision {
    /// Connect again, with this appended to the application's name and to its URL.
    Reconnect {
        /// The text to append.
        append: Vec<u8>,
    },
    /// The server requests an authentication that cannot succeed.
    GiveUp {
        /// Why.
        reason: &'static str,
    },
    /// The refusal has another reason.
    NotAsked,
}

/// The limit of logins of one session; servers need two attempts.
const MAX_LOGINS: u32 = 4;

/// Descriptions have some hundred bytes. This limit is larger than any address of the next connection.
const MAX_DESCRIPTION: usize = 16_384;

const NEED_USER: &[u8] = b"code=403 need auth";
const NEED_ANSWER: &[u8] = b"?reason=needauth";

/// The reasons with which servers reject a login, and our text for each.
const REASONS: [(&[u8], &str); 2] = [
    (b"?reason=authfail", "Authentication failed: wrong password"),
    (b"?reason=nosuchuser", "Authentication failed: no such user"),
];

/// A function that answers a challenge.
type Answer = fn(&Parameters<'_>, &[u8], &[u8], [u8; 4]) -> Vec<u8>;

/// A scheme's name in refusals, the start of what is appended to name the user, and its answers.
const SCHEMES: [(&[u8], &[u8], Answer); 2] = [
    (b"authmod=adobe", b"?authmod=adobe&user=", answer_adobe),
    (b"authmod=llnw", b"?authmod=llnw&user=", answer_llnw),
];

/// Counts an attempt to log in. Without a limit, a server that always asks again would keep the program busy.
pub fn count_login(logins: &mut u32) -> Result<()> {
    *logins += 1;
    if *logins <= MAX_LOGINS {
        return Ok(());
    }
    Err(Error::Refused(Refusal {
        method: "connect".to_owned(),
        code: String::new(),
        description: "the server asks to log in again and again".to_owned(),
        ..Refusal::default()
    }))
}

/// Decides how to respond to a refusal of `connect`. `description` is the server's explanation, and `app` the application's
/// name as it was sent, with everything that was appended before.
pub fn respond(
    description: &[u8],
    app: &[u8],
    user: &[u8],
    password: &[u8],
    random: Random<'_>,
) -> Result<Decision> {
    if description.len() > MAX_DESCRIPTION {
        return Ok(Decision::GiveUp {
            reason: "Authentication failed: the server's refusal is too long to be a challenge",
        });
    }
    let asked = SCHEMES.into_iter().find(|(name, ..)| position(description, name).is_some());
    let Some((name, user_prefix, answer)) = asked else { return Ok(Decision::NotAsked) };
    if position(description, NEED_USER).is_some() {
        return Ok(if position(app, name).is_some() {
            Decision::GiveUp { reason: "Authentication failed: the server asks for a user name again" }
        } else if user.is_empty() || password.is_empty() {
            Decision::GiveUp { reason: "need to set pubUser & pubPasswd for publisher auth" }
        } else {
            let append = [user_prefix, user].concat();
            debug!("PublisherAuth, pubToken1: {}", Text(&append));
            Decision::Reconnect { append }
        });
    }
    if let Some(start) = position(description, NEED_ANSWER) {
        let mut own_nonce = [0; 4];
        random(&mut own_nonce)?;
        let parameters = Parameters(&description[start..]);
        parameters.log();
        let append = answer(&parameters, app, password, own_nonce);
        debug!("PublisherAuth, pubToken2: {}", Text(&text::without_answer(&append)));
        return Ok(Decision::Reconnect { append });
    }
    let known = REASONS.into_iter().find(|(reason, _)| position(description, reason).is_some());
    let reason = known.map_or(
        "Authentication failed: the server wants an authentication that is not known",
        |(_, reason)| reason,
    );
    Ok(Decision::GiveUp { reason })
}

/// `name=value` pairs between `&`.
struct Parameters<'a>(&'a [u8]);

impl<'a> Parameters<'a> {
    /// The value of a name; empty if it is missing.
    fn value(&self, name: &[u8]) -> &'a [u8] {
        self.0
            .split(|byte| *byte == b'&')
            .filter_map(|pair| pair.strip_prefix(name)?.strip_prefix(b"="))
            .next_back()
            .unwrap_or_default()
    }

    fn log(&self) {
        if !log_enabled!(Level::Debug) {
            return;
        }
        for pair in self.0.split(|byte| *byte == b'&') {
            if let Some(at) = pair.iter().position(|byte| *byte == b'=') {
                debug!("PublisherAuth, par:\"{}\" = val:\"{}\"", Text(&pair[..at]), Text(&pair[at + 1..]));
            }
        }
    }
}

/// Scheme `adobe`. An opaque value is hashed in place of the challenge.
fn answer_adobe(parameters: &Parameters<'_>, _app: &[u8], password: &[u8], nonce: [u8; 4]) -> Vec<u8> {
    let opaque = parameters.value(b"opaque");
    let hashed = if opaque.is_empty() { parameters.value(b"challenge") } else { opaque };
    let nonce = STANDARD.encode(nonce);
    let secret = STANDARD.encode(md5(&[parameters.value(b"user"), parameters.value(b"salt"), password]));
    let response = STANDARD.encode(md5(&[secret.as_bytes(), hashed, nonce.as_bytes()]));
    [b"&challenge=", nonce.as_bytes(), b"&response=", response.as_bytes(), b"&opaque=", opaque].concat()
}

/// Scheme `llnw`: HTTP's digest authentication with its own parameter names.
fn answer_llnw(parameters: &Parameters<'_>, app: &[u8], password: &[u8], nonce: [u8; 4]) -> Vec<u8> {
    const COUNT: &[u8] = b"00000001";
    let server_nonce = parameters.value(b"nonce");
    let nonce = hex(&nonce);
    let app = app.split(|byte| *byte == b'?').next().unwrap_or_default();
    let instance: &[u8] = if app.contains(&b'/') { b"" } else { b"/_definst_" };
    let user = parameters.value(b"user");
    debug!("PublisherAuth, md5({}:live:{NOT_SHOWN}) =>", Text(user));
    let who = hex(&md5(&[user, b":live:", password]));
    debug!("PublisherAuth, md5(publish:/{}{}) =>", Text(app), Text(instance));
    let what = md5(&[b"publish:/", app, instance]);
    text::dump_rows(&what).for_each(|row| debug!("{row}"));
    let what = hex(&what);
    debug!(
        "PublisherAuth, md5({NOT_SHOWN}:{}:{}:{}:auth:{}) =>",
        Text(server_nonce),
        Text(COUNT),
        Text(&nonce),
        Text(&what)
    );
    let response = hex(&md5(&[&who, b":", server_nonce, b":", COUNT, b":", &nonce, b":auth:", &what]));
    [b"&nonce=", server_nonce, b"&cnonce=", &nonce, b"&nc=", COUNT, b"&response=", &response].concat()
}

fn md5(parts: &[&[u8]]) -> [u8; 16] {
    parts.iter().fold(Md5::new(), |state, part| state.chain_update(part)).finalize().into()
}

fn hex(bytes: &[u8]) -> Vec<u8> {
    bytes.iter().flat_map(|byte| format!("{byte:02x}").into_bytes()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Error;

    /// The random number of the vectors: `rOH4Qw==` in base 64.
    const ADOBE_NONCE: [u8; 4] = [0xAC, 0xE1, 0xF8, 0x43];
    const LLNW_NONCE: [u8; 4] = [0x43, 0xF8, 0xE1, 0xAC];

    fn decide(description: &str, app: &str, nonce: [u8; 4]) -> Decision {
        let mut random = |bytes: &mut [u8]| {
            bytes.copy_from_slice(&nonce);
            Ok(())
        };
        respond(description.as_bytes(), app.as_bytes(), b"foo", b"bar", &mut random).unwrap()
    }

    fn appended(description: &str, app: &str, nonce: [u8; 4]) -> String {
        match decide(description, app, nonce) {
            Decision::Reconnect { append } => String::from_utf8(append).unwrap(),
            other => panic!("{other:?}"),
        }
    }

    fn gives_up(decision: &Decision) -> bool {
        matches!(decision, Decision::GiveUp { .. })
    }

    #[test]
    fn the_first_refusal_is_answered_with_the_user() {
        for name in ["adobe", "llnw"] {
            let description = format!("[ AccessManager.Reject ] : [ code=403 need auth; authmod={name} ] : ");
            assert_eq!(appended(&description, "app", [0; 4]), format!("?authmod={name}&user=foo"));
            assert!(gives_up(&decide(&description, &format!("app?authmod={name}&user=foo"), [0; 4])));
        }
    }

    #[test]
    fn a_user_without_name_or_password_is_not_sent() {
        for (user, password) in [("", "bar"), ("foo", ""), ("", "")] {
            let mut random = |_: &mut [u8]| Err(Error::Unsupported("chance"));
            let description = b"authmod=adobe code=403 need auth";
            let decision =
                respond(description, b"app", user.as_bytes(), password.as_bytes(), &mut random).unwrap();
            assert!(gives_up(&decision));
        }
    }

    #[test]
    fn adobe_challenges_have_their_measured_answers() {
        let rejected = "[ AccessManager.Reject ] : [ authmod=adobe ] : ?reason=needauth&user=foo&salt=SALT";
        assert_eq!(
            appended(&format!("{rejected}&challenge=CHAL&opaque=OPAQ"), "app", ADOBE_NONCE),
            "&challenge=rOH4Qw==&response=XjBKHxWhLS3qAO6FTolD8g==&opaque=OPAQ"
        );
        assert_eq!(
            appended(&format!("{rejected}&challenge=CHAL"), "app", ADOBE_NONCE),
            "&challenge=rOH4Qw==&response=Ibg60Bf7nQZZcyOAW1+TIw==&opaque="
        );
        assert_eq!(STANDARD.encode(md5(&[b"foo", b"SALT", b"bar"])), "sgHUb5T2rJR/BmRsZP3RsQ==");
    }

    #[test]
    fn llnw_challenges_have_their_measured_answers() {
        let rejected = "[ authmod=llnw ] : ?reason=needauth&user=foo&nonce=NONCE";
        for (app, response) in [
            ("app/inst", "c86f3fcc77388cc73457ade6297b1506"),
            ("app/inst?authmod=llnw&user=foo", "c86f3fcc77388cc73457ade6297b1506"),
            ("app", "c118db1e84a383cc27dfc094a001923c"),
            ("app?authmod=llnw&user=a/b", "c118db1e84a383cc27dfc094a001923c"),
        ] {
            assert_eq!(
                appended(rejected, app, LLNW_NONCE),
                format!("&nonce=NONCE&cnonce=43f8e1ac&nc=00000001&response={response}"),
            );
        }
    }

    #[test]
    fn missing_fields_count_as_empty() {
        let bare = appended("authmod=adobe?reason=needauth", "", ADOBE_NONCE);
        let empty = appended("authmod=adobe?reason=needauth&user=&salt=&challenge=&opaque=", "", ADOBE_NONCE);
        assert_eq!(bare, empty);
        let bare = appended("authmod=llnw?reason=needauth&&=&user", "", LLNW_NONCE);
        let empty = appended("authmod=llnw?reason=needauth&user=&nonce=", "", LLNW_NONCE);
        assert_eq!(bare, empty);
    }

    #[test]
    fn final_refusals_are_final() {
        for reason in ["?reason=authfailed", "?reason=authfail", "?reason=nosuchuser", "", "?reason="] {
            for name in ["adobe", "llnw"] {
                assert!(gives_up(&decide(&format!("authmod={name} : {reason}"), "app", [0; 4])));
            }
        }
        for other in ["", "no", "authmod=other code=403 need auth", "?reason=needauth"] {
            assert_eq!(decide(other, "app", [0; 4]), Decision::NotAsked);
        }
    }

    #[test]
    fn endless_descriptions_are_not_answered() {
        let padding = "x".repeat(1 << 20);
        assert!(gives_up(&decide(&format!("authmod=adobe?reason=needauth&opaque={padding}"), "app", [0; 4])));
        let app = format!("{padding}?authmod=adobe");
        assert!(gives_up(&decide("authmod=adobe code=403 need auth", &app, [0; 4])));
    }

    #[test]
    fn a_source_without_random_bytes_is_an_error() {
        let mut empty = |_: &mut [u8]| Err(Error::Unsupported("chance"));
        assert!(respond(b"authmod=adobe?reason=needauth", b"", b"", b"", &mut empty).is_err());
    }
}
