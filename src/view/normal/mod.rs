//! The normal forms for which ClamAV's signatures of the targets 3 (HTML) and 7 (text) are written.
//!
//! They were worked out from what `sigtool --html-normalise` and `--ascii-normalise` make of a content, which a test
//! (`tests/it/differential/normal.rs`) holds beside ours. What differs stands in docs/signatures/differences.md.
#![forbid(unsafe_code)]

mod html;
mod script;
mod text;

pub use html::{Html, html};
pub use text::Text;
