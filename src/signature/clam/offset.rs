//! Where a body must begin: `*`, `n`, `EOF-n`, `EP+n`, `EP-n`, `Sx+n`, `SL+n`, `SEx`, `VI`, each with `,shift`, or `$group`.
#![forbid(unsafe_code)]

use super::{Trouble, number};
use crate::path::printable;
use crate::signature::pattern::{Base, Offset};

/// The number of macro groups that `clamscan` has.
const GROUPS: u64 = 32;

/// The targets that are programs, which alone have entry points and sections: PE, ELF and Mach-O.
pub(super) const PROGRAMS: [u8; 3] = [1, 6, 9];

/// Where a body stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    /// Anywhere, or here.
    At(Option<Offset>),
    /// Where the macros of this group say.
    Macro(u32),
}

/// Reads an offset for this target.
pub(super) fn place(text: &[u8], target: u8) -> Result<Place, Trouble> {
    match text {
        b"*" => return Ok(Place::At(None)),
        [b'$', group @ ..] => {
            let group = group.strip_suffix(b"$").unwrap_or(group);
            let group = number(group).filter(|group| *group < GROUPS);
            let group = group.and_then(|group| u32::try_from(group).ok());
            return group
                .map(Place::Macro)
                .ok_or_else(|| wrong(text, "must name a macro group from 0 to 31"));
        }
        _ => {}
    }
    let mut parts = text.splitn(2, |byte| *byte == b',');
    let start = parts.next().unwrap_or_default();
    // Nothing behind the comma is 0.
    let shift = match parts.next() {
        None | Some([]) => 0,
        Some(digits) => number(digits).ok_or_else(|| wrong(text, "has no number as its shift"))?,
    };
    let (base, by) = base(start).ok_or_else(|| wrong(text, "is no offset"))?;
    if !matches!(base, Base::Start | Base::End) && !PROGRAMS.contains(&target) {
        return Err(wrong(text, "needs one of the targets 1, 6 and 9"));
    }
    // A whole section or the version information has no one place that could shift.
    let shift = match base {
        Base::Within(_) | Base::VersionInfo => 0,
        _ => shift,
    };
    Ok(Place::At(Some(Offset { base, by, shift })))
}

fn base(start: &[u8]) -> Option<(Base, i64)> {
    match start {
        // An empty offset is 0.
        [] => Some((Base::Start, 0)),
        b"VI" => Some((Base::VersionInfo, 0)),
        [b'E', b'O', b'F', b'-', by @ ..] => Some((Base::End, -distance(by)?)),
        [b'E', b'P', b'+', by @ ..] => Some((Base::Entry, distance(by)?)),
        [b'E', b'P', b'-', by @ ..] => Some((Base::Entry, -distance(by)?)),
        [b'S', b'L', b'+', by @ ..] => Some((Base::LastSection, distance(by)?)),
        [b'S', b'E', section @ ..] => Some((Base::Within(index(section)?), 0)),
        [b'S', rest @ ..] => {
            let plus = rest.iter().position(|byte| *byte == b'+')?;
            let (section, by) = rest.split_at_checked(plus)?;
            Some((Base::Section(index(section)?), distance(by.get(1..)?)?))
        }
        by => Some((Base::Start, distance(by)?)),
    }
}

fn distance(digits: &[u8]) -> Option<i64> {
    number(digits).and_then(|by| i64::try_from(by).ok())
}

fn index(digits: &[u8]) -> Option<u32> {
    number(digits).and_then(|index| u32::try_from(index).ok())
}

fn wrong(text: &[u8], what: &str) -> Trouble {
    format!("the offset `{}` {what}", printable(text, 40)).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_form_of_an_offset() {
        let at = |base, by, shift| Some(Offset { base, by, shift });
        let rows: [(&[u8], Option<Offset>); 17] = [
            (b"*", None),
            (b"", at(Base::Start, 0, 0)),
            (b"0", at(Base::Start, 0, 0)),
            (b"12,", at(Base::Start, 12, 0)),
            (b"12,5", at(Base::Start, 12, 5)),
            (b"99999999999999", at(Base::Start, 99_999_999_999_999, 0)),
            (b"EOF-0", at(Base::End, 0, 0)),
            (b"EOF-20,2", at(Base::End, -20, 2)),
            (b"EP+0", at(Base::Entry, 0, 0)),
            (b"EP-5,6", at(Base::Entry, -5, 6)),
            (b"S0+5", at(Base::Section(0), 5, 0)),
            (b"S12+5,7", at(Base::Section(12), 5, 7)),
            (b"SL+5", at(Base::LastSection, 5, 0)),
            (b"SE3", at(Base::Within(3), 0, 0)),
            (b"SE3,9", at(Base::Within(3), 0, 0)),
            (b"VI", at(Base::VersionInfo, 0, 0)),
            (b"VI,3", at(Base::VersionInfo, 0, 0)),
        ];
        for (text, offset) in rows {
            let text = printable(text, 40);
            assert_eq!(place(text.as_bytes(), 1), Ok(Place::At(offset)), "{text}");
        }
        assert_eq!(place(b"$12", 0), Ok(Place::Macro(12)));
        assert_eq!(place(b"$12$", 0), Ok(Place::Macro(12)));
    }

    #[test]
    fn what_is_no_offset_is_told() {
        let rows = [
            "x",
            "-1",
            "3a",
            " 0",
            "0x10",
            "*,5",
            "0,x",
            "0,1,2",
            "EOF",
            "EOF+1",
            "EOF-",
            "EP",
            "EP+",
            "EP+x",
            "ep+5",
            "S+5",
            "S1",
            "S1-5",
            "S1+",
            "SE",
            "SEx",
            "SL",
            "SL5",
            "SL-5",
            "VI+1",
            "$",
            "$32",
            "$x",
            "99999999999999999999",
        ];
        for text in rows {
            assert!(
                matches!(place(text.as_bytes(), 1), Err(Trouble::Wrong(_))),
                "{text}"
            );
        }
        for text in ["EP+0", "S1+0", "SL+0", "SE1", "VI"] {
            for target in [0, 2, 7, 10] {
                assert!(place(text.as_bytes(), target).is_err(), "{text} {target}");
            }
            for target in PROGRAMS {
                assert!(place(text.as_bytes(), target).is_ok(), "{text} {target}");
            }
        }
    }
}
