//! Debian's `yara` as oracle: the same rules on the same files, made at random from a seed.
//!
//! `VFIND_PAIRS=N` makes N pairs of a rule and a file instead of 3,000, `VFIND_SEED=N` others.

use std::collections::BTreeSet;
use std::path::Path;

use vfind::engine::late::yara::{About, Compiler, Rules};
use vfind::event::SignatureName;
use vfind::signature::yara::{Part, Yara};
use vfind::signature::{Format, Intake, Item};

use crate::support::{has_tools, noise, out, run, said};

/// Words of which strings and contents are made, so that they meet.
const WORDS: &[&[u8]] = &[
    b"abc",
    b"ABC",
    b"abcabc",
    b"hello",
    b"HeLLo",
    b"x1y2",
    b"a b",
    b"http://",
    b"\x00\x01\x02",
    b"zz",
    b"needle",
];

struct Random(Vec<u8>, usize);

impl Random {
    fn new(seed: u64) -> Self {
        Self(noise(seed, 1 << 16), 0)
    }

    fn below(&mut self, limit: usize) -> usize {
        let bytes: Vec<_> = (0..2)
            .map(|_| {
                self.1 = (self.1 + 1) % self.0.len();
                self.0[self.1]
            })
            .collect();
        (usize::from(bytes[0]) * 256 + usize::from(bytes[1])) % limit
    }

    fn of<'a, T: ?Sized>(&mut self, choices: &[&'a T]) -> &'a T {
        choices[self.below(choices.len())]
    }

    fn maybe(&mut self, text: &str) -> String {
        ["", text][self.below(2)].to_owned()
    }
}

fn hex(bytes: &[u8]) -> Vec<String> {
    bytes.iter().map(|byte| format!("{byte:02X}")).collect()
}

/// `"…"` with each byte that is no letter or digit written as a number.
fn quoted(bytes: &[u8]) -> String {
    let escape = |byte: &u8| match byte {
        b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' => char::from(*byte).to_string(),
        _ => format!("\\x{byte:02x}"),
    };
    bytes.iter().map(escape).collect()
}

fn string(random: &mut Random) -> String {
    let word = random.of(WORDS);
    match random.below(8) {
        0..=2 => {
            let text = quoted(word);
            let modifiers = match random.below(5) {
                0 => {
                    random.maybe(" nocase")
                        + &random.maybe(" wide")
                        + &random.maybe(" ascii")
                        + &random.maybe(" fullword")
                }
                1 => random
                    .of(&[" xor", " xor(1-255)", " xor wide ascii", " xor fullword"])
                    .to_owned(),
                2 if word.len() > 3 => random
                    .of(&[" base64", " base64wide", " base64 base64wide"])
                    .to_owned(),
                _ => random
                    .of(&[
                        "",
                        " nocase",
                        " wide",
                        " fullword",
                        " wide ascii nocase",
                        " ascii fullword",
                    ])
                    .to_owned(),
            };
            format!("\"{text}\"{modifiers}{}", random.maybe(" private"))
        }
        3..=5 => {
            let mut parts = hex(word);
            let at = 1 + random.below(parts.len() - 1);
            let first = parts[at].clone();
            let part = match random.below(7) {
                0 => "??".to_owned(),
                1 => format!("{}?", &first[..1]),
                2 => format!("?{}", &first[1..]),
                3 => format!("({first} | 00 | 41 42)"),
                4 => "[0-4]".to_owned() + " " + &first,
                5 => "[2]".to_owned() + " " + &first,
                _ => format!("({first} ?? | {first})"),
            };
            parts[at] = part;
            format!("{{ {} }}", parts.join(" "))
        }
        _ => {
            let text = quoted(word);
            let tail = random.of(&[
                "+",
                "*",
                "?",
                "{2}",
                "{1,3}",
                "[a-z]{2,5}",
                ".{0,8}c",
                "(b|c)",
                "\\w+",
                "\\d",
                "\\b",
                "$",
                ".*?l",
            ]);
            let head = random.of(&["", "", "^", "[0-9]", "(a|h)", "\\b"]);
            // At the ends of a content, yara sees the border of a word where there is none.
            let is_word = |byte: Option<&u8>| byte.is_some_and(u8::is_ascii_alphanumeric);
            let head = if is_word(word.first()) { head } else { "" };
            let tail = if is_word(word.last()) { tail } else { "+" };
            let flags = random.of(&["", "i", "s", "is"]);
            let modifiers = random.of(&["", "", " nocase", " wide", " fullword", " ascii wide"]);
            format!("/{head}{text}{tail}/{flags}{modifiers}")
        }
    }
}

