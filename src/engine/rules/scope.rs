//! Whether a rule is for an object.
#![forbid(unsafe_code)]

use super::code::ScopeCode;
use crate::engine::Subject;
use crate::filetype::FileType;

/// ClamAV's name for an object that is in no container, and for any container in a row of them.
const ANY: &[u8] = b"CL_TYPE_ANY";

impl ScopeCode<'_> {
    /// Tells whether the object, of `length` bytes, is one of those that the rule is for.
    pub(super) fn fits(&self, subject: &Subject<'_>, length: u64) -> bool {
        let within = |range: Option<(u64, u64)>, number: Option<u64>| match (range, number) {
            (None, _) => true,
            (Some((from, to)), Some(number)) => (from..=to).contains(&number),
            (Some(_), None) => false,
        };
        let layout = subject.layout;
        subject.form.fits(self.target, subject.file_type.target)
            && self.has_type(subject.file_type)
            && within(self.size, Some(length))
            && within(self.entry, layout.and_then(|layout| layout.entry))
            && within(
                self.sections,
                layout.map(|layout| layout.sections.len() as u64),
            )
            && self.is_in(subject.containers)
    }

    /// CVDL's restrictions bind nothing where the type is not known.
    fn has_type(&self, file_type: &FileType) -> bool {
        let Some(words) = self.types.filter(|_| !file_type.is_unknown()) else {
            return true;
        };
        let title = file_type.title.as_bytes();
        let has = |word: &[u8]| memchr::memmem::find(title, word).is_some();
        words.iter().any(has) != self.excluded
    }

    fn is_in(&self, containers: &[&FileType]) -> bool {
        let directly = match self.container {
            None => true,
            Some(ANY) => containers.is_empty(),
            Some(name) => {
                let last = containers.last();
                last.is_some_and(|container| container.is_clam(name))
            }
        };
        let Some(names) = self.intermediates else {
            return directly;
        };
        let count = names.iter().count();
        let Some(inner) = containers.len().checked_sub(count) else {
            return false;
        };
        let inner = containers.get(inner..).unwrap_or(&[]).iter();
        let fits = |(name, container): (&[u8], &&FileType)| name == ANY || container.is_clam(name);
        directly && names.iter().zip(inner).all(fits)
    }
}
