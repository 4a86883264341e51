//! CVDL, the virus description language of CyberSoft's vfind: `:NAME, "abc" AND NOT ~"def", \x00 #`.
//!
//! This is its first part: byte sequences and logic. Every other construct of the language is recognised, and a rule
//! that uses one is a complaint that names it. After an error the rest of the file loads, from behind the rule's `#`
//! or from the next line that starts with `:`.
//!
//! ```text
//! or       = xor *( OR xor )              not      = NOT not | sequence
//! xor      = and *( XOR and )             sequence = item *( "," item )
//! and      = not *( AND not )             item     = STRING | "~" STRING | BYTE | "(" or ")"
//! ```
#![forbid(unsafe_code)]

mod lexer;

use std::io::{self, BufRead, Read};

use super::condition::Condition;
use super::pattern::{Builder, Pattern};
use super::rule::Rule;
use super::{Format, Intake, Item, Meaning, Notes, Signature, named};
use crate::event::EngineWord;
use lexer::{DEFINE, Kind, Lexer, Token};

/// The row of CVDL.
#[derive(Debug)]
pub struct Cvdl;

impl Format for Cvdl {
    fn name(&self) -> &'static str {
        "cvdl"
    }

    fn extensions(&self) -> &'static [&'static str] {
        &["cvdl", "vdl"]
    }

    fn parse(&self, text: &mut dyn BufRead, source: &str, out: &mut dyn Intake) -> io::Result<()> {
        let notes = Notes { source };
        let mut whole = Vec::new();
        text.take(TEXT_LIMIT + 1).read_to_end(&mut whole)?;
        if whole.len() as u64 > TEXT_LIMIT {
            notes.complain(out, 1, "a CVDL file of more than 64 MiB");
            return Ok(());
        }
        let mut parser = Parser::new(&whole);
        while let Some(rule) = parser.next_rule() {
            match rule {
                Ok(signature) => out.take(Item::Signature(signature)),
                Err(flaw) => notes.complain(out, flaw.line, flaw.reason),
            }
        }
        Ok(())
    }
}

/// The largest file in bytes; people write them.
const TEXT_LIMIT: u64 = 64 * 1024 * 1024;

/// Parentheses and NOTs inside each other. Each costs stack here and in every evaluation; people nest a handful.
const DEPTH_LIMIT: u32 = 64;

/// Why something is not understood, and where.
struct Flaw {
    line: u32,
    reason: String,
}

/// A part of a rule: as long as it is a mere sequence, a comma may still make it longer.
enum Term {
    Condition(Condition),
    Sequence(Vec<Piece>),
}

/// Bytes, and whether letters match in either case.
type Piece = (Vec<u8>, bool);

struct Parser<'t> {
    lexer: Lexer<'t>,
    /// A token that was looked at and is still to be taken.
    ahead: Option<Token>,
    depth: u32,
    /// The line of the rule's colon.
    start: u32,
    patterns: Vec<Pattern>,
}

impl<'t> Parser<'t> {
    fn new(text: &'t [u8]) -> Self {
        Self {
            lexer: Lexer::new(text),
            ahead: None,
            depth: 0,
            start: 1,
            patterns: Vec::new(),
        }
    }

    /// The next rule or what stands in its place; `None` at the end of the file.
    fn next_rule(&mut self) -> Option<Result<Signature, Flaw>> {
        let token = self.take();
        let flaw = match &token.kind {
            Kind::End => return None,
            Kind::Colon => return Some(self.recovering_rule(token.line)),
            Kind::Less => {
                self.skip_past(&[Kind::Greater, Kind::Hash]);
                Flaw::at(&token, not_yet("`<types>` (a restriction to file types)"))
            }
            Kind::NotYet(DEFINE) => Flaw::at(&token, not_yet(DEFINE)),
            other => {
                let reason = format!("{}, outside of any rule", unexpected(other));
                let flaw = Flaw::at(&token, reason);
                self.ahead = Some(token);
                self.skip_past(&[Kind::Hash]);
                flaw
            }
        };
        Some(Err(flaw))
    }

