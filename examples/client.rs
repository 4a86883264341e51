//! Has a daemon scan files over the library's own client: `cargo run --example client -- HOST:PORT FILE...`.
//!
//! Shown twice: one after another without a runtime, and all at once with tokio. docs/vfindc.md has the words.

use std::error::Error;
use std::path::PathBuf;

use vfind::client::{Connection, Failure, Server, blocking};
use vfind::verdict::{Record, Verdict};

/// One after another. A mail filter or a build step needs no more.
pub fn one_after_another(server: &Server, files: &[PathBuf]) -> Result<Vec<Record>, Failure> {
    let connection = blocking::Connection::connect(server)?;
    let mut records = Vec::new();
    for file in files {
        records.push(connection.scan_file(file)?);
    }
    // What is in no file can be asked about too.
    records.push(connection.scan_bytes("a greeting", b"hello")?);
    Ok(records)
}

/// All at once, over one connection: the daemon scans them side by side.
pub async fn side_by_side(server: &Server, files: &[PathBuf]) -> Result<Vec<Record>, Failure> {
    let connection = Connection::connect(server).await?;
    let mut scans = tokio::task::JoinSet::new();
    for file in files.iter().cloned() {
        let connection = connection.clone();
        scans.spawn(async move { connection.scan_file(file).await });
    }
    scans.join_all().await.into_iter().collect()
}

/// What a program does with an answer. Only `Clean` is a yes: whatever else it is, the content is not known to be good.
fn tell(record: &Record) {
    let name = record.path.first().map_or("", |name| &name.text);
    match record.verdict {
        Verdict::Clean => println!("{name}: clean"),
        Verdict::Incomplete => println!("{name}: not all of it could be examined"),
        Verdict::Infected => {
            for finding in &record.findings {
                println!("{name}: {} {}", finding.engine, finding.name);
            }
        }
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args_os().skip(1);
    let server = arguments.next().ok_or("usage: client HOST:PORT FILE...")?;
    let server: Server = server.to_string_lossy().parse()?;
    let files: Vec<_> = arguments.map(PathBuf::from).collect();
    one_after_another(&server, &files)?.iter().for_each(tell);
    let runtime = tokio::runtime::Runtime::new()?;
    let records = runtime.block_on(side_by_side(&server, &files))?;
    records.iter().for_each(tell);
    Ok(())
}
