//! What the language means, as patterns and conditions. Whether the patterns are found is tested in `tests/it/cvdl.rs`.

use super::*;
use crate::signature::condition::Condition;
use crate::signature::pattern::LENGTH_LIMIT;
use crate::signature::{Batch, Remark};
use proptest::prelude::*;

fn parse(text: &str) -> Batch {
    let mut batch = Batch::default();
    batch.read(&Cvdl, text.as_bytes(), "v.vdl");
    batch
}

fn strict(text: &str) -> Batch {
    let mut batch = Batch::default();
    batch.read(&Strict, text.as_bytes(), "v.vdl");
    batch
}

/// The names that loaded and the lines that did not.
fn outcome(text: &str) -> (Vec<String>, Vec<u32>) {
    let (signatures, complaints) = parse(text).into_parts();
    (
        signatures.into_iter().map(|s| s.name.name).collect(),
        complaints.into_iter().map(|c| c.line).collect(),
    )
}

fn rules(batch: &Batch) -> Vec<&Rule> {
    batch
        .signatures()
        .iter()
        .map(|signature| match &signature.meaning {
            Meaning::Rule(rule) => rule,
            other => panic!("{other:?}"),
        })
        .collect()
}

/// A rule as text, with parentheses around everything that has operands.
fn written(rule: &Rule) -> String {
    fn write(condition: &Condition, tests: &[Test]) -> String {
        let join = |all: &[Condition], word: &str| {
            let all: Vec<_> = all.iter().map(|one| write(one, tests)).collect();
            format!("({})", all.join(word))
        };
        match condition {
            Condition::And(all) => join(all, " AND "),
            Condition::Not(one) => format!("NOT {}", write(one, tests)),
            Condition::Or(all) => join(all, " OR "),
            Condition::Test(at) => match &tests[*at] {
                Test::Pattern(pattern) => pattern.to_string(),
                other => panic!("{other:?}"),
            },
            Condition::Count(count) => panic!("{count:?}"),
            Condition::Xor(all) => join(all, " XOR "),
        }
    }
    write(&rule.condition, &rule.tests)
}

fn shape(text: &str) -> String {
    let batch = parse(&format!(":n, {text} #"));
    assert_eq!(batch.complaints(), [], "{text}");
    written(rules(&batch)[0])
}

/// What is complained about a rule.
fn reason(text: &str) -> String {
    let batch = parse(&format!(":n, {text} #\n:after, \"a\" #"));
    let [complaint] = batch.complaints() else {
        panic!("{text}: {:?}", batch.complaints());
    };
    let (first, excerpt) = complaint.reason.split_once('\n').unwrap();
    let [line, caret] = excerpt.lines().collect::<Vec<_>>()[..] else {
        panic!("{excerpt}");
    };
    // The caret stands under the column that is named.
    let column: usize = first
        .split([' ', ':'])
        .nth(1)
        .and_then(|number| number.parse().ok())
        .unwrap();
    if column < 60 {
        assert_eq!(caret.len(), 4 + column, "{}", complaint.reason);
    }
    assert!(line.len() > 4, "{}", complaint.reason);
    assert_eq!(batch.signatures().len(), 1, "{text}");
    first.to_owned()
}

