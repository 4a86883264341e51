//! What a container is more closely: office documents by the names of their zip members, the forms of tar and cpio.
//!
//! Members are seen as far as the head reaches. Office programs write the telling ones first.
#![forbid(unsafe_code)]

use crate::bytes::Reader;
use crate::object::Probe;

/// Local headers that are looked at.
const MEMBERS: usize = 256;

/// Tells whether a member's name and the bytes behind it hold.
fn any_member(probe: &Probe, holds: impl Fn(&[u8], &[u8]) -> bool) -> bool {
    let mut members = memchr::memmem::find_iter(&probe.head, b"PK\x03\x04").take(MEMBERS);
    members.any(|at| {
        let mut reader = Reader::new(probe.head.get(at..).unwrap_or_default());
        let lengths = reader.take(26).and_then(|_| {
            let name = reader.u16_le()?;
            Some((name, reader.u16_le()?))
        });
        lengths.is_some_and(|(name, extra)| {
            let name = reader.take(name.into()).unwrap_or_default();
            let content = reader.take(extra.into()).map(|_| reader.rest());
            holds(name, content.unwrap_or_default())
        })
    })
}

fn named(probe: &Probe, start: &[u8]) -> bool {
    any_member(probe, |name, _| name.starts_with(start))
}

pub(super) fn word(probe: &Probe) -> bool {
    named(probe, b"word/")
}

pub(super) fn excel(probe: &Probe) -> bool {
    named(probe, b"xl/")
}

pub(super) fn powerpoint(probe: &Probe) -> bool {
    named(probe, b"ppt/")
}

pub(super) fn hangul(probe: &Probe) -> bool {
    named(probe, b"Contents/content.hpf")
}

/// The first member says what it is, as it is.
fn says(probe: &Probe, start: &[u8]) -> bool {
    any_member(probe, |name, content| {
        name == b"mimetype" && content.starts_with(start)
    })
}

pub(super) fn open_document(probe: &Probe) -> bool {
    says(probe, b"application/vnd.oasis.opendocument.")
}

pub(super) fn epub(probe: &Probe) -> bool {
    says(probe, b"application/epub+zip")
}

pub(super) fn jar(probe: &Probe) -> bool {
    named(probe, b"META-INF/MANIFEST.MF")
}

pub(super) fn posix_tar(probe: &Probe) -> bool {
    probe.head.get(257..262) == Some(b"ustar")
}

pub(super) fn cpio_newc(probe: &Probe) -> bool {
    probe.head.starts_with(b"070701")
}

pub(super) fn cpio_crc(probe: &Probe) -> bool {
    probe.head.starts_with(b"070702")
}

pub(super) fn cpio_odc(probe: &Probe) -> bool {
    probe.head.starts_with(b"070707")
}
