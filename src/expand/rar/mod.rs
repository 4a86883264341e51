//! RAR, from 1.3 to 7: the container format as RARLAB's TechNote describes it.
//!
//! Headers and members are read by the rars crate, which is given what it parses in one piece: an archive whose last
//! member is cut as if the rest were there, one with a damaged header up to that header. What the crate has no call for
//! is done here: passwords that differ from member to member, the first part of a member that goes on in another file,
//! streams of NTFS beside a member.
#![forbid(unsafe_code)]

mod blocks;
mod members;
mod pass;
mod tail;

use std::io;

use rars::{Archive, ArchiveReadOptions, ArchiveReader, Error, ErrorKind};

use self::blocks::{Family, Layout, MAGIC, Source};
use self::members::{Members, What};
use self::pass::{Failure, Setting};
use super::{Children, Container, Content, Expander, Halt, trailing};
use crate::event::Reason;
use crate::object::Object;

/// What an archive's comment is called.
const COMMENT: &[u8] = b"(comment)";

/// The longest comment that is decoded: it is held in memory, and RAR writes at most a quarter of it.
const COMMENT_LIMIT: u64 = 1 << 20;

/// Where the crate, too, stops to look for an archive behind a program.
const STUB_LIMIT: u64 = 8 << 20;

/// Memory that a header takes beside its bytes, about.
const HEADER_COST: u64 = 1024;

/// More rounds for a key than 2^18 take seconds, and nothing can end them early; RAR itself uses 2^15.
const ROUNDS: u8 = 18;

/// The expander of RAR.
pub(super) struct Rar;

impl Expander for Rar {
    fn kind(&self) -> &'static str {
        "RAR"
    }

    fn expand(&self, container: &Container<'_>, children: &mut dyn Children) -> Result<(), Halt> {
        let Some(start) = start(container.object)? else {
            return Err(Halt::Unlike);
        };
        let object = container.object.slice(start, u64::MAX);
        let Some(family) = Family::of(&object.bytes_at(0, 8)?) else {
            return Err(Halt::Unlike);
        };
        let memory = container.memory;
        let layout = blocks::layout(&object, family, memory / HEADER_COST)?;
        let opened = Opened {
            object: &object,
            family,
            layout: &layout,
            container,
        };
        opened.members(children)?;
        if layout.ended && layout.end < object.length() {
            trailing(&object, layout.end, children)?;
        }
        Ok(())
    }
}

/// Where the archive begins: at once, or behind the program that unpacks it.
fn start(object: &Object) -> io::Result<Option<u64>> {
    const STEP: usize = 1 << 16;
    if Family::of(&object.bytes_at(0, 8)?).is_some() {
        return Ok(Some(0));
    }
    let mut at = 0_u64;
    while at < STUB_LIMIT {
        let bytes = object.bytes_at(at, STEP)?;
        for found in memchr::memmem::find_iter(&bytes, MAGIC) {
            let found = at.saturating_add(found as u64);
            if Family::of(&object.bytes_at(found, 8)?).is_some() {
                return Ok(Some(found));
            }
        }
        if bytes.len() < STEP {
            break;
        }
        // It may lie across the border.
        at = at.saturating_add((STEP - MAGIC.len()) as u64);
    }
    Ok(None)
}

/// Where an archive that begins at the first byte ends, and whether that is known; nothing if its first header is not sound.
pub(super) fn extent(object: &Object) -> io::Result<Option<(u64, bool)>> {
    let head = object.bytes_at(0, 4096)?;
    let Some(family) = Family::of(&head).filter(|family| blocks::is_sound(*family, &head)) else {
        return Ok(None);
    };
    let layout = blocks::layout(object, family, BLOCKS)?;
    Ok(Some((layout.end.min(object.length()), !layout.encrypted)))
}

/// Blocks that are followed to the end of an archive.
const BLOCKS: u64 = 1 << 20;

/// What is known about an archive before its headers are parsed.
struct Opened<'a> {
    object: &'a Object,
    family: Family,
    layout: &'a Layout,
    container: &'a Container<'a>,
}

/// How the headers were parsed.
struct Headers<'a> {
    archive: Archive,
    /// The archive was parsed as if it had this length.
    claimed: u64,
    password: Option<&'a [u8]>,
    damage: Option<String>,
}

