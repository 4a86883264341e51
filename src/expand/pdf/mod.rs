//! PDF (ISO 32000-1): the streams of a document, and its scripts.
//!
//! A carver rather than a reader: objects are found by their words (`12 0 obj`) wherever they stand, and never by the
//! table of references, which is wrong in every other file that is made to be opened by some viewers only. What an older
//! revision had is found like this, too. The length of a stream is a claim, which holds if `endstream` follows. Streams that no
//! object leads to, as this reads them, are found by their word and decoded by what stands before it.
#![forbid(unsafe_code)]

mod crypt;
mod filters;
mod syntax;

use std::io::{self, BufReader, Read};

use self::crypt::{Handler, Opened, What};
use self::filters::{CHAIN, Filter, Made};
use self::syntax::{Parser, Text, Value, Wrong, scattered};
use super::{Children, Container, Content, Expander, Halt, Passwords, appended, is_damage};
use crate::event::{Limit, NoteKind, Reason};
use crate::object::{CHUNK, Object};

/// Bytes in which an object's dictionary is looked for, first and at most.
const FIRST: usize = 2048;
const MOST: usize = 1 << 20;

/// Bytes from [`STREAM`] to what follows it, at most.
const LINE: u64 = (STREAM.len() + AFTER + 2) as u64;

/// Bytes between a stream and the word that ends it: a line break, and what careless writers add.
const AFTER: usize = 32;

/// References to references that are followed.
const LINKS: u32 = 8;

/// Objects that are read beyond the start of the next one, which may only seem to be one: it may stand in a text.
const PATIENCE: u32 = 256;

/// Bytes that are read behind references, for each byte of the file.
const EFFORT: u64 = 16;

/// Bytes of an object stream that are looked through for scripts, at most.
const OBJECTS: u64 = 4 << 20;

/// Streams without an object that are given.
const STRAYS: usize = 4096;

/// Shorter texts are not given: they say nothing, and there are many.
const TEXT: usize = 8;

/// Different dictionaries of encryption that are tried.
const HANDLERS: usize = 8;

/// Said of a document that has no dictionary of encryption to try, though it speaks of one.
const UNTRIED: &str = "how it is encrypted is not found, or said in too many ways";

/// The expander of PDF.
pub(super) struct Pdf;

impl Expander for Pdf {
    fn kind(&self) -> &'static str {
        "pdf"
    }

    fn expand(&self, container: &Container<'_>, children: &mut dyn Children) -> Result<(), Halt> {
        let mut file = File::new(container);
        if !file.survey()? {
            let detail = "too many objects to keep their places".to_owned();
            children.gap(None, Reason::Limit(Limit::Memory), detail)?;
        }
        file.unlock(container.passwords, children)?;
        file.give_all(children)?;
        file.give_strays(children)?;
        if file.patience == 0 || file.effort == 0 {
            let detail = "more references, or objects in texts, than are followed".to_owned();
            children.gap(None, Reason::Limit(Limit::Memory), detail)?;
        }
        let last = file.places.last().map_or(0, |place| place.at);
        if file.end <= last {
            let detail = "there is no end of the file behind the last object".to_owned();
            children.gap(None, Reason::Corrupt, detail)?;
            return Ok(());
        }
        appended(container.object, file.end, children)
    }
}

/// Where an object begins: behind its `obj`.
#[derive(Debug, Clone, Copy)]
struct Place {
    at: u64,
    number: u32,
    generation: u16,
}

/// A stream of an object.
struct Stream {
    start: u64,
    length: u64,
    /// It ends where the file does.
    cut: bool,
    /// What its dictionary says, when that is more.
    longer: Option<u64>,
}

struct File<'a> {
    object: &'a Object,
    memory: u64,
    /// All objects as they stand in the file.
    places: Vec<Place>,
    /// Indexes of those, by number; of the same number the last comes last.
    by_number: Vec<u32>,
    trailers: Vec<u64>,
    /// Behind the last `%%EOF`.
    end: u64,
    window: Window,
    /// Where the search for `endstream` began last, and what it found.
    ending: Option<(u64, Option<u64>)>,
    lock: Lock,
    patience: u32,
    /// Bytes that may still be read behind references.
    effort: u64,
    /// Where streams lie that were given, in the order of the file.
    given: Vec<(u64, u64)>,
}

