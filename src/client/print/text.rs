//! For people: a line per finding and gap, and a summary.
//!
//! Paths are written quoted, their bytes as they are (`path::quote`). What the request itself left out has no lines, only
//! a count.
#![forbid(unsafe_code)]

use std::io::{self, Write};

use anstyle::{AnsiColor, Style};

use super::said::{Kind, Said, statements, without_controls};
use super::{Document, End, Setting};
use crate::verdict::{Record, Verdict, object_path};

/// The form.
#[derive(Debug)]
pub(super) struct Text {
    quiet: bool,
    colour: bool,
}

impl Text {
    /// The form as it was asked for.
    pub(super) fn new(setting: &Setting) -> Self {
        Self {
            quiet: setting.quiet > 0,
            colour: setting.colour,
        }
    }

    fn line(&self, said: &Said<'_>, out: &mut Vec<u8>) {
        let text = said.text();
        let text = match said.kind {
            Kind::Finding | Kind::Unnamed => text,
            Kind::Gap | Kind::Error => format!("NOT SCANNED {text}"),
            Kind::MoreGaps => format!("NOT SCANNED: {text}"),
            Kind::LeftOut => return,
            Kind::Note | Kind::MoreNotes if self.quiet => return,
            Kind::Note => format!("note {text}"),
            Kind::MoreNotes => format!("note: {text}"),
            Kind::Quarantined => format!("quarantined as {text}"),
        };
        let style = self.style(said.kind);
        out.extend_from_slice(style.render().to_string().as_bytes());
        object_path(said.path).write(out);
        out.extend_from_slice(b": ");
        out.extend_from_slice(without_controls(&text).as_bytes());
        out.extend_from_slice(style.render_reset().to_string().as_bytes());
        out.push(b'\n');
    }

    fn style(&self, kind: Kind) -> Style {
        let colour = match kind {
            _ if !self.colour => return Style::new(),
            Kind::Finding | Kind::Unnamed => AnsiColor::Red,
            Kind::Gap | Kind::Error | Kind::MoreGaps => AnsiColor::Yellow,
            Kind::LeftOut | Kind::Note | Kind::MoreNotes | Kind::Quarantined => {
                return Style::new();
            }
        };
        colour.on_default()
    }
}

impl Document for Text {
    fn record(&mut self, record: &Record, out: &mut Vec<u8>) -> io::Result<()> {
        for said in statements(record) {
            self.line(&said, out);
        }
        Ok(())
    }

    fn end(&mut self, end: &End<'_>, out: &mut dyn Write) -> io::Result<()> {
        if self.quiet || end.result.is_err() {
            return Ok(());
        }
        let verdict = match end.tally.verdict() {
            Verdict::Clean => "clean",
            Verdict::Incomplete => "incomplete",
            Verdict::Infected => "infected",
        };
        let mut text = "\n----------- SCAN SUMMARY -----------\n".to_owned();
        for (name, value) in end.tally.rows(end.time) {
            text += &format!("{name}: {}\n", without_controls(&value));
        }
        text += &format!("Verdict: {verdict}\n");
        out.write_all(text.as_bytes())
    }
}
