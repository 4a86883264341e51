//! A pattern as people read it, whatever language it came from: in the notation of CVDL as far as that goes.
//!
//! Offsets that CVDL does not have, and the borders of words and lines, are written as ClamAV writes them.
#![forbid(unsafe_code)]

use std::fmt::{self, Display, Formatter, Write};

use super::{Base, Border, ByteSet, Link, Offset, Part, Pattern, Segment, Side};

impl Display for Pattern {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let mut list = List { is_first: true };
        if let Some(offset) = &self.offset {
            list.item(f, offset)?;
        }
        for (number, segment) in self.segments.iter().enumerate() {
            if let Some(link) = number.checked_sub(1).and_then(|at| self.links.get(at)) {
                list.link(f, link)?;
            }
            list.segment(f, segment)?;
        }
        Ok(())
    }
}

/// Things with commas between them.
struct List {
    is_first: bool,
}

impl List {
    fn item(&mut self, f: &mut Formatter<'_>, item: &dyn Display) -> fmt::Result {
        if !self.is_first {
            f.write_str(", ")?;
        }
        self.is_first = false;
        item.fmt(f)
    }

    fn segment(&mut self, f: &mut Formatter<'_>, segment: &Segment) -> fmt::Result {
        for part in &segment.parts {
            match part {
                Part::Bytes { bytes, .. } if segment.squeezed => {
                    self.item(f, &Text("~~", bytes))?;
                }
                part => self.item(f, part)?,
            }
        }
        Ok(())
    }

    fn link(&mut self, f: &mut Formatter<'_>, link: &Link) -> fmt::Result {
        let times = Times {
            min: link.min,
            max: link.max,
        };
        match (&link.within, link.min, link.max) {
            (None, 0, Some(0)) => Ok(()),
            (Some(set), ..) => self.item(f, &format_args!("{}{times}", One(set))),
            (None, 0, None) => self.item(f, &".*"),
            (None, min, None) => self.item(f, &format_args!(".*, @{min}")),
            (None, min, Some(max)) => self.item(f, &Gap(min, max)),
        }
    }
}

impl Display for Part {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Bytes { bytes, caseless } => Text(if *caseless { "~" } else { "" }, bytes).fmt(f),
            Self::Class { set, min, max } => {
                let times = Times {
                    min: (*min).into(),
                    max: Some((*max).into()),
                };
                write!(f, "{}{times}", One(set))
            }
            Self::Gap { min, max } => Gap((*min).into(), (*max).into()).fmt(f),
            Self::Either { choices, negated } => {
                f.write_str(if *negated { "!(" } else { "(" })?;
                for (number, choice) in choices.iter().enumerate() {
                    f.write_str(if number > 0 { " | " } else { "" })?;
                    let mut list = List { is_first: true };
                    for part in choice {
                        list.item(f, part)?;
                    }
                }
                f.write_char(')')
            }
            Self::Edge(edge) => {
                f.write_str(match edge.side {
                    Side::NotBehind => "!",
                    Side::Before | Side::Behind => "",
                })?;
                f.write_str(match edge.border {
                    Border::Word => "(B)",
                    Border::Line => "(L)",
                    Border::NotWord => "(W)",
                })
            }
        }
    }
}

impl Display for Offset {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let Self { base, by, shift } = *self;
        match base {
            Base::Start => {
                write!(f, "@@{by}")?;
                return match shift {
                    0 => Ok(()),
                    shift => write!(f, "-{}", by.saturating_add_unsigned(shift)),
                };
            }
            Base::End => write!(f, "EOF{by:+}")?,
            Base::Entry => write!(f, "EP{by:+}")?,
            Base::Section(number) => write!(f, "S{number}{by:+}")?,
            Base::LastSection => write!(f, "SL{by:+}")?,
            Base::Within(number) => return write!(f, "SE{number}"),
            Base::VersionInfo => return f.write_str("VI"),
        }
        match shift {
            0 => Ok(()),
            shift => write!(f, ",{shift}"),
        }
    }
}

