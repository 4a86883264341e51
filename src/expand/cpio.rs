//! cpio: the forms "newc" and "crc" of System V release 4, POSIX's portable one ("odc"), and the binary one before them in
//! both byte orders (cpio(5)).
//!
//! Several archives may follow each other, as in an initial file system of Linux; each header is read by its own magic.
#![forbid(unsafe_code)]

use std::io::Read;

use super::number::digits;
use super::{
    Children, Container, Content, Expander, Halt, Member, behind, is_recognised, recognise, surplus,
};
use crate::bytes::Reader;
use crate::event::Reason;
use crate::object::{CHUNK, Object};

/// The name of the entry that ends an archive.
const END: &[u8] = b"TRAILER!!!";

/// The longest header without its name.
const HEADER: usize = 110;

/// The longest name: no system has longer ones, and what says so is no header.
const NAME_LIMIT: u64 = 1 << 16;

/// The longest header with its name.
pub(super) const NAMED: usize = HEADER + NAME_LIMIT as usize;

/// A header with a name of a usual length.
const USUAL: usize = HEADER + 4096;

/// The expander of cpio.
pub(super) struct Cpio;

impl Expander for Cpio {
    fn kind(&self) -> &'static str {
        "cpio"
    }

    fn expand(&self, container: &Container<'_>, children: &mut dyn Children) -> Result<(), Halt> {
        let object = container.object;
        let head = object.bytes_at(0, HEADER)?;
        if Header::read(&head).is_none() && !is_recognised(object, "cpio")? {
            return Err(Halt::Unlike);
        }
        let mut archive = Archive {
            object,
            at: 0,
            ended: false,
        };
        while archive.entry(children)? {}
        Ok(())
    }
}

/// How one form writes.
#[derive(Debug, Clone, Copy)]
struct Form {
    header: u64,
    /// What name and content are filled up to.
    multiple: u64,
    has_sum: bool,
}

const NEWC: Form = Form {
    header: 110,
    multiple: 4,
    has_sum: false,
};
const CRC: Form = Form {
    has_sum: true,
    ..NEWC
};
const ODC: Form = Form {
    header: 76,
    multiple: 1,
    has_sum: false,
};
const BINARY: Form = Form {
    header: 26,
    multiple: 2,
    has_sum: false,
};

/// The fields that count.
#[derive(Debug)]
struct Header {
    form: Form,
    mode: u64,
    /// Bytes of the name with the zero at its end.
    name: u64,
    size: u64,
    sum: u64,
}

impl Header {
    fn read(bytes: &[u8]) -> Option<Self> {
        let header = match bytes.get(..6)? {
            b"070701" => Self::ascii(bytes, NEWC),
            b"070702" => Self::ascii(bytes, CRC),
            b"070707" => Self::portable(bytes),
            [0xc7, 0x71, ..] => Self::binary(bytes, u16::from_le_bytes),
            [0x71, 0xc7, ..] => Self::binary(bytes, u16::from_be_bytes),
            _ => None,
        }?;
        (1..=NAME_LIMIT).contains(&header.name).then_some(header)
    }

    /// What is no number does not matter in the fields without which GNU cpio gives the content, too.
    fn ascii(bytes: &[u8], form: Form) -> Option<Self> {
        let field = |place: usize| number(bytes.get(6 + 8 * place..)?.get(..8)?, 16);
        Some(Self {
            form,
            mode: field(1).unwrap_or_default(),
            size: field(6)?,
            name: field(11)?,
            sum: field(12).unwrap_or_default(),
        })
    }

    fn portable(bytes: &[u8]) -> Option<Self> {
        let field = |at: usize, length: usize| number(bytes.get(at..)?.get(..length)?, 8);
        Some(Self {
            form: ODC,
            mode: field(18, 6).unwrap_or_default(),
            name: field(59, 6)?,
            size: field(65, 11)?,
            sum: 0,
        })
    }

    /// The halves of a long number stand with the higher one first, whatever the order of the bytes.
    fn binary(bytes: &[u8], word: fn([u8; 2]) -> u16) -> Option<Self> {
        let mut reader = Reader::new(bytes.get(..26)?);
        let mut words = [0_u64; 13];
        for field in &mut words {
            *field = word(reader.array()?).into();
        }
        let [_, _, _, mode, .., name, high, low] = words;
        // A short magic needs a check: a file type that exists.
        matches!(mode >> 12, 0 | 1 | 2 | 4 | 6 | 8 | 10 | 12).then_some(Self {
            form: BINARY,
            mode,
            name,
            size: high << 16 | low,
            sum: 0,
        })
    }

    /// Behind the name, from the start of the header.
    fn content(&self) -> u64 {
        (self.form.header + self.name).next_multiple_of(self.form.multiple)
    }

