//! The patterns that held → the rules that hold.
//!
//! Only the rules that use one of those patterns are evaluated, and those that may hold on nothing at all (`NOT "x"`),
//! which are known since the database was made. All others are as false as they are on an empty object.
//!
//! ```text
//! USERENDS  u32 for each pattern: where its users end in USERLIST
//! USERLIST  u32 for each user of a pattern: a rule, or a signature that is this pattern and nothing else
//! RULECODE  the rules, as `code` writes them           RULEENDS  u32 for each rule: where it ends
//! RULESIGN  u32 for each rule: its signature           RULENONE  the rules that may hold on nothing
//! LATECODE  regular expressions and comparisons        LATEENDS  u32 for each: where it ends
//! MACROMEM  the members of macro groups: group and pattern, sorted
//! ```
#![forbid(unsafe_code)]

mod code;
mod evaluate;
mod scope;

use std::io::{self, Seek, Write};

use bytes::Bytes;
use zerocopy::little_endian::U32;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

use super::Full;
use crate::image::{Damage, Image, Tag, Writer};
use crate::signature::condition::{Condition, Hits};
use crate::signature::rule::{Scope, Test};
use code::{Code, Reading};

pub(super) use evaluate::{Evaluation, Late, Tested};

const USER_ENDS: Tag = *b"USERENDS";
const USERS: Tag = *b"USERLIST";
const CODE: Tag = *b"RULECODE";
const ENDS: Tag = *b"RULEENDS";
const SIGNATURES: Tag = *b"RULESIGN";
const ON_NOTHING: Tag = *b"RULENONE";
const LATE: Tag = *b"LATECODE";
const LATE_ENDS: Tag = *b"LATEENDS";
const MEMBERS: Tag = *b"MACROMEM";

/// What uses a pattern, in one number: a rule; or, for there may be millions of them, a signature that is this pattern
/// and nothing else, with ClamAV's target above its number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum User {
    Rule(u32),
    Signature { number: u32, target: u8 },
}

/// Bits of the number of a signature that is one pattern.
const PLAIN: u32 = 26;

/// The bit that says that a user is a rule.
const RULE: u32 = 1 << 31;

impl User {
    fn from_number(number: u32) -> Self {
        match number & RULE {
            0 => Self::Signature {
                number: number & ((1 << PLAIN) - 1),
                target: (number >> PLAIN) as u8,
            },
            _ => Self::Rule(number & !RULE),
        }
    }

    /// `None` if the numbers are too large.
    fn number(self) -> Option<u32> {
        match self {
            Self::Rule(rule) => (rule < RULE).then_some(rule | RULE),
            Self::Signature { number, target } => {
                let fits = number < 1 << PLAIN && target < 32;
                fits.then_some(u32::from(target) << PLAIN | number)
            }
        }
    }
}

/// A member of a macro group.
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    FromBytes,
    IntoBytes,
    Immutable,
    KnownLayout,
    Unaligned,
)]
#[repr(C)]
struct Member {
    group: U32,
    pattern: U32,
}

/// Pieces of code by number, while a database is made.
#[derive(Debug, Default)]
struct Pieces {
    code: Code,
    ends: Vec<U32>,
}

impl Pieces {
    /// Ends the piece that was written, and gives its number.
    fn end(&mut self, what: &'static str) -> Result<u32, Full> {
        let number = u32::try_from(self.ends.len()).map_err(|_| Full(what))?;
        let end = u32::try_from(self.code.0.len()).map_err(|_| Full(what))?;
        self.ends.push(end.into());
        Ok(number)
    }
}

/// All rules while a database is made.
#[derive(Debug, Default)]
pub(super) struct Builder {
    /// The pattern above, the user below.
    users: Vec<u64>,
    rules: Pieces,
    signatures: Vec<U32>,
    on_nothing: Vec<U32>,
    late: Pieces,
    members: Vec<Member>,
}

