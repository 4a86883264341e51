//! ARJ, as the TECHNOTE.TXT of its author has it.
//!
//! Methods 1 to 3 are what LHA calls lh6; method 4 has a decoder here. Each part of a member that is in several archives is
//! compressed for itself, so what is here is given.
#![forbid(unsafe_code)]

mod fastest;

use std::io::{self, BufReader, Read};

use crc32fast::Hasher;

use self::fastest::Fastest;
use super::lzh::{Lzh, Method};
use super::{
    Children, Container, Content, Expander, Halt, Member, Passwords, behind, damaged, is_damage,
    is_recognised, trailing,
};
use crate::bytes::Reader;
use crate::event::Reason;
use crate::object::{CHUNK, Object, ObjectReader};

const MAGIC: [u8; 2] = [0x60, 0xea];

/// The longest header that there is.
const HEADER_LIMIT: u16 = 2600;

/// Extended headers that are passed over; nothing writes any.
const EXTENDED: usize = 16;

const GARBLED: u8 = 1;
/// It goes on in the next archive.
const VOLUME: u8 = 4;
/// It began in the archive before.
const CONTINUED: u8 = 8;

const COMMENT: u8 = 2;
const FOLDER: u8 = 3;
const LABEL: u8 = 4;

/// The expander of ARJ.
pub(super) struct Arj;

impl Expander for Arj {
    fn kind(&self) -> &'static str {
        "arj"
    }

    fn expand(&self, container: &Container<'_>, children: &mut dyn Children) -> Result<(), Halt> {
        let object = container.object;
        let mut archive = Archive {
            object,
            passwords: container.passwords,
            at: 0,
            cipher: 0,
        };
        match Header::at(object, 0)? {
            Found::Header(main) if main.kind == COMMENT => {
                archive.at = main.end;
                archive.cipher = main.cipher;
                if !main.comment.is_empty() {
                    let comment = &mut main.comment.as_slice();
                    children.child(b"(comment)", Content::Stream(comment))?;
                }
            }
            // A member, for the header of the archive is gone; or that header is odd, and what is behind it may be sound.
            Found::Header(_) => {}
            Found::Damage(_) if is_recognised(object, "arj")? => {}
            Found::End(_) | Found::Damage(_) => return Err(Halt::Unlike),
        }
        while archive.entry(children)? {}
        Ok(())
    }
}

/// What counts of a header.
struct Header {
    flags: u8,
    method: u8,
    kind: u8,
    /// Added to each byte of the password.
    modifier: u8,
    packed: u64,
    size: u64,
    sum: u32,
    /// How members are encrypted; only in the main header.
    cipher: u8,
    name: Vec<u8>,
    comment: Vec<u8>,
    /// Where it ends.
    end: u64,
}

/// What stands where a header should be.
enum Found {
    Header(Box<Header>),
    /// The mark of the end, and where it ends.
    End(u64),
    Damage(&'static str),
}

impl Header {
    fn at(object: &Object, at: u64) -> io::Result<Found> {
        let start = object.bytes_at(at, 4)?;
        let mut reader = Reader::new(&start);
        if reader.array() != Some(MAGIC) {
            return Ok(Found::Damage("no header"));
        }
        let Some(length @ ..=HEADER_LIMIT) = reader.u16_le() else {
            return Ok(Found::Damage("a header that is too long"));
        };
        let at = at.saturating_add(4);
        if length == 0 {
            return Ok(Found::End(at));
        }
        let bytes = object.bytes_at(at, usize::from(length) + 4)?;
        let mut reader = Reader::new(&bytes);
        let body = reader.take(length.into());
        let (Some(body), Some(sum)) = (body, reader.u32_le()) else {
            return Ok(Found::Damage("a header that is cut"));
        };
        if crc32fast::hash(body) != sum {
            return Ok(Found::Damage("a header whose checksum differs"));
        }
        let Some(mut header) = Self::parse(body) else {
            return Ok(Found::Damage("a header that is too short"));
        };
        header.end = at.saturating_add(bytes.len() as u64);
        for _ in 0..EXTENDED {
            let size = object.bytes_at(header.end, 2)?;
            let Some(size) = Reader::new(&size).u16_le() else {
                return Ok(Found::Damage("a header that is cut"));
            };
            header.end = header.end.saturating_add(2);
            if size == 0 {
                return Ok(Found::Header(Box::new(header)));
            }
            header.end = header.end.saturating_add(u64::from(size) + 4);
        }
        Ok(Found::Damage("too many extended headers"))
    }