    /// Behind the content.
    fn end(&self) -> u64 {
        let end = self.content().saturating_add(self.size);
        end.checked_next_multiple_of(self.form.multiple)
            .unwrap_or(u64::MAX)
    }

    fn is_folder(&self) -> bool {
        self.mode & 0o170_000 == 0o040_000
    }

    /// Only files have a sum: GNU cpio writes none for a symbolic link, and no reader asks for it.
    fn has_sum(&self) -> bool {
        self.form.has_sum && self.mode & 0o170_000 == 0o100_000
    }
}

/// A number as GNU cpio reads it: behind blanks, and up to a zero.
fn number(field: &[u8], base: u32) -> Option<u64> {
    let field = field.split(|byte| *byte == 0).next().unwrap_or_default();
    digits(field.trim_ascii_start(), base)
}

/// Tells whether a header stands at the start, without its name.
pub(super) fn is_header(head: &[u8]) -> bool {
    Header::read(head).is_some()
}

/// Tells whether a header stands at the start whose name ends where it says.
pub(super) fn begins(head: &[u8]) -> bool {
    let ends = |header: Header| {
        let name = usize::try_from(header.form.header).ok()?;
        let length = usize::try_from(header.name).ok()?;
        let name = head.get(name..)?.get(..length)?;
        Some(memchr::memchr(0, name) == length.checked_sub(1))
    };
    Header::read(head).and_then(ends).unwrap_or(false)
}

/// The cursor.
struct Archive<'a> {
    object: &'a Object,
    at: u64,
    /// The entry before was the end of an archive.
    ended: bool,
}

impl Archive<'_> {
    /// Gives the member at the cursor; false at the end.
    fn entry(&mut self, children: &mut dyn Children) -> Result<bool, Halt> {
        let bytes = self.object.bytes_at(self.at, HEADER)?;
        let Some(header) = Header::read(&bytes) else {
            return self.between(children);
        };
        let name_at = self.at.saturating_add(header.form.header);
        // Bounded by NAME_LIMIT.
        let length = usize::try_from(header.name).unwrap_or_default();
        let stored = self.object.bytes_at(name_at, length)?;
        let name = stored.split(|byte| *byte == 0).next().unwrap_or_default();
        let start = self.at.saturating_add(header.content());
        let content = self.object.slice(start, header.size);
        self.at = self.at.saturating_add(header.end());
        self.ended = name == END;
        if stored.len() < length {
            let detail = "a name that is cut".to_owned();
            children.gap(None, Reason::Corrupt, detail)?;
            return Ok(false);
        }
        if !self.ended {
            children.about(&Member {
                name,
                listed: None,
                compressed: Some(header.size),
                size: Some(header.size),
                encrypted: false,
                folder: header.is_folder(),
            })?;
        }
        if header.size == 0 && (self.ended || header.is_folder()) {
            return Ok(true);
        }
        children.child(name, Content::Object(content.clone()))?;
        if content.length() < header.size {
            let detail = format!("{} of {} bytes are there", content.length(), header.size);
            children.gap(Some(name), Reason::Corrupt, detail)?;
            self.ended = true;
            return Ok(false);
        }
        if header.has_sum() && sum(&content)? != header.sum {
            let detail = "checksum differs".to_owned();
            children.gap(Some(name), Reason::Corrupt, detail)?;
        }
        Ok(true)
    }

    /// There is no header: it is the end, padding up to the next archive, or damage.
    fn between(&mut self, children: &mut dyn Children) -> Result<bool, Halt> {
        let from = self.at;
        let Some(start) = self.content()? else {
            if !self.ended {
                let detail = "no end of the archive".to_owned();
                children.gap(None, Reason::Corrupt, detail)?;
            }
            return Ok(false);
        };
        if start > from && self.header_at(start)? {
            if !self.ended {
                let detail = format!("zeros from byte {from} to byte {start}");
                children.gap(None, Reason::Corrupt, detail)?;
            }
            self.at = start;
            return Ok(true);
        }
        let rest = self.object.slice(start, u64::MAX);
        if self.ended && !recognise(&rest.probe()?).is_empty() {
            behind(self.object, start, children)?;
            return Ok(false);
        }
        // As cpio does: on to the next header.
        let next = self.next_header(start)?;
        if self.ended && next.is_none() {
            surplus(self.object, start, "archive", children)?;
            return Ok(false);
        }
        let to = next.unwrap_or(self.object.length());
        let detail = format!("no header from byte {start} to byte {to}");
        children.gap(None, Reason::Corrupt, detail)?;
        self.at = to;
        self.ended |= next.is_none();
        Ok(next.is_some())
    }

    fn header_at(&self, at: u64) -> Result<bool, Halt> {
        Ok(Header::read(&self.object.bytes_at(at, HEADER)?).is_some())
    }

    /// The first byte from the cursor on that is no zero.
    fn content(&self) -> Result<Option<u64>, Halt> {
        let mut at = self.at;
        loop {
            let bytes = self.object.bytes_at(at, CHUNK)?;
            if bytes.is_empty() {
                return Ok(None);
            }
            if let Some(found) = bytes.iter().position(|byte| *byte != 0) {
                return Ok(Some(at.saturating_add(found as u64)));
            }
            at = at.saturating_add(bytes.len() as u64);
        }
    }

    /// The next header behind `from`.
    fn next_header(&self, from: u64) -> Result<Option<u64>, Halt> {
        let mut at = from.saturating_add(1);
        loop {
            let bytes = self.object.bytes_at(at, CHUNK + USUAL)?;
            let starts = memchr::memchr3_iter(b'0', 0xc7, 0x71, &bytes);
            for found in starts.take_while(|found| *found < CHUNK) {
                let rest = bytes.get(found..).unwrap_or_default();
                let named = rest.get(..USUAL).unwrap_or(rest);
                // No program looks behind the end: what is there has to be more than a magic of two bytes.
                if Header::read(rest).is_some() && (!self.ended || begins(named)) {
                    return Ok(Some(at.saturating_add(found as u64)));
                }
            }
            if bytes.len() <= CHUNK {
                return Ok(None);
            }
            at = at.saturating_add(CHUNK as u64);
        }
    }
}

