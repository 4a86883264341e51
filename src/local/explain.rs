//! `--explain`: why a rule holds on a file and on what is in it, or which part of it does not.
//!
//! The rule is read from its source again and compiled alone, each part of its condition as a signature of its own, and the
//! file is scanned with these: what is said of a part is what the engine itself finds, for every format of
//! signatures and inside of containers.
#![forbid(unsafe_code)]

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::fmt::Write as _;
use std::fs::File;
use std::io::Write as _;
use std::ops::ControlFlow;
use std::path::Path;

use crate::config::{Input, ScannerConfig};
use crate::database::{Generation, read_again};
use crate::engine::{Compiler, Database};
use crate::event::{EngineWord, Event, Place, SignatureName};
use crate::filetype::{TYPES, UNKNOWN};
use crate::path::ObjectPath;
use crate::request::Options;
use crate::scan::{Job, scan};
use crate::signature::condition::Condition;
use crate::signature::pattern::{Pattern, Segment};
use crate::signature::rule::{Rule, Scope, Test, TypeList};
use crate::signature::{Intake, Item, Meaning, Signature};
use crate::stop::Cancel;
use crate::verdict::{Exit, describe};

/// The most rules of one name that are explained.
const RULES: usize = 16;

/// The most parts of a rule that are explained.
const PARTS: usize = 1000;

/// The longest pattern that is shown whole, in bytes.
const SHOWN: usize = 400;

/// Prints for each file whether the rules of this name hold on it and on what is in it. `Infected` if one does.
///
/// # Errors
/// For people: no such rule, a file that cannot be read, output that is not taken.
pub(super) fn explain(
    name: &str,
    config: &ScannerConfig,
    current: &Generation,
) -> Result<Exit, String> {
    let rules = rules(name, current)?;
    let mut exit = Exit::Clean;
    let mut text = String::new();
    for input in &config.inputs {
        let Input::Path(path) = input else {
            return Err("--explain reads files, not standard input".to_owned());
        };
        for rule in &rules {
            let objects = Explained::scan(rule, path, config, current)?;
            for (path, object) in &objects {
                let holds = object.holds("rule");
                exit = exit.max(if holds { Exit::Infected } else { exit });
                rule.write(path, object, &mut text);
                exit = exit.max(if object.gaps.is_empty() {
                    exit
                } else {
                    Exit::Incomplete
                });
            }
        }
    }
    let mut out = std::io::stdout().lock();
    let written = out.write_all(text.as_bytes()).and_then(|()| out.flush());
    written.map_err(|error| format!("cannot write: {error}"))?;
    Ok(exit)
}

/// The rules of this name, each ready to be scanned with.
fn rules(name: &str, current: &Generation) -> Result<Vec<Explained>, String> {
    let mut found = Found {
        name,
        signatures: Vec::new(),
        groups: BTreeSet::new(),
        members: Vec::new(),
    };
    // Members of macros may stand before the rules that use them.
    for _ in 0..2 {
        let members = found.members.len();
        found.signatures.clear();
        for source in &current.report.sources {
            read_again(&source.source, &mut found).map_err(|error| error.to_string())?;
        }
        if found.groups.is_empty() || members > 0 {
            break;
        }
    }
    if found.signatures.is_empty() {
        return Err(format!(
            "--explain={name}: there is no such rule; --vlist prints the names"
        ));
    }
    found.signatures.truncate(RULES);
    let members = &found.members;
    let signatures = found.signatures.into_iter();
    signatures.map(|one| Explained::new(one, members)).collect()
}

/// Finds rules by their name, and the members of the macros that they use.
struct Found<'n> {
    name: &'n str,
    signatures: Vec<Signature>,
    groups: BTreeSet<u32>,
    members: Vec<(u32, Pattern)>,
}

impl Intake for Found<'_> {
    fn take(&mut self, item: Item) {
        match item {
            Item::Signature(signature)
                if signature.name.name == self.name || signature.name.to_string() == self.name =>
            {
                if let Meaning::Rule(rule) = &signature.meaning {
                    self.groups
                        .extend(rule.tests.iter().filter_map(|test| match test {
                            Test::Macro { group, .. } => Some(*group),
                            _ => None,
                        }));
                }
                self.signatures.push(signature);
            }
            Item::MacroMember { group, pattern } if self.groups.contains(&group) => {
                self.members.push((group, pattern));
            }
            _ => {}
        }
    }
}

/// A signature and a database of its parts.
struct Explained {
    signature: Signature,
    database: Database,
    lines: Vec<Line>,
}

/// One part, as it is printed.
struct Line {
    depth: usize,
    text: String,
    /// The name of the signature that it is in the database.
    part: String,
    /// For a pattern the least and the most bytes of a match, if that is known.
    length: Option<(u64, u64)>,
}

/// What was found on one object.
#[derive(Default)]
struct Object {
    parts: BTreeMap<String, Place>,
    gaps: Vec<String>,
}

impl Object {
    fn holds(&self, part: &str) -> bool {
        self.parts.contains_key(part)
    }
}

