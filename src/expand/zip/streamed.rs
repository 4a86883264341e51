//! An archive without its directory: a download that was cut, or one part of several. The local headers are followed
//! from the front.
#![forbid(unsafe_code)]

use std::io;

use super::decode::{self, DEFLATED};
use super::directory::{LOCAL, Local, STREAMED};
use crate::event::Reason;
use crate::expand::inflate::Inflate;
use crate::expand::{Children, Container, Content, Halt};
use crate::object::Object;

/// Bytes in which the next header is searched for at a time.
const STEP: usize = 64 * 1024;

/// Bytes that are read first: as a rule the next header is near.
const FIRST_STEP: usize = 512;

/// Gives the members from the local header at `start` on. True when the last one goes on behind the end.
pub(super) fn walk(
    container: &Container<'_>,
    start: u64,
    children: &mut dyn Children,
) -> Result<bool, Halt> {
    let mut at = Some(start);
    let mut is_cut = false;
    while let Some(here) = at {
        let Some(local) = Local::read(container.object, here)? else {
            return Ok(is_cut);
        };
        let end = local.data_at.saturating_add(local.entry.compressed);
        is_cut = local.entry.flags & STREAMED == 0 && end > container.object.length();
        at = member(container, &local, children)?;
    }
    Ok(is_cut)
}

/// Gives one member and the place of the next header, which is always further on.
pub(super) fn member(
    container: &Container<'_>,
    local: &Local,
    children: &mut dyn Children,
) -> Result<Option<u64>, Halt> {
    let object = container.object;
    let entry = &local.entry;
    children.about(&super::about(entry))?;
    if let Some(how) = entry.encryption().filter(|_| entry.flags & STREAMED != 0) {
        let detail = format!("{how}, of unknown length");
        children.gap(Some(&entry.name), Reason::Encrypted, detail)?;
        return Ok(next_header(object, end_of(object, local))?);
    }
    if entry.flags & STREAMED == 0 {
        if !entry.is_folder() {
            decode::give(entry, local.data_at, container, children)?;
        }
        return Ok(next_header(object, end_of(object, local))?);
    }
    if entry.method == DEFLATED {
        return deflated(object, local, children);
    }
    let next = next_header(object, local.data_at)?;
    let length = next.unwrap_or(u64::MAX).saturating_sub(local.data_at);
    let content = object.slice(local.data_at, length);
    if entry.method == 0 {
        children.child(&entry.name, Content::Object(content))?;
    }
    let detail = format!("no length, compression method {}", entry.method);
    children.gap(Some(&entry.name), Reason::Corrupt, detail)?;
    Ok(next)
}

/// The end of deflate data is found by decoding it.
fn deflated(
    object: &Object,
    local: &Local,
    children: &mut dyn Children,
) -> Result<Option<u64>, Halt> {
    let mut inflate = Inflate::new(object.slice(local.data_at, u64::MAX).reader());
    children.child(&local.entry.name, Content::Stream(&mut inflate))?;
    // What comes next is a data descriptor of 12 to 24 bytes, which a search passes over like damage.
    let end = local.data_at.saturating_add(inflate.consumed());
    Ok(next_header(object, end)?)
}

/// Where the member is said to end; a size that cannot be true says nothing.
fn end_of(object: &Object, local: &Local) -> u64 {
    let end = local.data_at.checked_add(local.entry.compressed);
    end.filter(|end| local.entry.flags & STREAMED == 0 && *end <= object.length())
        .unwrap_or(local.data_at)
}

/// The next local header at `from` or after.
fn next_header(object: &Object, from: u64) -> io::Result<Option<u64>> {
    let mut at = from;
    let mut step = FIRST_STEP;
    loop {
        let bytes = object.bytes_at(at, step)?;
        if let Some(found) = memchr::memmem::find(&bytes, LOCAL) {
            return Ok(Some(at.saturating_add(found as u64)));
        }
        if bytes.len() < step {
            return Ok(None);
        }
        // A signature may lie across the border.
        at = at.saturating_add((step - LOCAL.len() + 1) as u64);
        step = STEP.min(2 * step);
    }
}
