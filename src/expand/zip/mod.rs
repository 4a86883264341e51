//! zip: PKWARE APPNOTE 6.3.10, with what it leaves open read as most readers do.
//!
//! A cursor of its own rather than the zip crate's: a directory is not held in memory, headers that disagree are told,
//! and an archive without a usable directory still gives its members. The crate decodes the rarer methods, and is the
//! oracle of the tests.
#![forbid(unsafe_code)]

mod crypt;
mod decode;
mod directory;
mod opendocument;
mod readings;
mod streamed;
mod unlisted;

pub(super) use self::directory::may_end;
use self::directory::{Directory, Entry, Found, LOCAL, Local, STREAMED};
use self::opendocument::Watch;
use self::unlisted::Listed;
use super::{Children, Container, Expander, Halt, Member, behind_padding, trailing};
use crate::event::{NoteKind, Reason};
use crate::object::{HEAD, Object};

/// In front of the first header when an archive was meant for several disks (§8.5.3, §8.5.4).
const SPANNING: [&[u8]; 2] = [b"PK\x07\x08", b"PK00"];

/// Headers that libarchive reads past to the first member.
const PASSED: [&[u8]; 4] = [b"PK\x07\x08", b"PK00", b"PK\x01\x02", b"PK\x06\x06"];

/// Entries of a further directory that are asked whether they lead to a member.
const ASKED: usize = 1000;

/// The expander of zip.
pub(super) struct Zip;

impl Expander for Zip {
    fn kind(&self) -> &'static str {
        "zip"
    }

    fn expand(&self, container: &Container<'_>, children: &mut dyn Children) -> Result<(), Halt> {
        let mut watch = Watch::new(children);
        let done = open(container, &mut watch);
        if !matches!(done, Err(Halt::Item)) {
            watch.finish()?;
        }
        done
    }
}

fn open(container: &Container<'_>, children: &mut dyn Children) -> Result<(), Halt> {
    let object = container.object;
    let first = first_header(object)?;
    match (Directory::find(object)?, first) {
        // With members in front, a directory of none hides them.
        (Found::Directories(found, split), first)
            if first.is_none() || found.iter().any(|directory| directory.count > 0) =>
        {
            central(container, &found, children)?;
            if split {
                let reason = Reason::Unsupported("zip-split".to_owned());
                children.gap(None, reason, "one of several parts".to_owned())?;
            }
            Ok(())
        }
        (Found::Split, first) => {
            let reason = Reason::Unsupported("zip-split".to_owned());
            children.gap(None, reason, "one of several parts".to_owned())?;
            first.map_or(Ok(()), |at| {
                streamed::walk(container, at, children).map(drop)
            })
        }
        (_, Some(at)) => {
            let is_cut = streamed::walk(container, at, children)?;
            let spans = SPANNING.map(|marker| marker.len() as u64).contains(&at);
            if spans || is_cut {
                // Without the mark, a part is like an archive that is cut.
                let reason = Reason::Unsupported("zip-split".to_owned());
                children.gap(None, reason, "the first of several parts".to_owned())?;
            }
            children.gap(None, Reason::Corrupt, "no central directory".to_owned())
        }
        (_, None) => Err(Halt::Unlike),
    }
}

/// Where the first local header is, when the content begins with one, or with what may stand before it.
fn first_header(object: &Object) -> std::io::Result<Option<u64>> {
    let head = object.bytes_at(0, LOCAL.len())?;
    if head.starts_with(LOCAL) {
        return Ok(Some(0));
    }
    if !PASSED.contains(&head.as_slice()) {
        return Ok(None);
    }
    let head = object.part(0, HEAD)?;
    Ok(memchr::memmem::find(&head, LOCAL).map(|at| at as u64))
}

