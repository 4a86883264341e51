//! `.ldb` and `.ldu`: `Name;TargetDescriptionBlock;Expression;Part0;Part1;…`.
#![forbid(unsafe_code)]

use std::io::{self, BufRead};

use super::body::{Style, pattern};
use super::compare::comparison;
use super::description::scope;
use super::expression::expression;
use super::offset::{Place, place};
use super::regex::{is_regex, regex};
use super::{Trouble, fields, number, read_lines};
use crate::event::EngineWord;
use crate::path::printable;
use crate::signature::condition::{Condition, Count, Relation};
use crate::signature::pattern::Offset;
use crate::signature::rule::{Rule, Test};
use crate::signature::{Format, Intake, Item, Meaning, Signature, named};

/// The most parts that a signature may have.
const PARTS: usize = 64;

/// The row of `.ldb` and `.ldu`.
#[derive(Debug)]
pub struct Logical;

impl Format for Logical {
    fn name(&self) -> &'static str {
        "clam-ldb"
    }

    fn extensions(&self) -> &'static [&'static str] {
        &["ldb", "ldu"]
    }

    fn parse(&self, text: &mut dyn BufRead, source: &str, out: &mut dyn Intake) -> io::Result<()> {
        read_lines(text, source, out, logical)
    }
}

fn logical(line: &[u8]) -> Result<Item, Trouble> {
    let mut fields = fields(line, b';');
    let (Some(name), Some(block), Some(text)) = (fields.next(), fields.next(), fields.next())
    else {
        return Err(Trouble::wrong(
            "a line must be `Name;Target…;Expression;Part0;…`",
        ));
    };
    // What is for another version may be written in a way that this one does not know.
    let scope = scope(block)?;
    let expression = expression(text)?;
    let parts: Vec<&[u8]> = fields.take(PARTS + 1).collect();
    if parts.len() > PARTS {
        return Err(Trouble::wrong("more than 64 parts"));
    }
    if expression.last.checked_add(1) != Some(parts.len()) {
        return Err(Trouble::Wrong(
            format!(
                "{} parts, and an expression over {}",
                parts.len(),
                expression.last.saturating_add(1)
            )
            .into(),
        ));
    }
    let name = named(EngineWord::Clam, name)?;
    let mut tests = Tests::default();
    for part in parts {
        tests.add(part, scope.target)?;
    }
    let condition = tests.condition(&expression.condition);
    Ok(Item::Signature(Signature {
        name,
        meaning: Meaning::Rule(Rule {
            tests: tests.tests,
            condition,
            scope,
        }),
    }))
}

/// The tests so far. A part is one of them, or two that are counted together.
#[derive(Debug, Default)]
struct Tests {
    tests: Vec<Test>,
    parts: Vec<Vec<usize>>,
}

impl Tests {
    fn add(&mut self, part: &[u8], target: u8) -> Result<(), Trouble> {
        let tests = self.tests_of(part, target)?;
        let from = self.tests.len();
        self.tests.extend(tests);
        self.parts.push((from..self.tests.len()).collect());
        Ok(())
    }

    fn tests_of(&self, part: &[u8], target: u8) -> Result<Vec<Test>, Trouble> {
        if part.starts_with(b"$") {
            return Ok(vec![self.macros(part)?]);
        }
        if part.starts_with(b"fuzzy_img#") {
            return Err(Trouble::never("image hash"));
        }
        if is_regex(part) {
            let number = self.parts.len();
            let mut regex = regex(part, target, number)?;
            if let Some(trigger) = &regex.trigger {
                regex.trigger = Some(self.condition(trigger));
            }
            return Ok(vec![Test::Regex(regex)]);
        }
        let (part, modifiers) = split_modifiers(part)?;
        if part.contains(&b'#') {
            let mut compare = comparison(part)?;
            compare.after = self.single(compare.after)?;
            return Ok(vec![Test::Compare(compare)]);
        }
        let colon = part.iter().position(|byte| *byte == b':');
        let (offset, body) = match colon.and_then(|at| part.split_at_checked(at)) {
            Some((offset, [_, body @ ..])) => match place(offset, target)? {
                Place::At(offset) => (offset, body),
                Place::Macro(_) => return Err(Trouble::wrong("a macro group as an offset")),
            },
            _ => (None, part),
        };
        modifiers.tests(body, offset)
    }

