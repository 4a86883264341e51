//! The routes and answers of programs that put HTTP in front of ClamAV, so that their clients work here.
//!
//! Their answers have no word for content that was not examined as a whole, so it is an error in all of them: none of
//! their clients may take it for clean.
#![forbid(unsafe_code)]

use axum::body::Body;
use axum::http::{Response, StatusCode};
use serde_json::{Value, json};

use super::form::{JSON, typed};
use super::multipart::Part;
use super::problem::Problem;
use super::query::Asked;
use super::receive::{self, Incoming};
use super::run::Scan;
use super::{Answer, Call};
use crate::verdict::{Record, Verdict};

/// `/scan` of clamav-rest: an object for each file, one behind the other.
pub(super) async fn rest_first(call: Call) -> Answer {
    let records = files(call).await?;
    let objects = records.iter().map(|(_, record)| {
        let (status, description) = word(record);
        json!({ "Status": status, "Description": description }).to_string()
    });
    let text: String = objects.map(|object| object + "\n").collect();
    Ok(with_status(text, rest_status(&records)?))
}

/// `/v2/scan` of clamav-rest: an array.
pub(super) async fn rest_second(call: Call) -> Answer {
    let records = files(call).await?;
    let objects = records.iter().map(|(name, record)| {
        let (status, description) = word(record);
        json!({ "Status": status, "Description": description, "FileName": name })
    });
    let text = Value::Array(objects.collect()).to_string();
    Ok(with_status(text, rest_status(&records)?))
}

/// What a record comes to in clamav-rest's words.
fn word(record: &Record) -> (&'static str, String) {
    match record.verdict {
        Verdict::Infected => ("FOUND", viruses(record).join(", ")),
        Verdict::Incomplete => ("ERROR", failure(record)),
        Verdict::Clean => ("OK", String::new()),
    }
}

/// The worst that there is to say of all files.
fn rest_status(records: &[(String, Record)]) -> Result<StatusCode, Problem> {
    let worst = records.iter().map(|(_, record)| record.verdict).max();
    match worst {
        Some(Verdict::Infected) => Ok(StatusCode::NOT_ACCEPTABLE),
        Some(Verdict::Incomplete) => Ok(StatusCode::BAD_REQUEST),
        Some(Verdict::Clean) => Ok(StatusCode::OK),
        None => Err(Problem::new(
            StatusCode::UNPROCESSABLE_ENTITY,
            "no part of the form has a file name",
        )),
    }
}

/// `/api/v1/scan` of clamav-rest-api.
pub(super) async fn rest_api(call: Call) -> Answer {
    let failed = |error: &str| json!({ "success": false, "data": { "error": error } });
    let records = match files(call).await {
        Ok(records) if records.is_empty() => {
            let problem = Problem::request("no file was sent");
            let body = failed(problem.detail());
            return Ok(problem.in_form(&body, JSON));
        }
        Ok(records) => records,
        Err(problem) => {
            let body = failed(problem.detail());
            return Ok(problem.in_form(&body, JSON));
        }
    };
    let result: Vec<_> = records
        .iter()
        .map(|(name, record)| {
            let is_infected = match record.verdict {
                Verdict::Infected => Value::Bool(true),
                Verdict::Incomplete => Value::Null,
                Verdict::Clean => Value::Bool(false),
            };
            let viruses = viruses(record);
            json!({ "name": name, "is_infected": is_infected, "viruses": viruses })
        })
        .collect();
    let incomplete = records
        .iter()
        .find(|(_, record)| record.verdict == Verdict::Incomplete);
    let Some((name, record)) = incomplete else {
        let body = json!({ "success": true, "data": { "result": result } });
        return Ok(with_status(body.to_string(), StatusCode::OK));
    };
    let error = format!("{name}: {}", failure(record));
    let body = json!({ "success": false, "data": { "error": error, "result": result } });
    Ok(with_status(
        body.to_string(),
        StatusCode::INTERNAL_SERVER_ERROR,
    ))
}

/// The names of what was found, each once.
fn viruses(record: &Record) -> Vec<&str> {
    let mut names: Vec<&str> = Vec::new();
    for found in &record.findings {
        if !names.contains(&found.name.as_str()) {
            names.push(&found.name);
        }
    }
    names
}

/// Why it is incomplete.
fn failure(record: &Record) -> String {
    let gap = record.gaps.iter().find(|gap| gap.passes != Some(true));
    gap.map_or_else(
        || "not examined".to_owned(),
        |gap| match gap.detail.is_empty() {
            true => gap.reason.clone(),
            false => format!("{}: {}", gap.reason, gap.detail),
        },
    )
}

/// Scans the files of a form, by name. Fields that are no files are not content for these programs.
async fn files(call: Call) -> Result<Vec<(String, Record)>, Problem> {
    // Their clients know no options.
    let asked = Asked::parse("", call.http.shared.hello(), false)?;
    let boundary = receive::boundary(&call.head.headers)?;
    let boundary = boundary.ok_or_else(|| {
        let said = "expected multipart/form-data";
        Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, said)
    })?;
    let incoming = Incoming::new(&call.http, &call.head.headers, call.body)?;
    let mut form = receive::Form::new(incoming, &boundary);
    let (http, peer) = (&call.http, &call.peer);
    let is_file = |part: &Part| part.file_name.is_some();
    let mut records = Vec::new();
    while let Some((part, content)) = form.next(http, peer, is_file).await? {
        let name = part.file_name.unwrap_or_default();
        let shown = String::from_utf8_lossy(&name).into_owned();
        let scan = Scan::of_content(&asked, name, content);
        records.push((shown, scan.run(http, peer, |_| {}).await?));
    }
    Ok(records)
}

fn with_status(text: String, status: StatusCode) -> Response<Body> {
    let mut response = typed(text.into_bytes(), JSON);
    *response.status_mut() = status;
    response
}