fn number(random: &mut Random) -> String {
    random
        .of(&[
            "0",
            "1",
            "2",
            "3",
            "10",
            "100",
            "filesize",
            "filesize - 3",
            "0x10",
            "1KB",
            "uint8(0)",
            "uint16be(1)",
        ])
        .to_owned()
}

/// One that every content has: at one that is undefined, yara takes a string for absent, not for undefined.
fn place(random: &mut Random) -> String {
    random
        .of(&["0", "1", "2", "3", "10", "filesize", "0x10"])
        .to_owned()
}

fn condition(random: &mut Random, strings: usize, depth: usize) -> String {
    let name = format!("s{}", random.below(strings));
    let compare = random.of(&["==", ">", "<", ">=", "<=", "!="]);
    if depth > 0 && random.below(3) == 0 {
        let (left, right) = (
            condition(random, strings, depth - 1),
            condition(random, strings, depth - 1),
        );
        return match random.below(4) {
            0 => format!("({left} and {right})"),
            1 => format!("({left} or {right})"),
            2 => format!("not ({left})"),
            _ => format!("({left} or not {right})"),
        };
    }
    match random.below(16) {
        0..=3 => format!("${name}"),
        4 => format!("#{name} {compare} {}", number(random)),
        5 => format!("${name} at {}", place(random)),
        6 => format!("${name} in (0..{})", place(random)),
        7 => format!(
            "@{name}[{}] {compare} {}",
            1 + random.below(3),
            number(random)
        ),
        8 => format!("!{name}[1] {compare} {}", number(random)),
        9 => format!("{} of them", random.of(&["any", "all", "1", "2", "50%"])),
        10 => format!(
            "for {} of them : ( # {compare} {} )",
            random.of(&["any", "all", "1"]),
            number(random)
        ),
        11 => format!(
            "for any i in (1..3) : ( @{name}[i] {compare} {} )",
            number(random)
        ),
        12 => format!("filesize {compare} {}", number(random)),
        13 => format!(
            "uint16(0) {compare} {}",
            random.of(&["0x4d5a", "0x457f", "0x6261"])
        ),
        14 => random
            .of(&[
                "pe.is_pe",
                "elf.type == elf.ET_EXEC",
                "pe.number_of_sections > 0",
                "hash.md5(0, 3) == \"900150983cd24fb0d6963f7d28e17f72\"",
                "math.entropy(0, filesize) > 3.0",
                "math.in_range(math.mean(0, filesize), 10.0, 90.0)",
            ])
            .to_owned(),
        _ => random
            .of(&[
                "extension == \".exe\"",
                "filename contains \"1\"",
                "filename matches /^f[0-9]+/",
                "filepath startswith \"/\"",
                "extension iequals \".BIN\"",
            ])
            .to_owned(),
    }
}

fn rule(random: &mut Random, number: usize) -> String {
    let count = 1 + random.below(3);
    let strings: String = (0..count)
        .map(|index| format!("    $s{index} = {}\n", string(random)))
        .collect();
    let condition = condition(random, count, 2);
    // Strings that no condition uses are an error.
    let all = (0..count).map(|index| format!("$s{index}"));
    let all = all.collect::<Vec<_>>().join(" or ");
    format!(
        "{}rule r{number} {{\n  strings:\n{strings}  condition:\n    ({condition}) or (filesize == 77777 and ({all}))\n}}\n",
        ["", "", "", "private "][random.below(4)]
    )
}

