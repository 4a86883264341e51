//! `.cdb`: names, sizes and positions of members of archives; `.pwdb`: passwords that are tried on them.
#![forbid(unsafe_code)]

use std::io::{self, BufRead};

use super::{Trouble, check_levels, check_range, fields, level, number, read_lines};
use crate::event::EngineWord;
use crate::path::printable;
use crate::signature::rule::MemberRule;
use crate::signature::{Format, Intake, Item, Meaning, Signature, named};

/// The most memory that an expression may take when it is compiled, in bytes.
const SIZE: usize = 1024 * 1024;

/// The types of containers that clamscan takes in these files; `*` is any.
const ANY: &[u8] = b"CL_TYPE_ANY";

/// The row of `.cdb`.
#[derive(Debug)]
pub struct Members;

impl Format for Members {
    fn name(&self) -> &'static str {
        "clam-cdb"
    }

    fn extensions(&self) -> &'static [&'static str] {
        &["cdb"]
    }

    fn parse(&self, text: &mut dyn BufRead, source: &str, out: &mut dyn Intake) -> io::Result<()> {
        read_lines(text, source, out, member)
    }
}

/// The row of `.pwdb`.
#[derive(Debug)]
pub struct Passwords;

impl Format for Passwords {
    fn name(&self) -> &'static str {
        "clam-pwdb"
    }

    fn extensions(&self) -> &'static [&'static str] {
        &["pwdb"]
    }

    fn parse(&self, text: &mut dyn BufRead, source: &str, out: &mut dyn Intake) -> io::Result<()> {
        read_lines(text, source, out, password)
    }
}

/// `Name:ContainerType:ContainerSize:FileNameRegex:SizeInContainer:RealSize:IsEncrypted:Position:Res1:Res2[:Min[:Max]]`.
/// clamscan compares neither of the last two of these, though the manual has the first as a checksum.
fn member(line: &[u8]) -> Result<Item, Trouble> {
    let all: Vec<&[u8]> = fields(line, b':').take(13).collect();
    let [
        name,
        kind,
        container_size,
        file,
        compressed,
        size,
        encrypted,
        position,
        _,
        _,
        levels @ ..,
    ] = all.as_slice()
    else {
        return Err(Trouble::wrong(
            "a line must have at least 10 fields, with colons between them",
        ));
    };
    let name = named(EngineWord::Clam, name)?;
    let container = match *kind {
        b"*" | ANY => None,
        kind if kind.starts_with(b"CL_TYPE_") => Some(String::from_utf8_lossy(kind).into_owned()),
        kind => {
            return Err(format!("`{}` is no type of a container", printable(kind, 40)).into());
        }
    };
    let rule = MemberRule {
        container,
        container_size: range(container_size)?,
        name: match *file {
            b"*" => None,
            b"" => return Err(Trouble::wrong("the expression is empty")),
            file => Some(expression(file)?),
        },
        compressed: range(compressed)?,
        size: range(size)?,
        encrypted: match *encrypted {
            b"*" => None,
            b"0" => Some(false),
            b"1" => Some(true),
            _ => return Err(Trouble::wrong("IsEncrypted must be 0, 1 or *")),
        },
        position: range(position)?,
    };
    check_levels(levels.iter().copied())?;
    Ok(Item::Signature(Signature {
        name,
        meaning: Meaning::Member(rule),
    }))
}

/// `*`, `n` or `n-m`.
fn range(field: &[u8]) -> Result<Option<(u64, u64)>, Trouble> {
    if field == b"*" {
        return Ok(None);
    }
    let mut ends = fields(field, b'-').map(number);
    let range = match (ends.next().flatten(), ends.next(), ends.next()) {
        (Some(one), None, None) => Some((one, one)),
        (Some(from), Some(Some(to)), None) => Some((from, to)),
        _ => None,
    };
    let wrong = || format!("`{}` is no number and no range", printable(field, 40));
    Ok(Some(range.ok_or_else(wrong)?))
}

