//! Files in text: uuencode and xxencode, and the base64 that POSIX calls `begin-base64` (POSIX.1-2017, uuencode).
//!
//! A text may hold many, with other text in between. Lines inside a file that cannot be its own are passed over and
//! said, for some readers do so.
#![forbid(unsafe_code)]

use std::io::{self, Read};

use super::lines::Lines;
use super::transfer::base64_value;
use super::{Children, Container, Content, Expander, Halt, behind, cut_short, damaged};
use crate::event::NoteKind;
use crate::object::Object;

/// The expander of uuencoded text.
pub(super) struct Uu;

/// How the lines of a file are to be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Alphabet {
    /// From blank to underscore, and the grave accent for the blank.
    Uu,
    /// `+-0-9A-Za-z`.
    Xx,
    /// Base64 without a count.
    Base64,
}

impl Expander for Uu {
    fn kind(&self) -> &'static str {
        "uu"
    }

    fn expand(&self, container: &Container<'_>, children: &mut dyn Children) -> Result<(), Halt> {
        let object = container.object;
        let mut lines = Lines::new(object, 0);
        let mut begun: Option<Begin> = None;
        let mut ended = None;
        while let Some(line) = lines.next()? {
            let begin = Begin::parse(line.text);
            let alphabets = match &begun {
                // The end of an empty file is its second line.
                Some(begin) => begin.alphabets(line.text, b"end"),
                None => Vec::new(),
            };
            let from = line.start;
            let before = begun.take();
            if let Some(begin) = &before
                && let Some((first, others)) = alphabets.split_first()
            {
                let name = &begin.name;
                for other in others {
                    let detail = format!("{} in two alphabets", name.escape_ascii());
                    children.note(NoteKind::Ambiguous("uu-alphabet".to_owned()), detail)?;
                    let mut file = File::new(object, from, *other);
                    children.child(name, Content::Stream(&mut file))?;
                }
                let mut file = File::new(object, from, *first);
                children.child(name, Content::Stream(&mut file))?;
                file.drain()?;
                ended = Some(file.end);
                lines = Lines::new(object, file.end);
                // Some readers pass over a line that ends the file too early.
                begun = before.map(Begin::doubted);
                continue;
            }
            // Nor are first lines that are damaged the end of all.
            begun = begin.or_else(|| before.and_then(Begin::later));
        }
        ended.map_or(Err(Halt::Unlike), |end| behind(object, end, children))
    }
}

/// A line that begins a file.
struct Begin {
    base64: bool,
    /// It is not as POSIX has it, though some readers take it: the next line has to be beyond doubt.
    odd: bool,
    /// Lines behind it that may still be damaged.
    patience: usize,
    name: Vec<u8>,
}

/// Lines that are no part of a file and may stand in front of its first one.
const DAMAGED: usize = 3;

/// What a file without a name is called.
const NAMELESS: &[u8] = b"uuencoded";

/// Digits of a mode.
const MODE: std::ops::RangeInclusive<usize> = 1..=32;

/// Lines that are no part of a file and may stand in it behind an empty one.
const FOREIGN: u32 = 8;

impl Begin {
    /// `begin MODE NAME`, or `begin-base64 MODE NAME`. Readers differ over what else will do: other modes, no name, a capital.
    fn parse(line: &[u8]) -> Option<Self> {
        let capital = line.starts_with(b"B");
        let rest = line
            .strip_prefix(b"begin")
            .or_else(|| line.strip_prefix(b"Begin"))?;
        let (base64, rest) = match rest.strip_prefix(b"-base64") {
            Some(rest) => (true, rest.strip_prefix(b"-encoded").unwrap_or(rest)),
            None => (false, rest),
        };
        let blank = matches!(rest.first(), Some(b' ' | b'\t'));
        let mode = rest.trim_ascii_start();
        let digits = mode.strip_prefix(b"0o").unwrap_or(mode);
        let count = digits
            .iter()
            .take_while(|byte| byte.is_ascii_digit())
            .count();
        let (number, rest_of_line) = digits.split_at_checked(count)?;
        let name = rest_of_line.trim_ascii();
        let usual = (3..=6).contains(&count)
            && rest_of_line.starts_with(b" ")
            && rest.starts_with(b" ")
            && digits.len() == mode.len()
            && number.iter().all(|digit| matches!(digit, b'0'..=b'7'))
            && !name.is_empty()
            && !capital;
        let name = if name.is_empty() { NAMELESS } else { name };
        let is_octal = matches!(number.first(), Some(b'0'..=b'7'));
        (blank && is_octal && MODE.contains(&count)).then(|| Self {
            base64,
            odd: !usual,
            patience: DAMAGED,
            name: name.to_vec(),
        })
    }

