//! The command line of `vfindd`.
#![forbid(unsafe_code)]

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use clap::Parser;

use super::arguments::{self, Given};
use super::clamd::{ClamdFlags, SocketFile};
use super::common::{CommonConfig, CommonFlags};
use super::http::{HttpConfig, HttpFlags, NewToken};
use super::limits::{Seconds, Size};
use super::refused::Program;
use super::{clamd_conf, file, print, usage};
use crate::access::{Access, Range};
use crate::database::Compiling;
use crate::files::Reach;
use crate::gateway::{CLAMD, GATEWAYS, Gateway, SVSP, clamd};
use crate::journal::Logged;
use crate::log::Format;
use crate::policy::Listener;
use crate::pool::Isolation;
use crate::roots::Roots;
use crate::server::{Commanders, Times, Word};
use crate::user::User;

/// Options of `vfindd` as written.
#[derive(Debug, Parser)]
#[command(
    name = "vfindd",
    version,
    about = "Scans files for programs that ask over TCP (SVSP, port 8081) or speak HTTP or clamd's protocol"
)]
#[command(disable_version_flag = true, max_term_width = 100)]
pub struct DaemonFlags {
    /// Listen at this address instead: PROTOCOL:ADDRESS:PORT, such as svsp:0.0.0.0:8081; may be repeated
    #[arg(long, value_name = "PROTOCOL:ADDRESS:PORT", conflicts_with_all = ["svsp_port", "vfdclam_port", "http_port", "localhost", "ipv4", "ipv6"])]
    listen: Vec<String>,

    /// Port for SVSP
    #[arg(long, value_name = "PORT", default_value_t = 8081)]
    svsp_port: u16,

    /// Listen on the loopback interface only (the default)
    #[arg(short, long)]
    localhost: bool,

    /// Use IPv4 only (the default)
    #[arg(short = '4', long = "IPv4", conflicts_with = "ipv6")]
    ipv4: bool,

    /// Use IPv6 only
    #[arg(short = '6', long = "IPv6")]
    ipv6: bool,

    /// Stay in the foreground (the default)
    #[arg(short, long)]
    foreground: bool,

    /// Look at content in threads of the daemon, or in processes of their own that a crash or the deadline ends
    #[arg(long, value_enum, default_value_t = IsolationFlag::Thread)]
    isolation: IsolationFlag,

    /// Memory for answers about contents that come again; 0 keeps none
    #[arg(long, value_name = "SIZE", default_value_t = VERDICT_CACHE)]
    verdict_cache: Size,

    /// The form of the log: text or json on standard error, journald, or journald:SOCKET
    #[arg(long, value_name = "FORMAT", default_value_t = Format::Text)]
    log_format: Format,

    /// Log each request that has ended, those that are not clean, or none
    #[arg(long, value_enum, default_value_t = LoggedFlag::Found)]
    log_requests: LoggedFlag,

    /// Work as this user: NAME or NAME:GROUP, from when the addresses are bound
    #[arg(long, value_name = "NAME[:GROUP]")]
    user: Option<String>,

    /// Serve only those who connect from here: [LISTENER:]ADDRESS[/BITS]; may be repeated
    #[arg(long, value_name = "CIDR")]
    allow: Vec<AccessRule>,

    /// Do not serve those who connect from here, even if they are allowed; may be repeated
    #[arg(long, value_name = "CIDR")]
    deny: Vec<AccessRule>,

    /// Connections at the same time
    #[arg(long, value_name = "N", default_value_t = 50_000, value_parser = clap::value_parser!(u32).range(1..))]
    limit_connections: u32,

    /// Seconds for a data connection (SCAN/REQUEST, SCAN/PORT) to come about
    #[arg(long, value_name = "SECONDS", default_value_t = Seconds(Duration::from_secs(30)))]
    limit_accept: Seconds,

    /// Seconds without a byte after which content that a client sends is given up
    #[arg(long, value_name = "SECONDS", default_value_t = Seconds(Duration::from_secs(60)))]
    limit_idle: Seconds,

