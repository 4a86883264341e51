//! Bodies of signatures, made out of what they are to be found in: about half hold, and many nearly do.

use std::fmt::Write;

use super::programs::HEADERS;
use crate::random::Random;

/// A few letters, so that near misses are common; in front what makes clamscan take it for data and not for text, which it
/// would search a second time in another form.
pub(super) fn content(random: &mut Random) -> Vec<u8> {
    let length = match random.below(10) {
        0 => random.range(1, 20),
        1 => random.range(1000, 4000),
        _ => random.range(40, 400),
    };
    let letters: &[u8] = if random.once_in(8) {
        b"00123456789abf x\0"
    } else if random.once_in(4) {
        b"ab\x90\xf0z01 .\r\n=<"
    } else {
        b"abcd"
    };
    let wide = random.once_in(6);
    let mut bytes = vec![0; 64];
    for _ in 0..length {
        bytes.push(*random.pick(letters));
        if wide {
            bytes.push(0);
        }
    }
    bytes
}

/// A body that begins with what offsets are not counted from, or with a byte at a distance.
fn has_lead(body: &str) -> bool {
    body.starts_with('!') || body.get(2..3) == Some("[")
}

/// Borders, and those that must not be there.
const BORDERS: [&str; 6] = ["(B)", "(L)", "(W)", "!(B)", "!(L)", "!(W)"];

/// `OFFSET:BODY`.
pub(super) fn signature(random: &mut Random, content: &[u8]) -> String {
    let start = 64.min(content.len() - 1);
    let at = random.range(start, content.len() - 1);
    let body = body(random, content, at);
    // From these clamscan counts otherwise, or not rightly.
    let offset = match has_lead(&body) {
        true => "*".to_owned(),
        false => offset(random, at, content.len()),
    };
    format!("{offset}:{body}")
}

/// `OFFSET:BODY`, with the bases that programs have.
pub(super) fn in_program(random: &mut Random, content: &[u8]) -> String {
    let at = random.range(HEADERS, content.len() - 1);
    let near = |random: &mut Random| random.below(0x300);
    let section = random.below(4);
    let body = body(random, content, at);
    let offset = match random.below(7) {
        _ if has_lead(&body) => "*".to_owned(),
        0 => "*".to_owned(),
        1 => format!("EP+{},{}", near(random), near(random)),
        2 => format!("EP-{},{}", near(random), near(random)),
        3 => format!("S{section}+{},{}", near(random), near(random)),
        4 => format!("SL+{},{}", near(random), near(random)),
        5 => format!("SE{section}"),
        _ => format!("S{section}+{}", at.saturating_sub(0x400 + 0x180 * section)),
    };
    format!("{offset}:{body}")
}

fn offset(random: &mut Random, at: usize, length: usize) -> String {
    // Right, or one or two beside.
    let nudge = |random: &mut Random, value: usize| match random.below(6) {
        0 => value + 1,
        1 => value.saturating_sub(1),
        _ => value,
    };
    let shift = random.range(1, 20);
    match random.below(8) {
        0 => nudge(random, at).to_string(),
        1 => format!(
            "{},{shift}",
            nudge(random, at).saturating_sub(random.below(shift + 2))
        ),
        2 => format!("EOF-{}", nudge(random, length - at)),
        3 => format!(
            "EOF-{},{shift}",
            nudge(random, length - at) + random.below(shift + 2)
        ),
        _ => "*".to_owned(),
    }
}

fn literal(text: &mut String, bytes: &[u8]) {
    for byte in bytes {
        write!(text, "{byte:02x}").unwrap();
    }
}

/// What stands at `at`, with wildcards, and now and then a byte that is another.
fn body(random: &mut Random, content: &[u8], at: usize) -> String {
    let mut text = String::new();
    let mut at = at;
    let border = |random: &mut Random, text: &mut String| {
        if random.once_in(8) {
            text.push_str(random.pick::<&str>(&BORDERS));
        }
    };
    let segments = *random.pick(&[1, 1, 1, 2, 2, 3]);
    for number in 0..segments {
        if number > 0 {
            border(random, &mut text);
            at += link(random, &mut text);
        }
        if number == 0 && random.once_in(10) {
            at = near_before(random, content, at, &mut text);
        } else {
            border(random, &mut text);
        }
        at = segment(random, content, at, &mut text);
    }
    if random.once_in(10) {
        near(random, content, at, &mut text);
    } else {
        border(random, &mut text);
    }
    text
}

