//! Everything that has an outside: the programs as their users meet them, and the shape of the source itself.
//!
//! One binary, for linking is what a test run waits for.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    unreachable_pub
)]

mod support;

mod allowed;
mod cache;
mod clam;
mod clamd;
mod clamd_programs;
mod clamd_transcripts;
mod cli;
mod client;
mod crowd;
mod cvdl;
mod daemon;
mod data_file;
mod differential;
mod docs;
mod ends;
mod evasion;
mod examples;
mod explain;
mod faults;
mod fuzz_corpus;
mod gaps;
mod gateways;
mod http;
mod identity;
mod late;
mod layering;
mod mail;
mod metrics;
mod model;
mod model_play;
mod model_streams;
mod model_test;
mod options;
mod prints;
mod random;
mod reload;
mod reloads;
mod report;
mod request_log;
mod roots;
mod signed;
mod sources;
mod testfiles;
mod transcripts;
mod tree;
mod updates;
mod vfind_program;
mod views;
#[cfg(feature = "yara")]
mod yara;
