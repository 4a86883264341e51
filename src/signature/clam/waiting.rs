//! Kinds of files whose lines are all set aside: some wait for content that this version does not produce yet, the others
//! are for parts of ClamAV that this product does not have.
#![forbid(unsafe_code)]

use std::io::{self, BufRead};

use super::{Trouble, check_levels, check_range, fields, level, number, read_lines};
use crate::path::printable;
use crate::signature::{Aside, Format, Intake, Item, Until};

/// The row of one kind.
#[derive(Debug)]
pub struct Waiting {
    name: &'static str,
    extensions: &'static [&'static str],
    until: Until,
    reason: &'static str,
    /// Each line is one, else the whole file is.
    has_lines: bool,
    /// Checks a line.
    check: fn(&[u8]) -> Result<(), Trouble>,
}

/// `.cdb`: names, sizes and positions of members of archives.
pub static MEMBERS: Waiting = Waiting {
    name: "clam-cdb",
    extensions: &["cdb"],
    until: Until::Content,
    reason: "waits for members of archives",
    has_lines: true,
    check: member,
};

/// `.pwdb`: passwords of archives.
pub static PASSWORDS: Waiting = Waiting {
    name: "clam-pwdb",
    extensions: &["pwdb"],
    until: Until::Content,
    reason: "waits for passwords of archives",
    has_lines: true,
    check: password,
};

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
        until: Until::Never,
        reason,
        has_lines: true,
        check: anything,
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
                line: 1,
                until: self.until,
                reason: self.reason,
            }));
            return Ok(());
        }
        read_lines(text, source, out, |line| {
            (self.check)(line)?;
            Err(Trouble::Aside(self.until, self.reason))
        })
    }
}

fn anything(_line: &[u8]) -> Result<(), Trouble> {
    Ok(())
}

/// `Name:ContainerType:ContainerSize:FileNameRegex:SizeInContainer:RealSize:IsEncrypted:Position:Res1:Res2[:Min[:Max]]`.
/// The expression may have colons, so the fields behind it are counted from the end.
fn member(line: &[u8]) -> Result<(), Trouble> {
    let all: Vec<&[u8]> = fields(line, b':').take(13).collect();
    if all.len() < 10 {
        return Err(Trouble::wrong(
            "a line must have at least 10 fields, with colons between them",
        ));
    }
    let [name, kind, container, _, rest @ ..] = all.as_slice() else {
        return Ok(());
    };
    if name.is_empty() {
        return Err(Trouble::wrong("the name is empty"));
    }
    if *kind != b"*" && !kind.starts_with(b"CL_TYPE_") {
        return Err(format!("`{}` is no type of a container", printable(kind, 40)).into());
    }
    let [in_container, real, encrypted, position, _, _, levels @ ..] = rest else {
        return Ok(());
    };
    for field in [container, in_container, real, position] {
        if !is_range(field) {
            return Err(format!("`{}` is no number and no range", printable(field, 40)).into());
        }
    }
    if !matches!(*encrypted, b"*" | b"0" | b"1") {
        return Err(Trouble::wrong("IsEncrypted must be 0, 1 or *"));
    }
    check_levels(levels.iter().copied()).map(drop)
}

/// `*`, `n`, `n-`, `-n` or `n-m`.
fn is_range(field: &[u8]) -> bool {
    let mut ends = field.splitn(2, |byte| *byte == b'-');
    let is_end = |end: &[u8]| end.is_empty() || number(end).is_some();
    field == b"*" || !field.is_empty() && ends.all(is_end)
}

/// `Name;TargetDescriptionBlock;StorageType;Password`
fn password(line: &[u8]) -> Result<(), Trouble> {
    let mut fields = line.splitn(4, |byte| *byte == b';');
    let (Some(name), Some(block), Some(storage), Some(password)) =
        (fields.next(), fields.next(), fields.next(), fields.next())
    else {
        return Err(Trouble::wrong(
            "a line must be `Name;Engine…;StorageType;Password`",
        ));
    };
    if name.is_empty() {
        return Err(Trouble::wrong("the name is empty"));
    }
    if let Some(levels) = block
        .split(|byte| *byte == b',')
        .next()
        .and_then(|first| first.strip_prefix(b"Engine:"))
    {
        let mut ends = levels.splitn(2, |byte| *byte == b'-');
        let (Some(min), Some(max)) = (ends.next(), ends.next()) else {
            return Err(Trouble::wrong("`Engine` is no range"));
        };
        check_range(level(min)?, level(max)?)?;
    }
    let is_hex = password.len() % 2 == 0 && password.iter().all(u8::is_ascii_hexdigit);
    match storage {
        b"0" => Ok(()),
        b"1" if is_hex => Ok(()),
        b"1" => Err(Trouble::wrong("the password is not hexadecimal")),
        _ => Err(Trouble::wrong("the storage type must be 0 or 1")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::signature::Batch;

    #[test]
    fn lines_that_wait_are_checked() {
        let good = [
            (&MEMBERS, "A:CL_TYPE_ZIP:*:a\\.exe$:1-5:-9:0:1:*:*"),
            (&MEMBERS, "A:*:10-:a:b:c:*:*:*:7:*:*:81:255"),
            (
                &PASSWORDS,
                "A;Engine:81-255,Container:CL_TYPE_ZIP;0;in;fected",
            ),
            (&PASSWORDS, "A;Engine:81-255;1;616263"),
            (&TYPES, "0:0:4d5a:x:CL_TYPE_ANY:CL_TYPE_MSEXE"),
        ];
        for (row, line) in good {
            let mut batch = Batch::default();
            batch.read(row, line.as_bytes(), "x");
            if line.contains("b:c:") {
                // A colon in the expression moves the fields: such a line cannot be told from a wrong one.
                assert_eq!(batch.complaints().len(), 1, "{line}");
            } else {
                assert_eq!(batch.complaints(), [], "{line}");
                assert_eq!(batch.others().len(), 1, "{line}");
            }
        }
        let wrong = [
            (&MEMBERS, "A:CL_TYPE_ZIP:*:a:*"),
            (&MEMBERS, "A:ZIP:*:a:*:*:*:*:*:*"),
            (&MEMBERS, ":*:*:a:*:*:*:*:*:*"),
            (&MEMBERS, "A:*:x:a:*:*:*:*:*:*"),
            (&MEMBERS, "A:*:*:a:*:*:2:*:*:*"),
            (&PASSWORDS, "A;Engine:81-255;0"),
            (&PASSWORDS, "A;Engine:81-255;2;x"),
            (&PASSWORDS, "A;Engine:81-255;1;xyz"),
            (&PASSWORDS, "A;Engine:81;0;x"),
        ];
        for (row, line) in wrong {
            let mut batch = Batch::default();
            batch.read(row, line.as_bytes(), "x");
            assert_eq!(batch.complaints().len(), 1, "{line}");
            assert_eq!(batch.others(), [], "{line}");
        }
    }

    #[test]
    fn what_has_no_lines_is_one_and_the_rest_counts_each() {
        for (row, count) in [(&BYTECODE, 1), (&SETTINGS, 1), (&PHISHING, 3), (&ICONS, 3)] {
            let mut batch = Batch::default();
            batch.read(row, b"a\n#\n\nb\nc", "x");
            assert_eq!(batch.others().len(), count, "{row:?}");
        }
    }
}
