//! Answers that are sent to where a client wants them: only below addresses that the daemon's owner allows, for the daemon
//! may reach what the client cannot.
#![forbid(unsafe_code)]

use std::time::Duration;

use axum::body::Bytes;
use axum::http::header::{CONTENT_LENGTH, CONTENT_TYPE, HOST};
use axum::http::{Request, StatusCode};
use data_encoding::HEXLOWER;
use hmac::{Hmac, KeyInit, Mac};
use http_body_util::Full;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use sha2::Sha256;
use tokio::net::TcpStream;
use tokio::time::{sleep, timeout};
use tracing::warn;

use super::form::JSON;

/// The header with the HMAC-SHA256 of the body.
const SIGNATURE: &str = "vfind-signature";

/// How long one attempt may take.
const ATTEMPT: Duration = Duration::from_secs(10);

/// The pauses before further attempts.
const PAUSES: [Duration; 4] = [
    Duration::from_secs(1),
    Duration::from_secs(4),
    Duration::from_secs(16),
    Duration::from_secs(64),
];

/// The bytes of a key that cannot be guessed.
const KEY: usize = 16;

/// Where answers may be sent, and the key by which they are signed.
pub struct Webhooks {
    allowed: Vec<String>,
    key: Vec<u8>,
}

/// One place where an answer is to be sent.
#[derive(Debug)]
pub(super) struct Webhook {
    /// `HOST[:PORT]`.
    authority: String,
    target: String,
    signer: Hmac<Sha256>,
}

impl Webhooks {
    /// Answers may be sent to what begins with one of these, and are signed with this key.
    ///
    /// # Errors
    /// For people: the key is too short.
    pub fn new(allowed: Vec<String>, key: &[u8]) -> Result<Self, String> {
        let key = key.trim_ascii_end().to_vec();
        match key.len() >= KEY {
            true => Ok(Self { allowed, key }),
            false => Err(format!("a key has at least {KEY} bytes")),
        }
    }

    /// A place, if it is one that is allowed.
    pub(super) fn call(&self, url: &str) -> Option<Webhook> {
        // Nothing that a server may read as another path than it looks like.
        let is_plain = |c: char| c.is_ascii_alphanumeric() || "-._~/?=&:[]".contains(c);
        let is_allowed = self.allowed.iter().any(|start| url.starts_with(start));
        if !is_allowed || url.contains("..") || !url.chars().all(is_plain) {
            return None;
        }
        let rest = url.strip_prefix("http://")?;
        let at = rest.find('/')?;
        Some(Webhook {
            authority: rest.get(..at)?.to_owned(),
            target: rest.get(at..)?.to_owned(),
            signer: Hmac::new_from_slice(&self.key).ok()?,
        })
    }
}

impl Webhook {
    /// Sends it, some times if need be.
    pub(super) async fn send(&self, job: &str, body: Bytes) {
        let mut pauses = PAUSES.iter();
        loop {
            let sent = timeout(ATTEMPT, self.attempt(body.clone())).await;
            let (why, is_final) = match sent {
                Ok(Ok(status)) if status.is_success() => return,
                Ok(Ok(status)) => (status.to_string(), status.is_client_error()),
                Ok(Err(why)) => (why, false),
                Err(_) => ("no answer in time".to_owned(), false),
            };
            let pause = pauses.next().filter(|_| !is_final);
            let Some(pause) = pause else {
                warn!(
                    job,
                    place = self.authority,
                    why,
                    "an answer could not be sent"
                );
                return;
            };
            sleep(*pause).await;
        }
    }

    async fn attempt(&self, body: Bytes) -> Result<StatusCode, String> {
        let (host, port) = host_and_port(&self.authority);
        let stream = TcpStream::connect((host, port)).await;
        let stream = TokioIo::new(stream.map_err(|error| error.to_string())?);
        let (mut sender, connection) = http1::handshake(stream)
            .await
            .map_err(|error| error.to_string())?;
        let request = Request::post(&self.target)
            .header(HOST, &self.authority)
            .header(CONTENT_TYPE, JSON)
            .header(CONTENT_LENGTH, body.len())
            .header(SIGNATURE, format!("sha256={}", self.signature(&body)))
            .body(Full::new(body))
            .map_err(|error| error.to_string())?;
        let answered = async {
            let response = sender.send_request(request).await;
            response.map(|response| response.status())
        };
        tokio::pin!(connection);
        tokio::select! {
            status = answered => status.map_err(|error| error.to_string()),
            ended = &mut connection => match ended {
                Ok(()) => Err("closed without an answer".to_owned()),
                Err(error) => Err(error.to_string()),
            },
        }
    }

    fn signature(&self, body: &[u8]) -> String {
        let mut signer = self.signer.clone();
        signer.update(body);
        HEXLOWER.encode(&signer.finalize().into_bytes())
    }
}

fn host_and_port(authority: &str) -> (&str, u16) {
    let found = authority.rsplit_once(':');
    let found = found.filter(|(_, port)| !port.contains(']'));
    let (host, port) = found.unwrap_or((authority, "80"));
    let host = host.trim_start_matches('[').trim_end_matches(']');
    (host, port.parse().unwrap_or(80))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_allowed_is_called() {
        let allowed = vec![
            "http://10.0.0.5:81/vfind/".to_owned(),
            "http://[::1]/".to_owned(),
        ];
        let webhooks = Webhooks::new(allowed, b"0123456789abcdef\n").unwrap();
        let rows = [
            (
                "http://10.0.0.5:81/vfind/",
                Some(("10.0.0.5", 81, "/vfind/")),
            ),
            (
                "http://10.0.0.5:81/vfind/a?b=c",
                Some(("10.0.0.5", 81, "/vfind/a?b=c")),
            ),
            ("http://[::1]/x", Some(("::1", 80, "/x"))),
            ("http://10.0.0.5:81/vfind", None),
            ("http://10.0.0.5:81/vfind/../x", None),
            ("http://10.0.0.5:81/vfind/%2e%2e/x", None),
            ("http://10.0.0.5:81/vfind/\\..\\x", None),
            ("http://10.0.0.5:81/vfind/#x", None),
            ("http://10.0.0.5:81/vfind/@x", None),
            ("http://10.0.0.5:8100/vfind/", None),
            ("https://10.0.0.5:81/vfind/", None),
            ("", None),
        ];
        for (url, expected) in rows {
            let called = webhooks.call(url);
            let called = called.as_ref().map(|webhook| {
                let (host, port) = host_and_port(&webhook.authority);
                (host, port, webhook.target.as_str())
            });
            assert_eq!(called, expected, "{url}");
        }
        assert!(Webhooks::new(Vec::new(), b"short").is_err());
    }

    #[test]
    fn the_signature_is_that_of_others() {
        // printf body | openssl dgst -sha256 -hmac 0123456789abcdef
        let webhooks = Webhooks::new(vec!["http://x/".to_owned()], b"0123456789abcdef").unwrap();
        let webhook = webhooks.call("http://x/").unwrap();
        assert_eq!(webhook.signature(b"body"), SIGNED);
    }

    const SIGNED: &str = "c34c3195f4d0282ae2dee7ddba19f07877594896ece7578eed7044843650c708";
}
