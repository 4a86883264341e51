//! The table of routes: what is where, who may, and what comes of it. The router and the description of the service are
//! made from it, so that neither says what the other does not know.
#![forbid(unsafe_code)]

use std::pin::Pin;
use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use axum::http::header::{CACHE_CONTROL, HeaderValue, X_CONTENT_TYPE_OPTIONS};
use axum::http::{Response, StatusCode};
use axum::response::IntoResponse;
use axum::routing::{MethodFilter, on};

use super::problem::Problem;
use super::{Answer, Call, Http, Peer, database, guard, jobs, openapi, scan, wrappers};
use crate::access::tokens::Role;

/// A method that a route has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Method {
    Delete,
    Get,
    Post,
    Put,
}

impl Method {
    /// Its name in a description.
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Delete => "delete",
            Self::Get => "get",
            Self::Post => "post",
            Self::Put => "put",
        }
    }

    fn filter(self) -> MethodFilter {
        match self {
            Self::Delete => MethodFilter::DELETE,
            Self::Get => MethodFilter::GET,
            Self::Post => MethodFilter::POST,
            Self::Put => MethodFilter::PUT,
        }
    }
}

/// What a route takes as its body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Takes {
    Nothing,
    /// A content, or a form with files.
    Content,
    /// One content.
    OneContent,
    /// A form with files.
    Form,
    /// A path in JSON.
    Path,
}

/// What a route answers when it has done what it was asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Gives {
    /// Server-sent events.
    Events,
    /// What is counted, as OpenMetrics.
    Metrics,
    Nothing,
    /// A verdict, or those of several files.
    Verdict,
    /// The description of something in JSON, by the name of its schema.
    Json(&'static str),
}

/// One route.
pub(super) struct Route {
    pub(super) method: Method,
    pub(super) path: &'static str,
    /// Who may; anybody, without one.
    pub(super) role: Option<Role>,
    pub(super) summary: &'static str,
    /// The query has the options of a scan.
    pub(super) options: bool,
    pub(super) takes: Takes,
    pub(super) gives: Gives,
    /// The statuses of answers that are no problems.
    pub(super) done: &'static [u16],
    /// Those of problems, beside the ones that all routes have which take a role or a body.
    pub(super) problems: &'static [u16],
    handler: Handler,
}

type Handler = fn(Call) -> Pin<Box<dyn Future<Output = Answer> + Send>>;

/// A route that has content scanned at once.
const fn scanning(method: Method, path: &'static str, handler: Handler) -> Route {
    Route {
        method,
        path,
        role: Some(Role::Scan),
        summary: "Have content scanned",
        options: true,
        takes: Takes::Content,
        gives: Gives::Verdict,
        done: &[200],
        problems: &[],
        handler,
    }
}

/// A route of another program's.
const fn wrapper(
    path: &'static str,
    schema: &'static str,
    done: &'static [u16],
    handler: Handler,
) -> Route {
    Route {
        summary: "Have files scanned, as another program's clients do",
        options: false,
        takes: Takes::Form,
        gives: Gives::Json(schema),
        done,
        ..scanning(Method::Post, path, handler)
    }
}

/// A question that anybody may ask.
const fn open(
    path: &'static str,
    summary: &'static str,
    schema: &'static str,
    handler: Handler,
) -> Route {
    Route {
        role: None,
        summary,
        options: false,
        takes: Takes::Nothing,
        gives: Gives::Json(schema),
        ..scanning(Method::Get, path, handler)
    }
}

/// What can be done with a job.
const fn job(method: Method, path: &'static str, summary: &'static str, handler: Handler) -> Route {
    Route {
        method,
        role: Some(Role::Scan),
        problems: &[404],
        ..open(path, summary, "Job", handler)
    }
}