    /// Scan paths in this folder only, wherever links lead; may be repeated
    #[arg(long, value_name = "DIR")]
    scan_root: Vec<PathBuf>,

    /// The lowest port of a client that SCAN/PORT connects to, or off
    #[arg(long, value_name = "PORT|off", default_value = "1024", value_parser = dial_from)]
    svsp_dial_from: DialFrom,

    /// Load the signatures anew when one of their files has changed
    #[arg(long)]
    watch: bool,

    /// Take commands (--tell) at this socket from this user and root
    #[arg(long, value_name = "SOCKET")]
    control: Option<PathBuf>,

    /// Tell the daemon at the socket of --control to load its signatures anew or to go back to those before, or ask how it is; and exit
    #[arg(
        long,
        value_name = "WORD",
        value_enum,
        requires = "control",
        conflicts_with = "check_database"
    )]
    tell: Option<Word>,

    /// Say what is in these files and folders of signatures, what is not loaded and why; and exit
    #[arg(long, value_name = "PATH", num_args = 1..)]
    check_database: Vec<PathBuf>,

    /// Print a configuration file that says what this clamd.conf says, and what of it has no counterpart; and exit
    #[arg(long, value_name = "FILE")]
    import_clamd_conf: Option<PathBuf>,

    #[command(flatten)]
    http: HttpFlags,

    #[command(flatten)]
    clamd: ClamdFlags,

    #[command(flatten)]
    common: CommonFlags,
}

/// A hundred thousand answers about plain files, and less than most sets of signatures.
const VERDICT_CACHE: Size = Size(64 << 20);

#[derive(Debug, Clone, Copy, clap::ValueEnum)]
enum LoggedFlag {
    All,
    Found,
    None,
}

#[derive(Debug, Clone, Copy, clap::ValueEnum)]
enum IsolationFlag {
    Process,
    Thread,
}

/// Addresses that may or may not connect to one listener, or to all.
#[derive(Debug, Clone)]
struct AccessRule {
    listener: Option<Spoken>,
    range: Range,
}

impl std::str::FromStr for AccessRule {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        // No protocol's name is the beginning of an address: each has a letter that is no hexadecimal digit.
        let named = text
            .split_once(':')
            .and_then(|(name, rest)| Some((Spoken::of(name)?, rest)));
        let (listener, range) = match named {
            Some((spoken, range)) => (Some(spoken), range),
            None => (None, text),
        };
        Ok(Self {
            listener,
            range: range.parse()?,
        })
    }
}

/// A port, or none.
#[derive(Debug, Clone, Copy)]
struct DialFrom(Option<u16>);

fn dial_from(text: &str) -> Result<DialFrom, String> {
    if text == "off" {
        return Ok(DialFrom(None));
    }
    let port = text.parse().ok().filter(|port| *port > 0);
    port.map(|port| DialFrom(Some(port)))
        .ok_or_else(|| format!("'{text}' is no port from 1 to 65535, and not off"))
}

/// What `vfindd` is to do.
#[derive(Debug)]
pub struct DaemonConfig {
    /// Where to listen.
    pub listen: Vec<Listen>,
    /// Who to be, once the addresses are bound.
    pub user: Option<User>,
    /// Connections at the same time.
    pub connections: usize,
    /// How long content that clients send is waited for.
    pub times: Times,
    /// Bytes of temporary files for it.
    pub upload_spool: u64,
    /// The lowest port of a client that is connected to; `None` for never.
    pub dial_from: Option<u16>,
    /// How clamd's protocol is spoken.
    pub clamd: clamd::Terms,
    /// Who may order things over a protocol that has words for it.
    pub commanders: Commanders,
    /// The form of the log.
    pub log_format: Format,
    /// Changed sources of signatures are loaded by themselves.
    pub watch: bool,
    /// Where the owner of the daemon tells it things.
    pub control: Option<PathBuf>,
    /// What to tell another daemon there, instead of being one.
    pub tell: Option<Word>,
    /// What to say the signatures of, instead of being a daemon.
    pub check_database: Vec<PathBuf>,
    /// How HTTP is spoken.
    pub http: HttpConfig,
    /// What to do with the file of tokens, instead of being a daemon.
    pub new_token: Option<NewToken>,
    /// What is shared with `vfind`.
    pub common: CommonConfig,
}

