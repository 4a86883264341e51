//! What a scan says while it runs: objects begun, findings, gaps and notes.
//!
//! A gap is the heart of the promise: a part that was not examined has a path, a reason and a detail, and no layer
//! may turn it into silence. The reasons are a closed set (design: what is a gap), so each layer matches them whole.
#![forbid(unsafe_code)]

mod errno;

use std::fmt;
use std::ops::ControlFlow;

use serde::{Deserialize, Serialize};

pub use self::errno::Errno;
use crate::path::ObjectPath;

/// One thing that a scan has to say.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Event {
    /// Work on an object began; one for each file or member that is matched.
    Scanning(ObjectPath),
    /// What an object is, where the job asks for it; before what is in the object.
    Described(Description),
    /// A signature holds.
    Finding(Finding),
    /// A part was not examined.
    Gap(Gap),
    /// Something worth knowing that is no gap.
    Note(Note),
}

impl Event {
    /// The path of what it is about.
    pub fn path_mut(&mut self) -> &mut ObjectPath {
        match self {
            Self::Scanning(path) => path,
            Self::Described(description) => &mut description.path,
            Self::Finding(finding) => &mut finding.path,
            Self::Gap(gap) => &mut gap.path,
            Self::Note(note) => &mut note.path,
        }
    }
}

/// Listens to a scan.
pub trait Sink {
    /// Takes one event; `Break` ends the scan of this item at its next step.
    fn event(&mut self, event: Event) -> ControlFlow<()>;
}

impl<F: FnMut(Event) -> ControlFlow<()>> Sink for F {
    fn event(&mut self, event: Event) -> ControlFlow<()> {
        self(event)
    }
}

/// The word in front of a signature's name that says which kind of signature it is (design: names that users see).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum EngineWord {
    /// A signature in one of ClamAV's formats.
    Clam,
    /// A rule in CyberSoft's description language.
    Cvdl,
    /// No signature: a gap that the policy reports as a finding.
    Gap,
    /// A whole-object MD5.
    Md5,
    /// A whole-object SHA-1.
    Sha1,
    /// A whole-object SHA-256.
    Sha256,
    /// A YARA rule.
    Yara,
}

impl fmt::Display for EngineWord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Clam => "CLAM",
            Self::Cvdl => "CVDL",
            Self::Gap => "GAP",
            Self::Md5 => "MD5",
            Self::Sha1 => "SHA1",
            Self::Sha256 => "SHA256",
            Self::Yara => "YARA",
        })
    }
}

/// A signature's name as it is reported: `CVDL EICAR-Test-File`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct SignatureName {
    /// The kind of signature.
    pub engine: EngineWord,
    /// The name without the engine word; never holds ` : `, CR or LF.
    pub name: String,
}

impl SignatureName {
    /// Takes over a name that somebody wrote, without what would break a line protocol.
    pub fn new(engine: EngineWord, name: &str) -> Self {
        let one_line: String = name
            .chars()
            .map(|c| if c.is_control() { ' ' } else { c })
            .collect();
        Self {
            engine,
            name: one_line.replace(" : ", " - ").trim().to_owned(),
        }
    }
}

impl fmt::Display for SignatureName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.engine, self.name)
    }
}

/// Where in the object a signature held.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Place {
    /// The rule holds because something is absent.
    Absence,
    /// A digest of the whole object.
    Digest,
    /// Bytes from the start of what was searched to the end of the match that decided: the object, or a view of it.
    End(u64),
    /// No signature: a part that was not examined, which the policy reports as a finding.
    Unexamined,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Absence => f.write_str("by what is absent"),
            Self::Digest => f.write_str("whole object"),
            Self::End(at) => write!(f, "end at {at}"),
            Self::Unexamined => f.write_str("not examined"),
        }
    }
}

/// A way in which an object is also read; places in it are no places in the object.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum View {
    /// UTF-16 and the like as UTF-8.
    Utf8,
    /// What runs of base64 in it say.
    Base64,
    /// What encoded scripts in it say.
    Script,
    /// The text of HTML.
    HtmlText,
    /// ClamAV's normal form of text.
    NormalText,
    /// ClamAV's normal form of HTML, with its tags.
    NormalHtml,
    /// ClamAV's normal form of HTML, without its tags.
    NormalHtmlText,
    /// ClamAV's normal form of the scripts in HTML.
    NormalScripts,
}

impl View {
    /// One of ClamAV's own forms.
    pub fn is_normal(self) -> bool {
        matches!(
            self,
            Self::NormalText | Self::NormalHtml | Self::NormalHtmlText | Self::NormalScripts
        )
    }
}

impl fmt::Display for View {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Utf8 => "the text as UTF-8",
            Self::Base64 => "the decoded base64",
            Self::Script => "the decoded script",
            Self::HtmlText => "the text of the HTML",
            Self::NormalText => "the normal form of the text",
            Self::NormalHtml => "the normal form of the HTML",
            Self::NormalHtmlText => "the normal form of the HTML without tags",
            Self::NormalScripts => "the normal form of the scripts",
        })
    }
}