/// All routes.
pub(super) static ROUTES: &[Route] = &[
    scanning(Method::Post, "/v1/scan", |call| {
        Box::pin(scan::content(call))
    }),
    scanning(Method::Put, "/v1/scan", |call| {
        Box::pin(scan::content(call))
    }),
    scanning(Method::Put, "/v1/scan/{name}", |call| {
        Box::pin(scan::content(call))
    }),
    Route {
        summary: "Have a file or folder of the daemon's machine scanned",
        takes: Takes::Path,
        problems: &[404],
        ..scanning(Method::Post, "/v1/scan-path", |call| {
            Box::pin(scan::path(call))
        })
    },
    Route {
        summary: "Have content scanned without waiting for the answer",
        takes: Takes::OneContent,
        gives: Gives::Json("Job"),
        done: &[202],
        ..scanning(Method::Post, "/v1/jobs", |call| Box::pin(jobs::begin(call)))
    },
    job(
        Method::Get,
        "/v1/jobs/{id}",
        "How far a job is, and its verdict",
        |call| Box::pin(jobs::ask(call)),
    ),
    Route {
        gives: Gives::Nothing,
        done: &[204],
        ..job(Method::Delete, "/v1/jobs/{id}", "End a job", |call| {
            Box::pin(jobs::end(call))
        })
    },
    Route {
        gives: Gives::Events,
        ..job(
            Method::Get,
            "/v1/jobs/{id}/events",
            "What a job says, while it says it",
            |call| Box::pin(jobs::listen(call)),
        )
    },
    Route {
        role: Some(Role::Read),
        ..open(
            "/v1/database",
            "Which signatures are in use",
            "Database",
            |call| Box::pin(database::status(call)),
        )
    },
    Route {
        method: Method::Post,
        role: Some(Role::Admin),
        problems: &[409],
        ..open(
            "/v1/database/reload",
            "Load the signatures anew",
            "Database",
            |call| Box::pin(database::reload(call)),
        )
    },
    Route {
        role: Some(Role::Read),
        gives: Gives::Metrics,
        ..open("/metrics", "What is counted", "", |call| {
            Box::pin(database::metrics(call))
        })
    },
    open("/livez", "The daemon runs", "Status", |call| {
        Box::pin(database::alive(call))
    }),
    Route {
        problems: &[503],
        ..open(
            "/readyz",
            "There are signatures to scan with",
            "Status",
            |call| Box::pin(database::ready(call)),
        )
    },
    open("/openapi.json", "This description", "OpenApi", |call| {
        Box::pin(openapi::document(call))
    }),
    wrapper("/scan", "RestFirst", &[200, 400, 406], |call| {
        Box::pin(wrappers::rest_first(call))
    }),
    wrapper("/v2/scan", "RestSecond", &[200, 400, 406], |call| {
        Box::pin(wrappers::rest_second(call))
    }),
    wrapper(
        "/api/v1/scan",
        "RestApi",
        &[200, 400, 408, 413, 415, 500, 503],
        |call| Box::pin(wrappers::rest_api(call)),
    ),
];

/// The router of all routes.
pub(super) fn router(http: Arc<Http>) -> Router {
    let mut router = Router::new();
    for route in ROUTES {
        let http = Arc::clone(&http);
        let handler = move |request: Request| answer(Arc::clone(&http), route, request);
        router = router.route(route.path, on(route.method.filter(), handler));
    }
    router
        .fallback(async || finished(Problem::absent("there is nothing here").into_response()))
        .method_not_allowed_fallback(async || {
            let said = "this is not what can be done here";
            finished(Problem::new(StatusCode::METHOD_NOT_ALLOWED, said).into_response())
        })
}

/// Answers one request, if who asks may.
async fn answer(http: Arc<Http>, route: &'static Route, request: Request) -> Response<Body> {
    let (mut head, body) = request.into_parts();
    let answer = async {
        let Some(peer) = head.extensions.remove::<Peer>() else {
            return Err(Problem::later("the connection is gone"));
        };
        let who = match route.role {
            Some(role) => Some(guard::admit(&http, &head, &peer, role)?),
            None => None,
        };
        (route.handler)(Call {
            http,
            peer,
            who,
            head,
            body,
        })
        .await
    };
    finished(answer.await.unwrap_or_else(IntoResponse::into_response))
}

/// What all answers have in common.
fn finished(mut response: Response<Body>) -> Response<Body> {
    let headers = response.headers_mut();
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    response
}
