//! What is text, and which: by its characters, its tags, its header lines or its first line.
#![forbid(unsafe_code)]

use std::cell::OnceCell;

use crate::object::Probe;

/// Bytes in which a document names itself.
const START: usize = 1024;

/// What a mail begins with: those first header lines by which clamscan takes a content for one.
const MAIL: &[&[u8]] = &[
    b"From ",
    b"From: ",
    b">From ",
    b"To: ",
    b"Date: ",
    b"For: ",
    b"Subject: ",
    b"Received: ",
    b"Received-SPF: ",
    b"Return-Path: ",
    b"Return-path: ",
    b"Delivered-To: ",
    b"Delivery-date: ",
    b"Envelope-to: ",
    b"Message-ID: ",
    b"Message-Id: ",
    b"X-Apparently-To: ",
    b"X-EVS",
    b"X-Envelope-From: ",
    b"X-Original-To: ",
    b"X-Real-To: ",
    b"X-Sieve: ",
    b"X-Symantec-",
    b"X-UIDL: ",
];

/// The tags by which clamscan takes a content for HTML.
const TAGS: &[&[u8]] = &[
    b"html", b"head", b"iframe", b"img", b"object", b"script", b"table",
];

/// A content that may be text, and what is found in it, each read once and only if it is asked for.
pub(super) struct Text<'a> {
    probe: &'a Probe,
    head: &'a [u8],
    plain: OnceCell<bool>,
    tagged: OnceCell<bool>,
}

impl<'a> Text<'a> {
    pub(super) fn new(probe: &'a Probe) -> Self {
        Self {
            probe,
            head: &probe.head,
            plain: OnceCell::new(),
            tagged: OnceCell::new(),
        }
    }

    /// There is something, and no control in it.
    fn is_plain(&self) -> bool {
        *(self.plain).get_or_init(|| !self.head.is_empty() && !has_control(self.head))
    }

    fn has_tag(&self) -> bool {
        *self.tagged.get_or_init(|| has_tag(self.head))
    }

    /// Where a document names itself.
    fn start(&self) -> &'a [u8] {
        start(self.head)
    }
}

/// No text has these: all controls but BEL to CR and ESC, and DEL. Without a branch, so that many are looked at in one step.
fn is_control(byte: u8) -> bool {
    let is_in = |first: u8, last: u8| byte.wrapping_sub(first) <= last - first;
    (byte < 7) | is_in(0x0e, 0x1a) | is_in(0x1c, 0x1f) | (byte == 0x7f)
}

fn has_control(text: &[u8]) -> bool {
    /// A block is looked at as a whole.
    const BLOCK: usize = 512;
    let any = |block: &[u8]| {
        block
            .iter()
            .fold(false, |any, byte| any | is_control(*byte))
    };
    text.chunks(BLOCK).any(any)
}

pub(super) fn ascii(text: &Text<'_>) -> bool {
    text.is_plain() && text.head.is_ascii()
}

/// A character may be cut at the end of the head.
pub(super) fn utf8(text: &Text<'_>) -> bool {
    let is_valid = || match std::str::from_utf8(text.head) {
        Ok(_) => true,
        Err(error) => error.error_len().is_none() && (text.head.len() as u64) < text.probe.length,
    };
    text.is_plain() && is_valid()
}

/// Eight-bit text: a byte above ASCII is an accent here and there, so most are below.
pub(super) fn extended(text: &Text<'_>) -> bool {
    let is_usual = |byte: &&u8| matches!(byte, b' '..=b'~' | b'\n' | b'\r' | b'\t');
    text.is_plain() && text.head.iter().filter(is_usual).count() * 2 > text.head.len()
}

/// All that clamscan asks of a text.
pub(super) fn without_controls(text: &Text<'_>) -> bool {
    text.is_plain()
}

pub(super) fn mail(text: &Text<'_>) -> bool {
    MAIL.iter().any(|start| text.probe.has(0, start))
}

/// A text with a tag.
pub(super) fn html(text: &Text<'_>) -> bool {
    text.is_plain() && (text.has_tag() || has_doctype(text))
}

/// Anything else with a tag.
pub(super) fn html_in_data(text: &Text<'_>) -> bool {
    text.has_tag()
}

pub(super) fn html_utf16(text: &Text<'_>) -> bool {
    let characters = |low: usize| {
        let rest = text.head.get(2..).unwrap_or_default();
        let (pairs, _) = rest.as_chunks::<2>();
        let narrow: Vec<u8> = pairs
            .iter()
            .filter_map(|pair| pair.get(low).copied())
            .collect();
        narrow
    };
    match text.head.get(..2) {
        Some([0xff, 0xfe]) => has_tag(&characters(0)),
        Some([0xfe, 0xff]) => has_tag(&characters(1)),
        _ => false,
    }
}

fn has_tag(text: &[u8]) -> bool {
    memchr::memchr_iter(b'<', text).any(|at| {
        let rest = text.get(at + 1..).unwrap_or_default();
        match rest.first() {
            Some(b'a' | b'A') => is_link(rest),
            // What a tag's name begins with.
            Some(b'h' | b'i' | b'o' | b's' | b't' | b'H' | b'I' | b'O' | b'S' | b'T') => {
                TAGS.iter().any(|tag| begins_tag(rest, tag))
            }
            _ => false,
        }
    })
}

