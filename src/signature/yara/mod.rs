//! YARA's language: rules with strings and a condition, in files that may include others.
//!
//! Here a file is cut into its rules; what they mean is the engine's. Rules of one file, and of those that it includes, see
//! each other. Included files must be in the folder of the file that includes the others, or below it.
#![forbid(unsafe_code)]

mod split;

use std::collections::HashSet;
use std::io::{self, BufRead, Read};
use std::sync::Arc;

use super::excerpt::pointed;
use super::{Complaint, Format, Intake, Item, Notes, Remark, RemarkKind, Until};
use split::{Kind, Piece, split};

/// The most bytes of one file and of all that it includes.
const TEXT_LIMIT: u64 = 16 * 1024 * 1024;

/// The longest rule in bytes: the time to compile one grows faster than its text.
const RULE_LIMIT: usize = 1024 * 1024;

/// The most operators in a row of a condition: what is made of them is as deep, and is gone through by recursion.
const OPERATORS_LIMIT: usize = 1000;

/// The most strings in one file, and in all that it includes, that are `xor`: each is searched for in hundreds of forms.
const XORS_LIMIT: usize = 2000;

/// How deep files may include each other.
const DEPTH_LIMIT: usize = 16;

/// The most that one file includes, by others too and again.
const INCLUDES_LIMIT: usize = 10_000;

/// Rules in YARA's language.
#[derive(Debug)]
pub struct Yara;

/// One import or rule, to be compiled in the order of the source.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Part {
    /// The file whose rules see each other.
    pub namespace: Arc<str>,
    /// The file that it stands in.
    pub file: Arc<str>,
    /// The line that it begins in, from 1.
    pub line: u32,
    /// The column there, in bytes from 1.
    pub column: u32,
    /// It.
    pub text: String,
}

impl Format for Yara {
    fn name(&self) -> &'static str {
        "yara"
    }

    fn extensions(&self) -> &'static [&'static str] {
        &["yar", "yara"]
    }

    fn parse(&self, text: &mut dyn BufRead, source: &str, out: &mut dyn Intake) -> io::Result<()> {
        let notes = Notes { source };
        if !cfg!(feature = "yara") {
            notes.set_aside(out, Until::Never, "built without YARA");
            return Ok(());
        }
        let mut bytes = Vec::new();
        (&mut *text).take(TEXT_LIMIT + 1).read_to_end(&mut bytes)?;
        if bytes.len() as u64 > TEXT_LIMIT {
            notes.complain(
                out,
                1,
                "more than 16 MiB of rules in one file; make several",
            );
            return Ok(());
        }
        let mut reading = Reading {
            namespace: source.into(),
            left: TEXT_LIMIT - bytes.len() as u64,
            seen: HashSet::new(),
            includes: 0,
            xors: 0,
            out,
        };
        reading.file(&source.into(), &bytes, 0);
        Ok(())
    }
}

struct Reading<'a> {
    namespace: Arc<str>,
    /// Bytes that may still be included.
    left: u64,
    /// What has been included: a second time would only repeat each rule.
    seen: HashSet<String>,
    includes: usize,
    xors: usize,
    out: &'a mut dyn Intake,
}

impl Reading<'_> {
    fn file(&mut self, file: &Arc<str>, text: &[u8], depth: usize) {
        for piece in split(text) {
            if let Err(reason) = self.piece(file, &piece, depth) {
                let (line, reason) = placed(text, &piece, &reason);
                self.out.take(Item::Complaint(Complaint {
                    file: file.to_string(),
                    line,
                    reason,
                }));
            }
        }
    }

    fn piece(&mut self, file: &Arc<str>, piece: &Piece<'_>, depth: usize) -> Result<(), String> {
        match piece.kind {
            Kind::Rule if piece.open.is_some() => {
                Err("a string or expression that does not end in its line".to_owned())
            }
            Kind::Rule if piece.text.len() > RULE_LIMIT => {
                Err("a rule of more than 1 MiB; make several".to_owned())
            }
            Kind::Rule if piece.operators > OPERATORS_LIMIT => {
                Err("a row of more than 1,000 operators in a condition".to_owned())
            }
            Kind::Rule if self.xors.saturating_add(piece.xors) > XORS_LIMIT => {
                Err("more than 2,000 strings in one file are xor; make several".to_owned())
            }
            Kind::Import | Kind::Rule => {
                self.xors += piece.xors;
                if piece.jump > 0 {
                    let reason = match piece.jump {
                        usize::MAX => "a jump without a bound".to_owned(),
                        bytes => format!("a jump of up to {bytes} bytes"),
                    };
                    self.out.take(Item::Remark(Remark {
                        file: file.to_string(),
                        line: piece.line,
                        kind: RemarkKind::Warning(format!(
                            "{reason}: its string is found only as far as 4,096 bytes reach"
                        )),
                    }));
                }
                let text = std::str::from_utf8(piece.text);
                let text = text.map_err(|_| "the rule is not in UTF-8".to_owned())?;
                self.out.take(Item::Yara(Part {
                    namespace: self.namespace.clone(),
                    file: file.clone(),
                    line: piece.line,
                    column: piece.column,
                    text: text.to_owned(),
                }));
                Ok(())
            }
            Kind::Include(name) => self.include(file, name, depth),
            Kind::Unknown => Err(left_out("neither a rule nor an import or include", piece)),
            Kind::Endless if piece.open.is_some() => Err(left_out(
                "a string or expression that does not end in its line, and so the rule does not end",
                piece,
            )),
            Kind::Endless => Err(left_out("the rule does not end", piece)),
            Kind::Comment => Err(left_out("a comment from here on does not end", piece)),
        }
    }

    fn include(&mut self, file: &str, name: &[u8], depth: usize) -> Result<(), String> {
        if depth == DEPTH_LIMIT || self.includes == INCLUDES_LIMIT {
            return Err("too many files include each other".to_owned());
        }
        self.includes += 1;
        let name = std::str::from_utf8(name).map_err(|_| "the name is not in UTF-8")?;
        let (found, text) = self
            .out
            .beside(file, name, self.left)
            .map_err(|reason| format!("cannot include {name}: {reason}"))?;
        self.left = self.left.saturating_sub(text.len() as u64);
        if found != *self.namespace && self.seen.insert(found.clone()) {
            self.file(&found.into(), &text, depth + 1);
        }
        Ok(())
    }
}

