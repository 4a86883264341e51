//! Long runs of base64 in text, and what they decode to: programs in scripts, `data:` addresses, encoded commands.
//!
//! A run may go over lines, each of which ends with nothing but a line break, and may be cut by what joins texts in scripts
//! (`" + "`, `" & _`). Short lines count where several have the same length. Paths and digests look like base64 too: short runs, and those of hexadecimal digits alone, are left.
//!
//! What is found does not depend on the pieces in which the text comes: what is told by the byte behind a word waits for it.
#![forbid(unsafe_code)]

use std::borrow::Cow;

use super::address::Addresses;
use super::joint::is_break;
use super::outlook;
use super::run::{JOINT, Other, PIECE, RUN, Run, Start, may_join, value};
use super::second::Second;
use super::words::{ESCAPED, Words, start, weigh};
use super::wrapped::{Wrapped, may_escape};

/// Runs that are read as programs may have wrapped them, side by side: where one ends is known a while behind it.
const WRAPPED: usize = 4;

/// One run, decoded.
#[derive(Debug, PartialEq, Eq)]
pub struct Blob {
    /// Where it begins.
    pub at: u64,
    /// What it decodes to.
    pub bytes: Vec<u8>,
    /// It goes on behind the limit.
    pub cut: bool,
    /// It begins its line, behind nothing but what marks a quote or a comment.
    pub begins_line: bool,
}

/// A word that begins a run.
struct Word<'t> {
    /// Where it begins.
    at: u64,
    /// What of it came with the piece before, and what with this one.
    held: &'t [u8],
    letters: &'t [u8],
    /// What stands before it.
    near: &'t [u8],
    /// What stands behind it in this piece.
    following: &'t [u8],
}

/// Finds runs in a text that comes piece by piece.
#[derive(Debug)]
pub struct Finder {
    /// The most bytes that are decoded of one run.
    limit: usize,
    /// Where the piece at hand begins.
    position: u64,
    /// The last bytes in front of it.
    before: Vec<u8>,
    /// As many of them are a word that is too short for a run, and may go on.
    held: usize,
    /// The piece at hand began with the rest of such a word.
    carries: bool,
    run: Option<Run>,
    seconds: Vec<Second>,
    addresses: Addresses,
}

impl Finder {
    /// Looks for runs, of each of which at most `limit` bytes are decoded.
    pub fn new(limit: usize) -> Self {
        Self {
            limit,
            position: 0,
            before: Vec::new(),
            held: 0,
            carries: false,
            run: None,
            seconds: Vec::new(),
            addresses: Addresses::new(limit),
        }
    }

    /// Takes the next bytes, and gives each run that has ended.
    pub fn push(&mut self, bytes: &[u8], found: &mut dyn FnMut(Blob)) {
        if bytes.is_empty() {
            return;
        }
        let mut words = Words::new();
        let mut at = match self.held {
            0 => 0,
            _ => self.take_up(bytes, found),
        };
        while at < bytes.len() {
            at = match self.run.is_some() {
                true => self.go_on(bytes, at, found),
                false => self.seek(bytes, at, &mut words, found),
            };
        }
        self.end_piece(bytes, found);
    }

    /// The text has ended.
    pub fn finish(mut self, found: &mut dyn FnMut(Blob)) {
        if self.held > 0 {
            // The word is whole.
            self.take_up(&[], found);
        }
        match self.run.as_ref().map(|run| run.first) {
            Some(None) => self.end_first(&[], 0, None, found),
            Some(Some(_)) => self.compare(&[], 0, found),
            None => self.give_ended(&[], 0, found),
        }
        self.end_run(&[], 0, None, found);
        let limit = self.limit;
        for one in &mut self.seconds {
            match one {
                Second::Open(one) => one.finish(limit),
                Second::Idle(until, _) => *until = 0,
            }
        }
        self.give_ended(&[], 0, found);
        self.addresses.finish(found);
    }

