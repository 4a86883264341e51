//! Who asks, and what that one may do.
//!
//! Who holds a token is its holder wherever the connection comes from: no web page has one. Without a token, programs on
//! this machine may have things scanned, and web pages in a browser on this machine must not: a page's requests have an
//! `Origin`, and those that reach us under a name of the page's (DNS rebinding) have that name as `Host`.
#![forbid(unsafe_code)]

use axum::http::header::{AUTHORIZATION, FORWARDED, HOST, ORIGIN, VIA, WWW_AUTHENTICATE};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode};

use super::problem::Problem;
use super::{Http, Peer};
use crate::access::tokens::{Holder, Role};

/// Who asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Who {
    /// The token's holder; `None` for a program on this machine.
    pub(super) holder: Option<Holder>,
}

/// Headers by which a proxy tells of itself: who comes over one is not from this machine.
const PROXIED: [HeaderName; 5] = [
    FORWARDED,
    VIA,
    HeaderName::from_static("x-forwarded-for"),
    HeaderName::from_static("x-forwarded-host"),
    HeaderName::from_static("x-real-ip"),
];

/// What browsers say about where a request comes from.
const FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

/// Tells who asks, if that one may do what takes this role.
///
/// # Errors
/// 401 without a token, or with one that is not known; 403 for others who may not.
pub(super) fn admit(http: &Http, head: &Parts, peer: &Peer, wanted: Role) -> Result<Who, Problem> {
    let mut said = head.headers.get_all(AUTHORIZATION).iter();
    if let Some(value) = said.next() {
        let known = bearer(value).and_then(|token| http.tokens.as_ref()?.look_up(token));
        let (holder, role) = known
            .filter(|_| said.next().is_none())
            .ok_or_else(|| unknown("Bearer realm=\"vfindd\", error=\"invalid_token\""))?;
        return match role.may(wanted) {
            true => Ok(Who {
                holder: Some(holder),
            }),
            false => Err(insufficient(wanted)),
        };
    }
    let is_here = peer.address.ip().to_canonical().is_loopback()
        && peer.local.ip().to_canonical().is_loopback()
        && !PROXIED.iter().any(|name| head.headers.contains_key(name));
    if !http.terms.open_to_loopback || !is_here || !Role::Scan.may(wanted) {
        return Err(unknown("Bearer realm=\"vfindd\""));
    }
    if !is_called_rightly(http, head) {
        return Err(Problem::new(
            StatusCode::FORBIDDEN,
            "without a token, this machine's programs must use one of its own names",
        ));
    }
    if !is_no_page(&http.terms.origins, &head.headers) {
        return Err(Problem::new(
            StatusCode::FORBIDDEN,
            "web pages need a token here, or an origin that is allowed",
        ));
    }
    Ok(Who { holder: None })
}

fn bearer(value: &HeaderValue) -> Option<&[u8]> {
    let (scheme, token) = value.as_bytes().split_at_checked(7)?;
    scheme
        .eq_ignore_ascii_case(b"bearer ")
        .then(|| token.trim_ascii())
}

fn unknown(challenge: &'static str) -> Problem {
    let problem = Problem::new(
        StatusCode::UNAUTHORIZED,
        "a token is needed that is known here",
    );
    problem.with(WWW_AUTHENTICATE, HeaderValue::from_static(challenge))
}

fn insufficient(wanted: Role) -> Problem {
    let challenge = match wanted {
        Role::Admin => "Bearer realm=\"vfindd\", error=\"insufficient_scope\", scope=\"admin\"",
        Role::Read => "Bearer realm=\"vfindd\", error=\"insufficient_scope\", scope=\"read\"",
        Role::Scan => "Bearer realm=\"vfindd\", error=\"insufficient_scope\", scope=\"scan\"",
    };
    let problem = Problem::new(
        StatusCode::FORBIDDEN,
        format!("this takes a token with the role {wanted}"),
    );
    problem.with(WWW_AUTHENTICATE, HeaderValue::from_static(challenge))
}

/// True if the names by which the daemon is called are its own: `Host`, and that of the target if it has one.
fn is_called_rightly(http: &Http, head: &Parts) -> bool {
    let mut hosts = head.headers.get_all(HOST).iter();
    let (Some(host), None) = (hosts.next(), hosts.next()) else {
        return false;
    };
    let is_ours = |authority: &str| {
        let name = without_port(authority).to_ascii_lowercase();
        http.terms.hosts.contains(&name)
    };
    host.to_str().is_ok_and(is_ours)
        && head
            .uri
            .authority()
            .is_none_or(|authority| is_ours(authority.as_str()))
}

fn without_port(authority: &str) -> &str {
    match authority.rsplit_once(':') {
        // The colons of an IPv6 address are inside brackets.
        Some((name, port)) if !port.contains(']') => name,
        _ => authority,
    }
}

/// True if no web page asks, or one that may.
fn is_no_page(origins: &[String], headers: &HeaderMap) -> bool {
    let allowed = |value: &HeaderValue| {
        value
            .to_str()
            .is_ok_and(|origin| origins.iter().any(|one| one == origin))
    };
    let is_from_elsewhere = headers
        .get_all(FETCH_SITE)
        .iter()
        .any(|site| site != "none" && site != "same-origin");
    let mut said = headers.get_all(ORIGIN).iter().peekable();
    match said.peek() {
        Some(_) => said.all(allowed),
        None => !is_from_elsewhere,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_is_no_part_of_a_name() {
        for (authority, name) in [
            ("localhost", "localhost"),
            ("localhost:80", "localhost"),
            ("[::1]", "[::1]"),
            ("[::1]:80", "[::1]"),
            ("127.0.0.1:1", "127.0.0.1"),
            ("", ""),
        ] {
            assert_eq!(without_port(authority), name);
        }
    }

    #[test]
    fn pages_are_told_by_their_origin() {
        let origins = ["http://localhost:3000".to_owned()];
        let rows: &[(&[(&str, &str)], bool)] = &[
            (&[], true),
            (&[("origin", "http://localhost:3000")], true),
            (&[("origin", "http://localhost:3001")], false),
            (&[("origin", "null")], false),
            (
                &[("origin", "http://localhost:3000"), ("origin", "http://x")],
                false,
            ),
            (&[("sec-fetch-site", "none")], true),
            (&[("sec-fetch-site", "cross-site")], false),
            (&[("sec-fetch-site", "same-site")], false),
            (
                &[
                    ("sec-fetch-site", "same-site"),
                    ("origin", "http://localhost:3000"),
                ],
                true,
            ),
        ];
        for (said, expected) in rows {
            let mut headers = HeaderMap::new();
            for (name, value) in *said {
                let value = HeaderValue::from_str(value).unwrap();
                headers.append(HeaderName::from_lowercase(name.as_bytes()).unwrap(), value);
            }
            assert_eq!(is_no_page(&origins, &headers), *expected, "{said:?}");
        }
    }
}
