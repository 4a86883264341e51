//! Translated expressions: what they match, and what is set aside.
#![forbid(unsafe_code)]

use super::*;
use regex_automata::meta::Regex;
use regex_automata::util::syntax;

fn compiled(text: &str, flags: Flags) -> Regex {
    let syntax = syntax::Config::new().utf8(false).unicode(false);
    let text = translated(text.as_bytes(), flags).unwrap();
    Regex::builder()
        .syntax(syntax)
        .build(&text)
        .unwrap_or_else(|error| panic!("{text}: {error}"))
}

#[test]
fn expressions_mean_the_same() {
    let rows: [(&str, &[u8], bool); 44] = [
        ("hel+o", b"xhelllo", true),
        ("^ab$", b"ab\n", true),
        ("^ab$", b"ab\nc", false),
        ("ab\\Z", b"ab\n", true),
        ("ab\\z", b"ab\n", false),
        ("a.b", b"a\nb", false),
        ("a\\Nb", b"a\xffb", true),
        ("a\\Cb", b"a\nb", true),
        ("\\xff\\xFE", b"\xff\xfe", true),
        ("\\x{68}\\x3B", b"h;", true),
        ("\\x4\\x", b"\x04\0", true),
        ("\\0\\07\\101", b"\0\x07A", true),
        ("\\377", b"\xff", true),
        ("\\cA\\e\\a\\f", b"\x01\x1b\x07\x0c", true),
        ("\\d\\D\\w\\W\\s\\S", b"1a_- x", true),
        ("\\h\\H\\v\\V", b"\xa0x\x85x", true),
        ("a\\Rb", b"a\r\nb", true),
        ("\\Qa.b*\\E+", b"a.b**", true),
        ("\\Qa.b", b"a.b", true),
        ("\\bab\\b", b"-ab-", true),
        ("\\bab\\b", b"xab-", false),
        ("[a-c]x[^a-c]", b"bxd", true),
        ("[]a]+z", b"]az", true),
        ("[^]a]z", b"]z", false),
        ("[a\\-z]q", b"-q", true),
        ("[a-]q", b"-q", true),
        ("[\\d-z]q", b"-q", true),
        ("[a-\\d]q", b"-q", true),
        ("[&&a~~c]q", b"&q", true),
        ("[[:alpha:][:digit:]]q", b"7q", true),
        ("[[:^alpha:]]q", b"aq", false),
        ("[[a]q", b"[q", true),
        ("[\\xf0-\\xff]", b"\xf5", true),
        ("[\\b]", b"\x08", true),
        ("[\\s\\S]q", b"\nq", true),
        ("a{2}b{1,}c{,2}", b"aabbc{,2}", true),
        ("a{x}", b"a{x}", true),
        ("(?P<n>a)(?<m>b)(?'o'c)(?:d)(?|e)", b"abcde", true),
        ("a(?#comment)b", b"ab", true),
        ("(?i)A(?-i:b)", b"ab", true),
        ("(?i:A)B", b"ab", false),
        ("a|bc|", b"bc", true),
        ("#a b", b"#a b", true),
        ("a\\/b", b"a/b", true),
    ];
    for (text, content, matches) in rows {
        assert_eq!(
            compiled(text, Flags::default()).is_match(content),
            matches,
            "{text}"
        );
    }
}

#[test]
fn flags_change_what_it_means() {
    let none = Flags::default();
    let rows: [(&str, Flags, &[u8], bool); 9] = [
        (
            "AB[^c]",
            Flags {
                caseless: true,
                ..none
            },
            b"abC",
            false,
        ),
        (
            "AB[c]",
            Flags {
                caseless: true,
                ..none
            },
            b"abC",
            true,
        ),
        ("a.b", Flags { all: true, ..none }, b"a\nb", true),
        (
            "^b$",
            Flags {
                lines: true,
                ..none
            },
            b"a\nb\nc",
            true,
        ),
        (
            "a b #c\n[ ]d\\ e",
            Flags {
                extended: true,
                ..none
            },
            b"ab d e",
            true,
        ),
        (
            "ab$",
            Flags {
                only_end: true,
                ..none
            },
            b"ab\n",
            false,
        ),
        (
            "^b$",
            Flags {
                only_end: true,
                lines: true,
                ..none
            },
            b"a\nb\nc",
            true,
        ),
        ("ab$", none, b"ab\n", true),
        (
            "a+?b",
            Flags {
                ungreedy: true,
                ..none
            },
            b"aab",
            true,
        ),
    ];
    for (text, flags, content, matches) in rows {
        assert_eq!(compiled(text, flags).is_match(content), matches, "{text}");
    }
}

#[test]
fn what_a_bounded_engine_cannot_do_is_set_aside_by_its_name() {
    let rows = [
        ("(?=a)b", "PCRE: look-around"),
        ("(?!a)b", "PCRE: look-around"),
        ("(?<=a)b", "PCRE: look-around"),
        ("(?<!a)b", "PCRE: look-around"),
        ("(a)\\1", "PCRE: back-reference"),
        ("(?P<n>a)(?P=n)", "PCRE: back-reference"),
        ("(a)\\g1", "PCRE: back-reference"),
        ("(a)\\k<n>", "PCRE: back-reference"),
        ("(?>a)b", "PCRE: atomic group"),
        ("a++", "PCRE: possessive repetition"),
        ("a{2}+", "PCRE: possessive repetition"),
        ("(a)(?1)", "PCRE: recursion"),
        ("(?R)", "PCRE: recursion"),
        ("(?(1)a|b)", "PCRE: conditional group"),
        ("(*UTF8)a", "PCRE: verb"),
        ("a\\Kb", "PCRE: \\K"),
        ("\\Ga", "PCRE: \\G"),
        ("\\pL", "PCRE: Unicode"),
        ("(?x)a b", "PCRE: group option"),
        ("(?m)a$", "PCRE: group option"),
        ("\\x{100}", "PCRE: escape"),
        ("\\y", "PCRE: escape"),
    ];
    for (text, reason) in rows {
        let found = translated(text.as_bytes(), Flags::default());
        assert_eq!(found, Err(Trouble::never(reason)), "{text}");
    }
}