    /// The same, behind one more line that is damaged.
    fn later(self) -> Option<Self> {
        let patience = self.patience.checked_sub(1)?;
        Some(Self {
            patience,
            ..self.doubted()
        })
    }

    /// The same, for lines that have to be beyond doubt.
    fn doubted(self) -> Self {
        Self { odd: true, ..self }
    }

    /// How the file can be read whose first line this is.
    fn alphabets(&self, line: &[u8], next: &[u8]) -> Vec<Alphabet> {
        if self.base64 {
            let yes = !self.odd && (is_base64(line) || line.starts_with(b"===="));
            return yes.then_some(Alphabet::Base64).into_iter().collect();
        }
        if self.odd {
            let all = [
                (is_full_uu_line(line) || is_long_uu_line(line), Alphabet::Uu),
                (is_xx_line(line), Alphabet::Xx),
            ];
            let held = all.into_iter().filter(|(holds, _)| *holds);
            return held.map(|(_, alphabet)| alphabet).collect();
        }
        let empty = matches!(line, b"`" | b" " | b"" | b"+") && next.starts_with(b"end");
        let uu = empty || line.starts_with(b"end") || is_uu_line(line);
        let xx = !empty && is_xx_line(line);
        let uu = uu || !xx && is_damaged_uu_line(line);
        let all = [(uu, Alphabet::Uu), (xx, Alphabet::Xx)];
        all.into_iter()
            .filter(|(holds, _)| *holds)
            .map(|(_, alphabet)| alphabet)
            .collect()
    }
}

/// Tells whether a file begins at the start of these lines.
pub(super) fn begins<'a>(mut lines: impl Iterator<Item = &'a [u8]>) -> bool {
    let begin = lines.next().and_then(Begin::parse);
    let (Some(begin), Some(mut line)) = (begin, lines.next()) else {
        return false;
    };
    let mut next = lines.next().unwrap_or_default();
    for _ in 0..DAMAGED {
        // Some readers pass over an empty line, or an end that comes too early.
        if line == b"end" || line.is_empty() && next != b"end" {
            (line, next) = (next, lines.next().unwrap_or_default());
        }
    }
    let is_sure = |line| is_full_uu_line(line) || is_long_uu_line(line);
    let is_later = || is_sure(next) || lines.take(DAMAGED - 1).any(is_sure);
    !line.starts_with(b"end") && (!begin.alphabets(line, next).is_empty() || is_later())
}

/// The first character is the count of bytes, four characters are three of them. Blanks at the end may be lost, and
/// some writers add a checksum.
fn is_uu_line(line: &[u8]) -> bool {
    let Some((first, rest)) = line.split_first() else {
        return false;
    };
    let full = digits(first.wrapping_sub(b' '));
    (b'!'..=b'_').contains(first)
        && rest.len() <= full + 1
        && rest.len() * 2 >= full
        && of_line(rest, full)
            .iter()
            .all(|byte| (b' '..=b'`').contains(byte))
}

/// A line with few wrong characters where the right ones should be: readers take any for a digit, and pass over what is too much.
fn is_damaged_uu_line(line: &[u8]) -> bool {
    let Some((first, rest)) = line.split_first() else {
        return false;
    };
    let full = digits(first.wrapping_sub(b' '));
    let is_digit = |byte: &&u8| (b' '..=b'`').contains(*byte);
    let right = of_line(rest, full).iter().filter(is_digit).count();
    (b'!'..=b'_').contains(first) && rest.len() >= full && right * 8 >= full * 7
}