    /// Keeps what is asked of this piece when the next is there.
    fn end_piece(&mut self, bytes: &[u8], found: &mut dyn FnMut(Blob)) {
        self.feed(bytes);
        if self.run.as_ref().is_none_or(|run| run.first.is_none()) {
            self.settle(bytes, bytes.len(), found);
        }
        self.carries = self.held > 0;
        self.begin_other(bytes);
        self.show(bytes, bytes.len(), found);
        self.position = self.position.saturating_add(bytes.len() as u64);
        const KEPT: usize = JOINT + PIECE;
        self.before.extend_from_slice(last(bytes, KEPT));
        let surplus = self.before.len().saturating_sub(KEPT);
        self.before.drain(..surplus);
    }

    /// The run that is open goes on in the next piece: its other reading can no longer be made later.
    fn begin_other(&mut self, bytes: &[u8]) {
        let Some(run) = &mut self.run else { return };
        if !matches!(run.wrapped, Other::Later) {
            return;
        }
        let begin = run.at.saturating_sub(self.position);
        let begin = usize::try_from(begin).unwrap_or(usize::MAX);
        let near = near(&self.before, bytes, begin);
        let mut one = Wrapped::new(run.at, run.start(), &near);
        one.feed(bytes, self.position, self.limit);
        run.wrapped = Other::Begun(Box::new(one));
    }

    /// Shows the addresses the text up to here.
    fn show(&mut self, bytes: &[u8], end: usize, found: &mut dyn FnMut(Blob)) {
        let shown = self.addresses.position().saturating_sub(self.position);
        let shown = usize::try_from(shown).unwrap_or(usize::MAX);
        if let Some(new) = bytes.get(shown..end) {
            self.addresses.push(new, found);
        }
    }

    /// Shows the other readings what is new of these bytes.
    fn feed(&mut self, bytes: &[u8]) {
        for one in &mut self.seconds {
            if let Second::Open(one) = one {
                one.feed(bytes, self.position, self.limit);
            }
        }
        if let Some(Run {
            wrapped: Other::Begun(one),
            ..
        }) = &mut self.run
        {
            one.feed(bytes, self.position, self.limit);
        }
    }

    /// Goes on with the word that was held back, which is whole if there are no more bytes.
    fn take_up(&mut self, bytes: &[u8], found: &mut dyn FnMut(Blob)) -> usize {
        let room = PIECE.saturating_sub(self.held);
        let count = letters(bytes.get(..room).unwrap_or(bytes));
        let length = self.held.saturating_add(count);
        if length < PIECE && count == bytes.len() && !bytes.is_empty() {
            self.held = length;
            return count;
        }
        let before = self.before.clone();
        let begin = before.len().saturating_sub(self.held);
        let (near, held) = before.split_at_checked(begin).unwrap_or_default();
        let (letters, following) = bytes.split_at_checked(count).unwrap_or_default();
        self.held = 0;
        let word = Word {
            at: self.position.saturating_sub(held.len() as u64),
            held,
            letters,
            near: last(near, JOINT),
            following,
        };
        match length < PIECE {
            true => self.look(&word, bytes, count, found),
            false => {
                self.begin(&word, &start(word.near), bytes, count);
                count
            }
        }
    }

    /// Passes over what begins no run, up to a word that may, and looks at that.
    fn seek(
        &mut self,
        bytes: &[u8],
        at: usize,
        words: &mut Words,
        found: &mut dyn FnMut(Blob),
    ) -> usize {
        match words.next(bytes, at) {
            Some((begin, end)) => self.look_at(bytes, begin, end, found),
            None => self.hold(bytes, at),
        }
    }

    fn look_at(
        &mut self,
        bytes: &[u8],
        begin: usize,
        end: usize,
        found: &mut dyn FnMut(Blob),
    ) -> usize {
        let before = std::mem::take(&mut self.before);
        let word = Word {
            at: self.position.saturating_add(begin as u64),
            held: &[],
            letters: bytes.get(begin..end).unwrap_or_default(),
            near: &near(&before, bytes, begin),
            following: bytes.get(end..).unwrap_or_default(),
        };
        let end = self.look(&word, bytes, end, found);
        self.before = before;
        end
    }

