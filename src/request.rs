//! What a peer can ask: a source of content, and the options under which it is scanned.
#![forbid(unsafe_code)]

use std::borrow::Cow;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::event::SignatureName;
use crate::glob::Glob;
use crate::kind::KindSet;

/// One request. It ends in exactly one [`Summary`](crate::verdict::Summary).
#[derive(Debug, Clone)]
pub struct Request {
    /// Where the content is.
    pub source: Source,
    /// The options as they stood when the request was read.
    pub options: Arc<Options>,
    /// The SHA-1 of the file is wanted with the answer.
    pub sha1: bool,
    /// Each gap and note is wanted, not only their counts and the worst.
    pub details: bool,
    /// How many findings are enough.
    pub findings: Wanted,
}

/// How many findings of a request are enough. What comes after them is not looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wanted {
    /// All of them.
    All,
    /// The first one. Items that are under way may have found another before they end.
    First,
    /// The first one of each file.
    FirstOfEach,
}

/// Where the content of a request is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// A file or folder, by its absolute path on this machine.
    Path(Vec<u8>),
    /// Content that the peer sends, under a name that is only a label and may be empty.
    Stream(Vec<u8>),
}

impl Source {
    /// The name that the peer gave.
    pub fn name(&self) -> &[u8] {
        match self {
            Self::Path(name) | Self::Stream(name) => name,
        }
    }
}

/// How deep a request goes into folders and containers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Recurse {
    /// Only the named object itself.
    Off,
    /// Objects deeper than this are left out; the named object has depth 0, an entry or member one more than its
    /// folder or container.
    To(u32),
    /// As deep as the limits allow.
    Unlimited,
}

impl Recurse {
    /// Tells whether an object at this depth is wanted.
    pub fn reaches(self, depth: u32) -> bool {
        match self {
            Self::Off => depth == 0,
            Self::To(limit) => depth <= limit,
            Self::Unlimited => true,
        }
    }
}

/// The options of a request (spec-vfind.md §1.4).
#[derive(Debug, Clone)]
pub struct Options {
    /// Names that are not reported, as in INFECTED: `CVDL W32/Nimda.E`.
    pub ignore: Vec<String>,
    /// Paths that are not scanned.
    pub exclude: Exclude,
    /// The containers that are opened.
    pub expand: KindSet,
    /// How deep.
    pub recurse: Recurse,
    /// Containers are announced and reported on as well as what is in them.
    pub original: bool,
    /// How much of HTML is read as text: 1 to 3, 0 for nothing.
    pub html: u8,
}

impl Default for Options {
    /// Everything that does not need asking for: a client that sends no option must not miss anything.
    fn default() -> Self {
        Self {
            ignore: Vec::new(),
            exclude: Exclude::default(),
            expand: KindSet::usual(),
            recurse: Recurse::Unlimited,
            original: false,
            html: 0,
        }
    }
}

impl Options {
    /// Tells whether findings of this signature are not wanted.
    pub fn ignores(&self, signature: &SignatureName) -> bool {
        !self.ignore.is_empty() && self.ignore.contains(&signature.to_string())
    }
}

/// Paths that are not scanned: each an exact path, the folder of a path, or a pattern with `*`, `?` and `[…]`, where
/// `*` also crosses `/`.
#[derive(Debug, Clone, Default)]
pub struct Exclude {
    entries: Vec<Excluded>,
}

#[derive(Debug, Clone)]
struct Excluded {
    /// As it was said.
    text: Vec<u8>,
    /// The same without what means nothing in a path.
    path: Vec<u8>,
    glob: Option<Glob>,
}

impl Exclude {
    /// Adds an entry. Text that is no valid pattern counts as an exact path.
    pub fn add(&mut self, text: &[u8]) {
        self.entries.push(Excluded {
            text: text.to_vec(),
            path: plain(text).into_owned(),
            glob: Glob::new(text),
        });
    }

    /// Tells whether this text is a pattern; any other is a path.
    pub fn is_pattern(text: &[u8]) -> bool {
        Glob::new(text).is_some()
    }

