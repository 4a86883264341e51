//! The daemon: reads its options, binds its addresses, serves until it is told to end.

use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rustix::process::{Resource, Rlimit, getpid, getrlimit, kill_process, setrlimit};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tracing::{debug, error, info, warn};
use vfind::access::tokens::{self, TokenFile};
use vfind::config::{CommonConfig, DaemonConfig, DaemonFlags, Place, Spoken};
use vfind::database::{COMPILER_ARGUMENT, Live, Unsettled, compiler_main};
use vfind::gateway::Order;
use vfind::http;
use vfind::pidfile::{self, PidFile};
use vfind::pool::{Pool, WORKER_ARGUMENT, worker_main};
use vfind::server::{
    self, Control, Listener, LocalSocket, Shared, Socket, Speaks, Transfers, Word, tell,
};
use vfind::verdict::Exit;

fn main() -> ExitCode {
    match std::env::args_os().nth(1) {
        Some(argument) if argument == WORKER_ARGUMENT => return worker_main(),
        Some(argument) if argument == COMPILER_ARGUMENT => return compiler_main(),
        _ => {}
    }
    let config = match DaemonFlags::read() {
        Ok(config) => config,
        Err(code) => return code,
    };
    if let Err(problem) = vfind::log::start(config.common.quiet, &config.log_format) {
        eprintln!("vfindd: {problem}");
        return Exit::Error.into();
    }
    if let Some(answer) = errand(&config) {
        return answer.unwrap_or_else(|problem| {
            eprintln!("vfindd: {problem}");
            Exit::Error.into()
        });
    }
    raise_descriptors(config.connections);
    match serve(config) {
        // Not by return: a worker that hangs in hostile content must not keep a daemon alive that was told to end.
        Ok(()) => std::process::exit(0),
        Err(problem) => {
            eprintln!("vfindd: {problem}");
            Exit::Error.into()
        }
    }
}

/// What is to be done instead of serving, if anything is.
fn errand(config: &DaemonConfig) -> Option<Result<ExitCode, String>> {
    let done = |is_good| match is_good {
        true => Exit::Clean.into(),
        false => Exit::Incomplete.into(),
    };
    if !config.check_database.is_empty() {
        let mut settings = config.common.signatures.clone();
        settings.sources.builtin = false;
        settings.sources.databases = config.check_database.clone();
        settings.data_file = None;
        return Some(vfind::log::check_database(settings).map(done));
    }
    if let Some(new) = &config.new_token {
        let added = tokens::add(&new.file, new.role);
        return Some(added.map(|token| {
            println!("{token}");
            done(true)
        }));
    }
    let mut out = std::io::stdout();
    match (&config.control, config.tell) {
        (Some(socket), Some(word)) => Some(tell(socket, word, &mut out).map(done)),
        (Some(socket), None) if config.common.list_signatures => {
            let listed = tell(socket, Word::List, &mut out);
            // The names are of what is in use; that something newer was refused is said beside them.
            let mut status = Vec::new();
            let asked = tell(socket, Word::Status, &mut status);
            for line in String::from_utf8_lossy(&status).lines() {
                if asked.is_ok() && line.starts_with("last reload refused") {
                    eprintln!("vfindd: {line}");
                }
            }
            Some(listed.map(done))
        }
        _ if config.common.list_signatures => {
            let listed = load(&config.common)
                .and_then(|live| vfind::log::list_signatures(&live.current().database));
            Some(listed.map(|()| done(true)))
        }
        _ => None,
    }
}

fn serve(config: DaemonConfig) -> Result<(), String> {
    let sockets = config.listen.iter().map(|listen| bind(&listen.place));
    let sockets = sockets.collect::<Result<Vec<_>, _>>()?;
    // Held, and removed at the end.
    let _pid_file = process_number(&config.common)?;
    let control = config.control.as_deref().map(Control::bind).transpose()?;
    if let Some(user) = &config.user {
        let (uid, gid) = user.numbers();
        if let Some(control) = &control {
            control.give_to(uid, gid)?;
        }
        for (bound, listen) in sockets.iter().zip(&config.listen) {
            if let (Bound::Local(socket), Place::File(file)) = (bound, &listen.place) {
                let given = socket.give_to(Some(uid), Some(file.group.unwrap_or(gid)));
                given.map_err(|error| format!("{}: {error}", listen.place))?;
            }
        }
        // Before any signature or content is read, and while there is one thread: the others are that user's from
        // their beginning.
        user.become_it()?;
        config.common.check_tmpdir()?;
    }
    let runtime = tokio::runtime::Runtime::new().map_err(|error| error.to_string())?;
    let ended = runtime.block_on(async {
        // Before the signatures, which may take their time: a daemon that is told to end leaves nothing behind.
        let signals = Signals::take().map_err(|error| format!("cannot take signals: {error}"));
        let mut signals = signals?;
        let common = config.common.clone();
        let loading = tokio::task::spawn_blocking(move || load(&common));
        let live = tokio::select! {
            loaded = loading => loaded.map_err(|error| error.to_string())??,
            () = signals.end() => return Ok(()),
        };
        run(sockets, control, config, live, signals).await
    });
    // Without waiting for a thread that is still in some system call.
    runtime.shutdown_background();
    ended
}

