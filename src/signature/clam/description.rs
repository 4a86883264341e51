//! The target description block of a logical signature: `Engine:81-255,Target:0,FileSize:10-200`.
#![forbid(unsafe_code)]

use super::offset::PROGRAMS;
use super::{Trouble, check_range, fields, level, number, target};
use crate::path::printable;
use crate::signature::rule::Scope;

/// The most types that `Intermediates` may name.
const INTERMEDIATES: usize = 16;

/// Reads a block.
pub(super) fn scope(block: &[u8]) -> Result<Scope, Trouble> {
    let mut scope = Scope::default();
    let (mut has_target, mut has_icon) = (false, false);
    for (position, field) in fields(block, b',').enumerate() {
        let colon = field.iter().position(|byte| *byte == b':');
        let Some((key, [_, value @ ..])) = colon.and_then(|at| field.split_at_checked(at)) else {
            return Err(wrong(field, "is not `key:value`"));
        };
        match key {
            b"Engine" if position > 0 => {
                return Err(wrong(field, "must be the first of its block"));
            }
            b"Engine" => {
                let (min, max) = ends(value).ok_or_else(|| wrong(field, "is no range"))?;
                check_range(level(min)?, level(max)?)?;
            }
            b"Target" => {
                has_target = true;
                scope.target = target(value)?;
            }
            b"FileSize" => scope.size = Some(range(field, value)?),
            b"EntryPoint" => scope.entry = Some(range(field, value)?),
            b"NumberOfSections" => scope.sections = Some(range(field, value)?),
            b"Container" => scope.container = Some(type_name(value)?),
            b"Intermediates" => {
                let names: Result<Vec<_>, _> = fields(value, b'>').map(type_name).collect();
                scope.intermediates = names?;
                if scope.intermediates.len() > INTERMEDIATES {
                    return Err(Trouble::never("more than 16 containers around each other"));
                }
            }
            b"IconGroup1" | b"IconGroup2" => has_icon = true,
            // It says how a found file is treated further on, which is a matter of expanders.
            b"HandlerType" => return Err(Trouble::never("a type of its own for what it finds")),
            _ => return Err(Trouble::never("for another version of ClamAV")),
        }
    }
    if !has_target {
        return Err(Trouble::wrong("the block names no target"));
    }
    if (scope.entry.is_some() || scope.sections.is_some()) && !PROGRAMS.contains(&scope.target) {
        return Err(Trouble::wrong(
            "EntryPoint and NumberOfSections need one of the targets 1, 6 and 9",
        ));
    }
    match (has_icon, scope.target) {
        (true, 1) => Err(Trouble::never("icon")),
        (true, _) => Err(Trouble::wrong(
            "IconGroup1 and IconGroup2 need the target 1",
        )),
        (false, _) => Ok(scope),
    }
}

/// Both ends of `a-b`.
fn ends(value: &[u8]) -> Option<(&[u8], &[u8])> {
    let dash = value.iter().position(|byte| *byte == b'-')?;
    let (from, to) = value.split_at_checked(dash)?;
    Some((from, to.get(1..)?))
}

fn range(field: &[u8], value: &[u8]) -> Result<(u64, u64), Trouble> {
    let range = ends(value).and_then(|(from, to)| number(from).zip(number(to)));
    range.ok_or_else(|| wrong(field, "is no range"))
}

/// A type's name; which there are is known to those that tell types.
fn type_name(value: &[u8]) -> Result<String, Trouble> {
    let is_word = |byte: &u8| byte.is_ascii_uppercase() || byte.is_ascii_digit() || *byte == b'_';
    match value.starts_with(b"CL_TYPE_") && value.iter().all(is_word) {
        true => Ok(String::from_utf8_lossy(value).into_owned()),
        false => Err(Trouble::never("for another version of ClamAV")),
    }
}

fn wrong(field: &[u8], what: &str) -> Trouble {
    format!("`{}` {what}", printable(field, 60)).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_key_of_a_block() {
        let block = b"Engine:81-255,Target:6,FileSize:10-200,EntryPoint:1-5,NumberOfSections:2-3,Container:CL_TYPE_ZIP,\
            Intermediates:CL_TYPE_MAIL>CL_TYPE_ANY";
        let expected = Scope {
            target: 6,
            size: Some((10, 200)),
            entry: Some((1, 5)),
            sections: Some((2, 3)),
            container: Some("CL_TYPE_ZIP".to_owned()),
            intermediates: vec!["CL_TYPE_MAIL".to_owned(), "CL_TYPE_ANY".to_owned()],
            ..Scope::default()
        };
        assert_eq!(scope(block), Ok(expected));
        assert_eq!(scope(b"Target:0"), Ok(Scope::default()));
    }

    #[test]
    fn what_is_no_block_is_told_and_what_is_for_others_is_set_aside() {
        let wrong: [&[u8]; 14] = [
            b"",
            b"Target",
            b"Target:x",
            b"Engine:81-255",
            b"Engine:81,Target:0",
            b"Target:0,Engine:81-255",
            b"Target:0,",
            b"Target:0,FileSize:25",
            b"Target:0,FileSize:x-y",
            b"Target:0,FileSize:",
            b"Target:0,EntryPoint:1-5",
            b"Target:7,NumberOfSections:1-5",
            b"Target:0,IconGroup1:a",
            b"Target:-1",
        ];
        for block in wrong {
            let found = scope(block);
            assert!(
                matches!(found, Err(Trouble::Wrong(_))),
                "{}: {found:?}",
                printable(block, 80)
            );
        }
        let other = "for another version of ClamAV";
        let aside: [(&[u8], &str); 10] = [
            (b"Engine:217-255,Target:0", other),
            (b"Engine:81-215,Target:0", other),
            (b"Engine:81-,Target:0", other),
            (b"Target:0,Foo:3", other),
            (b"Target:0, FileSize:1-3", other),
            (b"Target:0,Container:ZIP", other),
            (b"Target:15", "for a target of another version of ClamAV"),
            (b"Target:1,IconGroup1:a", "icon"),
            (
                b"Target:0,HandlerType:CL_TYPE_HTML",
                "a type of its own for what it finds",
            ),
            (b"Engine:81-255,Target:0,IconGroup3:a", other),
        ];
        for (block, reason) in aside {
            assert_eq!(
                scope(block),
                Err(Trouble::never(reason)),
                "{}",
                printable(block, 80)
            );
        }
    }
}
