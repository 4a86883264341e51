//! The command line of `vfindd`.
#![forbid(unsafe_code)]

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;

use super::{CommonConfig, CommonFlags, read, seconds, usage};
use crate::gateway::{GATEWAYS, Gateway};
use crate::pool::Isolation;
use crate::server::Times;

/// Options of `vfindd` as written.
#[derive(Debug, Parser)]
#[command(
    name = "vfindd",
    version,
    about = "Scans files for programs that ask over TCP (SVSP, port 8081)"
)]
#[command(disable_version_flag = true, max_term_width = 100)]
pub struct DaemonFlags {
    /// Listen at this address instead: PROTOCOL:ADDRESS:PORT, such as svsp:0.0.0.0:8081; may be repeated
    #[arg(long, value_name = "PROTOCOL:ADDRESS:PORT", conflicts_with_all = ["svsp_port", "localhost", "ipv4", "ipv6"])]
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

    /// Connections at the same time
    #[arg(long, value_name = "N", default_value_t = 50_000, value_parser = clap::value_parser!(u32).range(1..))]
    limit_connections: u32,

    /// Seconds for a data connection (SCAN/REQUEST, SCAN/PORT) to come about
    #[arg(long, value_name = "SECONDS", default_value = "30", value_parser = seconds)]
    limit_accept: Duration,

    /// Seconds without a byte after which content that a client sends is given up
    #[arg(long, value_name = "SECONDS", default_value = "60", value_parser = seconds)]
    limit_idle: Duration,

    /// The lowest port of a client that SCAN/PORT connects to, or off
    #[arg(long, value_name = "PORT|off", default_value = "1024", value_parser = dial_from)]
    svsp_dial_from: DialFrom,

    #[command(flatten)]
    common: CommonFlags,
}

#[derive(Debug, Clone, Copy, clap::ValueEnum)]
enum IsolationFlag {
    Process,
    Thread,
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
    /// Where to listen, and what is spoken there.
    pub listen: Vec<(&'static Gateway, SocketAddr)>,
    /// Connections at the same time.
    pub connections: usize,
    /// How long content that clients send is waited for.
    pub times: Times,
    /// Bytes of temporary files for it.
    pub upload_spool: u64,
    /// The lowest port of a client that is connected to; `None` for never.
    pub dial_from: Option<u16>,
    /// What is shared with `vfind`.
    pub common: CommonConfig,
}

impl DaemonFlags {
    /// Reads the command line; on a wrong one, or one that only asks for help, prints and gives the exit code.
    ///
    /// # Errors
    /// The code to exit with.
    pub fn read() -> Result<DaemonConfig, ExitCode> {
        read::<Self>()?.resolve().map_err(usage::<Self>)
    }

    fn resolve(self) -> Result<DaemonConfig, String> {
        let mut listen = Vec::new();
        for text in &self.listen {
            listen.push(listen_address(text)?);
        }
        if listen.is_empty() {
            let ip = if self.ipv6 {
                IpAddr::V6(Ipv6Addr::LOCALHOST)
            } else {
                IpAddr::V4(Ipv4Addr::LOCALHOST)
            };
            listen.extend(
                GATEWAYS
                    .iter()
                    .map(|gateway| (gateway, SocketAddr::new(ip, self.svsp_port))),
            );
        }
        let isolation = match self.isolation {
            IsolationFlag::Process => Isolation::Process,
            IsolationFlag::Thread => Isolation::Thread,
        };
        Ok(DaemonConfig {
            listen,
            connections: self.limit_connections as usize,
            times: Times {
                connect: self.limit_accept,
                idle: self.limit_idle,
            },
            upload_spool: self.common.limits.spool() / 2,
            dial_from: self.svsp_dial_from.0,
            common: self.common.resolve(isolation)?,
        })
    }
}

fn listen_address(text: &str) -> Result<(&'static Gateway, SocketAddr), String> {
    let problem = || {
        format!(
            "--listen={text}: expected PROTOCOL:ADDRESS:PORT with an IP address, such as svsp:127.0.0.1:8081"
        )
    };
    let (protocol, address) = text.split_once(':').ok_or_else(problem)?;
    let gateway = GATEWAYS.iter().find(|gateway| gateway.name == protocol);
    let gateway = gateway.ok_or_else(|| {
        let names: Vec<_> = GATEWAYS.iter().map(|gateway| gateway.name).collect();
        format!(
            "--listen={text}: no protocol is called '{protocol}': {}",
            names.join(", ")
        )
    })?;
    Ok((gateway, address.parse().map_err(|_| problem())?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::Reason;
    use crate::policy::{Action, Listener};

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
            .map(|(g, a)| (g.name, a.to_string()))
            .collect();
        assert_eq!(listen, [("svsp", "127.0.0.1:8081".to_owned())]);
        assert!(config.common.sources.builtin && config.common.threads > 0);
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
        assert_eq!(config.listen[0].1.to_string(), "[::1]:9");
        let limits = &config.common.terms.setup.limits;
        assert_eq!((limits.memory, limits.spool), (1 << 30, 256 << 20));
        let reason = Reason::Limit(crate::event::Limit::Depth);
        assert_eq!(
            config.common.policy(Listener::Svsp).action(&reason),
            Action::Pass
        );
        let two = daemon(&["--listen=svsp:0.0.0.0:1", "--listen=svsp:[::]:2"]).unwrap();
        assert_eq!(two.listen.len(), 2);
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
            (&["--nonsense"], "--nonsense"),
        ] {
            let error = daemon(arguments).unwrap_err();
            assert!(error.contains(word), "{arguments:?}: {error}");
        }
    }
}
