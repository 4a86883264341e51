//! The words of a mail that may be passwords of what is attached: senders write them into the text.
#![forbid(unsafe_code)]

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

    fn take(&mut self, text: &[u8]) {
        let mut near = 0_usize;
        let spaces = |byte: &u8| byte.is_ascii_whitespace() || matches!(byte, b'<' | b'>' | 0);
        for token in text.split(spaces).filter(|token| !token.is_empty()) {
            let lower = String::from_utf8_lossy(token).to_lowercase();
            if MARKS.iter().any(|mark| lower.contains(mark)) || lower == "passe" {
                near = NEAR;
            }
            for word in forms(token) {
                self.word(word, near > 0);
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
        self.take(&text);
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
        collector.take(text);
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
    fn there_are_not_more_words_than_are_tried() {
        let text: String = (0..5000).map(|n| format!("word{n} ")).collect();
        let got = words(text.as_bytes());
        assert_eq!(got.len(), WORDS);
        assert!(words(&[b'x'; 65]).is_empty() && words(b"abc").is_empty());
        assert!(words(&b"same ".repeat(100)) == ["same"]);
    }
}
