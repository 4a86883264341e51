//! The object read in other ways, where its type has any: what holds on such a view is reported at the object.
//!
//! Text is read once more from its start to its end, in pieces; what needs all of an HTML text at once gets its first
//! [`WHOLE`] bytes, and that is a gap where there is more. What is made is bounded by what is read, so that nothing has to be paid.
#![forbid(unsafe_code)]

use std::sync::Arc;

use bytes::Bytes;

use super::members::Members;
use super::source::Source;
use super::{Matched, Names, Spot, Stood, Walk};
use crate::engine::search::Extent;
use crate::engine::{Matcher, Matches, Subject};
use crate::event::{Exclusion, Limit, Reason, View};
use crate::expand::{self, Children, Content, Halt};
use crate::filetype::{self, FileType};
use crate::kind;
use crate::object::{Object, Probe};
use crate::view::base64::{Blob, Finder};
use crate::view::charset::{self, Charset};
use crate::view::html::{self, Level};
use crate::view::script::{self, Script};
use crate::view::{Form, normal};

/// Bytes of a text that are held at once; of HTML no more than `--limit-contiguous`.
const WHOLE: usize = 25 * 1024 * 1024;

/// Bytes of decoded texts that are matched together.
const TOGETHER: usize = 1024 * 1024;

/// How often what is encoded may be encoded in its turn.
const ENCODINGS: usize = 4;

/// ClamAV's targets of HTML and text.
const HTML: u8 = 3;
const TEXT: u8 = 7;

/// ClamAV's targets of programs.
const PROGRAMS: [u8; 3] = [1, 6, 9];

/// One object whose views are made.
struct Viewed<'v> {
    spot: &'v Spot,
    /// The place of its members.
    around: &'v Spot,
    object: &'v Object,
    file_type: &'static FileType,
    allowed: bool,
    /// What holds on the views.
    matches: Matches,
    inside: &'v mut Names,
    /// A member came out of it.
    any: bool,
}

/// What the views of an object came to.
#[derive(Default)]
pub(super) struct Views {
    pub(super) any: bool,
}

/// What is encoded in a text.
struct Encoded {
    base64: Finder,
    script: script::Finder,
    /// What was found and is still to be looked at.
    blobs: Vec<Blob>,
    scripts: Vec<Script>,
    /// Texts out of each that are still to be matched.
    texts: Vec<u8>,
    said: Vec<u8>,
}

impl Encoded {
    fn new() -> Self {
        Self {
            base64: Finder::new(WHOLE),
            script: script::Finder::new(WHOLE),
            blobs: Vec::new(),
            scripts: Vec::new(),
            texts: Vec::new(),
            said: Vec::new(),
        }
    }

    fn push(&mut self, text: &[u8]) {
        self.base64.push(text, &mut |blob| self.blobs.push(blob));
        self.script
            .push(text, &mut |script| self.scripts.push(script));
    }

    fn finish(&mut self) {
        let (base64, script) = (Finder::new(WHOLE), script::Finder::new(WHOLE));
        let blobs = &mut self.blobs;
        std::mem::replace(&mut self.base64, base64).finish(&mut |blob| blobs.push(blob));
        let scripts = &mut self.scripts;
        std::mem::replace(&mut self.script, script).finish(&mut |script| scripts.push(script));
    }
}

/// Matches one view piece by piece, and keeps it as long as it is small.
struct Pass<'d> {
    form: Form,
    view: View,
    matcher: Matcher<'d>,
    kept: Vec<u8>,
    whole: bool,
}

impl Pass<'_> {
    fn feed(&mut self, bytes: &[u8]) {
        // Whoever reads on notices that it is time to stop.
        let _ = self.matcher.feed(bytes);
        self.whole &= self.kept.len().saturating_add(bytes.len()) <= WHOLE;
        match self.whole {
            true => self.kept.extend_from_slice(bytes),
            false => self.kept = Vec::new(),
        }
    }
}

