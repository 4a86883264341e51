//! vfindc: has files and folders scanned by a vfindd, and prints the verdicts.
#![forbid(unsafe_code)]

use std::ffi::OsString;
use std::io::{self, Write};
use std::os::unix::ffi::OsStringExt;
use std::process::ExitCode;

use clap::Parser;
use tokio::runtime::Builder;
use vfind::client::print::{Form, Printer};
use vfind::client::{self, Failure, Server};
use vfind::verdict::Exit;

/// Has files and folders scanned by a vfindd, and prints the verdicts.
#[derive(Parser)]
#[command(name = "vfindc", version, disable_version_flag = true, after_help = EXIT_CODES)]
struct Args {
    /// The server; an IPv6 address with a port as `[::1]:8081`
    #[arg(long, value_name = "HOST[:PORT]", default_value = "127.0.0.1:8081")]
    server: Server,
    /// Print one JSON record per PATH and line, and nothing else (docs/schema/verdict-1.json)
    #[arg(long)]
    json: bool,
    /// Print findings and gaps only: no notes, no summary, no progress
    #[arg(long)]
    quiet: bool,
    /// Accepted for scripts written for vfind; the exit code always tells the verdict
    #[arg(long)]
    vexit: bool,
    /// Print the version
    #[arg(short = 'v', long, action = clap::ArgAction::Version)]
    version: Option<bool>,
    /// Files and folders, as the server's machine names them; relative ones are made absolute here
    #[arg(required = true, value_name = "PATH")]
    paths: Vec<OsString>,
}

const EXIT_CODES: &str = "\
Exit codes, the first that applies: 255 wrong usage or a general error, 23 something was found, 1 no server or it was \
lost, 2 something was not examined, 0 all was examined and nothing found.";

fn main() -> ExitCode {
    match Args::try_parse() {
        Ok(args) => scan(args).into(),
        Err(error) => {
            // Help and version are "errors" that go to standard output.
            let exit = if error.use_stderr() {
                Exit::Error
            } else {
                Exit::Clean
            };
            let _ = error.print();
            exit.into()
        }
    }
}

fn scan(args: Args) -> Exit {
    let paths = match args
        .paths
        .iter()
        .map(absolute)
        .collect::<io::Result<Vec<_>>>()
    {
        Ok(paths) => paths,
        Err(error) => return complain(&error, Exit::Error),
    };
    let form = match (args.json, args.quiet) {
        (true, _) => Form::Json,
        (false, true) => Form::Quiet,
        (false, false) => Form::Text,
    };
    let result = talk(&args.server, paths, form);
    result.unwrap_or_else(|failure| match failure.is_closed_output() {
        true => failure.exit(),
        false => complain(&failure, failure.exit()),
    })
}

fn talk(server: &Server, paths: Vec<Vec<u8>>, form: Form) -> Result<Exit, Failure> {
    // One thread is enough to wait with.
    let runtime = Builder::new_current_thread().enable_all().build()?;
    let mut printer = Printer::new(io::stdout(), form, paths.len());
    let exit = runtime.block_on(client::run(server, paths, &mut printer))?;
    printer.finish()?;
    Ok(exit)
}

/// The path from the root on, links unresolved: what a link leads to is the server's to find out.
fn absolute(path: &OsString) -> io::Result<Vec<u8>> {
    let path = std::path::absolute(path)?;
    Ok(path.into_os_string().into_vec())
}

fn complain(problem: &dyn std::fmt::Display, exit: Exit) -> Exit {
    let _ = writeln!(io::stderr(), "vfindc: {problem}");
    exit
}
