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
use vfind::config::{EXIT_CODES, refuse};
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
    /// Print findings and gaps only: no notes, no summary, no progress; the number changes nothing here
    #[arg(long, value_name = "N", num_args = 0..=1, require_equals = true, default_value_t = 0, default_missing_value = "1")]
    quiet: u8,
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

fn main() -> ExitCode {
    match Args::try_parse() {
        Ok(args) => scan(args).into(),
        Err(error) => refuse(&error),
    }
}

fn scan(args: Args) -> Exit {
    let paths = args.paths.into_iter().map(absolute).collect();
    let form = match (args.json, args.quiet > 0) {
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

/// The path from the root on, links unresolved: what a link leads to is the server's to find out. What cannot be made
/// absolute, such as an empty name, is the server's to refuse.
fn absolute(path: OsString) -> Vec<u8> {
    let absolute = std::path::absolute(&path).map(std::path::PathBuf::into_os_string);
    absolute.unwrap_or(path).into_vec()
}

fn complain(problem: &dyn std::fmt::Display, exit: Exit) -> Exit {
    let _ = writeln!(io::stderr(), "vfindc: {problem}");
    exit
}