/// Gives the members as the central directories list them, and those that none lists.
fn central(
    container: &Container<'_>,
    directories: &[Directory],
    children: &mut dyn Children,
) -> Result<(), Halt> {
    let object = container.object;
    let mut listed = Listed::default();
    let mut readings = 0_u32;
    for (index, directory) in directories.iter().enumerate() {
        // What lies in a stored member whose own end it is near is that member's, and followed when it is opened.
        // Within a packed member its letters may stand legible, and then its offsets lead to nothing.
        if listed.stores(directory.record) || (index > 0 && !leads(object, directory)?) {
            continue;
        }
        readings += u32::from(entries(container, directory, &mut listed, children)?);
    }
    if readings > 1 {
        let detail = format!("{readings} central directories with members of their own");
        children.note(NoteKind::Ambiguous("zip-directories".to_owned()), detail)?;
    }
    unlisted::give(container, listed, children)?;
    directories.first().map_or(Ok(()), |directory| {
        let count = u64::try_from(directory.trailing).unwrap_or_default();
        let from = object.length().saturating_sub(count);
        match first_header(object)? {
            Some(_) => trailing(object, from, children),
            // It lies in something else, to which the rest belongs.
            None => behind_padding(object, from, children),
        }
    })
}

/// Whether there is a local header where at least one entry of `directory` says; taken for true of one so long that
/// asking all is work.
fn leads(object: &Object, directory: &Directory) -> std::io::Result<bool> {
    let mut entries = directory.entries(object)?;
    for _ in 0..ASKED {
        let Some(entry) = entries.next()? else {
            return Ok(false);
        };
        let at = entry.offset.checked_add_signed(directory.prefix);
        if at.map_or(Ok(None), |at| Local::read(object, at))?.is_some() {
            return Ok(true);
        }
    }
    Ok(true)
}

/// Gives the members of one directory; true if there were any that no directory before it had.
fn entries(
    container: &Container<'_>,
    directory: &Directory,
    listed: &mut Listed,
    children: &mut dyn Children,
) -> Result<bool, Halt> {
    let mut entries = directory.entries(container.object)?;
    let mut new = false;
    let mut count = 0_u64;
    while let Some(entry) = entries.next()? {
        count = count.saturating_add(1);
        new |= member(container, directory.prefix, &entry, listed, children)?;
    }
    listed.add(
        directory.start,
        directory.end.saturating_sub(entries.left()),
    );
    let counted = if directory.short_count {
        count & 0xffff
    } else {
        count
    };
    if counted != directory.count && new {
        let detail = format!("{count} of {} entries are there", directory.count);
        children.gap(None, Reason::Corrupt, detail)?;
    }
    Ok(new)
}

/// Gives one member; true unless it was given before.
fn member(
    container: &Container<'_>,
    prefix: i64,
    entry: &Entry,
    listed: &mut Listed,
    children: &mut dyn Children,
) -> Result<bool, Halt> {
    let object = container.object;
    let name = Some(entry.name.as_slice());
    children.about(&about(entry))?;
    if entry.disk != 0 {
        let reason = Reason::Unsupported("zip-split".to_owned());
        children.gap(name, reason, format!("in part {}", entry.disk))?;
        return Ok(true);
    }
    let at = entry.offset.checked_add_signed(prefix);
    let Some((at, local)) = at.map_or(Ok(None), |at| located(object, at))? else {
        let detail = format!("no local header at byte {}", entry.offset);
        children.gap(name, Reason::Corrupt, detail)?;
        return Ok(true);
    };
    let end = local.data_at.saturating_add(entry.compressed);
    // Where the headers disagree about the size, what is behind the shorter may be another member.
    let shorter = match local.entry.flags & STREAMED {
        0 => end.min(local.data_at.saturating_add(local.entry.compressed)),
        _ => end,
    };
    let known = listed.add(at, shorter.min(object.length()));
    if known || entry.is_folder() {
        return Ok(!known);
    }
    let differs = entry.disagreement(&local.entry);
    // Of a member whose sizes come after its content; one that is cut has no end.
    let streamed = local.entry.flags & STREAMED != 0;
    let ends = !streamed || end > object.length() || entry.ends_at(object, end)?;
    let agree = differs.is_none() && ends;
    if entry.method == decode::STORED && entry.encryption().is_none() && agree {
        listed.add_stored(local.data_at, end.min(object.length()));
    }
    readings::give(entry, &local, differs, ends, container, children)?;
    Ok(true)
}

/// What a header says.
fn about(entry: &Entry) -> Member<'_> {
    Member {
        name: &entry.name,
        listed: None,
        compressed: Some(entry.compressed),
        size: Some(entry.size),
        encrypted: entry.encryption().is_some(),
        folder: entry.is_folder(),
    }
}

fn located(object: &Object, at: u64) -> std::io::Result<Option<(u64, Local)>> {
    Ok(Local::read(object, at)?.map(|local| (at, local)))
}

#[cfg(test)]
mod tests;
