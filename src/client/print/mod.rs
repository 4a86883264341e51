//! Records for people and for programs, in one of several forms.
//!
//! A form is a `Document`: it turns each record into bytes as it comes and keeps next to nothing, so that memory stays
//! flat however many records there are. [`FORMS`] is the table of them. Whatever happens, a document is closed:
//! [`Printer::finish`] is for the end and for every failure.
#![forbid(unsafe_code)]

mod bar;
mod chevrons;
mod json;
mod junit;
mod said;
mod sarif;
mod tally;
mod text;
mod xml;

use std::fmt;
use std::fs::File;
use std::io::{self, IsTerminal, Write};
use std::time::{Duration, Instant};

use self::bar::Bar;
use self::tally::Tally;
use super::progress::Progress;
use super::{Failure, Watch};
use crate::verdict::{Exit, Record};

/// A way to print records.
pub struct Form {
    /// Its name, which is also that of the option.
    pub name: &'static str,
    document: fn(&Setting) -> Box<dyn Document>,
}

/// The form for people, which is the one without any option.
pub const TEXT: Form = Form {
    name: "text",
    document: |setting| Box::new(text::Text::new(setting)),
};

/// All forms.
pub const FORMS: &[Form] = &[
    TEXT,
    Form {
        name: "json",
        document: |_| Box::new(json::Json),
    },
    Form {
        name: "xml",
        document: |_| Box::new(xml::Xml),
    },
    Form {
        name: "sarif",
        document: |_| Box::new(sarif::Sarif::default()),
    },
    Form {
        name: "junit",
        document: |_| Box::new(junit::Junit::default()),
    },
    Form {
        name: "chevrons",
        document: |setting| Box::new(chevrons::Chevrons::new(setting)),
    },
];

impl Form {
    /// The form of this name.
    pub fn named(name: &str) -> Option<&'static Self> {
        FORMS.iter().find(|form| form.name == name)
    }
}

impl fmt::Debug for Form {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)
    }
}

/// What is printed, and how.
#[derive(Debug, Clone, Copy)]
pub struct Setting {
    /// The form.
    pub form: &'static Form,
    /// 0 says everything. For people 1 leaves out notes, summary and progress; chevrons lose their information at 1 and
    /// their notices at 2. The other forms are for programs, and always complete.
    pub quiet: u8,
    /// Colours, where the form has any.
    pub colour: bool,
}

/// How a run ended, for the last words of a document.
#[derive(Debug)]
struct End<'a> {
    result: Result<Exit, &'a Failure>,
    tally: &'a Tally,
    time: Duration,
}

/// A form at work.
trait Document: fmt::Debug {
    /// What stands before the first record.
    fn begin(&mut self, _: &mut Vec<u8>) -> io::Result<()> {
        Ok(())
    }

    /// One record.
    fn record(&mut self, record: &Record, out: &mut Vec<u8>) -> io::Result<()>;

    /// What stands behind the last record.
    fn end(&mut self, _: &End<'_>, _: &mut dyn Write) -> io::Result<()> {
        Ok(())
    }
}

/// Prints what comes out of a session.
#[derive(Debug)]
pub struct Printer<W> {
    out: W,
    document: Box<dyn Document>,
    begun: bool,
    bar: Bar,
    tally: Tally,
    started: Instant,
}

impl<W: Write> Printer<W> {
    /// A printer to `out`. Progress is shown on a terminal at standard error, and only beside what is for people.
    pub fn new(out: W, setting: &Setting) -> Self {
        let for_people = setting.form.name == "text" && setting.quiet == 0;
        Self {
            out,
            document: (setting.form.document)(setting),
            begun: false,
            bar: Bar::new(for_people && io::stderr().is_terminal()),
            tally: Tally::default(),
            started: Instant::now(),
        }
    }

    /// Closes the document, with the exit code or the failure that the run ended with. To be called once, and always.
    ///
    /// # Errors
    /// The output does not take it.
    pub fn finish(&mut self, result: Result<Exit, &Failure>) -> io::Result<()> {
        self.bar.clear();
        self.begin()?;
        let end = End {
            result,
            tally: &self.tally,
            time: self.started.elapsed(),
        };
        self.document.end(&end, &mut self.out)?;
        self.out.flush()
    }

    fn begin(&mut self) -> io::Result<()> {
        if self.begun {
            return Ok(());
        }
        self.begun = true;
        let mut text = Vec::new();
        self.document.begin(&mut text)?;
        self.out.write_all(&text)
    }
}

impl<W: Write> Watch for Printer<W> {
    fn record(&mut self, record: &Record, _: Option<&File>) -> io::Result<()> {
        self.begin()?;
        self.tally.count(record);
        let mut text = Vec::new();
        self.document.record(record, &mut text)?;
        let out = &mut self.out;
        self.bar.beside(|| {
            out.write_all(&text)?;
            out.flush()
        })
    }

    fn warning(&mut self, text: &str) {
        let line = said::without_controls(text);
        // Unlike eprintln!, this does not panic when nobody listens.
        self.bar
            .beside(|| drop(writeln!(io::stderr(), "vfindc: warning: {line}")));
    }

    fn progress(&mut self, progress: Progress) {
        self.bar.show(&progress, self.started.elapsed());
    }

    fn wants_total(&self) -> bool {
        self.bar.is_shown()
    }
}

#[cfg(test)]
mod tests;
