//! Digests of the whole object: computed while it is fed, each kind only if a signature could ask for it.
//!
//! A hash costs more than the search. So a kind of which the database has no digest is never computed, and one whose
//! digests all state a size is given up as soon as the object is longer than the largest of them.
#![forbid(unsafe_code)]

use std::collections::HashMap;

use md5::Md5;
use sha1::Sha1;
use sha2::{Digest as _, Sha256};

use crate::signature::digests::Digest;

/// The digests that signatures name.
#[derive(Debug, Default)]
pub(super) struct Known {
    entries: HashMap<Digest, Vec<Entry>>,
    longest: Longest,
}

/// For each kind the longest object that may have a known digest; `None` if there is no digest of that kind.
#[derive(Debug, Default, Clone, Copy)]
struct Longest {
    md5: Option<u64>,
    sha1: Option<u64>,
    sha256: Option<u64>,
}

#[derive(Debug)]
struct Entry {
    signature: u32,
    size: Option<u64>,
}

impl Known {
    /// Adds the digest of a signature, by number.
    pub(super) fn add(&mut self, signature: u32, digest: Digest, size: Option<u64>) {
        let longest = match digest {
            Digest::Md5(_) => &mut self.longest.md5,
            Digest::Sha1(_) => &mut self.longest.sha1,
            Digest::Sha256(_) => &mut self.longest.sha256,
        };
        *longest = (*longest).max(Some(size.unwrap_or(u64::MAX)));
        let entry = Entry { signature, size };
        self.entries.entry(digest).or_default().push(entry);
    }

    /// Begins the hashes of one object.
    pub(super) fn begin(&self) -> Hashes {
        Hashes {
            md5: self.longest.md5.map(|_| Md5::new()),
            sha1: self.longest.sha1.map(|_| Sha1::new()),
            sha256: self.longest.sha256.map(|_| Sha256::new()),
            longest: self.longest,
            length: 0,
        }
    }

    /// The signatures that name a digest of this object, sorted.
    pub(super) fn holding(&self, hashes: Hashes) -> Vec<u32> {
        let length = hashes.length;
        let mut holding: Vec<u32> = hashes
            .finish()
            .filter_map(|digest| self.entries.get(&digest))
            .flatten()
            .filter(|entry| entry.size.is_none_or(|size| size == length))
            .map(|entry| entry.signature)
            .collect();
        holding.sort_unstable();
        holding
    }
}

/// The hashes of one object under way.
pub(super) struct Hashes {
    md5: Option<Md5>,
    sha1: Option<Sha1>,
    sha256: Option<Sha256>,
    longest: Longest,
    length: u64,
}

impl Hashes {
    pub(super) fn feed(&mut self, chunk: &[u8]) {
        self.length = self.length.saturating_add(chunk.len() as u64);
        feed(&mut self.md5, self.longest.md5, self.length, chunk);
        feed(&mut self.sha1, self.longest.sha1, self.length, chunk);
        feed(&mut self.sha256, self.longest.sha256, self.length, chunk);
    }

    fn finish(self) -> impl Iterator<Item = Digest> {
        let md5 = self.md5.map(|hash| Digest::Md5(hash.finalize().into()));
        let sha1 = self.sha1.map(|hash| Digest::Sha1(hash.finalize().into()));
        let sha256 = self
            .sha256
            .map(|hash| Digest::Sha256(hash.finalize().into()));
        [md5, sha1, sha256].into_iter().flatten()
    }
}

fn feed<D: sha2::Digest>(hash: &mut Option<D>, longest: Option<u64>, length: u64, chunk: &[u8]) {
    if longest.is_none_or(|longest| length > longest) {
        *hash = None;
    }
    if let Some(hash) = hash {
        hash.update(chunk);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hash_runs_only_as_long_as_it_can_be_asked_for() {
        let md5 = Digest::Md5(Md5::digest(b"abc").into());
        let sha256 = Digest::Sha256(Sha256::digest(b"abcdef").into());
        let mut known = Known::default();
        known.add(0, md5, Some(3));
        known.add(1, sha256, None);
        let mut hashes = known.begin();
        assert!(hashes.sha1.is_none());
        hashes.feed(b"abc");
        assert!(hashes.md5.is_some());
        hashes.feed(b"def");
        assert!(hashes.md5.is_none());
        assert_eq!(known.holding(hashes), [1]);
        let mut hashes = known.begin();
        hashes.feed(b"abc");
        assert_eq!(known.holding(hashes), [0]);
    }

    #[test]
    fn a_digest_with_another_size_is_another_object() {
        let mut known = Known::default();
        let digest = Digest::Sha1(Sha1::digest(b"").into());
        known.add(0, digest, Some(10));
        known.add(1, digest, Some(0));
        known.add(2, digest, None);
        assert_eq!(known.holding(known.begin()), [1, 2]);
    }
}