    fn recovering_rule(&mut self, line: u32) -> Result<Signature, Flaw> {
        self.start = line;
        self.depth = 0;
        self.patterns.clear();
        let rule = self.rule();
        if rule.is_err() {
            self.skip_past(&[Kind::Hash]);
        }
        rule
    }

    /// Leaves behind everything up to one of these tokens, or up to a line that starts a rule.
    fn skip_past(&mut self, ends: &[Kind]) {
        loop {
            let token = self.take();
            if token.kind == Kind::End || ends.contains(&token.kind) {
                return;
            }
            if token.kind == Kind::Colon && token.leads {
                self.ahead = Some(token);
                return;
            }
        }
    }

    /// A rule, after its colon.
    fn rule(&mut self) -> Result<Signature, Flaw> {
        let line = self.start;
        let flaw = |reason: String| Flaw { line, reason };
        let name = self
            .lexer
            .name()
            .map_err(|reason| flaw(reason.to_owned()))?;
        let name = named(EngineWord::Cvdl, name).map_err(flaw)?;
        let term = self.or()?;
        self.expect(&Kind::Hash)?;
        let condition = self.settle(term)?;
        let patterns = std::mem::take(&mut self.patterns);
        Ok(Signature {
            name,
            meaning: Meaning::Rule(Rule::anywhere(patterns, condition)),
        })
    }

    fn or(&mut self) -> Result<Term, Flaw> {
        self.chain(&Kind::Or, Self::xor, Condition::Or)
    }

    fn xor(&mut self) -> Result<Term, Flaw> {
        self.chain(&Kind::Xor, Self::and, Condition::Xor)
    }

    fn and(&mut self) -> Result<Term, Flaw> {
        self.chain(&Kind::And, Self::not, Condition::And)
    }

    fn chain(
        &mut self,
        operator: &Kind,
        operand: fn(&mut Self) -> Result<Term, Flaw>,
        join: fn(Vec<Condition>) -> Condition,
    ) -> Result<Term, Flaw> {
        let first = operand(self)?;
        if !self.accept(operator) {
            return Ok(first);
        }
        let mut operands = vec![self.settle(first)?];
        loop {
            let next = operand(self)?;
            operands.push(self.settle(next)?);
            if !self.accept(operator) {
                return Ok(Term::Condition(join(operands)));
            }
        }
    }

    fn not(&mut self) -> Result<Term, Flaw> {
        if !self.accept(&Kind::Not) {
            return self.sequence();
        }
        let inner = self.deeper(Self::not)?;
        let inner = self.settle(inner)?;
        Ok(Term::Condition(Condition::Not(Box::new(inner))))
    }

    fn sequence(&mut self) -> Result<Term, Flaw> {
        let mut term = self.item()?;
        while self.peek().kind == Kind::Comma {
            let comma = self.take();
            let next = self.item()?;
            let (Term::Sequence(mut first), Term::Sequence(next)) = (term, next) else {
                return Err(Flaw::at(&comma, "a condition cannot be part of a sequence"));
            };
            first.extend(next);
            term = Term::Sequence(first);
        }
        Ok(term)
    }

    fn item(&mut self) -> Result<Term, Flaw> {
        let token = self.take();
        let piece = match &token.kind {
            Kind::Byte(byte) => (vec![*byte], false),
            Kind::Open => {
                let inner = self.deeper(Self::or)?;
                self.expect(&Kind::Close)?;
                return Ok(inner);
            }
            Kind::Text(text) => (text.clone(), false),
            Kind::Tilde => (self.caseless_text()?, true),
            _ => return Err(self.refuse(token)),
        };
        Ok(Term::Sequence(vec![piece]))
    }

    /// The string after a `~`.
    fn caseless_text(&mut self) -> Result<Vec<u8>, Flaw> {
        let token = self.take();
        match &token.kind {
            Kind::Text(text) => Ok(text.clone()),
            _ => Err(self.refuse(token)),
        }
    }

