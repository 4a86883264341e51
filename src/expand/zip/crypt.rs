//! Encrypted members: the cipher of PKZIP 2 (APPNOTE 6.3.10 §6.1) and WinZip's AES (its specification AE-1 and AE-2).
//!
//! A password is told by a check in front of the data: one byte in the old cipher, so that of 256 wrong ones one is taken,
//! two bytes and an authentication code in the new one.
#![forbid(unsafe_code)]

use std::cell::Cell;
use std::io::{self, BufReader, Read};
use std::rc::Rc;

use aes::cipher::{BlockCipherEncrypt, KeyInit};
use aes::{Aes128, Aes192, Aes256};
use hmac::{Hmac, Mac};
use sha1::Sha1;

use super::directory::{Entry, STREAMED, STRONG};
use crate::bytes::Reader;
use crate::object::{Object, ObjectReader};

/// The extra field of WinZip's AES.
pub(super) const AES_FIELD: u16 = 0x9901;
/// The compression method that stands in the header in the place of the real one.
pub(super) const AES_METHOD: u16 = 99;

/// The random bytes in front of what is encrypted by ZipCrypto; the last one is the check.
const HEADER: usize = 12;

const CHECK: usize = 2;
const CODE: usize = 10;

/// What the extra field says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Aes {
    /// AE-2: the checksum of the content is not kept.
    pub(super) without_sum: bool,
    /// 1 to 3, for keys of 128 to 256 bits.
    strength: u8,
    pub(super) method: u16,
}

impl Aes {
    pub(super) fn parse(mut field: Reader<'_>) -> Option<Self> {
        let version = field.u16_le()?;
        field.take(2)?;
        let [strength] = field.array()?;
        let method = field.u16_le()?;
        (1..=3).contains(&strength).then_some(Self {
            without_sum: version == 2,
            strength,
            method,
        })
    }

    fn key_length(self) -> usize {
        8 + 8 * usize::from(self.strength)
    }

    fn salt_length(self) -> usize {
        self.key_length() / 2
    }
}

/// What a password makes of a member.
pub(super) enum Key {
    Old(Keys),
    Aes {
        aes: Aes,
        key: Vec<u8>,
        mac: Box<Hmac<Sha1>>,
    },
}

/// What is in front of the data of `raw`.
pub(super) fn head(entry: &Entry, raw: &Object) -> io::Result<Vec<u8>> {
    let length = entry.aes.map_or(HEADER, |aes| aes.salt_length() + CHECK);
    raw.bytes_at(0, length)
}

/// What one password costs: a thousand rounds for each twenty bytes of the key, or a few steps.
pub(super) fn cost(entry: &Entry) -> u64 {
    entry.aes.map_or(1, |aes| {
        let length = 2 * aes.key_length() + CHECK;
        1000 * length.div_ceil(20) as u64
    })
}

/// The key of a password, if that fits the check in `head`.
pub(super) fn key(entry: &Entry, head: &[u8], password: &[u8]) -> Option<Key> {
    match entry.aes {
        Some(aes) => aes_key(aes, head, password),
        None if entry.method == AES_METHOD || entry.flags & STRONG != 0 => None,
        None => old_key(entry, head, password),
    }
}

fn old_key(entry: &Entry, head: &[u8], password: &[u8]) -> Option<Key> {
    let mut keys = Keys::new(password);
    let head: [u8; HEADER] = head.try_into().ok()?;
    let plain = head.map(|byte| keys.decrypt(byte));
    let [.., check] = plain;
    let [.., sum] = entry.sum.to_le_bytes();
    // When the checksum was not known beforehand it is the time.
    let [_, time] = entry.time.to_le_bytes();
    let fits = check == sum || (entry.flags & STREAMED != 0 && check == time);
    fits.then_some(Key::Old(keys))
}

fn aes_key(aes: Aes, head: &[u8], password: &[u8]) -> Option<Key> {
    let (salt, check) = head.split_at_checked(aes.salt_length())?;
    let length = aes.key_length();
    let mut derived = vec![0; 2 * length + CHECK];
    pbkdf2::pbkdf2_hmac::<Sha1>(password, salt, 1000, &mut derived);
    let (key, rest) = derived.split_at_checked(length)?;
    let (for_mac, wanted) = rest.split_at_checked(length)?;
    (wanted == check).then_some(())?;
    Some(Key::Aes {
        aes,
        key: key.to_vec(),
        mac: Box::new(Hmac::new_from_slice(for_mac).ok()?),
    })
}

/// What the authentication code says; nothing before all was read.
pub(super) type Verdict = Rc<Cell<Option<bool>>>;

