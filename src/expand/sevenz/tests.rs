use super::*;
use crate::expand::testing::{Recorder, assert_holds, expand_with, said, tool, tree, withstand};

fn run(bytes: &[u8]) -> Recorder {
    expand_with(&SevenZ, bytes, b"x.7z", &["wrong", "secret"])
}

#[test]
fn what_7z_itself_makes_is_read() {
    let Some(folder) = tool("7z") else { return };
    let files = tree(&folder, 9);
    let rows: [&[&str]; 11] = [
        &["-m0=LZMA"],
        &["-m0=LZMA2"],
        &["-m0=BZip2"],
        &["-m0=Deflate"],
        &["-m0=Copy"],
        &["-m0=BCJ", "-m1=LZMA"],
        &["-m0=Delta:4", "-m1=LZMA2"],
        &[
            "-m0=BCJ2",
            "-m1=LZMA:d23",
            "-m2=LZMA:d19",
            "-m3=LZMA:d19",
            "-mb0s0:1",
            "-mb0s1:2",
            "-mb0s2:3",
        ],
        &["-ms=off"],
        &["-psecret"],
        &["-psecret", "-mhe=on"],
    ];
    for row in rows {
        let _ = std::fs::remove_file(folder.path().join("out.7z"));
        let mut arguments = vec!["a", "-bd", "out.7z", "tree"];
        arguments.extend_from_slice(row);
        folder.run("7z", &arguments);
        let got = run(&folder.read("out.7z"));
        assert_eq!(got.gaps, [], "{row:?}");
        assert_holds(&got, &files);
    }
}

#[test]
fn what_is_not_decoded_is_said() {
    let Some(folder) = tool("7z") else { return };
    folder.write("a", &b"some content ".repeat(40));
    folder.write("b", b"more");
    let rows: [(&[&str], &[&str]); 4] = [
        (&["-m0=PPMd"], &["unsupported/7z-method"; 2]),
        (&["-m0=Deflate64"], &["unsupported/7z-method"; 2]),
        (&["-pother"], &["encrypted"; 2]),
        (&["-pother", "-mhe=on"], &["encrypted"]),
    ];
    for (row, reasons) in rows {
        let _ = std::fs::remove_file(folder.path().join("out.7z"));
        let mut arguments = vec!["a", "-bd", "out.7z", "a", "b"];
        arguments.extend_from_slice(row);
        folder.run("7z", &arguments);
        let got = run(&folder.read("out.7z"));
        assert_eq!(
            (got.reasons(), got.children.len()),
            (reasons.to_vec(), 0),
            "{row:?}"
        );
    }
}

#[test]
fn what_follows_an_archive_is_said() {
    let Some(folder) = tool("7z") else { return };
    folder.write("a", b"content");
    folder.run("7z", &["a", "-bd", "out.7z", "a"]);
    let bytes = folder.read("out.7z");
    assert_eq!(run(&[&bytes[..], b"junk\n"].concat()).gaps, []);
    let got = run(&[&bytes[..], &[b'x'; 600]].concat());
    assert_eq!(
        got.gaps,
        [said(None, "corrupt", "600 bytes after the archive")]
    );
    let zip = [&b"PK\x05\x06"[..], &[0; 18]].concat();
    assert_eq!(
        run(&[&bytes[..], &zip].concat()).names(),
        ["a", "(behind the end)"]
    );
}

#[test]
fn damage_leaves_what_is_before_it() {
    let Some(folder) = tool("7z") else { return };
    folder.write("a", &b"first content ".repeat(20));
    let text: Vec<u8> = (0..20_000_u32)
        .flat_map(|n| n.to_string().into_bytes())
        .collect();
    folder.write("b", &text);
    folder.run("7z", &["a", "-bd", "-m0=LZMA2", "out.7z", "a", "b"]);
    let mut bytes = folder.read("out.7z");
    let middle = bytes.len() / 2;
    bytes[middle] ^= 0xff;
    let got = run(&bytes);
    assert_eq!(
        got.children[0],
        (b"a".to_vec(), b"first content ".repeat(20))
    );
    let (_, part) = &got.children[1];
    let same = part.iter().zip(&text).take_while(|(a, b)| a == b).count();
    assert!(same > text.len() / 4, "{same}");
    assert_eq!(got.reasons(), ["corrupt"]);
}

