//! Sources → the file of a compiled database, in one pass: nothing of a source is kept but what is found in it.
#![forbid(unsafe_code)]

use std::io::{self, BufRead, BufWriter, Seek, Write};
use std::thread;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use super::LoadError;
use super::include::include;
use super::names::Names;
use super::read::{Reading, Seen};
use super::report::Report;
use super::sources::Source;
use crate::engine::{CompileError, Compiler};
use crate::image::{Image, Tag};
use crate::signature::{self, Intake, Item};

/// The section that says what a database was made of.
const META: Tag = *b"META\0\0\0\0";

/// What of the program goes into the form of an image, beside [`VERSION`](crate::image::VERSION).
const PROGRAM: &str = env!("CARGO_PKG_VERSION");

/// What to compile.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Order {
    /// What is read, in this order.
    pub(super) sources: Vec<Source>,
    /// The names that are left out, sorted.
    pub(super) unwanted: Vec<Vec<u8>>,
    /// The most bytes that the image may have.
    pub(super) limit: u64,
}

/// What an image says about itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Meta {
    /// The version of the program that made it.
    program: String,
    /// The names that were left out.
    pub(super) unwanted: Vec<Vec<u8>>,
    /// What it was made of.
    pub(super) report: Report,
}

impl Meta {
    /// Out of an image.
    ///
    /// # Errors
    /// For people: the image is of another version of the program, or has no such section that makes sense.
    pub(super) fn of(image: &Image) -> Result<Self, String> {
        let section = image.section(META).map_err(|damage| damage.to_string())?;
        // The version stands in front, so that it is read whatever has become of the rest.
        let (program, _) = postcard::take_from_bytes::<String>(&section)
            .map_err(|_| "damaged: it does not say who made it".to_owned())?;
        if program != PROGRAM {
            return Err(format!("made by version {program}, this is {PROGRAM}"));
        }
        postcard::from_bytes(&section)
            .map_err(|_| "damaged: it does not say what it was made of".to_owned())
    }
}

/// Work that is interrupted, for the sake of others on the same processors.
#[derive(Debug)]
pub(super) struct Breaks {
    work: Duration,
    rest: Duration,
    begun: Instant,
}

impl Breaks {
    /// After so much `work` so much `rest`.
    pub(super) fn new(work: Duration, rest: Duration) -> Self {
        Self {
            work,
            rest,
            begun: Instant::now(),
        }
    }

    fn maybe(&mut self) {
        if self.begun.elapsed() >= self.work {
            thread::sleep(self.rest);
            self.begun = Instant::now();
        }
    }
}

/// Compiles into `out`, from its start, with breaks between the signatures.
///
/// # Errors
/// A source that cannot be read, a format that this program does not have, more than fits, writing. What is not
/// understood is no error, it is in the report.
pub(super) fn compile<W: Write + Seek>(
    order: Order,
    out: W,
    breaks: Option<Breaks>,
) -> Result<Report, LoadError> {
    let failed = |error: CompileError| LoadError::Compile(error.to_string());
    let out = BufWriter::with_capacity(1 << 16, Bounded::new(out, order.limit));
    let unwanted = order.unwanted.iter().cloned().collect();
    let compiler = Compiler::begin(unwanted, out).map_err(|error| failed(error.into()))?;
    let mut taking = Taking {
        compiler,
        report: Report::default(),
        names: Names::default(),
        breaks,
    };
    for source in &order.sources {
        read(source, &mut taking)?;
    }
    let Taking {
        compiler,
        mut report,
        ..
    } = taking;
    report.refused(compiler.complaints(), compiler.tally().complaints);
    report.left_out = compiler.tally().ignored;
    report.warn(compiler.slow());
    report.unmet(&compiler.unmet());
    let write = |report: &mut Report| {
        let (mut writer, tally) = compiler.write()?;
        report.ignored = tally.ignored - report.left_out;
        let meta = Meta {
            program: PROGRAM.to_owned(),
            unwanted: order.unwanted.clone(),
            report: report.clone(),
        };
        let meta = postcard::to_stdvec(&meta).map_err(io::Error::other)?;
        writer.section(META, &meta)?;
        writer.finish()?.flush()?;
        Ok(())
    };
    write(&mut report).map_err(failed)?;
    Ok(report)
}

fn read<W: Write + Seek>(source: &Source, taking: &mut Taking<W>) -> Result<(), LoadError> {
    let before = taking.compiler.tally().clone();
    taking.report.begin(source);
    taking.names.begin(source);
    let seen = items(source, taking)?;
    taking.report.end(seen, &before, taking.compiler.tally());
    Ok(())
}

/// What editors of another system put before a text. No format of signatures begins like this.
const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// Reads one source.
pub(super) fn items(source: &Source, out: &mut dyn Intake) -> Result<Seen, LoadError> {
    let name = source.name();
    let format = signature::format(&source.format).ok_or_else(|| LoadError::NoFormat {
        name: name.clone(),
        format: source.format.clone(),
    })?;
    let mut pass = || {
        let mut reading = Reading::open(source)?;
        let reader = reading.reader();
        if reader.fill_buf()?.starts_with(BYTE_ORDER_MARK) {
            reader.consume(BYTE_ORDER_MARK.len());
        }
        format.parse(reader, &name, out)?;
        reading.finish()
    };
    pass().map_err(|error| LoadError::Unreadable { name, error })
}

/// Keeps what is said about a source, and gives the compiler the rest.
struct Taking<W> {
    compiler: Compiler<W>,
    report: Report,
    names: Names,
    breaks: Option<Breaks>,
}

impl<W: Write + Seek> Intake for Taking<W> {
    fn take(&mut self, item: Item) {
        if let Some(breaks) = &mut self.breaks {
            breaks.maybe();
        }
        let item = self.names.check(item);
        if let Some(item) = self.report.take(item) {
            self.compiler.take(item);
        }
    }

    fn beside(&mut self, from: &str, name: &str, limit: u64) -> Result<(String, Vec<u8>), String> {
        let source = self.report.sources.last().map(|source| &source.source);
        let top = source
            .and_then(Source::path)
            .ok_or("only a file can include others")?;
        let (name, text, included) = include(&top, from, name, limit)?;
        self.report.include(included);
        Ok((name, text))
    }
}

/// What is said of a database that is larger than it may be.
pub(super) fn too_large(limit: u64) -> String {
    format!("the compiled database is larger than {limit} bytes, see --max-vdl-data-size")
}

/// Writes no more than it may.
struct Bounded<W> {
    out: W,
    at: u64,
    limit: u64,
}

impl<W> Bounded<W> {
    fn new(out: W, limit: u64) -> Self {
        Self { out, at: 0, limit }
    }
}

impl<W: Write> Write for Bounded<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.at.saturating_add(bytes.len() as u64) > self.limit {
            return Err(io::Error::other(too_large(self.limit)));
        }
        let count = self.out.write(bytes)?;
        self.at += count as u64;
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

impl<W: Seek> Seek for Bounded<W> {
    fn seek(&mut self, to: io::SeekFrom) -> io::Result<u64> {
        self.at = self.out.seek(to)?;
        Ok(self.at)
    }
}
