//! Kinds of files whose lines are all set aside: they are for parts of ClamAV that this product does not have.
#![forbid(unsafe_code)]

use std::io::{self, BufRead};

use super::{Trouble, read_lines};
use crate::signature::{Aside, Format, Intake, Item, Until};

/// The row of one kind.
#[derive(Debug)]
pub struct Waiting {
    name: &'static str,
    extensions: &'static [&'static str],
    reason: &'static str,
    /// Each line is one, else the whole file is.
    has_lines: bool,
}

/// `.ftm`: how types are told.
pub static TYPES: Waiting = lines("clam-ftm", &["ftm"], "types of files");

/// `.crb`: certificates that are trusted, or not any more.
pub static CERTIFICATES: Waiting = lines("clam-crb", &["crb"], "certificate");

/// `.cat`: catalogues of certificates.
pub static CATALOGUES: Waiting = whole("clam-cat", &["cat"], "certificate");

/// `.pdb`, `.gdb` and `.wdb`: addresses in mails.
pub static PHISHING: Waiting = lines("clam-pdb", &["pdb", "gdb", "wdb"], "phishing");

/// `.idb`: icons of programs.
pub static ICONS: Waiting = lines("clam-idb", &["idb"], "icon");

/// `.imp`: tables of imports of programs.
pub static IMPORTS: Waiting = lines("clam-imp", &["imp"], "import table");

/// `.zmd` and `.rmd`: members of zip and rar archives, older than `.cdb`.
pub static OLD_MEMBERS: Waiting = lines(
    "clam-zmd",
    &["zmd", "rmd"],
    "older form of members of archives",
);

/// `.cbc`: programs for ClamAV's own machine.
pub static BYTECODE: Waiting = whole("clam-cbc", &["cbc"], "bytecode");

/// `.cfg`: which parts of ClamAV are switched on.
pub static SETTINGS: Waiting = whole("clam-cfg", &["cfg"], "ClamAV's settings");

/// `.info`: digests of the other files of a container.
pub static INFORMATION: Waiting = whole("clam-info", &["info"], "list of files");

/// `.sdb`: what only older versions knew.
pub static OBSOLETE: Waiting = lines("clam-sdb", &["sdb"], "obsolete");

/// `.ioc`: descriptions of attacks in XML.
pub static INDICATORS: Waiting = whole("clam-ioc", &["ioc"], "OpenIOC");

/// `.sign`: signatures of containers, beside them.
pub static SIGNATURES: Waiting = whole("clam-sign", &["sign"], "digital signature not checked");

/// `.cdiff`: steps from one version of a container to the next.
pub static STEPS: Waiting = whole(
    "clam-cdiff",
    &["cdiff"],
    "difference between two containers",
);

/// Signatures of unwanted programs inside of containers; files of their own are loaded.
pub(super) static UNWANTED: Waiting = lines("clam-pua", &[], "potentially unwanted");

const fn lines(
    name: &'static str,
    extensions: &'static [&'static str],
    reason: &'static str,
) -> Waiting {
    Waiting {
        name,
        extensions,
        reason,
        has_lines: true,
    }
}

const fn whole(
    name: &'static str,
    extensions: &'static [&'static str],
    reason: &'static str,
) -> Waiting {
    Waiting {
        has_lines: false,
        ..lines(name, extensions, reason)
    }
}

impl Format for Waiting {
    fn name(&self) -> &'static str {
        self.name
    }

    fn extensions(&self) -> &'static [&'static str] {
        self.extensions
    }

    fn parse(&self, text: &mut dyn BufRead, source: &str, out: &mut dyn Intake) -> io::Result<()> {
        if !self.has_lines {
            out.take(Item::Aside(Aside {
                file: source.to_owned(),
                line: 0,
                name: String::new(),
                until: Until::Never,
                reason: self.reason,
            }));
            return Ok(());
        }
        read_lines(text, source, out, |_| Err(Trouble::never(self.reason)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::signature::Batch;

    #[test]
    fn what_has_no_lines_is_one_and_the_rest_counts_each() {
        for (row, count) in [(&BYTECODE, 1), (&SETTINGS, 1), (&PHISHING, 3), (&ICONS, 3)] {
            let mut batch = Batch::default();
            batch.read(row, b"a\n#\n\nb\nc", "x");
            assert_eq!(batch.others().len(), count, "{row:?}");
        }
    }
}
