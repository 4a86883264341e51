//! The members of a container, as its expander gives them.
#![forbid(unsafe_code)]

use std::sync::Arc;

use super::{Names, Spot, Stood, Walk};
use crate::event::{NoteKind, Reason};
use crate::expand::{Children, Content, Halt, Member};
use crate::path::ObjectPath;

/// Takes the members of one container, whose own type stands last among those of its spot.
pub(super) struct Members<'w, 'a> {
    pub(super) walk: &'w mut Walk<'a>,
    pub(super) spot: &'w Spot,
    pub(super) inside: &'w mut Names,
    /// The length of the container.
    pub(super) size: u64,
    /// The number of the first of its members, and how many were told.
    pub(super) first: u64,
    pub(super) told: u64,
    /// Folders are members too.
    pub(super) folders: bool,
    pub(super) stood: Stood,
    pub(super) any: bool,
    /// What the members' own encrypted members are tried with, besides the passwords of the configuration.
    pub(super) words: Arc<[Vec<u8>]>,
}

/// Words that are tried. Those of the innermost mail come first.
const WORDS: usize = 1_000;

/// Tells whether this is unsupported because other parts of a set are missing. Logs and quotes end in the middle of what they cite:
/// there is nothing else to get, and what is there was matched.
fn is_cut(what: &str) -> bool {
    let ends = ["-split", "-part", "-volume"];
    ends.iter().any(|end| what.ends_with(end))
}

impl Members<'_, '_> {
    fn path_of(&self, member: Option<&[u8]>) -> ObjectPath {
        member.map_or_else(
            || self.spot.path.clone(),
            |name| self.spot.path.member(name),
        )
    }
}

impl Children for Members<'_, '_> {
    fn child(&mut self, name: &[u8], content: Content<'_>) -> Result<(), Halt> {
        let spot = Spot {
            path: self.spot.path.member(name),
            depth: self.spot.depth + 1,
            containers: self.spot.containers.clone(),
            allowed: self.spot.allowed,
            words: Arc::clone(&self.words),
            stood: self.stood,
        };
        self.any = true;
        if let Err(limit) = self.walk.budget.member() {
            return self.walk.over(&spot.path, limit);
        }
        match content {
            Content::Stream(reader) => self.walk.stream(&spot, reader, self.inside),
            Content::Object(object) => {
                if let Err(limit) = self.walk.budget.bytes(object.length()) {
                    return self.walk.over(&spot.path, limit);
                }
                self.walk.object(&spot, &object, self.inside)
            }
        }
    }

    fn about(&mut self, member: &Member<'_>) -> Result<(), Halt> {
        let position = self.first.saturating_add(self.told);
        self.told = self.told.saturating_add(1);
        // Only zip's folders are members for ClamAV.
        if member.folder && !self.folders {
            return Ok(());
        }
        self.walk
            .about(self.spot, (self.size, position), member, self.inside)
    }

    fn gap(&mut self, member: Option<&[u8]>, reason: Reason, detail: String) -> Result<(), Halt> {
        let path = self.path_of(member);
        let spot = self.spot;
        let is_token = member.is_none() && spot.is_token(self.size);
        let reason = match reason {
            Reason::Encrypted if is_token => return Ok(()),
            Reason::Unsupported(what)
                if matches!(spot.stood, Stood::InLines | Stood::InText) && is_cut(&what) =>
            {
                Reason::Corrupt
            }
            reason => reason,
        };
        self.walk.gap(&path, reason, detail)?;
        // A gap costs as much as a member, so that a container cannot make more of them than it may have members.
        match self.walk.budget.member() {
            Ok(()) => Ok(()),
            Err(limit) => self.walk.over(&path, limit),
        }
    }

    fn surplus(&mut self, detail: String) -> Result<(), Halt> {
        match self.spot.stood {
            Stood::Within => Ok(()),
            _ => self.gap(None, Reason::Corrupt, detail),
        }
    }

    fn note(&mut self, kind: NoteKind, detail: String) -> Result<(), Halt> {
        let path = self.spot.path.clone();
        self.walk.note(&path, kind, detail)
    }

    fn words(&mut self, words: Vec<Vec<u8>>) {
        let outer = self.spot.words.iter().cloned();
        let fits = |word: &Vec<u8>| (4..=64).contains(&word.len());
        self.words = words
            .into_iter()
            .filter(fits)
            .chain(outer)
            .take(WORDS)
            .collect();
    }
}
