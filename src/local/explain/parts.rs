//! A rule taken apart: each part of its condition as a signature of its own, and how it is printed.
#![forbid(unsafe_code)]

use crate::engine::Compiler;
use crate::event::{EngineWord, SignatureName};
use crate::filetype::TYPES;
use crate::signature::condition::{Condition, Relation};
use crate::signature::pattern::{Part, Pattern, Segment};
use crate::signature::rule::{Rule, Scope, Test, TypeList};
use crate::signature::{Intake, Item, Meaning, Signature};

/// The most parts of a rule that are explained.
const PARTS: usize = 1000;

/// The longest pattern that is shown whole, in bytes.
const SHOWN: usize = 400;

/// The part of which the line says the object's type.
pub(super) const TYPE: &str = "type";

/// The part that holds on every object and view that there is.
pub(super) const HERE: &str = "here";

/// One part, as it is printed.
pub(super) struct Line {
    pub(super) depth: usize,
    pub(super) text: String,
    /// The name of the signature that it is in the database.
    pub(super) part: String,
    /// For a pattern the least and the most bytes of a match, if that is known.
    pub(super) length: Option<(u64, u64)>,
}

/// Gives the compiler the parts of a rule, and says how each is printed.
pub(super) fn take_apart(
    rule: &Rule,
    engine: EngineWord,
    compiler: &mut Compiler,
) -> Result<Vec<Line>, String> {
    if rule.tests.len() > PARTS {
        return Err(format!(
            "a rule of more than {PARTS} parts is not explained"
        ));
    }
    let mut parts = Parts {
        rule,
        engine,
        lines: Vec::new(),
        compiler,
    };
    parts.scope();
    parts.types();
    parts.condition(&rule.condition, 0);
    Ok(parts.lines)
}

/// A part as a signature of this name.
pub(super) fn part(engine: EngineWord, name: &str, meaning: Meaning) -> Item {
    Item::Signature(Signature {
        name: SignatureName::new(engine, name),
        meaning,
    })
}

/// Takes a rule apart.
struct Parts<'r> {
    rule: &'r Rule,
    engine: EngineWord,
    lines: Vec<Line>,
    compiler: &'r mut Compiler,
}

impl Parts<'_> {
    /// The objects that the rule is for, if it is not for all.
    fn scope(&mut self) {
        let scope = &self.rule.scope;
        if *scope == Scope::default() {
            return;
        }
        let text = scope_text(scope);
        self.add("scope".to_owned(), always(scope.clone()));
        self.line(0, text, "scope".to_owned(), None);
    }

    /// The type of the object, where the rule asks for it.
    fn types(&mut self) {
        if self.rule.scope.types.words.is_empty() {
            return;
        }
        for one in TYPES {
            let types = TypeList {
                words: vec![one.title.to_owned()],
                excluded: false,
            };
            let scope = Scope {
                types,
                ..Scope::default()
            };
            self.add(format!("{TYPE} {}", one.title), always(scope));
        }
        self.line(1, "type of the object".to_owned(), TYPE.to_owned(), None);
    }

    fn condition(&mut self, condition: &Condition, depth: usize) {
        if self.lines.len() >= PARTS {
            return;
        }
        let (word, inner): (_, &[Condition]) = match condition {
            Condition::And(all) => ("AND", all),
            Condition::Or(all) => ("OR", all),
            Condition::Xor(all) => ("XOR", all),
            Condition::Not(one) => ("NOT", std::slice::from_ref(one)),
            Condition::Test(index) => return self.test(*index, depth),
            Condition::Count(count) => {
                let of = count.of.concat();
                let mut text = format!("found {} times", compared(count.relation, count.times));
                if count.different > 0 {
                    text.push_str(&format!(", at least {} different", count.different));
                }
                self.group(text, condition, depth);
                of.into_iter().for_each(|index| self.test(index, depth + 1));
                return;
            }
        };
        self.group(word.to_owned(), condition, depth);
        for one in inner {
            self.condition(one, depth + 1);
        }
    }

    fn group(&mut self, text: String, condition: &Condition, depth: usize) {
        let part = format!("part {}", self.lines.len());
        let rule = Rule {
            tests: self.rule.tests.clone(),
            condition: condition.clone(),
            scope: Scope::default(),
        };
        self.add(part.clone(), rule);
        self.line(depth, text, part, None);
    }

    fn test(&mut self, index: usize, depth: usize) {
        let part = format!("test {index}");
        let Some(test) = self.rule.tests.get(index) else {
            return;
        };
        let (rule, text, length) = match test {
            Test::Pattern(pattern) => {
                let rule = Rule::anywhere(vec![pattern.clone()], Condition::Test(0));
                (rule, shown(pattern), length(pattern))
            }
            test => {
                let rule = Rule {
                    tests: self.rule.tests.clone(),
                    condition: Condition::Test(index),
                    scope: Scope::default(),
                };
                (rule, test_text(test), None)
            }
        };
        self.add(part.clone(), rule);
        self.line(depth, text, part, length);
    }

    fn line(&mut self, depth: usize, text: String, part: String, length: Option<(u64, u64)>) {
        self.lines.push(Line {
            depth,
            text,
            part,
            length,
        });
    }

    fn add(&mut self, name: String, rule: Rule) {
        self.compiler
            .take(part(self.engine, &name, Meaning::Rule(rule)));
    }
}

