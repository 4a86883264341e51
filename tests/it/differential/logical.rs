//! Logical signatures: sub-signatures out of contents, and conditions over them.

use bytes::Bytes;
use vfind::executable::layout;
use vfind::object::Object;
use vfind::stop::Stop;

use super::bodies;
use super::programs::HEADERS;
use crate::random::Random;

/// `NAME;DESCRIPTION;EXPRESSION;SUB-SIGNATURES`.
pub(super) fn signature(random: &mut Random, content: &[u8], name: &str) -> String {
    for_target(random, content, 0, name)
}

/// The same for another target.
pub(super) fn for_target(random: &mut Random, content: &[u8], target: u8, name: &str) -> String {
    let count = random.range(1, 5);
    let parts: Vec<String> = (0..count).map(|_| part(random, content)).collect();
    let expression = expression(random, count);
    let size = match random.below(6) {
        0 => format!(",FileSize:{}-{}", content.len(), content.len() + 10),
        1 => format!(",FileSize:0-{}", content.len() - 1),
        _ => String::new(),
    };
    format!(
        "{name};Engine:81-255{size},Target:{target};{expression};{}",
        parts.join(";")
    )
}

/// The same for a program of this target, with the keys that programs have.
pub(super) fn of_program(random: &mut Random, content: &[u8], target: u64, name: &str) -> String {
    let count = random.range(1, 3);
    let parts: Vec<String> = (0..count).map(|_| program_part(random, content)).collect();
    let object = Object::memory(Bytes::copy_from_slice(content), Stop::never());
    let layout = layout(&object).unwrap().unwrap_or_default();
    let mut keys = String::new();
    for (key, value) in [
        ("FileSize", content.len() as u64),
        ("EntryPoint", layout.entry.unwrap_or(0)),
        ("NumberOfSections", layout.sections.len() as u64),
    ] {
        if random.once_in(4) {
            let low = value.saturating_sub(random.below(3) as u64);
            let (low, high) = match random.below(4) {
                0 => (value + 1, value + 9),
                1 => (0, value.saturating_sub(1)),
                _ => (low, value + random.below(3) as u64),
            };
            keys += &format!(",{key}:{low}-{high}");
        }
    }
    let wanted = if random.once_in(10) { 6 } else { target };
    let expression = expression(random, count);
    let parts = parts.join(";");
    format!("{name};Engine:81-255,Target:{wanted}{keys};{expression};{parts}")
}

fn program_part(random: &mut Random, content: &[u8]) -> String {
    let all = std::iter::repeat_with(|| bodies::in_program(random, content));
    let is_clear = |body: &String| BORDERS.iter().all(|border| !body.contains(border));
    all.into_iter().find(is_clear).unwrap()
}

/// Sub-signatures with a regular expression behind them.
pub(super) fn with_regex(random: &mut Random, content: &[u8], name: &str) -> String {
    let bodies = random.range(1, 2);
    let mut parts: Vec<String> = (0..bodies)
        .map(|_| bodies::short(random, content))
        .collect();
    let trigger = match (bodies, random.below(4)) {
        (1, 0) => "0>1".to_owned(),
        (1, _) => "0".to_owned(),
        (_, 0) => "0|1".to_owned(),
        (_, 1) => "(0|1)>2".to_owned(),
        _ => "0&1".to_owned(),
    };
    parts.push(format!("{trigger}/{}", regex(random, content)));
    let last = parts.last_mut().unwrap();
    if random.once_in(3) {
        let at = random.below(content.len());
        let offset = match random.below(3) {
            0 => at.to_string(),
            1 => format!("{at},{}", random.range(1, 200)),
            _ => format!("EOF-{},{}", content.len() - at, random.range(1, 200)),
        };
        *last = format!("{offset}:{last}");
    }
    let expression = match random.below(3) {
        0 => format!("{bodies}"),
        1 => format!("{bodies}{}", relation(random, false)),
        _ => format!("0&{bodies}"),
    };
    let expression = match bodies {
        1 => format!("0&{expression}"),
        _ => format!("(0|1)&{expression}"),
    };
    format!(
        "{name};Engine:81-255,Target:0;{expression};{}",
        parts.join(";")
    )
}

