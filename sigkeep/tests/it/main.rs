//! The development issuer over HTTP, and `sigkeep` as a process.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "clippy takes only the test functions themselves for tests"
)]

mod issuer;
mod process;
mod usage;
