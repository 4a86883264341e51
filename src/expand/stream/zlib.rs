//! zlib, RFC 1950: deflate between two bytes and a checksum.
#![forbid(unsafe_code)]

use std::io::{self, Read};

use super::{Decoder, Input, Opened, unlike, unsupported};
use crate::expand::damaged;
use crate::expand::inflate::Inflate;
use crate::object::Probe;

/// FLG: made with a dictionary that is not in the file.
const DICTIONARY: u8 = 0x20;

/// What has to come out of the first bytes, for the two bytes of the header are also the start of texts.
const LIKELY: usize = 1024;

/// So much is no accident where the rest of the stream is damaged.
const ENOUGH: usize = 64;

/// CMF and FLG: deflate, a window that there is, and a multiple of 31.
fn is_header(head: &[u8]) -> bool {
    matches!(head, [method @ (0x08 | 0x18 | 0x28 | 0x38 | 0x48 | 0x58 | 0x68 | 0x78), flags, ..]
        if (u16::from(*method) << 8 | u16::from(*flags)) % 31 == 0)
}

/// Tells whether a content is likely to be a zlib stream: what can be seen of it is decoded.
pub(in crate::expand) fn is_likely(probe: &Probe) -> bool {
    let head = &probe.head;
    if !is_header(head) {
        return false;
    }
    if matches!(head.get(1), Some(flags) if flags & DICTIONARY != 0) {
        return false;
    }
    let mut out = vec![0; LIKELY];
    let mut inflate = Inflate::new(head.get(2..).unwrap_or_default());
    let mut count = 0;
    loop {
        match inflate.read(out.get_mut(count..).unwrap_or_default()) {
            Ok(0) => break,
            Ok(more) => count += more,
            // Cut, with so much before the cut that it is no accident.
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return count >= ENOUGH,
            Err(_) => return false,
        }
    }
    if !inflate.ended() {
        return true;
    }
    let mut sum = Adler32::default();
    sum.update(out.get(..count).unwrap_or_default());
    let rest = inflate.input();
    // A checksum that is cut or wrong is damage, where nothing else follows.
    rest.starts_with(&sum.value().to_be_bytes()) || (count >= ENOUGH && rest.len() <= 4)
}

/// The checksum (RFC 1950 §8.2).
pub(super) struct Adler32 {
    low: u32,
    high: u32,
}

impl Default for Adler32 {
    fn default() -> Self {
        Self { low: 1, high: 0 }
    }
}

impl Adler32 {
    pub(super) fn update(&mut self, bytes: &[u8]) {
        /// The largest prime below 65,536, and how many bytes can be added before a sum overflows.
        const PRIME: u32 = 65_521;
        const STEP: usize = 5552;
        for step in bytes.chunks(STEP) {
            for byte in step {
                self.low += u32::from(*byte);
                self.high += self.low;
            }
            self.low %= PRIME;
            self.high %= PRIME;
        }
    }

    pub(super) fn value(&self) -> u32 {
        self.high << 16 | self.low
    }
}

struct Zlib<'a> {
    inflate: Inflate<Input<'a>>,
    sum: Adler32,
    checked: bool,
}

pub(super) fn open(mut input: Input<'_>, _memory: u64) -> Opened<'_> {
    let head: [u8; 2] = input.array("header")?;
    let [_, flags] = head;
    if !is_header(&head) {
        return Err(unlike());
    }
    if flags & DICTIONARY != 0 {
        return Err(unsupported("zlib-dictionary", "made with a dictionary"));
    }
    Ok(Box::new(Zlib {
        inflate: Inflate::new(input),
        sum: Adler32::default(),
        checked: false,
    }))
}

impl Read for Zlib<'_> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let count = self.inflate.read(out)?;
        self.sum.update(out.get(..count).unwrap_or_default());
        if count == 0 && !out.is_empty() && !self.checked {
            self.checked = true;
            let sum = u32::from_be_bytes(self.inflate.input().array("checksum")?);
            if sum != self.sum.value() {
                return Err(damaged("checksum of the zlib stream differs"));
            }
        }
        Ok(count)
    }
}

impl<'a> Decoder<'a> for Zlib<'a> {
    fn finish(self: Box<Self>) -> Input<'a> {
        self.inflate.into_input()
    }
}
