//! Options for which `Link` has no field.

use std::{
    fmt,
    sync::{Arc, atomic::AtomicU8},
};

use libc::c_char;
use rtmp_core::{
    flv,
    options::{Common, Enhanced, Tuning},
    session::History,
    transport::{
        local::{Local, SocketHook},
        tcp,
        tls::TlsOptions,
    },
};

use super::{Handle, callbacks::raise_socket};
use crate::{enhanced::requested::Requested, hooks::Hooks, rtmp::origin::Origin, valid::field};

/// Options for which `Link` has no field. Text is copied. They are set before the connection, hold for every
/// connection after that, and go when the program calls `RTMP_Close`; a connection that fails by itself keeps them, so
/// that trying again does not leave by another way or trust another server than was asked for.
#[derive(Debug, Clone, Default)]
pub(crate) struct Settings {
    /// Where connections leave from, and which addresses they may go to: the options `bind` and `ipv`.
    pub(crate) local: Local,
    /// Whom to trust: the options `tlsVerify` and `tlsCA`.
    pub(crate) tls: TlsOptions,
    /// What to announce of Enhanced RTMP.
    pub(crate) enhanced: Enhanced,
    /// How the connection behaves: `timeoutMs`, `sendQueue`, `closeReset` and `data`.
    pub(crate) tuning: Tuning,
    /// These as they were before the text of the URL changed them.
    pub(crate) before_url: Option<Box<Hidden>>,
    /// What the login in the URL means.
    pub(crate) login: Option<Arc<Login>>,
    /// What the server has asked for last.
    pub(crate) reconnect: Option<Arc<Requested>>,
    /// Reconnect requests that led here.
    pub(crate) history: History,
    /// The strings of `Link`, if they are copies for a reconnect request.
    pub(crate) texts: Option<Arc<[u8]>>,
    /// What else came from the URL.
    pub(crate) origin: Origin,
    /// Functions of the program.
    pub(crate) hooks: Hooks,
}

/// Options for which `Link` has no field and that the text of a URL can set.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Hidden {
    pub(crate) local: Local,
    pub(crate) tls: TlsOptions,
    pub(crate) tuning: Tuning,
    pub(crate) enhanced: Enhanced,
}

impl Settings {
    /// Where the options are stored that Rust programs have as well.
    pub(crate) fn common(&mut self) -> Common<'_> {
        let Self { local, tls, tuning, enhanced, .. } = self;
        Common { local, tls, tuning, enhanced }
    }

    /// Whether there is anything that the struct has no place for.
    pub(crate) fn is_needed(&self) -> bool {
        let Self {
            local,
            tls,
            enhanced,
            tuning,
            before_url,
            login,
            reconnect,
            history,
            texts,
            origin: _,
            hooks,
        } = self;
        *hooks != Hooks::default()
            || before_url.is_some()
            || login.is_some()
            || reconnect.is_some()
            || texts.is_some()
            || *local != Local::default()
            || *tls != TlsOptions::default()
            || *tuning != Tuning::default()
            || *enhanced != Enhanced::default()
            || *history != History::default()
    }
}

/// A user name and a password that the fields of `Link` show. Programs may write to what is there.
#[derive(Default)]
pub(crate) struct Login {
    /// With a NUL at the end.
    pub(crate) user: Box<[AtomicU8]>,
    pub(crate) password: Box<[AtomicU8]>,
}

impl Login {
    pub(crate) fn new(user: &[u8], password: &[u8]) -> Self {
        let text = |text: &[u8]| text.iter().copied().chain([0]).map(AtomicU8::new).collect();
        Self { user: text(user), password: text(password) }
    }

    /// Whether a string is one of the two.
    pub(crate) fn owns(&self, string: *const c_char) -> bool {
        [&self.user, &self.password].iter().any(|text| text.as_ptr().cast() == string)
    }
}

impl fmt::Debug for Login {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Login(not shown)")
    }
}

impl Handle {
    /// Options that `Link` has no field for.
    pub(crate) fn settings(&self) -> Settings {
        self.private.settings()
    }

    /// Changes options that `Link` has no field for.
    pub(crate) fn change_settings<R>(&self, change: impl FnOnce(&mut Settings) -> R) -> R {
        let mut core = self.core();
        let settings = core.settings.get_or_insert_default();
        let result = change(settings);
        self.private.note(settings);
        result
    }

    /// Has readers get every data message if the option `data` says so.
    pub(crate) fn show_data_option(&self) {
        if self.settings().tuning.all_data {
            let flags = field!(self.rtmp(), m_read.flags);
            flags.set(flags.get() | flv::Flags::ALL.0);
        }
    }

    /// Has closing reset the connection if the option `closeReset` says so.
    pub(crate) fn prepare_reset(&self) {
        if let (true, Ok(socket)) = (self.settings().tuning.resets, self.socket()) {
            tcp::reset_at_close(socket);
        }
    }

    /// Where connections leave from, with the event that each of their sockets is.
    pub(crate) fn local(&self) -> Local {
        let mut local = self.settings().local;
        if self.wants_events() {
            local.hook = Some(SocketHook::new(raise_socket));
        }
        local
    }
}
