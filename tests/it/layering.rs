//! The arrows between the modules: each uses only those above it, and the pure ones know neither sockets nor clocks.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// Each module and what it may use, in the order of the arrows.
const ALLOWED: &[(&str, &[&str])] = &[
    ("access", &[]),
    ("beside", &[]),
    ("bytes", &[]),
    ("calendar", &[]),
    ("frame", &[]),
    ("glob", &[]),
    ("image", &[]),
    ("kind", &[]),
    ("path", &[]),
    ("pidfile", &[]),
    ("stop", &[]),
    ("user", &[]),
    ("abandon", &["beside"]),
    ("chevron", &["path"]),
    ("event", &["path"]),
    ("object", &["stop"]),
    (
        "expand",
        &["beside", "bytes", "event", "kind", "object", "path"],
    ),
    ("executable", &["object"]),
    ("filetype", &["bytes", "expand", "kind", "object"]),
    ("view", &[]),
    ("budget", &["event"]),
    ("policy", &["event"]),
    ("request", &["event", "glob", "kind"]),
    ("roots", &[]),
    ("verdict", &["event", "path", "policy"]),
    ("metrics", &["event", "kind", "policy", "verdict"]),
    ("journal", &["event", "metrics", "verdict"]),
    ("files", &["event", "path", "request", "roots"]),
    ("signature", &["event", "path"]),
    (
        "engine",
        &[
            "abandon",
            "bytes",
            "event",
            "executable",
            "filetype",
            "image",
            "object",
            "signature",
            "stop",
            "view",
        ],
    ),
    (
        "database",
        &["engine", "event", "frame", "image", "metrics", "signature"],
    ),
    (
        "scan",
        &[
            "budget",
            "engine",
            "event",
            "executable",
            "expand",
            "filetype",
            "kind",
            "object",
            "path",
            "request",
            "stop",
            "view",
        ],
    ),
    (
        "pool",
        &[
            "beside", "database", "engine", "event", "files", "frame", "journal", "metrics",
            "object", "path", "policy", "request", "scan", "stop", "verdict",
        ],
    ),
    (
        "gateway",
        &[
            "calendar", "event", "kind", "path", "policy", "request", "verdict",
        ],
    ),
    (
        "client",
        &[
            "calendar", "chevron", "event", "files", "gateway", "path", "request", "stop",
            "verdict",
        ],
    ),
    (
        "server",
        &[
            "access", "database", "event", "gateway", "journal", "kind", "metrics", "path",
            "policy", "pool", "request", "verdict",
        ],
    ),
    (
        "http",
        &[
            "access", "event", "gateway", "journal", "metrics", "path", "policy", "pool",
            "request", "server", "verdict",
        ],
    ),
    ("log", &["database", "engine"]),
    (
        "config",
        &[
            "access",
            "budget",
            "client",
            "database",
            "files",
            "gateway",
            "http",
            "journal",
            "kind",
            "log",
            "policy",
            "pool",
            "roots",
            "request",
            "scan",
            "server",
            "signature",
            "user",
            "verdict",
        ],
    ),
    (
        "local",
        &[
            "chevron",
            "config",
            "database",
            "engine",
            "event",
            "filetype",
            "journal",
            "log",
            "path",
            "pidfile",
            "policy",
            "pool",
            "request",
            "scan",
            "signature",
            "stop",
            "verdict",
        ],
    ),
    (
        "fuzzing",
        &[
            "access",
            "budget",
            "database",
            "engine",
            "event",
            "expand",
            "filetype",
            "gateway",
            "http",
            "kind",
            "object",
            "path",
            "request",
            "scan",
            "signature",
            "stop",
            "verdict",
            "view",
        ],
    ),
];

/// Modules that may know the runtime. All others are plain functions of what they are given.
const TOKIO: &[&str] = &["client", "http", "local", "pool", "server"];

/// Words that protocols and engines have no use for.
const PURE: &[&str] = &[
    "event",
    "request",
    "verdict",
    "signature",
    "engine",
    "expand",
    "gateway",
];
const IMPURE_WORDS: &[&str] = &[
    "std::net",
    "std::fs",
    "std::thread",
    "Instant::now",
    "SystemTime",
];

