//! OpenDocument encrypts members one by one, and zip says nothing of it: what says so is the list of them (ODF 1.3 part 2,
//! §4.16, `encryption-data`).
#![forbid(unsafe_code)]

use std::io::{self, Read};

use crate::event::{NoteKind, Reason};
use crate::expand::{Children, Content, Halt, Member};

/// The list.
const MANIFEST: &[u8] = b"META-INF/manifest.xml";

/// The element of a member that is encrypted, with any prefix.
const ELEMENT: &[u8] = b"encryption-data";

/// Hands on what it is given, and looks for the element in the list as it goes by.
pub(super) struct Watch<'a> {
    children: &'a mut dyn Children,
    encrypted: bool,
}

impl<'a> Watch<'a> {
    pub(super) fn new(children: &'a mut dyn Children) -> Self {
        Self {
            children,
            encrypted: false,
        }
    }

    /// After the last member.
    pub(super) fn finish(self) -> Result<(), Halt> {
        if !self.encrypted {
            return Ok(());
        }
        let detail = "members of an OpenDocument".to_owned();
        self.children.gap(None, Reason::Encrypted, detail)
    }
}

impl Children for Watch<'_> {
    fn child(&mut self, name: &[u8], content: Content<'_>) -> Result<(), Halt> {
        if !name.eq_ignore_ascii_case(MANIFEST) {
            return self.children.child(name, content);
        }
        match content {
            Content::Object(object) => {
                let mut search = Search::new(object.reader());
                // That it cannot be read is said where it is taken.
                let _ = io::copy(&mut search, &mut io::sink());
                self.encrypted |= search.found;
                self.children.child(name, Content::Object(object))
            }
            Content::Stream(stream) => {
                let mut search = Search::new(stream);
                let done = self.children.child(name, Content::Stream(&mut search));
                self.encrypted |= search.found;
                done
            }
        }
    }

    fn about(&mut self, member: &Member<'_>) -> Result<(), Halt> {
        self.children.about(member)
    }

    fn gap(&mut self, member: Option<&[u8]>, reason: Reason, detail: String) -> Result<(), Halt> {
        self.children.gap(member, reason, detail)
    }

    fn surplus(&mut self, detail: String) -> Result<(), Halt> {
        self.children.surplus(detail)
    }

    fn note(&mut self, kind: NoteKind, detail: String) -> Result<(), Halt> {
        self.children.note(kind, detail)
    }

    fn words(&mut self, words: Vec<Vec<u8>>) {
        self.children.words(words);
    }
}

/// Looks for the element in what is read.
struct Search<R> {
    inner: R,
    /// The last bytes: it may lie across the border.
    last: Vec<u8>,
    found: bool,
}

impl<R> Search<R> {
    fn new(inner: R) -> Self {
        Self {
            inner,
            last: Vec::new(),
            found: false,
        }
    }

    fn see(&mut self, bytes: &[u8]) {
        // XML may be UTF-16, too.
        let letters = bytes.iter().filter(|byte| **byte != 0);
        self.last.extend(letters);
        self.found |= memchr::memmem::find_iter(&self.last, ELEMENT).any(|at| {
            let before = at.checked_sub(1).and_then(|at| self.last.get(at));
            matches!(before, Some(b'<' | b':'))
        });
        let surplus = self.last.len().saturating_sub(ELEMENT.len());
        self.last.drain(..surplus);
    }
}

impl<R: Read> Read for Search<R> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(out)?;
        self.see(out.get(..count).unwrap_or_default());
        Ok(count)
    }
}
