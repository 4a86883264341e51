//! XML, after docs/schema/verdict-1.xsd: the same content as JSON, in one document.
#![forbid(unsafe_code)]

use std::io::{self, Write};

use super::{Document, End};
use crate::verdict::{Record, xml};

/// The form.
#[derive(Debug)]
pub(super) struct Xml;

impl Document for Xml {
    fn begin(&mut self, out: &mut Vec<u8>) -> io::Result<()> {
        out.extend_from_slice(xml::DECLARATION.as_bytes());
        out.extend_from_slice(xml::BEGIN.as_bytes());
        Ok(())
    }

    fn record(&mut self, record: &Record, out: &mut Vec<u8>) -> io::Result<()> {
        out.extend_from_slice(xml::record(record).as_bytes());
        Ok(())
    }

    fn end(&mut self, end: &End<'_>, out: &mut dyn Write) -> io::Result<()> {
        let mut tag = xml::Tag::new("end");
        match &end.result {
            Ok(exit) => tag.number("exit", exit.code().into()),
            Err(failure) => {
                tag.number("exit", failure.exit().code().into());
                tag.attribute("failure", &failure.to_string());
            }
        }
        write!(out, "{}\n{}", tag.closed(), xml::END)
    }
}
