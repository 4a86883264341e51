//! The seed's transcripts over a real connection, cut at every byte.
//!
//! Files in tests/data/wire/daemon: `C:` is sent with CR LF, `S:` is what comes back, in this order; `{dir}` is a folder
//! with the files foo, foo.exe, foo.zip (members some/file and other/file, the latter with the EICAR string) and
//! README.txt. Lines that start with `S~` may come in any order among themselves: what runs side by side is reported
//! as it happens.

use std::path::Path;
use std::time::Duration;

use crate::support::{Daemon, eicar, zip};

struct Transcript {
    name: String,
    sent: Vec<u8>,
    /// Groups of lines; within a group the order is free.
    expected: Vec<Vec<String>>,
}

fn read(path: &Path, dir: &str) -> Transcript {
    let text = std::fs::read_to_string(path).unwrap().replace("{dir}", dir);
    let mut transcript = Transcript {
        name: path.file_name().unwrap().to_string_lossy().into_owned(),
        sent: Vec::new(),
        expected: Vec::new(),
    };
    let mut free = false;
    for line in text.lines() {
        if let Some(sent) = line.strip_prefix("C: ") {
            transcript.sent.extend_from_slice(sent.as_bytes());
            transcript.sent.extend_from_slice(b"\r\n");
        } else if let Some(reply) = line.strip_prefix("S: ") {
            transcript.expected.push(vec![reply.to_owned()]);
            free = false;
        } else if let Some(reply) = line.strip_prefix("S~ ") {
            if !free {
                transcript.expected.push(Vec::new());
            }
            transcript
                .expected
                .last_mut()
                .unwrap()
                .push(reply.to_owned());
            free = true;
        } else {
            assert!(line.is_empty() || line.starts_with('#'), "{line}");
        }
    }
    transcript
}

fn play(daemon: &Daemon, transcript: &Transcript, cuts: &[usize]) {
    let mut talk = daemon.connect_silently();
    talk.stream.set_nodelay(true).unwrap();
    let mut from = 0;
    for cut in cuts.iter().copied().chain([transcript.sent.len()]) {
        talk.send(&transcript.sent[from..cut]);
        from = cut;
        if cuts.len() == 1 {
            // Long enough that the two pieces are two segments.
            std::thread::sleep(Duration::from_micros(200));
        }
    }
    for group in &transcript.expected {
        let mut lines: Vec<_> = group.iter().map(|_| talk.text()).collect();
        let mut group = group.clone();
        lines.sort();
        group.sort();
        assert_eq!(lines, group, "{} cut at {cuts:?}", transcript.name);
    }
    assert_eq!(talk.rest(), b"", "{} cut at {cuts:?}", transcript.name);
}

#[test]
fn the_papers_transcripts_play_at_every_cut() {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path().display().to_string();
    for name in ["foo", "foo.exe", "README.txt"] {
        std::fs::write(folder.path().join(name), name).unwrap();
    }
    let members: [(&str, &[u8]); 2] = [("some/file", b"harmless"), ("other/file", &eicar())];
    std::fs::write(folder.path().join("foo.zip"), zip(&members)).unwrap();
    let daemon = Daemon::start(&[]);
    let cases = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/wire/daemon");
    let mut played = 0;
    for case in std::fs::read_dir(cases).unwrap() {
        let transcript = read(&case.unwrap().path(), &dir);
        play(&daemon, &transcript, &[]);
        for cut in 1..transcript.sent.len() {
            play(&daemon, &transcript, &[cut]);
        }
        let every: Vec<_> = (1..transcript.sent.len()).collect();
        play(&daemon, &transcript, &every);
        played += 1;
    }
    assert!(played >= 5, "{played} transcripts");
}