enum Lock {
    /// Nothing is encrypted.
    None,
    Open(Opened),
    /// No password opens it.
    Shut,
}

/// A part of the file in memory: dictionaries are small and near to each other.
#[derive(Default)]
struct Window {
    start: u64,
    bytes: Vec<u8>,
}

impl Window {
    /// At most `length` bytes from `at` on.
    fn bytes(&mut self, object: &Object, at: u64, length: usize) -> io::Result<&[u8]> {
        let wanted = (object.length().saturating_sub(at)).min(length as u64);
        let end = self.start + self.bytes.len() as u64;
        if at < self.start || at.saturating_add(wanted) > end {
            self.bytes = object.bytes_at(at, length.max(4 * FIRST))?;
            self.start = at;
        }
        let from = usize::try_from(at - self.start).unwrap_or(usize::MAX);
        let rest = self.bytes.get(from..).unwrap_or_default();
        Ok(rest.get(..length).unwrap_or(rest))
    }
}

/// Calls `found` with each place of one of the words, and the bytes before it.
fn each_word(
    object: &Object,
    words: &[&[u8]],
    mut found: impl FnMut(usize, u64, &[u8]) -> bool,
) -> io::Result<()> {
    /// Bytes before a word that are looked at, and the longest word.
    const BEFORE: usize = 48;
    const WORD: usize = 16;
    let finders: Vec<_> = words.iter().map(memchr::memmem::Finder::new).collect();
    let mut start = 0_u64;
    loop {
        let bytes = object.bytes_at(start, CHUNK)?;
        let is_last = bytes.len() < CHUNK;
        let from = if start == 0 { 0 } else { BEFORE };
        let to = if is_last { bytes.len() } else { CHUNK - WORD };
        for (which, finder) in finders.iter().enumerate() {
            for at in finder.find_iter(bytes.get(from..).unwrap_or_default()) {
                let at = from + at;
                if at < to {
                    let before = bytes.get(at.saturating_sub(BEFORE)..at);
                    if !found(which, start + at as u64, before.unwrap_or_default()) {
                        return Ok(());
                    }
                }
            }
        }
        if is_last {
            return Ok(());
        }
        start += (CHUNK - WORD - BEFORE) as u64;
    }
}

/// The word in front of the bytes of a stream.
const STREAM: &[u8] = b"stream";

/// The end of the line behind [`STREAM`], before which some writers put blanks.
fn line_end(data: &[u8]) -> usize {
    let is_blank = |byte: &&u8| matches!(byte, b' ' | b'\t');
    let blanks = data.iter().take(AFTER).take_while(is_blank).count();
    match data.get(blanks..).unwrap_or_default() {
        [b'\r', b'\n', ..] => blanks + 2,
        [b'\r' | b'\n', ..] => blanks + 1,
        _ => 0,
    }
}

/// The number and the generation in front of `obj`.
fn numbers(before: &[u8]) -> Option<(u32, u16)> {
    let space = |byte: &u8| matches!(byte, 0 | b'\t' | b'\n' | 0x0c | b'\r' | b' ');
    let digits = |bytes: &[u8]| {
        bytes
            .iter()
            .rev()
            .take_while(|byte| byte.is_ascii_digit())
            .count()
    };
    let spaces = |bytes: &[u8]| bytes.iter().rev().take_while(|byte| space(byte)).count();
    let drop = |bytes: &mut &[u8], count: usize| {
        let (rest, taken) = bytes.split_at(bytes.len() - count);
        let taken = std::str::from_utf8(taken).unwrap_or_default().to_owned();
        *bytes = rest;
        taken
    };
    let mut rest = before;
    let count = spaces(rest);
    drop(&mut rest, count);
    let count = digits(rest);
    let generation = drop(&mut rest, count);
    let count = spaces(rest);
    if generation.is_empty() || count == 0 {
        return None;
    }
    drop(&mut rest, count);
    let count = digits(rest);
    let number = drop(&mut rest, count);
    // What cannot be a number is one for some reader, and its object is looked at.
    (!number.is_empty()).then(|| {
        (
            number.parse().unwrap_or(u32::MAX),
            generation.parse().unwrap_or(u16::MAX),
        )
    })
}

