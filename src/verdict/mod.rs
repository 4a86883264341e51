//! What a request comes to: the summary of its events, the verdict, and the JSON form that is the same everywhere.
#![forbid(unsafe_code)]

pub mod xml;

use serde::{Deserialize, Serialize};

use crate::event::{
    Coverage, EngineWord, Epoch, Event, Fault, Finding, Gap, Note, Place, Reason, SignatureName,
};
use crate::path::ObjectPath;
use crate::policy::{Action, Policy};

/// The answer in one word.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// Everything was examined, or what was not is passed by policy, and nothing was found.
    Clean,
    /// Nothing was found, but something was not examined.
    Incomplete,
    /// Something was found.
    Infected,
}

/// The end of a request: one for each, after its last event.
#[derive(Debug, Clone)]
pub struct Summary {
    /// The name that the request gave.
    pub path: ObjectPath,
    /// Findings reported.
    pub findings: u64,
    /// The gap that makes the verdict incomplete: the first of the worst kind.
    pub worst: Option<Gap>,
    /// What was looked at.
    pub coverage: Coverage,
    /// The database that was used; the last one, where a reload came between two items. `None` when no item ran.
    pub epoch: Option<Epoch>,
    /// The SHA-1 of the file, 40 hexadecimal digits, when it was asked for and the object is one file.
    pub sha1: Option<String>,
}

impl Summary {
    /// An empty summary for a request for `path`.
    pub fn new(path: ObjectPath) -> Self {
        Self {
            path,
            findings: 0,
            worst: None,
            coverage: Coverage::default(),
            epoch: None,
            sha1: None,
        }
    }

    /// The end of a request of which nothing is known but this gap. No policy passes it: nothing was examined.
    pub fn failed(gap: Gap) -> Self {
        let mut summary = Self::new(gap.path.clone());
        summary.coverage.gaps = 1;
        summary.worst = Some(gap);
        summary
    }

    /// Counts one event under `policy`. The finding that the policy makes of a gap is given back, to be reported (and
    /// counted) like any other.
    pub fn count(&mut self, event: &Event, policy: &Policy) -> Option<Finding> {
        match event {
            Event::Scanning(_) | Event::Described(_) => {}
            Event::Finding(_) => self.findings += 1,
            Event::Note(_) => self.coverage.notes += 1,
            Event::Gap(gap) => {
                self.coverage.gaps += 1;
                match policy.action(&gap.reason) {
                    Action::Pass => {}
                    Action::Infected => return Some(as_finding(gap)),
                    Action::Error => self.blame(gap),
                }
            }
        }
        None
    }

    fn blame(&mut self, gap: &Gap) {
        let fault = gap.reason.fault();
        if self.fault().is_none_or(|worst| fault < worst) {
            self.worst = Some(gap.clone());
        }
    }

    /// The error name of the worst gap.
    pub fn fault(&self) -> Option<Fault> {
        self.worst.as_ref().map(|gap| gap.reason.fault())
    }

    /// The verdict of all that was counted.
    pub fn verdict(&self) -> Verdict {
        if self.findings > 0 {
            Verdict::Infected
        } else if self.worst.is_some() {
            Verdict::Incomplete
        } else {
            Verdict::Clean
        }
    }
}

fn as_finding(gap: &Gap) -> Finding {
    let name = format!("Incomplete/{}", gap.reason);
    Finding {
        signature: SignatureName::new(EngineWord::Gap, &name),
        path: gap.path.clone(),
        view: None,
        place: Place::Unexamined,
    }
}

/// A request's number within its connection or program; reports come back with it.
pub type JobId = u64;

/// What is told about a request while it runs.
#[derive(Debug, Clone)]
pub enum Report {
    /// An object was begun.
    Scanning(ObjectPath),
    /// A finding that is to be reported.
    Finding(Finding),
    /// A gap, where details were asked for, and whether the policy passes it.
    Gap(Gap, bool),
    /// A note, where details were asked for.
    Note(Note),
    /// The request is complete; the last report.
    Ended(Box<Summary>),
}

