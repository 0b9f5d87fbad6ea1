//! A session on top of a tunnel: the handshake, `connect`, and its result.

use std::cell::RefCell;

use rtmp_core::{
    chunk::{Chunks, Decoder, Encoder},
    driver::{self, Connection, Parts},
    error::Result,
    handshake::{self, ClientOptions},
    message::MessageType,
    random,
    session::{Profile, State, command},
    transport::tunnel::{Carrier, Tunnel},
};

struct Session<'a, C> {
    tunnel: &'a Tunnel,
    carrier: &'a C,
    app: &'a [u8],
    owned: RefCell<Owned>,
}

#[derive(Default)]
struct Owned {
    state: State,
    calls: Vec<(Vec<u8>, i32)>,
    decoder: Decoder<Vec<u8>>,
    encoder: Encoder,
    input: Vec<u8>,
}

impl<C> Session<'_, C> {
    fn profile(&self) -> Profile<'_> {
        Profile { app: self.app, tc_url: b"rtmpt://127.0.0.1/app", ..Profile::default() }
    }
}

impl<C: Carrier> Connection for Session<'_, C> {
    type Body = Vec<u8>;

    fn step<R>(&self, step: impl FnOnce(&mut Parts<'_, '_, Vec<u8>>) -> R) -> R {
        let mut owned = self.owned.borrow_mut();
        let Owned { state, calls, decoder, encoder, .. } = &mut *owned;
        step(&mut Parts { state, profile: self.profile(), calls, decoder, encoder, input: &[], consumed: 0 })
    }

    fn reading_step<R>(&self, step: impl FnOnce(&mut Parts<'_, '_, Vec<u8>>) -> R) -> R {
        let mut owned = self.owned.borrow_mut();
        let Owned { state, calls, decoder, encoder, input } = &mut *owned;
        let mut parts = Parts { state, profile: self.profile(), calls, decoder, encoder, input, consumed: 0 };
        let result = step(&mut parts);
        let consumed = parts.consumed;
        owned.input.drain(..consumed);
        result
    }

    fn fill(&self, _whole: bool) -> Result<()> {
        // Smaller than most replies, so that these arrive in pieces.
        let mut buffer = [0; 1000];
        let len = self.tunnel.fill(self.carrier, &mut buffer)?;
        self.owned.borrow_mut().input.extend_from_slice(&buffer[..len]);
        Ok(())
    }

    fn transmit<'m>(
        &self,
        encode: impl FnOnce(&mut Parts<'_, '_, Vec<u8>>) -> Result<Chunks<'m>>,
    ) -> Result<()> {
        let chunks = self.step(encode)?;
        self.tunnel.send(self.carrier, &chunks.pieces().collect::<Vec<_>>())
    }

    fn transmit_bytes(&self, pieces: &[&[u8]]) -> Result<()> {
        self.tunnel.send(self.carrier, pieces)
    }

    fn is_open(&self) -> bool {
        true
    }

    fn close(&self) {}

    fn give_up(&self) {}
}

/// Shakes hands and connects to an application; returns the bytes of the result as text.
pub fn connect(tunnel: &Tunnel, carrier: &impl Carrier, app: &[u8]) -> String {
    let session = Session { tunnel, carrier, app, owned: RefCell::default() };
    let client = handshake::Client::new(ClientOptions::default(), &mut random::system)
        .expect("there are random bytes");
    driver::handshake_as_client(&session, client).expect("the server shakes hands");
    let connect = session.step(|parts| command::connect(parts.state, &parts.profile, b""));
    driver::send(&session, &connect).expect("the command goes out");
    loop {
        let message = driver::receive_message(&session).expect("the server answers");
        if message.kind == MessageType::COMMAND {
            return String::from_utf8_lossy(&message.body).into_owned();
        }
        driver::dispatch(&session, message.chunk_stream, message.kind, message.timestamp, &message.body)
            .expect("the server wants us");
    }
}
