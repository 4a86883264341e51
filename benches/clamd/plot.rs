//! A table as a picture: a bar for each ratio, and a line where it is wanted.

use std::fmt::Write as _;

use crate::row::{Row, Wanted, figure};

const LEFT: f64 = 330.0;
const WIDTH: f64 = 380.0;
const STEP: f64 = 26.0;
const TOP: f64 = 44.0;

/// Colours that are readable on white and on black stand at the elements, for programs that know no style sheets; where the page
/// says that it is dark, its texts are lighter.
const STYLE: &str = "@media(prefers-color-scheme:dark){text{fill:#c9d1d9}}";
const TEXT: &str = "#6e7781";
const BAR: &str = "#3b82c4";
const MISSED: &str = "#c4703b";

/// An SVG document; all bars have one scale, which begins at nothing.
pub(crate) fn bars(heading: &str, rows: &[Row]) -> String {
    let longest = rows
        .iter()
        .map(|row| row.ratio.max(wanted(row).unwrap_or(0.0)));
    let scale = WIDTH / longest.fold(f64::MIN_POSITIVE, f64::max);
    let height = TOP + STEP * rows.len() as f64 + 8.0;
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"800\" height=\"{height}\" viewBox=\"0 0 800 {height}\" role=\"img\" \
         font-family=\"sans-serif\" font-size=\"13\" fill=\"{TEXT}\">\n\
         <title>{heading}</title>\n<style>{STYLE}</style>\n\
         <text font-weight=\"600\" x=\"8\" y=\"20\">{heading}: ratio, and what is wanted (dashed)</text>\n",
        heading = escaped(heading)
    );
    for (at, row) in rows.iter().enumerate() {
        let top = TOP + STEP * at as f64;
        let (length, text) = (row.ratio * scale, top + 14.0);
        let colour = if row.holds() { BAR } else { MISSED };
        writeln!(
            svg,
            "<text x=\"{}\" y=\"{text}\" text-anchor=\"end\">{}</text>\n\
             <rect fill=\"{colour}\" x=\"{LEFT}\" y=\"{top}\" width=\"{length:.1}\" height=\"18\" rx=\"2\"/>",
            LEFT - 8.0,
            escaped(&row.what)
        )
        .unwrap();
        let mut end = LEFT + length;
        if let Some(wanted) = wanted(row) {
            let x = LEFT + wanted * scale;
            let (from, to) = (top - 3.0, top + 21.0);
            writeln!(
                svg,
                "<line stroke=\"{TEXT}\" stroke-width=\"2\" stroke-dasharray=\"4 2\" x1=\"{x:.1}\" y1=\"{from}\" x2=\"{x:.1}\" y2=\"{to}\"/>"
            )
            .unwrap();
            // The number stands behind both.
            end = end.max(x);
        }
        let (x, ratio) = (end + 8.0, figure(row.ratio));
        writeln!(svg, "<text x=\"{x:.1}\" y=\"{text}\">{ratio}</text>").unwrap();
    }
    svg + "</svg>\n"
}

fn wanted(row: &Row) -> Option<f64> {
    match row.wanted {
        Wanted::AtLeast(ratio) | Wanted::AtMost(ratio) => Some(ratio),
        Wanted::Any => None,
    }
}

fn escaped(text: &str) -> String {
    let text = text.replace('&', "&amp;").replace('<', "&lt;");
    text.replace('`', "")
}
