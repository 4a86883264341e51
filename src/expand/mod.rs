//! Containers: what is recognised by its content, and how its members are handed out.
//!
//! An expander gives each member, in stored order, to a [`Children`], which reads it, pays for it and looks into it. It never
//! sees a limit, a signature or a verdict. What it cannot decode it says with a gap, and goes on.
#![forbid(unsafe_code)]

use std::cell::Cell;
use std::io::{self, Read};

mod activemime;
mod apple;
mod ar;
mod arj;
mod binhex;
mod cab;
mod chm;
mod cms;
mod cpio;
mod crc16;
#[cfg(test)]
mod damage;
mod dmg;
mod extents;
mod gzip;
mod huffman;
mod inflate;
mod installshield;
mod iso;
mod lha;
mod lines;
mod lzh;
mod mailbox;
mod mbox;
mod mime;
mod nsis;
mod number;
mod ole1;
mod ole2;
mod onenote;
#[cfg(test)]
mod oracle;
mod passwords;
mod pdf;
mod pgp;
mod program;
mod pyinstaller;
mod rar;
mod recognise;
mod rpm;
mod rtf;
mod sevenz;
mod sis;
mod sparse;
mod squashfs;
mod stream;
mod swf;
mod tar;
#[cfg(test)]
mod testing;
mod tnef;
mod transfer;
mod udf;
mod uu;
mod wim;
mod window;
mod xar;
mod yenc;
mod zip;

use crate::event::{NoteKind, Reason};
use crate::kind::Kind;
use crate::object::{CHUNK, Object, Probe};

pub use mime::{is_mail, is_mime};
pub use passwords::{Effort, Passwords};
pub use recognise::recognise;

/// Takes the members of a container; the walk is the one that does.
pub trait Children {
    /// Takes one member. `content` is read to its end before this returns, unless the member is unwanted or broken:
    /// an error while it is read becomes the member's gap, and the expander goes on with the next.
    ///
    /// # Errors
    /// [`Halt::Item`] when nothing more of this item is wanted; the expander passes it on at once.
    fn child(&mut self, name: &[u8], content: Content<'_>) -> Result<(), Halt>;

    /// Tells what the container says of a member, in stored order, before the member itself is given or its gap said. The walk
    /// counts them.
    ///
    /// # Errors
    /// As [`Children::child`].
    fn about(&mut self, member: &Member<'_>) -> Result<(), Halt> {
        let _ = member;
        Ok(())
    }

    /// Says that a member (or with `None` a part of the container itself) could not be examined.
    ///
    /// # Errors
    /// As [`Children::child`].
    fn gap(&mut self, member: Option<&[u8]>, reason: Reason, detail: String) -> Result<(), Halt>;

    /// Says that something is behind the end of the container, which is none of it.
    ///
    /// # Errors
    /// As [`Children::child`].
    fn surplus(&mut self, detail: String) -> Result<(), Halt> {
        self.gap(None, Reason::Corrupt, detail)
    }

    /// Says something worth knowing about the container.
    ///
    /// # Errors
    /// As [`Children::child`].
    fn note(&mut self, kind: NoteKind, detail: String) -> Result<(), Halt>;

    /// Offers words that may open what is encrypted among the members that follow, the likeliest first.
    fn words(&mut self, _words: Vec<Vec<u8>>) {}
}

/// What a container says of a member, true or not.
#[derive(Debug, Clone, Copy, Default)]
pub struct Member<'a> {
    /// Its name.
    pub name: &'a [u8],
    /// Its name as the container has it, where that is another.
    pub listed: Option<&'a [u8]>,
    /// Its length as it lies in the container.
    pub compressed: Option<u64>,
    /// Its length.
    pub size: Option<u64>,
    /// It is encrypted.
    pub encrypted: bool,
    /// It is a folder, which has a place among the others.
    pub folder: bool,
}

/// The content of a member.
pub enum Content<'a> {
    /// It lies in its container as it is.
    Object(Object),
    /// It has to be decoded. An error with a number of the operating system is the container's own
    /// ([`Reason::Unreadable`]); any other means that the member is damaged ([`Reason::Corrupt`]) from there on.
    Stream(&'a mut dyn Read),
}

/// Why an expander ends before the end of its container.
#[derive(Debug)]
pub enum Halt {
    /// The container cannot be followed further: the gap [`Reason::Corrupt`], with this detail. What was given before
    /// stays.
    Broken(String),
    /// Reading the container failed.
    Io(io::Error),
    /// Nothing more of this item is wanted; why has been said.
    Item,
    /// The content only looked like this container: it is no container, and no gap.
    Unlike,
}

