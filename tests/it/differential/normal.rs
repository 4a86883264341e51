//! Normal forms: those that sigtool makes beside ours, and signatures for HTML, mail and text beside clamscan.

use std::process::Command;

use vfind::view::Form;

use super::families::{FILES, Run, compare, lines, live};
use super::{bodies, logical, ours};
use crate::random::Random;
use crate::support::has_tools;

/// Pieces of text.
const WORDS: &[&str] = &[
    "Hello",
    "world",
    "a",
    "B",
    "the  end",
    "x=1",
    "\"quoted\"",
    "it's",
    "(1+2)",
    "a,b;",
    "\n",
    "\r\n",
    "\t",
    "  ",
    "1234",
    "[x]",
    "{y}",
    "#",
    "100%",
    "user@host",
    "/path/to",
];

/// Pieces of HTML besides words.
const MARKUP: &[&str] = &[
    "<p>",
    "</P>",
    "<BR/>",
    "<b >",
    "<div\nclass = 'A  B'>",
    "<a HREF=\"http://Host.COM/x?a=1&amp;b=2\">",
    "</a>",
    "<img src='Pic.PNG' ALT=\"a  b\">",
    "<!-- Comment -->",
    "<!doctype HTML>",
    "&amp;",
    "&lt;p&gt;",
    "&nbsp;",
    "&eacute;",
    "&#65;",
    "&#x42;",
    "&unknown;",
    "&euro;",
    "<table><tr><td bgcolor=#FF00ff>",
    "<input TYPE=text value=V disabled>",
    "<? Php ?>",
    "< i>",
    "<style>P  { a : b }</style>",
    "<h1 title='x\"y'>",
    "<a name=q href=Y z>",
    "<body onLoad=\"go( 'X' )\">",
];

/// Statements of scripts.
const STATEMENTS: &[&str] = &[
    "var Foo = \"Bar\" + 'baz';",
    "function Test( a , b ) { return a+b; }",
    "document.write(\"A  B\");",
    "/* c\n d */",
    "x = unescape(\"%41%42\");",
    "var y=[1,2, 3], z=1.50;",
    "if (a) { Foo() } else b",
    ";\n",
    "eval(x);",
    "a.Foo = Foo;",
    "for(var i=0;i<10;i++){a[i]=i}",
    "s=\"\\x41\\n\\\"\";",
    "// \n",
    "t='%u0041';",
    "010 + 5;",
];

fn words(random: &mut Random, from: &[&[&str]], count: usize) -> String {
    let mut text = String::new();
    for _ in 0..count {
        let list = random.pick(from);
        text += random.pick::<&str>(list);
        if random.once_in(2) {
            text.push(' ');
        }
    }
    text
}

fn html(random: &mut Random) -> Vec<u8> {
    let mut text = "<html>".to_owned();
    for _ in 0..random.range(1, 4) {
        let count = random.range(1, 12);
        text += &words(random, &[WORDS, MARKUP, MARKUP], count);
        if random.once_in(3) {
            let count = random.range(1, 6);
            let script = words(random, &[STATEMENTS], count);
            text += &format!("<script LANGUAGE=js>{script}</SCRIPT>");
        }
    }
    // Signatures are made out of what stands behind the first 64 bytes.
    if text.len() < 100 {
        text += &words(random, &[WORDS], 40);
    }
    text += random.pick::<&str>(&["</body></html>", "", "\n"]);
    text.into_bytes()
}

/// Long enough for clamscan to look at.
fn text(random: &mut Random) -> Vec<u8> {
    let count = random.range(40, 80);
    format!("Text {}", words(random, &[WORDS], count)).into_bytes()
}

/// What sigtool makes of a content: the file of this name.
fn sigtool(option: &str, content: &[u8], names: &[&str]) -> Vec<Vec<u8>> {
    let folder = tempfile::tempdir().unwrap();
    let input = folder.path().join("in");
    std::fs::write(&input, content).unwrap();
    // It may end with an abort after it has written all (1.4.6).
    let _ = Command::new("sigtool")
        .arg(format!("{option}={}", input.display()))
        .current_dir(folder.path())
        .output()
        .unwrap();
    let read = |name: &&str| std::fs::read(folder.path().join(name)).unwrap_or_default();
    names.iter().map(read).collect()
}

