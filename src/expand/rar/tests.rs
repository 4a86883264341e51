use super::*;
use crate::expand::testing::{Recorder, expand_with, tool, withstand};

/// Samples of the real programs of all times: of the Python package rarfile (ISC licence) and of the crate (Apache).
macro_rules! samples {
    ($($name:literal)*) => { [$(($name, include_bytes!(concat!("../../../fuzz/corpus/content/rar-", $name)).as_slice())),*] };
}

static SAMPLES: [(&str, &[u8]); 22] = samples!(
    "13" "13-password" "15-comment" "20-solid" "20-audio" "3-comment" "3-password" "3-headers" "3-solid" "3-link"
    "3-ppmd" "3-filter" "3-part" "3-part-stored" "5-password" "5-headers" "5-solid" "5-link" "5-filter" "5-services"
    "5-part" "5-folders"
);

fn sample(name: &str) -> &'static [u8] {
    SAMPLES.iter().find(|sample| sample.0 == name).unwrap().1
}

fn run(bytes: &[u8]) -> Recorder {
    expand_with(&Rar, bytes, b"x.rar", &["wrong", "password"])
}

#[test]
fn members_of_all_versions() {
    let rows: [(&str, &[(&str, usize)]); 18] = [
        ("13", &[("README", 2016)]),
        ("13-password", &[("SECRET.TXT", 27)]),
        (
            "15-comment",
            &[("(comment)", 16), ("FILE1.TXT", 7), ("FILE2.TXT", 8)],
        ),
        (
            "20-solid",
            &[("SOLID1.TXT", 15_840), ("SOLID2.TXT", 13_800)],
        ),
        ("20-audio", &[("PCM_LR.WAV", 32_768)]),
        (
            "3-comment",
            &[("(comment)", 11), ("file1.txt", 0), ("file2.txt", 0)],
        ),
        (
            "3-password",
            &[("(comment)", 11), ("file1.txt", 0), ("file2.txt", 0)],
        ),
        (
            "3-headers",
            &[("(comment)", 11), ("file1.txt", 0), ("file2.txt", 0)],
        ),
        ("3-solid", &[("stest1.txt", 2048), ("stest2.txt", 2048)]),
        (
            "3-link",
            &[("data_link", 8), ("data.txt", 5), ("random_link", 12)],
        ),
        ("3-ppmd", &[("repeated_phrase_64k.txt", 44_544)]),
        ("3-filter", &[("x86_e8_stream.bin", 196_608)]),
        (
            "5-password",
            &[
                ("(comment)", 37),
                ("stest1.txt", 2048),
                ("stest2.txt", 2048),
            ],
        ),
        (
            "5-headers",
            &[
                ("(comment)", 32),
                ("stest1.txt", 2048),
                ("stest2.txt", 2048),
            ],
        ),
        (
            "5-solid",
            &[
                ("somedir/stest1.txt", 2048),
                ("stest1.txt", 2048),
                ("somedir/stest2.txt", 2048),
                ("stest2.txt", 2048),
            ],
        ),
        ("5-link", &[("stest1.txt", 2048)]),
        ("5-filter", &[("x86_e8_stream.bin", 196_608)]),
        (
            "5-services",
            &[("(comment)", 30), ("hello.txt", 30), ("tiny.txt", 9)],
        ),
    ];
    for (name, members) in rows {
        let got = run(sample(name));
        assert_eq!(got.gaps, [], "{name}");
        let found: Vec<_> = got
            .children
            .iter()
            .map(|(name, content)| (str::from_utf8(name).unwrap(), content.len()))
            .collect();
        assert_eq!(found, members, "{name}");
    }
}

#[test]
fn what_no_password_opens_is_said() {
    let rows: [(&str, &[&str]); 4] = [
        ("13-password", &["RAR 1.3"]),
        ("3-headers", &["headers"]),
        ("5-password", &["AES-256", "AES-256"]),
        ("5-headers", &["headers"]),
    ];
    for (name, details) in rows {
        let got = expand_with(&Rar, sample(name), b"x", &["other"]);
        let said: Vec<_> = got
            .gaps
            .iter()
            .filter(|gap| gap.1 == "encrypted")
            .map(|gap| &*gap.2)
            .collect();
        assert!(said.ends_with(details), "{name}: {said:?}");
        assert!(got.children.iter().all(|(name, _)| name == COMMENT));
    }
}

#[test]
fn parts_are_given_as_far_as_they_go() {
    let rows: [(&str, &[&str], std::ops::Range<usize>); 2] = [
        ("3-part", &["unsupported/RAR-split"; 2], 800..2000),
        ("3-part-stored", &["unsupported/RAR-split"; 2], 924..925),
    ];
    for (name, reasons, sizes) in rows {
        let got = run(sample(name));
        assert_eq!(got.reasons(), reasons, "{name}");
        assert!(
            sizes.contains(&got.children[0].1.len()),
            "{name}: {}",
            got.children[0].1.len()
        );
    }
    // RAR 5 has blocks, of which a part is nothing.
    let got = run(sample("5-part"));
    assert_eq!(
        (got.reasons(), got.children.len()),
        (vec!["unsupported/RAR-split"; 2], 0)
    );
}

