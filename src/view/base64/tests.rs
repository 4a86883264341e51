//! What is found, by rows.

use super::*;
use data_encoding::{BASE64, BASE64_NOPAD, BASE64URL};

fn found(text: &[u8], step: usize, limit: usize) -> Vec<Blob> {
    let mut blobs = Vec::new();
    let mut finder = Finder::new(limit);
    for piece in text.chunks(step) {
        finder.push(piece, &mut |blob| blobs.push(blob));
    }
    finder.finish(&mut |blob| blobs.push(blob));
    blobs
}

fn secret(length: usize) -> Vec<u8> {
    (0..length).map(|at| (at * 37 % 251) as u8).collect()
}

#[test]
fn runs_are_decoded_wherever_they_are_cut() {
    for length in [48, 49, 50, 51, 300] {
        let secret = secret(length);
        let one = BASE64.encode(&secret);
        let lines: Vec<&str> = (one.as_bytes().chunks(40))
            .map(|line| std::str::from_utf8(line).unwrap())
            .collect();
        let texts = [
            format!("x = \"{one}\";"),
            format!("x = '{}'", BASE64_NOPAD.encode(&secret)),
            format!("x = '{}'", BASE64URL.encode(&secret)),
            format!("(\n  {}\n)", lines.join("\r\n  ")),
            format!("a=\"{}\";", lines.join("\" + \"")),
            format!("a=\"{}\"", lines.join("\" & _\r\n    \"")),
        ];
        for text in texts {
            for step in [1, 7, 10_000] {
                let blobs = found(text.as_bytes(), step, usize::MAX);
                assert_eq!(blobs.len(), 1, "{text}");
                assert_eq!(blobs[0].bytes, secret, "{text}");
                assert!(
                    text[blobs[0].at as usize..].starts_with(&one[..8]),
                    "{text}"
                );
            }
        }
    }
}

#[test]
fn short_runs_count_where_they_are_named() {
    let rows = [
        ("<img src=\"data:image/png;base64,aGVsbG8gd29ybGQ=\">", 1),
        ("atob('aGVsbG8gd29ybGQ=')", 1),
        ("[Convert]::FromBase64String(\"aGVsbG8gd29ybGQ=\")", 1),
        ("powershell -enc aGVsbG8gd29ybGQ=", 1),
        ("x = 'aGVsbG8gd29ybGQ='", 0),
        (
            "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855e3b0c44298fc",
            0,
        ),
    ];
    for (text, count) in rows {
        for step in [1, 1000] {
            assert_eq!(
                found(text.as_bytes(), step, usize::MAX).len(),
                count,
                "{text}"
            );
        }
    }
}

#[test]
fn short_lines_of_one_length_are_a_run() {
    let secret = secret(301);
    let one = BASE64.encode(&secret);
    for width in [4, 8, 10, 11, 31] {
        let lines: Vec<&str> = (one.as_bytes().chunks(width))
            .map(|line| std::str::from_utf8(line).unwrap())
            .collect();
        for before in [
            "",
            "x:\n",
            "Contents\n",
            "Contents12\n",
            "SomeLongerLine12345\n",
            "X2\n",
        ] {
            for end in ["\n", "\r\n  "] {
                let text = format!("{before}{}\nend of it\n", lines.join(end));
                for step in [1, 7, 10_000] {
                    let blobs = found(text.as_bytes(), step, usize::MAX);
                    let held = blobs.iter().any(|blob| {
                        let start = blob.bytes.get(..297).unwrap_or_default();
                        secret.starts_with(start) && !start.is_empty()
                    });
                    // A line of the same length is part of it.
                    let same = before.trim_end().len() == width;
                    assert!(held || same, "{width} {step} {text}");
                }
            }
        }
    }
    let words = "elephant\nantelope\nhedgehog\nmongoose\nreindeer\n".repeat(20);
    assert_eq!(found(words.as_bytes(), 1000, usize::MAX), []);
}

#[test]
fn what_is_longer_than_the_limit_says_so() {
    let text = BASE64.encode(&secret(3000));
    let blobs = found(text.as_bytes(), 100, 999);
    assert_eq!(blobs[0].bytes, secret(3000)[..999]);
    assert!(blobs[0].cut);
}