    /// The piece is at its end, perhaps in a word: what that is the next one tells.
    fn hold(&mut self, bytes: &[u8], at: usize) -> usize {
        let rest = bytes.get(at..).unwrap_or_default();
        let is_letter = |byte: &&u8| value(**byte).is_some();
        let count = rest.iter().rev().take_while(is_letter).count();
        if count < PIECE {
            self.held = count;
            return bytes.len();
        }
        let begin = bytes.len().saturating_sub(count);
        let before = std::mem::take(&mut self.before);
        let word = Word {
            at: self.position.saturating_add(begin as u64),
            held: &[],
            letters: last(bytes, count),
            near: &near(&before, bytes, begin),
            following: &[],
        };
        self.begin(&word, &start(word.near), bytes, bytes.len());
        self.before = before;
        bytes.len()
    }

    /// Looks at a whole word, which ends at `end`, and gives how far it went.
    fn look(
        &mut self,
        word: &Word<'_>,
        bytes: &[u8],
        end: usize,
        found: &mut dyn FnMut(Blob),
    ) -> usize {
        let next = word.following.first().copied();
        let Some(start) = weigh(word.near, word.length(), next) else {
            return end;
        };
        if !self.seconds.is_empty() {
            self.feed(bytes.get(..end).unwrap_or_default());
            self.settle(bytes, end, found);
        }
        let ends_line = next.is_some_and(is_break);
        let is_short = word.length() < RUN && !start.named;
        if is_short && !(start.starts_line && ends_line) {
            let joint = outlook::plain_end(word.length(), word.following);
            if let Some(joint) = joint {
                return self.pass_over(word, &start, bytes, (end, joint), found);
            }
        }
        self.begin(word, &start, bytes, end);
        self.end_first(bytes, end, next, found);
        end
    }

    /// Passes over a run that is too short, but for its other reading.
    fn pass_over(
        &mut self,
        word: &Word<'_>,
        start: &Start,
        bytes: &[u8],
        (end, joint): (usize, usize),
        found: &mut dyn FnMut(Blob),
    ) -> usize {
        self.give_ended(bytes, end, found);
        let behind = end.saturating_add(joint);
        if self.may_wrap(word.at) {
            let ends = outlook::wrapped_end((word.near, word.at), word.length(), word.following);
            match ends {
                Some(count) if count <= joint => {}
                Some(count) => {
                    let until = end.saturating_add(count) as u64;
                    let until = self.position.saturating_add(until);
                    self.seconds.push(Second::Idle(until, None));
                }
                None => self.seconds.push(Second::Open(self.other(word, start))),
            }
        }
        self.feed(bytes.get(..behind).unwrap_or_default());
        self.give_ended(bytes, behind, found);
        behind
    }

    /// Begins a run.
    fn begin(&mut self, word: &Word<'_>, start: &Start, bytes: &[u8], end: usize) {
        let other = match word.held.is_empty() {
            true => Other::Later,
            false => {
                let mut other = self.other(word, start);
                let own = bytes.get(..end).unwrap_or_default();
                other.feed(own, self.position, self.limit);
                Other::Begun(other)
            }
        };
        let mut run = Run::new(word.at, start, other);
        run.add_some(word.held, self.limit);
        run.add_some(word.letters, self.limit);
        self.run = Some(run);
    }

    /// The other reading of a run that begins with this word, which has taken nothing of this piece.
    fn other(&self, word: &Word<'_>, start: &Start) -> Box<Wrapped> {
        let start = (start.named, start.begins_line);
        let mut other = Box::new(Wrapped::new(word.at, start, word.near));
        other.feed(word.held, word.at, self.limit);
        other
    }

    /// The first piece of a run is at its end.
    fn end_first(&mut self, bytes: &[u8], end: usize, by: Option<u8>, found: &mut dyn FnMut(Blob)) {
        if let Some(run) = &mut self.run {
            run.end_first(by.is_some_and(is_break));
        }
        self.feed(bytes.get(..end).unwrap_or_default());
        self.compare(bytes, end, found);
    }

    /// Looks what the run that is open is to other readings of those before it.
    fn compare(&mut self, bytes: &[u8], end: usize, found: &mut dyn FnMut(Blob)) {
        let Some(at) = self.run.as_ref().map(|run| run.at) else {
            return;
        };
        let is_part = (self.seconds.iter().filter_map(Second::open)).any(|one| one.has_part(at));
        self.give_ended(bytes, end, found);
        let may_wrap = self.may_wrap(at);
        if let Some(run) = &mut self.run {
            run.is_part |= is_part;
            run.may_wrap = may_wrap;
        }
    }

