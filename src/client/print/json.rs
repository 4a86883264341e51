//! JSON Lines: each record in a line of its own, after docs/schema/verdict-1.json, and nothing else.
#![forbid(unsafe_code)]

use std::io;

use super::Document;
use crate::verdict::Record;

/// The form.
#[derive(Debug)]
pub(super) struct Json;

impl Document for Json {
    fn record(&mut self, record: &Record, out: &mut Vec<u8>) -> io::Result<()> {
        serde_json::to_writer(&mut *out, record)?;
        out.push(b'\n');
        Ok(())
    }
}
