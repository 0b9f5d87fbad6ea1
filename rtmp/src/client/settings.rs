//! A program's settings for a connection: the parts of a URL and the options after it, as owned values.

use std::time::{Duration, Instant};

use crate::{
    amf, environment,
    error::{Error, Result},
    features,
    handshake::{self, Swf},
    net::{Entry, Target},
    options::{self, Common, Seconds, Setting, conn, next_pair, unescape},
    session::{History, Profile, Reconnect, application},
    swf,
    text::Text,
    transport::{proxy::Proxy, tls::Trust, wait::Endless},
    url::{self, Protocol},
};

/// All settings that are known before a connection is made.
#[derive(Clone)]
pub(super) struct Settings {
    pub(super) protocol: Protocol,
    pub(super) host: Vec<u8>,
    port: u16,
    pub(super) timeout: Duration,
    pub(super) buffer_ms: i32,
    pub(super) live: bool,
    pub(super) start_ms: i32,
    pub(super) stop_ms: i32,
    pub(super) proxy: Option<Proxy>,
    pub(super) extras: Extras,
    pub(super) common: Common,
    app: Vec<u8>,
    /// Set by an option; otherwise it is composed from the URL.
    tc_url: Vec<u8>,
    /// The URL up to the end of the application, unless an option names the application.
    url: Option<Vec<u8>>,
    stream_name: Vec<u8>,
    page_url: Vec<u8>,
    swf_url: Vec<u8>,
    flash_version: Vec<u8>,
    subscribe_name: Vec<u8>,
    usher_token: Vec<u8>,
    secure_token: Vec<u8>,
    user: Vec<u8>,
    password: Vec<u8>,
    playlist: bool,
    verifies_swf: bool,
    swf_age: i32,
    /// The reconnects that led to these settings.
    history: History,
}

/// The AMF values after the command object of `connect`, as the option `conn` builds them.
#[derive(Clone, Default)]
pub(super) struct Extras {
    body: amf::Encoder,
    /// The number of open objects.
    open: usize,
}

impl Settings {
    /// Reads a URL and the options after it, separated by spaces.
    pub(super) fn parse(text: &[u8]) -> Result<Self> {
        let head = text.iter().position(|&byte| byte == b' ').unwrap_or(text.len());
        let mut settings = Self::from_url(&text[..head])?;
        let mut at = head;
        while let Some(pair) = next_pair(text, at) {
            at = pair.value.end;
            let mut value = text[pair.value].to_vec();
            let len = unescape(&mut value)?;
            settings.set(&text[pair.name], &value[..len])?;
        }
        if text[at..].iter().any(|&byte| byte != b' ') {
            return Err(Error::Invalid("a word behind the URL is no option: there is no equals sign"));
        }
        Ok(settings)
    }

    fn from_url(text: &[u8]) -> Result<Self> {
        let url = url::parse(text)?;
        let scheme = text.split(|&byte| byte == b':').next().unwrap_or_default();
        if !Protocol::from_scheme(scheme).is_some_and(|protocol| protocol != Protocol::RTMFP) {
            return Err(Error::Unsupported("the scheme of the URL"));
        }
        features::check_protocol(url.protocol)?;
        let host = url.host.filter(|host| !host.is_empty());
        let host = host.ok_or(Error::malformed("RTMP URL", "no usable host name"))?;
        let app = url.app.unwrap_or_default();
        let (user, password) = match &url.userinfo {
            Some(info) => (info.decoded_user(), info.decoded_password()),
            None => Default::default(),
        };
        Ok(Self {
            protocol: url.protocol,
            host: host.to_vec(),
            port: url.port,
            timeout: Duration::from_secs(30),
            buffer_ms: 30_000,
            live: false,
            start_ms: 0,
            stop_ms: 0,
            proxy: None,
            extras: Extras::default(),
            common: Common::default(),
            app: app.to_vec(),
            tc_url: Vec::new(),
            url: application_url(&url, text),
            stream_name: url.playpath.unwrap_or_default().into_owned(),
            page_url: Vec::new(),
            swf_url: Vec::new(),
            flash_version: DEFAULT_FLASH_VERSION.to_vec(),
            subscribe_name: Vec::new(),
            usher_token: Vec::new(),
            secure_token: Vec::new(),
            user,
            password,
            playlist: false,
            verifies_swf: false,
            swf_age: 30,
            history: History::default(),
        })
    }

