//! The standard security handler (ISO 32000-1 §7.6, ISO 32000-2 §7.6): revisions 2 to 6, RC4 and AES.
//!
//! Most encrypted documents open without a password: it is only asked of those who want to change them.
#![forbid(unsafe_code)]

use std::io;

use aes::cipher::{BlockCipherDecrypt, BlockCipherEncrypt, KeyInit};
use aes::{Aes128, Aes256};
use md5::{Digest, Md5};
use sha2::{Sha256, Sha384, Sha512};

use super::filters::Step;
use super::syntax::Value;
use crate::expand::cut_short;
use crate::expand::stream::Input;

/// What short passwords are filled up with (algorithm 2).
const PADDING: &[u8; 32] = b"\x28\xbf\x4e\x5e\x4e\x75\x8a\x41\x64\x00\x4e\x56\xff\xfa\x01\x08\x2e\x2e\x00\xb6\xd0\x68\x3e\x80\x2f\x0c\xa9\xfe\x64\x53\x69\x7a";

const BLOCK: usize = 16;

/// Rounds of algorithm 2.B after which only chance goes on: each ends it with a probability of one half or so.
const ROUNDS: u32 = 4096;

/// How streams or texts are encrypted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Method {
    None,
    Rc4,
    Aes128,
    Aes256,
}

/// What the dictionary says.
#[derive(Debug)]
pub(super) struct Handler {
    revision: i64,
    /// Bytes of the key.
    length: usize,
    owner: Vec<u8>,
    user: Vec<u8>,
    owner_key: Vec<u8>,
    user_key: Vec<u8>,
    permissions: i64,
    id: Vec<u8>,
    with_metadata: bool,
    streams: Method,
    texts: Method,
    files: Method,
}

impl Handler {
    /// Reads the dictionary; the error is what cannot be done with it.
    pub(super) fn new(dictionary: &Value, id: &[u8]) -> Result<Self, String> {
        let handler = dictionary.get(b"Filter").and_then(Value::name);
        if handler != Some(b"Standard") {
            let name = String::from_utf8_lossy(handler.unwrap_or_default()).into_owned();
            return Err(format!("the security handler {name}"));
        }
        let number = |key: &[u8]| dictionary.get(key).and_then(Value::number);
        let text = |key: &[u8]| {
            let text = dictionary.get(key).and_then(Value::text);
            text.unwrap_or_default().to_vec()
        };
        let version = number(b"V").unwrap_or(0);
        let revision = number(b"R").unwrap_or(0);
        if !(2..=6).contains(&revision) || !matches!(version, 1 | 2 | 4 | 5) {
            return Err(format!("version {version}, revision {revision}"));
        }
        let bits = match version {
            1 => 40,
            4 => 128,
            5 => 256,
            _ => number(b"Length").unwrap_or(40),
        };
        let with_metadata = dictionary.get(b"EncryptMetadata") != Some(&Value::Boolean(false));
        let crypt = |key: &[u8], other: Method| -> Result<Method, String> {
            if version < 4 {
                return Ok(Method::Rc4);
            }
            let Some(name) = dictionary.get(key).and_then(Value::name) else {
                return Ok(other);
            };
            if name == b"Identity" {
                return Ok(Method::None);
            }
            let filter = dictionary.get(b"CF").and_then(|filters| filters.get(name));
            match filter
                .and_then(|filter| filter.get(b"CFM"))
                .and_then(Value::name)
            {
                None | Some(b"None") => Ok(Method::None),
                Some(b"V2") => Ok(Method::Rc4),
                Some(b"AESV2") => Ok(Method::Aes128),
                Some(b"AESV3") => Ok(Method::Aes256),
                Some(other) => Err(format!("the method {}", String::from_utf8_lossy(other))),
            }
        };
        let streams = crypt(b"StmF", Method::None)?;
        Ok(Self {
            revision,
            length: usize::try_from(bits / 8).unwrap_or(5).clamp(5, 32),
            owner: text(b"O"),
            user: text(b"U"),
            owner_key: text(b"OE"),
            user_key: text(b"UE"),
            permissions: number(b"P").unwrap_or(0),
            id: id.to_vec(),
            with_metadata: with_metadata || version < 4,
            streams,
            texts: crypt(b"StrF", Method::None)?,
            files: crypt(b"EFF", streams)?,
        })
    }

