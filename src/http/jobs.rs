//! Scans whose answers are fetched later: begun, asked about, listened to, ended.
#![forbid(unsafe_code)]

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::http::header::{CONTENT_TYPE, HeaderName, HeaderValue, LOCATION};
use axum::http::{Response, StatusCode};
use data_encoding::HEXLOWER;
use futures_util::stream;

use super::form::json;
use super::guard::Who;
use super::job::Job;
use super::problem::Problem;
use super::receive::{self, Incoming};
use super::run::Scan;
use super::{Answer, Call};
use crate::access::tokens::random;

/// How long the answer of a job is kept.
const KEPT: Duration = Duration::from_secs(3600);

/// Silence after which those who listen are told that the connection is alive.
const SILENCE: Duration = Duration::from_secs(15);

/// The jobs that are known.
#[derive(Debug)]
pub(super) struct Jobs {
    most: usize,
    known: Mutex<Vec<Arc<Job>>>,
}

impl Jobs {
    /// Room for so many.
    pub(super) fn new(most: usize) -> Self {
        Self {
            most,
            known: Mutex::default(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Arc<Job>>> {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.retain(|job| job.ended().is_none_or(|ago| ago < KEPT));
        known
    }

    /// Tells whether one more would find a place.
    fn has_room(&self) -> bool {
        let known = self.lock();
        known.len() < self.most || known.iter().any(|job| job.ended().is_some())
    }

    /// Adds a job. Where there is no place, one that has ended makes room: the oldest of the same owner, else the oldest.
    fn add(&self, owner: Who) -> Result<Arc<Job>, Problem> {
        let id = random::<16>().map_err(|error| Problem::later(error.to_string()))?;
        let job = Arc::new(Job::new(HEXLOWER.encode(&id), owner));
        let mut known = self.lock();
        if known.len() >= self.most {
            let has_ended = |job: &Arc<Job>| job.ended().is_some();
            let theirs = |job: &Arc<Job>| job.owner == owner && has_ended(job);
            let at = known.iter().position(theirs);
            let at = at.or_else(|| known.iter().position(has_ended));
            known.remove(at.ok_or_else(full)?);
        }
        known.push(Arc::clone(&job));
        Ok(job)
    }

    /// The job with this id, if it is that of the one who asks.
    fn find(&self, id: &str, who: Option<Who>) -> Result<Arc<Job>, Problem> {
        let known = self.lock();
        let found = known
            .iter()
            .find(|job| job.id == id && Some(job.owner) == who);
        found
            .cloned()
            .ok_or_else(|| Problem::absent("there is no such job"))
    }

    fn remove(&self, job: &Arc<Job>) {
        self.lock().retain(|one| !Arc::ptr_eq(one, job));
    }
}

fn full() -> Problem {
    Problem::later("too many jobs are running")
}

/// `POST /v1/jobs`: begins a job when its content is whole.
pub(super) async fn begin(call: Call) -> Answer {
    let asked = call.asked(true)?;
    let http = Arc::clone(&call.http);
    let webhook = asked.webhook.as_deref().map(|url| {
        let webhooks = http.webhooks.as_ref();
        let allowed = webhooks.and_then(|webhooks| webhooks.call(url));
        allowed.ok_or_else(|| {
            let said = "webhook: not an address that is allowed here";
            Problem::new(StatusCode::FORBIDDEN, said)
        })
    });
    let webhook = webhook.transpose()?;
    if receive::boundary(&call.head.headers)?.is_some() {
        let said = "a job has one content, which is the body";
        return Err(Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, said));
    }
    // Before the content is taken in vain.
    if !http.jobs.has_room() {
        return Err(full());
    }
    let name = asked.name.clone().unwrap_or_default();
    let incoming = Incoming::new(&http, &call.head.headers, call.body)?;
    let content = incoming.content(&http, &call.peer).await?;
    let owner = call.who.unwrap_or(Who { holder: None });
    let job = http.jobs.add(owner)?;
    let mut scan = Scan::of_content(&asked, name, content);
    scan.id = Some(job.id.clone());
    let (own, peer) = (Arc::clone(&job), call.peer);
    tokio::spawn(async move {
        let result = tokio::select! {
            result = scan.run(&http, &peer, |report| own.tell(report)) => Some(result),
            () = own.cancel.cancelled() => None,
        };
        own.end(result);
        if let Some(webhook) = webhook.filter(|_| !own.cancel.is_cancelled()) {
            let body = Bytes::from(own.shown().to_string());
            tokio::select! {
                () = webhook.send(&own.id, body) => {}
                () = peer.end.abandon.cancelled() => {}
                () = own.cancel.cancelled() => {}
            }
        }
    });
    let mut response = json(&job.shown());
    *response.status_mut() = StatusCode::ACCEPTED;
    if let Ok(place) = HeaderValue::try_from(format!("/v1/jobs/{}", job.id)) {
        response.headers_mut().insert(LOCATION, place);
    }
    Ok(response)
}

fn named(call: &Call) -> Result<Arc<Job>, Problem> {
    let id = call.head.uri.path().split('/').nth(3);
    call.http.jobs.find(id.unwrap_or_default(), call.who)
}

/// `GET /v1/jobs/{id}`: how far it is, and its verdict.
pub(super) async fn ask(call: Call) -> Answer {
    Ok(json(&named(&call)?.shown()))
}

/// `DELETE /v1/jobs/{id}`: ends it, and forgets its answer.
pub(super) async fn end(call: Call) -> Answer {
    let job = named(&call)?;
    job.cancel.cancel();
    call.http.jobs.remove(&job);
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::NO_CONTENT;
    Ok(response)
}

/// What a client that comes again has heard.
const LAST_EVENT: HeaderName = HeaderName::from_static("last-event-id");

/// `GET /v1/jobs/{id}/events`: what it says, from its beginning, while it says it (server-sent events).
pub(super) async fn listen(call: Call) -> Answer {
    let job = named(&call)?;
    let last = call.head.headers.get(LAST_EVENT);
    let last = last.and_then(|value| value.to_str().ok()?.parse::<usize>().ok());
    let next = last.unwrap_or(0).saturating_add(1);
    let told = job.listen();
    let events = stream::unfold(Some((job, told, next)), |listener| async move {
        let (job, mut told, next) = listener?;
        loop {
            if let Some((event, is_last)) = job.heard(next) {
                let bytes = Bytes::copy_from_slice(event.as_bytes());
                let rest = (!is_last).then_some((job, told, next + 1));
                return Some((Ok::<_, std::convert::Infallible>(bytes), rest));
            }
            // All was heard before.
            if job.ended().is_some() {
                return None;
            }
            match tokio::time::timeout(SILENCE, told.changed()).await {
                Ok(Ok(())) => {}
                Ok(Err(_)) => return None,
                Err(_) => {
                    let alive = Bytes::from_static(b":\n\n");
                    return Some((Ok(alive), Some((job, told, next))));
                }
            }
        }
    });
    let mut response = Response::new(Body::from_stream(events));
    let kind = HeaderValue::from_static("text/event-stream");
    response.headers_mut().insert(CONTENT_TYPE, kind);
    Ok(response)
}
