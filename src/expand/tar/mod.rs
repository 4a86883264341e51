//! tar: POSIX ustar and pax ("pax Interchange Format", "ustar Interchange Format"), the older v7 form and GNU's
//! extensions.
//!
//! A cursor of its own rather than the tar crate's: entries are handed out as slices of the archive, a damaged one is
//! told from the end, and what two readers see differently is said. The crate is the oracle of the tests.
#![forbid(unsafe_code)]

mod header;
mod pax;
mod sparse;

use std::io::{BufReader, Read};

use self::header::BLOCK;
pub(super) use self::header::{Header, begins_late};
use self::pax::Pax;
use self::sparse::Sparse;
use super::{Children, Container, Content, Expander, Halt, Member, behind, is_damage};
use crate::event::{Limit, Reason};
use crate::object::{HEAD, Object, ObjectReader};

/// The longest long name or extended header: a hundred times what any file system needs, and little memory.
const META_LIMIT: u64 = 1 << 20;

/// Enough for the headers of many small entries at once, little to throw away at a large one.
const BUFFER: usize = 16 * 1024;

/// The largest size that the eleven octal digits of a plain header hold.
const OCTAL_LIMIT: u64 = 1 << 33;

/// The expander of tar.
pub(super) struct Tar;

impl Expander for Tar {
    fn kind(&self) -> &'static str {
        "tar"
    }

    fn expand(&self, container: &Container<'_>, children: &mut dyn Children) -> Result<(), Halt> {
        let object = container.object;
        Archive::new(object, children).walk()
    }
}

/// The cursor.
struct Archive<'a> {
    object: &'a Object,
    children: &'a mut dyn Children,
    input: BufReader<ObjectReader>,
    /// Where the next header is.
    at: u64,
    /// Zero blocks came before it.
    padded: bool,
    /// Where the first block is that should have been a header and is none.
    lost: Option<u64>,
    /// Where something else begins after zero blocks.
    behind: Option<u64>,
    /// The content behind a header without a readable size was given once.
    unsized_given: bool,
    /// The next header need not be here: sizes disagree, and what the smallest leaves is passed over.
    unsure: bool,
    /// What was said about the next entry.
    meta: Option<Meta>,
    global: Pax,
}

#[derive(Default)]
struct Meta {
    name: Option<Vec<u8>>,
    pax: Pax,
    /// Sizes in extended headers before the last one.
    sizes: Vec<u64>,
}

/// An entry whose header was read.
struct Entry {
    header: Header,
    name: Vec<u8>,
    /// Bytes that are said to be stored.
    size: u64,
    /// What other readers take for the size.
    others: Vec<u64>,
    /// Bytes that are there, from the first one after the header.
    stored: Object,
    pax: Pax,
}

impl<'a> Archive<'a> {
    fn new(object: &'a Object, children: &'a mut dyn Children) -> Self {
        Self {
            object,
            children,
            input: BufReader::with_capacity(BUFFER, object.raw_reader()),
            at: 0,
            padded: false,
            lost: None,
            behind: None,
            unsized_given: false,
            unsure: false,
            meta: None,
            global: Pax::default(),
        }
    }

    fn walk(&mut self) -> Result<(), Halt> {
        loop {
            let (header, filled) = self.block()?;
            if header.is_zero() {
                self.found_again()?;
                self.padded = true;
            } else if let Some(size) = header.size().filter(|_| header.checksum_holds()) {
                self.found_again()?;
                self.entry(header, size)?;
            } else if header.checksum_holds() {
                self.found_again()?;
                self.without_size(&header)?;
            } else if self.at == 0
                && !header.has_full_magic()
                && !begins_late(&self.object.bytes_at(0, HEAD)?)
            {
                return Err(Halt::Unlike);
            } else if self.padded {
                self.behind.get_or_insert(self.at);
            } else if header.has_full_magic() {
                self.unproved(&header)?;
            } else {
                // As GNU tar does: on to the next header.
                self.lost.get_or_insert(self.at);
            }
            if filled < BLOCK {
                return self.end();
            }
            self.at = self.at.saturating_add(BLOCK as u64);
        }
    }

    /// A header whose checksum is wrong: most readers look for the next one, some take it.
    fn unproved(&mut self, header: &Header) -> Result<(), Halt> {
        self.lost.get_or_insert(self.at);
        let Some(size) = header.size().filter(|size| *size > 0) else {
            return Ok(());
        };
        let content = self.object.slice(self.data_start(), size);
        self.children
            .child(&header.name(), Content::Object(content))
    }

