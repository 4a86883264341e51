//! Rules as bytes: what they are written as, and the cursor that reads them.
//!
//! Numbers have seven bits a byte, the smallest first. A condition is written behind its operands, so that whoever
//! evaluates it needs a stack of outcomes and no recursion. Nothing that is read is believed: what makes no sense is `None`.
#![forbid(unsafe_code)]

use crate::bytes::Reader;
use crate::signature::condition::{Condition, Relation};
use crate::signature::pattern::{Base, Offset};
use crate::signature::rule::{Compare, Encoding, Order, Regex, Scope};

/// One step of a condition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Step {
    /// The two outcomes on top of the stack become one.
    And,
    /// Lists of tests follow, then how their hits compare: see [`Reading::count`].
    Count,
    /// Nothing, as an outcome.
    Never,
    /// The outcome on top becomes its opposite.
    Not,
    /// As [`Step::And`].
    Or,
    /// The number of a test follows.
    Test,
    /// As [`Step::And`].
    Xor,
}

const STEPS: [Step; 7] = [
    Step::And,
    Step::Count,
    Step::Never,
    Step::Not,
    Step::Or,
    Step::Test,
    Step::Xor,
];

const RELATIONS: [Relation; 3] = [Relation::Above, Relation::Below, Relation::Equal];

/// Bits that say which parts of a scope follow.
const TYPES: u64 = 1;
const SIZE: u64 = 2;
const ENTRY: u64 = 4;
const SECTIONS: u64 = 8;
const CONTAINER: u64 = 16;
const INTERMEDIATES: u64 = 32;
const EXCLUDED: u64 = 64;

/// Writes.
#[derive(Debug, Default)]
pub(super) struct Code(pub(super) Vec<u8>);

impl Code {
    /// A number.
    pub(super) fn number(&mut self, mut number: u64) {
        while number >= 0x80 {
            self.0.push(number as u8 | 0x80);
            number >>= 7;
        }
        self.0.push(number as u8);
    }

    /// A number that may be negative.
    pub(super) fn signed(&mut self, number: i64) {
        self.number((number << 1 ^ number >> 63) as u64);
    }

    /// Bytes with their length.
    pub(super) fn text(&mut self, text: &[u8]) {
        self.number(text.len() as u64);
        self.0.extend_from_slice(text);
    }

    fn range(&mut self, range: Option<(u64, u64)>) {
        if let Some((from, to)) = range {
            self.number(from);
            self.number(to);
        }
    }

    fn texts(&mut self, texts: &[String]) {
        self.number(texts.len() as u64);
        for text in texts {
            self.text(text.as_bytes());
        }
    }

    /// A scope.
    pub(super) fn scope(&mut self, scope: &Scope) {
        let bit = |bit, there: bool| if there { bit } else { 0 };
        self.number(
            bit(TYPES, !scope.types.words.is_empty())
                | bit(EXCLUDED, scope.types.excluded)
                | bit(SIZE, scope.size.is_some())
                | bit(ENTRY, scope.entry.is_some())
                | bit(SECTIONS, scope.sections.is_some())
                | bit(CONTAINER, scope.container.is_some())
                | bit(INTERMEDIATES, !scope.intermediates.is_empty()),
        );
        self.number(u64::from(scope.target));
        if !scope.types.words.is_empty() {
            self.texts(&scope.types.words);
        }
        self.range(scope.size);
        self.range(scope.entry);
        self.range(scope.sections);
        if let Some(container) = &scope.container {
            self.text(container.as_bytes());
        }
        if !scope.intermediates.is_empty() {
            self.texts(&scope.intermediates);
        }
    }

    fn step(&mut self, step: Step) {
        let number = STEPS.iter().position(|one| *one == step);
        self.number(number.unwrap_or(0) as u64);
    }

    /// A condition. It is as deep as its parser let it be.
    pub(super) fn condition(&mut self, condition: &Condition) {
        match condition {
            Condition::And(all) => self.joined(all, Step::And),
            Condition::Or(all) => self.joined(all, Step::Or),
            Condition::Xor(all) => self.joined(all, Step::Xor),
            Condition::Not(one) => {
                self.condition(one);
                self.step(Step::Not);
            }
            Condition::Test(index) => {
                self.step(Step::Test);
                self.number(*index as u64);
            }
            Condition::Count(count) => {
                self.step(Step::Count);
                let relation = RELATIONS.iter().position(|one| *one == count.relation);
                self.number(relation.unwrap_or(0) as u64);
                self.number(u64::from(count.times));
                self.number(u64::from(count.different));
                self.number(count.of.len() as u64);
                for list in &count.of {
                    self.number(list.len() as u64);
                    for index in list {
                        self.number(*index as u64);
                    }
                }
            }
        }
    }