/// `a` with a `href` among its attributes.
fn is_link(rest: &[u8]) -> bool {
    let attributes = rest
        .get(..2)
        .filter(|start| start.eq_ignore_ascii_case(b"a "))
        .and_then(|_| rest.get(1..256.min(rest.len())));
    let tag = attributes.and_then(|text| text.split(|byte| *byte == b'>').next());
    tag.is_some_and(|tag| {
        tag.windows(6)
            .any(|word| word.eq_ignore_ascii_case(b" href="))
    })
}

/// The tag's name, and nothing that makes it longer.
fn begins_tag(rest: &[u8], tag: &[u8]) -> bool {
    let name = rest.get(..tag.len());
    let next = rest.get(tag.len()).copied().unwrap_or(b'>');
    name.is_some_and(|name| name.eq_ignore_ascii_case(tag))
        && (next == b'>' || next == b'/' || next.is_ascii_whitespace())
}

fn has_doctype(text: &Text<'_>) -> bool {
    let name = text.start().get(..14);
    name.is_some_and(|name| name.eq_ignore_ascii_case(b"<!doctype html"))
}

/// The text without a mark of its encoding and blanks in front.
fn start(head: &[u8]) -> &[u8] {
    let head = head.strip_prefix(b"\xef\xbb\xbf").unwrap_or(head);
    let head = head.trim_ascii_start();
    head.get(..START).unwrap_or(head)
}

fn names_itself(text: &Text<'_>, word: &[u8]) -> bool {
    xml(text) && memchr::memmem::find(text.start(), word).is_some()
}

pub(super) fn xml(text: &Text<'_>) -> bool {
    text.start().starts_with(b"<?xml") && text.is_plain()
}

pub(super) fn xdp(text: &Text<'_>) -> bool {
    names_itself(text, b"<xdp:xdp")
}

pub(super) fn word_2003(text: &Text<'_>) -> bool {
    names_itself(text, b"progid=\"Word.Document\"")
}

pub(super) fn excel_2003(text: &Text<'_>) -> bool {
    names_itself(text, b"progid=\"Excel.Sheet\"")
}

pub(super) fn svg(text: &Text<'_>) -> bool {
    let begins = text.start().starts_with(b"<svg") && text.is_plain();
    begins || names_itself(text, b"<svg")
}

/// The program that the first line names, without its folders.
fn interpreter<'a>(text: &Text<'a>) -> Option<&'a [u8]> {
    let line = text.head.strip_prefix(b"#!")?;
    let line = line.split(|byte| *byte == b'\n').next()?;
    let mut words = line
        .split(u8::is_ascii_whitespace)
        .filter(|word| !word.is_empty());
    let is_env = |word: &&[u8]| word.ends_with(b"/env") || word.starts_with(b"-");
    let program = words.find(|word| !is_env(word))?;
    program.rsplit(|byte| *byte == b'/').next()
}

fn is_run_by(text: &Text<'_>, names: &[&[u8]]) -> bool {
    let program = interpreter(text);
    program.is_some_and(|program| names.iter().any(|name| program.starts_with(name)))
        && text.is_plain()
}

pub(super) fn shell(text: &Text<'_>) -> bool {
    is_run_by(
        text,
        &[
            b"sh", b"bash", b"dash", b"ksh", b"zsh", b"csh", b"tcsh", b"ash",
        ],
    )
}

pub(super) fn python(text: &Text<'_>) -> bool {
    is_run_by(text, &[b"python"])
}

pub(super) fn perl(text: &Text<'_>) -> bool {
    is_run_by(text, &[b"perl"])
}

pub(super) fn php(text: &Text<'_>) -> bool {
    let tag = text.start().starts_with(b"<?php") && text.is_plain();
    tag || is_run_by(text, &[b"php"])
}

pub(super) fn script(text: &Text<'_>) -> bool {
    is_run_by(text, &[b""])
}

pub(super) fn batch(text: &Text<'_>) -> bool {
    let first = text.head.get(..9);
    first.is_some_and(|first| first.eq_ignore_ascii_case(b"@echo off")) && text.is_plain()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn controls_are_those_that_no_text_has() {
        for byte in 0..=u8::MAX {
            let wanted = matches!(byte, 0..=6 | 0x0e..=0x1a | 0x1c..=0x1f | 0x7f);
            assert_eq!(is_control(byte), wanted, "{byte}");
            let mut text = vec![b'a'; 1100];
            text[1050] = byte;
            assert_eq!(has_control(&text), wanted, "{byte}");
        }
    }

    proptest::proptest! {
        #[test]
        fn a_tag_is_told_by_its_first_letter(
            pieces in proptest::collection::vec(
                proptest::sample::select(vec![
                    "<", "a", "A ", "a ", " href=", " HREF=", ">", "/", "html", "HEAD", "iframe", "Img", "object",
                    "Script", "tABLE", "b", " ", "\n", "é",
                ]),
                0..12,
            ),
        ) {
            let text = pieces.concat().into_bytes();
            let is_tag = |at: usize| {
                let rest = &text[at + 1..];
                is_link(rest) || TAGS.iter().any(|tag| begins_tag(rest, tag))
            };
            let wanted = memchr::memchr_iter(b'<', &text).any(is_tag);
            proptest::prop_assert_eq!(has_tag(&text), wanted);
        }
    }
}
