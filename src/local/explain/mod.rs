//! `--explain`: why a rule holds on a file and on what is in it, or which part of it does not.
//!
//! The rule is read from its source again and compiled alone, each part of its condition as a signature of its own, and the
//! file is scanned with these: what is said of a part is what the engine itself finds, for every format of
//! signatures, inside of containers and in each view of an object.
#![forbid(unsafe_code)]

mod parts;

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::fmt::Write as _;
use std::fs::File;
use std::io::Write as _;
use std::ops::ControlFlow;
use std::path::Path;

use crate::config::{Input, ScannerConfig};
use crate::database::{Generation, read_again};
use crate::engine::{Compiler, Database};
use crate::event::{EngineWord, Event, Place, SignatureName, View};
use crate::filetype::{TYPES, UNKNOWN};
use crate::path::ObjectPath;
use crate::request::Options;
use crate::scan::{Job, scan};
use crate::signature::pattern::Pattern;
use crate::signature::rule::{Scope, Test};
use crate::signature::{Intake, Item, Meaning, Signature};
use crate::stop::Cancel;
use crate::verdict::{Exit, describe};
use parts::{HERE, Line, TYPE, always, part, take_apart};

/// The most rules of one name that are explained.
const RULES: usize = 16;

/// ClamAV's targets whose signatures are searched for in normal forms alone.
const HTML: u8 = 3;
const TEXT: u8 = 7;

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
            for (path, object) in objects
                .iter()
                .flat_map(|(path, all)| all.iter().map(move |object| (path, object)))
            {
                if !rule.is_for(object) {
                    continue;
                }
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
        let yara = SignatureName::new(EngineWord::Yara, name.trim_start_matches("YARA "));
        return Err(match current.database.knows(&yara) {
            true => format!("--explain={name}: rules in YARA's language cannot be explained"),
            false => format!("--explain={name}: there is no such rule; --vlist prints the names"),
        });
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

/// What was found on one object, in its own bytes or in one view of it.
#[derive(Default)]
struct Object {
    view: Option<View>,
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
        let compiler = Compiler::in_memory(HashSet::new());
        let mut compiler = compiler.map_err(|error| error.to_string())?;
        for (group, pattern) in members {
            compiler.take(Item::MacroMember {
                group: *group,
                pattern: pattern.clone(),
            });
        }
        // The normal forms are looked at for signatures of ClamAV's alone.
        let engine = match signature.name.engine {
            EngineWord::Clam => EngineWord::Clam,
            _ => EngineWord::Cvdl,
        };
        compiler.take(part(engine, "rule", signature.meaning.clone()));
        compiler.take(part(engine, HERE, Meaning::Rule(always(Scope::default()))));
        let mut lines = Vec::new();
        if let Meaning::Rule(rule) = &signature.meaning {
            lines = take_apart(rule, engine, &mut compiler)?;
        }
        if let Some(complaint) = compiler.complaints().first() {
            return Err(format!("{}: {}", signature.name, complaint.reason));
        }
        Ok(Self {
            signature,
            database: compiler.open()?,
            lines,
        })
    }

    /// Tells whether something is to be said of this object: of a view if it was made, and made for such a rule.
    fn is_for(&self, object: &Object) -> bool {
        let target = match &self.signature.meaning {
            Meaning::Rule(rule) => rule.scope.target,
            _ => 0,
        };
        object.view.is_none_or(|view| {
            object.holds(HERE) && (!view.is_normal() || matches!(target, 0 | HTML | TEXT))
        })
    }

    /// What is found on the file and everything in it, by path; on each first in its own bytes, then in its views.
    fn scan(
        &self,
        path: &Path,
        config: &ScannerConfig,
        current: &Generation,
    ) -> Result<Vec<(ObjectPath, Vec<Object>)>, String> {
        use std::os::unix::ffi::OsStrExt;
        let problem = |error: std::io::Error| format!("{}: {error}", path.display());
        if !path.metadata().map_err(problem)?.is_file() {
            return Err(format!("{}: --explain takes files alone", path.display()));
        }
        let file = File::open(path).map_err(problem)?;
        let root = ObjectPath::root(path.as_os_str().as_bytes().to_vec());
        let options = Options {
            original: true,
            ..Options::clone(&config.options)
        };
        let setup = &config.common.terms.setup;
        let mut job = Job::new(root, 0, &options, setup, current.epoch.clone());
        job.each_view = true;
        let mut objects: Vec<(ObjectPath, Vec<Object>)> = Vec::new();
        let mut sink = |event: Event| {
            let path = match &event {
                Event::Scanning(path) => path,
                Event::Finding(finding) => &finding.path,
                Event::Gap(gap) => &gap.path,
                Event::Described(_) | Event::Note(_) => return ControlFlow::Continue(()),
            };
            let at = objects.iter().rposition(|(known, _)| known == path);
            let at = at.unwrap_or_else(|| {
                objects.push((path.clone(), vec![Object::default()]));
                objects.len() - 1
            });
            let view = match &event {
                Event::Finding(finding) => finding.view,
                _ => None,
            };
            let all = objects.get_mut(at).map(|(_, all)| all);
            if let Some(object) = all.and_then(|all| in_view(all, view)) {
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

    /// Prints a rule on an object, part by part.
    fn write(&self, path: &ObjectPath, object: &Object, out: &mut String) {
        let mut quoted = Vec::new();
        path.write(&mut quoted);
        if let Some(view) = object.view {
            quoted.extend_from_slice(format!(", in {view}").as_bytes());
        }
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

/// What is said of this view, or of the object itself.
fn in_view(all: &mut Vec<Object>, view: Option<View>) -> Option<&mut Object> {
    let at = all.iter().position(|object| object.view == view);
    let at = at.unwrap_or_else(|| {
        all.push(Object {
            view,
            ..Object::default()
        });
        all.len() - 1
    });
    all.get_mut(at)
}

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
