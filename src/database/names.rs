//! Names of CVDL rules that stand in two sources, where that is not wanted (`--dup-check`). Within one source its parser tells.
#![forbid(unsafe_code)]

use std::collections::HashMap;

use super::sources::Source;
use crate::event::SignatureName;
use crate::signature::cvdl::Strict;
use crate::signature::{Complaint, Format, Item};

/// The names so far.
#[derive(Debug, Default)]
pub(super) struct Names {
    /// Each with the number of the first source that has it.
    seen: HashMap<SignatureName, usize>,
    /// The names of the sources that are checked.
    sources: Vec<String>,
    /// The one that is being read is.
    is_checked: bool,
}

impl Names {
    /// Begins with the next source.
    pub(super) fn begin(&mut self, source: &Source) {
        self.is_checked = source.format == Strict.name();
        if self.is_checked {
            self.sources.push(source.name());
        }
    }

    /// The item, or a complaint in its place.
    pub(super) fn check(&mut self, item: Item) -> Item {
        let Item::Signature(signature) = &item else {
            return item;
        };
        let number = self.sources.len();
        if !self.is_checked {
            return item;
        }
        let first = *self.seen.entry(signature.name.clone()).or_insert(number);
        let name = |number: usize| self.sources.get(number.wrapping_sub(1)).cloned();
        match (first == number, name(number), name(first)) {
            (false, Some(file), Some(first)) => Item::Complaint(Complaint {
                file,
                line: 0,
                reason: format!("the name `{}` is already in {first}", signature.name.name),
            }),
            _ => item,
        }
    }
}
