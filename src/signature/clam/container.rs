//! The containers `.cvd`, `.cld` and `.cud`: a header of 512 bytes and a tar archive, mostly compressed.
//!
//! ```text
//! ClamAV-VDB:build time:version:signatures:level:MD5:digital signature:builder:seconds
//! ```
//!
//! Nothing is read from a container before all of it is there and agrees with its header. A `.cld` is a container that
//! an update has changed, and its header is older than what it holds: there, and in `.cud`, the list of SHA-256 that is a
//! member (`.info`) may agree instead. The digital signature needs a key that only ClamAV has, which is said once for each.
#![forbid(unsafe_code)]

use std::collections::HashMap;
use std::io::{self, BufRead, BufReader, Read, Seek, SeekFrom, Write};

use data_encoding::{HEXLOWER, HEXLOWER_PERMISSIVE};
use flate2::bufread::GzDecoder;
use md5::{Digest, Md5};
use sha2::Sha256;

use super::{Trouble, fields, number, waiting};
use crate::path::printable;
use crate::signature::{Format, Intake, Notes, Until, format_by_extension};

/// The bytes of the header.
const HEADER: usize = 512;

/// The most members; real containers have some thirty.
const MEMBERS: usize = 1000;

/// The most bytes of a container, and of its members together.
const BYTES: u64 = 4 * 1024 * 1024 * 1024;

/// Bytes that are held in memory before a temporary file takes over.
const IN_MEMORY: usize = 16 * 1024 * 1024;

/// Members that say nothing about signatures.
const TEXTS: [&str; 2] = ["COPYING", "LICENSE"];

/// Members with signatures of programs that may be unwanted, and are not harmful.
const UNWANTED: [&str; 6] = ["hdu", "hsu", "ldu", "mdu", "msu", "ndu"];

/// The row of containers.
#[derive(Debug)]
pub struct Containers;

impl Format for Containers {
    fn name(&self) -> &'static str {
        "clam-cvd"
    }

    fn extensions(&self) -> &'static [&'static str] {
        &["cvd", "cld", "cud"]
    }

    fn parse(&self, text: &mut dyn BufRead, source: &str, out: &mut dyn Intake) -> io::Result<()> {
        let notes = Notes { source };
        match unpack(text, source, out)? {
            Ok(()) => notes.set_aside(out, Until::Never, "digital signature not checked"),
            Err(Trouble::Wrong(reason)) => notes.complain(out, 1, reason),
            Err(Trouble::Aside(until, reason)) => notes.set_aside(out, until, reason),
        }
        Ok(())
    }
}

/// The outer result is that of reading, the inner one that of the container.
type Read2<T> = io::Result<Result<T, Trouble>>;

fn unpack(text: &mut dyn BufRead, source: &str, out: &mut dyn Intake) -> Read2<()> {
    let mut header = Vec::with_capacity(HEADER);
    (&mut *text).take(HEADER as u64).read_to_end(&mut header)?;
    let digest = match digest_of(&header) {
        Ok(digest) => digest,
        Err(trouble) => return Ok(Err(trouble)),
    };
    let mut body = tempfile::spooled_tempfile(IN_MEMORY);
    let found = copy(text, &mut body)?;
    let Some(found) = found else {
        return Ok(Err(Trouble::wrong("a container of more than 4 GiB")));
    };
    if found != digest {
        let may_differ = [".cld", ".cud"]
            .iter()
            .any(|end| source.to_ascii_lowercase().ends_with(end));
        if !may_differ || !agrees_with_list(&mut body)? {
            return Ok(Err(Trouble::wrong(
                "the container is damaged: its MD5 is not the one in its header; fetch it again",
            )));
        }
    }
    let visited = visit(&mut body, |name, content| {
        member(name, content, source, out)
    })?;
    Ok(visited.map_err(Trouble::wrong))
}

