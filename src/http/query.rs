//! What a request's address says beside its path: the name of the content, the options, the deadline.
#![forbid(unsafe_code)]

use std::time::Duration;

use super::problem::Problem;
use crate::gateway::Hello;
use crate::gateway::svsp::Settings;
use crate::request::{Request, Source, Wanted};

/// The longest time that a client can ask for; more is no bound.
const LONGEST: f64 = 86_400.0;

/// What is asked of a scan.
#[derive(Debug)]
pub(super) struct Asked {
    settings: Settings,
    /// The name that was given, if one was.
    pub(super) name: Option<Vec<u8>>,
    /// How long the scan may take.
    pub(super) deadline: Option<Duration>,
    /// Where the answer goes.
    pub(super) webhook: Option<String>,
    sha1: bool,
}

impl Asked {
    /// Reads the part behind the `?`.
    ///
    /// # Errors
    /// What is not understood: who asked for something must not believe that it was done.
    pub(super) fn parse(query: &str, hello: Hello, is_job: bool) -> Result<Self, Problem> {
        let mut asked = Self {
            settings: Settings::new(hello),
            name: None,
            deadline: None,
            webhook: None,
            sha1: false,
        };
        for pair in query.split('&').filter(|pair| !pair.is_empty()) {
            let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
            let (key, value) = (decoded(key, true), decoded(value, true));
            let key = String::from_utf8_lossy(&key);
            if key == "webhook" && is_job {
                asked.webhook = Some(text(&key, &value)?.to_owned());
            } else {
                asked.option(&key, value)?;
            }
        }
        Ok(asked)
    }

    fn option(&mut self, key: &str, value: Vec<u8>) -> Result<(), Problem> {
        let mut set = |on, name: &str, value| {
            let done = self.settings.set(on, name, value);
            done.map_err(|why| Problem::request(format!("{key}: {why}")))
        };
        match key {
            "deadline" => self.deadline = Some(seconds(text(key, &value)?)?),
            "exclude" if !matches!(value.first(), Some(b'/' | b'*')) => {
                let said = "exclude: expected a path or pattern that begins with / or *";
                return Err(Problem::request(said));
            }
            "exclude" => set(true, "EXCLUDE", Some(&value))?,
            "expand" if value == b"none" => set(false, "EXPAND", None)?,
            "expand" => {
                for kind in value.split(|byte| *byte == b',') {
                    set(true, "EXPAND", Some(kind))?;
                }
            }
            "html" => set(true, "HTML", Some(&value))?,
            "ignore" => set(true, "IGNORE", Some(&value))?,
            "name" => self.name = Some(value),
            "original" => set(flag(key, &value)?, "ORIGINAL", None)?,
            "recurse" if value == b"off" => set(false, "RECURSE", None)?,
            "recurse" => set(true, "RECURSE", Some(&value))?,
            "sha1" => self.sha1 = flag(key, &value)?,
            _ => return Err(Problem::request(format!("unknown parameter: {key}"))),
        }
        Ok(())
    }

    /// The request for content under a name.
    pub(super) fn content(&self, name: Vec<u8>) -> Request {
        self.request(Source::Stream(name))
    }

    /// The request for a path.
    pub(super) fn path(&self, path: Vec<u8>) -> Request {
        self.request(Source::Path(path))
    }

    fn request(&self, source: Source) -> Request {
        Request {
            source,
            options: self.settings.snapshot(),
            sha1: self.sha1,
            details: true,
            findings: Wanted::All,
        }
    }
}

fn text<'a>(key: &str, value: &'a [u8]) -> Result<&'a str, Problem> {
    std::str::from_utf8(value).map_err(|_| Problem::request(format!("{key}: not UTF-8")))
}

