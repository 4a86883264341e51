//! What is tried on encrypted members, and how often: the passwords of the configuration always, the words of a mail as long as the
//! scanned file may make work by them.
//!
//! Work is counted in iterations of HMAC-SHA-1, of which WinZip's AES takes 4,000 for a password; a core does some ten
//! million in a second. Formats say what one password costs them.
#![forbid(unsafe_code)]

use std::cell::{Cell, RefCell};

/// The work that the words of mails may make for one scanned file: two seconds or so.
const WORK: u64 = 20_000_000;

/// Members of one container that may be in vain for all words. An archive has one password, as a rule.
const IN_VAIN: u32 = 2;

/// The work that is left of one scanned file.
#[derive(Debug)]
pub struct Effort {
    left: Cell<u64>,
}

impl Default for Effort {
    fn default() -> Self {
        Self {
            left: Cell::new(WORK),
        }
    }
}

impl Effort {
    fn pay(&self, cost: u64) -> bool {
        let left = self.left.get().checked_sub(cost);
        if let Some(left) = left {
            self.left.set(left);
        }
        left.is_some()
    }
}

/// The passwords for one container.
#[derive(Debug)]
pub struct Passwords<'a> {
    /// Those of the configuration, then words.
    all: &'a [Vec<u8>],
    /// How many are those of the configuration.
    given: usize,
    effort: Option<&'a Effort>,
    /// Those that opened members, the last one first.
    known: RefCell<Vec<usize>>,
    in_vain: Cell<u32>,
    untried: Cell<bool>,
}

impl<'a> Passwords<'a> {
    /// The first `given` of them are tried always, the others are words of a mail.
    pub fn new(all: &'a [Vec<u8>], given: usize, effort: &'a Effort) -> Self {
        Self {
            given,
            effort: Some(effort),
            ..Self::given(all)
        }
    }

    /// Those of a configuration alone.
    pub fn given(all: &'a [Vec<u8>]) -> Self {
        Self {
            all,
            given: all.len(),
            effort: None,
            known: RefCell::default(),
            in_vain: Cell::default(),
            untried: Cell::default(),
        }
    }

    /// The passwords in the order in which they are to be tried, each at this cost. [`Attempts::ended`] is to be told how it went.
    pub(super) fn attempts(&'a self, cost: u64) -> Attempts<'a> {
        Attempts {
            passwords: self,
            first: self.known.borrow().clone(),
            next: 0,
            cost,
            current: None,
        }
    }

    /// For the detail of a gap: whether something was left out.
    pub(super) fn untried(&self) -> &'static str {
        match self.untried.get() {
            true => ", not all words of the mail were tried",
            false => "",
        }
    }
}

/// Goes through passwords.
pub(super) struct Attempts<'a> {
    passwords: &'a Passwords<'a>,
    first: Vec<usize>,
    next: usize,
    cost: u64,
    current: Option<usize>,
}

impl Attempts<'_> {
    /// The password that was tried last was the right one, or none was.
    pub(super) fn ended(self, rightly: bool) {
        let Passwords { known, in_vain, .. } = self.passwords;
        match self.current.filter(|_| rightly) {
            Some(right) => {
                let mut known = known.borrow_mut();
                known.retain(|one| *one != right);
                known.insert(0, right);
            }
            None => in_vain.set(in_vain.get().saturating_add(1)),
        }
    }

    fn number(&mut self) -> Option<usize> {
        let passwords = self.passwords;
        let known = self.first.len();
        if let Some(number) = self.first.get(self.next) {
            self.next += 1;
            return Some(*number);
        }
        loop {
            let number = self.next - known;
            if number >= passwords.all.len() {
                return None;
            }
            self.next += 1;
            if self.first.contains(&number) {
                continue;
            }
            let is_free = number < passwords.given;
            let pays = || passwords.effort.is_none_or(|effort| effort.pay(self.cost));
            if is_free || passwords.in_vain.get() < IN_VAIN && pays() {
                return Some(number);
            }
            passwords.untried.set(true);
            return None;
        }
    }
}

impl<'a> Iterator for Attempts<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        self.current = self.number();
        let all: &'a [Vec<u8>] = self.passwords.all;
        self.current
            .and_then(|number| all.get(number))
            .map(Vec::as_slice)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(count: usize) -> Vec<Vec<u8>> {
        (0..count)
            .map(|n| format!("word{n}").into_bytes())
            .collect()
    }

    fn tried(passwords: &Passwords<'_>, right: &[u8], cost: u64) -> usize {
        let mut attempts = passwords.attempts(cost);
        let mut count = 0;
        for password in attempts.by_ref() {
            count += 1;
            if password == right {
                attempts.ended(true);
                return count;
            }
        }
        attempts.ended(false);
        count
    }

    #[test]
    fn what_opened_one_member_is_tried_first_on_the_next() {
        let (all, effort) = (words(100), Effort::default());
        let passwords = Passwords::new(&all, 3, &effort);
        assert_eq!(tried(&passwords, b"word50", 1), 51);
        assert_eq!(tried(&passwords, b"word50", 1), 1);
        assert_eq!(tried(&passwords, b"word60", 1), 61);
        assert_eq!(tried(&passwords, b"word50", 1), 2);
        assert_eq!(passwords.untried(), "");
    }

    #[test]
    fn words_that_opened_nothing_are_not_tried_on_all_members() {
        let (all, effort) = (words(100), Effort::default());
        let passwords = Passwords::new(&all, 3, &effort);
        for _ in 0..IN_VAIN {
            assert_eq!(tried(&passwords, b"", 1), 100);
        }
        assert_eq!(
            (tried(&passwords, b"", 1), !passwords.untried().is_empty()),
            (3, true)
        );
        assert_eq!(tried(&passwords, b"word2", 1), 3);
    }

    #[test]
    fn the_work_of_words_is_bounded_and_that_of_passwords_is_not() {
        let (all, effort) = (words(100), Effort::default());
        let passwords = Passwords::new(&all, 10, &effort);
        assert_eq!(tried(&passwords, b"", WORK / 20), 30);
        let next = Passwords::new(&all, 10, &effort);
        assert_eq!(tried(&next, b"", 1), 10);
        assert!(!next.untried().is_empty());
        let given = Passwords::given(&all);
        assert_eq!(tried(&given, b"", u64::MAX), 100);
        assert_eq!(given.untried(), "");
    }
}
