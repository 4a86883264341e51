//! Rules in YARA's language, compiled and run by the crate `boreal`.
//!
//! The section of an image holds the texts of the rules that compile, and opening it compiles them once more: the crate's own
//! serialised form keeps its automata out, so that reading it is hardly faster, and its version 1.4 loses all rules after
//! the first 1,024.
#![forbid(unsafe_code)]

use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use boreal::compiler::{AddRuleError, CompilerParams};
use boreal::scanner::{CallbackEvents, ScanCallbackResult, ScanEvent, ScanParams};
use bytes::Bytes;

use crate::abandon;
use crate::event::Place;
use crate::signature::Complaint;
use crate::signature::excerpt::pointed;
use crate::signature::yara::Part;

/// The most matches of one string that are kept: each takes memory, and content may be made of nothing else.
const MATCHES_LIMIT: u32 = 10_000;

/// The most strings of one rule.
const STRINGS_LIMIT: usize = 10_000;

/// How long after its time a scan may come to its own end.
const GRACE: Duration = Duration::from_millis(500);

/// The longest reason of a complaint, in characters.
const REASON_LIMIT: usize = 300;

/// What rules may ask about an object besides its content.
const VARIABLES: &[&str] = &["filename", "filepath", "extension", "filetype", "owner"];

/// Those of them that come from its name.
const NAMES: &[&str] = &["filename", "filepath", "extension"];

/// Takes parts and makes one machine of them.
#[derive(Debug)]
pub struct Compiler {
    rules: boreal::Compiler,
    /// The namespaces and texts of what compiles.
    texts: Vec<(String, String)>,
    count: u32,
    /// Rules that more matches of a string than are kept could make true or false.
    counting: Vec<(String, String)>,
    slow: Vec<Complaint>,
}

impl Default for Compiler {
    fn default() -> Self {
        let mut rules = boreal::compiler::CompilerBuilder::new()
            // Rules that print are rules all the same; what they print goes nowhere.
            .add_module(silent())
            .build();
        rules.set_params(
            CompilerParams::default()
                .disable_includes(true)
                .compute_statistics(true)
                .max_strings_per_rule(STRINGS_LIMIT),
        );
        for variable in VARIABLES {
            rules.define_symbol(variable, "");
        }
        Self {
            rules,
            texts: Vec::new(),
            count: 0,
            counting: Vec::new(),
            slow: Vec::new(),
        }
    }
}

fn silent() -> boreal::module::Console {
    boreal::module::Console::with_callback(|_| {})
}

impl Compiler {
    /// Adds a part to those before it, and gives the name of the rule if it is one that can be reported.
    ///
    /// # Errors
    /// What is wrong with it and where; it is left out then.
    pub fn add(&mut self, part: &Part) -> Result<Option<String>, Complaint> {
        let added = self
            .rules
            .add_rules_str_in_namespace(&part.text, &*part.namespace);
        let status = added.map_err(|error| complaint(part, &error))?;
        let namespace = part.namespace.to_string();
        self.texts.push((namespace, part.text.clone()));
        let mut name = None;
        for rule in status.statistics() {
            let mut words = part
                .text
                .split_ascii_whitespace()
                .take_while(|word| *word != "rule");
            if !words.any(|word| word.contains("private")) {
                name = Some(rule.name.to_string());
            }
            self.count = self.count.saturating_add(1);
            if counts(&part.text) {
                let key = (part.namespace.to_string(), rule.name.to_string());
                self.counting.push(key);
            }
            for string in &rule.strings {
                let shortest = string.atoms.iter().map(Vec::len).min();
                let reason = match shortest {
                    _ if string.matching_algo == "Raw" => "no bytes",
                    Some(0 | 1) => "less than two bytes",
                    _ => continue,
                };
                self.slow.push(Complaint {
                    file: part.file.to_string(),
                    line: part.line,
                    reason: format!(
                        "YARA {} is slow: ${} has {reason} to search for",
                        rule.name, string.name
                    ),
                });
            }
        }
        Ok(name)
    }

    /// The number of rules so far, private ones too.
    pub fn count(&self) -> u32 {
        self.count
    }

    /// The strings that have to be tried at each byte of each content, in the order of the sources.
    pub fn slow(&self) -> &[Complaint] {
        &self.slow
    }

    /// The bytes that [`Rules::open`] takes.
    ///
    /// # Errors
    /// More than can be written; the text is for people.
    pub fn finish(self) -> Result<Vec<u8>, String> {
        postcard::to_stdvec(&self.texts).map_err(|error| error.to_string())
    }
}