    /// `${min-max}group$`
    fn macros(&self, part: &[u8]) -> Result<Test, Trouble> {
        let wrong = || {
            let part = printable(part, 40);
            Trouble::from(format!(
                "`{part}` is not `${{min-max}}group$` with a group from 0 to 31"
            ))
        };
        let read = || {
            let inside = part.strip_prefix(b"${")?.strip_suffix(b"$")?;
            let close = inside.iter().position(|byte| *byte == b'}')?;
            let (range, group) = inside.split_at_checked(close)?;
            let mut ends = fields(range, b'-').map(number);
            let (min, max) = (ends.next()??, ends.next()??);
            let group = number(group.get(1..)?).filter(|group| *group < 32)?;
            let group = u32::try_from(group).ok()?;
            ends.next().is_none().then_some((min, max, group))
        };
        let (min, max, group) = read().ok_or_else(wrong)?;
        if min > max {
            return Err(Trouble::never("a range that ends before it begins"));
        }
        let Some(before) = self.parts.len().checked_sub(1) else {
            return Err(Trouble::never("a macro without a part before it"));
        };
        Ok(Test::Macro {
            after: self.single(before)?,
            min,
            max,
            group,
        })
    }

    /// The one test of an earlier part whose place counts.
    fn single(&self, part: usize) -> Result<usize, Trouble> {
        let tests = self.parts.get(part).map(Vec::as_slice);
        let Some(tests) = tests else {
            return Err(Trouble::never("a place beside a later part"));
        };
        match tests {
            [test]
                if matches!(
                    self.tests.get(*test),
                    Some(Test::Pattern(_) | Test::Macro { .. })
                ) =>
            {
                Ok(*test)
            }
            [_] => Err(Trouble::never("a place beside what has none")),
            _ => Err(Trouble::never("a place beside a part in two forms")),
        }
    }

    /// A condition over parts → one over tests.
    fn condition(&self, parts: &Condition) -> Condition {
        let all = |list: &[Condition]| list.iter().map(|one| self.condition(one)).collect();
        match parts {
            Condition::And(list) => Condition::And(all(list)),
            Condition::Or(list) => Condition::Or(all(list)),
            Condition::Xor(list) => Condition::Xor(all(list)),
            Condition::Not(one) => Condition::Not(Box::new(self.condition(one))),
            Condition::Test(part) => match self.tests_at(*part) {
                [test] => Condition::Test(*test),
                many => Condition::Count(Count {
                    of: vec![many.to_vec()],
                    relation: Relation::Above,
                    times: 0,
                    different: 0,
                }),
            },
            Condition::Count(count) => Condition::Count(Count {
                of: (count.of.iter())
                    .map(|parts| {
                        parts
                            .iter()
                            .flat_map(|part| self.tests_at(*part))
                            .copied()
                            .collect()
                    })
                    .collect(),
                ..*count
            }),
        }
    }

    fn tests_at(&self, part: usize) -> &[usize] {
        self.parts.get(part).map_or(&[], Vec::as_slice)
    }
}

/// What stands behind `::`.
#[derive(Debug, Clone, Copy, Default)]
struct Modifiers {
    caseless: bool,
    wide: bool,
    full_word: bool,
    ascii: bool,
}

fn split_modifiers(part: &[u8]) -> Result<(&[u8], Modifiers), Trouble> {
    let mut modifiers = Modifiers::default();
    let Some(at) = part.windows(2).position(|two| two == b"::") else {
        return Ok((part, modifiers));
    };
    let (part, letters) = part.split_at_checked(at).unwrap_or((part, &[]));
    for letter in letters.iter().skip(2) {
        match letter {
            b'i' => modifiers.caseless = true,
            b'w' => modifiers.wide = true,
            b'f' => modifiers.full_word = true,
            b'a' => modifiers.ascii = true,
            _ => {
                let letter = printable(&[*letter], 1);
                return Err(format!("`{letter}` is no modifier").into());
            }
        }
    }
    Ok((part, modifiers))
}