    fn parse(body: &[u8]) -> Option<Self> {
        let mut reader = Reader::new(body);
        let [length] = reader.array()?;
        let [_, _, _, flags, method, kind, modifier] = reader.array()?;
        let _time = reader.u32_le()?;
        let packed = reader.u32_le()?;
        let size = reader.u32_le()?;
        let sum = reader.u32_le()?;
        let _places = reader.u32_le()?;
        let [cipher, _] = reader.array()?;
        let mut texts = body.get(usize::from(length)..)?.split(|byte| *byte == 0);
        let name = texts.next()?.to_vec();
        let comment = texts.next().unwrap_or_default().to_vec();
        Some(Self {
            flags,
            method,
            kind,
            modifier,
            packed: packed.into(),
            size: size.into(),
            sum,
            cipher,
            name,
            comment,
            end: 0,
        })
    }
}

/// The cursor.
struct Archive<'a> {
    object: &'a Object,
    passwords: &'a Passwords<'a>,
    at: u64,
    cipher: u8,
}

impl Archive<'_> {
    /// Gives the member at the cursor; false at the end.
    fn entry(&mut self, children: &mut dyn Children) -> Result<bool, Halt> {
        match Header::at(self.object, self.at)? {
            Found::Header(header) => {
                let raw = self.object.slice(header.end, header.packed);
                self.at = header.end.saturating_add(header.packed);
                self.member(&header, &raw, children)?;
                Ok(true)
            }
            Found::End(end) => {
                trailing(self.object, end, children)?;
                Ok(false)
            }
            Found::Damage(what) if self.at >= self.object.length() => {
                let detail = format!("no end of the archive: {what}");
                children.gap(None, Reason::Corrupt, detail)?;
                Ok(false)
            }
            Found::Damage(what) => self.lost(what, children),
        }
    }

    fn member(
        &self,
        header: &Header,
        raw: &Object,
        children: &mut dyn Children,
    ) -> Result<(), Halt> {
        let name = &header.name;
        children.about(&Member {
            name,
            listed: None,
            compressed: Some(header.packed),
            size: Some(header.size),
            encrypted: header.flags & GARBLED != 0,
            folder: header.kind == FOLDER,
        })?;
        if !header.comment.is_empty() {
            let title = [name, &b" (comment)"[..]].concat();
            children.child(&title, Content::Stream(&mut header.comment.as_slice()))?;
        }
        if matches!(header.kind, COMMENT | FOLDER | LABEL) && header.packed == 0 {
            return Ok(());
        }
        if header.flags & GARBLED != 0 {
            match self.password(header, raw)? {
                Some(password) => self.content(header, raw, password, children)?,
                None => {
                    let method = match self.cipher {
                        0..=2 => "garbled",
                        3 | 4 => "GOST, 40 bits",
                        _ => "GOST",
                    };
                    let detail = [method, self.passwords.untried()].concat();
                    children.gap(Some(name), Reason::Encrypted, detail)?;
                }
            }
        } else {
            self.content(header, raw, b"", children)?;
        }
        if header.flags & (VOLUME | CONTINUED) == 0 {
            return Ok(());
        }
        let detail = if header.flags & CONTINUED == 0 {
            "goes on in another part"
        } else {
            "begins in another part"
        };
        let reason = Reason::Unsupported("arj-split".to_owned());
        children.gap(Some(name), reason, detail.to_owned())
    }

    fn content(
        &self,
        header: &Header,
        raw: &Object,
        password: &[u8],
        children: &mut dyn Children,
    ) -> Result<(), Halt> {
        let name = &header.name;
        let Some(mut content) = Checked::new(header, raw, password) else {
            let reason = Reason::Unsupported("arj-method".to_owned());
            let detail = format!("compression method {}", header.method);
            return children.gap(Some(name), reason, detail);
        };
        if header.method == 0 && password.is_empty() {
            children.child(name, Content::Object(raw.clone()))?;
            return match io::copy(&mut content, &mut io::sink()) {
                Err(error) if is_damage(&error) => {
                    children.gap(Some(name), Reason::Corrupt, error.to_string())
                }
                other => Ok(other.map(drop)?),
            };
        }
        children.child(name, Content::Stream(&mut content))
    }

    /// The password with which the checksum holds.
    fn password(&self, header: &Header, raw: &Object) -> io::Result<Option<&[u8]>> {
        // All of it is decoded.
        let mut attempts = self.passwords.attempts(1 + header.size / 10);
        while let Some(password) = attempts.next() {
            if password.is_empty() {
                continue;
            }
            let Some(mut content) = Checked::new(header, raw, password) else {
                return Ok(None);
            };
            match io::copy(&mut content, &mut io::sink()) {
                Ok(_) => {
                    attempts.ended(true);
                    return Ok(Some(password));
                }
                Err(error) if is_damage(&error) => {}
                Err(error) => return Err(error),
            }
        }
        attempts.ended(false);
        Ok(None)
    }

    /// Says that a header is damaged, and goes on to the next one.
    fn lost(&mut self, what: &str, children: &mut dyn Children) -> Result<bool, Halt> {
        let from = self.at;
        let next = self.next_header(from)?;
        let to = next.unwrap_or(self.object.length());
        let detail = format!("{what} at byte {from}, the next one at byte {to}");
        children.gap(None, Reason::Corrupt, detail)?;
        if next.is_none() {
            behind(self.object, from, children)?;
        }
        self.at = to;
        Ok(next.is_some())
    }

    fn next_header(&self, from: u64) -> io::Result<Option<u64>> {
        let mut at = from.saturating_add(1);
        loop {
            let bytes = self.object.bytes_at(at, CHUNK)?;
            for found in memchr::memmem::find_iter(&bytes, &MAGIC) {
                let start = at.saturating_add(found as u64);
                if !matches!(Header::at(self.object, start)?, Found::Damage(_)) {
                    return Ok(Some(start));
                }
            }
            if bytes.len() < CHUNK {
                return Ok(None);
            }
            at = at.saturating_add((CHUNK - 1) as u64);
        }
    }
}