/// Tells whether a rule's text speaks of the number or the places of matches: `#a`, `@a`, `!a`, `$a at`, `$a in`.
fn counts(text: &str) -> bool {
    let condition = text.rsplit("condition").next().unwrap_or(text);
    let words = condition.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
    condition.contains(['#', '@', '!']) || words.into_iter().any(|word| matches!(word, "at" | "in"))
}

/// What the crate says of a part, with the place in the file.
fn complaint(part: &Part, error: &AddRuleError) -> Complaint {
    let said = error.to_diagnostic();
    let first = said.labels.iter().min_by_key(|label| label.range.start);
    let at = first.map_or(0, |label| label.range.start);
    let before = part.text.as_bytes().get(..at).unwrap_or(&[]);
    let lines = before.iter().filter(|byte| **byte == b'\n').count();
    let in_line = before.rsplit(|byte| *byte == b'\n').next();
    let in_line = u32::try_from(in_line.map_or(0, <[u8]>::len)).unwrap_or(u32::MAX);
    let column = match lines {
        0 => part.column.saturating_add(in_line),
        _ => in_line.saturating_add(1),
    } as usize;
    let line_start = before.len().saturating_sub(in_line as usize);
    let line = part.text.as_bytes().get(line_start..).unwrap_or(&[]);
    let details = said.labels.iter().map(|label| label.message.as_str());
    let details: Vec<_> = details.filter(|detail| !detail.is_empty()).collect();
    let mut reason = said.message.clone();
    if !details.is_empty() {
        reason = format!("{reason} ({})", details.join(", "));
    }
    // It may quote the source.
    let reason = reason.lines().next().unwrap_or_default();
    let reason: String = reason.chars().take(REASON_LIMIT).collect();
    Complaint {
        file: part.file.to_string(),
        line: part
            .line
            .saturating_add(u32::try_from(lines).unwrap_or(u32::MAX)),
        reason: pointed(line, in_line as usize, column, &reason),
    }
}

/// Compiled rules; immutable, shared by threads.
#[derive(Debug)]
pub struct Rules {
    scanner: boreal::Scanner,
    counting: Arc<HashSet<(String, String)>>,
    needs_names: bool,
}

/// What rules are told of an object.
#[derive(Debug, Clone, Copy, Default)]
pub struct About<'a> {
    /// Its path, as far as known: that of the file, or of the member within its container.
    pub path: &'a [u8],
    /// Its type in words.
    pub file_type: &'a [u8],
}

/// What rules say of an object.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Outcome {
    /// The rules that hold, in the order of the sources with global rules first; `place` is the end of the first string
    /// that matches.
    pub findings: Vec<(String, Place)>,
    /// A rule that more matches of a string than are kept could have made hold.
    pub overflow: Option<String>,
    /// The time was over before all rules were evaluated.
    pub timeout: bool,
}

impl Rules {
    /// Opens what [`Compiler::finish`] made.
    ///
    /// # Errors
    /// Why it is not that; the text is for people.
    pub fn open(bytes: &[u8]) -> Result<Self, String> {
        let texts: Vec<(String, String)> =
            postcard::from_bytes(bytes).map_err(|error| error.to_string())?;
        let mut compiler = Compiler::default();
        let names = |text: &str| NAMES.iter().any(|variable| text.contains(variable));
        let needs_names = texts.iter().any(|(_, text)| names(text));
        for (namespace, text) in texts {
            let part = Part {
                namespace: namespace.into(),
                file: "".into(),
                line: 1,
                column: 1,
                text,
            };
            let added = compiler.add(&part);
            added.map_err(|complaint| complaint.reason)?;
        }
        Ok(Self {
            scanner: compiler.rules.finalize(),
            counting: Arc::new(compiler.counting.into_iter().collect()),
            needs_names,
        })
    }

    /// Tells whether a rule has one of the words for the name of an object, be it in a text.
    pub fn needs_names(&self) -> bool {
        self.needs_names
    }