impl<'a> Walk<'a> {
    /// Makes the views of an object that was matched, and adds what holds on them. One that nothing came out of is text as
    /// well if it looks like that, whatever its first letters are.
    pub(super) fn views(
        &mut self,
        spot: &Spot,
        object: &Object,
        matched: &mut Matched,
        was_opened: bool,
        inside: &mut Names,
    ) -> Result<Views, Halt> {
        let file_type = matched.file_type;
        let head = match object.bytes_at(0, charset::HEAD) {
            Ok(head) => head,
            Err(error) => return self.failed(&spot.path, &error).map(|()| Views::default()),
        };
        let charset =
            charset::tell(&head).filter(|_| file_type.is_text() || file_type.is_unknown());
        let is_like_text = !was_opened && charset::is_mostly_text(&head);
        if !file_type.is_text() && !is_like_text && charset.is_none() {
            return Ok(Views::default());
        }
        let around = spot.around_members(matched, file_type);
        let mut viewed = Viewed {
            spot,
            around: &around,
            object,
            file_type,
            allowed: spot.allowed || matched.matches.is_allowed,
            matches: Matches::default(),
            inside,
            any: false,
        };
        let done = self.read_views(&mut viewed, charset);
        let views = Views { any: viewed.any };
        matched.matches.add(viewed.matches, self.job.each_view);
        done.map(|()| views)
    }

    fn read_views(
        &mut self,
        viewed: &mut Viewed<'_>,
        charset: Option<Charset>,
    ) -> Result<(), Halt> {
        let is_html = viewed.file_type.target == HTML;
        // What is text by its content though not by its type is text. ClamAV's normal form is made of nothing else.
        let is_unknown = viewed.file_type.is_unknown() && charset.is_some();
        let is_plain = viewed.file_type.target == TEXT || is_unknown;
        let normal_text = !is_html && is_plain && self.database.needs(Form::Text);
        let level = Level::from_number(self.html_level()).filter(|_| is_html);
        let normal_html = is_html && self.database.needs(Form::Html);
        let mut reading = charset.map(charset::Reading::new);
        let mut reading_pass = reading.is_some().then(|| self.pass(View::Utf8));
        let mut text_pass = normal_text.then(|| self.pass(View::NormalText));
        let mut text = normal::Text::default();
        let keeps = level.is_some() || normal_html;
        let contiguous = usize::try_from(self.job.limits.contiguous).unwrap_or(usize::MAX);
        let whole = WHOLE.min(contiguous);
        let mut page: Vec<u8> = Vec::new();
        let mut cut = false;
        let mut encoded = Encoded::new();
        let mut reader = viewed.object.raw_reader();
        let mut source = Source::of(viewed.object, &mut reader);
        let mut buffer = Vec::new();
        let (mut decoded, mut normalised) = (String::new(), Vec::new());
        loop {
            if let Err(stopped) = self.stop.check() {
                return self.stopped(&viewed.spot.path, stopped);
            }
            let chunk = match source.next(&mut buffer) {
                Ok(chunk) => chunk,
                Err(error) => return self.damaged(&viewed.spot.path, &error),
            };
            let last = chunk.is_empty();
            if let Some(pass) = &mut text_pass {
                normalised.clear();
                text.push(chunk, &mut normalised);
                pass.feed(&normalised);
            }
            let seen = match &mut reading {
                Some(reading) => {
                    decoded.clear();
                    reading.push(chunk, last, &mut decoded);
                    decoded.as_bytes()
                }
                None => chunk,
            };
            if let Some(pass) = &mut reading_pass {
                pass.feed(seen);
            }
            if keeps && !cut {
                let room = whole.saturating_sub(page.len());
                cut = seen.len() > room;
                page.extend_from_slice(seen.get(..room).unwrap_or(seen));
            }
            encoded.push(seen);
            self.search(viewed, &mut encoded)?;
            if last {
                break;
            }
        }
        encoded.finish();
        self.search(viewed, &mut encoded)?;
        self.flush(viewed, View::Base64, &mut encoded.texts);
        self.flush(viewed, View::Script, &mut encoded.said);
        for pass in text_pass.into_iter().chain(reading_pass) {
            self.end_pass(viewed, pass);
        }
        if cut {
            let advice = match whole < WHOLE {
                true => "--limit-contiguous bounds it, up to 25M",
                false => "no option raises this",
            };
            let detail = format!(
                "of the HTML the first {whole} bytes were read as text, all of it as it is; {advice}"
            );
            viewed
                .matches
                .gaps
                .push((Reason::Limit(Limit::Contiguous), detail));
        }
        if normal_html {
            let forms = normal::html(&page);
            self.form(viewed, View::NormalHtml, forms.tagged);
            self.form(viewed, View::NormalHtmlText, forms.plain);
            if !forms.scripts.is_empty() {
                self.form(viewed, View::NormalScripts, forms.scripts);
            }
        }
        if let Some(level) = level {
            let text = String::from_utf8_lossy(&page);
            let text = html::html(&text, level).into_bytes();
            self.form(viewed, View::HtmlText, text);
        }
        // What was stopped on the way is said here, for all of it.
        match self.stop.check() {
            Ok(()) => Ok(()),
            Err(stopped) => self.stopped(&viewed.spot.path, stopped),
        }
    }

