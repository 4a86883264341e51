//! Where a pattern may begin, once the length of the object and the parts of a program in it are known.
#![forbid(unsafe_code)]

use super::flat::OffsetRecord;
use crate::executable::{Layout, Section};
use crate::signature::pattern::{Base, Offset};

const START: u8 = 0;
const END: u8 = 1;
const ENTRY: u8 = 2;
const SECTION: u8 = 3;
const LAST_SECTION: u8 = 4;
const WITHIN: u8 = 5;
const VERSION_INFO: u8 = 6;

pub(super) fn record(offset: Offset) -> OffsetRecord {
    let (base, section) = match offset.base {
        Base::Start => (START, 0),
        Base::End => (END, 0),
        Base::Entry => (ENTRY, 0),
        Base::Section(number) => (SECTION, number),
        Base::LastSection => (LAST_SECTION, 0),
        Base::Within(number) => (WITHIN, number),
        Base::VersionInfo => (VERSION_INFO, 0),
    };
    OffsetRecord {
        base,
        section: section.into(),
        by: offset.by.cast_unsigned().into(),
        shift: offset.shift.into(),
    }
}

/// What is known of an object while it is searched.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Known<'k> {
    pub(super) length: Option<u64>,
    pub(super) layout: Option<&'k Layout>,
}

/// Tells whether a pattern with this offset may begin at `start`; `None` if that is not known yet.
pub(super) fn allows(offset: &OffsetRecord, start: u64, known: Known<'_>) -> Option<bool> {
    let section = |number: u32| {
        let sections = known.layout.map(|layout| &layout.sections)?;
        Some(sections.get(number as usize).copied())
    };
    let base = match offset.base {
        START => Some(0),
        END => Some(known.length?),
        ENTRY => known.layout?.entry,
        SECTION => section(offset.section.get())?.map(|section| section.start),
        LAST_SECTION => known.layout?.sections.last().map(|section| section.start),
        WITHIN => {
            let section = section(offset.section.get())?;
            return Some(section.is_some_and(|section| is_inside(section, start)));
        }
        VERSION_INFO => {
            let mut all = known.layout?.version_info.iter();
            return Some(all.any(|section| is_inside(*section, start)));
        }
        // Damage.
        _ => None,
    };
    let Some(base) = base else {
        return Some(false);
    };
    let first = i128::from(base) + i128::from(offset.by.get().cast_signed());
    let last = first + i128::from(offset.shift.get());
    Some((first..=last).contains(&i128::from(start)))
}

fn is_inside(section: Section, at: u64) -> bool {
    let into = at.checked_sub(section.start);
    into.is_some_and(|into| into < section.length)
}
