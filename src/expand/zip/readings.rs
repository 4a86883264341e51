//! A member has two headers. Where they disagree, programs read it differently: some go by the directory, some by what stands before the data, some
//! pass over a flag that cannot be true. Each way that gives something is given.
#![forbid(unsafe_code)]

use super::decode;
use super::directory::{ENCRYPTED, Entry, Local, STREAMED, STRONG};
use crate::event::{NoteKind, Reason};
use crate::expand::{Children, Container, Halt};

/// What differs when the data do not end where their sizes are.
const ENDS: &str = "the end of the content";

/// One way to read a member.
struct Way {
    entry: Entry,
    /// No header says so: it counts only if checksum and size show that it is right.
    is_guess: bool,
}

impl Way {
    fn new(entry: Entry, is_guess: bool) -> Self {
        Self { entry, is_guess }
    }
}

/// Gives the member that the directory has as `entry`, in each way that its headers allow, and says for each why it gives nothing: that another
/// way is right does not show that this one is read by nobody. `differs` is a field in which they disagree; `ends` tells whether the data end where
/// the directory has their end.
pub(super) fn give(
    entry: &Entry,
    local: &Local,
    differs: Option<&'static str>,
    ends: bool,
    container: &Container<'_>,
    children: &mut dyn Children,
) -> Result<(), Halt> {
    if let Some(field) = differs.or((!ends).then_some(ENDS)) {
        let detail = format!("{field} in central and local header");
        children.note(NoteKind::Ambiguous("zip-headers".to_owned()), detail)?;
    }
    if !ends && [entry.method, local.entry.method] != [decode::DEFLATED; 2] {
        // Only deflate shows by itself where it ends.
        let reason = Reason::Unsupported("zip-disagreement".to_owned());
        let detail = format!("{ENDS} in central and local header");
        children.gap(Some(&entry.name), reason, detail)?;
    }
    for way in ways(entry, &local.entry) {
        if !way.is_guess || decode::is_sound(&way.entry, local.data_at, container)? {
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
            let same = |way: &Way| {
                let (one, other) = (&way.entry, &plain);
                (one.method, one.flags & ENCRYPTED, one.compressed)
                    == (other.method, 0, other.compressed)
            };
            if !ways.iter().any(same) {
                guesses.push(Way::new(plain, true));
            }
        }
    }
    ways.extend(guesses);
    ways
}
