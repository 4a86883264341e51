//! Programs (PE, DOS, ELF, Mach-O): what is appended to them, what lies in their resources, and what stands anywhere else in
//! them and begins with a sound header.
//!
//! The bytes of a program are matched as they are; members are what its bytes hide: archives, installers, other programs. What
//! is told to be nothing else is looked through like a program: a script, a picture or any bytes may have an archive behind them.
#![forbid(unsafe_code)]

mod carve;
mod compressed;
mod elf;
mod emulator;
mod packers;
mod pe;
mod resources;
mod seldom;
mod sound;

use std::io;
use std::ops::Range;

use self::pe::Image;
use super::{Children, Container, Content, Expander, Halt, recognise};
use crate::bytes::Reader;
use crate::event::{Limit, Reason};
use crate::object::{Object, Probe};

/// What stands behind the end of a program, where it is a container as a whole.
const OVERLAY: &[u8] = b"(overlay)";

/// What a packed program is when it runs: its memory as a file.
const UNPACKED: &[u8] = b"(unpacked)";

/// Smaller resources hold nothing that could be opened.
const RESOURCE: u64 = 32;

/// Zeros behind a program, before what is appended.
const PADDING: usize = 64 * 1024;

/// The expander of programs.
pub(super) struct Program;

impl Expander for Program {
    fn kind(&self) -> &'static str {
        "program"
    }

    fn expand(&self, container: &Container<'_>, children: &mut dyn Children) -> Result<(), Halt> {
        let object = container.object;
        let head = object.bytes_at(0, 64)?;
        match head.get(..4) {
            Some([b'M', b'Z', ..] | b"\x7fELF") => {}
            Some([0xfe, 0xed, 0xfa, 0xce | 0xcf] | [0xce | 0xcf, 0xfa, 0xed, 0xfe]) => {}
            Some(b"\xca\xfe\xba\xbe") => return universal(object, children),
            _ => return Err(Halt::Unlike),
        }
        let image = Image::of(object)?;
        let mut parts = Parts::of(object, &head, image.as_ref())?;
        if let Some(image) = &image {
            parts.resources(object, image, children)?;
        }
        parts.overlay(container, children)?;
        parts.carve(container, children)?;
        match &image {
            Some(image) => unpack(container, image, children),
            None if is_upx(object)? => {
                let reason = Reason::Unsupported("packed-upx".to_owned());
                children.gap(None, reason, "packed by UPX".to_owned())
            }
            None => Ok(()),
        }
    }
}

/// Looks through what no row of the table knows. Not in the table: nothing is recognised, and what is not found is not missed.
pub(super) struct Carver;

impl Expander for Carver {
    fn kind(&self) -> &'static str {
        "program"
    }

    fn expand(&self, container: &Container<'_>, children: &mut dyn Children) -> Result<(), Halt> {
        let mut parts = Parts {
            ends: vec![0],
            borders: Vec::new(),
            given: Vec::new(),
        };
        parts.carve(container, children)
    }
}

/// Tells whether something may lie in a content that is told to be nothing else: bytes that are no text.
pub(super) fn may_hide(probe: &Probe) -> bool {
    /// A block is looked at as a whole: many of its bytes in one step.
    const BLOCK: usize = 512;
    let is_binary = |byte: u8| (byte < b'\t') | (byte.wrapping_sub(14) < 13);
    let any = |block: &[u8]| block.iter().fold(false, |any, byte| any | is_binary(*byte));
    probe.ends().any(|end| end.chunks(BLOCK).any(any))
}

/// Memory for a look at what nobody may open in the end.
const LOOK: u64 = 16 << 20;

/// Tells whether something lies in a part of `object`, beside what the whole is opened as.
pub(super) fn hides(object: &Object, part: &Object, probe: &Probe) -> io::Result<bool> {
    if !may_hide(probe) {
        return Ok(false);
    }
    let found = carve::things(&carve::Place {
        object: part,
        covered: &[],
        borders: &[],
        others: opened_by_others(&object.probe()?),
        memory: LOOK,
    })?;
    Ok(!found.things.is_empty() || found.left.is_some())
}

