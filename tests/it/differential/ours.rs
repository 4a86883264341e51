//! Our half: the formats, the compiler and a matcher, as the scanner uses them.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::path::Path;

use bytes::Bytes;
use vfind::engine::search::Extent;
use vfind::engine::{Compiler, Database, Matcher, Subject};
use vfind::executable::layout;
use vfind::filetype::{self, FileType};
use vfind::object::Object;
use vfind::signature::format_by_extension;
use vfind::stop::Stop;
use vfind::view::{Form, normal};

use super::clamscan::Found;

/// A database of these files: names, of which the endings tell the formats, and texts. Every line is read.
pub(super) fn compile(sources: &[(String, String)]) -> Database {
    let mut compiler = Compiler::in_memory(HashSet::new()).unwrap();
    for (name, text) in sources {
        let extension = Path::new(name).extension().unwrap().to_str().unwrap();
        let format = format_by_extension(extension).unwrap();
        format
            .parse(&mut text.as_bytes(), name, &mut compiler)
            .unwrap();
    }
    let complaints: Vec<_> = compiler
        .complaints()
        .iter()
        .map(ToString::to_string)
        .collect();
    assert_eq!(complaints, Vec::<String>::new());
    let aside = &compiler.tally().aside;
    assert!(aside.is_empty(), "{aside:?}");
    compiler.open().unwrap()
}

/// Tells whether a line is understood and not searched for.
pub(super) fn sets_aside(extension: &str, line: &str) -> bool {
    !read(extension, line).tally().aside.is_empty()
}

/// Tells whether a line is understood and searched for.
pub(super) fn loads(extension: &str, line: &str) -> bool {
    let compiler = read(extension, line);
    compiler.complaints().is_empty() && compiler.tally().aside.is_empty()
}

fn read(extension: &str, line: &str) -> Compiler {
    let mut compiler = Compiler::in_memory(HashSet::new()).unwrap();
    let format = format_by_extension(extension).unwrap();
    format
        .parse(&mut line.as_bytes(), "line", &mut compiler)
        .unwrap();
    compiler
}

/// All signatures that hold on each file; files without any are left out.
pub(super) fn scan(database: &Database, files: &[(String, Vec<u8>)]) -> Found {
    let all = files
        .iter()
        .map(|(name, content)| (name.clone(), names(database, content)));
    all.filter(|(_, names)| !names.is_empty())
        .collect::<BTreeMap<_, _>>()
}

fn names(database: &Database, content: &[u8]) -> BTreeSet<String> {
    let object = Object::memory(Bytes::copy_from_slice(content), Stop::never());
    let file_type = filetype::recognise(&object.probe().unwrap());
    let mut names = found(database, Form::Content, file_type, content);
    for (form, bytes) in normal_forms(content) {
        // A page without scripts has no such form.
        if bytes.is_empty() {
            continue;
        }
        names.extend(found(database, form, file_type, &bytes));
    }
    names
}

/// The normal forms of a content, which the scanner makes too.
pub(super) fn normal_forms(content: &[u8]) -> Vec<(Form, Vec<u8>)> {
    let object = Object::memory(Bytes::copy_from_slice(content), Stop::never());
    match filetype::recognise(&object.probe().unwrap()).target {
        3 => {
            let html = normal::html(content);
            vec![
                (Form::Html, html.tagged),
                (Form::Html, html.plain),
                (Form::Script, html.scripts),
            ]
        }
        7 => {
            let mut text = Vec::new();
            normal::Text::default().push(content, &mut text);
            vec![(Form::Text, text)]
        }
        _ => vec![],
    }
}

fn found(
    database: &Database,
    form: Form,
    file_type: &'static FileType,
    content: &[u8],
) -> BTreeSet<String> {
    let object = Object::memory(Bytes::copy_from_slice(content), Stop::never());
    let layout = layout(&object).unwrap().filter(|_| form == Form::Content);
    let extent = Extent {
        length: Some(object.length()),
        layout: Some(layout.clone().unwrap_or_default()),
    };
    let mut matcher = Matcher::new(database, extent, Stop::never());
    matcher.feed(content).unwrap();
    let matches = matcher.finish(&Subject {
        form,
        file_type,
        layout: layout.as_ref(),
        containers: &[],
        object: Ok(&object),
        name: b"file",
        allowed: false,
        contiguous: 128 << 20,
    });
    let findings = matches.findings.into_iter();
    findings.map(|found| found.signature.name).collect()
}
