//! The body of a signature: hexadecimal digits with wildcards.
//!
//! ```text
//! 6865 ?? 6? ?c   bytes, any byte, half bytes
//! *  {}  {-}      any number of bytes
//! {n} {n-} {-n} {n-m}
//! 6f[n-m]6865     a byte at a distance of at most 32 before or behind the others
//! (6c|6d)  (6c6d|6e)  !(6c|6d)  (6c(6d|6e){2}|??)
//! (B) (L) (W)     borders of words and lines, and what is in no word
//! ```
//!
//! Ranges cut a body into parts, each of which must have two plain bytes in a row: `clamscan` refuses what has not.
#![forbid(unsafe_code)]

mod part;
#[cfg(test)]
mod tests;

use data_encoding::HEXLOWER_PERMISSIVE;

use super::{Trouble, number};
use crate::path::printable;
use crate::signature::pattern::{
    Base, Border, Builder, ByteSet, Edge, Offset, PARTS_LIMIT, Pattern, Side,
};
use part::{Part, TOO_SHORT};

/// `{n}` of fewer bytes, but not of none, is read as so many `??`, and does not cut a body. Behind any other range it does.
const SHORT_GAP: u64 = 128;

/// The largest distance of `[n-m]`.
const NEAR: u64 = 32;

/// Parentheses inside of each other that are followed. More than patterns can have; it bounds the recursion.
const DEPTH: usize = 16;

/// How the plain bytes of a body are meant.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Style {
    /// ASCII letters in either case.
    pub(super) caseless: bool,
    /// A zero byte stands behind each.
    pub(super) wide: bool,
    /// No ASCII letter and no digit stands before or behind the whole.
    pub(super) full_word: bool,
    /// How often it is found says something.
    pub(super) counted: bool,
}

/// Reads a body that must begin at this offset.
pub(super) fn pattern(
    body: &[u8],
    offset: Option<Offset>,
    style: Style,
) -> Result<Pattern, Trouble> {
    let mut builder = Builder::default();
    let mut offset = offset;
    if style.full_word {
        builder.edge(Edge {
            border: Border::NotWord,
            side: Side::Before,
        });
    }
    // Nearly all bodies are digits alone.
    match HEXLOWER_PERMISSIVE.decode(body) {
        Ok(bytes) if bytes.len() < 2 => return Err(Trouble::wrong(TOO_SHORT)),
        Ok(bytes) => style.put(&mut builder, &bytes),
        Err(_) => {
            let mut reader = Reader {
                body,
                at: 0,
                style,
                has_range: false,
                lead: None,
                choices: 0,
            };
            reader.row(&mut builder)?;
            offset = match (offset, reader.lead) {
                (Some(offset), Some(lead)) => Some(before(offset, lead)?),
                (offset, _) => offset,
            };
        }
    }
    if style.full_word {
        builder.edge(Edge {
            border: Border::NotWord,
            side: Side::Behind,
        });
    }
    builder.finish(offset).map_err(Trouble::from)
}

impl Style {
    fn put(self, builder: &mut Builder, bytes: &[u8]) {
        match self.wide {
            true => builder.bytes(&widened(bytes), self.caseless),
            false => builder.bytes(bytes, self.caseless),
        }
    }
}

/// The offset of a body is that of what stands behind `aa[n-m]`; here it is that of the byte.
fn before(offset: Offset, lead: (u64, u64)) -> Result<Offset, Trouble> {
    match (offset.base, lead) {
        (Base::Within(_) | Base::VersionInfo, _) => Err(Trouble::never(BESIDE)),
        (_, (min, max)) if min == max => Ok(Offset {
            by: offset.by.saturating_sub_unsigned(min.saturating_add(1)),
            ..offset
        }),
        _ => Err(Trouble::never(BESIDE)),
    }
}

/// Places, distances and counts are those of the body, of which the byte of `[n-m]` is no part.
const BESIDE: &str = "a byte beside a part of which the place counts";

fn widened(bytes: &[u8]) -> Vec<u8> {
    bytes.iter().flat_map(|byte| [*byte, 0]).collect()
}

struct Reader<'a> {
    body: &'a [u8],
    at: usize,
    style: Style,
    /// A range that cuts the body came before.
    has_range: bool,
    /// The range of `aa[n-m]` at the start.
    lead: Option<(u64, u64)>,
    /// The choices so far, of all alternatives.
    choices: usize,
}

