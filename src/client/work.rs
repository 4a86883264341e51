//! One thing to scan: a name for the server, or an open file whose content is sent.
#![forbid(unsafe_code)]

use std::fs::File;
use std::sync::Arc;

use bytes::Bytes;

/// One request, whichever server it will be put to.
#[derive(Debug, Clone)]
pub(super) struct Work {
    /// Its number in this run, also its id on the wire.
    pub(super) id: u64,
    /// Its path, or the name that somebody gave to a content.
    pub(super) label: Bytes,
    /// Where its content is.
    pub(super) source: Source,
    /// The size of an open file when it was opened, else 0.
    pub(super) size: u64,
}

/// Where the content of a request is.
#[derive(Debug, Clone)]
pub(super) enum Source {
    /// An open file, which is sent.
    File(Arc<File>),
    /// A file or folder that the server opens by its name.
    Name,
    /// A content that is in no file that anybody else knows; it is sent.
    Stream(Arc<File>),
}

impl Work {
    /// What is to be sent, if anything is.
    pub(super) fn content(&self) -> Option<&Arc<File>> {
        match &self.source {
            Source::File(file) | Source::Stream(file) => Some(file),
            Source::Name => None,
        }
    }

    /// The file behind the label, where it is what this program sent. What a server opened by its name may have been
    /// another file.
    pub(super) fn opened(&self) -> Option<&File> {
        match &self.source {
            Source::File(file) => Some(file),
            Source::Name | Source::Stream(_) => None,
        }
    }
}
