//! PCRE parts of logical signatures: `[offset:]trigger/expression/flags`.
#![forbid(unsafe_code)]

use regex_automata::nfa::thompson;
use regex_automata::util::syntax;

use super::Trouble;
use super::expression::expression;
use super::offset::{Place, place};
use super::pcre::{Flags, translated};
use crate::path::printable;
use crate::signature::pattern::Offset;
use crate::signature::rule::Regex;

/// The most memory that an expression may take when it is compiled, in bytes; it bounds the time for that too.
const SIZE: usize = 2 * 1024 * 1024;

/// The longest expression in bytes.
const LENGTH: usize = 64 * 1024;

/// How deep groups may be.
const DEPTH: u32 = 64;

/// Tells whether a part is one: no other has a slash.
pub(super) fn is_regex(part: &[u8]) -> bool {
    part.contains(&b'/')
}

/// Reads part number `number`. The trigger names parts as they were written.
pub(super) fn regex(part: &[u8], target: u8, number: usize) -> Result<Regex, Trouble> {
    let slash = part.iter().position(|byte| *byte == b'/').unwrap_or(0);
    let last = part.iter().rposition(|byte| *byte == b'/').unwrap_or(0);
    let before = part.get(..slash).unwrap_or_default();
    let body = part.get(slash + 1..last).unwrap_or_default();
    let letters = part.get(last + 1..).unwrap_or_default();
    if slash == last {
        return Err(wrong(part, "has no `/` at its end"));
    }
    if body.is_empty() {
        return Err(wrong(part, "is empty"));
    }
    let colon = before.iter().position(|byte| *byte == b':');
    let (at, trigger) = match colon.and_then(|at| before.split_at_checked(at)) {
        Some((at, [_, trigger @ ..])) => (Some(at), trigger),
        _ => (None, before),
    };
    if trigger.is_empty() {
        return Err(wrong(part, "has no trigger"));
    }
    let trigger = expression(trigger)?;
    if trigger.last >= number {
        return Err(wrong(
            part,
            "has a trigger with a part that does not come before it",
        ));
    }
    let offset = match at.map(|at| place(at, target)).transpose()? {
        None => None,
        Some(Place::At(offset)) => offset,
        Some(Place::Macro(_)) => return Err(wrong(part, "has a macro group as its offset")),
    };
    let options = options(part, letters)?;
    let offset = offset.map(|offset| match offset.shift {
        0 if options.rolling => Offset {
            shift: u64::MAX,
            ..offset
        },
        _ => offset,
    });
    if body.len() > LENGTH {
        return Err(Trouble::never("PCRE: more than 64 KiB"));
    }
    let expression = translated(body, options.flags)?;
    check(&expression)?;
    Ok(Regex {
        expression,
        trigger: Some(trigger.condition),
        offset,
        anchored: options.anchored || offset.is_some_and(|offset| offset.shift == 0),
        confined: options.confined && offset.is_some_and(|offset| offset.shift > 0),
        global: options.global,
    })
}

#[derive(Debug, Default)]
struct Options {
    global: bool,
    rolling: bool,
    confined: bool,
    anchored: bool,
    flags: Flags,
}

fn options(part: &[u8], letters: &[u8]) -> Result<Options, Trouble> {
    let mut options = Options::default();
    for letter in letters {
        match letter {
            b'g' => options.global = true,
            b'r' => options.rolling = true,
            b'e' => options.confined = true,
            b'A' => options.anchored = true,
            b'i' => options.flags.caseless = true,
            b's' => options.flags.all = true,
            b'm' => options.flags.lines = true,
            b'x' => options.flags.extended = true,
            b'E' => options.flags.only_end = true,
            b'U' => options.flags.ungreedy = true,
            _ => return Err(wrong(part, "has an unknown flag")),
        }
    }
    Ok(options)
}

