//! Where a pattern may begin, once the length of the object and the parts of a program in it are known.
#![forbid(unsafe_code)]

use std::ops::RangeInclusive;

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

/// The places where a pattern with this offset may begin; `None` if that is not known yet.
pub(super) fn allowed(offset: &OffsetRecord, known: Known<'_>) -> Option<Vec<RangeInclusive<u64>>> {
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
            return Some(
                section(offset.section.get())?
                    .and_then(inside)
                    .into_iter()
                    .collect(),
            );
        }
        VERSION_INFO => {
            let all = known.layout?.version_info.iter().copied();
            return Some(all.filter_map(inside).collect());
        }
        // Damage.
        _ => None,
    };
    let range = base.and_then(|base| {
        let first = i128::from(base) + i128::from(offset.by.get().cast_signed());
        let last = first + i128::from(offset.shift.get());
        // What begins before the object may still be reached by the shift.
        let last = u64::try_from(last.min(u64::MAX.into())).ok()?;
        Some(u64::try_from(first.max(0)).ok()?..=last)
    });
    Some(range.into_iter().collect())
}

fn inside(section: Section) -> Option<RangeInclusive<u64>> {
    let last = section.length.checked_sub(1)?;
    Some(section.start..=section.start.saturating_add(last))
}