/// A rule that holds on all objects that it is for.
pub(super) fn always(scope: Scope) -> Rule {
    let test = Pattern::exact(b"\0").map(Test::Pattern);
    let not = Condition::Not(Box::new(Condition::Test(0)));
    Rule {
        tests: test.into_iter().collect(),
        condition: Condition::Or(vec![not, Condition::Test(0)]),
        scope,
    }
}

/// The least and the most bytes of a match, if nothing in it is without a bound.
fn length(pattern: &Pattern) -> Option<(u64, u64)> {
    let (mut min, mut max) = (0, 0);
    for segment in pattern.segments() {
        if segment.is_squeezed() {
            return None;
        }
        min += segment.shortest() as u64;
        max += segment.longest() as u64;
    }
    for link in pattern.links() {
        min = link.min.saturating_add(min);
        max = link.max?.saturating_add(max);
    }
    let edges = pattern.segments().iter().flat_map(Segment::parts);
    let mut edges = edges.filter(|part| matches!(part, Part::Edge(_)));
    match edges.next() {
        Some(_) => None,
        None => Some((min, max)),
    }
}

fn shown(pattern: &Pattern) -> String {
    let mut text = pattern.to_string();
    if text.len() > SHOWN {
        text.truncate(text.floor_char_boundary(SHOWN));
        text.push('…');
    }
    text
}

/// A comparison in words: `more than 3`.
fn compared(relation: Relation, number: impl std::fmt::Display) -> String {
    let word = match relation {
        Relation::Above => "more than",
        Relation::Below => "less than",
        Relation::Equal => "exactly",
    };
    format!("{word} {number}")
}

fn test_text(test: &Test) -> String {
    match test {
        Test::Pattern(pattern) => shown(pattern),
        Test::Macro {
            after,
            min,
            max,
            group,
        } => {
            format!(
                "a member of macro {group}, {min} to {max} bytes behind the start of test {after}"
            )
        }
        Test::Compare(compare) => {
            let all = compare.comparisons.iter();
            let all: Vec<_> = all
                .map(|(relation, number)| compared(*relation, number))
                .collect();
            format!(
                "the number {:+} bytes from test {} is {}",
                compare.offset,
                compare.after,
                all.join(" and ")
            )
        }
        Test::Regex(regex) => {
            let trigger = if regex.trigger.is_some() {
                ", where its trigger holds"
            } else {
                ""
            };
            format!("/{}/{trigger}", regex.expression)
        }
    }
}

/// What a scope asks for.
fn scope_text(scope: &Scope) -> String {
    let mut all = Vec::new();
    match scope.target {
        0 => {}
        3 => all.push("target 3, in normal forms of HTML alone".to_owned()),
        7 => all.push("target 7, in normal forms of text alone".to_owned()),
        target => all.push(format!("target {target}")),
    }
    if !scope.types.words.is_empty() {
        let not = if scope.types.excluded { "none of " } else { "" };
        all.push(format!("types {not}{:?}", scope.types.words));
    }
    for (what, range) in [
        ("size", scope.size),
        ("entry point", scope.entry),
        ("sections", scope.sections),
    ] {
        if let Some((from, to)) = range {
            all.push(format!("{what} {from} to {to}"));
        }
    }
    if let Some(container) = &scope.container {
        all.push(format!("directly in {container}"));
    }
    if !scope.intermediates.is_empty() {
        all.push(format!("in {}", scope.intermediates.join(" in ")));
    }
    format!("for {}", all.join(", "))
}
