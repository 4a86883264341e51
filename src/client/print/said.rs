//! What a record says, as a row of plain statements that each form writes in its own way.
#![forbid(unsafe_code)]

use crate::event::Coverage;
use crate::verdict::{Element, FoundRecord, PartRecord, Record, Verdict, object_path};

/// What the request itself left out, such as links: reasons begin with this.
const EXCLUDED: &str = "excluded/";

/// The kind of a statement.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// A signature holds.
    Finding,
    /// The server counts findings and does not name them.
    Unnamed,
    /// A part was not examined.
    Gap,
    /// The request itself left something out.
    LeftOut,
    /// So many gaps more that the server does not list.
    MoreGaps,
    /// The request failed, and no gap says so already.
    Error,
    /// Something worth knowing.
    Note,
    /// So many notes more that the server does not list.
    MoreNotes,
    /// The file was moved away.
    Quarantined,
}

/// One statement about one object.
#[derive(Debug)]
pub(super) struct Said<'a> {
    pub(super) kind: Kind,
    pub(super) path: &'a [Element],
    /// What groups statements of a kind: the signature's name with its engine, a gap's reason, a note's kind.
    pub(super) rule: String,
    /// Where the signature holds, or the detail. May be empty.
    pub(super) detail: String,
    /// Where the match ends, where there is such a place.
    pub(super) offset: Option<u64>,
    /// A gap that the policy passes.
    pub(super) passes: bool,
}

impl Said<'_> {
    /// Rule and detail in one line: `encrypted: AES`, `CVDL Sick (end at 68)`.
    pub(super) fn text(&self) -> String {
        match (self.kind, self.detail.is_empty()) {
            (Kind::Gap, true) if self.passes => format!("{} (passes)", self.rule),
            (Kind::Gap, false) if self.passes => format!("{} (passes): {}", self.rule, self.detail),
            (_, true) => self.rule.clone(),
            (Kind::Finding, false) => format!("{} ({})", self.rule, self.detail),
            (_, false) => format!("{}: {}", self.rule, self.detail),
        }
    }
}

/// All that a record says: findings, gaps, the error, notes, what became of the file.
pub(super) fn statements(record: &Record) -> Vec<Said<'_>> {
    let mut all: Vec<_> = record.findings.iter().map(finding).collect();
    let about = |kind, rule: &str, detail: String| Said {
        kind,
        path: &record.path,
        rule: rule.to_owned(),
        detail,
        offset: None,
        passes: false,
    };
    if record.verdict == Verdict::Infected && record.findings.is_empty() {
        let text = "INFECTED, and the server does not say by what";
        all.push(about(Kind::Unnamed, text, String::new()));
    }
    all.extend(record.gaps.iter().map(|gap| {
        let left_out = gap.reason.starts_with(EXCLUDED);
        part(if left_out { Kind::LeftOut } else { Kind::Gap }, gap)
    }));
    let more = "more, which the server does not list";
    let hidden = unlisted(record, |counts| counts.gaps, &record.gaps);
    if hidden > 0 {
        all.push(about(
            Kind::MoreGaps,
            &format!("{hidden} {more}"),
            String::new(),
        ));
    }
    if let Some(error) = &record.error
        && !is_listed(error, &record.gaps)
    {
        all.push(about(Kind::Error, error, String::new()));
    }
    all.extend(record.notes.iter().map(|note| part(Kind::Note, note)));
    let hidden = unlisted(record, |counts| counts.notes, &record.notes);
    if hidden > 0 {
        all.push(about(
            Kind::MoreNotes,
            &format!("{hidden} {more}"),
            String::new(),
        ));
    }
    if let Some(name) = &record.quarantined {
        all.push(about(Kind::Quarantined, name, String::new()));
    }
    all
}

fn finding(found: &FoundRecord) -> Said<'_> {
    Said {
        kind: Kind::Finding,
        path: &found.path,
        rule: signature(found),
        detail: match found.offset {
            Some(at) => format!("end at {at}"),
            None => found.message.clone(),
        },
        offset: found.offset,
        passes: false,
    }
}

/// The signature's name behind its engine word, where the server tells one.
fn signature(found: &FoundRecord) -> String {
    if found.engine.is_empty() {
        found.name.clone()
    } else {
        format!("{} {}", found.engine, found.name)
    }
}

fn part(kind: Kind, part: &PartRecord) -> Said<'_> {
    Said {
        kind,
        path: &part.path,
        rule: part.reason.clone(),
        detail: part.detail.clone(),
        offset: None,
        passes: part.passes == Some(true),
    }
}

/// The word of a gap that the request itself asked for: `link` of `excluded/link`.
pub(super) fn left_out(gap: &PartRecord) -> Option<&str> {
    gap.reason.strip_prefix(EXCLUDED)
}

/// How many parts were counted but not sent: servers list the first 1,000.
pub(super) fn unlisted(
    record: &Record,
    counted: fn(&Coverage) -> u64,
    listed: &[PartRecord],
) -> u64 {
    record.coverage.as_ref().map_or(0, |counts| {
        counted(counts).saturating_sub(listed.len() as u64)
    })
}

/// Tells whether the error is one of these gaps once more: `Exxx "path" : reason : detail`, or `Exxx "path"` for the
/// named object.
fn is_listed(error: &str, gaps: &[PartRecord]) -> bool {
    let Some((_, said)) = error.split_once(' ') else {
        return false;
    };
    gaps.iter().any(|gap| {
        let rest = said.strip_prefix(&object_path(&gap.path).to_string());
        rest.is_some_and(|rest| {
            let reason = rest
                .strip_prefix(" : ")
                .map(|rest| rest.split(" : ").next());
            rest.is_empty() || reason == Some(Some(&gap.reason))
        })
    })
}

/// `text` without control characters, so that no reply can play with a terminal.
pub(super) fn without_controls(text: &str) -> String {
    let mut out = String::new();
    for c in text.chars() {
        if c.is_control() {
            out.extend(c.escape_default());
        } else {
            out.push(c);
        }
    }
    out
}

/// The path in quotes, as text; what is not UTF-8 is replaced.
pub(super) fn quoted(path: &[Element]) -> String {
    object_path(path).to_string()
}