/// The MD5 that a header names.
fn digest_of(header: &[u8]) -> Result<[u8; 16], Trouble> {
    if header.len() < HEADER {
        return Err(Trouble::wrong("too short for a container of ClamAV"));
    }
    let all: Vec<&[u8]> = fields(header, b':').take(10).collect();
    let [
        magic,
        _time,
        version,
        count,
        level,
        md5,
        _signature,
        _builder,
        ..,
    ] = all.as_slice()
    else {
        return Err(wrong(header));
    };
    let is_number = |field: &&[u8]| number(field).is_some();
    if *magic != b"ClamAV-VDB" || ![version, count, level].into_iter().all(is_number) {
        return Err(wrong(header));
    }
    let md5 = HEXLOWER_PERMISSIVE.decode(md5).unwrap_or_default();
    md5.try_into().map_err(|_| wrong(header))
}

fn wrong(header: &[u8]) -> Trouble {
    let start = printable(header, 60);
    format!("`{start}` is no header of a container of ClamAV").into()
}

/// Copies what is left, and gives its MD5; `None` if it is too long.
fn copy(text: &mut dyn BufRead, to: &mut impl Write) -> io::Result<Option<[u8; 16]>> {
    let mut md5 = Md5::new();
    let mut sum = 0;
    let is_whole = pump(text, |bytes| {
        sum += bytes.len() as u64;
        md5.update(bytes);
        to.write_all(bytes).map(|()| sum <= BYTES)
    })?;
    Ok(is_whole.then(|| md5.finalize().into()))
}

/// Gives all bytes to `take`, as long as it wants more; tells whether that were all.
fn pump(
    from: &mut dyn BufRead,
    mut take: impl FnMut(&[u8]) -> io::Result<bool>,
) -> io::Result<bool> {
    loop {
        let bytes = from.fill_buf()?;
        let length = bytes.len();
        if length == 0 {
            return Ok(true);
        }
        if !take(bytes)? {
            return Ok(false);
        }
        from.consume(length);
    }
}

/// Calls `each` with the name and the content of every member.
fn visit(
    body: &mut (impl Read + Seek),
    mut each: impl FnMut(&str, &mut dyn BufRead) -> io::Result<()>,
) -> io::Result<Result<(), &'static str>> {
    body.seek(SeekFrom::Start(0))?;
    let mut body = BufReader::new(body);
    let content: Box<dyn Read> = match body.fill_buf()? {
        [0x1f, 0x8b, ..] => Box::new(GzDecoder::new(body)),
        _ => Box::new(body),
    };
    let damaged = "the container is damaged: its members cannot be read to the end; fetch it again";
    let mut archive = tar::Archive::new(content.take(BYTES));
    let Ok(entries) = archive.entries() else {
        return Ok(Err(damaged));
    };
    // Raw: a name that is longer than a header's field is none of a container's.
    for (position, entry) in entries.raw(true).enumerate() {
        let Ok(mut entry) = entry else {
            return Ok(Err(damaged));
        };
        if position == MEMBERS {
            return Ok(Err("a container of more than 1000 members"));
        }
        if !entry.header().entry_type().is_file() {
            return Ok(Err("a container with something that is no file"));
        }
        let name = String::from_utf8_lossy(&entry.path_bytes()).into_owned();
        let size = entry.size();
        let mut counted = Counted {
            from: &mut entry,
            sum: 0,
        };
        each(&name, &mut BufReader::new(&mut counted)).or_else(|error| match error.kind() {
            // Of the archive, and not of the disk: the count below tells.
            io::ErrorKind::InvalidInput
            | io::ErrorKind::InvalidData
            | io::ErrorKind::UnexpectedEof => Ok(()),
            _ => Err(error),
        })?;
        if io::copy(&mut counted, &mut io::sink()).is_err() || counted.sum != size {
            return Ok(Err(damaged));
        }
    }
    Ok(Ok(()))
}

/// Counts what is read.
struct Counted<R> {
    from: R,
    sum: u64,
}

