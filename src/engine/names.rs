//! The names of all signatures, by number and the other way round, as arrays of the image.
//!
//! ```text
//! NAMETEXT  the names one behind the other        NAMEENDS  u32 for each: where it ends
//! NAMEWORD  u8 for each: its engine word          NAMEFIND  the numbers, sorted by checksum, then by name
//! ```
//!
//! Sorted by a checksum, for names that differ only in their last digits are slow to sort as texts.
#![forbid(unsafe_code)]

use std::cmp::Ordering;
use std::collections::HashSet;
use std::io::{self, Seek, Write};

use bytes::Bytes;
use zerocopy::little_endian::U32;
use zerocopy::{FromBytes, IntoBytes};

use super::Full;
use crate::event::{EngineWord, SignatureName};
use crate::image::{Damage, Image, Tag, Writer};

const TEXT: Tag = *b"NAMETEXT";
const ENDS: Tag = *b"NAMEENDS";
const WORDS: Tag = *b"NAMEWORD";
const FIND: Tag = *b"NAMEFIND";

/// The engine words by the number that stands for them in the image.
const ENGINES: [EngineWord; 7] = [
    EngineWord::Clam,
    EngineWord::Cvdl,
    EngineWord::Gap,
    EngineWord::Md5,
    EngineWord::Sha1,
    EngineWord::Sha256,
    EngineWord::Yara,
];

/// Names while a database is made.
#[derive(Debug, Default)]
pub(super) struct Builder {
    text: Vec<u8>,
    ends: Vec<U32>,
    words: Vec<u8>,
}

impl Builder {
    /// Adds a name and gives its number.
    pub(super) fn add(&mut self, name: &SignatureName) -> Result<u32, Full> {
        let number = u32::try_from(self.ends.len()).map_err(|_| Full("signatures"))?;
        let end = self.text.len().saturating_add(name.name.len());
        let end = u32::try_from(end).map_err(|_| Full("bytes of names"))?;
        self.text.extend_from_slice(name.name.as_bytes());
        self.ends.push(end.into());
        let word = ENGINES.iter().position(|engine| *engine == name.engine);
        self.words
            .push(word.and_then(|word| u8::try_from(word).ok()).unwrap_or(0));
        Ok(number)
    }

    /// The numbers of the names whose text without the engine word is one of these.
    pub(super) fn numbers_of(&self, texts: &HashSet<Vec<u8>>) -> Vec<u32> {
        let view = self.view();
        let all = (0..).zip(&self.ends).map(|(number, _)| number);
        all.filter(|number| {
            view.key(*number)
                .is_some_and(|(_, text)| texts.contains(text))
        })
        .collect()
    }

    /// Takes out the names of these numbers, which are sorted; those behind move up.
    pub(super) fn remove(&mut self, numbers: &[u32]) {
        let mut kept = Self::default();
        let view = self.view();
        let mut gone = numbers.iter().copied().peekable();
        for (number, word) in (0..).zip(&self.words) {
            if gone.next_if_eq(&number).is_some() {
                continue;
            }
            let text = view.key(number).map_or(&[][..], |(_, text)| text);
            kept.text.extend_from_slice(text);
            // It is no longer than before.
            let end = u32::try_from(kept.text.len()).unwrap_or(u32::MAX);
            kept.ends.push(end.into());
            kept.words.push(*word);
        }
        *self = kept;
    }

    /// Writes the sections, and gives how many names some earlier signature has too.
    pub(super) fn write<W: Write + Seek>(self, writer: &mut Writer<W>) -> io::Result<u64> {
        let view = self.view();
        let mut order: Vec<u64> = (0..)
            .zip(&self.ends)
            .map(|(number, _)| u64::from(view.checksum(number)) << 32 | u64::from(number))
            .collect();
        order.sort_unstable_by(|a, b| {
            let by_text = || view.key(*a as u32).cmp(&view.key(*b as u32));
            (a >> 32).cmp(&(b >> 32)).then_with(by_text).then(a.cmp(b))
        });
        let same = |pair: &&[u64]| match pair {
            [a, b] => a >> 32 == b >> 32 && view.key(*a as u32) == view.key(*b as u32),
            _ => false,
        };
        let duplicates = order.windows(2).filter(same).count();
        writer.begin(FIND)?;
        for part in order.chunks(4096) {
            let numbers: Vec<U32> = part.iter().map(|entry| U32::new(*entry as u32)).collect();
            writer.write_all(numbers.as_bytes())?;
        }
        drop(order);
        writer.section(TEXT, &self.text)?;
        writer.section(ENDS, self.ends.as_bytes())?;
        writer.section(WORDS, &self.words)?;
        Ok(duplicates as u64)
    }

    fn view(&self) -> View<'_> {
        View {
            text: &self.text,
            ends: &self.ends,
            words: &self.words,
        }
    }
}

/// Names by number.
#[derive(Clone, Copy)]
struct View<'a> {
    text: &'a [u8],
    ends: &'a [U32],
    words: &'a [u8],
}

impl<'a> View<'a> {
    fn key(&self, number: u32) -> Option<(u8, &'a [u8])> {
        let at = number as usize;
        let end = self.ends.get(at)?.get() as usize;
        let start = match at.checked_sub(1) {
            Some(before) => self.ends.get(before)?.get() as usize,
            None => 0,
        };
        Some((*self.words.get(at)?, self.text.get(start..end)?))
    }