    /// For people.
    pub(super) fn describe(&self) -> String {
        let method = match self.streams {
            Method::None => "no cipher",
            Method::Rc4 => "RC4",
            Method::Aes128 => "AES-128",
            Method::Aes256 => "AES-256",
        };
        format!(
            "{method}, revision {}, {} bits",
            self.revision,
            8 * self.length
        )
    }

    /// What one password costs.
    pub(super) fn cost(&self) -> u64 {
        match self.revision {
            6.. => 15_000,
            5 => 10,
            _ => 300,
        }
    }

    /// The key, if this is the password of a user (or, since revision 5, of the owner).
    pub(super) fn open(&self, password: &[u8]) -> Option<Vec<u8>> {
        if self.revision >= 5 {
            return self.open_new(password);
        }
        let key = self.key(password);
        self.is_right(&key).then_some(key)
    }

    /// Algorithm 2.
    fn key(&self, password: &[u8]) -> Vec<u8> {
        let mut sum = Md5::new();
        let padded = password.iter().chain(PADDING).copied().take(32);
        sum.update(padded.collect::<Vec<_>>());
        sum.update(self.owner.get(..32).unwrap_or(&self.owner));
        let [a, b, c, d, ..] = self.permissions.to_le_bytes();
        sum.update([a, b, c, d]);
        sum.update(&self.id);
        if self.revision >= 4 && !self.with_metadata {
            sum.update([0xff; 4]);
        }
        let mut key = sum.finalize().to_vec();
        let length = if self.revision == 2 {
            5
        } else {
            self.length.min(16)
        };
        if self.revision >= 3 {
            for _ in 0..50 {
                key.truncate(length);
                key = Md5::digest(&key).to_vec();
            }
        }
        key.truncate(length);
        key
    }

    /// Algorithms 4 and 5.
    fn is_right(&self, key: &[u8]) -> bool {
        if self.revision == 2 {
            let mut check = PADDING.to_vec();
            Rc4::new(key).apply(&mut check);
            return self.user.get(..32) == Some(&check);
        }
        let mut sum = Md5::new();
        sum.update(PADDING);
        sum.update(&self.id);
        let mut check = sum.finalize().to_vec();
        for round in 0..20 {
            let key: Vec<u8> = key.iter().map(|byte| byte ^ round).collect();
            Rc4::new(&key).apply(&mut check);
        }
        self.user.get(..16) == Some(&check)
    }

    /// Algorithm 2.A.
    fn open_new(&self, password: &[u8]) -> Option<Vec<u8>> {
        let password = password.get(..127).unwrap_or(password);
        let user = self.user.get(..48)?;
        let rows: [(&[u8], &[u8], &[u8]); 2] = [
            (user, &[], &self.user_key),
            (self.owner.get(..48)?, user, &self.owner_key),
        ];
        rows.into_iter().find_map(|(check, more, key)| {
            let (hash, salts) = check.split_at_checked(32)?;
            let (of_check, of_key) = salts.split_at_checked(8)?;
            if self.hash(password, of_check, more) != hash {
                return None;
            }
            let mut key = key.get(..32)?.to_vec();
            let cipher = Aes256::new_from_slice(&self.hash(password, of_key, more)).ok()?;
            let mut before = [0; BLOCK];
            for block in key.as_chunks_mut::<BLOCK>().0 {
                let now = *block;
                decrypt(&cipher, block, &before);
                before = now;
            }
            Some(key)
        })
    }