/// One request's result as JSON, after docs/schema/verdict-1.json. Fields are only ever added.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    /// The version of the schema: 1.
    pub version: u32,
    /// The request's id, if it has one.
    pub request: Option<String>,
    /// The answer.
    pub verdict: Verdict,
    /// What was asked for.
    pub path: Vec<Element>,
    /// What was found.
    pub findings: Vec<FoundRecord>,
    /// What was not examined.
    pub gaps: Vec<PartRecord>,
    /// What is worth knowing.
    pub notes: Vec<PartRecord>,
    /// What was looked at; null from a server that does not tell.
    pub coverage: Option<Coverage>,
    /// The signature database, `number:fingerprint`; null as `coverage`.
    pub epoch: Option<String>,
    /// When.
    pub times: Times,
    /// The SHA-1 of the file, where it was asked for.
    pub sha1: Option<String>,
    /// The server's own words when it answered with an error.
    pub error: Option<String>,
    /// The name under which the file is in quarantine, where it was moved there.
    #[serde(default)]
    pub quarantined: Option<String>,
}

impl Record {
    /// The record of a request for what is at `path`, before anything is known; until the end says otherwise it is incomplete.
    pub(crate) fn begun(request: Option<String>, path: &ObjectPath, started_ms: u64) -> Self {
        Self {
            version: 1,
            request,
            verdict: Verdict::Incomplete,
            path: elements(path),
            findings: Vec::new(),
            gaps: Vec::new(),
            notes: Vec::new(),
            coverage: None,
            epoch: None,
            times: Times {
                started_ms,
                elapsed_ms: 0,
            },
            sha1: None,
            error: None,
            quarantined: None,
        }
    }
}

/// A name in a path: text, and the bytes in base64 where they are not UTF-8.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Element {
    /// The name; with replacement characters where it is not UTF-8.
    pub text: String,
    /// The exact bytes, where `text` is not exact.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub base64: Option<String>,
}

/// A finding in JSON.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FoundRecord {
    /// The engine word: `CVDL`, `MD5`, …
    pub engine: String,
    /// The signature's name.
    pub name: String,
    /// The object.
    pub path: Vec<Element>,
    /// Bytes from the start of the object to the end of the match, where there is such a place; none for a match in a view.
    pub offset: Option<u64>,
    /// The place in the server's words: `end at 68`, `whole object`. Empty where it does not tell.
    #[serde(default)]
    pub message: String,
}

/// A gap or a note in JSON.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PartRecord {
    /// The reason of the gap or the kind of the note: `limit/depth`, `changed`.
    pub reason: String,
    /// The object.
    pub path: Vec<Element>,
    /// For people.
    pub detail: String,
    /// Of a gap, whether the policy passes it: it does not count for the verdict.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub passes: Option<bool>,
}

/// When a request was scanned, as seen by the one who asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Times {
    /// Milliseconds since 1970-01-01 UTC when it was asked.
    pub started_ms: u64,
    /// Milliseconds until its answer was complete.
    pub elapsed_ms: u64,
}

impl Element {
    /// The element for these bytes.
    pub fn new(name: &[u8]) -> Self {
        Self {
            text: String::from_utf8_lossy(name).into_owned(),
            base64: std::str::from_utf8(name)
                .is_err()
                .then(|| data_encoding::BASE64.encode(name)),
        }
    }

    /// The exact bytes. Of a base64 that is none, the text.
    pub fn bytes(&self) -> Vec<u8> {
        let exact = self
            .base64
            .as_ref()
            .and_then(|text| data_encoding::BASE64.decode(text.as_bytes()).ok());
        exact.unwrap_or_else(|| self.text.clone().into_bytes())
    }
}

/// A path as JSON elements.
pub fn elements(path: &ObjectPath) -> Vec<Element> {
    path.elements()
        .iter()
        .map(|name| Element::new(name))
        .collect()
}

/// The path that JSON elements stand for.
pub fn object_path(elements: &[Element]) -> ObjectPath {
    let mut names = elements.iter().map(Element::bytes);
    let root = ObjectPath::root(names.next().unwrap_or_default());
    names.fold(root, |path, name| path.member(&name))
}

impl From<&Finding> for FoundRecord {
    fn from(finding: &Finding) -> Self {
        Self {
            engine: finding.signature.engine.to_string(),
            name: finding.signature.name.clone(),
            path: elements(&finding.path),
            offset: finding.offset(),
            message: finding.place_text(),
        }
    }
}