/// The reason, and what is left out for it: nobody can tell whether rules stand there.
fn left_out(reason: &str, piece: &Piece<'_>) -> String {
    let first = piece.line;
    match piece.last_line {
        None => format!("{reason}; everything from line {first} on is left out"),
        Some(last) if last > first => format!("{reason}; lines {first} to {last} are left out"),
        Some(_) => format!("{reason}; line {first} is left out"),
    }
}

/// The line and the reason with the place in it: where a string is open, else where the piece begins.
fn placed(text: &[u8], piece: &Piece<'_>, reason: &str) -> (u32, String) {
    let column = (piece.column as usize).saturating_sub(1);
    let (line, start, at) = match piece.open {
        Some(open) => (open.line, open.line_start, open.at),
        None => (piece.line, piece.at.saturating_sub(column), piece.at),
    };
    let at = at.saturating_sub(start);
    let shown = text.get(start..).unwrap_or(&[]);
    (line, pointed(shown, at, at + 1, reason))
}

#[cfg(all(test, feature = "yara"))]
mod tests {
    use super::*;
    use std::collections::HashMap;

    /// Files in memory.
    #[derive(Default)]
    struct Folder {
        files: HashMap<&'static str, &'static str>,
        parts: Vec<(String, u32, String)>,
        complaints: Vec<String>,
    }

    impl Intake for Folder {
        fn take(&mut self, item: Item) {
            match item {
                Item::Yara(part) => {
                    assert_eq!(&*part.namespace, "a.yar");
                    self.parts
                        .push((part.file.to_string(), part.line, part.text));
                }
                Item::Complaint(complaint) => self.complaints.push(complaint.to_string()),
                Item::Remark(Remark {
                    line,
                    kind: RemarkKind::Warning(warning),
                    ..
                }) => self.complaints.push(format!("{line}: {warning}")),
                other => panic!("{other:?}"),
            }
        }

        fn beside(&mut self, _: &str, name: &str, limit: u64) -> Result<(String, Vec<u8>), String> {
            let text = self.files.get(name).ok_or("no such file")?;
            assert!(text.len() as u64 <= limit);
            Ok((name.to_owned(), text.as_bytes().to_vec()))
        }
    }

    #[test]
    fn included_rules_stand_where_they_are_included_and_each_file_once() {
        let mut folder = Folder {
            files: HashMap::from([
                ("b.yar", "include \"a.yar\"\nrule b { condition: a }"),
                ("a.yar", ""),
            ]),
            ..Folder::default()
        };
        let text =
            "rule a { condition: true }\ninclude \"b.yar\" include \"b.yar\"\ninclude \"c.yar\"\n?";
        Yara.parse(&mut text.as_bytes(), "a.yar", &mut folder)
            .unwrap();
        let expected = [
            (
                "a.yar".to_owned(),
                1,
                "rule a { condition: true }".to_owned(),
            ),
            ("b.yar".to_owned(), 2, "rule b { condition: a }".to_owned()),
        ];
        assert_eq!(folder.parts, expected);
        let expected = [
            "a.yar:3: column 1: cannot include c.yar: no such file",
            "a.yar:4: column 1: neither a rule nor an import or include; everything from line 4 on is left out",
        ];
        let said: Vec<_> = folder.complaints.iter().map(|one| first(one)).collect();
        assert_eq!(said, expected);
    }