    /// Algorithm 2.B; in revision 5 its first line.
    fn hash(&self, password: &[u8], salt: &[u8], user: &[u8]) -> Vec<u8> {
        let mut sum = Sha256::new();
        for part in [password, salt, user] {
            sum.update(part);
        }
        let mut key = sum.finalize().to_vec();
        if self.revision < 6 {
            return key;
        }
        for round in 0..ROUNDS {
            let mut text = [password, &key, user].concat().repeat(64);
            let Some((cipher, mut before)) = cipher_and_start(&key) else {
                break;
            };
            for block in text.as_chunks_mut::<BLOCK>().0 {
                for (byte, before) in block.iter_mut().zip(before) {
                    *byte ^= before;
                }
                let mut work = (*block).into();
                cipher.encrypt_block(&mut work);
                *block = work.into();
                before = *block;
            }
            let which = text
                .iter()
                .take(16)
                .map(|byte| u32::from(*byte))
                .sum::<u32>()
                % 3;
            key = match which {
                0 => Sha256::digest(&text).to_vec(),
                1 => Sha384::digest(&text).to_vec(),
                _ => Sha512::digest(&text).to_vec(),
            };
            let last = text.last().copied().map_or(0, u32::from);
            if round >= 63 && last <= round - 31 {
                break;
            }
        }
        key.truncate(32);
        key
    }
}

fn cipher_and_start(key: &[u8]) -> Option<(Aes128, [u8; BLOCK])> {
    let (cipher, rest) = key.split_at_checked(BLOCK)?;
    Some((Aes128::new_from_slice(cipher).ok()?, *rest.first_chunk()?))
}

/// A block in the mode CBC.
fn decrypt(
    cipher: &impl BlockCipherDecrypt<BlockSize = aes::cipher::consts::U16>,
    block: &mut [u8; BLOCK],
    before: &[u8; BLOCK],
) {
    let mut work = (*block).into();
    cipher.decrypt_block(&mut work);
    *block = work.into();
    for (byte, before) in block.iter_mut().zip(before) {
        *byte ^= before;
    }
}

/// A handler and the key that opens the document.
#[derive(Debug)]
pub(super) struct Opened {
    handler: Handler,
    key: Vec<u8>,
}

/// What is encrypted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum What {
    Stream,
    Metadata,
    File,
    Text,
}

impl Opened {
    pub(super) fn new(handler: Handler, key: Vec<u8>) -> Self {
        Self { handler, key }
    }

    /// What undoes the encryption of an object; `None` where there is none.
    pub(super) fn cipher(&self, what: What, number: u32, generation: u16) -> Option<Cipher> {
        let handler = &self.handler;
        let method = match what {
            What::Stream => handler.streams,
            What::Metadata if handler.with_metadata => handler.streams,
            What::Metadata => Method::None,
            What::File => handler.files,
            What::Text => handler.texts,
        };
        // Algorithm 1.
        let key = |salt: &[u8]| {
            let mut sum = Md5::new();
            sum.update(&self.key);
            sum.update(number.to_le_bytes().get(..3).unwrap_or_default());
            sum.update(generation.to_le_bytes());
            sum.update(salt);
            let mut key = sum.finalize().to_vec();
            key.truncate(self.key.len() + 5);
            key
        };
        match method {
            Method::None => None,
            Method::Rc4 => Some(Cipher::Rc4(Box::new(Rc4::new(&key(b""))))),
            Method::Aes128 => {
                let mut key = key(b"sAlT");
                key.resize(BLOCK, 0);
                Cipher::block(Aes128::new_from_slice(&key).ok().map(AnyAes::K128))
            }
            Method::Aes256 => {
                Cipher::block(Aes256::new_from_slice(&self.key).ok().map(AnyAes::K256))
            }
        }
    }
}

pub(super) enum AnyAes {
    K128(Aes128),
    K256(Aes256),
}

/// Decrypts as the content goes by.
pub(super) enum Cipher {
    Rc4(Box<Rc4>),
    Aes {
        cipher: Box<AnyAes>,
        before: Option<[u8; BLOCK]>,
        /// The last block, whose padding is only known to be one at the end.
        held: Option<[u8; BLOCK]>,
    },
}

