//! Bodies: what each form becomes, and what is refused.
#![forbid(unsafe_code)]

use super::*;
use crate::signature::pattern::{Link, Part as Step};

/// A pattern in one line: `61 62`, `a-c` sets as their size, gaps, links.
fn shape(pattern: &Pattern) -> String {
    let mut words = Vec::new();
    for (number, segment) in pattern.segments().iter().enumerate() {
        if let Some(Link { min, max, .. }) =
            number.checked_sub(1).map(|before| &pattern.links()[before])
        {
            let max = max.map_or(String::new(), |max| max.to_string());
            words.push(format!("<{min}-{max}>"));
        }
        words.push(steps(segment.parts()));
    }
    words.join(" ")
}

fn steps(parts: &[Step]) -> String {
    let all: Vec<_> = parts.iter().map(step).collect();
    all.join(" ")
}

fn step(part: &Step) -> String {
    match part {
        Step::Bytes { bytes, caseless } => {
            let mark = if *caseless { "i" } else { "" };
            format!("{mark}\"{}\"", bytes.escape_ascii())
        }
        Step::Class { set, min, max } => match set.count() {
            0..=8 => format!("{set:?}{{{min}-{max}}}"),
            count => format!("set of {count}{{{min}-{max}}}"),
        },
        Step::Gap { min, max } => format!("{{{min}-{max}}}"),
        Step::Either { choices, negated } => {
            let mark = if *negated { "!" } else { "" };
            let choices: Vec<_> = choices.iter().map(|choice| steps(choice)).collect();
            format!("{mark}({})", choices.join(" | "))
        }
        Step::Edge(edge) => format!("{:?} {:?}", edge.border, edge.side),
    }
}

fn shaped(body: &str, style: Style) -> Result<String, Trouble> {
    pattern(body.as_bytes(), None, style).map(|pattern| shape(&pattern))
}