/// What is spoken at a place.
#[derive(Debug, Clone, Copy)]
pub enum Spoken {
    /// A protocol without IO.
    Gateway(&'static Gateway),
    /// HTTP, which has its own way with sockets.
    Http,
}

impl Spoken {
    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Gateway(gateway) => gateway.name,
            Self::Http => "http",
        }
    }

    /// Whose policy holds for its peers.
    pub fn listener(self) -> Listener {
        match self {
            Self::Gateway(gateway) => gateway.listener,
            Self::Http => Listener::Http,
        }
    }

    fn all() -> impl Iterator<Item = Self> {
        let gateways = GATEWAYS.iter().map(|gateway| Self::Gateway(gateway));
        gateways.chain([Self::Http])
    }

    fn of(name: &str) -> Option<Self> {
        Self::all().find(|spoken| spoken.name() == name)
    }
}

/// One place to listen at, and what is spoken there with whom.
#[derive(Debug)]
pub struct Listen {
    /// The protocol.
    pub spoken: Spoken,
    /// Where.
    pub place: Place,
    /// Who may connect.
    pub access: Access,
}

/// Where to listen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// At an address of TCP.
    Address(SocketAddr),
    /// At a socket of the file system.
    File(SocketFile),
}

impl std::fmt::Display for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Address(address) => address.fmt(f),
            Self::File(socket) => socket.path.display().fmt(f),
        }
    }
}

impl DaemonFlags {
    /// Reads the command line; on a wrong one, or one that only asks for help, prints and gives the exit code.
    ///
    /// # Errors
    /// The code to exit with.
    pub fn read() -> Result<DaemonConfig, ExitCode> {
        let tables: Vec<_> = Spoken::all().map(Spoken::name).collect();
        let Given { flags, shown } = arguments::read::<Self>(Program::Vfindd, &tables)?;
        if let Some(path) = &flags.import_clamd_conf {
            let text = file::read(path);
            let text =
                text.map_err(|error| usage::<Self>(format!("{}: {error}", path.display())))?;
            return Err(print(&clamd_conf::import(&text)));
        }
        let config = flags.resolve().map_err(usage::<Self>)?;
        match shown {
            None => Ok(config),
            Some(shown) => Err(print(&shown)),
        }
    }

    fn resolve(self) -> Result<DaemonConfig, String> {
        let listen = self.places()?.into_iter().map(|(spoken, place)| Listen {
            spoken,
            place,
            access: self.access(spoken),
        });
        let listen = listen.collect();
        let user = self.user.as_deref().map(User::look_up).transpose();
        let new_token = self.http.new_token();
        let mut http = self.http.resolve()?;
        http.terms.has_roots = !self.scan_root.is_empty();
        let isolation = match self.isolation {
            IsolationFlag::Process => Isolation::Process,
            IsolationFlag::Thread => Isolation::Thread,
        };
        let upload_spool = self.common.limits.spool() / 2;
        let mut common = self.common.resolve(isolation)?;
        let roots = Roots::new(&self.scan_root);
        common.terms.reach = Arc::new(Reach {
            roots: roots.map_err(|problem| format!("--scan-root: {problem}"))?,
            ..Reach::clone(&common.terms.reach)
        });
        common.terms.verdict_cache = self.verdict_cache.0;
        common.terms.logged = match self.log_requests {
            LoggedFlag::All => Logged::All,
            LoggedFlag::Found => Logged::Found,
            LoggedFlag::None => Logged::None,
        };
        common.signatures.compiling = Compiling::Apart;
        Ok(DaemonConfig {
            listen,
            user: user.map_err(|problem| format!("--user: {problem}"))?,
            connections: self.limit_connections as usize,
            times: Times {
                connect: self.limit_accept.0,
                idle: self.limit_idle.0,
            },
            upload_spool,
            dial_from: self.svsp_dial_from.0,
            clamd: self.clamd.terms(),
            commanders: self.clamd.commanders(),
            log_format: self.log_format,
            http,
            new_token,
            watch: self.watch,
            control: self.control,
            tell: self.tell,
            check_database: self.check_database,
            common,
        })
    }

