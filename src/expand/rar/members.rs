//! Which members are decoded, in which pass, with which password.
#![forbid(unsafe_code)]

use rars::{Archive, ArchiveMember, ArchiveMemberDetail, ArchiveMemberRef, rar13, rar15_40, rar50};

use super::blocks::Family;
use super::pass::{self, Failure, Wish};
use super::{Headers, Opened, ROUNDS};
use crate::event::{Limit, Reason};
use crate::expand::{Children, Content, Halt, Member};

/// Passes after the first one: each starts behind a member that needed too much memory.
const PASSES: u32 = 100;

const SOLID_4: u16 = 0x10;
const SOLID_5: u64 = 0x40;
const SPLIT_AFTER_4: u16 = 2;
const SPLIT_AFTER_5: u64 = 0x10;

/// What a member is to the passes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Class {
    /// Nothing to decode, and nothing that what follows would need.
    Nothing,
    /// Cannot be decoded: why has been said.
    Lost,
    Open,
    Locked,
    /// The first part of a member; that its end is missing has been said.
    Part,
    Done,
}

impl Class {
    fn is_wanted(self) -> bool {
        matches!(self, Self::Open | Self::Part)
    }
}

/// What of an archive is given.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum What {
    Files,
    Streams,
}

impl What {
    /// An archive with only these members; `None` when there are none.
    fn of(self, archive: Archive) -> Option<Archive> {
        match self {
            Self::Files => Some(files(archive)),
            Self::Streams => streams(archive),
        }
    }
}

/// The members themselves. What goes on in another part is decoded as far as it is here.
fn files(mut archive: Archive) -> Archive {
    match &mut archive {
        Archive::Rar13(archive) => {
            for entry in &mut archive.entries {
                entry.header.unp_size = entry.header.unp_size.min(most_old(entry));
            }
        }
        Archive::Rar15To40(archive) => {
            for block in &mut archive.blocks {
                if let rar15_40::Block::File(file) = block {
                    file.block.flags &= !SPLIT_AFTER_4;
                }
            }
        }
        Archive::Rar50Plus(archive) => {
            for block in &mut archive.blocks {
                if let rar50::Block::File(file) = block {
                    file.block.flags &= !SPLIT_AFTER_5;
                }
            }
        }
        _ => {}
    }
    archive
}

/// The streams that NTFS keeps beside a file: RAR stores each as a block behind the file's own, compressed like a member.
fn streams(mut archive: Archive) -> Option<Archive> {
    let mut owner = Vec::new();
    match &mut archive {
        Archive::Rar15To40(archive) => {
            let blocks = std::mem::take(&mut archive.blocks);
            archive.main.flags &= !8;
            for block in blocks {
                match block {
                    rar15_40::Block::File(file) => owner = file.name,
                    rar15_40::Block::NewSub(sub) if sub.file.name == b"STM" => {
                        let mut file = sub.file;
                        file.name = [&owner[..], b":(stream)"].concat();
                        file.unicode_name = None;
                        file.block.flags &= !SOLID_4;
                        archive.blocks.push(rar15_40::Block::File(file));
                    }
                    _ => {}
                }
            }
            (!archive.blocks.is_empty()).then_some(())?;
        }
        Archive::Rar50Plus(archive) => {
            let blocks = std::mem::take(&mut archive.blocks);
            archive.main.archive_flags &= !4;
            for block in blocks {
                match block {
                    rar50::Block::File(file) => owner = file.name,
                    rar50::Block::Service(mut file) if file.name == b"STM" => {
                        let stream = file.service_data.take().unwrap_or(b":".to_vec());
                        file.name = [owner.as_slice(), &stream].concat();
                        file.compression_info &= !SOLID_5;
                        archive.blocks.push(rar50::Block::File(file));
                    }
                    _ => {}
                }
            }
            (!archive.blocks.is_empty()).then_some(())?;
        }
        _ => return None,
    }
    Some(archive)
}

