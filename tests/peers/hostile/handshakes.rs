//! The peers' bytes in a handshake, for `tests/c/handshake_cut.c`.

use std::time::Duration;

use rtmp_core::handshake::{BLOCK_LEN, Client, ClientOptions, Server, ServerOptions, Swf};

use crate::support::{Library, Program, hex};

/// A client or a server, and the bytes of its peer.
#[derive(Debug)]
pub struct Cut {
    server: bool,
    encrypts: bool,
    /// Whether the client, or the server, knows a SWF file: clients then sign.
    swf: bool,
    says: Says,
    /// Whether the whole handshake succeeds. A signature made without the other end's block fails.
    succeeds: bool,
}

/// Zeros after a version, or blocks with a digest and possibly a key.
#[derive(Debug, Clone, Copy)]
enum Says {
    Zeros(u8),
    Signed(u8),
}

/// These programs compute more than they wait.
const LIMIT: Duration = Duration::from_secs(300);

/// Bytes of a whole handshake in one direction.
const WHOLE: usize = 1 + 2 * BLOCK_LEN;

pub fn cuts() -> Vec<Cut> {
    let client = |encrypts, swf, says, succeeds| Cut { server: false, encrypts, swf, says, succeeds };
    let server = |swf, says, succeeds| Cut { server: true, encrypts: false, swf, says, succeeds };
    vec![
        client(false, false, Says::Zeros(3), true),
        // The client would sign, the server does not.
        client(false, true, Says::Zeros(3), true),
        client(false, true, Says::Signed(3), false),
        client(true, false, Says::Zeros(6), false),
        client(true, false, Says::Signed(6), false),
        client(true, false, Says::Signed(8), false),
        client(true, true, Says::Signed(9), false),
        server(false, Says::Zeros(3), true),
        server(true, Says::Zeros(3), true),
        server(true, Says::Signed(3), false),
        server(false, Says::Zeros(6), false),
        server(false, Says::Signed(6), false),
        server(true, Says::Signed(8), false),
    ]
}

impl Cut {
    /// Whether the ends agree on keys, which takes as long as hundreds of other handshakes.
    pub fn agrees_on_keys(&self) -> bool {
        let (Says::Zeros(version) | Says::Signed(version)) = self.says;
        self.encrypts || self.server && version != 3
    }

    /// Runs the program, which has to find nothing wrong, with a cut after so many bytes first, and then every so many.
    pub fn run(&self, program: &Program, first: usize, step: usize) -> Option<()> {
        let side = if self.server { "server" } else { "client" };
        let (protocol, swf) = (if self.encrypts { "2" } else { "0" }, if self.swf { "99" } else { "0" });
        let arguments = [side, protocol, swf, &first.to_string(), &step.to_string()];
        let run = program.run(Library::Ours, &arguments, &hex::encode(&self.bytes()), LIMIT)?;
        let expected = if self.succeeds { "3073 succeed\n" } else { "" };
        assert_eq!((run.code, run.stdout.as_str()), (Some(0), expected), "{self:?}: {run:?}");
        Some(())
    }

    fn bytes(&self) -> Vec<u8> {
        let version = match self.says {
            Says::Zeros(version) => return [&[version][..], &[0; WHOLE - 1]].concat(),
            Says::Signed(version) => version,
        };
        let swf = Some(Swf { size: 99, hash: [1; 32] });
        let options = ClientOptions { time: 1, encrypted: version != 3, swf };
        let mut client = Client::from_parts(options, &[9; BLOCK_LEN], &[8; BLOCK_LEN], &[7; 32])
            .expect("the key is usable");
        let hello = client.start();
        let mut server = Server::from_parts(ServerOptions { time: 1, swf }, &[6; BLOCK_LEN], &[5; 32]);
        let mut says = Vec::new();
        let mut heard = &hello[..];
        loop {
            let progress = server.advance(heard).expect("nobody disturbs them");
            heard = &heard[progress.consumed..];
            if progress.output.is_empty() {
                break;
            }
            says.extend(progress.output);
        }
        if self.server {
            says = [hello, client.advance(&says).expect("as above").output].concat();
        }
        says[0] = version;
        assert_eq!(says.len(), WHOLE);
        says
    }
}
