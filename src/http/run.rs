//! One scan: a request goes to the pool, and its reports come back as a record. Whoever drops this cancels it.
#![forbid(unsafe_code)]

use std::fs::File;
use std::sync::Arc;

use tokio::time::{Instant, sleep_until};

use super::gather::Gathering;
use super::problem::Problem;
use super::query::Asked;
use super::{Http, PROTOCOL, Peer};
use crate::event::{Gap, Reason};
use crate::journal::Origin;
use crate::path::ObjectPath;
use crate::pool::Writers;
use crate::request::Request;
use crate::server::Room;
use crate::verdict::{Record, Report};

/// What is scanned.
#[derive(Debug)]
pub(super) enum What {
    /// Content that was sent, with the room that it takes.
    Content(File, Room),
    /// What is at the request's path.
    Path,
}

/// A scan that may begin.
#[derive(Debug)]
pub(super) struct Scan {
    pub(super) request: Request,
    pub(super) what: What,
    /// What the answer calls it.
    pub(super) id: Option<String>,
    pub(super) deadline: Option<std::time::Duration>,
}

/// A request has one scan.
const JOB: u64 = 1;

impl Scan {
    /// The scan of content under this name.
    pub(super) fn of_content(asked: &Asked, name: Vec<u8>, content: (File, Room)) -> Self {
        let (file, room) = content;
        Self {
            request: asked.content(name),
            what: What::Content(file, room),
            id: None,
            deadline: asked.deadline,
        }
    }

    /// The scan of a path.
    pub(super) fn of_path(asked: &Asked, path: Vec<u8>) -> Self {
        Self {
            request: asked.path(path),
            what: What::Path,
            id: None,
            deadline: asked.deadline,
        }
    }

    /// Scans, and tells each report when it comes.
    ///
    /// # Errors
    /// There is no verdict: the daemon ends, or there is nothing at the path that may be scanned.
    pub(super) async fn run(
        self,
        http: &Arc<Http>,
        peer: &Peer,
        mut tell: impl FnMut(&Report),
    ) -> Result<Record, Problem> {
        let origin = Origin {
            protocol: PROTOCOL,
            peer: Some(peer.address),
        };
        let client = http.shared.pool.client(Arc::clone(&http.policy), origin);
        let name = self.request.source.name().to_vec();
        let mut gathering = Gathering::new(&name, self.id);
        let is_path = matches!(self.what, What::Path);
        let _room = match self.what {
            What::Content(file, room) => {
                client.submit_content(JOB, self.request, file, Writers::None);
                Some(room)
            }
            What::Path => {
                client.submit(JOB, self.request);
                None
            }
        };
        let end = self.deadline.map(|deadline| Instant::now() + deadline);
        loop {
            while let Some((_, report)) = client.take() {
                tell(&report);
                let Some(summary) = gathering.take(&report) else {
                    continue;
                };
                let worst = summary.worst.as_ref();
                let is_absent = is_path
                    && summary.epoch.is_none()
                    && worst.is_some_and(|gap| {
                        gap.path.is_root() && matches!(gap.reason, Reason::Unreadable(_))
                    });
                // One answer, so that nobody learns what is there and where.
                return match is_absent {
                    true => Err(nothing_there()),
                    false => Ok(gathering.into_record()),
                };
            }
            tokio::select! {
                () = client.arrived() => {}
                () = at(end) => {
                    let gap = Gap {
                        path: ObjectPath::root(name),
                        reason: Reason::Deadline,
                        detail: "the request's own deadline".to_owned(),
                    };
                    tell(&Report::Gap(gap.clone(), false));
                    gathering.cut_off(&gap);
                    return Ok(gathering.into_record());
                }
                () = peer.end.abandon.cancelled() => {
                    return Err(Problem::later("the server is ending"));
                }
            }
        }
    }
}

/// The answer for every path without content that may be scanned.
pub(super) fn nothing_there() -> Problem {
    Problem::absent("nothing that may be scanned is at this path")
}

/// Completes at this time; without one, never.
async fn at(end: Option<Instant>) {
    match end {
        Some(end) => sleep_until(end).await,
        None => std::future::pending().await,
    }
}