#[test]
fn every_form_of_a_body() {
    let rows = [
        ("6162", r#""ab""#),
        ("6162635A", r#""abcZ""#),
        ("6162??", r#""ab" {1-1}"#),
        ("??6162????6364", r#"{1-1} "ab" {2-2} "cd""#),
        ("61626?", r#""ab" set of 16{1-1}"#),
        ("6162?1", r#""ab" set of 16{1-1}"#),
        ("6162*6364", r#""ab" <0-> "cd""#),
        ("6162{}6364", r#""ab" <0-> "cd""#),
        ("6162{-}6364", r#""ab" <0-> "cd""#),
        ("6162{5-}6364", r#""ab" <5-> "cd""#),
        ("6162{-5}6364", r#""ab" {0-5} "cd""#),
        ("6162{5}63", r#""ab" {5-5} "c""#),
        ("{5}6162", r#"{5-5} "ab""#),
        ("6162{5}", r#""ab" {5-5}"#),
        ("6162{0}6364", r#""abcd""#),
        ("6162{1-}6364{3}6566", r#""ab" <1-> "cd" {3-3} "ef""#),
        (
            "6162{1-}6364(W){3}6566",
            r#""ab" <1-> "cd" NotWord Behind {3-3} "ef""#,
        ),
        ("6162{3-3}6364", r#""ab" {3-3} "cd""#),
        ("6162{2-9}6364", r#""ab" {2-9} "cd""#),
        ("6162{200}6364", r#""ab" {200-200} "cd""#),
        ("6162{1000}6364", r#""ab" <1000-1000> "cd""#),
        ("6162{10-1000}6364", r#""ab" <10-1000> "cd""#),
        ("6162*{3}6364", r#""ab" <3-> "cd""#),
        ("6162{3}*6364", r#""ab" {3-3} <0-> "cd""#),
        ("6162[1-3]63", r#""ab" {1-3} "c""#),
        ("61[3-]6263", r#""a" {3-3} "bc""#),
        ("61[2]6263[0-32]64", r#""a" {2-2} "bc" {0-32} "d""#),
        ("61[2]6263*6465", r#""a" {2-2} "bc" <0-> "de""#),
        ("6162[1-3]6?", r#""ab" {1-3} set of 16{1-1}"#),
        ("6162(63|64)", r#""ab" ByteSet[cd]{1-1}"#),
        ("6162(63)64", r#""abcd""#),
        ("6162!(63|64)", r#""ab" set of 254{1-1}"#),
        ("6162(6364|65)66", r#""ab" ("cd" | "e") "f""#),
        ("6162!(6364|6566)66", r#""ab" !("cd" | "ef") "f""#),
        ("6162(6?|6566)66", r#""ab" (set of 16{1-1} | "ef") "f""#),
        ("6162(63{2}64|??)66", r#""ab" ("c" {2-2} "d" | {1-1}) "f""#),
        (
            "6162(63|(64|65)66)67",
            r#""ab" ("c" | ByteSet[de]{1-1} "f") "g""#,
        ),
        ("(B)6162(L)", r#"Word Before "ab" Line Behind"#),
        ("(W)6162!(W)63", r#"NotWord Before "ab" set of 62{1-1} "c""#),
        ("6162(B)63", r#""ab" set of 13{1-1} "c""#),
        ("6162!(B)63", r#""ab" set of 243{1-1} "c""#),
        ("6162(L)63", r#""ab" ("\r\n" | "\n") "c""#),
        ("6162!(L)63", r#""ab" set of 255{1-1} "c""#),
        ("!(L)6162!(L)", r#"set of 255{1-1} "ab" Line NotBehind"#),
        (
            "(W)(L)6162(W)(B)",
            r#"NotWord Before ("\r\n" | "\n") "ab" set of 194{1-1} Word Behind"#,
        ),
        (
            "6162(W)*(B)6364",
            r#""ab" NotWord Behind <0-> Word Before "cd""#,
        ),
        ("6162(W){9}63", r#""ab" set of 194{1-1} {9-9} "c""#),
        ("6162(W){1-2}6364", r#""ab" NotWord Behind {1-2} "cd""#),
        ("6162{2-2}(B)6364", r#""ab" {2-2} Word Before "cd""#),
    ];
    for (body, expected) in rows {
        assert_eq!(
            shaped(body, Style::default()).as_deref(),
            Ok(expected),
            "{body}"
        );
    }
}

#[test]
fn an_offset_is_that_of_what_stands_behind_a_byte() {
    let at = |base| {
        Some(Offset {
            base,
            by: 10,
            shift: 2,
        })
    };
    let by = |body: &str, base| {
        let pattern = pattern(body.as_bytes(), at(base), Style::default());
        pattern.map(|pattern| pattern.offset().map(|offset| (offset.by, offset.shift)))
    };
    assert_eq!(by("6162[2]63", Base::Start), Ok(Some((10, 2))));
    assert_eq!(by("61[2]6263", Base::Start), Ok(Some((7, 2))));
    assert_eq!(by("61[0]6263", Base::End), Ok(Some((9, 2))));
    for (body, base) in [("61[1-2]6263", Base::Start), ("61[2]6263", Base::Within(1))] {
        assert!(matches!(by(body, base), Err(Trouble::Aside(..))), "{body}");
    }
}

#[test]
fn modifiers_change_the_plain_bytes() {
    let (caseless, wide) = (
        Style {
            caseless: true,
            ..Style::default()
        },
        Style {
            wide: true,
            ..Style::default()
        },
    );
    let rows = [
        ("614231", caseless, r#"i"ab1""#),
        ("6162(63|31)", caseless, r#"i"ab" ByteSet[1Cc]{1-1}"#),
        ("6162", wide, r#""a\x00b\x00""#),
        ("6162??63", wide, r#""a\x00b\x00" {1-1} "\x00c\x00""#),
        ("6162{1}63", wide, r#""a\x00b\x00" {1-1} "c\x00""#),
        (
            "6162(63|64)",
            wide,
            r#""a\x00b\x00" ByteSet[cd]{1-1} "\x00""#,
        ),
    ];
    for (body, style, expected) in rows {
        assert_eq!(shaped(body, style).as_deref(), Ok(expected), "{body}");
    }
}

#[test]
fn what_is_no_body_is_told() {
    let rows = [
        ("", "a part without"),
        ("61", "a part without"),
        ("61??62", "a part without"),
        ("6?6?", "a part without"),
        ("(61|62)", "a part without"),
        ("(616263|62)", "a part without"),
        ("6162*", "a part without"),
        ("*6162", "a part without"),
        ("6162**6364", "a part without"),
        ("6162{1-2}63", "a part without"),
        ("6162{3-3}63", "a part without"),
        ("6162{0}63", "a part without"),
        ("6162{1-}6364*6566{3}65", "a part without"),
        ("6162*(W)", "a part without"),
        ("{1-2}6162", "a part without"),
        ("6162{1-2}{1-2}6364", "a part without"),
        ("61626", "half a byte at `6` (character 5)"),
        ("6162 6364", "no body goes on at ` 6364` (character 5)"),
        ("6162|63", "no body goes on"),
        ("6162)63", "no body goes on"),
        ("zz", "no body goes on"),
        ("6162!6364", "no body goes on"),
        ("6162{a}6364", "a range without numbers"),
        ("6162{3", "a bracket without its end"),
        ("6162[1-33]63", "a distance"),
        ("6162[2-1]63", "a distance"),
        ("6162[-3]63", "a distance"),
        ("6162[]63", "a distance"),
        ("6162[1-2]6364", "`[n-m]` needs"),
        ("6162[0-2](63|64)", "`[n-m]` needs"),
        ("61[0-2]6263[0-2]6465", "`[n-m]` needs"),
        ("6162(63", "an alternative without its end"),
        ("6162()63", "an alternative without any byte"),
        ("6162(|63)64", "an alternative that begins with none"),
        ("6162!(6364|65)66", "excluded alternatives"),
        ("6162!(6?|65)66", "excluded alternatives"),
        ("6162(63{1-2}64|65)", "a range inside"),
        ("6162(63*64|65)", "no body goes on"),
        ("6162(B|65)", "half a byte"),
        ("6162(!(63)|64)65", "an exclusion inside"),
        ("6162((B)|64)65", "a border inside"),
    ];
    for (body, start) in rows {
        match shaped(body, Style::default()) {
            Err(Trouble::Wrong(reason)) => {
                assert!(reason.starts_with(start), "{body}: {reason}")
            }
            other => panic!("{body}: {other:?}"),
        }
    }
}

#[test]
fn borders_before_wide_characters_are_set_aside() {
    let wide = Style {
        wide: true,
        ..Style::default()
    };
    let reason = "a border before wide characters";
    assert_eq!(shaped("(W)6162", wide), Err(Trouble::never(reason)));
    assert!(shaped("6162(W)", wide).is_ok());
}

#[test]
fn what_is_excluded_has_no_modifiers() {
    let caseless = Style {
        caseless: true,
        ..Style::default()
    };
    assert!(matches!(
        shaped("6162!(63)64", caseless),
        Err(Trouble::Wrong(_))
    ));
    assert!(shaped("6162!(63)64", Style::default()).is_ok());
}

#[test]
fn what_clamscan_takes_and_patterns_cannot_say_is_set_aside() {
    let deep = format!("6162{}63{}", "(".repeat(100_000), ")".repeat(100_000));
    let many = format!("6162({}6364)", "6365|".repeat(1_000_000));
    let long = "61".repeat(5000);
    let rows = [
        ("6162{5-3}6364", "a range that ends before it begins"),
        ("6162(63|)64", "an alternative without any byte"),
        (
            "61[1-2]6263{1-2}64[1-2]6566",
            "a byte beside a part of which the place counts",
        ),
        (
            "6162[1-2]63*6465",
            "a byte beside a part of which the place counts",
        ),
        (&deep, "alternatives nested too deep"),
        (&many, "a pattern of too many parts"),
        (&long, "too many bytes in a row"),
    ];
    for (body, reason) in rows {
        assert_eq!(shaped(body, Style::default()), Err(Trouble::never(reason)));
    }
}