    #[test]
    fn what_costs_more_than_its_bytes_is_refused_with_a_reason() {
        let xors = "$ = \"abcd\" xor ".repeat(1500);
        let rows = [
            (
                format!("rule a {{ condition: {}1 > 0 }}", "-".repeat(2000)),
                "a.yar:1: column 1: a row of more than 1,000 operators in a condition",
            ),
            (
                format!("rule a {{ strings: {xors} }} rule b {{ strings: {xors} }}"),
                "a.yar:1: column 22522: more than 2,000 strings in one file are xor; make several",
            ),
            (
                "include \"a.yar\" ".repeat(INCLUDES_LIMIT + 1),
                "a.yar:1: column 160001: too many files include each other",
            ),
            (
                "rule a { strings: $ = { 41 [-] 42 } condition: any of them }".to_owned(),
                "1: a jump without a bound: its string is found only as far as 4,096 bytes reach",
            ),
            (
                "/* rule".to_owned(),
                "a.yar:1: column 1: a comment from here on does not end; everything from line 1 on is left out",
            ),
        ];
        for (text, expected) in rows {
            let mut folder = Folder {
                files: HashMap::from([("a.yar", "")]),
                ..Folder::default()
            };
            Yara.parse(&mut text.as_bytes(), "a.yar", &mut folder)
                .unwrap();
            let said: Vec<_> = folder.complaints.iter().map(|one| first(one)).collect();
            assert_eq!(said, [expected]);
        }
    }

    /// The first line of a complaint.
    fn first(complaint: &str) -> &str {
        complaint.lines().next().unwrap()
    }

    #[test]
    fn what_does_not_end_takes_no_more_with_it_than_must_be() {
        let rows: [(&str, &[&str], &str); 6] = [
            (
                "rule a { strings: $a = \"abc condition: $a }\nrule b { condition: true }\n",
                &["rule b { condition: true }"],
                "a.yar:1: column 24: a string or expression that does not end in its line, and so the rule does not end; line 1 is left out\n    rule a { strings: $a = \"abc condition: $a }\n                           ^",
            ),
            (
                "rule a {\n strings:\n  $a = /abc\n condition: $a\n}\nrule b { condition: true }\n",
                &["rule b { condition: true }"],
                "a.yar:3: column 8: a string or expression that does not end in its line\n      $a = /abc\n           ^",
            ),
            (
                "rule a {\n condition: true\n\n/*\nrule c { condition: true }\n*/\nprivate rule b { condition: true }\n",
                &["private rule b { condition: true }"],
                "a.yar:1: column 1: the rule does not end; lines 1 to 6 are left out\n    rule a {\n    ^",
            ),
            (
                "rule b { condition: true }\nrule a {\n condition: true\n",
                &["rule b { condition: true }"],
                "a.yar:2: column 1: the rule does not end; everything from line 2 on is left out\n    rule a {\n    ^",
            ),
            (
                "rule b { condition: true } /*\nrule a {\n condition: true }\n",
                &["rule b { condition: true }"],
                "a.yar:1: column 27: a comment from here on does not end; everything from line 1 on is left out\n    rule b { condition: true } /*\n                              ^",
            ),
            (
                "what\nis\nrule b { condition: true }",
                &["rule b { condition: true }"],
                "a.yar:1: column 1: neither a rule nor an import or include; lines 1 to 2 are left out\n    what\n    ^",
            ),
        ];
        for (text, rules, complaint) in rows {
            let mut folder = Folder::default();
            Yara.parse(&mut text.as_bytes(), "a.yar", &mut folder)
                .unwrap();
            let found: Vec<_> = folder.parts.iter().map(|(_, _, text)| &**text).collect();
            assert_eq!(found, rules, "{text}");
            assert_eq!(folder.complaints, [complaint], "{text}");
        }
    }

    #[test]
    fn what_is_too_large_is_refused_alone() {
        let long = format!("rule b {{ strings: $a = \"{}\" }}", "a".repeat(RULE_LIMIT));
        let text = format!("rule a {{}}\n{long}\nrule c {{}}");
        let mut folder = Folder::default();
        Yara.parse(&mut text.as_bytes(), "a.yar", &mut folder)
            .unwrap();
        assert_eq!(folder.parts.len(), 2);
        let expected = "a.yar:2: column 1: a rule of more than 1 MiB; make several";
        assert_eq!(first(&folder.complaints[0]), expected);
        let mut folder = Folder::default();
        let large = vec![b' '; TEXT_LIMIT as usize + 1];
        Yara.parse(&mut large.as_slice(), "a.yar", &mut folder)
            .unwrap();
        assert_eq!(folder.complaints.len(), 1);
    }
}
