//! [`super::base64`] byte by byte, as plainly as it can be said, for tests: what this finds in a text that comes as one piece is what
//! is to be found in it.
#![forbid(unsafe_code)]

mod run;
mod tests;
mod wrapped;

use super::address::Addresses;
use super::base64::Blob;
use run::{JOINT, NAMED_RUN, NARROW, PIECE, Run, may_join, value};
use wrapped::Wrapped;

/// The fewest characters in front of one that is escaped: `/9j\/`.
const ESCAPED: usize = 3;

/// What may stand at the beginning of each line of a quote or a comment.
const MARKS: &[u8] = b" \t>|*#/";

/// Bytes before a run in which it is called base64.
const BEFORE: usize = 24;

/// Runs that are read as programs may have wrapped them, side by side: where one ends is known a while behind it.
const WRAPPED: usize = 4;

/// Finds runs in a text.
#[derive(Debug)]
pub(super) struct Finder {
    /// The most bytes that are decoded of one run.
    limit: usize,
    position: u64,
    /// The last bytes in front of a run.
    before: Vec<u8>,
    run: Option<Run>,
    /// The other reading of runs that have ended or not.
    wrapped: Vec<Wrapped>,
    /// What may be a part of one of them, and the bytes behind its last character.
    part: Option<(Blob, usize)>,
    addresses: Addresses,
}

impl Finder {
    /// Looks for runs, of each of which at most `limit` bytes are decoded.
    pub(super) fn new(limit: usize) -> Self {
        Self {
            limit,
            position: 0,
            before: Vec::new(),
            run: None,
            wrapped: Vec::new(),
            part: None,
            addresses: Addresses::new(limit),
        }
    }

    /// Takes the text, and gives each run that has ended.
    pub(super) fn push(&mut self, bytes: &[u8], found: &mut dyn FnMut(Blob)) {
        let mut at: usize = 0;
        while let Some(rest) = bytes.get(at..).filter(|rest| !rest.is_empty()) {
            let taken = match self.run.is_some() {
                true => self.go_on(rest, found),
                false => {
                    let taken = self.seek(bytes, at);
                    self.addresses.push(&rest[..taken], found);
                    taken
                }
            };
            let position = self.position.saturating_add(at as u64);
            self.feed(rest.get(..taken).unwrap_or(rest), position, found);
            at = at.saturating_add(taken);
        }
        self.position = self.position.saturating_add(bytes.len() as u64);
        self.before.extend_from_slice(last(bytes, JOINT));
        let surplus = self.before.len().saturating_sub(JOINT);
        self.before.drain(..surplus);
    }

    /// The text has ended.
    pub(super) fn finish(mut self, found: &mut dyn FnMut(Blob)) {
        self.end_run(None, found);
        self.feed(&[], self.position, found);
        let limit = self.limit;
        self.wrapped.iter_mut().for_each(|one| one.end(limit));
        self.give_ended(found);
        self.addresses.finish(found);
    }

    /// Shows the other readings what was taken.
    fn feed(&mut self, bytes: &[u8], position: u64, found: &mut dyn FnMut(Blob)) {
        let own = self.run.iter_mut().filter_map(|run| run.wrapped.as_mut());
        for one in self.wrapped.iter_mut().chain(own) {
            one.feed(bytes, position, self.limit);
        }
        let end = position.saturating_add(bytes.len() as u64);
        if let Some((part, joint)) = self.part.take() {
            let end = end.saturating_sub(joint as u64);
            if !self.wrapped.iter().any(|one| one.last >= end) {
                self.addresses.instead(part, found);
            }
        }
        if let Some(run) = &mut self.run {
            run.is_part |= self.wrapped.iter().any(|one| one.has_part(run.at));
        }
        self.give_ended(found);
    }

    fn give_ended(&mut self, found: &mut dyn FnMut(Blob)) {
        for one in self.wrapped.extract_if(.., |one| one.has_ended()) {
            for blob in one.blobs() {
                self.addresses.instead(blob, found);
            }
        }
    }

