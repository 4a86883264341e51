//! A server that speaks HTTP: it takes jobs from a queue and tells what comes of them, as a [connection](super::connection)
//! over SVSP does, so that nobody else knows the difference.
//!
//! Only an answer that is whole, is about the name that was asked for and does not contradict itself is believed.
#![forbid(unsafe_code)]

use std::collections::VecDeque;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use futures_util::{Stream, StreamExt, stream};
use http_body_util::{BodyExt, Limited, StreamBody};
use hyper::body::Frame;
use hyper::client::conn::http1::{self, SendRequest};
use hyper::header::{AUTHORIZATION, CONTENT_LENGTH, HOST};
use hyper::{Method, Request, StatusCode};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::sync::mpsc;
use tokio::task::{JoinSet, spawn_blocking};
use tokio::time::timeout;

use super::OPENING;
use super::answer::Answer;
use super::clock::Clock;
use super::connection::{Closed, Ear, Told, Why, connect};
use super::server::Server;
use super::session::Ended;
use super::settings::Settings;
use super::upload::UNSIZED;
use super::work::Work;
use crate::event::{Errno, Reason};
use crate::verdict::{self, Record, Verdict};

/// Requests side by side, each on a connection of its own.
const WINDOW: usize = 8;

/// Bytes that are read and sent at a time.
const CHUNK: usize = 64 << 10;

/// Bytes of an answer.
const ANSWER: usize = 64 << 20;

type Piece = Result<Frame<Bytes>, io::Error>;
type Body = StreamBody<std::pin::Pin<Box<dyn Stream<Item = Piece> + Send>>>;
type Idle = SendRequest<Body>;

/// Asks the server whether it takes requests, has it answer what comes through `jobs` until that has no more senders, and
/// tells how it ended.
pub(super) async fn run(
    server: Server,
    settings: Settings,
    jobs: mpsc::UnboundedReceiver<Work>,
    ear: Ear,
) {
    let web = Arc::new(Web {
        query: query(&settings),
        window: settings.window.clamp(1, WINDOW),
        settings,
        server,
        clock: Clock::start(),
    });
    let why = match web.greet().await {
        Ok(test_signatures_only) => {
            ear.tell(Told::Opened {
                test_signatures_only,
            })
            .await;
            ear.tell(Told::Slots(web.window)).await;
            return converse(web, jobs, ear).await;
        }
        Err(why) => why,
    };
    let open = Vec::new();
    ear.tell(Told::Closed(Closed { why, open })).await;
}

/// Answers jobs until there are no more, or the server is lost.
async fn converse(web: Arc<Web>, mut jobs: mpsc::UnboundedReceiver<Work>, ear: Ear) {
    let mut asked = JoinSet::new();
    let mut idle: VecDeque<Idle> = VecDeque::new();
    let mut open: Vec<(u64, Record)> = Vec::new();
    let mut lost = None;
    let mut is_over = false;
    while !(asked.is_empty() && (is_over || lost.is_some())) {
        tokio::select! {
            job = jobs.recv(), if !is_over && lost.is_none() => match job {
                Some(work) => {
                    let (web, connection) = (Arc::clone(&web), idle.pop_front());
                    asked.spawn(async move { web.ask(work, connection).await });
                }
                None => is_over = true,
            },
            Some(done) = asked.join_next() => match done {
                Ok(Ok((ended, connection))) => {
                    idle.extend(connection);
                    ear.tell(Told::Ended(ended)).await;
                    ear.tell(Told::Slots(1)).await;
                }
                Ok(Err((id, record, why))) => {
                    open.push((id, record));
                    lost = Some(why);
                }
                // A task of ours that failed owes an answer that nobody can give any more.
                Err(failed) => lost = Some(failed.to_string()),
            },
        }
    }
    let why = lost.map_or(Why::Quit, Why::Lost);
    ear.tell(Told::Closed(Closed { why, open })).await;
}

struct Web {
    server: Server,
    settings: Settings,
    query: String,
    window: usize,
    clock: Clock,
}

/// An answer of the server, whatever it says.
struct Reply {
    status: StatusCode,
    body: Vec<u8>,
    /// The connection, if it can be used again.
    connection: Option<Idle>,
}

