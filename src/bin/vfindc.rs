//! vfindc: has files and folders scanned by a vfindd, and prints the verdicts.
#![forbid(unsafe_code)]

use std::io::{self, Write};
use std::process::ExitCode;

use tokio::runtime::Builder;
use vfind::client::print::Printer;
use vfind::client::quarantine::{Keeper, Quarantine};
use vfind::client::{self, Failure};
use vfind::config::{ClientConfig, ClientFlags};
use vfind::verdict::Exit;

fn main() -> ExitCode {
    let config = match ClientFlags::read() {
        Ok(config) => config,
        Err(code) => return code,
    };
    let exit = scan(config).unwrap_or_else(|failure| {
        if !failure.is_closed_output() {
            let _ = writeln!(io::stderr(), "vfindc: {failure}");
        }
        failure.exit()
    });
    exit.into()
}

fn scan(config: ClientConfig) -> Result<Exit, Failure> {
    if let (Some(folder), Some(errand)) = (&config.quarantine, &config.errand) {
        return errand.run(folder, &mut io::stdout());
    }
    // One thread is enough to wait with.
    let runtime = Builder::new_current_thread().enable_all().build()?;
    let quarantine = config.quarantine.as_deref().map(Quarantine::open);
    let quarantine = quarantine.transpose().map_err(io::Error::other)?;
    let mut printer = Printer::new(io::stdout(), &config.output);
    let result = match quarantine {
        Some(quarantine) => {
            let mut keeper = Keeper::new(quarantine, &mut printer);
            runtime.block_on(client::run(&config.server, config.paths, &mut keeper))
        }
        None => runtime.block_on(client::run(&config.server, config.paths, &mut printer)),
    };
    // A document is closed whatever happened.
    let closed = printer.finish(result.as_ref().copied());
    let exit = result?;
    closed?;
    Ok(exit)
}