/// A string, behind what says how it is compared.
struct Text<'a>(&'a str, &'a [u8]);

impl Display for Text<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "{}\"", self.0)?;
        for byte in self.1 {
            match byte {
                b'"' | b'\\' => write!(f, "\\{}", char::from(*byte))?,
                b' '..=b'~' => f.write_char(char::from(*byte))?,
                _ => write!(f, "\\x{byte:02x}")?,
            }
        }
        f.write_char('"')
    }
}

/// One byte out of a set.
struct One<'a>(&'a ByteSet);

impl Display for One<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let set = match self.0.count() > 128 {
            true => self.0.complement(),
            false => *self.0,
        };
        if *self.0 != set {
            f.write_char('!')?;
        }
        let mut ranges: Vec<(u8, u8)> = Vec::new();
        for byte in set.bytes() {
            match ranges.last_mut() {
                Some((_, last)) if last.checked_add(1) == Some(byte) => *last = byte,
                _ => ranges.push((byte, byte)),
            }
        }
        match ranges.as_slice() {
            [one] => range(f, *one),
            ranges => {
                f.write_char('[')?;
                for (number, one) in ranges.iter().enumerate() {
                    f.write_str(if number > 0 { ", " } else { "" })?;
                    range(f, *one)?;
                }
                f.write_char(']')
            }
        }
    }
}

fn range(f: &mut Formatter<'_>, (first, last): (u8, u8)) -> fmt::Result {
    byte(f, first)?;
    if last > first {
        f.write_char('-')?;
        byte(f, last)?;
    }
    Ok(())
}

fn byte(f: &mut Formatter<'_>, byte: u8) -> fmt::Result {
    match byte {
        b'\'' | b'\\' => write!(f, "'\\{}'", char::from(byte)),
        b' '..=b'~' => write!(f, "'{}'", char::from(byte)),
        _ => write!(f, "0x{byte:02x}"),
    }
}

/// So many bytes, whatever they are.
struct Gap(u64, u64);

impl Display for Gap {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self(min, max) if min == max => write!(f, "@{min}"),
            Self(min, max) => write!(f, "@{min}-{max}"),
        }
    }
}

/// How often a byte stands there.
struct Times {
    min: u64,
    max: Option<u64>,
}

impl Display for Times {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match (self.min, self.max) {
            (1, Some(1)) => Ok(()),
            (0, Some(1)) => f.write_char('?'),
            (0, None) => f.write_char('*'),
            (1, None) => f.write_char('+'),
            (min, None) => write!(f, "{{{min},}}"),
            (min, Some(max)) if min == max => write!(f, "{{{min}}}"),
            (min, Some(max)) => write!(f, "{{{min},{max}}}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Builder, Edge};
    use super::*;

    #[test]
    fn offsets_and_borders_are_written_as_clamav_writes_them() {
        let of = |base, by, shift| {
            let mut builder = Builder::default();
            builder.edge(Edge {
                border: Border::Word,
                side: Side::Before,
            });
            builder.bytes(b"a\n", false);
            builder.finish(Some(Offset { base, by, shift })).unwrap()
        };
        let rows = [
            (of(Base::Start, 4, 0), "@@4"),
            (of(Base::Start, 4, 6), "@@4-10"),
            (of(Base::End, -9, 0), "EOF-9"),
            (of(Base::Entry, 3, 7), "EP+3,7"),
            (of(Base::Section(2), 0, 0), "S2+0"),
            (of(Base::LastSection, 1, 0), "SL+1"),
            (of(Base::Within(1), 0, 0), "SE1"),
            (of(Base::VersionInfo, 0, 0), "VI"),
        ];
        for (pattern, offset) in rows {
            let text = pattern.to_string();
            assert_eq!(text, format!("{offset}, (B), \"a\\x0a\""));
        }
    }
}
