//! What standard input is, and what it is wanted for.
#![forbid(unsafe_code)]

use std::io::IsTerminal;

use rustix::fs::{FileType, fstat, major, minor};

/// What a program finds at its standard input.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum StandardInput {
    /// Something that may have a content.
    Connected,
    /// Nothing: it was closed, or is /dev/null, which the runtime opens in place of a closed one.
    Nothing,
    /// A person.
    Terminal,
}

/// The device number of /dev/null on Linux.
const NULL: (u32, u32) = (1, 3);

impl StandardInput {
    /// That of this process.
    pub(super) fn of_process() -> Self {
        let input = std::io::stdin();
        if input.is_terminal() {
            return Self::Terminal;
        }
        match fstat(&input) {
            Ok(stat) => {
                let is_device = FileType::from_raw_mode(stat.st_mode) == FileType::CharacterDevice;
                let device = (major(stat.st_rdev), minor(stat.st_rdev));
                match is_device && device == NULL {
                    true => Self::Nothing,
                    false => Self::Connected,
                }
            }
            Err(_) => Self::Nothing,
        }
    }

    /// Makes sure that it has what is wanted of it: the content so many times, and `names`.
    ///
    /// # Errors
    /// For people: it can be read once only, or there is nothing to read.
    pub(super) fn serves(self, contents: usize, names: Option<Names>) -> Result<(), String> {
        if contents + usize::from(names.is_some()) > 1 {
            return Err("standard input can be read once: as '-' or for names".to_owned());
        }
        match (self, names) {
            (Self::Nothing, Some(names)) => {
                Err(names.missing().to_owned() + ": it is not connected")
            }
            (Self::Nothing, None) if contents > 0 => {
                Err("standard input is not connected".to_owned())
            }
            _ => Ok(()),
        }
    }
}

/// Names that come from standard input.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Names {
    /// The byte behind each.
    pub end: u8,
    /// Nobody asked for them; there was no PATH.
    pub are_implied: bool,
}

impl Names {
    /// How names come: `asked` by an option, each with a zero byte behind it if `null`; or because there is nothing else.
    ///
    /// # Errors
    /// For people: nothing is named, and a person cannot be expected to know that names are wanted.
    pub(super) fn wanted(
        asked: bool,
        null: bool,
        has_paths: bool,
        input: StandardInput,
    ) -> Result<Option<Self>, String> {
        // Who says how names end has names: to pass over them would be to call them clean.
        let is_asked = asked || null;
        if !is_asked && has_paths {
            return Ok(None);
        }
        if !is_asked && input == StandardInput::Terminal {
            return Err("no PATH, and standard input is a terminal".to_owned());
        }
        Ok(Some(Self {
            end: if null { 0 } else { b'\n' },
            are_implied: !is_asked,
        }))
    }

    /// What is wrong when not a single one came: nobody who named nothing is told "clean".
    pub fn missing(self) -> &'static str {
        match self.are_implied {
            true => "no PATH, and no names on standard input",
            false => "no names on standard input",
        }
    }
}
