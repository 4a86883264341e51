//! Options for the limits of one item, and the forms of their values.
#![forbid(unsafe_code)]

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use clap::Args;

use crate::budget::{Limits, MIB};
use crate::pool::workers;

/// Temporary disk space that one item may take when the whole allowance is larger (design: 4 GiB per peer).
const SPOOL_PER_ITEM: u64 = 4 * 1024 * 1024 * 1024;

/// Temporary disk space altogether (design: defaults of the limits).
const SPOOL: Size = Size(4 * SPOOL_PER_ITEM);

/// The limits of one item; sizes take K, M, G or T.
#[derive(Debug, Args)]
#[command(next_help_heading = "Limits for each file (what a limit hides is reported)")]
pub(super) struct LimitFlags {
    /// Containers inside containers
    #[arg(long, value_name = "N", default_value_t = Limits::default().depth)]
    limit_depth: u32,

    /// Members of all containers together
    #[arg(long, value_name = "N", default_value_t = Limits::default().members)]
    limit_members: u64,

    /// Bytes out of all containers together
    #[arg(long, value_name = "SIZE", default_value_t = Size(Limits::default().expanded))]
    limit_expanded: Size,

    /// Bytes out of containers for each byte of the file, above 256M
    #[arg(long, value_name = "N", default_value_t = Limits::default().ratio)]
    limit_ratio: u64,

    /// Memory of a worker process beside the signatures
    #[arg(long, value_name = "SIZE", default_value_t = Size(Limits::default().memory))]
    limit_memory: Size,

    /// Temporary disk space: half for all workers together, half for content that clients send (a quarter of the whole
    /// for one client)
    #[arg(long, value_name = "SIZE", default_value_t = SPOOL)]
    limit_spool: Size,

    /// Bytes that regular expressions and YARA rules see in one piece, at least 2M; of larger content they see pieces
    #[arg(long, value_name = "SIZE", default_value_t = Size(Limits::default().contiguous), value_parser = contiguous)]
    limit_contiguous: Size,

    /// Findings, at least 1
    #[arg(long, value_name = "N", default_value_t = Limits::default().findings, value_parser = clap::value_parser!(u64).range(1..))]
    limit_findings: u64,

    /// Seconds for one file, from when its scan starts
    #[arg(long, value_name = "SECONDS", default_value_t = Seconds(Limits::default().deadline))]
    limit_deadline: Seconds,
}

impl LimitFlags {
    /// Bytes of temporary files: half for content that peers send, half for what workers decode.
    pub(super) fn spool(&self) -> u64 {
        self.limit_spool.0
    }

    /// The limits of an item when this many workers share the disk.
    pub(super) fn resolve(&self, threads: usize) -> Limits {
        Limits {
            depth: self.limit_depth,
            members: self.limit_members,
            expanded: self.limit_expanded.0,
            ratio: self.limit_ratio,
            memory: self.limit_memory.0,
            // Workers that stand by may hold as much.
            spool: (self.spool() / 2 / workers(threads) as u64).min(SPOOL_PER_ITEM),
            contiguous: self.limit_contiguous.0,
            findings: self.limit_findings,
            deadline: self.limit_deadline.0,
        }
    }
}

/// A size in bytes, written as a whole number, with K, M, G or T for powers of 1,024.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Size(pub(super) u64);

/// Pieces overlap by 1 MiB, so one must be larger than that.
fn contiguous(text: &str) -> Result<Size, String> {
    let size: Size = text.parse()?;
    match size.0 >= 2 * MIB {
        true => Ok(size),
        false => Err("it must be at least 2M".to_owned()),
    }
}

/// The letters, and the powers of two that they stand for.
const UNITS: [(char, u32); 4] = [('T', 40), ('G', 30), ('M', 20), ('K', 10)];

impl FromStr for Size {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let last = text.chars().last().map(|unit| unit.to_ascii_uppercase());
        let unit = UNITS.iter().find(|(unit, _)| Some(*unit) == last);
        let (digits, shift) = match unit {
            Some((_, shift)) => (text.get(..text.len() - 1), *shift),
            None => (Some(text), 0),
        };
        let number = digits.and_then(|digits| digits.parse::<u64>().ok());
        let size = number.and_then(|number| number.checked_mul(1 << shift));
        size.map(Self)
            .ok_or_else(|| format!("'{text}' is no size: a whole number, with K, M, G or T"))
    }
}

impl fmt::Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let whole = |(_, shift): &&(char, u32)| self.0 > 0 && self.0.is_multiple_of(1 << shift);
        match UNITS.iter().find(whole) {
            Some((unit, shift)) => write!(f, "{}{unit}", self.0 >> shift),
            None => self.0.fmt(f),
        }
    }
}

/// A time above zero, written as seconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Seconds(pub(super) Duration);

impl FromStr for Seconds {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let seconds = text.parse::<f64>().ok().filter(|seconds| *seconds > 0.0);
        seconds
            .and_then(|seconds| Duration::try_from_secs_f64(seconds).ok())
            .map(Self)
            .ok_or_else(|| format!("'{text}' is no number of seconds above 0"))
    }
}

impl fmt::Display for Seconds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.as_secs_f64().fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn sizes_read_as_they_are_written(number: u64, shift in 0u32..64) {
            let size = Size(number >> shift << (shift / 2));
            prop_assert_eq!(size.to_string().parse(), Ok(size));
        }
    }

    #[test]
    fn sizes_are_whole_numbers_with_a_letter() {
        for (text, size) in [
            ("0", 0),
            ("1", 1),
            ("1k", 1024),
            ("64G", 64 << 30),
            ("3T", 3 << 40),
        ] {
            assert_eq!(text.parse(), Ok(Size(size)));
        }
        for text in ["", "K", "1.5G", "-1", "12Q", "99999999999999T", "ü"] {
            assert!(text.parse::<Size>().is_err(), "{text}");
        }
        assert_eq!(Size(1536 << 20).to_string(), "1536M");
        assert_eq!("0.5".parse::<Seconds>().unwrap().to_string(), "0.5");
    }
}