    /// There is room for the other reading of a run, and no earlier one goes on with it: such a run begins none of its own.
    fn may_wrap(&self, at: u64) -> bool {
        let is_taken = (self.seconds.iter().filter_map(Second::open)).any(|one| one.last > at);
        !is_taken && self.seconds.len() < WRAPPED
    }

    /// Takes bytes into the run that is open, or ends it, and gives how far it went.
    fn go_on(&mut self, bytes: &[u8], mut at: usize, found: &mut dyn FnMut(Blob)) -> usize {
        let limit = self.limit;
        while let Some(rest) = bytes.get(at..)
            && let Some(byte) = rest.first().copied()
            && let Some(run) = &mut self.run
        {
            let is_letter = value(byte).is_some();
            if is_letter && run.joint.is_empty() {
                let word = rest.get(..letters(rest)).unwrap_or_default();
                at = at.saturating_add(run.add_some(word, limit));
                if run.is_wider() {
                    run.begin_again(limit);
                }
                continue;
            }
            if run.first.is_none() {
                self.end_first(bytes, at, Some(byte), found);
                continue;
            }
            if is_letter && run.joins() {
                run.next_line();
                continue;
            }
            if is_letter && run.may_begin_again() {
                run.begin_again(limit);
                run.next_line();
                continue;
            }
            // A plus between quotes is none of the alphabet.
            let is_joint = may_join(byte) && (!is_letter || run.may_be_quoted());
            if !is_joint || run.joint.len() >= JOINT {
                self.end_run(bytes, at, Some(byte), found);
                return at;
            }
            run.joint.push(byte);
            at = at.saturating_add(1);
        }
        at
    }

    /// Ends the run that is open in front of `end`, by this byte.
    fn end_run(&mut self, bytes: &[u8], end: usize, by: Option<u8>, found: &mut dyn FnMut(Blob)) {
        let Some(mut run) = self.run.take() else {
            return;
        };
        let (is_part, joint) = (run.is_part, run.joint.len());
        let count = run.sextets.count();
        let behind = run.joint.first().or(by);
        let is_escaped = count >= ESCAPED && behind.is_some_and(may_escape);
        let counts = count >= run.least() || is_escaped;
        let other = std::mem::replace(&mut run.wrapped, Other::Never);
        let second = match other {
            Other::Later if counts && run.may_wrap => Some(self.second(&run, bytes)),
            Other::Begun(one) if counts && run.may_wrap => Some(Second::Open(one)),
            _ => None,
        };
        let mut blob = run.blob();
        if let Some(mut second) = second {
            blob = match &mut second {
                Second::Open(one) => one.hold(blob),
                Second::Idle(_, held) => {
                    *held = blob;
                    None
                }
            };
            self.seconds.push(second);
        }
        let mut part = None;
        match is_part {
            true => part = blob,
            false => self.give(blob, bytes, end, found),
        }
        self.feed(bytes.get(..end).unwrap_or_default());
        let last = (self.position.saturating_add(end as u64)).saturating_sub(joint as u64);
        let mut open = self.seconds.iter().filter_map(Second::open);
        if !open.any(|one| one.last >= last) {
            self.give(part, bytes, end, found);
        }
        self.give_ended(bytes, end, found);
    }

    /// The other reading of a run that began in this piece.
    fn second(&self, run: &Run, bytes: &[u8]) -> Second {
        let begin = run.at.saturating_sub(self.position);
        let begin = usize::try_from(begin).unwrap_or(usize::MAX);
        let near = near(&self.before, bytes, begin);
        let first = run.first.unwrap_or_default();
        let following = bytes.get(begin.saturating_add(first)..).unwrap_or_default();
        let start = run.start();
        let ends = match start.0 {
            true => None,
            false => outlook::wrapped_end((&near, run.at), first, following),
        };
        match ends {
            Some(count) => {
                let until = first.saturating_add(count) as u64;
                Second::Idle(run.at.saturating_add(until), None)
            }
            None => Second::Open(Box::new(Wrapped::new(run.at, start, &near))),
        }
    }