fn load(config: &CommonConfig) -> Result<Arc<Live>, String> {
    let live = Live::start(config.signatures.clone()).map_err(|error| error.to_string())?;
    vfind::log::loaded(&live.current().report, config.exit_on_complaints)?;
    Ok(Arc::new(live))
}

/// A bound socket that the runtime does not know yet.
enum Bound {
    Local(LocalSocket),
    Tcp(std::net::TcpListener),
}

fn bind(place: &Place) -> Result<Bound, String> {
    let bound = || match place {
        Place::Address(address) => {
            let socket = std::net::TcpListener::bind(address)?;
            // Once more, for a longer row of those who wait than the standard library's.
            rustix::net::listen(&socket, BACKLOG)?;
            socket.set_nonblocking(true)?;
            Ok(Bound::Tcp(socket))
        }
        Place::File(file) => {
            let socket = LocalSocket::bind(&file.path, file.mode)?;
            if file.group.is_some() {
                socket.give_to(None, file.group)?;
            }
            Ok(Bound::Local(socket))
        }
    };
    bound().map_err(|error: std::io::Error| format!("cannot listen at {place}: {error}"))
}

/// Connections that the system keeps until they are accepted.
const BACKLOG: i32 = 1024;

fn process_number(config: &CommonConfig) -> Result<Option<PidFile>, String> {
    let pid_file = config.pidfile.as_deref().map(PidFile::lock).transpose()?;
    if let Some(path) = &config.savepid {
        pidfile::save(path)?;
    }
    if config.print_pid {
        writeln!(std::io::stdout(), "{}", std::process::id())
            .map_err(|error| format!("cannot write: {error}"))?;
    }
    Ok(pid_file)
}

async fn run(
    sockets: Vec<Bound>,
    control: Option<Control>,
    config: DaemonConfig,
    live: Arc<Live>,
    signals: Signals,
) -> Result<(), String> {
    let mut places = Vec::new();
    for (socket, listen) in sockets.into_iter().zip(config.listen) {
        let socket = match socket {
            Bound::Local(socket) => Socket::local(socket),
            Bound::Tcp(socket) => Socket::tcp(socket),
        };
        let socket =
            socket.map_err(|error| format!("cannot listen at {}: {error}", listen.place))?;
        info!(protocol = listen.spoken.name(), address = %socket, "listening");
        let policy = Arc::new(config.common.policy(listen.spoken.listener()));
        places.push((socket, listen.spoken, policy, listen.access));
    }
    let http_policy = config.common.policy(Spoken::Http.listener());
    let webhooks = config.http.webhook_key.as_ref().map(|path| {
        let key = std::fs::read(path).map_err(|error| error.to_string());
        let webhooks = key.and_then(|key| http::Webhooks::new(config.http.webhooks, &key));
        webhooks.map_err(|problem| format!("--webhook-key={}: {problem}", path.display()))
    });
    let webhooks = webhooks.transpose()?;
    let tokens = config.http.token_file.clone();
    let tokens = tokens.map(|path| tokens_of(path, &live)).transpose()?;
    let tmpdir = config.common.terms.setup.tmpdir.clone();
    let transfers = Transfers::new(config.upload_spool, config.times, tmpdir);
    let reach = Arc::clone(&config.common.terms.reach);
    let pool = Pool::start(
        config.common.threads,
        Arc::clone(&live),
        config.common.terms,
    );
    let pool = pool.map_err(|error| format!("cannot start workers: {error}"))?;
    announce(&live, reach.roots.confine());
    let settling = Arc::clone(&live);
    let settled = tokio::task::spawn_blocking(move || match settling.settle() {
        Err(changed @ Unsettled::Changed(_)) => {
            // No verdict by what somebody has made of it meanwhile.
            let _ = kill_process(getpid(), rustix::process::Signal::TERM);
            Err(changed.to_string())
        }
        Err(Unsettled::Copy(error)) => {
            warn!("{}", Unsettled::Copy(error));
            Ok(())
        }
        Ok(()) => Ok(()),
    });
    let (order, orders) = mpsc::channel(ORDERS);
    let shared = Arc::new(Shared {
        pool,
        live: Arc::clone(&live),
        transfers: Arc::new(transfers),
        dial_from: config.dial_from,
        expand: config.common.expand,
        clamd: config.clamd,
        commanders: config.commanders,
        orders: order,
        since: SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .map_or(0, |since| since.as_secs()),
    });
    let workers = Arc::clone(&shared);
    // The same for all places, so that a job is known at each of them.
    let http_policy = Arc::new(http_policy);
    let own = Arc::clone(&shared);
    let http = http::Service::new(own, http_policy, tokens, webhooks, config.http.terms);
    let http = Arc::new(http);
    // Nobody may have them when workers are to end: whoever has them last waits for these.
    let listeners = places
        .into_iter()
        .map(move |(socket, spoken, policy, access)| {
            let speaks = match spoken {
                Spoken::Gateway(gateway) => Speaks::Gateway(gateway, policy),
                Spoken::Http => Speaks::Streams(Arc::<http::Service>::clone(&http)),
            };
            Listener {
                speaks,
                socket,
                access,
            }
        });
    let listeners = listeners.collect();
    // Ended with the listeners.
    let mut updates = JoinSet::new();
    if let Some(control) = control {
        updates.spawn(control.serve(Arc::clone(&shared)));
    }
    if config.watch {
        updates.spawn(server::watch(Arc::clone(&live)));
    }
    server::run(
        listeners,
        shared,
        config.connections,
        signals.obey(live, orders),
    )
    .await;
    // Waited for, so that the socket is removed.
    updates.shutdown().await;
    end(workers);
    settled.await.map_err(|error| error.to_string())?
}