/// A line with few wrong characters that is too long to be so by chance.
fn is_long_uu_line(line: &[u8]) -> bool {
    const LONG: usize = 32;
    let full = line
        .first()
        .map_or(0, |first| digits(first.wrapping_sub(b' ')));
    full >= LONG && is_damaged_uu_line(line)
}

/// A line of bytes that has lost nothing.
fn is_full_uu_line(line: &[u8]) -> bool {
    let count = line.first().and_then(|first| uu_value(*first)).unwrap_or(0);
    let length = line.len().saturating_sub(1);
    let full = digits(count);
    count > 0 && (full..=full + 1).contains(&length) && is_uu_line(line)
}

/// Without the checksum, which may be any character.
fn of_line(rest: &[u8], full: usize) -> &[u8] {
    rest.get(..full).unwrap_or(rest)
}

fn is_xx_line(line: &[u8]) -> bool {
    let Some((first, rest)) = line.split_first() else {
        return false;
    };
    xx_value(*first).is_some_and(|count| {
        let full = digits(count);
        count > 0
            && (full..=full + 1).contains(&rest.len())
            && of_line(rest, full)
                .iter()
                .all(|byte| xx_value(*byte).is_some())
    })
}

fn is_base64(line: &[u8]) -> bool {
    let digit = |byte: &u8| base64_value(*byte).is_some() || *byte == b'=';
    !line.is_empty() && line.iter().all(digit)
}

/// Characters for `count` bytes.
fn digits(count: u8) -> usize {
    usize::from(count & 0x3f).div_ceil(3) * 4
}

fn uu_value(byte: u8) -> Option<u8> {
    (b' '..=b'`')
        .contains(&byte)
        .then(|| byte.wrapping_sub(b' ') & 0x3f)
}

fn xx_value(byte: u8) -> Option<u8> {
    match byte {
        b'+' => Some(0),
        b'-' => Some(1),
        b'0'..=b'9' => Some(byte - b'0' + 2),
        b'A'..=b'Z' => Some(byte - b'A' + 12),
        b'a'..=b'z' => Some(byte - b'a' + 38),
        _ => None,
    }
}

impl Alphabet {
    fn value(self, byte: u8) -> Option<u8> {
        match self {
            Self::Uu => uu_value(byte),
            Self::Xx => xx_value(byte),
            Self::Base64 => base64_value(byte),
        }
    }
}

/// One file, decoded line by line.
pub(super) struct File {
    lines: Lines,
    alphabet: Alphabet,
    decoded: Vec<u8>,
    given: usize,
    strange: u64,
    /// Where lines began behind an empty one that are no part of the file, and how many they are.
    foreign: Option<(u64, u32)>,
    state: State,
    /// Where the text goes on behind the file.
    end: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// Among its lines.
    Data,
    /// After the line without bytes.
    Empty,
    /// After its last line, which was as it should be, or not.
    Ended(bool),
    /// All has been said.
    Done,
}

impl File {
    /// The file whose first line after `begin` is at `from`.
    pub(super) fn new(object: &Object, from: u64, alphabet: Alphabet) -> Self {
        Self {
            lines: Lines::new(object, from),
            alphabet,
            decoded: Vec::new(),
            given: 0,
            strange: 0,
            foreign: None,
            state: State::Data,
            end: from,
        }
    }

    /// Goes to the end, whatever was read of it.
    fn drain(&mut self) -> io::Result<()> {
        while matches!(self.state, State::Data | State::Empty) {
            self.line()?;
        }
        Ok(())
    }

    /// The text goes on at `end`, or where it was no more that of the file.
    fn stop(&mut self, end: u64, rightly: bool) {
        self.end = self.foreign.map_or(end, |(start, _)| start);
        self.state = State::Ended(rightly);
    }

