//! Tells an OpenPGP message from keys, from signatures that stand alone, and from anything else that has a high bit first.
//!
//! There is no magic number. Each packet up to the one that decides has to be as its version says, and what follows a session
//! key has to be what it is for.
#![forbid(unsafe_code)]

use std::io::Read;

use super::decompressed;
use super::packet::{
    AEAD, Body, COMPRESSED, ENCRYPTED, Header, LITERAL, Length, MARKER, ONE_PASS, PADDING,
    PASSWORD_KEY, PROTECTED, SESSION_KEY, SIGNATURE, header,
};
use crate::expand::stream::Input;
use crate::object::Probe;

/// The longest packet in front of the one that decides: those of keys that withstand quantum computers have 2 KiB, signatures may
/// carry more.
const LONGEST: u64 = 64 * 1024;

/// Bytes that are decompressed to see what is in them.
const SEEN: u64 = 4096;

/// Compressed packets inside each other that are looked into.
const DEPTH: usize = 4;

/// A date before which nobody made messages: 1990.
const FIRST: u32 = 631_152_000;

/// Tells whether a content is a message.
pub(in crate::expand) fn begins(probe: &Probe) -> bool {
    // Not even a packet, as most.
    if probe.head.first().is_none_or(|first| *first < 0x80) {
        return false;
    }
    is_message(&probe.head, Some(probe.length), 0)
}

/// `whole` is the length of which `head` is the start, where it is known.
fn is_message(head: &[u8], whole: Option<u64>, depth: usize) -> bool {
    let mut rest = head;
    let (mut key, mut signed) = (false, false);
    let cut = whole.is_none_or(|whole| whole > head.len() as u64);
    loop {
        let packet = match header(&mut rest) {
            Ok(Some(packet)) => packet,
            // More keys than are seen.
            _ => return key && cut && rest.is_empty(),
        };
        let left = whole.map(|whole| whole.saturating_sub((head.len() - rest.len()) as u64));
        let sound = match packet.tag {
            SESSION_KEY => is_session_key(rest),
            PASSWORD_KEY => is_password_key(rest),
            SIGNATURE => is_signature(rest),
            ONE_PASS => is_one_pass(rest),
            MARKER => packet.length == Length::Known(3) && rest.starts_with(b"PGP"),
            PADDING => true,
            ENCRYPTED | PROTECTED | AEAD => {
                return !signed && (key || is_encrypted(packet, rest, left));
            }
            COMPRESSED => return !key && is_compressed(packet.length, rest, depth),
            LITERAL => return !key && is_literal(packet.length, rest, left),
            _ => false,
        };
        key |= matches!(packet.tag, SESSION_KEY | PASSWORD_KEY);
        signed |= matches!(packet.tag, SIGNATURE | ONE_PASS);
        let Length::Known(length @ 1..=LONGEST) = packet.length else {
            return false;
        };
        let next = usize::try_from(length)
            .ok()
            .and_then(|length| rest.get(length..));
        match next {
            _ if !sound || key && signed => return false,
            Some(next) => rest = next,
            None => return key && left.is_none_or(|left| length < left),
        }
    }
}

/// §5.1: a version, then whose key it is for, then an algorithm that encrypts.
fn is_session_key(body: &[u8]) -> bool {
    let algorithm = match body {
        [2 | 3, rest @ ..] => rest.get(8),
        // The length of version and fingerprint, which may be left out.
        [6, 0, rest @ ..] => rest.first(),
        [6, 21, 4, rest @ ..] => rest.get(20),
        [6, 33, 5 | 6, rest @ ..] => rest.get(32),
        _ => None,
    };
    matches!(
        algorithm,
        Some(1 | 2 | 8 | 16 | 18 | 20 | 25 | 26 | 29..=36 | 100..=110)
    )
}