    fn places(&self) -> Result<Vec<(Spoken, Place)>, String> {
        let mut places = Vec::new();
        for text in &self.listen {
            let (spoken, address) = listen_address(text)?;
            places.push((spoken, Place::Address(address)));
        }
        if places.is_empty() {
            let ip = if self.ipv6 {
                IpAddr::V6(Ipv6Addr::LOCALHOST)
            } else {
                IpAddr::V4(Ipv4Addr::LOCALHOST)
            };
            let ports = [
                (Spoken::Gateway(&SVSP), Some(self.svsp_port)),
                (Spoken::Gateway(&CLAMD), self.clamd.vfdclam_port),
                (Spoken::Http, self.http.http_port),
            ];
            let wanted = ports
                .into_iter()
                .filter_map(|(row, port)| Some((row, port?)));
            places
                .extend(wanted.map(|(row, port)| (row, Place::Address(SocketAddr::new(ip, port)))));
        }
        let socket = self.clamd.socket()?;
        places.extend(socket.map(|socket| (Spoken::Gateway(&CLAMD), Place::File(socket))));
        Ok(places)
    }

    fn access(&self, spoken: Spoken) -> Access {
        let mut access = Access::default();
        let is_for =
            |rule: &&AccessRule| rule.listener.is_none_or(|one| one.name() == spoken.name());
        for rule in self.allow.iter().filter(is_for) {
            access.allow(rule.range);
        }
        for rule in self.deny.iter().filter(is_for) {
            access.deny(rule.range);
        }
        access
    }
}

