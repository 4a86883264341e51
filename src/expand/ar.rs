//! ar: the Unix archive, as ar(5) has it in its System V and BSD forms; a Debian package (deb(5)) is one. One of before 1995
//! (deb-old(5)) is two archives behind two lines of text.
#![forbid(unsafe_code)]

use super::number::digits;
use super::{Children, Container, Content, Expander, Halt, behind};
use crate::event::{Limit, NoteKind, Reason};
use crate::object::Object;

const MAGIC: &[u8] = b"!<arch>\n";
const THIN: &[u8] = b"!<thin>\n";

/// Name 16, times and numbers 32, size 10, and the mark at the end.
const HEADER: usize = 60;
const MARK: &[u8] = b"`\n";

/// The longest table of long names: it is held in memory.
const TABLE_LIMIT: u64 = 16 << 20;

/// The longest name in front of a content (BSD).
const NAME_LIMIT: u64 = 1 << 16;

/// How far behind a damaged header the next one is looked for.
const SEARCH: usize = 1 << 20;

/// The expander of ar.
pub(super) struct Ar;

impl Expander for Ar {
    fn kind(&self) -> &'static str {
        "ar"
    }

    fn expand(&self, container: &Container<'_>, children: &mut dyn Children) -> Result<(), Halt> {
        let object = container.object;
        let magic = object.bytes_at(0, MAGIC.len())?;
        let thin = magic == THIN;
        if magic.starts_with(OLD_PACKAGE) {
            return give_old_package(object, children);
        }
        if !thin && magic != MAGIC {
            return Err(Halt::Unlike);
        }
        let mut archive = Archive {
            object,
            thin,
            table: None,
            at: MAGIC.len() as u64,
        };
        if thin {
            let reason = Reason::Unsupported("ar-thin".to_owned());
            let detail = "only the names of files that lie elsewhere".to_owned();
            children.gap(None, reason, detail)?;
        }
        while archive.entry(container.memory, children)? {}
        Ok(())
    }
}

/// The start of the version of an old package.
const OLD_PACKAGE: &[u8] = b"0.93";

/// Of an old Debian package: where its control archive begins, and how long that is.
pub(super) fn old_package(head: &[u8]) -> Option<(u64, u64)> {
    /// A version and a length are far shorter.
    const LINE: usize = 20;
    let mut lines = head
        .get(..2 * LINE)
        .unwrap_or(head)
        .splitn(3, |byte| *byte == b'\n');
    let (version, length, _) = (lines.next()?, lines.next()?, lines.next()?);
    let minor = version.strip_prefix(OLD_PACKAGE)?;
    let start = version.len() + length.len() + 2;
    let is_version = minor.len() < LINE && minor.iter().all(u8::is_ascii_digit);
    let length = digits(length.trim_ascii(), 10).filter(|_| is_version)?;
    Some((start as u64, length))
}

fn give_old_package(object: &Object, children: &mut dyn Children) -> Result<(), Halt> {
    let head = object.bytes_at(0, HEADER)?;
    let (start, length) = old_package(&head).ok_or(Halt::Unlike)?;
    let control = object.slice(start, length);
    let there = control.length();
    children.child(b"control.tar.gz", Content::Object(control))?;
    if there < length {
        let detail = format!("{there} of {length} bytes are there");
        return children.gap(Some(b"control.tar.gz"), Reason::Corrupt, detail);
    }
    let data = object.slice(start.saturating_add(length), u64::MAX);
    if data.length() == 0 {
        let detail = "nothing behind the control archive".to_owned();
        return children.gap(None, Reason::Corrupt, detail);
    }
    children.child(b"data.tar.gz", Content::Object(data))
}

/// The cursor.
struct Archive<'a> {
    object: &'a Object,
    thin: bool,
    /// The long names of System V, once their member was seen.
    table: Option<Vec<u8>>,
    at: u64,
}

/// A header's fields that count.
struct Header {
    name: Vec<u8>,
    size: u64,
}

impl Header {
    fn read(bytes: &[u8]) -> Option<Self> {
        let name = bytes.get(..16)?;
        let size = bytes.get(48..58)?.trim_ascii_end();
        let size = digits(size.trim_ascii_start(), 10)?;
        bytes.get(58..60)?;
        Some(Self {
            name: name.trim_ascii_end().to_vec(),
            size,
        })
    }