fn content(random: &mut Random) -> Vec<u8> {
    let mut content = match random.below(6) {
        0 => b"MZ".to_vec(),
        1 => std::fs::read(env!("CARGO_BIN_EXE_vfindd")).unwrap()[..4096].to_vec(),
        _ => Vec::new(),
    };
    for _ in 0..random.below(12) {
        let word = random.of(WORDS).to_vec();
        match random.below(6) {
            0 => content.extend(word.iter().flat_map(|byte| [*byte, 0])),
            1 => content.extend(word.iter().map(|byte| byte ^ 0x21)),
            2 => content.extend(data_encoding_base64(&word)),
            _ => content.extend(word),
        }
        match random.below(4) {
            0 => content.push(b' '),
            1 => content.push(b'\n'),
            2 => content.extend(noise(random.below(9999) as u64, random.below(6))),
            _ => {}
        }
    }
    content
}

fn data_encoding_base64(word: &[u8]) -> Vec<u8> {
    data_encoding::BASE64.encode(word).into_bytes()
}

struct Taking {
    compiler: Compiler,
    refused: BTreeSet<String>,
}

impl Intake for Taking {
    fn take(&mut self, item: Item) {
        match item {
            Item::Yara(part) => {
                if let Err(complaint) = self.compiler.add(&part) {
                    self.refused.insert(name_of(&part));
                    println!("{complaint}\n{}", part.text);
                }
            }
            other => panic!("{other:?}"),
        }
    }
}

fn name_of(part: &Part) -> String {
    let words: Vec<_> = part.text.split_whitespace().collect();
    let at = words.iter().position(|word| *word == "rule").unwrap();
    words[at + 1].to_owned()
}

/// Which of these files each rule holds on, as `rule file`.
fn ours(rules: &Rules, folder: &Path, files: usize) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for file in 0..files {
        let path = folder.join(name(file));
        let content = std::fs::read(&path).unwrap();
        let about = About {
            path: path.to_str().unwrap().as_bytes(),
            file_type: b"",
        };
        let outcome = rules.scan(&content.clone().into(), about, None);
        let names = outcome.findings.iter().map(|(rule, _)| rule);
        found.extend(names.map(|rule| format!("{rule} {}", name(file))));
    }
    found
}

fn name(file: usize) -> String {
    format!("f{file}.{}", ["bin", "exe"][file % 2])
}

#[test]
fn rules_hold_where_yara_says_so() {
    if !has_tools(&["yara"]) {
        return;
    }
    let number = |name: &str| std::env::var(name).ok().and_then(|text| text.parse().ok());
    let pairs: usize = number("VFIND_PAIRS").unwrap_or(3000);
    let seed: usize = number("VFIND_SEED").unwrap_or(1);
    let (rules, files) = (50, 20);
    for batch in 0..pairs.div_ceil(rules * files) {
        compare(seed * 1_000_000 + batch, rules, files);
    }
}

