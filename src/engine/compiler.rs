//! What the sources say → the sections of an image, one item at a time.
//!
//! Nothing that was taken in is kept as it came: names, digests, patterns and rules go into arrays. What is only known
//! once all sources were read (names that are not wanted, members of macro groups) is settled at the end.
#![forbid(unsafe_code)]

use std::collections::{BTreeMap, HashSet};
use std::io::{self, Cursor, Seek, Write};

use thiserror::Error;

use super::digests::{self, Of};
#[cfg(feature = "yara")]
use super::late;
use super::search::{self, AddError, Keep, Likely};
use super::{FLAGS, HTML, LAYOUT, TEXT, YARA, members, names, rules};
use crate::event::{EngineWord, SignatureName};
use crate::image::{Image, Writer};
use crate::signature::condition::Condition;
use crate::signature::pattern::{Base, Pattern};
use crate::signature::rule::{Rule, Test};
use crate::signature::yara::Part;
use crate::signature::{Aside, Complaint, Intake, Item, Meaning, Signature, Until};
use crate::view::Form;

use super::{Database, Full};

/// Why no database was made.
#[derive(Debug, Error)]
pub enum CompileError {
    /// There is more than the form of the image can number.
    #[error(transparent)]
    Full(#[from] Full),
    /// There are more patterns than can be numbered, or one could not be written.
    #[error(transparent)]
    Pattern(#[from] AddError),
    /// The image could not be written.
    #[error("the compiled database cannot be written: {0}")]
    Write(#[from] io::Error),
}

/// What the sources came to, in numbers.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Tally {
    /// Signatures that are digests of whole objects.
    pub digests: u64,
    /// Signatures that are digests of sections of programs.
    pub section_digests: u64,
    /// All other signatures.
    pub rules: u64,
    /// Digests of objects whose findings are not reported.
    pub allowed: u64,
    /// Members of macro groups.
    pub macro_members: u64,
    /// Passwords that are tried on encrypted members.
    pub passwords: u64,
    /// Signatures that were left out because their name is not wanted, by the one who runs the program or by a source.
    pub ignored: u64,
    /// What was set aside, by its reason.
    pub aside: BTreeMap<(Until, &'static str), u64>,
    /// What was not understood.
    pub complaints: u64,
    /// Signatures whose name an earlier one has; known at the end.
    pub duplicates: u64,
}

impl Tally {
    /// The number of signatures in use.
    pub fn signatures(&self) -> u64 {
        self.digests + self.section_digests + self.rules
    }

    /// What was set aside and becomes live with content that a later version produces.
    pub fn waiting(&self) -> u64 {
        let waiting = |((until, _), count): (&(Until, &str), &u64)| match until {
            Until::Content => *count,
            Until::Never => 0,
        };
        self.aside.iter().map(waiting).sum()
    }
}

/// A pattern with an atom of fewer bytes is slow.
const SLOW_ATOM: usize = 3;

/// Slow rules that are listed.
const SLOW_LISTED: usize = 10;

/// Complaints that are kept; all are counted. A file in the wrong format would fill memory with them.
const COMPLAINTS: usize = 1000;

/// Makes a database out of what it takes in, and writes what it need not keep as it comes.
#[derive(Debug)]
pub struct Compiler<W = Cursor<Vec<u8>>> {
    writer: Writer<W>,
    /// Names that the one who runs the program does not want.
    unwanted: HashSet<Vec<u8>>,
    /// Those of them that some signature has.
    met: HashSet<Vec<u8>>,
    /// Names that sources do not want.
    ignored: HashSet<Vec<u8>>,
    names: names::Builder,
    /// For each signature what it is, to count what is left out at the end.
    kinds: Vec<Kind>,
    objects: digests::Builder,
    sections: digests::Builder,
    allowed: digests::Builder,
    patterns: search::Builder,
    rules: rules::Builder,
    members: members::Builder,
    #[cfg(feature = "yara")]
    yara: Option<late::yara::Compiler>,
    needs_layout: bool,
    /// Bits for the normal forms on which some signature may hold.
    forms: u8,
    tally: Tally,
    complaints: Vec<Complaint>,
    /// Rules with patterns that are found by few bytes, and these: the fewest first.
    slow: Vec<(usize, SignatureName)>,
    slow_count: u64,
    failed: Option<CompileError>,
}

#[derive(Debug, Clone, Copy)]
enum Kind {
    Digest,
    SectionDigest,
    Rule,
}

impl Compiler {
    /// Makes a database in memory: for tests, and for small ones.
    ///
    /// # Errors
    /// As [`Compiler::begin`].
    pub fn in_memory(unwanted: HashSet<Vec<u8>>) -> io::Result<Self> {
        Self::begin(unwanted, Cursor::new(Vec::new()))
    }

    /// The database of what was taken in.
    ///
    /// # Errors
    /// More signatures than can be numbered; for people.
    pub fn open(self) -> Result<Database, String> {
        let (image, _) = self.finish().map_err(|error| error.to_string())?;
        let image = Image::open(image.into_inner().into()).map_err(|error| error.to_string())?;
        Database::open(&image).map_err(|error| error.to_string())
    }
}

impl<W: Write + Seek> Compiler<W> {
    /// Begins an image at the start of `out`: a database without signatures. `unwanted` are names of signatures that are
    /// not to be in it: as they are reported, or those of CVDL rules alone.
    ///
    /// # Errors
    /// Of writing.
    pub fn begin(unwanted: HashSet<Vec<u8>>, out: W) -> io::Result<Self> {
        let mut writer = Writer::new(out)?;
        let patterns = search::Builder::begin(&mut writer)?;
        Ok(Self {
            writer,
            unwanted,
            met: HashSet::new(),
            ignored: HashSet::new(),
            names: names::Builder::default(),
            kinds: Vec::new(),
            objects: digests::Builder::default(),
            sections: digests::Builder::default(),
            allowed: digests::Builder::default(),
            patterns,
            rules: rules::Builder::default(),
            members: members::Builder::default(),
            #[cfg(feature = "yara")]
            yara: None,
            needs_layout: false,
            forms: 0,
            tally: Tally::default(),
            complaints: Vec::new(),
            slow: Vec::new(),
            slow_count: 0,
            failed: None,
        })
    }

    /// What was taken in so far. Names that sources ignore are left out at the end.
    pub fn tally(&self) -> &Tally {
        &self.tally
    }

    /// What was not understood so far: the first thousand.
    pub fn complaints(&self) -> &[Complaint] {
        &self.complaints
    }

    /// Writes the rest and ends the image.
    ///
    /// # Errors
    /// As [`Compiler::write`].
    pub fn finish(self) -> Result<(W, Tally), CompileError> {
        let (writer, tally) = self.write()?;
        Ok((writer.finish()?, tally))
    }

    /// Writes the rest. The image may get sections of others behind it.
    ///
    /// # Errors
    /// Of writing, and more signatures than can be numbered.
    pub fn write(mut self) -> Result<(Writer<W>, Tally), CompileError> {
        if let Some(failed) = self.failed {
            return Err(failed);
        }
        self.leave_out_ignored();
        let yara = self.yara_section()?;
        let mut writer = self.writer;
        writer.section(YARA, &yara)?;
        let mut flags = [0; FLAGS_LENGTH];
        flags[0] = (u8::from(self.needs_layout) * LAYOUT) | self.forms;
        writer.section(FLAGS, &flags)?;
        self.tally.duplicates = self.names.write(&mut writer)?;
        self.objects.write(Of::Object, &mut writer)?;
        self.sections.write(Of::Section, &mut writer)?;
        self.allowed.write(Of::Allowed, &mut writer)?;
        self.rules.write(&mut writer)?;
        self.members.write(&mut writer)?;
        self.patterns.write(&mut writer)?;
        Ok((writer, self.tally))
    }

    fn leave_out_ignored(&mut self) {
        if self.ignored.is_empty() {
            return;
        }
        let gone = self.names.numbers_of(&self.ignored);
        for number in &gone {
            match self.kinds.get(*number as usize) {
                Some(Kind::Digest) => self.tally.digests -= 1,
                Some(Kind::SectionDigest) => self.tally.section_digests -= 1,
                Some(Kind::Rule) | None => self.tally.rules -= 1,
            }
        }
        self.tally.ignored += gone.len() as u64;
        self.names.remove(&gone);
        let to = |number: u32| match gone.binary_search(&number) {
            Ok(_) => None,
            // There are no more before it than it counts.
            Err(before) => number.checked_sub(u32::try_from(before).unwrap_or(u32::MAX)),
        };
        self.objects.renumber(to);
        self.sections.renumber(to);
        self.rules.renumber(to);
        self.members.renumber(to);
    }

    fn signature(&mut self, signature: Signature) -> Result<(), CompileError> {
        if self.is_unwanted(&signature.name) {
            self.tally.ignored += 1;
            return Ok(());
        }
        let (patterns, atom) = match &signature.meaning {
            Meaning::Rule(rule) => self.patterns_of(rule)?,
            _ => (Vec::new(), usize::MAX),
        };
        self.note_slow(atom, &signature.name);
        let number = self.names.add(&signature.name)?;
        let kind = match signature.meaning {
            Meaning::Digest { digest, size } => {
                self.objects.add(number, digest, size);
                self.tally.digests += 1;
                Kind::Digest
            }
            Meaning::SectionDigest { digest, size } => {
                self.sections.add(number, digest, size);
                self.needs_layout = true;
                self.tally.section_digests += 1;
                Kind::SectionDigest
            }
            Meaning::Member(rule) => {
                self.members.add(number, rule);
                self.tally.rules += 1;
                Kind::Rule
            }
            Meaning::Rule(rule) => {
                if signature.name.engine == EngineWord::Clam {
                    self.forms |= forms(rule.scope.target);
                }
                self.needs_layout |= rule.scope.entry.is_some() || rule.scope.sections.is_some();
                self.rules.add(number, &rule, &patterns)?;
                self.tally.rules += 1;
                Kind::Rule
            }
        };
        self.kinds.push(kind);
        Ok(())
    }

    /// A rule in YARA's language. What is not wanted is compiled all the same, for others may ask whether it holds.
    #[cfg(feature = "yara")]
    fn yara(&mut self, part: &Part) -> Result<(), CompileError> {
        let added = self.yara.get_or_insert_default().add(part);
        let name = match added {
            Ok(Some(name)) => SignatureName::new(EngineWord::Yara, &name),
            Ok(None) => return Ok(()),
            Err(complaint) => {
                self.complain(complaint);
                return Ok(());
            }
        };
        if self.is_unwanted(&name) {
            self.tally.ignored += 1;
            return Ok(());
        }
        self.names.add(&name)?;
        self.tally.rules += 1;
        self.kinds.push(Kind::Rule);
        Ok(())
    }

    /// The format sets all of them aside.
    #[cfg(not(feature = "yara"))]
    fn yara(&mut self, _: &Part) -> Result<(), CompileError> {
        *self
            .tally
            .aside
            .entry((Until::Never, "built without YARA"))
            .or_default() += 1;
        Ok(())
    }

    #[cfg(feature = "yara")]
    fn yara_section(&mut self) -> io::Result<Vec<u8>> {
        match self.yara.take() {
            Some(rules) => rules.finish().map_err(io::Error::other),
            None => Ok(Vec::new()),
        }
    }

    #[cfg(not(feature = "yara"))]
    fn yara_section(&mut self) -> io::Result<Vec<u8>> {
        Ok(Vec::new())
    }

    /// The rules that cost more than others, the slowest of each language, and how many there are.
    pub fn slow(&self) -> (Vec<Complaint>, u64) {
        let patterns = self.slow.iter().map(|(atom, name)| Complaint {
            file: name.to_string(),
            line: 0,
            reason: match atom {
                1 => "it has one byte to search for".to_owned(),
                _ => format!("it has {atom} bytes to search for"),
            },
        });
        #[cfg(feature = "yara")]
        let yara = self.yara.as_ref().map_or(&[][..], |yara| yara.slow());
        #[cfg(not(feature = "yara"))]
        let yara: &[Complaint] = &[];
        let count = self.slow_count.saturating_add(yara.len() as u64);
        (patterns.chain(yara.iter().cloned()).collect(), count)
    }

    /// Keeps the rule among the slowest if it is one of them.
    fn note_slow(&mut self, atom: usize, name: &SignatureName) {
        if atom >= SLOW_ATOM {
            return;
        }
        self.slow_count += 1;
        let place = self.slow.partition_point(|(other, _)| *other <= atom);
        if place < SLOW_LISTED {
            self.slow.insert(place, (atom, name.clone()));
            self.slow.truncate(SLOW_LISTED);
        }
    }

    fn is_unwanted(&mut self, name: &SignatureName) -> bool {
        if self.unwanted.is_empty() {
            return false;
        }
        let whole = name.to_string().into_bytes();
        let short = (name.engine == EngineWord::Cvdl).then(|| name.name.clone().into_bytes());
        let names = std::iter::once(whole).chain(short);
        let met: Vec<_> = names.filter(|name| self.unwanted.contains(name)).collect();
        let is_unwanted = !met.is_empty();
        self.met.extend(met);
        is_unwanted
    }

    /// The unwanted names that no signature had so far, sorted.
    pub fn unmet(&self) -> Vec<&[u8]> {
        let unmet = self.unwanted.difference(&self.met);
        let mut unmet: Vec<_> = unmet.map(Vec::as_slice).collect();
        unmet.sort_unstable();
        unmet
    }

    /// The numbers of the patterns of a rule, for each test that is one, and the fewest bytes by which one is found.
    fn patterns_of(&mut self, rule: &Rule) -> Result<(Vec<Option<u32>>, usize), CompileError> {
        let mut keep: Vec<Keep> = vec![Keep::First; rule.tests.len()];
        counted(&rule.condition, &mut keep);
        for test in &rule.tests {
            match test {
                Test::Pattern(_) => {}
                Test::Macro { after, .. } => raise(&mut keep, *after, Keep::Starts),
                Test::Compare(compare) => raise(&mut keep, compare.after, Keep::Starts),
                Test::Regex(regex) => {
                    if let Some(trigger) = &regex.trigger {
                        counted(trigger, &mut keep);
                    }
                    let base = regex.offset.map(|offset| offset.base);
                    self.needs_layout |= base.is_some_and(is_of_a_program);
                }
            }
        }
        let likely = match rule.tests.len() {
            1 => Likely::Once,
            _ => Likely::Again,
        };
        let mut numbers = Vec::with_capacity(rule.tests.len());
        let mut atom = usize::MAX;
        for (test, keep) in rule.tests.iter().zip(keep) {
            numbers.push(match test {
                Test::Pattern(pattern) => {
                    let number = self.pattern(pattern, keep, likely)?;
                    atom = atom.min(self.patterns.shortest_atom());
                    Some(number)
                }
                Test::Macro { .. } | Test::Compare(_) | Test::Regex(_) => None,
            });
        }
        Ok((numbers, atom))
    }

    fn pattern(
        &mut self,
        pattern: &Pattern,
        keep: Keep,
        likely: Likely,
    ) -> Result<u32, CompileError> {
        let base = pattern.offset().map(|offset| offset.base);
        self.needs_layout |= base.is_some_and(is_of_a_program);
        Ok(self.patterns.add(pattern, keep, likely, &mut self.writer)?)
    }

    fn complain(&mut self, complaint: Complaint) {
        self.tally.complaints += 1;
        if self.complaints.len() < COMPLAINTS {
            self.complaints.push(complaint);
        }
    }
}

/// Bytes of the section of flags.
const FLAGS_LENGTH: usize = 1;

impl<W: Write + Seek> Intake for Compiler<W> {
    fn take(&mut self, item: Item) {
        if self.failed.is_some() {
            return;
        }
        let done = match item {
            Item::Signature(signature) => self.signature(signature),
            Item::Allowed { digest, size, .. } => {
                self.allowed.add(0, digest, size);
                self.tally.allowed += 1;
                Ok(())
            }
            Item::Ignored(name) => {
                self.ignored.insert(name.into_bytes());
                Ok(())
            }
            Item::MacroMember { group, pattern } => self
                .pattern(&pattern, Keep::Starts, Likely::Again)
                .map(|pattern| {
                    self.rules.member(group, pattern);
                    self.tally.macro_members += 1;
                }),
            Item::Complaint(complaint) => {
                self.complain(complaint);
                Ok(())
            }
            Item::Password {
                container,
                password,
            } => {
                self.members.password(container, password);
                self.tally.passwords += 1;
                Ok(())
            }
            Item::Yara(part) => self.yara(&part),
            Item::Aside(Aside { until, reason, .. }) => {
                *self.tally.aside.entry((until, reason)).or_default() += 1;
                Ok(())
            }
            // For those who load: they change nothing of what is found.
            Item::Remark(_) => Ok(()),
        };
        if let Err(error) = done {
            self.failed.get_or_insert(error);
        }
    }
}

/// The normal forms on which signatures of this target may hold.
fn forms(target: u8) -> u8 {
    let bit = |forms: &[Form], bit: u8| {
        let fits = forms.iter().any(|form| form.fits(target, 0));
        u8::from(fits) * bit
    };
    bit(&[Form::Html, Form::Script], HTML) | bit(&[Form::Text], TEXT)
}

/// Tells whether an offset counts from something that only programs have.
fn is_of_a_program(base: Base) -> bool {
    match base {
        Base::Start | Base::End => false,
        Base::Entry
        | Base::Section(_)
        | Base::LastSection
        | Base::Within(_)
        | Base::VersionInfo => true,
    }
}

fn raise(keep: &mut [Keep], index: usize, to: Keep) {
    let rank = |keep: Keep| match keep {
        Keep::First => 0,
        Keep::Count => 1,
        Keep::Starts => 2,
    };
    if let Some(keep) = keep.get_mut(index)
        && rank(*keep) < rank(to)
    {
        *keep = to;
    }
}

/// Marks the tests of which a condition wants the number.
fn counted(condition: &Condition, keep: &mut [Keep]) {
    match condition {
        Condition::And(all) | Condition::Or(all) | Condition::Xor(all) => {
            all.iter().for_each(|one| counted(one, keep));
        }
        Condition::Not(one) => counted(one, keep),
        Condition::Test(_) => {}
        Condition::Count(count) => {
            for index in count.of.iter().flatten() {
                raise(keep, *index, Keep::Count);
            }
        }
    }
}