/// Of 7z with its own checksum of the headers made right again.
fn with_headers(mut bytes: Vec<u8>, change: impl Fn(&mut [u8])) -> Vec<u8> {
    let start =
        32 + usize::try_from(u64::from_le_bytes(bytes[12..20].try_into().unwrap())).unwrap();
    change(&mut bytes[start..]);
    let headers = crc32fast::hash(&bytes[start..]);
    bytes[28..32].copy_from_slice(&headers.to_le_bytes());
    let first = crc32fast::hash(&bytes[12..32]);
    bytes[8..12].copy_from_slice(&first.to_le_bytes());
    bytes
}

#[test]
fn a_wrong_checksum_is_said_and_all_bytes_are_given() {
    let Some(folder) = tool("7z") else { return };
    let (a, b) = (b"some content ".repeat(20), b"more".to_vec());
    folder.write("a", &a);
    folder.write("b", &b);
    folder.run("7z", &["a", "-bd", "-mhc=off", "out.7z", "a", "b"]);
    let sum = crc32fast::hash(&a).to_le_bytes();
    let bytes = with_headers(folder.read("out.7z"), |headers| {
        let at = headers.array_windows().position(|four| *four == sum);
        headers[at.unwrap()] ^= 1;
    });
    let got = run(&bytes);
    assert_eq!(got.children, [(b"a".to_vec(), a), (b"b".to_vec(), b)]);
    assert_eq!(got.gaps, [said(Some(b"a"), "corrupt", "wrong checksum")]);
}

#[test]
fn a_stream_that_ends_early_is_said() {
    let Some(folder) = tool("7z") else { return };
    folder.write("a", &b"some content ".repeat(20));
    folder.run("7z", &["a", "-bd", "-m0=LZMA2", "out.7z", "a"]);
    let mut bytes = folder.read("out.7z");
    // The first byte of LZMA2: its end.
    bytes[32] = 0;
    let got = run(&bytes);
    assert_eq!(
        got.gaps,
        [said(Some(b"a"), "corrupt", "0 bytes instead of 260")]
    );
}

/// One wrong password in 256 makes the first byte an end of LZMA2.
#[test]
fn no_wrong_password_stands_for_the_right_one() {
    let Some(folder) = tool("7z") else { return };
    folder.write("a", &b"some content ".repeat(20));
    folder.run("7z", &["a", "-bd", "-psecret", "-mhc=off", "out.7z", "a"]);
    let bytes = with_headers(folder.read("out.7z"), |headers| {
        let aes = [0x06, 0xf1, 0x07, 0x01];
        let at = headers.array_windows().position(|four| *four == aes);
        // Behind the length of the properties: keys that cost nothing.
        headers[at.unwrap() + 5] &= 0xc0;
    });
    let wrong: Vec<String> = (0..2000).map(|number| number.to_string()).collect();
    let wrong: Vec<&str> = wrong.iter().map(String::as_str).collect();
    let got = expand_with(&SevenZ, &bytes, b"x.7z", &wrong);
    assert_eq!((got.reasons(), got.children.len()), (vec!["encrypted"], 0));
}

#[test]
fn headers_that_are_too_long_are_said() {
    let Some(folder) = tool("7z") else { return };
    // Names compress well: here they take more than the part of the memory that headers may have.
    for number in 0..300 {
        folder.write(&format!("in/{}{number}", "n".repeat(200)), b"");
    }
    folder.run("7z", &["a", "-bd", "out.7z", "in"]);
    let mut recorder = Recorder::default();
    let container = Container {
        object: &crate::expand::testing::object(&folder.read("out.7z")),
        name: &crate::expand::ContainerName::new(b"x"),
        passwords: &crate::expand::Passwords::given(&[]),
        memory: 1 << 20,
    };
    SevenZ.expand(&container, &mut recorder).unwrap();
    assert_eq!(recorder.reasons(), ["limit/memory"]);
}

#[test]
fn no_damage_panics() {
    let Some(folder) = tool("7z") else { return };
    folder.write("some", &b"some content ".repeat(40));
    folder.write("more", b"more");
    for row in ["-m0=LZMA2", "-m0=BZip2", "-m0=Deflate"] {
        let _ = std::fs::remove_file(folder.path().join("out.7z"));
        folder.run("7z", &["a", "-bd", row, "out.7z", "some", "more"]);
        let sample = folder.read("out.7z");
        assert!(!run(&sample).complained());
        assert_eq!(withstand(&SevenZ, &sample, b"x.7z"), [0; 0]);
    }
}
