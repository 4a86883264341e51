//! The description of the service (OpenAPI 3.1), made from the table of routes.
#![forbid(unsafe_code)]

use serde_json::{Map, Value, json};

use super::form::{JSON, XML, json};
use super::problem::PROBLEM;
use super::routes::{Gives, ROUTES, Route, Takes};
use super::{Answer, Call};

/// The schema of a verdict.
const VERDICT: &str = include_str!("../../docs/schema/verdict-1.json");

/// The schemas of all else.
const SCHEMAS: &str = include_str!("schemas.json");

/// The options of a scan, by their names in a query.
const OPTIONS: &str = include_str!("options.json");

/// `GET /openapi.json`.
pub(super) async fn document(_: Call) -> Answer {
    Ok(json(&description()))
}

/// The whole description.
pub(super) fn description() -> Value {
    let mut paths = Map::new();
    for route in ROUTES {
        let methods = paths.entry(route.path).or_insert_with(|| json!({}));
        if let Some(methods) = methods.as_object_mut() {
            methods.insert(route.method.word().to_owned(), operation(route));
        }
    }
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "vfindd",
            "version": env!("CARGO_PKG_VERSION"),
            "description": "A scanning daemon that never says clean about content it did not look at.",
            "license": { "name": "Apache-2.0", "identifier": "Apache-2.0" },
        },
        "paths": paths,
        "components": {
            "schemas": schemas(),
            "securitySchemes": {
                "token": { "type": "http", "scheme": "bearer" },
            },
        },
    })
}

fn parsed(text: &str) -> Value {
    // They are part of the program, and a test reads them.
    serde_json::from_str(text).unwrap_or_default()
}

/// All schemas, with references that hold inside the description.
fn schemas() -> Value {
    let mut all = parsed(SCHEMAS);
    let mut verdict = parsed(VERDICT);
    let parts = verdict.as_object_mut().and_then(|verdict| {
        verdict.remove("$schema");
        verdict.remove("$id");
        verdict.remove("$defs")
    });
    if let Some(all) = all.as_object_mut() {
        all.insert("verdict".to_owned(), verdict);
        if let Some(Value::Object(parts)) = parts {
            all.extend(parts);
        }
    }
    moved(&mut all);
    all
}

fn moved(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            for (key, value) in fields {
                match value {
                    Value::String(to) if key == "$ref" => {
                        *to = to.replace("#/$defs/", "#/components/schemas/");
                    }
                    value => moved(value),
                }
            }
        }
        Value::Array(values) => values.iter_mut().for_each(moved),
        _ => {}
    }
}

fn reference(schema: &str) -> Value {
    json!({ "$ref": format!("#/components/schemas/{schema}") })
}

fn operation(route: &Route) -> Value {
    let mut operation = json!({
        "summary": route.summary,
        "responses": responses(route),
    });
    let mut parameters: Vec<Value> = Vec::new();
    for name in names(route.path) {
        parameters.push(json!({
            "name": name,
            "in": "path",
            "required": true,
            "schema": { "type": "string", "minLength": 1 },
        }));
    }
    if route.options
        && let Value::Array(options) = parsed(OPTIONS)
    {
        parameters.extend(options);
    }
    if route.takes == Takes::OneContent {
        parameters.push(json!({
            "name": "webhook",
            "in": "query",
            "description": "Where the answer is sent, if the daemon's owner allows it.",
            "schema": { "type": "string", "pattern": "^http://" },
        }));
    }
    let body = match route.takes {
        Takes::Nothing => None,
        Takes::Content => Some(json!({
            "*/*": {},
            "multipart/form-data": { "schema": reference("Fields") },
        })),
        Takes::OneContent => Some(json!({ "application/octet-stream": {} })),
        Takes::Form => Some(json!({ "multipart/form-data": { "schema": reference("Files") } })),
        Takes::Path => Some(json!({ JSON: { "schema": reference("ScanPath") } })),
    };
    if let Some(fields) = operation.as_object_mut() {
        if !parameters.is_empty() {
            fields.insert("parameters".to_owned(), Value::Array(parameters));
        }
        if let Some(content) = body {
            // A content may be empty.
            let required = matches!(route.takes, Takes::Form | Takes::Path);
            let body = json!({ "required": required, "content": content });
            fields.insert("requestBody".to_owned(), body);
        }
        if route.role.is_some() {
            // Without a token, for programs on the daemon's machine.
            fields.insert("security".to_owned(), json!([{ "token": [] }, {}]));
        }
    }
    operation
}

/// The names in braces of a path.
fn names(path: &str) -> impl Iterator<Item = &str> {
    path.split('/')
        .filter_map(|part| part.strip_prefix('{')?.strip_suffix('}'))
}

/// The statuses of problems that a route can have.
pub(super) fn problems(route: &Route) -> Vec<u16> {
    let mut problems = route.problems.to_vec();
    if route.role.is_some() {
        problems.extend([401, 403]);
    }
    if route.options {
        problems.push(400);
    }
    if route.takes != Takes::Nothing {
        problems.extend([400, 408, 413, 415, 503]);
    }
    if route.takes == Takes::Form {
        problems.push(422);
    }
    problems.sort_unstable();
    problems.dedup();
    problems
}

fn responses(route: &Route) -> Value {
    let mut responses = Map::new();
    for status in problems(route) {
        let content = json!({ PROBLEM: { "schema": reference("Problem") } });
        let response = json!({ "description": "No verdict", "content": content });
        responses.insert(status.to_string(), response);
    }
    for status in route.done {
        let content = match route.gives {
            Gives::Events => json!({ "text/event-stream": {} }),
            Gives::Metrics => json!({ crate::metrics::CONTENT_TYPE: {} }),
            Gives::Nothing => Value::Null,
            Gives::Verdict => json!({
                JSON: { "schema": reference("Verdicts") },
                XML: {},
            }),
            // An error of another program's form is a problem's as well.
            Gives::Json(schema) if problems(route).contains(status) => json!({
                JSON: { "schema": reference(schema) },
                PROBLEM: { "schema": reference("Problem") },
            }),
            Gives::Json(schema) => json!({ JSON: { "schema": reference(schema) } }),
        };
        let response = match content {
            Value::Null => json!({ "description": "Done" }),
            content => json!({ "description": "Done", "content": content }),
        };
        responses.insert(status.to_string(), response);
    }
    Value::Object(responses)
}
