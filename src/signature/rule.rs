//! A rule: tests on the content of an object, a condition over them, and the objects that it is for.
#![forbid(unsafe_code)]

use serde::{Deserialize, Serialize};

use super::condition::Condition;
use super::pattern::{Offset, Pattern};

/// Tests, which of them must hold, and on which objects.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rule {
    /// What the condition's indices mean.
    pub tests: Vec<Test>,
    /// Which of them must hold.
    pub condition: Condition,
    /// The objects that it is for.
    pub scope: Scope,
}

impl Rule {
    /// A rule for every object.
    pub fn anywhere(patterns: Vec<Pattern>, condition: Condition) -> Self {
        Self {
            tests: patterns.into_iter().map(Test::Pattern).collect(),
            condition,
            scope: Scope::default(),
        }
    }
}

/// One test of a rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Test {
    /// A pattern occurs.
    Pattern(Pattern),
    /// A member of a macro group begins `min` to `max` bytes behind the start of a match of an earlier test (ClamAV's
    /// `${min-max}group$`).
    Macro {
        /// The index of the earlier test.
        after: usize,
        /// At least so many bytes.
        min: u64,
        /// At most so many bytes.
        max: u64,
        /// Which group.
        group: u32,
    },
    /// A number in the content compares (ClamAV's byte comparison).
    Compare(Compare),
    /// A regular expression matches (ClamAV's PCRE sub-signatures).
    Regex(Regex),
}

/// A regular expression that is tried only where a condition over earlier tests holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Regex {
    /// In the syntax of the crate `regex-automata`, over bytes, flags included; known to compile.
    pub expression: String,
    /// What must hold before it is tried; `None` for always.
    pub trigger: Option<Condition>,
    /// Where the match must begin. The text that the expression sees, its `^` included, begins there too. An offset
    /// without a shift is the only place; for a place from which on it is searched (ClamAV's `r`) the shift is `u64::MAX`.
    pub offset: Option<Offset>,
    /// It matches only where the text begins, or directly where the match before it ended (PCRE's anchored mode).
    pub anchored: bool,
    /// The text that it sees ends `shift` bytes behind the offset (ClamAV's `e`).
    pub confined: bool,
    /// All matches count, else only the first.
    pub global: bool,
}

/// A number near a match of an earlier test, compared with others.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Compare {
    /// The index of the earlier test.
    pub after: usize,
    /// Bytes from the start of its last match to the number.
    pub offset: i64,
    /// Bytes of the number; 1, 2, 4 or 8 of a binary one.
    pub length: u32,
    /// How they are read.
    pub encoding: Encoding,
    /// The comparisons, all of which must hold.
    pub comparisons: Vec<(super::condition::Relation, i64)>,
    /// The number must fill all of the `length` bytes, else it ends where its digits do.
    pub exact: bool,
}

/// How the bytes of a number are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Encoding {
    /// Decimal digits.
    Decimal,
    /// Hexadecimal digits, with or without `0x`.
    Hexadecimal(Order),
    /// Hexadecimal digits behind `0x`, else decimal ones, which are in [`Order::Big`] alone.
    Automatic(Order),
    /// A binary number without a sign.
    Binary(Order),
}

/// Which byte, or pair of hexadecimal digits, of a number comes first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    /// The largest.
    Big,
    /// The smallest.
    Little,
}

/// The objects that a rule is for. What is not given restricts nothing.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Scope {
    /// ClamAV's target type, by number; 0 is every object.
    pub target: u8,
    /// CVDL's type restrictions; they bind nothing where the type is not known.
    pub types: TypeList,
    /// The length of the object in bytes, from and to.
    pub size: Option<(u64, u64)>,
    /// The offset of the entry point in the file, from and to.
    pub entry: Option<(u64, u64)>,
    /// The number of sections, from and to.
    pub sections: Option<(u64, u64)>,
    /// The type of the container that the object is directly in, as ClamAV names it: `CL_TYPE_ZIP`.
    pub container: Option<String>,
    /// The types of the containers around the object, the outermost first, as ClamAV names them.
    pub intermediates: Vec<String>,
}

/// CVDL's `<"text", "HTML">` and `<!"text">`: the type of the object must, or must not, have one of these words in it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TypeList {
    /// Words; none for no restriction.
    pub words: Vec<String>,
    /// The objects that have none of them.
    pub excluded: bool,
}

/// A member of a container, by what the container says of it (ClamAV's `.cdb`). What is not given restricts nothing; ranges
/// have both ends in them.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct MemberRule {
    /// The type of the container, as ClamAV names it.
    pub container: Option<String>,
    /// The length of the container in bytes.
    pub container_size: Option<(u64, u64)>,
    /// What the name must match, in the syntax of the crate `regex-automata`, over bytes; known to compile.
    pub name: Option<String>,
    /// The length of the member as it lies in the container.
    pub compressed: Option<(u64, u64)>,
    /// The length of the member.
    pub size: Option<(u64, u64)>,
    /// It is encrypted, or is not.
    pub encrypted: Option<bool>,
    /// Its place among the members.
    pub position: Option<(u64, u64)>,
}
