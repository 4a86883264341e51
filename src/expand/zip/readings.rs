//! A member has two headers. Where they disagree, programs read it differently: some go by the directory, some by what stands before the data, some
//! pass over a flag that cannot be true. Each way that gives something is given.
#![forbid(unsafe_code)]

use super::decode;
use super::directory::{ENCRYPTED, Entry, Local, STREAMED, STRONG};
use crate::event::{NoteKind, Reason};
use crate::expand::{Children, Container, Content, Halt, Member};

/// What differs when the data do not end where their sizes are.
pub(super) const ENDS: &str = "the end of the content";

/// One way to read a member.
struct Way {
    entry: Entry,
    /// No header says so: it counts only if checksum and size show that it is right.
    is_guess: bool,
    is_sound: bool,
}

impl Way {
    fn new(entry: Entry, is_guess: bool) -> Self {
        Self {
            entry,
            is_guess,
            is_sound: false,
        }
    }

    /// What decides how the bytes are decoded.
    fn by(&self) -> (u16, Option<&'static str>) {
        (self.entry.method, self.entry.encryption())
    }
}

/// Gives the member that the directory has as `entry`, in each way that its headers allow. `differs` is a field in which they disagree.
pub(super) fn give(
    entry: &Entry,
    local: &Local,
    differs: Option<&'static str>,
    container: &Container<'_>,
    children: &mut dyn Children,
) -> Result<(), Halt> {
    if let Some(field) = differs {
        let detail = format!("{field} in central and local header");
        if field == ENDS && entry.method == decode::STORED {
            // Where it ends by its local header alone is not known.
            let reason = Reason::Unsupported("zip-disagreement".to_owned());
            children.gap(Some(&entry.name), reason, detail)?;
        } else {
            children.note(NoteKind::Ambiguous("zip-headers".to_owned()), detail)?;
        }
    }
    let mut ways = ways(entry, &local.entry);
    if let [_] = ways.as_slice() {
        return decode::give(entry, local.data_at, container, children);
    }
    for way in &mut ways {
        way.is_sound = way.entry.encryption().is_none()
            && decode::is_sound(&way.entry, local.data_at, container)?;
    }
    let is_any_sound = ways.iter().any(|way| way.is_sound);
    let mut given = Vec::new();
    for way in ways {
        if (way.is_guess && !way.is_sound) || given.contains(&way.by()) {
            continue;
        }
        if way.is_sound {
            given.push(way.by());
        }
        if is_any_sound && !way.is_sound {
            let mut others = Unrefused(children);
            decode::give(&way.entry, local.data_at, container, &mut others)?;
        } else {
            decode::give(&way.entry, local.data_at, container, children)?;
        }
    }
    Ok(())
}

fn ways(entry: &Entry, local: &Entry) -> Vec<Way> {
    let mut ways = vec![Way::new(entry.clone(), false)];
    let other = Entry {
        name: entry.name.clone(),
        ..if local.flags & STREAMED == 0 {
            local.clone()
        } else {
            Entry {
                flags: local.flags,
                method: local.method,
                aes: local.aes,
                ..entry.clone()
            }
        }
    };
    if other.method != entry.method
        || other.encryption() != entry.encryption()
        || other.compressed != entry.compressed
    {
        ways.push(Way::new(other, false));
    }
    let mut guesses = Vec::new();
    for way in &ways {
        if way.entry.encryption().is_some() {
            let method = way.entry.aes.map_or(way.entry.method, |aes| aes.method);
            let plain = Entry {
                method,
                flags: way.entry.flags & !(ENCRYPTED | STRONG),
                aes: None,
                ..way.entry.clone()
            };
            guesses.push(Way::new(plain, true));
        }
    }
    ways.extend(guesses);
    ways
}

/// Hands on what another way gives, but not that it fails: it is not the right one.
struct Unrefused<'a>(&'a mut dyn Children);

impl Children for Unrefused<'_> {
    fn child(&mut self, name: &[u8], content: Content<'_>) -> Result<(), Halt> {
        self.0.child(name, content)
    }

    fn about(&mut self, member: &Member<'_>) -> Result<(), Halt> {
        self.0.about(member)
    }

    fn gap(&mut self, member: Option<&[u8]>, reason: Reason, detail: String) -> Result<(), Halt> {
        match reason {
            Reason::Encrypted | Reason::Unsupported(_) | Reason::Corrupt => Ok(()),
            reason => self.0.gap(member, reason, detail),
        }
    }

    fn note(&mut self, kind: NoteKind, detail: String) -> Result<(), Halt> {
        self.0.note(kind, detail)
    }

    fn words(&mut self, words: Vec<Vec<u8>>) {
        self.0.words(words);
    }
}