impl<'a> File<'a> {
    fn new(container: &Container<'a>) -> Self {
        Self {
            object: container.object,
            memory: container.memory,
            places: Vec::new(),
            by_number: Vec::new(),
            trailers: Vec::new(),
            end: 0,
            window: Window::default(),
            ending: None,
            lock: Lock::None,
            patience: PATIENCE,
            effort: container.object.length().saturating_mul(EFFORT) + (MOST as u64),
            given: Vec::new(),
        }
    }

    /// Finds the objects. False when there are more than memory allows.
    fn survey(&mut self) -> io::Result<bool> {
        const OBJ: &[u8] = b"obj";
        const TRAILER: &[u8] = b"trailer";
        const EOF: &[u8] = b"%%EOF";
        let most = usize::try_from(self.memory / 64).unwrap_or(usize::MAX);
        let mut enough = true;
        let (places, trailers, end) = (&mut self.places, &mut self.trailers, &mut self.end);
        each_word(self.object, &[OBJ, TRAILER, EOF], |which, at, before| {
            match which {
                0 => {
                    if let Some((number, generation)) = numbers(before) {
                        places.push(Place {
                            at: at + OBJ.len() as u64,
                            number,
                            generation,
                        });
                    }
                }
                1 => trailers.push(at + TRAILER.len() as u64),
                _ => *end = (*end).max(at + EOF.len() as u64),
            }
            enough = places.len() < most && trailers.len() < most;
            enough
        })?;
        let count = u32::try_from(self.places.len()).unwrap_or(u32::MAX);
        self.by_number = (0..count).collect();
        let places = &self.places;
        self.by_number.sort_by_key(|index| {
            usize::try_from(*index)
                .ok()
                .and_then(|index| places.get(index))
                .map(|place| place.number)
        });
        Ok(enough)
    }

    /// Reads the object at `at`, and where its stream begins if it has one. `None` for what cannot be read.
    fn parse(&mut self, at: u64) -> io::Result<Option<(Value, Option<u64>)>> {
        let next = self.places.partition_point(|place| place.at <= at);
        let next = self.places.get(next).map(|place| place.at - at);
        let mut most = next.map_or(MOST, |next| usize::try_from(next).unwrap_or(MOST).min(MOST));
        let mut length = FIRST.min(most);
        loop {
            let bytes = self.window.bytes(self.object, at, length)?;
            let is_all = bytes.len() < length;
            let mut parser = Parser::new(bytes);
            let value = parser.value();
            parser.skip_space();
            let cut = match value {
                Ok(_) => parser.rest().len() < 16,
                Err(Wrong::Cut) => true,
                Err(Wrong::TooDeep) => return Ok(None),
            };
            if cut && !is_all && length < most {
                length = (8 * length).min(most);
                continue;
            }
            let Ok(value) = value else {
                if is_all || most == MOST || self.patience == 0 {
                    return Ok(None);
                }
                self.patience -= 1;
                most = MOST;
                continue;
            };
            let data = parser
                .rest()
                .strip_prefix(STREAM)
                .map(|data| at + (parser.at + STREAM.len() + line_end(data)) as u64);
            return Ok(Some((value, data)));
        }
    }

    /// What a value is behind its references.
    fn resolve(&mut self, value: &Value) -> io::Result<Option<Value>> {
        let mut value = value.clone();
        for _ in 0..LINKS {
            let Value::Reference(number) = value else {
                return Ok(Some(value));
            };
            if self.effort == 0 {
                return Ok(None);
            }
            let places = &self.places;
            let place = |index: &u32| {
                usize::try_from(*index)
                    .ok()
                    .and_then(|index| places.get(index))
            };
            let after = self
                .by_number
                .partition_point(|index| place(index).is_some_and(|place| place.number <= number));
            let index = after
                .checked_sub(1)
                .and_then(|last| self.by_number.get(last));
            let Some(place) = index.and_then(place).filter(|place| place.number == number) else {
                return Ok(None);
            };
            let at = place.at;
            let Some((found, _)) = self.parse(at)? else {
                return Ok(None);
            };
            let cost = self.window.bytes.len() as u64;
            self.effort = self.effort.saturating_sub(cost);
            value = found;
        }
        Ok(None)
    }

