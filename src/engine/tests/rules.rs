//! What decides whether a rule or a digest counts, each in a table.
#![forbid(unsafe_code)]

use std::collections::HashSet;

use md5::Md5;
use sha2::{Digest as _, Sha256};

use super::{SUBJECT, finished, of_type};
use crate::engine::search::PLACES;
use crate::engine::{Compiler, Database, Subject};
use crate::event::{EngineWord, Limit, Place, Reason, SignatureName};
use crate::executable::{Layout, Section};
use crate::filetype::UNKNOWN;
use crate::object::Object;
use crate::signature::condition::{Condition, Count, Relation};
use crate::signature::digests::Digest;
use crate::signature::pattern::{Base, Builder, Offset, Pattern};
use crate::signature::rule::{Rule, Scope, Test, TypeList};
use crate::signature::{Aside, Intake, Item, Meaning, Signature, Until};
use crate::stop::Stop;
use crate::view::Form;

fn pattern(text: &str) -> Pattern {
    Pattern::exact(text.as_bytes()).unwrap()
}

fn name(text: &str) -> SignatureName {
    SignatureName::new(EngineWord::Clam, text)
}

fn signature(text: &str, meaning: Meaning) -> Item {
    Item::Signature(Signature {
        name: name(text),
        meaning,
    })
}

fn rule(text: &str, tests: Vec<Test>, condition: Condition) -> Item {
    let scope = Scope::default();
    let rule = Rule {
        tests,
        condition,
        scope,
    };
    signature(text, Meaning::Rule(rule))
}

fn md5(content: &[u8]) -> Digest {
    Digest::Md5(Md5::digest(content).into())
}

fn compiler(items: impl IntoIterator<Item = Item>) -> Compiler {
    let mut compiler = Compiler::in_memory(HashSet::new()).unwrap();
    items.into_iter().for_each(|item| compiler.take(item));
    compiler
}

fn database(items: impl IntoIterator<Item = Item>) -> Database {
    compiler(items).open().unwrap()
}

fn names(database: &Database, content: &[u8], subject: &Subject<'_>) -> Vec<String> {
    let found = finished(database, &[content], subject).findings.into_iter();
    found.map(|held| held.signature.name).collect()
}

#[test]
fn a_scope_says_for_which_objects_a_rule_is() {
    let layout = Layout {
        entry: Some(64),
        sections: vec![
            Section {
                start: 0,
                length: 1
            };
            3
        ],
        ..Layout::default()
    };
    let program = Subject {
        file_type: of_type("CL_TYPE_MSEXE"),
        layout: Some(&layout),
        ..SUBJECT
    };
    let member = Subject {
        file_type: of_type("CL_TYPE_MSEXE"),
        containers: &[of_type("CL_TYPE_POSIX_TAR"), of_type("CL_TYPE_ZIP")],
        ..SUBJECT
    };
    let any = Scope::default();
    let types = |words: &[&str], excluded| Scope {
        types: TypeList {
            words: words.iter().map(|word| (*word).to_owned()).collect(),
            excluded,
        },
        ..Scope::default()
    };
    let container = |text: &str| Scope {
        container: Some(text.to_owned()),
        ..Scope::default()
    };
    let intermediates = |all: &[&str]| Scope {
        intermediates: all.iter().map(|one| (*one).to_owned()).collect(),
        ..Scope::default()
    };
    #[rustfmt::skip]
    let rows = [
        // the scope, and whether it fits something unknown, a program, and a program in a zip in a tar
        (any.clone(), [true, true, true]),
        (Scope { target: 1, ..any.clone() }, [false, true, true]),
        (Scope { target: 6, ..any.clone() }, [false, false, false]),
        (Scope { target: 1, size: Some((0, 9)), ..any.clone() }, [false, true, true]),
        (Scope { size: Some((4, 6)), ..any.clone() }, [true, true, true]),
        (Scope { size: Some((0, 5)), ..any.clone() }, [false, false, false]),
        (Scope { entry: Some((64, 70)), ..any.clone() }, [false, true, false]),
        (Scope { entry: Some((65, 70)), ..any.clone() }, [false, false, false]),
        (Scope { sections: Some((1, 3)), ..any.clone() }, [false, true, false]),
        (Scope { sections: Some((4, 9)), ..any.clone() }, [false, false, false]),
        (types(&["text", "PE"], false), [true, true, true]),
        (types(&["text"], false), [true, false, false]),
        (types(&["text"], true), [true, true, true]),
        (types(&["PE"], true), [true, false, false]),
        (container("CL_TYPE_ZIP"), [false, false, true]),
        (container("CL_TYPE_POSIX_TAR"), [false, false, false]),
        (container("CL_TYPE_ANY"), [true, true, false]),
        (intermediates(&["CL_TYPE_ZIP"]), [false, false, true]),
        (intermediates(&["CL_TYPE_POSIX_TAR", "CL_TYPE_ZIP"]), [false, false, true]),
        (intermediates(&["CL_TYPE_ANY", "CL_TYPE_ZIP"]), [false, false, true]),
        (intermediates(&["CL_TYPE_ZIP", "CL_TYPE_ZIP"]), [false, false, false]),
        (intermediates(&["CL_TYPE_ANY", "CL_TYPE_ANY", "CL_TYPE_ZIP"]), [false, false, false]),
    ];
    for (scope, expected) in rows {
        let rule = Rule {
            scope: scope.clone(),
            ..Rule::anywhere(vec![pattern("abc")], Condition::Test(0))
        };
        let database = database([signature("x", Meaning::Rule(rule))]);
        let asks = scope.entry.is_some() || scope.sections.is_some();
        assert_eq!(database.needs_layout(), asks, "{scope:?}");
        let found = [&SUBJECT, &program, &member]
            .map(|subject| !names(&database, b"-abc--", subject).is_empty());
        assert_eq!(found, expected, "{scope:?}");
    }
}

