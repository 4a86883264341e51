//! The routes that have something scanned, and wait for the answer.
#![forbid(unsafe_code)]

use axum::body::Body;
use axum::http::HeaderMap;
use data_encoding::BASE64;
use serde::Deserialize;

use super::form::Form;
use super::problem::Problem;
use super::query::{Asked, decoded};
use super::receive::{self, Incoming};
use super::run::{Scan, nothing_there};
use super::{Answer, Call, Http};

/// Bytes of a body that is only words.
pub(super) const WORDS: usize = 64 * 1024;

/// `/v1/scan` and `/v1/scan/NAME`: the body is a content, or a form with files.
pub(super) async fn content(call: Call) -> Answer {
    let form = Form::wanted(&call.head.headers);
    let asked = call.asked(false)?;
    let name = name(&call, &asked);
    let incoming = Incoming::new(&call.http, &call.head.headers, call.body)?;
    let (http, peer) = (&call.http, &call.peer);
    let Some(boundary) = receive::boundary(&call.head.headers)? else {
        let content = incoming.content(http, peer).await?;
        let scan = Scan::of_content(&asked, name, content);
        let record = scan.run(http, peer, |_| {}).await?;
        return Ok(form.one(&record));
    };
    let mut files = receive::Form::new(incoming, &boundary);
    let mut records = Vec::new();
    // A field that is no file is a content, too: nothing that was sent stays unexamined.
    while let Some((part, content)) = files.next(http, peer, |_| true).await? {
        let name = part.file_name.unwrap_or(part.name);
        let scan = Scan::of_content(&asked, name, content);
        records.push(scan.run(http, peer, |_| {}).await?);
    }
    match records.is_empty() {
        // An answer about nothing would be taken for one about something.
        true => Err(Problem::request("the form has no parts")),
        false => Ok(form.several(&records)),
    }
}

/// The name of the content: what the query says, else the last part of the path, where that has one.
pub(super) fn name(call: &Call, asked: &Asked) -> Vec<u8> {
    let path = call.head.uri.path();
    let of_path = path
        .strip_prefix("/v1/scan/")
        .map(|name| decoded(name, false));
    asked.name.clone().or(of_path).unwrap_or_default()
}

/// What `/v1/scan-path` takes: a path as text, or its bytes in base64.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "lowercase")]
enum ScanPath {
    Path(String),
    Base64(String),
}

/// `/v1/scan-path`: what is at a path on this machine, in one of the folders that are allowed.
pub(super) async fn path(call: Call) -> Answer {
    let form = Form::wanted(&call.head.headers);
    let asked = call.asked(false)?;
    let path = wanted_path(&call.http, call.head.headers, call.body).await?;
    let scan = Scan::of_path(&asked, path);
    let record = scan.run(&call.http, &call.peer, |_| {}).await?;
    Ok(form.one(&record))
}

async fn wanted_path(http: &Http, headers: HeaderMap, body: Body) -> Result<Vec<u8>, Problem> {
    let text = Incoming::new(http, &headers, body)?.text(WORDS).await?;
    let said: ScanPath = serde_json::from_slice(&text)
        .map_err(|error| Problem::request(format!("expected {{\"path\": \"/…\"}}: {error}")))?;
    let path = match said {
        ScanPath::Path(text) => text.into_bytes(),
        ScanPath::Base64(text) => BASE64
            .decode(text.as_bytes())
            .map_err(|error| Problem::request(format!("base64: {error}")))?,
    };
    if !path.starts_with(b"/") {
        return Err(Problem::request("expected an absolute path"));
    }
    match http.terms.has_roots {
        true => Ok(path),
        // Without folders that are allowed, none is.
        false => Err(nothing_there()),
    }
}