    /// With the mark at its end.
    fn marked(bytes: &[u8]) -> Option<Self> {
        Self::read(bytes).filter(|_| bytes.get(58..60) == Some(MARK))
    }

    /// Without its mark it is a header for some readers: all fields are text, and what it describes is there and followed by a
    /// header or the end.
    fn unmarked(object: &Object, at: u64) -> Result<Option<Self>, Halt> {
        let bytes = object.bytes_at(at, HEADER)?;
        let is_text = |byte: &u8| matches!(byte, b' '..=b'~');
        let fields = bytes
            .get(..58)
            .is_some_and(|fields| fields.iter().all(is_text));
        let Some(header) = Self::read(&bytes).filter(|_| fields) else {
            return Ok(None);
        };
        let end = at.saturating_add(HEADER as u64).saturating_add(header.size);
        let next = object.bytes_at(end.saturating_add(end & 1), HEADER)?;
        let fits = end <= object.length() && (next.is_empty() || Self::read(&next).is_some());
        Ok(Some(header).filter(|_| fits))
    }
}

impl Archive<'_> {
    /// Gives the member at the cursor; false at the end.
    fn entry(&mut self, memory: u64, children: &mut dyn Children) -> Result<bool, Halt> {
        let bytes = self.object.bytes_at(self.at, HEADER)?;
        if bytes.is_empty() || bytes == b"\n" {
            return Ok(false);
        }
        let header = match Header::marked(&bytes) {
            Some(header) => header,
            None => match Header::unmarked(self.object, self.at)? {
                Some(header) => {
                    let detail = format!("a header without its mark at byte {}", self.at);
                    children.gap(None, Reason::Corrupt, detail)?;
                    header
                }
                None => return self.lost(children),
            },
        };
        let start = self.at.saturating_add(HEADER as u64);
        let stored = self.object.slice(start, header.size);
        // A thin archive holds its tables, and nothing else.
        let is_table = matches!(
            &header.name[..],
            b"//" | b"/" | b"/SYM64/" | b"ARFILENAMES/"
        );
        if self.thin && !is_table {
            self.at = start;
            let name = self.long_name(&header).unwrap_or(header.name);
            let reason = Reason::Unsupported("ar-thin".to_owned());
            let detail = format!("{} bytes that lie elsewhere", header.size);
            children.gap(Some(&name), reason, detail)?;
            return Ok(true);
        }
        let end = start.saturating_add(header.size);
        self.at = end.saturating_add(end & 1);
        if matches!(&header.name[..], b"//" | b"ARFILENAMES/") {
            self.names(&stored, header.size, memory, children)?;
        } else if is_table {
            // The index of a linker: numbers and names of symbols. A scanner for anything at all wants it, too.
            children.child(&header.name, Content::Object(stored.clone()))?;
            self.missing(&header.name, &stored, header.size, children)?;
        } else {
            self.member(&header, &stored, children)?;
        }
        Ok(true)
    }

    fn member(
        &self,
        header: &Header,
        stored: &Object,
        children: &mut dyn Children,
    ) -> Result<(), Halt> {
        if let Some(length) = header.name.strip_prefix(b"#1/") {
            // BSD: the name stands in front of the content, and counts as part of it.
            let length = digits(length, 10).filter(|length| *length <= header.size.min(NAME_LIMIT));
            let Some(length) = length else {
                children.child(&header.name, Content::Object(stored.clone()))?;
                let detail = "a name longer than its member".to_owned();
                return children.gap(Some(&header.name), Reason::Corrupt, detail);
            };
            let name = stored.bytes_at(0, usize::try_from(length).unwrap_or_default())?;
            let name = name.split(|byte| *byte == 0).next().unwrap_or_default();
            let content = stored.slice(length, u64::MAX);
            children.child(name, Content::Object(content))?;
            if name.iter().any(u8::is_ascii_control) {
                let detail = "a name that may be the start of its content".to_owned();
                children.note(NoteKind::Ambiguous("ar-name".to_owned()), detail)?;
                children.child(&header.name, Content::Object(stored.clone()))?;
            }
            return self.missing(name, stored, header.size, children);
        }
        let (name, known) = match self.long_name(header) {
            Ok(name) => (name, true),
            Err(NoName) => (header.name.clone(), false),
        };
        children.child(&name, Content::Object(stored.clone()))?;
        if !known {
            let detail = "its name is not in the table of long names".to_owned();
            children.note(NoteKind::Ambiguous("ar-name".to_owned()), detail)?;
        }
        self.missing(&name, stored, header.size, children)
    }

    /// The name: short with a slash behind it (System V) or without (BSD), or a place in the table of long names.
    fn long_name(&self, header: &Header) -> Result<Vec<u8>, NoName> {
        let name = &header.name[..];
        let place = name.strip_prefix(b"/").filter(|place| !place.is_empty());
        if let Some(place) = place.and_then(|place| digits(place, 10)) {
            let table = self.table.as_deref().ok_or(NoName)?;
            let place = usize::try_from(place).map_err(|_| NoName)?;
            let rest = table.get(place..).ok_or(NoName)?;
            let end = rest.iter().position(|byte| matches!(byte, b'\n' | 0));
            let text = end.and_then(|end| rest.get(..end)).unwrap_or(rest);
            return Ok(text.strip_suffix(b"/").unwrap_or(text).to_vec());
        }
        let short = name.strip_suffix(b"/").unwrap_or(name);
        Ok(if short.is_empty() { name } else { short }.to_vec())
    }

    fn names(
        &mut self,
        stored: &Object,
        size: u64,
        memory: u64,
        children: &mut dyn Children,
    ) -> Result<(), Halt> {
        if stored.length() > TABLE_LIMIT.min(memory) {
            let detail = format!("table of long names of {size} bytes");
            return children.gap(None, Reason::Limit(Limit::Memory), detail);
        }
        let length = usize::try_from(stored.length()).unwrap_or_default();
        let table = stored.bytes_at(0, length)?;
        let is_text = |byte: &u8| matches!(byte, 0 | b'\n' | b'\r' | b' '..);
        if self.table.is_some() || !table.iter().all(is_text) {
            // Some readers take it for a file: the second one, or one that is no list of names.
            children.child(b"//", Content::Object(stored.clone()))?;
        }
        self.table.get_or_insert(table);
        self.missing(b"//", stored, size, children)
    }

    fn missing(
        &self,
        name: &[u8],
        stored: &Object,
        size: u64,
        children: &mut dyn Children,
    ) -> Result<(), Halt> {
        if stored.length() >= size {
            return Ok(());
        }
        let detail = format!("{} of {size} bytes are there", stored.length());
        children.gap(Some(name), Reason::Corrupt, detail)
    }

    /// There is no header where one should be: says so, and goes on to the next one. What is a container there is given.
    fn lost(&mut self, children: &mut dyn Children) -> Result<bool, Halt> {
        let rest = self.object.bytes_at(self.at, SEARCH)?;
        let next = memchr::memmem::find_iter(&rest, MARK).find_map(|mark| {
            let start = mark.checked_sub(HEADER - MARK.len())?;
            Header::marked(rest.get(start..)?)?;
            Some(start)
        });
        let from = self.at;
        let Some(next) = next else {
            let detail = format!("no header at byte {from}");
            children.gap(None, Reason::Corrupt, detail)?;
            behind(self.object, from, children)?;
            return Ok(false);
        };
        self.at = from.saturating_add(next as u64);
        let detail = format!("no header from byte {from} to byte {}", self.at);
        children.gap(None, Reason::Corrupt, detail)?;
        Ok(true)
    }
}

