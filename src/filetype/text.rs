//! What is text, and which: by its characters, its tags, its header lines or its first line.
#![forbid(unsafe_code)]

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

/// No text has these: all controls but BEL to CR and ESC, and DEL.
fn is_control(byte: u8) -> bool {
    matches!(byte, 0..=6 | 0x0e..=0x1a | 0x1c..=0x1f | 0x7f)
}

pub(super) fn ascii(probe: &Probe) -> bool {
    !probe.head.is_empty()
        && probe
            .head
            .iter()
            .all(|byte| byte.is_ascii() && !is_control(*byte))
}

/// A character may be cut at the end of the head.
pub(super) fn utf8(probe: &Probe) -> bool {
    let valid = match std::str::from_utf8(&probe.head) {
        Ok(_) => true,
        Err(error) => error.error_len().is_none() && (probe.head.len() as u64) < probe.length,
    };
    valid && without_controls(probe)
}

/// Eight-bit text: a byte above ASCII is an accent here and there, so most are below.
pub(super) fn extended(probe: &Probe) -> bool {
    let plain = probe
        .head
        .iter()
        .filter(|byte| matches!(byte, b' '..=b'~' | b'\n' | b'\r' | b'\t'));
    without_controls(probe) && plain.count() * 2 > probe.head.len()
}

/// All that clamscan asks of a text.
pub(super) fn without_controls(probe: &Probe) -> bool {
    !probe.head.is_empty() && !probe.head.iter().any(|byte| is_control(*byte))
}

pub(super) fn mail(probe: &Probe) -> bool {
    MAIL.iter().any(|start| probe.head.starts_with(start))
}

/// A text with a tag.
pub(super) fn html(probe: &Probe) -> bool {
    without_controls(probe) && (has_tag(&probe.head) || has_doctype(&probe.head))
}

/// Anything else with a tag.
pub(super) fn html_in_data(probe: &Probe) -> bool {
    has_tag(&probe.head)
}

pub(super) fn html_utf16(probe: &Probe) -> bool {
    let characters = |low: usize| {
        let rest = probe.head.get(2..).unwrap_or_default();
        let (pairs, _) = rest.as_chunks::<2>();
        let narrow: Vec<u8> = pairs
            .iter()
            .filter_map(|pair| pair.get(low).copied())
            .collect();
        narrow
    };
    match probe.head.get(..2) {
        Some([0xff, 0xfe]) => has_tag(&characters(0)),
        Some([0xfe, 0xff]) => has_tag(&characters(1)),
        _ => false,
    }
}

fn has_tag(text: &[u8]) -> bool {
    memchr::memchr_iter(b'<', text).any(|at| {
        let rest = text.get(at + 1..).unwrap_or_default();
        is_link(rest) || TAGS.iter().any(|tag| begins_tag(rest, tag))
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

fn has_doctype(text: &[u8]) -> bool {
    let text = start(text);
    let name = text.get(..14);
    name.is_some_and(|name| name.eq_ignore_ascii_case(b"<!doctype html"))
}

/// The text without a mark of its encoding and blanks in front.
fn start(head: &[u8]) -> &[u8] {
    let head = head.strip_prefix(b"\xef\xbb\xbf").unwrap_or(head);
    let head = head.trim_ascii_start();
    head.get(..START).unwrap_or(head)
}

fn names_itself(probe: &Probe, word: &[u8]) -> bool {
    xml(probe) && memchr::memmem::find(start(&probe.head), word).is_some()
}

pub(super) fn xml(probe: &Probe) -> bool {
    without_controls(probe) && start(&probe.head).starts_with(b"<?xml")
}

pub(super) fn xdp(probe: &Probe) -> bool {
    names_itself(probe, b"<xdp:xdp")
}

pub(super) fn word_2003(probe: &Probe) -> bool {
    names_itself(probe, b"progid=\"Word.Document\"")
}

pub(super) fn excel_2003(probe: &Probe) -> bool {
    names_itself(probe, b"progid=\"Excel.Sheet\"")
}

pub(super) fn svg(probe: &Probe) -> bool {
    let begins = without_controls(probe) && start(&probe.head).starts_with(b"<svg");
    begins || names_itself(probe, b"<svg")
}

/// The program that the first line names, without its folders.
fn interpreter(probe: &Probe) -> Option<&[u8]> {
    let line = probe.head.strip_prefix(b"#!")?;
    let line = line.split(|byte| *byte == b'\n').next()?;
    let mut words = line
        .split(u8::is_ascii_whitespace)
        .filter(|word| !word.is_empty());
    let is_env = |word: &&[u8]| word.ends_with(b"/env") || word.starts_with(b"-");
    let program = words.find(|word| !is_env(word))?;
    program.rsplit(|byte| *byte == b'/').next()
}

fn is_run_by(probe: &Probe, names: &[&[u8]]) -> bool {
    let program = interpreter(probe);
    without_controls(probe)
        && program.is_some_and(|program| names.iter().any(|name| program.starts_with(name)))
}

pub(super) fn shell(probe: &Probe) -> bool {
    is_run_by(
        probe,
        &[
            b"sh", b"bash", b"dash", b"ksh", b"zsh", b"csh", b"tcsh", b"ash",
        ],
    )
}

pub(super) fn python(probe: &Probe) -> bool {
    is_run_by(probe, &[b"python"])
}

pub(super) fn perl(probe: &Probe) -> bool {
    is_run_by(probe, &[b"perl"])
}

pub(super) fn php(probe: &Probe) -> bool {
    let tag = without_controls(probe) && start(&probe.head).starts_with(b"<?php");
    tag || is_run_by(probe, &[b"php"])
}

pub(super) fn script(probe: &Probe) -> bool {
    is_run_by(probe, &[b""])
}

pub(super) fn batch(probe: &Probe) -> bool {
    let first = probe.head.get(..9);
    without_controls(probe) && first.is_some_and(|text| text.eq_ignore_ascii_case(b"@echo off"))
}