/// What is known of a program, and what of it was given.
struct Parts {
    /// The first byte behind the program, if it can be told, and other places where what is appended may begin.
    ends: Vec<u64>,
    /// Where its parts begin and end.
    borders: Vec<u64>,
    /// What was given as members.
    given: Vec<Range<u64>>,
}

impl Parts {
    fn of(object: &Object, head: &[u8], image: Option<&Image>) -> io::Result<Self> {
        let mut borders = Vec::new();
        let end = if let Some(image) = image {
            for section in &image.sections {
                borders.extend([section.raw.start, section.raw.end]);
            }
            if let Some(certificates) = image.certificates() {
                borders.extend([certificates.start, certificates.end]);
            }
            Some(image.end())
        } else if head.starts_with(b"MZ") {
            dos_end(head)
        } else {
            elf::end(object, head)?
        };
        borders.extend(end);
        borders.sort_unstable();
        let mut ends: Vec<u64> = end.into_iter().collect();
        ends.extend(image.and_then(|image| image.symbols));
        for at in ends.clone() {
            let bytes = object.bytes_at(at, PADDING)?;
            let zeros = bytes.iter().take_while(|byte| **byte == 0).count();
            ends.push(at + zeros as u64);
        }
        Ok(Self {
            ends,
            borders,
            given: Vec::new(),
        })
    }

    /// Gives the resources that are containers or programs.
    fn resources(
        &mut self,
        object: &Object,
        image: &Image,
        children: &mut dyn Children,
    ) -> Result<(), Halt> {
        let (leaves, all) = resources::leaves(object, image)?;
        for leaf in leaves {
            let (start, length) = (leaf.place.start, leaf.place.end - leaf.place.start);
            if length <= RESOURCE || self.given.last().is_some_and(|last| start < last.end) {
                continue;
            }
            let content = object.slice(start, length);
            if !is_container(&content)? {
                continue;
            }
            self.given.push(leaf.place);
            children.child(&leaf.name, Content::Object(content))?;
        }
        if all {
            return Ok(());
        }
        let detail = "more resources than programs have".to_owned();
        children.gap(None, Reason::Limit(Limit::Members), detail)
    }

    /// Gives what stands behind the program, if it is a container from its first byte on that is not found otherwise.
    fn overlay(
        &mut self,
        container: &Container<'_>,
        children: &mut dyn Children,
    ) -> Result<(), Halt> {
        let object = container.object;
        for end in self.ends.clone() {
            if end >= object.length() || carve::at(object, end, container.memory)?.is_some() {
                continue;
            }
            let border = carve::border(end, object.length(), &self.borders);
            let rest = object.slice(end, border - end);
            // Programs are found by what they are, and what PyInstaller appends by the end of the whole.
            let kinds = recognise(&rest.probe()?);
            let is_other = kinds.iter().any(|kind| kind.name != "pyinstaller");
            if Image::of(&rest)?.is_none() && is_other {
                self.given.push(end..border);
                return children.child(OVERLAY, Content::Object(rest));
            }
        }
        Ok(())
    }

    /// Gives what begins anywhere else.
    fn carve(
        &mut self,
        container: &Container<'_>,
        children: &mut dyn Children,
    ) -> Result<(), Halt> {
        let object = container.object;
        self.given.sort_unstable_by_key(|range| range.start);
        let found = carve::things(&carve::Place {
            object,
            covered: &self.given,
            borders: &self.borders,
            others: opened_by_others(&object.probe()?),
            memory: container.memory,
        })?;
        for thing in found.things {
            let name = format!("(at 0x{:x})", thing.start);
            let content = object.slice(thing.start, thing.end - thing.start);
            children.child(name.as_bytes(), Content::Object(content))?;
        }
        match found.left {
            Some(detail) => children.gap(None, Reason::Limit(Limit::Members), detail),
            None => Ok(()),
        }
    }
}