    /// Takes a line.
    fn line(&mut self) -> io::Result<()> {
        let (alphabet, state) = (self.alphabet, self.state);
        let Some(line) = self.lines.next()? else {
            let end = self.lines.position();
            self.stop(end, false);
            return Ok(());
        };
        let text = line.text;
        let ends = match alphabet {
            Alphabet::Base64 => text.starts_with(b"===="),
            _ => text.trim_ascii() == b"end",
        };
        if ends {
            let end = line.end;
            let foreign = self.foreign.take();
            self.strange += foreign.map_or(0, |(_, count)| u64::from(count));
            self.stop(end, true);
            return Ok(());
        }
        if Begin::parse(text).is_some() {
            let end = line.start;
            self.stop(end, false);
            return Ok(());
        }
        if state == State::Empty {
            // Blank lines may stand before the last. Behind anything else a line that can only be one of the file goes on with it.
            if text.trim_ascii().is_empty() {
                return Ok(());
            }
            let goes_on = match alphabet {
                Alphabet::Uu => is_full_uu_line(text),
                Alphabet::Xx => is_xx_line(text),
                Alphabet::Base64 => false,
            };
            if !goes_on {
                let (start, count) = self.foreign.unwrap_or((line.start, 0));
                self.foreign = Some((start, count + 1));
                if count >= FOREIGN {
                    self.stop(start, false);
                }
                return Ok(());
            }
            let (_, count) = self.foreign.take().unwrap_or_default();
            self.strange += u64::from(count) + 1;
            self.state = State::Data;
        }
        self.decoded.clear();
        self.given = 0;
        let count = match alphabet {
            Alphabet::Base64 => None,
            _ => Some(text.first().and_then(|first| alphabet.value(*first))),
        };
        match count {
            Some(Some(0)) => self.state = State::Empty,
            Some(None) if text.is_empty() => self.state = State::Empty,
            Some(None) => self.strange += 1,
            Some(Some(count)) => {
                let all = text.get(1..).unwrap_or_default();
                let full = digits(count);
                let digits = all.get(..full).unwrap_or(all);
                // More than a checksum behind them is a line of its own to some readers.
                self.strange += u64::from(all.trim_ascii_end().len() > full + 1);
                if !decode(digits, alphabet, usize::from(count), &mut self.decoded) {
                    self.strange += 1;
                }
            }
            None => {
                let digits = text.trim_ascii_end();
                let padding = digits
                    .iter()
                    .rev()
                    .take_while(|byte| **byte == b'=')
                    .count();
                let digits = digits.get(..digits.len() - padding).unwrap_or_default();
                let count = digits.len() * 3 / 4;
                if !decode(digits, alphabet, count, &mut self.decoded) {
                    self.strange += 1;
                }
            }
        }
        Ok(())
    }
}

/// Decodes a line, and tells whether all its characters are right. One of which too many are wrong gives nothing.
fn decode(digits: &[u8], alphabet: Alphabet, count: usize, out: &mut Vec<u8>) -> bool {
    let is_wrong = |digit: &&u8| alphabet.value(**digit).is_none();
    let wrong = digits.iter().filter(is_wrong).count();
    if wrong * 8 > digits.len() || wrong > 0 && alphabet != Alphabet::Uu {
        return false;
    }
    for group in digits.chunks(4) {
        let digit = |at: usize| {
            // As readers do who do not ask.
            let value =
                |digit: u8| (alphabet.value(digit)).unwrap_or(digit.wrapping_sub(b' ') & 0x3f);
            u32::from(group.get(at).map_or(0, |digit| value(*digit)))
        };
        let bits = digit(0) << 18 | digit(1) << 12 | digit(2) << 6 | digit(3);
        out.extend(bits.to_be_bytes().iter().skip(1));
    }
    // Blanks at the end of a line get lost on their way, and they are zeros.
    out.resize(count, 0);
    wrong == 0
}