/// §5.3: a version, a cipher, in newer ones its mode, and how the password becomes a key.
fn is_password_key(body: &[u8]) -> bool {
    let is_way = |rest: &[u8]| matches!(rest, [0 | 1 | 3, 1..=14, ..] | [4, ..]);
    match body {
        [4, 1..=13, rest @ ..] | [5, 1..=13, 1..=3, rest @ ..] => is_way(rest),
        [6, _, 1..=13, 1..=3, _, rest @ ..] => is_way(rest),
        _ => false,
    }
}

/// §5.2: of a document.
fn is_signature(body: &[u8]) -> bool {
    matches!(body, [3, 5, 0 | 1, ..] | [4..=6, 0 | 1, ..])
}

/// §5.4: of a document.
fn is_one_pass(body: &[u8]) -> bool {
    matches!(body, [3 | 6, 0 | 1, 1..=14, 1..=110, ..])
}

/// Encrypted data without a key in front: all there is besides a version is that they end where the content does.
fn is_encrypted(packet: Header, body: &[u8], left: Option<u64>) -> bool {
    let version = match packet.tag {
        PROTECTED => matches!(body, [1, ..] | [2, 1..=13, 1..=3, 0..=16, ..]),
        AEAD => matches!(body, [1, 1..=13, 1..=3, 0..=56, ..]),
        _ => true,
    };
    version && ends_with_content(packet.length, body, left)
}

/// Goes from part to part as far as they are seen.
fn ends_with_content(length: Length, body: &[u8], left: Option<u64>) -> bool {
    /// A block of random bytes, and its end once more.
    const SHORTEST: u64 = 18;
    let (mut length, mut rest, Some(mut left)) = (length, body, left) else {
        return false;
    };
    let mut parts = 0;
    loop {
        let part = match length {
            Length::Known(last) => return last == left && (parts > 0 || last >= SHORTEST),
            Length::Partial(part) => part,
            Length::Open => return false,
        };
        // The first has at least 512 bytes (§4.2.1.4).
        if part >= left || parts == 0 && part < 512 {
            return false;
        }
        let Some(next) = usize::try_from(part).ok().and_then(|part| rest.get(part..)) else {
            return true;
        };
        let mut after = next;
        let Ok(another) = super::packet::new_length(&mut after) else {
            return next.is_empty();
        };
        left -= part + (next.len() - after.len()) as u64;
        (length, rest) = (another, after);
        parts += 1;
    }
}

/// §5.6: what comes out is a message.
fn is_compressed(length: Length, body: &[u8], depth: usize) -> bool {
    let mut body = Body::new(body, length);
    let mut algorithm = [0];
    if depth >= DEPTH || body.read_exact(&mut algorithm).is_err() {
        return false;
    }
    let input = Input::new(Box::new(body));
    // bzip2 takes four times its largest block.
    let Ok(Some(stream)) = decompressed(algorithm[0], input, 16 << 20) else {
        return false;
    };
    let mut seen = Vec::new();
    // It ends too early where the head does.
    let _ = stream.take(SEEN).read_to_end(&mut seen);
    is_message(&seen, None, depth + 1)
}

/// §5.9: a form that there is, a name, a date.
fn is_literal(length: Length, body: &[u8], left: Option<u64>) -> bool {
    let mut body = Body::new(body, length);
    let mut start = [0; 2];
    let mut name = Vec::new();
    let mut date = [0; 4];
    let read = body.read_exact(&mut start).and_then(|()| {
        (&mut body).take(start[1].into()).read_to_end(&mut name)?;
        body.read_exact(&mut date)
    });
    let date = u32::from_be_bytes(date);
    let fits = match length {
        Length::Known(length) => left.is_none_or(|left| length <= left),
        Length::Partial(part) => part >= 512 && left.is_none_or(|left| part < left),
        Length::Open => true,
    };
    read.is_ok()
        && fits
        && matches!(start[0], b'b' | b't' | b'u' | b'l' | b'1' | b'm')
        && !name.iter().any(|byte| *byte < b' ' || *byte == 0x7f)
        && (date == 0 || date >= FIRST)
}
