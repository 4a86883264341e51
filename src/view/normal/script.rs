//! Scripts: one blank where two words meet and none elsewhere, no comments, strings decoded and joined, and variables called
//! `n000`, `n001` and so on in the order in which they are declared.
//!
//! Words are bound in two passes: the first numbers what is declared, by the function that it is declared in; the second writes.
#![forbid(unsafe_code)]

use std::collections::HashMap;

/// Functions that may be open inside of each other; deeper ones have no variables of their own.
const SCOPES: usize = 32;

/// Bytes that are read together: what is declared before counts in them alone.
const PIECE: usize = 1024 * 1024;

/// The longest regular expression in bytes.
const REGEX: usize = 4096;

#[derive(Debug, Clone, PartialEq)]
enum Token {
    Word(Vec<u8>),
    Number(Vec<u8>),
    Text(Vec<u8>),
    Regex(Vec<u8>),
    Sign(u8),
}

/// Adds the normal form of a script to `out`.
pub(super) fn script(code: &[u8], out: &mut Vec<u8>) {
    for piece in code.chunks(PIECE) {
        one(piece, out);
    }
}

fn one(code: &[u8], out: &mut Vec<u8>) {
    let tokens = folded(tokens(code));
    let names = Names::of(&tokens);
    let mut before_word = false;
    for (at, token) in tokens.iter().enumerate() {
        let is_word = matches!(token, Token::Word(_) | Token::Number(_));
        if is_word && before_word {
            out.push(b' ');
        }
        before_word = is_word;
        match token {
            Token::Word(word) => match names.numbers.get(at).copied().flatten() {
                Some(number) => out.extend_from_slice(format!("n{number:03}").as_bytes()),
                None => out.extend(word.to_ascii_lowercase()),
            },
            Token::Number(digits) => out.extend_from_slice(digits),
            Token::Text(text) => {
                out.push(b'"');
                out.extend(text.to_ascii_lowercase());
                out.push(b'"');
            }
            Token::Regex(text) => out.extend(text.to_ascii_lowercase()),
            Token::Sign(sign) => out.push(*sign),
        }
    }
}

fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'$')
}

fn tokens(mut rest: &[u8]) -> Vec<Token> {
    let mut tokens: Vec<Token> = Vec::new();
    while let Some((byte, behind)) = rest.split_first() {
        let run =
            |from: &[u8], is: fn(u8) -> bool| from.iter().take_while(|byte| is(**byte)).count();
        let length = match *byte {
            b'0'..=b'9' => {
                let (token, length) = number(rest);
                tokens.push(token);
                length
            }
            byte if is_word(byte) => {
                let length = run(rest, is_word);
                tokens.push(Token::Word(rest.get(..length).unwrap_or_default().to_vec()));
                length
            }
            quote @ (b'"' | b'\'') => {
                let (text, length) = text(behind, quote);
                tokens.push(Token::Text(text));
                length.saturating_add(1)
            }
            b'/' => match behind.first() {
                Some(b'*') => {
                    let body = behind.get(1..).unwrap_or_default();
                    let end = memchr::memmem::find(body, b"*/");
                    end.map_or(rest.len(), |end| end.saturating_add(4))
                }
                // Lines are no lines any more when it is read: it ends at the next blank.
                Some(b'/') => run(rest, |byte| !byte.is_ascii_whitespace()),
                _ => match regex(rest).filter(|_| may_begin_regex(tokens.last())) {
                    Some(length) => {
                        tokens.push(Token::Regex(
                            rest.get(..length).unwrap_or_default().to_vec(),
                        ));
                        length
                    }
                    None => {
                        tokens.push(Token::Sign(b'/'));
                        1
                    }
                },
            },
            b'!' | b'%'..=b'.' | b':'..=b'?' | b'[' | b']' | b'^' | b'{'..=b'~' => {
                tokens.push(Token::Sign(*byte));
                1
            }
            _ => 1,
        };
        rest = rest.get(length.max(1)..).unwrap_or_default();
    }
    tokens
}

fn may_begin_regex(last: Option<&Token>) -> bool {
    match last {
        None => true,
        Some(Token::Sign(sign)) => !matches!(sign, b')' | b']' | b'}'),
        Some(Token::Word(word)) => word == b"return",
        _ => false,
    }
}

/// The length of a regular expression on one line.
fn regex(text: &[u8]) -> Option<usize> {
    let mut at: usize = 1;
    loop {
        match text.get(at)? {
            b'\\' => at = at.saturating_add(2),
            b'\n' => return None,
            _ if at >= REGEX => return None,
            b'/' => break,
            _ => at = at.saturating_add(1),
        }
    }
    Some(at.saturating_add(1))
}