impl Builder {
    /// Adds the rule of a signature, by number. `patterns` has for each test that is a pattern the number of it.
    pub(super) fn add(
        &mut self,
        signature: u32,
        rule: &crate::signature::rule::Rule,
        patterns: &[Option<u32>],
    ) -> Result<(), Full> {
        if let Some((pattern, user)) = plain(signature, rule, patterns) {
            self.users.push(u64::from(pattern) << 32 | u64::from(user));
            return Ok(());
        }
        let code = &mut self.rules.code;
        code.scope(&rule.scope);
        code.number(rule.tests.len() as u64);
        for (test, pattern) in rule.tests.iter().zip(patterns) {
            match test {
                Test::Pattern(_) => {
                    code.number(0);
                    code.number(u64::from(pattern.unwrap_or(u32::MAX)));
                }
                Test::Macro {
                    after,
                    min,
                    max,
                    group,
                } => {
                    code.number(1);
                    code.number(*after as u64);
                    code.number(*min);
                    code.number(*max);
                    code.number(u64::from(*group));
                }
                Test::Regex(regex) => {
                    code.number(2);
                    self.late.code.regex(regex);
                    code.number(u64::from(self.late.end("regular expressions")?));
                }
                Test::Compare(compare) => {
                    code.number(3);
                    self.late.code.compare(compare);
                    code.number(u64::from(self.late.end("comparisons")?));
                }
            }
        }
        code.condition(&rule.condition);
        let number = self.rules.end("rules")?;
        self.signatures.push(signature.into());
        if may_hold_on_nothing(rule) {
            self.on_nothing.push(number.into());
        }
        let user = User::Rule(number).number().ok_or(Full("rules"))?;
        let mut own: Vec<u32> = patterns.iter().copied().flatten().collect();
        own.sort_unstable();
        own.dedup();
        let own = own.into_iter();
        self.users
            .extend(own.map(|pattern| u64::from(pattern) << 32 | u64::from(user)));
        Ok(())
    }

    /// Adds a member of a macro group.
    pub(super) fn member(&mut self, group: u32, pattern: u32) {
        self.members.push(Member {
            group: group.into(),
            pattern: pattern.into(),
        });
    }

    /// Gives signatures other numbers, and drops those that get none.
    pub(super) fn renumber(&mut self, to: impl Fn(u32) -> Option<u32>) {
        let rules: Vec<_> = self.signatures.iter().map(|one| to(one.get())).collect();
        let is_used = |rule: u32| matches!(rules.get(rule as usize), Some(Some(_)));
        self.users.retain_mut(|entry| {
            let user = match User::from_number(*entry as u32) {
                User::Rule(rule) => is_used(rule).then_some(User::Rule(rule)),
                User::Signature { number, target } => {
                    to(number).map(|number| User::Signature { number, target })
                }
            };
            // Numbers only become smaller.
            let Some(user) = user.and_then(User::number) else {
                return false;
            };
            *entry = *entry >> 32 << 32 | u64::from(user);
            true
        });
        self.on_nothing.retain(|rule| is_used(rule.get()));
        for (signature, number) in self.signatures.iter_mut().zip(&rules) {
            *signature = number.unwrap_or(u32::MAX).into();
        }
    }

    /// Writes the sections.
    pub(super) fn write<W: Write + Seek>(mut self, writer: &mut Writer<W>) -> io::Result<()> {
        self.users.sort_unstable();
        self.users.dedup();
        let patterns = self.users.last().map_or(0, |last| (last >> 32) + 1);
        writer.begin(USER_ENDS)?;
        let mut at = 0;
        let mut block: Vec<U32> = Vec::new();
        for pattern in 0..patterns {
            while self.users.get(at).is_some_and(|user| user >> 32 == pattern) {
                at += 1;
            }
            let end = u32::try_from(at).map_err(|_| io::Error::other("too many rules"))?;
            block.push(end.into());
            if block.len() == 4096 {
                writer.write_all(block.as_bytes())?;
                block.clear();
            }
        }
        writer.write_all(block.as_bytes())?;
        writer.begin(USERS)?;
        for part in self.users.chunks(4096) {
            let users: Vec<U32> = part.iter().map(|entry| U32::new(*entry as u32)).collect();
            writer.write_all(users.as_bytes())?;
        }
        self.members.sort_unstable();
        self.members.dedup();
        writer.section(CODE, &self.rules.code.0)?;
        writer.section(ENDS, self.rules.ends.as_bytes())?;
        writer.section(SIGNATURES, self.signatures.as_bytes())?;
        writer.section(ON_NOTHING, self.on_nothing.as_bytes())?;
        writer.section(LATE, &self.late.code.0)?;
        writer.section(LATE_ENDS, self.late.ends.as_bytes())?;
        writer.section(MEMBERS, self.members.as_bytes())
    }
}

/// The pattern and the user of a rule that is one pattern and nothing else.
fn plain(
    signature: u32,
    rule: &crate::signature::rule::Rule,
    patterns: &[Option<u32>],
) -> Option<(u32, u32)> {
    let (Condition::Test(0), [Some(pattern)]) = (&rule.condition, patterns) else {
        return None;
    };
    let user = User::Signature {
        number: signature,
        target: rule.scope.target,
    };
    let target = Scope {
        target: rule.scope.target,
        ..Scope::default()
    };
    (rule.scope == target).then_some((*pattern, user.number()?))
}

