//! The daemon: reads its options, binds its addresses, serves until it is told to end.

use std::process::ExitCode;
use std::sync::Arc;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tracing::{info, warn};
use vfind::config::{DaemonConfig, DaemonFlags};
use vfind::database::Live;
use vfind::policy::Listener as Asker;
use vfind::pool::{Pool, WORKER_ARGUMENT, worker_main};
use vfind::server::{self, Listener, Shared, Transfers};
use vfind::verdict::Exit;

fn main() -> ExitCode {
    if std::env::args_os()
        .nth(1)
        .is_some_and(|argument| argument == WORKER_ARGUMENT)
    {
        return worker_main();
    }
    let config = match DaemonFlags::read() {
        Ok(config) => config,
        Err(code) => return code,
    };
    vfind::log::start(config.common.quiet);
    raise_descriptors();
    match serve(config) {
        // Not by return: a worker that hangs in hostile content must not keep a daemon alive that was told to end.
        Ok(()) => std::process::exit(0),
        Err(problem) => {
            eprintln!("vfindd: {problem}");
            Exit::Error.into()
        }
    }
}

fn serve(config: DaemonConfig) -> Result<(), String> {
    let sources = config.common.sources.clone();
    let (live, complaints) = Live::start(sources).map_err(|error| error.to_string())?;
    vfind::log::complaints(&complaints);
    let live = Arc::new(live);
    if config.common.list_signatures {
        return vfind::log::list_signatures(&live.current().database);
    }
    let runtime = tokio::runtime::Runtime::new().map_err(|error| error.to_string())?;
    runtime.block_on(run(config, live))
}

async fn run(config: DaemonConfig, live: Arc<Live>) -> Result<(), String> {
    let policy = Arc::new(config.common.policy(Asker::Svsp));
    let mut listeners = Vec::new();
    for (gateway, address) in &config.listen {
        let socket = TcpListener::bind(address).await;
        let socket = socket.map_err(|error| format!("cannot listen at {address}: {error}"))?;
        let address = socket.local_addr().unwrap_or(*address);
        info!(protocol = gateway.name, %address, "listening");
        listeners.push(Listener {
            gateway,
            socket,
            policy: Arc::clone(&policy),
        });
    }
    let tmpdir = config.common.terms.setup.tmpdir.clone();
    let transfers = Transfers::new(config.upload_spool, config.times, tmpdir);
    let pool = Pool::start(
        config.common.threads,
        Arc::clone(&live),
        config.common.terms,
    );
    let pool = pool.map_err(|error| format!("cannot start workers: {error}"))?;
    announce(&live);
    let shared = Arc::new(Shared {
        pool,
        live: Arc::clone(&live),
        transfers: Arc::new(transfers),
        dial_from: config.dial_from,
    });
    let signals = signals(live).map_err(|error| format!("cannot take signals: {error}"))?;
    server::run(listeners, shared, config.connections, signals).await;
    Ok(())
}

/// Asks for as many descriptors as the system grants: connections, files and folders each take one.
fn raise_descriptors() {
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit {
        current: limit.maximum,
        maximum: limit.maximum,
    };
    if let Err(error) = setrlimit(Resource::Nofile, raised) {
        warn!(%error, "the limit of open files stays at {:?}", limit.current);
    }
}

fn announce(live: &Live) {
    let current = live.current();
    info!(epoch = %current.epoch, signatures = current.database.count(), "signatures loaded");
    if current.test_signatures_only {
        warn!(
            "test signatures only: nothing but EICAR and demonstrations is found, load rules with --vdl or --md5"
        );
    }
    if rustix::process::geteuid().is_root() {
        warn!(
            "running as root: whoever can connect can have any file of this machine read, and learn whether it is there"
        );
    }
}

/// Reloads at SIGHUP; completes at SIGTERM or SIGINT.
fn signals(live: Arc<Live>) -> std::io::Result<impl Future<Output = ()>> {
    let mut hangup = signal(SignalKind::hangup())?;
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    Ok(async move {
        loop {
            tokio::select! {
                _ = hangup.recv() => server::reload(&live).await,
                _ = terminate.recv() => break,
                _ = interrupt.recv() => break,
            }
        }
    })
}
