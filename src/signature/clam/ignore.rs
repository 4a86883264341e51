//! Names of signatures that are not used: `.ign2` (`Name[:MD5 of its line]`) and the older `.ign` (`File:Line:Name`).
#![forbid(unsafe_code)]

use std::io::{self, BufRead};

use super::{Trouble, fields, read_lines};
use crate::event::EngineWord;
use crate::signature::{Format, Intake, Item, named};

/// The word that `clamscan` puts behind the names of what is not from ClamAV itself. It is no part of the name.
const UNOFFICIAL: &[u8] = b".UNOFFICIAL";

/// The row of `.ign` and `.ign2`.
#[derive(Debug)]
pub struct IgnoredNames;

impl Format for IgnoredNames {
    fn name(&self) -> &'static str {
        "clam-ign"
    }

    fn extensions(&self) -> &'static [&'static str] {
        &["ign", "ign2"]
    }

    fn parse(&self, text: &mut dyn BufRead, source: &str, out: &mut dyn Intake) -> io::Result<()> {
        read_lines(text, source, out, ignored)
    }
}

fn ignored(line: &[u8]) -> Result<Item, Trouble> {
    let mut fields = fields(line, b':');
    let name = match (fields.next(), fields.next(), fields.next(), fields.next()) {
        (Some(name), None, ..) => name,
        // The file and the line are those of a database long gone.
        (Some(_), Some(_), Some(name), None) => name,
        (Some(_), Some(digest), None, _) => {
            let is_digest = digest.len() == 32 && digest.iter().all(u8::is_ascii_hexdigit);
            return match is_digest {
                // The line that it is of may have changed since, and then the signature counts again.
                true => Err(Trouble::never(
                    "ignored as long as its line does not change",
                )),
                false => Err(Trouble::wrong(
                    "behind the colon must be an MD5 of 32 digits",
                )),
            };
        }
        _ => {
            return Err(Trouble::wrong(
                "a line must be `Name`, `Name:MD5` or `File:Line:Name`",
            ));
        }
    };
    let name = name.strip_suffix(UNOFFICIAL).unwrap_or(name);
    Ok(Item::Ignored(named(EngineWord::Clam, name)?.name))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::signature::{Batch, Until};

    #[test]
    fn every_form_of_a_line() {
        let name = |name: &str| Ok(Item::Ignored(name.to_owned()));
        let digest = "aa15bcf478d165efd2065190eb473bcb";
        let aside = Trouble::Aside(Until::Never, "ignored as long as its line does not change");
        let rows = [
            ("Bad".to_owned(), name("Bad")),
            ("Bad.UNOFFICIAL".to_owned(), name("Bad")),
            ("main.db:12:Bad".to_owned(), name("Bad")),
            (format!("Bad:{digest}"), Err(aside)),
        ];
        for (line, expected) in rows {
            assert_eq!(ignored(line.as_bytes()), expected, "{line}");
        }
        let mut batch = Batch::default();
        batch.read(
            &IgnoredNames,
            format!("Bad:x\nBad:\na:1:Bad:{digest}\n.UNOFFICIAL\n").as_bytes(),
            "x",
        );
        assert_eq!(batch.complaints().len(), 4);
    }
}