    /// Finds out whether and how the document is encrypted, and opens it.
    fn unlock(
        &mut self,
        passwords: &Passwords<'_>,
        children: &mut dyn Children,
    ) -> Result<(), Halt> {
        let mut found: Vec<(Value, Vec<u8>)> = Vec::new();
        let (mut refused, mut untried) = (None, false);
        let trailers = std::mem::take(&mut self.trailers);
        for at in trailers {
            if let Some((value, _)) = self.parse(at)? {
                untried |= !self.take_handler(&value, &mut found)?;
            }
        }
        for index in 0..self.places.len() {
            let Some(at) = self.places.get(index).map(|place| place.at) else {
                break;
            };
            // A name may be written with numbers.
            let head = self.window.bytes(self.object, at, FIRST)?;
            let head = head.get(..FIRST / 4).unwrap_or(head);
            let hints: [&[u8]; 2] = [b"XRef", b"#"];
            if hints
                .iter()
                .all(|hint| memchr::memmem::find(head, hint).is_none())
            {
                continue;
            }
            if let Some((value, Some(_))) = self.parse(at)?
                && value.is_type(b"XRef")
            {
                untried |= !self.take_handler(&value, &mut found)?;
            }
        }
        for (dictionary, id) in found.iter().rev() {
            let handler = match Handler::new(dictionary, id) {
                Ok(handler) => handler,
                Err(what) => {
                    refused.get_or_insert(what);
                    continue;
                }
            };
            let attempts = passwords.attempts(handler.cost());
            let all = std::iter::once(&b""[..]).chain(attempts);
            let mut all = all.filter_map(|password| handler.open(password));
            match all.next() {
                Some(key) => {
                    drop(all);
                    self.lock = Lock::Open(Opened::new(handler, key));
                    return Ok(());
                }
                None => {
                    drop(all);
                    refused.get_or_insert(handler.describe() + passwords.untried());
                }
            }
        }
        if let Some(detail) = refused {
            self.lock = Lock::Shut;
            children.gap(None, Reason::Encrypted, detail)?;
        } else if untried {
            // To a reader that ignores it the streams are what they are.
            children.gap(None, Reason::Encrypted, UNTRIED.to_owned())?;
        }
        Ok(())
    }

    /// Keeps the dictionary of encryption of a trailer. False when it has one that is not found, or one too many.
    fn take_handler(
        &mut self,
        trailer: &Value,
        found: &mut Vec<(Value, Vec<u8>)>,
    ) -> io::Result<bool> {
        let Some(encrypt) = trailer.get(b"Encrypt") else {
            return Ok(true);
        };
        let Some(mut encrypt) = self.resolve(encrypt)? else {
            return Ok(false);
        };
        // Its own values may stand elsewhere, too.
        if let Value::Dictionary(entries) = &mut encrypt {
            for (_, value) in entries {
                if let Some(resolved) = self.resolve(value)? {
                    *value = resolved;
                }
            }
        }
        let id = match trailer.get(b"ID") {
            Some(id) => self.resolve(id)?,
            None => None,
        };
        let id = match &id {
            Some(Value::List(ids)) => ids.first().and_then(Value::text).unwrap_or_default(),
            _ => b"",
        };
        let one = (encrypt, id.to_vec());
        if !matches!(one.0, Value::Dictionary(_)) || found.contains(&one) {
            return Ok(true);
        }
        let has_room = found.len() < HANDLERS;
        if has_room {
            found.push(one);
        }
        Ok(has_room)
    }