    /// The names of the rules that can be reported.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        let all = self.scanner.rules();
        all.filter(|rule| !rule.is_private).map(|rule| rule.name)
    }

    /// Evaluates all rules on a content, or a window of it, within `left`: the crate looks at the clock now and then, and what
    /// does not end all the same is left behind.
    pub fn scan(&self, content: &Bytes, about: About<'_>, left: Option<Duration>) -> Outcome {
        let scanner = self.scanner(about, left);
        let Some(left) = left else {
            let outcome = Mutex::default();
            run(&scanner, content, &outcome, &self.counting);
            return outcome.into_inner().unwrap_or_else(PoisonError::into_inner);
        };
        let outcome = Arc::new(Mutex::new(Outcome::default()));
        let (content, counting) = (content.clone(), Arc::clone(&self.counting));
        let shared = Arc::clone(&outcome);
        let ended = abandon::within(left.saturating_add(GRACE), move || {
            run(&scanner, &content, &shared, &counting);
        });
        let mut outcome = outcome.lock().unwrap_or_else(PoisonError::into_inner);
        outcome.timeout |= ended.is_none();
        std::mem::take(&mut outcome)
    }

    fn scanner(&self, about: About<'_>, left: Option<Duration>) -> boreal::Scanner {
        let mut scanner = self.scanner.clone();
        scanner.set_scan_params(
            ScanParams::default()
                .match_max_length(0)
                .string_max_nb_matches(MATCHES_LIMIT)
                .timeout_duration(left)
                .callback_events(
                    CallbackEvents::RULE_MATCH | CallbackEvents::STRING_REACHED_MATCH_LIMIT,
                ),
        );
        let name = about.path.rsplit(|byte| *byte == b'/').next();
        let name = name.unwrap_or(about.path);
        let extension = name.iter().rposition(|byte| *byte == b'.');
        let extension = extension.and_then(|dot| name.get(dot..)).unwrap_or(b"");
        let values = [name, about.path, extension, about.file_type, b""];
        for (variable, value) in VARIABLES.iter().zip(values) {
            // All of them were defined when the rules were compiled.
            let _ = scanner.define_symbol(variable, value);
        }
        scanner
    }
}

/// Scans, and keeps what is found as soon as it is.
fn run(
    scanner: &boreal::Scanner,
    content: &[u8],
    outcome: &Mutex<Outcome>,
    counting: &HashSet<(String, String)>,
) {
    let outcome = || outcome.lock().unwrap_or_else(PoisonError::into_inner);
    let mut full: Vec<(&str, &str)> = Vec::new();
    let mut held: HashSet<(&str, &str)> = HashSet::new();
    let ended = scanner.scan_mem_with_callback(content, |event| {
        match event {
            ScanEvent::RuleMatch(rule) => {
                let ends = rule.matches.iter().flat_map(|string| &string.matches);
                let end = ends.map(|found| (found.base + found.offset + found.length) as u64);
                let place = end.min().map_or(Place::Absence, Place::End);
                outcome().findings.push((rule.name.to_owned(), place));
                held.insert((rule.namespace, rule.name));
            }
            ScanEvent::StringReachedMatchLimit(string) => {
                full.push((string.rule_namespace, string.rule_name));
            }
            _ => {}
        }
        ScanCallbackResult::Continue
    });
    let missed = full.into_iter().find(|(namespace, name)| {
        let key = ((*namespace).to_owned(), (*name).to_owned());
        !held.contains(&(*namespace, *name)) && counting.contains(&key)
    });
    let mut outcome = outcome();
    // Nobody aborts it, so its time was over; whatever else it may become, not all was examined.
    outcome.timeout = ended.is_err();
    outcome.overflow = missed.map(|(_, name)| name.to_owned());
}

#[cfg(test)]
mod tests {
    use super::*;

    fn part(line: u32, text: &str) -> Part {
        Part {
            namespace: "a.yar".into(),
            file: "b.yar".into(),
            line,
            column: 3,
            text: text.to_owned(),
        }
    }

    fn rules(texts: &[&str]) -> Rules {
        let mut compiler = Compiler::default();
        for text in texts {
            compiler.add(&part(1, text)).unwrap();
        }
        Rules::open(&compiler.finish().unwrap()).unwrap()
    }

    #[test]
    fn rules_hold_where_yara_says_so() {
        let rules = rules(&[
            r#"import "console" import "hash""#,
            r#"private rule hidden { strings: $a = "xyz" condition: $a }"#,
            r#"rule one { strings: $b = "needle" $a = "hay" condition: any of them }"#,
            r#"rule two { condition: hidden and console.log("no") }"#,
            r#"rule three { condition: extension == ".exe" and filename == "b.exe" and filetype contains "PE" and filepath startswith "/a/" }"#,
            r#"rule four { condition: hash.md5(0, filesize) == "x" }"#,
        ]);
        let names: Vec<_> = rules.names().collect();
        assert_eq!(names, ["one", "two", "three", "four"]);
        let about = About {
            path: b"/a/b.exe",
            file_type: b"PE32",
        };
        let found = rules.scan(&Bytes::from_static(b"hay, needle, xyz"), about, None);
        let expected = [
            ("one".to_owned(), Place::End(3)),
            ("two".to_owned(), Place::Absence),
            ("three".to_owned(), Place::Absence),
        ];
        assert_eq!(found.findings, expected);
        assert!(!found.timeout && found.overflow.is_none());
        let none = rules.scan(&Bytes::from_static(b"nothing"), About::default(), None);
        assert_eq!(none, Outcome::default());
    }