/// Whole numbers are 32 bits wide; others are written with six digits.
fn number(text: &[u8]) -> (Token, usize) {
    let digits = |from: usize| {
        let rest = text.get(from..).unwrap_or_default();
        rest.iter().take_while(|byte| byte.is_ascii_digit()).count()
    };
    let whole = digits(0);
    if text.get(whole) != Some(&b'.') {
        let all = text.get(..whole).unwrap_or_default().iter();
        let value = all.fold(0_u32, |sum, byte| {
            sum.wrapping_mul(10)
                .wrapping_add(u32::from(byte.wrapping_sub(b'0')))
        });
        return (Token::Number(value.to_string().into_bytes()), whole);
    }
    let mut end = whole.saturating_add(1);
    end = end.saturating_add(digits(end));
    if matches!(text.get(end), Some(b'e' | b'E')) {
        let sign = matches!(text.get(end.saturating_add(1)), Some(b'+' | b'-'));
        let from = end.saturating_add(1).saturating_add(usize::from(sign));
        match digits(from) {
            0 => {}
            count => end = from.saturating_add(count),
        }
    }
    let source = text.get(..end).unwrap_or_default();
    let value = std::str::from_utf8(source).ok();
    let value = value.and_then(|text| text.parse::<f64>().ok());
    let shown = value.map_or_else(|| source.to_vec(), |value| general(value).into_bytes());
    (Token::Number(shown), end)
}

/// As `%g` of C writes it.
fn general(value: f64) -> String {
    if value == 0.0 {
        return "0".to_owned();
    }
    let scientific = format!("{value:.5e}");
    let Some((digits, exponent)) = scientific.split_once('e') else {
        return scientific;
    };
    let trimmed = |text: &str| match text.contains('.') {
        true => text.trim_end_matches('0').trim_end_matches('.').to_owned(),
        false => text.to_owned(),
    };
    match exponent.parse::<i32>() {
        Ok(exponent @ -4..6) => {
            let places = usize::try_from(5_i32.saturating_sub(exponent)).unwrap_or(0);
            trimmed(&format!("{value:.places$}"))
        }
        Ok(exponent) => {
            let sign = if exponent < 0 { '-' } else { '+' };
            format!("{}e{sign}{:02}", trimmed(digits), exponent.unsigned_abs())
        }
        Err(_) => scientific,
    }
}

/// A text up to its quote, decoded, and the bytes that it takes with the quote.
fn text(text: &[u8], quote: u8) -> (Vec<u8>, usize) {
    let mut out = Vec::new();
    let mut at: usize = 0;
    let hex = |from: usize, count: usize| {
        let digits = text.get(from..from.saturating_add(count))?;
        let digits = std::str::from_utf8(digits).ok()?;
        u16::from_str_radix(digits, 16).ok()
    };
    while let Some(byte) = text.get(at) {
        at = at.saturating_add(1);
        match byte {
            byte if *byte == quote => break,
            b'\n' => out.push(b' '),
            b'\\' => {
                let Some(escape) = text.get(at) else { break };
                at = at.saturating_add(1);
                match escape {
                    b'n' | b'r' | b't' | b'\n' => out.push(b' '),
                    b'b' => out.push(8),
                    b'x' => match hex(at, 2) {
                        Some(number) => {
                            out.push(number as u8);
                            at = at.saturating_add(2);
                        }
                        None => out.push(b'x'),
                    },
                    b'u' => match hex(at, 4) {
                        Some(number) => {
                            character(number, &mut out);
                            at = at.saturating_add(4);
                        }
                        None => out.push(b'u'),
                    },
                    other => out.push(*other),
                }
            }
            other => out.push(*other),
        }
    }
    (out, at)
}

fn character(number: u16, out: &mut Vec<u8>) {
    let character = char::from_u32(number.into()).unwrap_or(char::REPLACEMENT_CHARACTER);
    out.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes());
}

/// Joins texts with `+` between them, and does `unescape` of a text.
fn folded(tokens: Vec<Token>) -> Vec<Token> {
    let mut out: Vec<Token> = Vec::with_capacity(tokens.len());
    for token in tokens {
        out.push(token);
        // A text may end several of these at once.
        while join(&mut out) || unescape(&mut out) {}
    }
    out
}

fn join(out: &mut Vec<Token>) -> bool {
    let [
        ..,
        Token::Text(first),
        Token::Sign(b'+'),
        Token::Text(second),
    ] = out.as_mut_slice()
    else {
        return false;
    };
    first.append(second);
    out.truncate(out.len().saturating_sub(2));
    true
}

fn unescape(out: &mut Vec<Token>) -> bool {
    let [
        ..,
        Token::Word(word),
        Token::Sign(b'('),
        Token::Text(text),
        Token::Sign(b')'),
    ] = out.as_mut_slice()
    else {
        return false;
    };
    if word != b"unescape" {
        return false;
    }
    let text = percent(text);
    out.truncate(out.len().saturating_sub(4));
    out.push(Token::Text(text));
    true
}