#[test]
fn what_binds_tighter() {
    let rows = [
        (
            r#""pets" AND "cat" OR "dog""#,
            r#"(("pets" AND "cat") OR "dog")"#,
        ),
        (r#""p" AND ("c" OR "d")"#, r#"("p" AND ("c" OR "d"))"#),
        (
            r#""a" or "b" Xor not "c" & "d" And "e""#,
            r#"("a" OR ("b" XOR (NOT "c" AND "d" AND "e")))"#,
        ),
        (r#""a" XOR "b" XOR "c""#, r#"("a" XOR "b" XOR "c")"#),
        (r#"NOT NOT "a""#, r#"NOT NOT "a""#),
        (r#"NOT ("a" OR "b")"#, r#"NOT ("a" OR "b")"#),
        (r#"("a", "b"), (("c"))"#, r#""abc""#),
        (r#""a", "b" AND "c", "d""#, r#"("ab" AND "cd")"#),
        (r#"("x", "a" | "b", "y")"#, r#"("xa" | "by")"#),
        (r#"(("a" | "b")) AND "c""#, r#"(("a" | "b") AND "c")"#),
    ];
    for (text, expected) in rows {
        assert_eq!(shape(text), expected, "{text}");
    }
}

#[test]
fn elements_in_all_their_forms() {
    let digits = "'0'-'9'";
    let spaces = r"[0x09-0x0d, ' ']";
    let rows = [
        (
            r#""ab", ~"CD", 0x65, 'f', 103, \h"#,
            r#""ab", ~"cd", "efgh""#.to_owned(),
        ),
        (r#""abc$mac""#, r#""abc$mac""#.to_owned()),
        (r#""a", @0-10, "b""#, r#""a", @0-10, "b""#.to_owned()),
        (r#""a", @7, "b""#, r#""a", @7, "b""#.to_owned()),
        (r#""a", @1000, "b""#, r#""a", @1000, "b""#.to_owned()),
        (r#""a", .*, "b""#, r#""a", .*, "b""#.to_owned()),
        (r#""a", @3-5, .*, "b""#, r#""a", @3-5, .*, "b""#.to_owned()),
        (
            r#""a", \d+, "b""#,
            format!(r#""a", {digits}, {digits}*, "b""#),
        ),
        (r#""a", \s*, "b""#, format!(r#""a", {spaces}*, "b""#)),
        (
            r#""a", \s+, "b""#,
            format!(r#""a", {spaces}, {spaces}*, "b""#),
        ),
        (r#"~~"1-2 c""#, r#"~~"12c""#.to_owned()),
        (r#""a", ~~"b", "c""#, r#""a", ~~"b", "c""#.to_owned()),
        (r#"'a'-'f', "1""#, r#"'a'-'f', "1""#.to_owned()),
        (r#"0x61-102, "1""#, r#"'a'-'f', "1""#.to_owned()),
        (r#"!'a', "1""#, r#"!'a', "1""#.to_owned()),
        (r#"!'a'-'z', "1""#, r#"!'a'-'z', "1""#.to_owned()),
        (r#"!!'a', "1""#, r#""a1""#.to_owned()),
        (
            r#"['a', 'c'-'e', "xz"], "1""#,
            r#"['a', 'c'-'e', 'x', 'z'], "1""#.to_owned(),
        ),
        (r#"!['a', "b"], "1""#, r#"!'a'-'b', "1""#.to_owned()),
        (r#""1", 'a'{3}, "2""#, r#""1aaa2""#.to_owned()),
        (
            r#""1", 'a'-'b'{2,4}, "2""#,
            r#""1", 'a'-'b'{2,4}, "2""#.to_owned(),
        ),
        (r#""1", 'a'{2,}, "2""#, r#""1aa", 'a'*, "2""#.to_owned()),
        (r#""1", 'a'+, "2""#, r#""1a", 'a'*, "2""#.to_owned()),
        (r#""1", 'a'*, "2""#, r#""1", 'a'*, "2""#.to_owned()),
        (r#""1", 'a'?, "2""#, r#""1", 'a'?, "2""#.to_owned()),
        (r#""1", 0-255{3}, "2""#, r#""1", @3, "2""#.to_owned()),
        (
            r#"FUZZY -2 +3 "cow""#,
            "'a'-'f', 'm'-'r', 'u'-'z'".to_owned(),
        ),
        ("Fuzz 2 100", "'b'-'f'".to_owned()),
        ("fuzzy +-1 'm'", "'l'-'n'".to_owned()),
        ("FUZZ -+1 'm'", "'l'-'n'".to_owned()),
        ("Fuzzy -1 'm'", "'l'-'m'".to_owned()),
        ("fuzz +1 'm'", "'m'-'n'".to_owned()),
        ("FUZZY 3 1", "0x00-0x04".to_owned()),
        ("FUZZY 999 'm', \"a\"", "@1, \"a\"".to_owned()),
        (r#"FUZZY 1 ~"m""#, "['L'-'N', 'l'-'n']".to_owned()),
        ("FUZZY 1 'b'-'c'{2}", "'a'-'d'{2}".to_owned()),
        ("FUZZY +1 ['a', 'x']", "['a'-'b', 'x'-'y']".to_owned()),
        (
            r#""x", ("a" | "b"), "y""#,
            r#""x", ("a" | "b"), "y""#.to_owned(),
        ),
        (
            r#""x", ("a", 'b'? | ("c" | "d")), "y""#,
            r#""x", ("a", 'b'? | ("c" | "d")), "y""#.to_owned(),
        ),
        (r#"@@4, "a""#, r#"@@4, "a""#.to_owned()),
        (r#"@@4-9, "a""#, r#"@@4-9, "a""#.to_owned()),
        (r#"@@4, @1-3, "a""#, r#"@@5-7, "a""#.to_owned()),
        (
            r#"@@0, \d+, "a""#,
            format!(r#"@@0, {digits}, {digits}*, "a""#),
        ),
    ];
    for (text, expected) in rows {
        assert_eq!(shape(text), expected, "{text}");
    }
}

#[test]
fn what_stands_at_the_ends_counts_with_its_least() {
    let rows = [
        (r#"@0-9, "abc""#, r#""abc""#),
        (r#"@3-9, "abc""#, r#""abc""#),
        (r#".*, "abc""#, r#""abc""#),
        (r#".*, @3, 'x'*, "abc""#, r#""abc""#),
        (r#"\d+, "abc""#, r#"'0'-'9', "abc""#),
        (r#"'x'{2,9}, "abc""#, r#""xxabc""#),
        (r#""abc", .*"#, r#""abc""#),
        (r#""abc", .*, 'x'?"#, r#""abc""#),
        (r#""abc", 'x'?, .*"#, r#""abc""#),
        (r#""abc", @2-5"#, r#""abc", @2"#),
        (r#""abc", \d+"#, r#""abc", '0'-'9'"#),
        (r#""abc", 'x'{2,9}"#, r#""abcxx""#),
        (r#"((.*, "a") | "b"), "c""#, r#"("ac" OR "bc")"#),
    ];
    for (text, expected) in rows {
        assert_eq!(shape(text), expected, "{text}");
    }
}

#[test]
fn alternatives_without_a_bound_are_patterns_of_their_own() {
    let rows = [
        (
            r#""x", (("a", .*, "b") | "c"), "y""#,
            r#"("xa", .*, "by" OR "xcy")"#,
        ),
        (
            r#"(~~"a" | "b"), ("c" | \d+, "d")"#,
            r#"(~~"a", "c" OR ~~"a", '0'-'9', '0'-'9'*, "d" OR "bc" OR "b", '0'-'9', '0'-'9'*, "d")"#,
        ),
        (r#""x", ("a" | 'b'?), "y""#, r#"("xay" OR "x", 'b'?, "y")"#),
        (
            r#"NOT ("a", .*, "b" | "c")"#,
            r#"NOT ("a", .*, "b" OR "c")"#,
        ),
        (r#"((@@0, "MZ") | "x"), "y""#, r#"(@@0, "MZy" OR "xy")"#),
        (
            r#""a", (("b", @300, "c") | "d")"#,
            r#"("ab", @300, "c" OR "ad")"#,
        ),
        (
            r#""a", \s*, 'x'*, "b""#,
            r#"("a", [0x09-0x0d, ' ']*, "b" OR "a", [0x09-0x0d, ' ']*, "x", 'x'*, "b")"#,
        ),
    ];
    for (text, expected) in rows {
        assert_eq!(shape(text), expected, "{text}");
    }
    let two = r#"("a", .* | "b"), "-""#;
    let product = |count: usize| format!("{} , \"z\"", vec![two; count].join(", "));
    let batch = parse(&format!(":n, {} #", product(6)));
    assert_eq!(rules(&batch)[0].tests.len(), 64);
    assert!(reason(&product(7)).contains("more than 64 patterns"));
    let several = vec![product(3); 10].join(" OR ");
    assert!(reason(&several).contains("more than 64 patterns"));
}

#[test]
fn names_as_people_write_them() {
    let text =
        ":name with spaces/W32.x, \"q\" # ; comment\n :b , \"b\"# :c#1,\n\"c\"\n#\n:b, \"B\" #";
    let (names, lines) = outcome(text);
    assert_eq!(names, ["name with spaces/W32.x", "b", "c#1", "b"]);
    assert!(lines.is_empty(), "{lines:?}");
}

#[test]
fn what_is_wrong_is_said_and_what_was_meant() {
    let rows = [
        (r#""a" ADN "b""#, "did you mean `AND`?"),
        (r#""a" || "b""#, "did you mean `OR`?"),
        (r#""a" && "b""#, "did you mean `AND`?"),
        (r#""a" ^ "b""#, "did you mean `XOR`?"),
        (r#""a" cat"#, "stands in quotes"),
        (r#""a" "b""#, "need a comma"),
        (r#"("a""#, "a `)` is missing"),
        (r#""a")"#, "unexpected `)`"),
        (r#""a", . , "b""#, "`.*`"),
        (r#""a", 256"#, "256 is no byte"),
        (r#""a", 'f'-'a'"#, "ends before it begins"),
        (r#""a", @5-2, "b""#, "did you mean 2-5?"),
        (r#""a", 'x'{3,2}"#, "did you mean 2-3?"),
        (r#""a", 'x'{0}, "b""#, "leave the byte out"),
        (r#""a", 'x'{5000}, "b""#, "more than 4096 repetitions"),
        (r#""a"{3}"#, "a string cannot be repeated"),
        (r#""a", \d*"#, "operators only as `\\d+`"),
        (r#"!"abc""#, "`NOT \"…\"`"),
        (r#"[], "a""#, "a set without any byte"),
        (r#"![0-255], "a""#, "a set without any byte"),
        (r#"FUZZY 1 ~~"a""#, "FUZZY stands before"),
        (r#"FUZZY "a""#, "unexpected string"),
        (r#""a", @@3, "b""#, "`@@` stands only at the start"),
        (r#"("a" OR "b"), "c""#, "`(\"a\" | \"b\")`"),
        (r#""a", NOT "b""#, "unexpected NOT"),
        (".*", "no byte to search for"),
        ("@3-5", "no byte to search for"),
        ("'a'?", "no byte to search for"),
        (r#"~~" -" "#, "no byte to search for"),
        (r#""a", "open"#, "must end on its line"),
        (r#""a", 'ab'"#, "one byte"),
        (r#""a\xZZ""#, "two hexadecimal digits"),
        (r#""a", $none"#, "`$none` is not defined above"),
        (r#"<"text" "x"> "a""#, "list of types"),
        (r#"<text> "a""#, "in quotes"),
        ("", "unexpected `#`"),
        (r#""a", \d+, @300-500, "b""#, "nothing that is always there"),
    ];
    for (text, word) in rows {
        let reason = reason(text);
        assert!(reason.contains(word), "{text}: {reason}");
    }
}

#[test]
fn after_an_error_the_rest_loads() {
    let rows: &[(&str, &[&str], &[u32])] = &[
        // The wrong token is the end of its own rule.
        (":a, \"x\" AND # :b, \"y\" #", &["b"], &[1]),
        (":a, # :b, \"y\" #", &["b"], &[1]),
        // What is wrong with the whole rule.
        (":a, .* # :b, \"y\" #", &["b"], &[1]),
        // The end is missing; the line of the rule that lacks it counts.
        (":a,\n\"x\"\n:b, \"y\" #", &["b"], &[1]),
        (":a,\n\"x\"\n$define m \"y\"\n:b, $m #", &["b"], &[1]),
        (":a, \"x\" #\n:b, \"y\"", &["a"], &[2]),
        // A hash inside a string or a byte ends nothing.
        (":a, 256, \"#\", '#', \\# # :b, \"y\" #", &["b"], &[1]),
        (":a, \"open #\n:b, \"y\" #", &["b"], &[1]),
        // The name.
        (":a \"x\" #\n:b, \"y\" #", &["b"], &[1]),
        (":a \"x\", \"z\" #\n:b, \"y\" #", &["b"], &[1]),
        (": , \"x\" #\n:b, \"y\" #", &["b"], &[1]),
        // Between the rules.
        ("\"x\" # \n:b, \"y\" #", &["b"], &[1]),
        ("# :b, \"y\" #", &["b"], &[1]),
        ("\nwhat is this\n:b, \"y\" #", &["b"], &[2]),
        ("$none # :b, \"y\" #", &["b"], &[1]),
        // Parentheses.
        (":a, (\"x\" #\n:b, \"y\" #", &["b"], &[1]),
        (":a, \"x\") #\n:b, \"y\" #", &["b"], &[1]),
        (":a, (\"x\" OR \"z\"), \"q\" #\n:b, \"y\" #", &["b"], &[1]),
        (":a,\n\n\"x\" \"z\" #\n:b, ~'y' #", &[], &[3, 4]),
        ("", &[], &[]),
        ("; only this", &[], &[]),
    ];
    for (text, names, lines) in rows {
        let (found, complained) = outcome(text);
        assert_eq!(found, *names, "{text}");
        assert_eq!(complained, *lines, "{text}");
    }
}

#[test]
fn macros_are_parts_of_rules() {
    let (names, lines) = outcome(
        "$define empty\n$define gap @0-3, $tail ; a comment\n$define tail \"b\"\n:n, \"a\", $gap #\n:m, $empty \"x\" $empty#",
    );
    assert_eq!((names.len(), lines.len()), (2, 0));
    let batch = parse("$define gap @0-3, $tail\n$define tail \"b\"\n:n, \"a\", $gap #");
    assert_eq!(written(rules(&batch)[0]), r#""a", @0-3, "b""#);
    // The next one of the same name counts from there on.
    let batch = parse("$define m \"a\"\n:x, $m #\n$define m \"b\"\n:y, $m #");
    let all: Vec<_> = rules(&batch).into_iter().map(written).collect();
    assert_eq!(all, ["\"a\"", "\"b\""]);
    let rows = [
        (":x, $m #\n$define m \"a\"", 1, "not defined above"),
        (
            "$define a $b\n:x, $a #\n$define b \"q\"",
            2,
            "`$b` is not defined above",
        ),
        ("$define a $a\n:x, $a #", 2, "used in its own value"),
        (
            "$define a $b\n$define b $c\n$define c $a\n:x, $c #",
            4,
            "used in its own value",
        ),
        (
            "$define a 999\n:x, \"x\", $a #",
            2,
            "999 is no byte: a number in a sequence is one byte, 0 to 255 (in a macro that is defined in line 1)",
        ),
        ("$define a \"x\" #", 1, "`#` in a macro"),
    ];
    for (text, line, word) in rows {
        let batch = parse(text);
        let complaint = &batch.complaints()[0];
        assert_eq!(complaint.line, line, "{text}");
        assert!(complaint.reason.contains(word), "{text}: {complaint}");
    }
    // A definition that was not understood is complained about once more by each rule that uses it.
    let (_, lines) = outcome("$define a \"x\n:x, $a #\n:y, $a, \"b\" #\n:z, \"b\" #");
    assert_eq!(lines, [1, 2, 3]);
}

#[test]
fn types_restrict_the_rules_that_follow_or_their_own() {
    let list = |words: &[&str], excluded| TypeList {
        words: words.iter().map(|word| (*word).to_owned()).collect(),
        excluded,
    };
    let text = ":a, \"x\" #\n<\"text\", \"version=1.2.3\">\n:b, \"x\" #\n:c, <!\"A\",\"B\"> \"x\" #\n\
        :d, <\"version=9\"> \"x\" #\n:e, <> \"x\" #\n<\"version=2\">\n:f, \"x\" #\n<>\n:g, \"x\" #\n\
        <!\"HTML\">\n:h, \"x\" #\n<nonsense>\n:i, \"x\" #";
    let batch = parse(text);
    let found: Vec<_> = rules(&batch)
        .into_iter()
        .map(|rule| rule.scope.types.clone())
        .collect();
    let text = list(&["text"], false);
    let expected = [
        TypeList::default(),
        text.clone(),
        list(&["A", "B"], true),
        text.clone(),
        TypeList::default(),
        text.clone(),
        TypeList::default(),
        list(&["HTML"], true),
        // After a list that is not understood everything is searched.
        TypeList::default(),
    ];
    assert_eq!(found, expected);
    let remarks: Vec<_> = batch
        .others()
        .iter()
        .map(|item| match item {
            Item::Remark(Remark { line, kind, .. }) => (*line, kind.clone()),
            other => panic!("{other:?}"),
        })
        .collect();
    let rule = RemarkKind::RuleVersion {
        name: "d".to_owned(),
        version: "9".to_owned(),
    };
    let expected = [
        (2, RemarkKind::Types(text)),
        (2, RemarkKind::FileVersion("1.2.3".to_owned())),
        (5, rule),
        (7, RemarkKind::FileVersion("2".to_owned())),
        (9, RemarkKind::Types(TypeList::default())),
        (11, RemarkKind::Types(list(&["HTML"], true))),
    ];
    assert_eq!(remarks, expected);
    // What a broken rule may have swallowed.
    let batch = parse("<\"text\">\n:a, \"x\"\n<>\n:b, \"x\" #");
    assert_eq!(rules(&batch)[0].scope.types, TypeList::default());
}

#[test]
fn alternatives_without_parentheses_are_a_warning() {
    let rows = [
        (r#""a", "b" | "c""#, true),
        (r#""x" AND "a" | "b""#, true),
        (r#"("x" AND "a" | "b")"#, true),
        (r#"("a" | "b"), "c""#, false),
        (r#"(("a" | "b"))"#, false),
    ];
    for (text, warned) in rows {
        let batch = parse(&format!(":n, {text} #"));
        assert_eq!(batch.signatures().len(), 1, "{text}");
        let warning = |item: &Item| matches!(item, Item::Remark(Remark { kind: RemarkKind::Warning(text), .. }) if text.contains("parentheses"));
        assert_eq!(batch.others().iter().any(warning), warned, "{text}");
    }
}

#[test]
fn strictly_read_a_name_stands_for_one_rule_and_no_gap_stands_first() {
    let rows = [
        (":a, \"x\" #\n:a, \"y\" #", 2, "two rules"),
        ("$define a \"x\"\n$define a \"y\"", 2, "second time"),
        (":a, @0-9, \"x\" #", 1, "at the start"),
        (":a, .*, \"x\" #", 1, "at the start"),
        (":a, (.*, \"x\" | \"y\") #", 1, "at the start"),
    ];
    for (text, line, word) in rows {
        assert_eq!(parse(text).complaints(), [], "{text}");
        let batch = strict(&format!("{text}\n:last, @@3, .*, \"x\" #"));
        let [complaint] = batch.complaints() else {
            panic!("{text}: {:?}", batch.complaints());
        };
        assert_eq!(complaint.line, line, "{text}");
        assert!(complaint.reason.contains(word), "{text}: {complaint}");
        assert_eq!(batch.signatures().last().unwrap().name.name, "last");
    }
}

#[test]
fn depth_and_length_are_bounded() {
    let nested = |depth: usize| {
        let (open, close) = ("(".repeat(depth), ")".repeat(depth));
        format!(
            ":a, {open}\"x\"{close} #\n:b, {}\"y\" #",
            "NOT ".repeat(depth)
        )
    };
    assert!(outcome(&nested(64)).1.is_empty());
    assert_eq!(outcome(&nested(65)).1, [1, 2]);
    assert_eq!(outcome(&nested(100_000)).1, [1, 2]);
    let long = "x".repeat(LENGTH_LIMIT);
    assert_eq!(outcome(&format!(":a, \"{long}\" #")).0, ["a"]);
    assert_eq!(outcome(&format!(":a, \"{long}x\" #")).1, [1]);
    assert_eq!(outcome(&format!(":a, \"{long}\", 'x' #")).1, [1]);
    // A wide rule is not deep.
    let wide = " AND \"x\"".repeat(10_000);
    assert_eq!(outcome(&format!(":a, \"x\"{wide} #")).0, ["a"]);
}

/// Each is refused with a reason, and what follows loads. That the work is bounded shows by what is kept of it: a test
/// that does not end, or takes all memory, fails too.
#[test]
fn hostile_files_are_refused_with_a_reason() {
    let doubling = |levels: usize, leaf: &str| {
        let mut text = format!("$define m0 {leaf}\n");
        for level in 1..=levels {
            let below = level - 1;
            text += &format!("$define m{level} $m{below} $m{below}\n");
        }
        format!("{text}:a, $m{levels} #\n")
    };
    let open = "(\"a\" | ".repeat(100_000);
    let rows: &[(String, &str)] = &[
        (
            format!(":a, {} \"x\" #\n", "\"x\" OR ".repeat(200_000)),
            "more than 16384 patterns",
        ),
        (
            format!(":a, (\"x\"{}) #\n", " | \"x\"".repeat(200_000)),
            "more than 65536 elements",
        ),
        (
            format!(":a, (\"x\"{}) #\n", " | \"x\"".repeat(20_000)),
            "more than 8192 parts",
        ),
        (format!(":a, {open} #\n"), "nested more than 64 deep"),
        (doubling(64, ""), "expand to more than 100000 tokens"),
        (doubling(64, "\"x\","), "expand to more than"),
        (
            doubling(15, &format!("\"{}\",", "x".repeat(4000))),
            "expand to more than 100000 tokens",
        ),
        (
            format!(":a, \"{}\" #\n", "x".repeat(1 << 20)),
            "a string of more than 4096 bytes",
        ),
        (
            format!(":{} #\n", "a".repeat(1 << 20)),
            "a name of more than 1024 bytes",
        ),
        (format!(":a, {}2 #\n", "1".repeat(1 << 20)), "is no number"),
        (
            format!(":a, \"x\", 'y'{{{}}} #\n", 1_u64 << 40),
            "too many repetitions",
        ),
        (
            format!(":a, <{}\"x\"> \"x\" #\n", "\"x\",".repeat(100_000)),
            "more than 64 types",
        ),
        (
            format!(":a, [{}'x'], \n\"x\" \"y\" #\n", "'x',".repeat(100_000)),
            "need a comma",
        ),
    ];
    for (text, word) in rows {
        let batch = parse(&format!("{text}:after, \"a\" #"));
        let [complaint] = batch.complaints() else {
            panic!("{word}: {} complaints", batch.complaints().len());
        };
        assert!(complaint.reason.contains(word), "{complaint}");
        assert!(complaint.reason.len() < 600, "{complaint}");
        assert_eq!(batch.signatures().len(), 1, "{word}");
    }
}

#[test]
fn many_complaints_are_counted_and_everything_else_loads() {
    let mut kept = Kept::default();
    let text = format!("{}:a, \"x\" #", "x #\n".repeat(5_000));
    Cvdl.parse(&mut text.as_bytes(), "v.vdl", &mut kept)
        .unwrap();
    assert_eq!(kept.signatures, 1);
    assert_eq!(kept.complaints.len(), COMPLAINTS_LIMIT as usize + 1);
    let last = kept.complaints.last().unwrap();
    assert!(last.starts_with("4000 further"), "{last}");
}

#[derive(Default)]
struct Kept {
    complaints: Vec<String>,
    signatures: usize,
}

impl Intake for Kept {
    fn take(&mut self, item: Item) {
        match item {
            Item::Complaint(complaint) => self.complaints.push(complaint.reason),
            Item::Signature(_) => self.signatures += 1,
            other => panic!("{other:?}"),
        }
    }
}

/// A sequence of the language.
fn sequence() -> impl Strategy<Value = String> {
    let leaf = prop_oneof![
        "\"[a-c]{1,3}\"",
        "~\"[a-cA-C]{1,3}\"",
        "~~\"[a-c -]{0,2}[a-c]\"",
        Just("@2-5".to_owned()),
        Just("@1".to_owned()),
        Just("@300-400".to_owned()),
        Just(".*".to_owned()),
        Just(r"\d+".to_owned()),
        Just(r"\s*".to_owned()),
        "\\['a'-'c', 0x80\\]([?*+]|\\{2\\}|\\{1,3\\}|)",
        Just("!'a'".to_owned()),
        Just("FUZZY 1 \"ab\"".to_owned()),
    ];
    leaf.prop_recursive(3, 16, 3, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 1..4).prop_map(|all| all.join(", ")),
            proptest::collection::vec(inner, 1..4).prop_map(|all| format!("({})", all.join(" | "))),
        ]
    })
}

proptest! {
    /// What is shown to people means what it was made of: read again it is the same.
    #[test]
    fn what_is_shown_reads_as_itself(text in sequence()) {
        let batch = parse(&format!(":n, {text} #"));
        prop_assume!(batch.complaints().is_empty());
        for test in &rules(&batch)[0].tests {
            let Test::Pattern(pattern) = test else { panic!() };
            let again = parse(&format!(":n, {pattern} #"));
            prop_assert_eq!(again.complaints(), [], "{}", pattern);
            prop_assert_eq!(&rules(&again)[0].tests[0], test, "{}", pattern);
        }
    }

    #[test]
    fn any_text_of_the_language_is_read_or_complained_about(text in "([:#,<>()~@|!{}\\[\\]+*?.\"'$\\\\\n -]|a|NOT|AND|FUZZY|[$]define|[0-9]|d[+]){0,60}") {
        let mut batch = parse(&text);
        batch.read(&Strict, text.as_bytes(), "x");
        let lines = text.split('\n').count() as u32;
        prop_assert!(batch.complaints().iter().all(|complaint| complaint.line <= lines));
    }
}
