//! SARIF 2.1.0, for code scanning dashboards: one run, a rule for each signature and each kind of gap.
//!
//! Results are written as they come. The rules stand behind them, for only then are they known; the members of a JSON
//! object have no order.
#![forbid(unsafe_code)]

use std::collections::BTreeMap;
use std::io::{self, Write};

use serde_json::{Map, Value, json};

use super::said::{Kind, Said, quoted, statements};
use super::{Document, End};
use crate::verdict::{Element, Record};

/// Rules that are listed. No database of signatures finds so many kinds in one run; results beyond name theirs only.
const RULES: usize = 10_000;

const SCHEMA: &str = "https://json.schemastore.org/sarif-2.1.0.json";

/// The form.
#[derive(Debug, Default)]
pub(super) struct Sarif {
    rules: BTreeMap<String, usize>,
    results: bool,
}

impl Document for Sarif {
    fn begin(&mut self, out: &mut Vec<u8>) -> io::Result<()> {
        let head =
            format!("{{\"$schema\":\"{SCHEMA}\",\"version\":\"2.1.0\",\"runs\":[{{\"results\":[");
        out.extend_from_slice(head.as_bytes());
        Ok(())
    }

    fn record(&mut self, record: &Record, out: &mut Vec<u8>) -> io::Result<()> {
        for said in statements(record) {
            if let Some(result) = self.result(&said, record) {
                out.extend_from_slice(if self.results { b",\n" } else { b"\n" });
                self.results = true;
                serde_json::to_writer(&mut *out, &result)?;
            }
        }
        Ok(())
    }

    fn end(&mut self, end: &End<'_>, out: &mut dyn Write) -> io::Result<()> {
        let mut rules: Vec<_> = self.rules.iter().collect();
        rules.sort_by_key(|(_, index)| **index);
        let rules: Vec<_> = rules.iter().map(|(id, _)| json!({ "id": id })).collect();
        let tool = json!({
            "driver": {
                "name": "vfindc",
                "version": env!("CARGO_PKG_VERSION"),
                "rules": rules,
            }
        });
        let (exit, failure) = match &end.result {
            Ok(exit) => (*exit, None),
            Err(failure) => (failure.exit(), Some(failure.to_string())),
        };
        let notices: Vec<_> = failure
            .into_iter()
            .map(|text| json!({ "level": "error", "message": { "text": text } }))
            .collect();
        let invocation = json!({
            "executionSuccessful": exit.is_verdict(),
            "exitCode": exit.code(),
            "toolExecutionNotifications": notices,
        });
        write!(
            out,
            "\n],\"tool\":{tool},\"invocations\":[{invocation}]}}]}}\n"
        )
    }
}

impl Sarif {
    fn result(&mut self, said: &Said<'_>, record: &Record) -> Option<Value> {
        let (rule, level) = match said.kind {
            Kind::Finding => (said.rule.clone(), "error"),
            Kind::Unnamed => ("unnamed".to_owned(), "error"),
            Kind::Gap => (format!("not-scanned/{}", said.rule), "warning"),
            Kind::MoreGaps => ("not-scanned/unlisted".to_owned(), "warning"),
            Kind::Error => ("not-scanned/error".to_owned(), "warning"),
            Kind::LeftOut => (format!("not-scanned/{}", said.rule), "note"),
            Kind::Note => (format!("note/{}", said.rule), "note"),
            Kind::MoreNotes => ("note/unlisted".to_owned(), "note"),
            // It is a property of each of the record's results.
            Kind::Quarantined => return None,
        };
        let mut location = Map::new();
        let file = json!({ "artifactLocation": { "uri": uri(said.path) } });
        location.insert("physicalLocation".to_owned(), file);
        if let [_, .., member] = said.path {
            let member = json!([{
                "name": member.text,
                "fullyQualifiedName": quoted(said.path),
                "kind": "member",
            }]);
            location.insert("logicalLocations".to_owned(), member);
        }
        let index = self.rule(&rule);
        let mut result = json!({
            "ruleId": rule,
            "level": level,
            "message": { "text": format!("{}: {}", quoted(said.path), said.text()) },
            "locations": [location],
            "properties": {
                "path": said.path,
                "offset": said.offset,
                "quarantined": record.quarantined,
            },
        });
        if let (Some(index), Some(result)) = (index, result.as_object_mut()) {
            result.insert("ruleIndex".to_owned(), index.into());
        }
        Some(result)
    }

    /// The place of a rule in the list, where it has one.
    fn rule(&mut self, id: &str) -> Option<usize> {
        let known = self.rules.get(id).copied();
        let next = self.rules.len();
        if known.is_none() && next < RULES {
            self.rules.insert(id.to_owned(), next);
            return Some(next);
        }
        known
    }
}

/// The file as a URI, byte for byte: `file:///a%20b`, or a relative one for what has no absolute path, such as `-`.
fn uri(path: &[Element]) -> String {
    let name = path.first().map(Element::bytes).unwrap_or_default();
    let mut uri = String::new();
    if name.starts_with(b"/") {
        uri.push_str("file://");
    }
    for byte in name {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' | b'/' => {
                uri.push(char::from(byte));
            }
            _ => uri.push_str(&format!("%{byte:02X}")),
        }
    }
    uri
}