    /// The pattern that matches this text and no other.
    pub fn literal(text: &str) -> String {
        Glob::literal(text)
    }

    /// Takes an entry out, by the text that put it in; false if there was none.
    pub fn remove(&mut self, text: &[u8]) -> bool {
        let before = self.entries.len();
        self.entries.retain(|entry| entry.text != text);
        self.entries.len() < before
    }

    /// Takes all out.
    pub fn clear(&mut self) {
        self.entries.clear();
    }

    /// How many entries there are.
    pub fn count(&self) -> usize {
        self.entries.len()
    }

    /// Tells whether this path is left out.
    pub fn covers(&self, path: &[u8]) -> bool {
        if self.entries.is_empty() {
            return false;
        }
        let path = &*plain(path);
        self.entries.iter().any(|entry| {
            let folder = entry.path.strip_suffix(b"/").unwrap_or(&entry.path);
            let inside = path
                .strip_prefix(folder)
                .is_some_and(|rest| rest.is_empty() || rest.starts_with(b"/"));
            inside || entry.glob.as_ref().is_some_and(|glob| glob.matches(path))
        })
    }
}

/// The same path without `//` and `/./`. What `..` leads to depends on links, so that it stays.
fn plain(path: &[u8]) -> Cow<'_, [u8]> {
    let has = |word: &[u8]| memchr::memmem::find(path, word).is_some();
    if !has(b"//") && !has(b"/./") && !path.ends_with(b"/.") {
        return Cow::Borrowed(path);
    }
    let mut out = Vec::with_capacity(path.len());
    for (number, name) in path.split(|byte| *byte == b'/').enumerate() {
        if number > 0 && matches!(name, b"" | b".") {
            continue;
        }
        if number > 0 {
            out.push(b'/');
        }
        out.extend_from_slice(name);
    }
    if out.is_empty() {
        out.push(b'/');
    }
    Cow::Owned(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_exclusion_is_a_path_a_folder_or_a_pattern() {
        let rows: &[(&str, &str, bool)] = &[
            ("/srv/a", "/srv/a", true),
            ("/srv/a", "/srv/ab", false),
            ("/srv/a", "/srv/a/b/c", true),
            ("/srv/a/", "/srv/a", true),
            ("*.iso", "/srv/a/x.iso", true),
            ("/srv/*/tmp", "/srv/a/b/tmp", true),
            ("/srv/?", "/srv/ab", false),
            ("/srv/[ab", "/srv/[ab", true),
            ("/srv//a/./b/", "/srv/a/b/c", true),
            ("/srv/a", "/srv/./a//b", true),
            ("*/a/b", "//srv/a/./b", true),
            ("/srv/a/.", "/srv/a/b", true),
            ("//", "/srv", true),
            ("/srv/a", "/srv/b/../a", false),
        ];
        for (entry, path, covered) in rows {
            let mut exclude = Exclude::default();
            exclude.add(entry.as_bytes());
            assert_eq!(exclude.covers(path.as_bytes()), *covered, "{entry} {path}");
            assert!(exclude.remove(entry.as_bytes()) && exclude.count() == 0);
        }
    }

    #[test]
    fn the_pattern_of_a_text_matches_nothing_else() {
        for text in ["/srv/a[b]{c,d}*?", "/srv/back\\slash"] {
            let mut exclude = Exclude::default();
            exclude.add(format!("{}/*", Exclude::literal(text)).as_bytes());
            assert!(exclude.covers(format!("{text}/x").as_bytes()), "{text}");
            assert!(!exclude.covers(b"/srv/abcxy/x") && !exclude.covers(b"/srv/backslash/x"));
        }
    }

    #[test]
    fn recurse_counts_from_the_named_object() {
        assert!(Recurse::Off.reaches(0) && !Recurse::Off.reaches(1));
        assert!(Recurse::To(1).reaches(1) && !Recurse::To(1).reaches(2));
        assert!(Recurse::Unlimited.reaches(u32::MAX));
    }
}
