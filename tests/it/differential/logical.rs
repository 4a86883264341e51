//! Logical signatures: sub-signatures out of contents, and conditions over them.

use super::bodies;
use super::random::Random;

/// `NAME;DESCRIPTION;EXPRESSION;SUB-SIGNATURES`.
pub(super) fn signature(random: &mut Random, content: &[u8], name: &str) -> String {
    let count = random.range(1, 5);
    let parts: Vec<String> = (0..count).map(|_| part(random, content)).collect();
    let expression = expression(random, count);
    let size = match random.below(6) {
        0 => format!(",FileSize:{}-{}", content.len(), content.len() + 10),
        1 => format!(",FileSize:0-{}", content.len() - 1),
        _ => String::new(),
    };
    format!(
        "{name};Engine:81-255{size},Target:0;{expression};{}",
        parts.join(";")
    )
}

const BORDERS: [&str; 3] = ["!(B)", "!(L)", "!(W)"];

fn part(random: &mut Random, content: &[u8]) -> String {
    let narrowed;
    let wide = content[64..].iter().step_by(2).any(|byte| *byte != 0)
        && content[64..].iter().skip(1).step_by(2).all(|byte| *byte == 0);
    // What a wide content says, for the modifier `w`.
    let is_narrowed = wide && random.once_in(2);
    let content = if is_narrowed {
        let letters = content[64..].iter().copied().step_by(2);
        narrowed = content[..64].iter().copied().chain(letters).collect::<Vec<_>>();
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
