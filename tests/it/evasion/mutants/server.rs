//! What takes containers apart: programs, and one long-lived process of Python for all of its libraries.

use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use super::super::extractors::{Extractor, How, PYTHON, gives, is_in};
use super::start;

pub(super) struct Extractors {
    python: Python,
    room: PathBuf,
}

struct Python {
    child: Child,
    requests: ChildStdin,
    answers: BufReader<ChildStdout>,
}

impl Extractors {
    /// Programs work in this folder, which does not exist between them.
    pub(super) fn start(room: PathBuf) -> Self {
        Self {
            python: Python::start(),
            room,
        }
    }

    /// The first of them that gives the marker out of a file.
    pub(super) fn first(&mut self, all: &[Extractor], path: &Path) -> Option<&'static str> {
        let mut gives = |one: &&Extractor| match one.how {
            How::Shell(command) => gives(command, path, &self.room, is_given),
            How::Python(function) => self.python.gives(function, path),
        };
        all.iter().find(|one| gives(one)).map(|one| one.name)
    }
}

fn is_given(bytes: &[u8]) -> bool {
    bytes.starts_with(start()) || is_in(bytes)
}

impl Python {
    fn start() -> Self {
        let mut child = Command::new("python3")
            .args(["-c", &[PYTHON, include_str!("server.py")].concat()])
            .arg(data_encoding::HEXLOWER.encode(start()))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        Self {
            requests: child.stdin.take().unwrap(),
            answers: BufReader::new(child.stdout.take().unwrap()),
            child,
        }
    }

    /// A crash of a library gives nothing out.
    fn gives(&mut self, function: &str, path: &Path) -> bool {
        let request = writeln!(self.requests, "{function}\t{}", path.display());
        let mut answer = String::new();
        let read = self.answers.read_line(&mut answer);
        if request.is_err() || !read.is_ok_and(|length| length > 0) {
            println!("{function} ended over {}", path.display());
            *self = Self::start();
        }
        answer.trim() == "1"
    }
}

impl Drop for Python {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
