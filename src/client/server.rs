//! Where a server is: `HOST[:PORT]`.
#![forbid(unsafe_code)]

use std::fmt;
use std::str::FromStr;

/// The port of SVSP.
const PORT: u16 = 8081;

/// The address of a server: `HOST[:PORT]`, an IPv6 address with a port in brackets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Server {
    host: String,
    port: u16,
}

/// No server can be made of a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("expected HOST or HOST:PORT, with an IPv6 address as [ADDRESS]:PORT")]
pub struct NoAddress;

impl Server {
    /// Host and port, as the resolver takes them.
    pub(super) fn address(&self) -> (&str, u16) {
        (&self.host, self.port)
    }
}

impl FromStr for Server {
    type Err = NoAddress;

    fn from_str(text: &str) -> Result<Self, NoAddress> {
        let (host, port) = match text.rsplit_once(':') {
            // Several colons without brackets are an IPv6 address.
            Some((host, port)) if host.ends_with(']') || !host.contains(':') => {
                (host, port.parse().map_err(|_| NoAddress)?)
            }
            _ => (text, PORT),
        };
        let inside = host.strip_prefix('[').and_then(|h| h.strip_suffix(']'));
        let host = inside.unwrap_or(host);
        if host.is_empty() || host.contains(['[', ']']) {
            return Err(NoAddress);
        }
        Ok(Self {
            host: host.to_owned(),
            port,
        })
    }
}

impl fmt::Display for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.host.contains(':') {
            write!(f, "[{}]:{}", self.host, self.port)
        } else {
            write!(f, "{}:{}", self.host, self.port)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_of_every_kind() {
        let rows = [
            ("host", "host:8081"),
            ("host:1", "host:1"),
            ("127.0.0.1:65535", "127.0.0.1:65535"),
            ("::1", "[::1]:8081"),
            ("[::1]", "[::1]:8081"),
            ("[fe80::1]:99", "[fe80::1]:99"),
        ];
        for (text, shown) in rows {
            let server = text.parse::<Server>().map(|server| server.to_string());
            assert_eq!(server.as_deref(), Ok(shown), "{text}");
        }
        for text in [
            "",
            ":1",
            "host:",
            "host:x",
            "host:70000",
            "[]:1",
            "[::1",
            "[::1]x",
        ] {
            assert_eq!(text.parse::<Server>(), Err(NoAddress), "{text}");
        }
    }
}
