use std::io::Write;
use std::sync::Arc;

use super::*;
use crate::event::{EngineWord, Gap, Place, Reason, SignatureName};
use crate::path::ObjectPath;

#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Vec<u8>>>);

impl Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// What is logged of these: the name that was asked, the first finding's signature, the digest.
fn logged(logged: Logged, requests: &[(&[u8], Option<&str>, Option<u8>)]) -> Vec<String> {
    let lines = Lines::default();
    let writer = lines.clone();
    let subscriber = tracing_subscriber::fmt()
        .with_writer(move || writer.clone())
        .with_ansi(false)
        .without_time()
        .with_target(false)
        .finish();
    tracing::subscriber::with_default(subscriber, || {
        let journal = Journal::new(logged);
        for (number, (name, signature, digest)) in requests.iter().enumerate() {
            let path = ObjectPath::root(name.to_vec());
            let first = signature.map(|name| Finding {
                signature: SignatureName::new(EngineWord::Cvdl, name),
                path: path.member(b"in\x1bside"),
                view: None,
                place: Place::Digest,
            });
            let mut summary = Summary::new(path.clone());
            summary.findings = u64::from(first.is_some());
            if name.starts_with(b"gap") {
                let (reason, detail) = (Reason::Corrupt, "two\nlines".to_owned());
                summary.worst = Some(Gap {
                    path,
                    reason,
                    detail,
                });
            }
            journal.ended(&Entry {
                id: (3, number as JobId),
                origin: &Origin {
                    protocol: "svsp",
                    peer: Some("192.0.2.1:99".parse().unwrap()),
                },
                end: End::Verdict(summary.verdict()),
                summary: &summary,
                first: first.as_ref(),
                content: digest.map(|digest| [digest; 32]),
                after: Duration::from_micros(1500),
            });
        }
    });
    let bytes = lines.0.lock().unwrap().clone();
    let text = String::from_utf8(bytes).unwrap();
    text.lines().map(|line| line.trim().to_owned()).collect()
}

#[test]
fn a_line_has_everything_and_names_cannot_break_it() {
    let lines = logged(
        Logged::All,
        &[
            (b"a\nb\"", Some("X/1"), Some(1)),
            (b"gap", None, None),
            (b"c", None, None),
        ],
    );
    let [found, gap, clean] = &lines[..] else {
        panic!("{lines:?}");
    };
    assert_eq!(
        found,
        r#"WARN request id=3.0 protocol=svsp peer=192.0.2.1:99 asked="a\nb\"" verdict=infected findings=1 gaps=0 notes=0 objects=0 bytes=0 seconds=0.001500 signature=CVDL X/1 found_in="a\nb\"" -> "in\x1bside""#
    );
    assert!(gap.starts_with("INFO request id=3.1 "), "{gap}");
    assert!(
        gap.ends_with(r#"gap=corrupt: two lines gap_in="gap""#),
        "{gap}"
    );
    assert!(clean.contains("verdict=clean") && clean.ends_with("seconds=0.001500"));
}

#[test]
fn only_what_is_wanted_is_logged() {
    let requests: [(&[u8], _, _); 3] = [
        (b"c", None, None),
        (b"gap", None, None),
        (b"i", Some("X"), None),
    ];
    for (what, count) in [(Logged::All, 3), (Logged::Found, 2), (Logged::None, 0)] {
        assert_eq!(logged(what, &requests).len(), count, "{what:?}");
    }
}

#[test]
fn a_finding_is_warned_of_once_and_not_with_each_try() {
    let requests: [(&[u8], _, _); 6] = [
        (b"mail", Some("X"), Some(1)),
        (b"mail", Some("X"), Some(1)),
        // Another content, another finding, another name.
        (b"mail", Some("X"), Some(2)),
        (b"mail", Some("Y"), Some(1)),
        (b"more", Some("X"), Some(1)),
        // Nobody knows whether it is the same.
        (b"mail", Some("X"), None),
    ];
    assert_eq!(logged(Logged::Found, &requests).len(), 5);
    let all = logged(Logged::All, &requests);
    assert_eq!(all.len(), 6);
    let again: Vec<_> = all
        .iter()
        .filter(|line| line.contains("repeated=1"))
        .collect();
    assert_eq!(again.len(), 1);
    assert!(again[0].starts_with("INFO request id=3.1"), "{again:?}");
}

#[test]
fn nobody_fills_the_log_with_findings() {
    let requests: Vec<(&[u8], _, _)> = vec![(b"i", Some("X"), None); 5000];
    let lines = logged(Logged::Found, &requests).len();
    assert!((1000..1100).contains(&lines), "{lines}");
    assert_eq!(logged(Logged::All, &requests).len(), 5000);
}
