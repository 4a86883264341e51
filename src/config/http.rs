//! The options of `vfindd` for those who speak HTTP.
#![forbid(unsafe_code)]

use std::path::PathBuf;

use clap::Args;

use crate::access::tokens::Role;
use crate::http::Terms;

/// Where HTTP is spoken, and with whom, as written.
#[derive(Debug, Args)]
#[command(next_help_heading = "HTTP")]
pub(super) struct HttpFlags {
    /// Speak HTTP at this port too
    #[arg(long, value_name = "PORT")]
    pub(super) http_port: Option<u16>,

    /// Take the bearer tokens that this file names
    #[arg(long, value_name = "FILE")]
    token_file: Option<PathBuf>,

    /// Add a token with this role (scan, read or admin) to the file of --token-file, print it, and exit
    #[arg(long, value_name = "ROLE", requires = "token_file")]
    new_token: Option<Role>,

    /// Who may have things scanned over HTTP without a token: programs on this machine, or nobody
    #[arg(long, value_enum, default_value_t = WithoutToken::Loopback)]
    http_without_token: WithoutToken,

    /// A name that programs on this machine may call it by without a token, beside localhost; may be repeated
    #[arg(long, value_name = "NAME")]
    http_host: Vec<String>,

    /// A web page's origin that may use it without a token, such as http://localhost:3000; may be repeated
    #[arg(long, value_name = "ORIGIN")]
    http_origin: Vec<String>,

    /// HTTP connections from one address at the same time
    #[arg(long, value_name = "N", default_value_t = 2_000, value_parser = clap::value_parser!(u32).range(1..))]
    limit_peer_connections: u32,

    /// Jobs over HTTP that are kept at the same time, with their answers
    #[arg(long, value_name = "N", default_value_t = 1_000, value_parser = clap::value_parser!(u32).range(1..))]
    limit_jobs: u32,

    /// Where clients may have the answers of jobs sent: an address that begins with this, such as http://10.0.0.5:80/vfind/; may be repeated
    #[arg(long, value_name = "URL", requires = "webhook_key")]
    webhook: Vec<String>,

    /// The file that holds the key by which such an answer is signed
    #[arg(long, value_name = "FILE")]
    webhook_key: Option<PathBuf>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum WithoutToken {
    Loopback,
    Nobody,
}

/// How HTTP is spoken.
#[derive(Debug, Clone)]
pub struct HttpConfig {
    /// The file of tokens.
    pub token_file: Option<PathBuf>,
    /// With whom.
    pub terms: Terms,
    /// What the addresses begin with that answers may be sent to.
    pub webhooks: Vec<String>,
    /// The file of the key by which they are signed.
    pub webhook_key: Option<PathBuf>,
}

/// A token that is to be made.
#[derive(Debug, Clone)]
pub struct NewToken {
    /// What it is for.
    pub role: Role,
    /// Where its digest goes.
    pub file: PathBuf,
}

/// The names of this machine for itself.
const HOSTS: [&str; 3] = ["localhost", "127.0.0.1", "[::1]"];

impl HttpFlags {
    /// The token to make, if one is wanted.
    pub(super) fn new_token(&self) -> Option<NewToken> {
        let wanted = self.new_token.zip(self.token_file.clone());
        wanted.map(|(role, file)| NewToken { role, file })
    }

    /// How it is spoken.
    pub(super) fn resolve(self) -> Result<HttpConfig, String> {
        for url in &self.webhook {
            let host = url.strip_prefix("http://").unwrap_or_default();
            let (authority, _) = host.split_once('/').ok_or_else(|| {
                format!("--webhook={url}: expected http://HOST[:PORT]/ with a path")
            })?;
            if authority.is_empty() || authority.contains('@') {
                return Err(format!("--webhook={url}: no host"));
            }
        }
        let hosts = HOSTS.map(str::to_owned).into_iter().chain(self.http_host);
        Ok(HttpConfig {
            token_file: self.token_file,
            terms: Terms {
                open_to_loopback: self.http_without_token == WithoutToken::Loopback,
                hosts: hosts.map(|host| host.to_ascii_lowercase()).collect(),
                origins: self.http_origin,
                peer_connections: self.limit_peer_connections as usize,
                jobs: self.limit_jobs as usize,
                has_roots: false,
            },
            webhooks: self.webhook,
            webhook_key: self.webhook_key,
        })
    }
}
