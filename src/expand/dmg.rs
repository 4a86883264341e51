//! Apple's disk images (UDIF): a trailer, a property list with a table for each partition, and runs of sectors that are
//! compressed each for itself.
//!
//! Each partition is a member; what file system it has is the next level's. A run that cannot be decoded is given as zeros,
//! so that what comes after it keeps its place, and said.
#![forbid(unsafe_code)]

use std::io::{self, Read};

use data_encoding::BASE64;
use quick_xml::Reader as Xml;
use quick_xml::events::Event;

use super::{Children, Container, Content, Expander, Halt, is_damage, stream};
use crate::bytes::Reader;
use crate::event::{Limit, Reason};
use crate::object::Object;

/// The trailer's length.
const TRAILER: usize = 512;

const SECTOR: u64 = 512;

/// The part of the memory that the property list may have.
const LIST: u64 = 8;

/// Elements within each other that are followed.
const DEPTH: usize = 64;

/// The longest run that is decoded at once, in bytes: writers make them of 1 MiB at most.
const RUN: u64 = 8 << 20;

/// The longest padding between runs.
const PADDING: u64 = 4096;

/// The table of a partition up to its runs, and one run.
const TABLE: usize = 204;
const ENTRY: usize = 40;

/// Types of runs.
const ZEROS: u32 = 0;
const STORED: u32 = 1;
const IGNORED: u32 = 2;
const ADC: u32 = 0x8000_0004;
const ZLIB: u32 = 0x8000_0005;
const BZIP2: u32 = 0x8000_0006;
const LZFSE: u32 = 0x8000_0007;
const XZ: u32 = 0x8000_0008;
const COMMENT: u32 = 0x7fff_fffe;
const END: u32 = 0xffff_ffff;

/// The expander of disk images.
pub(super) struct Dmg;

impl Expander for Dmg {
    fn kind(&self) -> &'static str {
        "dmg"
    }

    fn expand(&self, container: &Container<'_>, children: &mut dyn Children) -> Result<(), Halt> {
        let object = container.object;
        if object.bytes_at(0, 8)? == b"encrcdsa" {
            return children.gap(None, Reason::Encrypted, "AES".to_owned());
        }
        let at = object.length().saturating_sub(TRAILER as u64);
        let trailer = object.bytes_at(at, TRAILER)?;
        if !trailer.starts_with(b"koly") || trailer.len() < TRAILER {
            return Err(Halt::Unlike);
        }
        let long = |at: usize| {
            let mut reader = Reader::new(trailer.get(at..).unwrap_or_default());
            reader.array().map(u64::from_be_bytes).unwrap_or_default()
        };
        let segments = Reader::new(trailer.get(60..).unwrap_or_default()).array();
        let segments = segments.map(u32::from_be_bytes).unwrap_or_default();
        if segments > 1 {
            let reason = Reason::Unsupported("dmg-split".to_owned());
            children.gap(None, reason, format!("one of {segments} parts"))?;
        }
        let (start, length) = (long(24), long(32));
        let (list, list_length) = (long(216), long(224));
        if list_length == 0 {
            let reason = Reason::Unsupported("dmg-resource-fork".to_owned());
            let detail = "its tables are in a resource fork".to_owned();
            return children.gap(None, reason, detail);
        }
        if list_length > container.memory / LIST {
            let detail = format!("a property list of {list_length} bytes");
            return children.gap(None, Reason::Limit(Limit::Memory), detail);
        }
        let size = usize::try_from(list_length).unwrap_or(usize::MAX);
        let xml = object.bytes_at(list, size)?;
        let mut image = Image {
            data: object.slice(start, length),
            memory: container.memory,
            used: Vec::new(),
            parts: 0,
        };
        image.list(&xml, children)?;
        image.unused(length, children)
    }
}

struct Image {
    /// The fork in which runs lie.
    data: Object,
    memory: u64,
    /// Places and lengths of the runs.
    used: Vec<(u64, u64)>,
    parts: usize,
}

/// A dictionary of the property list.
#[derive(Default)]
struct Dictionary {
    key: Vec<u8>,
    name: Vec<u8>,
    table: Vec<u8>,
}