    /// The settings for a server's request to connect again.
    pub(super) fn follow(&self, request: &Reconnect, now: Instant) -> Result<Self> {
        let target = request.resolve(&self.application().1, self.protocol.is_tls())?;
        let url = url::parse(&target)?;
        features::check_protocol(url.protocol)?;
        let host = url.host.unwrap_or_default().to_vec();
        let mut settings = Self { protocol: url.protocol, host, port: url.port, url: None, ..self.clone() };
        settings.app = application(&target).to_vec();
        settings.tc_url = target;
        settings.history.count(now)?;
        Ok(settings)
    }

    /// Sets an option by its name, which is case-insensitive.
    pub(super) fn set(&mut self, name: &[u8], value: &[u8]) -> Result<()> {
        match options::read(name, value)? {
            Some(setting) => self.apply(setting),
            None => Ok(()),
        }
    }

    fn apply(&mut self, setting: Setting<'_>) -> Result<()> {
        match setting {
            Setting::Socks(text) => {
                self.proxy = (!text.is_empty()).then(|| Proxy::parse(text)).transpose()?
            }
            Setting::App(text) => {
                self.app = text.to_vec();
                self.url = None;
            }
            Setting::TcUrl(text) => self.tc_url = text.to_vec(),
            Setting::PageUrl(text) => self.page_url = text.to_vec(),
            Setting::SwfUrl(text) => self.swf_url = text.to_vec(),
            Setting::FlashVersion(text) => self.flash_version = text.to_vec(),
            Setting::Conn(item) => self.extras.append(item)?,
            Setting::PlayPath(text) => self.stream_name = text.to_vec(),
            Setting::Playlist(yes) => self.playlist = yes,
            Setting::Live(yes) => self.live = yes,
            Setting::Subscribe(text) => self.subscribe_name = text.to_vec(),
            Setting::UsherToken(text) => self.usher_token = text.to_vec(),
            Setting::SecureToken(text) => self.secure_token = text.to_vec(),
            Setting::VerifySwf(true) => {
                features::SWF.check()?;
                self.verifies_swf = true;
            }
            Setting::VerifySwf(false) => self.verifies_swf = false,
            Setting::SwfAge(days) => self.swf_age = days,
            Setting::Start(milliseconds) => self.start_ms = milliseconds,
            Setting::Stop(milliseconds) => self.stop_ms = milliseconds,
            Setting::Buffer(milliseconds) => self.buffer_ms = milliseconds,
            Setting::Timeout(Seconds(seconds)) => match u64::try_from(seconds) {
                Ok(seconds @ 1..) => self.timeout = Duration::from_secs(seconds),
                _ => return Err(Error::Invalid("timeout has to be more than 0")),
            },
            Setting::PublishUser(text) => self.user = text.to_vec(),
            Setting::PublishPassword(text) => self.password = text.to_vec(),
            other => {
                if !self.common.apply(&other)? {
                    return Err(Error::Unsupported("this option"));
                }
            }
        }
        Ok(())
    }

    pub(super) fn port(&self) -> u16 {
        if self.port == 0 { self.protocol.default_port() } else { self.port }
    }

    /// The host as text, for names in certificates and in HTTP.
    pub(super) fn host_name(&self) -> String {
        Text(&self.host).to_string()
    }

    /// The limit of one wait.
    pub(super) fn timeout(&self) -> Duration {
        self.common.tuning.timeout.unwrap_or(self.timeout)
    }

    /// The trusted certificates. The environment of the process cannot disable their verification.
    pub(super) fn trust(&self) -> Trust {
        self.common.tls.trust_in(environment::is_ignored(), None)
    }

    /// The target of a connection, and the way to it.
    pub(super) fn target(&self) -> Target {
        let tls = self.protocol.is_tls().then(|| {
            let (host, trust) = (self.host_name(), self.trust());
            if *trust.whom() == Trust::Anyone {
                log::warn!("TLS: nobody checks that the server is {host}");
            }
            (host, trust)
        });
        Target {
            entry: Entry::Name,
            host: self.host.clone(),
            port: self.port(),
            proxy: self.proxy.clone(),
            proxy_trust: self.common.tls.proxy_trust_in(environment::is_ignored(), None),
            local: self.common.local.clone(),
            tls,
            tunnelled: self.protocol.is_tunnelled(),
            timeout: Some(self.timeout()),
        }
    }