    /// A header whose size is no number, or a negative one: for some readers the rest of the archive is its content, for others
    /// it has none.
    fn without_size(&mut self, header: &Header) -> Result<(), Halt> {
        self.padded = false;
        let name = (self
            .meta
            .take()
            .and_then(|meta| meta.pax.path.or(meta.name)))
        .unwrap_or_else(|| header.name());
        self.disagreement(&name, "a size that is no number")?;
        if std::mem::replace(&mut self.unsized_given, true) {
            return Ok(());
        }
        let content = self.object.slice(self.data_start(), u64::MAX);
        self.children.child(&name, Content::Object(content))
    }

    /// Says where there was no header, now that there is one again or the end.
    fn found_again(&mut self) -> Result<(), Halt> {
        let unsure = std::mem::take(&mut self.unsure);
        let Some(from) = self.lost.take().filter(|_| !unsure) else {
            return Ok(());
        };
        let detail = format!("no header from byte {from} to byte {}", self.at);
        self.children.gap(None, Reason::Corrupt, detail)
    }

    /// The next block, filled up with zeros, and how many bytes of it are there.
    fn block(&mut self) -> Result<(Header, usize), Halt> {
        let mut block = [0; BLOCK];
        let mut filled = 0;
        while let Some(rest) = block.get_mut(filled..).filter(|rest| !rest.is_empty()) {
            match self.input.read(rest)? {
                0 => break,
                count => filled += count,
            }
        }
        Ok((Header::new(block), filled))
    }

    /// The archive is over: what was said about an entry that does not come is a loss.
    fn end(&mut self) -> Result<(), Halt> {
        self.found_again()?;
        if self.meta.is_some() {
            let detail = "a long name or extended header without its entry".to_owned();
            self.children.gap(None, Reason::Corrupt, detail)?;
        }
        self.behind
            .map_or(Ok(()), |from| behind(self.object, from, self.children))
    }

    fn entry(&mut self, header: Header, size: u64) -> Result<(), Halt> {
        self.padded = false;
        if let Some(from) = self.behind.take() {
            let detail = format!("no header from byte {from} to byte {}", self.at);
            self.children.gap(None, Reason::Corrupt, detail)?;
        }
        match header.kind() {
            b'L' | b'K' | b'x' | b'X' | b'g' => self.meta_entry(&header, size),
            _ => {
                let entry = self.described(header, size)?;
                self.content_entry(entry)
            }
        }
    }

    /// Puts together what the header and those before it say.
    fn described(&mut self, header: Header, size: u64) -> Result<Entry, Halt> {
        let meta = self.meta.take().unwrap_or_default();
        let pax = meta.pax;
        let path = pax.sparse.name.clone().or_else(|| pax.path.clone());
        let path = path.or(meta.name).or_else(|| self.global.path.clone());
        let name = path.unwrap_or_else(|| header.name());
        if !header.has_plain_size() {
            self.disagreement(&name, "how the size is written")?;
        }
        let told = pax.size;
        let mut others = meta.sizes;
        if !header.has_plain_size() {
            others.extend([size, 0]);
        }
        if let Some(global) = self.global.size
            && global != told.unwrap_or(size)
        {
            // Some readers take it for every entry, some for none.
            self.disagreement(&name, "size in the header and for all entries")?;
            others.extend([global, size]);
        }
        // A writer that needs the record leaves the field empty or full; with two small sizes, readers go two ways.
        if told.is_some_and(|told| told != size && size != 0 && told.max(size) < OCTAL_LIMIT) {
            self.disagreement(&name, "size in the header and in its extended header")?;
            others.push(size);
        }
        let size = told.unwrap_or(size);
        others.retain(|other| *other != size);
        others.dedup();
        Ok(Entry {
            stored: self.object.slice(self.data_start(), u64::MAX),
            header,
            name,
            size,
            others,
            pax,
        })
    }

    /// Says what two readers see differently. What each takes for the content is given, but they go on at other places, and only
    /// one of these is followed.
    fn disagreement(&mut self, name: &[u8], what: &str) -> Result<(), Halt> {
        let reason = Reason::Unsupported("tar-disagreement".to_owned());
        self.children.gap(Some(name), reason, what.to_owned())
    }

