//! The options of one connection: what ENABLE and DISABLE do.
//!
//! Source: spec-vfind.md §1.4 and §1.8 (7, 8), design "SVSP details". An option that cannot be honoured is refused: a
//! peer that was told OK may rely on it.
#![forbid(unsafe_code)]

use std::sync::Arc;

use crate::gateway::Hello;
use crate::kind::{self, Kind, KindSet};
use crate::path::printable;
use crate::request::{Exclude, Options, Recurse};

use super::command::{Refusal, decimal, quoted};
use super::reply::ErrorName;

/// Values of IGNORE and EXCLUDE together: each finding and each file is held against all of them.
const ENTRIES: usize = 10_000;

/// Bytes of these values together, as a connection keeps them as long as it lives.
const TEXT: usize = 1024 * 1024;

/// What a pattern counts beside its text, and each byte of its text: as much as it takes in memory when it is read. So all
/// patterns of a connection have 32 KiB together, which bounds the time for which a name is held against them.
const PATTERN: usize = 128;
const PATTERN_BYTE: usize = 32;

/// The longest pattern, in bytes: every name is held against every pattern, which takes time by the product of both.
const PATTERN_LIMIT: usize = 1024;

/// What an entry takes beside its text, about.
const ENTRY_WEIGHT: usize = 64;

/// How much of what a peer said is shown to it again.
const ECHO: usize = 200;

type Value<'a> = Option<&'a [u8]>;

#[derive(Debug, Clone, Copy)]
enum Name {
    Coverage,
    Exclude,
    Expand,
    Html,
    Ignore,
    Original,
    Recurse,
}

const NAMES: [(Name, &str); 7] = [
    (Name::Coverage, "COVERAGE"),
    (Name::Exclude, "EXCLUDE"),
    (Name::Expand, "EXPAND"),
    (Name::Html, "HTML"),
    (Name::Ignore, "IGNORE"),
    (Name::Original, "ORIGINAL"),
    (Name::Recurse, "RECURSE"),
];

/// The options as they stand.
#[derive(Debug, Default)]
pub struct Settings {
    hello: Hello,
    options: Arc<Options>,
    coverage: bool,
    /// The peer has said something about EXPAND: from then on ENABLE adds to what is there.
    expand_chosen: bool,
    ignore_text: usize,
    exclude_text: usize,
}

impl Settings {
    /// The options of a peer that has said nothing yet.
    pub fn new(hello: Hello) -> Self {
        let options = Options {
            expand: hello.expand,
            ..Options::default()
        };
        Self {
            hello,
            options: Arc::new(options),
            ..Self::default()
        }
    }

    /// The options for a request whose line was just read.
    pub fn snapshot(&self) -> Arc<Options> {
        Arc::clone(&self.options)
    }

    /// Does ENABLE (`on`) or DISABLE for protocols with other words for it.
    ///
    /// # Errors
    /// For people: why it cannot be honoured.
    pub fn set(&mut self, on: bool, name: &str, value: Option<&[u8]>) -> Result<(), String> {
        let applied = self.apply(on, name.as_bytes(), value);
        applied.map(drop).map_err(|refusal| refusal.message)
    }

    /// COVERAGE is on.
    pub(super) fn coverage(&self) -> bool {
        self.coverage
    }

    /// What a snapshot takes in memory, about.
    pub(super) fn weight(&self) -> usize {
        self.ignore_text + self.exclude_text + self.entries() * ENTRY_WEIGHT
    }

    fn entries(&self) -> usize {
        self.options.ignore.len() + self.options.exclude.count()
    }

