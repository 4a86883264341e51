//! The options of `vfindc` about what it shows and what it keeps.
#![forbid(unsafe_code)]

use std::io;
use std::path::PathBuf;

use anstream::{AutoStream, ColorChoice};
use clap::Args;

use crate::client::print::{Form, Setting, TEXT};
use crate::client::quarantine::Errand;

/// What is shown.
#[derive(Debug, Args)]
#[command(next_help_heading = "Output")]
pub(super) struct OutputFlags {
    #[command(flatten)]
    form: FormFlags,

    /// Say less. For people: findings and gaps only, without notes, summary and progress. Chevrons lose information at 1,
    /// notices at 2. The other forms are always complete
    #[arg(long, value_name = "N", num_args = 0..=1, require_equals = true, default_value_t = 0, default_missing_value = "1")]
    quiet: u8,

    /// Colours for people; auto obeys NO_COLOR and CLICOLOR_FORCE, and uses none where standard output is no terminal
    #[arg(long, value_name = "WHEN", value_enum, default_value_t = When::Auto)]
    color: When,
}

/// The forms for programs; without any of them, lines for people are printed.
#[derive(Debug, Args)]
#[group(multiple = false)]
struct FormFlags {
    /// Print one JSON record per line, and nothing else (docs/schema/verdict-1.json)
    #[arg(long)]
    json: bool,

    /// Print one XML document (docs/schema/verdict-1.xsd)
    #[arg(long)]
    xml: bool,

    /// Print SARIF 2.1.0, for code scanning dashboards
    #[arg(long)]
    sarif: bool,

    /// Print JUnit's XML, for build servers
    #[arg(long)]
    junit: bool,

    /// Print the lines of the original vfindc: ###==>
    #[arg(long)]
    chevrons: bool,
}

#[derive(Debug, Clone, Copy, clap::ValueEnum)]
enum When {
    Always,
    Auto,
    Never,
}

/// What is kept.
#[derive(Debug, Args)]
#[command(next_help_heading = "Quarantine")]
pub(super) struct QuarantineFlags {
    /// Move infected files into this folder, with a record to restore them from; it is made if it is not there. Only files
    /// whose contents vfindc sent itself can be moved
    #[arg(long, value_name = "DIR", conflicts_with = "localhost")]
    quarantine: Option<PathBuf>,

    /// Put this file of the quarantine back where it was, and exit; may be repeated
    #[arg(long, value_name = "NAME", requires = "quarantine", conflicts_with_all = ["paths", "list_quarantine"])]
    restore: Vec<String>,

    /// Print what is in the quarantine, and exit; with --json a record per line
    #[arg(long, requires = "quarantine", conflicts_with = "paths")]
    list_quarantine: bool,
}

impl OutputFlags {
    pub(super) fn resolve(&self) -> Setting {
        Setting {
            form: self.form.resolve(),
            quiet: self.quiet,
            colour: match self.color {
                When::Always => true,
                When::Auto => AutoStream::choice(&io::stdout()) != ColorChoice::Never,
                When::Never => false,
            },
        }
    }
}

impl FormFlags {
    fn resolve(&self) -> &'static Form {
        let asked = [
            (self.json, "json"),
            (self.xml, "xml"),
            (self.sarif, "sarif"),
            (self.junit, "junit"),
            (self.chevrons, "chevrons"),
        ];
        let name = asked.iter().find(|(asked, _)| *asked).map(|(_, name)| name);
        name.and_then(|name| Form::named(name)).unwrap_or(&TEXT)
    }
}

impl QuarantineFlags {
    /// The folder, and what is asked of it instead of a scan.
    pub(super) fn resolve(self, output: &Setting) -> (Option<PathBuf>, Option<Errand>) {
        let errand = if self.list_quarantine {
            let json = output.form.name == "json";
            Some(Errand::List { json })
        } else {
            (!self.restore.is_empty()).then_some(Errand::Restore(self.restore))
        };
        (self.quarantine, errand)
    }
}