    fn deeper(&mut self, inner: fn(&mut Self) -> Result<Term, Flaw>) -> Result<Term, Flaw> {
        if self.depth == DEPTH_LIMIT {
            let reason = format!("nested more than {DEPTH_LIMIT} deep");
            return Err(Flaw::at(self.peek(), reason));
        }
        self.depth += 1;
        let term = inner(self)?;
        self.depth -= 1;
        Ok(term)
    }

    /// Makes a condition of a term that no comma can follow any more.
    fn settle(&mut self, term: Term) -> Result<Condition, Flaw> {
        let pieces = match term {
            Term::Condition(condition) => return Ok(condition),
            Term::Sequence(pieces) => pieces,
        };
        let mut builder = Builder::default();
        for (bytes, caseless) in pieces {
            builder.bytes(&bytes, caseless);
        }
        let line = self.start;
        let pattern = builder.finish(None).map_err(|why| Flaw {
            line,
            reason: why.to_string(),
        })?;
        self.patterns.push(pattern);
        Ok(Condition::Test(self.patterns.len() - 1))
    }

    fn expect(&mut self, kind: &Kind) -> Result<(), Flaw> {
        let token = self.take();
        match token.kind == *kind {
            true => Ok(()),
            false => Err(self.refuse(token)),
        }
    }

    fn accept(&mut self, kind: &Kind) -> bool {
        let there = self.peek().kind == *kind;
        if there {
            self.ahead = None;
        }
        there
    }

    /// Says what is wrong with a token and puts it back: a `#` or a next rule must still be seen by the recovery.
    fn refuse(&mut self, token: Token) -> Flaw {
        let next_rule = token.kind == Kind::Colon && token.leads;
        let flaw = match token.kind == Kind::End || next_rule {
            true => Flaw {
                line: self.start,
                reason: "the rule does not end with `#`".to_owned(),
            },
            false => Flaw::at(&token, unexpected(&token.kind)),
        };
        self.ahead = Some(token);
        flaw
    }

    fn peek(&mut self) -> &Token {
        self.ahead.get_or_insert_with(|| self.lexer.token())
    }

    fn take(&mut self) -> Token {
        self.ahead.take().unwrap_or_else(|| self.lexer.token())
    }
}

impl Flaw {
    fn at(token: &Token, reason: impl Into<String>) -> Self {
        Self {
            line: token.line,
            reason: reason.into(),
        }
    }
}

fn not_yet(construct: &str) -> String {
    format!("{construct} is not supported yet")
}