impl<'a> Opened<'a> {
    fn members(&self, children: &mut dyn Children) -> Result<(), Halt> {
        if self.layout.rounds > ROUNDS {
            let detail = format!("headers, key of 2^{} rounds", self.layout.rounds);
            return children.gap(None, Reason::Encrypted, detail);
        }
        let Some(headers) = self.headers()? else {
            let detail = ["headers", self.container.passwords.untried()].concat();
            return children.gap(None, Reason::Encrypted, detail);
        };
        self.comment(&headers, children)?;
        for what in [What::Files, What::Streams] {
            Members::new(self, &headers, what).give(children)?;
        }
        members::unknown_blocks(&headers.archive, children)?;
        if let Some(damage) = headers.damage {
            children.gap(None, Reason::Corrupt, damage)?;
        } else if !self.layout.ended && !self.layout.encrypted && self.needs_an_end(&headers) {
            let detail = "no end of the archive".to_owned();
            children.gap(None, Reason::Corrupt, detail)?;
        }
        if self.layout.continues {
            let reason = Reason::Unsupported("RAR-split".to_owned());
            children.gap(None, reason, "another part follows".to_owned())?;
        }
        Ok(())
    }

    /// Archives of RAR before 3.0 just end.
    fn needs_an_end(&self, headers: &Headers<'_>) -> bool {
        let newest = members::newest(&headers.archive);
        self.layout.end != self.object.length()
            || match self.family {
                Family::Old => headers.archive.member_refs().next().is_none(),
                Family::Four => newest.is_none_or(|version| version >= 29),
                Family::Five => true,
            }
    }

    /// Nothing for headers that no password opens.
    fn headers(&self) -> Result<Option<Headers<'a>>, Halt> {
        let claimed = self.layout.end.max(self.object.length());
        let first = self.parse(None, claimed);
        let is_locked = |error: &Error| error.kind() == ErrorKind::PasswordRequired;
        let locked = first.as_ref().is_err_and(is_locked);
        let attempts = locked.then(|| {
            self.container
                .passwords
                .attempts(members::cost(self.layout.rounds))
        });
        let mut last = first.map(|archive| (archive, None));
        for password in attempts.into_iter().flatten() {
            if last.is_ok() {
                break;
            }
            last = (self.parse(Some(password), claimed)).map(|archive| (archive, Some(password)));
        }
        match last {
            Ok((archive, password)) => Ok(Some(Headers {
                archive,
                claimed,
                password,
                damage: None,
            })),
            Err(error) => {
                if let Failure::Io(error) = Failure::of(&error) {
                    return Err(error.into());
                }
                if self.layout.encrypted {
                    return Ok(None);
                }
                let damage = error.to_string();
                match self.longest() {
                    Some((archive, claimed)) => Ok(Some(Headers {
                        archive,
                        claimed,
                        password: None,
                        damage: Some(damage),
                    })),
                    None => Err(Halt::Broken(damage)),
                }
            }
        }
    }

    fn parse(&self, password: Option<&[u8]>, claimed: u64) -> rars::Result<Archive> {
        let memory = self.container.memory;
        let options = ArchiveReadOptions::with_optional_password(password)
            .with_max_header_count(memory / HEADER_COST)
            .with_max_header_bytes(memory / 4);
        let source = Source::new(self.object.clone(), claimed);
        ArchiveReader::read_reader_with_options(source, options)
    }

    /// The archive up to the first header that is damaged, and how long that is. It is looked for by halves.
    fn longest(&self) -> Option<(Archive, u64)> {
        let starts = &self.layout.starts;
        let (mut good, mut bad) = (0, starts.len());
        let mut best = None;
        while good < bad {
            let middle = good + (bad - good) / 2;
            let claimed = *starts.get(middle)?;
            match self.parse(None, claimed) {
                Ok(archive) => {
                    best = Some((archive, claimed));
                    good = middle + 1;
                }
                Err(_) => bad = middle,
            }
        }
        best
    }

    fn comment(&self, headers: &Headers<'_>, children: &mut dyn Children) -> Result<(), Halt> {
        let setting = self.setting(&headers.archive, headers.password);
        let options = setting
            .options()
            .with_max_member_output_bytes(COMMENT_LIMIT);
        match headers.archive.comment_with_options(options) {
            Ok(None) => Ok(()),
            Ok(Some(comment)) => children.child(COMMENT, Content::Stream(&mut comment.as_slice())),
            Err(error) => match Failure::of(&error) {
                Failure::Io(error) => Err(error.into()),
                Failure::Said(reason, detail) => children.gap(Some(COMMENT), reason, detail),
            },
        }
    }

    fn setting<'b>(&'b self, archive: &'b Archive, password: Option<&'b [u8]>) -> Setting<'b> {
        Setting {
            archive,
            object: self.object,
            password,
            memory: self.container.memory,
        }
    }
}

#[cfg(test)]
mod tests;
