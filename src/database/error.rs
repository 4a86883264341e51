//! Why there is no database, or no new one.
#![forbid(unsafe_code)]

use std::io;

use thiserror::Error;

use crate::signature::Complaint;

/// Why there is no database.
#[derive(Debug, Error)]
pub enum LoadError {
    /// The signatures cannot be made into a database.
    #[error("signatures: {0}")]
    Compile(String),
    /// The process that compiles says why it could not, or failed.
    #[error("{0}")]
    Failed(String),
    /// A file or folder could not be read to its end.
    #[error("{name}: {error}")]
    Unreadable {
        /// The file.
        name: String,
        /// Why.
        error: io::Error,
    },
    /// The name of a file does not say what kind of signatures is in it.
    #[error("{name}: no known kind of signatures ends like this; known are {known}")]
    UnknownFormat {
        /// The file.
        name: String,
        /// The endings that do.
        known: String,
    },
    /// A source is in a format that this program does not have.
    #[error("{name}: unknown format `{format}`")]
    NoFormat {
        /// The source.
        name: String,
        /// The format's name.
        format: String,
    },
    /// The file of the compiled database cannot be used or made.
    #[error("--vdl-data-file: {0}")]
    DataFile(String),
}

/// Why a reload was refused; the database before it is still in use.
#[derive(Debug, Error)]
pub enum Refused {
    /// Something in the sources was not understood.
    #[error("{}", summary(.0, *.1))]
    Complaints(Vec<Complaint>, u64),
    /// Nothing but the built-in signatures would be left, as when an editor has emptied a file that it is about to
    /// write.
    #[error("only the built-in signatures would be left, instead of {0}")]
    Emptied(usize),
    /// There is no new database at all.
    #[error(transparent)]
    Load(#[from] LoadError),
    /// There is nothing to go back to.
    #[error("{0}")]
    NoWayBack(String),
}

impl Refused {
    /// Why, in one line, for the log.
    pub fn in_one_line(&self) -> String {
        match self {
            Self::Complaints(complaints, count) => {
                let listed = complaints.iter().take(LISTED);
                joined(listed.map(Complaint::in_one_line).collect(), *count)
            }
            other => other.to_string(),
        }
    }
}

/// Complaints that are written out in an error; the others are counted. More of them are in the variant.
const LISTED: usize = 10;

fn summary(complaints: &[Complaint], count: u64) -> String {
    let listed = complaints.iter().take(LISTED);
    joined(listed.map(Complaint::to_string).collect(), count)
}

fn joined(listed: Vec<String>, count: u64) -> String {
    let mut text = listed.join("; ");
    let more = count.saturating_sub(listed.len() as u64);
    if more > 0 {
        text.push_str(&format!("; and {more} more"));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn many_complaints_are_counted() {
        let complaint = Complaint {
            file: "f".into(),
            line: 1,
            reason: "r\n    shown\n    ^".into(),
        };
        let refused = Refused::Complaints(vec![complaint.clone(); 2], 2);
        assert_eq!(refused.in_one_line(), "f:1: r; f:1: r");
        let complaint = Complaint {
            reason: "r".into(),
            ..complaint
        };
        let text = Refused::Complaints(vec![complaint.clone(); 12], 1200).to_string();
        assert!(text.ends_with("f:1: r; and 1190 more"), "{text}");
        let text = Refused::Complaints(vec![complaint; 10], 10).to_string();
        assert!(text.ends_with("; f:1: r"), "{text}");
    }
}