impl Web {
    /// Sees whether the server takes requests, and whether it has test signatures only.
    async fn greet(&self) -> Result<bool, Why> {
        let get = |target: &'static str| async move {
            let reply = self.request(Method::GET, target, empty(), None, None);
            let reply = timeout(OPENING.min(self.settings.timeout), reply).await;
            let reply = reply.unwrap_or_else(|_| Err("no answer in time".to_owned()));
            reply.map_err(Why::NoServer)
        };
        let ready = get("/readyz").await?;
        let said = detail(&ready);
        let test_signatures_only = said == "test signatures only";
        if ready.status != StatusCode::OK && !test_signatures_only {
            return Err(Why::Refused(said));
        }
        // Asked for what is never there, it says whether one may ask at all.
        let asked = get("/v1/jobs/0").await?;
        match asked.status {
            StatusCode::NOT_FOUND => Ok(test_signatures_only),
            _ => Err(Why::Refused(detail(&asked))),
        }
    }

    /// Has one thing scanned. An error is the end of the server, with what is left without an answer.
    async fn ask(
        &self,
        work: Work,
        connection: Option<Idle>,
    ) -> Result<(Ended, Option<Idle>), (u64, Record, String)> {
        let now_ms = self.clock.now_ms();
        let mut answer = Answer::new(work.id, work.label.clone(), now_ms);
        // Why the own file could not be read, if it could not.
        let unread: Unread = Arc::default();
        let reply = match work.content() {
            Some(file) => {
                let name = encoded(&work.label);
                let target = format!("/v1/scan?name={name}{}", self.query);
                let (body, length) = content(Arc::clone(file), work.size, &unread);
                self.request(Method::PUT, &target, body, length, connection)
                    .await
            }
            None => {
                let path = data_encoding::BASE64.encode(&work.label);
                let text = Bytes::from(json!({ "base64": path }).to_string());
                let query = self.query.strip_prefix('&').unwrap_or_default();
                let target = format!("/v1/scan-path?{query}");
                let length = text.len() as u64;
                let body = stream::iter([Ok(Frame::data(text))]).boxed();
                let body = StreamBody::new(body);
                self.request(Method::POST, &target, body, Some(length), connection)
                    .await
            }
        };
        let reply = match reply {
            Ok(reply) => reply,
            Err(why) => {
                // What cannot be read here is no fault of the server.
                let unread = unread.get();
                let is_ours = unread.is_some();
                match unread {
                    Some((reason, detail)) => answer.unreadable(reason.clone(), detail.clone()),
                    None => answer.fail(format!("connection lost: {why}")),
                }
                let record = answer.into_record(self.clock.now_ms());
                let (id, again) = (work.id, false);
                let record = Box::new(record);
                return match is_ours {
                    true => Ok((Ended { id, record, again }, None)),
                    false => Err((id, *record, why)),
                };
            }
        };
        let again = matches!(
            reply.status,
            StatusCode::SERVICE_UNAVAILABLE | StatusCode::REQUEST_TIMEOUT
        );
        let record = match understood(&reply, &work) {
            Ok(mut record) => {
                record.request = Some(work.id.to_string());
                record.times.started_ms = now_ms;
                record.times.elapsed_ms = self.clock.now_ms().saturating_sub(now_ms);
                record
            }
            Err(why) => {
                answer.fail(why);
                answer.into_record(self.clock.now_ms())
            }
        };
        let (id, record) = (work.id, Box::new(record));
        Ok((Ended { id, record, again }, reply.connection))
    }

    /// One request and its answer. `length` is that of the body, where it is known.
    async fn request(
        &self,
        method: Method,
        target: &str,
        body: Body,
        length: Option<u64>,
        connection: Option<Idle>,
    ) -> Result<Reply, String> {
        let patience = self.settings.timeout;
        let mut sender = match connection {
            Some(sender) => sender,
            None => self.open().await?,
        };
        let mut request = Request::builder()
            .method(method)
            .uri(target)
            .header(HOST, self.server.authority());
        if let Some(token) = &self.settings.token {
            request = request.header(AUTHORIZATION, format!("Bearer {}", token.0));
        }
        if let Some(length) = length {
            request = request.header(CONTENT_LENGTH, length);
        }
        let request = request.body(body).map_err(|error| error.to_string())?;
        let response = sender.send_request(request).await.map_err(in_words)?;
        let status = response.status();
        let body = Limited::new(response.into_body(), ANSWER);
        let body = timeout(patience, body.collect()).await;
        let body = body.map_err(|_| "no answer in time".to_owned())?;
        let body = body.map_err(|error| error.to_string())?;
        let ready = sender.ready().await;
        Ok(Reply {
            status,
            body: body.to_bytes().to_vec(),
            connection: ready.is_ok().then_some(sender),
        })
    }

    async fn open(&self) -> Result<Idle, String> {
        let connected = connect(&self.server, self.settings.timeout).await;
        let (stream, _) = connected.map_err(|error| super::in_words(&error))?;
        let shaken = http1::handshake(TokioIo::new(stream)).await;
        let (sender, connection) = shaken.map_err(in_words)?;
        // It ends with the sender.
        tokio::spawn(connection);
        Ok(sender)
    }
}