/// Says which blocks with data are none that is known.
pub(super) fn unknown_blocks(archive: &Archive, children: &mut dyn Children) -> Result<(), Halt> {
    let mut say = |what: String| {
        let reason = Reason::Unsupported("RAR-block".to_owned());
        children.gap(None, reason, what)
    };
    let quoted = |name: &[u8]| String::from_utf8_lossy(name).into_owned();
    match archive {
        Archive::Rar15To40(archive) => {
            for block in &archive.blocks {
                match block {
                    // What RAR 2 kept of the operating system, streams among it.
                    rar15_40::Block::Unknown(block) if block.head_type == 0x77 => {
                        say("block of type 119".to_owned())?;
                    }
                    rar15_40::Block::NewSub(sub) => {
                        const KNOWN: [&[u8]; 8] = [
                            b"CMT", b"RR", b"AV", b"ACL", b"STM", b"UOW", b"EA2", b"EABE",
                        ];
                        if !KNOWN.contains(&sub.file.name.as_slice()) {
                            say(format!("block {}", quoted(&sub.file.name)))?;
                        }
                    }
                    _ => {}
                }
            }
        }
        Archive::Rar50Plus(archive) => {
            for block in &archive.blocks {
                match block {
                    rar50::Block::Unknown(block)
                        if block.data_size.is_some_and(|size| size > 0) =>
                    {
                        say(format!("block of type {}", block.header_type))?;
                    }
                    rar50::Block::Service(file) => {
                        const KNOWN: [&[u8]; 5] = [b"CMT", b"QO", b"ACL", b"STM", b"RR"];
                        if !KNOWN.contains(&file.name.as_slice()) {
                            say(format!("block {}", quoted(&file.name)))?;
                        }
                    }
                    _ => {}
                }
            }
        }
        _ => {}
    }
    Ok(())
}

/// The newest version that a block of RAR 1.5 to 4 asks for; of an archive with none of them, nothing is known.
pub(super) fn newest(archive: &Archive) -> Option<u8> {
    let Archive::Rar15To40(archive) = archive else {
        return None;
    };
    let versions = archive.blocks.iter().filter_map(|block| match block {
        rar15_40::Block::File(file) => Some(file.unp_ver),
        rar15_40::Block::NewSub(sub) => Some(sub.file.unp_ver),
        _ => None,
    });
    versions.max()
}

pub(super) fn is_solid(archive: &Archive) -> bool {
    let main = match archive {
        Archive::Rar13(archive) => archive.main.is_solid(),
        Archive::Rar15To40(archive) => archive.main.is_solid(),
        Archive::Rar50Plus(archive) => archive.main.is_solid(),
        _ => false,
    };
    main || archive.member_refs().any(ArchiveMemberRef::is_solid)
}

/// The members of one archive, and how far they are.
pub(super) struct Members<'a> {
    opened: &'a Opened<'a>,
    headers: &'a Headers<'a>,
    what: What,
    classes: Vec<Class>,
    solid: bool,
    /// Passwords are not tried: one of the keys would take too long.
    costly: bool,
    /// Binary logarithm of the most rounds of one of the keys.
    rounds: u8,
    passes: u32,
}

impl<'a> Members<'a> {
    pub(super) fn new(opened: &'a Opened<'a>, headers: &'a Headers<'a>, what: What) -> Self {
        Self {
            opened,
            headers,
            what,
            classes: Vec::new(),
            solid: false,
            costly: false,
            rounds: 0,
            passes: PASSES,
        }
    }

    pub(super) fn give(mut self, children: &mut dyn Children) -> Result<(), Halt> {
        let Some(archive) = self.what.of(self.headers.archive.clone()) else {
            return Ok(());
        };
        self.solid = is_solid(&archive);
        self.survey(&archive, children)?;
        let locked = self.classes.contains(&Class::Locked);
        if !(self.solid && locked) {
            self.pass(&archive, None, &|class| class.is_wanted(), children)?;
        }
        if locked {
            self.unlock(&archive, children)?;
        }
        self.say_left(&archive, children)
    }