/// What an object is and how it is opened.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Description {
    /// Which object.
    pub path: ObjectPath,
    /// The title of its type: `ASCII text`, or `unknown`.
    pub file_type: String,
    /// Bytes that were read of it.
    pub bytes: u64,
    /// The kinds of container as which it is opened, the likeliest first.
    pub opened: Vec<String>,
}

/// A signature that holds on an object.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    /// Which signature.
    pub signature: SignatureName,
    /// On which object.
    pub path: ObjectPath,
    /// In which view of it, if not in its own bytes.
    pub view: Option<View>,
    /// Where in it.
    pub place: Place,
}

impl Finding {
    /// Bytes from the start of the object to the end of the match, where there is such a place.
    pub fn offset(&self) -> Option<u64> {
        match (self.view, self.place) {
            (None, Place::End(at)) => Some(at),
            _ => None,
        }
    }

    /// The place in words: `end at 68`, `end at 68 in the text of the HTML`.
    pub fn place_text(&self) -> String {
        match self.view {
            Some(view) => format!("{} in {view}", self.place),
            None => self.place.to_string(),
        }
    }
}

/// A part that was not examined.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Gap {
    /// Which object, or the container of what could not be named.
    pub path: ObjectPath,
    /// Why.
    pub reason: Reason,
    /// For people: which value, which method, which error. One line.
    pub detail: String,
}

/// Why a part was not examined. Its text form, `limit/depth`, is what users and peers see.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Reason {
    /// Not decodable after everything decodable was matched.
    Corrupt,
    /// The worker ended on it.
    Crashed,
    /// The item's time was over.
    Deadline,
    /// Encrypted, and no password opened it.
    Encrypted,
    /// The request itself left it out.
    Excluded(Exclusion),
    /// A limit of the configuration.
    Limit(Limit),
    /// The operating system refused it.
    Unreadable(Errno),
    /// A recognised format or method that nothing here decodes, by its name.
    Unsupported(String),
}

impl Reason {
    /// The word by which a policy names it.
    pub fn class(&self) -> ReasonClass {
        match self {
            Self::Corrupt => ReasonClass::Corrupt,
            Self::Crashed => ReasonClass::Crashed,
            Self::Deadline => ReasonClass::Deadline,
            Self::Encrypted => ReasonClass::Encrypted,
            Self::Excluded(_) => ReasonClass::Excluded,
            Self::Limit(_) => ReasonClass::Limit,
            Self::Unreadable(_) => ReasonClass::Unreadable,
            Self::Unsupported(_) => ReasonClass::Unsupported,
        }
    }

    /// The error name for protocols that know no reasons.
    pub fn fault(&self) -> Fault {
        match self {
            Self::Crashed => Fault::Internal,
            Self::Deadline => Fault::Again,
            Self::Unreadable(errno) => errno.fault(),
            Self::Corrupt
            | Self::Encrypted
            | Self::Excluded(_)
            | Self::Limit(_)
            | Self::Unsupported(_) => Fault::NotSupported,
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Corrupt => f.write_str("corrupt"),
            Self::Crashed => f.write_str("crashed"),
            Self::Deadline => f.write_str("deadline"),
            Self::Encrypted => f.write_str("encrypted"),
            Self::Excluded(why) => write!(f, "excluded/{}", why.word()),
            Self::Limit(which) => write!(f, "limit/{}", which.word()),
            Self::Unreadable(errno) => write!(f, "unreadable/{errno}"),
            Self::Unsupported(what) => write!(f, "unsupported/{what}"),
        }
    }
}

/// The first word of a [`Reason`], which is what a policy speaks of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum ReasonClass {
    /// [`Reason::Corrupt`]
    Corrupt,
    /// [`Reason::Crashed`]
    Crashed,
    /// [`Reason::Deadline`]
    Deadline,
    /// [`Reason::Encrypted`]
    Encrypted,
    /// [`Reason::Excluded`]
    Excluded,
    /// [`Reason::Limit`]
    Limit,
    /// [`Reason::Unreadable`]
    Unreadable,
    /// [`Reason::Unsupported`]
    Unsupported,
}

impl ReasonClass {
    /// Every class with its word.
    pub const ALL: [(Self, &'static str); 8] = [
        (Self::Corrupt, "corrupt"),
        (Self::Crashed, "crashed"),
        (Self::Deadline, "deadline"),
        (Self::Encrypted, "encrypted"),
        (Self::Excluded, "excluded"),
        (Self::Limit, "limit"),
        (Self::Unreadable, "unreadable"),
        (Self::Unsupported, "unsupported"),
    ];

    /// The class of this word.
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.iter().find(|(_, w)| *w == word).map(|(c, _)| *c)
    }
}

/// What a request can leave out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Exclusion {
    /// A device.
    Device,
    /// A path that an EXCLUDE option names.
    Exclude,
    /// A container whose expander is switched off, by the request or for all.
    Expand,
    /// A named pipe.
    Fifo,
    /// A symbolic link inside a folder.
    Link,
    /// Deeper than the request's RECURSE.
    Recurse,
    /// A socket.
    Socket,
}

