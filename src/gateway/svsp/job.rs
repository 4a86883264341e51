//! One accepted scan: what the pool reports on it, as replies.
//!
//! Source: spec-vfind.md §1.6 and §1.8 (1, 3, 11, 17), design "On the wire". There is exactly one terminal reply, and it
//! is never `DONE 0` where a gap is to be told of.
#![forbid(unsafe_code)]

use crate::event::{Finding, Gap, Note, Reason};
use crate::path::ObjectPath;
use crate::request::Source;
use crate::verdict::Report;
use crate::verdict::Summary;

use super::reply::{ErrorName, Reply};

/// Gaps, and notes, that a request with COVERAGE lists; the rest is counted. One hostile archive can have millions.
pub(super) const DETAILS: u32 = 1_000;

/// How replies to one request are written.
#[derive(Debug)]
pub(super) struct Job {
    /// The digits in front of each reply.
    pub(super) id: Option<Vec<u8>>,
    /// The name that was asked for.
    pub(super) path: Vec<u8>,
    /// It is the label of content that the peer sends, so that its errors are not those of a file by this name.
    pub(super) streamed: bool,
    /// What its request takes in memory, about.
    pub(super) weight: usize,
    /// COVERAGE was on when its line was read: how many gaps and notes were listed.
    listed: Option<Listed>,
}

#[derive(Debug, Default)]
struct Listed {
    gaps: u32,
    notes: u32,
}

impl Job {
    /// A scan of which nothing was said yet.
    pub(super) fn new(id: Option<&[u8]>, source: &Source, coverage: bool, weight: usize) -> Self {
        Self {
            id: id.map(<[u8]>::to_vec),
            path: source.name().to_vec(),
            streamed: matches!(source, Source::Stream(_)),
            weight,
            listed: coverage.then(Listed::default),
        }
    }

    /// True for the name of a file here that does not say where it is.
    pub(super) fn is_relative(&self) -> bool {
        !self.streamed && !self.path.starts_with(b"/")
    }

    /// Writes one reply with the request's id.
    pub(super) fn write(&self, reply: &Reply, out: &mut Vec<u8>) {
        reply.write(self.id.as_deref(), out);
    }

    /// Writes what a report says.
    pub(super) fn report(&mut self, report: &Report, out: &mut Vec<u8>) {
        match report {
            Report::Scanning(path) => self.write(&Reply::Scanning(path.clone()), out),
            Report::Finding(finding) => self.write(&infected(finding), out),
            Report::Gap(gap, passes) => {
                if room(self.listed.as_mut().map(|listed| &mut listed.gaps)) {
                    self.write(&skipped(gap, *passes), out);
                }
            }
            Report::Note(note) => {
                if room(self.listed.as_mut().map(|listed| &mut listed.notes)) {
                    self.write(&noted(note), out);
                }
            }
            Report::Ended(summary) => self.end(summary, out),
        }
    }

    fn end(&self, summary: &Summary, out: &mut Vec<u8>) {
        if self.listed.is_some() {
            let epoch = summary.epoch.as_ref().map(one_line);
            let epoch = epoch.unwrap_or_else(|| "-".to_owned());
            self.write(&Reply::Coverage(summary.coverage, epoch), out);
        }
        self.write(&self.terminal(summary), out);
    }

    fn terminal(&self, summary: &Summary) -> Reply {
        match &summary.worst {
            Some(gap) if summary.findings == 0 => {
                let error = ErrorName::from(gap.reason.fault());
                Reply::Error(error, self.blame(gap, &summary.path))
            }
            _ => {
                let (count, path) = (summary.findings, summary.path.clone());
                Reply::Done(Some(count), path, summary.sha1.clone())
            }
        }
    }

    /// The message of the terminal error: the bare name for the file that was asked for, as the paper has it
    /// (`ENOENT "nonexistent"`), else which part and why.
    fn blame(&self, gap: &Gap, requested: &ObjectPath) -> Vec<u8> {
        let mut message = Vec::new();
        gap.path.write(&mut message);
        if self.streamed || gap.path != *requested {
            let detail = match gap.detail.as_str() {
                "" => "-",
                detail => detail,
            };
            let why = format!(" : {} : {}", field(&gap.reason), one_line(&detail));
            message.extend_from_slice(why.as_bytes());
        }
        message
    }

    /// Answers for what is not begun or not finished, for this reason.
    pub(super) fn fail(&mut self, reason: Reason, detail: &str, out: &mut Vec<u8>) {
        let gap = Gap {
            path: ObjectPath::root(self.path.clone()),
            reason,
            detail: detail.to_owned(),
        };
        self.report(&Report::Gap(gap.clone(), false), out);
        self.end(&Summary::failed(gap), out);
    }
}