#[test]
fn a_member_of_a_macro_begins_so_many_bytes_behind_a_match() {
    let after = |min, max| Test::Macro {
        after: 0,
        min,
        max,
        group: 12,
    };
    let rows: &[(&str, u64, u64, bool)] = &[
        ("aaxxbb", 4, 4, true),
        ("aaxxcc", 4, 4, true),
        ("aaxxdd", 4, 4, false),
        ("aaxxbb", 0, 3, false),
        ("aaxxbb", 5, 9, false),
        ("bbxxaa", 0, 9, false),
        ("aa------aaxxbb", 4, 4, true),
        ("aa------aaxxbb", 12, 12, true),
        ("aa------aaxxbb", 5, 11, false),
        ("bbaabb", 0, 2, true),
        ("xxbb", 0, 99, false),
    ];
    for (content, min, max, holds) in rows {
        let database = database([
            Item::MacroMember {
                group: 12,
                pattern: pattern("bb"),
            },
            rule(
                "m",
                vec![Test::Pattern(pattern("aa")), after(*min, *max)],
                Condition::And(vec![Condition::Test(0), Condition::Test(1)]),
            ),
            Item::MacroMember {
                group: 12,
                pattern: pattern("cc"),
            },
            Item::MacroMember {
                group: 13,
                pattern: pattern("dd"),
            },
        ]);
        let found = names(&database, content.as_bytes(), &SUBJECT);
        assert_eq!(!found.is_empty(), *holds, "{content} {min}-{max}");
    }
}

#[test]
fn more_places_than_are_kept_are_a_gap() {
    let members = Item::MacroMember {
        group: 1,
        pattern: pattern("b"),
    };
    let after = Test::Macro {
        after: 0,
        min: 0,
        max: 9,
        group: 1,
    };
    let tests = vec![Test::Pattern(pattern("a")), after];
    let database = database([members, rule("m", tests, Condition::Test(1))]);
    for (count, gaps) in [(PLACES / 2, 0), (PLACES + 1, 1)] {
        let content = [b"ab".as_slice(), &b"a".repeat(count)].concat();
        let matches = finished(&database, &[&content], &SUBJECT);
        assert_eq!(matches.findings.len(), 1, "what was found holds");
        assert_eq!(matches.gaps.len(), gaps, "{count}");
        let limit = Reason::Limit(Limit::Matches);
        assert!(matches.gaps.iter().all(|(reason, _)| *reason == limit));
    }
}

#[test]
fn counts_are_of_every_place() {
    let count = |of: &[&[usize]], relation, times, different| {
        Condition::Count(Count {
            of: of.iter().map(|list| list.to_vec()).collect(),
            relation,
            times,
            different,
        })
    };
    use Relation::{Above, Below, Equal};
    let rows = [
        (count(&[&[0]], Above, 2, 0), "aaaa", true),
        (count(&[&[0]], Above, 3, 0), "aaaa", false),
        (count(&[&[0]], Equal, 3, 0), "aaaa", true),
        (count(&[&[0], &[1]], Above, 2, 2), "aabb", false),
        (count(&[&[0], &[1]], Equal, 2, 2), "aabb", true),
        (count(&[&[0, 1]], Equal, 2, 2), "aabb", false),
        (count(&[&[0]], Below, 1, 0), "bb", true),
        (count(&[&[0]], Below, 1, 0), "", true),
        (count(&[&[0]], Equal, 0, 0), "aa", false),
    ];
    for (condition, content, holds) in rows {
        let tests = ["aa", "bb"].map(|text| Test::Pattern(pattern(text)));
        let database = database([rule("c", tests.to_vec(), condition.clone())]);
        let found = names(&database, content.as_bytes(), &SUBJECT);
        assert_eq!(!found.is_empty(), holds, "{condition:?} {content}");
    }
}