/// An extended expression of POSIX, which may begin with `(?i)`, in the syntax of the crate `regex-automata`.
fn expression(text: &[u8]) -> Result<String, Trouble> {
    let (flags, text) = match text.strip_prefix(b"(?i)") {
        Some(text) => ("(?is-u)", text),
        None => ("(?s-u)", text),
    };
    let mut out = flags.to_owned();
    let mut rest = text;
    while let Some((byte, behind)) = rest.split_first() {
        rest = behind;
        match byte {
            b'\\' => {
                let Some((escaped, behind)) = rest.split_first() else {
                    return Err(Trouble::wrong("the expression ends with a backslash"));
                };
                // There are no classes: `\d` is a `d`.
                literal(*escaped, &mut out);
                rest = behind;
            }
            b'[' => rest = bracket(rest, &mut out)?,
            b'{' => {
                let length = rest.iter().take_while(|byte| **byte != b'}').count();
                let (bounds, behind) = rest.split_at_checked(length).unwrap_or((rest, &[]));
                let is_bound = |byte: &u8| byte.is_ascii_digit() || *byte == b',';
                if bounds.is_empty() || behind.is_empty() || !bounds.iter().all(is_bound) {
                    return Err(format!("`{}` is no expression", printable(text, 60)).into());
                }
                out.push('{');
                out.extend(bounds.iter().map(|byte| char::from(*byte)));
                rest = behind;
            }
            b'.' | b'*' | b'+' | b'?' | b'(' | b')' | b'|' | b'^' | b'$' | b'}' => {
                out.push(char::from(*byte));
                let repeats = |byte: &u8| matches!(byte, b'*' | b'+' | b'?');
                if repeats(byte) && rest.first().is_some_and(repeats) {
                    return Err(Trouble::wrong("a repetition of a repetition"));
                }
            }
            other => literal(*other, &mut out),
        }
    }
    let build = regex_automata::meta::Builder::new()
        .configure(regex_automata::meta::Config::new().nfa_size_limit(Some(SIZE)))
        .syntax(regex_automata::util::syntax::Config::new().utf8(false))
        .build(&out);
    match build {
        Ok(_) => Ok(out),
        Err(error) if error.size_limit().is_some() => {
            Err(Trouble::never("too large an expression"))
        }
        Err(_) => Err(format!("`{}` is no expression", printable(text, 60)).into()),
    }
}

fn literal(byte: u8, out: &mut String) {
    match byte {
        b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'_' => out.push(char::from(byte)),
        other => out.push_str(&format!("\\x{other:02x}")),
    }
}

/// A set of bytes, in which a backslash means itself.
fn bracket<'t>(mut rest: &'t [u8], out: &mut String) -> Result<&'t [u8], Trouble> {
    out.push('[');
    if let Some(behind) = rest.strip_prefix(b"^") {
        out.push('^');
        rest = behind;
    }
    let mut first = true;
    loop {
        let Some((byte, behind)) = rest.split_first() else {
            return Err(Trouble::wrong("a set of bytes without an end"));
        };
        rest = behind;
        match byte {
            b']' if !first => break,
            b'-' if !first && rest.first() != Some(&b']') => out.push('-'),
            other => literal(*other, out),
        }
        first = false;
    }
    out.push(']');
    Ok(rest)
}

