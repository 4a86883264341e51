//! A text in YARA's language, cut into its imports, includes and rules.
//!
//! Nothing is checked here but where each begins and ends, so that a rule with a mistake does not take the others with it.
#![forbid(unsafe_code)]

/// One part of a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Piece<'a> {
    pub kind: Kind<'a>,
    /// The whole of it.
    pub text: &'a [u8],
    /// The byte at which it begins.
    pub at: usize,
    /// Where that is, from 1.
    pub line: u32,
    pub column: u32,
    /// The most operators that stand in one row of its condition, with no bracket, comma, `and` or `or` between them: so
    /// deep is what a parser makes of it.
    pub operators: usize,
    /// The number of strings that are `xor`.
    pub xors: usize,
    /// Where its first string or expression begins that does not end in its line, if one does not.
    pub open: Option<Open>,
    /// The last line of it; `None` if it reaches to the end of the text.
    pub last_line: Option<u32>,
    /// The largest jump of its hex strings in bytes, if one is above [`JUMP`]; `usize::MAX` without a bound.
    pub jump: usize,
}

/// A place in a text: the line, and the bytes of it in front of the place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Open {
    pub line: u32,
    pub line_start: usize,
    pub at: usize,
}

/// A jump that ends further on than this is not followed by the engine.
pub(super) const JUMP: usize = 4000;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind<'a> {
    /// `import "pe"`.
    Import,
    /// `include "other.yar"`, with the name as it stands there.
    Include(&'a [u8]),
    /// A rule with the words in front of it.
    Rule,
    /// What begins like none of these, up to the next line that does.
    Unknown,
    /// A rule whose end never comes: up to the next line that begins like a part, if there is one.
    Endless,
    /// A comment whose end never comes.
    Comment,
}

/// Cuts a text.
pub(super) fn split(text: &[u8]) -> Vec<Piece<'_>> {
    let mut cursor = Cursor {
        text,
        at: 0,
        line: 1,
        line_start: 0,
        open_comment: false,
        operators: 0,
        xors: 0,
        jump: 0,
        open: None,
    };
    let mut pieces = Vec::new();
    while let Some(piece) = cursor.piece() {
        pieces.push(piece);
    }
    pieces
}

struct Cursor<'a> {
    text: &'a [u8],
    at: usize,
    line: u32,
    line_start: usize,
    /// A comment goes on up to the end.
    open_comment: bool,
    /// Of the rule that is read.
    operators: usize,
    xors: usize,
    jump: usize,
    open: Option<Open>,
}

/// Words that begin a part.
const BEGINNINGS: [&[u8]; 5] = [b"import", b"include", b"private", b"global", b"rule"];

/// Words that are operators.
const OPERATORS: [&[u8]; 10] = [
    b"contains",
    b"defined",
    b"endswith",
    b"icontains",
    b"iendswith",
    b"iequals",
    b"istartswith",
    b"matches",
    b"not",
    b"startswith",
];