impl Modifiers {
    /// The patterns of a body: two if it may be in either form.
    fn tests(self, body: &[u8], offset: Option<Offset>) -> Result<Vec<Test>, Trouble> {
        if self.full_word && self.wide {
            return Err(Trouble::never("a full word of wide characters"));
        }
        let forms: &[bool] = match (self.wide, self.ascii) {
            (true, true) => &[false, true],
            (true, false) => &[true],
            (false, _) => &[false],
        };
        let test = |wide: &bool| {
            let style = Style {
                caseless: self.caseless,
                wide: *wide,
                full_word: self.full_word,
                counted: true,
            };
            Ok(Test::Pattern(pattern(body, offset, style)?))
        };
        forms.iter().map(test).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::signature::{Aside, Batch, Until};

    const HEAD: &str = "A;Engine:81-255,Target:0";

    fn read(line: &str) -> Batch {
        let mut batch = Batch::default();
        batch.read(&Logical, line.as_bytes(), "x.ldb");
        batch
    }

    fn rule(line: &str) -> Rule {
        let batch = read(line);
        let [
            Signature {
                meaning: Meaning::Rule(rule),
                ..
            },
        ] = batch.signatures()
        else {
            panic!("{line}: {batch:?}");
        };
        rule.clone()
    }

    #[test]
    fn each_part_is_a_test_or_two_that_count_together() {
        let rule = rule(
            &format!("{HEAD};(0&1)|(2=2);6162::wa;0,4:6364::i;${{3-4}}12$;1(>>4#ib2#=7);0&1/x/g")
                .replace("(0&1)|(2=2)", "(0&1)|(2=2)|(3&4)"),
        );
        let kinds: Vec<_> = (rule.tests.iter())
            .map(|test| match test {
                Test::Pattern(pattern) => format!("pattern {}", pattern.segments()[0].shortest()),
                Test::Macro {
                    after,
                    min,
                    max,
                    group,
                } => format!("macro {after} {min}-{max} {group}"),
                Test::Compare(compare) => format!("compare {}", compare.after),
                Test::Regex(regex) => format!("regex {:?}", regex.trigger),
            })
            .collect();
        let expected = [
            "pattern 2",
            "pattern 4",
            "pattern 2",
            "macro 2 3-4 12",
            "compare 2",
            "regex Some(And([Count(Count { of: [[0, 1]], relation: Above, times: 0, different: 0 }), Test(2)]))",
        ];
        assert_eq!(kinds, expected);
        let Condition::Or(sides) = rule.condition else {
            panic!("{:?}", rule.condition);
        };
        assert_eq!(
            sides[2],
            Condition::And(vec![Condition::Test(4), Condition::Test(5)])
        );
    }

    #[test]
    fn what_is_no_line_is_told() {
        let rows = [
            ("A;Target:0;0", "0 parts"),
            ("A;Target:0", "a line must be"),
            (
                "A;Target:0;0;6162;6364",
                "2 parts, and an expression over 1",
            ),
            (
                "A;Target:0;0&2;6162;6364",
                "2 parts, and an expression over 3",
            ),
            ("A;Target:0;0;6162;", "2 parts"),
            ("A;Target:0;0;", "a part without two"),
            ("A;Target:0;0;61", "a part without two"),
            ("A;Target:0;0;6162::x", "`x` is no modifier"),
            ("A;Target:0;0;6162::i:x", "`:` is no modifier"),
            ("A;Target:0;0;x:6162", "the offset `x`"),
            ("A;Target:0;0;$12:6162", "`$12:6162` is not"),
            ("A;Target:0;0&1;6162;${3}12$", "`${3}12$` is not"),
            ("A;Target:0;0&1;6162;${3-4}32$", "`${3-4}32$` is not"),
            ("A;Target:0;0&1;6162;${3-4}12$::i", "`${3-4}12$::i` is not"),
            (";Target:0;0;6162", "the name is empty"),
        ];
        for (line, start) in rows {
            let batch = read(line);
            let reason = &batch.complaints()[0].reason;
            assert!(reason.starts_with(start), "{line}: {reason}");
        }
    }

    #[test]
    fn what_waits_or_cannot_be_is_set_aside_with_its_place() {
        let rows = [
            (
                "A;Target:0;0;fuzzy_img#af2ad01ed42993c7#0",
                Until::Never,
                "image hash",
            ),
            (
                "A;Target:0;0;6162::wf",
                Until::Never,
                "a full word of wide characters",
            ),
            (
                "A;Target:0;0&1;6162::wa;${1-2}3$",
                Until::Never,
                "a place beside a part in two forms",
            ),
            (
                "A;Target:0;0;${1-2}3$",
                Until::Never,
                "a macro without a part before it",
            ),
            (
                "A;Target:0;0&1;1(>>4#ib2#=7);6162",
                Until::Never,
                "a place beside a later part",
            ),
        ];
        for (line, until, reason) in rows {
            let aside = Aside {
                file: "x.ldb".to_owned(),
                line: 1,
                name: "A".to_owned(),
                until,
                reason,
            };
            assert_eq!(read(line).others(), [Item::Aside(aside)], "{line}");
        }
    }
}
