//! Scans content for signatures, and never says "clean" about what it did not look at.
//!
//! ```text
//! socket → server::session → gateway → pool → scan::walk → expand → engine
//!            ↑______________________ event ______________________↲
//!
//! signature files → signature → engine::Compiler → image → engine::Database (immutable) → database::Live (swap)
//! ```
//!
//! The modules, in the order of the arrows: each uses only those above it (`tests/it/layering.rs` holds the
//! table). Words first, then signatures and engine, then content, then what runs it, then the wire and the process.

#![cfg_attr(
    test,
    allow(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::panic,
        clippy::indexing_slicing
    )
)]

pub mod access;
pub mod beside;
pub mod bytes;
pub mod calendar;
pub mod frame;
pub mod glob;
pub mod image;
pub mod kind;
pub mod path;
pub mod pidfile;
pub mod stop;
pub mod user;

pub mod abandon;
pub mod chevron;
pub mod event;
pub mod object;

pub mod expand;

pub mod executable;
pub mod filetype;
pub mod view;

pub mod budget;
pub mod policy;
pub mod request;
pub mod roots;
pub mod verdict;

pub mod metrics;

pub mod journal;

pub mod files;

pub mod signature;

pub mod engine;

pub mod database;

pub mod scan;

pub mod pool;

pub mod gateway;

pub mod client;
pub mod server;

pub mod http;

pub mod log;

pub mod config;

pub mod local;

pub mod fuzzing;
