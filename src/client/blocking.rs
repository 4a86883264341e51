//! [`super::Connection`] for programs without a runtime: each call waits for its answer.
#![forbid(unsafe_code)]

use std::io::Read;
use std::path::Path;

use tokio::runtime::{Builder, Runtime};

use super::Failure;
use super::server::Server;
use super::settings::Settings;
use crate::verdict::Record;

/// A connection to a server. Threads may share it; each waits for its own answers only.
///
/// It must not be used or dropped inside a tokio runtime.
#[derive(Debug)]
pub struct Connection {
    inner: super::Connection,
    runtime: Runtime,
}

impl Connection {
    /// As [`super::Connection::connect`].
    ///
    /// # Errors
    /// The same; and when there is no thread for it.
    pub fn connect(server: &Server) -> Result<Self, Failure> {
        Self::connect_with(server, Settings::default())
    }

    /// As [`super::Connection::connect_with`].
    ///
    /// # Errors
    /// The same; and when there is no thread for it.
    pub fn connect_with(server: &Server, settings: Settings) -> Result<Self, Failure> {
        // A thread of its own hears the server also while nobody waits for an answer.
        let runtime = Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()?;
        let inner = runtime.block_on(super::Connection::connect_with(server, settings))?;
        Ok(Self { inner, runtime })
    }

    /// True if the server said that it has no signatures but those for tests.
    pub fn has_test_signatures_only(&self) -> bool {
        self.inner.has_test_signatures_only()
    }

    /// As [`super::Connection::scan_file`].
    ///
    /// # Errors
    /// The same.
    pub fn scan_file(&self, path: impl AsRef<Path>) -> Result<Record, Failure> {
        self.runtime.block_on(self.inner.scan_file(path))
    }

    /// As [`super::Connection::scan_named`].
    ///
    /// # Errors
    /// The same.
    pub fn scan_named(&self, path: impl AsRef<Path>) -> Result<Record, Failure> {
        self.runtime.block_on(self.inner.scan_named(path))
    }

    /// As [`super::Connection::scan_reader`].
    ///
    /// # Errors
    /// The same.
    pub fn scan_reader(
        &self,
        label: &str,
        content: impl Read + Send + 'static,
    ) -> Result<Record, Failure> {
        self.runtime
            .block_on(self.inner.scan_reader(label, content))
    }

    /// As [`super::Connection::scan_bytes`].
    ///
    /// # Errors
    /// The same.
    pub fn scan_bytes(&self, label: &str, content: &[u8]) -> Result<Record, Failure> {
        self.runtime.block_on(self.inner.scan_bytes(label, content))
    }
}
