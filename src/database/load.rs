//! Sources → texts → database, with a report of what was not understood.
//!
//! The texts are kept: a worker process builds the very same database from them, whatever has become of the files.
#![forbid(unsafe_code)]

use std::collections::HashSet;
use std::ffi::OsStr;
use std::fs::File;
use std::io::{self, Read};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use data_encoding::HEXLOWER;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use thiserror::Error;

use crate::engine;
use crate::event::{EngineWord, SignatureName};
use crate::signature::{self, Batch, Complaint, Format, cvdl::Cvdl};

/// The signatures that are built into the programs.
pub const BUILTIN: &[u8] = include_bytes!("../../signatures/builtin.cvdl");

/// The name that complaints and lists give to [`BUILTIN`].
pub const BUILTIN_NAME: &str = "built-in";

/// The largest source file in bytes; it is held in memory as long as its database.
const FILE_LIMIT: u64 = 256 * 1024 * 1024;

/// The format of the text that names what is not loaded: one name a line. It goes the same way as the others, so that a
/// worker process leaves out the same, and the fingerprint tells that it was left out.
const NOLOAD: &str = "noload";

/// What to load. Everything is read again at each reload.
#[derive(Debug, Clone, Default)]
pub struct Sources {
    /// The signatures that are built into the programs, first.
    pub builtin: bool,
    /// Files and how to read them, in this order.
    pub files: Vec<(PathBuf, &'static dyn Format)>,
    /// Files with names of CVDL files, one a line; relative names count from the folder of the list.
    pub lists: Vec<PathBuf>,
    /// Names of signatures that are not loaded: as they are reported, or those of CVDL rules alone.
    pub noload: Vec<String>,
    /// Files with such names, one a line.
    pub noloads: Vec<PathBuf>,
}

/// One source as it was read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SourceText {
    /// The name that complaints carry.
    pub name: String,
    /// The name of its format.
    pub format: String,
    /// All of it.
    pub text: Bytes,
}

/// What came out of texts.
#[derive(Debug)]
pub struct Compiled {
    /// The machine.
    pub database: engine::Database,
    /// What was not understood, and so is not searched for.
    pub complaints: Vec<Complaint>,
    /// Nothing but the built-in signatures is there.
    pub test_signatures_only: bool,
}

/// What came out of sources.
#[derive(Debug)]
pub struct Loaded {
    /// The database and the complaints.
    pub compiled: Compiled,
    /// What it was made of.
    pub texts: Vec<SourceText>,
    /// The fingerprint of the texts.
    pub fingerprint: String,
}

/// Why there is no database.
#[derive(Debug, Error)]
pub enum LoadError {
    /// The engine refused the signatures.
    #[error("signatures: {0}")]
    Compile(String),
    /// A file could not be read to its end.
    #[error("{}: {error}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        error: io::Error,
    },
    /// A text is in a format that this program does not have.
    #[error("{name}: unknown format `{format}`")]
    UnknownFormat {
        /// The text's name.
        name: String,
        /// The format's name.
        format: String,
    },
}

/// Reads all sources and builds their database.
///
/// # Errors
/// A file that cannot be read, or more signatures than the engine can hold. Bad lines are no error.
pub fn load(sources: &Sources) -> Result<Loaded, LoadError> {
    let builtin = sources.builtin.then(|| SourceText {
        name: BUILTIN_NAME.to_owned(),
        format: Cvdl.name().to_owned(),
        text: Bytes::from_static(BUILTIN),
    });
    let mut texts: Vec<_> = builtin.into_iter().collect();
    for (path, format) in &sources.files {
        texts.push(source_text(path, *format)?);
    }
    for list in &sources.lists {
        for name in lines(&read_named(list)?) {
            let path = list
                .parent()
                .unwrap_or(Path::new(""))
                .join(OsStr::from_bytes(name));
            texts.push(source_text(&path, &Cvdl)?);
        }
    }
    texts.extend(noload_text(sources)?);
    Ok(Loaded {
        compiled: compile_texts(&texts)?,
        fingerprint: fingerprint(&texts),
        texts,
    })
}

