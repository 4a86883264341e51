//! `--tree`: what a file is made of, as the scan sees it: each object with its type, its size, how it was opened, and what was
//! found, left out and noted.
#![forbid(unsafe_code)]

use std::collections::HashMap;
use std::fmt::Write as _;
use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::ops::ControlFlow;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use serde::Serialize;

use crate::config::{Input, ScannerConfig, TreeForm};
use crate::database::Generation;
use crate::event::{Description, Event};
use crate::path::{ObjectPath, quote};
use crate::policy::{Action, Listener, Policy};
use crate::scan::{Job, scan};
use crate::stop::Cancel;
use crate::verdict::{Element, Exit, Summary};

/// Prints the tree of each file. The exit code is that of a scan.
///
/// # Errors
/// For people: what is no file or cannot be read, output that is not taken.
pub(super) fn tree(
    form: TreeForm,
    config: &ScannerConfig,
    current: &Generation,
) -> Result<Exit, String> {
    let policy = config.common.policy(Listener::Vfind);
    let mut out = BufWriter::new(io::stdout().lock());
    let mut exit = Exit::Clean;
    for input in &config.inputs {
        let Input::Path(path) = input else {
            return Err("--tree reads files, not standard input".to_owned());
        };
        let (tree, found) = Tree::of(path, config, current, &policy)?;
        exit = exit.max(found);
        let written = match form {
            TreeForm::Text => tree.text(&mut out),
            TreeForm::Json => tree.json(&mut out),
        };
        written.map_err(|error| format!("cannot write: {error}"))?;
    }
    out.flush()
        .map_err(|error| format!("cannot write: {error}"))?;
    Ok(exit)
}

/// The objects of one file, each behind what it is in.
#[derive(Default)]
struct Tree {
    nodes: Vec<Node>,
    /// The last member of this name in this object.
    last: HashMap<(usize, Vec<u8>), usize>,
}

/// One object, or the place of what could not be examined.
#[derive(Default)]
struct Node {
    name: Vec<u8>,
    description: Option<Description>,
    said: Vec<Said>,
    members: Vec<usize>,
}

/// What a scan says of an object.
#[derive(Serialize)]
struct Said {
    #[serde(skip)]
    word: Word,
    /// The signature, the reason or the kind of note.
    what: String,
    /// For people.
    detail: String,
    /// Of a gap, whether the policy passes it.
    #[serde(skip_serializing_if = "Option::is_none")]
    passes: Option<bool>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Word {
    Found,
    Gap,
    Note,
}

impl Tree {
    fn of(
        path: &Path,
        config: &ScannerConfig,
        current: &Generation,
        policy: &Policy,
    ) -> Result<(Self, Exit), String> {
        let problem = |error: io::Error| format!("{}: {error}", path.display());
        // Before it is opened: a pipe would wait for somebody who writes.
        if !path.metadata().map_err(problem)?.is_file() {
            return Err(format!("{}: --tree takes files alone", path.display()));
        }
        let file = File::open(path).map_err(problem)?;
        let root = ObjectPath::root(path.as_os_str().as_bytes().to_vec());
        let setup = &config.common.terms.setup;
        let mut job = Job::new(
            root.clone(),
            0,
            &config.options,
            setup,
            current.epoch.clone(),
        );
        job.describe = true;
        let mut tree = Self::default();
        let mut summary = Summary::new(root);
        let mut sink = |event: Event| {
            if let Some(finding) = summary.count(&event, policy) {
                summary.findings += 1;
                tree.take(Event::Finding(finding), policy);
            }
            tree.take(event, policy);
            ControlFlow::Continue(())
        };
        scan(file, &job, &current.database, &Cancel::default(), &mut sink);
        Ok((tree, summary.verdict().into()))
    }

    fn take(&mut self, event: Event, policy: &Policy) {
        match event {
            Event::Scanning(_) => {}
            Event::Described(description) => {
                let mut at = self.at(&description.path);
                if self
                    .nodes
                    .get(at)
                    .is_some_and(|node| node.description.is_some())
                {
                    // Another member of the same name.
                    at = self.add(&description.path);
                }
                if let Some(node) = self.nodes.get_mut(at) {
                    node.description = Some(description);
                }
            }
            Event::Finding(finding) => self.say(
                &finding.path,
                Word::Found,
                finding.signature.to_string(),
                finding.place_text(),
                None,
            ),
            Event::Gap(gap) => {
                let passes = policy.action(&gap.reason) == Action::Pass;
                self.say(
                    &gap.path,
                    Word::Gap,
                    gap.reason.to_string(),
                    gap.detail,
                    Some(passes),
                );
            }
            Event::Note(note) => {
                self.say(
                    &note.path,
                    Word::Note,
                    note.kind.to_string(),
                    note.detail,
                    None,
                );
            }
        }
    }

