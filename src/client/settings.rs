//! What a connection is told before its first scan, and how patient its owner is.
#![forbid(unsafe_code)]

use std::fmt;
use std::time::Duration;

use crate::path::{printable, quote};

/// The bytes of a value that are kept in a message for people.
const SHOWN: usize = 200;

/// The time without any byte from a server after which it is asked whether it is still there.
const TIMEOUT: Duration = Duration::from_secs(300);

/// The first pause of a few. A server that has no room has some when a scan has ended.
const PAUSE: Duration = Duration::from_millis(200);

/// One option of the protocol, to be enabled (docs/protocols/svsp.md, options).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Setting {
    name: &'static str,
    value: Vec<u8>,
}

/// A value that cannot be sent: it would end the line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a value of an option holds no control characters")]
pub struct NoValue;

impl Setting {
    /// `IGNORE name`: findings of this name are not reported.
    ///
    /// # Errors
    /// When the name holds control characters.
    pub fn ignore(name: &str) -> Result<Self, NoValue> {
        Self::new("IGNORE", name)
    }

    /// `EXPAND kind`: only containers of this kind (and others that are so named) are opened.
    ///
    /// # Errors
    /// When the name holds control characters.
    pub fn expand(kind: &str) -> Result<Self, NoValue> {
        Self::new("EXPAND", kind)
    }

    /// `RECURSE depth`: 0 for as deep as the server's limits allow.
    pub fn recurse(depth: u32) -> Self {
        Self {
            name: "RECURSE",
            value: depth.to_string().into_bytes(),
        }
    }

    /// `ORIGINAL`: containers are reported on too.
    pub fn original() -> Self {
        Self {
            name: "ORIGINAL",
            value: Vec::new(),
        }
    }

    /// `HTML level`: HTML is read as text too, 1 to 3.
    pub fn html(level: u8) -> Self {
        Self {
            name: "HTML",
            value: level.to_string().into_bytes(),
        }
    }

    /// `EXCLUDE path`: an exact path, a folder or a pattern that the server leaves out.
    pub fn exclude(path: &[u8]) -> Self {
        let mut value = Vec::new();
        if path.starts_with(b"\"") || path.iter().any(u8::is_ascii_control) {
            quote(path, &mut value);
        } else {
            value.extend_from_slice(path);
        }
        Self {
            name: "EXCLUDE",
            value,
        }
    }

    fn new(name: &'static str, value: &str) -> Result<Self, NoValue> {
        if value.chars().any(char::is_control) {
            return Err(NoValue);
        }
        Ok(Self {
            name,
            value: value.as_bytes().to_vec(),
        })
    }

    /// Its name and value.
    pub(super) fn parts(&self) -> (&'static str, &[u8]) {
        (self.name, &self.value)
    }

    /// Appends the command.
    pub(super) fn write(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(b"ENABLE ");
        out.extend_from_slice(self.name.as_bytes());
        if !self.value.is_empty() {
            out.push(b' ');
            out.extend_from_slice(&self.value);
        }
        out.extend_from_slice(b"\r\n");
    }
}

impl fmt::Display for Setting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let value = printable(&self.value, SHOWN);
        write!(f, "{} {value}", self.name)
    }
}

/// How to speak with a server.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Options that are enabled before the first scan. A server that refuses one is not used.
    pub options: Vec<Setting>,
    /// The time without any byte from a server, while it owes answers, after which it is asked whether it is there; after
    /// as long again it counts as lost. Also the time for which the content of a file may find nobody who reads it.
    pub timeout: Duration,
    /// The pause before something is asked again that was not scanned for reasons that pass; each further one is four times
    /// as long.
    pub pause: Duration,
    /// Requests in flight on one connection to a server that takes them side by side, at least 1.
    pub window: usize,
    /// Tells servers that speak HTTP who asks.
    pub token: Option<Token>,
}

/// A secret by which a server knows who asks. It is never printed.
#[derive(Clone, PartialEq, Eq)]
pub struct Token(pub(super) String);

impl Token {
    /// A token, from text that may have blanks and line ends around it.
    ///
    /// # Errors
    /// It is none.
    pub fn new(text: &str) -> Result<Self, NoValue> {
        let text = text.trim();
        match !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_graphic()) {
            true => Ok(Self(text.to_owned())),
            false => Err(NoValue),
        }
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token")
    }
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            options: Vec::new(),
            timeout: TIMEOUT,
            pause: PAUSE,
            window: super::session::WINDOW,
            token: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_setting_is_one_line() {
        let rows: &[(Setting, &[u8])] = &[
            (
                Setting::ignore("CVDL W32/Nimda.E").unwrap(),
                b"IGNORE CVDL W32/Nimda.E",
            ),
            (Setting::expand("*").unwrap(), b"EXPAND *"),
            (Setting::recurse(3), b"RECURSE 3"),
            (Setting::original(), b"ORIGINAL"),
            (Setting::html(2), b"HTML 2"),
            (Setting::exclude(b"/a b"), b"EXCLUDE /a b"),
            (Setting::exclude(b"/a\nb"), b"EXCLUDE \"/a\\nb\""),
        ];
        for (setting, text) in rows {
            let mut line = Vec::new();
            setting.write(&mut line);
            assert_eq!(line, [b"ENABLE ", *text, b"\r\n"].concat());
        }
        assert_eq!(Setting::ignore("a\nQUIT"), Err(NoValue));
    }
}
