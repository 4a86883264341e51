//! vfindc: has files and folders scanned by a vfindd, and prints the verdicts.
#![forbid(unsafe_code)]

use std::io::{self, Write};
use std::process::ExitCode;

use tokio::runtime::Builder;
use vfind::client::ping::{ping, wait_for};
use vfind::client::print::Printer;
use vfind::client::{self, Failure, Server};
use vfind::config::{ClientConfig, ClientFlags, TargetConfig};
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
    // One thread is enough to wait with.
    let runtime = Builder::new_current_thread().enable_all().build()?;
    let exit = runtime.block_on(serve(config));
    // A thread that sends to nobody who reads, or waits for standard input, must not hold up the end.
    runtime.shutdown_background();
    exit
}

async fn serve(config: ClientConfig) -> Result<Exit, Failure> {
    let TargetConfig { plan, wait, ping } = config.targets;
    if let Some(patience) = wait
        && !wait_for(&plan.servers, patience).await
        && !ping
    {
        let why = format!("no server in {} s", patience.as_secs_f64());
        return Err(Failure::NoServer(why));
    }
    if ping {
        return ask_all(&plan.servers).await;
    }
    let mut printer = Printer::new(io::stdout(), config.form);
    let exit = client::run(plan, &mut printer).await?;
    printer.finish()?;
    Ok(exit)
}

/// A line for each server: whether it takes requests.
async fn ask_all(servers: &[Server]) -> Result<Exit, Failure> {
    let mut exit = Exit::Clean;
    for server in servers {
        let said = match ping(server).await {
            Ok(pong) => {
                let tests = if pong.test_signatures_only {
                    ", test signatures only"
                } else {
                    ""
                };
                let millis = pong.took.as_secs_f64() * 1000.0;
                format!("READY{tests}, {millis:.1} ms")
            }
            Err(why) => {
                exit = Exit::NoServer;
                why
            }
        };
        writeln!(io::stdout(), "{server}: {said}")?;
    }
    Ok(exit)
}