    fn joined(&mut self, all: &[Condition], by: Step) {
        if all.is_empty() {
            self.step(Step::Never);
        }
        for (number, one) in all.iter().enumerate() {
            self.condition(one);
            if number > 0 {
                self.step(by);
            }
        }
    }

    /// A regular expression.
    pub(super) fn regex(&mut self, regex: &Regex) {
        self.text(regex.expression.as_bytes());
        let mut trigger = Self::default();
        if let Some(condition) = &regex.trigger {
            trigger.condition(condition);
        }
        self.text(&trigger.0);
        let bits = [regex.anchored, regex.global, regex.confined];
        let bits = bits
            .iter()
            .rev()
            .fold(0, |all, bit| all << 1 | u64::from(*bit));
        self.number(bits);
        match regex.offset {
            None => self.number(0),
            Some(offset) => {
                let (base, index) = match offset.base {
                    Base::Start => (1, 0),
                    Base::End => (2, 0),
                    Base::Entry => (3, 0),
                    Base::Section(index) => (4, index),
                    Base::LastSection => (5, 0),
                    Base::Within(index) => (6, index),
                    Base::VersionInfo => (7, 0),
                };
                self.number(base);
                self.number(u64::from(index));
                self.signed(offset.by);
                self.number(offset.shift);
            }
        }
    }

    /// A comparison of a number.
    pub(super) fn compare(&mut self, compare: &Compare) {
        self.number(compare.after as u64);
        self.signed(compare.offset);
        self.number(u64::from(compare.length));
        let little = |order: Order| match order {
            Order::Big => 0,
            Order::Little => 1,
        };
        self.number(match compare.encoding {
            Encoding::Decimal => 0,
            Encoding::Hexadecimal(order) => 2 + little(order),
            Encoding::Automatic(order) => 4 + little(order),
            Encoding::Binary(order) => 6 + little(order),
        });
        self.number(u64::from(compare.exact));
        self.number(compare.comparisons.len() as u64);
        for (relation, value) in &compare.comparisons {
            let relation = RELATIONS.iter().position(|one| one == relation);
            self.number(relation.unwrap_or(0) as u64);
            self.signed(*value);
        }
    }
}

/// Reads what [`Code`] wrote.
#[derive(Debug, Clone, Copy)]
pub(super) struct Reading<'a>(Reader<'a>);

/// A scope as it is read: the texts stay where they are.
#[derive(Debug, Clone, Copy)]
pub(super) struct ScopeCode<'a> {
    pub(super) target: u8,
    pub(super) types: Option<Texts<'a>>,
    pub(super) excluded: bool,
    pub(super) size: Option<(u64, u64)>,
    pub(super) entry: Option<(u64, u64)>,
    pub(super) sections: Option<(u64, u64)>,
    pub(super) container: Option<&'a [u8]>,
    pub(super) intermediates: Option<Texts<'a>>,
}

/// A list of texts.
#[derive(Debug, Clone, Copy)]
pub(super) struct Texts<'a> {
    count: u64,
    first: Reading<'a>,
}

impl<'a> Texts<'a> {
    pub(super) fn iter(self) -> impl Iterator<Item = &'a [u8]> {
        let mut reading = self.first;
        (0..self.count).map_while(move |_| reading.text())
    }
}

