//! One token of CVDL, where it stands, and how it is called when it stands in the wrong place.
#![forbid(unsafe_code)]

use std::fmt;
use std::rc::Rc;

use crate::path::printable;

/// Where something stands in a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Place {
    /// Its line, from 1.
    pub(super) line: u32,
    /// Bytes from the start of the text to the start of this line.
    pub(super) line_start: usize,
    /// Bytes from the start of the text.
    pub(super) at: usize,
}

/// One token and where it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Token<'t> {
    pub(super) kind: Kind<'t>,
    /// What came out of a macro stands where the rule uses the macro.
    pub(super) place: Place,
    /// It is the first of its line.
    pub(super) leads: bool,
    /// The line of the definition that it came out of.
    pub(super) defined: Option<u32>,
}

/// What a token is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Kind<'t> {
    And,
    /// `.*`
    Anything,
    At,
    /// `@@`
    AtAt,
    /// Something that is no token, with the reason.
    Bad(String),
    Bang,
    Bar,
    Close,
    CloseBrace,
    CloseSet,
    Colon,
    Comma,
    /// `$define`, with all of its line.
    Define(Definition<'t>),
    /// `\d+`
    Digits,
    End,
    Fuzzy,
    Greater,
    Hash,
    /// `'a'`, `0x41`, `65`, `\n`.
    Integer(u64),
    Less,
    /// `$name`, without the dollar.
    Macro(&'t [u8]),
    Minus,
    Not,
    Open,
    OpenBrace,
    OpenSet,
    Or,
    Plus,
    Question,
    /// `\s*` and `\s+`: white space, at least so many.
    Spaces(u32),
    Star,
    Text(Rc<[u8]>),
    Tilde,
    /// `~~`
    TildeTilde,
    Xor,
}

/// A `$define` line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Definition<'t> {
    pub(super) name: &'t [u8],
    pub(super) value: &'t [u8],
    /// Where the value begins.
    pub(super) place: Place,
}

impl Kind<'_> {
    /// An element of a sequence may begin with it.
    pub(super) fn begins_element(&self) -> bool {
        matches!(
            self,
            Self::Anything
                | Self::At
                | Self::AtAt
                | Self::Bang
                | Self::Digits
                | Self::Fuzzy
                | Self::Integer(_)
                | Self::Open
                | Self::OpenSet
                | Self::Spaces(_)
                | Self::Text(_)
                | Self::Tilde
                | Self::TildeTilde
        )
    }
}

/// As complaints call it.
impl fmt::Display for Kind<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::And => "AND",
            Self::Anything => "`.*`",
            Self::At => "`@`",
            Self::AtAt => "`@@`",
            Self::Bad(reason) => reason,
            Self::Bang => "`!`",
            Self::Bar => "`|`",
            Self::Close => "`)`",
            Self::CloseBrace => "`}`",
            Self::CloseSet => "`]`",
            Self::Colon => "`:`",
            Self::Comma => "`,`",
            Self::Define(_) => "`$define`",
            Self::Digits => "`\\d+`",
            Self::End => "end of the file",
            Self::Fuzzy => "FUZZY",
            Self::Greater => "`>`",
            Self::Hash => "`#`",
            Self::Integer(_) => "number",
            Self::Less => "`<`",
            Self::Macro(name) => return write!(f, "`${}`", printable(name, 40)),
            Self::Minus => "`-`",
            Self::Not => "NOT",
            Self::Open => "`(`",
            Self::OpenBrace => "`{`",
            Self::OpenSet => "`[`",
            Self::Or => "OR",
            Self::Plus => "`+`",
            Self::Question => "`?`",
            Self::Spaces(0) => "`\\s*`",
            Self::Spaces(_) => "`\\s+`",
            Self::Star => "`*`",
            Self::Text(_) => "string",
            Self::Tilde => "`~`",
            Self::TildeTilde => "`~~`",
            Self::Xor => "XOR",
        })
    }
}