/// Builds the database of these texts; the same texts always give the same database.
///
/// # Errors
/// An unknown format, or more signatures than the engine can hold.
pub fn compile_texts(texts: &[SourceText]) -> Result<Compiled, LoadError> {
    let mut batch = Batch::default();
    let mut test_signatures_only = true;
    let (unwanted, texts): (Vec<_>, Vec<_>) = texts.iter().partition(|text| text.format == NOLOAD);
    let unwanted: HashSet<&[u8]> = unwanted.iter().flat_map(|text| lines(&text.text)).collect();
    for text in texts {
        let before = batch.signatures().len();
        batch.read(format_of(text)?, &text.text, &text.name);
        batch.retain_from(before, |signature| !is_unwanted(&signature.name, &unwanted));
        if batch.signatures().len() > before && text.text != BUILTIN {
            test_signatures_only = false;
        }
    }
    let (signatures, complaints) = batch.into_parts();
    Ok(Compiled {
        database: engine::Database::compile(signatures).map_err(LoadError::Compile)?,
        complaints,
        test_signatures_only,
    })
}

fn is_unwanted(name: &SignatureName, unwanted: &HashSet<&[u8]>) -> bool {
    !unwanted.is_empty()
        && (unwanted.contains(name.to_string().as_bytes())
            || name.engine == EngineWord::Cvdl && unwanted.contains(name.name.as_bytes()))
}

/// All that is not to be loaded, as one text; none if everything is.
fn noload_text(sources: &Sources) -> Result<Option<SourceText>, LoadError> {
    let mut names = sources.noload.join("\n").into_bytes();
    for path in &sources.noloads {
        names.push(b'\n');
        names.extend(read_named(path)?);
    }
    let is_empty = lines(&names).next().is_none();
    Ok((!is_empty).then(|| SourceText {
        name: NOLOAD.to_owned(),
        format: NOLOAD.to_owned(),
        text: names.into(),
    }))
}

/// The lines of a list of names, without the blank ones. A name may begin and end with anything but a line end.
pub fn lines(text: &[u8]) -> impl Iterator<Item = &[u8]> {
    let lines = text.split(|byte| *byte == b'\n');
    let lines = lines.map(|line| line.strip_suffix(b"\r").unwrap_or(line));
    lines.filter(|line| !line.trim_ascii().is_empty())
}

fn format_of(text: &SourceText) -> Result<&'static dyn Format, LoadError> {
    signature::format(&text.format).ok_or_else(|| LoadError::UnknownFormat {
        name: text.name.clone(),
        format: text.format.clone(),
    })
}

fn source_text(path: &Path, format: &dyn Format) -> Result<SourceText, LoadError> {
    Ok(SourceText {
        name: path.display().to_string(),
        format: format.name().to_owned(),
        text: read_named(path)?.into(),
    })
}

fn read_named(path: &Path) -> Result<Vec<u8>, LoadError> {
    read(path).map_err(|error| LoadError::Unreadable {
        path: path.to_owned(),
        error,
    })
}

fn read(path: &Path) -> io::Result<Vec<u8>> {
    let mut text = Vec::new();
    let file = File::open(path)?;
    file.take(FILE_LIMIT + 1).read_to_end(&mut text)?;
    match text.len() as u64 > FILE_LIMIT {
        true => Err(io::Error::other("larger than 256 MiB")),
        false => Ok(text),
    }
}