/// A reason and a detail.
type Unread = Arc<OnceLock<(String, String)>>;

/// The innermost words of an error.
fn in_words(error: hyper::Error) -> String {
    let mut inner: &dyn std::error::Error = &error;
    while let Some(source) = inner.source() {
        inner = source;
    }
    match inner.downcast_ref::<io::Error>() {
        Some(error) => super::in_words(error),
        None => inner.to_string(),
    }
}

fn empty() -> Body {
    StreamBody::new(stream::empty().boxed())
}

/// The content of a file, from its start; its length, if it has one.
fn content(file: Arc<File>, size: u64, unread: &Unread) -> (Body, Option<u64>) {
    let unread = Arc::clone(unread);
    let pieces = stream::try_unfold((file, 0), move |(file, at)| {
        let unread = Arc::clone(&unread);
        async move {
            if size > 0 && at >= size {
                return Ok(None);
            }
            if at > UNSIZED && size == 0 {
                let reason = Reason::Unreadable(Errno(27)).to_string();
                let _ = unread.set((reason, "a file without a size that has no end".to_owned()));
                return Err(io::ErrorKind::FileTooLarge.into());
            }
            let left = match size {
                0 => CHUNK,
                size => usize::try_from(size - at).unwrap_or(CHUNK).min(CHUNK),
            };
            let read = spawn_blocking(move || {
                let mut piece = vec![0; left];
                let length = loop {
                    match file.read_at(&mut piece, at) {
                        Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                        length => break length?,
                    }
                };
                piece.truncate(length);
                Ok::<_, io::Error>((file, piece))
            });
            let failed = |error: io::Error| {
                let reason = Reason::Unreadable(Errno::of(&error)).to_string();
                let _ = unread.set((reason, super::in_words(&error)));
                error
            };
            let (file, piece) = read.await.map_err(io::Error::other)?.map_err(failed)?;
            if piece.is_empty() && size > 0 {
                let why = format!("{at} of {size} bytes were there when it was sent");
                return Err(failed(io::Error::other(why)));
            }
            if piece.is_empty() {
                return Ok(None);
            }
            let next = at + piece.len() as u64;
            Ok(Some((Frame::data(Bytes::from(piece)), (file, next))))
        }
    });
    let body = StreamBody::new(pieces.boxed());
    (body, (size > 0).then_some(size))
}

/// The record that an answer holds.
fn understood(reply: &Reply, work: &Work) -> Result<Record, String> {
    if reply.status != StatusCode::OK {
        let status = reply.status.as_u16();
        return Err(format!("{status} {}", detail(reply)));
    }
    let record: Record = serde_json::from_slice(&reply.body)
        .map_err(|error| format!("the answer is no verdict: {error}"))?;
    let name = verdict::object_path(&record.path);
    if record.version != 1 || name.elements() != [work.label.clone()] {
        return Err(format!("an answer about something else: {name}"));
    }
    let has_found = !record.findings.is_empty();
    let has_gap = record.gaps.iter().any(|gap| gap.passes != Some(true));
    let examined = record.coverage.is_some_and(|counts| {
        counts.objects > 0 && record.epoch.is_some() || counts.gaps > 0 || work.content().is_none()
    });
    match record.verdict {
        Verdict::Clean if has_found || has_gap || !examined => {
            Err("clean, for what was not looked at".to_owned())
        }
        _ => Ok(record),
    }
}

/// What an answer says for people.
fn detail(reply: &Reply) -> String {
    let said = serde_json::from_slice::<Value>(&reply.body).ok();
    let said = said.and_then(|value| Some(value.get("detail")?.as_str()?.to_owned()));
    said.unwrap_or_else(|| reply.status.to_string())
}

/// The options, as they stand behind another parameter.
fn query(settings: &Settings) -> String {
    let options = settings.options.iter().map(|option| {
        let (name, value) = option.parts();
        format!("&{}={}", name.to_ascii_lowercase(), encoded(value))
    });
    options.collect()
}

fn encoded(bytes: &[u8]) -> String {
    let mut out = String::with_capacity(bytes.len());
    for byte in bytes {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'/' => {
                out.push(char::from(*byte));
            }
            byte => out.push_str(&format!("%{byte:02X}")),
        }
    }
    out
}