impl<R: Read> Read for Counted<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.from.read(buffer)?;
        self.sum += count as u64;
        Ok(count)
    }
}

/// Reads one member.
fn member(
    name: &str,
    content: &mut dyn BufRead,
    source: &str,
    out: &mut dyn Intake,
) -> io::Result<()> {
    if TEXTS.contains(&name) {
        return Ok(());
    }
    let inner = format!("{source}/{}", printable(name.as_bytes(), 100));
    let notes = Notes { source: &inner };
    let extension = name.rsplit_once('.').map_or("", |(_, extension)| extension);
    // Nobody asked for these by giving their file: clamd leaves them out unless it is told otherwise.
    if UNWANTED.contains(&extension) {
        return waiting::UNWANTED.parse(content, &inner, out);
    }
    match format_by_extension(&extension.to_ascii_lowercase()) {
        Some(format) if format.name() == Containers.name() => {
            notes.complain(out, 1, "a container inside of a container");
            Ok(())
        }
        Some(format) => format.parse(content, &inner, out),
        None => {
            notes.set_aside(out, Until::Never, "unknown kind of file");
            Ok(())
        }
    }
}

/// Tells whether all members are in the list of SHA-256 that one of them is, and are as it says.
fn agrees_with_list(body: &mut (impl Read + Seek)) -> io::Result<bool> {
    let mut found: HashMap<String, (u64, String)> = HashMap::new();
    let mut list = Vec::new();
    let visited = visit(body, |name, content| {
        if name.ends_with(".info") {
            return content.take(1024 * 1024).read_to_end(&mut list).map(drop);
        }
        let mut sha256 = Sha256::new();
        let mut size = 0;
        pump(content, |bytes| {
            size += bytes.len() as u64;
            sha256.update(bytes);
            Ok(true)
        })?;
        let digest = HEXLOWER.encode(&sha256.finalize());
        found.insert(name.to_owned(), (size, digest));
        Ok(())
    })?;
    found.retain(|name, _| !TEXTS.contains(&name.as_str()));
    for line in fields(&list, b'\n') {
        let mut fields = fields(line, b':');
        let (Some(name), Some(size), Some(digest), None) =
            (fields.next(), fields.next(), fields.next(), fields.next())
        else {
            continue;
        };
        let name = String::from_utf8_lossy(name);
        let agrees = found.get(name.as_ref()).is_some_and(|(length, sha256)| {
            number(size) == Some(*length) && sha256.as_bytes().eq_ignore_ascii_case(digest)
        });
        if agrees {
            found.remove(name.as_ref());
        } else if found.contains_key(name.as_ref()) {
            return Ok(false);
        }
    }
    Ok(visited.is_ok() && !list.is_empty() && found.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::signature::{Batch, Item};

    fn tar(members: &[(&str, &str)]) -> Vec<u8> {
        let mut builder = tar::Builder::new(Vec::new());
        for (name, content) in members {
            let mut header = tar::Header::new_gnu();
            header.set_size(content.len() as u64);
            builder
                .append_data(&mut header, name, content.as_bytes())
                .unwrap();
        }
        builder.into_inner().unwrap()
    }

    fn gzip(body: &[u8]) -> Vec<u8> {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(body).unwrap();
        encoder.finish().unwrap()
    }

    fn container(md5: &str, body: &[u8]) -> Vec<u8> {
        let mut all = format!("ClamAV-VDB:22 Nov 2026 05-50 +0000:3:2:216:{md5}:X:me:1795326652")
            .into_bytes();
        all.resize(HEADER, b' ');
        all.extend(body);
        all
    }

    fn sealed(body: &[u8]) -> Vec<u8> {
        container(&HEXLOWER.encode(&Md5::digest(body)), body)
    }

    fn read(content: &[u8], source: &str) -> Batch {
        let mut batch = Batch::default();
        batch.read(&Containers, content, source);
        batch
    }

    const MEMBERS: [(&str, &str); 5] = [
        ("COPYING", "words"),
        ("a.ndb", "A:0:*:616263\nB:0:*:zz\n"),
        ("a.hdb", "aa15bcf478d165efd2065190eb473bcb:544:C\n"),
        ("a.xyz", "?"),
        ("a.ndu", "A:0:*:616263"),
    ];

    #[test]
    fn members_are_read_by_their_names_compressed_or_not() {
        for body in [tar(&MEMBERS), gzip(&tar(&MEMBERS))] {
            let batch = read(&sealed(&body), "main.cvd");
            let names: Vec<_> = batch
                .signatures()
                .iter()
                .map(|one| one.name.to_string())
                .collect();
            assert_eq!(names, ["CLAM A", "CLAM C"]);
            let complaint = batch.complaints()[0].to_string();
            assert!(complaint.starts_with("main.cvd/a.ndb:2: "), "{complaint}");
            let asides: Vec<_> = (batch.others().iter())
                .map(|item| match item {
                    Item::Aside(aside) => (aside.file.as_str(), aside.reason),
                    other => panic!("{other:?}"),
                })
                .collect();
            let expected = [
                ("main.cvd/a.xyz", "unknown kind of file"),
                ("main.cvd/a.ndu", "potentially unwanted"),
                ("main.cvd", "digital signature not checked"),
            ];
            assert_eq!(asides, expected);
        }
    }

    #[test]
    fn of_a_damaged_container_nothing_is_loaded_and_it_is_said() {
        let whole = sealed(&gzip(&tar(&MEMBERS)));
        let mut flipped = whole.clone();
        flipped[600] ^= 1;
        let inner = sealed(&tar(&MEMBERS)[..1100]);
        let rows: [(&[u8], &str); 7] = [
            (b"", "too short"),
            (&whole[..511], "too short"),
            (&whole[..700], "the container is damaged: its MD5"),
            (&flipped, "the container is damaged: its MD5"),
            (&container("x", b""), "`ClamAV-VDB:22 Nov"),
            (&[b'x'; 600], "`xxx"),
            (&inner, "the container is damaged: its members"),
        ];
        for (content, start) in rows {
            for source in ["a.cvd", "a.cld", "a.cud"] {
                let batch = read(content, source);
                let reason = &batch.complaints().last().unwrap().reason;
                assert!(reason.starts_with(start), "{reason}");
                assert_eq!(batch.signatures(), []);
            }
        }
    }

    #[test]
    fn a_list_of_digests_stands_in_for_the_header_of_a_changed_container() {
        let line = |content: &str| {
            let digest = HEXLOWER.encode(&Sha256::digest(content.as_bytes()));
            format!("head:line\na.ndb:{}:{digest}\n", content.len())
        };
        let ndb = "A:0:*:616263\n";
        let rows = [
            ("a.cld", line(ndb), 1),
            ("a.cud", line(ndb), 1),
            ("a.cvd", line(ndb), 0),
            ("a.cld", line("other"), 0),
            ("a.cld", String::new(), 0),
        ];
        for (source, list, count) in rows {
            let body = tar(&[("a.info", &list), ("a.ndb", ndb)]);
            let batch = read(&container(&"0".repeat(32), &body), source);
            assert_eq!(batch.signatures().len(), count, "{source} {list}");
            assert_eq!(batch.complaints().is_empty(), count == 1);
        }
    }

    #[test]
    fn containers_are_bounded_and_flat() {
        let many: Vec<_> = (0..=super::MEMBERS)
            .map(|number| format!("{number}.ndb"))
            .collect();
        let many: Vec<_> = many.iter().map(|name| (name.as_str(), "")).collect();
        let rows = [
            (tar(&many), "a container of more than 1000 members"),
            (tar(&[("b.cud", "")]), "a container inside of a container"),
        ];
        for (body, reason) in rows {
            let batch = read(&sealed(&body), "a.cvd");
            assert_eq!(batch.complaints()[0].reason, reason);
        }
    }
}