/// Takes the password off, which is put on byte by byte, over and over.
struct Garbled {
    reader: BufReader<ObjectReader>,
    password: Vec<u8>,
    at: usize,
}

impl Read for Garbled {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let count = self.reader.read(out)?;
        if self.password.is_empty() {
            return Ok(count);
        }
        for byte in out.iter_mut().take(count) {
            *byte ^= self.password.get(self.at).copied().unwrap_or_default();
            self.at = (self.at + 1) % self.password.len();
        }
        Ok(count)
    }
}

/// A member's content; its size and checksum are compared with what is said, at its end.
struct Checked {
    inner: Decoder,
    sum: Hasher,
    size: u64,
    said: (u32, u64),
}

enum Decoder {
    Stored(Garbled),
    Lzh(Box<Lzh<Garbled>>),
    Fastest(Box<Fastest<Garbled>>),
}

impl Checked {
    /// Nothing for an unknown method.
    fn new(header: &Header, raw: &Object, password: &[u8]) -> Option<Self> {
        let modified = |byte: &u8| byte.wrapping_add(header.modifier);
        let reader = Garbled {
            reader: raw.reader(),
            password: password.iter().map(modified).collect(),
            at: 0,
        };
        let inner = match header.method {
            0 => Decoder::Stored(reader),
            1..=3 => Decoder::Lzh(Box::new(Lzh::new(reader, Method::LH7, header.size))),
            4 => Decoder::Fastest(Box::new(Fastest::new(reader, header.size))),
            _ => return None,
        };
        Some(Self {
            inner,
            sum: Hasher::new(),
            size: 0,
            said: (header.sum, header.size),
        })
    }
}