/// A name that is in no table.
struct NoName;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::expand::testing::{Recorder, assert_holds, expand, said, tool, tree, withstand};

    fn entry(name: &str, content: &[u8]) -> Vec<u8> {
        let size = content.len();
        let mut out =
            format!("{name:<16}{:<12}{:<6}{:<6}{:<8}{size:<10}`\n", 0, 0, 0, 644).into_bytes();
        out.extend_from_slice(content);
        if size % 2 == 1 {
            out.push(b'\n');
        }
        out
    }

    fn run(parts: &[&[u8]]) -> Recorder {
        expand(&Ar, &[MAGIC, &parts.concat()].concat(), b"x.a")
    }

    #[test]
    fn names_of_both_kinds() {
        let table = b"a/long/name/with/folders.o/\nanother name that is long.o/\n";
        let got = run(&[
            &entry("//", table),
            &entry("short.o/", b"1"),
            &entry("bsd name", b"2"),
            &entry("/0", b"3"),
            &entry("/28", b"4"),
            &entry("#1/20", b"a name of BSD\0\0\0\0\0\0\x005"),
            &entry("/", b"symbols"),
        ]);
        assert_eq!(got.gaps, []);
        let names = [
            "short.o",
            "bsd name",
            "a/long/name/with/folders.o",
            "another name that is long.o",
            "a name of BSD",
            "/",
        ];
        assert_eq!(got.names(), names);
        assert_eq!(got.children[4].1, b"5");
    }

    #[test]
    fn what_is_not_there_is_said() {
        let whole = [&entry("a/", b"content")[..], &entry("b/", b"more")].concat();
        let got = run(&[&whole[..whole.len() - 2]]);
        assert_eq!(got.names(), ["a", "b"]);
        assert_eq!(
            got.gaps,
            [said(Some(b"b"), "corrupt", "2 of 4 bytes are there")]
        );
        let huge = entry("a/", b"").replace_size(b"9999999999");
        assert_eq!(run(&[&huge]).reasons(), ["corrupt"]);
    }

    trait ReplaceSize {
        fn replace_size(self, size: &[u8; 10]) -> Self;
    }

    impl ReplaceSize for Vec<u8> {
        fn replace_size(mut self, size: &[u8; 10]) -> Self {
            self[48..58].copy_from_slice(size);
            self
        }
    }

    #[test]
    fn behind_a_damaged_header_the_next_one_is_found() {
        let mut bad = entry("b/", b"lost");
        bad[50] = b'x';
        let got = run(&[&entry("a/", b"1"), &bad, &entry("c/", b"3")]);
        assert_eq!(got.names(), ["a", "c"]);
        assert_eq!(got.reasons(), ["corrupt"]);
        let got = run(&[&entry("a/", b"12"), b"junk"]);
        assert_eq!((got.names().len(), got.reasons()), (1, vec!["corrupt"]));
    }

    #[test]
    fn a_header_without_its_mark_is_followed_and_said() {
        let mut bad = entry("b/", b"content");
        bad[58..60].copy_from_slice(b"x\0");
        for rest in [entry("c/", b"3"), Vec::new()] {
            let got = run(&[&entry("a/", b"1"), &bad, &rest]);
            assert_eq!(got.children[1], (b"b".to_vec(), b"content".to_vec()));
            assert_eq!(got.reasons(), ["corrupt"]);
        }
    }

    #[test]
    fn old_packages_are_two_archives() {
        let got = expand(&Ar, b"0.939000\n7\ncontroldata", b"x.deb");
        let children = [
            (b"control.tar.gz".to_vec(), b"control".to_vec()),
            (b"data.tar.gz".to_vec(), b"data".to_vec()),
        ];
        assert_eq!((&got.children[..], &got.gaps[..]), (&children[..], &[][..]));
        for bytes in ["0.939000\n70\ncontroldata", "0.93\n7\ncontrol"] {
            assert_eq!(expand(&Ar, bytes.as_bytes(), b"x").reasons(), ["corrupt"]);
        }
        for bytes in [
            "0.939000\n",
            "0.93x\n7\ncontrol",
            "0.93\n-7\ncontrol",
            "0.93",
        ] {
            assert!(expand(&Ar, bytes.as_bytes(), b"x").unlike, "{bytes}");
        }
    }

    #[test]
    fn what_dpkg_makes_in_the_old_form_is_read() {
        let Some(folder) = tool("dpkg-deb") else {
            return;
        };
        folder.write("p/etc/file", b"content of the package");
        folder.write(
            "p/DEBIAN/control",
            b"Package: a\nVersion: 1\nArchitecture: all\nMaintainer: a\nDescription: a\n",
        );
        folder.run(
            "dpkg-deb",
            &["--deb-format=0.939000", "-Zgzip", "-b", "p", "x.deb"],
        );
        let bytes = folder.read("x.deb");
        let kinds =
            crate::expand::recognise(&crate::expand::testing::object(&bytes).probe().unwrap());
        assert_eq!(kinds.first().map(|kind| kind.name), Some("ar"));
        let got = expand(&Ar, &bytes, b"x.deb");
        assert_eq!((got.names().len(), got.gaps), (2, vec![]));
        assert!(
            got.children
                .iter()
                .all(|(_, content)| content.starts_with(b"\x1f\x8b"))
        );
    }

    #[test]
    fn thin_archives_are_said() {
        let table = entry("//", b"where/it/lies.o/\n");
        let header = &entry("/0", b"")[..].to_vec().replace_size(b"70        ");
        let bytes = [THIN, &table, header, header].concat();
        let got = expand(&Ar, &bytes, b"x.a");
        assert_eq!(got.reasons(), ["unsupported/ar-thin"; 3]);
        assert_eq!(got.gaps[1].0.as_deref(), Some(&b"where/it/lies.o"[..]));
    }

    #[test]
    fn odd_names_keep_their_content() {
        let rows = ["/99", "/5", "#1/999", "#1/x", "#1/", "/ ", ""];
        for name in rows {
            let got = run(&[&entry(name, b"content"), &entry("last/", b"x")]);
            assert!(got.names().contains(&"last".to_owned()), "{name}");
            assert_eq!(got.children[0].1, b"content", "{name}");
        }
    }

    #[test]
    fn what_is_hardly_a_name_is_content_too() {
        let got = run(&[&entry("#1/4", b"\x1f\x8b\x08\0content")]);
        assert_eq!(got.names(), ["\u{1f}\u{fffd}\u{8}", "#1/4"]);
        assert_eq!(got.children[1].1, b"\x1f\x8b\x08\0content");
        assert_eq!(got.notes.len(), 1);
    }

    #[test]
    fn no_damage_panics() {
        let parts = [
            entry("//", b"a/long/name/with/folders.o/\n"),
            entry("/0", b"content"),
            entry("#1/4", b"name and more"),
            entry("x/", b""),
        ];
        let bytes = [MAGIC, &parts.concat()].concat();
        let mut borders = vec![MAGIC.len()];
        for part in &parts {
            // A byte of padding may be missing, as it is where some writers end.
            if part.ends_with(b"\n") && part.len() > HEADER {
                borders.push(borders.last().unwrap() + part.len() - 1);
                borders.push(borders.last().unwrap() + 1);
            } else {
                borders.push(borders.last().unwrap() + part.len());
            }
        }
        let silent = withstand(&Ar, &bytes, b"x.a");
        assert!(
            silent.iter().all(|cut| borders.contains(cut)),
            "{silent:?} {borders:?}"
        );
    }

    #[test]
    fn what_ar_itself_makes_is_read() {
        let Some(folder) = tool("ar") else { return };
        let files = tree(&folder, 3);
        let flat: Vec<_> = (files.iter())
            .map(|(name, content)| (name.rsplit('/').next().unwrap().to_owned(), content.clone()))
            .collect();
        let mut arguments = vec!["qcS", "out.a"];
        arguments.extend(files.iter().map(|(name, _)| name.as_str()));
        folder.run("ar", &arguments);
        let mut flat = flat;
        flat.sort();
        assert_holds(&expand(&Ar, &folder.read("out.a"), b"out.a"), &flat);
    }

    #[test]
    fn what_bsdtar_makes_is_read() {
        let Some(folder) = tool("bsdtar") else { return };
        let files = tree(&folder, 4);
        let names: Vec<_> = files.iter().map(|(name, _)| name.as_str()).collect();
        for format in ["arbsd", "arsvr4"] {
            let option = format!("--format={format}");
            let mut arguments = vec!["-cf", "out.a", &option];
            // libarchive's writer of System V names wants the table first, which bsdtar cannot give.
            let few: Vec<_> = if format == "arsvr4" {
                names
                    .iter()
                    .copied()
                    .filter(|name| name.len() - name.rfind('/').unwrap() < 15)
                    .collect()
            } else {
                names.clone()
            };
            arguments.extend(&few);
            folder.run("bsdtar", &arguments);
            let got = expand(&Ar, &folder.read("out.a"), b"out.a");
            assert_eq!(got.gaps, [], "{format}");
            assert_eq!(got.children.len(), few.len());
            for (name, (_, content)) in few.iter().zip(&got.children) {
                let file = files.iter().find(|file| file.0 == **name).unwrap();
                assert!(file.1 == *content, "{format} {name}");
            }
        }
    }
}