/// The first 16 hexadecimal digits of the SHA-256 over formats and texts. Names are left out: the same signatures
/// have the same fingerprint on every machine.
fn fingerprint(texts: &[SourceText]) -> String {
    let mut hash = Sha256::new();
    for text in texts {
        // The lengths keep the parts apart: no two lists of texts give the same bytes.
        for part in [text.format.as_bytes(), &text.text] {
            hash.update((part.len() as u64).to_le_bytes());
            hash.update(part);
        }
    }
    let digest: [u8; 32] = hash.finalize().into();
    let mut digits = HEXLOWER.encode(&digest);
    digits.truncate(16);
    digits
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::search::Extent;
    use crate::engine::{Database, Matcher, Subject};
    use crate::event::{Place, Reason};
    use crate::filetype::UNKNOWN;
    use crate::signature::Meaning;
    use crate::signature::digests::DigestList;
    use crate::signature::pattern::Part;
    use crate::signature::rule::Test;
    use crate::stop::Stop;
    use std::io::Write;

    fn builtin() -> Loaded {
        let sources = Sources {
            builtin: true,
            ..Sources::default()
        };
        load(&sources).unwrap()
    }

    fn file(text: &[u8]) -> tempfile::NamedTempFile {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(text).unwrap();
        file
    }

    /// Backwards, so that neither this file nor the program of the tests holds it.
    fn backwards(text: &str) -> Vec<u8> {
        text.bytes().rev().collect()
    }

    fn eicar() -> Vec<u8> {
        backwards(r"*H+H$!ELIF-TSET-SURIVITNA-DRADNATS-RACIE$}7)CC7)^P(45XZP\4[PA@%P!O5X")
    }

    fn found(database: &Database, content: &[u8]) -> Vec<(String, Place)> {
        let mut matcher = Matcher::new(database, Extent::default(), Stop::never());
        matcher.feed(content).unwrap();
        let subject = Subject {
            file_type: &UNKNOWN,
            layout: None,
            containers: &[],
            object: Err(&Reason::Corrupt),
            name: b"",
            allowed: false,
        };
        let matches = matcher.finish(&subject).findings.into_iter();
        matches
            .map(|found| (found.signature.to_string(), found.place))
            .collect()
    }

    #[test]
    fn the_built_in_signatures_load_and_say_what_they_are() {
        let loaded = builtin();
        assert_eq!(loaded.compiled.complaints, []);
        assert_eq!(loaded.compiled.database.count(), 4);
        assert!(loaded.compiled.test_signatures_only);
        assert_eq!(loaded.fingerprint.len(), 16);
    }

    #[test]
    fn the_test_file_is_found_anywhere() {
        let database = builtin().compiled.database;
        let eicar = eicar();
        assert_eq!(eicar.len(), 68);
        let name = "CVDL EICAR-Test-File".to_owned();
        let whole = found(&database, &eicar);
        assert_eq!(whole, [(name.clone(), Place::End(68))]);
        let inside = [b"before ", eicar.as_slice(), b" after"].concat();
        assert_eq!(found(&database, &inside), [(name, Place::End(75))]);
        assert_eq!(found(&database, &eicar[1..]), []);
    }

    #[test]
    fn the_demonstrations_hold_where_their_comments_say() {
        let database = builtin().compiled.database;
        let marker = |word: &str| ["vfind", "demo", word].join("-");
        let both = marker("omega") + " " + &marker("alpha");
        let rows = [
            (both, Some("CVDL VFind-Demo-And")),
            (marker("alpha"), None),
            (marker("ShouT"), Some("CVDL VFind-Demo-Caseless")),
            (marker("alarm"), Some("CVDL VFind-Demo-AndNot")),
            (marker("alarm") + &marker("quiet"), None),
        ];
        for (content, name) in rows {
            let found = found(&database, content.as_bytes());
            let names: Vec<_> = found.iter().map(|(name, _)| name.as_str()).collect();
            assert_eq!(names, Vec::from_iter(name), "{content}");
        }
    }

    #[test]
    fn the_built_in_source_holds_none_of_its_markers() {
        let loaded = builtin();
        assert_eq!(found(&loaded.compiled.database, BUILTIN), []);
        let mut batch = Batch::default();
        batch.read(&Cvdl, BUILTIN, BUILTIN_NAME);
        let source = BUILTIN.to_ascii_lowercase();
        for signature in batch.signatures() {
            let Meaning::Rule(rule) = &signature.meaning else {
                panic!("{signature:?}");
            };
            for test in &rule.tests {
                let Test::Pattern(pattern) = test else {
                    panic!("{signature:?}");
                };
                let parts = pattern
                    .segments()
                    .iter()
                    .flat_map(|segment| segment.parts());
                let bytes = parts.flat_map(|part| match part {
                    Part::Bytes { bytes, .. } => bytes.to_ascii_lowercase(),
                    other => panic!("{other:?}"),
                });
                let marker: Vec<u8> = bytes.collect();
                let mut places = source.windows(marker.len());
                assert!(!places.any(|at| at == marker), "{}", signature.name);
            }
        }
    }

    #[test]
    fn the_same_database_comes_out_of_the_texts_elsewhere() {
        let own = file(b":Own, \"abc\" # oops");
        let list = file(b"900150983cd24fb0d6963f7d28e17f72:3:Abc\n");
        let sources = Sources {
            builtin: true,
            files: vec![
                (own.path().into(), &Cvdl),
                (list.path().into(), &DigestList),
            ],
            ..Sources::default()
        };
        let loaded = load(&sources).unwrap();
        assert_eq!(loaded.compiled.complaints.len(), 1);
        assert!(!loaded.compiled.test_signatures_only);
        let sent = postcard::to_stdvec(&loaded.texts).unwrap();
        let texts: Vec<SourceText> = postcard::from_bytes(&sent).unwrap();
        assert_eq!(texts, loaded.texts);
        let elsewhere = compile_texts(&texts).unwrap();
        let names = found(&elsewhere.database, b"abc");
        let expected = [
            ("CVDL Own".to_owned(), Place::End(3)),
            ("MD5 Abc".to_owned(), Place::Digest),
        ];
        assert_eq!(names, expected);
        assert_eq!(found(&loaded.compiled.database, b"abc"), expected);
    }

    #[test]
    fn the_fingerprint_is_of_formats_and_texts() {
        let text = |format: &str, text: &'static [u8]| SourceText {
            name: String::new(),
            format: format.to_owned(),
            text: Bytes::from_static(text),
        };
        let lists = [
            vec![],
            vec![text("a", b"bc")],
            vec![text("ab", b"c")],
            vec![text("a", b"b"), text("a", b"c")],
        ];
        let prints: std::collections::HashSet<_> = lists.iter().map(|l| fingerprint(l)).collect();
        assert_eq!(prints.len(), lists.len());
    }

    #[test]
    fn a_list_names_files_and_what_is_not_wanted_is_loaded_nowhere() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        let write = |name: &str, text: &str| std::fs::write(at(name), text).unwrap();
        write("one.vdl", ":One, \"abc\" # :Two, \"abc\" #");
        write("two.vdl", ":Three, \"abc\" #");
        write("md5", "900150983cd24fb0d6963f7d28e17f72:3:Two\n");
        write("list", &format!("one.vdl\r\n\n{}", at("two.vdl").display()));
        write("unwanted", "CVDL Three\n");
        let mut sources = Sources {
            files: vec![(at("md5"), &DigestList)],
            lists: vec![at("list")],
            ..Sources::default()
        };
        let names = |sources: &Sources| {
            let loaded = load(sources).unwrap();
            let elsewhere = compile_texts(&loaded.texts).unwrap();
            let names = found(&loaded.compiled.database, b"abc");
            assert_eq!(found(&elsewhere.database, b"abc"), names);
            let mut names: Vec<_> = names.into_iter().map(|(name, _)| name).collect();
            names.sort();
            (names, loaded.fingerprint)
        };
        let (all, print) = names(&sources);
        assert_eq!(all, ["CVDL One", "CVDL Three", "CVDL Two", "MD5 Two"]);
        // The bare name is that of a rule; a digest is meant with its word alone.
        sources.noload = vec!["Two".into(), "no such".into()];
        sources.noloads = vec![at("unwanted")];
        let (fewer, other) = names(&sources);
        assert_eq!(fewer, ["CVDL One", "MD5 Two"]);
        assert_ne!(print, other, "the fingerprint tells");
        sources.noload.push("MD5 Two".into());
        assert_eq!(names(&sources).0, ["CVDL One"]);
        sources.lists.push(at("absent"));
        let error = load(&sources).unwrap_err().to_string();
        assert!(error.contains("absent: No such file"), "{error}");
    }

    #[test]
    fn when_all_of_ones_own_is_left_out_only_test_signatures_are_there() {
        let own = file(b":Own, \"abc\" #");
        let sources = Sources {
            builtin: true,
            files: vec![(own.path().into(), &Cvdl)],
            noload: vec!["CVDL Own".into()],
            ..Sources::default()
        };
        assert!(load(&sources).unwrap().compiled.test_signatures_only);
    }

    #[test]
    fn what_cannot_be_loaded_at_all_is_named() {
        let sources = Sources {
            builtin: false,
            files: vec![("/nonexistent/x.vdl".into(), &Cvdl)],
            ..Sources::default()
        };
        let error = load(&sources).unwrap_err().to_string();
        assert!(
            error.starts_with("/nonexistent/x.vdl: No such file"),
            "{error}"
        );
        let text = SourceText {
            name: "x".into(),
            format: "y".into(),
            text: Bytes::new(),
        };
        let error = compile_texts(&[text]).unwrap_err();
        assert_eq!(error.to_string(), "x: unknown format `y`");
    }
}
