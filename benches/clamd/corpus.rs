//! The folder of contents and signatures that is measured with.

use std::fs;
use std::path::{Path, PathBuf};

/// What a small content is cut to.
pub(crate) const LENGTH: usize = 4096;

/// `small`, `archives`, `onebig`, `planted`, and `sigs` with a folder for each set.
pub(crate) struct Corpus(PathBuf);

impl Corpus {
    pub(crate) fn at(folder: PathBuf) -> Self {
        assert!(
            folder.join("sigs").is_dir(),
            "{} has no folder sigs",
            folder.display()
        );
        Self(folder)
    }

    /// A set of signatures in ClamAV's formats.
    pub(crate) fn set(&self, name: &str) -> PathBuf {
        self.0.join("sigs").join(name)
    }

    pub(crate) fn part(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    /// The beginnings of the files of `small` that are long enough.
    pub(crate) fn heads(&self) -> Vec<Vec<u8>> {
        let contents = files(&self.part("small"));
        let contents = contents.iter().map(|path| fs::read(path).unwrap());
        let cut = contents.filter(|content| content.len() >= LENGTH);
        cut.map(|mut content| {
            content.truncate(LENGTH);
            content
        })
        .collect()
    }
}

/// All files below a folder, in the order of their names.
pub(crate) fn files(folder: &Path) -> Vec<PathBuf> {
    let (mut open, mut files) = (vec![folder.to_owned()], Vec::new());
    while let Some(folder) = open.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let list = if path.is_dir() { &mut open } else { &mut files };
            list.push(path);
        }
    }
    files.sort();
    files
}

/// The bytes of a file, or of all files below a folder.
pub(crate) fn bytes(path: &Path) -> u64 {
    if path.is_file() {
        return fs::metadata(path).unwrap().len();
    }
    let files = files(path);
    files
        .iter()
        .map(|file| fs::metadata(file).unwrap().len())
        .sum()
}