    /// Looks at each member, says what is known before anything is decoded, and gives what needs no decoder.
    fn survey(&mut self, archive: &Archive, children: &mut dyn Children) -> Result<(), Halt> {
        let members = match self.what {
            // In the one at hand nothing tells any more that a member goes on elsewhere.
            What::Files => self.headers.archive.member_refs(),
            What::Streams => archive.member_refs(),
        };
        for member in members {
            let class = self.class(member, children)?;
            self.classes.push(class);
        }
        Ok(())
    }

    fn class(
        &mut self,
        reference: ArchiveMemberRef<'_>,
        children: &mut dyn Children,
    ) -> Result<Class, Halt> {
        let member = reference.to_owned();
        let (meta, name) = (&member.meta, pass::name(&member));
        children.about(&Member {
            name: &name,
            listed: None,
            compressed: Some(meta.packed_size),
            size: Some(super::tail::size(reference)),
            encrypted: meta.is_encrypted,
            folder: meta.is_directory,
        })?;
        if meta.is_redirection {
            if meta.packed_size > 0 {
                let reason = Reason::Unsupported("RAR-link".to_owned());
                let detail = format!("a link with {} bytes of content", meta.packed_size);
                children.gap(Some(&name), reason, detail)?;
            }
            return Ok(Class::Nothing);
        }
        if meta.is_directory {
            if meta.packed_size > 0 {
                let reason = Reason::Unsupported("RAR-folder".to_owned());
                let detail = format!("a folder with {} bytes of content", meta.packed_size);
                children.gap(Some(&name), reason, detail)?;
            }
            return Ok(Class::Nothing);
        }
        if meta.is_split_before || meta.is_split_after {
            let reason = Reason::Unsupported("RAR-split".to_owned());
            let detail = if meta.is_split_before {
                "begins in another part"
            } else {
                "goes on in another part"
            };
            children.gap(Some(&name), reason, detail.to_owned())?;
        }
        let is_split = meta.is_split_before || meta.is_split_after;
        let start = packed(reference);
        let is_cut = start.saturating_add(meta.packed_size) > self.opened.object.length();
        if meta.is_stored && !meta.is_encrypted && (is_split || is_cut) {
            let stored = self.opened.object.slice(start, meta.packed_size);
            children.child(&name, Content::Object(stored.clone()))?;
            if is_cut {
                let detail = format!(
                    "{} of {} bytes are there",
                    stored.length(),
                    meta.packed_size
                );
                children.gap(Some(&name), Reason::Corrupt, detail)?;
            }
            return Ok(Class::Lost);
        }
        if meta.is_split_before {
            return Ok(Class::Lost);
        }
        if let Some(dictionary) = dictionary(reference)
            && dictionary > self.opened.container.memory
            && !meta.is_stored
        {
            let detail = format!("dictionary of {dictionary} bytes");
            children.gap(Some(&name), Reason::Limit(Limit::Memory), detail)?;
            return Ok(Class::Lost);
        }
        if let ArchiveMemberRef::Rar13(entry) = reference
            && entry.header.unp_size > most_old(entry)
        {
            let detail = format!("{} bytes cannot be in these data", entry.header.unp_size);
            children.gap(Some(&name), Reason::Corrupt, detail)?;
        }
        if meta.is_encrypted {
            self.rounds = self.rounds.max(rounds(reference));
            self.costly |= self.rounds > ROUNDS;
            return Ok(Class::Locked);
        }
        Ok(if meta.is_split_after {
            Class::Part
        } else {
            Class::Open
        })
    }