    /// Does ENABLE (`on`) or DISABLE and gives the text that goes with OK.
    pub(super) fn apply(
        &mut self,
        on: bool,
        name: &[u8],
        value: Value<'_>,
    ) -> Result<&'static str, Refusal> {
        let row = NAMES
            .iter()
            .find(|(_, word)| word.as_bytes().eq_ignore_ascii_case(name));
        let Some((name, _)) = row else {
            let name = printable(name, ECHO);
            return Err(Refusal::invalid(format!("Unknown option: {name}")));
        };
        match name {
            Name::Coverage => return self.set_coverage(on, value),
            Name::Exclude => self.exclude(on, value)?,
            Name::Expand => self.expand(on, value)?,
            Name::Html => self.change().html = html(on, value)?,
            Name::Ignore => self.ignore(on, value)?,
            Name::Original => {
                flag(value)?;
                self.change().original = on;
            }
            Name::Recurse => self.change().recurse = recurse(on, value)?,
        }
        Ok("")
    }

    /// The options, apart from the snapshots that requests have taken.
    fn change(&mut self) -> &mut Options {
        Arc::make_mut(&mut self.options)
    }

    fn set_coverage(&mut self, on: bool, value: Value<'_>) -> Result<&'static str, Refusal> {
        flag(value)?;
        self.coverage = on;
        let warn = on && self.hello.test_signatures_only;
        Ok(if warn { "test signatures only" } else { "" })
    }

    fn exclude(&mut self, on: bool, value: Value<'_>) -> Result<(), Refusal> {
        let value = value.map(|value| quoted(value).unwrap_or_else(|| value.to_vec()));
        match (on, value.as_deref()) {
            (true, Some(value)) => {
                excludable(value)?;
                self.check_room(cost(value))?;
                let known = self.change().exclude.remove(value);
                self.exclude_text += if known { 0 } else { cost(value) };
                self.change().exclude.add(value);
            }
            (true, None) => return Err(Refusal::invalid("EXCLUDE needs a file name")),
            (false, Some(value)) => {
                let known = self.change().exclude.remove(value);
                self.exclude_text -= if known { cost(value) } else { 0 };
            }
            (false, None) => {
                self.change().exclude.clear();
                self.exclude_text = 0;
            }
        }
        Ok(())
    }

    fn ignore(&mut self, on: bool, value: Value<'_>) -> Result<(), Refusal> {
        let name = value.map(signature_name).transpose()?;
        match (on, name) {
            (true, Some(name)) => {
                self.check_room(name.len())?;
                if !self.options.ignore.iter().any(|known| known == name) {
                    self.change().ignore.push(name.to_owned());
                }
            }
            (true, None) => return Err(Refusal::invalid("IGNORE needs a virus name")),
            (false, Some(name)) => self.change().ignore.retain(|known| known != name),
            (false, None) => self.change().ignore.clear(),
        }
        self.ignore_text = self.options.ignore.iter().map(String::len).sum();
        Ok(())
    }

    fn check_room(&self, cost: usize) -> Result<(), Refusal> {
        let text = self.ignore_text + self.exclude_text + cost;
        if self.entries() < ENTRIES && text <= TEXT {
            return Ok(());
        }
        Err(Refusal::new(
            ErrorName::Eagain,
            format!(
                "No room for more than {ENTRIES} values of IGNORE and EXCLUDE, or {TEXT} bytes"
            ),
        ))
    }

    /// The first ENABLE EXPAND of one kind narrows the default set to it, as nobody asks for what is on already.
    fn expand(&mut self, on: bool, value: Value<'_>) -> Result<(), Refusal> {
        let mut set = self.options.expand;
        match value.map(<[u8]>::trim_ascii_end) {
            None if on => set = self.hello.expand,
            Some(b"*") if on => set = KindSet::ALL,
            None | Some(b"*") => set = KindSet::NONE,
            Some(name) if on => {
                let kind = built(known(name)?)?;
                if !self.expand_chosen {
                    set = KindSet::NONE;
                }
                set.insert(kind);
            }
            Some(name) => set.remove(known(name)?),
        }
        self.expand_chosen = true;
        self.change().expand = set;
        Ok(())
    }
}

/// Refuses what would never take effect: a name that is not absolute, and a pattern that is none.
fn excludable(value: &[u8]) -> Result<(), Refusal> {
    if Exclude::is_pattern(value) && value.len() > PATTERN_LIMIT {
        let text = format!("EXCLUDE takes patterns of at most {PATTERN_LIMIT} bytes");
        return Err(Refusal::invalid(text));
    }
    if value.starts_with(b"/") || Exclude::is_pattern(value) {
        return Ok(());
    }
    let value = printable(value, ECHO);
    Err(Refusal::invalid(format!(
        "EXCLUDE needs an absolute path or a pattern: {value}"
    )))
}

/// What a value of EXCLUDE counts against [`TEXT`].
fn cost(value: &[u8]) -> usize {
    if Exclude::is_pattern(value) {
        PATTERN + PATTERN_BYTE * value.len()
    } else {
        value.len()
    }
}

fn known(name: &[u8]) -> Result<&'static Kind, Refusal> {
    kind::by_name(name).ok_or_else(|| {
        let name = printable(name, ECHO);
        Refusal::invalid(format!("Unknown expander: {name}"))
    })
}