/// Takes one from what may still be listed.
fn room(listed: Option<&mut u32>) -> bool {
    match listed {
        Some(count) if *count < DETAILS => {
            *count += 1;
            true
        }
        _ => false,
    }
}

fn infected(finding: &Finding) -> Reply {
    let name = field(&finding.signature);
    Reply::Infected(name, finding.path.clone(), finding.place_text())
}

fn skipped(gap: &Gap, passes: bool) -> Reply {
    let detail = one_line(&gap.detail);
    Reply::Skipped(field(&gap.reason), passes, gap.path.clone(), detail)
}

fn noted(note: &Note) -> Reply {
    let detail = one_line(&note.detail);
    Reply::Note(field(&note.kind), note.path.clone(), detail)
}

/// Text as the first of several fields, which ends at the first ` : `.
fn field(text: &impl ToString) -> String {
    one_line(text).replace(" :", " -")
}

/// Text that cannot end the line. Details quote what hostile content says, so a new line could be a forged reply.
fn one_line(text: &impl ToString) -> String {
    let text = text.to_string();
    let chars = text.chars().map(|c| if c.is_control() { ' ' } else { c });
    chars.collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::{EngineWord, NoteKind, Place, SignatureName};
    use crate::gateway::svsp::reply::parse;

    fn path() -> ObjectPath {
        ObjectPath::root("/a").member(b"b\xff\n : \"")
    }

    fn gap(detail: &str) -> Gap {
        Gap {
            path: path(),
            reason: Reason::Unsupported("x :".into()),
            detail: detail.into(),
        }
    }

    fn lines(job: &mut Job, reports: &[Report]) -> Vec<Vec<u8>> {
        let mut out = Vec::new();
        for report in reports {
            job.report(report, &mut out);
        }
        let lines = out.split_inclusive(|byte| *byte == b'\n');
        lines
            .map(|line| line.strip_suffix(b"\r\n").unwrap().to_vec())
            .collect()
    }

    #[test]
    fn hostile_text_stays_in_its_field_and_on_its_line() {
        let detail = "say\r\nDONE 0 : \"/a\"\u{85}";
        let name = SignatureName {
            engine: EngineWord::Cvdl,
            name: "x : :\n".into(),
        };
        let reports = [
            Report::Gap(gap(detail), false),
            Report::Note(Note {
                path: path(),
                kind: NoteKind::Ambiguous("\n : a".into()),
                detail: detail.into(),
            }),
            Report::Finding(Finding {
                signature: name,
                path: path(),
                view: None,
                place: Place::Digest,
            }),
        ];
        let got = lines(
            &mut Job::new(Some(b"1"), &Source::Path(b"/f".to_vec()), true, 0),
            &reports,
        );
        assert_eq!(got.len(), 3);
        for line in got {
            match parse(&line).unwrap().1 {
                Reply::Skipped(_, _, at, text) | Reply::Note(_, at, text) => {
                    assert_eq!((at, text.as_str()), (path(), "say  DONE 0 : \"/a\" "));
                }
                Reply::Infected(_, at, _) => assert_eq!(at, path()),
                other => panic!("{other:?}"),
            }
        }
    }

    #[test]
    fn only_so_many_details_are_listed() {
        let reports: Vec<Report> = (0..DETAILS + 5)
            .map(|_| Report::Gap(gap(""), true))
            .collect();
        assert_eq!(
            lines(
                &mut Job::new(None, &Source::Path(b"/f".to_vec()), true, 0),
                &reports
            )
            .len(),
            1_000
        );
        assert_eq!(
            lines(
                &mut Job::new(None, &Source::Path(b"/f".to_vec()), false, 0),
                &reports
            )
            .len(),
            0
        );
    }

    #[test]
    fn a_finding_outweighs_a_gap_and_a_gap_is_never_clean() {
        let mut summary = Summary::new(ObjectPath::root("/a"));
        summary.worst = Some(gap(""));
        let error = [
            b"ENOTSUP \"/a\" -> \"b\xff\\n : \\\"\"".as_slice(),
            b" : unsupported/x - : -",
        ];
        let ended = |summary: &Summary| {
            let report = Report::Ended(Box::new(summary.clone()));
            lines(
                &mut Job::new(None, &Source::Path(b"/f".to_vec()), false, 0),
                &[report],
            )
        };
        assert_eq!(ended(&summary), [error.concat()]);
        summary.findings = 2;
        assert_eq!(ended(&summary), [b"DONE 2 : \"/a\""]);
    }
}