/// Sees whether it compiles, and is no larger than the engine allows.
fn check(expression: &str) -> Result<(), Trouble> {
    let syntax = syntax::Config::new()
        .utf8(false)
        .unicode(false)
        .nest_limit(DEPTH);
    let config = thompson::Config::new()
        .utf8(false)
        .nfa_size_limit(Some(SIZE));
    let built = thompson::Compiler::new()
        .syntax(syntax)
        .configure(config)
        .build(expression);
    match built {
        Ok(_) => Ok(()),
        Err(error) if error.size_limit().is_some() => {
            Err(Trouble::never("PCRE: too large when compiled"))
        }
        Err(_) => match regex_syntax::ast::parse::Parser::new().parse(expression) {
            Err(error) => Err(match error.kind() {
                regex_syntax::ast::ErrorKind::NestLimitExceeded(_) => {
                    Trouble::never("PCRE: groups nested too deep")
                }
                kind => format!("the regular expression: {kind}").into(),
            }),
            Ok(_) => Err(Trouble::never("PCRE: not compiled")),
        },
    }
}

fn wrong(part: &[u8], what: &str) -> Trouble {
    format!("the regular expression `{}` {what}", printable(part, 60)).into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::signature::condition::Condition;
    use crate::signature::pattern::Base;

    #[test]
    fn every_form_of_a_part() {
        let at = |by, shift| {
            Some(Offset {
                base: Base::Start,
                by,
                shift,
            })
        };
        let plain = Regex {
            expression: "(?-u)hello".to_owned(),
            trigger: Some(Condition::Test(0)),
            offset: None,
            anchored: false,
            confined: false,
            global: false,
        };
        let rows = [
            ("0/hello/", plain.clone()),
            (" 0/hello/", plain.clone()),
            ("*:0/hello/", plain.clone()),
            ("0/hello/e", plain.clone()),
            (
                "0/hello/g",
                Regex {
                    global: true,
                    ..plain.clone()
                },
            ),
            (
                "0/hello/A",
                Regex {
                    anchored: true,
                    ..plain.clone()
                },
            ),
            (
                "6:0/hello/",
                Regex {
                    offset: at(6, 0),
                    anchored: true,
                    ..plain.clone()
                },
            ),
            (
                "6:0/hello/r",
                Regex {
                    offset: at(6, u64::MAX),
                    ..plain.clone()
                },
            ),
            (
                "6,9:0/hello/r",
                Regex {
                    offset: at(6, 9),
                    ..plain.clone()
                },
            ),
            (
                "6,9:0/hello/",
                Regex {
                    offset: at(6, 9),
                    ..plain.clone()
                },
            ),
            (
                "6,9:0/hello/e",
                Regex {
                    offset: at(6, 9),
                    confined: true,
                    ..plain.clone()
                },
            ),
            (
                "0/a/b/",
                Regex {
                    expression: "(?-u)a/b".to_owned(),
                    ..plain.clone()
                },
            ),
            (
                "0/a/sim",
                Regex {
                    expression: "(?ism-u)a".to_owned(),
                    ..plain.clone()
                },
            ),
            (
                "0|1/hello/",
                Regex {
                    trigger: Some(Condition::Or(vec![Condition::Test(0), Condition::Test(1)])),
                    ..plain.clone()
                },
            ),
        ];
        for (part, expected) in rows {
            assert_eq!(regex(part.as_bytes(), 0, 2), Ok(expected), "{part}");
        }
    }

    #[test]
    fn what_is_no_part_is_told_and_what_is_too_large_is_set_aside() {
        for part in [
            "/hello/",
            "2/hello/",
            "3/hello/",
            "0&/hello/",
            "x/hello/",
            "0/hello",
            "0//",
            "0/hello/z",
            "0/he[l/",
            "0/he(l/",
            "0/he)l/",
            "0/*a/",
            "0/hello/ ",
            "EP+0:0/a/",
            "x:0/a/",
            "0/a\\/",
            "0/a{2,1}/",
            "0/[b-a]/",
            "0/(?<>a)/",
        ] {
            let found = regex(part.as_bytes(), 0, 2);
            assert!(matches!(found, Err(Trouble::Wrong(_))), "{part}: {found:?}");
        }
        let doubled = format!("0/{}a{}/", "(".repeat(30), "{9})".repeat(30));
        let deep = format!("0/{}a{}/", "(".repeat(30_000), ")".repeat(30_000));
        let long = format!("0/{}/", "a".repeat(100_000));
        for part in [
            "0/(a{1000}){1000}/",
            &doubled,
            &deep,
            &long,
            "0/a{0,60000}b{0,60000}/",
        ] {
            let found = regex(part.as_bytes(), 0, 2);
            assert!(
                matches!(found, Err(Trouble::Aside(..))),
                "{part}: {found:?}"
            );
        }
    }
}