fn compare(seed: usize, rules: usize, files: usize) {
    let mut random = Random::new(seed as u64);
    let imports = ["pe", "elf", "hash", "math"].map(|name| format!("import \"{name}\"\n"));
    let all: Vec<_> = (0..rules).map(|number| rule(&mut random, number)).collect();
    let folder = tempfile::tempdir().unwrap();
    let contents = folder.path().join("files");
    std::fs::create_dir(&contents).unwrap();
    for file in 0..files {
        std::fs::write(contents.join(name(file)), content(&mut random)).unwrap();
    }
    let text = imports.concat() + &all.concat();
    let mut taking = Taking {
        compiler: Compiler::default(),
        refused: BTreeSet::new(),
    };
    Yara.parse(&mut text.as_bytes(), "rules.yar", &mut taking)
        .unwrap();
    // What is refused by one is refused by the other; it would end a whole file of YARA's.
    let kept = |text: &&String| {
        let text = text.split("rule ").nth(1).unwrap();
        !taking
            .refused
            .contains(text.split_whitespace().next().unwrap())
    };
    let accepted: Vec<_> = all.iter().filter(kept).cloned().collect();
    assert!(accepted.len() * 10 > all.len() * 9, "{:?}", taking.refused);
    let path = folder.path().join("rules.yar");
    std::fs::write(&path, imports.concat() + &accepted.concat()).unwrap();
    let mut expected = BTreeSet::new();
    for file in 0..files {
        let (file, path_of) = (name(file), contents.join(name(file)));
        let variables = [
            format!("filename={file}"),
            format!("filepath={}", path_of.display()),
            format!("extension={}", &file[file.find('.').unwrap()..]),
        ];
        let mut arguments = vec!["-w"];
        for variable in &variables {
            arguments.extend(["-d", variable]);
        }
        arguments.extend([path.to_str().unwrap(), path_of.to_str().unwrap()]);
        let output = run("yara", &arguments, b"");
        let text = || std::fs::read_to_string(&path).unwrap();
        assert!(
            output.status.success(),
            "seed {seed}: {}\n{}",
            said(&output),
            text()
        );
        let printed = out(&output);
        let rules = printed.lines().filter_map(|line| line.split(' ').next());
        expected.extend(rules.map(|rule| format!("{rule} {file}")));
    }
    let compiled = Rules::open(&taking.compiler.finish().unwrap()).unwrap();
    let found = ours(&compiled, &contents, files);
    let differ: Vec<_> = found.symmetric_difference(&expected).collect();
    if let Some(first) = differ.first() {
        let (rule, file) = first.split_once(' ').unwrap();
        let text = all
            .iter()
            .find(|text| text.contains(&format!("rule {rule} ")))
            .unwrap();
        let content = std::fs::read(contents.join(file)).unwrap();
        panic!(
            "seed {seed}: {} differ, of {}. {first}: yara says {}\n{text}\n{}",
            differ.len(),
            expected.len(),
            expected.contains(*first),
            content.escape_ascii()
        );
    }
    assert!(!expected.is_empty());
}

/// The rules of the documentation, each with a content on which it holds and one on which it does not.
#[test]
fn the_examples_of_the_documentation_hold() {
    let text = std::fs::read_to_string(
        Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/signatures/yara.md"),
    )
    .unwrap();
    let blocks = text
        .split("```yara\n")
        .skip(1)
        .map(|rest| rest.split("```").next().unwrap());
    let mut taking = Taking {
        compiler: Compiler::default(),
        refused: BTreeSet::new(),
    };
    for block in blocks {
        Yara.parse(&mut block.as_bytes(), "yara.md", &mut taking)
            .unwrap();
    }
    assert!(taking.refused.is_empty());
    let rules = Rules::open(&taking.compiler.finish().unwrap()).unwrap();
    let holding = |content: &[u8], path: &[u8], file_type: &[u8]| {
        let outcome = rules.scan(&content.to_vec().into(), About { path, file_type }, None);
        let names = outcome.findings.into_iter();
        let names = names
            .map(|(name, _)| SignatureName::new(vfind::event::EngineWord::Yara, &name).to_string());
        names.collect::<Vec<_>>()
    };
    assert_eq!(
        holding(b"invoice, Enable Content", b"mail/x.doc", b""),
        ["YARA Macro_Lure"]
    );
    assert_eq!(
        holding(b"MZ", b"holiday.jpg.exe", b"PE program"),
        ["YARA Two_Extensions"]
    );
    assert_eq!(holding(b"MZ", b"holiday.exe", b"PE program"), [""; 0]);
}