impl Key {
    /// What is encrypted in `raw`, its length, and where the verdict on it will be.
    pub(super) fn open(&self, raw: &Object) -> io::Result<(Box<dyn Read>, u64, Verdict)> {
        let verdict = Verdict::default();
        match self {
            Self::Old(keys) => {
                verdict.set(Some(true));
                let data = raw.slice(HEADER as u64, u64::MAX);
                let length = data.length();
                let old = Old {
                    inner: data.reader(),
                    keys: keys.clone(),
                };
                Ok((Box::new(old), length, verdict))
            }
            Self::Aes { aes, key, mac } => {
                let start = (aes.salt_length() + CHECK) as u64;
                let end = raw.length().saturating_sub(CODE as u64).max(start);
                let data = raw.slice(start, end - start);
                let length = data.length();
                let reader = Counter {
                    inner: data.reader(),
                    left: length,
                    cipher: Block::new(key),
                    counter: 0,
                    stream: [0; 16],
                    used: 16,
                    mac: Some(mac.as_ref().clone()),
                    code: raw.bytes_at(end, CODE)?,
                    verdict: Rc::clone(&verdict),
                };
                Ok((Box::new(reader), length, verdict))
            }
        }
    }
}

/// The three keys of the old cipher.
#[derive(Clone)]
pub(super) struct Keys(u32, u32, u32);

impl Keys {
    fn new(password: &[u8]) -> Self {
        let mut keys = Self(0x1234_5678, 0x2345_6789, 0x3456_7890);
        password.iter().for_each(|byte| keys.update(*byte));
        keys
    }

    fn update(&mut self, byte: u8) {
        self.0 = crc_step(self.0, byte);
        let [low, ..] = self.0.to_le_bytes();
        self.1 = self.1.wrapping_add(low.into());
        self.1 = self.1.wrapping_mul(134_775_813).wrapping_add(1);
        let [.., high] = self.1.to_le_bytes();
        self.2 = crc_step(self.2, high);
    }

    fn decrypt(&mut self, byte: u8) -> u8 {
        let [low, high, ..] = (self.2 | 2).to_le_bytes();
        let mixed = u16::from_le_bytes([low, high]);
        let [_, stream] = mixed.wrapping_mul(mixed ^ 1).to_le_bytes();
        let plain = byte ^ stream;
        self.update(plain);
        plain
    }
}

/// One byte of CRC-32, without the inversions at its ends.
fn crc_step(sum: u32, byte: u8) -> u32 {
    const TABLE: [u32; 256] = table();
    let [low, ..] = sum.to_le_bytes();
    let entry = TABLE.get(usize::from(low ^ byte));
    sum >> 8 ^ entry.copied().unwrap_or_default()
}

const fn table() -> [u32; 256] {
    let mut table = [0; 256];
    let mut rest: &mut [u32] = &mut table;
    let mut byte = 0_u32;
    while let Some((first, behind)) = rest.split_first_mut() {
        let mut sum = byte;
        let mut bit = 0;
        while bit < 8 {
            sum = if sum & 1 != 0 {
                sum >> 1 ^ 0xedb8_8320
            } else {
                sum >> 1
            };
            bit += 1;
        }
        *first = sum;
        rest = behind;
        byte += 1;
    }
    table
}

struct Old {
    inner: BufReader<ObjectReader>,
    keys: Keys,
}

impl Read for Old {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(out)?;
        for byte in out.get_mut(..count).unwrap_or_default() {
            *byte = self.keys.decrypt(*byte);
        }
        Ok(count)
    }
}

/// AES with a key of one of its lengths.
enum Block {
    K128(Box<Aes128>),
    K192(Box<Aes192>),
    K256(Box<Aes256>),
    /// There is no such length; nothing is changed, and the content is damaged.
    Never,
}

impl Block {
    fn new(key: &[u8]) -> Self {
        if let Ok(cipher) = Aes128::new_from_slice(key) {
            return Self::K128(Box::new(cipher));
        }
        if let Ok(cipher) = Aes192::new_from_slice(key) {
            return Self::K192(Box::new(cipher));
        }
        Aes256::new_from_slice(key).map_or(Self::Never, |cipher| Self::K256(Box::new(cipher)))
    }

    fn encrypt(&self, block: [u8; 16]) -> [u8; 16] {
        let mut block = block.into();
        match self {
            Self::K128(cipher) => cipher.encrypt_block(&mut block),
            Self::K192(cipher) => cipher.encrypt_block(&mut block),
            Self::K256(cipher) => cipher.encrypt_block(&mut block),
            Self::Never => {}
        }
        block.into()
    }
}

/// Counter mode with a counter whose lowest byte comes first, from 1 on.
struct Counter {
    inner: BufReader<ObjectReader>,
    left: u64,
    cipher: Block,
    counter: u128,
    stream: [u8; 16],
    used: usize,
    mac: Option<Hmac<Sha1>>,
    code: Vec<u8>,
    verdict: Verdict,
}

impl Read for Counter {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(out)?;
        let bytes = out.get_mut(..count).unwrap_or_default();
        if let Some(mac) = &mut self.mac {
            mac.update(bytes);
        }
        for byte in bytes {
            if self.used == self.stream.len() {
                self.counter = self.counter.wrapping_add(1);
                self.stream = self.cipher.encrypt(self.counter.to_le_bytes());
                self.used = 0;
            }
            *byte ^= self.stream.get(self.used).copied().unwrap_or_default();
            self.used += 1;
        }
        self.left = self.left.saturating_sub(count as u64);
        if self.left == 0
            && let Some(mac) = self.mac.take()
        {
            let whole = mac.finalize().into_bytes();
            self.verdict
                .set(Some(whole.get(..CODE) == Some(&self.code)));
        }
        Ok(count)
    }
}