impl<'a> Reader<'a> {
    fn rest(&self) -> &'a [u8] {
        self.body.get(self.at..).unwrap_or_default()
    }

    fn wrong(&self, what: &str) -> Trouble {
        let rest = printable(self.rest(), 20);
        format!("{what} at `{rest}` (character {})", self.at + 1).into()
    }

    /// The whole body.
    fn row(&mut self, builder: &mut Builder) -> Result<(), Trouble> {
        let mut part = Part::default();
        loop {
            match self.rest() {
                [] => return part.end(),
                [b'*', ..] => {
                    self.at += 1;
                    part.end_within()?;
                    part = Part::behind_another();
                    builder.gap(0, None);
                }
                [b'{', ..] => match self.range()? {
                    Range::Wildcards(count) => {
                        part.other(usize::try_from(count).unwrap_or(0));
                        builder.gap(count, Some(count));
                    }
                    Range::Cut(min, max) => {
                        self.has_range = true;
                        part.end_within()?;
                        part = Part::behind_another();
                        builder.gap(min, max);
                    }
                },
                [b'[', ..] => {
                    let (min, max) = self.bracket()?;
                    if self.style.counted && min < max {
                        return Err(Trouble::never(BESIDE));
                    }
                    if part.bracket()? {
                        self.lead = Some((min, max));
                    }
                    builder.gap(min, Some(max));
                }
                [b'(', letter @ (b'B' | b'L' | b'W'), b')', ..] => {
                    self.at += 3;
                    self.border(builder, *letter, false, &mut part)?;
                }
                [b'!', b'(', letter @ (b'B' | b'L' | b'W'), b')', ..] => {
                    self.at += 4;
                    self.border(builder, *letter, true, &mut part)?;
                }
                [b'(', ..] | [b'!', b'(', ..] => {
                    self.alternative(builder, 0)?;
                    part.other(2);
                }
                _ => {
                    let bytes = self.plain();
                    match bytes.as_slice() {
                        [] => part.other(self.wildcard(builder)?),
                        bytes => {
                            part.plain(bytes.len());
                            self.style.put(builder, bytes);
                        }
                    }
                }
            }
        }
    }

    /// `(B)`, `(L)` and `(W)`, or with a `!` before. In the middle of a part they take one byte, and `(L)` also CRLF. At its
    /// ends they take none, but for those with `!` at its start.
    fn border(
        &mut self,
        builder: &mut Builder,
        letter: u8,
        negated: bool,
        part: &mut Part,
    ) -> Result<(), Trouble> {
        let border = match letter {
            b'B' => Border::Word,
            b'L' => Border::Line,
            _ => Border::NotWord,
        };
        let is_last = self.is_at_end_of_part()?;
        let side = match (negated, is_last) {
            (false, true) => Side::Behind,
            (true, true) => Side::NotBehind,
            (false, false) if part.is_empty() && self.style.wide => {
                return Err(Trouble::never("a border before wide characters"));
            }
            (false, false) if part.is_empty() => Side::Before,
            _ => {
                part.other(2);
                middle(builder, border, negated);
                return Ok(());
            }
        };
        part.edge();
        builder.edge(Edge { border, side });
        Ok(())
    }

    /// Nothing comes, or what cuts a body into parts.
    fn is_at_end_of_part(&mut self) -> Result<bool, Trouble> {
        Ok(match self.rest() {
            [] | [b'*', ..] => true,
            [b'{', ..] => {
                let start = self.at;
                let range = self.range()?;
                self.at = start;
                matches!(range, Range::Cut(..))
            }
            _ => false,
        })
    }

    /// Pairs of digits.
    fn plain(&mut self) -> Vec<u8> {
        let rest = self.rest();
        let digits = rest
            .iter()
            .take_while(|byte| byte.is_ascii_hexdigit())
            .count()
            & !1;
        let bytes = rest
            .get(..digits)
            .and_then(|digits| HEXLOWER_PERMISSIVE.decode(digits).ok());
        self.at += digits;
        bytes.unwrap_or_default()
    }

    /// `??` as often as it stands here, or one half byte; how many bytes that is.
    fn wildcard(&mut self, builder: &mut Builder) -> Result<usize, Trouble> {
        let any = self.rest().iter().take_while(|byte| **byte == b'?').count() / 2;
        if any > 0 {
            self.at += 2 * any;
            if self.style.wide {
                for _ in 0..any {
                    builder.gap(1, Some(1));
                    builder.bytes(&[0], false);
                }
            } else {
                builder.gap(any as u64, Some(any as u64));
            }
            return Ok(any);
        }
        let set = match self.rest() {
            [b'?', low, ..] => digit(*low).map(|low| (0..16).map(|high| high << 4 | low).collect()),
            [high, b'?', ..] => digit(*high).map(|high| ByteSet::range(high << 4, high << 4 | 15)),
            [one] if digit(*one).is_some() => return Err(self.wrong("half a byte")),
            [one, ..] if digit(*one).is_some() => return Err(self.wrong("half a byte")),
            _ => None,
        };
        let set: ByteSet = set.ok_or_else(|| self.wrong("no body goes on"))?;
        self.at += 2;
        builder.class(set, 1, Some(1));
        if self.style.wide {
            builder.bytes(&[0], false);
        }
        Ok(1)
    }

    /// What stands in brackets up to `close`.
    fn inside(&mut self, close: u8) -> Result<&'a [u8], Trouble> {
        let rest = self.rest();
        let end = rest.iter().position(|byte| *byte == close);
        let Some(inside) = end.and_then(|end| rest.get(1..end)) else {
            return Err(self.wrong("a bracket without its end"));
        };
        self.at += inside.len() + 2;
        Ok(inside)
    }

    /// `{n}`, `{n-}`, `{-n}`, `{n-m}`, `{}`, `{-}`.
    fn range(&mut self) -> Result<Range, Trouble> {
        let start = self.at;
        let inside = self.inside(b'}')?;
        let dash = inside.iter().position(|byte| *byte == b'-');
        let (min, max) = match dash.and_then(|at| inside.split_at_checked(at)) {
            None => (inside, inside),
            Some((min, max)) => (min, max.get(1..).unwrap_or_default()),
        };
        let value = |digits: &[u8]| match digits {
            [] => Some(None),
            digits => number(digits).map(Some),
        };
        let (Some(min), Some(max)) = (value(min), value(max)) else {
            self.at = start;
            return Err(self.wrong("a range without numbers"));
        };
        let min = min.unwrap_or(0);
        match max {
            Some(max) if max < min => Err(Trouble::never("a range that ends before it begins")),
            Some(_) if dash.is_none() && !self.has_range && (1..SHORT_GAP).contains(&min) => {
                Ok(Range::Wildcards(min))
            }
            _ => Ok(Range::Cut(min, max)),
        }
    }

    /// `[n]`, `[n-]` and `[n-m]`: the first two mean exactly `n`.
    fn bracket(&mut self) -> Result<(u64, u64), Trouble> {
        let start = self.at;
        let inside = self.inside(b']')?;
        let mut ends = inside.splitn(2, |byte| *byte == b'-');
        let min = ends.next().and_then(number);
        let max = match ends.next() {
            None | Some([]) => min,
            Some(max) => number(max),
        };
        match min.zip(max) {
            Some((min, max)) if min <= max && max <= NEAR => Ok((min, max)),
            _ => {
                self.at = start;
                Err(self.wrong("a distance that is not from 0 to 32"))
            }
        }
    }

    /// `(…)` or `!(…)`, at depth `depth` of other ones.
    fn alternative(&mut self, builder: &mut Builder, depth: usize) -> Result<(), Trouble> {
        if depth == DEPTH {
            return Err(Trouble::never("alternatives nested too deep"));
        }
        let negated = self.rest().first() == Some(&b'!');
        self.at += 1 + usize::from(negated);
        if negated && (self.style.caseless || self.style.wide) {
            return Err(Trouble::wrong(
                "excluded alternatives cannot have modifiers",
            ));
        }
        if self.singles(builder, negated) {
            return Ok(());
        }
        let (mut choices, mut kinds) = (Vec::new(), Vec::new());
        loop {
            self.choices += 1;
            if self.choices > PARTS_LIMIT {
                return Err(Trouble::never("a pattern of too many parts"));
            }
            let mut choice = Builder::default();
            kinds.push(self.choice(&mut choice, depth)?);
            choices.push(choice);
            match self.rest() {
                [b'|', ..] => self.at += 1,
                [b')', ..] => break,
                _ => return Err(self.wrong("an alternative without its end")),
            }
        }
        self.at += 1;
        match kinds.as_slice() {
            [Some(0)] => return Err(Trouble::wrong("an alternative without any byte")),
            [Some(0), ..] => return Err(Trouble::wrong("an alternative that begins with none")),
            _ => {}
        }
        let is_uniform = kinds
            .iter()
            .all(|kind| kind.is_some() && Some(kind) == kinds.first());
        if negated && !is_uniform {
            return Err(Trouble::wrong(
                "excluded alternatives must be plain bytes of one length",
            ));
        }
        builder.either(choices, negated);
        Ok(())
    }

    /// Alternatives of single bytes are a set. Reads nothing if these are others.
    fn singles(&mut self, builder: &mut Builder, negated: bool) -> bool {
        let mut set = ByteSet::EMPTY;
        let mut rest = self.rest();
        let mut length = 0;
        while let [high, low, end @ (b'|' | b')'), after @ ..] = rest {
            let Some((high, low)) = digit(*high).zip(digit(*low)) else {
                return false;
            };
            let byte = high << 4 | low;
            set.insert(byte);
            if self.style.caseless {
                set.insert(byte.to_ascii_lowercase());
                set.insert(byte.to_ascii_uppercase());
            }
            length += 3;
            rest = after;
            if *end == b')' {
                self.at += length;
                builder.class(if negated { set.complement() } else { set }, 1, Some(1));
                if self.style.wide {
                    builder.bytes(&[0], false);
                }
                return true;
            }
        }
        false
    }

    /// One choice; its length if it is plain bytes alone.
    fn choice(&mut self, builder: &mut Builder, depth: usize) -> Result<Option<usize>, Trouble> {
        let mut plain = Some(0);
        loop {
            match self.rest() {
                [] | [b'|' | b')', ..] => return Ok(plain),
                [b'{', ..] => {
                    match self.range()? {
                        Range::Wildcards(count) => builder.gap(count, Some(count)),
                        Range::Cut(..) => {
                            return Err(Trouble::wrong("a range inside of an alternative"));
                        }
                    }
                    plain = None;
                }
                [b'!', b'(', ..] => {
                    return Err(self.wrong("an exclusion inside of an alternative"));
                }
                [b'(', b'B' | b'L' | b'W', b')', ..] => {
                    return Err(self.wrong("a border inside of an alternative"));
                }
                [b'(', ..] => {
                    self.alternative(builder, depth + 1)?;
                    plain = None;
                }
                _ => {
                    let bytes = self.plain();
                    match bytes.as_slice() {
                        [] => {
                            self.wildcard(builder)?;
                            plain = None;
                        }
                        bytes => {
                            plain = plain.map(|length| length + bytes.len());
                            self.style.put(builder, bytes);
                        }
                    }
                }
            }
        }
    }
}

