//! Options for which `Link` has no field.

use std::{
    fmt,
    sync::{Arc, atomic::AtomicU8},
};

use libc::c_char;
use rtmp_core::{
    flv,
    options::Common,
    session::History,
    transport::{
        local::{Local, SocketHook},
        tcp,
    },
};

use super::{Handle, callbacks::raise_socket};
use crate::{enhanced::requested::Requested, hooks::Hooks, valid::field};

/// Options for which `Link` has no field. Text is copied. They are set before the connection, apply to every later connection,
/// and are reset when the program calls `RTMP_Close`. A connection that fails keeps them, so that another attempt uses the same
/// route and trusts the same servers.
#[derive(Debug, Clone, Default)]
pub(crate) struct Settings {
    /// The options that Rust programs have as well.
    pub(crate) common: Common,
    /// Their values before the text of the URL changed them.
    pub(crate) before_url: Option<Box<Common>>,
    /// The decoded login from the URL.
    pub(crate) login: Option<Arc<Login>>,
    /// The server's last reconnect request.
    pub(crate) reconnect: Option<Arc<Requested>>,
    /// Reconnect requests that led here.
    pub(crate) history: History,
    /// The strings of `Link`, if they are copies for a reconnect request.
    pub(crate) texts: Option<Arc<[u8]>>,
    /// Functions of the program.
    pub(crate) hooks: Hooks,
}

impl Settings {
    /// Whether any value has no place in the struct.
    pub(crate) fn is_needed(&self) -> bool {
        let Self { common, before_url, login, reconnect, history, texts, hooks } = self;
        *hooks != Hooks::default()
            || before_url.is_some()
            || login.is_some()
            || reconnect.is_some()
            || texts.is_some()
            || *common != Common::default()
            || *history != History::default()
    }
}

/// A user name and a password that the fields of `Link` show. Programs may write to these bytes.
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
    /// Reads options that `Link` has no field for. `read` uses nothing else of the session.
    pub(crate) fn with_settings<R>(&self, read: impl FnOnce(&Settings) -> R) -> R {
        match &self.core().settings {
            Some(settings) => read(settings),
            None => read(&Settings::default()),
        }
    }

    /// Changes options that `Link` has no field for.
    pub(crate) fn change_settings<R>(&self, change: impl FnOnce(&mut Settings) -> R) -> R {
        let mut core = self.core();
        let settings = core.settings.get_or_insert_default();
        let result = change(settings);
        self.private.copy_out(settings);
        result
    }

    /// As [`Self::change_settings`], if the session has any.
    pub(crate) fn change_settings_if_any<R: Default>(&self, change: impl FnOnce(&mut Settings) -> R) -> R {
        let mut core = self.core();
        let Some(settings) = &mut core.settings else { return R::default() };
        let result = change(settings);
        self.private.copy_out(settings);
        result
    }

    /// Lets readers receive every data message if the option `data` is set.
    pub(crate) fn show_data_option(&self) {
        if self.with_settings(|settings| settings.common.tuning.all_data) {
            let flags = field!(self.rtmp(), m_read.flags);
            flags.set(flags.get() | flv::Flags::ALL.0);
        }
    }

    /// Makes closing reset the connection if the option `closeReset` is set.
    pub(crate) fn prepare_reset(&self) {
        let resets = self.with_settings(|settings| settings.common.tuning.resets);
        if let (true, Ok(socket)) = (resets, self.socket()) {
            tcp::reset_at_close(socket);
        }
    }

    /// The local address of connections, with a function that reports each of their sockets as an event.
    pub(crate) fn local(&self) -> Local {
        let mut local = self.with_settings(|settings| settings.common.local.clone());
        if self.wants_events() {
            local.hook = Some(SocketHook::new(raise_socket));
        }
        local
    }
}