    /// `EXPAND HTML` alone asks for the text.
    fn html_level(&self) -> u8 {
        let kind = kind::by_name(b"HTML");
        let expands = kind.is_some_and(|kind| self.job.expand.contains(kind));
        self.job.html.max(u8::from(expands))
    }

    fn pass(&self, view: View) -> Pass<'a> {
        Pass {
            form: form(view),
            view,
            matcher: Matcher::new(self.database, Extent::default(), self.stop.clone()),
            kept: Vec::new(),
            whole: true,
        }
    }

    fn form(&mut self, viewed: &mut Viewed<'_>, view: View, bytes: Vec<u8>) {
        let mut pass = self.pass(view);
        let _ = pass.matcher.feed(&bytes);
        pass.kept = bytes;
        self.end_pass(viewed, pass);
    }

    fn end_pass(&mut self, viewed: &mut Viewed<'_>, pass: Pass<'_>) {
        let object = Object::memory(Bytes::from(pass.kept), self.stop.clone());
        let lost = Reason::Limit(Limit::Contiguous);
        let mut matches = pass.matcher.finish(&Subject {
            form: pass.form,
            file_type: viewed.file_type,
            layout: None,
            containers: &viewed.spot.containers,
            object: if pass.whole { Ok(&object) } else { Err(&lost) },
            name: viewed.spot.path.name(),
            allowed: viewed.allowed,
            contiguous: self.job.limits.contiguous,
        });
        for found in matches.findings.iter_mut().chain(&mut matches.allowed) {
            found.view = Some(pass.view);
        }
        viewed.matches.add(matches, self.job.each_view);
    }

    /// What was encoded: a member if it is something, else a text that is matched with others, and searched in its turn.
    fn blobs(
        &mut self,
        viewed: &mut Viewed<'_>,
        blobs: Vec<Blob>,
        texts: &mut Vec<u8>,
    ) -> Result<(), Halt> {
        let mut row: Vec<(usize, Blob)> = blobs.into_iter().map(|blob| (1, blob)).collect();
        row.reverse();
        while let Some((depth, blob)) = row.pop() {
            if blob.cut {
                let detail = format!(
                    "of base64 at {} the first {WHOLE} bytes were decoded",
                    blob.at
                );
                viewed
                    .matches
                    .gaps
                    .push((Reason::Limit(Limit::Contiguous), detail));
            }
            let object = Object::memory(Bytes::from(blob.bytes), self.stop.clone());
            let Ok(probe) = object.probe() else { break };
            if is_something(&probe) {
                let stood = match blob.begins_line {
                    true => Stood::InLines,
                    false => Stood::InText,
                };
                self.encoded(viewed, (blob.at, stood), object)?;
                continue;
            }
            let Ok(bytes) = object.bytes_at(0, usize::MAX) else {
                break;
            };
            let text = match charset::tell(&bytes) {
                Some(charset) => {
                    let mut text = String::new();
                    charset::Reading::new(charset).push(&bytes, true, &mut text);
                    text.into_bytes()
                }
                None => bytes,
            };
            let mut inner = Vec::new();
            let mut finder = Finder::new(WHOLE);
            finder.push(&text, &mut |blob| inner.push(blob));
            finder.finish(&mut |blob| inner.push(blob));
            if depth >= ENCODINGS && !inner.is_empty() {
                let detail = format!("base64 inside of base64 more than {ENCODINGS} deep");
                viewed
                    .matches
                    .gaps
                    .push((Reason::Limit(Limit::Depth), detail));
                inner.clear();
            }
            // Where the text begins is where the outermost run does.
            let Blob {
                at, begins_line, ..
            } = blob;
            let outermost = |inner| Blob {
                at,
                begins_line,
                ..inner
            };
            let inner = inner.into_iter().rev().map(outermost);
            row.extend(inner.map(|inner| (depth.saturating_add(1), inner)));
            texts.extend_from_slice(&text);
            texts.push(b'\n');
            if texts.len() > TOGETHER {
                self.flush(viewed, View::Base64, texts);
            }
        }
        Ok(())
    }

    /// What was found so far.
    fn search(&mut self, viewed: &mut Viewed<'_>, encoded: &mut Encoded) -> Result<(), Halt> {
        let blobs = std::mem::take(&mut encoded.blobs);
        self.blobs(viewed, blobs, &mut encoded.texts)?;
        let scripts = std::mem::take(&mut encoded.scripts);
        for script in scripts.into_iter().filter(|script| !script.text.is_empty()) {
            if script.cut {
                let detail = format!(
                    "of the script at {} the first {WHOLE} bytes were read",
                    script.at
                );
                let reason = Reason::Limit(Limit::Contiguous);
                viewed.matches.gaps.push((reason, detail));
            }
            // What is encoded once more, where the script begins.
            let mut blobs = Vec::new();
            let mut keep = |blob| {
                blobs.push(Blob {
                    at: script.at,
                    ..blob
                })
            };
            let mut finder = Finder::new(WHOLE);
            finder.push(&script.text, &mut keep);
            finder.finish(&mut keep);
            self.blobs(viewed, blobs, &mut encoded.texts)?;
            encoded.said.extend_from_slice(&script.text);
            encoded.said.push(b'\n');
            if encoded.said.len() > TOGETHER {
                self.flush(viewed, View::Script, &mut encoded.said);
            }
        }
        Ok(())
    }

    fn flush(&mut self, viewed: &mut Viewed<'_>, view: View, texts: &mut Vec<u8>) {
        if !texts.is_empty() {
            let texts = std::mem::take(texts);
            self.form(viewed, view, texts);
        }
    }

    /// A member that was encoded in the text.
    fn encoded(
        &mut self,
        viewed: &mut Viewed<'_>,
        (at, stood): (u64, Stood),
        object: Object,
    ) -> Result<(), Halt> {
        let name = format!("(base64 at {at})");
        let path = viewed.spot.path.member(name.as_bytes());
        let kind = kind::by_name(b"text");
        if !kind.is_some_and(|kind| self.job.expand.contains(kind)) {
            let detail = "text is switched off".to_owned();
            return self.gap(&path, Reason::Excluded(Exclusion::Expand), detail);
        }
        if !self
            .job
            .recurse
            .reaches(viewed.spot.depth.saturating_add(1))
        {
            let detail = "deeper than the request goes".to_owned();
            return self.gap(&path, Reason::Excluded(Exclusion::Recurse), detail);
        }
        let depth = u32::try_from(viewed.spot.containers.len()).unwrap_or(u32::MAX);
        if let Err(limit) = self.budget.container(depth) {
            let detail = self.limit_detail(limit);
            return self.gap(&path, Reason::Limit(limit), detail);
        }
        let mut members = Members {
            walk: self,
            spot: viewed.around,
            inside: viewed.inside,
            size: viewed.object.length(),
            first: 0,
            told: 0,
            folders: false,
            stood,
            any: false,
            words: Arc::clone(&viewed.spot.words),
        };
        let done = members.child(name.as_bytes(), Content::Object(object));
        viewed.any |= members.any;
        done
    }
}

/// Which signatures a view is for.
fn form(view: View) -> Form {
    match view {
        View::Utf8 | View::Base64 | View::Script | View::HtmlText => Form::Reading,
        View::NormalText => Form::Text,
        View::NormalHtml | View::NormalHtmlText => Form::Html,
        View::NormalScripts => Form::Script,
    }
}

/// A program, or what another type than text is told of.
fn is_something(probe: &Probe) -> bool {
    let file_type = filetype::recognise(probe);
    PROGRAMS.contains(&file_type.target)
        || !expand::recognise(probe).is_empty()
        || !file_type.is_unknown() && file_type.target != TEXT
}