    /// Gives the members that `wanted` names by their class, in as many passes as it takes.
    fn pass(
        &mut self,
        archive: &Archive,
        password: Option<&[u8]>,
        wanted: &(dyn Fn(Class) -> bool + Sync),
        children: &mut dyn Children,
    ) -> Result<(), Halt> {
        let setting = self
            .opened
            .setting(archive, password.or(self.headers.password));
        loop {
            let mut next = self.classes.clone();
            let mut failed = false;
            let (classes, solid) = (&self.classes, self.solid);
            let wish = |index: usize| match classes.get(index) {
                Some(class) if wanted(*class) => Wish::Give,
                Some(Class::Nothing) => Wish::Skip,
                Some(Class::Lost) if solid => Wish::Stop,
                Some(_) if solid => Wish::Discard,
                Some(_) => Wish::Skip,
                None => Wish::Stop,
            };
            let mut done = |index: usize, failure: Option<&Failure>| {
                failed |= failure.is_some();
                let Some(class) = next.get_mut(index) else {
                    return true;
                };
                let is_part = *class == Class::Part;
                if wanted(*class) {
                    *class = Class::Done;
                }
                !is_part
            };
            let whole = pass::run(setting, &wish, &mut done, children)?;
            self.classes = next;
            let left = self.classes.iter().any(|class| wanted(*class));
            if whole || !left || self.solid || !failed || self.passes == 0 {
                return Ok(());
            }
            self.passes -= 1;
        }
    }

    /// Tries the passwords.
    fn unlock(&mut self, archive: &Archive, children: &mut dyn Children) -> Result<(), Halt> {
        let known = self.headers.password.into_iter();
        let mut best: Option<(usize, &[u8])> = None;
        let passwords = self.opened.container.passwords;
        // Each member may have a key of its own, though as a rule they have one.
        let locked = self.classes.iter().filter(|class| **class == Class::Locked);
        let cost = cost(self.rounds).saturating_mul(1 + locked.count() as u64 / 16);
        for password in known.chain(passwords.attempts(cost)) {
            if self.costly {
                break;
            }
            if !self.classes.contains(&Class::Locked) {
                return Ok(());
            }
            let Some(archive) = self.with_password(password)? else {
                continue;
            };
            let opened = self.verify(&archive, password, children)?;
            let count = opened.iter().filter(|opened| **opened).count();
            if self.solid {
                // All of it depends on one password.
                if count > best.map_or(0, |(count, _)| count) {
                    best = Some((count, password));
                }
            } else if count > 0 {
                self.give_opened(&archive, password, &opened, children)?;
            }
        }
        if !self.solid {
            return Ok(());
        }
        let everything = |class: Class| class.is_wanted() || class == Class::Locked;
        match best {
            Some((_, password)) => match self.with_password(password)? {
                Some(archive) => self.pass(&archive, Some(password), &everything, children),
                None => Ok(()),
            },
            None => self.pass(archive, None, &|class| class.is_wanted(), children),
        }
    }

    /// The archive with the keys of this password; `None` when it is a wrong one.
    fn with_password(&self, password: &[u8]) -> Result<Option<Archive>, Halt> {
        match self.opened.parse(Some(password), self.headers.claimed) {
            Ok(archive) => Ok(self.what.of(archive)),
            Err(error) => match Failure::of(&error) {
                Failure::Io(error) => Err(error.into()),
                Failure::Said(..) => Ok(None),
            },
        }
    }

    /// Which members the password opens. Nothing is given: before RAR 5 a wrong password is only told from a right one by
    /// the checksum at the end.
    fn verify(
        &self,
        archive: &Archive,
        password: &[u8],
        children: &mut dyn Children,
    ) -> Result<Vec<bool>, Halt> {
        let mut opened = vec![false; self.classes.len()];
        let tells = self.opened.family == Family::Five;
        let (classes, solid) = (&self.classes, self.solid);
        let wish = |index: usize| match classes.get(index) {
            Some(Class::Locked) => Wish::Discard,
            Some(Class::Nothing) => Wish::Skip,
            Some(Class::Lost) if solid => Wish::Stop,
            Some(_) if solid => Wish::Discard,
            Some(_) => Wish::Skip,
            None => Wish::Stop,
        };
        let mut done = |index: usize, failure: Option<&Failure>| {
            if let Some(opened) = opened.get_mut(index) {
                *opened = match failure {
                    None => true,
                    Some(Failure::Said(Reason::Encrypted, _)) => false,
                    Some(_) => tells,
                };
            }
            false
        };
        let setting = self.opened.setting(archive, Some(password));
        pass::run(setting, &wish, &mut done, children)?;
        Ok(opened)
    }