    /// Passes over what is no run, or begins one, and gives the bytes that this took. Words are short: most of a text is passed
    /// over here.
    fn seek(&mut self, bytes: &[u8], at: usize) -> usize {
        let rest = bytes.get(at..).unwrap_or_default();
        let skipped = rest
            .iter()
            .take_while(|byte| value(**byte).is_none())
            .count();
        let rest = rest.get(skipped..).unwrap_or_default();
        let length = rest
            .iter()
            .take_while(|byte| value(**byte).is_some())
            .count();
        let taken = skipped.saturating_add(length);
        let may_go_on = length == rest.len();
        let start = at.saturating_add(skipped);
        let ends_line = matches!(rest.get(length), Some(b'\n' | b'\r'));
        let before = start.checked_sub(1).and_then(|at| bytes.get(at));
        let is_alone =
            length >= NARROW && ends_line && matches!(before, None | Some(b'\n' | b'\r'));
        let is_escaped =
            length >= ESCAPED && rest.get(length).is_some_and(|next| may_escape(*next));
        if length == 0 || length < NAMED_RUN && !may_go_on && !is_alone && !is_escaped {
            return taken;
        }
        let own = last(bytes.get(..start).unwrap_or_default(), JOINT);
        let near = [&self.before[..], own].concat();
        let near = last(&near, JOINT);
        let named = is_named(last(near, BEFORE));
        let line = near.iter().rposition(|byte| !matches!(byte, b' ' | b'\t'));
        let starts_line = line.is_none_or(|at| matches!(near.get(at), Some(b'\n' | b'\r')));
        let is_line = starts_line && (ends_line || may_go_on);
        if length < PIECE && !named && !may_go_on && !is_line && !is_escaped {
            return taken;
        }
        let mut run = Run::new(self.position.saturating_add(start as u64), named);
        run.narrow.may_be = is_line || named;
        let begin = near.iter().rposition(|byte| matches!(byte, b'\n' | b'\r'));
        let begin = near.get(begin.map_or(0, |at| at.saturating_add(1))..);
        run.begins_line = (begin.unwrap_or_default().iter()).all(|byte| MARKS.contains(byte));
        run.wrapped = Some(Wrapped::new(run.at, (named, run.begins_line), near));
        for byte in rest.get(..length).unwrap_or_default() {
            run.add(*byte, self.limit);
        }
        self.run = Some(run);
        taken
    }

    /// Takes bytes into the run that is open, or ends it, and gives how many it took.
    fn go_on(&mut self, bytes: &[u8], found: &mut dyn FnMut(Blob)) -> usize {
        let Some(run) = &mut self.run else { return 0 };
        for (at, byte) in bytes.iter().enumerate() {
            let goes_on = run.joint.is_empty() || run.joins();
            // A plus between quotes is none of the alphabet.
            let is_joint =
                may_join(*byte) && (value(*byte).is_none() || !goes_on && run.may_be_quoted());
            if value(*byte).is_some() && goes_on {
                if !run.joint.is_empty() {
                    run.next_line();
                }
                run.add(*byte, self.limit);
                if run.is_wider() {
                    run.begin_again(self.limit);
                }
            } else if value(*byte).is_some() && run.may_begin_again() {
                run.begin_again(self.limit);
                run.next_line();
                run.add(*byte, self.limit);
            } else if is_joint && run.joint.len() < JOINT {
                run.joint.push(*byte);
            } else {
                self.addresses.push(&bytes[..at], found);
                self.end_run(Some(*byte), found);
                return at;
            }
        }
        self.addresses.push(bytes, found);
        bytes.len()
    }

    /// Ends the run that is open, by this byte.
    fn end_run(&mut self, by: Option<u8>, found: &mut dyn FnMut(Blob)) {
        let Some(mut run) = self.run.take() else {
            return;
        };
        // What an earlier run goes on with begins none of its own.
        let is_taken = |own: &Wrapped| self.wrapped.iter().any(|one| one.last > own.at());
        let (is_part, joint) = (run.is_part, run.joint.len());
        let count = run.sextets.count();
        let behind = run.joint.first().copied().or(by);
        let is_escaped = count >= ESCAPED && behind.is_some_and(may_escape);
        let counts = count >= run.least() || is_escaped;
        let wrapped = run.wrapped.take().filter(|own| counts && !is_taken(own));
        let blob = match wrapped.filter(|_| self.wrapped.len() < WRAPPED) {
            Some(mut wrapped) => {
                let blob = wrapped.hold(run.blob());
                self.wrapped.push(wrapped);
                blob
            }
            None => run.blob(),
        };
        match blob {
            Some(blob) if is_part => self.part = Some((blob, joint)),
            Some(blob) => self.addresses.instead(blob, found),
            None => {}
        }
    }
}

fn last(bytes: &[u8], count: usize) -> &[u8] {
    bytes
        .get(bytes.len().saturating_sub(count)..)
        .unwrap_or(bytes)
}

/// What an escape may begin with.
fn may_escape(byte: u8) -> bool {
    matches!(byte, b'\\' | b'%' | b'&')
}

/// Something just before a run calls it base64.
fn is_named(before: &[u8]) -> bool {
    let before = before.to_ascii_lowercase();
    let has = |word: &[u8]| memchr::memmem::find(&before, word).is_some();
    before.ends_with(b";base64,")
        || has(b"base64string(")
        || has(b"atob(")
        || before.ends_with(b"-enc ")
        || before.ends_with(b"encodedcommand ")
}
