//! Options of the original's vfindd(1) and vfind(1) that these programs do not have, each with the reason.
//!
//! They stand in no help, but a script that passes one is told why, instead of that there is no such option.
#![forbid(unsafe_code)]

/// One of the programs whose options the original defines.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Program {
    /// The daemon.
    Vfindd,
    /// The command line scanner.
    Vfind,
}

impl Program {
    /// As users call it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Vfindd => "vfindd",
            Self::Vfind => "vfind",
        }
    }
}

/// Options that are refused for the same reason.
#[derive(Debug)]
pub struct Refused {
    /// As written, without a value.
    pub options: &'static [&'static str],
    /// The programs that the original has them in.
    pub programs: &'static [Program],
    /// They take a value, written with `=`.
    pub takes_value: bool,
    /// Why, and what to do instead.
    pub reason: &'static str,
}

const BOTH: &[Program] = &[Program::Vfindd, Program::Vfind];
const DAEMON: &[Program] = &[Program::Vfindd];
const SCANNER: &[Program] = &[Program::Vfind];

const EMULATOR: &str = "the emulator that unpacks packed programs has no options; --disable-expand=program leaves it out";
const MAIL: &str =
    "mail is scanned by whoever takes it, such as amavisd-new, through vfind or the SVSP port";
const CODED: &str = "the format is CyberSoft's own and not public; plain CVDL is loaded with --vdl";
const TYPES: &str =
    "SmartScan is not read or written; the kind of each content is told by its bytes";
const LIBRARIES: &str =
    "there are no virus libraries to switch; single signatures are left out with --noload";
const UNKNOWN: &str = "what it does is not public";

/// All of them.
pub static REFUSED: &[Refused] = &[
    flags(
        &["--trig-count"],
        BOTH,
        "it counts in an engine that this one is not; --vlist lists what is loaded",
    ),
    flags(
        &["-i", "--ignore-eof"],
        BOTH,
        "all files are read to their end, whatever is in them",
    ),
    flags(
        &["--keep-tmpfiles"],
        BOTH,
        "temporary files have no name, so nothing of them can be kept",
    ),
    flags(&["--emu-help"], BOTH, EMULATOR),
    values(&["--emu", "--emu-config"], BOTH, EMULATOR),
    values(
        &["--jadevdl"],
        BOTH,
        "rules for Java and ActiveX are in a format that is not public; plain CVDL is loaded with --vdl",
    ),
    values(
        &["--cbayes"],
        BOTH,
        "mail is not judged by statistics, only by signatures",
    ),
    values(&["--liboff", "--libon"], BOTH, LIBRARIES),
    flags(
        &[
            "-sst",
            "--smartscan-types",
            "-nosst",
            "--no-smartscan-types",
        ],
        BOTH,
        TYPES,
    ),
    flags(&["-ssr", "--smartscan-read"], SCANNER, TYPES),
    values(&["--vdlc", "--vdle", "--vdlE", "--vdlm"], BOTH, CODED),
    values(&["--vdl0"], SCANNER, CODED),
    values(&["-#", "--#"], BOTH, UNKNOWN),
    values(
        &["--smtp-in-port", "--smtp-out-port", "--smtp-out-host"],
        DAEMON,
        MAIL,
    ),
    flags(&["--end", "--quit"], SCANNER, UNKNOWN),
    flags(&["-p", "--per-file"], SCANNER, UNKNOWN),
    flags(
        &["--force-scan"],
        SCANNER,
        "every file is scanned, whatever its type, so that nothing needs forcing",
    ),
    values(
        &["--speed"],
        SCANNER,
        "there is one form of tables, the fast one",
    ),
    values(
        &["--uad"],
        SCANNER,
        "containers are opened by vfind itself; --limit-depth and the other limits bound it",
    ),
];

const fn flags(
    options: &'static [&'static str],
    programs: &'static [Program],
    reason: &'static str,
) -> Refused {
    Refused {
        options,
        programs,
        takes_value: false,
        reason,
    }
}

const fn values(
    options: &'static [&'static str],
    programs: &'static [Program],
    reason: &'static str,
) -> Refused {
    Refused {
        takes_value: true,
        ..flags(options, programs, reason)
    }
}

/// What to say about this argument of `program`, if it is a refused option.
pub(super) fn refusal(program: Program, argument: &str) -> Option<String> {
    let (name, value) = match argument.split_once('=') {
        Some((name, _)) => (name, true),
        None => (argument, false),
    };
    let row = REFUSED.iter().find(|row| {
        // A value of its own shows with the next argument; a value for none is a mistake of its own.
        row.programs.contains(&program)
            && row.options.contains(&name)
            && (row.takes_value || !value)
    })?;
    Some(format!("{name} is not supported: {}", row.reason))
}