/// clamscan finds no expression in a range that begins before the content (`EOF-340,187` in 221 bytes).
pub(super) fn begins_before_the_content(line: &str, content: &[u8], _by_us: bool) -> bool {
    let ends = line.split(";EOF-").skip(1);
    let mut ends = ends.filter_map(|rest| rest.split_once(',')?.0.parse::<usize>().ok());
    ends.any(|end| end > content.len())
}

/// `EXPRESSION/FLAGS`, out of what both engines read alike.
fn regex(random: &mut Random, content: &[u8]) -> String {
    let last = content.len() - 1;
    let at = random.range(64.min(last), last);
    let mut text = String::new();
    let literal = |byte: u8| match byte {
        b'a'..=b'z' | b'0'..=b'9' => char::from(byte).to_string(),
        byte => format!("\\x{byte:02x}"),
    };
    if random.once_in(12) {
        text.push('^');
    }
    for place in at..at + random.range(3, 7) {
        let byte = content.get(place).copied().unwrap_or(b'a');
        let other = *random.pick(b"abcd\x90");
        let (byte, other) = (literal(byte), literal(other));
        text += &match random.below(14) {
            0 => ".".to_owned(),
            1 => format!("[{other}{byte}]"),
            2 => format!("[^{other}]"),
            3 => format!("({other}|{byte})"),
            4 => format!("(?:{byte}{other}|{byte})"),
            5 => format!("{byte}+"),
            6 => format!("{byte}{other}?"),
            7 => format!("{byte}{{1,3}}"),
            8 => format!("{other}*{byte}"),
            9 => format!("{byte}.*?"),
            _ => byte,
        };
    }
    if random.once_in(12) {
        text.push('$');
    }
    text.push('/');
    for flag in ["i", "s", "m", "g", "r", "e", "A", "E", "U"] {
        if random.once_in(6) {
            text += flag;
        }
    }
    text
}

/// A sub-signature and comparisons of what stands beside it.
pub(super) fn with_comparison(random: &mut Random, content: &[u8], name: &str) -> String {
    let last = content.len() - 1;
    let at = random.range(HEADERS.min(64).min(last), last);
    let length = random.range(3, 4);
    let body: String = (at..at + length)
        .map(|place| format!("{:02x}", content.get(place).copied().unwrap_or(b'a')))
        .collect();
    let mut parts = vec![body];
    let count = random.range(1, 2);
    for _ in 0..count {
        parts.push(format!("0({})", comparison(random, content, at)));
    }
    let expression = match (count, random.below(3)) {
        (1, 0) => format!("0&1{}", relation(random, false)),
        (1, _) => "0&1".to_owned(),
        (_, 0) => "0&1&2".to_owned(),
        (_, 1) => format!("0&(1|2{})", relation(random, false)),
        _ => "0&(1|2)".to_owned(),
    };
    format!(
        "{name};Engine:81-255,Target:0;{expression};{}",
        parts.join(";")
    )
}

/// `>>OFFSET#OPTIONS#COMPARISONS`.
fn comparison(random: &mut Random, content: &[u8], at: usize) -> String {
    let by = random.below(12);
    let back = random.once_in(4);
    let place = if back { at.saturating_sub(by) } else { at + by };
    let offset = format!("{}{by}", if back { "<<" } else { ">>" });
    let kind = *random.pick(&[
        "d", "de", "hb", "hl", "hbe", "hle", "ab", "al", "abe", "ib", "il",
    ]);
    let length = match kind.as_bytes()[0] {
        b'i' => *random.pick(&[1, 2, 4, 8]),
        _ => random.range(1, 5),
    };
    let bytes: Vec<u8> = (place..place + length)
        .map(|place| content.get(place).copied().unwrap_or(0))
        .collect();
    let text: String = bytes.iter().map(|byte| char::from(*byte)).collect();
    let value = match kind.as_bytes()[0] {
        b'i' => {
            bytes
                .iter()
                .fold(0, |value, byte| value << 8 | u64::from(*byte))
                & (u64::MAX >> 2)
        }
        b'd' => text.parse().unwrap_or(0),
        _ => u64::from_str_radix(&text, 16).unwrap_or(0),
    };
    let value = match random.below(5) {
        0 => value + 1,
        1 => random.below(100) as u64,
        _ => value,
    };
    let mut comparisons = format!("{}{value}", random.pick(&['=', '<', '>']));
    if random.once_in(4) {
        comparisons += &format!(",{}{}", random.pick(&['<', '>']), value + 5);
    }
    format!("{offset}#{kind}{length}#{comparisons}")
}