fn sources() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src")
}

/// All production text of a top-level module: without its tests, and without files that only tests use.
fn module_text(module: &str) -> String {
    let file = sources().join(format!("{module}.rs"));
    if file.exists() {
        return production(&std::fs::read_to_string(file).unwrap());
    }
    folder_text(&sources().join(module))
}

fn folder_text(folder: &Path) -> String {
    let head = std::fs::read_to_string(folder.join("mod.rs")).unwrap();
    let mut text = production(&head);
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let stem = path.file_stem().unwrap().to_string_lossy().into_owned();
        if head.contains(&format!("#[cfg(test)]\nmod {stem};")) || stem == "mod" {
            continue;
        }
        if path.is_dir() {
            text += &folder_text(&path);
        } else if path.extension().is_some_and(|end| end == "rs") {
            text += &production(&std::fs::read_to_string(&path).unwrap());
        }
    }
    text
}

fn production(text: &str) -> String {
    let end = text.find("#[cfg(test)]\nmod tests {").unwrap_or(text.len());
    let lines = text[..end].lines();
    lines
        .filter(|line| !line.trim_start().starts_with("//"))
        .fold(String::new(), |all, line| all + line + "\n")
}

/// The modules that `text` names with `crate::`.
fn arrows(text: &str) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for rest in text.split("crate::").skip(1) {
        let list = rest.strip_prefix('{').map_or(rest, |group| group);
        let names = if list.len() < rest.len() {
            list.split('}').next().unwrap()
        } else {
            list
        };
        let many = list.len() < rest.len();
        for name in names.split(',').take(if many { usize::MAX } else { 1 }) {
            let name: String = name
                .trim()
                .chars()
                .take_while(|c| c.is_ascii_lowercase() || *c == '_')
                .collect();
            found.insert(name);
        }
    }
    found
}

#[test]
fn every_module_has_its_row_and_each_row_its_module() {
    let lib = std::fs::read_to_string(sources().join("lib.rs")).unwrap();
    let declared: Vec<_> = lib
        .lines()
        .filter_map(|line| line.strip_prefix("pub mod ")?.strip_suffix(';'))
        .collect();
    let rows: Vec<_> = ALLOWED.iter().map(|(module, _)| *module).collect();
    assert_eq!(
        declared, rows,
        "lib.rs lists the modules in the order of the arrows"
    );
}

#[test]
fn arrows_point_up_so_there_is_no_cycle() {
    for (row, (module, uses)) in ALLOWED.iter().enumerate() {
        let above: Vec<_> = ALLOWED[..row].iter().map(|(module, _)| module).collect();
        for used in *uses {
            assert!(
                above.contains(&used),
                "{module} may not use {used}, which stands below it"
            );
        }
    }
}

#[test]
fn modules_use_only_what_their_row_allows() {
    for (module, allowed) in ALLOWED {
        let mut used = arrows(&module_text(module));
        used.remove(*module);
        let used: Vec<_> = used.iter().map(String::as_str).collect();
        let excess: Vec<_> = used.iter().filter(|name| !allowed.contains(name)).collect();
        assert!(excess.is_empty(), "{module} uses {excess:?}");
        let unused: Vec<_> = allowed.iter().filter(|name| !used.contains(name)).collect();
        assert!(
            unused.is_empty(),
            "{module} does not need {unused:?} any more"
        );
    }
}

#[test]
fn pure_modules_know_no_sockets_files_or_clocks() {
    for (module, _) in ALLOWED {
        let text = module_text(module);
        if !TOKIO.contains(module) {
            assert!(!text.contains("tokio"), "{module} knows tokio");
        }
        for word in IMPURE_WORDS.iter().filter(|_| PURE.contains(module)) {
            assert!(!text.contains(word), "{module} knows {word}");
        }
        assert!(
            !text.contains("super::super"),
            "{module} reaches over two levels"
        );
    }
}