impl PartRecord {
    /// A part by its path, reason and detail.
    pub fn new(path: &ObjectPath, reason: String, detail: String) -> Self {
        Self {
            reason,
            path: elements(path),
            detail,
            passes: None,
        }
    }

    /// The same as a gap, which the policy passes or not.
    pub fn passing(self, passes: bool) -> Self {
        Self {
            passes: Some(passes),
            ..self
        }
    }
}

/// How a program ends (design: exit codes); of several, the highest in this order wins.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Exit {
    /// Everything examined, nothing found: 0.
    Clean,
    /// Something was not examined: 2.
    Incomplete,
    /// No server, or it was lost: 1.
    NoServer,
    /// Something was found: 23.
    Infected,
    /// Wrong usage, or a general error: 255.
    Error,
}

impl Exit {
    /// The code for the operating system.
    pub fn code(self) -> u8 {
        match self {
            Self::Clean => 0,
            Self::NoServer => 1,
            Self::Incomplete => 2,
            Self::Infected => 23,
            Self::Error => 255,
        }
    }

    /// True if it stands for a verdict, false for a run that failed.
    pub fn is_verdict(self) -> bool {
        match self {
            Self::Clean | Self::Incomplete | Self::Infected => true,
            Self::Error | Self::NoServer => false,
        }
    }
}

impl From<Verdict> for Exit {
    fn from(verdict: Verdict) -> Self {
        match verdict {
            Verdict::Clean => Self::Clean,
            Verdict::Incomplete => Self::Incomplete,
            Verdict::Infected => Self::Infected,
        }
    }
}

impl From<Exit> for std::process::ExitCode {
    fn from(exit: Exit) -> Self {
        exit.code().into()
    }
}

/// The gap's reason and detail in one line: `limit/depth: more than 32`.
pub fn describe(reason: &Reason, detail: &str) -> String {
    if detail.is_empty() {
        reason.to_string()
    } else {
        format!("{reason}: {detail}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::{Errno, Limit};
    use crate::policy::{Listener, Rule};

    fn gap(reason: Reason) -> Event {
        Event::Gap(Gap {
            path: ObjectPath::root("/a").member(b"b"),
            reason,
            detail: String::new(),
        })
    }

    #[test]
    fn the_first_of_the_worst_gaps_speaks_for_all() {
        let mut summary = Summary::new(ObjectPath::root("/a"));
        for reason in [
            Reason::Corrupt,
            Reason::Encrypted,
            Reason::Unreadable(Errno(13)),
            Reason::Limit(Limit::Depth),
            Reason::Unreadable(Errno(1)),
        ] {
            assert_eq!(
                summary.count(&gap(reason), &Policy::usual(Listener::Svsp)),
                None
            );
        }
        assert_eq!(summary.verdict(), Verdict::Incomplete);
        assert_eq!(summary.worst.unwrap().reason, Reason::Unreadable(Errno(13)));
        assert_eq!(summary.coverage.gaps, 5);
    }

    #[test]
    fn a_policy_can_make_a_finding_of_a_gap() {
        let mut policy = Policy::usual(Listener::Svsp);
        "encrypted=infected"
            .parse::<Rule>()
            .unwrap()
            .apply(crate::policy::Listener::Svsp, &mut policy);
        let mut summary = Summary::new(ObjectPath::root("/a"));
        let finding = summary.count(&gap(Reason::Encrypted), &policy).unwrap();
        assert_eq!(finding.signature.to_string(), "GAP Incomplete/encrypted");
        summary.count(&Event::Finding(finding), &policy);
        assert_eq!(summary.verdict(), Verdict::Infected);
    }

    #[test]
    fn the_highest_exit_wins_in_the_designs_order() {
        let order = [255, 23, 1, 2, 0];
        let mut exits = [
            Exit::Clean,
            Exit::Infected,
            Exit::NoServer,
            Exit::Error,
            Exit::Incomplete,
        ];
        exits.sort_by(|a, b| b.cmp(a));
        assert_eq!(exits.map(Exit::code), order);
    }
}