    fn give_opened(
        &mut self,
        archive: &Archive,
        password: &[u8],
        opened: &[bool],
        children: &mut dyn Children,
    ) -> Result<(), Halt> {
        for (class, opened) in self.classes.iter_mut().zip(opened) {
            if *opened && *class == Class::Locked {
                *class = Class::Open;
            }
        }
        self.pass(
            archive,
            Some(password),
            &|class| class == Class::Open,
            children,
        )
    }

    /// Says what was not given.
    fn say_left(&self, archive: &Archive, children: &mut dyn Children) -> Result<(), Halt> {
        for (reference, class) in archive.member_refs().zip(&self.classes) {
            let (reason, detail) = match class {
                Class::Nothing | Class::Lost | Class::Done => continue,
                Class::Locked => (Reason::Encrypted, method(&reference.to_owned())),
                Class::Open | Class::Part if self.solid => (
                    Reason::Corrupt,
                    "needs what a member before it holds, which is damaged or locked",
                ),
                Class::Open | Class::Part => (
                    Reason::Limit(Limit::Memory),
                    "not tried after so many members that need too much memory",
                ),
            };
            let name = pass::name(&reference.to_owned());
            let untried = match reason {
                Reason::Encrypted => self.opened.container.passwords.untried(),
                _ => "",
            };
            children.gap(Some(&name), reason, [detail, untried].concat())?;
        }
        Ok(())
    }
}

/// How a member is encrypted.
fn method(member: &ArchiveMember) -> &'static str {
    match member.detail {
        ArchiveMemberDetail::Rar50Plus { .. } => "AES-256",
        ArchiveMemberDetail::Rar15To40 { unpack_version, .. } => match unpack_version {
            29.. => "AES-128",
            20.. => "RAR 2",
            _ => "RAR 1.5",
        },
        _ => "RAR 1.3",
    }
}

/// The dictionary that a member of RAR 5 asks for.
fn dictionary(reference: ArchiveMemberRef<'_>) -> Option<u64> {
    let ArchiveMemberRef::Rar50Plus(file) = reference else {
        return None;
    };
    let info = file.decoded_compression_info().ok()?;
    Some(info.dictionary_size)
}

/// What a password costs: since RAR 5 an archive says how many rounds its key has, before they were 2^18 of SHA-1.
pub(super) fn cost(rounds: u8) -> u64 {
    match rounds {
        0 => 100_000,
        _ => (3_u64 << rounds.min(ROUNDS)) / 2,
    }
}

/// Binary logarithm of the rounds that make the key of a member.
fn rounds(reference: ArchiveMemberRef<'_>) -> u8 {
    match reference {
        ArchiveMemberRef::Rar50Plus(file) => {
            let encryption = file.encryption.as_ref();
            encryption.map_or(0, |encryption| encryption.kdf_count)
        }
        _ => 0,
    }
}

/// The most that the data of a member of RAR 1.3 can hold: its longest copies are 256 bytes and take more than two bits. The decoder
/// reads zeros behind their end, for as long as the header says.
fn most_old(entry: &rar13::Entry) -> u32 {
    const MOST_OF_A_BYTE: usize = 1024;
    let most = entry
        .packed_range
        .len()
        .saturating_add(16)
        .saturating_mul(MOST_OF_A_BYTE);
    u32::try_from(most).unwrap_or(u32::MAX)
}

/// Where the stored bytes of a member begin.
fn packed(reference: ArchiveMemberRef<'_>) -> u64 {
    let range = match reference {
        ArchiveMemberRef::Rar13(entry) => &entry.packed_range,
        ArchiveMemberRef::Rar15To40(file) => &file.packed_range,
        ArchiveMemberRef::Rar50Plus(file) => &file.block.data_range,
        _ => return 0,
    };
    range.start as u64
}
