//! What can be asked and told about the signatures, and whether the daemon is there for requests.
#![forbid(unsafe_code)]

use std::sync::Arc;

use axum::http::StatusCode;
use serde_json::{Value, json};

use super::form::{json, typed};
use super::problem::Problem;
use super::{Answer, Call, Http};
use crate::server;

/// `GET /v1/database`: which signatures are in use.
pub(super) async fn status(call: Call) -> Answer {
    Ok(json(&said(&call.http).await?))
}

/// `POST /v1/database/reload`: loads them anew, and waits until that is done.
pub(super) async fn reload(call: Call) -> Answer {
    let reloaded = server::reload(&call.http.shared.live).await;
    reloaded.map_err(|why| Problem::new(StatusCode::CONFLICT, why))?;
    Ok(json(&said(&call.http).await?))
}

async fn said(http: &Http) -> Result<Value, Problem> {
    let live = Arc::clone(&http.shared.live);
    // It asks the file system whether there is a way back.
    let asked = tokio::task::spawn_blocking(move || (live.status(), live.current()));
    let (status, current) = asked
        .await
        .map_err(|error| Problem::new(StatusCode::INTERNAL_SERVER_ERROR, error.to_string()))?;
    let last = status.last.map(|(ago, result)| {
        json!({
            "seconds_ago": ago.as_secs(),
            "epoch": result.as_ref().ok().map(ToString::to_string),
            "refused": result.as_ref().err(),
        })
    });
    Ok(json!({
        "epoch": status.epoch.to_string(),
        "signatures": status.signatures,
        "not_understood": status.complaints,
        "waiting": status.waiting,
        "set_aside": status.set_aside,
        "bytes": status.length,
        "since": current.since,
        "test_signatures_only": current.test_signatures_only,
        "rollback": status.has_previous,
        "last_reload": last,
    }))
}

/// `GET /metrics`: what is counted, for Prometheus.
pub(super) async fn metrics(call: Call) -> Answer {
    let shared = Arc::clone(&call.http.shared);
    // It reads /proc.
    let page = tokio::task::spawn_blocking(move || server::metrics(&shared));
    let page = page
        .await
        .map_err(|error| Problem::new(StatusCode::INTERNAL_SERVER_ERROR, error.to_string()))?;
    Ok(typed(page.into_bytes(), crate::metrics::CONTENT_TYPE))
}

/// `GET /livez`: the daemon runs.
pub(super) async fn alive(_: Call) -> Answer {
    Ok(json(&json!({ "status": "alive" })))
}

/// `GET /readyz`: requests are taken, and there are signatures to answer them by.
pub(super) async fn ready(call: Call) -> Answer {
    if call.peer.end.drain.is_cancelled() {
        return Err(Problem::later("the server is ending"));
    }
    if call.http.shared.live.current().test_signatures_only {
        return Err(Problem::later("test signatures only"));
    }
    Ok(json(&json!({ "status": "ready" })))
}