fn listen_address(text: &str) -> Result<(Spoken, SocketAddr), String> {
    let problem = || {
        format!(
            "--listen={text}: expected PROTOCOL:ADDRESS:PORT with an IP address, such as svsp:127.0.0.1:8081"
        )
    };
    let (protocol, address) = text.split_once(':').ok_or_else(problem)?;
    let spoken = Spoken::of(protocol).ok_or_else(|| {
        let names: Vec<_> = Spoken::all().map(Spoken::name).collect();
        format!(
            "--listen={text}: no protocol is called '{protocol}': {}",
            names.join(", ")
        )
    })?;
    Ok((spoken, address.parse().map_err(|_| problem())?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::Reason;
    use crate::policy::Action;

    fn daemon(arguments: &[&str]) -> Result<DaemonConfig, String> {
        let arguments = [&["vfindd"], arguments].concat();
        let flags = DaemonFlags::try_parse_from(arguments).map_err(|error| error.to_string())?;
        flags.resolve()
    }

    #[test]
    fn without_options_it_listens_on_the_loopback_at_8081() {
        let config = daemon(&[]).unwrap();
        let listen: Vec<_> = config
            .listen
            .iter()
            .map(|listen| (listen.spoken.name(), listen.place.to_string()))
            .collect();
        assert_eq!(listen, [("svsp", "127.0.0.1:8081".to_owned())]);
        assert!(config.common.signatures.sources.builtin && config.common.threads > 0);
    }

    #[test]
    fn options_resolve_to_what_they_say() {
        let config = daemon(&[
            "-6",
            "--svsp-port=9",
            "--limit-memory=1G",
            "--threads=32",
            "--policy=limit=pass",
        ])
        .unwrap();
        assert_eq!(config.listen[0].place.to_string(), "[::1]:9");
        let limits = &config.common.terms.setup.limits;
        // Two workers, and one that stands by.
        assert_eq!((limits.memory, limits.spool), (1 << 30, (512 << 20) / 3));
        let reason = Reason::Limit(crate::event::Limit::Depth);
        assert_eq!(
            config.common.policy(Listener::Svsp).action(&reason),
            Action::Pass
        );
        let two = daemon(&["--listen=svsp:0.0.0.0:1", "--listen=svsp:[::]:2"]).unwrap();
        assert_eq!(two.listen.len(), 2);
    }

    #[test]
    fn clamds_protocol_is_spoken_where_that_is_wanted() {
        type Row = (
            &'static [&'static str],
            &'static [(&'static str, &'static str)],
        );
        let rows: [Row; 3] = [
            (
                &["--vfdclam-port=3310", "-6", "--svsp-port=1"],
                &[("svsp", "[::1]:1"), ("clamd", "[::1]:3310")],
            ),
            (
                &["--vfdclam-socket=/run/c"],
                &[("svsp", "127.0.0.1:8081"), ("clamd", "/run/c")],
            ),
            (
                &["--listen=clamd:127.0.0.1:1", "--vfdclam-socket=/run/c"],
                &[("clamd", "127.0.0.1:1"), ("clamd", "/run/c")],
            ),
        ];
        for (options, expected) in rows {
            let listen = daemon(options).unwrap().listen;
            let places = listen
                .iter()
                .map(|one| (one.spoken.name(), one.place.to_string()));
            let expected = expected
                .iter()
                .map(|(name, place)| (*name, (*place).to_owned()));
            assert!(places.eq(expected), "{options:?}");
        }
        let options = [
            "--vfdclam-socket=/c",
            "--vfdclam-socket-mode=600",
            "--vfdclam-socket-group=0",
        ];
        let config = daemon(&options).unwrap();
        let wanted = SocketFile {
            path: "/c".into(),
            mode: 0o600,
            group: Some(0),
        };
        assert_eq!(config.listen[1].place, Place::File(wanted));
    }

    #[test]
    fn addresses_are_allowed_for_all_listeners_or_for_one() {
        let config = daemon(&[
            "--allow=10.0.0.0/8",
            "--allow=svsp:fd00::/8",
            "--deny=svsp:10.1.1.1",
        ])
        .unwrap();
        for (address, admitted) in [
            ("10.2.2.2", true),
            ("10.1.1.1", false),
            ("fd00::1", true),
            ("::1", false),
        ] {
            let access = &config.listen[0].access;
            assert_eq!(
                access.admits(address.parse().unwrap()),
                admitted,
                "{address}"
            );
        }
    }

    #[test]
    fn what_makes_no_sense_is_refused_with_what_would() {
        for (arguments, word) in [
            (&["--threads=0"][..], "1..=1024"),
            (&["--limit-connections=0"], "0 is not in"),
            // Without a finding allowed, the first would only be a gap.
            (&["--limit-findings=0"], "0 is not in"),
            (&["--tmpdir=/nonexistent"], "/nonexistent"),
            (&["--listen=svsp:127.0.0.1:1", "-6"], "cannot be used with"),
            (&["--listen=8081"], "svsp:127.0.0.1:8081"),
            (&["--listen=gopher:127.0.0.1:1"], "svsp"),
            (&["--limit-memory=12Q"], "K, M, G or T"),
            (&["--limit-memory=99999999999999T"], "K, M, G or T"),
            (&["--limit-deadline=-1"], "above 0"),
            (&["--limit-idle=0"], "above 0"),
            (&["--svsp-dial-from=0"], "from 1 to 65535"),
            (&["--policy=limit=never"], "infected"),
            (&["--user=no such user"], "no user 'no such user'"),
            (&["--allow=localhost"], "10.0.0.0/8"),
            (&["--deny=gopher:10.0.0.0/8"], "10.0.0.0/8"),
            (&["--vfdclam-socket-mode=888"], "such as 660"),
            (
                &["--vfdclam-socket=/c", "--vfdclam-socket-group=no such"],
                "no group 'no such'",
            ),
            (
                &["--listen=svsp:127.0.0.1:1", "--vfdclam-port=2"],
                "cannot be used with",
            ),
            (&["--log-format=syslog"], "journald:SOCKET"),
            (&["--nonsense"], "--nonsense"),
        ] {
            let error = daemon(arguments).unwrap_err();
            assert!(error.contains(word), "{arguments:?}: {error}");
        }
    }
}
