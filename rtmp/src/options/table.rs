//! The table of options.

use super::{
    Definition,
    conn::Item,
    value::{Seconds, Value},
};

/// Makes a [`Definition`] and a variant of [`Setting`] from each row, so that code that stores settings has to handle it.
macro_rules! options {
    ($life:lifetime, $($name:literal $variant:ident($type:ty) $help:literal,)*) => {
        /// An option, with the value that was read for it.
        // The help of an option shows optional parts in brackets.
        #[allow(rustdoc::broken_intra_doc_links, rustdoc::bare_urls)]
        #[derive(Clone, Copy, PartialEq)]
        pub enum Setting<$life> {
            $(
                #[doc = concat!("`", $name, "`: ", $help, ".")]
                $variant($type),
            )*
        }

        /// Every option, in the order in which the log lists them.
        pub const OPTIONS: &[Definition] = &[
            $(
                Definition {
                    name: $name,
                    kind: kind(Setting::$variant),
                    help: $help,
                    read: |name, text| Ok(Value::read(name, text)?.map(Setting::$variant)),
                },
            )*
        ];
    };
}

options! { 'a,
    "socks" Socks(&'a [u8])
        "Proxy to connect through: host[:port] for SOCKS4, or socks5://[user:password@]host[:port], socks4a:, http:",
    "app" App(&'a [u8]) "Application on the server",
    "tcUrl" TcUrl(&'a [u8]) "URL that the server is told, without the stream",
    "pageUrl" PageUrl(&'a [u8]) "URL of the page that shows the stream",
    "swfUrl" SwfUrl(&'a [u8]) "URL of the player's SWF file",
    "flashver" FlashVersion(&'a [u8]) "Flash version to claim, for example LNX 10,0,32,18",
    "conn" Conn(Item<'a>) "AMF value to append to the connect command",
    "playpath" PlayPath(&'a [u8]) "Name of the stream on the server",
    "playlist" Playlist(bool) "Send set_playlist before play",
    "live" Live(bool) "The stream is live and cannot be sought in",
    "subscribe" Subscribe(&'a [u8]) "Name of the stream to subscribe to",
    "jtv" UsherToken(&'a [u8]) "Token for NetStream.Authenticate.UsherToken",
    "token" SecureToken(&'a [u8]) "Key for the answer to SecureToken",
    "swfVfy" VerifySwf(bool) "Hash the SWF file for verification",
    "swfAge" SwfAge(i32) "Days for which a stored SWF hash is good",
    "start" Start(i32) "Where to start in the stream, in milliseconds",
    "stop" Stop(i32) "Where to stop in the stream, in milliseconds",
    "buffer" Buffer(i32) "Length of the buffer in milliseconds",
    "timeout" Timeout(Seconds) "Seconds without data after which to give up",
    "pubUser" PublishUser(&'a [u8]) "Name to log in with when publishing",
    "pubPasswd" PublishPassword(&'a [u8]) "Password to log in with when publishing",
    "tlsVerify" TlsVerify(&'a [u8]) "0 accepts any certificate, 1 ignores RTMP_TLS_VERIFY",
    "tlsCA" TlsCa(&'a [u8]) "PEM file with the only certificates to trust",
    "bind" Bind(&'a [u8]) "Local address or network interface to connect from",
    "ipv" IpVersion(i32) "Version of IP to connect with, 4 or 6; 0 for both",
    "enhanced" Enhanced(bool) "Announce Enhanced RTMP as a program that records or forwards every stream",
    "fourCcList" FourCcList(&'a [u8]) "Codecs to announce, for example hvc1,Opus",
    "videoFourCc" VideoFourCc(&'a [u8]) "Video codecs to announce and bits for each: 1 decodes, 2 encodes, 4 forwards; for example hvc1:3,*:4",
    "audioFourCc" AudioFourCc(&'a [u8]) "The same for audio",
    "capsEx" CapsEx(i32) "Features to announce: 1 reconnect requests, 2 several tracks, 4 ModEx, 8 nanoseconds",
    "videoFunction" VideoFunction(i32) "Bits of videoFunction to announce: 1 seeks to any frame, 2 HDR, 4 video metadata",
    "enhancedForce" EnhancedForce(bool) "Send what the peer has not announced",
    "reconnect" Reconnect(bool) "Announce that reconnect requests are followed",
    "objectEncoding" ObjectEncoding(i32) "AMF version of the session: 0, or 3 to be sent AMF3 as well",
    "data" Data(&'a [u8]) "all hands out every script tag and the smallest audio and video, media does not",
    "timeoutMs" TimeoutMs(i32) "Milliseconds that any wait may take, in place of timeout; 0 leaves it to timeout",
    "sendQueue" SendQueue(i32) "Bytes that may wait for the peer when calls do not; 0 for the default",
    "closeReset" CloseReset(bool) "Reset the connection after a failed send, in place of an orderly end",
    "nodelay" NoDelay(bool) "Send at once (TCP_NODELAY); 0 lets the system collect bytes",
    "keepalive" KeepAlive(i32) "Seconds of silence after which the system probes the peer; 0 for never",
    "tlsCert" TlsCertificate(&'a [u8]) "PEM file with the certificate to show to the server",
    "tlsKey" TlsKey(&'a [u8]) "PEM file with its key; without it the key is in the file of tlsCert",
    "tlsPin" TlsPin(&'a [u8]) "Public keys to accept: sha256//BASE64, several with ; between",
}

/// The kind of a variant's value.
const fn kind<'a, T: Value<'a>>(_: fn(T) -> Setting<'a>) -> &'static str {
    T::KIND
}