    fn give_all(&mut self, children: &mut dyn Children) -> Result<(), Halt> {
        let mut skip = 0;
        for index in 0..self.places.len() {
            let Some(place) = self.places.get(index).copied() else {
                break;
            };
            // Inside a document that is embedded as it is.
            if place.at < skip {
                continue;
            }
            let name = format!("{}-{}", place.number, place.generation);
            let Some((value, data)) = self.parse(place.at)? else {
                let detail = "an object that cannot be read".to_owned();
                children.gap(Some(name.as_bytes()), Reason::Corrupt, detail)?;
                continue;
            };
            self.texts(&value, Some(place), &name, children)?;
            if let Some(data) = data {
                let value = match value {
                    Value::Dictionary(_) => value,
                    _ => self.scattered(place.at, data)?,
                };
                let stream = self.extent(&value, data)?;
                self.given.push((data, data + stream.length));
                skip = self.give(place, &name, &value, &stream, children)?;
                self.given.extend((skip > data).then_some((data, skip)));
            }
        }
        Ok(())
    }

    /// What stands in front of a stream without a dictionary that can be read.
    fn scattered(&self, from: u64, data: u64) -> io::Result<Value> {
        let length = usize::try_from(data - from).unwrap_or(FIRST).min(FIRST);
        let before = self.object.bytes_at(data - length as u64, length)?;
        let names: [&[u8]; 5] = [b"Filter", b"DecodeParms", b"DP", b"Length", b"Type"];
        Ok(scattered(&before, &names))
    }

    /// Gives the streams that no object led to.
    fn give_strays(&mut self, children: &mut dyn Children) -> Result<(), Halt> {
        let mut given = std::mem::take(&mut self.given);
        given.sort_unstable();
        let mut strays = Vec::new();
        let mut place = 0;
        let mut end = 0;
        each_word(self.object, &[STREAM], |_, at, before| {
            let is_end = before.ends_with(b"end");
            while let Some((_, to)) = given.get(place).filter(|(from, _)| *from <= at + LINE) {
                end = end.max(*to);
                place += 1;
            }
            if at >= end && !is_end {
                strays.push(at);
            }
            strays.len() <= STRAYS
        })?;
        if strays.len() > STRAYS {
            let detail = format!("more than {STRAYS} streams without an object");
            children.gap(None, Reason::Limit(Limit::Members), detail)?;
        }
        let mut end = 0;
        for at in strays.into_iter().take(STRAYS).filter(|at| *at > 0) {
            let data = self.object.bytes_at(at + STREAM.len() as u64, AFTER + 2)?;
            let line = line_end(&data);
            if line == 0 || at < end {
                continue;
            }
            let data = at + (STREAM.len() + line) as u64;
            let value = self.scattered(at.saturating_sub(FIRST as u64), data)?;
            let stream = self.extent(&value, data)?;
            // Nothing says that the word is meant, and nothing ends it.
            let is_meant = value.get(b"Length").or(value.get(b"Filter")).is_some();
            if stream.cut && !is_meant {
                continue;
            }
            end = data + stream.length;
            let place = Place {
                at,
                number: u32::MAX,
                generation: 0,
            };
            let name = format!("(stream at {at})");
            if matches!(self.lock, Lock::Open(_) | Lock::Shut) {
                let detail = "a stream of which the object is not known".to_owned();
                children.gap(Some(name.as_bytes()), Reason::Encrypted, detail)?;
                continue;
            }
            self.give(place, &name, &value, &stream, children)?;
        }
        Ok(())
    }

    /// The next `endstream` from `from` on.
    fn next_end(&mut self, from: u64) -> io::Result<Option<u64>> {
        if let Some((began, found)) = self.ending
            && began <= from
            && found.is_none_or(|found| found >= from)
        {
            return Ok(found);
        }
        let mut first = None;
        let rest = self.object.slice(from, u64::MAX);
        each_word(&rest, &[b"endstream"], |_, at, _| {
            first = Some(from + at);
            false
        })?;
        self.ending = Some((from, first));
        Ok(first)
    }