/// The tokens of a file, which is read again whenever the signatures are.
fn tokens_of(path: PathBuf, live: &Live) -> Result<Arc<TokenFile>, String> {
    let tokens = Arc::new(TokenFile::open(path)?);
    let again = Arc::clone(&tokens);
    live.when_reloading(move || {
        if let Err(problem) = again.reload() {
            error!("the tokens stay as they were: {problem}");
        }
    });
    Ok(tokens)
}

/// Lets the workers end, but not for long: one that hangs in hostile content never does. Worker processes end with them.
fn end(workers: Arc<Shared>) {
    let (ended, wait) = std::sync::mpsc::channel::<()>();
    std::thread::spawn(move || {
        drop(workers);
        drop(ended);
    });
    // An error either way: they have ended, or it took too long.
    let _ = wait.recv_timeout(WORKERS);
}

/// Orders of peers that wait to be looked at, which takes no time: those who may order things are few.
const ORDERS: usize = 64;

/// How long workers may take to end when nobody waits for their answers any more.
const WORKERS: Duration = Duration::from_millis(500);

/// Asks for as many descriptors as the system grants: connections, files and folders each take one.
fn raise_descriptors(connections: usize) {
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit {
        current: limit.maximum,
        maximum: limit.maximum,
    };
    if let Err(error) = setrlimit(Resource::Nofile, raised) {
        warn!(%error, "the limit of open files stays at {:?}", limit.current);
    }
    if let Some(most) = limit.maximum.filter(|most| *most < connections as u64) {
        debug!(
            "the system grants {most} open files, so there will be fewer connections than {connections}"
        );
    }
}

fn announce(live: &Live, confined: bool) {
    let current = live.current();
    info!(epoch = %current.epoch, signatures = current.database.count(), "signatures loaded");
    if current.test_signatures_only {
        warn!(
            "test signatures only: nothing but EICAR and demonstrations is found, load rules with --database, --vdl or --md5"
        );
    }
    if rustix::process::geteuid().is_root() && !confined {
        warn!(
            "running as root without --user or --scan-root: whoever can connect can have any file of this machine read, and learn whether it is there"
        );
    }
}

/// The signals that a daemon is told things by. None is lost between its taking and its waiting.
struct Signals {
    hangup: Signal,
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    fn take() -> std::io::Result<Self> {
        Ok(Self {
            hangup: signal(SignalKind::hangup())?,
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
        })
    }

    /// Completes at SIGTERM or SIGINT.
    async fn end(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }

    /// Does what it is told by signals, and by peers that may order things: reloads at SIGHUP; completes at SIGTERM or
    /// SIGINT, also while a reload takes its time.
    async fn obey(mut self, live: Arc<Live>, mut orders: mpsc::Receiver<Order>) {
        let mut reloads = JoinSet::new();
        let mut again = false;
        loop {
            if again && reloads.is_empty() {
                again = false;
                let live = Arc::clone(&live);
                reloads.spawn(async move {
                    // The reason is in the log, and the status has it.
                    let _ = server::reload(&live).await;
                });
            }
            tokio::select! {
                _ = self.hangup.recv() => again = true,
                Some(order) = orders.recv() => match order {
                    Order::Reload => again = true,
                    Order::Shutdown => break,
                },
                Some(_) = reloads.join_next() => {}
                _ = self.terminate.recv() => break,
                _ = self.interrupt.recv() => break,
            }
        }
    }
}