    /// The application's name and its URL.
    pub(super) fn application(&self) -> (Vec<u8>, Vec<u8>) {
        let tc_url = match &self.url {
            _ if !self.tc_url.is_empty() => self.tc_url.clone(),
            Some(url) => url.clone(),
            None => {
                let authority = url::authority(&self.host, self.port());
                [self.protocol.scheme().as_bytes(), b"://", &authority, b"/", &self.app].concat()
            }
        };
        (self.app.clone(), tc_url)
    }

    /// Whether there is an SWF file to verify.
    pub(super) fn wants_swf(&self) -> bool {
        self.verifies_swf && !self.swf_url.is_empty()
    }

    /// The SWF file to verify, if requested and if its hash is known. May download the file, and so wait.
    pub(super) fn swf(&self) -> Option<Swf> {
        if !self.wants_swf() {
            return None;
        }
        let found =
            swf::look_up(&self.swf_url, self.swf_age, swf::store::path().as_deref(), &self.trust(), &Endless);
        found.swf.map(|swf| Swf { size: swf.size, hash: swf.hash })
    }

    /// The settings for the session.
    pub(super) fn profile<'a>(
        &'a self,
        publish: bool,
        app: &'a [u8],
        tc_url: &'a [u8],
        swf_verification: Option<&'a handshake::Response>,
    ) -> Profile<'a> {
        Profile {
            publish,
            live: self.live,
            playlist: self.playlist,
            buffer_events: false,
            app,
            tc_url,
            flash_version: &self.flash_version,
            swf_url: &self.swf_url,
            page_url: &self.page_url,
            stream_name: &self.stream_name,
            auth: b"",
            auth_flag: false,
            subscribe_name: &self.subscribe_name,
            usher_token: &self.usher_token,
            secure_token: &self.secure_token,
            user: &self.user,
            password: &self.password,
            swf_verification,
            start_ms: self.start_ms,
            stop_ms: self.stop_ms,
            capabilities: self.common.enhanced.announced(),
            all_data: self.common.tuning.all_data,
        }
    }
}

impl Extras {
    /// The values as AMF0, with all objects closed.
    pub(super) fn encoded(&self) -> Vec<u8> {
        let mut body = self.body.clone();
        (0..self.open).for_each(|_| {
            body.end_object();
        });
        body.finish()
    }

    fn append(&mut self, item: conn::Item<'_>) -> Result<()> {
        if self.open == 0 && item.name().is_some() {
            return Err(Error::malformed("conn option", "a named value outside of any object"));
        }
        if self.open > 0 && item != conn::Item::Close {
            self.body.name(item.name().unwrap_or_default());
        }
        match item {
            conn::Item::Open { .. } if self.open == amf::MAX_DEPTH => {
                return Err(Error::TooLarge("the depth of the conn option"));
            }
            conn::Item::Open { .. } => {
                self.body.begin_object();
                self.open += 1;
            }
            conn::Item::Close if self.open > 0 => {
                self.body.end_object();
                self.open -= 1;
            }
            conn::Item::Close => {}
            conn::Item::Scalar { value, .. } => {
                match value {
                    conn::Scalar::Number(number) => self.body.number(number),
                    conn::Scalar::Boolean(boolean) => self.body.boolean(boolean != 0),
                    conn::Scalar::String(text) => self.body.string(text),
                    conn::Scalar::Null => self.body.null(),
                };
            }
        }
        Ok(())
    }
}

/// The text of a URL up to the end of the application, or all of it if there is none, without user and password.
fn application_url(url: &url::Url<'_>, text: &[u8]) -> Option<Vec<u8>> {
    let offset = |part: &[u8]| part.as_ptr().addr().checked_sub(text.as_ptr().addr());
    let end = match url.app {
        Some(app) if !app.is_empty() => offset(app)? + app.len(),
        _ => text.len(),
    };
    Some(url::without_login(text.get(..end)?))
}

