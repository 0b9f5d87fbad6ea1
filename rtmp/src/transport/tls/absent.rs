//! Replaces TLS in a build without the feature `tls`. Making a machine or a context fails, so no value of these types exists.

use std::{
    convert::Infallible,
    io::{self, IoSlice, Read, Write},
    path::Path,
};

use super::Trust;
use crate::{error::Result, features::TLS};

/// A server's certificates and key, which this build cannot read.
#[derive(Debug, Clone)]
pub struct ServerContext {
    never: Infallible,
}

/// The protocol.
pub(crate) struct Machine {
    never: Infallible,
}

/// Records to be sent to the socket, of which there are none.
#[derive(Default)]
pub(crate) struct Outgoing {}

/// The bytes that can be read without waiting.
#[expect(dead_code, reason = "a machine would make these values")]
pub(crate) enum Available {
    Bytes(usize),
    End,
    Torn,
    Nothing,
}

impl ServerContext {
    /// Fails with [`Error::Unsupported`](crate::Error::Unsupported), because this build has no TLS.
    pub fn from_files(_certificate: &Path, _key: &Path) -> Result<Self> {
        Err(TLS.error())
    }
}

impl Machine {
    pub(crate) fn client(_host: &str, _trust: &Trust) -> Result<Self> {
        Err(TLS.error())
    }

    pub(crate) fn server(context: &ServerContext) -> Result<Self> {
        match context.never {}
    }

    pub(crate) fn check_handshake(&mut self, _count: usize) -> Result<()> {
        match self.never {}
    }

    pub(crate) fn encrypt(&mut self, _pieces: &[IoSlice<'_>]) -> Result<usize> {
        match self.never {}
    }

    pub(crate) fn write_to(&mut self, _socket: &mut dyn Write) -> Option<io::Result<usize>> {
        match self.never {}
    }

    pub(crate) fn close(&mut self, _outgoing: &mut Outgoing) {
        match self.never {}
    }

    pub(crate) fn holds_more(&mut self) -> bool {
        match self.never {}
    }

    pub(crate) fn produce(&mut self, _outgoing: &mut Outgoing) -> bool {
        match self.never {}
    }

    pub(crate) fn accept(&mut self, _socket: &mut dyn Read) -> io::Result<usize> {
        match self.never {}
    }

    pub(crate) fn has_ended(&self) -> bool {
        match self.never {}
    }

    pub(crate) fn peer(&self) -> &str {
        match self.never {}
    }

    pub(crate) fn read(&mut self, _buffer: &mut [u8]) -> Result<Available> {
        match self.never {}
    }
}

impl Outgoing {
    pub(crate) fn unsent(&self) -> &[u8] {
        &[]
    }

    pub(crate) fn advance(&mut self, _count: usize) {}
}

pub(crate) const BLOCK_LEN: usize = 0;
pub(crate) const BATCH_LEN: usize = 1;
