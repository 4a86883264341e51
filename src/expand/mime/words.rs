//! The words of a mail that may be passwords of what is attached: senders write them into the text.
#![forbid(unsafe_code)]

use std::borrow::Cow;
use std::collections::HashSet;
use std::io::Read;

use crate::event::{NoteKind, Reason};
use crate::expand::{Children, Content, Halt, is_damage};

/// Words that are offered.
const WORDS: usize = 1_000;

/// Bytes of a word.
const LENGTH: std::ops::RangeInclusive<usize> = 4..=64;

/// Texts that are read, and bytes of each.
const TEXTS: usize = 16;
const TEXT: u64 = 256 * 1024;

/// Behind one of these a password is likely.
const MARKS: [&str; 14] = [
    "password",
    "passwort",
    "passcode",
    "passphrase",
    "kennwort",
    "pwd",
    "pass",
    "contraseña",
    "mot de passe",
    "senha",
    "wachtwoord",
    "hasło",
    "пароль",
    "密码",
];

/// Code page 850 from 0x80 on, up to its last letter; letters of code page 437 have the same places.
const CP850: &str = "ÇüéâäàåçêëèïîìÄÅÉæÆôöòûùÿÖÜø£Ø×ƒáíóúñÑªº¿®¬½¼¡«»░▒▓│┤ÁÂÀ©╣║╗╝¢¥┐└┴┬├─┼ãÃ╚╔╩╦╠═╬¤ðÐÊËÈıÍÎÏ┘┌█▄¦Ì▀ÓßÔÒõÕµþÞÚÛÙýÝ";

/// How far behind, in words.
const NEAR: usize = 6;

/// Takes the texts of a mail, and keeps their words.
#[derive(Default)]
pub(super) struct Collector {
    near: Vec<Vec<u8>>,
    others: Vec<Vec<u8>>,
    known: HashSet<Vec<u8>>,
    texts: usize,
}

impl Collector {
    /// All words, the likeliest first.
    pub(super) fn words(self) -> Vec<Vec<u8>> {
        let mut words = self.near;
        words.extend(self.others);
        words.truncate(WORDS);
        words
    }

    /// Takes the words of a text, between blanks and these signs.
    fn take(&mut self, text: &[u8], signs: &[u8]) {
        let mut near = 0_usize;
        let spaces = |byte: &u8| byte.is_ascii_whitespace() || *byte == 0 || signs.contains(byte);
        // A blank that does not break, and what has no width, are not ASCII.
        let text = without_blanks(text);
        for token in text.split(spaces).filter(|token| !token.is_empty()) {
            let lower = String::from_utf8_lossy(token).to_lowercase();
            if MARKS.iter().any(|mark| lower.contains(mark)) || lower == "passe" {
                near = NEAR;
            }
            for word in forms(token) {
                for word in spelled(word) {
                    self.word(&word, near > 0);
                }
            }
            near = near.saturating_sub(1);
        }
    }

    fn word(&mut self, word: &[u8], is_near: bool) {
        if !LENGTH.contains(&word.len()) || self.known.contains(word) {
            return;
        }
        let list = if is_near {
            &mut self.near
        } else {
            &mut self.others
        };
        if list.len() < WORDS {
            self.known.insert(word.to_vec());
            list.push(word.to_vec());
        }
    }
}

/// UTF-16 as UTF-8: with its mark, or with zeros for every other byte of what is mostly ASCII.
fn plain(text: Vec<u8>) -> Vec<u8> {
    let start = text.get(..1024).unwrap_or(&text);
    let zeros = |of: usize| {
        let (pairs, _) = start.as_chunks::<2>();
        let zero = |pair: &&[u8; 2]| pair.get(of) == Some(&0);
        let count = pairs.iter().filter(zero).count();
        count * 2 > pairs.len()
    };
    let encoding = if text.starts_with(b"\xff\xfe") || zeros(1) {
        encoding_rs::UTF_16LE
    } else if text.starts_with(b"\xfe\xff") || zeros(0) {
        encoding_rs::UTF_16BE
    } else {
        return text;
    };
    encoding.decode(&text).0.into_owned().into_bytes()
}

/// Blanks of other kinds than ASCII's, in UTF-8, as blanks; what has no width vanishes.
fn without_blanks(text: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = memchr::memchr3(0xc2, 0xe2, 0xe3, rest) {
        let (before, here) = rest.split_at_checked(at).unwrap_or((rest, b""));
        out.extend_from_slice(before);
        let (put, length): (&[u8], usize) = match here {
            [0xc2, 0xad, ..] => (b"", 2),
            [0xc2, 0xa0, ..] => (b" ", 2),
            [0xe2, 0x80, 0x8b..=0x8f, ..] | [0xe2, 0x81, 0xa0, ..] => (b"", 3),
            [0xe2, 0x80, 0x80..=0x8a | 0xa8 | 0xa9 | 0xaf, ..]
            | [0xe2, 0x81, 0x9f, ..]
            | [0xe3, 0x80, 0x80, ..] => (b" ", 3),
            _ => (here.get(..1).unwrap_or_default(), 1),
        };
        out.extend_from_slice(put);
        rest = here.get(length..).unwrap_or_default();
    }
    out.extend_from_slice(rest);
    out
}