impl Read for Checked {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let count = match &mut self.inner {
            Decoder::Stored(inner) => inner.read(out),
            Decoder::Lzh(inner) => inner.read(out),
            Decoder::Fastest(inner) => inner.read(out),
        }?;
        self.sum.update(out.get(..count).unwrap_or_default());
        self.size = self.size.saturating_add(count as u64);
        if count > 0 || out.is_empty() {
            return Ok(count);
        }
        let (sum, size) = self.said;
        if self.size != size {
            return Err(damaged(format!("{} bytes instead of {size}", self.size)));
        }
        if self.sum.clone().finalize() != sum {
            return Err(damaged("checksum differs"));
        }
        Ok(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::expand::testing::{
        Recorder, assert_holds, expand_with, said, tool, tree, withstand,
    };

    fn run(bytes: &[u8]) -> Recorder {
        expand_with(&Arj, bytes, b"x.arj", &["wrong", "secret"])
    }

    fn header(kind: u8, flags: u8, method: u8, sizes: [u32; 2], sum: u32, name: &str) -> Vec<u8> {
        let mut body = vec![30, 11, 1, 0, flags, method, kind, 0, 0, 0, 0, 0];
        body.extend(sizes.iter().flat_map(|size| size.to_le_bytes()));
        body.extend_from_slice(&sum.to_le_bytes());
        body.resize(30, 0);
        body.extend_from_slice(name.as_bytes());
        body.extend_from_slice(&[0, 0]);
        let mut out = MAGIC.to_vec();
        out.extend_from_slice(&u16::try_from(body.len()).unwrap().to_le_bytes());
        out.extend_from_slice(&body);
        out.extend_from_slice(&crc32fast::hash(&body).to_le_bytes());
        out.extend_from_slice(&[0, 0]);
        out
    }

    fn main() -> Vec<u8> {
        header(2, 0, 0, [0, 0], 0, "x.arj")
    }

    fn entry(flags: u8, method: u8, name: &str, content: &[u8]) -> Vec<u8> {
        let size = u32::try_from(content.len()).unwrap();
        let sum = crc32fast::hash(content);
        [
            &header(0, flags, method, [size, size], sum, name)[..],
            content,
        ]
        .concat()
    }

    const END: &[u8] = &[0x60, 0xea, 0, 0];

    #[test]
    fn what_cannot_be_decoded_is_said() {
        let parts = [
            main(),
            entry(0, 0, "a", b"one"),
            entry(0, 9, "odd", b"abc"),
            entry(VOLUME, 0, "part", b"abc"),
            entry(GARBLED, 0, "locked", b"abc"),
            header(0, 0, 1, [3, u32::MAX], 0, "huge"),
            b"abc".to_vec(),
            END.to_vec(),
        ];
        let got = run(&parts.concat());
        let reasons = [
            "unsupported/arj-method",
            "unsupported/arj-split",
            "encrypted",
            "corrupt",
        ];
        assert_eq!(got.reasons(), reasons);
        assert_eq!(got.names(), ["a", "part", "huge"]);
    }

    #[test]
    fn the_end_and_what_follows_it() {
        let whole = [&main()[..], &entry(0, 0, "a", b"one"), END].concat();
        assert_eq!(run(&whole).gaps, []);
        assert_eq!(run(&whole[..whole.len() - 4]).reasons(), ["corrupt"]);
        assert_eq!(run(&[&whole[..], &[0; 100]].concat()).gaps, []);
        assert_eq!(run(&[&whole[..], b"junk\n"].concat()).gaps, []);
        let got = run(&[&whole[..], &[b'x'; 600]].concat());
        assert_eq!(
            got.gaps,
            [said(None, "corrupt", "600 bytes after the archive")]
        );
        let zip = [&b"PK\x05\x06"[..], &[0; 18]].concat();
        assert_eq!(
            run(&[&whole[..], &zip].concat()).names(),
            ["a", "(behind the end)"]
        );
        assert!(run(b"\x60\xea").unlike);
    }

    #[test]
    fn behind_a_damaged_header_the_next_one_is_found() {
        let mut bad = entry(0, 0, "b", b"lost");
        bad[20] ^= 1;
        let parts = [
            main(),
            entry(0, 0, "a", b"1"),
            bad,
            entry(0, 0, "c", b"3"),
            END.to_vec(),
        ];
        let got = run(&parts.concat());
        assert_eq!(
            (got.names(), got.reasons()),
            (vec!["a".to_owned(), "c".to_owned()], vec!["corrupt"])
        );
    }

    #[test]
    fn what_arj_itself_makes_is_read() {
        let Some(folder) = tool("arj") else { return };
        let files = tree(&folder, 8);
        for method in ["-m0", "-m1", "-m2", "-m3", "-m4"] {
            for password in ["", "-gsecret"] {
                let _ = std::fs::remove_file(folder.path().join("out.arj"));
                let mut arguments = vec!["a", "-r", "-i", method, "-2e", "out.arj", "tree"];
                if !password.is_empty() {
                    arguments.insert(1, password);
                }
                folder.run("arj", &arguments);
                let got = run(&folder.read("out.arj"));
                assert_holds(&got, &files);
            }
        }
    }

    #[test]
    fn no_damage_panics() {
        let Some(folder) = tool("arj") else { return };
        folder.write("some", &b"some content ".repeat(40));
        folder.write("more", b"more");
        for method in ["-m1", "-m4"] {
            let _ = std::fs::remove_file(folder.path().join("out.arj"));
            folder.run("arj", &["a", "-i", method, "out.arj", "some", "more"]);
            let sample = folder.read("out.arj");
            assert!(!run(&sample).complained());
            assert_eq!(withstand(&Arj, &sample, b"x.arj"), [0; 0]);
        }
    }
}
