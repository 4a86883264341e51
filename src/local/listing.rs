//! What the original says of its VDL files when it loads them: types, versions, and the name of each rule.
//!
//! A database does not keep that, so the files are read once more. They are written by people, and small.
#![forbid(unsafe_code)]

use crate::chevron::{SCANNER, Weight};
use crate::database::sources::Source;
use crate::database::{Generation, read_again};
use crate::signature::cvdl::{Cvdl, Strict};
use crate::signature::rule::TypeList;
use crate::signature::{Format, Intake, Item, RemarkKind};

/// Rules that are named; of more, the number is said. Gateways read only so much of what a scanner prints.
const NAMED: u64 = 1000;

/// The lines about all CVDL files of a database; `quiet` as for everything else.
pub(super) fn lines(current: &Generation, quiet: u8) -> Vec<u8> {
    let mut listing = Listing {
        out: Vec::new(),
        current,
        quiet,
        source: String::new(),
        named: 0,
    };
    if quiet < 2 {
        let sources = current.report.sources.iter().map(|one| &one.source);
        for source in sources.filter(|source| is_listed(source)) {
            listing.source = source.name();
            let text = format!("Loading VDL code from: {}", listing.source);
            listing.say(Weight::Notice, &text);
            // It was there a moment ago. If it is gone now there is nothing to tell of it.
            let _ = read_again(source, &mut listing);
        }
    }
    if let Some(more @ 1..) = listing.named.checked_sub(NAMED) {
        listing.say(
            Weight::Information,
            &format!("{more} more VDL models loaded."),
        );
    }
    listing.out
}

fn is_listed(source: &Source) -> bool {
    source.path().is_some() && [Cvdl.name(), Strict.name()].contains(&source.format.as_str())
}

struct Listing<'g> {
    out: Vec<u8>,
    current: &'g Generation,
    quiet: u8,
    source: String,
    named: u64,
}

impl Listing<'_> {
    fn say(&mut self, weight: Weight, text: &str) {
        if weight != Weight::Information || self.quiet < 1 {
            SCANNER.text(weight, text, &mut self.out);
        }
    }

    fn types(&mut self, types: &TypeList) {
        let (all, each) = match types.excluded || types.words.is_empty() {
            true => ("enabled", "disabled"),
            false => ("disabled", "enabled"),
        };
        self.say(Weight::Notice, &format!("All SmartScan file types {all}."));
        for word in &types.words {
            let text = format!("SmartScan file type `*{word}*' {each}.");
            self.say(Weight::Notice, &text);
        }
    }
}

impl Intake for Listing<'_> {
    fn take(&mut self, item: Item) {
        match item {
            Item::Remark(remark) => match remark.kind {
                RemarkKind::FileVersion(version) => {
                    let text = format!("VDL file `{}' Version: {version}", self.source);
                    self.say(Weight::Notice, &text);
                }
                RemarkKind::RuleVersion { name, version } => {
                    let text = format!("VDL `{name}' Version: {version}");
                    self.say(Weight::Information, &text);
                }
                RemarkKind::Types(types) => self.types(&types),
                RemarkKind::Warning(_) => {}
            },
            Item::Signature(signature) if self.current.database.knows(&signature.name) => {
                self.named += 1;
                if self.named <= NAMED {
                    let text = format!("VDL model for `{}' loaded.", signature.name.name);
                    self.say(Weight::Information, &text);
                }
            }
            _ => {}
        }
    }
}