impl Read for File {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        loop {
            let mut rest = self.decoded.get(self.given..).unwrap_or_default();
            if !rest.is_empty() || out.is_empty() {
                let count = rest.read(out)?;
                self.given += count;
                return Ok(count);
            }
            match self.state {
                State::Data | State::Empty => self.line()?,
                State::Done => return Ok(0),
                State::Ended(rightly) => {
                    self.state = State::Done;
                    if self.strange > 0 {
                        let detail = format!("{} lines are no encoded ones", self.strange);
                        return Err(damaged(detail));
                    }
                    if !rightly {
                        return Err(cut_short("the encoded text has no end"));
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::expand::testing::{Random, Recorder, expand, tool, withstand};

    fn open(text: &[u8]) -> Recorder {
        expand(&Uu, text, b"x.txt")
    }

    #[test]
    fn files_between_text_are_found() {
        let text = b"hello\nbegin 644 no file\nthis is none\nbegin 644 a b\r\n#86)C\r\n`\r\nend\r\nmore\nbegin-base64 644 c\naGVsbG8=\n====\nbegin 644 empty\n`\nend\nbegin 600 x\n1MK7X\n+\nend\n";
        let got = open(text);
        let members = [
            (&b"a b"[..], &b"abc"[..]),
            (b"c", b"hello"),
            (b"empty", b""),
            (b"x", b"abc"),
        ];
        let members: Vec<_> = members
            .iter()
            .map(|(name, content)| (name.to_vec(), content.to_vec()))
            .collect();
        assert_eq!((got.children, got.gaps), (members, vec![]));
        assert!(open(b"begin 644 x\nhello you\n").unlike);
    }

    #[test]
    fn what_was_lost_on_the_way_is_borne_or_said() {
        let rows: [(&[u8], &[u8], usize); 11] = [
            (b"begin 644 x\n#86)C\nend\n", b"abc", 0),
            (b"begin 644 x\n#86)C\n \n\nend\n", b"abc", 0),
            (b"begin 644 x\n#86)C+\n`\nend\n", b"abc", 0),
            // A blank at the end of a line is a zero.
            (b"begin 644 x\n#86(\n`\nend\n", b"ab\0", 0),
            (
                b"begin 644 x\n#86)C\nthis line is none\n#86)C\n`\nend\n",
                b"abcabc",
                1,
            ),
            (b"begin 644 x\n#86)C\n`\n", b"abc", 1),
            // A checksum, and lines that somebody put in.
            (b"begin 644 x\n#86)Cz\n`\nend\n", b"abc", 0),
            (b"begin 644 x\n#86)C\n\n#86)C\n`\nend\n", b"abcabc", 1),
            (
                b"begin 644 x\n#86)C\n junk\nmore\n\n#86)C\n`\nend\n",
                b"abcabc",
                1,
            ),
            (b"begin 644 x\n#86)C\n`\ntext\nmore\n", b"abc", 1),
            (
                b"begin 644 x\n#86)C\nbegin 644 y\n#86)C\n`\nend\n",
                b"abc",
                1,
            ),
        ];
        for (text, wanted, gaps) in rows {
            let got = open(text);
            let shown = text.escape_ascii().to_string();
            assert_eq!(
                (&*got.children[0].1, got.gaps.len()),
                (wanted, gaps),
                "{shown}"
            );
        }
    }

    #[test]
    fn first_lines_that_some_readers_take_begin_a_file() {
        let names = [
            ("begin 0100644 a", "a"),
            ("begin 6 a", "a"),
            ("begin 64 a", "a"),
            ("begin 00000000644 a", "a"),
            ("begin 0o644 a", "a"),
            ("begin 644", "uuencoded"),
            ("begin 644 ", "uuencoded"),
            ("Begin 644 a", "a"),
            ("begin\t644\ta b", "a b"),
        ];
        for (line, name) in names {
            let text = format!("text\n\n{line}\n#86)C\n`\nend\n");
            let got = open(text.as_bytes());
            let wanted = [(name.as_bytes().to_vec(), b"abc".to_vec())];
            assert_eq!(
                (&got.children[..], &got.gaps[..]),
                (&wanted[..], &[][..]),
                "{line}"
            );
            let probe = crate::expand::testing::object(text.as_bytes())
                .probe()
                .unwrap();
            let kinds = crate::expand::recognise(&probe);
            assert!(kinds.iter().any(|kind| kind.name == "uu"), "{line}");
            let text = format!("{line}\nSOME TEXT\n");
            assert!(open(text.as_bytes()).unlike, "{line}");
        }
        assert!(open(b"begin 9 a\n#86)C\n`\nend\n").unlike);
        assert!(open(b"beginning 6 a\n#86)C\n`\nend\n").unlike);
    }

    #[test]
    fn what_is_behind_the_characters_of_a_line_is_passed_over() {
        assert!(begins(
            b"begin 644 a\n#86)Cxend\n`\nend".split(|byte| *byte == b'\n')
        ));
        let got = open(b"begin 644 a\n#86)Cxend\n`\nend\n");
        assert_eq!(got.children, [(b"a".to_vec(), b"abc".to_vec())]);
    }

    #[test]
    fn a_long_line_may_have_a_wrong_character_whatever_is_in_front() {
        let line = "M6#5/(5`E0$%06S1<4%I8-s0H4%XI-T-#*3=])$5)0T%2+5-404Y$05)$+4%.";
        for front in ["begin 4 a\n", "begin 4 a"] {
            let got = open(format!("{front}\n{line}\n`\nend\n").as_bytes());
            assert_eq!(got.children[0].1.len(), 45, "{front}");
        }
        assert!(
            open(b"begin 4 times\nMany words of a text that is none of all of this, of course\n")
                .unlike
        );
    }

    #[test]
    fn lines_in_front_of_the_first_hide_no_file() {
        for front in [
            "begin 689 a\n\r",
            "begin 644 a\nend\nend",
            "begin 644 a\nend\nend\nend",
        ] {
            let text = format!("{front}\n#86)C\n`\nend\n");
            let got = open(text.as_bytes());
            let last = got.children.last().map(|(_, content)| &content[..]);
            assert_eq!(last, Some(&b"abc"[..]), "{front}");
            assert!(
                begins(text.as_bytes().split(|byte| *byte == b'\n')),
                "{front}"
            );
        }
    }

    #[test]
    fn a_line_of_both_alphabets_is_read_in_both() {
        // 24 bytes in one, 13 and a checksum in the other are no pair; 3 and 3 would need the same character.
        let both = |line: &[u8]| is_uu_line(line) && is_xx_line(line);
        let found = (b' '..=b'`')
            .flat_map(|first| (0..70).map(move |rest| [vec![first], vec![b'A'; rest]].concat()));
        let line = found.clone().find(|line| both(line));
        if let Some(line) = line {
            let text = [b"begin 644 x\n", &line[..], b"\n`\nend\n"].concat();
            let got = open(&text);
            assert_eq!((got.children.len(), got.notes.len()), (2, 1), "{line:?}");
        }
    }

    #[test]
    fn no_damage_panics() {
        let sample = b"text\nbegin 644 a b\n#86)C\n`\nend\nbegin-base64 644 c\naGVsbG8=\n====\n";
        let silent = withstand(&Uu, sample, b"x");
        // Between the files, in the lines that begin the second, and the last line's own end.
        let second = sample.len() - b"begin-base64 644 c\naGVsbG8=\n====\n".len();
        let quiet =
            |cut: &usize| (second - 1..second + 23).contains(cut) || *cut == sample.len() - 1;
        assert!(silent.iter().all(quiet), "{silent:?} {second}");
    }

    #[test]
    fn files_of_sharutils_and_uuenview_are_read() {
        let Some(folder) = tool("uuencode") else {
            return;
        };
        let mut random = Random::new(8);
        for length in [0, 1, 2, 3, 44, 45, 46, 5000] {
            let content = random.bytes(length);
            folder.write("file", &content);
            let mut texts = vec![
                folder.run("uuencode", &["file", "größe x.bin"]),
                folder.run("uuencode", &["-m", "file", "größe x.bin"]),
            ];
            folder.write("größe x.bin", &content);
            if length > 0 && tool("uuenview").is_some() {
                texts.push(folder.run("uuenview", &["-x", "größe x.bin"]));
                texts.push(folder.run("uuenview", &["-u", "größe x.bin"]));
            }
            for text in texts {
                let got = open(text.as_bytes());
                assert_eq!(got.gaps, [], "{length} {text}");
                let last = got.children.last().unwrap();
                assert!(last.1 == content, "{length} {text}");
                assert_eq!(String::from_utf8_lossy(&last.0), "größe x.bin");
            }
        }
    }
}