impl Image {
    fn list(&mut self, xml: &[u8], children: &mut dyn Children) -> Result<(), Halt> {
        let text = String::from_utf8_lossy(xml);
        let mut reader = Xml::from_str(&text);
        let mut open: Vec<Dictionary> = Vec::new();
        let mut text = Vec::new();
        let said = loop {
            match reader.read_event() {
                Ok(Event::Start(tag)) => {
                    text.clear();
                    if tag.local_name().as_ref() == "dict" {
                        if open.len() == DEPTH {
                            break Some("too many dictionaries within each other".to_owned());
                        }
                        open.push(Dictionary::default());
                    }
                }
                Ok(Event::Text(part)) => text.extend_from_slice(part.as_bytes()),
                Ok(Event::End(tag)) => match (tag.local_name().as_ref(), open.last_mut()) {
                    ("dict", Some(_)) => {
                        if let Some(dictionary) = open.pop() {
                            self.dictionary(&dictionary, children)?;
                        }
                    }
                    ("key", Some(last)) => last.key = std::mem::take(&mut text),
                    ("string", Some(last)) if last.key == b"Name" || last.name.is_empty() => {
                        last.name = std::mem::take(&mut text);
                    }
                    ("data", Some(last)) => {
                        text.retain(|byte| !byte.is_ascii_whitespace());
                        let data = BASE64.decode(&text).unwrap_or_default();
                        if data.starts_with(b"mish") {
                            last.table = data;
                        } else if last.key == b"Data" && text.starts_with(b"bWlza") {
                            let detail = "a table of runs that is damaged".to_owned();
                            children.gap(None, Reason::Corrupt, detail)?;
                        }
                    }
                    _ => {}
                },
                Ok(Event::Eof) if open.is_empty() => break None,
                Ok(Event::Eof) => break Some("the property list has no end".to_owned()),
                Ok(_) => {}
                Err(error) => break Some(format!("the property list: {error}")),
            }
        };
        match said {
            Some(detail) => children.gap(None, Reason::Corrupt, detail),
            None if self.parts == 0 => {
                let detail = "no table of runs".to_owned();
                children.gap(None, Reason::Corrupt, detail)
            }
            None => Ok(()),
        }
    }

    /// Gives the partition whose table is in a dictionary.
    fn dictionary(
        &mut self,
        dictionary: &Dictionary,
        children: &mut dyn Children,
    ) -> Result<(), Halt> {
        let table = &dictionary.table;
        if table.is_empty() {
            return Ok(());
        }
        self.parts += 1;
        let name = match &dictionary.name[..] {
            b"" => format!("partition {}", self.parts).into_bytes(),
            name => name.to_vec(),
        };
        let field = |at: usize| Reader::new(table.get(at..).unwrap_or_default());
        let count = field(200).array().map(u32::from_be_bytes);
        let sectors = field(16).array().map(u64::from_be_bytes);
        let base = field(24).array().map(u64::from_be_bytes);
        let entries = table.get(TABLE..).unwrap_or_default().chunks_exact(ENTRY);
        let runs: Vec<Run> = entries.filter_map(Run::read).collect();
        if count.is_none_or(|count| count as usize != runs.len()) {
            let detail = format!("{} of {} runs are listed", runs.len(), count.unwrap_or(0));
            children.gap(Some(&name), Reason::Corrupt, detail)?;
        }
        let base = base.unwrap_or_default();
        let reads = |run: &&Run| !matches!(run.method, ZEROS | IGNORED | COMMENT | END);
        for run in runs.iter().filter(reads) {
            self.used.push((base.saturating_add(run.at), run.length));
        }
        let mut content = Partition {
            data: &self.data,
            memory: self.memory,
            base,
            runs: runs.into_iter(),
            position: 0,
            zeros: 0,
            bytes: Vec::new(),
            given: 0,
            complaints: Vec::new(),
        };
        children.child(&name, Content::Stream(&mut content))?;
        let position = content.position;
        for (reason, detail) in content.complaints {
            children.gap(Some(&name), reason, detail)?;
        }
        match sectors {
            Some(sectors) if sectors > position => {
                let detail = format!("{position} of {sectors} sectors are in a run");
                children.gap(Some(&name), Reason::Corrupt, detail)
            }
            _ => Ok(()),
        }
    }