impl<'a> Reading<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self(Reader::new(bytes))
    }

    pub(super) fn is_done(&self) -> bool {
        self.0.rest().is_empty()
    }

    pub(super) fn number(&mut self) -> Option<u64> {
        let mut number = 0;
        for shift in (0..64).step_by(7) {
            let [byte] = self.0.array()?;
            number |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return Some(number);
            }
        }
        None
    }

    pub(super) fn small(&mut self) -> Option<u32> {
        self.number()?.try_into().ok()
    }

    pub(super) fn index(&mut self) -> Option<usize> {
        self.number()?.try_into().ok()
    }

    pub(super) fn signed(&mut self) -> Option<i64> {
        let number = self.number()?;
        Some((number >> 1) as i64 ^ -((number & 1) as i64))
    }

    pub(super) fn text(&mut self) -> Option<&'a [u8]> {
        let length = self.index()?;
        self.0.take(length)
    }

    fn range(&mut self) -> Option<(u64, u64)> {
        Some((self.number()?, self.number()?))
    }

    fn texts(&mut self) -> Option<Texts<'a>> {
        let count = self.number()?;
        let texts = Texts {
            count,
            first: *self,
        };
        for _ in 0..count {
            self.text()?;
        }
        Some(texts)
    }

    /// What [`Code::scope`] wrote.
    pub(super) fn scope(&mut self) -> Option<ScopeCode<'a>> {
        let bits = self.number()?;
        let mut scope = ScopeCode {
            target: u8::try_from(self.number()?).ok()?,
            types: None,
            excluded: bits & EXCLUDED != 0,
            size: None,
            entry: None,
            sections: None,
            container: None,
            intermediates: None,
        };
        if bits & TYPES != 0 {
            scope.types = Some(self.texts()?);
        }
        if bits & SIZE != 0 {
            scope.size = Some(self.range()?);
        }
        if bits & ENTRY != 0 {
            scope.entry = Some(self.range()?);
        }
        if bits & SECTIONS != 0 {
            scope.sections = Some(self.range()?);
        }
        if bits & CONTAINER != 0 {
            scope.container = Some(self.text()?);
        }
        if bits & INTERMEDIATES != 0 {
            scope.intermediates = Some(self.texts()?);
        }
        Some(scope)
    }

    pub(super) fn step(&mut self) -> Option<Step> {
        STEPS.get(self.index()?).copied()
    }

    pub(super) fn relation(&mut self) -> Option<Relation> {
        RELATIONS.get(self.index()?).copied()
    }

    /// What [`Code::regex`] wrote: the expression without its trigger, and the code of the trigger, which is empty if
    /// there is none.
    pub(super) fn regex(&mut self) -> Option<(Regex, &'a [u8])> {
        let expression = std::str::from_utf8(self.text()?).ok()?.to_owned();
        let trigger = self.text()?;
        let bits = self.number()?;
        let offset = match self.number()? {
            0 => None,
            base => {
                let index = self.small()?;
                let base = match base {
                    1 => Base::Start,
                    2 => Base::End,
                    3 => Base::Entry,
                    4 => Base::Section(index),
                    5 => Base::LastSection,
                    6 => Base::Within(index),
                    _ => Base::VersionInfo,
                };
                Some(Offset {
                    base,
                    by: self.signed()?,
                    shift: self.number()?,
                })
            }
        };
        let regex = Regex {
            expression,
            trigger: None,
            offset,
            anchored: bits & 1 != 0,
            global: bits & 2 != 0,
            confined: bits & 4 != 0,
        };
        Some((regex, trigger))
    }

    /// What [`Code::compare`] wrote.
    pub(super) fn compare(&mut self) -> Option<Compare> {
        let mut compare = Compare {
            after: self.index()?,
            offset: self.signed()?,
            length: self.small()?,
            encoding: match self.number()? {
                0 => Encoding::Decimal,
                2 => Encoding::Hexadecimal(Order::Big),
                3 => Encoding::Hexadecimal(Order::Little),
                4 => Encoding::Automatic(Order::Big),
                5 => Encoding::Automatic(Order::Little),
                6 => Encoding::Binary(Order::Big),
                7 => Encoding::Binary(Order::Little),
                _ => return None,
            },
            exact: self.number()? != 0,
            comparisons: Vec::new(),
        };
        for _ in 0..self.number()? {
            let relation = self.relation()?;
            compare.comparisons.push((relation, self.signed()?));
        }
        Some(compare)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read() {
        let mut code = Code::default();
        let numbers = [0, 127, 128, 1 << 35, u64::MAX];
        let signed = [0, -1, 1, i64::MIN, i64::MAX];
        numbers.iter().for_each(|number| code.number(*number));
        signed.iter().for_each(|number| code.signed(*number));
        let regex = Regex {
            expression: "a.b".to_owned(),
            trigger: Some(Condition::Test(3)),
            offset: Some(Offset {
                base: Base::Section(4),
                by: -7,
                shift: 9,
            }),
            anchored: false,
            confined: true,
            global: true,
        };
        code.regex(&regex);
        let compare = Compare {
            after: 1,
            offset: -4,
            length: 8,
            encoding: Encoding::Automatic(Order::Little),
            comparisons: vec![(Relation::Below, 5), (Relation::Equal, -3)],
            exact: true,
        };
        code.compare(&compare);
        let mut reading = Reading::new(&code.0);
        for number in numbers {
            assert_eq!(reading.number(), Some(number));
        }
        for number in signed {
            assert_eq!(reading.signed(), Some(number));
        }
        let (read, trigger) = reading.regex().unwrap();
        let mut condition = Code::default();
        condition.condition(&Condition::Test(3));
        assert_eq!(trigger, condition.0);
        assert_eq!(
            read,
            Regex {
                trigger: None,
                ..regex
            }
        );
        assert_eq!(reading.compare(), Some(compare));
        assert!(reading.is_done());
        assert_eq!(reading.number(), None);
    }
}
