//! The body of a request, on its way into content that can be scanned. Nothing of it stays in memory beyond what uploads may
//! have there, and a peer that stands still is given up.
#![forbid(unsafe_code)]

use std::fs::File;
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::http::header::{CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use http_body_util::BodyExt;
use tokio::time::timeout;

use super::multipart::{Multipart, Part, Piece};
use super::problem::Problem;
use super::{Http, Peer};
use crate::server::{Room, Upload};

/// Files of one request: each has its record in the answer.
const PARTS: usize = 1_000;

/// The body as it comes.
#[derive(Debug)]
pub(super) struct Incoming {
    body: Body,
    idle: Duration,
}

impl Incoming {
    /// A body of which nothing was read.
    ///
    /// # Errors
    /// One that is too large by its own account, or in another form than as it is.
    pub(super) fn new(http: &Http, headers: &HeaderMap, body: Body) -> Result<Self, Problem> {
        if headers
            .get(CONTENT_ENCODING)
            .is_some_and(|coding| coding != "identity")
        {
            return Err(Problem::new(
                StatusCode::UNSUPPORTED_MEDIA_TYPE,
                "the content must be sent as it is, without Content-Encoding",
            ));
        }
        let said = headers.get(CONTENT_LENGTH).map(HeaderValue::to_str);
        let said = said.and_then(|length| length.ok()?.parse::<u64>().ok());
        let transfers = &http.shared.transfers;
        if said.is_some_and(|length| length > transfers.largest()) {
            return Err(Problem::too_large());
        }
        Ok(Self {
            body,
            idle: transfers.idle(),
        })
    }

    /// The next bytes; `None` at the end.
    async fn next(&mut self) -> Result<Option<Bytes>, Problem> {
        loop {
            let frame = timeout(self.idle, self.body.frame()).await;
            let frame = frame.map_err(|_| {
                let said = "the content stood still for too long";
                Problem::new(StatusCode::REQUEST_TIMEOUT, said)
            })?;
            match frame {
                None => return Ok(None),
                Some(Err(error)) => {
                    return Err(Problem::request(format!(
                        "the content is not whole: {error}"
                    )));
                }
                Some(Ok(frame)) => {
                    if let Ok(bytes) = frame.into_data() {
                        return Ok(Some(bytes));
                    }
                }
            }
        }
    }

    /// All of it as one content.
    ///
    /// # Errors
    /// It does not come whole, or finds no room.
    pub(super) async fn content(
        mut self,
        http: &Http,
        peer: &Peer,
    ) -> Result<(File, Room), Problem> {
        let mut upload = begin(http, peer)?;
        while let Some(bytes) = self.next().await? {
            upload
                .push(&bytes)
                .map_err(|reason| Problem::room(&reason))?;
        }
        upload.finish().map_err(|reason| Problem::room(&reason))
    }

    /// All of it as text of a few bytes.
    ///
    /// # Errors
    /// It does not come whole, or is larger.
    pub(super) async fn text(mut self, most: usize) -> Result<Vec<u8>, Problem> {
        let mut text = Vec::new();
        while let Some(bytes) = self.next().await? {
            if text.len() + bytes.len() > most {
                return Err(Problem::too_large());
            }
            text.extend_from_slice(&bytes);
        }
        Ok(text)
    }
}

/// A form as it comes, file by file.
pub(super) struct Form {
    incoming: Incoming,
    parser: Multipart,
    parts: usize,
}

impl Form {
    /// A form whose parts are told apart by this boundary.
    pub(super) fn new(incoming: Incoming, boundary: &[u8]) -> Self {
        Self {
            incoming,
            parser: Multipart::new(boundary),
            parts: 0,
        }
    }

    /// The next part that is wanted, with all of its content; `None` behind the last.
    ///
    /// # Errors
    /// As [`Incoming::content`], and what is no form.
    pub(super) async fn next(
        &mut self,
        http: &Http,
        peer: &Peer,
        wanted: fn(&Part) -> bool,
    ) -> Result<Option<(Part, (File, Room))>, Problem> {
        let mut open: Option<(Part, Upload)> = None;
        loop {
            let piece = self.parser.next_piece();
            match piece.map_err(|flaw| Problem::request(flaw.to_string()))? {
                Piece::More => match self.incoming.next().await? {
                    Some(bytes) => self.parser.push(&bytes),
                    None => self.parser.end(),
                },
                Piece::Begin(part) => {
                    self.parts += 1;
                    if self.parts > PARTS {
                        let said = format!("more than {PARTS} parts");
                        return Err(Problem::new(StatusCode::PAYLOAD_TOO_LARGE, said));
                    }
                    if wanted(&part) {
                        open = Some((part, begin(http, peer)?));
                    }
                }
                Piece::Content(bytes) => {
                    if let Some((_, upload)) = &mut open {
                        upload
                            .push(&bytes)
                            .map_err(|reason| Problem::room(&reason))?;
                    }
                }
                Piece::EndOfPart => {
                    if let Some((part, upload)) = open.take() {
                        let content = upload.finish();
                        let content = content.map_err(|reason| Problem::room(&reason))?;
                        return Ok(Some((part, content)));
                    }
                }
                Piece::End => return Ok(None),
            }
        }
    }
}

fn begin(http: &Http, peer: &Peer) -> Result<Upload, Problem> {
    let upload = http.shared.transfers.upload(peer.address.ip());
    upload.map_err(|reason| Problem::room(&reason))
}

/// The boundary of a form, if this is one.
///
/// # Errors
/// A form without a boundary that one may have.
pub(super) fn boundary(headers: &HeaderMap) -> Result<Option<Vec<u8>>, Problem> {
    let Some(value) = headers.get(CONTENT_TYPE) else {
        return Ok(None);
    };
    match super::multipart::boundary(value.as_bytes()) {
        None => Ok(None),
        Some(None) => Err(Problem::request("multipart/form-data without a boundary")),
        Some(boundary) => Ok(boundary),
    }
}