    /// Says how much of the data is in no run. Zeros are padding.
    fn unused(&mut self, length: u64, children: &mut dyn Children) -> Result<(), Halt> {
        self.used.sort_unstable();
        self.used.push((length, 0));
        let (mut end, mut unused) = (0_u64, 0_u64);
        for (at, length) in &self.used {
            let hole = at.saturating_sub(end);
            let bytes = self.data.bytes_at(end, hole.min(PADDING) as usize)?;
            if hole > PADDING || bytes.iter().any(|byte| *byte != 0) {
                unused = unused.saturating_add(hole);
            }
            end = end.max(at.saturating_add(*length));
        }
        if unused == 0 {
            return Ok(());
        }
        let detail = format!("{unused} bytes are in no partition");
        children.gap(None, Reason::Corrupt, detail)
    }
}

/// A run of sectors.
struct Run {
    method: u32,
    sector: u64,
    sectors: u64,
    at: u64,
    length: u64,
}

impl Run {
    fn read(entry: &[u8]) -> Option<Self> {
        let mut reader = Reader::new(entry);
        let method = reader.array().map(u32::from_be_bytes)?;
        reader.take(4)?;
        let mut long = || reader.array().map(u64::from_be_bytes);
        Some(Self {
            method,
            sector: long()?,
            sectors: long()?,
            at: long()?,
            length: long()?,
        })
    }
}

/// Reads the runs of a partition.
struct Partition<'a> {
    data: &'a Object,
    memory: u64,
    base: u64,
    runs: std::vec::IntoIter<Run>,
    /// Sectors up to the end of the run at hand.
    position: u64,
    /// Zeros to be given before the bytes.
    zeros: u64,
    bytes: Vec<u8>,
    given: usize,
    complaints: Vec<(Reason, String)>,
}

impl Partition<'_> {
    fn complain(&mut self, reason: Reason, detail: String) {
        // One of each sort: an image has thousands of runs.
        if !self.complaints.iter().any(|(known, _)| *known == reason) {
            self.complaints.push((reason, detail));
        }
    }

    fn run(&mut self, run: &Run) -> io::Result<()> {
        self.bytes.clear();
        self.given = 0;
        if matches!(run.method, COMMENT | END) {
            return Ok(());
        }
        if run.sector < self.position {
            let detail = "runs that lie over each other".to_owned();
            self.complain(Reason::Corrupt, detail);
        }
        self.zeros = run
            .sector
            .saturating_sub(self.position)
            .saturating_mul(SECTOR);
        self.position = run.sector.max(self.position).saturating_add(run.sectors);
        let length = run.sectors.saturating_mul(SECTOR);
        let unsupported = |what: &str| Reason::Unsupported(format!("dmg-{what}"));
        let format = match run.method {
            ZEROS | IGNORED => {
                self.zeros = self.zeros.saturating_add(length);
                return Ok(());
            }
            STORED => None,
            ZLIB => Some(&stream::ZLIB),
            BZIP2 => Some(&stream::BZIP2),
            XZ => Some(&stream::XZ),
            ADC | LZFSE => {
                let what = if run.method == ADC { "adc" } else { "lzfse" };
                self.complain(unsupported(what), format!("from sector {}", run.sector));
                self.zeros = self.zeros.saturating_add(length);
                return Ok(());
            }
            method => {
                self.complain(unsupported("method"), format!("method {method:#x}"));
                self.zeros = self.zeros.saturating_add(length);
                return Ok(());
            }
        };
        let at = self.base.saturating_add(run.at);
        if length > RUN.min(self.memory) || run.length > RUN.min(self.memory) {
            // Only what is stored comes in such pieces: it is read bit by bit.
            return self.large(run, at, length, format.is_some());
        }
        let size = usize::try_from(run.length).unwrap_or_default();
        let most = usize::try_from(length).unwrap_or_default();
        let mut data = self.data.bytes_at(at, size)?;
        let mut damage = (data.len() < size).then(|| "a run is cut".to_owned());
        if let Some(format) = format {
            match stream::block(format, &data, &mut self.bytes, most, self.memory) {
                Err(error) if is_damage(&error) => damage = Some(error.to_string()),
                Ok(0) => {}
                Ok(rest) => damage = Some(format!("{rest} bytes behind its data")),
                Err(error) => return Err(error),
            }
        } else {
            if data.len() > most {
                damage = Some(format!("{} bytes behind its data", data.len() - most));
            }
            data.truncate(most);
            self.bytes = data;
        }
        if self.bytes.len() < most {
            damage.get_or_insert_with(|| "a run that is too short".to_owned());
            self.bytes.resize(most, 0);
        }
        if let Some(damage) = damage {
            let detail = format!("from sector {}: {damage}", run.sector);
            self.complain(Reason::Corrupt, detail);
        }
        Ok(())
    }

    /// A run that is not held as a whole: split into runs that are, or said.
    fn large(&mut self, run: &Run, at: u64, length: u64, is_packed: bool) -> io::Result<()> {
        if is_packed || run.length > length {
            let detail = format!("a run of {length} bytes");
            self.complain(Reason::Limit(Limit::Memory), detail);
            self.zeros = self.zeros.saturating_add(length);
            return Ok(());
        }
        let step = RUN.min(self.memory) / SECTOR;
        let parts: Vec<Run> = (0..run.sectors.div_ceil(step.max(1)).min(1 << 16))
            .map(|part| {
                let skipped = part * step;
                let sectors = step.min(run.sectors - skipped);
                Run {
                    method: STORED,
                    sector: run.sector.saturating_add(skipped),
                    sectors,
                    at: at.saturating_sub(self.base) + skipped * SECTOR,
                    length: sectors * SECTOR,
                }
            })
            .collect();
        // They are counted again as they come.
        self.position = run.sector.max(self.position.saturating_sub(run.sectors));
        let rest = std::mem::take(&mut self.runs);
        self.runs = parts
            .into_iter()
            .chain(rest)
            .collect::<Vec<_>>()
            .into_iter();
        Ok(())
    }
}