/// UPX marks the stub at the start of a program that is none of PE, and the end of the file.
fn is_upx(object: &Object) -> io::Result<bool> {
    const MARK: &[u8] = b"UPX!";
    const START: usize = 4096;
    const END: usize = 64;
    let start = object.bytes_at(0, START)?;
    let end = object.bytes_at(object.length().saturating_sub(END as u64), END)?;
    Ok([start, end]
        .iter()
        .all(|bytes| memchr::memmem::find(bytes, MARK).is_some()))
}

/// Gives what a packed program is when it runs.
fn unpack(
    container: &Container<'_>,
    image: &Image,
    children: &mut dyn Children,
) -> Result<(), Halt> {
    /// The longest of the beginnings by which packers are told.
    const ENTRY: usize = 64;
    /// More headers than any program has.
    const HEADERS: usize = 0x1000;
    let object = container.object;
    let entry = match image.place(image.entry.into()) {
        Some(at) => object.bytes_at(at, ENTRY)?,
        None => Vec::new(),
    };
    let Some(packer) = packers::of(image, &entry) else {
        return Ok(());
    };
    let reason = Reason::Unsupported(format!("packed-{}", packer.to_lowercase()));
    if !image.is_i386() {
        return children.gap(None, reason, format!("packed by {packer}"));
    }
    let Some(ran) = emulator::run(object, image, container.memory)? else {
        let detail = format!("packed by {packer}, {} bytes in memory", image.size);
        return children.gap(None, Reason::Limit(Limit::Memory), detail);
    };
    let (entry, missed) = match ran.entry {
        Ok(entry) => (entry, None),
        Err(why) => (0, Some(why)),
    };
    if ran.wrote {
        let head = object.bytes_at(0, usize::try_from(image.headers).unwrap_or(0).min(HEADERS))?;
        let unpacked = image.unpacked(&head, ran.memory, entry);
        children.child(UNPACKED, Content::Stream(&mut unpacked.as_slice()))?;
    }
    match missed {
        Some(why) => children.gap(None, reason, format!("packed by {packer}: {why}")),
        None => Ok(()),
    }
}

/// The magics of the archives that are opened already, by what stands at the end of the program.
fn opened_by_others(probe: &Probe) -> Vec<&'static [u8]> {
    let mut magics: Vec<&[u8]> = Vec::new();
    for kind in recognise(probe) {
        match kind.name {
            "zip" => magics.push(b"PK\x03\x04"),
            "RAR" => magics.extend([&b"Rar!"[..], b"RE\x7e\x5e"]),
            _ => {}
        }
    }
    magics
}

fn is_container(content: &Object) -> io::Result<bool> {
    Ok(!recognise(&content.probe()?).is_empty())
}

/// Where a program for DOS ends: pages of 512 bytes, of which the last may be shorter.
fn dos_end(head: &[u8]) -> Option<u64> {
    let mut reader = Reader::new(head.get(2..)?);
    let (last, pages) = (u64::from(reader.u16_le()?), u64::from(reader.u16_le()?));
    let length = pages * 512;
    Some(match last {
        0 => length,
        last => length.saturating_sub(512) + last.min(512),
    })
}

/// Programs in a universal binary: each is a content of its own.
fn universal(object: &Object, children: &mut dyn Children) -> Result<(), Halt> {
    /// A Java class has its version in this place.
    const MOST: u32 = 31;
    let head = object.bytes_at(4, 4 + MOST as usize * 20)?;
    let mut reader = Reader::new(&head);
    let mut number = || reader.array().map(u32::from_be_bytes);
    let Some(count @ 1..=MOST) = number() else {
        return Err(Halt::Unlike);
    };
    for _ in 0..count {
        let row = (number(), number(), number(), number(), number());
        let (Some(processor), Some(_), Some(at), Some(length), Some(_)) = row else {
            let detail = "the list of programs is cut".to_owned();
            return children.gap(None, Reason::Corrupt, detail);
        };
        let name = format!("(processor {processor:#x} at {at:#x})");
        let content = object.slice(at.into(), length.into());
        let there = content.length();
        children.child(name.as_bytes(), Content::Object(content))?;
        if there < u64::from(length) {
            let detail = format!("{there} of {length} bytes are there");
            children.gap(Some(name.as_bytes()), Reason::Corrupt, detail)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