impl Exclusion {
    /// Its word in the text form.
    pub fn word(self) -> &'static str {
        match self {
            Self::Device => "device",
            Self::Exclude => "exclude",
            Self::Expand => "expand",
            Self::Fifo => "fifo",
            Self::Link => "link",
            Self::Recurse => "recurse",
            Self::Socket => "socket",
        }
    }
}

/// The limits of the configuration that can hide content (design: defaults of the limits).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Limit {
    /// Bytes of an object that are looked at in one piece.
    Contiguous,
    /// Depth of containers.
    Depth,
    /// Bytes that came out of containers.
    Expanded,
    /// Findings of one item.
    Findings,
    /// Places in an object where patterns begin or continue.
    Matches,
    /// Members of containers.
    Members,
    /// Memory of a decoder.
    Memory,
    /// Bytes out of containers, per byte of the item.
    Ratio,
    /// Temporary disk space.
    Spool,
}

impl Limit {
    /// Its word in the text form and in `--limit-WORD`.
    pub fn word(self) -> &'static str {
        match self {
            Self::Contiguous => "contiguous",
            Self::Depth => "depth",
            Self::Expanded => "expanded",
            Self::Findings => "findings",
            Self::Matches => "matches",
            Self::Members => "members",
            Self::Memory => "memory",
            Self::Ratio => "ratio",
            Self::Spool => "spool",
        }
    }
}

/// The error names of SVSP, worst first: the order in which one gap speaks for all (design: on the wire).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Fault {
    /// `EFAULT`
    Internal,
    /// `EAGAIN`
    Again,
    /// `EACCES`
    Access,
    /// `ENOENT`
    NoEntry,
    /// `ENOTSUP`
    NotSupported,
}

/// Something worth knowing about an object that was examined.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Note {
    /// Which object.
    pub path: ObjectPath,
    /// What kind of thing.
    pub kind: NoteKind,
    /// For people. One line.
    pub detail: String,
}

/// The kinds of notes (design: words).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum NoteKind {
    /// A signature held, and a list of known good digests has the object or a container of it: not reported.
    Allowed,
    /// Readers disagree; all readings were matched.
    Ambiguous(String),
    /// The file changed while it was read.
    Changed,
}

impl fmt::Display for NoteKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ambiguous(what) => write!(f, "ambiguous/{what}"),
            Self::Allowed => f.write_str("allowed"),
            Self::Changed => f.write_str("changed"),
        }
    }
}

/// What was looked at, in numbers.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Coverage {
    /// Objects matched.
    pub objects: u64,
    /// Bytes matched, after expansion.
    pub bytes: u64,
    /// Parts not examined.
    pub gaps: u64,
    /// Things worth knowing.
    pub notes: u64,
}

impl Coverage {
    /// Adds the counts of another part of the same request.
    pub fn add(&mut self, other: Coverage) {
        self.objects = self.objects.saturating_add(other.objects);
        self.bytes = self.bytes.saturating_add(other.bytes);
        self.gaps = self.gaps.saturating_add(other.gaps);
        self.notes = self.notes.saturating_add(other.notes);
    }
}

/// Which signature database an item used from start to end. Text form `number:fingerprint`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Epoch {
    /// Counts the databases of one process, from 1.
    pub number: u64,
    /// The first 16 hexadecimal digits of the SHA-256 of all signature sources.
    pub fingerprint: String,
}

impl fmt::Display for Epoch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.number, self.fingerprint)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reasons_read_as_users_see_them() {
        let rows = [
            (Reason::Limit(Limit::Depth), "limit/depth"),
            (Reason::Unsupported("xz".into()), "unsupported/xz"),
            (Reason::Unreadable(Errno(13)), "unreadable/EACCES"),
            (Reason::Unreadable(Errno(27)), "unreadable/EFBIG"),
            (Reason::Unreadable(Errno(121)), "unreadable/EREMOTEIO"),
            (Reason::Unreadable(Errno(999)), "unreadable/E999"),
            (Reason::Excluded(Exclusion::Recurse), "excluded/recurse"),
            (Reason::Corrupt, "corrupt"),
        ];
        for (reason, text) in rows {
            assert_eq!(reason.to_string(), text);
            let (class, word) = ReasonClass::ALL
                .into_iter()
                .find(|(class, _)| *class == reason.class())
                .unwrap();
            assert!(text.starts_with(word));
            assert_eq!(ReasonClass::from_word(word), Some(class));
        }
    }

    #[test]
    fn the_worst_fault_sorts_first() {
        let by_design = [
            Reason::Crashed,
            Reason::Deadline,
            Reason::Unreadable(Errno(1)),
            Reason::Unreadable(Errno(2)),
            Reason::Encrypted,
        ];
        assert!(by_design.is_sorted_by_key(Reason::fault));
        assert_eq!(Errno(5).fault(), Fault::Internal);
        assert_eq!(Errno(24).fault(), Fault::Again);
        assert_eq!(Errno(27).fault(), Fault::Internal);
    }

    #[test]
    fn a_name_cannot_break_a_reply_line() {
        let name = SignatureName::new(EngineWord::Cvdl, "W32 : Bad\r\nOK ");
        assert_eq!(name.to_string(), "CVDL W32 - Bad  OK");
    }
}