const BORDERS: [&str; 3] = ["(B)", "(L)", "(W)"];

fn part(random: &mut Random, content: &[u8]) -> String {
    let narrowed;
    let wide = content[64..].iter().step_by(2).any(|byte| *byte != 0)
        && content[64..]
            .iter()
            .skip(1)
            .step_by(2)
            .all(|byte| *byte == 0);
    // What a wide content says, for the modifier `w`.
    let is_narrowed = wide && random.once_in(2);
    let content = if is_narrowed {
        let letters = content[64..].iter().copied().step_by(2);
        narrowed = content[..64]
            .iter()
            .copied()
            .chain(letters)
            .collect::<Vec<_>>();
        narrowed.as_slice()
    } else {
        content
    };
    let all = std::iter::repeat_with(|| bodies::signature(random, content));
    // Behind these clamscan does not ask for the rest of a body at the end of a content.
    let is_clear = |body: &String| BORDERS.iter().all(|border| !body.contains(border));
    let whole = all.into_iter().find(is_clear).unwrap();
    let body = match random.below(3) {
        0 => whole,
        // Anywhere, and short, so that it occurs more than once.
        1 => bodies::short(random, content),
        _ => whole.split_once(':').unwrap().1.to_owned(),
    };
    // clamscan takes no modifier beside a negation.
    match random.below(6) {
        _ if body.contains('!') => body,
        _ if is_narrowed && !body.contains('[') => body + *random.pick(&["::w", "::iw", "::wa"]),
        0 => body + "::i",
        1 => body + "::a",
        // clamscan takes no `[n-m]` beside these; wide full words are set aside.
        2 | 3 if !body.contains('[') => {
            body + *random.pick(&["::w", "::f", "::iw", "::if", "::wa", "::ia"])
        }
        _ => body,
    }
}

/// Each part once, with `&` and `|`, in parentheses now and then, and counts.
fn expression(random: &mut Random, count: usize) -> String {
    let mut text = leaf(random, 0);
    for index in 1..count {
        let other = leaf(random, index);
        let operator = if random.once_in(2) { '&' } else { '|' };
        text = if random.once_in(2) {
            format!("({text}{operator}{other})")
        } else {
            format!("({other}{operator}{text})")
        };
        if random.once_in(4) {
            text.push_str(&relation(random, index < 3));
        }
    }
    text
}

fn leaf(random: &mut Random, index: usize) -> String {
    let relation = if random.once_in(3) {
        relation(random, false)
    } else {
        String::new()
    };
    format!("{index}{relation}")
}

/// A count, or for a group also how many of it must occur.
fn relation(random: &mut Random, group: bool) -> String {
    let count = random.below(4);
    let operator = *random.pick(&['=', '>', '<']);
    if group && random.once_in(2) {
        return format!("{operator}{count},{}", random.range(1, 2));
    }
    format!("{operator}{count}")
}

/// A count with a second number, as `(A|B)<X,Y`, beside other counts: the manual does not say what is counted of a group in
/// which a count holds without a match, or does not hold with some. Not understood in either direction.
pub(super) fn counts_within_counts(line: &str, _content: &[u8], _by_us: bool) -> bool {
    let expression = line.split(';').nth(2).unwrap_or_default();
    let counts = expression.matches(['=', '<', '>']).count();
    expression.contains(',') && counts > 1
}
