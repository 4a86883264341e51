//! Manual pages and shell completions, made from the same definitions that read the command line.
#![forbid(unsafe_code)]

use std::io::{self, Write};
use std::process::ExitCode;

use clap::{Args, Command, CommandFactory, ValueEnum};
use clap_complete::Shell;
use clap_mangen::Man;

use crate::verdict::Exit;

/// The option that all programs have.
#[derive(Debug, Args)]
pub(super) struct GenerateFlag {
    /// Print the manual page, or completions for a shell, and exit
    #[arg(long, value_name = "WHAT", value_enum, exclusive = true)]
    generate: Option<Generate>,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Generate {
    Bash,
    Fish,
    Man,
    Zsh,
}

/// Prints what a command line of `--generate` alone asks for, and gives the exit code.
pub(super) fn answer<F: CommandFactory>() -> Option<ExitCode> {
    let mut arguments = std::env::args_os();
    let program = arguments.next()?;
    let arguments: Vec<_> = arguments.collect();
    let asks =
        |argument: &std::ffi::OsString| argument.as_encoded_bytes().starts_with(b"--generate");
    if arguments.len() > 2 || !arguments.first().is_some_and(asks) {
        return None;
    }
    // What is wrong with it is told by whoever reads the whole command line.
    let matches = F::command()
        .try_get_matches_from(std::iter::once(program).chain(arguments))
        .ok()?;
    let what = *matches.get_one::<Generate>("generate")?;
    let text = generate(F::command(), what);
    let written = text.and_then(|text| io::stdout().write_all(&text));
    Some(match written {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => Exit::Error.into(),
    })
}

fn generate(mut command: Command, what: Generate) -> io::Result<Vec<u8>> {
    let shell = match what {
        Generate::Bash => Shell::Bash,
        Generate::Fish => Shell::Fish,
        Generate::Man => return manual(command),
        Generate::Zsh => Shell::Zsh,
    };
    let name = command.get_name().to_owned();
    let mut text = Vec::new();
    clap_complete::generate(shell, &mut command, name, &mut text);
    Ok(text)
}

/// What a manual page has beside the options.
struct Page {
    name: &'static str,
    section: &'static str,
    exits: &'static [(Exit, &'static str)],
    files: &'static [(&'static str, &'static str)],
    see_also: &'static str,
}

const CLEAN: (Exit, &str) = (
    Exit::Clean,
    "Nothing was found, and nothing is missing but what the policy passes.",
);
const LOST: (Exit, &str) = (Exit::NoServer, "No server, or it was lost.");
const MISSING: (Exit, &str) = (Exit::Incomplete, "Something was not examined.");
const FOUND: (Exit, &str) = (Exit::Infected, "Something was found.");
const WRONG: (Exit, &str) = (Exit::Error, "Wrong usage, or a general error.");

const TEMPORARY: (&str, &str) = (
    "$TMPDIR or /tmp",
    "Content that has to wait; it has no name there.",
);
const VERDICTS: (&str, &str) = (
    "docs/verdicts.md",
    "What is not examined, policies, limits.",
);
const SIGNATURES: (&str, &str) = (
    "docs/signatures/README.md",
    "The signature formats that are read.",
);

const PAGES: &[Page] = &[
    Page {
        name: "vfindd",
        section: "8",
        exits: &[(Exit::Clean, "It was told to end."), WRONG],
        files: &[
            TEMPORARY,
            (
                "docs/protocols/svsp.md",
                "The protocol, and what differs from the original's.",
            ),
            VERDICTS,
            SIGNATURES,
        ],
        see_also: "vfindc(1), vfind(1)",
    },
    Page {
        name: "vfindc",
        section: "1",
        exits: &[CLEAN, LOST, MISSING, FOUND, WRONG],
        files: &[
            (
                "DIR/NAME",
                "With --quarantine=DIR: an infected file, of mode 0600.",
            ),
            (
                "DIR/NAME.json",
                "Where it was, its owner, mode and time, and what was found.",
            ),
            (
                "docs/vfindc-output.md",
                "The forms of output, with examples.",
            ),
            (
                "docs/schema/verdict-1.json, docs/schema/verdict-1.xsd",
                "The records in JSON and XML.",
            ),
        ],
        see_also: "vfind(1), vfindd(8)",
    },
    Page {
        name: "vfind",
        section: "1",
        exits: &[CLEAN, MISSING, FOUND, WRONG],
        files: &[TEMPORARY, VERDICTS, SIGNATURES],
        see_also: "vfindc(1), vfindd(8)",
    },
];

/// The manual page; without the further sections for a program that has no row.
fn manual(command: Command) -> io::Result<Vec<u8>> {
    let page = PAGES.iter().find(|page| page.name == command.get_name());
    let section = page.map_or("1", |page| page.section);
    // The exit codes have a section of their own.
    let man = Man::new(command.after_help("")).section(section);
    let mut out = Vec::new();
    man.render_title(&mut out)?;
    man.render_name_section(&mut out)?;
    man.render_synopsis_section(&mut out)?;
    man.render_description_section(&mut out)?;
    man.render_options_section(&mut out)?;
    let Some(page) = page else {
        return Ok(out);
    };
    writeln!(out, ".SH \"EXIT STATUS\"")?;
    for (exit, meaning) in page.exits {
        writeln!(out, ".TP\n{}\n{}", exit.code(), roff(meaning))?;
    }
    writeln!(out, ".SH FILES")?;
    for (file, meaning) in page.files {
        writeln!(out, ".TP\n{}\n{}", roff(file), roff(meaning))?;
    }
    writeln!(out, ".SH \"SEE ALSO\"\n{}", roff(page.see_also))?;
    Ok(out)
}

/// Our own words in the language of manual pages: none of them begins with a dot, and none has a backslash.
fn roff(text: &str) -> String {
    text.replace('-', "\\-")
}