fn compare_forms(seed: u64, make: fn(&mut Random) -> Vec<u8>, option: &str, names: &[&str]) {
    if !has_tools(&["sigtool"]) {
        return;
    }
    let mut random = Random::new(seed);
    let mut unlike = Vec::new();
    let pairs = std::env::var("VFIND_PAIRS").map_or(5000, |count| count.parse().unwrap());
    // Each is a run of sigtool.
    for _ in 0..pairs / 20 {
        let content = make(&mut random);
        let theirs = sigtool(option, &content, names);
        let ours: Vec<_> = ours::normal_forms(&content)
            .into_iter()
            .map(|(_, bytes)| bytes)
            .collect();
        for (number, name) in names.iter().enumerate() {
            if ours.get(number) != theirs.get(number) {
                let shown = |forms: &[Vec<u8>]| {
                    forms
                        .get(number)
                        .map(|form| form.escape_ascii().to_string())
                };
                unlike.push(format!(
                    "{name} of {}\n  sigtool: {:?}\n  ours:    {:?}",
                    content.escape_ascii(),
                    shown(&theirs),
                    shown(&ours)
                ));
            }
        }
    }
    unlike.sort_by_key(String::len);
    unlike.truncate(12);
    assert!(unlike.is_empty(), "{}", unlike.join("\n"));
}

#[test]
fn normal_forms_of_html() {
    compare_forms(
        60,
        html,
        "--html-normalise",
        &["nocomment.html", "notags.html", "javascript"],
    );
}

#[test]
fn normal_forms_of_text() {
    compare_forms(61, text, "--ascii-normalise", &["normalised_text"]);
}

/// A content in one of its forms, or as it is.
fn form(random: &mut Random, content: &[u8]) -> Vec<u8> {
    let forms = ours::normal_forms(content);
    if forms.is_empty() || random.once_in(5) {
        return content.to_vec();
    }
    let (_, form) = random.pick(&forms);
    match form.len() < 65 {
        true => content.to_vec(),
        false => form.clone(),
    }
}

/// clamscan never looks at HTML as it is.
fn holds_as_it_is(line: &str, content: &[u8], by_us: bool) -> bool {
    let is_html = ours::normal_forms(content)
        .iter()
        .any(|(form, _)| *form == Form::Html);
    by_us && is_html && (line.contains(":0:") || line.contains("Target:0"))
}

/// As soon as a signature has an offset from the end, clamscan looks at each text once more as if nothing occurred in it: a
/// condition that holds without any match, as `0<2`, holds on all texts.
fn holds_without_a_match(line: &str, content: &[u8], by_us: bool) -> bool {
    let nothing = vec![b'~'; content.len()];
    let source = [("a.ldb".to_owned(), line.to_owned())];
    let files = [("nothing".to_owned(), nothing)];
    !by_us && !ours::scan(&ours::compile(&source), &files).is_empty()
}

const TARGETS: [u8; 4] = [0, 3, 4, 7];

fn files(random: &mut Random, make: fn(&mut Random) -> Vec<u8>) -> Vec<(String, Vec<u8>)> {
    (0..FILES)
        .map(|number| (format!("f{number}"), make(random)))
        .collect()
}

fn extended(seed: u64, make: fn(&mut Random) -> Vec<u8>) {
    compare(
        seed,
        |random, count| {
            let files = files(random, make);
            let text = lines(count, |number| {
                let (_, content) = random.pick(&files);
                let form = form(random, content);
                let target = random.pick(&TARGETS);
                format!("S{number}:{target}:{}", bodies::signature(random, &form))
            });
            Run {
                sources: vec![("a.ndb".to_owned(), text)],
                files,
            }
        },
        holds_as_it_is,
    );
}

fn logical(seed: u64, make: fn(&mut Random) -> Vec<u8>) {
    compare(
        seed,
        |random, count| {
            let files = files(random, make);
            let text = lines(count, |number| {
                let (_, content) = random.pick(&files);
                let form = form(random, content);
                let target = *random.pick(&TARGETS);
                let name = format!("S{number}");
                live(|| logical::for_target(random, &form, target, &name))
            });
            Run {
                sources: vec![("a.ldb".to_owned(), text)],
                files,
            }
        },
        |line, content, by_us| {
            holds_as_it_is(line, content, by_us)
                || logical::counts_within_counts(line, content, by_us)
                || holds_without_a_match(line, content, by_us)
        },
    );
}

#[test]
fn extended_signatures_of_html() {
    extended(62, html);
}

#[test]
fn extended_signatures_of_text() {
    extended(63, text);
}

#[test]
fn logical_signatures_of_html() {
    logical(64, html);
}

#[test]
fn logical_signatures_of_text() {
    logical(65, text);
}

/// The body is no part that either would look at by itself.
fn mail(random: &mut Random) -> Vec<u8> {
    let text = words(
        random,
        &[&["Some", "words", "of", "a  Mail", "\n", "X-Y: z"]],
        30,
    );
    format!("From: a@b.c\nTo: d@e.f\nSubject: {text}").into_bytes()
}

#[test]
fn signatures_of_mail() {
    compare(
        66,
        |random, count| {
            let files = files(random, mail);
            let text = lines(count, |number| {
                let (_, content) = random.pick(&files);
                format!("S{number}:4:{}", bodies::signature(random, content))
            });
            Run {
                sources: vec![("a.ndb".to_owned(), text)],
                files,
            }
        },
        |_, _, _| false,
    );
}
