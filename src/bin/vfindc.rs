//! vfindc: has files and folders scanned by a vfindd, and prints the verdicts.
#![forbid(unsafe_code)]

use std::io::{self, Write};
use std::pin::{Pin, pin};
use std::process::ExitCode;

use tokio::runtime::Builder;
use vfind::client::ping::{ping, wait_for};
use vfind::client::print::Printer;
use vfind::client::quarantine::{Keeper, Quarantine};
use vfind::client::{self, Failure, Server, Settings};
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
    if let (Some(folder), Some(errand)) = (&config.quarantine, &config.errand) {
        return errand.run(folder, &mut io::stdout());
    }
    // One thread is enough to wait with.
    let runtime = Builder::new_current_thread().enable_all().build()?;
    let interrupted = client::interrupted()?;
    let exit = runtime.block_on(serve(config, pin!(interrupted)));
    // A thread that sends to nobody who reads, or waits for standard input, must not hold up the end.
    runtime.shutdown_background();
    exit
}

async fn serve(
    config: ClientConfig,
    mut interrupted: Pin<&mut impl Future<Output = ()>>,
) -> Result<Exit, Failure> {
    let TargetConfig { plan, wait, ping } = config.targets;
    if let Some(time) = wait {
        let waiting = async { Ok(wait_for(&plan.servers, time, &plan.settings).await) };
        if let Err(why) = unless(&mut interrupted, waiting).await?
            && !ping
        {
            let why = format!("no server in {} s: {why}", time.as_secs_f64());
            return Err(Failure::NoServer(why));
        }
    }
    if ping {
        return unless(&mut interrupted, ask_all(&plan.servers, &plan.settings)).await;
    }
    let quarantine = config.quarantine.as_deref().map(Quarantine::open);
    let quarantine = quarantine.transpose().map_err(io::Error::other)?;
    let mut printer = Printer::new(io::stdout(), &config.output);
    let result = match quarantine {
        Some(quarantine) => {
            let mut keeper = Keeper::new(quarantine, &mut printer);
            unless(&mut interrupted, client::run(plan, &mut keeper)).await
        }
        None => unless(&mut interrupted, client::run(plan, &mut printer)).await,
    };
    // A document is closed whatever happened.
    let closed = printer.finish(result.as_ref().copied());
    let exit = result?;
    closed?;
    Ok(exit)
}

/// Work, as long as nobody wants it to end. It ends where it waits: not within a record, nor within a move of a file.
async fn unless<T>(
    interrupted: &mut Pin<&mut impl Future<Output = ()>>,
    work: impl Future<Output = Result<T, Failure>>,
) -> Result<T, Failure> {
    tokio::select! {
        done = work => done,
        () = interrupted => Err(Failure::Interrupted),
    }
}

/// A line for each server: whether it takes requests.
async fn ask_all(servers: &[Server], settings: &Settings) -> Result<Exit, Failure> {
    let mut exit = Exit::Clean;
    for server in servers {
        let said = match ping(server, settings).await {
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