/// The version that servers receive unless an option sets another, as with librtmp.
const DEFAULT_FLASH_VERSION: &[u8] = b"LNX 10,0,32,18";

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Settings {
        Settings::parse(text.as_bytes()).expect(text)
    }

    fn tc_url(text: &str) -> String {
        String::from_utf8(parse(text).application().1).unwrap()
    }

    #[test]
    fn the_url_of_the_application_is_the_beginning_of_the_url() {
        assert_eq!(tc_url("rtmp://host/app/name"), "rtmp://host/app");
        assert_eq!(tc_url("rtmp://host:1936/app/inst/name live=1"), "rtmp://host:1936/app/inst");
        assert_eq!(tc_url("rtmp://host"), "rtmp://host");
        assert_eq!(tc_url("rtmp://user:secret@host/app/name"), "rtmp://host/app");
        assert_eq!(tc_url("rtmp://user@host:1936"), "rtmp://host:1936");
        if features::TLS.is_built() {
            assert_eq!(tc_url("rtmps://[::1]/a/s app=other"), "rtmps://[::1]:443/other");
        }
        assert_eq!(tc_url("rtmp://host/app/name tcUrl=rtmp://x/y"), "rtmp://x/y");
    }

    #[test]
    fn options_follow_the_url_with_their_escapes_decoded() {
        let settings = parse(r"rtmp://h/a/s live=1 START=0x10 stop=010 flashver=A\20B timeout=7 buffer=5");
        assert!(settings.live);
        assert_eq!((settings.start_ms, settings.stop_ms, settings.buffer_ms), (16, 8, 5));
        assert_eq!(settings.flash_version, b"A B");
        assert_eq!(settings.timeout, Duration::from_secs(7));
    }

    #[cfg(feature = "tls")]
    #[test]
    fn a_reconnect_request_changes_the_application_and_keeps_the_rest() {
        let now = Instant::now();
        let settings = parse("rtmp://one/app/inst/name live=1 pageUrl=p timeout=3");
        let follow = |reference: &str| {
            settings.follow(&Reconnect { reference: reference.into(), ..Reconnect::default() }, now)
        };
        let moved = follow("rtmps://two:4444/other/inst?key=1").unwrap();
        assert_eq!((&moved.host[..], moved.port()), (&b"two"[..], 4444));
        assert!(moved.protocol.is_tls() && moved.live);
        let expected = (b"other/inst?key=1".to_vec(), b"rtmps://two:4444/other/inst?key=1".to_vec());
        assert_eq!(moved.application(), expected);
        assert_eq!((&moved.stream_name[..], &moved.page_url[..]), (&b"name"[..], &b"p"[..]));
        assert_eq!(moved.timeout, Duration::from_secs(3));
        assert_eq!(follow("").unwrap().application().0, b"app/inst");
        assert_eq!(follow("//[::1]/x").unwrap().host, b"::1");
        assert!(
            moved
                .follow(&Reconnect { reference: b"rtmp://one/app".to_vec(), ..Reconnect::default() }, now)
                .is_err()
        );
        // The sixth in a row.
        let mut settings = settings;
        for _ in 0..5 {
            settings = settings.follow(&Reconnect::default(), now).unwrap();
        }
        assert!(settings.follow(&Reconnect::default(), now).is_err());
    }

    #[test]
    fn nonsense_is_an_error() {
        for text in [
            "host/app",
            "rtmp:///app/name",
            "rtmfp://h/a/s",
            "http://h/a/s",
            "rtmp://h/a/s nonsense=1",
            "rtmp://h/a/s live",
            "rtmp://h/a/s live=1 x",
            "rtmp://h/a/s timeout=0",
            "rtmp://h/a/s timeout=-1",
            "rtmp://h/a/s tlsVerify=perhaps",
            "rtmp://h/a/s ipv=5",
            "rtmp://h/a/s socks=socks5://host:port",
            "rtmp://h/a/s conn=X:1",
            "rtmp://h/a/s conn=NN:a:1",
        ] {
            assert!(Settings::parse(text.as_bytes()).is_err(), "{text}");
        }
    }

    #[test]
    fn conn_builds_up_amf_values() {
        let settings = parse("rtmp://h/a/s conn=B:1 conn=O:1 conn=NN:n:2 conn=NO:o:1 conn=NS:s:x");
        let mut expected = amf::Encoder::new();
        expected.boolean(true).begin_object().named_number(b"n", 2.0).name(b"o").begin_object();
        expected.named_string(b"s", b"x").end_object().end_object();
        assert_eq!(settings.extras.encoded(), expected.finish());
        let deep = "rtmp://h/a/s conn=O:1".to_owned() + &" conn=NO:o:1".repeat(amf::MAX_DEPTH);
        assert!(Settings::parse(deep.as_bytes()).is_err());
    }
}