    fn data_start(&self) -> u64 {
        self.at.saturating_add(BLOCK as u64)
    }

    fn content_entry(&mut self, entry: Entry) -> Result<(), Halt> {
        let kind = entry.header.kind();
        let old_folder = entry.size == 0 && entry.name.ends_with(b"/");
        if !matches!(kind, b'1'..=b'6' | b'V') && !old_folder {
            self.children.about(&Member {
                name: &entry.name,
                listed: None,
                compressed: Some(entry.size),
                size: Some(entry.size),
                encrypted: false,
                folder: false,
            })?;
        }
        if kind == b'S' {
            return self.old_sparse(&entry);
        }
        if entry.header.has_old_map() {
            // Some readers go by the map alone.
            self.disagreement(&entry.name, "a map of pieces in a file that is not sparse")?;
            if let Ok((mut sparse, _)) = Sparse::old(&entry.header, &entry.stored, entry.size) {
                self.children
                    .child(&entry.name, Content::Stream(&mut sparse))?;
            }
        }
        if matches!(kind, b'1'..=b'6') {
            return self.bodiless(&entry);
        }
        if kind == b'V' && entry.size == 0 {
            return Ok(());
        }
        if entry.pax.sparse.is_used() {
            self.pax_sparse(&entry)?;
        } else if !old_folder {
            let content = entry.stored.slice(0, entry.size);
            self.children.child(&entry.name, Content::Object(content))?;
        }
        for other in entry.others.iter().filter(|other| **other > 0) {
            let content = entry.stored.slice(0, *other);
            self.children.child(&entry.name, Content::Object(content))?;
        }
        if kind == b'M' {
            let detail = "begins in another volume".to_owned();
            self.children.gap(Some(&entry.name), part(), detail)?;
        }
        if let Some(least) = entry
            .others
            .iter()
            .min()
            .filter(|least| **least < entry.size)
        {
            // Whoever believes it sees a header in what others take for content.
            let least = *least;
            self.missing(&entry.name, &entry.stored, entry.size)?;
            self.unsure = true;
            return self.skip(least);
        }
        self.missing(&entry.name, &entry.stored, entry.size)?;
        self.skip(entry.size)
    }

    /// Links, devices and folders have no content. With a size, some readers pass over as much and some do not, which is
    /// said; but all know that a hard link has the size of the file that it leads to.
    fn bodiless(&mut self, entry: &Entry) -> Result<(), Halt> {
        let is_hard_link = entry.header.kind() == b'1';
        let follows = entry.size == 0 || self.header_follows()?;
        if entry.size == 0 || (is_hard_link && follows) {
            return Ok(());
        }
        self.disagreement(&entry.name, "a size where there is no content")?;
        let content = entry.stored.slice(0, entry.size);
        self.children.child(&entry.name, Content::Object(content))?;
        self.unsure = true;
        Ok(())
    }

    /// True when a header or the end comes where the content should be.
    fn header_follows(&mut self) -> Result<bool, Halt> {
        let block = self.object.bytes_at(self.data_start(), BLOCK)?;
        let Ok(block) = <[u8; BLOCK]>::try_from(block) else {
            return Ok(true);
        };
        let header = Header::new(block);
        Ok(header.is_zero() || header.checksum_holds())
    }

    fn old_sparse(&mut self, entry: &Entry) -> Result<(), Halt> {
        match Sparse::old(&entry.header, &entry.stored, entry.size) {
            Ok((mut sparse, taken)) => {
                self.sparse(&entry.name, &mut sparse)?;
                if !entry.header.is_gnu() {
                    // Only where GNU's own fields are is there a map; for most readers this is a plain file.
                    self.disagreement(&entry.name, "a sparse file in a header that is not GNU's")?;
                    let content = entry.stored.slice(0, entry.size);
                    self.children.child(&entry.name, Content::Object(content))?;
                    self.missing(&entry.name, &entry.stored, entry.size)?;
                    return self.skip(entry.size);
                }
                let stored = entry.stored.slice(taken, u64::MAX);
                self.missing(&entry.name, &stored, entry.size)?;
                self.skip(taken.saturating_add(entry.size))
            }
            Err(error) => {
                self.unreadable_sparse(entry, error)?;
                self.missing(&entry.name, &entry.stored, entry.size)?;
                self.skip(entry.size)
            }
        }
    }