impl Explained {
    fn new(signature: Signature, members: &[(u32, Pattern)]) -> Result<Self, String> {
        let mut compiler = Compiler::new(HashSet::new());
        for (group, pattern) in members {
            compiler.take(Item::MacroMember {
                group: *group,
                pattern: pattern.clone(),
            });
        }
        compiler.take(part("rule", signature.meaning.clone()));
        let mut lines = Vec::new();
        if let Meaning::Rule(rule) = &signature.meaning {
            if rule.tests.len() > PARTS {
                return Err(format!(
                    "a rule of more than {PARTS} parts is not explained"
                ));
            }
            let mut parts = Parts {
                rule,
                lines: Vec::new(),
                compiler: &mut compiler,
            };
            parts.scope();
            parts.types();
            parts.condition(&rule.condition, 0);
            lines = parts.lines;
        }
        if let Some(complaint) = compiler.complaints().first() {
            return Err(format!("{}: {}", signature.name, complaint.reason));
        }
        Ok(Self {
            signature,
            database: compiler.in_memory()?,
            lines,
        })
    }

    /// What is found on the file and everything in it, by path.
    fn scan(
        &self,
        path: &Path,
        config: &ScannerConfig,
        current: &Generation,
    ) -> Result<Vec<(ObjectPath, Object)>, String> {
        use std::os::unix::ffi::OsStrExt;
        let problem = |error: std::io::Error| format!("{}: {error}", path.display());
        let file = File::open(path).map_err(problem)?;
        if !file.metadata().map_err(problem)?.is_file() {
            return Err(format!("{}: --explain takes files alone", path.display()));
        }
        let root = ObjectPath::root(path.as_os_str().as_bytes().to_vec());
        let options = Options {
            original: true,
            ..Options::clone(&config.options)
        };
        let setup = &config.common.terms.setup;
        let job = Job::new(root, 0, &options, setup, current.epoch.clone());
        let mut objects: Vec<(ObjectPath, Object)> = Vec::new();
        let mut sink = |event: Event| {
            let path = match &event {
                Event::Scanning(path) => path,
                Event::Finding(finding) => &finding.path,
                Event::Gap(gap) => &gap.path,
                Event::Note(_) => return ControlFlow::Continue(()),
            };
            let at = objects.iter().rposition(|(known, _)| known == path);
            let at = at.unwrap_or_else(|| {
                objects.push((path.clone(), Object::default()));
                objects.len() - 1
            });
            if let Some((_, object)) = objects.get_mut(at) {
                match event {
                    Event::Finding(finding) => {
                        object.parts.insert(finding.signature.name, finding.place);
                    }
                    Event::Gap(gap) => object.gaps.push(describe(&gap.reason, &gap.detail)),
                    _ => {}
                }
            }
            ControlFlow::Continue(())
        };
        scan(file, &job, &self.database, &Cancel::default(), &mut sink);
        Ok(objects)
    }

    fn write(&self, path: &ObjectPath, object: &Object, out: &mut String) {
        let mut quoted = Vec::new();
        path.write(&mut quoted);
        let outcome = match object.parts.get("rule") {
            Some(place) => format!("holds, {place}"),
            None => "does not hold".to_owned(),
        };
        // Writing into a string does not fail.
        let _ = writeln!(
            out,
            "{}: {} {outcome}",
            String::from_utf8_lossy(&quoted),
            self.signature.name
        );
        for line in &self.lines {
            let outcome = match object.parts.get(&line.part) {
                _ if line.part == TYPE => type_of(object).to_owned(),
                None => "fails".to_owned(),
                Some(Place::End(end)) => match line.length {
                    Some((min, max)) if min == max => {
                        format!("holds at {} to {end}", end.saturating_sub(min))
                    }
                    Some((min, max)) => format!(
                        "holds, begins at {} to {}, ends at {end}",
                        end.saturating_sub(max),
                        end.saturating_sub(min)
                    ),
                    None => format!("holds, ends at {end}"),
                },
                Some(_) => "holds".to_owned(),
            };
            let _ = writeln!(
                out,
                "{:width$}{}: {outcome}",
                "",
                line.text,
                width = 2 * line.depth + 2
            );
        }
        for gap in &object.gaps {
            let _ = writeln!(out, "  not examined: {gap}");
        }
    }
}

/// The part of which the line says the object's type.
const TYPE: &str = "type";

/// The type of an object: that of which the rule for it holds, and of several the one that says most. A restriction to a
/// type holds on what is of no known type, so there all of them do.
fn type_of(object: &Object) -> &'static str {
    let titles = || TYPES.iter().map(|one| one.title);
    let holds = |title: &&str| object.holds(&format!("{TYPE} {title}"));
    match titles().all(|title| holds(&title)) {
        true => UNKNOWN.title,
        false => titles()
            .filter(holds)
            .max_by_key(|title| title.len())
            .unwrap_or(UNKNOWN.title),
    }
}

/// Takes a rule apart.
struct Parts<'r> {
    rule: &'r Rule,
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
                let text = format!(
                    "count {:?} {}, at least {} different",
                    count.relation, count.times, count.different
                );
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
        self.compiler.take(part(&name, Meaning::Rule(rule)));
    }
}

fn part(name: &str, meaning: Meaning) -> Item {
    Item::Signature(Signature {
        name: SignatureName::new(EngineWord::Cvdl, name),
        meaning,
    })
}

/// A rule that holds on all objects that it is for.
fn always(scope: Scope) -> Rule {
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
    let mut edges = edges.filter(|part| matches!(part, crate::signature::pattern::Part::Edge(_)));
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
        Test::Compare(compare) => format!(
            "the number {:+} bytes from test {}: {:?}",
            compare.offset, compare.after, compare.comparisons
        ),
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
    if scope.target > 0 {
        all.push(format!("target {}", scope.target));
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