    /// How long the stream at `start` is.
    fn extent(&mut self, dictionary: &Value, start: u64) -> io::Result<Stream> {
        let claimed = match dictionary.get(b"Length") {
            Some(length) => self.resolve(length)?,
            None => None,
        };
        let claimed = claimed.as_ref().and_then(Value::number);
        let claimed = claimed.and_then(|length| u64::try_from(length).ok());
        if let Some(length) = claimed
            && start.saturating_add(length) <= self.object.length()
        {
            let after = self.object.bytes_at(start + length, AFTER)?;
            let after = after.trim_ascii_start();
            if after.starts_with(b"endstream") || after.starts_with(b"endobj") {
                return Ok(Stream {
                    start,
                    length,
                    cut: false,
                    longer: None,
                });
            }
        }
        let end = self.next_end(start)?;
        let mut length = end.unwrap_or(self.object.length()).saturating_sub(start);
        // The line break before the word is not of the stream.
        let last = self
            .object
            .bytes_at((start + length).saturating_sub(2).max(start), 2)?;
        if end.is_some() {
            length -= match last.as_slice() {
                [b'\r', b'\n'] => 2,
                [.., b'\r' | b'\n'] => 1,
                _ => 0,
            };
        }
        let room = self.object.length().saturating_sub(start);
        Ok(Stream {
            start,
            length,
            cut: end.is_none(),
            longer: claimed
                .map(|claimed| claimed.min(room))
                .filter(|claimed| end.is_some() && *claimed > length + AFTER as u64),
        })
    }

    /// Gives a stream and what is in it. Gives the place up to which its bytes are another document's.
    fn give(
        &mut self,
        place: Place,
        name: &str,
        dictionary: &Value,
        stream: &Stream,
        children: &mut dyn Children,
    ) -> Result<u64, Halt> {
        let own = Some(name.as_bytes());
        // Not encrypted, and nothing but numbers that this reader does not need.
        let is_table = dictionary.is_type(b"XRef");
        let cipher = match &self.lock {
            Lock::None => None,
            _ if is_table => None,
            Lock::Shut => return Ok(0),
            Lock::Open(opened) => {
                let what = if dictionary.is_type(b"Metadata") {
                    What::Metadata
                } else if dictionary.is_type(b"EmbeddedFile") {
                    What::File
                } else {
                    What::Stream
                };
                opened.cipher(what, place.number, place.generation)
            }
        };
        let filters = self.filters(dictionary)?;
        let is_open = filters.iter().any(|(filter, parameters)| {
            let name = parameters.as_ref().and_then(|values| values.get(b"Name"));
            filter == b"Crypt" && matches!(name.and_then(Value::name), None | Some(b"Identity"))
        });
        let is_plain = filters.is_empty() && (cipher.is_none() || is_open);
        let lengths = [Some(stream.length), stream.longer];
        for (number, length) in lengths.into_iter().flatten().enumerate() {
            let slice = self.object.slice(stream.start, length);
            let name = if number == 0 {
                name.to_owned()
            } else {
                format!("{name}-long")
            };
            if number > 0 {
                let detail = format!("{name}: endstream comes before the end that it says");
                children.note(NoteKind::Ambiguous("pdf-length".to_owned()), detail)?;
            }
            if is_plain {
                children.child(name.as_bytes(), Content::Object(slice))?;
                continue;
            }
            let mut decoded = self.decoded(slice, place, dictionary, &filters, is_open)?;
            let mut reader = decoded.reader;
            children.child(name.as_bytes(), Content::Stream(&mut reader))?;
            if let Some(what) = decoded.unknown.take() {
                let reason = Reason::Unsupported("pdf-filter".to_owned());
                children.gap(Some(name.as_bytes()), reason, what)?;
            }
        }
        if stream.cut {
            let detail = "the stream has no end".to_owned();
            children.gap(own, Reason::Corrupt, detail)?;
        }
        if dictionary.is_type(b"ObjStm") {
            self.inner(place, name, dictionary, stream, &filters, children)?;
        }
        let head = self
            .object
            .slice(stream.start, stream.length)
            .bytes_at(0, 1024)?;
        let is_document = is_plain && memchr::memmem::find(&head, b"%PDF-").is_some();
        Ok(if is_document {
            stream.start + stream.length
        } else {
            0
        })
    }