impl<'a> Cursor<'a> {
    fn piece(&mut self) -> Option<Piece<'a>> {
        let place = |cursor: &Self| {
            let column = cursor.at.saturating_sub(cursor.line_start) + 1;
            let column = u32::try_from(column).unwrap_or(u32::MAX);
            (cursor.at, cursor.line, column)
        };
        let (mut start, mut line, mut column) = place(self);
        self.blanks();
        let kind = match self.peek() {
            Some(_) => {
                (start, line, column) = place(self);
                (self.operators, self.xors, self.jump) = (0, 0, 0);
                self.open = None;
                self.kind()
            }
            None if self.open_comment => {
                self.open_comment = false;
                Kind::Comment
            }
            None => return None,
        };
        Some(Piece {
            kind,
            text: self.text.get(start..self.at).unwrap_or(&[]),
            at: start,
            line,
            column,
            operators: self.operators,
            xors: self.xors,
            jump: self.jump,
            open: self.open,
            last_line: self.last_line(),
        })
    }

    fn kind(&mut self) -> Kind<'a> {
        match self.word() {
            b"import" if self.string().is_some() => Kind::Import,
            b"include" => match self.string() {
                Some(name) => Kind::Include(name),
                None => self.unknown(),
            },
            b"private" | b"global" | b"rule" => self.rule(),
            _ => self.unknown(),
        }
    }

    /// Up to the brace that closes the rule's body.
    fn rule(&mut self) -> Kind<'a> {
        let mut depth = 0_u32;
        // A slash begins a regular expression only behind these.
        let mut expects_regex = false;
        // The operators since the last bracket, comma, `and` or `or`.
        let mut row = None;
        // The next line that begins like a part: there is none within a rule, so the end was missed before it.
        let mut next: Option<(usize, u32)> = None;
        loop {
            self.blanks();
            let Some(byte) = self.peek() else {
                if let Some((at, line)) = next {
                    (self.at, self.line, self.line_start) = (at, line, at);
                    self.open_comment = false;
                }
                return Kind::Endless;
            };
            match byte {
                b'"' => self.closed(b'"'),
                b'/' if expects_regex => self.closed(b'/'),
                b'{' => {
                    depth += 1;
                    self.step();
                }
                b'}' => {
                    self.step();
                    depth = depth.saturating_sub(1);
                    if depth == 0 {
                        return Kind::Rule;
                    }
                }
                _ if is_word(byte) => {
                    let at = self.at;
                    let word = self.word();
                    if at == self.line_start && next.is_none() && BEGINNINGS.contains(&word) {
                        next = (depth > 0).then_some((at, self.line));
                    }
                    expects_regex = word == b"matches";
                    match word {
                        b"condition" if depth == 1 => row = Some(0),
                        b"and" | b"or" => row = row.map(|_| 0),
                        b"xor" => self.xors += 1,
                        _ if OPERATORS.contains(&word) => self.operator(&mut row),
                        _ => {}
                    }
                    continue;
                }
                b'-' | b'~' | b'+' | b'*' | b'\\' | b'%' | b'<' | b'>' | b'=' | b'!' | b'&'
                | b'|' | b'^' => {
                    self.operator(&mut row);
                    self.step();
                }
                b'[' if depth > 1 => self.jump(),
                b'(' | b')' | b'[' | b']' | b',' | b':' => {
                    row = row.map(|_| 0);
                    self.step();
                }
                _ => self.step(),
            }
            expects_regex = byte == b'=';
        }
    }

    /// `[4]`, `[4-6]`, `[4-]` or `[-]` in a hex string.
    fn jump(&mut self) {
        let start = self.at + 1;
        while self
            .peek()
            .is_some_and(|byte| byte != b']' && byte != b'\n')
        {
            self.at += 1;
        }
        let inside = self.text.get(start..self.at).unwrap_or(&[]);
        let last = inside.rsplit(|byte| *byte == b'-').next().unwrap_or(inside);
        let last = std::str::from_utf8(last.trim_ascii()).unwrap_or("");
        let most = match last {
            "" => usize::MAX,
            digits => digits.parse().unwrap_or(usize::MAX),
        };
        if most > JUMP {
            self.jump = self.jump.max(most);
        }
    }

    fn operator(&mut self, row: &mut Option<usize>) {
        if let Some(row) = row {
            *row += 1;
            self.operators = self.operators.max(*row);
        }
    }

    /// Up to the next line that begins like a part.
    fn unknown(&mut self) -> Kind<'a> {
        loop {
            while let Some(byte) = self.peek() {
                self.step();
                if byte == b'\n' {
                    break;
                }
            }
            let rest = self.text.get(self.at..).unwrap_or(&[]);
            if rest.is_empty() || BEGINNINGS.iter().any(|word| rest.starts_with(word)) {
                return Kind::Unknown;
            }
        }
    }

    fn peek(&self) -> Option<u8> {
        self.text.get(self.at).copied()
    }

    fn step(&mut self) {
        if self.peek() == Some(b'\n') {
            self.line = self.line.saturating_add(1);
            self.line_start = self.at + 1;
        }
        self.at += 1;
    }

    fn word(&mut self) -> &'a [u8] {
        let start = self.at;
        while self.peek().is_some_and(is_word) {
            self.at += 1;
        }
        self.text.get(start..self.at).unwrap_or(&[])
    }

    /// Steps over blanks and comments.
    fn blanks(&mut self) {
        while let Some(byte) = self.peek() {
            let next = self.text.get(self.at + 1);
            match (byte, next) {
                (b'/', Some(b'/')) => {
                    while self.peek().is_some_and(|byte| byte != b'\n') {
                        self.at += 1;
                    }
                }
                (b'/', Some(b'*')) => {
                    self.at += 2;
                    while self.peek().is_some()
                        && !self
                            .text
                            .get(self.at..)
                            .is_some_and(|rest| rest.starts_with(b"*/"))
                    {
                        self.step();
                    }
                    self.open_comment = self.peek().is_none();
                    self.at = (self.at + 2).min(self.text.len());
                }
                _ if byte.is_ascii_whitespace() => self.step(),
                // A byte order mark.
                (0xef, Some(0xbb)) if self.at == 0 => self.at = 3,
                _ => return,
            }
        }
    }

    /// What stands between quotes, behind blanks.
    fn string(&mut self) -> Option<&'a [u8]> {
        self.blanks();
        match self.peek() {
            Some(b'"') => self.quoted(b'"'),
            _ => None,
        }
    }

    /// Steps over what stands between marks, and remembers the first that does not end.
    fn closed(&mut self, mark: u8) {
        let open = Open {
            line: self.line,
            line_start: self.line_start,
            at: self.at,
        };
        if self.quoted(mark).is_none() {
            self.open.get_or_insert(open);
        }
    }

    /// The line of the last byte that was stepped over, if there are more.
    fn last_line(&self) -> Option<u32> {
        let line = match self.at == self.line_start {
            true => self.line.saturating_sub(1),
            false => self.line,
        };
        (self.at < self.text.len()).then_some(line)
    }

    /// From a mark to the next that no backslash stands before, in the same line.
    fn quoted(&mut self, mark: u8) -> Option<&'a [u8]> {
        self.at += 1;
        let start = self.at;
        while let Some(byte) = self.peek().filter(|byte| *byte != b'\n') {
            if byte == mark {
                self.at += 1;
                return self.text.get(start..self.at - 1);
            }
            self.at += if byte == b'\\' { 2 } else { 1 };
        }
        self.at = self.at.min(self.text.len());
        None
    }
}

fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_'
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn braces_in_strings_comments_and_expressions_end_no_rule() {
        let text = br#"import "pe" // }
/* rule no { } */ include "a\"b.yar"
private global rule one : tag {
  strings:
    $a = "}\"}" // }
    $b = /}\/}[{]/ $c = { 7D [1-2] (7B | ??) /* } */ }
  condition: 1 / 2 == 0 and $a matches /}/ // / }
}   rule two { condition: true }
what is
this
rule three { condition: "#;
        let pieces = split(text);
        let found: Vec<_> = pieces
            .iter()
            .map(|piece| (piece.kind, piece.line, piece.column))
            .collect();
        let expected = [
            (Kind::Import, 1, 1),
            (Kind::Include(br#"a\"b.yar"#), 2, 19),
            (Kind::Rule, 3, 1),
            (Kind::Rule, 8, 5),
            (Kind::Unknown, 9, 1),
            (Kind::Endless, 11, 1),
        ];
        assert_eq!(found, expected);
        assert_eq!(pieces[3].text, b"rule two { condition: true }");
    }

    #[test]
    fn a_comment_without_end_is_told_with_what_is_in_it() {
        let pieces = split(b"rule a { condition: true }\n\n/* rule b\n{ condition: true }");
        assert_eq!(pieces.len(), 2);
        assert_eq!((pieces[1].kind, pieces[1].line), (Kind::Comment, 1));
        assert_eq!(split(b"/* */"), []);
    }

    #[test]
    fn rows_of_operators_are_counted_in_conditions_alone() {
        let rows = [
            (
                "rule a { strings: $a = { ~41 | ~42 } $b = \"--\" condition: true }",
                0,
                0,
            ),
            ("rule a { condition: 1 + 1 == - -2 }", 5, 0),
            (
                "rule a { condition: 1 < 2 and 1 < 2 or (not 1) < 2 and not not true}",
                2,
                0,
            ),
            (
                "rule a { strings: $a = \"b\" xor $c = \"xor\" xor(1-2) condition: #a-1<2 }",
                2,
                2,
            ),
        ];
        for (text, operators, xors) in rows {
            let piece = split(text.as_bytes())[0];
            assert_eq!((piece.operators, piece.xors), (operators, xors), "{text}");
        }
    }

    #[test]
    fn jumps_that_go_far_are_told() {
        let rows = [
            ("41 [4000] 42", 0),
            ("41 [1-4001] 42 [2] 43", 4001),
            ("41 [ 1 - 5000 ] 42 [-] 43", usize::MAX),
            ("41 [3-] 42", usize::MAX),
        ];
        for (string, jump) in rows {
            let text = format!("rule a {{ strings: $a = {{ {string} }} condition: #a[1] > 0 }}");
            assert_eq!(split(text.as_bytes())[0].jump, jump, "{string}");
        }
    }
}
