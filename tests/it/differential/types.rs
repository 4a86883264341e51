//! The targets that clamscan gives to contents, and those that we give.

use bytes::Bytes;
use vfind::filetype;
use vfind::object::Object;
use vfind::stop::Stop;

use super::clamscan;
use crate::random::Random;
use crate::support::has_tools;

/// Stands behind each content, for signatures of every target to find.
const MARKER: &[u8] = b"mark of the sample";

/// Targets that are searched as they are. HTML, mail and text are searched in another form.
const TARGETS: [u8; 8] = [1, 2, 5, 6, 9, 10, 11, 12];

/// What types are told by; each is tried whole and cut short at each byte.
const STARTS: &[&[u8]] = &[
    b"MZ\x90\0\x03\0",
    b"\x7fELF\x01\x01\x01\0",
    b"\xfe\xed\xfa\xce\0\0\0\x12",
    b"\xfe\xed\xfa\xcf\x01\0\0\x07",
    b"\xce\xfa\xed\xfe\x07\0\0\0",
    b"\xcf\xfa\xed\xfe\x07\0\0\x01",
    b"\xca\xfe\xba\xbe\0\0\0\x02",
    b"\xca\xfe\xba\xbe\0\0\0\x1f",
    b"\xca\xfe\xba\xbe\0\0\0\x20",
    b"\xca\xfe\xba\xbe\0\0\0\x3f",
    b"\xca\xfe\xba\xbe\0\0\0\x40",
    b"\xca\xfe\xba\xbe\0\x03\0\x2d",
    b"\xff\xd8\xff\xe0\0\x10JFIF\0",
    b"GIF89a\x01\0\x01\0",
    b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR",
    b"II*\0\x08\0\0\0",
    b"MM\0*\0\0\0\x08",
    b"BM\x80\0\0\0\0\0\0\0\x36\0\0\0\x28\0\0\0",
    b"\0\0\0\x0cjP  \r\n\x87\n",
    b"8BPS\0\x01",
    b"FWS\x05\0\0\0\0",
    b"CWS\x06\0\0\0\0",
    b"ZWS\x0d\0\0\0\0",
    b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1",
    b"%PDF-1.4\n",
    b"%!PS-Adobe-3.0\n",
    b"RIFF\x20\0\0\0WEBPVP8 ",
    b"{\\rtf1",
    b"#!/bin/sh\n",
];

fn contents() -> Vec<Vec<u8>> {
    let mut random = Random::new(9);
    let mut all = Vec::new();
    for start in STARTS {
        for length in 1..=start.len() {
            let mut content = start[..length].to_vec();
            // Zeros, as headers have them, or anything.
            if random.once_in(2) {
                content.extend([0; 80]);
            } else {
                content.extend(random.bytes(80));
            }
            content.extend_from_slice(MARKER);
            all.push(content);
        }
    }
    all
}

#[test]
fn the_targets_of_contents() {
    if !has_tools(&["clamscan"]) {
        return;
    }
    let hex: String = MARKER.iter().map(|byte| format!("{byte:02x}")).collect();
    let lines: String = TARGETS
        .iter()
        .map(|target| format!("{target}:{target}:*:{hex}\n"))
        .collect();
    let folder = tempfile::tempdir().unwrap();
    let database = folder.path().join("targets.ndb");
    std::fs::write(&database, lines).unwrap();
    let files = folder.path().join("files");
    std::fs::create_dir(&files).unwrap();
    let contents = contents();
    for (number, content) in contents.iter().enumerate() {
        std::fs::write(files.join(number.to_string()), content).unwrap();
    }
    let found = clamscan::scan(&database, &files);
    let mut unlike = Vec::new();
    for (number, content) in contents.into_iter().enumerate() {
        let names = found.get(&number.to_string());
        let theirs: Vec<u8> = names
            .into_iter()
            .flatten()
            .map(|name| name.parse().unwrap())
            .collect();
        let object = Object::memory(Bytes::from(content.clone()), Stop::never());
        let ours = filetype::recognise(&object.probe().unwrap());
        let target = Some(ours.target).filter(|target| TARGETS.contains(target));
        if !theirs.iter().copied().eq(target) {
            unlike.push(format!(
                "{} is {ours:?}, for clamscan {theirs:?}",
                content[..24].escape_ascii()
            ));
        }
    }
    assert!(unlike.is_empty(), "{}", unlike.join("\n"));
}