impl From<io::Error> for Halt {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

/// One container format.
pub trait Expander: Sync {
    /// Its row in [`KINDS`](crate::kind::KINDS), by name.
    fn kind(&self) -> &'static str;

    /// Gives the members of `container` to `children`.
    ///
    /// # Errors
    /// A [`Halt`], when it ends early.
    fn expand(&self, container: &Container<'_>, children: &mut dyn Children) -> Result<(), Halt>;
}

/// What is opened, and with what.
#[derive(Debug, Clone, Copy)]
pub struct Container<'a> {
    /// Its content.
    pub object: &'a Object,
    /// Its own name, for formats whose member has none.
    pub name: &'a ContainerName<'a>,
    /// What is tried on members that are encrypted.
    pub passwords: &'a Passwords<'a>,
    /// The most bytes of memory that a decoder may take. What needs more is the gap `limit/memory`.
    pub memory: u64,
}

/// The name of a container, which remembers whether it was asked for: only then may anything that is said of the members hang on it.
#[derive(Debug)]
pub struct ContainerName<'a> {
    text: &'a [u8],
    asked: Cell<bool>,
}

impl<'a> ContainerName<'a> {
    /// A name that nobody has asked for.
    pub fn new(text: &'a [u8]) -> Self {
        Self {
            text,
            asked: Cell::new(false),
        }
    }

    /// The name.
    pub fn get(&self) -> &'a [u8] {
        self.asked.set(true);
        self.text
    }

    /// Tells whether anybody has asked for it.
    pub fn was_asked(&self) -> bool {
        self.asked.get()
    }
}

/// Every expander of this build. Which one is tried is decided by [`recognise`], so the order does not matter.
pub static EXPANDERS: &[&dyn Expander] = &[
    &activemime::ActiveMime,
    &apple::AppleSingle,
    &apple::MacBinary,
    &ar::Ar,
    &arj::Arj,
    &binhex::BinHex,
    &cab::Cab,
    &chm::Chm,
    &cms::Cms,
    &cpio::Cpio,
    &dmg::Dmg,
    &gzip::Gzip,
    &installshield::InstallShield,
    &iso::Iso,
    &lha::Lha,
    &mbox::Mbox,
    &mime::Mime,
    &nsis::Nsis,
    &ole2::Ole2,
    &onenote::OneNote,
    &pdf::Pdf,
    &pgp::Pgp,
    &program::Program,
    &pyinstaller::PyInstaller,
    &rar::Rar,
    &rpm::Rpm,
    &rtf::Rtf,
    &sevenz::SevenZ,
    &sis::Sis,
    &sparse::Sparse,
    &squashfs::Squashfs,
    &stream::BZIP2,
    &stream::LZ4,
    &stream::LZIP,
    &stream::LZMA,
    &stream::LZOP,
    &stream::PACK,
    &stream::SZDD,
    &stream::XZ,
    &stream::Z,
    &stream::ZLIB,
    &stream::ZSTD,
    &swf::Swf,
    &tar::Tar,
    &tnef::Tnef,
    &udf::Udf,
    &uu::Uu,
    &wim::Wim,
    &xar::Xar,
    &yenc::YEnc,
    &zip::Zip,
];

/// What looks for archives in a content that is told to be nothing else; none for text.
pub fn carver(probe: &Probe) -> Option<&'static dyn Expander> {
    program::may_hide(probe).then_some(&program::Carver)
}

/// The expander of a kind, if this build has one.
pub fn expander(kind: &Kind) -> Option<&'static dyn Expander> {
    EXPANDERS
        .iter()
        .copied()
        .find(|expander| expander.kind() == kind.name)
}

/// What the member is called that stands behind the end of a container.
const BEHIND: &[u8] = b"(behind the end)";

/// Says what follows the end of an archive, and gives it if it is a container. Zeros are padding.
fn trailing(object: &Object, from: u64, children: &mut dyn Children) -> Result<(), Halt> {
    surplus(object, from, "archive", children)?;
    behind_padding(object, from, children)
}

/// Says that nothing could be read from `from` on, however little it is: it may be the beginning of more.
fn unread(object: &Object, from: u64, children: &mut dyn Children) -> Result<(), Halt> {
    if behind_zeros(object, from)?.is_some() {
        let count = object.length().saturating_sub(from);
        children.surplus(format!("{count} bytes after the archive"))?;
    }
    behind_padding(object, from, children)
}

/// Gives what begins at `from`, or behind zeros there, if it is a container.
fn behind_padding(object: &Object, from: u64, children: &mut dyn Children) -> Result<(), Halt> {
    let Some(first) = behind_zeros(object, from)? else {
        return Ok(());
    };
    let padded = object.slice(from, u64::MAX).probe()?;
    let at = if recognise(&padded).is_empty() {
        first
    } else {
        from
    };
    behind(object, at, children)
}