/// The sum of all bytes, which is what the form "crc" has for a checksum.
fn sum(content: &Object) -> Result<u64, Halt> {
    let mut reader = content.raw_reader();
    let mut buffer = vec![0; CHUNK];
    let mut sum = 0_u32;
    loop {
        let count = reader.read(&mut buffer)?;
        if count == 0 {
            return Ok(sum.into());
        }
        let read = buffer.get(..count).unwrap_or_default();
        sum = (read.iter()).fold(sum, |sum, byte| sum.wrapping_add(u32::from(*byte)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::expand::testing::{Recorder, assert_holds, expand, said, tool, tree, withstand};

    fn newc(name: &str, mode: u32, content: &[u8]) -> Vec<u8> {
        let sum: u32 = content.iter().map(|byte| u32::from(*byte)).sum();
        let fields = [
            1,
            mode,
            0,
            0,
            1,
            0,
            content.len() as u32,
            0,
            0,
            0,
            0,
            name.len() as u32 + 1,
            sum,
        ];
        let fields: String = fields.iter().map(|field| format!("{field:08X}")).collect();
        let mut out = format!("070702{fields}{name}\0").into_bytes();
        out.resize(out.len().next_multiple_of(4), 0);
        out.extend_from_slice(content);
        out.resize(out.len().next_multiple_of(4), 0);
        out
    }

    fn end() -> Vec<u8> {
        newc("TRAILER!!!", 0, b"")
    }

    fn run(parts: &[&[u8]]) -> Recorder {
        expand(&Cpio, &parts.concat(), b"x.cpio")
    }

    #[test]
    fn archives_one_after_the_other_and_what_follows_them() {
        let one = [newc("a", 0o100_644, b"1"), end()].concat();
        let two = [newc("b", 0o100_644, b"2"), end()].concat();
        let got = run(&[&one, &[0; 512], &two, &[0; 700]]);
        assert_eq!(
            (got.names(), got.gaps),
            (vec!["a".to_owned(), "b".to_owned()], vec![])
        );
        let zip = [&b"PK\x05\x06"[..], &[0; 18]].concat();
        let got = run(&[&one, &[0; 512], &zip]);
        assert_eq!(got.names(), ["a", "(behind the end)"]);
        assert_eq!(run(&[&one, b"junk"]).gaps, []);
        let got = run(&[&one, &[b'x'; 600]]);
        assert_eq!(got.reasons(), ["corrupt"]);
    }

    #[test]
    fn chance_behind_the_end_is_no_header() {
        let archive = [newc("a", 0o100_644, b"1"), end()].concat();
        // The magic of the binary form, and a name that does not end where it says.
        let noise = [&[b'n'; 600][..], b"\xc7\x71", &[2; 1000]].concat();
        let got = run(&[&archive, &noise]);
        assert_eq!(got.names(), ["a"]);
        let detail = "1602 bytes after the archive";
        assert_eq!(got.gaps, [said(None, "corrupt", detail)]);
        let got = run(&[&archive, &noise, &archive]);
        assert_eq!(got.names(), ["a", "a"]);
    }

    #[test]
    fn damage_is_said_and_passed_over() {
        // Behind a first header that cannot be followed, another archive begins.
        let mut bad = newc("a", 0o100_644, b"lost");
        bad[6 + 8 * 11] = b'F';
        let rest = [newc("c", 0o100_644, b"3"), end()].concat();
        let got = run(&[&bad, &rest]);
        assert_eq!(
            (got.names(), got.reasons()),
            (vec!["c".to_owned()], vec!["corrupt"])
        );
        let mut bad = newc("b", 0o100_644, b"lost");
        bad[3] = b'x';
        let got = run(&[
            &newc("a", 0o100_644, b"1"),
            &bad,
            &newc("c", 0o100_644, b"3"),
            &end(),
        ]);
        assert_eq!(got.names(), ["a", "c"]);
        assert_eq!(got.reasons(), ["corrupt"]);
        let mut sum = newc("a", 0o100_644, b"content");
        let at = sum.len() - 3;
        sum[at] ^= 1;
        let got = run(&[&sum, &end()]);
        assert_eq!(got.gaps, [said(Some(b"a"), "corrupt", "checksum differs")]);
        let mut link = newc("a", 0o120_777, b"content");
        let at = link.len() - 3;
        link[at] ^= 1;
        assert_eq!(run(&[&link, &end()]).gaps, []);
    }

    #[test]
    fn what_is_not_there_is_said() {
        let whole = [newc("a", 0o100_644, b"content"), end()].concat();
        let got = run(&[&whole[..whole.len() - end().len() - 4]]);
        assert_eq!(got.children, [(b"a".to_vec(), b"cont".to_vec())]);
        assert_eq!(
            got.gaps,
            [said(Some(b"a"), "corrupt", "4 of 7 bytes are there")]
        );
        let got = run(&[&newc("a", 0o100_644, b"content")]);
        assert_eq!(got.gaps, [said(None, "corrupt", "no end of the archive")]);
        assert!(run(&[b"070701"]).unlike);
    }

    /// What GNU cpio gives the content with, it being no number.
    #[test]
    fn fields_need_not_be_numbers() {
        let Some(folder) = tool("cpio") else { return };
        let plain = newc("a", 0o100_644, b"content");
        let size = *b"00000007";
        for (place, field) in [
            (5, *b"5F00000g"),
            (5, *b"   12345"),
            (6, *b"       7"),
            (6, *b"0000007\0"),
            (6, size),
            (7, [0; 8]),
            (11, *b"       2"),
        ] {
            let mut bytes = plain.clone();
            bytes[5] = b'1';
            bytes[6 + 8 * place..][..8].copy_from_slice(&field);
            let mut end = end();
            end[5] = b'1';
            bytes.extend(end);
            assert!(begins(&bytes), "{}", field.escape_ascii());
            let got = run(&[&bytes]);
            assert_eq!(got.children, [(b"a".to_vec(), b"content".to_vec())]);
            assert_eq!(got.gaps, []);
            folder.write("a.cpio", &bytes);
            folder.run("cpio", &["-i", "--quiet", "-F", "a.cpio"]);
            assert_eq!(folder.read("a"), b"content");
            std::fs::remove_file(folder.path().join("a")).unwrap();
        }
    }

    #[test]
    fn what_has_a_content_is_given_whatever_it_is() {
        let got = run(&[
            &newc("dir", 0o040_755, b""),
            &newc("link", 0o120_777, b"target"),
            &newc("odd dir", 0o040_755, b"hidden"),
            &end(),
        ]);
        assert_eq!(got.names(), ["link", "odd dir"]);
        assert_eq!(got.gaps, []);
    }

    #[test]
    fn no_damage_panics() {
        let sample = [
            newc("name", 0o100_644, b"content"),
            newc("b", 0o100_644, b""),
            end(),
        ]
        .concat();
        let silent = withstand(&Cpio, &sample, b"x.cpio");
        // The padding behind the last name carries nothing.
        let padding = sample.len() - 3..sample.len();
        assert!(silent.iter().all(|cut| padding.contains(cut)), "{silent:?}");
    }

    #[test]
    fn both_byte_orders_of_the_binary_form_are_read() {
        let Some(folder) = tool("bsdtar") else { return };
        let files = tree(&folder, 6);
        folder.run("bsdtar", &["-cf", "out.cpio", "--format=bin", "tree"]);
        let little = folder.read("out.cpio");
        assert_holds(&expand(&Cpio, &little, b"x"), &files);
        let mut big = little.clone();
        let mut at = 0;
        while let Some(header) = Header::read(&little[at..]) {
            big[at..at + 26]
                .as_chunks_mut::<2>()
                .0
                .iter_mut()
                .for_each(|word| word.reverse());
            at += usize::try_from(header.end()).unwrap();
        }
        assert_holds(&expand(&Cpio, &big, b"x"), &files);
    }
}