/// `%41` and `%u0041`, decoded.
fn percent(text: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text;
    let hex = |digits: &[u8]| {
        let digits = std::str::from_utf8(digits).ok()?;
        u16::from_str_radix(digits, 16).ok()
    };
    while let Some((byte, behind)) = rest.split_first() {
        rest = behind;
        if *byte != b'%' {
            out.push(*byte);
        } else if let Some(number) = behind
            .strip_prefix(b"u")
            .and_then(|wide| hex(wide.get(..4)?))
        {
            character(number, &mut out);
            rest = behind.get(5..).unwrap_or_default();
        } else if let Some(number) = behind.get(..2).and_then(hex) {
            out.push(number as u8);
            rest = behind.get(2..).unwrap_or_default();
        } else {
            out.push(b'%');
        }
    }
    out
}

/// The number of each token that is a variable.
#[derive(Debug, Default)]
struct Names {
    numbers: Vec<Option<u32>>,
}

/// A function, or what is outside of all.
#[derive(Debug, Default)]
struct Scope {
    names: HashMap<Vec<u8>, u32>,
    outer: usize,
}

/// What the next tokens may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Expects {
    Nothing,
    /// The name of a variable, behind `var` or a comma of the same statement.
    Variable,
    /// The name of a function, or its parameters.
    Function,
    Parameters,
}

impl Names {
    fn of(tokens: &[Token]) -> Self {
        let mut scopes = vec![Scope::default()];
        let mut scope_of: Vec<usize> = Vec::with_capacity(tokens.len());
        // The scopes that are open, each with the depth of braces at which it ends.
        let mut open: Vec<(usize, usize)> = vec![(0, 0)];
        let (mut depth, mut next) = (0_usize, 0_u32);
        // Where a `var` goes on behind a comma, by the depth of braces and brackets: parentheses do not count.
        let (mut brackets, mut declares) = (0_usize, None);
        let mut expects = Expects::Nothing;
        for token in tokens {
            let current = open.last().map_or(0, |(scope, _)| *scope);
            let mut declare = |name: &[u8], scope: usize| {
                if let Some(scope) = scopes.get_mut(scope) {
                    scope.names.insert(name.to_vec(), next);
                    next = next.saturating_add(1);
                }
            };
            let mut own = current;
            match (token, expects) {
                (Token::Word(word), Expects::Variable) => {
                    declare(word, current);
                    expects = Expects::Nothing;
                }
                (Token::Word(word), Expects::Function) => {
                    declare(word, current);
                }
                (Token::Sign(b'('), Expects::Function) => expects = Expects::Parameters,
                (Token::Word(word), Expects::Parameters) => {
                    declare(word, current);
                }
                (Token::Sign(b')'), Expects::Parameters) => expects = Expects::Nothing,
                (_, Expects::Parameters) => {}
                (Token::Word(word), _) if word == b"var" => {
                    expects = Expects::Variable;
                    declares = Some((depth, brackets));
                }
                (Token::Word(word), _) if word == b"function" => {
                    expects = Expects::Function;
                    // Its name is known inside of it alone.
                    if open.len() < SCOPES {
                        scopes.push(Scope {
                            names: HashMap::new(),
                            outer: current,
                        });
                        open.push((scopes.len().saturating_sub(1), depth));
                    }
                }
                (Token::Sign(b','), _) if declares == Some((depth, brackets)) => {
                    expects = Expects::Variable;
                }
                (Token::Sign(b'{'), _) => {
                    depth = depth.saturating_add(1);
                    expects = Expects::Nothing;
                }
                (Token::Sign(b'}'), _) => {
                    depth = depth.saturating_sub(1);
                    expects = Expects::Nothing;
                    if open.len() > 1 && open.last().is_some_and(|(_, end)| *end >= depth) {
                        open.pop();
                        own = open.last().map_or(0, |(scope, _)| *scope);
                    }
                }
                (Token::Sign(b';'), _) => (expects, declares) = (Expects::Nothing, None),
                (Token::Sign(b'['), _) => brackets = brackets.saturating_add(1),
                (Token::Sign(b']'), _) => brackets = brackets.saturating_sub(1),
                _ => expects = Expects::Nothing,
            }
            scope_of.push(own);
        }
        let mut numbers = Vec::with_capacity(tokens.len());
        let mut member = false;
        for (token, scope) in tokens.iter().zip(scope_of) {
            numbers.push(match token {
                Token::Word(word) if !member => look_up(&scopes, scope, word),
                _ => None,
            });
            member = *token == Token::Sign(b'.');
        }
        Self { numbers }
    }
}

fn look_up(scopes: &[Scope], mut at: usize, name: &[u8]) -> Option<u32> {
    loop {
        let scope = scopes.get(at)?;
        match scope.names.get(name) {
            Some(number) => return Some(*number),
            None if at == 0 => return None,
            None => at = scope.outer,
        }
    }
}
