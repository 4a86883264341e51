//! The options of `vfindd` for those who speak clamd's protocol.
#![forbid(unsafe_code)]

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use clap::Args;

use crate::gateway::clamd::Terms;
use crate::server::Commanders;
use crate::user;

/// Where clamd's protocol is spoken, and how, as written.
#[derive(Debug, Args)]
#[command(next_help_heading = "clamd's protocol")]
pub(super) struct ClamdFlags {
    /// Speak clamd's protocol at this port too; clamd's own is 3310
    #[arg(long, value_name = "PORT")]
    pub(super) vfdclam_port: Option<u16>,

    /// Speak clamd's protocol at this socket of the file system too
    #[arg(long, value_name = "SOCKET")]
    vfdclam_socket: Option<PathBuf>,

    /// Permissions of that socket: who may write may connect
    #[arg(long, value_name = "MODE", default_value_t = Mode(0o660))]
    vfdclam_socket_mode: Mode,

    /// Group of that socket
    #[arg(long, value_name = "GROUP")]
    vfdclam_socket_group: Option<String>,

    /// Who may send RELOAD and SHUTDOWN: root and this user over a socket of the file system, all who may connect, or nobody
    #[arg(long, value_enum, default_value_t = CommandersFlag::Owner)]
    vfdclam_commands: CommandersFlag,

    /// Take what is sent for mail: open mails and encoded text, whatever --expand and --disable-expand say
    #[arg(long)]
    vfdclam_mailscan: bool,

    /// Send names of signatures without the .UNOFFICIAL that clamd puts behind them
    #[arg(long)]
    vfdclam_plain_names: bool,
}

#[derive(Debug, Clone, Copy, clap::ValueEnum)]
enum CommandersFlag {
    Owner,
    All,
    None,
}

/// Permissions, written as octal digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Mode(u32);

impl FromStr for Mode {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let mode = u32::from_str_radix(text, 8)
            .ok()
            .filter(|mode| *mode <= 0o777);
        mode.map(Self)
            .ok_or_else(|| format!("'{text}' are no permissions, such as 660"))
    }
}

impl fmt::Display for Mode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:o}", self.0)
    }
}

/// A socket to be made in the file system.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SocketFile {
    /// Where.
    pub path: PathBuf,
    /// Its permissions.
    pub mode: u32,
    /// Its group, if it is to have another one than the daemon.
    pub group: Option<u32>,
}

impl ClamdFlags {
    /// The socket, if there is to be one.
    pub(super) fn socket(&self) -> Result<Option<SocketFile>, String> {
        let Some(path) = &self.vfdclam_socket else {
            return Ok(None);
        };
        let group = self.vfdclam_socket_group.as_deref();
        let group = group.map(user::group).transpose();
        Ok(Some(SocketFile {
            path: path.clone(),
            mode: self.vfdclam_socket_mode.0,
            group: group.map_err(|problem| format!("--vfdclam-socket-group: {problem}"))?,
        }))
    }

    /// How it is spoken.
    pub(super) fn terms(&self) -> Terms {
        Terms {
            mail: self.vfdclam_mailscan,
            unofficial: !self.vfdclam_plain_names,
        }
    }

    /// Who may order things.
    pub(super) fn commanders(&self) -> Commanders {
        match self.vfdclam_commands {
            CommandersFlag::Owner => Commanders::Owner,
            CommandersFlag::All => Commanders::All,
            CommandersFlag::None => Commanders::None,
        }
    }
}
