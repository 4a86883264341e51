//! Scans one file with the built-in signatures, without a daemon: `cargo run --example scan_file -- FILE`.

use std::fs::File;
use std::ops::ControlFlow;

use vfind::budget::Limits;
use vfind::database::Live;
use vfind::database::sources::Sources;
use vfind::event::Event;
use vfind::path::ObjectPath;
use vfind::request::Options;
use vfind::scan::{Job, Setup, scan};
use vfind::stop::Cancel;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let path = std::env::args().nth(1).ok_or("usage: scan_file FILE")?;
    let live = Live::start(Sources {
        builtin: true,
        ..Sources::default()
    })?;
    let current = live.current();
    let setup = Setup {
        limits: Limits::default(),
        tmpdir: std::env::temp_dir(),
        passwords: Vec::new(),
    };
    let root = ObjectPath::root(path.clone());
    let job = Job::new(root, 0, &Options::default(), &setup, current.epoch.clone());
    let mut print = |event: Event| {
        match event {
            Event::Scanning(path) => println!("looking at {path}"),
            Event::Described(object) => println!("{}: {}", object.path, object.file_type),
            Event::Finding(found) => println!("{}: {}", found.path, found.signature),
            Event::Gap(gap) => {
                println!("{}: not examined: {}: {}", gap.path, gap.reason, gap.detail)
            }
            Event::Note(note) => println!("{}: {}", note.path, note.kind),
        }
        ControlFlow::Continue(())
    };
    let file = File::open(path)?;
    let outcome = scan(
        file,
        &job,
        &current.database,
        &Cancel::default(),
        &mut print,
    );
    println!("{} objects, {} bytes", outcome.objects, outcome.bytes);
    Ok(())
}
