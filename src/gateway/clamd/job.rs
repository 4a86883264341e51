//! One scan: what the pool reports on it, as clamd would say it.
//!
//! A scan of one file ends in exactly one line that says OK, FOUND or ERROR, but for ALLMATCHSCAN, which names all that was
//! found. Nothing is OK of which a part was not examined, unless the policy passes that (docs/protocols/clamd.md).
#![forbid(unsafe_code)]

use crate::event::{EngineWord, Errno, Gap, Limit, Reason, SignatureName};
use crate::path::ObjectPath;
use crate::request::Wanted;
use crate::verdict::{Report, Summary, Verdict};

use super::command::Form;

/// What stands around each reply to one command.
#[derive(Debug, Clone, Copy)]
pub(super) struct Frame {
    /// The number of the command, in a session.
    pub(super) id: Option<u64>,
    /// How the command ended.
    pub(super) form: Form,
}

impl Frame {
    /// Writes one reply.
    pub(super) fn write(self, reply: &[u8], out: &mut Vec<u8>) {
        if let Some(id) = self.id {
            out.extend_from_slice(format!("{id}: ").as_bytes());
        }
        out.extend_from_slice(reply);
        out.push(self.form.end());
    }
}

/// Bytes of a reason with its member and detail, at most. MIMEDefang reads 256 of an answer, with the path in front,
/// and takes for clean what does not say otherwise until there; and who sends a mail chooses the names in it.
const SAID: usize = 120;

/// Where the content of a scan comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Origin {
    /// An open file that the peer passed.
    Descriptor,
    /// A path on this machine.
    Path,
    /// The connection.
    Stream,
}

/// A scan that was asked for.
#[derive(Debug)]
pub(super) struct Job {
    frame: Frame,
    origin: Origin,
    /// What it is called in replies.
    label: Vec<u8>,
    wanted: Wanted,
    /// Names of signatures have the end that clamd gives to those which are not its makers'.
    unofficial: bool,
    /// A line has said FOUND.
    found: bool,
    /// The file of a folder that the last line with ERROR was about.
    failed: Option<Vec<u8>>,
}

impl Job {
    /// A scan of which nothing was said yet.
    pub(super) fn new(
        frame: Frame,
        origin: Origin,
        label: &[u8],
        wanted: Wanted,
        unofficial: bool,
    ) -> Self {
        Self {
            frame,
            origin,
            label: label.to_vec(),
            wanted,
            unofficial,
            found: false,
            failed: None,
        }
    }

    /// Writes what a report says.
    pub(super) fn report(&mut self, report: &Report, out: &mut Vec<u8>) {
        match report {
            Report::Finding(finding) => {
                // Others may have been on their way.
                if self.wanted != Wanted::First || !self.found {
                    let name = self.name(&finding.signature);
                    self.say(self.root(&finding.path), &format!("{name} FOUND"), out);
                }
                self.found = true;
            }
            Report::Gap(gap, false) => self.gap(gap, out),
            Report::Ended(summary) => self.end(summary, out),
            Report::Gap(_, true) | Report::Note(_) | Report::Scanning(_) => {}
        }
    }

    /// Says that a file of a folder was not examined, once. Of the named file itself the last line says it.
    fn gap(&mut self, gap: &Gap, out: &mut Vec<u8>) {
        let root = self.root(&gap.path).to_vec();
        if root == self.label || self.failed.as_ref() == Some(&root) {
            return;
        }
        self.say(&root, &self.failure(gap), out);
        self.failed = Some(root);
    }

    fn end(&self, summary: &Summary, out: &mut Vec<u8>) {
        match (summary.verdict(), &summary.worst) {
            (Verdict::Incomplete, Some(gap)) if self.failed.is_none() => {
                // What the connection did is told without a name.
                match self.broken(summary, gap) {
                    Some(reply) => self.frame.write(reply, out),
                    None => self.say(self.root(&gap.path), &self.failure(gap), out),
                }
            }
            (Verdict::Clean, _) => self.say(&self.label, "OK", out),
            (Verdict::Incomplete | Verdict::Infected, _) => {}
        }
    }

    /// Answers for what is not begun or not finished, for this reason.
    pub(super) fn fail(&self, reason: Reason, detail: &str, out: &mut Vec<u8>) {
        let gap = Gap {
            path: ObjectPath::root(self.label.clone()),
            reason,
            detail: detail.to_owned(),
        };
        self.end(&Summary::failed(gap), out);
    }

    /// clamd's words for content that never came.
    fn broken(&self, summary: &Summary, gap: &Gap) -> Option<&'static [u8]> {
        const EBADF: Errno = Errno(9);
        match (self.origin, &gap.reason) {
            _ if summary.epoch.is_some() => None,
            (Origin::Stream, Reason::Limit(Limit::Spool)) => {
                Some(b"INSTREAM size limit exceeded. ERROR")
            }
            (Origin::Descriptor, Reason::Unreadable(errno)) if *errno == EBADF => {
                Some(b"No file descriptor received. ERROR")
            }
            _ => None,
        }
    }

    fn failure(&self, gap: &Gap) -> String {
        let members = gap.path.elements().get(1..).unwrap_or_default();
        let detail = one_line(&gap.detail);
        if self.origin == Origin::Path
            && members.is_empty()
            && matches!(gap.reason, Reason::Unreadable(_))
        {
            // The system's words, without the number behind them.
            let (words, _) = detail.split_once(" (os error").unwrap_or((&detail, ""));
            return format!("File path check failure: {words}. ERROR");
        }
        let mut said = gap.reason.to_string();
        if let Some((first, rest)) = members.split_first() {
            let root = ObjectPath::root(first.to_vec());
            let member = rest.iter().fold(root, |path, name| path.member(name));
            said.push_str(&format!(" {member}"));
        }
        if !detail.is_empty() {
            said.push_str(&format!(" {detail}"));
        }
        let mut said = one_line(&said);
        if said.len() > SAID {
            said.truncate(said.floor_char_boundary(SAID));
            said.push_str("...");
        }
        format!("{said} ERROR")
    }

    fn name(&self, signature: &SignatureName) -> String {
        let name = &signature.name;
        match (signature.engine, self.unofficial) {
            (EngineWord::Gap, _) => name.clone(),
            (EngineWord::Yara, true) => format!("YARA.{name}.UNOFFICIAL"),
            (EngineWord::Yara, false) => format!("YARA.{name}"),
            (_, true) => format!("{name}.UNOFFICIAL"),
            (_, false) => name.clone(),
        }
    }

    /// The file that a path begins with.
    fn root<'a>(&'a self, path: &'a ObjectPath) -> &'a [u8] {
        path.elements().first().map_or(&self.label, |root| root)
    }

    /// Writes `path: what`. A path that holds the end of a reply must not end this one.
    fn say(&self, path: &[u8], what: &str, out: &mut Vec<u8>) {
        let end = self.frame.form.end();
        let path = path.iter().map(|byte| match byte {
            byte if *byte == end => b'?',
            byte => *byte,
        });
        let mut reply: Vec<u8> = path.collect();
        reply.extend_from_slice(b": ");
        reply.extend_from_slice(what.as_bytes());
        self.frame.write(&reply, out);
    }
}

fn one_line(text: &str) -> String {
    let is_text = |c: char| if c.is_control() { ' ' } else { c };
    text.chars().map(is_text).collect()
}