    /// The filters of a stream and their parameters.
    fn filters(&mut self, dictionary: &Value) -> io::Result<Vec<(Vec<u8>, Option<Value>)>> {
        let mut list = |keys: [&[u8]; 2]| -> io::Result<Vec<Value>> {
            let value = keys.iter().find_map(|key| dictionary.get(key));
            let Some(value) = value
                .map(|value| self.resolve(value))
                .transpose()?
                .flatten()
            else {
                return Ok(Vec::new());
            };
            let values = match value {
                Value::List(values) => values,
                one => vec![one],
            };
            let values = values.into_iter().take(CHAIN + 1);
            let values = values.map(|value| Ok(self.resolve(&value)?.unwrap_or(Value::Word)));
            values.collect()
        };
        let names = list([b"Filter", b"Filter"])?;
        let parameters = list([b"DecodeParms", b"DP"])?;
        let mut parameters = parameters.into_iter();
        let mut filters = Vec::new();
        for name in names {
            let values = parameters.next();
            if let Value::Name(name) = name {
                let values = match values {
                    Some(Value::Dictionary(entries)) => {
                        let mut resolved = Vec::new();
                        for (key, value) in entries {
                            resolved.push((key, self.resolve(&value)?.unwrap_or(Value::Word)));
                        }
                        Some(Value::Dictionary(resolved))
                    }
                    other => other,
                };
                filters.push((name, values));
            }
        }
        Ok(filters)
    }

    fn decoded(
        &self,
        slice: Object,
        place: Place,
        dictionary: &Value,
        filters: &[(Vec<u8>, Option<Value>)],
        is_open: bool,
    ) -> io::Result<Decoded<'static>> {
        let capacity =
            usize::try_from(slice.length()).map_or(CHUNK / 4, |length| length.clamp(64, CHUNK / 4));
        let mut reader: Box<dyn Read> =
            Box::new(BufReader::with_capacity(capacity, slice.raw_reader()));
        if let Lock::Open(opened) = &self.lock
            && !is_open
            && !dictionary.is_type(b"XRef")
        {
            let what = if dictionary.is_type(b"Metadata") {
                What::Metadata
            } else if dictionary.is_type(b"EmbeddedFile") {
                What::File
            } else {
                What::Stream
            };
            if let Some(cipher) = opened.cipher(what, place.number, place.generation) {
                reader = Filter::boxed(reader, cipher);
            }
        }
        let mut unknown = None;
        for (number, (name, parameters)) in filters.iter().enumerate() {
            let text = || String::from_utf8_lossy(name).into_owned();
            if number == CHAIN {
                unknown = Some("too many filters".to_owned());
                break;
            }
            if name == b"Crypt" {
                continue;
            }
            match filters::filter(name, parameters.as_ref(), reader, self.memory) {
                Made::Decoded(decoded) => reader = Box::new(self.object.watch(decoded)),
                Made::Picture(picture) => {
                    reader = picture;
                    if number + 1 < filters.len() {
                        unknown = Some(format!("filters before {}", text()));
                    }
                    break;
                }
                Made::Unknown(rest) => {
                    reader = rest;
                    unknown = Some(format!("filter {}", text()));
                    break;
                }
            }
        }
        Ok(Decoded { reader, unknown })
    }

    /// The texts in an object stream (§7.5.7), whose objects stand nowhere else.
    fn inner(
        &mut self,
        place: Place,
        name: &str,
        dictionary: &Value,
        stream: &Stream,
        filters: &[(Vec<u8>, Option<Value>)],
        children: &mut dyn Children,
    ) -> Result<(), Halt> {
        let slice = self.object.slice(stream.start, stream.length);
        let most = (self.memory / 32).min(OBJECTS);
        let decoded = self.decoded(slice, place, dictionary, filters, false)?;
        let mut bytes = Vec::new();
        match decoded.reader.take(most + 1).read_to_end(&mut bytes) {
            Err(error) if !is_damage(&error) => return Err(error.into()),
            // Damage was said when the stream was given.
            _ => {}
        }
        if bytes.len() as u64 > most {
            let detail = "an object stream too large to look for scripts".to_owned();
            children.gap(Some(name.as_bytes()), Reason::Limit(Limit::Memory), detail)?;
        }
        for object in objects(dictionary, &bytes) {
            if let Ok(value) = Parser::new(object).value() {
                self.texts(&value, None, name, children)?;
            }
        }
        Ok(())
    }

    /// Gives the scripts that stand in an object, and together the other texts that do not stand in the file as they are meant.
    fn texts(
        &self,
        value: &Value,
        place: Option<Place>,
        name: &str,
        children: &mut dyn Children,
    ) -> Result<(), Halt> {
        if place.is_some() && matches!(self.lock, Lock::Shut) {
            return Ok(());
        }
        let read = |text: &Text| match (&self.lock, place) {
            (Lock::Open(opened), Some(place)) => {
                let cipher = opened.cipher(What::Text, place.number, place.generation);
                let plain = cipher.map(|cipher| cipher.text(&text.bytes));
                readable(plain.as_deref().unwrap_or(&text.bytes))
            }
            _ => readable(&text.bytes),
        };
        let mut others = Vec::new();
        // A text that is an object of its own may be meant by any script.
        let is_long = value.text().is_some_and(|text| text.len() >= TEXT);
        let mut open = vec![(value, is_long)];
        while let Some((value, is_script)) = open.pop() {
            match value {
                Value::List(values) => open.extend(values.iter().map(|value| (value, false))),
                Value::Dictionary(entries) => {
                    let values = entries.iter();
                    open.extend(values.map(|(key, value)| (value, key == b"JS")));
                }
                Value::Text(text) if is_script => {
                    let name = format!("{name}.js");
                    let script = read(text);
                    children.child(name.as_bytes(), Content::Stream(&mut script.as_slice()))?;
                }
                Value::Text(text) if text.bytes.len() >= TEXT => {
                    let text_as_read = read(text);
                    if !text.plain || text_as_read != text.bytes {
                        others.extend(text_as_read);
                        others.push(b'\n');
                    }
                }
                _ => {}
            }
        }
        if others.is_empty() {
            return Ok(());
        }
        let name = format!("{name}.txt");
        children.child(name.as_bytes(), Content::Stream(&mut others.as_slice()))
    }
}

