//! Hostile content: carriers of a harmless marker that each tell one lie or use one rarity, made by code.
//!
//! docs/evasion.md says of each which ordinary extractor really gives the marker out, what `vfind` says and what clamscan
//! does; the tests hold that table against the programs. Whatever an extractor gives out has to be found, and nothing may
//! be clean without a word.
//!
//! `VFIND_WRITE=1 cargo test --test it evasion` makes the table anew. `VFIND_FULL=1` asks the extractors about every
//! case; without it they are asked about each [`SHARE`]th.

// A table of cases is as long as it is.
#![allow(clippy::too_many_lines)]

mod bombs;
mod cab;
mod deadlines;
mod extractors;
mod iso;
mod mime;
mod mutants;
mod ole;
mod others;
mod pdf;
mod rar;
mod sevenz;
mod streams;
mod table;
mod tar;
mod text;
mod tnef;
mod unix;
mod zip;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use self::extractors::Extractor;
use crate::support::{has_tools, tools_are_required};

/// Without `VFIND_FULL`, one case in so many is given to the extractors.
const SHARE: usize = 8;

/// One content that carries the marker.
#[derive(Clone)]
struct Case {
    /// Unique in its group; letters, digits and dashes.
    name: String,
    /// What is false or rare about it.
    oddity: String,
    bytes: Vec<u8>,
}

/// Makes a case.
fn case(name: impl Into<String>, oddity: impl Into<String>, bytes: impl Into<Vec<u8>>) -> Case {
    Case {
        name: name.into(),
        oddity: oddity.into(),
        bytes: bytes.into(),
    }
}

/// The cases of one format, and who is asked about them.
struct Group {
    name: &'static str,
    /// What the files' names end in, for extractors go by it.
    suffix: &'static str,
    cases: fn() -> Vec<Case>,
    extractors: &'static [Extractor],
}

const GROUPS: &[Group] = &[
    Group {
        name: "zip",
        suffix: "zip",
        cases: zip::cases,
        extractors: &[
            extractors::UNZIP,
            extractors::SEVENZIP,
            extractors::BSDTAR,
            extractors::PYTHON_ZIPFILE,
        ],
    },
    Group {
        name: "tar",
        suffix: "tar",
        cases: tar::cases,
        extractors: &[
            extractors::TAR,
            extractors::SEVENZIP_TAR,
            extractors::BSDTAR_TAR,
            extractors::PYTHON_TARFILE,
        ],
    },
    Group {
        name: "gzip",
        suffix: "gz",
        cases: streams::gzips,
        extractors: &[
            extractors::GZIP,
            extractors::SEVENZIP,
            extractors::PYTHON_GZIP,
        ],
    },
    Group {
        name: "bzip2",
        suffix: "bz2",
        cases: streams::bzip2s,
        extractors: &[
            extractors::BZIP2,
            extractors::SEVENZIP,
            extractors::PYTHON_BZ2,
        ],
    },
    Group {
        name: "stream",
        suffix: "xz",
        cases: streams::xzs,
        extractors: &[
            extractors::XZ,
            extractors::BSDTAR_STREAM,
            extractors::SEVENZIP,
        ],
    },
    Group {
        name: "mime",
        suffix: "eml",
        cases: mime::cases,
        extractors: &[
            extractors::MUNPACK,
            extractors::RIPMIME,
            extractors::REFORMIME,
            extractors::PERL_MIME,
            extractors::UUDEVIEW,
            extractors::PYTHON_EMAIL,
            extractors::PYTHON_EMAIL_OLD,
        ],
    },
    Group {
        name: "text",
        suffix: "txt",
        cases: text::cases,
        extractors: &[
            extractors::UUDEVIEW,
            extractors::UUDECODE,
            extractors::MUNPACK,
            extractors::HEXBIN,
            extractors::PYTHON_BASE64,
            extractors::PYTHON_CODECS,
            extractors::PYTHON_HTML,
            extractors::PYTHON_DATA,
        ],
    },
    Group {
        name: "pdf",
        suffix: "pdf",
        cases: pdf::cases,
        extractors: &[
            extractors::QPDF,
            extractors::MUTOOL,
            extractors::PDFDETACH,
            extractors::PDFINFO,
        ],
    },
    Group {
        name: "ole",
        suffix: "ole",
        cases: ole::cases,
        extractors: &[extractors::SEVENZIP_GZIP, extractors::GSF],
    },
    Group {
        name: "tnef",
        suffix: "dat",
        cases: tnef::cases,
        extractors: &[extractors::TNEF],
    },
];

/// Archives that lie, too, of formats whose carriers are not all found where an extractor gives the marker out: what is not is a gap, and that
/// is what the mutants are held to.
const ARCHIVES: &[Group] = &[
    Group {
        name: "iso",
        suffix: "iso",
        cases: iso::cases,
        extractors: &[
            extractors::SEVENZIP_ISO,
            extractors::BSDTAR_TAR,
            extractors::ISOINFO,
        ],
    },
    Group {
        name: "cpio",
        suffix: "cpio",
        cases: unix::cpios,
        extractors: &[
            extractors::CPIO,
            extractors::SEVENZIP_TAR,
            extractors::BSDTAR_TAR,
        ],
    },
    Group {
        name: "ar",
        suffix: "a",
        cases: unix::ars,
        extractors: &[
            extractors::AR,
            extractors::SEVENZIP_TAR,
            extractors::BSDTAR_TAR,
        ],
    },
    Group {
        name: "cab",
        suffix: "cab",
        cases: cab::cases,
        extractors: &[extractors::SEVENZIP_TAR, extractors::BSDTAR_TAR],
    },
    Group {
        name: "7z",
        suffix: "7z",
        cases: sevenz::cases,
        extractors: &[extractors::SEVENZIP_ITSELF, extractors::BSDTAR_TAR],
    },
    Group {
        name: "rar",
        suffix: "rar",
        cases: rar::cases,
        extractors: &[extractors::UNAR, extractors::BSDTAR_TAR],
    },
];

