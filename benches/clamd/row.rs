//! One row of a table: a figure of ours, what it is held against, and what is wanted.

use std::fmt::Write as _;

/// What the ratio of a row is to be.
#[derive(Clone, Copy)]
pub(crate) enum Wanted {
    AtLeast(f64),
    AtMost(f64),
    /// Nothing: the row is there to be compared.
    Any,
}

pub(crate) struct Row {
    pub(crate) what: String,
    pub(crate) unit: &'static str,
    pub(crate) ours: f64,
    /// What ours is held against: clamd's figure unless the name of the row says otherwise.
    pub(crate) other: f64,
    pub(crate) ratio: f64,
    /// How many times the processor time of ours the other took.
    pub(crate) cpu: Option<f64>,
    pub(crate) wanted: Wanted,
}

impl Row {
    /// Of turns that each have a figure of ours and of the other.
    pub(crate) fn of(
        what: String,
        unit: &'static str,
        turns: &[(f64, f64)],
        wanted: Wanted,
    ) -> Self {
        Self {
            what,
            unit,
            ours: median(turns.iter().map(|turn| turn.0)),
            other: median(turns.iter().map(|turn| turn.1)),
            ratio: median(turns.iter().map(|turn| turn.0 / turn.1)),
            cpu: None,
            wanted,
        }
    }

    pub(crate) fn holds(&self) -> bool {
        match self.wanted {
            Wanted::AtLeast(least) => self.ratio >= least,
            Wanted::AtMost(most) => self.ratio <= most,
            Wanted::Any => true,
        }
    }

    pub(crate) fn wants(&self) -> String {
        match self.wanted {
            Wanted::AtLeast(least) => format!("at least {least}"),
            Wanted::AtMost(most) => format!("at most {most}"),
            Wanted::Any => String::new(),
        }
    }
}

pub(crate) fn table(rows: &[Row]) -> String {
    let mut text =
        "| | ours | against | ratio | of processor time | wanted |\n|---|---|---|---|---|---|\n"
            .to_owned();
    for row in rows {
        let cpu = row.cpu.map_or_else(String::new, figure);
        let missed = if row.holds() { "" } else { ", missed" };
        writeln!(
            text,
            "| {} | {} {unit} | {} {unit} | {} | {cpu} | {}{missed} |",
            row.what,
            figure(row.ours),
            figure(row.other),
            figure(row.ratio),
            row.wants(),
            unit = row.unit,
        )
        .unwrap();
    }
    text
}

/// Three digits of it.
pub(crate) fn figure(value: f64) -> String {
    let digits = if value < 10.0 {
        2
    } else if value < 100.0 {
        1
    } else {
        0
    };
    format!("{value:.digits$}")
}

pub(crate) fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut values: Vec<_> = values.collect();
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}
