//! Behaviour of `tlog` as its callers see it.

#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used
)]

mod checkpoints;
mod hostile;
mod literal;
mod notes;
mod paths;
mod properties;
mod store;
mod vectors;