    fn say(
        &mut self,
        path: &ObjectPath,
        word: Word,
        what: String,
        detail: String,
        passes: Option<bool>,
    ) {
        let at = self.at(path);
        if let Some(node) = self.nodes.get_mut(at) {
            node.said.push(Said {
                word,
                what,
                detail,
                passes,
            });
        }
    }

    /// The last object of this path; one is made where there is none.
    fn at(&mut self, path: &ObjectPath) -> usize {
        match self.find(path.elements()) {
            Some(at) => at,
            None => self.add(path),
        }
    }

    fn find(&self, names: &[impl AsRef<[u8]>]) -> Option<usize> {
        let (_, inside) = names.split_first()?;
        let mut at = (!self.nodes.is_empty()).then_some(0)?;
        for name in inside {
            at = *self.last.get(&(at, name.as_ref().to_vec()))?;
        }
        Some(at)
    }

    /// Another object of this path, in the last one of each name on the way.
    fn add(&mut self, path: &ObjectPath) -> usize {
        let names = path.elements();
        let mut parent = None;
        for depth in 1..=names.len() {
            let (way, is_new) = (names.get(..depth).unwrap_or(names), depth == names.len());
            parent = match self.find(way).filter(|_| !is_new) {
                Some(known) => Some(known),
                None => Some(self.push(parent, way.last().map_or(&[], |name| name))),
            };
        }
        parent.unwrap_or_default()
    }

    fn push(&mut self, parent: Option<usize>, name: &[u8]) -> usize {
        let at = self.nodes.len();
        self.nodes.push(Node {
            name: name.to_vec(),
            ..Node::default()
        });
        if let Some(parent) = parent {
            self.last.insert((parent, name.to_vec()), at);
            if let Some(parent) = self.nodes.get_mut(parent) {
                parent.members.push(at);
            }
        }
        at
    }

    fn text(&self, out: &mut dyn Write) -> io::Result<()> {
        // Depth first without recursion: the next is on top.
        let mut open = vec![(0_usize, 0_usize)];
        while let Some((at, depth)) = open.pop() {
            let Some(node) = self.nodes.get(at) else {
                continue;
            };
            let mut line = vec![b' '; 2 * depth];
            quote(&node.name, &mut line);
            line.extend_from_slice(node.what().as_bytes());
            line.push(b'\n');
            out.write_all(&line)?;
            for said in &node.said {
                let text = match said.word {
                    Word::Found => format!("found: {}, {}", said.what, said.detail),
                    Word::Gap if said.passes == Some(true) => {
                        format!("not examined, passes: {}", said.joined())
                    }
                    Word::Gap => format!("not examined: {}", said.joined()),
                    Word::Note => format!("note: {}", said.joined()),
                };
                writeln!(out, "{:width$}{text}", "", width = 2 * depth + 2)?;
            }
            open.extend(node.members.iter().rev().map(|member| (*member, depth + 1)));
        }
        Ok(())
    }

    fn json(&self, out: &mut dyn Write) -> io::Result<()> {
        if let Some(root) = self.record(0) {
            serde_json::to_writer(&mut *out, &root)?;
        }
        out.write_all(b"\n")
    }

    /// Recursive as the tree is: as deep as containers may be nested.
    fn record(&self, at: usize) -> Option<Record<'_>> {
        let node = self.nodes.get(at)?;
        let said = |word: Word| node.said.iter().filter(|said| said.word == word).collect();
        Some(Record {
            name: Element::new(&node.name),
            file_type: node.description.as_ref().map(|one| &*one.file_type),
            bytes: node.description.as_ref().map(|one| one.bytes),
            opened: node.opened(),
            findings: said(Word::Found),
            gaps: said(Word::Gap),
            notes: said(Word::Note),
            members: node
                .members
                .iter()
                .filter_map(|member| self.record(*member))
                .collect(),
        })
    }
}

impl Node {
    fn opened(&self) -> &[String] {
        self.description.as_ref().map_or(&[], |one| &one.opened)
    }

    /// Type, size and how it is opened.
    fn what(&self) -> String {
        let Some(description) = &self.description else {
            return String::new();
        };
        let mut text = format!(": {}, {} bytes", description.file_type, description.bytes);
        if !self.opened().is_empty() {
            // Writing into a string does not fail.
            let _ = write!(text, ", opened as {}", self.opened().join(" and "));
        }
        text
    }
}

impl Said {
    fn joined(&self) -> String {
        match self.detail.is_empty() {
            true => self.what.clone(),
            false => format!("{}: {}", self.what, self.detail),
        }
    }
}

/// An object in JSON, after docs/vfind.md. Fields are only ever added.
#[derive(Serialize)]
struct Record<'t> {
    name: Element,
    #[serde(rename = "type")]
    file_type: Option<&'t str>,
    bytes: Option<u64>,
    opened: &'t [String],
    findings: Vec<&'t Said>,
    gaps: Vec<&'t Said>,
    notes: Vec<&'t Said>,
    members: Vec<Record<'t>>,
}