impl Read for Partition<'_> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        loop {
            if out.is_empty() {
                return Ok(0);
            }
            if self.zeros > 0 {
                let most = usize::try_from(self.zeros).unwrap_or(usize::MAX);
                let most = most.min(out.len());
                if let Some(out) = out.get_mut(..most) {
                    out.fill(0);
                }
                self.zeros -= most as u64;
                return Ok(most);
            }
            let count = self.bytes.get(self.given..).unwrap_or_default().read(out)?;
            self.given += count;
            if count > 0 {
                return Ok(count);
            }
            let Some(run) = self.runs.next() else {
                return Ok(0);
            };
            self.run(&run)?;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::expand::testing::{Recorder, expand, tool, withstand};
    use flate2::Compression;
    use flate2::read::ZlibEncoder;

    fn run(bytes: &[u8]) -> Recorder {
        expand(&Dmg, bytes, b"x.dmg")
    }

    /// A run: method, first sector, sectors, place, length.
    type Row = (u32, u64, u64, u64, u64);

    fn table(sectors: u64, runs: &[Row]) -> Vec<u8> {
        let mut out = b"mish\0\0\0\x01".to_vec();
        out.extend(0_u64.to_be_bytes());
        out.extend(sectors.to_be_bytes());
        out.resize(200, 0);
        out.extend(u32::try_from(runs.len()).unwrap().to_be_bytes());
        for (method, first, count, at, length) in runs {
            out.extend(method.to_be_bytes());
            out.extend([0; 4]);
            for number in [first, count, at, length] {
                out.extend(number.to_be_bytes());
            }
        }
        out
    }

    fn image(data: &[u8], name: &str, table: &[u8]) -> Vec<u8> {
        let list = format!(
            "<?xml version=\"1.0\"?><plist><dict><key>resource-fork</key><dict><key>blkx</key><array>\
             <dict><key>CFName</key><string>other</string><key>Data</key><data>\n{}\n</data>\
             <key>Name</key><string>{name}</string></dict></array></dict></dict></plist>",
            BASE64.encode(table)
        );
        let mut trailer = b"koly\0\0\0\x04\0\0\x02\0".to_vec();
        trailer.resize(TRAILER, 0);
        let length = data.len() as u64;
        trailer[32..40].copy_from_slice(&length.to_be_bytes());
        trailer[63] = 1;
        trailer[216..224].copy_from_slice(&length.to_be_bytes());
        trailer[224..232].copy_from_slice(&(list.len() as u64).to_be_bytes());
        [data, list.as_bytes(), &trailer].concat()
    }

    fn packed(bytes: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        ZlibEncoder::new(bytes, Compression::default())
            .read_to_end(&mut out)
            .unwrap();
        out
    }

    fn sample() -> Vec<u8> {
        let zlib = packed(&[b'z'; 1024]);
        let data = [&[b's'; 512][..], &zlib].concat();
        let runs = [
            (STORED, 0, 1, 0, 512),
            (ZEROS, 1, 1, 0, 0),
            (ZLIB, 2, 2, 512, zlib.len() as u64),
            (END, 4, 0, 0, 0),
        ];
        image(&data, "disk (Apple_HFS : 1)", &table(4, &runs))
    }

    #[test]
    fn runs_make_a_partition() {
        let got = run(&sample());
        let content = [&[b's'; 512][..], &[0; 512], &[b'z'; 1024]].concat();
        assert_eq!(got.gaps, []);
        assert_eq!(got.children, [(b"disk (Apple_HFS : 1)".to_vec(), content)]);
    }

    #[test]
    fn what_is_not_decoded_is_said_and_keeps_its_place() {
        let rows: [(u32, u64, &[&str]); 9] = [
            (STORED, 512, &[]),
            (STORED, 400, &["corrupt"]),
            (STORED, 9000, &["corrupt"]),
            (STORED, 513, &["corrupt"]),
            (ADC, 512, &["unsupported/dmg-adc"]),
            (LZFSE, 512, &["unsupported/dmg-lzfse"]),
            (9, 512, &["unsupported/dmg-method"]),
            (ZLIB, 512, &["corrupt"]),
            (XZ, 512, &["corrupt"]),
        ];
        for (method, length, reasons) in rows {
            let runs = [(method, 0, 1, 0, length), (STORED, 1, 1, 0, 512)];
            let got = run(&image(&[b's'; 512], "", &table(2, &runs)));
            assert_eq!(got.reasons(), reasons, "{method:#x}");
            assert_eq!(got.children[0].1[512..], [b's'; 512]);
            assert_eq!(got.names(), ["partition 1"]);
        }
        let rows: [(&[Row], &str); 5] = [
            (&[(ZEROS, 0, 2, 0, 512)], "corrupt"),
            (&[(STORED, 0, 1, 0, 512)], "corrupt"),
            (&[(STORED, 0, 2, 0, 512)], "corrupt"),
            (&[(STORED, 0, 1, 0, 512), (STORED, 0, 1, 0, 512)], "corrupt"),
            (&[(ZLIB, 0, 1 << 40, 0, 512)], "limit/expanded"),
        ];
        for (runs, reasons) in rows {
            let got = run(&image(&[b's'; 512], "a", &table(2, runs)));
            assert_eq!(got.reasons().join(" "), reasons, "{runs:?}");
        }
        let got = run(&image(
            &[b's'; 9000],
            "a",
            &table(1, &[(STORED, 0, 1, 0, 512)]),
        ));
        assert_eq!(got.reasons(), ["corrupt"]);
        assert_eq!(run(b"encrcdsa").reasons(), ["encrypted"]);
        assert!(run(b"koly").unlike);
        let mut split = sample();
        let at = split.len() - TRAILER + 63;
        split[at] = 2;
        assert_eq!(run(&split).reasons(), ["unsupported/dmg-split"]);
    }

    #[test]
    fn large_runs_that_are_stored_are_read_in_steps() {
        let sectors = 3 * RUN / SECTOR / 2;
        let data = vec![7; usize::try_from(sectors * SECTOR).unwrap()];
        let runs = [(STORED, 0, sectors, 0, sectors * SECTOR)];
        let got = run(&image(&data, "a", &table(sectors, &runs)));
        assert_eq!(got.gaps, []);
        assert!(got.children[0].1 == data);
    }

    #[test]
    fn seven_zip_reads_the_same() {
        let Some(folder) = tool("7z") else { return };
        folder.write("sample.dmg", &sample());
        folder.run("7z", &["x", "-tdmg", "-oout", "sample.dmg"]);
        let mut files = std::fs::read_dir(folder.path().join("out")).unwrap();
        let content = std::fs::read(files.next().unwrap().unwrap().path()).unwrap();
        assert_eq!(content, run(&sample()).children[0].1);
    }

    #[test]
    fn no_damage_panics() {
        assert_eq!(withstand(&Dmg, &sample(), b"x.dmg"), [0; 0]);
    }
}