fn built(kind: &'static Kind) -> Result<&'static Kind, Refusal> {
    if kind.built {
        return Ok(kind);
    }
    let (name, title) = (kind.name, kind.title);
    Err(Refusal::unsupported(format!(
        "No expander for {name} ({title}) in this server"
    )))
}

/// Names of signatures are text, so other bytes could never take effect.
fn signature_name(value: &[u8]) -> Result<&str, Refusal> {
    std::str::from_utf8(value.trim_ascii_end())
        .map_err(|_| Refusal::invalid("The virus name is not UTF-8"))
}

fn recurse(on: bool, value: Value<'_>) -> Result<Recurse, Refusal> {
    if !on {
        flag(value)?;
        return Ok(Recurse::Off);
    }
    let limit = value.map_or(Some(0), decimal);
    match limit {
        Some(0) => Ok(Recurse::Unlimited),
        Some(limit) => Ok(Recurse::To(limit)),
        None => Err(Refusal::invalid("RECURSE needs a number")),
    }
}

/// Without a number it is the text alone.
fn html(on: bool, value: Value<'_>) -> Result<u8, Refusal> {
    match value.map(decimal::<u8>) {
        Some(None | Some(0 | 4..)) => Err(Refusal::invalid("HTML takes 1, 2 or 3")),
        Some(Some(level)) if on => Ok(level),
        None if on => Ok(1),
        Some(Some(_)) | None => Ok(0),
    }
}

fn flag(value: Value<'_>) -> Result<(), Refusal> {
    match value {
        None => Ok(()),
        Some(_) => Err(Refusal::invalid("This takes no value")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn say(settings: &mut Settings, line: &str) -> Result<&'static str, ErrorName> {
        let mut words = line.splitn(3, ' ');
        let on = words.next() == Some("ENABLE");
        let name = words.next().unwrap().as_bytes();
        settings
            .apply(on, name, words.next().map(str::as_bytes))
            .map_err(|refusal| refusal.error)
    }

    fn names(set: KindSet) -> Vec<&'static str> {
        let kinds = kind::KINDS.iter().filter(|kind| set.contains(kind));
        kinds.map(|kind| kind.name).collect()
    }

    #[test]
    fn expand_narrows_first_and_then_adds() {
        let all: Vec<&str> = kind::KINDS.iter().map(|kind| kind.name).collect();
        let usual = names(KindSet::usual());
        let rows: &[(&[&str], &[&str])] = &[
            (&["ENABLE EXPAND zip"], &["zip"]),
            (
                &["ENABLE expand ZIP", "ENABLE EXPAND tar "],
                &["tar", "zip"],
            ),
            (&["ENABLE EXPAND", "ENABLE EXPAND zip"], &usual),
            (&["DISABLE EXPAND", "ENABLE EXPAND gz"], &["gz"]),
            (&["ENABLE EXPAND zip", "DISABLE EXPAND zip"], &[]),
            (&["ENABLE EXPAND zip", "ENABLE EXPAND"], &usual),
            (&["ENABLE EXPAND *"], &all),
            (&["DISABLE EXPAND *"], &[]),
        ];
        for (lines, expected) in rows {
            let mut settings = Settings::default();
            for line in *lines {
                assert_eq!(say(&mut settings, line), Ok(""), "{line}");
            }
            assert_eq!(names(settings.options.expand), *expected, "{lines:?}");
        }
        let mut settings = Settings::default();
        assert_eq!(say(&mut settings, "DISABLE EXPAND rar"), Ok(""));
        assert_eq!(names(settings.options.expand).len() + 1, usual.len());
    }

    #[test]
    fn what_cannot_be_honoured_is_refused_and_changes_nothing() {
        use ErrorName::{Einval, Enotsup};
        let rows = [
            ("ENABLE NONSENSE", Einval),
            ("ENABLE EXPAND ACE", Enotsup),
            ("ENABLE EXPAND nonsense", Einval),
            ("DISABLE EXPAND nonsense", Einval),
            ("ENABLE RECURSE -1", Einval),
            ("ENABLE RECURSE 99999999999", Einval),
            ("DISABLE RECURSE 1", Einval),
            ("ENABLE ORIGINAL yes", Einval),
            ("ENABLE COVERAGE 1", Einval),
            ("ENABLE HTML 0", Einval),
            ("ENABLE HTML 4", Einval),
            ("DISABLE HTML x", Einval),
            ("ENABLE IGNORE", Einval),
            ("ENABLE EXCLUDE", Einval),
        ];
        for (line, error) in rows {
            let mut settings = Settings::default();
            let before = settings.snapshot();
            assert_eq!(say(&mut settings, line), Err(error), "{line}");
            assert_eq!(settings.options.expand, before.expand);
            assert_eq!(settings.options.recurse, before.recurse);
            assert!(!settings.coverage() && settings.weight() == 0);
        }
    }

    #[test]
    fn html_has_three_levels() {
        let mut settings = Settings::default();
        let rows = [
            ("ENABLE HTML 3", 3),
            ("ENABLE HTML", 1),
            ("ENABLE HTML 2", 2),
            ("DISABLE HTML 2", 0),
            ("ENABLE HTML 1", 1),
            ("DISABLE HTML", 0),
        ];
        for (line, level) in rows {
            assert_eq!(say(&mut settings, line), Ok(""), "{line}");
            assert_eq!(settings.options.html, level, "{line}");
        }
    }

    #[test]
    fn a_snapshot_stays_as_it_was() {
        let mut settings = Settings::default();
        let before = settings.snapshot();
        for line in [
            "ENABLE RECURSE 3",
            "ENABLE ORIGINAL",
            "ENABLE IGNORE CVDL A B ",
            "DISABLE HTML",
        ] {
            assert_eq!(say(&mut settings, line), Ok(""), "{line}");
        }
        assert_eq!(settings.options.recurse, Recurse::To(3));
        assert_eq!(settings.options.ignore, ["CVDL A B"]);
        assert!(settings.options.original && !before.original && before.ignore.is_empty());
        assert_eq!(say(&mut settings, "ENABLE RECURSE 0"), Ok(""));
        assert_eq!(settings.options.recurse, Recurse::Unlimited);
        assert_eq!(say(&mut settings, "DISABLE RECURSE"), Ok(""));
        assert_eq!(settings.options.recurse, Recurse::Off);
    }

    #[test]
    fn the_lists_are_sets_with_a_bound() {
        let mut settings = Settings::default();
        let (ignore, exclude) = ("ENABLE IGNORE CVDL X", "ENABLE EXCLUDE /srv/x ");
        for line in [ignore, ignore, exclude, exclude] {
            assert_eq!(say(&mut settings, line), Ok(""));
        }
        assert_eq!(settings.weight(), 6 + 7 + 2 * ENTRY_WEIGHT);
        for line in [
            "DISABLE IGNORE Y",
            "DISABLE IGNORE CVDL X",
            "DISABLE EXCLUDE /srv/x ",
        ] {
            assert_eq!(say(&mut settings, line), Ok(""), "{line}");
        }
        assert_eq!(settings.weight(), 0);

        let long = format!("ENABLE EXCLUDE /{}", "x".repeat(60_000));
        let taken = (0..100).take_while(|row| say(&mut settings, &format!("{long}{row}")).is_ok());
        assert_eq!(taken.count(), TEXT / 60_000);
        assert_eq!(say(&mut settings, &long), Err(ErrorName::Eagain));
        assert_eq!(say(&mut settings, "DISABLE EXCLUDE"), Ok(""));
        for row in 0..ENTRIES {
            assert_eq!(
                say(&mut settings, &format!("ENABLE EXCLUDE /{row}")),
                Ok("")
            );
        }
        assert_eq!(
            say(&mut settings, "ENABLE IGNORE Z"),
            Err(ErrorName::Eagain)
        );
    }

    #[test]
    fn patterns_count_for_what_they_take() {
        let mut settings = Settings::default();
        let taken = (0..ENTRIES)
            .take_while(|row| say(&mut settings, &format!("ENABLE EXCLUDE *{row:05}")).is_ok());
        assert_eq!(taken.count(), TEXT / (PATTERN + 6 * PATTERN_BYTE));
        assert_eq!(say(&mut settings, "DISABLE EXCLUDE *00000"), Ok(""));
        assert_eq!(say(&mut settings, "ENABLE EXCLUDE *00000"), Ok(""));
    }

    #[test]
    fn the_server_says_what_is_opened_for_those_who_do_not_choose() {
        let mut expand = KindSet::usual();
        expand.remove(kind::by_name(b"zip").unwrap());
        let mut settings = Settings::new(Hello {
            expand,
            ..Hello::default()
        });
        assert_eq!(settings.snapshot().expand, expand);
        say(&mut settings, "ENABLE EXPAND zip").unwrap();
        assert_eq!(names(settings.snapshot().expand), ["zip"]);
        say(&mut settings, "ENABLE EXPAND").unwrap();
        assert_eq!(settings.snapshot().expand, expand);
        say(&mut settings, "DISABLE EXPAND").unwrap();
        assert_eq!(settings.snapshot().expand, KindSet::NONE);
    }

    #[test]
    fn coverage_says_when_only_test_signatures_are_there() {
        for test_signatures_only in [false, true] {
            let mut settings = Settings::new(Hello {
                test_signatures_only,
                ..Hello::default()
            });
            let text = say(&mut settings, "ENABLE COVERAGE").unwrap();
            assert_eq!(text.is_empty(), !test_signatures_only);
            assert_eq!(say(&mut settings, "DISABLE COVERAGE"), Ok(""));
        }
    }
}