fn seconds(text: &str) -> Result<Duration, Problem> {
    let seconds = text.parse::<f64>().ok();
    seconds
        .filter(|seconds| *seconds > 0.0 && *seconds <= LONGEST)
        .map(Duration::from_secs_f64)
        .ok_or_else(|| Problem::request("deadline: expected seconds, above 0 and at most 86400"))
}

fn flag(key: &str, value: &[u8]) -> Result<bool, Problem> {
    match value {
        b"" | b"true" => Ok(true),
        b"false" => Ok(false),
        _ => Err(Problem::request(format!("{key}: expected true or false"))),
    }
}

/// The bytes that percent-encoded text stands for; in a query, `+` is a blank. What is no code stays as it is.
pub(super) fn decoded(text: &str, is_query: bool) -> Vec<u8> {
    let digit = |byte: Option<&u8>| byte.and_then(|byte| char::from(*byte).to_digit(16));
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, more)) = rest.split_first() {
        rest = more;
        match (first, digit(more.first()), digit(more.get(1))) {
            (b'%', Some(high), Some(low)) => {
                out.push(u8::try_from(high * 16 + low).unwrap_or_default());
                rest = more.get(2..).unwrap_or_default();
            }
            (b'+', ..) if is_query => out.push(b' '),
            (byte, ..) => out.push(*byte),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kind::KindSet;
    use crate::request::Recurse;

    fn asked(query: &str) -> Result<Asked, String> {
        let hello = Hello {
            expand: KindSet::usual(),
            ..Hello::default()
        };
        Asked::parse(query, hello, false).map_err(|problem| problem.detail().to_owned())
    }

    #[test]
    fn options_are_those_of_svsp() {
        let said = "name=a%20b%ff+c&recurse=3&html=2&original&ignore=CVDL%20A&exclude=/x&sha1=true&deadline=1.5&expand=zip,tar";
        let asked = asked(said).unwrap();
        assert_eq!(asked.name.as_deref(), Some(&b"a b\xff c"[..]));
        assert_eq!(asked.deadline, Some(Duration::from_millis(1500)));
        let request = asked.content(b"x".to_vec());
        let options = &request.options;
        assert_eq!((options.recurse, options.html), (Recurse::To(3), 2));
        assert!(options.original && request.sha1 && request.details);
        assert!(options.exclude.covers(b"/x/y"));
        assert_eq!(options.ignore, ["CVDL A"]);
        let kinds = crate::kind::KINDS.iter();
        let kinds: Vec<_> = kinds
            .filter(|kind| options.expand.contains(kind))
            .map(|kind| kind.name)
            .collect();
        assert_eq!(kinds, ["tar", "zip"]);
    }

    #[test]
    fn what_is_not_understood_is_refused() {
        for (query, word) in [
            ("colour=red", "unknown parameter: colour"),
            ("deadline=0", "above 0"),
            ("deadline=NaN", "above 0"),
            ("deadline=inf", "above 0"),
            ("recurse=-1", "recurse: "),
            ("html=4", "html: "),
            ("original=maybe", "true or false"),
            ("expand=nonsense", "Unknown expander"),
            ("exclude=relative", "exclude: "),
            ("exclude=a*", "exclude: "),
            ("webhook=http://x/", "unknown parameter"),
        ] {
            let problem = asked(query).unwrap_err();
            assert!(problem.contains(word), "{query}: {problem}");
        }
        assert!(asked("").unwrap().name.is_none());
        assert_eq!(asked("&&name=").unwrap().name.as_deref(), Some(&b""[..]));
    }

    #[test]
    fn percent_codes_are_bytes_and_the_rest_stays() {
        for (text, bytes) in [
            ("%41%42", &b"AB"[..]),
            ("100%", b"100%"),
            ("%4", b"%4"),
            ("%zz%2f", b"%zz/"),
            ("%C3%a4", "\u{e4}".as_bytes()),
        ] {
            assert_eq!(decoded(text, false), bytes);
        }
        assert_eq!(decoded("a+b", false), b"a+b");
    }
}
