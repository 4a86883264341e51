//! Where a server is: `HOST[:PORT]`, or `http://HOST[:PORT]`.
#![forbid(unsafe_code)]

use std::fmt;
use std::str::FromStr;

/// The port of SVSP.
const PORT: u16 = 8081;

/// The port of HTTP.
const WEB_PORT: u16 = 80;

/// The address of a server: `HOST[:PORT]`, an IPv6 address with a port in brackets; behind `http://` of one that speaks
/// HTTP.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Server {
    host: String,
    port: u16,
    is_web: bool,
}

/// No server can be made of a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("expected HOST, HOST:PORT or http://HOST:PORT, with an IPv6 address as [ADDRESS]:PORT")]
pub struct NoAddress;

impl Server {
    /// Host and port, as the resolver takes them.
    pub(super) fn address(&self) -> (&str, u16) {
        (&self.host, self.port)
    }

    /// It speaks HTTP.
    pub(super) fn is_web(&self) -> bool {
        self.is_web
    }

    /// Host and port, as HTTP has them.
    pub(super) fn authority(&self) -> String {
        match self.host.contains(':') {
            true => format!("[{}]:{}", self.host, self.port),
            false => format!("{}:{}", self.host, self.port),
        }
    }
}

impl FromStr for Server {
    type Err = NoAddress;

    fn from_str(text: &str) -> Result<Self, NoAddress> {
        let web = text.strip_prefix("http://");
        let is_web = web.is_some();
        let text = web.map_or(text, |web| web.strip_suffix('/').unwrap_or(web));
        let (host, port) = match text.rsplit_once(':') {
            // Several colons without brackets are an IPv6 address.
            Some((host, port)) if host.ends_with(']') || !host.contains(':') => {
                (host, port.parse().map_err(|_| NoAddress)?)
            }
            _ if is_web => (text, WEB_PORT),
            _ => (text, PORT),
        };
        let inside = host.strip_prefix('[').and_then(|h| h.strip_suffix(']'));
        let host = inside.unwrap_or(host);
        if host.is_empty() || host.contains(['[', ']', '/']) {
            return Err(NoAddress);
        }
        Ok(Self {
            host: host.to_owned(),
            port,
            is_web,
        })
    }
}

impl fmt::Display for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = if self.is_web { "http://" } else { "" };
        write!(f, "{scheme}{}", self.authority())
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
            ("http://host", "http://host:80"),
            ("http://[::1]:1/", "http://[::1]:1"),
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
            "http://",
            "http://host/x",
            "https://host:443",
        ] {
            assert_eq!(text.parse::<Server>(), Err(NoAddress), "{text}");
        }
    }
}