    /// Gives the runs whose other reading ended with a word in front of `end`, each at the end of that word.
    fn settle(&mut self, bytes: &[u8], end: usize, found: &mut dyn FnMut(Blob)) {
        let limit = self.position.saturating_add(end as u64);
        // Most come to nothing.
        let has_ended = |one: &Second| one.end().is_some_and(|end| end <= limit);
        self.seconds.retain(|one| !has_ended(one) || one.has_any());
        if !self.seconds.iter().any(has_ended) {
            return;
        }
        let word = |one: &Second| {
            let own = one.end().filter(|own| *own <= limit)?;
            self.word_end(bytes, own).filter(|word| *word < end)
        };
        let ends: Vec<Option<usize>> = self.seconds.iter().map(word).collect();
        let mut places: Vec<usize> = ends.iter().copied().flatten().collect();
        places.sort_unstable();
        places.dedup();
        let all = std::mem::take(&mut self.seconds);
        let mut all: Vec<_> = all.into_iter().zip(ends).collect();
        for place in places {
            let here: Vec<_> = all.extract_if(.., |(_, end)| *end == Some(place)).collect();
            for (one, _) in here {
                self.give_second(one, bytes, place, found);
            }
        }
        self.seconds.extend(all.into_iter().map(|(one, _)| one));
    }

    /// The end of the word in which, or before which, the byte in front of this position is.
    fn word_end(&self, bytes: &[u8], position: u64) -> Option<usize> {
        let from = position.saturating_sub(1).checked_sub(self.position);
        let begin = match from {
            None if self.carries => 0,
            from => {
                let from = usize::try_from(from.unwrap_or(0)).ok()?;
                let is_letter = |byte: &u8| value(*byte).is_some();
                from.saturating_add(bytes.get(from..)?.iter().position(is_letter)?)
            }
        };
        let end = begin.saturating_add(letters(bytes.get(begin..)?));
        (end < bytes.len()).then_some(end)
    }

    /// Gives the runs whose other reading has ended.
    fn give_ended(&mut self, bytes: &[u8], end: usize, found: &mut dyn FnMut(Blob)) {
        let until = self.position.saturating_add(end as u64);
        let has_ended = |one: &Second| one.end().is_some_and(|end| end <= until);
        if !self.seconds.iter().any(has_ended) {
            return;
        }
        let ended = self.seconds.extract_if(.., |one| has_ended(one));
        for one in ended.collect::<Vec<_>>() {
            self.give_second(one, bytes, end, found);
        }
    }

    fn give_second(&mut self, one: Second, bytes: &[u8], end: usize, found: &mut dyn FnMut(Blob)) {
        match one {
            Second::Open(one) => {
                for blob in one.blobs() {
                    self.give(Some(blob), bytes, end, found);
                }
            }
            Second::Idle(_, held) => self.give(held, bytes, end, found),
        }
    }

    /// Gives a run at whose end this much of the piece has gone by.
    fn give(&mut self, blob: Option<Blob>, bytes: &[u8], end: usize, found: &mut dyn FnMut(Blob)) {
        if let Some(blob) = blob {
            self.show(bytes, end, found);
            self.addresses.instead(blob, found);
        }
    }
}

impl Word<'_> {
    fn length(&self) -> usize {
        self.held.len().saturating_add(self.letters.len())
    }
}

/// The bytes before this place of a piece.
fn near<'t>(before: &'t [u8], bytes: &'t [u8], at: usize) -> Cow<'t, [u8]> {
    let own = bytes.get(..at).unwrap_or_default();
    match own.len() >= JOINT || before.is_empty() {
        true => Cow::Borrowed(last(own, JOINT)),
        false => {
            let all = [last(before, JOINT), own].concat();
            Cow::Owned(last(&all, JOINT).to_vec())
        }
    }
}

/// How many characters of the alphabet a text begins with.
fn letters(text: &[u8]) -> usize {
    let is_letter = |byte: &&u8| value(**byte).is_some();
    text.iter().take_while(is_letter).count()
}

fn last(bytes: &[u8], count: usize) -> &[u8] {
    bytes
        .get(bytes.len().saturating_sub(count)..)
        .unwrap_or(bytes)
}

#[cfg(test)]
mod tests;