/// Tags that do not part words.
const INLINE: [&[u8]; 14] = [
    b"a", b"b", b"code", b"em", b"font", b"i", b"mark", b"s", b"small", b"span", b"strong", b"tt",
    b"u", b"wbr",
];

/// Of HTML what a person sees: tags within words vanish, others are blanks, the entities that passwords need are decoded.
fn shown(text: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = memchr::memchr2(b'<', b'&', rest) {
        let (before, here) = rest.split_at_checked(at).unwrap_or((rest, b""));
        out.extend_from_slice(before);
        let behind = here.get(1..).unwrap_or_default();
        if here.starts_with(b"<") {
            let name = behind.strip_prefix(b"/").unwrap_or(behind);
            let letters = name
                .iter()
                .take(8)
                .take_while(|byte| byte.is_ascii_alphabetic());
            let name = name.get(..letters.count()).unwrap_or_default();
            let end = memchr::memchr(b'>', behind.get(..TAG).unwrap_or(behind));
            match end.filter(|_| !name.is_empty()) {
                Some(end) => {
                    if !INLINE.iter().any(|known| name.eq_ignore_ascii_case(known)) {
                        out.push(b' ');
                    }
                    rest = behind.get(end + 1..).unwrap_or_default();
                }
                None => {
                    out.push(b'<');
                    rest = behind;
                }
            }
            continue;
        }
        match entity(behind) {
            Some((character, length)) => {
                out.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes());
                rest = behind.get(length..).unwrap_or_default();
            }
            None => {
                out.push(b'&');
                rest = behind;
            }
        }
    }
    out.extend_from_slice(rest);
    out
}

/// Bytes of a tag.
const TAG: usize = 4096;

/// The character that an entity behind its `&` stands for, and its length.
fn entity(text: &[u8]) -> Option<(char, usize)> {
    const NAMES: [(&[u8], char); 6] = [
        (b"nbsp", ' '),
        (b"amp", '&'),
        (b"lt", '<'),
        (b"gt", '>'),
        (b"quot", '"'),
        (b"apos", '\''),
    ];
    let semicolon = |length: usize| length + usize::from(text.get(length) == Some(&b';'));
    for (name, character) in NAMES {
        if text.starts_with(name) {
            return Some((character, semicolon(name.len())));
        }
    }
    let digits = text.strip_prefix(b"#")?;
    let (digits, radix) = match digits {
        [b'x' | b'X', rest @ ..] => (rest, 16),
        _ => (digits, 10),
    };
    let is_digit = |byte: &&u8| char::from(**byte).is_digit(radix);
    let count = digits.iter().take(8).take_while(is_digit).count();
    let number = str::from_utf8(digits.get(..count)?).ok()?;
    let number = u32::from_str_radix(number, radix).ok()?;
    let before = text.len() - digits.len();
    Some((char::from_u32(number)?, semicolon(before + count)))
}

/// A word as it stands, without the signs around it, behind its colon or equals sign, and what of it is ASCII.
fn forms(token: &[u8]) -> Vec<&[u8]> {
    let mut forms = vec![bare(token), token];
    for (at, byte) in token.iter().enumerate() {
        if matches!(byte, b':' | b'=') {
            let behind = token.get(at + 1..).unwrap_or_default();
            forms.extend([bare(behind), behind]);
            break;
        }
    }
    if !token.is_ascii() {
        forms.extend(token.split(|byte| !byte.is_ascii()));
    }
    forms
}

/// The bytes that programs make of a word: first those of UTF-8, which is what 7z and RAR have, and for zip those of Windows and of DOS in the
/// west of Europe.
fn spelled(word: &[u8]) -> Vec<Vec<u8>> {
    if word.is_ascii() {
        return vec![word.to_vec()];
    }
    let text = match str::from_utf8(word) {
        Ok(text) => Cow::Borrowed(text),
        Err(_) => {
            encoding_rs::WINDOWS_1252
                .decode_without_bom_handling(word)
                .0
        }
    };
    let (windows, _, is_lossy) = encoding_rs::WINDOWS_1252.encode(&text);
    let windows = Some(windows.into_owned()).filter(|_| !is_lossy);
    let of_dos = |character: char| match character.is_ascii() {
        true => u8::try_from(character).ok(),
        false => {
            let at = CP850.chars().position(|other| other == character)?;
            u8::try_from(at.saturating_add(0x80)).ok()
        }
    };
    let dos: Option<Vec<u8>> = text.chars().map(of_dos).collect();
    let mut all = vec![text.as_bytes().to_vec()];
    all.extend(windows);
    all.extend(dos);
    // Of a charset that is none of these.
    all.push(word.to_vec());
    all
}

