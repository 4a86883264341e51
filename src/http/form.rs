//! The form of an answer: JSON, or XML for those who would rather have that.
#![forbid(unsafe_code)]

use axum::body::Body;
use axum::http::header::{ACCEPT, CONTENT_TYPE, HeaderValue};
use axum::http::{HeaderMap, Response};
use serde::Serialize;

use crate::verdict::{Exit, Record, Verdict, xml};

/// The media type of JSON.
pub(super) const JSON: &str = "application/json";

/// The media type of XML.
pub(super) const XML: &str = "application/xml";

/// The forms.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    Json,
    Xml,
}

/// The records of a form with files, and what they come to.
#[derive(Debug, Serialize)]
struct Several<'a> {
    version: u32,
    verdict: Verdict,
    verdicts: &'a [Record],
}

impl Form {
    /// The form that is preferred; JSON where both are the same to the one who asks, or none is wanted.
    pub(super) fn wanted(headers: &HeaderMap) -> Self {
        let accepted = headers.get_all(ACCEPT).iter();
        let ranges = accepted.filter_map(|value| value.to_str().ok());
        let ranges: Vec<_> = ranges.flat_map(|value| value.split(',')).collect();
        let json = quality(&ranges, &["application/json", "application/*", "*/*"]);
        let xml = quality(
            &ranges,
            &[
                "application/xml",
                "text/xml",
                "application/*",
                "text/*",
                "*/*",
            ],
        );
        match xml > json {
            true => Self::Xml,
            false => Self::Json,
        }
    }

    /// The answer with one record.
    pub(super) fn one(self, record: &Record) -> Response<Body> {
        match self {
            Self::Json => json(record),
            Self::Xml => document(std::slice::from_ref(record), record.verdict),
        }
    }

    /// The answer with the records of several files, with the worst of their verdicts.
    pub(super) fn several(self, records: &[Record]) -> Response<Body> {
        let worst = records.iter().map(|record| record.verdict).max();
        // Of nothing, nothing was examined.
        let verdict = worst.unwrap_or(Verdict::Incomplete);
        match self {
            Self::Json => json(&Several {
                version: 1,
                verdict,
                verdicts: records,
            }),
            Self::Xml => document(records, verdict),
        }
    }
}

/// How much these media types are wanted, the first of which is the most exact, in thousandths.
fn quality(ranges: &[&str], media: &[&str]) -> u32 {
    let of = |wanted: &str| {
        ranges.iter().find_map(|range| {
            let mut words = range.split(';').map(str::trim);
            let is_it = words.next()?.eq_ignore_ascii_case(wanted);
            let said = words.find_map(|word| word.strip_prefix("q="));
            let quality = said.map_or(Some(1.0), |text| text.parse::<f32>().ok());
            is_it.then(|| quality.unwrap_or(0.0).clamp(0.0, 1.0))
        })
    };
    let found = media.iter().find_map(|wanted| of(wanted));
    found.map_or(0, |quality| (quality * 1000.0) as u32)
}

/// An answer in JSON.
pub(super) fn json(value: &impl Serialize) -> Response<Body> {
    // Ours have no maps with keys that are no text.
    let text = serde_json::to_vec(value).unwrap_or_default();
    typed(text, JSON)
}

fn document(records: &[Record], verdict: Verdict) -> Response<Body> {
    let mut text = xml::DECLARATION.to_owned() + xml::BEGIN;
    for record in records {
        text += &xml::record(record);
    }
    let mut end = xml::Tag::new("end");
    end.number("exit", Exit::from(verdict).code().into());
    text += &end.closed();
    text += "\n";
    text += xml::END;
    typed(text.into_bytes(), XML)
}

/// An answer of this media type.
pub(super) fn typed(text: Vec<u8>, media: &'static str) -> Response<Body> {
    let mut response = Response::new(Body::from(text));
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(media));
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn xml_is_for_those_who_want_it_more() {
        for (accept, form) in [
            ("", Form::Json),
            ("*/*", Form::Json),
            ("application/json, application/xml", Form::Json),
            ("application/xml", Form::Xml),
            ("text/xml", Form::Xml),
            (
                "Application/XML; charset=utf-8; q=0.9, application/json;q=0.5",
                Form::Xml,
            ),
            ("application/xml;q=0.1, */*", Form::Json),
            ("application/xml;q=0", Form::Json),
            ("text/html,application/xml;q=0.9,*/*;q=0.8", Form::Xml),
            ("image/png", Form::Json),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(ACCEPT, HeaderValue::from_str(accept).unwrap());
            assert_eq!(Form::wanted(&headers), form, "{accept}");
        }
    }
}