/// `Name;TargetDescriptionBlock;StorageType;Password`
fn password(line: &[u8]) -> Result<Item, Trouble> {
    let mut parts = line.splitn(4, |byte| *byte == b';');
    let (Some(name), Some(block), Some(storage), Some(password)) =
        (parts.next(), parts.next(), parts.next(), parts.next())
    else {
        return Err(Trouble::wrong(
            "a line must be `Name;Engine…;StorageType;Password`",
        ));
    };
    if name.is_empty() {
        return Err(Trouble::wrong("the name is empty"));
    }
    let mut container = None;
    for (place, field) in fields(block, b',').enumerate() {
        let mut ends = field.splitn(2, |byte| *byte == b':');
        let (Some(key), Some(value)) = (ends.next(), ends.next()) else {
            return Err(format!("`{}` is not `key:value`", printable(field, 60)).into());
        };
        match (place, key) {
            (0, b"Engine") => {
                let mut ends = value.splitn(2, |byte| *byte == b'-');
                let (Some(min), Some(max)) = (ends.next(), ends.next()) else {
                    return Err(Trouble::wrong("`Engine` is no range"));
                };
                check_range(level(min)?, level(max)?)?;
            }
            (0, _) => return Err(Trouble::wrong("`Engine` must be the first of its block")),
            (_, b"Container") if value != ANY => {
                container = Some(String::from_utf8_lossy(value).into_owned());
            }
            // clamscan takes the others and heeds none.
            _ => {}
        }
    }
    let is_hex = password.len() % 2 == 0 && password.iter().all(u8::is_ascii_hexdigit);
    let password = match storage {
        b"0" => password.to_vec(),
        b"1" if is_hex => data_encoding::HEXLOWER_PERMISSIVE
            .decode(password)
            .map_err(|_| Trouble::wrong("the password is not hexadecimal"))?,
        b"1" => return Err(Trouble::wrong("the password is not hexadecimal")),
        _ => return Err(Trouble::wrong("the storage type must be 0 or 1")),
    };
    Ok(Item::Password {
        container,
        password,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::signature::Batch;

    fn read(format: &dyn Format, line: &str) -> Batch {
        let mut batch = Batch::default();
        batch.read(format, line.as_bytes(), "x");
        batch
    }

    fn rule(line: &str) -> MemberRule {
        let batch = read(&Members, line);
        let [
            Signature {
                meaning: Meaning::Member(rule),
                ..
            },
        ] = batch.signatures()
        else {
            panic!("{line}: {batch:?}");
        };
        rule.clone()
    }

    #[test]
    fn every_field_of_a_member() {
        let full = rule("A:CL_TYPE_ZIP:10-20:(?i)a\\.exe$:1-5:9:0:1:*:*:81:255");
        let expected = MemberRule {
            container: Some("CL_TYPE_ZIP".to_owned()),
            container_size: Some((10, 20)),
            name: Some("(?is-u)a\\x2eexe$".to_owned()),
            compressed: Some((1, 5)),
            size: Some((9, 9)),
            encrypted: Some(false),
            position: Some((1, 1)),
        };
        assert_eq!(full, expected);
        assert_eq!(rule("A:*:*:*:*:*:*:*:*:*"), MemberRule::default());
        assert_eq!(
            rule("A:CL_TYPE_ANY:*:*:*:*:*:*:zz:*"),
            MemberRule::default()
        );
        assert_eq!(
            rule("A:*:*:a{1,2}b{3}:*:*:1:*:*:*").name.unwrap(),
            "(?s-u)a{1,2}b{3}"
        );
        assert_eq!(
            rule("A:*:*:\\d[^]\\a-]:*:*:1:*:*:*").name.unwrap(),
            "(?s-u)d[^\\x5d\\x5ca\\x2d]"
        );
    }

    #[test]
    fn what_is_no_member_is_told() {
        let rows = [
            ("A:*:*:x:*:*:*:*:*", "a line must have at least 10 fields"),
            (":*:*:x:*:*:*:*:*:*", "the name is empty"),
            ("A:ZIP:*:x:*:*:*:*:*:*", "`ZIP` is no type of a container"),
            ("A:*:*:x:*:330-:*:*:*:*", "`330-` is no number and no range"),
            ("A:*:*:x:*:-330:*:*:*:*", "`-330` is no number and no range"),
            ("A:*:*:x:*:*:2:*:*:*", "IsEncrypted must be"),
            ("A:*:*:(:*:*:*:*:*:*", "`(` is no expression"),
            ("A:*:*:a{2:*:*:*:*:*:*", "`a{2` is no expression"),
            ("A:*:*:x*?:*:*:*:*:*:*", "a repetition of a repetition"),
            ("A:*:*:[a:*:*:*:*:*:*", "a set of bytes without an end"),
            (
                "A:*:*:a\\:*:*:*:*:*:*",
                "the expression ends with a backslash",
            ),
        ];
        for (line, start) in rows {
            let batch = read(&Members, line);
            let reason = &batch.complaints()[0].reason;
            assert!(reason.starts_with(start), "{line}: {reason}");
        }
        let other = read(&Members, "A:*:*:x:*:*:*:*:*:*:217");
        assert!(matches!(other.others(), [Item::Aside(_)]));
    }

    #[test]
    fn passwords_and_their_containers() {
        let rows: [(&str, Option<&str>, &[u8]); 4] = [
            (
                "A;Engine:81-255,Container:CL_TYPE_ZIP;0;in;fected",
                Some("CL_TYPE_ZIP"),
                b"in;fected",
            ),
            ("A;Engine:81-255;1;616263", None, b"abc"),
            ("A;Engine:81-255,Container:CL_TYPE_ANY;0;", None, b""),
            ("A;Engine:81-255,FileSize:1-10;0;x", None, b"x"),
        ];
        for (line, container, password) in rows {
            let expected = Item::Password {
                container: container.map(str::to_owned),
                password: password.to_vec(),
            };
            assert_eq!(read(&Passwords, line).others(), [expected], "{line}");
        }
        let wrong = [
            ("A;Engine:81-255;0", "a line must be"),
            (";Engine:81-255;0;x", "the name is empty"),
            ("A;*;0;x", "`*` is not `key:value`"),
            ("A;Container:CL_TYPE_ZIP;0;x", "`Engine` must be the first"),
            ("A;Engine:81-255;1;xx", "the password is not hexadecimal"),
            ("A;Engine:81-255;2;xx", "the storage type"),
        ];
        for (line, start) in wrong {
            let batch = read(&Passwords, line);
            let reason = &batch.complaints()[0].reason;
            assert!(reason.starts_with(start), "{line}: {reason}");
        }
    }
}