impl Cipher {
    fn block(cipher: Option<AnyAes>) -> Option<Self> {
        cipher.map(|cipher| Self::Aes {
            cipher: Box::new(cipher),
            before: None,
            held: None,
        })
    }

    /// A text in memory; as it is where it cannot be.
    pub(super) fn text(mut self, text: &[u8]) -> Vec<u8> {
        let mut input = Input::new(Box::new(text));
        let mut out = Vec::new();
        let mut step = Vec::new();
        while matches!(self.step(&mut input, &mut step), Ok(true)) {
            out.append(&mut step);
        }
        out.append(&mut step);
        out
    }
}

impl Step for Cipher {
    fn step(&mut self, input: &mut Input<'_>, out: &mut Vec<u8>) -> io::Result<bool> {
        const STEP: usize = 4096;
        match self {
            Self::Rc4(cipher) => {
                let bytes = input.peek(STEP)?;
                let start = out.len();
                out.extend(bytes);
                let count = out.len() - start;
                io::BufRead::consume(input, count);
                cipher.apply(out.get_mut(start..).unwrap_or_default());
                Ok(count > 0)
            }
            Self::Aes {
                cipher,
                before,
                held,
            } => {
                while out.len() < STEP {
                    let bytes = input.peek(BLOCK)?;
                    let Some(mut block) = bytes.first_chunk::<BLOCK>().copied() else {
                        let rest = bytes.len();
                        if let Some(last) = held.take() {
                            out.extend(unpadded(&last));
                        }
                        if rest > 0 {
                            return Err(cut_short("encrypted data that is no whole blocks"));
                        }
                        return Ok(false);
                    };
                    io::BufRead::consume(input, BLOCK);
                    let now = block;
                    // The first block is the start of the chain.
                    if let Some(before) = before {
                        match &**cipher {
                            AnyAes::K128(cipher) => decrypt(cipher, &mut block, before),
                            AnyAes::K256(cipher) => decrypt(cipher, &mut block, before),
                        }
                        out.extend(held.iter().flatten());
                        *held = Some(block);
                    }
                    *before = Some(now);
                }
                Ok(true)
            }
        }
    }
}

/// Without the padding, where there is one.
fn unpadded(block: &[u8; BLOCK]) -> &[u8] {
    let count = block.last().map_or(0, |last| usize::from(*last));
    let kept = BLOCK.checked_sub(count).filter(|_| count > 0);
    kept.and_then(|kept| block.get(..kept)).unwrap_or(block)
}

/// The cipher that needs no more than this.
pub(super) struct Rc4 {
    state: [u8; 256],
    at: u8,
    other: u8,
}

impl Rc4 {
    fn new(key: &[u8]) -> Self {
        let mut state = [0; 256];
        for (place, value) in state.iter_mut().zip(0..=255) {
            *place = value;
        }
        let mut other = 0_u8;
        for (at, byte) in (0..256).zip(key.iter().cycle()) {
            let value = state.get(at).copied().unwrap_or(0);
            other = other.wrapping_add(value).wrapping_add(*byte);
            state.swap(at, other.into());
        }
        Self {
            state,
            at: 0,
            other: 0,
        }
    }

    fn apply(&mut self, bytes: &mut [u8]) {
        let get = |state: &[u8; 256], at: u8| state.get(usize::from(at)).copied().unwrap_or(0);
        for byte in bytes {
            self.at = self.at.wrapping_add(1);
            let first = get(&self.state, self.at);
            self.other = self.other.wrapping_add(first);
            let second = get(&self.state, self.other);
            self.state.swap(self.at.into(), self.other.into());
            *byte ^= get(&self.state, first.wrapping_add(second));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 6229 §2, the key of 40 bits.
    #[test]
    fn rc4_is_that_of_others() {
        let mut bytes = [0; 16];
        Rc4::new(&[1, 2, 3, 4, 5]).apply(&mut bytes);
        assert_eq!(bytes[..8], [0xb2, 0x39, 0x63, 0x05, 0xf0, 0x3d, 0xc0, 0x27]);
    }
}