/// One byte and `[n-m]`; gives where the rest begins.
fn near_before(random: &mut Random, content: &[u8], at: usize, text: &mut String) -> usize {
    let gap = random.below(6);
    literal(text, &[content.get(at).copied().unwrap_or(b'a')]);
    let wrong = usize::from(random.once_in(6));
    write!(
        text,
        "[{}-{}]",
        gap.saturating_sub(random.below(3)) + wrong,
        gap + random.below(3) + wrong
    )
    .unwrap();
    at + 1 + gap
}

/// `[n-m]` and one byte.
fn near(random: &mut Random, content: &[u8], at: usize, text: &mut String) {
    let gap = random.below(6);
    let wrong = usize::from(random.once_in(6));
    let range = match random.below(3) {
        0 => format!("[{}]", gap + wrong),
        1 => format!("[{}-]", gap + wrong),
        _ => {
            let least = (gap + wrong).saturating_sub(random.below(4));
            format!("[{least}-{}]", gap + random.below(4) + wrong)
        }
    };
    text.push_str(&range);
    literal(text, &[content.get(at + gap).copied().unwrap_or(b'a')]);
}

/// Writes what lies between two segments and gives the bytes that it stands for.
fn link(random: &mut Random, text: &mut String) -> usize {
    let gap = random.below(12);
    let wrong = usize::from(random.once_in(6));
    let written = match random.below(5) {
        0 => "*".to_owned(),
        1 => format!("{{{}}}", (gap + wrong).max(1)),
        2 => format!("{{{}-{}}}", gap + wrong, gap + wrong + random.below(6)),
        3 => format!(
            "{{-{}}}",
            (gap + random.below(4)).saturating_sub(wrong).max(1)
        ),
        _ => format!(
            "{{{}-}}",
            (gap + wrong).saturating_sub(random.below(4)).max(1)
        ),
    };
    text.push_str(&written);
    gap
}

/// At least three plain bytes, then some that need not be; gives where it ends.
fn segment(random: &mut Random, content: &[u8], at: usize, text: &mut String) -> usize {
    let at_or = |random: &mut Random, at: usize| {
        let byte = content.get(at).copied().unwrap_or(b'a');
        if random.once_in(25) { byte ^ 3 } else { byte }
    };
    let mut at = at;
    for _ in 0..random.range(3, 6) {
        literal(text, &[at_or(random, at)]);
        at += 1;
    }
    for _ in 0..random.below(4) {
        let byte = at_or(random, at);
        let other = *random.pick(b"abcd\x90");
        match random.below(9) {
            7 | 8 => {
                text.push_str(random.pick::<&str>(&BORDERS));
                at += usize::from(content.get(at..at + 2) == Some(b"\r\n"));
            }
            0 => text.push_str("??"),
            1 => write!(text, "{:x}?", byte >> 4).unwrap(),
            2 => write!(text, "?{:x}", byte & 15).unwrap(),
            3 => write!(text, "({byte:02x}|{other:02x})").unwrap(),
            4 => write!(text, "({other:02x}|{byte:02x})").unwrap(),
            5 => write!(text, "!({other:02x}|7f)").unwrap(),
            _ => {
                let second = at_or(random, at + 1);
                write!(text, "({other:02x}{other:02x}|{byte:02x}{second:02x})").unwrap();
                at += 1;
            }
        }
        at += 1;
        for _ in 0..random.range(1, 3) {
            literal(text, &[at_or(random, at)]);
            at += 1;
        }
    }
    at
}

/// A few bytes that stand there, as often as they may.
pub(super) fn short(random: &mut Random, content: &[u8]) -> String {
    let last = content.len() - 1;
    let at = random.range(64.min(last), last);
    let mut text = String::new();
    for place in at..at + random.range(3, 4) {
        literal(&mut text, &[content.get(place).copied().unwrap_or(b'a')]);
    }
    text
}