    #[test]
    fn a_mistake_is_named_with_its_place_and_the_others_stay() {
        let mut compiler = Compiler::default();
        let rows = [
            (
                "rule a { condition: nothing }",
                10,
                "column 23: unknown identifier \"nothing\"",
            ),
            (
                "rule b {\n condition: 1 + \"a\" }",
                11,
                "column 13: expressions have invalid types",
            ),
            ("rule c { strings: $a = /a(/ condition: $a }", 10, "column "),
            ("import \"cuckoo\"", 10, "column 3: unknown import cuckoo"),
            (
                "rule d { strings: $a = /(a{1000}){1000}/ condition: $a }",
                10,
                "column ",
            ),
        ];
        for (text, line, reason) in rows {
            let complaint = compiler.add(&part(10, text)).unwrap_err();
            assert_eq!(
                (&*complaint.file, complaint.line),
                ("b.yar", line),
                "{complaint}"
            );
            assert!(complaint.reason.starts_with(reason), "{}", complaint.reason);
        }
        compiler
            .add(&part(1, "rule e { condition: true }"))
            .unwrap();
        compiler.add(&part(1, "rule f { condition: e }")).unwrap();
        assert_eq!(compiler.count(), 2);
        let rules = Rules::open(&compiler.finish().unwrap()).unwrap();
        assert_eq!(rules.names().collect::<Vec<_>>(), ["e", "f"]);
    }

    #[test]
    fn strings_that_every_byte_is_tried_for_are_named() {
        let mut compiler = Compiler::default();
        let text = r#"rule slow { strings: $good = "abcdef" $a = /[a-z]+/ $b = "x" condition: any of them }"#;
        compiler.add(&part(7, text)).unwrap();
        let slow: Vec<_> = compiler.slow().iter().map(ToString::to_string).collect();
        let expected = [
            "b.yar:7: YARA slow is slow: $a has no bytes to search for",
            "b.yar:7: YARA slow is slow: $b has less than two bytes to search for",
        ];
        assert_eq!(slow, expected);
    }

    #[test]
    fn more_matches_than_are_kept_are_said_where_they_could_matter() {
        let text = |condition: &str| {
            format!("rule a {{ strings: $a = \"ab\" $b = \"zz\" condition: {condition} }}")
        };
        let content = b"ab".repeat(20_000);
        for (condition, held, overflow) in [
            ("$a and $b", false, false),
            ("#a > 5 and not $b", true, false),
            ("#a > 15000 and not $b", false, true),
            ("$a at 39998 or $b", false, true),
        ] {
            let outcome =
                rules(&[&text(condition)]).scan(&content.clone().into(), About::default(), None);
            assert_eq!(!outcome.findings.is_empty(), held, "{condition}");
            assert_eq!(outcome.overflow.is_some(), overflow, "{condition}");
        }
    }

    #[test]
    fn the_last_of_many_rules_holds_as_the_first() {
        let mut compiler = Compiler::default();
        for number in 0..3000 {
            let text =
                format!("rule r{number} {{ strings: $a = \"word{number}.\" condition: $a }}");
            compiler.add(&part(number + 1, &text)).unwrap();
        }
        let rules = Rules::open(&compiler.finish().unwrap()).unwrap();
        assert_eq!(rules.names().count(), 3000);
        for number in [0, 1023, 1024, 2999] {
            let content = format!("word{number}.");
            let outcome = rules.scan(&Bytes::from(content.clone()), About::default(), None);
            let found: Vec<_> = outcome.findings.into_iter().map(|(name, _)| name).collect();
            assert_eq!(found, [format!("r{number}")]);
        }
    }

    #[test]
    fn a_scan_ends_when_its_time_is_over() {
        let rules = rules(&[r#"rule a { condition: for all i in (1..100000000) : (i != 0) }"#]);
        let outcome = rules.scan(&Bytes::new(), About::default(), Some(Duration::ZERO));
        assert!(outcome.timeout);
    }

    #[test]
    fn bytes_that_are_no_rules_are_refused() {
        assert!(Rules::open(b"").is_err());
        assert!(Rules::open(b"\x01\x01a\x04what").is_err());
    }
}