#[test]
fn a_list_of_known_good_digests_wins_over_findings() {
    let content = b"something with abc in it";
    let allowed = |digest, size| Item::Allowed {
        digest,
        size,
        name: "good".to_owned(),
    };
    let own = || rule("x", vec![Test::Pattern(pattern("abc"))], Condition::Test(0));
    let length = content.len() as u64;
    let around = Subject {
        allowed: true,
        ..SUBJECT
    };
    let rows = [
        (allowed(md5(content), Some(length)), &SUBJECT, true, true),
        (allowed(md5(content), None), &SUBJECT, true, true),
        (allowed(md5(content), Some(1)), &SUBJECT, false, false),
        (allowed(md5(b"other"), None), &SUBJECT, false, false),
        (allowed(md5(b"other"), None), &around, true, false),
    ];
    for (item, subject, suppressed, is_allowed) in rows {
        let database = database([own(), item.clone()]);
        let matches = finished(&database, &[content], subject);
        assert_eq!(matches.is_allowed, is_allowed, "{item:?}");
        let counts = (matches.findings.len(), matches.allowed.len());
        let expected = if suppressed { (0, 1) } else { (1, 0) };
        assert_eq!(counts, expected, "{item:?}");
    }
    assert_eq!(
        compiler([own(), allowed(md5(b""), None)]).tally().allowed,
        1
    );
}

#[test]
fn names_that_are_not_wanted_are_in_no_database_and_counted() {
    let plain = |text: &str, content: &str| {
        let test = Test::Pattern(pattern(content));
        rule(text, vec![test], Condition::Test(0))
    };
    let digest = |text: &str, content: &[u8]| {
        let digest = md5(content);
        let meaning = Meaning::Digest { digest, size: None };
        signature(text, meaning)
    };
    let not = Condition::Not(Box::new(Condition::Test(0)));
    let items = [
        plain("bad", "abc"),
        Item::Ignored("bad".to_owned()),
        plain("good", "abc"),
        digest("bad", b"abc"),
        digest("digest", b"abc"),
        rule("bad", vec![Test::Pattern(pattern("zzz"))], not.clone()),
        rule("none", vec![Test::Pattern(pattern("zzz"))], not),
        plain("twice", "abc"),
        plain("twice", "ab"),
        plain("CVDL own", "abc"),
        Item::Ignored("nobody".to_owned()),
        Item::Aside(Aside {
            file: "f".to_owned(),
            line: 1,
            name: String::new(),
            until: Until::Content,
            reason: "mail",
        }),
    ];
    let unwanted = [b"CLAM CVDL own".to_vec(), b"good".to_vec()];
    let mut compiler = Compiler::in_memory(unwanted.into()).unwrap();
    items.into_iter().for_each(|item| compiler.take(item));
    let (image, tally) = compiler.finish().unwrap();
    let image = crate::image::Image::open(image.into_inner().into()).unwrap();
    let database = Database::open(&image).unwrap();
    let expected = ["good", "digest", "none", "twice"];
    assert_eq!(names(&database, b"abc", &SUBJECT), expected);
    assert_eq!((tally.rules, tally.digests, tally.ignored), (4, 1, 4));
    assert_eq!((tally.duplicates, tally.waiting()), (1, 1));
    assert_eq!(tally.signatures(), database.count() as u64);
    assert!(!database.knows(&name("bad")) && database.knows(&name("none")));
    let listed: Vec<_> = database.names().map(|name| name.name).collect();
    assert_eq!(listed, ["good", "digest", "none", "twice", "twice"]);
}

