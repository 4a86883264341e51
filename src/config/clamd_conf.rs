//! From a clamd.conf to a configuration file of ours.
//!
//! Source: clamd.conf(5) of ClamAV 1.4.6. What has no counterpart is said, line by line: nobody is to believe that a setting
//! still holds.
#![forbid(unsafe_code)]

use std::fmt::Write;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};

/// What a setting is here.
#[derive(Debug, Clone, Copy)]
enum Counterpart {
    /// A name of a file, user or group, or permissions.
    Text(&'static str),
    /// A folder of signatures.
    Database,
    /// A whole number; 0 is clamd's word for no limit.
    Number(&'static str),
    /// A size; 0 as above.
    Size(&'static str),
    /// Milliseconds, of which the option takes seconds; 0 as above.
    Milliseconds(&'static str),
    /// An option without a value, for `yes` or a number above 0.
    On(&'static str),
    /// A rule for the policy, for `yes`.
    Policy(&'static str),
    /// Kinds that are not opened, for `no`.
    Closed(&'static str),
    /// It is so in any case, or says nothing about what is scanned and answered.
    Needless,
}

use Counterpart::{Closed, Database, Milliseconds, Needless, Number, On, Policy, Size, Text};

const COUNTERPARTS: &[(&str, Counterpart)] = &[
    ("LocalSocket", Text("vfdclam-socket")),
    ("LocalSocketGroup", Text("vfdclam-socket-group")),
    ("LocalSocketMode", Text("vfdclam-socket-mode")),
    ("DatabaseDirectory", Database),
    ("TemporaryDirectory", Text("tmpdir")),
    ("PidFile", Text("pidfile")),
    ("User", Text("user")),
    ("MaxThreads", Number("threads")),
    ("ReadTimeout", Number("limit-idle")),
    ("MaxRecursion", Number("limit-depth")),
    ("MaxFiles", Number("limit-members")),
    ("MaxScanSize", Size("limit-expanded")),
    ("MaxScanTime", Milliseconds("limit-deadline")),
    ("FollowDirectorySymlinks", On("follow-symlinks")),
    ("FollowFileSymlinks", On("follow-symlinks")),
    ("SelfCheck", On("watch")),
    ("AlertEncrypted", Policy("encrypted=infected")),
    ("AlertExceedsMax", Policy("limit=infected")),
    ("ScanMail", Closed("text")),
    ("ScanOLE2", Closed("ole2")),
    ("ScanOneNote", Closed("onenote")),
    ("ScanPDF", Closed("pdf")),
    ("ScanSWF", Closed("swf")),
    ("AllowAllMatchScan", Needless),
    ("ConcurrentDatabaseReload", Needless),
    ("FixStaleSocket", Needless),
    ("Foreground", Needless),
    ("LeaveTemporaryFiles", Needless),
    ("LogFileUnlock", Needless),
    ("LogTime", Needless),
];

/// Where clamd listens if it has a port and no address. Those of IPv4 are among them.
const EVERYWHERE: IpAddr = IpAddr::V6(Ipv6Addr::UNSPECIFIED);

/// What has been read so far.
#[derive(Debug, Default)]
struct Draft {
    /// Options and their values in TOML; the last one of an option holds.
    options: Vec<(&'static str, String)>,
    databases: Vec<String>,
    closed: Vec<String>,
    policy: Vec<String>,
    port: Option<u16>,
    addresses: Vec<IpAddr>,
    /// Settings without counterpart.
    left: Vec<String>,
}

/// A configuration file that says what this clamd.conf says. What has no counterpart stands at its end, as a comment.
pub(super) fn import(text: &str) -> String {
    let mut draft = Draft::default();
    for (number, line) in text.lines().enumerate() {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let (name, value) = line.split_once(char::is_whitespace).unwrap_or((line, ""));
        let value = value.trim().trim_matches('"');
        if draft.take(name, value).is_none() {
            // One line is one comment, whatever is in it.
            let line: String = line.chars().filter(|c| !c.is_control()).collect();
            draft.left.push(format!("line {}: {line}", number + 1));
        }
    }
    draft.toml()
}

impl Draft {
    /// Takes one setting; `None` if it has no counterpart.
    fn take(&mut self, name: &str, value: &str) -> Option<()> {
        match name {
            "TCPSocket" => self.port = Some(value.parse().ok()?),
            "TCPAddr" if value == "localhost" => self.addresses.push([127, 0, 0, 1].into()),
            // Names are looked up nowhere here.
            "TCPAddr" => self.addresses.push(value.parse().ok()?),
            _ => {
                let (_, counterpart) = COUNTERPARTS.iter().find(|(one, _)| *one == name)?;
                return self.set(*counterpart, value);
            }
        }
        Some(())
    }

    fn set(&mut self, counterpart: Counterpart, value: &str) -> Option<()> {
        let number = || value.parse::<u64>().ok().filter(|number| *number > 0);
        let is_yes = ["yes", "true", "1"].contains(&value.to_ascii_lowercase().as_str());
        match counterpart {
            Text(option) => self.options.push((option, quoted(value))),
            Database => self.databases.push(quoted(value)),
            Number(option) => self.options.push((option, number()?.to_string())),
            Size(option) => {
                let digits = value.trim_end_matches(|c: char| c.is_ascii_alphabetic());
                digits.parse::<u64>().ok().filter(|size| *size > 0)?;
                self.options.push((option, quoted(value)));
            }
            Milliseconds(option) => {
                let seconds = number()?.div_ceil(1000);
                self.options.push((option, seconds.to_string()));
            }
            On(option) if is_yes || number().is_some() => {
                self.options.push((option, "true".to_owned()));
            }
            Policy(rule) if is_yes => self.policy.push(quoted(rule)),
            Closed(kind) if !is_yes => self.closed.push(quoted(kind)),
            On(_) | Policy(_) | Closed(_) | Needless => {}
        }
        Some(())
    }

    /// SVSP stays where it is without options.
    fn listen(&self) -> Vec<String> {
        let Some(port) = self.port else {
            return Vec::new();
        };
        let addresses = match self.addresses.as_slice() {
            [] => &[EVERYWHERE],
            some => some,
        };
        let clamd = addresses
            .iter()
            .map(|address| quoted(&format!("clamd:{}", SocketAddr::new(*address, port))));
        std::iter::once(quoted("svsp:127.0.0.1:8081"))
            .chain(clamd)
            .collect()
    }

    fn toml(&self) -> String {
        let mut text = String::from(
            "# From a clamd.conf, by vfindd --import-clamd-conf. A limit that is reached is an error here, and not OK.\n",
        );
        let mut line = |name: &str, value: &str| {
            // Writing into a string does not fail.
            let _ = writeln!(text, "{name} = {value}");
        };
        for (at, (name, value)) in self.options.iter().enumerate() {
            let later = self.options.get(at + 1..).unwrap_or_default();
            if !later.iter().any(|(other, _)| other == name) {
                line(name, value);
            }
        }
        for (name, values) in [
            ("listen", &self.listen()),
            ("database", &self.databases),
            ("disable-expand", &self.closed),
        ] {
            if !values.is_empty() {
                line(name, &format!("[{}]", values.join(", ")));
            }
        }
        if !self.policy.is_empty() {
            text.push_str("\n[clamd]\n");
            let _ = writeln!(text, "policy = [{}]", self.policy.join(", "));
        }
        if !self.left.is_empty() {
            text.push_str("\n# Without counterpart:\n");
        }
        for left in &self.left {
            let _ = writeln!(text, "# {left}");
        }
        text
    }
}

fn quoted(text: &str) -> String {
    toml::Value::String(text.to_owned()).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_setting_has_its_option_or_is_said() {
        let rows = [
            ("LocalSocket /run/c", "vfdclam-socket = \"/run/c\""),
            ("LocalSocket \"/run/a b\"", "vfdclam-socket = \"/run/a b\""),
            ("LocalSocketMode 666", "vfdclam-socket-mode = \"666\""),
            ("PidFile /a\nPidFile /b", "pidfile = \"/b\""),
            ("DatabaseDirectory /a", "database = [\"/a\"]"),
            ("MaxThreads\t12", "threads = 12"),
            ("MaxScanSize 100M", "limit-expanded = \"100M\""),
            (
                "MaxScanSize 0",
                "\n# Without counterpart:\n# line 1: MaxScanSize 0",
            ),
            ("MaxScanTime 120500", "limit-deadline = 121"),
            ("SelfCheck 3600", "watch = true"),
            ("SelfCheck 0", ""),
            (
                "AlertEncrypted yes",
                "\n[clamd]\npolicy = [\"encrypted=infected\"]",
            ),
            ("AlertEncrypted no", ""),
            ("ScanPDF false", "disable-expand = [\"pdf\"]"),
            ("ScanPDF true", ""),
            ("Foreground yes", ""),
            ("# LocalSocket /run/c\n\n", ""),
            (
                "TCPSocket 3310",
                "listen = [\"svsp:127.0.0.1:8081\", \"clamd:[::]:3310\"]",
            ),
            (
                "TCPAddr localhost\nTCPSocket 1\nTCPAddr ::1",
                "listen = [\"svsp:127.0.0.1:8081\", \"clamd:127.0.0.1:1\", \"clamd:[::1]:1\"]",
            ),
            ("TCPAddr ::1", ""),
            (
                "\n VirusEvent /bin/x %v\nNoSuchThing",
                "\n# Without counterpart:\n# line 2: VirusEvent /bin/x %v\n# line 3: NoSuchThing",
            ),
        ];
        for (setting, expected) in rows {
            let text = import(setting);
            let (_, rest) = text.split_once('\n').unwrap();
            assert_eq!(rest.trim_end(), expected.trim_end(), "{setting}");
        }
    }
}