#[test]
fn what_is_in_front_of_a_damage_is_given() {
    for name in [
        "13", "20-audio", "3-ppmd", "3-filter", "5-filter", "3-solid", "5-solid",
    ] {
        let bytes = sample(name);
        let whole = run(bytes);
        let mut most = 0;
        for cut in (bytes.len() / 4..bytes.len()).step_by(41) {
            let got = run(&bytes[..cut]);
            assert!(
                got.complained() || name == "20-solid",
                "{name} cut at {cut}"
            );
            for (child, content) in &got.children {
                let original = whole
                    .children
                    .iter()
                    .find(|original| original.0 == *child)
                    .unwrap();
                assert!(original.1.starts_with(content), "{name} cut at {cut}");
            }
            let count: usize = got.children.iter().map(|child| child.1.len()).sum();
            most = most.max(count);
        }
        assert!(most > 0 || name.starts_with('5') || name == "13", "{name}");
    }
}

#[test]
fn a_damaged_header_leaves_what_is_before_it() {
    // The header of the second of two files, in the format of RAR 5.
    let bytes = sample("5-services");
    let at = memchr::memmem::find(bytes, b"tiny.txt").unwrap();
    let mut bytes = bytes.to_vec();
    bytes[at] ^= 1;
    let got = run(&bytes);
    assert!(
        got.names().contains(&"hello.txt".to_owned()),
        "{:?}",
        got.names()
    );
    assert_eq!(got.reasons(), ["corrupt"]);
}

#[test]
fn an_archive_behind_a_program_is_found() {
    for name in ["15-comment", "5-folders"] {
        let bytes = [&b"MZ"[..], &[0x90; 100_000], sample(name)].concat();
        let got = run(&bytes);
        assert_eq!(
            (got.gaps.len(), got.names()),
            (0, run(sample(name)).names())
        );
    }
    assert!(run(&[0x90; 100_000]).unlike);
}

#[test]
fn what_follows_an_archive_is_said() {
    let bytes = sample("5-folders");
    assert_eq!(run(&[bytes, &[0; 100]].concat()).gaps, []);
    assert_eq!(run(&[bytes, b"junk"].concat()).gaps, []);
    assert_eq!(run(&[bytes, &[b'x'; 600]].concat()).reasons(), ["corrupt"]);
    let zip = [&b"PK\x05\x06"[..], &[0; 18]].concat();
    assert_eq!(
        run(&[bytes, &zip].concat()).names().last().unwrap(),
        "(behind the end)"
    );
}

#[test]
fn bsdtar_and_unar_see_the_same() {
    for (program, names) in [
        (
            "bsdtar",
            ["3-ppmd", "5-solid", "5-services", "5-folders"].as_slice(),
        ),
        ("unar", &["20-audio", "3-filter", "3-ppmd"]),
    ] {
        let Some(folder) = tool(program) else { return };
        for name in names {
            folder.write(&format!("{name}.rar"), sample(name));
            let archive = format!("../{name}.rar");
            folder.write(&format!("{name}/none"), b"");
            let inside = folder.path().join(name);
            let arguments: &[&str] = match program {
                "bsdtar" => &["-xf", &archive],
                _ => &["-q", "-D", &archive],
            };
            let done = std::process::Command::new(program)
                .args(arguments)
                .current_dir(&inside)
                .output()
                .unwrap();
            assert!(done.status.success(), "{program} {name}: {done:?}");
            for (child, content) in run(sample(name)).children {
                if child != COMMENT {
                    let original =
                        folder.read(&format!("{name}/{}", str::from_utf8(&child).unwrap()));
                    assert!(original == content, "{program} {name} {child:?}");
                }
            }
        }
    }
}

#[test]
fn no_damage_panics() {
    for (name, silent) in [
        ("15-comment", true),
        ("3-comment", false),
        ("5-folders", false),
    ] {
        let cuts = withstand(&Rar, sample(name), b"x.rar");
        // Before RAR 3 an archive has no end: one that is cut between two members is one with fewer of them.
        assert!(silent || cuts.is_empty(), "{name}: {cuts:?}");
    }
}

#[test]
fn a_length_that_the_data_cannot_hold_is_said_and_not_decoded() {
    let mut bytes = sample("13").to_vec();
    let honest = run(&bytes);
    // The length of the content, in the first header behind that of the archive (TechNote of RAR 1.3).
    bytes[14] = 0xf0;
    let got = run(&bytes);
    assert_eq!(got.reasons().first(), Some(&"corrupt"));
    assert!(
        got.gaps[0].2.ends_with("bytes cannot be in these data"),
        "{:?}",
        got.gaps
    );
    let (_, content) = &got.children[0];
    assert!(content.starts_with(&honest.children[0].1));
    assert!(content.len() < 2 << 20, "{}", content.len());
}