#[test]
fn the_sections_of_a_program_have_digests() {
    let content = b"headtexttextdata";
    let section = |start, length| Section { start, length };
    let layout = Layout {
        // The second lies over the first, the last leaves the file.
        sections: vec![section(4, 8), section(4, 8), section(12, 99)],
        ..Layout::default()
    };
    let object = Object::memory(content.as_slice().into(), Stop::never());
    let digest =
        |text: &str, digest, size| signature(text, Meaning::SectionDigest { digest, size });
    let sha256 = Digest::Sha256(Sha256::digest(b"texttext").into());
    let database = database([
        digest("text", md5(b"texttext"), Some(8)),
        digest("other size", md5(b"texttext"), Some(9)),
        digest("any", sha256, None),
        digest("data", md5(b"data"), Some(4)),
        digest("whole", md5(content), None),
    ]);
    assert!(database.needs_layout());
    let program = Subject {
        file_type: of_type("CL_TYPE_MSEXE"),
        layout: Some(&layout),
        object: Ok(&object),
        ..SUBJECT
    };
    let matches = finished(&database, &[content], &program);
    let found: Vec<_> = matches
        .findings
        .iter()
        .map(|held| (held.signature.name.as_str(), held.place))
        .collect();
    let expected = [
        ("text", Place::End(12)),
        ("any", Place::End(12)),
        ("data", Place::End(16)),
    ];
    assert_eq!(found, expected);
    // Only programs of that kind have them, and what could not be kept is said.
    let other = Subject {
        file_type: &UNKNOWN,
        ..program
    };
    assert!(finished(&database, &[content], &other).findings.is_empty());
    let lost = Subject {
        object: Err(&Reason::Corrupt),
        layout: None,
        ..program
    };
    let matches = finished(&database, &[content], &lost);
    assert_eq!(matches.gaps.len(), 1);
    assert!(matches.findings.is_empty());
}

#[test]
fn offsets_in_programs_need_a_layout() {
    let offset = |base| {
        let mut builder = Builder::default();
        builder.bytes(b"abc", false);
        let offset = Offset {
            base,
            by: 0,
            shift: 0,
        };
        Test::Pattern(builder.finish(Some(offset)).unwrap())
    };
    for (base, needs) in [
        (Base::Start, false),
        (Base::End, false),
        (Base::Entry, true),
        (Base::VersionInfo, true),
    ] {
        let database = database([rule("x", vec![offset(base)], Condition::Test(0))]);
        assert_eq!(database.needs_layout(), needs, "{base:?}");
    }
}

#[test]
fn all_matches_of_an_expression_are_counted() {
    let content = b"abc".repeat(70_000);
    let object = Object::memory(content.clone().into(), Stop::never());
    let subject = Subject {
        object: Ok(&object),
        ..SUBJECT
    };
    for (condition, holds) in [
        ("0&1>65535", true),
        ("0&1=70000", true),
        ("0&1>70000", false),
        ("0&1<20000", false),
        ("0&(0|1)>100000", true),
    ] {
        let line = format!("X;Engine:81-255,Target:0;{condition};616263;0/abc/g\n");
        let mut compiler = compiler([]);
        let format = crate::signature::format("clam-ldb").unwrap();
        format
            .parse(&mut line.as_bytes(), "x.ldb", &mut compiler)
            .unwrap();
        let database = compiler.open().unwrap();
        let matches = finished(&database, &[&content], &subject);
        assert_eq!(!matches.findings.is_empty(), holds, "{condition}");
        assert_eq!(matches.gaps, [], "{condition}");
    }
}

#[test]
fn each_form_has_its_targets_and_normal_forms_have_clamavs_rules_alone() {
    let of = |engine: EngineWord, target: u8| {
        let scope = Scope {
            target,
            ..Scope::default()
        };
        let rule = Rule {
            scope,
            ..Rule::anywhere(vec![pattern("marker")], Condition::Test(0))
        };
        Item::Signature(Signature {
            name: SignatureName::new(engine, &format!("{engine:?}{target}")),
            meaning: Meaning::Rule(rule),
        })
    };
    let rows = [0, 3, 4, 7].map(|target| of(EngineWord::Clam, target));
    let all = database(rows.into_iter().chain([of(EngineWord::Cvdl, 0)]));
    let html = of_type("CL_TYPE_HTML");
    let rows: [(Form, &[&str]); 5] = [
        (Form::Content, &["Clam0", "Cvdl0"]),
        (Form::Reading, &["Clam0", "Cvdl0"]),
        (Form::Html, &["Clam0", "Clam3"]),
        (Form::Script, &["Clam0", "Clam3", "Clam7"]),
        (Form::Text, &["Clam0", "Clam7"]),
    ];
    for (form, expected) in rows {
        let subject = Subject {
            form,
            file_type: html,
            ..SUBJECT
        };
        assert_eq!(names(&all, b"a marker", &subject), expected, "{form:?}");
    }
    let needs = |engine, target| {
        let database = database([of(engine, target)]);
        [Form::Html, Form::Text].map(|form| database.needs(form))
    };
    assert_eq!(needs(EngineWord::Clam, 0), [true, true]);
    assert_eq!(needs(EngineWord::Clam, 3), [true, false]);
    assert_eq!(needs(EngineWord::Clam, 7), [true, true]);
    assert_eq!(needs(EngineWord::Clam, 1), [false, false]);
    assert_eq!(needs(EngineWord::Cvdl, 0), [false, false]);
}