    fn checksum(&self, number: u32) -> u32 {
        self.key(number).map_or(0, checksum)
    }
}

fn checksum((word, text): (u8, &[u8])) -> u32 {
    crc32c::crc32c_append(u32::from(word), text)
}

/// The names in an image.
#[derive(Debug)]
pub(super) struct Names {
    text: Bytes,
    ends: Bytes,
    words: Bytes,
    find: Bytes,
}

impl Names {
    /// Takes them out of an image.
    pub(super) fn open(image: &Image) -> Result<Self, Damage> {
        let names = Self {
            text: image.section(TEXT)?,
            ends: image.section(ENDS)?,
            words: image.section(WORDS)?,
            find: image.section(FIND)?,
        };
        let ends = names.view().ends;
        let length = ends.last().map_or(0, |end| end.get() as usize);
        let fits = length == names.text.len()
            && ends.len().checked_mul(4) == Some(names.ends.len())
            && names.find.len() == names.ends.len()
            && names.words.len() == ends.len();
        match fits {
            true => Ok(names),
            false => Err(Damage::Section("of names".to_owned())),
        }
    }

    /// How many there are.
    pub(super) fn count(&self) -> usize {
        self.words.len()
    }

    /// The name of a number.
    pub(super) fn get(&self, number: u32) -> Option<SignatureName> {
        let (word, text) = self.view().key(number)?;
        Some(SignatureName {
            engine: *ENGINES.get(usize::from(word))?,
            name: String::from_utf8_lossy(text).into_owned(),
        })
    }

    /// Tells whether one of them is this.
    pub(super) fn contains(&self, name: &SignatureName) -> bool {
        let Some(word) = ENGINES.iter().position(|engine| *engine == name.engine) else {
            return false;
        };
        let wanted = (u8::try_from(word).unwrap_or(u8::MAX), name.name.as_bytes());
        let view = self.view();
        let order = |number: &U32| -> Ordering {
            let key = view.key(number.get()).unwrap_or((u8::MAX, &[]));
            checksum(key).cmp(&checksum(wanted)).then(key.cmp(&wanted))
        };
        self.sorted().binary_search_by(order).is_ok()
    }

    /// The names that more than one signature has, each once, and how many have it.
    pub(super) fn duplicates(&self) -> impl Iterator<Item = (SignatureName, usize)> {
        let view = self.view();
        self.sorted()
            .chunk_by(move |a, b| view.key(a.get()) == view.key(b.get()))
            .filter(|same| same.len() > 1)
            .filter_map(|same| Some((self.get(same.first()?.get())?, same.len())))
    }

    fn sorted(&self) -> &[U32] {
        <[U32]>::ref_from_bytes(&self.find).unwrap_or(&[])
    }

    fn view(&self) -> View<'_> {
        View {
            text: &self.text,
            ends: <[U32]>::ref_from_bytes(&self.ends).unwrap_or(&[]),
            words: &self.words,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Cursor;

    fn opened(builder: Builder) -> (Names, u64) {
        let mut writer = Writer::new(Cursor::new(Vec::new())).unwrap();
        let duplicates = builder.write(&mut writer).unwrap();
        let image = writer.finish().unwrap().into_inner();
        let image = Image::open(image.into()).unwrap();
        (Names::open(&image).unwrap(), duplicates)
    }

    #[test]
    fn names_are_found_by_number_and_numbers_by_name() {
        let mut builder = Builder::default();
        let name = |engine, text: &str| SignatureName::new(engine, text);
        let all = [
            name(EngineWord::Clam, "b"),
            name(EngineWord::Cvdl, "b"),
            name(EngineWord::Yara, "äöü"),
            name(EngineWord::Clam, "a"),
            name(EngineWord::Clam, "b"),
            name(EngineWord::Clam, "b"),
        ];
        for (number, name) in (0..).zip(&all) {
            assert_eq!(builder.add(name), Ok(number));
        }
        let (names, duplicates) = opened(builder);
        assert_eq!((names.count(), duplicates), (6, 2));
        for (number, name) in (0..).zip(&all) {
            assert_eq!(names.get(number).as_ref(), Some(name));
            assert!(names.contains(name));
        }
        assert_eq!(names.get(6), None);
        for other in [name(EngineWord::Yara, "b"), name(EngineWord::Clam, "ab")] {
            assert!(!names.contains(&other), "{other}");
        }
        let twice: Vec<_> = names.duplicates().collect();
        assert_eq!(twice, [(name(EngineWord::Clam, "b"), 3)]);
    }

    #[test]
    fn what_is_removed_leaves_the_others_in_order() {
        let mut builder = Builder::default();
        for text in ["a", "bb", "c", "bb", "d"] {
            builder
                .add(&SignatureName::new(EngineWord::Clam, text))
                .unwrap();
        }
        let unwanted = [b"bb".to_vec(), b"zz".to_vec()].into();
        let numbers = builder.numbers_of(&unwanted);
        assert_eq!(numbers, [1, 3]);
        builder.remove(&numbers);
        let (names, _) = opened(builder);
        let texts: Vec<_> = (0..3).map(|n| names.get(n).unwrap().name).collect();
        assert_eq!(texts, ["a", "c", "d"]);
    }
}