    fn pax_sparse(&mut self, entry: &Entry) -> Result<(), Halt> {
        match Sparse::pax(&entry.pax.sparse, &entry.stored.slice(0, entry.size)) {
            Ok(mut sparse) => self.sparse(&entry.name, &mut sparse),
            Err(error) => self.unreadable_sparse(entry, error),
        }
    }

    fn sparse(&mut self, name: &[u8], sparse: &mut Sparse) -> Result<(), Halt> {
        self.children.child(name, Content::Stream(sparse))?;
        match sparse.leftover() {
            0 => Ok(()),
            count => {
                let detail = format!("{count} stored bytes that are in no piece of the file");
                self.children.gap(Some(name), Reason::Corrupt, detail)
            }
        }
    }

    /// Where the pieces belong cannot be read: they are given as they lie there.
    fn unreadable_sparse(&mut self, entry: &Entry, error: std::io::Error) -> Result<(), Halt> {
        if !is_damage(&error) {
            return Err(error.into());
        }
        let content = entry.stored.slice(0, entry.size);
        self.children.child(&entry.name, Content::Object(content))?;
        let reason = Reason::Unsupported("tar-sparse".to_owned());
        self.children
            .gap(Some(&entry.name), reason, error.to_string())
    }

    /// Says what is not there of `size` bytes.
    fn missing(&mut self, name: &[u8], stored: &Object, size: u64) -> Result<(), Halt> {
        if stored.length() >= size {
            return Ok(());
        }
        let detail = format!("{} of {size} bytes are there", stored.length());
        // A volume of several ends with a whole block, and is else like an archive that is cut.
        let reason = if self.object.length().is_multiple_of(BLOCK as u64) {
            part()
        } else {
            Reason::Corrupt
        };
        self.children.gap(Some(name), reason, detail)
    }

    fn meta_entry(&mut self, header: &Header, size: u64) -> Result<(), Halt> {
        let stored = self.object.slice(self.data_start(), size);
        if size > META_LIMIT {
            let detail = format!("long name or extended header of {size} bytes");
            let reason = Reason::Limit(Limit::Memory);
            self.children.gap(None, reason, detail)?;
        } else if stored.length() < size {
            let detail = "long name or extended header is cut".to_owned();
            self.children.gap(None, Reason::Corrupt, detail)?;
        } else {
            // Bounded by META_LIMIT.
            let text = stored.bytes_at(0, usize::try_from(size).unwrap_or_default())?;
            self.meta(header.kind(), &text)?;
        }
        self.skip(size)
    }

    fn meta(&mut self, kind: u8, text: &[u8]) -> Result<(), Halt> {
        let mut pax = Pax::default();
        let well = match kind {
            b'g' => {
                let well = pax.read(text);
                self.global = Pax {
                    path: pax.path.or(self.global.path.take()),
                    size: pax.size.or(self.global.size),
                    ..Pax::default()
                };
                well
            }
            b'L' => {
                let name = header::terminated(text).to_vec();
                self.meta.get_or_insert_default().name = Some(name);
                true
            }
            b'K' => true,
            _ => {
                let well = pax.read(text);
                let before = self.meta.get_or_insert_default();
                let again = before.pax.size.is_some() || before.pax.sparse.is_used();
                before.sizes.extend(before.pax.size);
                before.pax = pax;
                if again {
                    // Of several for one entry, readers take the first, the last, or all.
                    let reason = Reason::Unsupported("tar-disagreement".to_owned());
                    let detail = "several extended headers for one entry".to_owned();
                    self.children.gap(None, reason, detail)?;
                }
                well
            }
        };
        if well {
            return Ok(());
        }
        let detail = "extended header with a bad record".to_owned();
        self.children.gap(None, Reason::Corrupt, detail)
    }

    /// Goes on to the header after `size` bytes of content, or to the end.
    fn skip(&mut self, size: u64) -> Result<(), Halt> {
        let padded = size.checked_next_multiple_of(BLOCK as u64);
        let left = self.object.length().saturating_sub(self.data_start());
        let by = padded.unwrap_or(u64::MAX).min(left);
        self.at = self.at.saturating_add(by);
        let by = i64::try_from(by).map_err(|_| Halt::Broken("longer than any file".to_owned()))?;
        self.input.seek_relative(by)?;
        Ok(())
    }
}

/// The archive is one volume of several.
fn part() -> Reason {
    Reason::Unsupported("tar-part".to_owned())
}

#[cfg(test)]
mod tests;