fn bare(token: &[u8]) -> &[u8] {
    let is_sign = |byte: &u8| {
        matches!(
            byte,
            b'.' | b','
                | b':'
                | b';'
                | b'!'
                | b'?'
                | b'"'
                | b'\''
                | b'('
                | b')'
                | b'['
                | b']'
                | b'*'
                | b'`'
        )
    };
    let from = token
        .iter()
        .position(|byte| !is_sign(byte))
        .unwrap_or(token.len());
    let to = token
        .iter()
        .rposition(|byte| !is_sign(byte))
        .map_or(from, |at| at + 1);
    token.get(from..to).unwrap_or_default()
}

impl Children for Collector {
    fn child(&mut self, _: &[u8], content: Content<'_>) -> Result<(), Halt> {
        let mut text = Vec::new();
        let read = match content {
            Content::Object(object) => object.reader().take(TEXT).read_to_end(&mut text),
            Content::Stream(stream) => stream.take(TEXT).read_to_end(&mut text),
        };
        // Damage is said when the part is given.
        if let Err(error) = read
            && !is_damage(&error)
        {
            return Err(error.into());
        }
        let text = plain(text);
        // What a person sees comes first: a tag may stand within a word, and a blank may be an entity.
        if text.iter().any(|byte| matches!(byte, b'<' | b'&')) {
            self.take(&shown(&text), b"");
        }
        self.take(&text, b"<>");
        self.texts += 1;
        let enough = self.texts >= TEXTS || self.near.len() + self.others.len() >= 2 * WORDS;
        if enough { Err(Halt::Item) } else { Ok(()) }
    }

    fn gap(&mut self, _: Option<&[u8]>, _: Reason, _: String) -> Result<(), Halt> {
        Ok(())
    }

    fn note(&mut self, _: NoteKind, _: String) -> Result<(), Halt> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(text: &[u8]) -> Vec<String> {
        let mut collector = Collector::default();
        let mut stream = text;
        let _ = collector.child(b"", Content::Stream(&mut stream));
        let text = |word: Vec<u8>| String::from_utf8_lossy(&word).into_owned();
        collector.words().into_iter().map(text).collect()
    }

    #[test]
    fn the_likeliest_words_come_first() {
        let got = words(b"Dear colleague, the password is \"Secret#1\".\nRegards");
        assert_eq!(got[..2], ["password", "Secret#1"]);
        assert!(got.contains(&"Regards".to_owned()));
        assert!(
            words(b"<p>pwd:hunter22</p>").starts_with(&["pwd:hunter22".into(), "hunter22".into()])
        );
        assert!(words("密码：infected。".as_bytes()).contains(&"infected".to_owned()));
    }

    #[test]
    fn words_are_what_a_person_sees() {
        let rows = [
            "<p>The password is&nbsp;Se<b>cret</b>#1&nbsp;.</p>",
            "password:&#160;Secret&#x23;1<br>",
            "Das Passwort:\u{a0}Secret#1\u{200b}",
            "password <span>Secret</span>#1<td>next",
        ];
        for text in rows {
            let got = words(text.as_bytes());
            assert!(
                got.iter().take(6).any(|word| word == "Secret#1"),
                "{text} {got:?}"
            );
        }
        let text = "the password is Secret#1";
        let little: Vec<u8> = text.encode_utf16().flat_map(u16::to_le_bytes).collect();
        let big: Vec<u8> = text.encode_utf16().flat_map(u16::to_be_bytes).collect();
        for text in [little, [&b"\xfe\xff"[..], &big].concat(), big] {
            assert!(words(&text).contains(&"Secret#1".to_owned()));
        }
        assert!(words(b"password a&lt;b<c&amp;d").contains(&"a<b<c&d".to_owned()));
    }

    #[test]
    fn letters_beyond_ascii_are_spelled_as_programs_do() {
        let rows: [(&str, &[u8]); 3] = [
            ("UTF-8", "Rückgabe99".as_bytes()),
            ("Windows", b"R\xfcckgabe99"),
            ("DOS", b"R\x81ckgabe99"),
        ];
        for text in [
            &b"Passwort: R\xfcckgabe99\n"[..],
            "Passwort: Rückgabe99\n".as_bytes(),
        ] {
            let mut collector = Collector::default();
            let _ = collector.child(b"", Content::Stream(&mut &text[..]));
            let got = collector.words();
            for (row, word) in rows {
                assert!(got.iter().any(|got| got == word), "{row}: {got:?}");
            }
        }
    }

    #[test]
    fn there_are_not_more_words_than_are_tried() {
        let text: String = (0..5000).map(|n| format!("word{n} ")).collect();
        let got = words(text.as_bytes());
        assert_eq!(got.len(), WORDS);
        assert!(words(&[b'x'; 65]).is_empty() && words(b"abc").is_empty());
        assert!(words(&b"same ".repeat(100)) == ["same"]);
    }
}