/// Bytes behind an archive that are no word worth: a line break of an editor, a checksum, what pads a message or a block.
const SURPLUS: u64 = 512;

/// Says that there is more behind the end of `what` than its format has. It was matched with all of the object, so that a little, or nothing but blanks,
/// is no damage.
fn surplus(
    object: &Object,
    from: u64,
    what: &str,
    children: &mut dyn Children,
) -> Result<(), Halt> {
    let Some(first) = first_but(object, from, |byte| byte == 0 || byte.is_ascii_whitespace())?
    else {
        return Ok(());
    };
    if object.length().saturating_sub(first) < SURPLUS {
        // What begins as the whole does is one more of its pieces, and may be cut.
        let rest = object.bytes_at(first, SURPLUS as usize)?;
        let head = object.bytes_at(0, 3)?;
        let begins = head.starts_with(rest.get(..3).unwrap_or(&rest));
        let is_piece = begins || memchr::memmem::find(&rest, &head).is_some();
        if !is_piece || head == [0; 3] {
            return Ok(());
        }
    }
    let count = object.length().saturating_sub(from);
    children.surplus(format!("{count} bytes after the {what}"))
}

/// The first byte from `from` on that is not zero.
fn behind_zeros(object: &Object, from: u64) -> io::Result<Option<u64>> {
    first_but(object, from, |byte| byte == 0)
}

fn first_but(object: &Object, from: u64, passes: fn(u8) -> bool) -> io::Result<Option<u64>> {
    let mut at = from;
    loop {
        let bytes = object.bytes_at(at, CHUNK)?;
        if let Some(place) = bytes.iter().position(|byte| !passes(*byte)) {
            return Ok(Some(at.saturating_add(place as u64)));
        }
        if bytes.is_empty() {
            return Ok(None);
        }
        at = at.saturating_add(bytes.len() as u64);
    }
}

/// Gives what begins at `from`, behind the end of the container, if it is a container in its turn: tapes and blocks are
/// padded with anything, but an archive there is what another reader opens, also when it does not begin at once.
fn behind(object: &Object, from: u64, children: &mut dyn Children) -> Result<(), Halt> {
    let rest = object.slice(from, u64::MAX);
    if !is_worth_a_look(object, &rest)? {
        return Ok(());
    }
    children.child(BEHIND, Content::Object(rest))
}

/// Tells whether a part of a container that is nobody's member is a container, or has one somewhere in it.
fn is_worth_a_look(object: &Object, part: &Object) -> io::Result<bool> {
    let probe = part.probe()?;
    Ok(!recognise(&probe).is_empty() || program::hides(object, part, &probe)?)
}

/// As [`behind`], for formats whose readers do not ask what comes behind the end, and that end with a line break. A zip is opened as the
/// other thing that the whole is.
fn appended(object: &Object, end: u64, children: &mut dyn Children) -> Result<(), Halt> {
    let line = object.bytes_at(end, 2)?;
    let breaks = line.iter().take_while(|byte| byte.is_ascii_whitespace());
    let end = end + breaks.count() as u64;
    let kinds = recognise(&object.slice(end, u64::MAX).probe()?);
    if !kinds.is_empty() && kinds.iter().all(|kind| kind.name == "zip") {
        return Ok(());
    }
    behind(object, end, children)
}

/// True where a content is told to be of a kind: what its first header says besides may be damaged.
fn is_recognised(object: &Object, kind: &str) -> io::Result<bool> {
    let kinds = recognise(&object.probe()?);
    Ok(kinds.iter().any(|known| known.name == kind))
}

/// True for an error that says how the content is, and not that reading it failed.
fn is_damage(error: &io::Error) -> bool {
    error.raw_os_error().is_none()
        && matches!(
            error.kind(),
            io::ErrorKind::InvalidData | io::ErrorKind::UnexpectedEof
        )
}

/// The error by which a decoder says that its member is damaged.
fn damaged(detail: impl Into<String>) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, detail.into())
}

/// The error by which a decoder says that its member ends too early.
fn cut_short(detail: &str) -> io::Error {
    io::Error::new(io::ErrorKind::UnexpectedEof, detail)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kind::KINDS;

    #[test]
    fn a_kind_is_built_when_it_has_an_expander() {
        for kind in KINDS {
            let built = expander(kind).is_some() || matches!(kind.name, "HTML" | "text");
            assert_eq!(kind.built, built, "{}", kind.name);
        }
        for expander in EXPANDERS {
            assert!(crate::kind::by_name(expander.kind().as_bytes()).is_some());
        }
    }
}