fn unexpected(kind: &Kind) -> String {
    let what = match kind {
        Kind::Bad(reason) => return reason.clone(),
        Kind::NotYet(construct) => return not_yet(construct),
        Kind::Less => return not_yet("`<types>` (a restriction to file types)"),
        Kind::And => "AND",
        Kind::Byte(_) => "byte",
        Kind::Close => "`)`",
        Kind::Colon => "`:`",
        Kind::Comma => "`,`",
        Kind::End => "end of the file",
        Kind::Greater => "`>`",
        Kind::Hash => "`#`",
        Kind::Not => "NOT",
        Kind::Open => "`(`",
        Kind::Or => "OR",
        Kind::Text(_) => "string",
        Kind::Tilde => "`~`",
        Kind::Xor => "XOR",
    };
    format!("unexpected {what}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::signature::Batch;
    use crate::signature::pattern::{LENGTH_LIMIT, Part};
    use crate::signature::rule::Test;

    fn parse(text: &str) -> Batch {
        let mut batch = Batch::default();
        batch.read(&Cvdl, text.as_bytes(), "v.vdl");
        batch
    }

    /// The names that loaded and the lines that did not.
    fn outcome(text: &str) -> (Vec<String>, Vec<u32>) {
        let (signatures, complaints) = parse(text).into_parts();
        (
            signatures.into_iter().map(|s| s.name.name).collect(),
            complaints.into_iter().map(|c| c.line).collect(),
        )
    }

    /// A rule as text, with parentheses around everything that has operands.
    fn shape(text: &str) -> String {
        fn write(condition: &Condition, tests: &[Test]) -> String {
            let join = |all: &[Condition], word: &str| {
                let all: Vec<_> = all.iter().map(|one| write(one, tests)).collect();
                format!("({})", all.join(word))
            };
            match condition {
                Condition::And(all) => join(all, " & "),
                Condition::Not(one) => format!("!{}", write(one, tests)),
                Condition::Or(all) => join(all, " | "),
                Condition::Test(at) => {
                    let Test::Pattern(pattern) = &tests[*at] else {
                        panic!("{tests:?}");
                    };
                    let parts = pattern.segments()[0].parts().iter();
                    let text = parts.map(|part| match part {
                        Part::Bytes { bytes, caseless } => {
                            let mark = if *caseless { "~" } else { "" };
                            format!("{mark}{}", String::from_utf8_lossy(bytes))
                        }
                        other => panic!("{other:?}"),
                    });
                    text.collect()
                }
                Condition::Count(count) => panic!("{count:?}"),
                Condition::Xor(all) => join(all, " ^ "),
            }
        }
        let batch = parse(&format!(":n, {text} #"));
        assert_eq!(batch.complaints(), [], "{text}");
        let Meaning::Rule(rule) = &batch.signatures()[0].meaning else {
            panic!("{text}");
        };
        write(&rule.condition, &rule.tests)
    }

    #[test]
    fn what_binds_tighter() {
        let rows = [
            (r#""pets" AND "cat" OR "dog""#, "((pets & cat) | dog)"),
            (r#""pets" AND ("cat" OR "dog")"#, "(pets & (cat | dog))"),
            (r#""guns" XOR "bullets""#, "(guns ^ bullets)"),
            (
                r#"("g" AND NOT "b") OR ("b" AND NOT "g")"#,
                "((g & !b) | (b & !g))",
            ),
            (
                r#""a" or "b" Xor not "c" & "d" And "e""#,
                "(a | (b ^ (!c & d & e)))",
            ),
            (r#""a" XOR "b" XOR "c""#, "(a ^ b ^ c)"),
            (r#"NOT NOT "a""#, "!!a"),
            (r#""abc", "def""#, "abcdef"),
            (r#""ab", ~"CD", 0x65, 'f', 103, \h"#, "ab~cdefgh"),
            (r#"("a", "b"), (("c"))"#, "abc"),
            (r#""a", "b" AND "c", "d""#, "(ab & cd)"),
            (r#""abc$mac""#, "abc$mac"),
            (
                r#"NOT "Copyright 2001, CyberSoft, Inc.""#,
                "!Copyright 2001, CyberSoft, Inc.",
            ),
        ];
        for (text, expected) in rows {
            assert_eq!(shape(text), expected, "{text}");
        }
    }

    #[test]
    fn names_as_people_write_them() {
        let text =
            ":name with spaces/W32.x, \"q\" # ; comment\n :b , \"b\"# :c#1,\n\"c\"\n#\n:b, \"B\" #";
        let (names, lines) = outcome(text);
        assert_eq!(names, ["name with spaces/W32.x", "b", "c#1", "b"]);
        assert!(lines.is_empty(), "{lines:?}");
    }

    #[test]
    fn what_is_not_supported_yet_is_named() {
        let rows = [
            (r#":x, ~~"abc" #"#, "`~~`"),
            (r#":x, "abc", @0-10, "def" #"#, "`@`"),
            (r#":x, "abc", .*, "def" #"#, "`.*`"),
            (r#":x, "http://", \d+, "/" #"#, "`\\d+`"),
            (r#":x, FUZZY -2 +3 "cow" #"#, "`FUZZY`"),
            (r#":x, Fuzz 2 100 #"#, "`FUZZY`"),
            (r#":x, 'a'-'f', "1" #"#, "`-`"),
            (r#":x, "x", ("a" | "b"), "y" #"#, "`|`"),
            (r#":x, "a", $mac #"#, "`$name`"),
            (r#":x, <"JPEG","GIF"> "a" #"#, "`<types>`"),
            (r#"$define mac "a" #"#, "`$define`"),
            (r#"<"text", "version=1.2.3">"#, "`<types>`"),
            (r#"<!"HTML">"#, "`<types>`"),
            ("<>", "`<types>`"),
        ];
        for (text, construct) in rows {
            let batch = parse(&format!(":before, \"b\" #\n\n{text}\n:after, \"a\" #"));
            let names: Vec<_> = batch.signatures().iter().map(|s| &s.name.name).collect();
            assert_eq!(names, ["before", "after"], "{text}");
            let [complaint] = batch.complaints() else {
                panic!("{text}: {:?}", batch.complaints());
            };
            assert_eq!((complaint.file.as_str(), complaint.line), ("v.vdl", 3));
            assert!(complaint.reason.contains(construct), "{complaint}");
            assert!(
                complaint.reason.contains("not supported yet"),
                "{complaint}"
            );
        }
    }

    #[test]
    fn after_an_error_the_rest_loads() {
        let rows: &[(&str, &[&str], &[u32])] = &[
            // The wrong token is the end of its own rule.
            (":a, \"x\" AND # :b, \"y\" #", &["b"], &[1]),
            (":a, # :b, \"y\" #", &["b"], &[1]),
            // The end is missing; the line of the rule that lacks it counts.
            (":a,\n\"x\"\n:b, \"y\" #", &["b"], &[1]),
            (":a, \"x\" #\n:b, \"y\"", &["a"], &[2]),
            // A hash inside a string or a byte ends nothing.
            (":a, 256, \"#\", '#', \\# # :b, \"y\" #", &["b"], &[1]),
            (":a, \"open #\n:b, \"y\" #", &["b"], &[1]),
            // The name.
            (":a \"x\" #\n:b, \"y\" #", &["b"], &[1]),
            (":a \"x\", \"z\" #\n:b, \"y\" #", &["b"], &[1]),
            (": , \"x\" #\n:b, \"y\" #", &["b"], &[1]),
            // Between the rules.
            ("\"x\" # \n:b, \"y\" #", &["b"], &[1]),
            ("# :b, \"y\" #", &["b"], &[1]),
            ("\nwhat is this\n:b, \"y\" #", &["b"], &[2]),
            // Parentheses.
            (":a, (\"x\" #\n:b, \"y\" #", &["b"], &[1]),
            (":a, \"x\") #\n:b, \"y\" #", &["b"], &[1]),
            (":a, (\"x\" OR \"z\"), \"q\" #\n:b, \"y\" #", &["b"], &[1]),
            (":a,\n\n\"x\" \"z\" #\n:b, ~'y' #", &[], &[3, 4]),
            ("", &[], &[]),
            ("; only this", &[], &[]),
        ];
        for (text, names, lines) in rows {
            let (found, complained) = outcome(text);
            assert_eq!(found, *names, "{text}");
            assert_eq!(complained, *lines, "{text}");
        }
    }

    #[test]
    fn depth_and_length_are_bounded() {
        let nested = |depth: usize| {
            let (open, close) = ("(".repeat(depth), ")".repeat(depth));
            format!(
                ":a, {open}\"x\"{close} #\n:b, {}\"y\" #",
                "NOT ".repeat(depth)
            )
        };
        assert!(outcome(&nested(64)).1.is_empty());
        assert_eq!(outcome(&nested(65)).1, [1, 2]);
        assert_eq!(outcome(&nested(100_000)).1, [1, 2]);
        let long = "x".repeat(LENGTH_LIMIT);
        assert_eq!(outcome(&format!(":a, \"{long}\" #")).0, ["a"]);
        assert_eq!(outcome(&format!(":a, \"{long}x\" #")).1, [1]);
        assert_eq!(outcome(&format!(":a, \"{long}\", 'x' #")).1, [1]);
        // A wide rule is not deep.
        let wide = " AND \"x\"".repeat(10_000);
        assert_eq!(outcome(&format!(":a, \"x\"{wide} #")).0, ["a"]);
    }
}
