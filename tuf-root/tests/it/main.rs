//! The trust root from outside: over HTTP, through the command line, with its target files.

#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "a test fails by panicking"
)]

#[cfg(feature = "s3")]
mod bucket;
mod collect;
mod command_line;
mod exports;
mod material;
mod mirror;
mod services;
mod targets;