/// Tells whether a rule may hold on an object in which none of its patterns occurs.
fn may_hold_on_nothing(rule: &crate::signature::rule::Rule) -> bool {
    let nothing = |_: usize| Hits::default();
    let tried = |regex: &crate::signature::rule::Regex| match &regex.trigger {
        Some(trigger) => trigger.place(&nothing).is_some(),
        None => true,
    };
    let regex = |test: &Test| matches!(test, Test::Regex(regex) if tried(regex));
    rule.condition.place(&nothing).is_some() || rule.tests.iter().any(regex)
}

/// The rules in an image.
#[derive(Debug)]
pub(super) struct Rules {
    user_ends: Bytes,
    users: Bytes,
    code: Bytes,
    ends: Bytes,
    signatures: Bytes,
    on_nothing: Bytes,
    late: Bytes,
    late_ends: Bytes,
    members: Bytes,
}

impl Rules {
    /// Takes them out of an image.
    pub(super) fn open(image: &Image) -> Result<Self, Damage> {
        let rules = Self {
            user_ends: image.section(USER_ENDS)?,
            users: image.section(USERS)?,
            code: image.section(CODE)?,
            ends: image.section(ENDS)?,
            signatures: image.section(SIGNATURES)?,
            on_nothing: image.section(ON_NOTHING)?,
            late: image.section(LATE)?,
            late_ends: image.section(LATE_ENDS)?,
            members: image.section(MEMBERS)?,
        };
        let last = |ends: &Bytes| numbers(ends).last().map_or(0, |end| end.get() as usize);
        let whole = [
            &rules.user_ends,
            &rules.users,
            &rules.ends,
            &rules.on_nothing,
            &rules.late_ends,
        ];
        let fits = whole.iter().all(|numbers| numbers.len() % 4 == 0)
            && rules.members.len().is_multiple_of(size_of::<Member>())
            && rules.signatures.len() == rules.ends.len()
            && rules.users.len() == last(&rules.user_ends).saturating_mul(4)
            && rules.code.len() == last(&rules.ends)
            && rules.late.len() == last(&rules.late_ends);
        match fits {
            true => Ok(rules),
            false => Err(Damage::Section("of rules".to_owned())),
        }
    }

    /// How many regular expressions and comparisons there are.
    pub(super) fn late_count(&self) -> usize {
        numbers(&self.late_ends).len()
    }

    /// The users of a pattern.
    fn users(&self, pattern: u32) -> impl Iterator<Item = User> {
        let range = range(numbers(&self.user_ends), pattern);
        let users = range.and_then(|range| numbers(&self.users).get(range));
        let users = users.unwrap_or(&[]).iter();
        users.map(|user| User::from_number(user.get()))
    }

    /// A rule: its signature and its code.
    fn rule(&self, number: u32) -> Option<(u32, Reading<'_>)> {
        let code = self.code.get(range(numbers(&self.ends), number)?)?;
        let signature = numbers(&self.signatures).get(number as usize)?;
        Some((signature.get(), Reading::new(code)))
    }

    /// A regular expression or a comparison.
    fn late(&self, number: u32) -> Option<Reading<'_>> {
        let code = self.late.get(range(numbers(&self.late_ends), number)?)?;
        Some(Reading::new(code))
    }

    fn on_nothing(&self) -> impl Iterator<Item = u32> {
        numbers(&self.on_nothing).iter().map(|rule| rule.get())
    }

    /// The patterns of a macro group.
    fn members(&self, group: u32) -> impl Iterator<Item = u32> {
        let all = <[Member]>::ref_from_bytes(&self.members).unwrap_or(&[]);
        let from = all.partition_point(|member| member.group.get() < group);
        let all = all.get(from..).unwrap_or(&[]).iter();
        all.take_while(move |member| member.group.get() == group)
            .map(|member| member.pattern.get())
    }
}

fn numbers(bytes: &Bytes) -> &[U32] {
    <[U32]>::ref_from_bytes(bytes).unwrap_or(&[])
}

/// The range of a piece, by where each ends.
fn range(ends: &[U32], number: u32) -> Option<std::ops::Range<usize>> {
    let at = number as usize;
    let end = ends.get(at)?.get() as usize;
    let start = match at.checked_sub(1) {
        Some(before) => ends.get(before)?.get() as usize,
        None => 0,
    };
    Some(start..end)
}