/// The objects of an object stream, each up to the next: pairs of a number and a place come first.
fn objects<'b>(dictionary: &Value, bytes: &'b [u8]) -> Vec<&'b [u8]> {
    let first = dictionary.get(b"First").and_then(Value::number);
    let first = first
        .and_then(|first| usize::try_from(first).ok())
        .unwrap_or(0);
    // A number ends where something follows.
    let header = [bytes.get(..first).unwrap_or_default(), b" . ."].concat();
    let mut header = Parser::new(&header);
    let mut starts = Vec::new();
    loop {
        header.skip_space();
        let mut number = || header.value().ok().and_then(|value| value.number());
        let (Some(_), Some(start)) = (number(), number()) else {
            break;
        };
        starts.extend(
            usize::try_from(start)
                .ok()
                .and_then(|start| start.checked_add(first)),
        );
    }
    // Without a header it may be one object.
    starts.push(first);
    starts.sort_unstable();
    starts.dedup();
    let ends = starts.iter().skip(1).copied().chain([bytes.len()]);
    (starts.iter().zip(ends))
        .filter_map(|(start, end)| bytes.get(*start..end.min(bytes.len())))
        .collect()
}

struct Decoded<'a> {
    reader: Box<dyn Read + 'a>,
    /// What is not decoded.
    unknown: Option<String>,
}

/// A text in UTF-8 where it says that it is in UTF-16 (§7.9.2.2).
fn readable(text: &[u8]) -> Vec<u8> {
    let Some(wide) = text.strip_prefix(b"\xfe\xff") else {
        return text.to_vec();
    };
    let (units, _) = wide.as_chunks::<2>();
    let units = units.iter().map(|unit| u16::from_be_bytes(*unit));
    let letters = char::decode_utf16(units).map(|unit| unit.unwrap_or(char::REPLACEMENT_CHARACTER));
    letters.collect::<String>().into_bytes()
}

#[cfg(test)]
mod tests;