/// What braces mean.
enum Range {
    /// So many `??`.
    Wildcards(u64),
    /// A distance between two parts.
    Cut(u64, Option<u64>),
}

/// A border in the middle of a part.
fn middle(builder: &mut Builder, border: Border, negated: bool) {
    let set: ByteSet = match border {
        Border::Word => WORD_BORDERS.iter().copied().collect(),
        Border::Line => [b'\n'].into_iter().collect(),
        Border::NotWord => letters().complement(),
    };
    match (negated, border) {
        (true, _) => builder.class(set.complement(), 1, Some(1)),
        (false, Border::Line) => {
            let choices = [&b"\r\n"[..], b"\n"].map(|bytes| {
                let mut choice = Builder::default();
                choice.bytes(bytes, false);
                choice
            });
            builder.either(choices.into(), false);
        }
        (false, _) => builder.class(set, 1, Some(1)),
    }
}

/// The bytes that `clamscan` takes for `(B)` in the middle of a part.
const WORD_BORDERS: &[u8] = b"\n\r \"'-./<=>@_";

fn letters() -> ByteSet {
    (0..=u8::MAX).filter(u8::is_ascii_alphanumeric).collect()
}

fn digit(character: u8) -> Option<u8> {
    char::from(character)
        .to_digit(16)
        .and_then(|digit| u8::try_from(digit).ok())
}