/// A case in its file.
struct Carrier {
    /// `group/name`.
    key: String,
    oddity: String,
    path: PathBuf,
    extractors: &'static [Extractor],
}

/// Writes all cases into a folder.
fn carriers(folder: &Path) -> Vec<Carrier> {
    let mut carriers = Vec::new();
    for group in GROUPS {
        let inner = folder.join(group.name);
        std::fs::create_dir(&inner).unwrap();
        for case in (group.cases)() {
            let path = inner.join(format!("{}.{}", case.name, group.suffix));
            assert!(!path.exists(), "{}/{} twice", group.name, case.name);
            std::fs::write(&path, case.bytes).unwrap();
            carriers.push(Carrier {
                key: format!("{}/{}", group.name, case.name),
                oddity: case.oddity,
                path,
                extractors: group.extractors,
            });
        }
    }
    carriers
}

/// What `vfind` says of each: `found`, or its gaps and notes; nothing where it is clean without a word.
fn answers(carriers: &[Carrier]) -> BTreeMap<String, String> {
    let output = Command::new(env!("CARGO_BIN_EXE_vfind"))
        .args(["--tree=json", "--html=3"])
        .args(carriers.iter().map(|carrier| &carrier.path))
        .output()
        .unwrap();
    let values: Vec<serde_json::Value> = serde_json::Deserializer::from_slice(&output.stdout)
        .into_iter()
        .map(Result::unwrap)
        .collect();
    assert_eq!(values.len(), carriers.len(), "{output:?}");
    let answer = |(carrier, json): (&Carrier, &serde_json::Value)| {
        let mut said = Vec::new();
        let found = said_in(json, &mut said);
        said.sort();
        said.dedup();
        let word = if found {
            "found".to_owned()
        } else {
            said.join(", ")
        };
        (carrier.key.clone(), word)
    };
    carriers.iter().zip(&values).map(answer).collect()
}

/// Collects gaps and notes of an object and all in it; true if something was found.
fn said_in(json: &serde_json::Value, said: &mut Vec<String>) -> bool {
    for field in ["gaps", "notes"] {
        for entry in json[field].as_array().into_iter().flatten() {
            said.push(entry["what"].as_str().unwrap().to_owned());
        }
    }
    let mut found = json["findings"] != serde_json::json!([]);
    for member in json["members"].as_array().into_iter().flatten() {
        found |= said_in(member, said);
    }
    found
}

#[test]
fn no_carrier_is_clean_without_a_word() {
    let folder = tempfile::tempdir().unwrap();
    let carriers = carriers(folder.path());
    let answers = answers(&carriers);
    let silent: Vec<_> = answers.iter().filter(|(_, word)| word.is_empty()).collect();
    assert!(silent.is_empty(), "{silent:?}");
    if std::env::var_os("VFIND_WRITE").is_none() {
        for (key, row) in table::read() {
            assert_eq!(
                answers.get(&key),
                Some(&row.ours),
                "{key}: make the table anew"
            );
        }
    }
}

#[test]
fn what_an_ordinary_extractor_gives_out_is_found() {
    if !has_tools(extractors::PROGRAMS) {
        return;
    }
    let write = std::env::var_os("VFIND_WRITE").is_some();
    let all = write || std::env::var_os("VFIND_FULL").is_some();
    let folder = tempfile::tempdir().unwrap();
    let mut carriers = carriers(folder.path());
    let count = carriers.len();
    if !all {
        // Others on another day.
        let day = std::time::UNIX_EPOCH.elapsed().unwrap().as_secs() / 86_400;
        let first = usize::try_from(day).unwrap() % SHARE;
        let mut number = 0;
        carriers.retain(|_| {
            number += 1;
            number % SHARE == first
        });
    }
    let given = extractors::ask(&carriers, folder.path());
    let answers = answers(&carriers);
    let missed: Vec<_> = given
        .iter()
        .filter(|(key, names)| !names.is_empty() && answers[*key] != "found")
        .map(|(key, names)| format!("{key}: {} by {}", answers[key], names.join(", ")))
        .collect();
    assert!(missed.is_empty(), "{missed:#?}");
    if write {
        table::write(&carriers, &given, &answers);
        return;
    }
    let rows = table::read();
    assert_eq!(rows.len(), count, "make the table anew");
    // The table is that of Debian's programs. Elsewhere, where they are older or newer, one of those in it is enough.
    let holds = |key: &str, names: &[&str]| {
        let told = &rows[key].given;
        let any = told.split(", ").any(|name| names.contains(&name));
        *told == names.join(", ") || !tools_are_required() && any
    };
    let changed: Vec<_> = given
        .iter()
        .filter(|(key, names)| !holds(key, names))
        .collect();
    assert!(changed.is_empty(), "make the table anew: {changed:?}");
}
