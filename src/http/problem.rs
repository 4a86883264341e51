//! What is answered where there is no verdict: problem details (RFC 9457).
#![forbid(unsafe_code)]

use axum::body::Body;
use axum::http::header::{CONTENT_TYPE, HeaderName, HeaderValue, RETRY_AFTER};
use axum::http::{Response, StatusCode};
use axum::response::IntoResponse;
use serde_json::json;

use crate::event::{Limit, Reason};

/// The media type of a problem.
pub(super) const PROBLEM: &str = "application/problem+json";

/// Why there is no verdict.
#[derive(Debug)]
pub(super) struct Problem {
    status: StatusCode,
    detail: String,
    header: Option<(HeaderName, HeaderValue)>,
}

impl Problem {
    /// A problem with this status and this text for people.
    pub(super) fn new(status: StatusCode, detail: impl Into<String>) -> Self {
        Self {
            status,
            detail: detail.into(),
            header: None,
        }
    }

    /// Something in the request that is not as it should be.
    pub(super) fn request(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, detail)
    }

    /// What is not there, or not for who asks: one answer for both.
    pub(super) fn absent(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, detail)
    }

    /// What there may be room for later.
    pub(super) fn later(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, detail)
            .with(RETRY_AFTER, HeaderValue::from_static("1"))
    }

    /// Content that did not find room.
    pub(super) fn room(reason: &Reason) -> Self {
        match reason {
            Reason::Limit(Limit::Spool) => Self::too_large(),
            reason => Self::later(format!("no room for the content: {reason}")),
        }
    }

    /// More content than this daemon takes.
    pub(super) fn too_large() -> Self {
        Self::new(
            StatusCode::PAYLOAD_TOO_LARGE,
            "more content than one request may have",
        )
    }

    /// The same with a header.
    pub(super) fn with(self, name: HeaderName, value: HeaderValue) -> Self {
        Self {
            header: Some((name, value)),
            ..self
        }
    }

    /// Its text for people.
    pub(super) fn detail(&self) -> &str {
        &self.detail
    }

    /// The answer that says the same in another form.
    pub(super) fn in_form(self, body: &serde_json::Value, media: &'static str) -> Response<Body> {
        let mut response = Response::new(Body::from(body.to_string()));
        *response.status_mut() = self.status;
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(media));
        headers.extend(self.header);
        response
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response<Body> {
        let body = json!({
            "type": "about:blank",
            "title": self.status.canonical_reason().unwrap_or_default(),
            "status": self.status.as_u16(),
            "detail": self.detail,
        });
        self.in_form(&body, PROBLEM)
    }
}
