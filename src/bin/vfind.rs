//! The command line scanner: the same scan without a daemon.

use std::process::ExitCode;

use vfind::config::ScannerFlags;
use vfind::verdict::Exit;

fn main() -> ExitCode {
    let config = match ScannerFlags::read() {
        Ok(config) => config,
        Err(code) => return code,
    };
    if let Err(problem) = vfind::log::start(config.common.quiet, &vfind::log::Format::Text) {
        eprintln!("vfind: {problem}");
        return Exit::Error.into();
    }
    match vfind::local::run(config) {
        Ok(exit) => exit.into(),
        Err(problem) => {
            eprintln!("vfind: {problem}");
            Exit::Error.into()
        }
    }
}
